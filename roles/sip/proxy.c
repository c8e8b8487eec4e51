/**
 * @file proxy.c  Branches of a request: offer, send, watch, cancel
 *                (RFC 3261 16.6, 16.8 to 16.10)
 *
 *   target -> started -> (NG offer) -> sent -> provisional -> final
 *
 * A branch to a PBX node that stays silent or refuses is followed by one to
 * the next node; contacts are tried all at once.
 */
#include <string.h>
#include "internal.h"


static void branch_destructor(void *arg)
{
	struct branch *br = arg;

	list_unlink(&br->le);
	tmr_cancel(&br->tmr);
	mem_deref(br->ct);
	mem_deref(br->ng);
	mem_deref(br->waiting);
	list_flush(&br->heldl);
	mem_deref(br->final);
	mem_deref(br->ruri);
	mem_deref(br->path);
	mem_deref(br->sdp_in);
	mem_deref(br->sdp_out);
}


int proxy_target(struct request *req, const struct target *t)
{
	struct branch *br;
	int err = 0;

	if (!req || !t)
		return EINVAL;
	if (req->branchc >= BRANCH_MAX)
		return EOVERFLOW;

	br = mem_zalloc(sizeof(*br), branch_destructor);
	if (!br)
		return ENOMEM;

	tmr_init(&br->tmr);
	br->req  = req;
	br->flow = t->flow;
	br->alt  = t->alt;
	br->node = t->node;
	br->id   = ++req->branchc;
	if (t->ruri)
		err |= str_dup(&br->ruri, t->ruri);
	if (t->path)
		err |= str_dup(&br->path, t->path);
	if (err) {
		mem_deref(br);
		return ENOMEM;
	}

	list_append(&req->branchl, &br->le, br);

	return 0;
}


bool proxy_next_node(struct request *req)
{
	struct dispatch *d = req->w->e->disp;
	struct target t = {.ruri = NULL};

	t.node = dispatch_next(d, &req->msg->callid, req->pbx_tried);
	if (t.node < 0)
		return false;

	req->pbx_tried |= 1u << t.node;
	dispatch_flow(d, t.node, &t.flow);

	return proxy_target(req, &t) == 0;
}


/* ---- timers */

static void silent_handler(void *arg)
{
	struct branch *br = arg;
	struct request *req = br->req;

	mem_ref(req);
	dispatch_failed(req->w->e->disp, br->node, "no answer to INVITE");
	/* should it wake up: it must not ring for nobody */
	(void)sipcore_ctrans_cancel(br->ct, NULL);
	br->ct = mem_deref(br->ct);
	response_local(br, 503, "the PBX does not answer");
	mem_deref(req);
}


/* RFC 3261 16.8 */
static void timer_c_handler(void *arg)
{
	struct branch *br = arg;
	struct request *req = br->req;

	mem_ref(req);
	log_info(req->msg->sid, "branch rings for too long", "dst=%H",
		 nat_flow_print, &br->flow);
	if (br->provisional && !br->cancelled) {
		br->cancelled = true;
		(void)sipcore_ctrans_cancel(br->ct, NULL);
	}
	else {
		response_local(br, 408, "no answer in time");
	}
	mem_deref(req);
}


void proxy_timer_c(struct branch *br)
{
	if (br->req->msg->method == SIPCORE_INVITE && !br->cancelled)
		tmr_start(&br->tmr, br->req->w->conf->timers.c,
			  timer_c_handler, br);
}


/* ---- sending */

static int bytes_send(struct branch *br, struct mbuf *mb)
{
	struct request *req = br->req;
	const size_t pos = mb->pos;
	int err;

	if (!req->st)
		return sipcore_send(req->w->core, &br->flow, mb, true);

	err = sipcore_request(&br->ct, req->w->core, &br->flow, mb,
			      response_handler, br);
	if (err == ENOTCONN && br->flow.conn) {
		/* RFC 3261 18.1.1: its connection is gone, try a new one */
		br->flow.conn = 0;
		if (sa_isset(&br->alt, SA_ALL))
			br->flow.remote = br->alt;
		mb->pos = pos;
		err = sipcore_request(&br->ct, req->w->core, &br->flow, mb,
				      response_handler, br);
	}

	return err;
}


static void sent(struct branch *br)
{
	struct request *req = br->req;

	br->sent = true;
	log_info(req->msg->sid, "request sent on",
		 "method=%r uri=\"%s\" aor=%s dst=%H branch=%u",
		 &req->msg->met, br->ruri ? br->ruri : "", req->aor,
		 nat_flow_print, &br->flow, br->id);

	/* an ACK has no response that could end it */
	if (!req->st) {
		request_close(req);
		return;
	}
	if (req->msg->method != SIPCORE_INVITE)
		return;
	if (br->node >= 0)
		tmr_start(&br->tmr, req->w->conf->dispatcher.timeout,
			  silent_handler, br);
	else
		proxy_timer_c(br);
}


/** Send the branch, with this body in place of its own (or NULL) */
void proxy_send(struct branch *br, const struct pl *sdp)
{
	struct request *req = br->req;
	struct mbuf *mb;
	int err;

	mb = mbuf_alloc(req->msg->mb->end + 1024);
	if (!mb) {
		response_local(br, 500, "no memory");
		return;
	}

	err = build_request(mb, br, sdp);
	if (err && err != EADDRNOTAVAIL) {
		/* no other node would get it either */
		mem_deref(mb);
		br->own = true;
		response_local(br, 500, "it cannot be forwarded");
		return;
	}

	mb->pos = 0;
	if (!err)
		err = bytes_send(br, mb);
	mem_deref(mb);

	if (!err) {
		sent(br);
		return;
	}

	log_warn(req->msg->sid, "request not sent", "dst=%H err=\"%m\"",
		 nat_flow_print, &br->flow, err);
	if (br->node >= 0)
		dispatch_failed(req->w->e->disp, br->node,
				"cannot be sent to");
	response_local(br, br->node >= 0 || req->dialog ? 503 : 480,
		       "it cannot be reached");
}


static void offer_handler(const struct ng_result *res, void *arg)
{
	struct branch *br = arg;
	struct request *req = br->req;
	const char *why = NULL;
	uint16_t code;

	mem_ref(req);
	br->ng = NULL;
	code = anchor_code(res, &why);
	if (code) {
		log_warn(req->msg->sid, "media not anchored",
			 "method=%r code=%u why=\"%s\"", &req->msg->met, code,
			 why);
		br->media = true;
		response_local(br, code, why);
	}
	else {
		proxy_send(br, &res->sdp);
	}
	mem_deref(req);
}


static int offer(struct branch *br)
{
	struct request *req = br->req;
	const bool dialog = req->dialog;
	const struct sipcore_msg *msg = req->msg;
	struct anchor_prm prm = {
		.msg = msg, .from_tag = msg->from.tag, .sdp = msg->body,
		.branch = dialog ? 0 : br->id,
		.outside_from = dialog ? req->stamp.outside[req->from]
			: req->outside,
		.outside_to = dialog ? req->stamp.outside[!req->from]
			: !cfg_is_internal(req->w->cfg, &br->flow.remote),
		.af = sa_af(&br->flow.remote),
	};

	if (dialog)
		prm.to_tag = msg->to.tag;
	req->offered = true;

	/* the offerer's tag names the session in both: RFC 3264 5, and the
	   answer that a PRACK or an ACK brings belongs to the other side */
	if (req->body_is_answer) {
		prm.from_tag = msg->to.tag;
		prm.to_tag   = msg->from.tag;
		return anchor_answer(&br->ng, req->w, &prm, offer_handler,
				     br);
	}

	return anchor_offer(&br->ng, req->w, &prm, offer_handler, br);
}


static void branch_start(struct branch *br)
{
	struct request *req = br->req;

	br->started = true;
	if (!req->anchor || !request_has_sdp(req->msg)) {
		proxy_send(br, NULL);
		return;
	}

	if (offer(br)) {
		br->media = true;
		response_local(br, 503, "the media role takes no more");
	}
}


/* ---- starting */

static bool call_begin(struct request *req)
{
	struct lane *w = req->w;
	struct call *call;
	int err;

	if (req->begun || req->dialog || req->msg->method != SIPCORE_INVITE)
		return true;

	req->begun  = true;
	req->anchor = w->conf->anchor;
	err = calls_add(&call, w->calls, req->msg);
	if (err) {
		request_refuse(req, 503, "too many calls",
			       "Retry-After: 10\r\n");
		return false;
	}

	call->anchored = req->anchor;

	return true;
}


/** Start the branches that have not begun */
void proxy_start(struct request *req)
{
	struct le *le;

	if (!call_begin(req))
		return;

	/* 16.2: the client need not repeat an INVITE that is on its way */
	if (req->st && req->msg->method == SIPCORE_INVITE && !req->trying) {
		req->trying = true;
		(void)sipcore_reply(req->st, 100, NULL, NULL);
	}

	mem_ref(req);
	le = req->branchl.head;
	while (le && req->le.list) {
		struct branch *br = le->data;

		if (!br->started)
			branch_start(br);
		le = le->next;
	}
	mem_deref(req);
}


/* ---- cancelling */

/** CANCEL what is still pending; hdrs: lines for it, or NULL */
void proxy_cancel(struct request *req, const char *hdrs)
{
	struct le *le;

	mem_ref(req);
	for (le = req->branchl.head; le && req->le.list; le = le->next) {
		struct branch *br = le->data;

		if (br->code || br->cancelled)
			continue;
		br->cancelled = true;
		tmr_cancel(&br->tmr);
		if (br->sent) {
			(void)sipcore_ctrans_cancel(br->ct, hdrs);
			continue;
		}
		br->ng = mem_deref(br->ng);
		response_local(br, 487, NULL);
	}
	mem_deref(req);
}
