/**
 * @file sipauth/internal.h  What the files of this folder share
 */

enum sipauth_alg {
	SIPAUTH_MD5 = 0,
	SIPAUTH_SHA256,
	SIPAUTH_ALGS,
	SIPAUTH_ALG_UNKNOWN,
};

enum {
	SIPAUTH_HEX   = 65,	/* longest hash as text */
	SIPAUTH_NONCE = 41,	/* time 16, serial 8, MAC 16, end */
};

/** Parameters of a challenge or of credentials: views, quotes stripped */
struct sipauth_digest {
	struct pl realm, nonce, opaque, username, uri, response, cnonce, nc,
		qop;
	enum sipauth_alg alg;
	bool stale;
};

/** What goes into a response (RFC 7616 3.4.1) */
struct sipauth_calc {
	enum sipauth_alg alg;
	const char *ha1;
	struct pl nonce, nc, cnonce, qop;	/* qop empty: RFC 2069 */
	struct pl method, uri;
};

/* digest.c */
int  sipauth_digest_decode(struct sipauth_digest *dg, const struct pl *val);
const char *sipauth_alg_name(enum sipauth_alg alg);
int  sipauth_hash(enum sipauth_alg alg, char hex[SIPAUTH_HEX],
		  const char *fmt, ...);
int  sipauth_ha1(enum sipauth_alg alg, char hex[SIPAUTH_HEX],
		 const char *user, const struct pl *realm,
		 const char *password);
int  sipauth_response(char hex[SIPAUTH_HEX], const struct sipauth_calc *calc);
bool sipauth_hex_equal(const char *hex, const struct pl *other);

/* nonce.c */
enum sipauth_fresh {
	SIPAUTH_FRESH = 0,
	SIPAUTH_OLD,		/* too old, not ours, or no longer known */
	SIPAUTH_REPLAYED,	/* this nc was used already */
};

void sipauth_nonce_make(char nonce[SIPAUTH_NONCE], uint64_t now);
enum sipauth_fresh sipauth_nonce_use(const struct pl *nonce, uint32_t nc,
				     uint64_t now, uint32_t life);
void sipauth_dummy_ha1(enum sipauth_alg alg, char hex[SIPAUTH_HEX],
		       const struct pl *user);
