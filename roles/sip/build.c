/**
 * @file build.c  The bytes of a forwarded request (RFC 3261 16.6, RFC 5658)
 *
 * What is not changed here goes out byte for byte.
 */
#include <string.h>
#include "internal.h"


/* ---- Record-Route */

struct rr {
	struct sa local;
	enum cfg_proto proto;
	const char *stamp;
};


static int rr_print(struct re_printf *pf, const void *arg)
{
	const struct rr *rr = arg;

	return re_hprintf(pf, "<sip:%J%s;lr;vs=%s>", &rr->local,
			  rr->proto == CFG_PROTO_TCP ? ";transport=tcp" : "",
			  rr->stamp);
}


static void stamp_fill(struct stamp *st, const struct branch *br)
{
	const struct request *req = br->req;
	const struct lane *w = req->w;

	memset(st, 0, sizeof(*st));
	st->anchored = req->anchor;
	if (req->origin != ORIGIN_PBX) {
		st->flow[CALLER] = req->msg->flow;
		st->outside[CALLER] = req->outside;
	}
	if (br->node < 0) {
		st->flow[CALLEE] = br->flow;
		st->outside[CALLEE] = !cfg_is_internal(w->cfg,
						       &br->flow.remote);
	}
}


/* One value, or two where transport or address change: the first is the
   callee's, the second the caller's */
static int record_route(struct sipcore_edit *ed, const struct branch *br)
{
	const struct request *req = br->req;
	const struct sipcore_msg *msg = req->msg;
	const struct sipcore_hdr *at;
	struct rr in, out;
	char text[STAMP_TEXT_SIZE];
	struct stamp st;
	int err;

	stamp_fill(&st, br);
	err = stamp_encode(req->w->stamper, text, sizeof(text), &st,
			   &msg->callid, &msg->from.tag);
	if (err)
		return err;

	in.proto  = msg->flow.proto;
	out.proto = br->flow.proto;
	in.stamp  = out.stamp = text;
	err  = sipcore_laddr(req->w->core, &msg->flow, &in.local);
	err |= sipcore_laddr(req->w->core, &br->flow, &out.local);
	if (err)
		return EADDRNOTAVAIL;

	at = sipcore_hdr(msg, SIPCORE_HDR_RECORD_ROUTE, 0);
	if (in.proto == out.proto && sa_cmp(&in.local, &out.local, SA_ALL))
		return sipcore_edit_before(ed, at, "Record-Route: %H",
					   rr_print, &out);

	return sipcore_edit_before(ed, at, "Record-Route: %H, %H",
				   rr_print, &out, rr_print, &in);
}


/* ---- Route */

/* Take our own values off the top (16.4); a header of which some values stay
   is written anew */
static int route_drop(struct sipcore_edit *ed, const struct routes *rs)
{
	const struct sipcore_hdr *last = NULL;
	int err = 0;

	for (size_t i = 0; i < rs->own && !err; i++) {
		const struct sipcore_hdr *h = rs->v[i].h;
		const struct pl *val;
		struct pl rest;

		if (h == last)
			continue;
		last = h;
		if (rs->own >= rs->n || rs->v[rs->own].h != h) {
			err = sipcore_edit_drop(ed, h);
			continue;
		}
		val = &rs->v[rs->own].na.val;
		rest.p = val->p;
		rest.l = h->val.p + h->val.l - val->p;
		err = sipcore_edit_replace(ed, h, "Route: %r", &rest);
	}

	return err;
}


static int max_forwards(struct sipcore_edit *ed,
			const struct sipcore_msg *msg)
{
	const struct sipcore_hdr *h;

	h = sipcore_hdr(msg, SIPCORE_HDR_MAX_FORWARDS, 0);
	if (!h || msg->maxfwd < 0)
		return sipcore_edit_append(ed, "Max-Forwards: 70");

	return sipcore_edit_replace(ed, h, "Max-Forwards: %d",
				    msg->maxfwd - 1);
}


/* ---- identity */

static int identity(struct sipcore_edit *ed, const struct branch *br)
{
	static const char nil[] = "00000000000000000000000000000000";
	const struct request *req = br->req;
	const struct sipcore_msg *msg = req->msg;
	const struct sipcore_hdr *h;
	int err = 0;

	if (req->origin == ORIGIN_PHONE) {
		err = ingress_clean(ed, msg);
		for (size_t i = 0; !err; i++) {
			h = sipcore_hdr(msg, SIPCORE_HDR_PROXY_AUTHORIZATION,
					i);
			if (!h)
				break;
			err = sipcore_edit_drop(ed, h);
		}
	}

	/* RFC 3325 5: towards the trusted side only */
	if (!err && req->user && br->node >= 0)
		err = sipcore_edit_append(ed, "P-Asserted-Identity: "
					  "<sip:%H@%s>", uri_user_escape,
					  &req->msg->from.uri.user,
					  req->realm);

	/* RFC 7989 6: on behalf of one that gives none */
	if (!err && !sipcore_hdr(msg, SIPCORE_HDR_SESSION_ID, 0))
		err = sipcore_edit_append(ed, "Session-ID: %s;remote=%s",
					  msg->sid, nil);

	return err;
}


/** What must have changed if the same request comes round again (16.6 step 8)
    without being a loop */
uint32_t build_loop_hash(const struct sipcore_msg *msg)
{
	uint32_t h = hash_joaat_pl(&msg->ruri);

	h = h * 31 + hash_joaat_pl(&msg->callid);
	h = h * 31 + hash_joaat_pl(&msg->from.tag);

	return h * 31 + msg->cseq;
}


/** Put in a body of the media role's making */
int build_sdp(struct sipcore_edit *ed, const struct sipcore_msg *msg,
	      const struct pl *sdp)
{
	(void)msg;

	return sdp && pl_isset(sdp) ? sipcore_edit_body(ed, NULL, sdp) : 0;
}


int build_request(struct mbuf *mb, struct branch *br, const struct pl *sdp)
{
	const struct request *req = br->req;
	const struct sipcore_msg *msg = req->msg;
	struct sipcore_edit ed;
	struct pl pl;
	int err;

	sipcore_edit_init(&ed, msg);

	err = route_drop(&ed, &req->routes);
	err |= max_forwards(&ed, msg);
	err |= identity(&ed, br);
	if (br->ruri) {
		pl_set_str(&pl, br->ruri);
		err |= sipcore_edit_ruri(&ed, &pl);
	}
	if (br->path)
		err |= sipcore_edit_before(&ed, NULL, "Route: %s", br->path);
	if (!req->dialog && br->node < 0)
		err |= sipcore_edit_append(&ed, "X-Voipstack-Loop: %08x",
					   build_loop_hash(msg));
	if (!req->dialog && request_forms_dialog(msg))
		err |= record_route(&ed, br);
	err |= build_sdp(&ed, msg, sdp);

	if (!err)
		err = sipcore_edit_write(mb, &ed);
	sipcore_edit_close(&ed);

	return err;
}
