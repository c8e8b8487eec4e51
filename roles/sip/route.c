/**
 * @file route.c  Where a request outside a dialog goes (RFC 3261 16.4, 16.5)
 *
 *   from a telephone or a peer -> a PBX node
 *   from a PBX node            -> the contacts of the called AOR
 *
 * Nothing is relayed to a foreign domain.
 */
#include <string.h>
#include "internal.h"


/* ---- domains */

/** A domain of ours, or an address; without a port any of our ports will do */
bool route_is_ours(const struct lane *w, const struct uri *uri)
{
	const struct cfg_addr *v = w->conf->listen.v;

	if (cfg_is_domain(w->cfg, &uri->host) ||
	    sipcore_is_self(w->e->net, uri))
		return true;

	for (size_t i = 0; !uri->port && i < w->conf->listen.n; i++) {
		struct uri own = *uri;

		own.port = sa_port(&v[i].sa);
		if (sipcore_is_self(w->e->net, &own))
			return true;
	}

	return false;
}


const char *route_domain(const struct lane *w, const struct pl *host)
{
	const char *domain;

	for (size_t i = 0; (domain = cfg_domain(w->cfg, i)); i++) {
		if (!pl_strcasecmp(host, domain))
			return domain;
	}

	return cfg_domain(w->cfg, 0);
}


/** user@domain: unescaped, the domain as configured.  Our address stands for
    the first domain */
int route_aor(char *aor, size_t size, const struct lane *w,
	      const struct uri *uri)
{
	if (!pl_isset(&uri->user))
		return EINVAL;

	return re_snprintf(aor, size, "%H@%s", uri_user_unescape, &uri->user,
			   route_domain(w, &uri->host)) < 0 ? EOVERFLOW : 0;
}


/* ---- Route */

static int value_add(struct routes *rs, const struct sipcore_hdr *h,
		     const struct pl *val)
{
	int err;

	if (rs->n >= ROUTE_MAX)
		return EOVERFLOW;

	rs->v[rs->n].h = h;
	err = sipcore_naddr_decode(&rs->v[rs->n].na, val);
	if (!err)
		++rs->n;

	return err;
}


/** Read the Route values, and count ours at the top: one, or two where the
    transport or the address family changes (RFC 5658) */
int route_scan(struct routes *rs, const struct lane *w,
	       const struct sipcore_msg *msg)
{
	const struct sipcore_hdr *h;
	int err = 0;

	memset(rs, 0, sizeof(*rs));
	for (size_t i = 0; (h = sipcore_hdr(msg, SIPCORE_HDR_ROUTE, i)); i++) {
		struct pl rest = h->val, val;

		while (!err && sipcore_val_next(&rest, &val))
			err = value_add(rs, h, &val);
		if (err)
			return err;
	}

	while (rs->own < rs->n && rs->own < 2 &&
	       sipcore_is_self(w->e->net, &rs->v[rs->own].na.uri))
		++rs->own;

	if (rs->own)
		(void)sipcore_param(&rs->v[0].na.uri.params, "vs",
				    &rs->stamp);

	return 0;
}


/* ---- to the PBX */

static void to_pbx(struct request *req)
{
	if (!dispatch_count(req->w->e->disp) || !proxy_next_node(req)) {
		request_refuse(req, 503, "no PBX node is configured",
			       "Retry-After: 10\r\n");
		return;
	}

	proxy_start(req);
}


/* ---- to the contacts of an AOR */

int route_path_flow(struct sipcore_flow *flow, const char *path)
{
	struct sipcore_naddr na;
	struct pl rest, val;
	int err;

	pl_set_str(&rest, path);
	if (!sipcore_val_next(&rest, &val))
		return EBADMSG;

	err = sipcore_naddr_decode(&na, &val);

	return err ? err : sipcore_uri_flow(flow, &na.uri);
}


static int contact_add(struct request *req, const struct binding *b)
{
	struct target t = {.ruri = b->contact, .node = -1};
	struct uri uri;
	struct pl pl;
	bool outside;
	int err;

	pl_set_str(&pl, b->contact);
	err = sipcore_uri_decode(&uri, &pl);
	if (err)
		return err;

	outside = !cfg_is_internal(req->w->cfg, &b->flow.remote);
	if (b->path[0]) {
		t.path = b->path;
		err = route_path_flow(&t.flow, b->path);
	}
	else {
		err = nat_contact_flow(&t.flow, &t.alt, &uri, &b->flow,
				       outside);
	}

	if (err) {
		log_warn(req->msg->sid, "contact cannot be reached",
			 "aor=%s contact=\"%s\" err=\"%m\" "
			 "why=\"its host is a name, not an address\"",
			 req->aor, b->contact, err);
		return err;
	}

	return proxy_target(req, &t);
}


static void subscriber_handler(int err, const struct store_subscriber *s,
			       void *arg)
{
	struct request *req = arg;

	mem_ref(req);
	req->sreq = NULL;
	if (err == ENOENT)
		request_refuse(req, 404, "no such subscriber", NULL);
	else if (err)
		request_refuse(req, 503, "the subscribers cannot be read now",
			       "Retry-After: 5\r\n");
	else if (s && s->disabled)
		request_refuse(req, 404, "this subscriber is disabled", NULL);
	else
		request_refuse(req, 480, "not registered", NULL);
	mem_deref(req);
}


/* Nobody there: is the subscriber unknown, or only away? */
static void nobody(struct request *req)
{
	char user[AOR_SIZE];
	char *at;
	int err;

	str_ncpy(user, req->aor, sizeof(user));
	at = strrchr(user, '@');
	if (!at) {
		request_refuse(req, 404, NULL, NULL);
		return;
	}
	*at = '\0';

	err = store_subscriber_get(req->w->e->store, &req->sreq,
				   STORE_DEADLINE, user, at + 1,
				   subscriber_handler, req);
	if (err)
		request_refuse(req, 503, "the store takes no more",
			       "Retry-After: 5\r\n");
}


static void to_contacts(struct request *req)
{
	const uint64_t now = location_now();
	struct bindings *b;
	size_t found = 0, used = 0;

	b = location_get(req->w->e->loc, req->aor);
	for (size_t i = 0; b && i < b->n; i++) {
		if (b->v[i].expires <= now)
			continue;
		++found;
		if (!contact_add(req, &b->v[i]))
			++used;
	}
	bindings_drop(b);

	if (used)
		proxy_start(req);
	else if (found)
		request_refuse(req, 480, "no contact has an address that "
			       "can be used", NULL);
	else
		nobody(req);
}


/* ---- the decision */

/**
 * A request outside a dialog, from somebody who may send it
 */
void route_request(struct request *req)
{
	const struct sipcore_msg *msg = req->msg;
	struct lane *w = req->w;

	if (route_scan(&req->routes, w, msg)) {
		request_refuse(req, 400, "bad Route", NULL);
		return;
	}
	if (req->routes.own < req->routes.n) {
		request_refuse(req, 403, "Route leads elsewhere: nothing is "
			       "relayed to foreign hosts", NULL);
		return;
	}
	if (!route_is_ours(w, &msg->uri)) {
		request_refuse(req, req->origin == ORIGIN_PHONE ? 403 : 404,
			       "not one of our domains: nothing is relayed "
			       "to foreign hosts", NULL);
		return;
	}
	if (route_aor(req->aor, sizeof(req->aor), w, &msg->uri)) {
		request_refuse(req, 404, "nobody is named", NULL);
		return;
	}

	if (req->origin == ORIGIN_PBX)
		to_contacts(req);
	else
		to_pbx(req);
}
