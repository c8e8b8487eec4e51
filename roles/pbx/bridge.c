/**
 * @file roles/pbx/bridge.c  Two legs, each one's SDP passed to the other
 *
 *   A INVITE ----> B INVITE          A offers, B answers; without an offer B
 *   A 1xx    <---- B 1xx             offers in its 200 and A answers in the
 *   A 200    <---- B 200             ACK (RFC 3261 13.2.1)
 *   A ACK    ----> B ACK             (with an offer in the INVITE B's ACK
 *                                    goes at once)
 *   re-INVITE, UPDATE, INFO, MESSAGE: the same, in either direction
 *   BYE, CANCEL, failure: call_end()
 */
#include <string.h>
#include <re.h>
#include "log/log.h"
#include "worker/worker.h"
#include "cfg/cfg.h"
#include "role.h"
#include "store/store.h"
#include "cdr/cdr.h"
#include "sipcore/sipcore.h"
#include "sipua/sipua.h"
#include "internal.h"


/* Header fields of A's INVITE that B gets as they are */
static const char *const passv[] = {
	"P-Asserted-Identity", "Privacy", "Alert-Info", "Call-Info",
	"Diversion", "History-Info", "Priority", "Subject", "User-to-User",
	"Organization",
};

/* ... and of a failure on its way back */
static const char *const fail_passv[] = {
	"Warning", "Retry-After", "Reason", "Error-Info",
};


static int headers_copy(char **strp, const struct sipcore_msg *msg,
			const char *const *namev, size_t n)
{
	const struct sipcore_hdr *hdr;
	struct mbuf *mb;
	size_t i, k;
	int err = 0;

	mb = mbuf_alloc(256);
	if (!mb)
		return ENOMEM;

	for (i = 0; i < n; i++) {
		for (k = 0; (hdr = sipcore_hdr_name(msg, namev[i], k)); k++)
			err |= mbuf_write_pl(mb, &hdr->line);
	}

	mb->pos = 0;
	if (!err)
		err = mbuf_strdup(mb, strp, mb->end);
	mem_deref(mb);

	return err;
}


/* RFC 3326: a Reason goes on to the other leg */
static void reason_take(struct call *call, const struct sipcore_msg *msg)
{
	static const char *const namev[] = {"Reason"};

	if (msg && !call->hdrs)
		(void)headers_copy(&call->hdrs, msg, namev, 1);
}


static struct sipua_body body_of(const struct sipcore_msg *msg)
{
	struct sipua_body b = {msg->ctype, msg->body};

	if (!b.ctype.l)
		pl_set_str(&b.ctype, "application/sdp");

	return b;
}


/* The beginning ------------------------------------------------------------*/

static void ring_timeout(void *arg)
{
	struct call *call = arg;

	log_info(call->sid, "no answer", "call=%s", call->id);
	call_fail(call, 480, "No Answer",
		  "Reason: SIP;cause=480;text=\"No Answer\"\r\n", "timeout");
}


/* From as the sip role has let it through, without its tag */
static int from_make(char **strp, const struct sipcore_msg *msg)
{
	if (pl_isset(&msg->from.dname))
		return re_sdprintf(strp, "\"%r\" <%r>", &msg->from.dname,
				   &msg->from.auri);

	return re_sdprintf(strp, "<%r>", &msg->from.auri);
}


static int invite_send(struct call *call, struct sipua_invite *inv,
		       const struct sipcore_msg *msg)
{
	const struct cfg_addr *node = conf_node(&call->ag->conf, &msg->flow);
	const bool tcp = node->proto == CFG_PROTO_TCP;
	char *from = NULL, *to = NULL, *route = NULL, *hdrs = NULL;
	int err;

	err = from_make(&from, msg);
	err |= re_sdprintf(&to, "<%s>", call->dial.ruri);
	err |= re_sdprintf(&route, "<sip:%J;lr%s>", &node->sa,
			   tcp ? ";transport=tcp" : "");
	err |= headers_copy(&hdrs, msg, passv, ARRAY_SIZE(passv));
	if (err)
		goto out;

	inv->from = from;
	inv->to = to;
	inv->route = route;
	inv->hdrs = hdrs;
	inv->flow.proto = tcp ? CFG_PROTO_TCP : CFG_PROTO_UDP;
	inv->flow.remote = node->sa;
	err = sipua_connect(&call->b.sess, call->ag->ua, inv,
			    &bridge_b_handlers, call);

 out:
	mem_deref(from);
	mem_deref(to);
	mem_deref(route);
	mem_deref(hdrs);
	return err;
}


/** Call the extension through the sip node */
int bridge_dial(struct call *call)
{
	const struct sipcore_msg *msg = call->invite;
	struct sipua_invite inv;
	int err;

	/* RFC 7332: a back-to-back user agent can close a loop too */
	if (msg->maxfwd == 0 || msg->maxfwd == 1) {
		call_fail(call, 483, NULL, NULL, "pbx");
		return 0;
	}

	memset(&inv, 0, sizeof(inv));
	inv.ruri = call->dial.ruri;
	inv.user = "pbx";
	inv.callid = call->b.id;
	inv.sid = call->sid;
	inv.maxfwd = msg->maxfwd > 1 ? (unsigned)msg->maxfwd - 1 : 0;
	inv.body = body_of(msg);
	call->b.late = call->a.late;

	err = invite_send(call, &inv, msg);
	if (err)
		return err;

	event_bridge(call, "new");
	tmr_start(&call->tmr, call->ag->conf.sec->ring_timeout, ring_timeout,
		  call);

	return 0;
}


static void b_progress(struct sipua_sess *s, struct sipcore_msg *msg,
		       void *arg)
{
	struct call *call = arg;
	struct sipua_body body = body_of(msg);
	char reason[64] = "";
	(void)s;

	if (call->state != CALL_RINGING)
		return;

	/* 199 tells of one fork only (RFC 6228) */
	if (msg->scode == 199)
		return;

	event_channel(&call->b, "ringing");
	(void)pl_strcpy(&msg->reason, reason, sizeof(reason));
	(void)sipua_progress(call->a.sess, msg->scode,
			     reason[0] ? reason : NULL, NULL, &body);
}


static void b_answer(struct sipua_sess *s, struct sipcore_msg *msg,
		     void *arg)
{
	static const struct chan_end lost = {"pbx", 500};
	struct call *call = arg;
	struct sipua_body body = body_of(msg);

	if (!call->b.late)
		(void)sipua_ack(s, NULL);

	if (sipua_answer(call->a.sess, NULL, &body)) {
		call_end(call, &lost, &lost);
		return;
	}

	channel_answered(&call->a, &msg->body);
	channel_answered(&call->b, &msg->body);
	event_bridge(call, "up");
	call_up(call);
}


/* Later offers -------------------------------------------------------------*/

static void modify(struct channel *from, struct channel *to,
		   struct sipcore_msg *msg)
{
	enum sipcore_method met = msg->method;
	struct sipua_body body = body_of(msg);
	int err;

	from->late = !msg->body.l;
	if (met == SIPCORE_UPDATE && !sipua_has_update(to->sess))
		met = SIPCORE_INVITE;

	err = sipua_modify(to->sess, met, &body, false);
	if (!err)
		return;

	log_info(from->call->sid, "offer refused", "call=%s leg=%s err=%m",
		 from->call->id, from->caller ? "a" : "b", err);
	(void)sipua_modify_reply(from->sess, err == EBUSY ? 491 : 500, NULL,
				 err == EBUSY ? NULL : "Retry-After: 1\r\n",
				 NULL);
}


/* The far side of a cancelled late offer has to get an answer all the same,
   and nobody has one */
static void answer_lost(struct channel *to)
{
	static const struct chan_end end = {"pbx", 200};

	(void)sipua_ack(to->sess, NULL);
	call_end(to->call, &end, &end);
}


static void bridge_changed(struct call *call)
{
	event_bridge(call, "change");
	keep_put(call);
}


/* to's final response to the offer that came from "from" */
static void modified(struct channel *from, struct channel *to,
		     struct sipcore_msg *msg)
{
	struct sipua_body body;
	int err;

	if (!msg || msg->scode >= 300) {
		(void)sipua_modify_reply(from->sess, msg ? msg->scode : 408,
					 NULL, NULL, NULL);
		return;
	}

	body = body_of(msg);
	if (!from->late)
		(void)sipua_ack(to->sess, NULL);	/* no effect: UPDATE */

	err = sipua_modify_reply(from->sess, 200, "OK", NULL, &body);
	if (err && from->late)
		answer_lost(to);
	else if (!from->late)
		bridge_changed(to->call);
}


/* An ACK with the answer to a late offer goes on */
static void acked(struct channel *from, struct channel *to,
		  struct sipcore_msg *msg)
{
	struct sipua_body body = body_of(msg);

	if (from->late)
		(void)sipua_ack(to->sess, &body);
	from->late = false;
	bridge_changed(from->call);
}


/* The end ------------------------------------------------------------------*/

/* What A is told about B's failure.  401 and 407 would say that A could help;
   we follow no 3xx.  A 503 is the sip node's own (no media port, say): that of
   a telephone it has made a 500 (RFC 3261 16.7 step 6) */
static uint16_t code_map(uint16_t code)
{
	if (code < 400)
		return 480;

	switch (code) {

	case 401:
	case 407: return 403;
	case 408: return 480;
	case 420:
	case 421: return 500;
	default:  return code;
	}
}


static void b_rejected(struct call *call, const struct sipcore_msg *msg)
{
	char *hdrs = NULL;

	call->b.code = msg->scode;
	(void)headers_copy(&hdrs, msg, fail_passv,
			   ARRAY_SIZE(fail_passv));
	call_fail(call, code_map(msg->scode), NULL, hdrs, "callee");
	mem_deref(hdrs);
}


static const char *hangup_name(const struct channel *ch, enum sipua_end end)
{
	switch (end) {

	case SIPUA_END_BYE:     return ch->caller ? "caller" : "callee";
	case SIPUA_END_CANCEL:  return "cancel";
	case SIPUA_END_TIMEOUT: return "timeout";
	case SIPUA_END_NOACK:   return "no-ack";
	case SIPUA_END_GONE:    return "gone";
	default:                return "pbx";
	}
}


/** A leg ended by itself or by its peer */
void bridge_closed(struct channel *ch, enum sipua_end end,
		   const struct sipcore_msg *msg)
{
	struct call *call = ch->call;
	const char *hangup = hangup_name(ch, end);
	const struct chan_end over = {hangup, 487};

	reason_take(call, msg);
	log_info(call->sid, "hangup", "call=%s by=%s", call->id, hangup);

	if (call->state == CALL_RINGING && end == SIPUA_END_TIMEOUT) {
		call->b.code = 408;
		call_fail(call, 480, "Callee Unreachable", NULL, hangup);
	}
	else if (call->state == CALL_RINGING && end == SIPUA_END_TRANSPORT) {
		call->b.code = 503;
		call_fail(call, 502, NULL, NULL, hangup);
	}
	else {
		call_end(call, &over, &over);
	}
}


/* Handlers: the arg is the call --------------------------------------------*/

static void a_ack(struct sipua_sess *s, struct sipcore_msg *msg, void *arg)
{
	struct call *call = arg;
	(void)s;
	acked(&call->a, &call->b, msg);
}


static void b_ack(struct sipua_sess *s, struct sipcore_msg *msg, void *arg)
{
	struct call *call = arg;
	(void)s;
	acked(&call->b, &call->a, msg);
}


static void a_modify(struct sipua_sess *s, struct sipcore_msg *msg,
		     void *arg)
{
	struct call *call = arg;
	(void)s;
	modify(&call->a, &call->b, msg);
}


static void b_modify(struct sipua_sess *s, struct sipcore_msg *msg,
		     void *arg)
{
	struct call *call = arg;
	(void)s;
	modify(&call->b, &call->a, msg);
}


static void a_modify_cancel(struct sipua_sess *s, void *arg)
{
	struct call *call = arg;
	(void)s;
	sipua_modify_cancel(call->b.sess);
}


static void b_modify_cancel(struct sipua_sess *s, void *arg)
{
	struct call *call = arg;
	(void)s;
	sipua_modify_cancel(call->a.sess);
}


static void a_modified(struct sipua_sess *s, struct sipcore_msg *msg,
		       void *arg)
{
	struct call *call = arg;
	(void)s;
	modified(&call->b, &call->a, msg);
}


static void b_modified(struct sipua_sess *s, struct sipcore_msg *msg,
		       void *arg)
{
	struct call *call = arg;
	(void)s;
	modified(&call->a, &call->b, msg);
}


static void a_request(struct sipua_sess *s, struct sipcore_strans *st,
		      struct sipcore_msg *msg, void *arg)
{
	struct call *call = arg;
	(void)s;
	channel_forward(&call->a, &call->b, st, msg);
}


static void b_request(struct sipua_sess *s, struct sipcore_strans *st,
		      struct sipcore_msg *msg, void *arg)
{
	struct call *call = arg;
	(void)s;
	channel_forward(&call->b, &call->a, st, msg);
}


static void a_closed(struct sipua_sess *s, enum sipua_end end,
		     struct sipcore_msg *msg, void *arg)
{
	struct call *call = arg;
	(void)s;
	bridge_closed(&call->a, end, msg);
}


static void b_closed(struct sipua_sess *s, enum sipua_end end,
		     struct sipcore_msg *msg, void *arg)
{
	struct call *call = arg;
	(void)s;

	if (end == SIPUA_END_REJECT && call->state == CALL_RINGING)
		b_rejected(call, msg);
	else
		bridge_closed(&call->b, end, msg);
}


const struct sipua_handlers bridge_a_handlers = {
	.ack = a_ack,
	.modify = a_modify,
	.modify_cancel = a_modify_cancel,
	.modified = a_modified,
	.request = a_request,
	.closed = a_closed,
};

const struct sipua_handlers bridge_b_handlers = {
	.progress = b_progress,
	.answer = b_answer,
	.ack = b_ack,
	.modify = b_modify,
	.modify_cancel = b_modify_cancel,
	.modified = b_modified,
	.request = b_request,
	.closed = b_closed,
};
