/**
 * @file sipcore/strans.c  Server transactions (RFC 3261 17.2, RFC 6026)
 *
 *   INVITE:  proceeding -- 300-699 --> completed -- ACK --> confirmed --> end
 *                |                        (G, H)              (I)
 *                +------ 2xx --> accepted ----------- (L) ----------> end
 *   others:  proceeding -- final --> completed -- (J) --> end
 *
 * A transaction is found by the branch, sent-by and method of its request, or
 * for RFC 2543 by what 17.2.3 names; the key is kept as text and compared
 * whole.
 */
#include <string.h>
#include <re.h>
#include "cfg/cfg.h"
#include "sipcore.h"
#include "internal.h"


enum {
	HASH_SIZE   = 16384,
	KEY_MAX     = 1024,
	TRYING_MS   = 200,	/* RFC 3261 17.2.1 */
	RETRY_AFTER = 5,	/* s, when full or draining */
};

enum state {
	PROCEEDING = 0,
	COMPLETED,
	CONFIRMED,
	ACCEPTED,
};

struct sipcore_strans {
	struct le he;
	struct sipcore *core;		/* NULL: ended */
	struct sipcore_msg *req;
	struct sipcore_octets *resp;	/* what a retransmission gets */
	struct tmr tmr;
	uint64_t deadline;		/* timer H */
	struct sipcore_flow flow;	/* of the responses */
	struct sa fallback;
	sipcore_cancel_h *cancelh;
	sipcore_end_h *endh;
	void *arg;
	uint32_t interval;		/* timer G */
	enum state state;
	bool invite;
	bool reliable;
	bool answered;			/* anything at all was sent */
	char tag[17];
	uint16_t keylen;
	char key[];
};

struct key {
	char v[KEY_MAX];
	size_t n;
	uint32_t hash;
};


static bool key_put(struct key *k, const struct pl *pl)
{
	if (k->n + pl->l + 1 > sizeof(k->v))
		return false;

	if (pl->l)
		memcpy(k->v + k->n, pl->p, pl->l);
	k->n += pl->l;
	k->v[k->n++] = '\0';

	return true;
}


/* RFC 3261 17.2.3.  An ACK has the key of its INVITE */
static bool key_parts(struct key *k, const struct sipcore_msg *msg,
		      const struct pl *met)
{
	const struct sipcore_via *via = &msg->via;
	struct pl port = {(const char *)&via->port, sizeof(via->port)};
	struct pl cseq = {(const char *)&msg->cseq, sizeof(msg->cseq)};

	k->n = 0;

	if (via->cookie)
		return key_put(k, &via->branch) && key_put(k, &via->host) &&
			key_put(k, &port) && key_put(k, met);

	return key_put(k, &msg->ruri) && key_put(k, &msg->from.tag) &&
		key_put(k, &msg->callid) && key_put(k, &cseq) &&
		key_put(k, &via->val) && key_put(k, met);
}


static bool key_make(struct key *k, const struct sipcore *core,
		     const struct sipcore_msg *msg, const char *method)
{
	struct pl met = msg->met;

	if (method)
		pl_set_str(&met, method);

	if (!key_parts(k, msg, &met))
		return false;

	k->hash = (uint32_t)sipcore_siphash(core->net->key, k->v, k->n);

	return true;
}


static struct sipcore_strans *find(const struct sipcore *core,
				   const struct key *k)
{
	struct le *le = list_head(hash_list(core->ht_strans, k->hash));

	for (; le; le = le->next) {
		struct sipcore_strans *st = le->data;

		if (st->keylen == k->n && !memcmp(st->key, k->v, k->n))
			return st;
	}

	return NULL;
}


static void destructor(void *arg)
{
	struct sipcore_strans *st = arg;

	tmr_cancel(&st->tmr);
	hash_unlink(&st->he);
	mem_deref(st->req);
	mem_deref(st->resp);
}


static void detach(struct sipcore_strans *st)
{
	tmr_cancel(&st->tmr);
	hash_unlink(&st->he);
	--st->core->stats.strans;
	st->core = NULL;
}


static void end(struct sipcore_strans *st, int err)
{
	sipcore_end_h *endh = st->endh;
	void *arg = st->arg;

	if (!st->core)
		return;

	detach(st);
	if (endh)
		endh(err, arg);

	mem_deref(st);
}


static void timer_end(void *arg)
{
	end(arg, 0);
}


/* A client that got no answer has given up by now (RFC 4320) */
static void timer_unanswered(void *arg)
{
	end(arg, ETIMEDOUT);
}


static void resend(struct sipcore_strans *st)
{
	if (!st->resp)
		return;

	++st->core->stats.retrans_tx;
	(void)sipcore_tx(st->core, &st->flow, &st->fallback, st->resp->v,
			 st->resp->n, 0);
}


/* Timers G and H */
static void timer_g(void *arg)
{
	struct sipcore_strans *st = arg;
	const struct sipcore_limits *lim = &st->core->net->lim;
	const uint64_t now = tmr_jiffies();
	uint64_t wait;

	if (now >= st->deadline) {
		end(st, ETIMEDOUT);
		return;
	}

	if (!st->reliable)
		resend(st);

	st->interval = min(2 * st->interval, lim->t2);
	wait = st->deadline - now;
	if (!st->reliable && st->interval < wait)
		wait = st->interval;

	tmr_start(&st->tmr, wait, timer_g, st);
}


/* RFC 3261 17.2.1: 100 unless the handler was quicker */
static void timer_trying(void *arg)
{
	struct sipcore_strans *st = arg;

	if (!st->answered)
		(void)sipcore_reply(st, 100, NULL, NULL);
}


/* A final response went out: which timer now? */
static void completed(struct sipcore_strans *st, uint16_t code)
{
	const struct sipcore_limits *lim = &st->core->net->lim;

	if (!st->invite) {
		st->state = COMPLETED;
		/* timer J */
		tmr_start(&st->tmr, st->reliable ? 0 : 64 * lim->t1,
			  timer_end, st);
	}
	else if (code < 300) {
		st->state = ACCEPTED;
		/* timer L */
		tmr_start(&st->tmr, 64 * lim->t1, timer_end, st);
	}
	else {
		st->state    = COMPLETED;
		st->interval = lim->t1;
		st->deadline = tmr_jiffies() + 64 * lim->t1;
		tmr_start(&st->tmr, st->reliable ? 64 * lim->t1 : lim->t1,
			  timer_g, st);
	}
}


/* Keep what a retransmitted request gets: not for 2xx to INVITE, whose
   retransmission is the handler's, nor where none can come */
static int keep(struct sipcore_strans *st, uint16_t code, const uint8_t *p,
		size_t n)
{
	struct sipcore_octets *oc;

	if (st->reliable || (st->invite && code >= 200 && code < 300)) {
		st->resp = mem_deref(st->resp);
		return 0;
	}

	oc = sipcore_octets_dup(p, n);
	if (!oc)
		return ENOMEM;

	mem_deref(st->resp);
	st->resp = oc;

	return 0;
}


static int respond(struct sipcore_strans *st, uint16_t code, const uint8_t *p,
		   size_t n)
{
	int err;

	if (!st->core)
		return ENOTCONN;

	/* RFC 6026 7.1: in Accepted only a 2xx, and it is just sent */
	if (st->state == ACCEPTED && code >= 200 && code < 300)
		return sipcore_tx(st->core, &st->flow, &st->fallback, p, n, 0);

	if (st->state != PROCEEDING)
		return EALREADY;

	err = keep(st, code, p, n);
	if (err)
		return err;

	/* an error of the transport is the client's loss: it asks again */
	(void)sipcore_tx(st->core, &st->flow, &st->fallback, p, n, 0);
	st->answered = true;

	if (code >= 200)
		completed(st, code);

	return 0;
}


int sipcore_respond(struct sipcore_strans *st, uint16_t code, struct mbuf *mb)
{
	int err;

	if (!st || !mb || code < 100 || code > 699)
		return EINVAL;

	err = respond(st, code, mbuf_buf(mb), mbuf_get_left(mb));
	if (!err && code >= 200)
		st->req = mem_deref(st->req);

	return err;
}


int sipcore_reply(struct sipcore_strans *st, uint16_t code,
		  const char *reason, const char *fmt, ...)
{
	struct mbuf *mb;
	va_list ap;
	int err;

	if (!st || code < 100 || code > 699)
		return EINVAL;
	if (!st->core)
		return ENOTCONN;
	if (!st->req)
		return EALREADY;

	mb = mbuf_alloc(1024);
	if (!mb)
		return ENOMEM;

	va_start(ap, fmt);
	err = sipcore_reply_print(mb, st->req, st->core->net, code, reason,
				  st->tag, fmt, ap);
	va_end(ap);

	if (!err)
		err = respond(st, code, mb->buf, mb->end);

	mem_deref(mb);

	/* only a 2xx to INVITE is said again */
	if (!err && code >= 200 && !(st->invite && code < 300))
		st->req = mem_deref(st->req);

	return err;
}


void sipcore_strans_forget(struct sipcore_strans *st)
{
	if (!st || !st->core || st->state == PROCEEDING)
		return;

	/* from the loop: who called may be in the middle of something */
	tmr_start(&st->tmr, 0, timer_end, st);
}


void sipcore_strans_handlers(struct sipcore_strans *st,
			     sipcore_cancel_h *cancelh, sipcore_end_h *endh,
			     void *arg)
{
	if (!st)
		return;

	st->cancelh = cancelh;
	st->endh    = endh;
	st->arg     = arg;
}


struct sipcore_msg *sipcore_strans_req(const struct sipcore_strans *st)
{
	return st ? st->req : NULL;
}


const char *sipcore_strans_tag(const struct sipcore_strans *st)
{
	return st ? st->tag : NULL;
}


static struct sipcore_strans *strans_alloc(struct sipcore *core,
					   struct sipcore_msg *msg,
					   const struct key *k)
{
	struct sipcore_strans *st;

	st = mem_zalloc(sizeof(*st) + k->n, destructor);
	if (!st)
		return NULL;

	st->core     = core;
	st->req      = mem_ref(msg);
	st->invite   = msg->method == SIPCORE_INVITE;
	st->reliable = msg->flow.proto != CFG_PROTO_UDP;
	st->keylen   = (uint16_t)k->n;
	memcpy(st->key, k->v, k->n);
	sipcore_reply_flow(msg, &st->flow, &st->fallback);
	sipcore_tag(core->net, msg, st->tag);

	hash_append(core->ht_strans, k->hash, &st->he, st);
	++core->stats.strans;

	if (st->invite)
		tmr_start(&st->tmr, TRYING_MS, timer_trying, st);
	else
		tmr_start(&st->tmr, 64 * core->net->lim.t1, timer_unanswered,
			  st);

	return st;
}


/* Is this the ACK to a response of ours of which nothing was kept?  It has
   the branch of its INVITE, so the tag can be made again */
static bool is_forgotten(const struct sipcore *core,
			 const struct sipcore_msg *msg)
{
	char tag[17];

	sipcore_tag(core->net, msg, tag);

	return !pl_strcmp(&msg->to.tag, tag);
}


/* RFC 3261 17.2.1: ACK to a non-2xx ends here, to a 2xx it goes on */
static void ack(struct sipcore *core, struct sipcore_msg *msg)
{
	struct sipcore_strans *st = NULL;
	struct key k;

	if (key_make(&k, core, msg, "INVITE"))
		st = find(core, &k);

	if (!st && is_forgotten(core, msg))
		return;

	if (!st || st->state == ACCEPTED) {
		core->reqh(core, NULL, msg, core->arg);
		return;
	}

	if (st->state != COMPLETED)
		return;

	st->state = CONFIRMED;
	st->resp  = mem_deref(st->resp);
	/* timer I */
	tmr_start(&st->tmr, st->reliable ? 0 : core->net->lim.t4, timer_end,
		  st);
}


/* RFC 3261 9.2: the transaction that this CANCEL means.  It has the branch of
   its request, whatever that one's method was */
static struct sipcore_strans *cancelled(struct sipcore *core,
					const struct sipcore_msg *msg)
{
	static const enum sipcore_method metv[] = {
		SIPCORE_INVITE, SIPCORE_REGISTER, SIPCORE_OPTIONS,
		SIPCORE_BYE, SIPCORE_SUBSCRIBE, SIPCORE_NOTIFY,
		SIPCORE_MESSAGE, SIPCORE_INFO, SIPCORE_REFER, SIPCORE_PUBLISH,
		SIPCORE_UPDATE, SIPCORE_PRACK,
	};
	struct key k;

	for (size_t i=0; i<ARRAY_SIZE(metv); i++) {
		struct sipcore_strans *st;

		if (!key_make(&k, core, msg, sipcore_method_name(metv[i])))
			break;

		st = find(core, &k);
		if (st)
			return st;
	}

	return NULL;
}


/* Answered here; the handler of the INVITE hears of it */
static void cancel(struct sipcore *core, struct sipcore_strans *st,
		   struct sipcore_msg *msg)
{
	struct sipcore_strans *inv = cancelled(core, msg);

	if (!inv) {
		(void)sipcore_reply(st, 481, NULL, NULL);
		return;
	}

	/* same To tag as in the responses to the request */
	memcpy(st->tag, inv->tag, sizeof(st->tag));
	(void)sipcore_reply(st, 200, NULL, NULL);

	if (inv->invite && inv->state == PROCEEDING && inv->cancelh)
		inv->cancelh(inv, msg, inv->arg);
}


static void retransmission(struct sipcore_strans *st)
{
	++st->core->stats.retrans_rx;

	if (st->resp)
		resend(st);
	else if (st->invite && st->state == PROCEEDING && !st->answered)
		(void)sipcore_reply(st, 100, NULL, NULL);
}


/* What begins something new is refused while draining */
static bool is_refused(const struct sipcore *core,
		       const struct sipcore_msg *msg)
{
	if (!core->drain)
		return false;

	switch (msg->method) {

	case SIPCORE_REGISTER:
		return true;

	case SIPCORE_INVITE:
	case SIPCORE_SUBSCRIBE:
	case SIPCORE_REFER:
		return !msg->to.tag.l;

	default:
		return false;
	}
}


/**
 * A well-formed request has arrived
 */
void sipcore_strans_request(struct sipcore *core, struct sipcore_msg *msg)
{
	struct sipcore_strans *st;
	struct key k;

	if (msg->method == SIPCORE_ACK) {
		ack(core, msg);
		return;
	}

	if (!key_make(&k, core, msg, NULL)) {
		sipcore_reply_stateless(core, msg, 400,
					"Bad Request (branch too long)", NULL);
		return;
	}

	st = find(core, &k);
	if (st) {
		retransmission(st);
		return;
	}

	if (core->stats.strans >= core->net->lim.strans) {
		++core->stats.limit_hits;
		sipcore_reply_stateless(core, msg, 503, NULL,
					"Retry-After: %d\r\n", RETRY_AFTER);
		return;
	}

	if (is_refused(core, msg)) {
		sipcore_reply_stateless(core, msg, 503, NULL,
					"Retry-After: %d\r\n", RETRY_AFTER);
		return;
	}

	st = strans_alloc(core, msg, &k);
	if (!st) {
		++core->stats.rx_dropped;
		return;
	}

	if (msg->method == SIPCORE_CANCEL)
		cancel(core, st, msg);
	else
		core->reqh(core, st, msg, core->arg);
}


int sipcore_strans_start(struct sipcore *core)
{
	return hash_alloc(&core->ht_strans, HASH_SIZE);
}


static bool flush_handler(struct le *le, void *arg)
{
	struct sipcore_strans *st = le->data;
	(void)arg;

	detach(st);
	mem_deref(st);

	return false;
}


/* The worker stops: nobody is told any more */
void sipcore_strans_flush(struct sipcore *core)
{
	(void)hash_apply(core->ht_strans, flush_handler, NULL);
}
