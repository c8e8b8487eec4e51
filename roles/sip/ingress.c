/**
 * @file ingress.c  What a request must pass before it is served
 *                  (RFC 3261 16.3, 22.3, 26.3.2)
 *
 * checks -> encryption policy -> who sent it -> challenge -> From is theirs
 *   -> registrar | route;  inside a dialog: our signed Route instead
 */
#include <string.h>
#include "internal.h"


#define ALLOW "Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, REGISTER, UPDATE, "\
	"PRACK, INFO, REFER, NOTIFY, SUBSCRIBE, MESSAGE, PUBLISH\r\n"

/** Beside "P-..." (RFC 3325, 3427) and our own: only trusted nodes may say so */
static const char *const privatev[] = {
	"Privacy", "Remote-Party-ID",
};

static struct metric m_requests = METRIC_INIT(COUNTER,
	"sip_requests_total", "requests outside transactions");
static struct metric m_challenged = METRIC_INIT(COUNTER,
	"sip_challenges_total", "requests answered with a challenge");
static struct metric m_denied = METRIC_INIT(COUNTER,
	"sip_auth_failed_total", "requests with wrong credentials");
static struct metric m_dropped = METRIC_INIT(COUNTER,
	"sip_requests_dropped_total", "requests dropped: no memory, bad ACK");


void ingress_metrics(void)
{
	metric_register(&m_requests);
	metric_register(&m_challenged);
	metric_register(&m_denied);
	metric_register(&m_dropped);
}


/* ---- who sent it */

/** A listed peer, by address, and by port where one is given */
static bool is_peer(const struct lane *w, const struct sipcore_flow *flow)
{
	const struct cfg_addr *v = w->conf->peers.v;

	for (size_t i = 0; i < w->conf->peers.n; i++) {
		const int flag = sa_port(&v[i].sa) ? SA_ALL : SA_ADDR;

		if ((v[i].proto == CFG_PROTO_ANY ||
		     v[i].proto == flow->proto) &&
		    sa_cmp(&v[i].sa, &flow->remote, flag))
			return true;
	}

	return false;
}


enum origin ingress_origin(const struct lane *w,
			   const struct sipcore_flow *flow)
{
	if (dispatch_is_node(w->e->disp, flow))
		return ORIGIN_PBX;

	return is_peer(w, flow) ? ORIGIN_PEER : ORIGIN_PHONE;
}


/* ---- encryption policy of the network */

static bool is_encrypted(enum cfg_proto proto)
{
	return proto == CFG_PROTO_TLS || proto == CFG_PROTO_WSS;
}


static bool must_encrypt(const struct request *req)
{
	return req->origin == ORIGIN_PHONE &&
		cfg_encryption(req->w->cfg, &req->msg->flow.remote) ==
		CFG_ENC_REQUIRED;
}


/** SDES counts only where its key cannot be read on the way */
const char *ingress_plain_media(const struct request *req)
{
	const struct sipcore_msg *msg = req->msg;
	struct sdpx sdp;

	if (!must_encrypt(req) || !request_has_sdp(msg))
		return NULL;

	if (sdpx_decode(&sdp, msg->body.p, msg->body.l))
		return "the session description cannot be read";

	for (size_t i = 0; i < sdp.mediac; i++) {
		const struct sdpx_media *m = &sdp.mediav[i];

		if (m->rejected || m->fingerprint)
			continue;
		if (!m->crypto)
			return "plain RTP from outside is refused: use SRTP";
		if (!is_encrypted(msg->flow.proto))
			return "SRTP keys over plain SIP are refused: "
				"use SIP over TLS";
	}

	return NULL;
}


static bool encryption_check(struct request *req)
{
	const char *why;

	if (!must_encrypt(req))
		return true;

	if (req->msg->method == SIPCORE_REGISTER &&
	    !is_encrypted(req->msg->flow.proto)) {
		request_refuse(req, 403, "plain SIP from outside is refused: "
			       "register over TLS", NULL);
		return false;
	}

	why = ingress_plain_media(req);
	if (why)
		request_refuse(req, 488, why, NULL);

	return !why;
}


/* ---- RFC 3261 16.3 */

static bool own_via(const struct lane *w, const struct sipcore_msg *msg)
{
	const struct sipcore_hdr *h;

	for (size_t i = 0; (h = sipcore_hdr(msg, SIPCORE_HDR_VIA, i)); i++) {
		struct pl rest = h->val, val;

		while (sipcore_val_next(&rest, &val)) {
			struct sipcore_via via;
			struct uri uri;

			memset(&uri, 0, sizeof(uri));
			if (sipcore_via_decode(&via, &val))
				continue;
			uri.host = via.host;
			uri.port = via.port;
			if (sipcore_is_self(w->e->net, &uri))
				return true;
		}
	}

	return false;
}


/* 16.3 step 4: ours already, and as it was then (otherwise a spiral) */
static bool is_loop(const struct lane *w, const struct sipcore_msg *msg)
{
	const struct sipcore_hdr *h;
	char hash[16];

	h = sipcore_hdr_name(msg, "X-Voipstack-Loop", 0);
	if (!h || !own_via(w, msg))
		return false;
	if (re_snprintf(hash, sizeof(hash), "%08x", build_loop_hash(msg)) < 0)
		return false;

	return !pl_strcmp(&h->val, hash);
}


static bool basics_check(struct request *req)
{
	const struct sipcore_msg *msg = req->msg;
	const struct sipcore_hdr *h;
	char hdr[160];

	if (!msg->uri_ok) {
		request_refuse(req, 416, "only sip and sips URIs are served",
			       NULL);
		return false;
	}
	if (msg->maxfwd == 0 && msg->method != SIPCORE_REGISTER) {
		request_refuse(req, 483, NULL, NULL);
		return false;
	}
	if (is_loop(req->w, msg)) {
		request_refuse(req, 482, NULL, NULL);
		return false;
	}

	h = sipcore_hdr(msg, SIPCORE_HDR_PROXY_REQUIRE, 0);
	if (h) {
		if (re_snprintf(hdr, sizeof(hdr), "Unsupported: %r\r\n",
				&h->val) < 0)
			hdr[0] = '\0';
		request_refuse(req, 420, NULL, hdr);
		return false;
	}

	return true;
}


/** A multipart body may hide a session description from the media role */
static bool body_check(struct request *req)
{
	static const char multi[] = "multipart/";
	const struct sipcore_msg *msg = req->msg;

	if (!req->w->conf->anchor || msg->ctype.l < sizeof(multi) - 1 ||
	    strncasecmp(msg->ctype.p, multi, sizeof(multi) - 1))
		return true;
	if (msg->method != SIPCORE_INVITE && msg->method != SIPCORE_UPDATE &&
	    msg->method != SIPCORE_PRACK)
		return true;

	request_refuse(req, 415, NULL, "Accept: application/sdp\r\n");

	return false;
}


/** The server itself, not somebody at it */
static bool is_ping(const struct request *req)
{
	const struct sipcore_msg *msg = req->msg;

	return msg->method == SIPCORE_OPTIONS && !req->dialog &&
		msg->uri_ok && !pl_isset(&msg->uri.user) &&
		route_is_ours(req->w, &msg->uri);
}


static void ping_answer(struct request *req)
{
	(void)sipcore_reply(req->st, 200, "OK", ALLOW
			    "Accept: application/sdp\r\n"
			    "Supported: path\r\n");
	sipcore_strans_forget(req->st);
	request_answered(req, 200);
	request_close(req);
}


/* ---- challenge */

static void serve(struct request *req)
{
	req->known = true;
	if (req->msg->method == SIPCORE_REGISTER)
		registrar_request(req);
	else
		route_request(req);
}


/* RFC 3261 22.1: who authenticated may speak for himself only.  For a
   REGISTER it is To that counts (10.3 step 4) */
static bool owns_identity(const struct request *req)
{
	const struct sipcore_msg *msg = req->msg;
	const struct sipcore_naddr *na[2] = {&msg->from, &msg->to};
	const size_t n = msg->method == SIPCORE_REGISTER ? 2 : 1;
	char aor[AOR_SIZE], own[AOR_SIZE];

	if (re_snprintf(own, sizeof(own), "%s@%s", req->user,
			req->realm) < 0)
		return false;

	for (size_t i = 0; i < n; i++) {
		struct uri uri = na[i]->uri;

		uri.port = 0;	/* no part of who somebody is */
		if (!route_is_ours(req->w, &uri) ||
		    route_aor(aor, sizeof(aor), req->w, &uri) ||
		    strcmp(aor, own))
			return false;
	}

	return true;
}


static void challenge(struct request *req, bool stale)
{
	const bool reg = req->msg->method == SIPCORE_REGISTER;
	const struct sipauth_chal chal = {
		.sa = req->w->auth, .proxy = !reg, .realm = req->realm,
		.stale = stale,
		.md5_only = req->w->conf->digest == EDGE_DIGEST_MD5,
	};
	int err;

	metric_inc(&m_challenged);
	log_debug(req->msg->sid, "request challenged",
		  "method=%r from=\"%r\" src=%H", &req->msg->met,
		  &req->msg->from.auri, nat_flow_print, &req->msg->flow);

	err = sipcore_reply(req->st, reg ? 401 : 407, NULL, "%H",
			    sipauth_challenge_print, &chal);
	if (err)
		log_warn(req->msg->sid, "challenge not sent", "err=\"%m\"",
			 err);
	sipcore_strans_forget(req->st);
	request_answered(req, 401);
	request_close(req);
}


static void denied(struct request *req)
{
	metric_inc(&m_denied);
	log_warn(req->msg->sid, "wrong credentials",
		 "method=%r from=\"%r\" src=%H", &req->msg->met,
		 &req->msg->from.auri, nat_flow_print, &req->msg->flow);
	request_refuse(req, 403, NULL, NULL);
}


static void auth_handler(enum sipauth_verdict v, const char *user,
			 const char *realm, void *arg)
{
	struct request *req = arg;
	(void)realm;

	mem_ref(req);
	req->auth = NULL;

	switch (v) {

	case SIPAUTH_OK:
		req->known = true;
		if (str_dup(&req->user, user))
			request_refuse(req, 500, "no memory", NULL);
		else if (!owns_identity(req))
			request_refuse(req, 403, req->msg->method ==
				       SIPCORE_REGISTER ?
				       "you may register yourself only" :
				       "From is not the authenticated user",
				       NULL);
		else
			serve(req);
		break;

	case SIPAUTH_CHALLENGE:
	case SIPAUTH_STALE:
		challenge(req, v == SIPAUTH_STALE);
		break;

	case SIPAUTH_DENIED:
		denied(req);
		break;

	default:
		request_refuse(req, 503, "the subscribers cannot be read now",
			       "Retry-After: 5\r\n");
		break;
	}

	mem_deref(req);
}


static void authenticate(struct request *req)
{
	const bool reg = req->msg->method == SIPCORE_REGISTER;
	int err;

	mem_ref(req);
	err = str_dup(&req->realm, route_domain(req->w, reg ?
				   &req->msg->to.uri.host :
				   &req->msg->from.uri.host));
	err = err ? err : sipauth_check(&req->auth, req->w->auth, !reg, req->msg,
			    req->realm, auth_handler, req);
	if (err)
		request_refuse(req, 500, "no memory", NULL);
	mem_deref(req);
}


/* ---- the way in */

static void pass(struct request *req)
{
	if (is_ping(req)) {
		ping_answer(req);
		return;
	}
	if (!basics_check(req) || !encryption_check(req) || !body_check(req))
		return;

	/* a REGISTER makes no dialog, whatever its To says */
	if (req->dialog && req->msg->method != SIPCORE_REGISTER)
		dialog_request(req);
	else if (req->origin == ORIGIN_PHONE)
		authenticate(req);
	else if (req->msg->method == SIPCORE_REGISTER &&
		 req->origin != ORIGIN_PEER)
		request_refuse(req, 403, "a PBX does not register", NULL);
	else
		serve(req);
}


void ingress_request(struct sipcore *core, struct sipcore_strans *st,
		     struct sipcore_msg *msg, void *arg)
{
	struct lane *w = arg;
	struct request *req;
	int err;
	(void)core;

	metric_inc(&m_requests);

	if (!st) {
		dialog_ack(w, msg);
		return;
	}

	err = request_alloc(&req, w, st, msg);
	if (err) {
		metric_inc(&m_dropped);
		(void)sipcore_reply(st, 500, NULL, "");
		return;
	}

	mem_ref(req);
	pass(req);
	mem_deref(req);
}


/** Leave out what only trusted nodes may say */
int ingress_clean(struct sipcore_edit *ed, const struct sipcore_msg *msg)
{
	static const char own[] = "X-Voipstack-", priv[] = "P-";
	int err = 0;

	for (size_t i = 0; i < msg->hdrc && !err; i++) {
		const struct sipcore_hdr *h = &msg->hdrv[i];
		bool drop = h->name.l >= sizeof(own) - 1 &&
			!strncasecmp(h->name.p, own, sizeof(own) - 1);

		/* RFC 3427: private extensions */
		drop = drop || (h->name.l >= sizeof(priv) - 1 &&
				!strncasecmp(h->name.p, priv,
					     sizeof(priv) - 1));
		for (size_t j = 0; j < ARRAY_SIZE(privatev) && !drop; j++)
			drop = !pl_strcasecmp(&h->name, privatev[j]);
		if (drop)
			err = sipcore_edit_drop(ed, h);
	}

	return err;
}
