/**
 * @file sipauth.h  Digest (RFC 3261 22, RFC 7616, RFC 8760) as server, client
 *
 * Nonces cost no memory: time and a MAC under a key of this process.  Known
 * and unknown users get the same answer.
 */

#ifndef VOIPSTACK_SIPAUTH_H
#define VOIPSTACK_SIPAUTH_H

struct sipauth;			/* server: key, nonce life, nonce counts */
struct sipauth_req;
struct store;

enum sipauth_verdict {
	SIPAUTH_OK = 0,
	SIPAUTH_CHALLENGE,	/**< no credentials for this realm        */
	SIPAUTH_STALE,		/**< right, but the nonce is too old      */
	SIPAUTH_DENIED,		/**< wrong, unknown or disabled user      */
	SIPAUTH_ERROR,		/**< the store did not answer: 500/503    */
};

/** user: the authenticated user (valid in the handler), "" if not */
typedef void (sipauth_h)(enum sipauth_verdict v, const char *user,
			 const char *realm, void *arg);

int sipauth_alloc(struct sipauth **sap, struct store *st,
		  uint32_t nonce_life_ms);

/**
 * Check the credentials of a request against the store.  The handler runs
 * later or at once, exactly once unless *reqp is dropped.
 *
 * @param proxy  true: Proxy-Authorization (407), false: Authorization (401)
 */
int sipauth_check(struct sipauth_req **reqp, struct sipauth *sa, bool proxy,
		  const struct sipcore_msg *msg, const char *realm,
		  sipauth_h *h, void *arg);

/** What sipauth_challenge_print() takes.  One struct sipauth per worker is
    usual: a nonce of one is good at all of them */
struct sipauth_chal {
	const struct sipauth *sa;
	bool proxy;			/**< Proxy-Authenticate (407)     */
	const char *realm;
	bool stale;			/**< stale=true (SIPAUTH_STALE)   */
	bool md5_only;			/**< do not offer SHA-256         */
};

/** Header lines (CRLF) of the challenge: MD5 first, then SHA-256.  prm: a
    struct sipauth_chal */
int sipauth_challenge_print(struct re_printf *pf, const void *prm);

/** Client: from a 401/407's challenges make the (Proxy-)Authorization line.
    ENOTSUP no algorithm that we know */
int sipauth_respond(struct mbuf *line, const struct sipcore_msg *resp,
		    const char *method, const char *uri, const char *user,
		    const char *password, uint32_t *nc);

#endif
