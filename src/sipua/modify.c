/**
 * @file sipua/modify.c  re-INVITE and UPDATE (RFC 3261 14, RFC 3311)
 *
 *   ours:   idle --send--> pending --2xx--> (INVITE: ack due) --> idle
 *                             | 491 and retry: wait, send again (14.1)
 *                             | 481, 408, nothing: the dialog is gone
 *   peer's: idle --received--> pending --2xx--> (INVITE: until ACK) --> idle
 *
 * One offer at a time: a second of the peer gets 500 with Retry-After, one
 * that crosses ours gets 491 (14.2, RFC 3311 5.2).
 */
#include <string.h>
#include <re.h>
#include "cfg/cfg.h"
#include "sipcore/sipcore.h"
#include "sipua.h"
#include "internal.h"


static int modify_send(struct sipua_sess *s);


void modify_close(struct sipua_sess *s)
{
	tmr_cancel(&s->retry.tmr);
	s->retry.on = false;
	s->retry.body = mem_deref(s->retry.body);
}


static void retry_timeout(void *arg)
{
	struct sipua_sess *s = arg;

	s->retry.on = false;
	if (sipua_is_busy(s)) {
		s->retry.on = true;
		tmr_start(&s->retry.tmr, 500, retry_timeout, s);
		return;
	}

	if (modify_send(s) && s->h && s->h->modified)
		s->h->modified(s, NULL, s->arg);
}


/* 14.1: the Call-ID's owner waits longer, so that both do not cross again */
static void retry_start(struct sipua_sess *s)
{
	const uint64_t ms = s->uac ? 2100 + 10 * (rand_u16() % 191)
				   : 10 * (rand_u16() % 201);

	++s->retry.n;
	s->retry.on = true;
	tmr_start(&s->retry.tmr, ms, retry_timeout, s);
}


static bool is_gone(int err, const struct sipcore_msg *msg)
{
	return err || !msg || msg->scode == 481 || msg->scode == 408;
}


static void offer_taken(struct sipua_sess *s, struct sipcore_msg *msg)
{
	(void)dlg_refresh(&s->dlg, msg);
	if (s->retry.body && mbuf_get_left(s->retry.body)) {
		mem_deref(s->lsdp);
		s->lsdp = s->retry.body;
		s->retry.body = NULL;
	}
	sess_sdp(&s->rsdp, &msg->ctype, &msg->body);
}


/* The final response to our offer */
static void modify_final(struct sipua_sess *s, int err,
			 struct sipcore_msg *msg)
{
	const bool gone = is_gone(err, msg);

	if (!gone && msg->scode == 491 && s->retry.n < RETRY_MAX) {
		retry_start(s);
		return;
	}

	if (!gone && msg->scode < 300)
		offer_taken(s, msg);
	modify_close(s);

	if (s->h && s->h->modified)
		s->h->modified(s, msg, s->arg);

	/* 12.2.1.2 */
	if (gone && s->state == SESS_CONFIRMED)
		sess_closed(s, SIPUA_END_GONE, msg);
}


static void reinvite_response(int err, struct sipcore_msg *msg, void *arg)
{
	struct sipua_sess *s = arg;

	if (!err && msg && msg->scode < 200)
		return;

	if (!s->inv_pending) {
		if (msg && msg->scode < 300)
			uac_2xx_again(s, msg);
		return;
	}

	mem_ref(s);
	s->inv_pending = false;
	if (!err && msg && msg->scode < 300)
		s->ack_due = true;

	if (s->state == SESS_CONFIRMED)
		modify_final(s, err, msg);
	else if (s->ack_due)
		(void)sipua_ack(s, NULL);
	mem_deref(s);
}


static void update_response(int err, struct sipcore_msg *msg, void *arg)
{
	struct sipua_sess *s = arg;

	if (!err && msg && msg->scode < 200)
		return;

	mem_ref(s);
	s->upd_ct = mem_deref(s->upd_ct);
	if (s->state == SESS_CONFIRMED)
		modify_final(s, err, msg);
	mem_deref(s);
}


static int modify_send(struct sipua_sess *s)
{
	struct sipua_body b = {PL("application/sdp"), PL_INIT};

	if (s->retry.body) {
		b.data.p = (const char *)mbuf_buf(s->retry.body);
		b.data.l = mbuf_get_left(s->retry.body);
	}

	if (s->retry.met == SIPCORE_INVITE)
		return uac_send(s, NULL, &b, reinvite_response);

	return sipua_request(s, &s->upd_ct, SIPCORE_UPDATE, NULL, &b,
			     update_response, s);
}


int sipua_modify(struct sipua_sess *s, enum sipcore_method met,
		 const struct sipua_body *b, bool retry)
{
	int err;

	if (!s || (met != SIPCORE_INVITE && met != SIPCORE_UPDATE))
		return EINVAL;
	if (s->state != SESS_CONFIRMED)
		return ENOTCONN;
	if (sipua_is_busy(s))
		return EBUSY;

	modify_close(s);
	s->retry.met = met;
	s->retry.n = retry ? 0 : RETRY_MAX;
	if (b)
		sess_sdp(&s->retry.body, &b->ctype, &b->data);
	if (b && b->data.l && !s->retry.body)
		return ENOMEM;

	err = modify_send(s);
	if (err)
		modify_close(s);

	return err;
}


void sipua_modify_cancel(struct sipua_sess *s)
{
	if (s && s->state == SESS_CONFIRMED && s->inv_pending)
		(void)sipcore_ctrans_cancel(s->inv_ct, NULL);
}


bool sipua_has_update(const struct sipua_sess *s)
{
	return s && s->allow_update;
}


/* The peer's side ----------------------------------------------------------*/

/* 9.2 for a re-INVITE: only it ends, not the session */
static void reinvite_cancelled(struct sipcore_strans *st,
			       struct sipcore_msg *cancel, void *arg)
{
	struct sipua_sess *s = arg;
	(void)st;
	(void)cancel;

	if (srv_reply(&s->inv, 487, NULL, NULL, NULL))
		return;

	if (s->h && s->h->modify_cancel)
		s->h->modify_cancel(s, s->arg);
}


static void refuse(struct sipua_sess *s, struct sipcore_strans *st,
		   uint16_t code)
{
	if (code == 491)
		++s->ua->stats.glare;

	if (code == 500)
		(void)sipcore_reply(st, 500, "Request Pending",
				    "Retry-After: %u\r\n", rand_u16() % 11);
	else
		(void)sipcore_reply(st, code, sipcore_reason(code), NULL);
}


/* 14.2 and RFC 3311 5.2: may an offer of the peer be taken now?  0: yes */
static uint16_t offer_status(const struct sipua_sess *s)
{
	if (s->inv.pending || s->upd.pending)
		return 500;
	if (s->state != SESS_CONFIRMED || sipua_is_busy(s))
		return 491;

	return 0;
}


/** A re-INVITE or UPDATE came */
void modify_received(struct sipua_sess *s, struct sipcore_strans *st,
		     struct sipcore_msg *msg)
{
	const bool invite = msg->method == SIPCORE_INVITE;
	struct srv *v = invite ? &s->inv : &s->upd;
	uint16_t code;

	/* an UPDATE without offer only refreshes, in any state */
	if (!invite && !msg->body.l && !s->upd.pending) {
		(void)dlg_refresh(&s->dlg, msg);
		srv_attach(v, s, st, NULL);
		(void)srv_reply(v, 200, NULL, NULL, NULL);
		srv_close(v);
		return;
	}

	code = offer_status(s);
	/* our own wait for another try gives way */
	if (code == 491 && s->retry.on && !s->inv_pending && !s->upd_ct
	    && !s->ack_due && !s->inv.resp && s->state == SESS_CONFIRMED)
		code = 0;
	if (!code && (!s->h || !s->h->modify))
		code = 488;
	if (code) {
		refuse(s, st, code);
		return;
	}

	srv_attach(v, s, st, invite ? reinvite_cancelled : NULL);
	if (invite)
		(void)sipcore_reply(st, 100, "Trying", NULL);
	s->h->modify(s, msg, s->arg);
}


int sipua_modify_reply(struct sipua_sess *s, uint16_t code,
		       const char *reason, const char *hdrs,
		       const struct sipua_body *b)
{
	struct sipcore_msg *req;
	struct srv *v;
	int err;

	if (!s)
		return EINVAL;

	v = s->upd.pending ? &s->upd : &s->inv;
	if (!v->pending)
		return ENOENT;

	if (code >= 300 || code < 200)
		return srv_reply(v, code, reason, hdrs, b);

	req = mem_ref(sipcore_strans_req(v->st));
	err = v == &s->inv ? uas_2xx(v, hdrs, b)
			   : srv_reply(v, code, reason, hdrs, b);
	if (!err && req) {
		(void)dlg_refresh(&s->dlg, req);
		sess_sdp(&s->rsdp, &req->ctype, &req->body);
	}
	if (!err && b)
		sess_sdp(&s->lsdp, &b->ctype, &b->data);

	mem_deref(req);
	return err;
}
