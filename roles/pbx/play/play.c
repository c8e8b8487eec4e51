/**
 * @file roles/pbx/play/play.c  Calls that the PBX answers: echo, milliwatt
 *
 * The signalling half: offer and answer (RFC 3264) for the endpoint in
 * track.c.  A late offer is made here and answered in the ACK.
 */
#include <string.h>
#include <unistd.h>
#include <re.h>
#include "log/log.h"
#include "worker/worker.h"
#include "cfg/cfg.h"
#include "role.h"
#include "store/store.h"
#include "cdr/cdr.h"
#include "sdpx/sdpx.h"
#include "sipcore/sipcore.h"
#include "sipua/sipua.h"
#include "pbx/internal.h"


enum {
	TE_PT = 101,
};

/** A playback; lives with its call */
struct play {
	struct call *call;		/* up */
	struct worker *audio;
	uint64_t id;
	uint16_t port;
	int fd;				/* until the first track_set */
	uint64_t sess_id, sess_ver;
	struct sa addr;
	bool late;			/* our offer waits for its answer */
	bool started;
};


static void play_destructor(void *arg)
{
	struct play *p = arg;

	if (p->fd >= 0)
		(void)close(p->fd);
	if (p->started)
		track_stop(p->audio, p->id);
}


static int play_alloc(struct play **pp, struct call *call, uint16_t port)
{
	const struct conf *conf = &call->ag->conf;
	const struct pbx *pbx = call->ag->pbx;
	struct play *p;
	int err;

	p = mem_zalloc(sizeof(*p), play_destructor);
	if (!p)
		return ENOMEM;

	p->call = call;
	p->fd = -1;
	p->id = rand_u64();
	p->audio = pbx->audiov[p->id % pbx->audioc];
	p->sess_id = worker_wallclock_us();
	p->sess_ver = p->sess_id;
	p->addr = conf->rtp;

	err = track_socket(&p->fd, &p->port, &p->addr, &conf->sec->ports,
			   port);
	if (err) {
		mem_deref(p);
		return err;
	}

	sa_set_port(&p->addr, p->port);
	*pp = p;

	return 0;
}


uint16_t play_port(const struct play *p)
{
	return p ? p->port : 0;
}


static struct sdpx_local local_of(const struct play *p)
{
	struct sdpx_local l;

	memset(&l, 0, sizeof(l));
	l.sess_id = p->sess_id;
	l.sess_ver = p->sess_ver;
	l.addr = p->addr;
	l.dir = SDPX_SENDRECV;
	l.codecv = sdpx_g711;
	l.codecc = 2;
	l.te_pt = TE_PT;

	return l;
}


/* No RTP came for rtp_timeout.  On the call's worker */
static void dead_handler(void *arg)
{
	static const struct chan_end end = {"no-media", 200};
	uint64_t *id = arg;
	const struct agent *ag = agent_self();
	struct le *le;

	for (le = ag ? ag->calls.head : NULL; le; le = le->next) {
		struct call *call = le->data;

		if (!call->play || call->play->id != *id)
			continue;

		log_info(call->sid, "no RTP, call ends", "call=%s", call->id);
		call_end(call, &end, &end);
		break;
	}

	mem_deref(id);
}


/* What was agreed goes to the audio worker */
static int play_run(struct play *p, const struct sdpx_choice *c)
{
	struct track_conf tc;
	int err;

	memset(&tc, 0, sizeof(tc));
	tc.id = p->id;
	tc.owner = worker_self();
	tc.deadh = dead_handler;
	tc.fd = p->fd;
	tc.tone = p->call->dial.verdict == DIAL_MILLIWATT;
	tc.send = c->dir & SDPX_SENDONLY;
	tc.recv = c->dir & SDPX_RECVONLY;
	tc.pt = c->codec.pt;
	tc.alaw = sdpx_codec_same(&c->codec, &sdpx_g711[1]);
	tc.remote = c->rtp;
	tc.timeout = p->call->ag->conf.sec->rtp_timeout;

	err = track_set(p->audio, &tc);
	if (err)
		return err;

	event_play(p->call, p->started ? "change" : "new");
	p->fd = -1;
	p->started = true;

	return 0;
}


/* mb: the answer to an offer, ENOTSUP: no codec in common */
static int answer_make(struct mbuf *mb, struct play *p,
		       const struct pl *offer)
{
	struct sdpx_local l = local_of(p);
	struct sdpx_choice choice;
	struct sdpx sdp;
	int err;

	err = sdpx_decode(&sdp, offer->p, offer->l);
	if (err)
		return err;

	err = sdpx_make_answer(mb, &sdp, &l, &choice);
	if (err)
		return err;

	return play_run(p, &choice);
}


static int offer_make(struct mbuf *mb, struct play *p)
{
	struct sdpx_local l = local_of(p);

	p->late = true;
	return sdpx_make_offer(mb, &l);
}


/* mb: our side of what body brings; empty body: late offer */
static int sdp_make(struct mbuf *mb, struct play *p, const struct pl *body)
{
	int err;

	++p->sess_ver;
	err = body->l ? answer_make(mb, p, body) : offer_make(mb, p);
	mb->pos = 0;

	return err;
}


static struct sipua_body body_of(const struct mbuf *mb)
{
	struct sipua_body b = {PL("application/sdp"), PL_INIT};

	b.data.p = (const char *)mb->buf;
	b.data.l = mb->end;

	return b;
}


static uint16_t status_of(int err)
{
	switch (err) {

	case ENOTSUP:    return 488;
	case EBADMSG:
	case EOVERFLOW:  return 400;
	case EADDRINUSE: return 503;
	default:         return 500;
	}
}


/** Answer A's INVITE with an endpoint of our own */
int play_start(struct call *call)
{
	struct pl body = call->invite->body;
	struct sipua_body b;
	struct mbuf *mb;
	int err;

	mb = mbuf_alloc(512);
	if (!mb)
		return ENOMEM;

	err = play_alloc(&call->play, call, 0);
	if (!err)
		err = sdp_make(mb, call->play, &body);
	if (!err) {
		b = body_of(mb);
		err = sipua_answer(call->a.sess, NULL, &b);
	}

	if (err) {
		log_info(call->sid, "not answered", "call=%s err=%m",
			 call->id, err);
		call_fail(call, status_of(err), NULL, NULL, "pbx");
	}
	else {
		channel_answered(&call->a, &b.data);
		call_up(call);
	}

	mem_deref(mb);
	return 0;
}


/** After a restart: the same port, and what was agreed last */
int play_restore(struct call *call, uint16_t port)
{
	const struct mbuf *rsdp = sipua_sess_sdp(call->a.sess, false);
	struct mbuf *mb;
	struct pl offer;
	int err;

	if (!rsdp)
		return ENOENT;

	mb = mbuf_alloc(512);
	if (!mb)
		return ENOMEM;

	offer.p = (const char *)rsdp->buf;
	offer.l = rsdp->end;
	err = play_alloc(&call->play, call, port);
	if (!err)
		err = answer_make(mb, call->play, &offer);

	mem_deref(mb);
	return err;
}


static void a_ack(struct sipua_sess *s, struct sipcore_msg *msg, void *arg)
{
	static const struct chan_end bad = {"pbx", 488};
	struct call *call = arg;
	struct play *p = call->play;
	struct sdpx_choice choice;
	struct sdpx_local l;
	struct sdpx sdp;
	(void)s;

	if (p && p->late) {
		p->late = false;
		l = local_of(p);
		if (sdpx_decode(&sdp, msg->body.p, msg->body.l)
		    || sdpx_read_answer(&sdp, &l, &choice) || !choice.ok
		    || play_run(p, &choice)) {
			log_info(call->sid, "no use in the answer",
				 "call=%s", call->id);
			call_end(call, &bad, &bad);
			return;
		}
	}

	keep_put(call);
}


static void a_modify(struct sipua_sess *s, struct sipcore_msg *msg,
		     void *arg)
{
	struct call *call = arg;
	struct sipua_body b;
	struct mbuf *mb;
	int err = ENOTCONN;

	mb = mbuf_alloc(512);
	if (!mb) {
		(void)sipua_modify_reply(s, 500, NULL, NULL, NULL);
		return;
	}

	if (call->play)
		err = sdp_make(mb, call->play, &msg->body);
	if (err) {
		(void)sipua_modify_reply(s, status_of(err), NULL, NULL,
					 NULL);
	}
	else {
		b = body_of(mb);
		(void)sipua_modify_reply(s, 200, "OK", NULL, &b);
		if (msg->method == SIPCORE_UPDATE)
			keep_put(call);
	}

	mem_deref(mb);
}


static void a_modify_cancel(struct sipua_sess *s, void *arg)
{
	(void)s;	/* answered at once: there is nothing to cancel */
	(void)arg;
}


/* DTMF by INFO is heard, and means nothing to a test number */
static void a_request(struct sipua_sess *s, struct sipcore_strans *st,
		      struct sipcore_msg *msg, void *arg)
{
	(void)s;
	(void)arg;

	if (msg->method == SIPCORE_INFO)
		(void)sipcore_reply(st, 200, "OK", NULL);
	else
		(void)sipcore_reply(st, 405, sipcore_reason(405),
				    "Allow: %s\r\n", sipua_allow());
}


static void a_closed(struct sipua_sess *s, enum sipua_end end,
		     struct sipcore_msg *msg, void *arg)
{
	struct call *call = arg;
	(void)s;
	bridge_closed(&call->a, end, msg);
}


const struct sipua_handlers play_handlers = {
	.ack = a_ack,
	.modify = a_modify,
	.modify_cancel = a_modify_cancel,
	.request = a_request,
	.closed = a_closed,
};
