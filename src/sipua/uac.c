/**
 * @file sipua/uac.c  The calling side of INVITE (RFC 3261 13.2)
 */
#include <string.h>
#include <re.h>
#include "cfg/cfg.h"
#include "sipcore/sipcore.h"
#include "sipua.h"
#include "internal.h"


/** INVITE or re-INVITE of ours */
int uac_send(struct sipua_sess *s, const char *hdrs,
	     const struct sipua_body *b, sipcore_response_h *resph)
{
	struct sipcore_flow flow;
	struct mbuf *mb = NULL;
	int err;

	s->inv_ct = mem_deref(s->inv_ct);
	s->ack = mem_deref(s->ack);
	s->inv_cseq = ++s->dlg.lseq;

	err = dlg_encode(&mb, &flow, &s->dlg, s->ua->core, SIPCORE_INVITE,
			 s->inv_cseq, s->sid, hdrs, b);
	if (err)
		return err;

	err = sipcore_request(&s->inv_ct, s->ua->core,
			      s->initial ? &s->dlg.flow : &flow, mb,
			      resph, s);
	mem_deref(mb);
	s->inv_pending = !err;

	return err;
}


/* Another fork answered too: 13.2.2.4 has it acknowledged, then ended */
static void fork_end(struct sipua_sess *s, const struct sipcore_msg *msg)
{
	struct sipcore_flow flow;
	struct mbuf *ack = NULL, *bye = NULL;
	struct dlg d;

	++s->ua->stats.forked;

	if (dlg_fork(&d, &s->dlg, msg))
		goto out;

	if (!dlg_encode(&ack, &flow, &d, s->ua->core, SIPCORE_ACK,
			msg->cseq, s->sid, NULL, NULL))
		(void)sipcore_send(s->ua->core, &flow, ack, true);

	if (!dlg_encode(&bye, &flow, &d, s->ua->core, SIPCORE_BYE,
			d.lseq + 1, s->sid, NULL, NULL))
		(void)sipcore_request(NULL, s->ua->core, &flow, bye,
				      NULL, NULL);

 out:
	mem_deref(ack);
	mem_deref(bye);
	dlg_close(&d);
}


static void ack_send(struct sipua_sess *s)
{
	if (!s->ack)
		return;

	s->ack->pos = 0;
	/* lost or refused: the peer repeats its 2xx, and gets it again */
	(void)sipcore_send(s->ua->core, &s->ack_flow, s->ack, true);
}


/** A 2xx after the first: of our dialog, or of another fork */
void uac_2xx_again(struct sipua_sess *s, const struct sipcore_msg *msg)
{
	if (s->dlg.rtag && pl_strcmp(&msg->to.tag, s->dlg.rtag))
		fork_end(s, msg);
	else
		ack_send(s);
}


static void provisional(struct sipua_sess *s, struct sipcore_msg *msg)
{
	if (s->state != SESS_CALLING || msg->scode == 100)
		return;

	if (pl_isset(&msg->to.tag))	/* 12.1.2: early dialog */
		(void)dlg_update(&s->dlg, msg);

	if (s->h && s->h->progress)
		s->h->progress(s, msg, s->arg);
}


/* 9.1, 15.1.1: the 2xx crossed our CANCEL */
static void answer_unwanted(struct sipua_sess *s, struct sipcore_msg *msg)
{
	tmr_cancel(&s->tmr_end);
	if (dlg_update(&s->dlg, msg)) {
		sess_finish(s);
		return;
	}

	s->ack_due = true;
	sess_bye(s);
}


static void success(struct sipua_sess *s, struct sipcore_msg *msg)
{
	if (!s->inv_pending) {
		uac_2xx_again(s, msg);
		return;
	}

	s->inv_pending = false;
	if (s->state == SESS_CLOSING) {
		answer_unwanted(s, msg);
		return;
	}

	if (dlg_update(&s->dlg, msg)) {	/* no Contact, no memory */
		sess_closed(s, SIPUA_END_TRANSPORT, msg);
		return;
	}

	s->state = SESS_ANSWERED;
	s->ack_due = true;
	s->allow_update = sipcore_hdr_has_token(msg, SIPCORE_HDR_ALLOW,
						"UPDATE");
	sess_sdp(&s->rsdp, &msg->ctype, &msg->body);
	if (s->h && s->h->answer)
		s->h->answer(s, msg, s->arg);
}


static void failed(struct sipua_sess *s, int err, struct sipcore_msg *msg)
{
	s->inv_pending = false;
	if (s->state != SESS_CALLING && s->state != SESS_CLOSING)
		return;

	if (!err)
		sess_closed(s, SIPUA_END_REJECT, msg);
	else if (err == ETIMEDOUT)
		sess_closed(s, SIPUA_END_TIMEOUT, NULL);
	else
		sess_closed(s, SIPUA_END_TRANSPORT, NULL);
}


static void invite_response(int err, struct sipcore_msg *msg, void *arg)
{
	struct sipua_sess *s = mem_ref(arg);

	if (err || !msg || msg->scode >= 300)
		failed(s, msg ? 0 : err, msg);
	else if (msg->scode < 200)
		provisional(s, msg);
	else
		success(s, msg);

	mem_deref(s);
}


int sipua_connect(struct sipua_sess **sp, struct sipua *ua,
		  const struct sipua_invite *inv,
		  const struct sipua_handlers *h, void *arg)
{
	struct sipua_sess *s = NULL;
	int err;

	if (!sp || !ua || !inv)
		return EINVAL;

	err = sess_alloc(&s, ua, h, arg);
	if (err)
		return err;

	s->uac = true;
	s->state = SESS_CALLING;
	str_ncpy(s->sid, inv->sid, sizeof(s->sid));
	err = dlg_init_uac(&s->dlg, inv);
	if (err)
		goto out;

	sess_link(s);
	sess_sdp(&s->lsdp, &inv->body.ctype, &inv->body.data);
	err = uac_send(s, inv->hdrs, &inv->body, invite_response);

 out:
	if (err) {
		sess_finish(s);
		mem_deref(s);
	}
	else {
		*sp = s;
	}

	return err;
}


int sipua_ack(struct sipua_sess *s, const struct sipua_body *b)
{
	int err;

	if (!s || !s->ack_due)
		return EINVAL;

	s->ack_due = false;
	s->initial = false;
	if (s->state == SESS_ANSWERED)
		s->state = SESS_CONFIRMED;
	if (b)
		sess_sdp(&s->lsdp, &b->ctype, &b->data);

	s->ack = mem_deref(s->ack);
	err = dlg_encode(&s->ack, &s->ack_flow, &s->dlg, s->ua->core,
			 SIPCORE_ACK, s->inv_cseq, s->sid, NULL, b);
	if (!err)
		ack_send(s);

	return err;
}


/** CANCEL the first INVITE: 9.1 */
void uac_cancel(struct sipua_sess *s, const char *hdrs)
{
	if (sipcore_ctrans_cancel(s->inv_ct, hdrs))
		sess_finish(s);
}
