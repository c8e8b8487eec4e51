/**
 * @file test_sipcore_msg.c  sipcore: reading messages and changing them
 */
#include <stdio.h>
#include <string.h>
#include <re.h>
#include "cfg/cfg.h"
#include "sipcore/sipcore.h"
#include "sipcore/internal.h"
#include "test.h"


static const char invite[] =
	"INVITE sip:1002@sip.local;transport=udp SIP/2.0\r\n"
	"v: SIP/2.0/UDP 10.0.0.1:5070;branch=z9hG4bKabc;rport,"
	"SIP/2.0/TCP [2001:db8::1];branch=z9hG4bKdef\r\n"
	"Bip: nothing to do with To\r\n"
	"gda: nothing to do with Via\r\n"
	"Max-Forwards: 70\r\n"
	"f: \"A \\\"B\\\" C\" <sip:1001@sip.local>;tag=f1;x=\"a;tag=no\"\r\n"
	"t: <sip:1002@sip.local>\r\n"
	"i: call-1@10.0.0.1\r\n"
	"CSeq: 7 INVITE\r\n"
	"Route: <sip:a.example;lr>, <sip:b.example;lr> ,<sip:c,d.example;lr>"
	"\r\n"
	"Supported: 100rel,\r\n timer\r\n"
	"k: path\r\n"
	"Session-ID: 0123456789abcdef0123456789abcdef;remote=0\r\n"
	"c: application/sdp\r\n"
	"l: 4\r\n"
	"\r\n"
	"v=0\n";


static int decode(struct sipcore_msg **msgp, const char *str)
{
	return sipcore_msg_decode(msgp, (const uint8_t *)str, strlen(str),
				  NULL);
}


static int test_msg_fields(void)
{
	struct sipcore_msg *msg = NULL;
	const struct sipcore_hdr *hdr;
	struct sipcore_via via;
	struct pl rest, val;
	int err;

	err = decode(&msg, invite);
	TEST_ERR(err);
	TEST(msg->req);
	TEST_EQUALS(SIPCORE_INVITE, msg->method);
	TEST_PL("sip:1002@sip.local;transport=udp", &msg->ruri);
	TEST(msg->uri_ok);
	TEST_PL("1002", &msg->uri.user);
	TEST_PL(";transport=udp", &msg->uri.params);
	TEST_PL("10.0.0.1", &msg->via.host);
	TEST_EQUALS(5070, msg->via.port);
	TEST_PL("z9hG4bKabc", &msg->via.branch);
	TEST(msg->via.cookie && msg->via.rport);
	TEST_EQUALS(CFG_PROTO_UDP, msg->via.proto);
	TEST_PL("f1", &msg->from.tag);
	TEST_PL("A \\\"B\\\" C", &msg->from.dname);
	TEST_PL("sip:1002@sip.local", &msg->to.auri);
	TEST_PL("1002", &msg->to.uri.user);
	TEST(!msg->to.tag.l);
	TEST_PL("call-1@10.0.0.1", &msg->callid);
	TEST_EQUALS(7, msg->cseq);
	TEST_EQUALS(70, msg->maxfwd);
	TEST_PL("v=0\n", &msg->body);
	TEST_PL("application/sdp", &msg->ctype);
	TEST_STRCMP("0123456789abcdef0123456789abcdef", msg->sid);

	/* nothing is known by a hash of its name */
	hdr = sipcore_hdr_name(msg, "bip", 0);
	TEST(hdr != NULL);
	TEST_EQUALS(SIPCORE_HDR_OTHER, hdr->id);
	TEST_PL("nothing to do with To", &hdr->val);

	rest = sipcore_hdr_name(msg, "Via", 0)->val;
	TEST(sipcore_val_next(&rest, &val));
	TEST(sipcore_val_next(&rest, &val));
	TEST_ERR(sipcore_via_decode(&via, &val));
	TEST_PL("2001:db8::1", &via.host);
	TEST_EQUALS(CFG_PROTO_TCP, via.proto);
	TEST(!sipcore_val_next(&rest, &val));

	TEST(sipcore_hdr_has_token(msg, SIPCORE_HDR_SUPPORTED, "timer"));
	TEST(sipcore_hdr_has_token(msg, SIPCORE_HDR_SUPPORTED, "PATH"));
	TEST(!sipcore_hdr_has_token(msg, SIPCORE_HDR_SUPPORTED, "100re"));
	TEST(sipcore_hdr(msg, SIPCORE_HDR_SUPPORTED, 1) != NULL);
	TEST(sipcore_hdr(msg, SIPCORE_HDR_SUPPORTED, 2) == NULL);
 out:
	mem_deref(msg);
	return err;
}


static int test_msg_response(void)
{
	struct sipcore_msg *msg = NULL;
	int err;

	err = decode(&msg, "SIP/2.0 183 \r\n"
		     "Via: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKabc\r\n"
		     "From: <sip:a@b>;tag=1\r\nTo: <tel:+123>;tag=2\r\n"
		     "Call-ID: x\r\nCSeq: 1 PRACK\r\n\r\n");
	TEST_ERR(err);
	TEST(!msg->req);
	TEST_EQUALS(183, msg->scode);
	TEST_EQUALS(SIPCORE_PRACK, msg->method);
	TEST_EQUALS(0, msg->reason.l);
	TEST_PL("tel:+123", &msg->to.auri);
	TEST(!pl_isset(&msg->to.uri.scheme));
	TEST_EQUALS(-1, msg->maxfwd);
	TEST_EQUALS(32, strlen(msg->sid));
	TEST(msg->sid[12] == '5');
 out:
	mem_deref(msg);
	return err;
}


struct torture {
	const char *file;
	int err;
	uint16_t code;
	const char *what;
};

static const struct torture torturev[] = {
	/* RFC 4475 3.1.1: valid */
	{"wsinv", 0, 0, NULL}, {"intmeth", 0, 0, NULL},
	{"esc01", 0, 0, NULL}, {"escnull", 0, 0, NULL},
	{"esc02", 0, 0, NULL}, {"lwsdisp", 0, 0, NULL},
	{"longreq", 0, 0, NULL}, {"dblreq", 0, 0, NULL},
	{"semiuri", 0, 0, NULL}, {"transports", 0, 0, NULL},
	{"mpart01", 0, 0, NULL}, {"unreason", 0, 0, NULL},
	{"noreason", 0, 0, NULL},
	/* 3.1.2: invalid */
	{"badinv01", EPROTO, 400, "Bad Via"},
	{"clerr", EPROTO, 400, "Content-Length exceeds the message"},
	{"ncl", EPROTO, 400, "Bad Content-Length"},
	{"scalar02", EPROTO, 400, "Bad CSeq"},
	{"scalarlg", EBADMSG, 0, NULL},
	{"quotbal", EPROTO, 400, "Bad To"},
	{"ltgtruri", EPROTO, 400, "Bad Request-URI"},
	{"lwsruri", EPROTO, 400, "Bad Request-URI"},
	{"lwsstart", EPROTO, 400, "Bad Request-URI"},
	{"trws", EPROTO, 400, "Bad SIP-Version"},
	{"escruri", EPROTO, 400, "Headers in Request-URI"},
	{"baddate", 0, 0, NULL},
	{"regbadct", 0, 0, NULL},	/* when its Contact is read */
	{"badaspec", EPROTO, 400, "Bad To"},
	{"baddn", 0, 0, NULL},		/* liberal, as the RFC allows */
	{"badvers", EPROTO, 505, "Bad SIP-Version"},
	{"mismatch01", EPROTO, 400, "CSeq method differs from request's"},
	{"mismatch02", EPROTO, 400, "CSeq method differs from request's"},
	{"bigcode", EBADMSG, 0, NULL},
	/* 3.2: transaction layer */
	{"badbranch", 0, 0, NULL},
	/* 3.3: application layer */
	{"insuf", EPROTO, 400, "Missing From"},
	{"unkscm", 0, 0, NULL}, {"novelsc", 0, 0, NULL},
	{"unksm2", 0, 0, NULL}, {"bext01", 0, 0, NULL},
	{"invut", 0, 0, NULL}, {"regaut01", 0, 0, NULL},
	{"multi01", EPROTO, 400, "Header given twice"},
	{"mcl01", EPROTO, 400, "Header given twice"},
	{"bcast", 0, 0, NULL}, {"zeromf", 0, 0, NULL},
	{"cparam01", 0, 0, NULL}, {"cparam02", 0, 0, NULL},
	{"regescrt", 0, 0, NULL}, {"sdp01", 0, 0, NULL},
	/* 3.4: backward compatibility */
	{"inv2543", 0, 0, NULL},
};


static int file_read(struct mbuf *mb, const char *name)
{
	char path[64];
	size_t n;
	FILE *f;

	(void)re_snprintf(path, sizeof(path), "rfc4475/%s.dat", name);
	f = fopen(path, "rb");
	if (!f)
		return ENOENT;

	n = fread(mb->buf, 1, mb->size, f);
	mb->end = n;
	(void)fclose(f);

	return n ? 0 : EIO;
}


static int torture_one(const struct torture *t, struct mbuf *mb)
{
	struct sipcore_msg *msg = NULL;
	int err, e;

	err = file_read(mb, t->file);
	TEST_ERR(err);

	e = sipcore_msg_decode(&msg, mb->buf, mb->end, NULL);
	if (e == ENOMEM)
		return e;
	if (e != t->err || (msg && msg->malformed_code != t->code) ||
	    (t->what && (!msg || strcmp(msg->malformed, t->what))))
		(void)re_fprintf(stderr, "%s: %d %s\n", t->file, e,
				 msg && msg->malformed ? msg->malformed : "");
	TEST_EQUALS(t->err, e);
	TEST(t->err == EBADMSG || msg != NULL);
	if (t->what) {
		TEST_EQUALS(t->code, msg->malformed_code);
		TEST_STRCMP(t->what, msg->malformed);
	}
 out:
	mem_deref(msg);
	return err;
}


static int test_msg_rfc4475(void)
{
	struct mbuf *mb = mbuf_alloc(8192);
	int err = mb ? 0 : ENOMEM;

	for (size_t i=0; i<RE_ARRAY_SIZE(torturev) && !err; i++)
		err = torture_one(&torturev[i], mb);

	mem_deref(mb);
	return err;
}


/* RFC 4475 3.1.1.1 and .2: what the two hardest ones mean */
static int test_msg_torture_views(void)
{
	struct sipcore_msg *msg = NULL;
	struct sipcore_naddr na;
	struct pl rest, val;
	struct mbuf *mb = mbuf_alloc(8192);
	int err = ENOMEM;

	if (!mb)
		goto out;

	err = file_read(mb, "wsinv");
	TEST_ERR(err);
	err = sipcore_msg_decode(&msg, mb->buf, mb->end, NULL);
	TEST_ERR(err);
	TEST_PL("1918181833n", &msg->to.tag);
	TEST_PL("98asjd8", &msg->from.tag);
	TEST_PL("J Rosenberg \\\\\\\"", &msg->from.dname);
	TEST_EQUALS(68, msg->maxfwd);
	TEST_EQUALS(9, msg->cseq);
	TEST_PL("192.0.2.2", &msg->via.host);
	TEST_PL("390skdjuw", &msg->via.branch);
	TEST(!msg->via.cookie);
	TEST_EQUALS(150, msg->body.l);
	rest = sipcore_hdr(msg, SIPCORE_HDR_VIA, 1)->val;
	TEST(sipcore_val_next(&rest, &val));
	TEST(sipcore_val_next(&rest, &val));
	err = sipcore_naddr_decode(&na, &sipcore_hdr(msg, SIPCORE_HDR_CONTACT,
						     0)->val);
	TEST_ERR(err);
	TEST(sipcore_param(&na.params, "q", &val));
	TEST_PL("0.33", &val);
	TEST(sipcore_param(&na.params, "secondparam", &val));
	TEST(!val.l);
	msg = mem_deref(msg);

	err = file_read(mb, "intmeth");
	TEST_ERR(err);
	err = sipcore_msg_decode(&msg, mb->buf, mb->end, NULL);
	TEST_ERR(err);
	TEST_EQUALS(SIPCORE_OTHER, msg->method);
	TEST_PL("1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*",
		&msg->uri.user);
	TEST_PL("example.com", &msg->uri.host);
	TEST_PL("_token~1'+`*%!-.", &msg->from.tag);
	TEST_PL("intmeth.word%ZK-!.*_+'@word`~)(><:\\/\"][?}{",
		&msg->callid);
 out:
	mem_deref(msg);
	mem_deref(mb);
	return err;
}


struct bad {
	const char *from, *to;	/* change of the good request */
	int err;
	const char *what;
};

static const char good[] =
	"OPTIONS sip:a@b SIP/2.0\r\n"
	"Via: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKabc\r\n"
	"Max-Forwards: 70\r\n"
	"From: <sip:a@b>;tag=1\r\n"
	"To: <sip:a@b>\r\n"
	"Call-ID: x\r\n"
	"CSeq: 1 OPTIONS\r\n"
	"Content-Length: 0\r\n"
	"\r\n";

static const struct bad badv[] = {
	{"CSeq: 1", "CSeq: 2147483648", EPROTO, "Bad CSeq"},
	{"CSeq: 1 ", "CSeq: 1", EPROTO, "Bad CSeq"},
	{"70", "256", EPROTO, "Bad Max-Forwards"},
	{"70", "-1", EPROTO, "Bad Max-Forwards"},
	{"Length: 0", "Length: 1", EPROTO,
	 "Content-Length exceeds the message"},
	{"Length: 0", "Length: 4294967296", EPROTO, "Bad Content-Length"},
	{"Call-ID: x", "Call-ID:", EPROTO, "Missing Call-ID"},
	{"Call-ID", "Call-IX", EPROTO, "Missing Call-ID"},
	{"To: <sip:a@b>", "To: <sip:a@b", EPROTO, "Bad To"},
	{"To: <sip:a@b>", "To: <sip:a@b>,<sip:b@b>", EPROTO, "Bad To"},
	{"To: <sip:a@b>", "To <sip", EPROTO, "Header without colon"},
	{"Max-Forwards", "Max Forwards", EPROTO, "Bad header name"},
	{"Max-Forwards", " ", 0, NULL},		/* continues the Via: rubbish
						   in a parameter */
	{"\r\nCall-ID", "\nCall-ID", EPROTO, "Stray CR, LF or NUL"},
	{"<sip:a@b>\r\n", "<sip:a@b>;x=\r\r\n", EPROTO,
	 "Stray CR, LF or NUL"},
	{"Content-Length: 0\r\n\r\n", "Content-Length: 0\r\n", 0, NULL},
	{"Content-Length: 0\r\n\r\n", "", EPROTO,
	 "No empty line behind the headers"},
	{"Via", "Vja", EBADMSG, NULL},
	{"10.0.0.1", "10.0.0.1:0", EBADMSG, NULL},
	{"SIP/2.0\r\n", "SIP/3.0\r\n", EPROTO, "Bad SIP-Version"},
	{"SIP/2.0\r\n", "HTTP/1.1\r\n", EBADMSG, NULL},
	{"OPTIONS", "OPT@ONS", EBADMSG, NULL},
	{"sip:a@b ", "sip:a@b:70000 ", EPROTO, "Bad Request-URI"},
	{"sip:a@b ", "sip:a@[::g] ", EPROTO, "Bad Request-URI"},
	{"sip:a@b ", "sip:a@[::1]:5060;lr ", 0, NULL},
	{"sip:a@b ", "", EPROTO, "Bad Request-Line"},
};


static int bad_one(const struct bad *b)
{
	struct sipcore_msg *msg = NULL;
	const char *at = strstr(good, b->from);
	char buf[512];
	int err = 0, e;

	TEST(at != NULL);
	(void)re_snprintf(buf, sizeof(buf), "%b%s%s", good,
			  (size_t)(at - good), b->to, at + strlen(b->from));
	e = decode(&msg, buf);
	if (e == ENOMEM)
		return e;
	if (e != b->err || (b->what && strcmp(msg->malformed, b->what)))
		(void)re_fprintf(stderr, "%s -> %s: %d %s\n", b->from, b->to,
				 e, msg && msg->malformed ? msg->malformed
							  : "");
	TEST_EQUALS(b->err, e);
	if (b->what)
		TEST_STRCMP(b->what, msg->malformed);
 out:
	mem_deref(msg);
	return err;
}


static int test_msg_bad(void)
{
	int err = 0;

	for (size_t i=0; i<RE_ARRAY_SIZE(badv) && !err; i++)
		err = bad_one(&badv[i]);

	return err;
}


static int test_msg_limits(void)
{
	const struct sipcore_lim size = {sizeof(good), 256}, hdrs = {65535, 3};
	const struct sipcore_lim tiny = {60, 256};
	struct sipcore_msg *msg = NULL;
	int err = 0;

	/* the header section fits, the body does not: 513 */
	TEST_EQUALS(EMSGSIZE, sipcore_msg_read(&msg, (const uint8_t *)invite,
			strlen(invite),
			false, &(struct sipcore_lim){strlen(invite) - 2, 256},
			NULL));
	TEST(msg != NULL);
	TEST_EQUALS(513, msg->malformed_code);
	msg = mem_deref(msg);

	TEST_EQUALS(EMSGSIZE, sipcore_msg_read(&msg, (const uint8_t *)good,
			strlen(good), false, &tiny, NULL));
	TEST(msg == NULL);
	err = sipcore_msg_read(&msg, (const uint8_t *)good, strlen(good),
			       false, &size, NULL);
	TEST_ERR(err);
	msg = mem_deref(msg);

	TEST_EQUALS(EPROTO, sipcore_msg_read(&msg, (const uint8_t *)good,
			strlen(good), false, &hdrs, NULL));
	TEST_STRCMP("Too many header fields", msg->malformed);
 out:
	mem_deref(msg);
	return test_oom() ? ENOMEM : err;
}


/* RFC 3261 18.2.1, RFC 3581 4 */
static int received(const char *viahdr, const char *src, const char *expected)
{
	struct sipcore_msg *msg = NULL;
	char buf[512];
	struct sa sa;
	int err;

	(void)sa_set_str(&sa, src, 5099);
	(void)re_snprintf(buf, sizeof(buf), "OPTIONS sip:a@b SIP/2.0\r\n"
			  "Max-Forwards: 1\r\nVia: %s\r\n%s", viahdr,
			  strstr(good, "From"));
	err = sipcore_msg_read(&msg, (const uint8_t *)buf, strlen(buf), false,
			       NULL, &sa);
	TEST_ERR(err);
	TEST_PL(expected, &sipcore_hdr(msg, SIPCORE_HDR_VIA, 0)->val);
	TEST(sipcore_hdr(msg, SIPCORE_HDR_VIA, 0)->line.p +
	     sipcore_hdr(msg, SIPCORE_HDR_VIA, 0)->line.l ==
	     sipcore_hdr(msg, SIPCORE_HDR_FROM, 0)->line.p);
	TEST_PL("z9hG4bK1", &msg->via.branch);
	TEST_PL("x", &msg->callid);
 out:
	mem_deref(msg);
	return err;
}


static int test_msg_received(void)
{
	int err;

	err = received("SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK1", "10.0.0.1",
		       "SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK1");
	TEST_ERR(err);
	err = received("SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK1", "10.0.0.2",
		       "SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK1"
		       ";received=10.0.0.2");
	TEST_ERR(err);
	err = received("SIP/2.0/UDP host;branch=z9hG4bK1", "10.0.0.2",
		       "SIP/2.0/UDP host;branch=z9hG4bK1;received=10.0.0.2");
	TEST_ERR(err);
	err = received("SIP/2.0/UDP 10.0.0.1;rport;branch=z9hG4bK1",
		       "10.0.0.1", "SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK1"
		       ";received=10.0.0.1;rport=5099");
	TEST_ERR(err);
	err = received("SIP/2.0/UDP 10.0.0.1 ; rport = 1;received=1.1.1.1;"
		       "receivedx=2;branch=z9hG4bK1, SIP/2.0/UDP b;branch=2",
		       "2001:db8::5", "SIP/2.0/UDP 10.0.0.1 ;receivedx=2;"
		       "branch=z9hG4bK1;received=2001:db8::5;rport=5099,"
		       " SIP/2.0/UDP b;branch=2");
	TEST_ERR(err);
 out:
	return err;
}


static int test_msg_stream(void)
{
	struct sipcore_msg *msg = NULL;
	const size_t n = strlen(invite), m = strlen(good);
	struct mbuf *mb = mbuf_alloc(4096);
	struct sipcore_frame fr = {0, 0, 0};
	size_t used;
	int err = ENOMEM;

	if (!mb)
		goto out;

	err = mbuf_printf(mb, "\r\n\r\n%s%s", invite, good);
	TEST_ERR(err);

	/* byte by byte: never early, and nothing is looked at twice */
	for (size_t i=4; i<n+4; i++) {
		TEST_EQUALS(ENODATA, sipcore_msg_decode(&msg, mb->buf, i,
							&used));
		TEST_EQUALS(ENODATA, sipcore_frame(&fr, mb->buf + 4, i - 4));
		TEST(fr.hlen || fr.scan == i - 4);
	}
	TEST_EQUALS(0, sipcore_frame(&fr, mb->buf + 4, n));

	err = sipcore_msg_decode(&msg, mb->buf, mb->end, &used);
	TEST_ERR(err);
	TEST_EQUALS(n + 4, used);
	TEST_EQUALS(4, msg->body.l);
	msg = mem_deref(msg);
	err = sipcore_msg_decode(&msg, mb->buf + used, mb->end - used, &used);
	TEST_ERR(err);
	TEST_EQUALS(m, used);
	TEST_EQUALS(SIPCORE_OPTIONS, msg->method);
	msg = mem_deref(msg);

	/* RFC 3261 20.14: a stream needs Content-Length */
	mbuf_rewind(mb);
	err = mbuf_write_mem(mb, (const uint8_t *)good, m - 21);
	err |= mbuf_write_str(mb, "\r\n");
	TEST_ERR(err);
	TEST_EQUALS(EPROTO, sipcore_msg_decode(&msg, mb->buf, mb->end,
					       &used));
	TEST_STRCMP("Missing Content-Length", msg->malformed);
 out:
	mem_deref(msg);
	mem_deref(mb);
	return test_oom() ? ENOMEM : err;
}


static bool uris_equal(const char *a, const char *b)
{
	struct uri x, y;
	struct pl p, q;

	pl_set_str(&p, a);
	pl_set_str(&q, b);

	return !sipcore_uri_decode(&x, &p) && !sipcore_uri_decode(&y, &q) &&
		sipcore_uri_cmp(&x, &y) && sipcore_uri_cmp(&y, &x);
}


/* The examples of RFC 3261 19.1.4 */
/* A field that another one's continuation looks like: whoever forwards the
   message byte for byte would have its body taken for a request */
static int test_msg_folded(void)
{
	static const char txt[] =
		"OPTIONS sip:a@test SIP/2.0\r\n"
		"Subject: one\r\n"
		" Content-Length: 0\r\n"
		"\tCall-ID: other\r\n"
		"Via: SIP/2.0/TCP 127.0.0.1;branch=z9hG4bKf\r\n"
		"From: <sip:b@test>;tag=1\r\nTo: <sip:a@test>\r\n"
		"Call-ID: mine\r\nCSeq: 1 OPTIONS\r\n"
		"Content-Length: 4\r\n\r\nbody";
	struct sipcore_msg *msg = NULL;
	size_t used = 0;
	struct pl val;
	int err;

	err = sipcore_msg_decode(&msg, (const uint8_t *)txt, strlen(txt),
				 &used);
	TEST_ERR(err);
	TEST_EQUALS(strlen(txt), used);
	TEST_EQUALS(4, msg->body.l);

	TEST(sipcore_scan((const uint8_t *)txt, strlen(txt),
			  SIPCORE_HDR_CALL_ID, &val));
	TEST_EQUALS(0, pl_cmp(&val, &msg->callid));
 out:
	mem_deref(msg);
	return err;
}


static int test_msg_uri_cmp(void)
{
	int err = 0;

	TEST(uris_equal("sip:%61lice@atlanta.com;transport=TCP",
			"sip:alice@AtLanTa.CoM;Transport=tcp"));
	TEST(uris_equal("sip:carol@chicago.com",
			"sip:carol@chicago.com;newparam=5"));
	TEST(uris_equal("sip:carol@chicago.com;security=on",
			"sip:carol@chicago.com;newparam=5"));
	TEST(uris_equal("sip:biloxi.com;transport=tcp;method=REGISTER"
			"?to=sip:bob%40biloxi.com",
			"sip:biloxi.com;method=REGISTER;transport=tcp"
			"?to=sip:bob%40biloxi.com"));
	TEST(uris_equal("sip:alice@atlanta.com?subject=project%20x&priority="
			"urgent", "sip:alice@atlanta.com?priority=urgent&"
			"subject=project%20x"));
	TEST(!uris_equal("SIP:ALICE@AtLanTa.CoM;Transport=udp",
			 "sip:alice@AtLanTa.CoM;Transport=UDP"));
	TEST(!uris_equal("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060"));
	TEST(!uris_equal("sip:bob@biloxi.com",
			 "sip:bob@biloxi.com;transport=udp"));
	TEST(!uris_equal("sip:bob@biloxi.com:6000;transport=tcp",
			 "sip:bob@biloxi.com;transport=tcp"));
	TEST(!uris_equal("sip:carol@chicago.com;newparam=5",
			 "sip:carol@chicago.com;newparam=6"));
	TEST(!uris_equal("sip:carol@chicago.com",
			 "sip:carol@chicago.com?Subject=next%20meeting"));
	TEST(uris_equal("sip:[2001:DB8::1]", "sip:[2001:db8:0::1]"));
	TEST(!uris_equal("sip:a@b", "sips:a@b"));
 out:
	return err;
}


static int edited(struct sipcore_edit *ed, struct mbuf *mb,
		  const struct sipcore_msg *msg)
{
	struct pl body = PL("new body"), ruri = PL("sip:new@10.9.9.9");
	const struct sipcore_hdr *route, *h;
	struct pl rest, val;
	int err;

	route = sipcore_hdr(msg, SIPCORE_HDR_ROUTE, 0);

	err = sipcore_edit_ruri(ed, &ruri);
	h = sipcore_hdr(msg, SIPCORE_HDR_VIA, 0);
	err |= sipcore_edit_before(ed, h, "Via: SIP/2.0/UDP us;branch=%d", 1);
	rest = route->val;
	(void)sipcore_val_next(&rest, &val);
	err |= sipcore_edit_drop_val(ed, route, &val);
	err |= sipcore_edit_before(ed, NULL, "Record-Route: <sip:us;lr>");
	h = sipcore_hdr(msg, SIPCORE_HDR_MAX_FORWARDS, 0);
	err |= sipcore_edit_replace(ed, h, "Max-Forwards: %d", 69);
	err |= sipcore_edit_drop(ed, sipcore_hdr_name(msg, "Bip", 0));
	err |= sipcore_edit_append(ed, "X-Last: yes");
	err |= sipcore_edit_body(ed, NULL, &body);
	err |= sipcore_edit_write(mb, ed);

	return err;
}


static const char edited_text[] =
	"INVITE sip:new@10.9.9.9 SIP/2.0\r\n"
	"Via: SIP/2.0/UDP us;branch=1\r\n"
	"Record-Route: <sip:us;lr>\r\n"
	"v: SIP/2.0/UDP 10.0.0.1:5070;branch=z9hG4bKabc;rport,"
	"SIP/2.0/TCP [2001:db8::1];branch=z9hG4bKdef\r\n"
	"gda: nothing to do with Via\r\n"
	"Max-Forwards: 69\r\n"
	"f: \"A \\\"B\\\" C\" <sip:1001@sip.local>;tag=f1;x=\"a;tag=no\"\r\n"
	"t: <sip:1002@sip.local>\r\n"
	"i: call-1@10.0.0.1\r\n"
	"CSeq: 7 INVITE\r\n"
	"Route: <sip:b.example;lr> ,<sip:c,d.example;lr>\r\n"
	"Supported: 100rel,\r\n timer\r\n"
	"k: path\r\n"
	"Session-ID: 0123456789abcdef0123456789abcdef;remote=0\r\n"
	"c: application/sdp\r\n"
	"Content-Length: 8\r\n"
	"X-Last: yes\r\n"
	"\r\n"
	"new body";


static int test_edit(void)
{
	struct sipcore_msg *msg = NULL;
	struct sipcore_edit ed;
	struct mbuf *mb = mbuf_alloc(64);
	int err;

	sipcore_edit_init(&ed, NULL);
	if (!mb) {
		err = ENOMEM;
		goto out;
	}

	err = decode(&msg, invite);
	TEST_ERR(err);

	/* untouched: byte for byte */
	sipcore_edit_init(&ed, msg);
	err = sipcore_edit_write(mb, &ed);
	TEST_ERR(err);
	TEST_MEMCMP(invite, strlen(invite), mb->buf, mb->end);
	mbuf_rewind(mb);

	err = edited(&ed, mb, msg);
	TEST_ERR(err);
	TEST_MEMCMP(edited_text, strlen(edited_text), mb->buf, mb->end);
 out:
	sipcore_edit_close(&ed);
	mem_deref(msg);
	mem_deref(mb);
	return test_oom() ? ENOMEM : err;
}


/* Every subset of three Routes, dropped in either order */
static int drop_some(const struct sipcore_msg *msg, unsigned mask, bool back,
		     char *buf, size_t sz)
{
	const struct sipcore_hdr *h = sipcore_hdr(msg, SIPCORE_HDR_ROUTE, 0);
	struct mbuf *mb = mbuf_alloc(1024);
	struct sipcore_edit ed;
	struct pl rest = h->val, valv[3];
	const char *p, *end;
	int err = mb ? 0 : ENOMEM;

	for (size_t i=0; i<3; i++)
		(void)sipcore_val_next(&rest, &valv[i]);

	sipcore_edit_init(&ed, msg);
	for (size_t i=0; i<3 && !err; i++) {
		const size_t k = back ? 2 - i : i;

		if (mask & 1u << k)
			err = sipcore_edit_drop_val(&ed, h, &valv[k]);
	}
	if (!err)
		err = sipcore_edit_write(mb, &ed);
	if (!err)
		err = mbuf_write_u8(mb, 0);
	if (err)
		goto out;

	p = strstr((char *)mb->buf, "Route:");
	end = strstr((char *)mb->buf, "Supported");
	(void)re_snprintf(buf, sz, "%b", p ? p : "",
			  p ? (size_t)(end - p) : 0);
 out:
	sipcore_edit_close(&ed);
	mem_deref(mb);
	return err;
}


static int test_edit_drop_val(void)
{
	static const char *const namev[] = {
		"<sip:a.example;lr>", "<sip:b.example;lr>",
		"<sip:c,d.example;lr>"
	};
	struct sipcore_msg *msg = NULL;
	int err;

	err = decode(&msg, invite);
	TEST_ERR(err);

	for (unsigned mask=0; mask<16; mask++) {
		struct pl rest, val;
		unsigned left = 0;
		char buf[256];

		err = drop_some(msg, mask & 7, mask & 8, buf, sizeof(buf));
		TEST_ERR(err);
		pl_set_str(&rest, buf);
		if ((mask & 7) == 7) {
			TEST_EQUALS(0, rest.l);
			continue;
		}
		TEST(!memcmp(buf, "Route: ", 7));
		TEST(!memcmp(buf + rest.l - 2, "\r\n", 2));
		TEST(buf[rest.l - 3] == '>');
		pl_advance(&rest, 7);
		TEST(rest.p[0] == '<');
		for (size_t i=0; i<3; i++) {
			if (mask & 1u << i)
				continue;
			TEST(sipcore_val_next(&rest, &val));
			TEST_PL(namev[i], &val);
			++left;
		}
		TEST(!sipcore_val_next(&rest, &val));
		TEST(left > 0);
	}
 out:
	mem_deref(msg);
	return err;
}


int main(int argc, char *argv[])
{
	static const struct test_case cases[] = {
		TEST_CASE(test_msg_fields),
		TEST_CASE(test_msg_response),
		TEST_CASE(test_msg_rfc4475),
		TEST_CASE(test_msg_torture_views),
		TEST_CASE(test_msg_bad),
		TEST_CASE(test_msg_limits),
		TEST_CASE(test_msg_received),
		TEST_CASE(test_msg_stream),
		TEST_CASE(test_msg_folded),
		TEST_CASE(test_msg_uri_cmp),
		TEST_CASE(test_edit),
		TEST_CASE(test_edit_drop_val),
	};

	return test_main(argc, argv, cases, RE_ARRAY_SIZE(cases));
}
