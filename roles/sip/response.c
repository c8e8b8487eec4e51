/**
 * @file response.c  Responses of the branches, and the one that is sent back
 *                   (RFC 3261 16.7)
 *
 * response -> (held while NG works) -> 1xx, 2xx: (NG answer) -> sent back
 *                                   -> failure: next node | best of all
 */
#include <string.h>
#include "internal.h"


struct held {
	struct le le;
	struct sipcore_msg *msg;
};

static const char elsewhere[] =
	"Reason: SIP;cause=200;text=\"Call completed elsewhere\"\r\n";

static void process(struct branch *br, struct sipcore_msg *resp);


/* ---- sending back */

static int bytes_build(struct mbuf *mb, const struct branch *br,
		       const struct sipcore_msg *resp, const struct pl *sdp)
{
	const struct request *req = br->req;
	struct sipcore_edit ed;
	int err;

	sipcore_edit_init(&ed, resp);

	/* 16.7 step 3 */
	err = sipcore_edit_drop_val(&ed, sipcore_hdr(resp, SIPCORE_HDR_VIA,
						     0), &resp->via.val);
	if (ingress_origin(req->w, &resp->flow) == ORIGIN_PHONE)
		err |= ingress_clean(&ed, resp);
	err |= build_sdp(&ed, resp, sdp);
	if (!err)
		err = sipcore_edit_write(mb, &ed);
	sipcore_edit_close(&ed);

	return err;
}


static void call_confirm(struct request *req)
{
	struct call *call = calls_find(req->w->calls, &req->msg->callid);

	if (!call || call->confirmed)
		return;

	call->confirmed = true;
	call->answer = location_now();
}


/* A failed INVITE leaves nothing behind */
static void call_failed(struct request *req)
{
	struct call *call;

	if (req->dialog || req->msg->method != SIPCORE_INVITE)
		return;

	if (req->anchor && req->offered)
		anchor_delete(req->w, req->msg);
	call = calls_find(req->w->calls, &req->msg->callid);
	if (call && !call->confirmed)
		mem_deref(call);
}


static void finish(struct request *req, uint16_t code)
{
	const bool invite = req->msg->method == SIPCORE_INVITE;

	if (code < 200)
		return;

	if (!req->answered)
		log_info(req->msg->sid, "response sent back",
			 "method=%r code=%u aor=%s", &req->msg->met, code,
			 req->aor);
	request_answered(req, code);

	if (invite && code < 300) {
		if (!req->dialog)
			call_confirm(req);
		/* kept for repeated 2xx, until the transaction ends */
		return;
	}
	if (req->msg->method == SIPCORE_BYE)
		dialog_ended(req);
	if (code >= 300)
		call_failed(req);
	request_close(req);
}


static void send_back(struct branch *br, const struct sipcore_msg *resp,
		      const struct pl *sdp)
{
	struct request *req = br->req;
	const uint16_t code = resp->scode;
	struct mbuf *mb;
	int err;

	mb = mbuf_alloc(resp->mb->end + 256);
	if (!mb) {
		request_refuse(req, 500, "no memory", NULL);
		return;
	}

	err = bytes_build(mb, br, resp, sdp);
	mb->pos = 0;
	if (!err)
		err = sipcore_respond(req->st, code, mb);
	mem_deref(mb);
	if (err)
		log_warn(req->msg->sid, "response not sent",
			 "code=%u err=\"%m\"", code, err);

	finish(req, code);
}


/** An own failure in place of a response.  Like request_refuse(), with what
    the call left behind cleared away */
static void send_own(struct request *req, uint16_t code, const char *why,
		     const char *hdrs)
{
	mem_ref(req);
	if (req->msg->method == SIPCORE_BYE)
		dialog_ended(req);
	call_failed(req);
	request_refuse(req, code, why, hdrs);
	mem_deref(req);
}


/* ---- media */

static bool body_same(const struct branch *br, const struct sipcore_msg *resp)
{
	return br->sdp_in && br->sdp_out &&
		!pl_strcmp(&resp->body, br->sdp_in);
}


static void body_keep(struct branch *br, const struct sipcore_msg *resp,
		      const struct pl *sdp)
{
	br->sdp_in  = mem_deref(br->sdp_in);
	br->sdp_out = mem_deref(br->sdp_out);
	if (pl_strdup(&br->sdp_in, &resp->body) ||
	    pl_strdup(&br->sdp_out, sdp))
		br->sdp_out = mem_deref(br->sdp_out);
}


/* The callee has agreed, but its media cannot be had: the caller gets a
   failure.  Its 2xx stays without ACK, so the callee ends it (RFC 3261
   13.3.1.4) */
static void anchor_failed(struct branch *br, uint16_t code, const char *why)
{
	struct request *req = br->req;

	log_warn(req->msg->sid, "media not anchored",
		 "method=%r code=%u why=\"%s\" response=%u",
		 &req->msg->met, code, why, br->waiting->scode);

	/* a provisional response can do without its body */
	if (br->waiting->scode < 200)
		return;
	send_own(req, code, why, code == 503 ? "Retry-After: 5\r\n" : NULL);
}


static void anchored_handler(const struct ng_result *res, void *arg)
{
	struct branch *br = arg;
	struct request *req = br->req;
	struct sipcore_msg *resp = br->waiting;
	const char *why = NULL;
	uint16_t code;

	mem_ref(req);
	br->ng = NULL;
	code = anchor_code(res, &why);
	if (code) {
		anchor_failed(br, code, why);
	}
	else {
		body_keep(br, resp, &res->sdp);
		send_back(br, resp, &res->sdp);
	}

	br->waiting = NULL;
	mem_deref(resp);
	if (req->le.list)
		response_held(br);
	mem_deref(req);
}


/* Its body answers ours, or (late offer) is an offer itself */
static int anchor_response(struct branch *br, struct sipcore_msg *resp)
{
	struct request *req = br->req;
	const struct sipcore_msg *msg = req->msg;
	const bool dialog = req->dialog;
	const bool offer = !request_has_sdp(msg);
	struct anchor_prm prm = {
		.msg = resp, .sdp = resp->body,
		.from_tag = offer ? resp->to.tag : msg->from.tag,
		.branch = dialog ? 0 : br->id,
		.outside_from = dialog ? req->stamp.outside[!req->from]
			: !cfg_is_internal(req->w->cfg, &br->flow.remote),
		.outside_to = dialog ? req->stamp.outside[req->from]
			: req->outside,
		.af = sa_af(&msg->flow.remote),
	};
	int err;

	if (!offer || dialog)
		prm.to_tag = offer ? msg->from.tag : resp->to.tag;
	req->offered = true;

	err = offer ? anchor_offer(&br->ng, req->w, &prm, anchored_handler,
				   br)
		: anchor_answer(&br->ng, req->w, &prm, anchored_handler, br);
	if (!err)
		br->waiting = mem_ref(resp);

	return err;
}


/* ---- 1xx and 2xx */

/* RFC 3262 5: the PRACK of a late offer brings the answer */
static void late_offer_mark(const struct request *req,
			    const struct sipcore_msg *resp)
{
	struct call *call;

	if (resp->scode >= 200 || request_has_sdp(req->msg) ||
	    !sipcore_hdr_has_token(resp, SIPCORE_HDR_REQUIRE, "100rel"))
		return;

	call = calls_find(req->w->calls, &req->msg->callid);
	if (call)
		call->late = true;
}


static void pass_on(struct branch *br, struct sipcore_msg *resp)
{
	struct request *req = br->req;
	struct pl sdp;

	if (!req->anchor || !request_has_sdp(resp) || req->body_is_answer) {
		send_back(br, resp, NULL);
	}
	else if (body_same(br, resp)) {
		pl_set_str(&sdp, br->sdp_out);
		send_back(br, resp, &sdp);
	}
	else {
		late_offer_mark(req, resp);
		if (anchor_response(br, resp)) {
			br->waiting = mem_ref(resp);
			anchor_failed(br, 503, "the media role takes no more");
			br->waiting = mem_deref(br->waiting);
		}
	}
}


static void provisional(struct branch *br, struct sipcore_msg *resp)
{
	proxy_timer_c(br);
	if (resp->scode == 100 || br->req->answered)
		return;

	pass_on(br, resp);
}


static void success(struct branch *br, struct sipcore_msg *resp)
{
	struct request *req = br->req;
	const bool first = !br->code;

	br->code = resp->scode;
	tmr_cancel(&br->tmr);

	/* 16.7 step 10; a 2xx of another branch is sent back as well */
	if (first && req->msg->method == SIPCORE_INVITE)
		proxy_cancel(req, elsewhere);
	if (req->answered && req->msg->method != SIPCORE_INVITE)
		return;

	pass_on(br, resp);
}


/* ---- failures: 16.7 step 6 */

/* The lower, the better */
static unsigned rank(const struct branch *br)
{
	switch (br->code) {

	case 401: case 407: case 415: case 420: case 484:
		return 401;

	case 503: case 408: case 487:
		return br->code + 100;	/* they say least */

	default:
		return br->code >= 600 ? 1 : br->code;
	}
}


static struct branch *best_find(const struct request *req)
{
	struct branch *best = NULL;
	struct le *le;

	for (le = req->branchl.head; le; le = le->next) {
		struct branch *br = le->data;

		if (br->superseded)
			continue;
		if (!best || rank(br) < rank(best))
			best = br;
	}

	return best;
}


/* 16.7 step 7: the challenges of all branches */
static int challenges_add(struct sipcore_edit *ed, const struct branch *best)
{
	static const enum sipcore_hdrid idv[] = {
		SIPCORE_HDR_WWW_AUTHENTICATE, SIPCORE_HDR_PROXY_AUTHENTICATE
	};
	const struct sipcore_hdr *h;
	struct le *le;
	int err = 0;

	for (le = best->req->branchl.head; le && !err; le = le->next) {
		const struct branch *br = le->data;

		if (br == best || !br->final ||
		    (br->code != 401 && br->code != 407))
			continue;
		for (size_t i = 0; i < ARRAY_SIZE(idv); i++) {
			for (size_t n = 0; !err && (h = sipcore_hdr(br->final,
							idv[i], n)); n++)
				err = sipcore_edit_append(ed, "%r: %r",
							  &h->name, &h->val);
		}
	}

	return err;
}


static int failure_build(struct mbuf *mb, const struct branch *best)
{
	const struct sipcore_msg *resp = best->final;
	struct sipcore_edit ed;
	int err;

	sipcore_edit_init(&ed, resp);
	err = sipcore_edit_drop_val(&ed, sipcore_hdr(resp, SIPCORE_HDR_VIA,
						     0), &resp->via.val);
	if (best->code == 401 || best->code == 407)
		err |= challenges_add(&ed, best);
	if (ingress_origin(best->req->w, &resp->flow) == ORIGIN_PHONE)
		err |= ingress_clean(&ed, resp);
	if (!err)
		err = sipcore_edit_write(mb, &ed);
	sipcore_edit_close(&ed);

	return err;
}


static void failure_send(struct branch *best)
{
	struct request *req = best->req;
	struct mbuf *mb;
	int err = ENOMEM;

	mb = mbuf_alloc(best->final->mb->end + 256);
	if (mb) {
		err = failure_build(mb, best);
		mb->pos = 0;
		if (!err)
			err = sipcore_respond(req->st, best->code, mb);
		mem_deref(mb);
	}
	if (err)
		log_warn(req->msg->sid, "response not sent",
			 "code=%u err=\"%m\"", best->code, err);

	finish(req, best->code);
}


static void best_send(struct request *req)
{
	struct branch *best = best_find(req);

	if (!best || (req->cancelled && !best->final))
		send_own(req, 487, NULL, NULL);
	else if (!best->final)
		send_own(req, best->code, best->why, best->code == 503
			 ? "Retry-After: 5\r\n" : NULL);
	else if (best->code == 503 && best->node < 0 && !req->dialog)
		/* 16.7 step 6: it speaks of that contact only */
		send_own(req, 500, "the contact is overloaded", NULL);
	else
		failure_send(best);
}


static bool is_pending(const struct request *req)
{
	struct le *le;

	for (le = req->branchl.head; le; le = le->next) {
		const struct branch *br = le->data;

		/* a 2xx may still wait for its media */
		if (br->code < 300)
			return true;
	}

	return false;
}


/* Only silence, refusal and 503 say that another node may do better */
static bool may_fail_over(const struct branch *br)
{
	const struct request *req = br->req;

	return br->node >= 0 && !req->dialog && !req->cancelled &&
		!req->answered && (br->final ? br->code == 503 : !br->media && !br->own);
}


static void failed(struct branch *br)
{
	struct request *req = br->req;

	tmr_cancel(&br->tmr);
	if (!req->le.list || req->answered)
		return;

	if (may_fail_over(br) && proxy_next_node(req)) {
		br->superseded = true;
		proxy_start(req);
		return;
	}
	if (br->code >= 600 && req->msg->method == SIPCORE_INVITE)
		proxy_cancel(req, NULL);
	if (req->le.list && !req->answered && !is_pending(req))
		best_send(req);
}


void response_local(struct branch *br, uint16_t code, const char *why)
{
	struct request *req = br->req;

	if (br->code)
		return;

	br->code = code;
	br->why  = why;
	mem_ref(req);
	if (req->st)
		failed(br);
	else
		request_close(req);
	mem_deref(req);
}


/* ---- the way in */

static void process(struct branch *br, struct sipcore_msg *resp)
{
	struct request *req = br->req;

	if (!br->provisional) {
		br->provisional = true;
		if (br->node >= 0)
			dispatch_works(req->w->e->disp, br->node);
	}

	if (resp->scode < 200) {
		provisional(br, resp);
	}
	else if (resp->scode < 300) {
		success(br, resp);
	}
	else if (!br->code) {
		br->code  = resp->scode;
		br->final = mem_ref(resp);
		failed(br);
	}
}


static void held_destructor(void *arg)
{
	struct held *held = arg;

	list_unlink(&held->le);
	mem_deref(held->msg);
}


/* Responses stay in order while the body of one is with the media role */
static void hold(struct branch *br, struct sipcore_msg *resp)
{
	struct held *held;

	if (list_count(&br->heldl) >= RESP_QUEUE_MAX)
		return;

	held = mem_zalloc(sizeof(*held), held_destructor);
	if (!held)
		return;
	held->msg = mem_ref(resp);
	list_append(&br->heldl, &held->le, held);
}


/* A failure has no body that must wait its turn, and makes all else moot */
static void overtake(struct branch *br)
{
	br->ng = mem_deref(br->ng);
	br->waiting = mem_deref(br->waiting);
	list_flush(&br->heldl);
}


static bool provisional_handler(struct le *le, void *arg)
{
	const struct held *held = le->data;
	(void)arg;

	return held->msg->scode < 200;
}


/* Behind a 2xx the provisional ones say nothing any more */
static void make_room(struct branch *br)
{
	struct le *le;

	while ((le = list_apply(&br->heldl, true, provisional_handler, NULL)))
		mem_deref(le->data);
}


static void queue(struct branch *br, struct sipcore_msg *resp)
{
	if (resp->scode >= 300 && !br->code) {
		overtake(br);
		process(br, resp);
		return;
	}

	if (resp->scode >= 200)
		make_room(br);
	hold(br, resp);
}


void response_held(struct branch *br)
{
	while (br->req->le.list && !br->ng && br->heldl.head) {
		struct held *held = br->heldl.head->data;
		struct sipcore_msg *msg = mem_ref(held->msg);

		mem_deref(held);
		process(br, msg);
		mem_deref(msg);
	}
}


static void broken(struct branch *br, int err)
{
	struct request *req = br->req;

	log_info(req->msg->sid, "branch failed", "dst=%H err=\"%m\"",
		 nat_flow_print, &br->flow, err);

	if (err == ETIMEDOUT) {
		if (br->node >= 0 && !br->provisional)
			dispatch_failed(req->w->e->disp, br->node, "timeout");
		response_local(br, 408, "no answer in time");
		return;
	}
	if (br->node >= 0)
		dispatch_failed(req->w->e->disp, br->node, "refused");
	response_local(br, br->node >= 0 || req->dialog ? 503 : 480,
		       "it cannot be reached");
}


void response_handler(int err, struct sipcore_msg *resp, void *arg)
{
	struct branch *br = arg;
	struct request *req = br->req;

	mem_ref(req);
	if (err)
		broken(br, err);
	else if (br->ng || br->heldl.head)
		queue(br, resp);
	else
		process(br, resp);
	mem_deref(req);
}
