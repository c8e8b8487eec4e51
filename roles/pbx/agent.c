/**
 * @file roles/pbx/agent.c  The PBX on one worker: who may ask, and for what
 */
#include <string.h>
#include <re.h>
#include "log/log.h"
#include "metric/metric.h"
#include "worker/worker.h"
#include "cfg/cfg.h"
#include "bus/bus.h"
#include "role.h"
#include "store/store.h"
#include "cdr/cdr.h"
#include "sipcore/sipcore.h"
#include "sipua/sipua.h"
#include "internal.h"


enum {
	REFUSED_LOG = 1000,	/* ms: at most one line about strangers */
};


static __thread struct agent *self;


/** The calling thread's */
struct agent *agent_self(void)
{
	return self;
}


static void agent_destructor(void *arg)
{
	struct agent *ag = arg;

	list_flush(&ag->calls);
	mem_deref(ag->ua);
	mem_deref(ag->core);
	mem_deref(ag->bus);
}


/* Only sip nodes are answered: DESIGN, who may do what */
static void refuse(struct agent *ag, struct sipcore_strans *st,
		   const struct sipcore_msg *msg)
{
	const uint64_t now = tmr_jiffies();

	metric_inc(&show_refused);
	++ag->refused;
	if (!ag->refused_jfs || now - ag->refused_jfs >= REFUSED_LOG) {
		log_warn(msg->sid, "request from a stranger refused",
			 "source=%J method=%r count=%u",
			 &msg->flow.remote, &msg->met, ag->refused);
		ag->refused_jfs = now;
		ag->refused = 0;
	}

	if (st)
		(void)sipcore_reply(st, 403, "Not a Configured Node", NULL);
}


static bool is_draining(const struct agent *ag)
{
	return ag->pbx->draining;
}


/* Answers pings of the sip node's dispatcher too: 503 keeps calls away */
static void options(struct agent *ag, struct sipcore_strans *st)
{
	if (is_draining(ag))
		(void)sipcore_reply(st, 503, "Draining",
				    "Retry-After: 10\r\n");
	else
		(void)sipcore_reply(st, 200, "OK", "Allow: %s\r\n"
				    "Accept: application/sdp\r\n",
				    sipua_allow());
}


static void invite(struct agent *ag, struct sipcore_strans *st,
		   struct sipcore_msg *msg)
{
	if (is_draining(ag)) {
		(void)sipcore_reply(st, 503, "Draining",
				    "Retry-After: 10\r\n");
		return;
	}

	if (ag->pbx->calls >= ag->conf.sec->max_calls) {
		log_warn(msg->sid, "call refused, limit reached",
			 "max_calls=%lld",
			 (long long)ag->conf.sec->max_calls);
		(void)sipcore_reply(st, 503, "Too Many Calls",
				    "Retry-After: 5\r\n");
		return;
	}

	call_incoming(ag, st, msg);
}


static void request_handler(struct sipcore *core, struct sipcore_strans *st,
			    struct sipcore_msg *msg, void *arg)
{
	struct agent *ag = arg;
	(void)core;

	if (!conf_node(&ag->conf, &msg->flow)) {
		refuse(ag, st, msg);
		return;
	}

	if (sipua_receive(ag->ua, st, msg) || !st)
		return;

	switch (msg->method) {

	case SIPCORE_INVITE:
		invite(ag, st, msg);
		break;

	case SIPCORE_OPTIONS:
		options(ag, st);
		break;

	default:
		(void)sipcore_reply(st, 405, sipcore_reason(405),
				    "Allow: %s\r\n", sipua_allow());
		break;
	}
}


int agent_alloc(struct agent **agp, struct pbx *pbx, unsigned idx,
		const struct conf *conf)
{
	struct agent *ag;

	ag = mem_zalloc(sizeof(*ag), agent_destructor);
	if (!ag)
		return ENOMEM;

	ag->pbx = pbx;
	ag->idx = idx;
	ag->conf = *conf;
	*agp = ag;

	return 0;
}


/** On its worker: serve.  sipua first, for dialogs to be restored into */
int agent_serve(struct agent *ag)
{
	struct sipua_limits lim;
	int err;

	memset(&lim, 0, sizeof(lim));
	self = ag;
	lim.sessions = 2 * (unsigned)ag->conf.sec->max_calls + 1000;

	err = bus_alloc(&ag->bus);
	if (!err)
		err = sipcore_alloc(&ag->core, ag->pbx->net, ag->idx,
				    request_handler, NULL, ag);
	if (!err)
		err = sipua_alloc(&ag->ua, ag->core, ag->pbx->net, ag->idx,
				  &lim);

	return err;
}


/** On its worker: drop all without a word to the peers; confirmed calls stay
    in the store for the next process */
void agent_close(struct agent *ag)
{
	struct le *le;

	for (le = ag->calls.head; le; le = le->next)
		keep_close(le->data);

	ag->ua = mem_deref(ag->ua);	/* sessions end silently */
	list_flush(&ag->calls);
	self = NULL;
	mem_deref(ag);
}
