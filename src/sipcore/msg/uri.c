/**
 * @file sipcore/msg/uri.c  SIP and SIPS URIs: read, compare (RFC 3261 19.1)
 */
#include <string.h>
#include <strings.h>
#include <re.h>
#include "cfg/cfg.h"
#include "sipcore/sipcore.h"
#include "sipcore/internal.h"


static bool is_host_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
		(c >= '0' && c <= '9') || c == '.' || c == '-' || c == '_';
}


/* Take "host" or "[v6]" off the front of pl; af tells if it is a number */
int sipcore_host_take(struct pl *pl, struct pl *host, int *af)
{
	struct sa sa;
	size_t n = 0;

	if (pl->l && pl->p[0] == '[') {
		const char *end = memchr(pl->p, ']', pl->l);

		if (!end)
			return EBADMSG;

		host->p = pl->p + 1;
		host->l = (size_t)(end - host->p);
		if (host->l > 45 || sa_set(&sa, host, 0) ||
		    sa_af(&sa) != AF_INET6)
			return EBADMSG;

		*af = AF_INET6;
		pl_advance(pl, (ssize_t)host->l + 2);
		return 0;
	}

	while (n < pl->l && is_host_char(pl->p[n]))
		++n;

	if (!n || n > 255)
		return EBADMSG;

	host->p = pl->p;
	host->l = n;
	pl_advance(pl, (ssize_t)n);

	/* only what ends in a digit can be an IPv4 address */
	*af = (n < 16 && host->p[n-1] >= '0' && host->p[n-1] <= '9' &&
	       !sa_set(&sa, host, 0)) ? sa_af(&sa) : AF_UNSPEC;

	return 0;
}


/* Take digits off the front of pl */
int sipcore_port_take(struct pl *pl, uint16_t *port)
{
	struct pl num = {pl->p, 0};
	uint32_t v;

	while (num.l < pl->l && num.p[num.l] >= '0' && num.p[num.l] <= '9')
		++num.l;

	if (num.l > 5 || sipcore_u32(&num, &v) || !v || v > 65535)
		return EBADMSG;

	*port = (uint16_t)v;
	pl_advance(pl, (ssize_t)num.l);

	return 0;
}


/* The part before @: user[:password] */
static void userinfo_take(struct pl *pl, struct uri *uri)
{
	const char *at = memchr(pl->p, '@', pl->l), *colon;

	if (!at)
		return;

	uri->user.p = pl->p;
	uri->user.l = (size_t)(at - pl->p);
	pl_advance(pl, (ssize_t)uri->user.l + 1);

	colon = memchr(uri->user.p, ':', uri->user.l);
	if (colon) {
		uri->password.p = colon + 1;
		uri->password.l = (size_t)(at - colon - 1);
		uri->user.l = (size_t)(colon - uri->user.p);
	}
}


/* No white space, control or delimiter may stand anywhere in a URI */
static bool is_uri_text(const struct pl *pl)
{
	for (size_t i=0; i<pl->l; i++) {
		const unsigned char c = (unsigned char)pl->p[i];

		if (c <= ' ' || c == 0x7f || c == '<' || c == '>' || c == '"')
			return false;
	}

	return pl->l > 0;
}


static int scheme_take(struct pl *pl, struct pl *scheme)
{
	const char *colon = memchr(pl->p, ':', pl->l);

	if (!colon || colon == pl->p)
		return EBADMSG;

	scheme->p = pl->p;
	scheme->l = (size_t)(colon - pl->p);

	for (size_t i=0; i<scheme->l; i++) {
		const char c = scheme->p[i];

		if (!is_host_char(c) && c != '+')
			return EBADMSG;
	}

	pl_advance(pl, (ssize_t)scheme->l + 1);

	return pl_strcasecmp(scheme, "sip") && pl_strcasecmp(scheme, "sips") ?
		ENOTSUP : 0;
}


int sipcore_uri_decode(struct uri *uri, const struct pl *pl)
{
	struct uri u;
	struct pl rest;
	const char *q;
	int err;

	if (!uri || !pl || !pl->p)
		return EINVAL;

	memset(uri, 0, sizeof(*uri));
	memset(&u, 0, sizeof(u));
	rest = *pl;

	if (!is_uri_text(&rest))
		return EBADMSG;

	err = scheme_take(&rest, &u.scheme);
	if (err)
		return err;

	userinfo_take(&rest, &u);

	err = sipcore_host_take(&rest, &u.host, &u.af);
	if (err)
		return err;

	if (rest.l && rest.p[0] == ':') {
		pl_advance(&rest, 1);
		err = sipcore_port_take(&rest, &u.port);
		if (err)
			return err;
	}

	q = memchr(rest.p, '?', rest.l);
	if (q) {
		u.headers.p = q;
		u.headers.l = (size_t)(rest.p + rest.l - q);
		rest.l -= u.headers.l;
	}

	if (rest.l && rest.p[0] != ';')
		return EBADMSG;

	u.params = rest;
	*uri = u;

	return 0;
}


static int hexval(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;

	return -1;
}


/* One character, %41 read as A */
static int char_take(struct pl *pl)
{
	int c = (unsigned char)pl->p[0];
	int hi, lo;

	if (c == '%' && pl->l >= 3 && (hi = hexval(pl->p[1])) >= 0 &&
	    (lo = hexval(pl->p[2])) >= 0) {
		pl_advance(pl, 3);
		return hi << 4 | lo;
	}

	pl_advance(pl, 1);

	return c;
}


static int fold_case(int c)
{
	return c >= 'A' && c <= 'Z' ? c | 0x20 : c;
}


/* RFC 3261 19.1.4: an escaped character equals the character itself */
static bool text_equal(struct pl a, struct pl b, bool anycase)
{
	while (a.l && b.l) {
		int x = char_take(&a), y = char_take(&b);

		if (anycase) {
			x = fold_case(x);
			y = fold_case(y);
		}

		if (x != y)
			return false;
	}

	return a.l == b.l;
}


static bool host_equal(const struct uri *a, const struct uri *b)
{
	struct sa x, y;

	if (a->af == AF_INET6 && b->af == AF_INET6 &&
	    !sa_set(&x, &a->host, 0) && !sa_set(&y, &b->host, 0))
		return sa_cmp(&x, &y, SA_ADDR);

	return !pl_casecmp(&a->host, &b->host);
}


struct cmp {
	const struct pl *other;
	bool equal;
};


/* What is in one only is ignored, but for these five */
static bool must_be_in_both(const struct pl *name)
{
	return !pl_strcasecmp(name, "transport") ||
		!pl_strcasecmp(name, "user") ||
		!pl_strcasecmp(name, "ttl") ||
		!pl_strcasecmp(name, "method") ||
		!pl_strcasecmp(name, "maddr");
}


static void param_cmp(const struct pl *name, const struct pl *val, void *arg)
{
	struct cmp *cmp = arg;
	char buf[32];
	struct pl v = PL_INIT, mine = val ? *val : pl_null;

	if (name->l >= sizeof(buf))
		return;

	(void)pl_strcpy(name, buf, sizeof(buf));

	if (!sipcore_param(cmp->other, buf, &v)) {
		if (must_be_in_both(name))
			cmp->equal = false;
	}
	else if (!text_equal(v, mine, true))
		cmp->equal = false;
}


static void params_apply(const struct pl *params, struct cmp *cmp)
{
	struct pl rest = *params;

	while (rest.l && cmp->equal) {
		const char *semi, *eq;
		struct pl name, val = PL_INIT;

		pl_advance(&rest, 1);
		semi = memchr(rest.p, ';', rest.l);
		name.p = rest.p;
		name.l = semi ? (size_t)(semi - rest.p) : rest.l;
		pl_advance(&rest, (ssize_t)name.l);

		eq = memchr(name.p, '=', name.l);
		if (eq) {
			val.p = eq + 1;
			val.l = (size_t)(name.p + name.l - val.p);
			name.l = (size_t)(eq - name.p);
		}

		param_cmp(&name, &val, cmp);
	}
}


/* Any order, none missing */
static bool headers_equal(const struct pl *a, const struct pl *b)
{
	struct pl rest = *a;

	if (a->l != b->l)
		return false;

	while (rest.l) {
		struct pl one, other = *b;
		bool found = false;
		const char *amp;

		pl_advance(&rest, 1);
		amp = memchr(rest.p, '&', rest.l);
		one.p = rest.p;
		one.l = amp ? (size_t)(amp - rest.p) : rest.l;
		pl_advance(&rest, (ssize_t)one.l);

		while (other.l && !found) {
			struct pl o;

			pl_advance(&other, 1);
			amp = memchr(other.p, '&', other.l);
			o.p = other.p;
			o.l = amp ? (size_t)(amp - other.p) : other.l;
			pl_advance(&other, (ssize_t)o.l);
			found = text_equal(one, o, true);
		}

		if (!found)
			return false;
	}

	return true;
}


bool sipcore_uri_cmp(const struct uri *a, const struct uri *b)
{
	struct cmp cmp = {NULL, true};

	if (!a || !b)
		return false;

	if (pl_casecmp(&a->scheme, &b->scheme) ||
	    !text_equal(a->user, b->user, false) ||
	    !text_equal(a->password, b->password, false) ||
	    !host_equal(a, b) || a->port != b->port)
		return false;

	cmp.other = &b->params;
	params_apply(&a->params, &cmp);
	cmp.other = &a->params;
	params_apply(&b->params, &cmp);

	return cmp.equal && headers_equal(&a->headers, &b->headers);
}
