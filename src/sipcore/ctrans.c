/**
 * @file sipcore/ctrans.c  Client transactions (RFC 3261 17.1, 9.1, RFC 6026)
 *
 *   INVITE:  calling -- 1xx --> proceeding -- 300-699 --> completed --> end
 *             (A, B)               |             (ACK)       (D)
 *                +-------- 2xx ----+--> accepted -- (M) --> end
 *   others:  trying -- 1xx --> proceeding -- final --> completed --> end
 *             (E, F)             (E, F)                   (K)
 *
 * The branch names the slot, so a response needs no search.  A CANCEL is a
 * transaction of its own with the branch of its INVITE, hanging on it.
 */
#include <string.h>
#include <re.h>
#include "cfg/cfg.h"
#include "sipcore.h"
#include "internal.h"


enum {
	NO_SLOT = 0xffffffff,
	TIMER_D = 32000,
};

enum state {
	CALLING = 0,		/* for others: trying */
	PROCEEDING,
	COMPLETED,
	ACCEPTED,
};

struct sipcore_ctrans {
	struct sipcore *core;		/* NULL: ended */
	struct sipcore_octets *req;	/* as sent; NULL when not needed */
	struct sipcore_octets *ack;	/* to a non-2xx */
	struct sipcore_ctrans *cancel;	/* INVITE: its CANCEL */
	char *cancel_hdrs;		/* of one that waits for a 1xx */
	struct tmr tmr;
	uint64_t deadline;		/* timers B, F */
	uint64_t id;
	struct sipcore_flow flow;
	sipcore_response_h *resph;
	void *arg;
	uint32_t slot;
	uint32_t interval;		/* timers A, E */
	enum state state;
	enum sipcore_method method;
	bool invite;
	bool reliable;
	bool conn_given;		/* only by the caller's connection */
	bool held;			/* the caller has a reference */
	bool cancel_wanted;
	bool cancel_sent;
};


static void timer_retransmit(void *arg);


static void destructor(void *arg)
{
	struct sipcore_ctrans *ct = arg;

	tmr_cancel(&ct->tmr);
	if (ct->core && ct->slot != NO_SLOT)
		sipcore_slots_del(&ct->core->ctrans, ct->slot);
	mem_deref(ct->req);
	mem_deref(ct->ack);
	mem_deref(ct->cancel);
	mem_deref(ct->cancel_hdrs);
}


/* The handler, unless the caller has dropped the transaction */
static void tell(struct sipcore_ctrans *ct, int err, struct sipcore_msg *msg)
{
	sipcore_response_h *resph = ct->resph;

	if (!resph || (ct->held && mem_nrefs(ct) < 2))
		return;

	resph(err, msg, ct->arg);
}


static void detach(struct sipcore_ctrans *ct)
{
	tmr_cancel(&ct->tmr);
	if (ct->slot != NO_SLOT)
		sipcore_slots_del(&ct->core->ctrans, ct->slot);

	if (ct->cancel && ct->cancel->core)
		detach(ct->cancel);

	ct->core = NULL;
}


static void end(struct sipcore_ctrans *ct, int err)
{
	sipcore_response_h *resph = ct->resph;
	const bool silent = ct->held && mem_nrefs(ct) < 2;
	void *arg = ct->arg;

	if (!ct->core)
		return;

	detach(ct);

	/* a CANCEL belongs to its INVITE */
	if (ct->slot != NO_SLOT)
		mem_deref(ct);

	if (err && resph && !silent)
		resph(err, NULL, arg);
}


static void timer_end(void *arg)
{
	end(arg, 0);
}


/* Every final (non-2xx) or error is the last thing that the handler hears */
static void finish_after(struct sipcore_ctrans *ct, uint64_t ms)
{
	ct->req = mem_deref(ct->req);

	tmr_start(&ct->tmr, ms, timer_end, ct);
}


static int transmit(struct sipcore_ctrans *ct, const struct sipcore_octets *oc)
{
	const uint64_t id = ct->slot == NO_SLOT ? 0 : ct->id;
	int err;

	err = sipcore_tx(ct->core, &ct->flow, NULL, oc->v, oc->n, id);

	/* the connection that we chose has gone since: ACK and CANCEL go by
	   another one */
	if (err == ENOTCONN && !ct->conn_given) {
		ct->flow.conn = 0;
		err = sipcore_tx(ct->core, &ct->flow, NULL, oc->v, oc->n, id);
	}

	return err;
}


static void timer_fired(struct sipcore_ctrans *ct)
{
	const struct sipcore_limits *lim = &ct->core->net->lim;

	if (!ct->reliable && ct->req &&
	    !(ct->invite && ct->state != CALLING)) {
		++ct->core->stats.retrans_tx;
		(void)transmit(ct, ct->req);
	}

	/* A doubles without end, E up to T2 and stays there once a 1xx came
	   (RFC 3261 17.1.1.2, 17.1.2.2) */
	if (ct->invite)
		ct->interval *= 2;
	else if (ct->state == PROCEEDING)
		ct->interval = lim->t2;
	else
		ct->interval = min(2 * ct->interval, lim->t2);
}


static void arm(struct sipcore_ctrans *ct)
{
	const uint64_t now = tmr_jiffies();
	uint64_t wait = ct->deadline > now ? ct->deadline - now : 0;

	if (!ct->reliable && !(ct->invite && ct->state != CALLING) &&
	    ct->interval < wait)
		wait = ct->interval;

	tmr_start(&ct->tmr, wait, timer_retransmit, ct);
}


/* Timers A and B, E and F; and the end of a cancelled INVITE (9.1) */
static void timer_retransmit(void *arg)
{
	struct sipcore_ctrans *ct = arg;

	if (tmr_jiffies() >= ct->deadline) {
		end(ct, ETIMEDOUT);
		return;
	}

	timer_fired(ct);
	arm(ct);
}


static void start_timers(struct sipcore_ctrans *ct)
{
	const struct sipcore_limits *lim = &ct->core->net->lim;

	ct->interval = lim->t1;
	ct->deadline = tmr_jiffies() + 64 * lim->t1;
	arm(ct);
}


/* ---- sending */

static int ctrans_alloc(struct sipcore_ctrans **ctp, struct sipcore *core,
			const struct sipcore_flow *to)
{
	struct sipcore_ctrans *ct;
	uint32_t slot, gen;
	int err;

	ct = mem_zalloc(sizeof(*ct), destructor);
	if (!ct)
		return ENOMEM;

	ct->slot = NO_SLOT;

	err = sipcore_slots_add(&core->ctrans, ct, &slot, &gen);
	if (err == ENOBUFS)
		++core->stats.limit_hits;
	if (err) {
		mem_deref(ct);
		return err;
	}

	ct->core = core;
	ct->slot = slot;
	ct->id   = sipcore_id(core->idx, slot, gen);
	ct->flow = *to;
	ct->reliable = to->proto != CFG_PROTO_UDP;
	ct->conn_given = to->conn != 0;
	*ctp = ct;

	return 0;
}


static enum sipcore_method method_of(const uint8_t *p, size_t n)
{
	const uint8_t *sp = memchr(p, ' ', n);
	struct pl met = {(const char *)p, sp ? (size_t)(sp - p) : 0};

	return sipcore_name_method(&met);
}


int sipcore_request(struct sipcore_ctrans **ctp, struct sipcore *core,
		    const struct sipcore_flow *to, struct mbuf *mb,
		    sipcore_response_h *resph, void *arg)
{
	struct sipcore_ctrans *ct;
	int err;

	if (!core || !to || !mb || !mbuf_get_left(mb))
		return EINVAL;

	err = ctrans_alloc(&ct, core, to);
	if (err)
		return err;

	ct->method = method_of(mbuf_buf(mb), mbuf_get_left(mb));
	ct->invite = ct->method == SIPCORE_INVITE;
	if (ct->method == SIPCORE_ACK || ct->method == SIPCORE_CANCEL) {
		err = EINVAL;
		goto out;
	}

	err = sipcore_with_via(&ct->req, core, &ct->flow, ct->id,
			       mbuf_buf(mb), mbuf_get_left(mb));
	if (err)
		goto out;

	err = transmit(ct, ct->req);
	if (err)
		goto out;

	ct->resph = resph;
	ct->arg   = arg;
	start_timers(ct);

	if (ctp) {
		ct->held = true;
		*ctp = mem_ref(ct);
	}

 out:
	if (err)
		mem_deref(ct);

	return err;
}


const struct sipcore_flow *sipcore_ctrans_flow(const struct sipcore_ctrans *c)
{
	return c ? &c->flow : NULL;
}


/* ---- ACK and CANCEL: made from the request as it was sent */

static int copy_all(struct mbuf *mb, const struct sipcore_msg *req,
		    enum sipcore_hdrid id)
{
	const struct sipcore_hdr *h;
	int err = 0;

	for (size_t i=0; (h = sipcore_hdr(req, id, i)) && !err; i++)
		err = mbuf_write_mem(mb, (const uint8_t *)h->line.p,
				     h->line.l);

	return err;
}


/* RFC 3261 17.1.1.3, 9.1: same Request-URI, top Via, From, Call-ID, CSeq
   number, Route; To of the response in an ACK, of the request in a CANCEL */
static int derive(struct sipcore_octets **ocp, const struct sipcore_ctrans *ct,
		  const char *method, const struct sipcore_msg *resp,
		  const char *hdrs)
{
	const struct sipcore_hdr *via, *to;
	struct sipcore_msg *req = NULL;
	struct mbuf *mb = NULL;
	int err;

	if (!ct->req)
		return ENOENT;

	err = sipcore_msg_read(&req, ct->req->v, ct->req->n, 0, NULL, NULL);
	if (err && err != EPROTO)
		return err;

	via = sipcore_hdr(req, SIPCORE_HDR_VIA, 0);
	to  = sipcore_hdr(resp ? resp : req, SIPCORE_HDR_TO, 0);
	mb  = mbuf_alloc(512);
	if (!mb) {
		err = ENOMEM;
		goto out;
	}
	if (!via || !to) {
		err = EPROTO;
		goto out;
	}

	err  = mbuf_printf(mb, "%s %r SIP/2.0\r\n%r", method, &req->ruri,
			   &via->line);
	err |= copy_all(mb, req, SIPCORE_HDR_ROUTE);
	err |= mbuf_printf(mb, "Max-Forwards: 70\r\n");
	err |= copy_all(mb, req, SIPCORE_HDR_FROM);
	err |= mbuf_printf(mb, "To: %r\r\n", &to->val);
	err |= copy_all(mb, req, SIPCORE_HDR_CALL_ID);
	err |= mbuf_printf(mb, "CSeq: %u %s\r\n", req->cseq, method);
	err |= copy_all(mb, req, SIPCORE_HDR_SESSION_ID);
	err |= mbuf_printf(mb, "%sContent-Length: 0\r\n\r\n",
			   hdrs ? hdrs : "");
	if (err)
		goto out;

	*ocp = sipcore_octets_dup(mb->buf, mb->end);
	if (!*ocp)
		err = ENOMEM;

 out:
	mem_deref(mb);
	mem_deref(req);

	return err;
}


/* RFC 3261 9.1: 64*T1 after the CANCEL the INVITE is over, answer or not */
static int cancel_send(struct sipcore_ctrans *ct)
{
	struct sipcore_ctrans *cc;
	int err;

	cc = mem_zalloc(sizeof(*cc), destructor);
	if (!cc)
		return ENOMEM;

	cc->core     = ct->core;
	cc->slot     = NO_SLOT;
	cc->id       = ct->id;
	cc->flow     = ct->flow;
	cc->method   = SIPCORE_CANCEL;
	cc->reliable = ct->reliable;
	cc->conn_given = ct->conn_given;

	err = derive(&cc->req, ct, "CANCEL", NULL, ct->cancel_hdrs);
	if (err)
		goto out;

	ct->cancel_sent = true;
	(void)transmit(cc, cc->req);
	start_timers(cc);

	ct->deadline = tmr_jiffies() + 64 * ct->core->net->lim.t1;
	arm(ct);

 out:
	if (err)
		mem_deref(cc);
	else
		ct->cancel = cc;

	return err;
}


int sipcore_ctrans_cancel(struct sipcore_ctrans *ct, const char *hdrs)
{
	int err;

	if (!ct || !ct->invite)
		return EINVAL;

	if (!ct->core || ct->state > PROCEEDING || ct->cancel_wanted)
		return 0;

	if (hdrs) {
		err = str_dup(&ct->cancel_hdrs, hdrs);
		if (err)
			return err;
	}

	ct->cancel_wanted = true;

	return ct->state == PROCEEDING ? cancel_send(ct) : 0;
}


/* ---- receiving */

static void provisional(struct sipcore_ctrans *ct, struct sipcore_msg *msg)
{
	if (ct->state > PROCEEDING)
		return;

	if (ct->state == CALLING) {
		ct->state = PROCEEDING;
		if (ct->invite)
			/* no timer B: how long it may ring, the caller says */
			tmr_cancel(&ct->tmr);
		if (ct->cancel_wanted)
			(void)cancel_send(ct);
	}

	tell(ct, 0, msg);
}


static void invite_final(struct sipcore_ctrans *ct, struct sipcore_msg *msg)
{
	const struct sipcore_limits *lim = &ct->core->net->lim;

	if (msg->scode < 300) {

		if (ct->state == COMPLETED)
			return;

		if (ct->state != ACCEPTED) {
			ct->state = ACCEPTED;
			/* timer M */
			finish_after(ct, 64 * lim->t1);
		}
		tell(ct, 0, msg);
		return;
	}

	if (ct->state == ACCEPTED)
		return;

	if (ct->state == COMPLETED) {
		if (ct->ack)
			(void)transmit(ct, ct->ack);
		return;
	}

	(void)derive(&ct->ack, ct, "ACK", msg, NULL);
	if (ct->ack)
		(void)transmit(ct, ct->ack);

	ct->state = COMPLETED;
	/* timer D: at least 32 s with the RFC's T1 */
	finish_after(ct, ct->reliable ? 0 : min(64 * lim->t1, TIMER_D));
	tell(ct, 0, msg);
}


static void other_final(struct sipcore_ctrans *ct, struct sipcore_msg *msg)
{
	if (ct->state == COMPLETED)
		return;

	ct->state = COMPLETED;
	/* timer K */
	finish_after(ct, ct->reliable ? 0 : ct->core->net->lim.t4);
	tell(ct, 0, msg);
}


/**
 * A response has arrived
 *
 * @return true if it belonged to a transaction
 */
bool sipcore_ctrans_response(struct sipcore *core, struct sipcore_msg *msg)
{
	struct sipcore_ctrans *ct;
	uint64_t id;

	if (!sipcore_branch_id(core->net, &msg->via.branch, &id) ||
	    sipcore_id_worker(id) != core->idx)
		return false;

	ct = sipcore_slots_get(&core->ctrans, sipcore_id_slot(id),
			       (uint32_t)id);
	if (!ct)
		return false;

	/* RFC 3261 17.1.3: the branch, and the method of the CSeq */
	if (msg->method == SIPCORE_CANCEL)
		ct = ct->cancel;
	else if (msg->method != ct->method)
		return false;
	if (!ct || !ct->core)
		return false;

	mem_ref(ct);
	/* our own reference is no holder */
	if (ct->held && mem_nrefs(ct) < 3)
		ct->resph = NULL;

	if (msg->scode < 200)
		provisional(ct, msg);
	else if (ct->invite)
		invite_final(ct, msg);
	else
		other_final(ct, msg);

	mem_deref(ct);

	return true;
}


/**
 * Bytes of a transaction could not be sent after all
 *
 * @param id  Transaction, of any worker
 */
void sipcore_ctrans_error(struct sipcore *core, uint64_t id, int err)
{
	const unsigned idx = sipcore_id_worker(id);
	struct sipcore_ctrans *ct;

	if (idx != core->idx) {
		const struct sipcore_cross head = {
			.kind = SIPCORE_CROSS_ERR, .ct = id, .err = err,
		};

		(void)sipcore_cross(core->net, idx, &head, NULL, 0);
		return;
	}

	ct = sipcore_slots_get(&core->ctrans, sipcore_id_slot(id),
			       (uint32_t)id);
	if (ct && ct->state <= PROCEEDING)
		end(ct, err);
}


/* The worker stops: nobody is told any more */
void sipcore_ctrans_flush(struct sipcore *core)
{
	for (uint32_t i=0; i<core->ctrans.size; i++) {
		struct sipcore_ctrans *ct = core->ctrans.v[i].p;

		if (!ct)
			continue;

		detach(ct);
		mem_deref(ct);
	}
}
