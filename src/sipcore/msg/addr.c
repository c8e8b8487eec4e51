/**
 * @file sipcore/msg/addr.c  name-addr and Via (RFC 3261 20.10, 20.42)
 */
#include <string.h>
#include <strings.h>
#include <re.h>
#include "cfg/cfg.h"
#include "sipcore/sipcore.h"
#include "sipcore/internal.h"


/* <URI> behind the display name; rest begins with '<' */
static int angle_take(struct sipcore_naddr *na, struct pl *rest)
{
	const char *end = memchr(rest->p, '>', rest->l);

	if (!end)
		return EBADMSG;

	na->auri.p = rest->p + 1;
	na->auri.l = (size_t)(end - rest->p - 1);
	pl_advance(rest, (ssize_t)na->auri.l + 2);

	return 0;
}


/* addr-spec: the URI ends where the header's parameters begin; one with a
   question mark or comma must stand in <> (RFC 3261 20) */
static int bare_take(struct sipcore_naddr *na, struct pl *rest)
{
	size_t n = 0;

	while (n < rest->l && rest->p[n] != ';') {

		if (rest->p[n] == '?' || rest->p[n] == ',')
			return EBADMSG;
		++n;
	}

	na->auri.p = rest->p;
	na->auri.l = n;
	pl_advance(rest, (ssize_t)n);
	sipcore_trim(&na->auri);

	return 0;
}


/* "quoted", which must be followed by '<'; rest begins with the quote */
static int quoted_take(struct sipcore_naddr *na, struct pl *rest)
{
	size_t n;

	for (n = 1; n < rest->l && rest->p[n] != '"'; n++) {
		if (rest->p[n] == '\\')
			++n;
	}

	if (n >= rest->l)
		return EBADMSG;

	na->dname.p = rest->p + 1;
	na->dname.l = n - 1;
	pl_advance(rest, (ssize_t)n + 1);
	while (rest->l && sipcore_is_ws(rest->p[0]))
		pl_advance(rest, 1);

	return rest->l && rest->p[0] == '<' ? 0 : EBADMSG;
}


/* What stands in front of '<', if there is one */
static int dname_take(struct sipcore_naddr *na, struct pl *rest)
{
	size_t n = 0;

	if (rest->l && rest->p[0] == '"')
		return quoted_take(na, rest);

	while (n < rest->l && rest->p[n] != '<' && rest->p[n] != ';' &&
	       rest->p[n] != '"')
		++n;

	if (n == rest->l || rest->p[n] == ';')
		return 0;

	if (rest->p[n] == '"')
		return EBADMSG;

	na->dname.p = rest->p;
	na->dname.l = n;
	pl_advance(rest, (ssize_t)n);
	sipcore_trim(&na->dname);

	return 0;
}


int sipcore_naddr_decode(struct sipcore_naddr *na, const struct pl *val)
{
	struct sipcore_naddr a;
	struct pl rest;
	int err;

	if (!na || !val || !val->p)
		return EINVAL;

	memset(na, 0, sizeof(*na));
	memset(&a, 0, sizeof(a));
	rest = *val;
	sipcore_trim(&rest);
	a.val = rest;

	err = dname_take(&a, &rest);
	if (err)
		return err;

	err = rest.l && rest.p[0] == '<' ? angle_take(&a, &rest)
					 : bare_take(&a, &rest);
	if (err)
		return err;

	sipcore_trim(&rest);
	if (rest.l && rest.p[0] != ';')
		return EBADMSG;

	a.params = rest;
	(void)sipcore_param(&rest, "tag", &a.tag);

	err = sipcore_uri_decode(&a.uri, &a.auri);
	if (err == ENOTSUP)
		memset(&a.uri, 0, sizeof(a.uri));
	else if (err)
		return err;

	*na = a;

	return 0;
}


static void ws_skip(struct pl *pl)
{
	while (pl->l && sipcore_is_ws(pl->p[0]))
		pl_advance(pl, 1);
}


/* A token and, when slash is set, the "/" behind it */
static int word_take(struct pl *rest, struct pl *word, bool slash)
{
	ws_skip(rest);
	word->p = rest->p;
	word->l = 0;

	while (word->l < rest->l && !sipcore_is_ws(word->p[word->l]) &&
	       word->p[word->l] != '/' && word->p[word->l] != ';')
		++word->l;

	pl_advance(rest, (ssize_t)word->l);
	ws_skip(rest);

	if (slash) {
		if (!rest->l || rest->p[0] != '/')
			return EBADMSG;
		pl_advance(rest, 1);
	}

	return sipcore_is_token(word) ? 0 : EBADMSG;
}


int sipcore_via_decode(struct sipcore_via *via, const struct pl *val)
{
	static const size_t cookie_len = 7;
	struct sipcore_via v;
	struct pl rest, sip, ver, transp;
	int af;

	if (!via || !val || !val->p)
		return EINVAL;

	memset(via, 0, sizeof(*via));
	memset(&v, 0, sizeof(v));
	rest = *val;
	sipcore_trim(&rest);
	v.val = rest;

	/* any version: the answer 505 goes by this Via too */
	if (word_take(&rest, &sip, true) || pl_strcasecmp(&sip, "SIP") ||
	    word_take(&rest, &ver, true) ||
	    word_take(&rest, &transp, false))
		return EBADMSG;

	v.proto = sipcore_name_proto(&transp);

	if (sipcore_host_take(&rest, &v.host, &af))
		return EBADMSG;

	ws_skip(&rest);
	if (rest.l && rest.p[0] == ':') {
		pl_advance(&rest, 1);
		ws_skip(&rest);
		if (sipcore_port_take(&rest, &v.port))
			return EBADMSG;
		ws_skip(&rest);
	}

	if (rest.l && rest.p[0] != ';')
		return EBADMSG;

	v.params = rest;
	(void)sipcore_param(&rest, "branch", &v.branch);
	v.rport = sipcore_param_exists(&rest, "rport");

	/* a cookie with nothing behind it identifies nothing: as in RFC
	   2543 then */
	v.cookie = v.branch.l > cookie_len &&
		!memcmp(v.branch.p, "z9hG4bK", cookie_len);

	*via = v;

	return 0;
}
