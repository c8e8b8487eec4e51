/**
 * @file test_sipauth.c  sipauth: RFC examples, verdicts, replay
 */
#include <string.h>
#include <re.h>
#include "cfg/cfg.h"
#include "sipcore/sipcore.h"
#include "store/store.h"
#include "sipauth/sipauth.h"
#include "sipauth/internal.h"
#include "test.h"


/* ---- a store that knows alice */

struct store {
	int err;
	bool disabled;
	bool later;		/* keep the question */
	store_subscriber_h *h;
	void *arg;
	unsigned asked;
};

struct store_req {
	struct store *st;
	struct tmr tmr;
	store_subscriber_h *h;
	void *arg;
	bool known;
};


static void answer(void *arg)
{
	struct store_req *req = arg;
	struct store *st = req->st;
	char ha1[SIPAUTH_HEX], ha256[SIPAUTH_HEX];
	const struct store_subscriber s = {
		"alice", "sip.local", ha1, ha256, st->disabled,
	};
	struct pl realm = PL("sip.local");

	if (sipauth_ha1(SIPAUTH_MD5, ha1, "alice", &realm, "secret") ||
	    sipauth_ha1(SIPAUTH_SHA256, ha256, "alice", &realm, "secret"))
		req->h(ENOMEM, NULL, req->arg);
	else if (st->err || !req->known)
		req->h(st->err ? st->err : ENOENT, NULL, req->arg);
	else
		req->h(0, &s, req->arg);

	mem_deref(req);
}


static void store_req_destructor(void *arg)
{
	struct store_req *req = arg;

	tmr_cancel(&req->tmr);
}


int store_subscriber_get(struct store *st, struct store_req **reqp,
			 uint32_t deadline, const char *user,
			 const char *domain, store_subscriber_h *h, void *arg)
{
	struct store_req *req;
	(void)deadline;

	req = mem_zalloc(sizeof(*req), store_req_destructor);
	if (!req)
		return ENOMEM;

	++st->asked;
	req->st  = st;
	req->h   = h;
	req->arg = arg;
	req->known = !strcmp(user, "alice") && !strcmp(domain, "sip.local");
	tmr_start(&req->tmr, 0, answer, req);
	*reqp = req;

	return 0;
}


/* ---- */

static int hashed(enum sipauth_alg alg, const char *expected,
		  const char *nonce, const char *cnonce, const char *qop)
{
	char ha1[SIPAUTH_HEX], hex[SIPAUTH_HEX];
	struct sipauth_calc calc = {
		.alg = alg, .ha1 = ha1, .nc = PL("00000001"),
		.method = PL("GET"), .uri = PL("/dir/index.html"),
	};
	struct pl realm = PL("http-auth@example.org");
	const bool old = !strcmp(qop, "2617");
	struct pl resp;
	int err;

	pl_set_str(&calc.nonce, nonce);
	pl_set_str(&calc.cnonce, cnonce);
	pl_set_str(&calc.qop, "auth");
	pl_set_str(&resp, expected);
	if (old)
		pl_set_str(&realm, "testrealm@host.com");

	err = sipauth_ha1(alg, ha1, "Mufasa", &realm, old ? "Circle Of Life"
			  : "Circle of Life");
	TEST_ERR(err);
	err = sipauth_response(hex, &calc);
	TEST_ERR(err);
	TEST_STRCMP(expected, hex);
	TEST(sipauth_hex_equal(hex, &resp));
 out:
	return err;
}


static int test_digest_examples(void)
{
	static const char nonce[] =
		"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v";
	static const char cnonce[] =
		"f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";
	int err;

	/* RFC 7616 3.9.1 */
	err = hashed(SIPAUTH_MD5, "8ca523f5e9506fed4657c9700eebdbec", nonce,
		     cnonce, "");
	TEST_ERR(err);
	err = hashed(SIPAUTH_SHA256, "753927fa0e85d155564e2e272a28d1802ca10daf"
		     "4496794697cf8db5856cb6c1", nonce, cnonce, "");
	TEST_ERR(err);
	/* RFC 2617 3.5 */
	err = hashed(SIPAUTH_MD5, "6629fae49393a05397450978507c4ef1",
		     "dcd98b7102dd2f0e8b11d0f600bfb0c093", "0a4f113b",
		     "2617");
	TEST_ERR(err);
 out:
	return err;
}


struct got {
	unsigned n;
	enum sipauth_verdict v;
	char user[32];
};


static void verdict_handler(enum sipauth_verdict v, const char *user,
			    const char *realm, void *arg)
{
	struct got *got = arg;
	(void)realm;

	++got->n;
	got->v = v;
	str_ncpy(got->user, user, sizeof(got->user));
	re_cancel();
}


static int request(struct sipcore_msg **msgp, const char *uri,
		   const char *auth, size_t n)
{
	struct mbuf *mb = mbuf_alloc(1024);
	int err;

	if (!mb)
		return ENOMEM;

	err = mbuf_printf(mb, "REGISTER %s SIP/2.0\r\n"
			  "Via: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKx\r\n"
			  "From: <sip:alice@sip.local>;tag=1\r\n"
			  "To: <sip:alice@sip.local>\r\nCall-ID: x\r\n"
			  "CSeq: 1 REGISTER\r\n%bContent-Length: 0\r\n\r\n",
			  uri, auth, n);
	if (!err)
		err = sipcore_msg_decode(msgp, mb->buf, mb->end, NULL);
	mem_deref(mb);

	return err;
}


/* A 401 of ours, as the client sees it; skip: leave the first out */
static int challenged(struct sipcore_msg **msgp, const struct sipauth *sa,
		      bool skip)
{
	const struct sipauth_chal chal = {.sa = sa, .realm = "sip.local"};
	struct mbuf *mb = mbuf_alloc(1024);
	char *text = NULL, *p;
	int err;

	if (!mb)
		return ENOMEM;

	err = re_sdprintf(&text, "%H", sipauth_challenge_print, &chal);
	if (err)
		goto out;

	p = skip ? strstr(text, "\r\n") + 2 : text;
	err = mbuf_printf(mb, "SIP/2.0 401 Unauthorized\r\n"
			  "Via: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKx\r\n"
			  "From: <sip:alice@sip.local>;tag=1\r\n"
			  "To: <sip:alice@sip.local>;tag=2\r\nCall-ID: x\r\n"
			  "CSeq: 1 REGISTER\r\n%s\r\n", p);
	if (!err)
		err = sipcore_msg_decode(msgp, mb->buf, mb->end, NULL);
 out:
	mem_deref(text);
	mem_deref(mb);

	return err;
}


struct ctx {
	struct store st;
	struct sipauth *sa;
	struct sipcore_msg *chal;
	uint32_t nc;
	struct got got;
};


static int check(struct ctx *c, const char *uri, const char *auth, size_t n)
{
	struct sipcore_msg *msg = NULL;
	struct sipauth_req *req = NULL;
	const unsigned before = c->got.n;
	int err;

	err = request(&msg, uri, auth, n);
	if (err)
		return err;

	err = sipauth_check(&req, c->sa, false, msg, "sip.local",
			    verdict_handler, &c->got);
	if (!err && c->got.n == before) {
		err = test_run_loop(1000);
		if (!err && req)
			err = EBUSY;
	}
	mem_deref(msg);

	if (test_oom() && c->got.v == SIPAUTH_ERROR)
		err = ENOMEM;

	return err;
}


static int attempt(struct ctx *c, const char *user, const char *password)
{
	struct mbuf *mb = mbuf_alloc(512);
	int err;

	if (!mb)
		return ENOMEM;

	err = sipauth_respond(mb, c->chal, "REGISTER", "sip:sip.local", user,
			      password, &c->nc);
	if (!err)
		err = check(c, "sip:sip.local", (char *)mb->buf, mb->end);
	mem_deref(mb);

	return err;
}


static int start(struct ctx *c, uint32_t life, bool sha256)
{
	int err;

	memset(c, 0, sizeof(*c));
	err = sipauth_alloc(&c->sa, &c->st, life);
	if (!err)
		err = challenged(&c->chal, c->sa, sha256);

	return err;
}


static void stop(struct ctx *c)
{
	mem_deref(c->chal);
	mem_deref(c->sa);
}


static int verdicts(bool sha256)
{
	struct ctx c;
	int err;

	err = start(&c, 60000, sha256);
	TEST_ERR(err);

	err = check(&c, "sip:sip.local", "", 0);
	TEST_ERR(err);
	TEST_EQUALS(SIPAUTH_CHALLENGE, c.got.v);
	TEST_EQUALS(0, c.st.asked);

	err = attempt(&c, "alice", "secret");
	TEST_ERR(err);
	TEST_EQUALS(SIPAUTH_OK, c.got.v);
	TEST_STRCMP("alice", c.got.user);

	/* the same nonce again, with the next count */
	err = attempt(&c, "alice", "secret");
	TEST_ERR(err);
	TEST_EQUALS(SIPAUTH_OK, c.got.v);

	err = attempt(&c, "alice", "Secret");
	TEST_ERR(err);
	TEST_EQUALS(SIPAUTH_DENIED, c.got.v);
	TEST_STRCMP("", c.got.user);

	/* unknown: the store is asked and the work done all the same */
	err = attempt(&c, "bob", "secret");
	TEST_ERR(err);
	TEST_EQUALS(SIPAUTH_DENIED, c.got.v);
	TEST_EQUALS(4, c.st.asked);

	c.st.disabled = true;
	err = attempt(&c, "alice", "secret");
	TEST_ERR(err);
	TEST_EQUALS(SIPAUTH_DENIED, c.got.v);

	c.st.err = ETIMEDOUT;
	err = attempt(&c, "alice", "secret");
	if (err == ENOMEM && !test_oom())
		err = EINVAL;
	TEST_ERR(err);
	TEST_EQUALS(SIPAUTH_ERROR, c.got.v);
 out:
	stop(&c);
	return err;
}


static int test_auth_md5(void)
{
	return verdicts(false);
}


static int test_auth_sha256(void)
{
	return verdicts(true);
}


/* Recorded bytes sent again, another URI, another nonce, an old one */
static int test_auth_replay(void)
{
	struct mbuf *mb = mbuf_alloc(512);
	struct ctx c;
	char *p;
	int err;

	err = start(&c, 60000, false);
	if (!mb)
		err = ENOMEM;
	TEST_ERR(err);

	err = sipauth_respond(mb, c.chal, "REGISTER", "sip:sip.local",
			      "alice", "secret", &c.nc);
	TEST_ERR(err);
	err = check(&c, "sip:sip.local;transport=udp", (char *)mb->buf,
		    mb->end);
	TEST_ERR(err);
	TEST_EQUALS(SIPAUTH_OK, c.got.v);
	err = check(&c, "sip:sip.local", (char *)mb->buf, mb->end);
	TEST_ERR(err);
	TEST_EQUALS(SIPAUTH_STALE, c.got.v);
	mb->pos = mb->end = 0;
	err = sipauth_respond(mb, c.chal, "REGISTER", "sip:x@sip.local",
			      "alice", "secret", &c.nc);
	TEST_ERR(err);
	err = check(&c, "sip:y@sip.local", (char *)mb->buf, mb->end);
	TEST_ERR(err);
	TEST_EQUALS(SIPAUTH_DENIED, c.got.v);

	/* a nonce that we never gave out: the response does not fit it */
	err = mbuf_write_u8(mb, 0);
	TEST_ERR(err);
	p = strstr((char *)mb->buf, "nonce=\"") + 30;
	*p = *p == '0' ? '1' : '0';
	err = check(&c, "sip:sip.local", (char *)mb->buf, mb->end - 1);
	TEST_ERR(err);
	TEST_EQUALS(SIPAUTH_DENIED, c.got.v);
 out:
	mem_deref(mb);
	stop(&c);
	return err;
}


static int test_auth_old(void)
{
	struct ctx c;
	int err;

	err = start(&c, 20, false);
	TEST_ERR(err);
	TEST_EQUALS(ETIMEDOUT, test_run_loop(40));
	err = attempt(&c, "alice", "secret");
	TEST_ERR(err);
	TEST_EQUALS(SIPAUTH_STALE, c.got.v);
	err = attempt(&c, "alice", "wrong");
	TEST_ERR(err);
	TEST_EQUALS(SIPAUTH_DENIED, c.got.v);
 out:
	stop(&c);
	return err;
}


/* Dropped while the store thinks */
static int test_auth_dropped(void)
{
	struct mbuf *mb = mbuf_alloc(512);
	struct sipcore_msg *msg = NULL;
	struct sipauth_req *req = NULL;
	struct ctx c;
	int err;

	err = start(&c, 60000, false);
	if (!mb)
		err = ENOMEM;
	TEST_ERR(err);
	err = sipauth_respond(mb, c.chal, "REGISTER", "sip:sip.local",
			      "alice", "secret", &c.nc);
	TEST_ERR(err);
	err = request(&msg, "sip:sip.local", (char *)mb->buf, mb->end);
	TEST_ERR(err);
	err = sipauth_check(&req, c.sa, false, msg, "sip.local",
			    verdict_handler, &c.got);
	TEST_ERR(err);
	TEST(req != NULL);
	req = mem_deref(req);
	TEST_EQUALS(ETIMEDOUT, test_run_loop(5));
	TEST_EQUALS(0, c.got.n);
 out:
	mem_deref(mb);
	mem_deref(msg);
	stop(&c);
	return err;
}


/* Malformed credentials ask no store */
static int test_auth_bad(void)
{
	static const char *const linev[] = {
		"username=\"alice\", response=\"x\"",
		"username=\"alice\", nonce=\"1\", uri=\"sip:sip.local\"",
		"username=\"alice\", nonce=\"1\", uri=\"sip:sip.local\", "
		"response=\"x\", algorithm=SHA-512-256",
		"username=\"alice\", nonce=\"1\", uri=\"sip:sip.local\", "
		"response=\"x\", qop=auth-int, nc=00000001, cnonce=\"a\"",
		"username=\"alice\", nonce=\"1\", uri=\"sip:sip.local\", "
		"response=\"x\", qop=auth, nc=1, cnonce=\"a\"",
		"username=\"\", nonce=\"1\", uri=\"sip:sip.local\", "
		"response=\"x\"",
	};
	struct ctx c;
	int err;

	err = start(&c, 60000, false);
	TEST_ERR(err);

	for (size_t i=0; i<RE_ARRAY_SIZE(linev); i++) {
		char buf[512];
		int n = re_snprintf(buf, sizeof(buf), "Authorization: Digest "
				    "realm=\"sip.local\", %s\r\n", linev[i]);

		err = check(&c, "sip:sip.local", buf, (size_t)n);
		TEST_ERR(err);
		TEST_EQUALS(SIPAUTH_DENIED, c.got.v);
	}
	TEST_EQUALS(0, c.st.asked);

	/* given twice: whose nonce? and not ours at all */
	err = check(&c, "sip:sip.local", "Authorization: Digest realm=\""
		    "sip.local\", nonce=1, nonce=2\r\n", 56);
	TEST_ERR(err);
	TEST_EQUALS(SIPAUTH_CHALLENGE, c.got.v);
	err = check(&c, "sip:sip.local", "Authorization: Basic YQ==\r\n", 27);
	TEST_ERR(err);
	TEST_EQUALS(SIPAUTH_CHALLENGE, c.got.v);
 out:
	stop(&c);
	return err;
}


static enum sipauth_fresh use(const char *nonce, uint32_t nc)
{
	struct pl pl;

	pl_set_str(&pl, nonce);

	return sipauth_nonce_use(&pl, nc, 2000000, 1000000);
}


static int test_nonce_window(void)
{
	char nonce[SIPAUTH_NONCE];
	int err = 0;

	sipauth_nonce_make(nonce, 1999000);
	TEST_EQUALS(SIPAUTH_NONCE - 1, strlen(nonce));
	TEST_EQUALS(SIPAUTH_FRESH, use(nonce, 1));
	TEST_EQUALS(SIPAUTH_REPLAYED, use(nonce, 1));
	TEST_EQUALS(SIPAUTH_FRESH, use(nonce, 3));
	TEST_EQUALS(SIPAUTH_FRESH, use(nonce, 2));
	TEST_EQUALS(SIPAUTH_REPLAYED, use(nonce, 2));
	TEST_EQUALS(SIPAUTH_FRESH, use(nonce, 66));
	TEST_EQUALS(SIPAUTH_REPLAYED, use(nonce, 3));
	TEST_EQUALS(SIPAUTH_FRESH, use(nonce, 4));
	TEST_EQUALS(SIPAUTH_FRESH, use(nonce, 1000));
	TEST_EQUALS(SIPAUTH_REPLAYED, use(nonce, 900));
	TEST_EQUALS(SIPAUTH_FRESH, use(nonce, 999));

	/* from the future, and damaged */
	sipauth_nonce_make(nonce, 2000001);
	TEST_EQUALS(SIPAUTH_OLD, use(nonce, 1));
	sipauth_nonce_make(nonce, 1999000);
	nonce[39] ^= 1;
	TEST_EQUALS(SIPAUTH_OLD, use(nonce, 1));
 out:
	return err;
}


/* More nonces in use than the table holds: some are refused, but none that
   was used is ever taken as new */
static int test_nonce_bounded(void)
{
	enum { N = 100000 };
	char (*v)[SIPAUTH_NONCE];
	unsigned fresh = 0, again = 0;
	int err = 0;

	v = mem_alloc(N * sizeof(*v), NULL);
	if (!v)
		return ENOMEM;

	for (unsigned i=0; i<N; i++) {
		sipauth_nonce_make(v[i], 1500000 + i);
		fresh += use(v[i], 1) == SIPAUTH_FRESH;
	}
	for (unsigned i=0; i<N; i++)
		again += use(v[i], 1) == SIPAUTH_FRESH;

	TEST_EQUALS(N, fresh);
	TEST_EQUALS(0, again);
 out:
	mem_deref(v);
	return err;
}


int main(int argc, char *argv[])
{
	static const struct test_case cases[] = {
		TEST_CASE(test_digest_examples),
		TEST_CASE(test_auth_md5),
		TEST_CASE(test_auth_sha256),
		TEST_CASE(test_auth_replay),
		TEST_CASE_ONCE(test_auth_old),
		TEST_CASE_ONCE(test_auth_dropped),
		TEST_CASE(test_auth_bad),
		TEST_CASE(test_nonce_window),
		TEST_CASE_ONCE(test_nonce_bounded),
	};

	return test_main(argc, argv, cases, RE_ARRAY_SIZE(cases));
}
