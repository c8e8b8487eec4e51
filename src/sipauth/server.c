/**
 * @file sipauth/server.c  Who asks? (RFC 3261 22, RFC 7616 3.4.6)
 *
 *   credentials for our realm -> store -> same work for everyone -> verdict
 */
#include <string.h>
#include <re.h>
#include "cfg/cfg.h"
#include "sipcore/sipcore.h"
#include "store/store.h"
#include "sipauth.h"
#include "internal.h"


enum {
	STORE_DEADLINE = 2000,	/* ms: the client asks again at 500, 1500 */
	DEFAULT_LIFE   = 300000,
	USER_MAX       = 256,
};

struct sipauth {
	struct store *st;	/* borrowed */
	uint32_t life;
};

struct sipauth_req {
	struct sipauth_req **reqp;	/* the owner's, or NULL */
	struct sipauth *sa;
	struct store_req *sreq;
	struct sipcore_msg *msg;
	struct sipauth_digest dg;	/* views into msg */
	sipauth_h *h;
	void *arg;
	char *realm;
	char user[USER_MAX];
};


int sipauth_alloc(struct sipauth **sap, struct store *st,
		  uint32_t nonce_life_ms)
{
	struct sipauth *sa;

	if (!sap || !st)
		return EINVAL;

	sa = mem_zalloc(sizeof(*sa), NULL);
	if (!sa)
		return ENOMEM;

	sa->st   = st;
	sa->life = nonce_life_ms ? nonce_life_ms : DEFAULT_LIFE;
	*sap = sa;

	return 0;
}


static void req_destructor(void *arg)
{
	struct sipauth_req *req = arg;

	mem_deref(req->sreq);
	mem_deref(req->msg);
	mem_deref(req->sa);
	mem_deref(req->realm);
}


/* The credentials for this realm, if any */
static bool creds_find(struct sipauth_digest *dg,
		       const struct sipcore_msg *msg, bool proxy,
		       const char *realm)
{
	const enum sipcore_hdrid id = proxy ? SIPCORE_HDR_PROXY_AUTHORIZATION
					    : SIPCORE_HDR_AUTHORIZATION;
	const struct sipcore_hdr *hdr;

	for (size_t i=0; (hdr = sipcore_hdr(msg, id, i)); i++) {

		if (!sipauth_digest_decode(dg, &hdr->val) &&
		    !pl_strcmp(&dg->realm, realm))
			return true;
	}

	return false;
}


/* The URI that was hashed must be the one that is asked for (RFC 7616 3.4.6).
   RFC 3261 22.4 (6) is milder: parameters may differ, and one without a user,
   which many clients make of the server's address, says nothing to compare */
static bool is_same_uri(const struct sipcore_msg *msg, const struct pl *uri)
{
	struct uri a;

	if (!pl_cmp(uri, &msg->ruri))
		return true;

	if (!msg->uri_ok || sipcore_uri_decode(&a, uri))
		return false;

	if (!a.user.l)
		return true;

	return !pl_cmp(&a.user, &msg->uri.user) &&
		!pl_casecmp(&a.host, &msg->uri.host) &&
		a.port == msg->uri.port;
}


static bool is_complete(const struct sipcore_msg *msg,
			const struct sipauth_digest *dg)
{
	if (!dg->username.l || dg->username.l >= USER_MAX || !dg->nonce.l ||
	    !dg->response.l || dg->alg == SIPAUTH_ALG_UNKNOWN)
		return false;

	if (dg->qop.p && (pl_strcasecmp(&dg->qop, "auth") ||
			  dg->nc.l != 8 || !dg->cnonce.l))
		return false;

	return is_same_uri(msg, &dg->uri);
}


static enum sipauth_verdict verdict(const struct sipauth_req *req,
				    const char *ha1, bool known)
{
	const struct sipauth_digest *dg = &req->dg;
	const struct sipauth_calc calc = {
		.alg = dg->alg, .ha1 = ha1, .nonce = dg->nonce, .nc = dg->nc,
		.cnonce = dg->cnonce, .qop = dg->qop,
		.method = req->msg->met, .uri = dg->uri,
	};
	char hex[SIPAUTH_HEX];
	uint32_t nc = 1;

	if (sipauth_response(hex, &calc))
		return SIPAUTH_ERROR;

	if (!sipauth_hex_equal(hex, &dg->response) || !known)
		return SIPAUTH_DENIED;

	/* without qop there is no count: such a nonce is good once */
	if (dg->qop.p)
		nc = pl_x32(&dg->nc);

	return sipauth_nonce_use(&dg->nonce, nc, tmr_jiffies(),
				 req->sa->life) == SIPAUTH_FRESH ?
		SIPAUTH_OK : SIPAUTH_STALE;
}


static void req_done(struct sipauth_req *req, enum sipauth_verdict v)
{
	if (req->reqp)
		*req->reqp = NULL;

	req->h(v, v == SIPAUTH_OK ? req->user : "", req->realm, req->arg);

	mem_deref(req);
}


static void subscriber_handler(int err, const struct store_subscriber *s,
			       void *arg)
{
	struct sipauth_req *req = arg;
	char ha1[SIPAUTH_HEX];
	bool known = false;

	req->sreq = NULL;

	if (err && err != ENOENT) {
		req_done(req, SIPAUTH_ERROR);
		return;
	}

	sipauth_dummy_ha1(req->dg.alg, ha1, &req->dg.username);

	if (!err && s && !s->disabled) {
		const char *stored = req->dg.alg == SIPAUTH_MD5 ?
			s->ha1_md5 : s->ha1_sha256;

		if (str_isset(stored)) {
			str_ncpy(ha1, stored, sizeof(ha1));
			known = true;
		}
	}

	req_done(req, verdict(req, ha1, known));
}


static int req_alloc(struct sipauth_req **reqp, struct sipauth *sa,
		     const struct sipcore_msg *msg,
		     const struct sipauth_digest *dg, const char *realm)
{
	struct sipauth_req *req;
	int err;

	req = mem_zalloc(sizeof(*req), req_destructor);
	if (!req)
		return ENOMEM;

	req->sa  = mem_ref(sa);
	req->msg = mem_ref((void *)(uintptr_t)msg);
	req->dg  = *dg;
	(void)pl_strcpy(&dg->username, req->user, sizeof(req->user));

	err = str_dup(&req->realm, realm);
	if (err)
		mem_deref(req);
	else
		*reqp = req;

	return err;
}


int sipauth_check(struct sipauth_req **reqp, struct sipauth *sa, bool proxy,
		  const struct sipcore_msg *msg, const char *realm,
		  sipauth_h *h, void *arg)
{
	struct sipauth_digest dg;
	struct sipauth_req *req;
	int err;

	if (!sa || !msg || !realm || !h)
		return EINVAL;

	if (reqp)
		*reqp = NULL;

	if (!creds_find(&dg, msg, proxy, realm)) {
		h(SIPAUTH_CHALLENGE, "", realm, arg);
		return 0;
	}

	if (!is_complete(msg, &dg)) {
		h(SIPAUTH_DENIED, "", realm, arg);
		return 0;
	}

	err = req_alloc(&req, sa, msg, &dg, realm);
	if (err)
		return err;

	req->h   = h;
	req->arg = arg;

	err = store_subscriber_get(sa->st, &req->sreq, STORE_DEADLINE,
				   req->user, realm, subscriber_handler, req);
	if (err) {
		mem_deref(req);
		return err;
	}

	if (reqp) {
		req->reqp = reqp;
		*reqp = req;
	}

	return 0;
}


int sipauth_challenge_print(struct re_printf *pf, const void *prm)
{
	const struct sipauth_chal *chal = prm;
	const unsigned n = chal && chal->md5_only ? SIPAUTH_MD5 + 1
						  : SIPAUTH_ALGS;
	char nonce[SIPAUTH_NONCE];
	int err = 0;

	if (!chal || !chal->realm)
		return EINVAL;

	/* RFC 8760 2.4 wants the strongest first; old clients take the first
	   one only, whatever it is */
	for (unsigned i=0; i<n && !err; i++) {

		sipauth_nonce_make(nonce, tmr_jiffies());
		err = re_hprintf(pf, "%s: Digest realm=\"%s\", nonce=\"%s\", "
				 "algorithm=%s, qop=\"auth\"%s\r\n",
				 chal->proxy ? "Proxy-Authenticate"
					     : "WWW-Authenticate",
				 chal->realm, nonce,
				 sipauth_alg_name((enum sipauth_alg)i),
				 chal->stale ? ", stale=true" : "");
	}

	return err;
}
