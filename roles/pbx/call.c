/**
 * @file roles/pbx/call.c  A call, from its INVITE to its closed CDRs
 *
 *   INVITE -> OPENING --CDRs on disk--> RINGING --200--> UP
 *                |                         |              |
 *                `------- call_end: who ended it, codes --'
 *                                   v
 *             ENDING: legs hung up, CDRs being closed
 *                                   | closed, or CLOSE_WAIT passed
 *             A's final response or BYE's 200, then gone
 *
 * The peer that ended the call hears of it when its CDR is on disk.
 */
#include <string.h>
#include <re.h>
#include "log/log.h"
#include "metric/metric.h"
#include "worker/worker.h"
#include "cfg/cfg.h"
#include "role.h"
#include "store/store.h"
#include "cdr/cdr.h"
#include "sipcore/sipcore.h"
#include "sipua/sipua.h"
#include "internal.h"


enum {
	CLOSE_WAIT = 2000,	/* ms that a slow store may hold the end */
	OPEN_WAIT  = 2000,	/* ms that it may hold a beginning       */
};


static void call_destructor(void *arg)
{
	struct call *call = arg;

	list_unlink(&call->le);
	tmr_cancel(&call->tmr);
	tmr_cancel(&call->tmr_probe);
	keep_close(call);
	mem_deref(call->play);
	channel_close(&call->a);
	channel_close(&call->b);
	mem_deref(call->invite);
	mem_deref(call->dial.ruri);
	mem_deref(call->reason);
	mem_deref(call->hdrs);
	metric_add(&show_calls, -1);
	role_call_ended(call->ag->pbx);
}


int call_alloc(struct call **callp, struct agent *ag)
{
	struct call *call;

	call = mem_zalloc(sizeof(*call), call_destructor);
	if (!call)
		return ENOMEM;

	call->ag = ag;
	call->a.call = call->b.call = call;
	call->a.caller = true;
	rand_str(call->id, 9);
	list_append(&ag->calls, &call->le, call);
	++ag->pbx->calls;
	metric_inc(&show_calls);
	*callp = call;

	return 0;
}


const char *call_state_name(enum call_state state)
{
	switch (state) {

	case CALL_OPENING: return "opening";
	case CALL_RINGING: return "ringing";
	case CALL_UP:      return "up";
	case CALL_ENDING:  return "ending";
	}

	return "?";
}


/** Seconds since it was answered */
uint64_t call_duration(const struct call *call)
{
	const uint64_t now = worker_wallclock_us();

	if (!call->a.answer_us || now < call->a.answer_us)
		return 0;

	return (now - call->a.answer_us) / 1000000;
}


/* The end ------------------------------------------------------------------*/

static void end_finish(struct call *call)
{
	/* A hears of the end now: BYE's 200, or the INVITE's final response */
	call->a.sess = sipua_hangup(call->a.sess, call->code, call->reason,
				    call->hdrs);
	call->b.sess = sipua_hangup(call->b.sess, 0, NULL, NULL);
	keep_del(call);
	mem_deref(call);
}


static void end_timeout(void *arg)
{
	struct call *call = arg;

	log_warn(call->sid, "CDR is late, call ends without it",
		 "call=%s", call->id);
	end_finish(call);
}


static void cdr_closed(int err, void *arg)
{
	struct call *call = arg;

	if (err)
		log_warn(call->sid, "CDR waits in memory", "call=%s err=%m",
			 call->id, err);

	if (--call->cdr_wait == 0)
		end_finish(call);
}


static void end_soon(void *arg)
{
	end_finish(arg);
}


/**
 * End the call: sessions that the peers did not end are hung up, but for what
 * has to wait for the CDRs: A's failed INVITE, and the BYE's 200.
 *
 * @param a,b  What the CDRs say
 */
void call_end(struct call *call, const struct chan_end *a,
	      const struct chan_end *b)
{
	const bool up = call->state == CALL_UP;

	if (call->state == CALL_ENDING)
		return;

	call->state = CALL_ENDING;
	if (call->play)
		event_play(call, "end");
	if (call->bridged)
		event_bridge(call, "end");
	call->play = mem_deref(call->play);
	tmr_cancel(&call->tmr_probe);
	call->a.probe = mem_deref(call->a.probe);
	call->b.probe = mem_deref(call->b.probe);
	list_flush(&call->a.fwdl);
	list_flush(&call->b.fwdl);

	if (up && sipua_is_confirmed(call->a.sess))
		call->a.sess = sipua_hangup(call->a.sess, 0, NULL,
					    call->hdrs);
	if (!sipua_is_ended(call->b.sess))
		call->b.sess = sipua_hangup(call->b.sess, 0, NULL,
					    call->hdrs);

	call->cdr_wait = 0;
	tmr_start(&call->tmr, CLOSE_WAIT, end_timeout, call);
	channel_cdr_close(&call->a, a, cdr_closed, call);
	channel_cdr_close(&call->b, b, cdr_closed, call);
	if (!call->cdr_wait)
		tmr_start(&call->tmr, 0, end_soon, call);
}


/** The call cannot be: A's INVITE gets code.  reason and hdrs may be NULL */
void call_fail(struct call *call, uint16_t code, const char *reason,
	       const char *hdrs, const char *hangup)
{
	const struct chan_end a = {hangup, code};
	const struct chan_end b = {hangup, call->b.code ? call->b.code : 487};

	if (call->state == CALL_ENDING)
		return;

	call->code = code;
	if (reason)
		(void)str_dup(&call->reason, reason);
	if (hdrs && !call->hdrs)
		(void)str_dup(&call->hdrs, hdrs);

	log_info(call->sid, "call failed", "call=%s code=%u by=%s", call->id,
		 code, hangup);
	call_end(call, &a, &b);
}


/* The beginning ------------------------------------------------------------*/

static void duration_timeout(void *arg)
{
	static const struct chan_end end = {"max-duration", 200};
	struct call *call = arg;

	log_info(call->sid, "call reached max_duration", "call=%s",
		 call->id);
	call_end(call, &end, &end);
}


/** Bound what is left of its time */
void call_max_duration(struct call *call)
{
	const uint64_t max = call->ag->conf.sec->max_duration;
	const uint64_t gone = 1000 * call_duration(call);

	tmr_start(&call->tmr, gone < max ? max - gone : 1000,
		  duration_timeout, call);
}


/** A was answered */
void call_up(struct call *call)
{
	call->state = CALL_UP;
	call_max_duration(call);
	restore_probe(call, false);
	keep_put(call);
	log_info(call->sid, "call answered", "call=%s", call->id);
}


static void go_on(struct call *call)
{
	int err = 0;

	call->state = CALL_RINGING;

	switch (call->dial.verdict) {

	case DIAL_EXTENSION:
		err = bridge_dial(call);
		break;

	case DIAL_ECHO:
	case DIAL_MILLIWATT:
		err = play_start(call);
		break;

	case DIAL_FORBIDDEN:
		call_fail(call, 403, "Calls Not Allowed", NULL, "pbx");
		break;

	case DIAL_BAD:
		call_fail(call, 404, NULL, NULL, "pbx");
		break;
	}

	call->invite = mem_deref(call->invite);
	if (err) {
		log_warn(call->sid, "call could not be placed",
			 "call=%s err=%m", call->id, err);
		call_fail(call, 500, NULL, NULL, "pbx");
	}
}


static void open_timeout(void *arg)
{
	struct call *call = arg;

	log_warn(call->sid, "CDR is late, call goes on", "call=%s", call->id);
	call->cdr_wait = 0;
	go_on(call);
}


static void cdr_opened(int err, void *arg)
{
	struct call *call = arg;

	if (err)
		log_warn(call->sid, "CDR waits in memory", "call=%s err=%m",
			 call->id, err);

	if (call->state != CALL_OPENING || !call->cdr_wait)
		return;

	if (--call->cdr_wait == 0) {
		tmr_cancel(&call->tmr);
		go_on(call);
	}
}


/* Both legs' CDRs are opened at once, so that one commit serves both */
static int cdrs_open(struct call *call, const struct sipcore_msg *msg)
{
	const struct conf *conf = &call->ag->conf;
	const struct cfg_addr *node = conf_node(conf, &msg->flow);
	const struct dial *d = &call->dial;
	char src[64], own[64], dst[64];
	int err;

	(void)re_snprintf(src, sizeof(src), "%j", &msg->flow.remote);
	(void)re_snprintf(own, sizeof(own), "%j", &conf->rtp);
	(void)re_snprintf(dst, sizeof(dst), "%j", &node->sa);

	tmr_start(&call->tmr, OPEN_WAIT, open_timeout, call);

	if (d->verdict == DIAL_EXTENSION) {
		call->bridged = true;
		err = sipua_callid(call->ag->ua, call->b.id,
				   sizeof(call->b.id));
		if (!err)
			err = channel_cdr_open(&call->b, d->caller, d->number,
					       own, dst, cdr_opened, call);
		if (err)
			return err;
		++call->cdr_wait;
	}

	err = channel_cdr_open(&call->a, d->caller, d->number, src, own,
			       cdr_opened, call);
	if (!err)
		++call->cdr_wait;

	return err;
}


/** An INVITE from a sip node */
void call_incoming(struct agent *ag, struct sipcore_strans *st,
		   struct sipcore_msg *msg)
{
	struct call *call = NULL;
	int err;

	err = call_alloc(&call, ag);
	if (!err)
		err = dialplan_find(&call->dial, &ag->conf, msg);
	if (!err)
		err = pl_strcpy(&msg->callid, call->a.id,
				sizeof(call->a.id)) ? EOVERFLOW : 0;
	if (err) {
		mem_deref(call);
		(void)sipcore_reply(st, err == EOVERFLOW ? 400 : 500,
				    err == EOVERFLOW ? "Call-ID Too Long"
						     : "Out of Memory",
				    NULL);
		return;
	}

	str_ncpy(call->sid, msg->sid, sizeof(call->sid));
	call->a.late = !msg->body.l;
	call->invite = mem_ref(msg);
	metric_inc(&show_calls_total);
	log_info(call->sid, "call", "call=%s caller=\"%s\" callee=\"%s\" "
		 "verdict=%s source=%J call_id=\"%s\"", call->id,
		 call->dial.caller, call->dial.number,
		 dialplan_verdict_name(call->dial.verdict),
		 &msg->flow.remote, call->a.id);

	if (sipua_accept(&call->a.sess, ag->ua, st, msg, "pbx",
			 call->dial.verdict == DIAL_EXTENSION ?
			 &bridge_a_handlers : &play_handlers, call)) {
		mem_deref(call);
		return;
	}

	err = cdrs_open(call, msg);
	if (err) {
		log_warn(call->sid, "CDR cannot be opened",
			 "call=%s err=%m", call->id, err);
		call_fail(call, 500, NULL, NULL, "pbx");
	}
}
