/**
 * @file directory.c  Which worker has which call
 */
#include <pthread.h>
#include <string.h>
#include <re.h>
#include "media/media.h"


enum { BUCKETS = 4096 };

struct entry {
	struct le he;
	struct le le;
	unsigned worker;
	size_t n;
	char callid[];
};

struct directory {
	pthread_mutex_t lock;
	struct hash *ht;
	struct list l;
	uint64_t n;
};


static void entry_destructor(void *arg)
{
	struct entry *e = arg;

	hash_unlink(&e->he);
	list_unlink(&e->le);
}


static void destructor(void *arg)
{
	struct directory *d = arg;

	list_flush(&d->l);
	mem_deref(d->ht);
	pthread_mutex_destroy(&d->lock);
}


int directory_alloc(struct directory **dp)
{
	struct directory *d;
	int err;

	d = mem_zalloc(sizeof(*d), destructor);
	if (!d)
		return ENOMEM;

	(void)pthread_mutex_init(&d->lock, NULL);
	err = hash_alloc(&d->ht, BUCKETS);
	if (err)
		mem_deref(d);
	else
		*dp = d;

	return err;
}


static struct entry *find(struct directory *d, const struct pl *callid)
{
	const uint32_t key = hash_joaat((const uint8_t *)callid->p,
					callid->l);
	struct le *le = list_head(hash_list(d->ht, key));

	for (; le; le = le->next) {

		struct entry *e = le->data;

		if (e->n == callid->l && !memcmp(e->callid, callid->p, e->n))
			return e;
	}

	return NULL;
}


int directory_find(struct directory *d, const struct pl *callid)
{
	const struct entry *e;
	int worker;

	pthread_mutex_lock(&d->lock);
	e = find(d, callid);
	worker = e ? (int)e->worker : -1;
	pthread_mutex_unlock(&d->lock);

	return worker;
}


static int add(struct directory *d, const struct pl *callid, unsigned worker)
{
	struct entry *e;

	e = mem_zalloc(sizeof(*e) + callid->l, entry_destructor);
	if (!e)
		return ENOMEM;

	e->worker = worker;
	e->n = callid->l;
	memcpy(e->callid, callid->p, callid->l);
	hash_append(d->ht, hash_joaat((const uint8_t *)callid->p, callid->l),
		    &e->he, e);
	list_append(&d->l, &e->le, e);
	++d->n;

	return 0;
}


int directory_set(struct directory *d, const struct pl *callid,
		  unsigned worker, uint64_t max)
{
	struct entry *e;
	int err = 0;

	pthread_mutex_lock(&d->lock);
	e = find(d, callid);
	if (e)
		e->worker = worker;
	else if (d->n >= max)
		err = EOVERFLOW;
	else
		err = add(d, callid, worker);
	pthread_mutex_unlock(&d->lock);

	return err;
}


int directory_move(struct directory *d, const struct pl *callid,
		   unsigned worker, int (*post)(void *arg), void *arg)
{
	struct entry *e;
	int err;

	pthread_mutex_lock(&d->lock);
	e = find(d, callid);
	err = e ? post(arg) : ENOENT;
	if (!err)
		e->worker = worker;
	pthread_mutex_unlock(&d->lock);

	return err;
}


void directory_del(struct directory *d, const struct pl *callid,
		   unsigned worker)
{
	struct entry *e;

	pthread_mutex_lock(&d->lock);
	e = find(d, callid);
	if (e && e->worker == worker) {
		--d->n;
		mem_deref(e);
	}
	pthread_mutex_unlock(&d->lock);
}


uint64_t directory_count(struct directory *d)
{
	uint64_t n;

	pthread_mutex_lock(&d->lock);
	n = d->n;
	pthread_mutex_unlock(&d->lock);

	return n;
}


void directory_list(struct directory *d, struct ng_tree *t,
		    struct ng_val *list, unsigned max)
{
	struct le *le;

	pthread_mutex_lock(&d->lock);
	for (le = d->l.head; le && max; le = le->next, max--) {

		const struct entry *e = le->data;
		const struct pl pl = {e->callid, e->n};

		ng_add_pl(t, list, NULL, &pl);
	}
	pthread_mutex_unlock(&d->lock);
}
