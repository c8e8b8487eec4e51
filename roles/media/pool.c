/**
 * @file pool.c  Local ports: who has which, and which may be taken
 *
 * One row of slots per different address.  Behind a lock; only signalling
 * comes here.
 */
#include <pthread.h>
#include <string.h>
#include <re.h>
#include "media/media.h"


struct slot {
	bool used;
	uint8_t worker;
	uint64_t rest;		/**< jiffies until which it rests */
};

struct row {
	struct sa addr;
	size_t cursor;
};

struct pool {
	pthread_mutex_t lock;
	struct cfg_ports range;
	size_t n;		/**< slots of a row               */
	uint64_t reuse;
	unsigned ifc;
	struct sa pubv[2 * MEDIA_IF_MAX];
	unsigned rowv[2 * MEDIA_IF_MAX];	/**< row of an interface  */
	struct row rows[2 * MEDIA_IF_MAX];
	unsigned rowc;
	uint64_t used;
	struct slot *slotv;
};


static void destructor(void *arg)
{
	struct pool *p = arg;

	pthread_mutex_destroy(&p->lock);
	mem_deref(p->slotv);
}


static unsigned row_of(struct pool *p, const struct sa *addr)
{
	unsigned i;

	for (i = 0; i < p->rowc; i++) {

		if (sa_cmp(&p->rows[i].addr, addr, SA_ADDR))
			return i;
	}

	p->rows[p->rowc].addr = *addr;

	return p->rowc++;
}


int pool_alloc(struct pool **pp, const struct media_if *ifv, unsigned ifc,
	       struct cfg_ports range, uint64_t reuse_ms)
{
	struct pool *p;
	unsigned i;

	if (!pp || !ifv || !ifc || ifc > 2 * MEDIA_IF_MAX ||
	    range.max < range.min)
		return EINVAL;

	p = mem_zalloc(sizeof(*p), destructor);
	if (!p)
		return ENOMEM;

	(void)pthread_mutex_init(&p->lock, NULL);
	p->range = range;
	p->n = (size_t)range.max - range.min + 1;
	p->reuse = reuse_ms;
	p->ifc = ifc;
	for (i = 0; i < ifc; i++) {
		p->rowv[i] = row_of(p, &ifv[i].addr);
		p->pubv[i] = ifv[i].pub;
	}

	p->slotv = mem_zalloc(p->n * p->rowc * sizeof(*p->slotv), NULL);
	if (!p->slotv) {
		mem_deref(p);
		return ENOMEM;
	}

	/* start anywhere, so that a restart does not meet the old calls'
	   last packets */
	for (i = 0; i < p->rowc; i++)
		p->rows[i].cursor = rand_u32() % p->n;

	*pp = p;

	return 0;
}


size_t pool_slots(const struct pool *p)
{
	return p->n * p->rowc;
}


/* Could it be taken, and until when should it rest?  of a pair: the longer */
static bool is_free(const struct slot *s, bool pair, uint64_t *rest)
{
	if (s->used || (pair && s[1].used))
		return false;

	*rest = pair ? max(s->rest, s[1].rest) : s->rest;

	return true;
}


/* The first that has rested, from the cursor on; when none has, the one that
   has rested longest: a small range is not full before all of it is in use */
static size_t slot_find(const struct pool *p, const struct row *row,
			const struct slot *sv, bool pair)
{
	const uint64_t now = tmr_jiffies();
	uint64_t rest, best = 0;
	size_t i, found = p->n;

	for (i = 0; i < p->n; i++) {

		const size_t at = (row->cursor + i) % p->n;

		/* RFC 3550 11: RTP even, RTCP the next */
		if ((p->range.min + at) & 1 || (pair && at + 1 >= p->n) ||
		    !is_free(&sv[at], pair, &rest))
			continue;
		if (rest <= now)
			return at;
		if (found == p->n || rest < best) {
			found = at;
			best = rest;
		}
	}

	return found;
}


static void take(struct pool *p, struct slot *s, unsigned worker)
{
	s->used = true;
	s->worker = (uint8_t)worker;
	++p->used;
}


int pool_take(struct pool *p, unsigned ifidx, bool pair, unsigned worker,
	      uint16_t *port)
{
	struct slot *sv;
	struct row *row;
	size_t at;
	int err = ENOSPC;

	if (!p || ifidx >= p->ifc)
		return EINVAL;

	row = &p->rows[p->rowv[ifidx]];
	sv = &p->slotv[p->rowv[ifidx] * p->n];

	pthread_mutex_lock(&p->lock);

	at = slot_find(p, row, sv, pair);
	if (at < p->n) {
		take(p, &sv[at], worker);
		if (pair)
			take(p, &sv[at + 1], worker);

		*port = (uint16_t)(p->range.min + at);
		row->cursor = (at + 2) % p->n;
		err = 0;
	}

	pthread_mutex_unlock(&p->lock);

	return err;
}


int pool_slot_if(const struct pool *p, unsigned ifidx, uint16_t port)
{
	if (ifidx >= p->ifc || port < p->range.min || port > p->range.max)
		return -1;

	return (int)(p->rowv[ifidx] * p->n + port - p->range.min);
}


void pool_give(struct pool *p, unsigned ifidx, uint16_t port)
{
	const int slot = pool_slot_if(p, ifidx, port);

	if (slot < 0)
		return;

	pthread_mutex_lock(&p->lock);
	if (p->slotv[slot].used)
		--p->used;
	p->slotv[slot].used = false;
	p->slotv[slot].rest = tmr_jiffies() + p->reuse;
	pthread_mutex_unlock(&p->lock);
}


void pool_owner_set(struct pool *p, unsigned ifidx, uint16_t port,
		    unsigned worker)
{
	const int slot = pool_slot_if(p, ifidx, port);

	if (slot < 0)
		return;

	pthread_mutex_lock(&p->lock);
	p->slotv[slot].worker = (uint8_t)worker;
	pthread_mutex_unlock(&p->lock);
}


int pool_slot(const struct pool *p, const struct sa *sa)
{
	const uint16_t port = sa_port(sa);
	unsigned i;

	if (port < p->range.min || port > p->range.max)
		return -1;

	for (i = 0; i < p->ifc; i++) {

		if (sa_cmp(sa, &p->pubv[i], SA_ADDR) ||
		    sa_cmp(sa, &p->rows[p->rowv[i]].addr, SA_ADDR))
			return pool_slot_if(p, i, port);
	}

	return -1;
}


int pool_find(struct pool *p, const struct sa *sa, unsigned *worker)
{
	int slot = pool_slot(p, sa);

	if (slot < 0)
		return -1;

	pthread_mutex_lock(&p->lock);
	if (p->slotv[slot].used)
		*worker = p->slotv[slot].worker;
	else
		slot = -1;
	pthread_mutex_unlock(&p->lock);

	return slot;
}


uint64_t pool_used(struct pool *p)
{
	uint64_t n;

	pthread_mutex_lock(&p->lock);
	n = p->used;
	pthread_mutex_unlock(&p->lock);

	return n;
}
