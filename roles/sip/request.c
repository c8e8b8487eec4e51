/**
 * @file request.c  Life and end of one request
 *
 *   ingress -> (challenge) -> registrar | dialog | route -> answered -> closed
 *
 * A request is owned by its lane's list.  It is closed when its final
 * response has been sent; an INVITE answered with 2xx stays until its server
 * transaction ends, since 2xx are repeated (RFC 6026).
 */
#include <string.h>
#include "internal.h"


static void destructor(void *arg)
{
	struct request *req = arg;

	registrar_leave(req);
	tmr_cancel(&req->tmr);
	list_unlink(&req->le);
	if (req->st)
		sipcore_strans_handlers(req->st, NULL, NULL, NULL);
	if (!req->answered)
		atomic_fetch_sub(&req->w->e->active, 1);

	list_flush(&req->branchl);
	mem_deref(req->auth);
	mem_deref(req->sreq);
	mem_deref(req->user);
	mem_deref(req->realm);
	mem_deref(req->st);
	mem_deref(req->msg);
}


/** RFC 3261 16.10 */
static void cancel_handler(struct sipcore_strans *st,
			   struct sipcore_msg *cancel, void *arg)
{
	const struct sipcore_hdr *h;
	struct request *req = arg;
	char hdrs[256] = "";
	(void)st;

	h = sipcore_hdr(cancel, SIPCORE_HDR_REASON, 0);
	if (h && re_snprintf(hdrs, sizeof(hdrs), "Reason: %r\r\n",
			     &h->val) < 0)
		hdrs[0] = '\0';

	log_info(req->msg->sid, "call cancelled by the caller",
		 "aor=%s src=%H", req->aor, nat_flow_print, &cancel->flow);
	mem_ref(req);
	req->cancelled = true;
	if (list_isempty(&req->branchl))
		request_refuse(req, 487, NULL, NULL);
	else
		proxy_cancel(req, hdrs[0] ? hdrs : NULL);
	mem_deref(req);
}


static void end_handler(int err, void *arg)
{
	struct request *req = arg;

	if (err)
		log_debug(req->msg->sid, "transaction ended", "err=\"%m\"",
			  err);
	request_close(req);
}


int request_alloc(struct request **rp, struct lane *w,
		  struct sipcore_strans *st, struct sipcore_msg *msg)
{
	struct request *req;

	if (!rp || !w || !msg)
		return EINVAL;

	req = mem_zalloc(sizeof(*req), destructor);
	if (!req)
		return ENOMEM;

	req->w   = w;
	req->st  = mem_ref(st);
	req->msg = mem_ref(msg);
	req->origin  = ingress_origin(w, &msg->flow);
	req->outside = !cfg_is_internal(w->cfg, &msg->flow.remote);
	req->dialog  = pl_isset(&msg->to.tag);
	tmr_init(&req->tmr);
	list_append(&w->requestl, &req->le, req);
	atomic_fetch_add(&w->e->active, 1);

	if (st)
		sipcore_strans_handlers(st, cancel_handler, end_handler, req);

	*rp = req;

	return 0;
}


/** The lane gives its request up */
void request_close(struct request *req)
{
	if (!req || !req->le.list)
		return;

	list_unlink(&req->le);
	mem_deref(req);
}


void request_answered(struct request *req, uint16_t code)
{
	(void)code;

	if (req->answered)
		return;

	req->answered = true;
	atomic_fetch_sub(&req->w->e->active, 1);
}


void request_refuse(struct request *req, uint16_t code, const char *why,
		    const char *hdrs)
{
	const struct sipcore_msg *msg = req->msg;
	int err = 0;

	if (req->answered)
		return;

	log_info(msg->sid, "request refused",
		 "method=%r code=%u why=\"%s\" uri=\"%r\" src=%H", &msg->met,
		 code, why ? why : sipcore_reason(code), &msg->ruri,
		 nat_flow_print, &msg->flow);

	/* RFC 3261 20.43: 399, for a person to read */
	if (req->st)
		err = sipcore_reply(req->st, code, NULL, "%s%s%s%s",
				    why ? "Warning: 399 voipstack \"" : "",
				    why ? why : "", why ? "\"\r\n" : "",
				    hdrs ? hdrs : "");
	if (err)
		log_warn(msg->sid, "response not sent", "code=%u err=\"%m\"",
			 code, err);

	if (!req->known)
		sipcore_strans_forget(req->st);
	request_answered(req, code);
	request_close(req);
}


bool request_has_sdp(const struct sipcore_msg *msg)
{
	static const char sdp[] = "application/sdp";

	return msg->body.l && msg->ctype.l >= sizeof(sdp) - 1 &&
		!strncasecmp(msg->ctype.p, sdp, sizeof(sdp) - 1);
}


/** Methods whose Record-Route counts (RFC 3261 12.1, 6665, 3515) */
bool request_forms_dialog(const struct sipcore_msg *msg)
{
	switch (msg->method) {

	case SIPCORE_INVITE:
	case SIPCORE_SUBSCRIBE:
	case SIPCORE_NOTIFY:
	case SIPCORE_REFER:
		return true;

	default:
		return false;
	}
}
