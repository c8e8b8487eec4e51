/**
 * @file calls.c  The calls that a worker has seen begin and not yet end
 *
 * For ctl, and for what one offer leaves behind.  A request inside a dialog
 * does not need its entry: it may have begun on another node.
 */
#include <string.h>
#include "internal.h"


enum {
	BUCKETS = 4096,
};

struct calls {
	struct hash *ht;
	size_t n;
	size_t max;
	_Atomic int *gauge;	/* of all workers */
};


static void calls_destructor(void *arg)
{
	struct calls *c = arg;

	hash_flush(c->ht);
	mem_deref(c->ht);
}


int calls_alloc(struct calls **cp, size_t max, _Atomic int *gauge)
{
	struct calls *c;
	int err;

	if (!cp || !gauge)
		return EINVAL;

	c = mem_zalloc(sizeof(*c), calls_destructor);
	if (!c)
		return ENOMEM;

	c->max   = max;
	c->gauge = gauge;
	err = hash_alloc(&c->ht, BUCKETS);
	if (err)
		mem_deref(c);
	else
		*cp = c;

	return err;
}


static void call_destructor(void *arg)
{
	struct call *call = arg;

	if (call->owner) {
		hash_unlink(&call->he);
		--call->owner->n;
		atomic_fetch_sub(call->owner->gauge, 1);
	}
	mem_deref(call->callid);
	mem_deref(call->from);
	mem_deref(call->to);
}


static bool callid_cmp(struct le *le, void *arg)
{
	const struct call *call = le->data;

	return !pl_strcmp(arg, call->callid);
}


struct call *calls_find(const struct calls *c, const struct pl *callid)
{
	struct pl pl;

	if (!c || !callid)
		return NULL;

	pl = *callid;

	return list_ledata(hash_lookup(c->ht, hash_joaat_pl(callid),
				       callid_cmp, &pl));
}


static int texts_set(struct call *call, const struct sipcore_msg *invite)
{
	struct pl from = invite->from.auri, to = invite->ruri;
	int err;

	from.l = min(from.l, 128);
	to.l   = min(to.l, 128);
	err  = pl_strdup(&call->callid, &invite->callid);
	err |= pl_strdup(&call->from, &from);
	err |= pl_strdup(&call->to, &to);

	return err ? ENOMEM : 0;
}


/** A call begins; one that is tried again keeps its entry */
int calls_add(struct call **cp, struct calls *c,
	      const struct sipcore_msg *invite)
{
	struct call *call;
	int err;

	if (!cp || !c || !invite)
		return EINVAL;

	call = calls_find(c, &invite->callid);
	if (call) {
		*cp = call;
		return 0;
	}
	if (c->n >= c->max)
		return EOVERFLOW;

	call = mem_zalloc(sizeof(*call), call_destructor);
	if (!call)
		return ENOMEM;

	err = texts_set(call, invite);
	if (err) {
		mem_deref(call);
		return err;
	}

	str_ncpy(call->sid, invite->sid, sizeof(call->sid));
	call->start = location_now();
	call->src   = invite->flow.remote;
	call->owner = c;
	hash_append(c->ht, hash_joaat_pl(&invite->callid), &call->he, call);
	++c->n;
	atomic_fetch_add(c->gauge, 1);

	*cp = call;

	return 0;
}


size_t calls_count(const struct calls *c)
{
	return c ? c->n : 0;
}


struct walk {
	bool (*h)(const struct call *call, void *arg);
	void *arg;
};


static bool walk_handler(struct le *le, void *arg)
{
	const struct walk *walk = arg;

	return walk->h(le->data, walk->arg);
}


void calls_apply(const struct calls *c,
		 bool (*h)(const struct call *call, void *arg), void *arg)
{
	struct walk walk = {h, arg};

	if (c && h)
		(void)hash_apply(c->ht, walk_handler, &walk);
}


static bool old_handler(struct le *le, void *arg)
{
	const struct call *call = le->data;

	return call->start < *(uint64_t *)arg;
}


void calls_expire(struct calls *c, uint64_t before)
{
	struct le *le;

	while (c && (le = hash_apply(c->ht, old_handler, &before)))
		mem_deref(le->data);
}
