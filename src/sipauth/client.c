/**
 * @file sipauth/client.c  Answering a challenge (RFC 3261 22.2, 22.3)
 */
#include <string.h>
#include <re.h>
#include "cfg/cfg.h"
#include "sipcore/sipcore.h"
#include "sipauth.h"
#include "internal.h"


/* The first one that we can answer: the server's order is its preference
   (RFC 8760 2.4) */
static int challenge_find(struct sipauth_digest *dg,
			  const struct sipcore_msg *resp,
			  enum sipcore_hdrid id)
{
	const struct sipcore_hdr *hdr;

	for (size_t i=0; (hdr = sipcore_hdr(resp, id, i)); i++) {

		if (!sipauth_digest_decode(dg, &hdr->val) &&
		    dg->alg != SIPAUTH_ALG_UNKNOWN && dg->nonce.l &&
		    dg->realm.p)
			return 0;
	}

	return ENOTSUP;
}


/* qop of a challenge is a list: "auth,auth-int" */
static bool offers_auth(const struct pl *qop)
{
	struct pl rest = *qop, val;

	while (sipcore_val_next(&rest, &val)) {
		if (!pl_strcasecmp(&val, "auth"))
			return true;
	}

	return false;
}


static int creds_print(struct mbuf *line, const struct sipauth_digest *dg,
		       const struct sipauth_calc *calc, const char *user,
		       const char *response, bool proxy)
{
	int err;

	err = mbuf_printf(line, "%s: Digest username=\"%s\", realm=\"%r\", "
			  "nonce=\"%r\", uri=\"%r\", response=\"%s\", "
			  "algorithm=%s",
			  proxy ? "Proxy-Authorization" : "Authorization",
			  user, &dg->realm, &dg->nonce, &calc->uri, response,
			  sipauth_alg_name(dg->alg));

	if (calc->qop.l)
		err |= mbuf_printf(line, ", qop=auth, nc=%r, cnonce=\"%r\"",
				   &calc->nc, &calc->cnonce);
	if (dg->opaque.p)
		err |= mbuf_printf(line, ", opaque=\"%r\"", &dg->opaque);

	err |= mbuf_write_str(line, "\r\n");

	return err;
}


int sipauth_respond(struct mbuf *line, const struct sipcore_msg *resp,
		    const char *method, const char *uri, const char *user,
		    const char *password, uint32_t *nc)
{
	char ha1[SIPAUTH_HEX], response[SIPAUTH_HEX], cnonce[17], count[9];
	struct sipauth_calc calc;
	struct sipauth_digest dg;
	bool proxy;
	int err;

	if (!line || !resp || !method || !uri || !user || !password || !nc)
		return EINVAL;

	proxy = resp->scode == 407;
	err = challenge_find(&dg, resp, proxy ? SIPCORE_HDR_PROXY_AUTHENTICATE
					      : SIPCORE_HDR_WWW_AUTHENTICATE);
	if (err)
		return err;

	memset(&calc, 0, sizeof(calc));
	calc.alg   = dg.alg;
	calc.ha1   = ha1;
	calc.nonce = dg.nonce;
	pl_set_str(&calc.method, method);
	pl_set_str(&calc.uri, uri);

	if (dg.qop.p) {
		if (!offers_auth(&dg.qop))
			return ENOTSUP;

		(void)re_snprintf(count, sizeof(count), "%08x", ++*nc);
		(void)re_snprintf(cnonce, sizeof(cnonce), "%016llx",
				  (unsigned long long)rand_u64());
		pl_set_str(&calc.nc, count);
		pl_set_str(&calc.cnonce, cnonce);
		pl_set_str(&calc.qop, "auth");
	}

	err = sipauth_ha1(dg.alg, ha1, user, &dg.realm, password);
	if (!err)
		err = sipauth_response(response, &calc);
	if (err)
		return err;

	return creds_print(line, &dg, &calc, user, response, proxy);
}
