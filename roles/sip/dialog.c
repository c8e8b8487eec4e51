/**
 * @file dialog.c  Requests inside a dialog (RFC 3261 16.4, 16.12)
 *
 * signed Route -> which side wrote it -> where the other side is
 *   -> (NG offer) -> proxy.  BYE ends the media, an ACK has no response.
 *
 * What is needed travels in the Route: any sip node, and one that was
 * restarted, can serve it.  A telephone is reached where its dialog began,
 * never where somebody's Contact or Route says.
 */
#include <string.h>
#include "internal.h"


static struct metric m_forged = METRIC_INIT(COUNTER,
	"sip_routes_forged_total", "requests with a Route that is not ours");


void dialog_metrics(void)
{
	metric_register(&m_forged);
}


/* ---- our signature */

/* 0, or the status to refuse it with */
static uint16_t stamp_check(struct request *req, const char **why)
{
	struct lane *w = req->w;

	if (route_scan(&req->routes, w, req->msg)) {
		*why = "bad Route";
		return 400;
	}
	if (!req->routes.own || !pl_isset(&req->routes.stamp)) {
		*why = "no such dialog goes through here";
		return 481;
	}
	if (stamp_decode(w->stamper, &req->stamp, &req->from,
			 &req->routes.stamp, req->msg)) {
		metric_inc(&m_forged);
		*why = "the Route is not the one that we gave this dialog";
		return 403;
	}

	return 0;
}


/* ---- where the other side is */

static int peer_flow(struct sipcore_flow *flow, const struct request *req)
{
	const struct routes *rs = &req->routes;
	const struct sipcore_flow *pin = &req->stamp.flow[!req->from];
	int err;

	if (pin->proto != CFG_PROTO_ANY) {
		*flow = *pin;
		return 0;
	}

	err = sipcore_uri_flow(flow, rs->own < rs->n
			       ? &rs->v[rs->own].na.uri : &req->msg->uri);
	if (err)
		return err;

	return ingress_origin(req->w, flow) == ORIGIN_PHONE ? EACCES : 0;
}


static uint16_t target_add(struct request *req, const char **why)
{
	struct target t = {.node = -1};
	int err;

	err = peer_flow(&t.flow, req);
	if (err == EACCES) {
		*why = "the other side is no PBX of ours";
		return 403;
	}
	if (err) {
		*why = "the other side's address is a name";
		return 502;
	}

	return proxy_target(req, &t) ? 500 : 0;
}


/* ---- media */

/* RFC 3262 5: an answer only where the reliable 1xx had the offer */
static void late_answer(struct request *req)
{
	struct call *call;

	if (!request_has_sdp(req->msg))
		return;

	call = calls_find(req->w->calls, &req->msg->callid);
	if (call && call->late) {
		call->late = false;
		req->body_is_answer = req->msg->method == SIPCORE_PRACK;
	}
}


static bool carries_media(const struct sipcore_msg *msg)
{
	switch (msg->method) {

	case SIPCORE_INVITE:
	case SIPCORE_UPDATE:
	case SIPCORE_PRACK:
	case SIPCORE_ACK:
		return true;

	default:
		return false;
	}
}


/* ---- in */

static void prepare(struct request *req)
{
	req->anchor = req->stamp.anchored && carries_media(req->msg);
	req->outside = req->stamp.outside[req->from];
	late_answer(req);
	(void)re_snprintf(req->aor, sizeof(req->aor), "%r",
			  &req->msg->to.auri);
}


void dialog_request(struct request *req)
{
	const char *why = NULL;
	uint16_t code;

	code = stamp_check(req, &why);
	req->known = !code;
	if (!code)
		code = target_add(req, &why);
	if (code) {
		request_refuse(req, code, why, NULL);
		return;
	}

	prepare(req);
	proxy_start(req);
}


static bool ack_check(struct request *req)
{
	const char *why = NULL;

	if (req->msg->maxfwd == 0)
		why = "Max-Forwards is used up";
	else if (!stamp_check(req, &why) && !target_add(req, &why))
		why = ingress_plain_media(req);

	if (why)
		log_info(req->msg->sid, "ACK dropped", "why=\"%s\" src=%H",
			 why, nat_flow_print, &req->msg->flow);

	return !why;
}


/** ACK to a 2xx: forwarded, never answered, never challenged */
void dialog_ack(struct lane *w, struct sipcore_msg *msg)
{
	struct request *req;

	if (request_alloc(&req, w, NULL, msg))
		return;

	mem_ref(req);
	if (ack_check(req)) {
		prepare(req);
		/* RFC 3261 13.2.2.4: a body in it is the answer */
		req->body_is_answer = true;
		proxy_start(req);
	}
	else {
		request_close(req);
	}
	mem_deref(req);
}


/** BYE has been answered, or will never be */
void dialog_ended(struct request *req)
{
	struct call *call;

	if (req->stamp.anchored)
		anchor_delete(req->w, req->msg);

	call = calls_find(req->w->calls, &req->msg->callid);
	mem_deref(call);
	log_info(req->msg->sid, "call ended", "by=\"%r\"",
		 &req->msg->from.auri);
}
