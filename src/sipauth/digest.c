/**
 * @file sipauth/digest.c  The digest itself: parameters and hashes (RFC 7616,
 * RFC 8760)
 */
#include <string.h>
#include <mbedtls/sha256.h>
#include <re.h>
#include "cfg/cfg.h"
#include "sipcore/sipcore.h"
#include "sipauth.h"
#include "internal.h"


enum { SHA256_SIZE = 32 };


static const char *const algv[SIPAUTH_ALGS] = {"MD5", "SHA-256"};


const char *sipauth_alg_name(enum sipauth_alg alg)
{
	return alg < SIPAUTH_ALGS ? algv[alg] : "?";
}


static enum sipauth_alg alg_decode(const struct pl *name)
{
	/* RFC 7616 3.3: MD5 when it is not told */
	if (!name->p)
		return SIPAUTH_MD5;

	for (unsigned i=0; i<SIPAUTH_ALGS; i++) {
		if (!pl_strcasecmp(name, algv[i]))
			return (enum sipauth_alg)i;
	}

	return SIPAUTH_ALG_UNKNOWN;
}


static void unquote(struct pl *pl)
{
	if (pl->l >= 2 && pl->p[0] == '"' && pl->p[pl->l - 1] == '"') {
		++pl->p;
		pl->l -= 2;
	}
}


static bool is_ws(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}


static void trim(struct pl *pl)
{
	while (pl->l && is_ws(pl->p[0]))
		pl_advance(pl, 1);
	while (pl->l && is_ws(pl->p[pl->l - 1]))
		--pl->l;
}


/* Each once: a second "nonce" could mean something else to somebody else */
static int param_set(struct sipauth_digest *dg, struct pl *alg,
		     struct pl *stale, const struct pl *name,
		     const struct pl *val)
{
	const struct {
		const char *name;
		struct pl *pl;
	} parv[] = {
		{"realm", &dg->realm}, {"nonce", &dg->nonce},
		{"opaque", &dg->opaque}, {"username", &dg->username},
		{"uri", &dg->uri}, {"response", &dg->response},
		{"cnonce", &dg->cnonce}, {"nc", &dg->nc}, {"qop", &dg->qop},
		{"algorithm", alg}, {"stale", stale},
	};

	for (size_t i=0; i<ARRAY_SIZE(parv); i++) {

		if (pl_strcasecmp(name, parv[i].name))
			continue;
		if (parv[i].pl->p)
			return EBADMSG;
		*parv[i].pl = *val;
	}

	return 0;
}


/**
 * Read "Digest name=value, ..."
 *
 * @return 0, ENOTSUP another scheme, EBADMSG malformed
 */
int sipauth_digest_decode(struct sipauth_digest *dg, const struct pl *val)
{
	struct pl rest, one, alg = PL_INIT, stale = PL_INIT;
	struct pl scheme;

	memset(dg, 0, sizeof(*dg));

	scheme.p = val->p;
	scheme.l = 0;
	while (scheme.l < val->l && !is_ws(scheme.p[scheme.l]))
		++scheme.l;
	if (pl_strcasecmp(&scheme, "Digest"))
		return ENOTSUP;

	rest = *val;
	pl_advance(&rest, (ssize_t)scheme.l);

	while (sipcore_val_next(&rest, &one)) {
		const char *eq = memchr(one.p, '=', one.l);
		struct pl name, v;

		if (!eq)
			return EBADMSG;

		name.p = one.p;
		name.l = (size_t)(eq - one.p);
		v.p = eq + 1;
		v.l = one.l - name.l - 1;
		trim(&name);
		trim(&v);
		unquote(&v);

		if (param_set(dg, &alg, &stale, &name, &v))
			return EBADMSG;
	}

	dg->alg   = alg_decode(&alg);
	dg->stale = !pl_strcasecmp(&stale, "true");

	return 0;
}


/* Hash of a printed text, as lower-case hex */
int sipauth_hash(enum sipauth_alg alg, char hex[SIPAUTH_HEX],
		 const char *fmt, ...)
{
	uint8_t md[SHA256_SIZE];
	struct mbuf *mb = mbuf_alloc(256);
	va_list ap;
	int err;

	if (!mb)
		return ENOMEM;

	va_start(ap, fmt);
	err = mbuf_vprintf(mb, fmt, ap);
	va_end(ap);
	if (err)
		goto out;

	if (alg == SIPAUTH_SHA256) {
		if (mbedtls_sha256(mb->buf, mb->end, md, 0))
			err = EPROTO;
		(void)re_snprintf(hex, SIPAUTH_HEX, "%w", md,
				  (size_t)SHA256_SIZE);
	}
	else {
		md5(mb->buf, mb->end, md);
		(void)re_snprintf(hex, SIPAUTH_HEX, "%w", md,
				  (size_t)MD5_SIZE);
	}

 out:
	mem_deref(mb);

	return err;
}


int sipauth_ha1(enum sipauth_alg alg, char hex[SIPAUTH_HEX],
		const char *user, const struct pl *realm,
		const char *password)
{
	return sipauth_hash(alg, hex, "%s:%r:%s", user, realm, password);
}


/* RFC 7616 3.4.1; without qop RFC 2069 */
int sipauth_response(char hex[SIPAUTH_HEX], const struct sipauth_calc *calc)
{
	char ha2[SIPAUTH_HEX];
	int err;

	err = sipauth_hash(calc->alg, ha2, "%r:%r", &calc->method,
			   &calc->uri);
	if (err)
		return err;

	if (!calc->qop.l)
		return sipauth_hash(calc->alg, hex, "%s:%r:%s", calc->ha1,
				    &calc->nonce, ha2);

	return sipauth_hash(calc->alg, hex, "%s:%r:%r:%r:%r:%s", calc->ha1,
			    &calc->nonce, &calc->nc, &calc->cnonce,
			    &calc->qop, ha2);
}


/* In constant time; upper-case digits are the same */
bool sipauth_hex_equal(const char *hex, const struct pl *other)
{
	const size_t n = strlen(hex);
	uint8_t buf[SIPAUTH_HEX];

	if (other->l != n || n >= sizeof(buf))
		return false;

	for (size_t i=0; i<n; i++) {
		const char c = other->p[i];

		buf[i] = (uint8_t)(c >= 'A' && c <= 'F' ? c | 0x20 : c);
	}

	return !mem_seccmp((const uint8_t *)hex, buf, n);
}
