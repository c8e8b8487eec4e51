/**
 * @file registrar.c  REGISTER (RFC 3261 10.3, RFC 3327)
 *
 * checked -> claim the AOR -> new set -> on disk -> swap -> 200
 *
 * The 200 follows the commit: what we have acknowledged survives.  A claim
 * by another REGISTER of the same AOR is waited for.
 */
#include <string.h>
#include "internal.h"


enum {
	WAIT_STEP  = 5,		/* ms */
	WAIT_TRIES = 400,
	TEXT_SIZE  = 1024,
};

/** What a REGISTER asks for.  Outlives its request while the store writes */
struct reg {
	struct request *req;		/* NULL: nobody waits any more */
	struct lane *w;
	struct bindings *fresh;
	char aor[AOR_SIZE];
	char received[80];
	char *path;
	struct contact contactv[BRANCH_MAX];
	size_t contactc;
	bool star;
	unsigned tries;
};

static struct metric m_ok = METRIC_INIT(COUNTER,
	"sip_registrations_total", "REGISTER answered 200");
static struct metric m_failed = METRIC_INIT(COUNTER,
	"sip_registrations_failed_total", "REGISTER refused");

static void claim_try(void *arg);


void registrar_metrics(void)
{
	metric_register(&m_ok);
	metric_register(&m_failed);
}


static void destructor(void *arg)
{
	struct reg *reg = arg;

	bindings_drop(reg->fresh);
	mem_deref(reg->path);
}


static void refuse(struct request *req, uint16_t code, const char *why,
		   const char *hdrs)
{
	metric_inc(&m_failed);
	request_refuse(req, code, why, hdrs);
}


/* ---- reading the request */

/* Seconds; anything that is no number counts as the default (10.3 step 6) */
static uint32_t expires_read(const struct pl *pl, uint32_t def)
{
	uint64_t v = 0;

	if (!pl_isset(pl) || pl->l > 12)
		return pl_isset(pl) ? UINT32_MAX : def;

	for (size_t i = 0; i < pl->l; i++) {
		if (pl->p[i] < '0' || pl->p[i] > '9')
			return def;
		v = v * 10 + (uint64_t)(pl->p[i] - '0');
	}

	return v > UINT32_MAX ? UINT32_MAX : (uint32_t)v;
}


/* "0.75" -> 750 */
static uint16_t q_read(const struct pl *params)
{
	struct pl pl;
	double q;

	if (!sipcore_param(params, "q", &pl))
		return 1000;
	q = pl_float(&pl);

	return q <= 0 ? 0 : q >= 1 ? 1000 : (uint16_t)(q * 1000 + 0.5);
}


static uint16_t contact_add(struct reg *reg, const struct edge_cfg *conf,
			    const struct pl *val, uint32_t expires,
			    const char **why)
{
	const uint32_t lo = (uint32_t)(conf->registrar.min_expires / 1000);
	const uint32_t hi = (uint32_t)(conf->registrar.max_expires / 1000);
	struct contact *c;
	struct pl pl = pl_null;

	if (reg->contactc >= BRANCH_MAX) {
		*why = "too many contacts";
		return 403;
	}

	c = &reg->contactv[reg->contactc];
	if (sipcore_naddr_decode(&c->na, val) ||
	    sipcore_uri_decode(&c->na.uri, &c->na.auri) ||
	    c->na.auri.l >= TEXT_SIZE) {
		*why = "Contact is no SIP URI, or too long";
		return 400;
	}

	/* no headers in a Request-URI: RFC 3261 16.6 step 2 */
	if (pl_isset(&c->na.uri.headers)) {
		c->na.auri.l = (size_t)(c->na.uri.headers.p - c->na.auri.p);
		c->na.uri.headers = pl_null;
	}

	(void)sipcore_param(&c->na.params, "expires", &pl);
	c->expires = expires_read(&pl, expires);
	c->q = q_read(&c->na.params);

	/* RFC 3261 10.3 step 7: too brief only if it is not a removal */
	if (c->expires && c->expires < lo) {
		*why = "expires too soon";
		return 423;
	}
	c->expires = min(c->expires, hi);
	++reg->contactc;

	return 0;
}


static uint16_t contacts_read(struct reg *reg, const struct edge_cfg *conf,
			      const struct sipcore_msg *msg, const char **why)
{
	const struct sipcore_hdr *h;
	uint32_t expires = (uint32_t)(conf->registrar.default_expires / 1000);
	uint16_t code = 0;
	size_t values = 0;

	h = sipcore_hdr(msg, SIPCORE_HDR_EXPIRES, 0);
	if (h)
		expires = expires_read(&h->val, expires);

	for (size_t i = 0; !code; i++) {
		struct pl rest, val;

		h = sipcore_hdr(msg, SIPCORE_HDR_CONTACT, i);
		if (!h)
			break;

		rest = h->val;
		while (!code && sipcore_val_next(&rest, &val)) {
			++values;
			if (!pl_strcmp(&val, "*"))
				reg->star = true;
			else
				code = contact_add(reg, conf, &val, expires,
						   why);
		}
	}

	/* RFC 3261 10.3 step 6: "*" stands alone, with Expires: 0 */
	if (!code && reg->star && (values != 1 || expires != 0)) {
		*why = "Contact \"*\" must be alone, with Expires 0";
		code = 400;
	}

	return code;
}


/* RFC 3327: kept in order, as one value list */
static int path_read(struct reg *reg, const struct sipcore_msg *msg)
{
	struct mbuf *mb;
	int err = 0;

	if (!sipcore_hdr(msg, SIPCORE_HDR_PATH, 0))
		return str_dup(&reg->path, "");

	mb = mbuf_alloc(256);
	if (!mb)
		return ENOMEM;

	for (size_t i = 0; !err; i++) {
		const struct sipcore_hdr *h;

		h = sipcore_hdr(msg, SIPCORE_HDR_PATH, i);
		if (!h)
			break;
		err = mbuf_printf(mb, "%s%r", i ? ", " : "", &h->val);
	}

	mb->pos = 0;
	if (!err && mb->end > TEXT_SIZE)
		err = EOVERFLOW;
	if (!err)
		err = mbuf_strdup(mb, &reg->path, mb->end);
	mem_deref(mb);

	return err;
}


/* RFC 3327 5.3: an edge proxy adds itself.  A telephone that names somebody
   else would have calls, and their repetitions, sent to a stranger */
static bool path_is_sender(const struct reg *reg)
{
	const struct request *req = reg->req;
	struct sipcore_flow flow;

	return req->origin == ORIGIN_PEER || !reg->path[0] ||
		(!route_path_flow(&flow, reg->path) &&
		 sa_cmp(&flow.remote, &req->msg->flow.remote, SA_ADDR));
}


/* ---- answering */

static int contacts_print(struct re_printf *pf, const void *arg)
{
	const struct bindings *b = arg;
	const uint64_t now = location_now();
	int err = 0;

	for (size_t i = 0; b && i < b->n && !err; i++) {
		const struct binding *v = &b->v[i];

		if (v->expires <= now)
			continue;
		err = re_hprintf(pf, "Contact: <%s>;expires=%u", v->contact,
				 (unsigned)(v->expires - now));
		if (v->q != 1000)
			err |= re_hprintf(pf, ";q=%u.%03u", v->q / 1000,
					  v->q % 1000);
		if (v->instance[0])
			err |= re_hprintf(pf, ";+sip.instance=\"%s\"",
					  v->instance);
		if (v->reg_id)
			err |= re_hprintf(pf, ";reg-id=%u", v->reg_id);
		err |= re_hprintf(pf, "\r\n");
	}

	return err;
}


static void answer(struct request *req, const struct bindings *b,
		   const char *path)
{
	const bool has_path = path && path[0];
	int err;

	err = sipcore_reply(req->st, 200, "OK", "%H%s%s%s", contacts_print, b,
			    has_path ? "Path: " : "", has_path ? path : "",
			    has_path ? "\r\n" : "");
	metric_inc(&m_ok);
	log_info(req->msg->sid, "registration accepted",
		 "aor=%s contacts=%zu src=%H err=%d", req->aor,
		 b ? b->n : (size_t)0, nat_flow_print, &req->msg->flow, err);
	request_answered(req, 200);
	request_close(req);
}


/* ---- the steps */

static void stored(int err, void *arg)
{
	struct reg *reg = arg;
	struct request *req = reg->req;
	struct bindings *b = reg->fresh;

	reg->fresh = NULL;
	if (req)
		req->reg = NULL;

	if (err) {
		location_release(reg->w->e->loc, reg->aor);
		if (req) {
			log_error(req->msg->sid, "registration not stored",
				  "aor=%s err=\"%m\"", reg->aor, err);
			refuse(req, 503, "the registration could not be "
			       "stored", "Retry-After: 5\r\n");
		}
	}
	else {
		/* swapped before the 200: who reads that can be called */
		location_swap(reg->w->e->loc, reg->aor,
			      b->n ? bindings_ref(b) : NULL);
		if (req)
			answer(req, b, reg->path);
	}

	bindings_drop(b);
	mem_deref(reg);
}


static void change(struct reg *reg, struct bindings *old)
{
	struct request *req = reg->req;
	const struct reg_change ch = {
		.req = req, .conf = req->w->conf,
		.received = reg->received, .path = reg->path,
		.contactv = reg->contactv, .contactc = reg->contactc,
		.star = reg->star, .now = location_now(),
	};
	const char *why = NULL;
	uint16_t code;
	int err = 0;

	code = binding_merge(&reg->fresh, old, &ch, &why);
	if (!code)
		err = binding_store(req->w->e->store, NULL, reg->aor,
				    reg->fresh, stored, reg);
	if (!code && !err)
		return;

	location_release(req->w->e->loc, reg->aor);
	req->reg = NULL;
	if (code)
		refuse(req, code, why, NULL);
	else
		refuse(req, 503, "the store takes no more",
		       "Retry-After: 5\r\n");
	mem_deref(reg);
}


static void give_up(struct reg *reg, uint16_t code, const char *why)
{
	struct request *req = reg->req;

	req->reg = NULL;
	refuse(req, code, why, "Retry-After: 5\r\n");
	mem_deref(reg);
}


static void claim_try(void *arg)
{
	struct reg *reg = arg;
	struct request *req = reg->req;
	struct bindings *old = NULL;
	int err;

	err = location_claim(req->w->e->loc, reg->aor, &old);
	if (err == EBUSY && ++reg->tries < WAIT_TRIES)
		tmr_start(&req->tmr, WAIT_STEP, claim_try, reg);
	else if (err)
		give_up(reg, 503, err == EOVERFLOW ? "too many registrations"
			: "another registration of it is under way");
	else
		change(reg, old);

	bindings_drop(old);
}


/* A query: no Contact at all (RFC 3261 10.2.3) */
static void query(struct request *req)
{
	struct bindings *b = location_get(req->w->e->loc, req->aor);

	answer(req, b, NULL);
	bindings_drop(b);
}


static uint16_t reg_read(struct reg *reg, const char **why)
{
	struct request *req = reg->req;
	uint16_t code;

	(void)re_snprintf(reg->received, sizeof(reg->received), "%H",
			  nat_flow_print, &req->msg->flow);

	code = contacts_read(reg, req->w->conf, req->msg, why);
	if (code)
		return code;

	if (path_read(reg, req->msg)) {
		*why = "Path is too long";
		return 400;
	}
	if (!path_is_sender(reg)) {
		*why = "Path leads elsewhere: only a peer may say so";
		return 403;
	}

	return 0;
}


/* RFC 3261 10.3 step 2 */
static bool requires_unknown(struct request *req)
{
	const struct sipcore_hdr *h;
	struct pl rest, val;
	char hdr[128];

	for (size_t i = 0; (h = sipcore_hdr(req->msg, SIPCORE_HDR_REQUIRE,
					    i)); i++) {
		rest = h->val;
		while (sipcore_val_next(&rest, &val)) {
			if (!pl_strcasecmp(&val, "path"))
				continue;
			if (re_snprintf(hdr, sizeof(hdr), "Unsupported: %r"
					"\r\n", &val) < 0)
				hdr[0] = '\0';
			refuse(req, 420, "an extension that we lack", hdr);
			return true;
		}
	}

	return false;
}


/**
 * A REGISTER whose sender is authenticated (or a trusted peer)
 */
void registrar_request(struct request *req)
{
	struct lane *w = req->w;
	struct uri to = req->msg->to.uri;
	const char *why = NULL;
	struct reg *reg;
	uint16_t code;

	if (requires_unknown(req))
		return;

	to.port = 0;
	if (!route_is_ours(w, &to) ||
	    route_aor(req->aor, sizeof(req->aor), w, &to)) {
		refuse(req, 404, "To is not one of our domains", NULL);
		return;
	}
	if (!sipcore_hdr(req->msg, SIPCORE_HDR_CONTACT, 0)) {
		query(req);
		return;
	}

	reg = mem_zalloc(sizeof(*reg), destructor);
	if (!reg) {
		refuse(req, 500, "no memory", NULL);
		return;
	}
	reg->req = req;
	reg->w   = w;
	str_ncpy(reg->aor, req->aor, sizeof(reg->aor));

	code = reg_read(reg, &why);
	if (code) {
		char hdr[64] = "";

		if (code == 423)
			(void)re_snprintf(hdr, sizeof(hdr), "Min-Expires: %u"
				"\r\n", (unsigned)
				(w->conf->registrar.min_expires / 1000));
		refuse(req, code, why, hdr);
		mem_deref(reg);
		return;
	}

	req->reg = reg;
	claim_try(reg);
}


/** The request has gone away: the write, if under way, ends alone */
void registrar_leave(struct request *req)
{
	struct reg *reg = req->reg;

	if (!reg)
		return;

	req->reg = NULL;
	reg->req = NULL;
	if (tmr_isrunning(&req->tmr)) {
		tmr_cancel(&req->tmr);
		mem_deref(reg);
	}
}
