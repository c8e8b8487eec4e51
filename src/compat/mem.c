/**
 * @file mem.c  Reference-counted memory: libre's re_mem.h
 *
 * Replaced because libre's own either counts nothing (RELEASE) or takes a
 * global lock three times for each allocation and links all blocks into one
 * list.  Here counting is on in every build and costs two additions: each
 * thread counts in a slot of its own, and who asks adds the slots up.  So the
 * very binary that is released can be tested for leaks, and says how much
 * memory it holds.  One allocation can be made to fail, for tests.
 *
 * References are not atomic: an object stays in its thread, as in libre.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <re.h>
#include "compat/compat.h"


enum {
	SLOTS = 128,  /**< Threads that count for themselves */

	/* calloc() costs twice malloc() and memset(), but does not touch fresh
	   pages: a loop's table of 65,536 descriptors takes memory only where
	   it is used */
	CALLOC = 128 * 1024,
};

/** Stands before each object; 16 bytes, so that alignment is kept */
struct mem {
	uint32_t nrefs;
	uint32_t size;
	mem_destroy_h *dh;
};

_Static_assert(sizeof(struct mem) == 16, "objects must stay aligned");

/** One thread's counts; they outlive it, and its successor goes on */
struct slot {
	_Alignas(64) atomic_bool taken;
	_Atomic(int64_t) bytes;
	_Atomic(int64_t) blocks;
};

static struct slot slotv[SLOTS];
static struct slot shared;                  /**< For threads without slot */
static _Atomic(int64_t) peak_bytes;
static _Atomic(int64_t) peak_blocks;
static __thread struct slot *own;
static __thread long fail_left;
static __thread bool fail_met;

static pthread_once_t slot_once = PTHREAD_ONCE_INIT;
static pthread_key_t slot_key;


/* Blocks freed later in this thread's end take a slot once more, and
   pthreads calls this again */
static void slot_release(void *arg)
{
	struct slot *slot = arg;

	own = NULL;
	if (slot != &shared)
		atomic_store_explicit(&slot->taken, false,
				      memory_order_release);
}


static void slot_init(void)
{
	(void)pthread_key_create(&slot_key, slot_release);
}


static struct slot *slot_take(void)
{
	size_t i;

	(void)pthread_once(&slot_once, slot_init);

	own = &shared;
	for (i=0; i<SLOTS; i++) {
		if (!atomic_exchange_explicit(&slotv[i].taken, true,
					      memory_order_acquire)) {
			own = &slotv[i];
			break;
		}
	}
	(void)pthread_setspecific(slot_key, own);

	return own;
}


static inline void add(_Atomic(int64_t) *n, int64_t v)
{
	atomic_store_explicit(n, v + atomic_load_explicit(n,
				memory_order_relaxed), memory_order_relaxed);
}


static inline void count(int64_t blocks, int64_t bytes)
{
	struct slot *slot = own ? own : slot_take();

	if (slot == &shared) {
		atomic_fetch_add_explicit(&slot->blocks, blocks,
					  memory_order_relaxed);
		atomic_fetch_add_explicit(&slot->bytes, bytes,
					  memory_order_relaxed);
		return;
	}

	add(&slot->blocks, blocks);
	add(&slot->bytes, bytes);
}


static inline bool must_fail(void)
{
	if (!fail_left || --fail_left)
		return false;

	fail_met = true;
	return true;
}


void mem_fail_after(long n)
{
	fail_left = n;
	fail_met  = false;
}


bool mem_fail_hit(void)
{
	return fail_met;
}


static void *alloc(size_t size, mem_destroy_h *dh, bool zero)
{
	struct mem *m;

	if (size > UINT32_MAX || must_fail())
		return NULL;

	m = zero && size >= CALLOC ? calloc(1, sizeof(*m) + size)
		: malloc(sizeof(*m) + size);
	if (!m)
		return NULL;

	if (zero && size < CALLOC)
		memset(m + 1, 0, size);

	m->nrefs = 1;
	m->size  = (uint32_t)size;
	m->dh    = dh;
	count(1, (int64_t)size);

	return m + 1;
}


/**
 * Allocate a reference-counted object; its content is undefined
 *
 * @param size Size of the object, at most 4 GiB
 * @param dh   Optional destructor
 *
 * @return The object, or NULL
 */
void *mem_alloc(size_t size, mem_destroy_h *dh)
{
	return alloc(size, dh, false);
}


/**
 * Allocate a reference-counted object, zeroed
 *
 * @param size Size of the object
 * @param dh   Optional destructor
 *
 * @return The object, or NULL
 */
void *mem_zalloc(size_t size, mem_destroy_h *dh)
{
	return alloc(size, dh, true);
}


/**
 * Change the size of an object that has one owner
 *
 * @param data The object; NULL gives NULL
 * @param size New size
 *
 * @return The object, perhaps elsewhere, or NULL: then the old one stands
 */
void *mem_realloc(void *data, size_t size)
{
	struct mem *m, *m2;
	uint32_t was;

	if (!data)
		return NULL;

	m   = (struct mem *)data - 1;
	was = m->size;

	if (size > UINT32_MAX || (size > was && must_fail()))
		return NULL;

	m2 = realloc(m, sizeof(*m) + size);
	if (!m2)
		return NULL;

	m2->size = (uint32_t)size;
	count(0, (int64_t)size - was);

	return m2 + 1;
}


/**
 * Change the size of an array, or allocate one
 *
 * @param ptr      The array, or NULL to allocate one
 * @param nmemb    Number of members
 * @param membsize Size of a member
 * @param dh       Optional destructor, if ptr is NULL
 *
 * @return The array, or NULL
 */
void *mem_reallocarray(void *ptr, size_t nmemb, size_t membsize,
		       mem_destroy_h *dh)
{
	size_t size;

	if (__builtin_mul_overflow(nmemb, membsize, &size))
		return NULL;

	return ptr ? mem_realloc(ptr, size) : mem_alloc(size, dh);
}


/**
 * Take a reference
 *
 * @param data The object; NULL gives NULL
 *
 * @return The object
 */
void *mem_ref(void *data)
{
	if (data)
		++((struct mem *)data - 1)->nrefs;

	return data;
}


/**
 * Drop a reference; the last one calls the destructor and frees the object
 *
 * @param data The object, or NULL
 *
 * @return Always NULL
 */
void *mem_deref(void *data)
{
	struct mem *m;

	if (!data)
		return NULL;

	m = (struct mem *)data - 1;

	if (--m->nrefs > 0)
		return NULL;

	if (m->dh)
		m->dh(data);

	/* the destructor may have taken a reference */
	if (m->nrefs > 0)
		return NULL;

	count(-1, -(int64_t)m->size);
	free(m);

	return NULL;
}


/**
 * How many references are there?
 *
 * @param data The object, or NULL
 *
 * @return Number of references
 */
uint32_t mem_nrefs(const void *data)
{
	return data ? ((const struct mem *)data - 1)->nrefs : 0;
}


static int64_t raise_peak(_Atomic(int64_t) *peak, int64_t now)
{
	int64_t was = atomic_load_explicit(peak, memory_order_relaxed);

	while (was < now &&
	       !atomic_compare_exchange_weak_explicit(peak, &was, now,
						      memory_order_relaxed,
						      memory_order_relaxed))
		;

	return was > now ? was : now;
}


/**
 * Sum of all threads' counts.  The peaks are those that callers of this
 * function saw; size_min and size_max are not kept.
 *
 * @param mstat Returned statistics
 *
 * @return 0 if success, otherwise errorcode
 */
int mem_get_stat(struct memstat *mstat)
{
	int64_t bytes, blocks;
	size_t i;

	if (!mstat)
		return EINVAL;

	bytes  = atomic_load_explicit(&shared.bytes, memory_order_relaxed);
	blocks = atomic_load_explicit(&shared.blocks, memory_order_relaxed);
	for (i=0; i<SLOTS; i++) {
		bytes  += atomic_load_explicit(&slotv[i].bytes,
					       memory_order_relaxed);
		blocks += atomic_load_explicit(&slotv[i].blocks,
					       memory_order_relaxed);
	}

	memset(mstat, 0, sizeof(*mstat));
	mstat->bytes_cur   = (size_t)bytes;
	mstat->blocks_cur  = (size_t)blocks;
	mstat->bytes_peak  = (size_t)raise_peak(&peak_bytes, bytes);
	mstat->blocks_peak = (size_t)raise_peak(&peak_blocks, blocks);

	return 0;
}


/**
 * Print the counts
 *
 * @param pf     Print function
 * @param unused Unused
 *
 * @return 0 if success, otherwise errorcode
 */
int mem_status(struct re_printf *pf, void *unused)
{
	struct memstat stat;
	int err;
	(void)unused;

	err = mem_get_stat(&stat);
	if (err)
		return err;

	return re_hprintf(pf, "memory: %zu blocks, %zu bytes"
			  " (and %zu bytes per block)\n",
			  stat.blocks_cur, stat.bytes_cur,
			  sizeof(struct mem));
}


/** Say on stderr what has not been freed; the sanitizer build says where */
void mem_debug(void)
{
	struct memstat stat;

	if (!mem_get_stat(&stat) && stat.blocks_cur)
		(void)re_fprintf(stderr, "%H", mem_status, NULL);
}


/**
 * libre's way to simulate lack of memory.  Not kept: see mem_fail_after()
 *
 * @param n Unused
 */
void mem_threshold_set(ssize_t n)
{
	(void)n;
}
