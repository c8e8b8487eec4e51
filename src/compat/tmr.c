/**
 * @file tmr.c  Timers on a monotonic wheel: libre's re_tmr.h
 *
 * Replaced because libre keeps timers in one sorted list (an insert among
 * 100,000 costs up to milliseconds) and follows the wall clock.
 *
 * Each event loop has a wheel of LEVELS rings of 64 slots; a slot of ring n
 * spans 64^n ms.  A timer lies in the ring of the highest 6-bit digit in
 * which its time differs from the wheel's, in the slot of that digit.  When
 * the wheel's time reaches a slot of an outer ring, its timers move inwards:
 *
 *   start -> ring 3 -> ring 2 -> ring 1 -> ring 0 -> handler
 *
 * From this follows, and is relied on below:
 *  - every timer of ring n is due before any timer of ring n+1;
 *  - within a ring, slots at or before the wheel's own digit are empty;
 *  - timers of the same millisecond are called in the order of their start.
 *
 * Starting appends to a list, cancelling unlinks from it.  A ring's bitmap
 * says which slots may hold timers; cancelling leaves its bit, which is
 * cleared when it is met.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <re.h>
#include "compat/compat.h"


enum {
	BITS       = 6,
	SLOTS      = 1 << BITS,
	LEVELS     = 8,             /**< 64^8 ms: 8,900 years             */
	ROUNDS     = 8,             /**< Timers of 0 ms that start others */
	SCAN       = 16,            /**< Timers looked at for exact sleep */
	SLEEP_MAX  = 3600 * 1000,   /**< The loop takes an int [ms]       */
};

#define DELAY_MAX ((1ULL << 41) - 1)

struct wheel {
	struct list *tmrl;          /**< The loop's list, our only handle  */
	uint64_t now;               /**< All before and at this was called */
	uint64_t map[LEVELS];       /**< Slots that may hold timers        */
	struct list slotv[LEVELS][SLOTS];
	struct list due[2];         /**< Due at once; one grows            */
	unsigned grow;              /**< Which                             */
	struct le le;               /**< Stands in tmrl                    */
};

/* libre's loop keeps a struct list per thread and hands it to us */
extern struct list *tmrl_get(void);

/* from the linker: where the program's static data lies */
extern const char __executable_start[], _end[];

static struct wheel main_wheel;     /**< For the loop without a thread    */
static pthread_once_t wheel_once = PTHREAD_ONCE_INIT;
static pthread_key_t wheel_key;     /**< A thread's wheel, to be freed    */
static _Atomic(compat_clock_h *) clock_fn;


static uint64_t clock_usec(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);

	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}


void compat_clock_set(compat_clock_h *clockh)
{
	atomic_store(&clock_fn, clockh);
}


/**
 * The monotonic time
 *
 * @return Time in [us]
 */
uint64_t tmr_jiffies_usec(void)
{
	compat_clock_h *h = atomic_load_explicit(&clock_fn,
						 memory_order_relaxed);

	return h ? h() : clock_usec();
}


/**
 * The monotonic time
 *
 * @return Time in [ms]
 */
uint64_t tmr_jiffies(void)
{
	return tmr_jiffies_usec() / 1000;
}


/* ---- the wheel */

static void timer_forget(struct list *list)
{
	struct le *le;

	while ((le = list->head)) {
		struct tmr *tmr = le->data;

		list_unlink(le);
		tmr->th = NULL;
	}
}


static void wheel_flush(struct wheel *w)
{
	unsigned level, slot;

	timer_forget(&w->due[0]);
	timer_forget(&w->due[1]);
	for (level=0; level<LEVELS; level++) {
		for (slot=0; slot<SLOTS; slot++)
			timer_forget(&w->slotv[level][slot]);
	}
	memset(w->map, 0, sizeof(w->map));
}


/* The thread ends; its timers never fire, but may still be cancelled */
static void wheel_free(void *arg)
{
	struct wheel *w = arg;

	wheel_flush(w);
	free(w);
}


static void wheel_init(void)
{
	(void)pthread_key_create(&wheel_key, wheel_free);
}


/* The first timer of a loop.  libre tells us neither when a loop begins nor
   when it ends, but the loop that belongs to no thread is static data, and
   all others die with their thread. */
static struct wheel *wheel_new(struct list *tmrl)
{
	const char *p = (const char *)tmrl;
	struct wheel *w;

	if (p >= __executable_start && p < _end) {
		w = &main_wheel;
	}
	else {
		(void)pthread_once(&wheel_once, wheel_init);
		w = pthread_getspecific(wheel_key);
		if (w) {
			/* the thread closed its loop and opened another */
			wheel_flush(w);
		}
		else {
			w = calloc(1, sizeof(*w));
			if (!w || pthread_setspecific(wheel_key, w)) {
				(void)re_fprintf(stderr, "no memory for"
						 " timers\n");
				abort();
			}
		}
	}

	memset(&w->le, 0, sizeof(w->le));
	list_append(tmrl, &w->le, w);
	w->tmrl = tmrl;
	w->now  = tmr_jiffies();

	return w;
}


static inline struct wheel *wheel_get(const struct list *tmrl)
{
	return tmrl->head ? tmrl->head->data : NULL;
}


static inline unsigned digit(uint64_t jfs, unsigned level)
{
	return (jfs >> (BITS * level)) & (SLOTS - 1);
}


/** When does a slot begin, seen from the wheel's time? */
static inline uint64_t slot_time(const struct wheel *w, unsigned level,
				 unsigned slot)
{
	const unsigned shift = BITS * level;

	return (w->now >> (shift + BITS) << (shift + BITS))
		| ((uint64_t)slot << shift);
}


static void place(struct wheel *w, struct tmr *tmr)
{
	const uint64_t diff = tmr->jfs ^ w->now;
	unsigned level, slot;

	if (tmr->jfs <= w->now || diff >> (BITS * LEVELS)) {
		list_append(&w->due[w->grow], &tmr->le, tmr);
		return;
	}

	level = (63 - (unsigned)__builtin_clzll(diff)) / BITS;
	slot  = digit(tmr->jfs, level);
	list_append(&w->slotv[level][slot], &tmr->le, tmr);
	w->map[level] |= 1ULL << slot;
}


/** The first slot with timers, if any */
static bool first_slot(struct wheel *w, unsigned *level, unsigned *slot)
{
	unsigned l, s;

	for (l=0; l<LEVELS; l++) {
		while (w->map[l]) {
			s = (unsigned)__builtin_ctzll(w->map[l]);
			if (w->slotv[l][s].head) {
				*level = l;
				*slot  = s;
				return true;
			}
			w->map[l] &= ~(1ULL << s);
		}
	}

	return false;
}


static void call(struct tmr *tmr)
{
	tmr_h *th = tmr->th;
	void *arg = tmr->arg;

	list_unlink(&tmr->le);
	tmr->th = NULL;

	/* last: the handler may free the timer */
	if (th)
		th(arg);
}


/* What handlers start with no delay is called in the next round; whoever
   does that without end waits for the next poll */
static bool call_due(struct wheel *w, unsigned *rounds)
{
	while (w->due[w->grow].head) {

		struct list *list = &w->due[w->grow];
		struct le *le;

		if (!*rounds)
			return false;

		--*rounds;
		w->grow ^= 1;
		while ((le = list->head))
			call(le->data);
	}

	return true;
}


/** The wheel's time reaches a slot: empty it, inwards or into handlers */
static void reach(struct wheel *w, unsigned level, unsigned slot)
{
	struct list *list = &w->slotv[level][slot];
	struct le *le;

	w->now = slot_time(w, level, slot);
	w->map[level] &= ~(1ULL << slot);

	while ((le = list->head)) {

		struct tmr *tmr = le->data;

		if (level == 0) {
			call(tmr);
			continue;
		}

		list_unlink(le);
		place(w, tmr);
	}
}


/**
 * Call the handlers of all timers that are due
 *
 * @param tmrl The loop's handle
 */
void tmr_poll(struct list *tmrl)
{
	struct wheel *w = wheel_get(tmrl);
	unsigned level, slot, rounds = ROUNDS;
	uint64_t now;

	if (!w)
		return;

	now = tmr_jiffies();

	for (;;) {
		if (!call_due(w, &rounds))
			return;

		if (!first_slot(w, &level, &slot) ||
		    slot_time(w, level, slot) > now)
			break;

		reach(w, level, slot);
	}

	if (now > w->now)
		w->now = now;
}


/* The earliest time of a short list, or when its slot begins.  Waking at
   the slot's begin is right too, only once too often. */
static uint64_t earliest(const struct list *list, uint64_t begin)
{
	const struct le *le = list->head;
	uint64_t jfs = UINT64_MAX;
	unsigned n;

	for (n=0; le; le=le->next, n++) {
		const struct tmr *tmr = le->data;

		if (n == SCAN)
			return begin;
		if (tmr->jfs < jfs)
			jfs = tmr->jfs;
	}

	return jfs;
}


/**
 * How long may the loop sleep?
 *
 * @param tmrl The loop's handle
 *
 * @return At most this many [ms], or 0 if there are no timers
 */
uint64_t tmr_next_timeout(struct list *tmrl)
{
	struct wheel *w = wheel_get(tmrl);
	unsigned level, slot;
	uint64_t jfs, now;

	if (!w)
		return 0;

	if (w->due[0].head || w->due[1].head)
		return 1;

	if (!first_slot(w, &level, &slot))
		return 0;

	jfs = earliest(&w->slotv[level][slot], slot_time(w, level, slot));
	now = tmr_jiffies();

	if (jfs <= now)
		return 1;

	return min(jfs - now, (uint64_t)SLEEP_MAX);
}


/* ---- timers */

/**
 * Initialise a timer
 *
 * @param tmr Timer
 */
void tmr_init(struct tmr *tmr)
{
	if (tmr)
		memset(tmr, 0, sizeof(*tmr));
}


/**
 * Start a timer, or start it anew
 *
 * @param tmr   Timer; zeroed before its first use
 * @param delay Delay in [ms]; longer than 69 years is cut
 * @param th    Timeout handler; NULL cancels
 * @param arg   Handler argument
 */
void tmr_start(struct tmr *tmr, uint64_t delay, tmr_h *th, void *arg)
{
	struct list *tmrl;
	struct wheel *w;
	unsigned level, slot;
	uint64_t now;

	if (!tmr)
		return;

	if (tmr->th)
		list_unlink(&tmr->le);

	tmr->th  = th;
	tmr->arg = arg;
	if (!th)
		return;

	tmrl = tmrl_get();
	w    = wheel_get(tmrl);
	if (!w)
		w = wheel_new(tmrl);

	now = tmr_jiffies();

	/* a test has set the clock back */
	if (now < w->now && !first_slot(w, &level, &slot))
		w->now = now;

	tmr->jfs = now + min(delay, (uint64_t)DELAY_MAX);
	place(w, tmr);
}


/**
 * Cancel a timer
 *
 * @param tmr Timer
 */
void tmr_cancel(struct tmr *tmr)
{
	tmr_start(tmr, 0, NULL, NULL);
}


/**
 * How long until the timer fires?
 *
 * @param tmr Timer
 *
 * @return Time left in [ms]; 0 if it is due or not running
 */
uint64_t tmr_get_expire(const struct tmr *tmr)
{
	uint64_t now;

	if (!tmr || !tmr->th)
		return 0;

	now = tmr_jiffies();

	return tmr->jfs > now ? tmr->jfs - now : 0;
}


/**
 * Print how many timers of this thread run, ring by ring
 *
 * @param pf     Print function
 * @param unused Unused
 *
 * @return 0 if success, otherwise errorcode
 */
int tmr_status(struct re_printf *pf, void *unused)
{
	const struct wheel *w = wheel_get(tmrl_get());
	unsigned level, slot;
	uint32_t n, sum;
	int err;
	(void)unused;

	if (!w)
		return 0;

	sum = list_count(&w->due[0]) + list_count(&w->due[1]);
	err = re_hprintf(pf, "timers: due %u", sum);

	for (level=0; level<LEVELS; level++) {
		for (n=0, slot=0; slot<SLOTS; slot++)
			n += list_count(&w->slotv[level][slot]);
		if (n)
			err |= re_hprintf(pf, ", within %llu s %u",
				(1ULL << BITS * (level + 1)) / 1000, n);
		sum += n;
	}

	return err | re_hprintf(pf, "; all %u\n", sum);
}


/** Print how many timers of this thread run, on stderr */
void tmr_debug(void)
{
	(void)re_fprintf(stderr, "%H", tmr_status, NULL);
}
