/**
 * @file sipua/sess.c  An INVITE session's life and end (RFC 3261 13-15)
 *
 *   UAC: CALLING --2xx--> ANSWERED --sipua_ack--> CONFIRMED
 *           |                 |                       |
 *         hangup:           hangup:                hangup:
 *         CANCEL           ACK, BYE                  BYE
 *           `-------------> CLOSING <-----------------'--- BYE received
 *                              | response, timeout, sipua_hangup
 *   UAS: INCOMING              v
 *           | 2xx            CLOSED: not in the table
 *           v
 *        ANSWERED --ACK--> CONFIRMED
 *         hangup: BYE after the ACK (15.1), or after 64*T1 without one
 *
 * Each session in the table is held by it; sess_finish() gives that up.
 */
#include <string.h>
#include <re.h>
#include "cfg/cfg.h"
#include "sipcore/sipcore.h"
#include "sipua.h"
#include "internal.h"


static void sess_destructor(void *arg)
{
	struct sipua_sess *s = arg;

	hash_unlink(&s->he);
	tmr_cancel(&s->tmr_end);
	modify_close(s);
	srv_close(&s->inv);
	srv_close(&s->upd);
	srv_close(&s->bye);
	mem_deref(s->inv_ct);
	mem_deref(s->upd_ct);
	mem_deref(s->bye_ct);
	mem_deref(s->ack);
	mem_deref(s->lsdp);
	mem_deref(s->rsdp);
	mem_deref(s->bye_hdrs);
	dlg_close(&s->dlg);
}


/** A session that is in no table yet */
int sess_alloc(struct sipua_sess **sp, struct sipua *ua,
	       const struct sipua_handlers *h, void *arg)
{
	struct sipua_sess *s;

	if (ua->stats.sessions >= ua->lim.sessions) {
		++ua->stats.limit_hits;
		return EAGAIN;
	}

	s = mem_zalloc(sizeof(*s), sess_destructor);
	if (!s)
		return ENOMEM;

	s->ua = ua;
	s->h = h;
	s->arg = arg;
	s->initial = true;
	s->inv.s = s->upd.s = s->bye.s = s;
	*sp = s;

	return 0;
}


static uint32_t sess_key(const struct pl *callid, const struct pl *ltag)
{
	/* the local tag is random and ours: a peer cannot choose the chain */
	return hash_joaat_pl(callid) ^ hash_joaat_pl(ltag);
}


void sess_link(struct sipua_sess *s)
{
	struct pl callid, ltag;

	pl_set_str(&callid, s->dlg.callid);
	pl_set_str(&ltag, s->dlg.ltag);
	hash_append(s->ua->ht, sess_key(&callid, &ltag), &s->he,
		    mem_ref(s));
	++s->ua->stats.sessions;
}


struct find {
	const struct pl *callid;
	const struct pl *ltag;
};


static bool find_handler(struct le *le, void *arg)
{
	const struct sipua_sess *s = le->data;
	const struct find *f = arg;

	return 0 == pl_strcmp(f->ltag, s->dlg.ltag)
		&& 0 == pl_strcmp(f->callid, s->dlg.callid);
}


struct sipua_sess *sess_find(struct sipua *ua, const struct pl *callid,
			     const struct pl *ltag)
{
	struct find f = {callid, ltag};

	return list_ledata(hash_lookup(ua->ht, sess_key(callid, ltag),
				       find_handler, &f));
}


/** Out of the table; nothing is owed to the peer any more */
void sess_finish(struct sipua_sess *s)
{
	if (s->state == SESS_CLOSED)
		return;

	s->state = SESS_CLOSED;
	tmr_cancel(&s->tmr_end);
	modify_close(s);
	srv_close(&s->inv);
	srv_close(&s->upd);
	srv_close(&s->bye);
	s->inv_ct = mem_deref(s->inv_ct);
	s->upd_ct = mem_deref(s->upd_ct);
	s->bye_ct = mem_deref(s->bye_ct);

	if (s->he.list) {
		hash_unlink(&s->he);
		--s->ua->stats.sessions;
		mem_deref(s);
	}
}


/** Tell the application that it is over; it stays in the table while a BYE is
    under way in either direction */
void sess_closed(struct sipua_sess *s, enum sipua_end end,
		 struct sipcore_msg *msg)
{
	const struct sipua_handlers *h = s->h;

	mem_ref(s);
	s->h = NULL;

	if (end == SIPUA_END_NOACK || end == SIPUA_END_GONE)
		sess_bye(s);
	else if (end != SIPUA_END_BYE || !h)
		sess_finish(s);

	if (h && h->closed)
		h->closed(s, end, msg, s->arg);

	mem_deref(s);
}


static void bye_response(int err, struct sipcore_msg *msg, void *arg)
{
	struct sipua_sess *s = arg;

	if (!err && msg && msg->scode < 200)
		return;

	sess_finish(s);
}


/** Send BYE, 15.1.1; what else is open gets its final response */
void sess_bye(struct sipua_sess *s)
{
	struct sipcore_flow flow;
	struct mbuf *mb = NULL;
	int err;

	s->state = SESS_CLOSING;
	modify_close(s);
	if (s->ack_due)
		(void)sipua_ack(s, NULL);
	(void)srv_reply(&s->upd, 487, NULL, NULL, NULL);
	(void)srv_reply(&s->inv, 487, NULL, NULL, NULL);
	srv_close(&s->inv);

	err = dlg_encode(&mb, &flow, &s->dlg, s->ua->core, SIPCORE_BYE,
			 ++s->dlg.lseq, s->sid, s->bye_hdrs, NULL);
	if (!err)
		err = sipcore_request(&s->bye_ct, s->ua->core, &flow, mb,
				      bye_response, s);
	mem_deref(mb);
	if (err)
		sess_finish(s);
}


/** The peer's BYE, 15.1.2: its 200 waits for sipua_hangup() */
void sess_bye_received(struct sipua_sess *s, struct sipcore_strans *st,
		       struct sipcore_msg *msg)
{
	if (s->state == SESS_CLOSING && s->bye.pending) {
		(void)sipcore_reply(st, 500, "Already Ending", NULL);
		return;
	}

	if (!s->h) {	/* ours is under way, or only the ACK is awaited */
		(void)sipcore_reply(st, 200, "OK", "Session-ID: %s\r\n",
				    s->sid);
		if (!s->bye_ct)
			sess_finish(s);
		return;
	}

	srv_attach(&s->bye, s, st, NULL);
	(void)srv_reply(&s->upd, 487, NULL, NULL, NULL);
	if (s->inv.pending)
		(void)srv_reply(&s->inv, 487, NULL, NULL, NULL);
	srv_close(&s->inv);
	modify_close(s);
	s->state = SESS_CLOSING;
	sess_closed(s, SIPUA_END_BYE, msg);
}


static void end_timeout(void *arg)
{
	sess_finish(arg);
}


static void hangup_calling(struct sipua_sess *s, const char *hdrs)
{
	s->state = SESS_CLOSING;
	/* 9.1: without a final response it is over 64*T1 after CANCEL,
	   which may have to wait for a provisional one as long */
	tmr_start(&s->tmr_end, 128 * (uint64_t)s->ua->lim.t1, end_timeout, s);
	uac_cancel(s, hdrs);
}


static void hangup_answered(struct sipua_sess *s)
{
	/* 15: the callee's BYE must not overtake the ACK */
	if (!s->uac && s->inv.resp)
		s->bye_wanted = true;
	else
		sess_bye(s);
}


void *sipua_hangup(struct sipua_sess *s, uint16_t code, const char *reason,
		   const char *hdrs)
{
	if (!s)
		return NULL;

	s->h = NULL;
	if (hdrs && !s->bye_hdrs)
		(void)str_dup(&s->bye_hdrs, hdrs);

	switch (s->state) {

	case SESS_CALLING:
		hangup_calling(s, hdrs);
		break;

	case SESS_INCOMING:
		(void)srv_reply(&s->inv, code ? code : 480, reason, hdrs,
				NULL);
		sess_finish(s);
		break;

	case SESS_ANSWERED:
	case SESS_CONFIRMED:
		hangup_answered(s);
		break;

	case SESS_CLOSING:
		if (s->bye.pending) {
			(void)srv_reply(&s->bye, 200, NULL, NULL, NULL);
			sess_finish(s);
		}
		break;

	case SESS_CLOSED:
		break;
	}

	return mem_deref(s);
}


int sipua_request(struct sipua_sess *s, struct sipcore_ctrans **ctp,
		  enum sipcore_method met, const char *hdrs,
		  const struct sipua_body *b, sipcore_response_h *resph,
		  void *arg)
{
	struct sipcore_flow flow;
	struct mbuf *mb = NULL;
	int err;

	if (!s)
		return EINVAL;

	if (s->state != SESS_CONFIRMED && s->state != SESS_ANSWERED
	    && !(s->state == SESS_CALLING && s->dlg.rtag)
	    && s->state != SESS_INCOMING)
		return ENOTCONN;

	err = dlg_encode(&mb, &flow, &s->dlg, s->ua->core, met,
			 ++s->dlg.lseq, s->sid, hdrs, b);
	if (!err)
		err = sipcore_request(ctp, s->ua->core, &flow, mb, resph,
				      arg);
	mem_deref(mb);

	return err;
}


bool sipua_is_confirmed(const struct sipua_sess *s)
{
	return s && s->state == SESS_CONFIRMED;
}


bool sipua_is_ended(const struct sipua_sess *s)
{
	return !s || s->state == SESS_CLOSING || s->state == SESS_CLOSED;
}


bool sipua_is_busy(const struct sipua_sess *s)
{
	return s && (s->inv_pending || s->ack_due || s->upd_ct || s->retry.on
		     || s->inv.pending || s->inv.resp || s->upd.pending);
}


const char *sipua_sess_callid(const struct sipua_sess *s)
{
	return s ? s->dlg.callid : NULL;
}


int sipua_sess_id(const struct sipua_sess *s, char *buf, size_t size)
{
	if (re_snprintf(buf, size, "%s;%s;%s", s->dlg.callid, s->dlg.ltag,
			s->dlg.rtag ? s->dlg.rtag : "") < 0)
		return EOVERFLOW;

	return 0;
}


const struct mbuf *sipua_sess_sdp(const struct sipua_sess *s, bool local)
{
	return local ? s->lsdp : s->rsdp;
}


const struct sipcore_flow *sipua_sess_flow(const struct sipua_sess *s)
{
	return &s->dlg.flow;
}


/** Remember a body if it is an SDP; without memory the old one stays */
void sess_sdp(struct mbuf **mbp, const struct pl *ctype,
	      const struct pl *data)
{
	static const char sdp[] = "application/sdp";
	struct mbuf *mb;

	if (!data->l || ctype->l < sizeof(sdp) - 1
	    || re_regex(ctype->p, ctype->l, "application/sdp"))
		return;

	mb = mbuf_alloc(data->l);
	if (!mb || mbuf_write_pl(mb, data)) {
		mem_deref(mb);
		return;
	}

	mb->pos = 0;
	mem_deref(*mbp);
	*mbp = mb;
}
