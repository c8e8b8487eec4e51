/**
 * @file restore.c  Registrations from the store at start, and their end
 */
#include <pthread.h>
#include <string.h>
#include "internal.h"


enum {
	EXPIRE_MAX = 256,	/* AORs of one look */
};

/** Runs on a worker, as the store's handlers do; the starter waits */
struct restore {
	struct edge *e;
	pthread_mutex_t lock;
	pthread_cond_t cond;
	bool done;
	int err;
	uint64_t now;
	size_t rows;
	char aor[AOR_SIZE];		/* of the rows below */
	struct store_binding rowv[BRANCH_MAX];
	size_t n;
	struct mbuf *text;		/* their strings: offsets, in order */
};

/** An AOR whose expired bindings go */
struct expiry {
	struct le le;
	struct edge *e;
	struct bindings *fresh;
	char aor[AOR_SIZE];
};


/* ---- restore */

static void aor_flush(struct restore *r)
{
	struct binding v[BRANCH_MAX];
	struct bindings *old = NULL;
	const char *p = (const char *)r->text->buf;

	for (size_t i = 0; i < r->n; i++) {
		const struct store_binding *row = &r->rowv[i];
		const char **const strv[] = {
			&v[i].contact, &v[i].callid, &v[i].received,
			&v[i].path, &v[i].instance, &v[i].agent
		};

		memset(&v[i], 0, sizeof(v[i]));
		v[i].expires = row->expires;
		v[i].cseq    = row->cseq;
		v[i].q       = row->q;
		v[i].reg_id  = row->reg_id;
		for (size_t j = 0; j < ARRAY_SIZE(strv); j++) {
			*strv[j] = p;
			p += strlen(p) + 1;
		}
		(void)nat_flow_decode(&v[i].flow, v[i].received);
	}

	if (r->n && !location_claim(r->e->loc, r->aor, &old))
		location_swap(r->e->loc, r->aor, bindings_make(v, r->n));
	bindings_drop(old);
	r->n = 0;
	mbuf_rewind(r->text);
}


static int row_keep(struct restore *r, const struct store_binding *b)
{
	const char *const strv[] = {b->contact, b->callid, b->received,
				    b->path, b->instance, b->user_agent};
	int err = 0;

	for (size_t i = 0; i < ARRAY_SIZE(strv); i++) {
		const char *s = strv[i] ? strv[i] : "";

		err |= mbuf_write_mem(r->text, (const uint8_t *)s,
				      strlen(s) + 1);
	}
	r->rowv[r->n++] = *b;

	return err;
}


/* Rows of one AOR follow each other */
static bool row_handler(const struct store_binding *b, void *arg)
{
	struct restore *r = arg;

	++r->rows;
	if (strcmp(r->aor, b->aor)) {
		aor_flush(r);
		str_ncpy(r->aor, b->aor, sizeof(r->aor));
	}
	if (b->expires > r->now && r->n < BRANCH_MAX)
		r->err = row_keep(r, b);

	return r->err != 0;
}


static void restore_done(int err, void *arg)
{
	struct restore *r = arg;

	if (!err && !r->err)
		aor_flush(r);

	(void)pthread_mutex_lock(&r->lock);
	if (!r->err)
		r->err = err;
	r->done = true;
	(void)pthread_cond_signal(&r->cond);
	(void)pthread_mutex_unlock(&r->lock);
}


static void restore_start(void *arg)
{
	struct restore *r = *(struct restore **)arg;
	int err;

	mem_deref(arg);
	err = store_location_list(r->e->store, NULL, 0, row_handler,
				  restore_done, r);
	if (err)
		restore_done(err, r);
}


static int restore_run(struct restore *r)
{
	struct restore **box = mem_alloc(sizeof(r), NULL);
	int err;

	if (!box)
		return ENOMEM;
	*box = r;
	err = worker_post(r->e->env->workerv[0], restore_start, box);
	if (err) {
		mem_deref(box);
		return err;
	}

	(void)pthread_mutex_lock(&r->lock);
	while (!r->done)
		(void)pthread_cond_wait(&r->cond, &r->lock);
	(void)pthread_mutex_unlock(&r->lock);

	return r->err;
}


/**
 * Fill the location table from the store.  Blocks: nothing is served yet.
 */
int restore_locations(struct edge *e, char *why, size_t whysz)
{
	struct restore r = {.e = e, .now = location_now()};
	const uint64_t start = tmr_jiffies();
	int err;

	r.text = mbuf_alloc(4096);
	if (!r.text)
		return ENOMEM;

	(void)pthread_mutex_init(&r.lock, NULL);
	(void)pthread_cond_init(&r.cond, NULL);
	err = restore_run(&r);
	(void)pthread_cond_destroy(&r.cond);
	(void)pthread_mutex_destroy(&r.lock);
	mem_deref(r.text);

	if (err)
		(void)re_snprintf(why, whysz, "registrations cannot be read "
				  "from the store: %m", err);
	else
		log_info(NULL, "registrations restored",
			 "aors=%zu contacts=%zu rows=%zu ms=%llu",
			 location_count(e->loc), location_contacts(e->loc),
			 r.rows, tmr_jiffies() - start);

	return err;
}


/* ---- expiry */

static void expiry_destructor(void *arg)
{
	struct expiry *x = arg;

	list_unlink(&x->le);
	bindings_drop(x->fresh);
}


static void expiry_stored(int err, void *arg)
{
	struct expiry *x = arg;

	if (err) {
		/* expired ones are not used; the next look tries again */
		location_release(x->e->loc, x->aor);
	}
	else {
		log_info(NULL, "registration expired", "aor=%s left=%zu",
			 x->aor, x->fresh->n);
		if (x->fresh->n) {
			location_swap(x->e->loc, x->aor, x->fresh);
			x->fresh = NULL;
		}
		else {
			location_swap(x->e->loc, x->aor, NULL);
		}
	}
	mem_deref(x);
}


static int expire_one(struct edge *e, const char *aor, uint64_t now)
{
	struct binding v[BRANCH_MAX];
	struct bindings *old = NULL;
	struct expiry *x;
	size_t n = 0;
	int err;

	x = mem_zalloc(sizeof(*x), expiry_destructor);
	if (!x)
		return ENOMEM;
	x->e = e;
	list_append(&e->expiryl, &x->le, x);
	str_ncpy(x->aor, aor, sizeof(x->aor));

	err = location_claim(e->loc, aor, &old);
	if (err) {
		mem_deref(x);
		return err;
	}

	for (size_t i = 0; old && i < old->n && n < BRANCH_MAX; i++) {
		if (old->v[i].expires > now)
			v[n++] = old->v[i];
	}
	x->fresh = bindings_make(v, n);
	bindings_drop(old);

	err = x->fresh ? binding_store(e->store, NULL, aor, x->fresh,
				       expiry_stored, x) : ENOMEM;
	if (err) {
		location_release(e->loc, aor);
		mem_deref(x);
	}

	return err;
}


/** Look at the next parts of the table; on the control loop */
void expire_locations(struct edge *e)
{
	const uint64_t now = location_now();
	char (*aorv)[AOR_SIZE];
	size_t n = 0;

	aorv = mem_alloc(EXPIRE_MAX * sizeof(*aorv), NULL);
	if (!aorv)
		return;

	for (unsigned look = 0; look < 8 && n < EXPIRE_MAX / 2; look++)
		n += location_expired(e->loc, &e->expire_pos, now,
				      aorv + n, EXPIRE_MAX - n);
	for (size_t i = 0; i < n; i++) {
		if (expire_one(e, aorv[i], now))
			break;
	}

	mem_deref(aorv);
}
