/**
 * @file user/change.c  A change of a subscriber: read, judge, write
 */

#include <string.h>
#include <re.h>
#include "store/store.h"
#include "user/user.h"
#include "user/internal.h"


enum {
	DEADLINE = 10000,	/* [ms] of the read and of the write */
};

struct change {
	struct store *st;
	struct user_change ch;
	user_done_h *h;
	void *arg;
};

static const struct {
	const char *name;
	const char *past;
} opv[USER_OP_MAX] = {
	[USER_ADD]     = {"add",     "added"},
	[USER_PASSWD]  = {"passwd",  "new password for"},
	[USER_ENABLE]  = {"enable",  "enabled"},
	[USER_DISABLE] = {"disable", "disabled"},
	[USER_DEL]     = {"del",     "deleted"},
};


const char *user_op_name(enum user_op op)
{
	return op < USER_OP_MAX ? opv[op].name : "";
}


const char *user_op_past(enum user_op op)
{
	return op < USER_OP_MAX ? opv[op].past : "";
}


bool user_op_find(enum user_op *op, const char *name)
{
	int i;

	for (i=0; i<USER_OP_MAX; i++) {
		if (!strcmp(opv[i].name, name)) {
			*op = (enum user_op)i;
			return true;
		}
	}

	return false;
}


static void finish(struct change *c, int err)
{
	user_done_h *h = c->h;
	void *arg = c->arg;

	mem_deref(c);
	h(err, arg);
}


static void done_handler(int err, void *arg)
{
	finish(arg, err);
}


static int put(struct change *c, const struct store_subscriber *old)
{
	const struct user_change *ch = &c->ch;
	const bool secret = ch->op == USER_ADD || ch->op == USER_PASSWD;
	struct store_subscriber s;

	s.user       = ch->user;
	s.domain     = ch->domain;
	s.ha1_md5    = secret ? ch->ha1_md5 : old->ha1_md5;
	s.ha1_sha256 = secret ? ch->ha1_sha256 : old->ha1_sha256;
	s.disabled   = ch->op == USER_DISABLE ||
		(ch->op == USER_PASSWD && old->disabled);

	return store_subscriber_put(c->st, NULL, DEADLINE, &s,
				    done_handler, c);
}


static void get_handler(int err, const struct store_subscriber *old,
			void *arg)
{
	struct change *c = arg;

	if (c->ch.op == USER_ADD) {
		if (!err)
			err = EEXIST;
		else if (err == ENOENT)
			err = 0;
	}

	if (!err)
		err = put(c, old);
	if (err)
		finish(c, err);
}


/**
 * Change a subscriber; on a worker
 *
 * @param st  Store of STORE_SIP, open for writing
 * @param ch  What to change, copied
 * @param h   Runs when it is on disk; EEXIST, ENOENT, or the store's error
 * @param arg Handler argument
 *
 * @return 0 if success, otherwise errorcode
 */
int user_change(struct store *st, const struct user_change *ch,
		user_done_h *h, void *arg)
{
	struct change *c;
	int err;

	c = mem_zalloc(sizeof(*c), NULL);
	if (!c)
		return ENOMEM;

	c->st  = st;
	c->ch  = *ch;
	c->h   = h;
	c->arg = arg;

	if (ch->op == USER_DEL)
		err = store_subscriber_del(st, NULL, DEADLINE, c->ch.user,
					   c->ch.domain, done_handler, c);
	else
		err = store_subscriber_get(st, NULL, DEADLINE, c->ch.user,
					   c->ch.domain, get_handler, c);
	if (err)
		mem_deref(c);

	return err;
}
