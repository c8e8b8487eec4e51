/**
 * @file test_sdpx.c  Reading, rewriting and making SDP
 */
#include <string.h>
#include <re.h>
#include "sdpx/sdpx.h"
#include "test.h"


static const char phone[] =
	"v=0\r\n"
	"o=alice 2890844526 7 IN IP4 192.0.2.1\r\n"
	"s=-\r\n"
	"c=IN IP4 192.0.2.1\r\n"
	"t=0 0\r\n"
	"a=sendonly\r\n"
	"a=x-unknown:kept  as is\r\n"
	"m=audio 4000 RTP/AVP 0 8 96 101\r\n"
	"a=rtpmap:96 opus/48000/2\r\n"
	"a=fmtp:96 useinbandfec=1\r\n"
	"a=rtpmap:101 telephone-event/8000\r\n"
	"a=rtcp:4005\r\n"
	"a=candidate:1 1 UDP 1 192.0.2.1 4000 typ host\r\n"
	"a=ice-ufrag:x\r\n"
	"a=sendrecv\r\n"
	"m=video 0 RTP/AVP 34\r\n"
	"i=a rejected line\r\n"
	"m=image 4010 udptl t38\r\n"
	"i=fax\r\n"
	"a=T38FaxVersion:0\r\n";


static int decode(struct sdpx *s, const char *str)
{
	return sdpx_decode(s, str, strlen(str));
}


static int test_read(void)
{
	struct sdpx_codec cv[8];
	const struct sdpx_media *m;
	struct sdpx s;
	struct pl val;
	int err;

	err = decode(&s, phone);
	TEST_ERR(err);
	TEST_EQUALS(3, s.mediac);
	TEST_EQUALS(SDPX_SENDONLY, s.dir);

	m = &s.mediav[0];
	TEST_PL("audio", &m->type);
	TEST_PL("0 8 96 101", &m->fmts);
	TEST_EQUALS(4000, sa_port(&m->rtp));
	TEST_EQUALS(4005, sa_port(&m->rtcp));
	TEST(sa_cmp(&m->rtp, &m->rtcp, SA_ADDR));
	TEST_EQUALS(SDPX_SENDRECV, m->dir);
	TEST(m->is_rtp && m->ice && !m->hold && !m->rejected);
	TEST(s.mediav[1].rejected);
	TEST(!s.mediav[2].is_rtp);
	TEST(s.mediav[2].hold);
	TEST(sdpx_attr(&s, &s.mediav[2], "T38FaxVersion", 0, &val));
	TEST_PL("0", &val);
	TEST(sdpx_attr(&s, NULL, "x-unknown", 0, &val));
	TEST_PL("kept  as is", &val);
	TEST(!sdpx_attr(&s, m, "rtpmap", 2, &val));
	TEST(sdpx_find(&s, "audio") == m);
	TEST(sdpx_find(&s, "video") == NULL);

	TEST_EQUALS(4, sdpx_codecs(m, cv, 8));
	TEST_PL("PCMU", &cv[0].name);
	TEST_PL("PCMA", &cv[1].name);
	TEST_PL("opus", &cv[2].name);
	TEST_EQUALS(48000, cv[2].srate);
	TEST_EQUALS(2, cv[2].ch);
	TEST_PL("useinbandfec=1", &cv[2].fmtp);
	TEST_EQUALS(101, cv[3].pt);
	TEST_EQUALS(1, sdpx_codecs(m, cv, 1));
 out:
	return err;
}


static int test_read_forms(void)
{
	struct sdpx s;
	int err;

	/* bare LF, no line end at the last, media level c=, IPv6 */
	err = decode(&s, "v=0\ns=-\nm=audio 2000 RTP/AVP 0\n"
		     "c=IN IP6 2001:db8::1\na=rtcp-mux");
	TEST_ERR(err);
	TEST_EQUALS(AF_INET6, sa_af(&s.mediav[0].rtp));
	TEST(s.mediav[0].rtcp_mux);

	/* RFC 2543 hold */
	err = decode(&s, "v=0\r\nc=IN IP4 0.0.0.0\r\n"
		     "m=audio 2000 RTP/AVP 0\r\n");
	TEST_ERR(err);
	TEST(s.mediav[0].hold);
	TEST(!sa_isset(&s.mediav[0].rtp, SA_ADDR));
	TEST_EQUALS(2000, sa_port(&s.mediav[0].rtp));

	/* a name, a multicast TTL, a port count, a=rtcp with address */
	err = decode(&s, "v=0\r\nc=IN IP4 233.252.0.1/127\r\n"
		     "m=audio 2000/2 RTP/AVP 0\r\n"
		     "a=rtcp:53020 IN IP4 192.0.2.9\r\n"
		     "m=audio 2010 RTP/AVP 0\r\nc=IN IP4 host.example\r\n");
	TEST_ERR(err);
	TEST(sa_isset(&s.mediav[0].rtp, SA_ALL));
	TEST_EQUALS(53020, sa_port(&s.mediav[0].rtcp));
	TEST(!sa_cmp(&s.mediav[0].rtp, &s.mediav[0].rtcp, SA_ADDR));
	TEST(!sa_isset(&s.mediav[1].rtp, SA_ADDR));

	err = decode(&s, "v=0\r\na=group:BUNDLE 0 1\r\n"
		     "c=IN IP4 192.0.2.1\r\n"
		     "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\n"
		     "m=video 0 UDP/TLS/RTP/SAVPF 96\r\na=bundle-only\r\n");
	TEST_ERR(err);
	TEST_PL("0 1", &s.bundle);
	TEST_PL("0", &s.mediav[0].mid);
	TEST(s.mediav[0].is_rtp);
	TEST(!s.mediav[1].rejected);
 out:
	return err;
}


static int test_read_bad(void)
{
	static const char *badv[] = {
		"", "v", "hello", "v=0\r\nm=audio\r\n",
		"v=0\r\nm=audio x RTP/AVP 0\r\n",
		"v=0\r\nm=audio 65536 RTP/AVP 0\r\n",
		"v=0\r\nm=audio 99999999999 RTP/AVP 0\r\n",
		"v=0\r\nm=audio -1 RTP/AVP 0\r\n",
		"v=0\r\nc=IN\r\nm=audio 1 RTP/AVP 0\r\n",
		"v=0\r\nm=audio 1 RTP/AVP 0\r\nc=IN IP4\r\n",
	};
	struct sdpx s;
	char buf[1024];
	size_t i, n;
	int err = 0;

	for (i = 0; i < RE_ARRAY_SIZE(badv); i++)
		TEST_EQUALS(EBADMSG, decode(&s, badv[i]));

	n = (size_t)re_snprintf(buf, sizeof(buf), "v=0\r\n");
	for (i = 0; i < SDPX_MEDIA_MAX + 1; i++)
		n += (size_t)re_snprintf(buf + n, sizeof(buf) - n,
					 "m=audio 1 RTP/AVP 0\r\n");
	TEST_EQUALS(EOVERFLOW, sdpx_decode(&s, buf, n));
	TEST_EQUALS(EOVERFLOW, sdpx_decode(&s, buf, SDPX_SIZE_MAX + 1));
 out:
	return err;
}


/* Nothing asked, nothing changed */
static int test_rewrite_identity(void)
{
	struct sdpx_edit e;
	struct mbuf *mb;
	struct sdpx s;
	int err;

	memset(&e, 0, sizeof(e));
	mb = mbuf_alloc(16);
	if (!mb)
		return ENOMEM;

	err = decode(&s, phone);
	TEST_ERR(err);
	err = sdpx_rewrite(mb, &s, &e);
	TEST_ERR(err);
	TEST_MEMCMP(phone, strlen(phone), mb->buf, mb->end);
 out:
	mem_deref(mb);
	return err;
}


static int test_rewrite_relay(void)
{
	static const char golden[] =
		"v=0\r\n"
		"o=alice 2890844526 7 IN IP4 203.0.113.5\r\n"
		"s=-\r\n"
		"c=IN IP4 203.0.113.5\r\n"
		"t=0 0\r\n"
		"a=sendonly\r\n"
		"a=x-unknown:kept  as is\r\n"
		"m=audio 10000 RTP/AVP 0 8 96 101\r\n"
		"a=rtpmap:96 opus/48000/2\r\n"
		"a=fmtp:96 useinbandfec=1\r\n"
		"a=rtpmap:101 telephone-event/8000\r\n"
		"a=rtcp:10001\r\n"
		"a=sendrecv\r\n"
		"a=rtcp-mux\r\n"
		"m=video 0 RTP/AVP 34\r\n"
		"i=a rejected line\r\n"
		"m=image 10002 udptl t38\r\n"
		"i=fax\r\n"
		"c=IN IP6 2001:db8::5\r\n"
		"a=T38FaxVersion:0\r\n";
	struct sdpx_edit e;
	struct mbuf *mb;
	struct sdpx s;
	int err;

	memset(&e, 0, sizeof(e));
	mb = mbuf_alloc(16);
	if (!mb)
		return ENOMEM;

	sa_set_str(&e.conn, "203.0.113.5", 0);
	e.origin = e.conn;
	e.ice_remove = true;
	sa_set_str(&e.mediav[0].addr, "203.0.113.5", 10000);
	e.mediav[0].rtcp = 10001;
	e.mediav[0].mux = SDPX_MUX_ON;
	sa_set_str(&e.mediav[2].addr, "2001:db8::5", 10002);

	err = decode(&s, phone);
	TEST_ERR(err);
	err = sdpx_rewrite(mb, &s, &e);
	TEST_ERR(err);
	TEST_MEMCMP(golden, strlen(golden), mb->buf, mb->end);

	/* and back without the multiplex, into another profile */
	err = sdpx_decode(&s, (char *)mb->buf, mb->end);
	TEST_ERR(err);
	TEST(s.mediav[0].rtcp_mux && !s.mediav[0].ice);
 out:
	mem_deref(mb);
	return err;
}


static int test_rewrite_lf(void)
{
	static const char in[] = "v=0\nm=audio 2000 RTP/SAVP 0\na=rtcp-mux";
	static const char out_[] = "v=0\nm=audio 0 RTP/AVP 0\n"
		"c=IN IP4 127.0.0.1\n";
	struct sdpx_edit e;
	struct mbuf *mb;
	struct sdpx s;
	int err;

	memset(&e, 0, sizeof(e));
	mb = mbuf_alloc(16);
	if (!mb)
		return ENOMEM;

	sa_set_str(&e.mediav[0].addr, "127.0.0.1", 0);
	e.mediav[0].mux = SDPX_MUX_OFF;
	e.mediav[0].proto = "RTP/AVP";
	err = decode(&s, in);
	TEST_ERR(err);
	err = sdpx_rewrite(mb, &s, &e);
	TEST_ERR(err);
	TEST_MEMCMP(out_, strlen(out_), mb->buf, mb->end);
 out:
	mem_deref(mb);
	return err;
}


static int test_rewrite_hold(void)
{
	static const char in[] = "v=0\r\nc=IN IP4 0.0.0.0\r\n"
		"m=audio 2000 RTP/AVP 0\r\n";
	static const char golden[] = "v=0\r\nc=IN IP4 0.0.0.0\r\n"
		"m=audio 10000 RTP/AVP 0\r\n";
	struct sdpx_edit e;
	struct mbuf *mb;
	struct sdpx s;
	int err;

	memset(&e, 0, sizeof(e));
	mb = mbuf_alloc(16);
	if (!mb)
		return ENOMEM;

	sa_set_str(&e.conn, "127.0.0.1", 0);
	sa_set_str(&e.mediav[0].addr, "127.0.0.1", 10000);
	e.keep_hold = true;
	err = decode(&s, in);
	TEST_ERR(err);
	err = sdpx_rewrite(mb, &s, &e);
	TEST_ERR(err);
	TEST_MEMCMP(golden, strlen(golden), mb->buf, mb->end);
 out:
	mem_deref(mb);
	return err;
}


static int test_set_dir(void)
{
	static const char in[] = "v=0\r\no=- 1 9 IN IP4 127.0.0.1\r\n"
		"c=IN IP4 127.0.0.1\r\na=recvonly\r\n"
		"m=audio 2000 RTP/AVP 0\r\na=sendrecv\r\na=ptime:20\r\n"
		"m=video 0 RTP/AVP 34\r\n";
	static const char golden[] = "v=0\r\no=- 1 10 IN IP4 127.0.0.1\r\n"
		"c=IN IP4 127.0.0.1\r\n"
		"m=audio 2000 RTP/AVP 0\r\na=ptime:20\r\na=sendonly\r\n"
		"m=video 0 RTP/AVP 34\r\n";
	struct mbuf *mb;
	struct sdpx s;
	int err;

	mb = mbuf_alloc(16);
	if (!mb)
		return ENOMEM;

	err = decode(&s, in);
	TEST_ERR(err);
	err = sdpx_set_dir(mb, &s, SDPX_SENDONLY);
	TEST_ERR(err);
	TEST_MEMCMP(golden, strlen(golden), mb->buf, mb->end);
 out:
	mem_deref(mb);
	return err;
}


static void local_init(struct sdpx_local *l)
{
	memset(l, 0, sizeof(*l));
	l->sess_id = 1;
	l->sess_ver = 2;
	sa_set_str(&l->addr, "127.0.0.1", 5000);
	l->dir = SDPX_SENDRECV;
	l->codecv = sdpx_g711;
	l->codecc = 2;
	l->te_pt = 101;
}


static int test_make_answer(void)
{
	static const char golden[] = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\n"
		"s=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
		"m=video 0 RTP/AVP 34\r\n"
		"m=audio 5000 RTP/AVP 8 97\r\n"
		"a=rtpmap:8 PCMA/8000\r\n"
		"a=rtpmap:97 telephone-event/8000\r\na=fmtp:97 0-16\r\n"
		"a=ptime:30\r\na=recvonly\r\n";
	struct sdpx_choice ch;
	struct sdpx_local l;
	struct mbuf *mb;
	struct sdpx s;
	int err;

	local_init(&l);
	mb = mbuf_alloc(16);
	if (!mb)
		return ENOMEM;

	err = decode(&s, "v=0\r\nc=IN IP4 192.0.2.1\r\n"
		     "m=video 4002 RTP/AVP 34\r\n"
		     "m=audio 4000 RTP/AVP 18 8 0 96 97\r\na=ptime:30\r\n"
		     "a=rtpmap:96 telephone-event/48000\r\n"
		     "a=rtpmap:97 telephone-event/8000\r\na=sendonly\r\n");
	TEST_ERR(err);
	err = sdpx_make_answer(mb, &s, &l, &ch);
	TEST_ERR(err);
	TEST_MEMCMP(golden, strlen(golden), mb->buf, mb->end);
	TEST(ch.ok);
	TEST_EQUALS(1, ch.idx);
	TEST_EQUALS(8, ch.codec.pt);
	TEST_EQUALS(97, ch.te_pt);
	TEST_EQUALS(SDPX_RECVONLY, ch.dir);
	TEST_EQUALS(4000, sa_port(&ch.rtp));

	mbuf_rewind(mb);
	err = decode(&s, "v=0\r\nc=IN IP4 192.0.2.1\r\n"
		     "m=audio 4000 RTP/AVP 18\r\n");
	TEST_ERR(err);
	TEST_EQUALS(ENOTSUP, sdpx_make_answer(mb, &s, &l, &ch));
	TEST_EQUALS(0, mb->end);
	err = decode(&s, "v=0\r\nc=IN IP4 192.0.2.1\r\n"
		     "m=audio 4000 RTP/SAVP 0\r\n");
	TEST_ERR(err);
	TEST_EQUALS(ENOTSUP, sdpx_make_answer(mb, &s, &l, &ch));
 out:
	mem_deref(mb);
	return err;
}


static int test_make_offer(void)
{
	struct sdpx_choice ch;
	struct sdpx_local l;
	struct mbuf *mb, *mb2;
	struct sdpx s;
	int err = 0;

	local_init(&l);
	mb = mbuf_alloc(16);
	mb2 = mbuf_alloc(16);
	if (!mb || !mb2) {
		err = ENOMEM;
		goto out;
	}

	err = sdpx_make_offer(mb, &l);
	TEST_ERR(err);
	err = sdpx_decode(&s, (char *)mb->buf, mb->end);
	TEST_ERR(err);
	err = sdpx_make_answer(mb2, &s, &l, &ch);
	TEST_ERR(err);
	err = sdpx_decode(&s, (char *)mb2->buf, mb2->end);
	TEST_ERR(err);
	err = sdpx_read_answer(&s, &l, &ch);
	TEST_ERR(err);
	TEST_EQUALS(0, ch.codec.pt);
	TEST_EQUALS(101, ch.te_pt);
	TEST_EQUALS(20, ch.ptime);
	TEST_EQUALS(SDPX_SENDRECV, ch.dir);
	TEST_EQUALS(5000, sa_port(&ch.rtp));
 out:
	mem_deref(mb);
	mem_deref(mb2);
	return err;
}


int main(int argc, char *argv[])
{
	static const struct test_case cases[] = {
		TEST_CASE(test_read),
		TEST_CASE(test_read_forms),
		TEST_CASE(test_read_bad),
		TEST_CASE(test_rewrite_identity),
		TEST_CASE(test_rewrite_relay),
		TEST_CASE(test_rewrite_lf),
		TEST_CASE(test_rewrite_hold),
		TEST_CASE(test_set_dir),
		TEST_CASE(test_make_answer),
		TEST_CASE(test_make_offer),
	};

	return test_main(argc, argv, cases, RE_ARRAY_SIZE(cases));
}
