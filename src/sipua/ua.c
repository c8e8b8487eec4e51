/**
 * @file sipua/ua.c  The user agent of a worker: which dialog a request is for
 */
#include <string.h>
#include <re.h>
#include "cfg/cfg.h"
#include "sipcore/sipcore.h"
#include "sipua.h"
#include "internal.h"


enum {
	HASH_SIZE       = 4096,
	SESSIONS_MAX    = 100000,
	T1              = 500,
	T2              = 4000,
	CALLID_TRIES    = 4096,
};


static bool finish_handler(struct le *le, void *arg)
{
	(void)arg;
	sess_finish(le->data);
	return false;
}


static void ua_destructor(void *arg)
{
	struct sipua *ua = arg;

	if (ua->ht)
		(void)hash_apply(ua->ht, finish_handler, NULL);
	mem_deref(ua->ht);
}


int sipua_alloc(struct sipua **uap, struct sipcore *core,
		const struct sipcore_net *net, unsigned idx,
		const struct sipua_limits *lim)
{
	struct sipua *ua;
	int err;

	if (!uap || !core || !net)
		return EINVAL;

	ua = mem_zalloc(sizeof(*ua), ua_destructor);
	if (!ua)
		return ENOMEM;

	ua->core = core;
	ua->net = net;
	ua->idx = idx;
	if (lim)
		ua->lim = *lim;
	if (!ua->lim.sessions)
		ua->lim.sessions = SESSIONS_MAX;
	if (!ua->lim.t1)
		ua->lim.t1 = T1;
	if (!ua->lim.t2)
		ua->lim.t2 = T2;

	err = hash_alloc(&ua->ht, HASH_SIZE);
	if (err)
		mem_deref(ua);
	else
		*uap = ua;

	return err;
}


const char *sipua_allow(void)
{
	return "INVITE, ACK, CANCEL, BYE, OPTIONS, UPDATE, INFO, MESSAGE";
}


/* One of hash_workers random ones is ours: the tries are bounded by chance
   beyond any doubt */
int sipua_callid(const struct sipua *ua, char *buf, size_t size)
{
	struct pl pl;
	unsigned i;

	if (size < 33)
		return EOVERFLOW;

	for (i = 0; i < CALLID_TRIES; i++) {
		rand_str(buf, 33);
		pl_set_str(&pl, buf);
		if (sipcore_owner(ua->net, &pl) == ua->idx)
			return 0;
	}

	return EBUSY;
}


void sipua_stats(const struct sipua *ua, struct sipua_stats *st)
{
	*st = ua->stats;
}


static void pass_request(struct sipua_sess *s, struct sipcore_strans *st,
			 struct sipcore_msg *msg)
{
	if (s->h && s->h->request)
		s->h->request(s, st, msg, s->arg);
	else
		(void)sipcore_reply(st, 405, sipcore_reason(405),
				    "Allow: %s\r\n", sipua_allow());
}


/* 12.2.2: a request of the dialog, in order, not ACK */
static void dispatch(struct sipua_sess *s, struct sipcore_strans *st,
		     struct sipcore_msg *msg)
{
	switch (msg->method) {

	case SIPCORE_INVITE:
	case SIPCORE_UPDATE:
		modify_received(s, st, msg);
		break;

	case SIPCORE_OPTIONS:
		(void)sipcore_reply(st, 200, "OK", "Allow: %s\r\n"
				    "Accept: application/sdp\r\n",
				    sipua_allow());
		break;

	case SIPCORE_INFO:
	case SIPCORE_MESSAGE:
		pass_request(s, st, msg);
		break;

	case SIPCORE_PRACK:	/* RFC 3262 3: we sent nothing reliably */
		(void)sipcore_reply(st, 481, sipcore_reason(481), NULL);
		break;

	default:
		(void)sipcore_reply(st, 405, sipcore_reason(405),
				    "Allow: %s\r\n", sipua_allow());
		break;
	}
}


static void receive(struct sipua_sess *s, struct sipcore_strans *st,
		    struct sipcore_msg *msg)
{
	s->dlg.flow = msg->flow;
	if (msg->method == SIPCORE_ACK) {
		uas_ack(s, msg);
		return;
	}

	/* 12.2.2 */
	if (s->dlg.rseq != UINT32_MAX && msg->cseq <= s->dlg.rseq) {
		(void)sipcore_reply(st, 500, "Out of Order", NULL);
		return;
	}

	s->dlg.rseq = msg->cseq;
	if (msg->method == SIPCORE_BYE)
		sess_bye_received(s, st, msg);
	else if (s->state == SESS_CLOSING)
		(void)sipcore_reply(st, 481, sipcore_reason(481), NULL);
	else
		dispatch(s, st, msg);
}


bool sipua_receive(struct sipua *ua, struct sipcore_strans *st,
		   struct sipcore_msg *msg)
{
	struct sipua_sess *s;

	if (!pl_isset(&msg->to.tag))
		return msg->method == SIPCORE_ACK;

	s = sess_find(ua, &msg->callid, &msg->to.tag);
	if (s && dlg_match(&s->dlg, msg)) {
		mem_ref(s);
		receive(s, st, msg);
		mem_deref(s);
		return true;
	}

	if (st) {
		++ua->stats.unknown;
		(void)sipcore_reply(st, 481, sipcore_reason(481), NULL);
	}

	return true;
}
