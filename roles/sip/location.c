/**
 * @file location.c  Who is where: AOR -> set of bindings (RFC 3261 10, 16.5)
 *
 * The one table that the workers share.  A set never changes: a REGISTER
 * makes a new one and swaps the pointer under the lock of its part of the
 * table; readers hold a reference of their own (an atomic count, as libre's
 * is not) for as long as they look at it.  A claim makes the changes of one
 * AOR come one after the other, while its new set is on the way to disk.
 */
#include <pthread.h>
#include <string.h>
#include "internal.h"


enum {
	PARTS   = 64,
	BUCKETS = 2048,		/* per part */
};

struct entry {
	struct entry *next;
	struct bindings *b;
	bool claimed;
	char aor[];
};

struct part {
	pthread_mutex_t lock;
	struct entry *bucketv[BUCKETS];
};

struct location {
	struct part partv[PARTS];
	uint32_t seed;
	size_t max;
	_Atomic size_t aors;
	_Atomic size_t contacts;
};


static void destructor(void *arg)
{
	struct location *l = arg;

	for (size_t i = 0; i < PARTS; i++) {
		for (size_t j = 0; j < BUCKETS; j++) {
			struct entry *e = l->partv[i].bucketv[j];

			while (e) {
				struct entry *next = e->next;

				bindings_drop(e->b);
				mem_deref(e);
				e = next;
			}
		}
		(void)pthread_mutex_destroy(&l->partv[i].lock);
	}
}


int location_alloc(struct location **lp, size_t max_aors)
{
	struct location *l;

	if (!lp || !max_aors)
		return EINVAL;

	l = mem_zalloc(sizeof(*l), destructor);
	if (!l)
		return ENOMEM;

	l->max  = max_aors;
	l->seed = rand_u32();
	for (size_t i = 0; i < PARTS; i++)
		(void)pthread_mutex_init(&l->partv[i].lock, NULL);

	*lp = l;

	return 0;
}


/** Seconds since 1970, as bindings expire */
uint64_t location_now(void)
{
	return worker_wallclock_us() / 1000000;
}


/* ---- sets */

static const char *text_put(char **p, const char *s)
{
	const size_t n = s ? strlen(s) + 1 : 1;
	char *start = *p;

	memcpy(start, s ? s : "", n);
	*p += n;

	return start;
}


static size_t text_size(const struct binding *b)
{
	const char *const v[] = {b->contact, b->callid, b->received, b->path,
				 b->instance, b->agent};
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(v); i++)
		n += v[i] ? strlen(v[i]) + 1 : 1;

	return n;
}


/** A set with copies of these bindings, one block; NULL: no memory */
struct bindings *bindings_make(const struct binding *v, size_t n)
{
	size_t size = sizeof(struct bindings) + n * sizeof(*v);
	struct bindings *b;
	char *p;

	for (size_t i = 0; i < n; i++)
		size += text_size(&v[i]);

	b = mem_zalloc(size, NULL);
	if (!b)
		return NULL;

	atomic_init(&b->refs, 1);
	b->n = n;
	p = (char *)&b->v[n];

	for (size_t i = 0; i < n; i++) {
		struct binding *d = &b->v[i];

		*d = v[i];
		d->contact  = text_put(&p, v[i].contact);
		d->callid   = text_put(&p, v[i].callid);
		d->received = text_put(&p, v[i].received);
		d->path     = text_put(&p, v[i].path);
		d->instance = text_put(&p, v[i].instance);
		d->agent    = text_put(&p, v[i].agent);
	}

	return b;
}


/** One reference more */
struct bindings *bindings_ref(struct bindings *b)
{
	if (b)
		atomic_fetch_add_explicit(&b->refs, 1, memory_order_relaxed);

	return b;
}


void bindings_drop(struct bindings *b)
{
	if (!b)
		return;

	if (atomic_fetch_sub_explicit(&b->refs, 1, memory_order_acq_rel) == 1)
		mem_deref(b);
}


/* ---- table */

static struct part *part_lock(struct location *l, const char *aor,
			      struct entry ***bucket)
{
	const uint32_t h = hash_joaat((const uint8_t *)aor, strlen(aor)) ^
		l->seed;
	const uint32_t mix = (h ^ (h >> 15)) * 2654435761u;
	struct part *part = &l->partv[mix >> 26];

	(void)pthread_mutex_lock(&part->lock);
	*bucket = &part->bucketv[(mix >> 8) & (BUCKETS - 1)];

	return part;
}


static struct entry **entry_find(struct entry **pe, const char *aor)
{
	while (*pe && strcmp((*pe)->aor, aor))
		pe = &(*pe)->next;

	return pe;
}


/** A reference to the set of an AOR, or NULL */
struct bindings *location_get(struct location *l, const char *aor)
{
	struct bindings *b = NULL;
	struct entry **pe;
	struct part *part;

	if (!l || !aor)
		return NULL;

	part = part_lock(l, aor, &pe);
	pe = entry_find(pe, aor);
	if (*pe)
		b = bindings_ref((*pe)->b);
	(void)pthread_mutex_unlock(&part->lock);

	return b;
}


static int entry_add(struct location *l, struct entry **pe, const char *aor)
{
	const size_t n = strlen(aor) + 1;
	struct entry *e;

	if (atomic_load(&l->aors) >= l->max)
		return EOVERFLOW;

	e = mem_zalloc(sizeof(*e) + n, NULL);
	if (!e)
		return ENOMEM;

	memcpy(e->aor, aor, n);
	*pe = e;
	atomic_fetch_add(&l->aors, 1);

	return 0;
}


int location_claim(struct location *l, const char *aor, struct bindings **bp)
{
	struct entry **pe;
	struct part *part;
	int err = 0;

	if (!l || !aor || !bp)
		return EINVAL;

	part = part_lock(l, aor, &pe);
	pe = entry_find(pe, aor);
	if (!*pe)
		err = entry_add(l, pe, aor);
	else if ((*pe)->claimed)
		err = EBUSY;

	if (!err) {
		(*pe)->claimed = true;
		*bp = bindings_ref((*pe)->b);
	}
	(void)pthread_mutex_unlock(&part->lock);

	return err;
}


static void claim_end(struct location *l, const char *aor, bool swap,
		      struct bindings *b)
{
	struct bindings *old = NULL;
	struct entry **pe, *e;
	struct part *part;

	part = part_lock(l, aor, &pe);
	pe = entry_find(pe, aor);
	e = *pe;
	if (e) {
		e->claimed = false;
		if (swap) {
			old = e->b;
			e->b = b;
			b = NULL;
			atomic_fetch_add(&l->contacts, (e->b ? e->b->n : 0) -
					 (old ? old->n : 0));
		}
		if (!e->b) {
			*pe = e->next;
			mem_deref(e);
			atomic_fetch_sub(&l->aors, 1);
		}
	}
	(void)pthread_mutex_unlock(&part->lock);

	bindings_drop(old);
	bindings_drop(b);
}


void location_swap(struct location *l, const char *aor, struct bindings *b)
{
	if (l && aor)
		claim_end(l, aor, true, b);
}


void location_release(struct location *l, const char *aor)
{
	if (l && aor)
		claim_end(l, aor, false, NULL);
}


/** AORs with at least one binding (or a claim on the way) */
size_t location_count(const struct location *l)
{
	return l ? atomic_load(&l->aors) : 0;
}


size_t location_contacts(const struct location *l)
{
	return l ? atomic_load(&l->contacts) : 0;
}


void location_apply(struct location *l, location_h *h, void *arg)
{
	bool stop = false;

	if (!l || !h)
		return;

	for (size_t i = 0; i < PARTS && !stop; i++) {
		struct part *part = &l->partv[i];

		(void)pthread_mutex_lock(&part->lock);
		for (size_t j = 0; j < BUCKETS && !stop; j++) {
			struct entry *e = part->bucketv[j];

			for (; e && !stop; e = e->next) {
				if (e->b)
					stop = h(e->aor, e->b, arg);
			}
		}
		(void)pthread_mutex_unlock(&part->lock);
	}
}


static bool has_expired(const struct entry *e, uint64_t now)
{
	if (!e->b || e->claimed)
		return false;

	for (size_t i = 0; i < e->b->n; i++) {
		if (e->b->v[i].expires <= now)
			return true;
	}

	return false;
}


/** Look at one part of the table per call, *pos going round */
size_t location_expired(struct location *l, size_t *pos, uint64_t now,
			char (*aorv)[AOR_SIZE], size_t max)
{
	struct part *part;
	size_t n = 0;

	if (!l || !pos || !aorv)
		return 0;

	part = &l->partv[*pos % PARTS];
	(void)pthread_mutex_lock(&part->lock);
	for (size_t j = 0; j < BUCKETS && n < max; j++) {
		const struct entry *e = part->bucketv[j];

		for (; e && n < max; e = e->next) {
			if (has_expired(e, now))
				str_ncpy(aorv[n++], e->aor, AOR_SIZE);
		}
	}
	(void)pthread_mutex_unlock(&part->lock);

	/* a full list: the rest of this part comes next time */
	if (n < max)
		*pos = (*pos + 1) % PARTS;

	return n;
}
