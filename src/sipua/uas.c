/**
 * @file sipua/uas.c  The called side of INVITE (RFC 3261 13.3)
 */
#include <string.h>
#include <re.h>
#include "cfg/cfg.h"
#include "sipcore/sipcore.h"
#include "sipua.h"
#include "internal.h"


void srv_attach(struct srv *v, struct sipua_sess *s,
		struct sipcore_strans *st, sipcore_cancel_h *cancelh)
{
	srv_close(v);
	v->s = s;
	v->st = mem_ref(st);
	v->pending = true;
	v->cseq = sipcore_strans_req(st)->cseq;
	sipcore_strans_handlers(st, cancelh, NULL, s);
}


void srv_close(struct srv *v)
{
	tmr_cancel(&v->tmr);
	v->resp = mem_deref(v->resp);
	v->pending = false;
	if (v->st)
		sipcore_strans_handlers(v->st, NULL, NULL, NULL);
	v->st = mem_deref(v->st);
}


static int record_route_encode(struct mbuf *mb, const struct sipcore_msg *req)
{
	const struct sipcore_hdr *hdr;
	int err = 0;
	size_t i;

	for (i = 0; (hdr = sipcore_hdr(req, SIPCORE_HDR_RECORD_ROUTE, i));
	     i++)
		err |= mbuf_write_pl(mb, &hdr->line);

	return err;
}


/* The header lines and the body of a response in the dialog, 12.1.1 */
static int lines_encode(struct mbuf *mb, const struct srv *v, uint16_t code,
			const char *hdrs, const struct sipua_body *b)
{
	const struct sipcore_msg *req = sipcore_strans_req(v->st);
	const bool invite = req && req->method == SIPCORE_INVITE;
	const bool target = invite || (req && req->method == SIPCORE_UPDATE);
	const struct sipua_sess *s = v->s;
	int err = 0;

	if (invite && code > 100 && code < 300)
		err |= record_route_encode(mb, req);
	if (target && code > 100 && code < 300)
		err |= dlg_contact(mb, &s->dlg, s->ua->core, &s->dlg.flow);
	if (target && code >= 200 && code < 300)
		err |= mbuf_printf(mb, "Allow: %s\r\n", sipua_allow());
	if (s->sid[0])
		err |= mbuf_printf(mb, "Session-ID: %s\r\n", s->sid);
	if (hdrs)
		err |= mbuf_write_str(mb, hdrs);
	if (b && b->data.l)
		err |= mbuf_printf(mb, "Content-Type: %r\r\n"
				   "Content-Length: %zu\r\n\r\n%r",
				   &b->ctype, b->data.l, &b->data);

	return err;
}


/** Answer what is pending; nothing if nothing is.  reason NULL: the RFC's */
int srv_reply(struct srv *v, uint16_t code, const char *reason,
	      const char *hdrs, const struct sipua_body *b)
{
	struct mbuf *mb;
	int err;

	if (!v->pending)
		return ENOENT;

	mb = mbuf_alloc(512);
	if (!mb)
		return ENOMEM;

	err = lines_encode(mb, v, code, hdrs, b);
	if (!err)
		err = sipcore_reply(v->st, code,
				    reason ? reason : sipcore_reason(code),
				    "%b", mb->buf, mb->end);
	if (!err && code >= 200)
		v->pending = false;
	if (!err && code >= 200 && code < 300)
		v->resp = mem_ref(mb);

	mem_deref(mb);
	return err;
}


/* 13.3.1.4: 64*T1 without an ACK */
static void no_ack(struct srv *v)
{
	struct sipua_sess *s = v->s;

	++s->ua->stats.no_ack;
	v->resp = mem_deref(v->resp);
	s->bye_wanted = false;
	sess_closed(s, SIPUA_END_NOACK, NULL);
}


static void again_timeout(void *arg)
{
	struct srv *v = arg;
	const struct sipua *ua = v->s->ua;

	if (tmr_jiffies() >= v->until) {
		no_ack(v);
		return;
	}

	++v->s->ua->stats.retrans_2xx;
	(void)sipcore_reply(v->st, 200, "OK", "%b", v->resp->buf,
			    v->resp->end);
	v->wait = min(2 * v->wait, ua->lim.t2);
	tmr_start(&v->tmr, v->wait, again_timeout, v);
}


/** 200 to INVITE or re-INVITE, repeated until the ACK: 13.3.1.4 */
int uas_2xx(struct srv *v, const char *hdrs, const struct sipua_body *b)
{
	const struct sipua *ua = v->s->ua;
	int err;

	err = srv_reply(v, 200, "OK", hdrs, b);
	if (err)
		return err;

	v->wait = ua->lim.t1;
	v->until = tmr_jiffies() + 64 * (uint64_t)ua->lim.t1;
	tmr_start(&v->tmr, v->wait, again_timeout, v);

	return 0;
}


/** An ACK in the dialog: 13.3.1.4 */
void uas_ack(struct sipua_sess *s, struct sipcore_msg *msg)
{
	if (!s->inv.resp || msg->cseq != s->inv.cseq)
		return;		/* a repeated one */

	srv_close(&s->inv);
	s->initial = false;
	if (s->state == SESS_ANSWERED)
		s->state = SESS_CONFIRMED;
	sess_sdp(&s->rsdp, &msg->ctype, &msg->body);

	if (s->bye_wanted)
		sess_bye(s);
	else if (s->h && s->h->ack)
		s->h->ack(s, msg, s->arg);
}


/* 9.2: has no effect once there was a final response */
static void invite_cancelled(struct sipcore_strans *st,
			     struct sipcore_msg *cancel, void *arg)
{
	struct sipua_sess *s = arg;
	(void)st;

	if (s->state != SESS_INCOMING)
		return;

	(void)srv_reply(&s->inv, 487, NULL, NULL, NULL);
	sess_closed(s, SIPUA_END_CANCEL, cancel);
}


/* 8.2.2.3: extensions that we must know and do not */
static bool require_known(struct sipcore_strans *st,
			  const struct sipcore_msg *msg)
{
	const struct sipcore_hdr *hdr;

	hdr = sipcore_hdr(msg, SIPCORE_HDR_REQUIRE, 0);
	if (!hdr)
		return true;

	(void)sipcore_reply(st, 420, "Bad Extension", "Unsupported: %r\r\n",
			    &hdr->val);
	return false;
}


static int accept_error(struct sipcore_strans *st, int err)
{
	switch (err) {

	case ENOENT:		/* 8.1.1.8: INVITE without Contact */
	case EBADMSG:
	case EOVERFLOW:
		(void)sipcore_reply(st, 400, "Missing or Bad Contact", NULL);
		return EBADMSG;

	case EAGAIN:
		(void)sipcore_reply(st, 503, "Too Many Calls",
				    "Retry-After: 10\r\n");
		return EAGAIN;

	default:
		(void)sipcore_reply(st, 500, "Out of Memory",
				    "Retry-After: 10\r\n");
		return ENOMEM;
	}
}


int sipua_accept(struct sipua_sess **sp, struct sipua *ua,
		 struct sipcore_strans *st, struct sipcore_msg *msg,
		 const char *user, const struct sipua_handlers *h, void *arg)
{
	struct sipua_sess *s = NULL;
	int err;

	if (!require_known(st, msg))
		return EPROTONOSUPPORT;

	err = sess_alloc(&s, ua, h, arg);
	if (err)
		return accept_error(st, err);

	s->state = SESS_INCOMING;
	str_ncpy(s->sid, msg->sid, sizeof(s->sid));
	s->allow_update = sipcore_hdr_has_token(msg, SIPCORE_HDR_ALLOW,
						"UPDATE");
	err = dlg_init_uas(&s->dlg, msg, sipcore_strans_tag(st), user);
	if (err) {
		mem_deref(s);
		return accept_error(st, err);
	}

	sess_link(s);
	srv_attach(&s->inv, s, st, invite_cancelled);
	sess_sdp(&s->rsdp, &msg->ctype, &msg->body);
	(void)sipcore_reply(st, 100, "Trying", NULL);
	*sp = s;

	return 0;
}


int sipua_progress(struct sipua_sess *s, uint16_t code, const char *reason,
		   const char *hdrs, const struct sipua_body *b)
{
	if (!s || s->state != SESS_INCOMING)
		return ENOTCONN;
	if (code <= 100 || code >= 200)
		return EINVAL;

	return srv_reply(&s->inv, code, reason, hdrs, b);
}


int sipua_answer(struct sipua_sess *s, const char *hdrs,
		 const struct sipua_body *b)
{
	int err;

	if (!s || s->state != SESS_INCOMING)
		return ENOTCONN;

	err = uas_2xx(&s->inv, hdrs, b);
	if (err)
		return err;

	s->state = SESS_ANSWERED;
	if (b)
		sess_sdp(&s->lsdp, &b->ctype, &b->data);

	return 0;
}
