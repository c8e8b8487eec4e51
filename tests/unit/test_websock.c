/**
 * @file test_websock.c  compat/wsframe.c and compat/websock.c: RFC 6455
 */
#include <string.h>
#include <re.h>
#include "compat/compat.h"
#include "compat/wsframe.h"
#include "test.h"


/* ---- frames */

enum { MSG_MAX = 70000 };

struct got {
	char text[256];         /* "T:hello P: C:..." */
	size_t bytes;
	unsigned count;
	bool stop;
};


static bool got_handler(enum websock_opcode opcode, struct mbuf *mb,
			void *arg)
{
	static const char letters[] = "?TB?????CPO?????";
	struct got *got = arg;
	const size_t l = str_len(got->text);

	(void)re_snprintf(got->text + l, sizeof(got->text) - l, "%s%c:%b",
			  l ? " " : "", letters[opcode & 15],
			  mbuf_buf(mb), min(mbuf_get_left(mb), (size_t)20));
	got->bytes += mbuf_get_left(mb);
	++got->count;

	return !got->stop;
}


/* Decode in pieces of a given size */
static int decode(struct got *got, enum websock_scode *scode, bool masked,
		  const uint8_t *p, size_t len, size_t piece)
{
	struct wsframe_dec *dec;
	size_t n;
	int err;

	memset(got, 0, sizeof(*got));
	*scode = 0;
	err = wsframe_dec_alloc(&dec, masked, MSG_MAX);
	if (err)
		return err;

	while (len && !err) {
		uint8_t *copy;

		n = min(len, piece);
		copy = mem_alloc(n, NULL);      /* ASan sees its end */
		if (!copy) {
			err = ENOMEM;
			break;
		}
		memcpy(copy, p, n);
		err = wsframe_decode(dec, copy, n, got_handler, got);
		mem_deref(copy);
		p   += n;
		len -= n;
	}
	if (err)
		*scode = wsframe_dec_scode(dec);

	mem_deref(dec);
	return err;
}


struct vector {
	const char *name;
	bool masked;
	const char *bytes;
	size_t len;
	unsigned scode;         /* 0: good */
	const char *text;
};

#define B(s) s, sizeof(s) - 1

static const struct vector vectorv[] = {
	/* RFC 6455 5.7 */
	{"text", false, B("\x81\x05Hello"), 0, "T:Hello"},
	{"masked text", true,
	 B("\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"), 0, "T:Hello"},
	{"fragments", false, B("\x01\x03Hel\x80\x02lo"), 0, "T:Hello"},
	{"ping", false, B("\x89\x05Hello"), 0, "P:Hello"},
	{"masked pong", true,
	 B("\x8a\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"), 0, "O:Hello"},

	{"empty", false, B("\x81\x00\x82\x00"), 0, "T: B:"},
	{"two in a row", false, B("\x81\x01" "a\x82\x01" "b"), 0, "T:a B:b"},
	{"ping amid fragments", false,
	 B("\x01\x01" "a\x89\x01" "x\x00\x01" "b\x80\x01" "c"), 0,
	 "P:x T:abc"},
	{"close", false, B("\x88\x00"), 0, "C:"},
	{"close 3999", false, B("\x88\x03\x0f\x9f!"), 0, "C:\x0f\x9f!"},

	{"unmasked to server", true, B("\x81\x05Hello"), 1002, ""},
	{"masked to client", false,
	 B("\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"), 1002, ""},
	{"rsv1", false, B("\xc1\x00"), 1002, ""},
	{"rsv2", false, B("\xa1\x00"), 1002, ""},
	{"rsv3", false, B("\x91\x00"), 1002, ""},
	{"opcode 3", false, B("\x83\x00"), 1002, ""},
	{"opcode 11", false, B("\x8b\x00"), 1002, ""},
	{"opcode 15", false, B("\x8f\x00"), 1002, ""},
	{"fragmented ping", false, B("\x09\x00"), 1002, ""},
	{"long ping", false, B("\x89\x7e\x00\x7e"), 1002, ""},
	{"continues nothing", false, B("\x80\x00"), 1002, ""},
	{"text amid text", false, B("\x01\x01" "a\x81\x01" "b"), 1002, ""},
	{"16-bit length of 125", false, B("\x82\x7e\x00\x7d"), 1002, ""},
	{"64-bit length of 65535", false,
	 B("\x82\x7f\x00\x00\x00\x00\x00\x00\xff\xff"), 1002, ""},
	{"length with the top bit", false,
	 B("\x82\x7f\x80\x00\x00\x00\x00\x00\x00\x00"), 1002, ""},
	/* what overran the heap */
	{"length that wraps", true,
	 B("\x82\xff\xff\xff\xff\xff\xff\xff\xff\xfc\0\0\0\0abc"), 1002, ""},
	{"length of 2^63-1", true,
	 B("\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff\0\0\0\0abc"), 1009, ""},
	{"too long", false,
	 B("\x82\x7f\x00\x00\x00\x00\x00\x01\x11\x71"), 1009, ""},
	{"too long in sum", false,
	 B("\x02\x03" "abc\x80\x7f\x00\x00\x00\x00\x00\x01\x11\x6e"), 1009,
	 ""},
	{"close of one byte", false, B("\x88\x01\x03"), 1002, ""},
	{"close 999", false, B("\x88\x02\x03\xe7"), 1002, ""},
	{"close 1004", false, B("\x88\x02\x03\xec"), 1002, ""},
	{"close 1005", false, B("\x88\x02\x03\xed"), 1002, ""},
	{"close 1006", false, B("\x88\x02\x03\xee"), 1002, ""},
	{"close 1015", false, B("\x88\x02\x03\xf7"), 1002, ""},
	{"close 2999", false, B("\x88\x02\x0b\xb7"), 1002, ""},
	{"close 5000", false, B("\x88\x02\x13\x88"), 1002, ""},
	{"close, bad reason", false, B("\x88\x03\x03\xe8\xff"), 1007, ""},
	{"close, half a letter", false, B("\x88\x03\x03\xe8\xc3"), 1007, ""},

	{"utf-8", false, B("\x81\x0a\xc3\xa4\xe2\x82\xac\xf0\x9f\x93\x9e!"),
	 0, "T:\xc3\xa4\xe2\x82\xac\xf0\x9f\x93\x9e!"},
	{"utf-8 split", false, B("\x01\x02\xe2\x82\x80\x01\xac"), 0,
	 "T:\xe2\x82\xac"},
	{"utf-8 is not asked of binary", false, B("\x82\x01\xff"), 0,
	 "B:\xff"},
	{"utf-8 ends early", false, B("\x81\x02\xe2\x82"), 1007, ""},
	{"utf-8 overlong 2", false, B("\x81\x02\xc0\x80"), 1007, ""},
	{"utf-8 overlong 3", false, B("\x81\x03\xe0\x9f\xbf"), 1007, ""},
	{"utf-8 overlong 4", false, B("\x81\x04\xf0\x8f\xbf\xbf"), 1007, ""},
	{"utf-8 surrogate", false, B("\x81\x03\xed\xa0\x80"), 1007, ""},
	{"utf-8 too high", false, B("\x81\x04\xf4\x90\x80\x80"), 1007, ""},
	{"utf-8 lone tail", false, B("\x81\x01\x80"), 1007, ""},
	{"utf-8 bad at once", false, B("\x01\x02" "a\xff"), 1007, ""},
};


static int test_websock_frames(void)
{
	enum websock_scode scode;
	struct got got;
	size_t i, piece;
	int err = 0;

	for (i=0; i<RE_ARRAY_SIZE(vectorv); i++) {
		const struct vector *v = &vectorv[i];

		for (piece=1; piece<=v->len; piece++) {
			err = decode(&got, &scode, v->masked,
				     (const uint8_t *)v->bytes, v->len,
				     piece);
			if (err == ENOMEM)
				goto out;
			err = 0;
			if (scode != v->scode)
				(void)re_fprintf(stderr, "  %s, by %zu\n",
						 v->name, piece);
			TEST_EQUALS(v->scode, scode);
			if (!v->scode)
				TEST_STRCMP(v->text, got.text);
		}
	}
 out:
	return err;
}


/* What is encoded comes back, at every length that changes the header */
static int test_websock_roundtrip(void)
{
	static const size_t lenv[] = {0, 1, 125, 126, 127, 65535, 65536,
				      MSG_MAX};
	enum websock_scode scode;
	struct got got;
	struct mbuf *mb = NULL;
	size_t i;
	int err = 0, mask;

	for (i=0; i<RE_ARRAY_SIZE(lenv); i++) {
		for (mask=0; mask<2; mask++) {
			mb = mbuf_alloc(WSFRAME_HDR_MAX + lenv[i]);
			if (!mb)
				return ENOMEM;
			err  = mbuf_fill(mb, 0, WSFRAME_HDR_MAX);
			if (lenv[i])
				err |= mbuf_fill(mb, 'x', lenv[i]);
			if (err)
				goto out;
			err = wsframe_encode(mb, WEBSOCK_BIN, mask);
			TEST_ERR(err);
			err = decode(&got, &scode, mask, mbuf_buf(mb),
				     mbuf_get_left(mb), 1400);
			if (err)
				goto out;
			TEST_EQUALS(lenv[i], got.bytes);
			TEST_EQUALS(1, got.count);
			mb = mem_deref(mb);
		}
	}

	mb = mbuf_alloc(256);
	if (!mb)
		return ENOMEM;
	err = mbuf_fill(mb, 0, WSFRAME_HDR_MAX + 126);
	if (err)
		goto out;
	TEST_EQUALS(EMSGSIZE, wsframe_encode(mb, WEBSOCK_PING, false));
 out:
	mem_deref(mb);
	return err;
}


static int test_websock_dec_api(void)
{
	struct wsframe_dec *dec = NULL;
	struct got got;
	int err;

	memset(&got, 0, sizeof(got));
	TEST_EQUALS(EINVAL, wsframe_dec_alloc(NULL, true, 1));
	err = wsframe_dec_alloc(&dec, false, 100);
	if (err)
		return err;
	TEST_EQUALS(EINVAL, wsframe_decode(NULL, NULL, 0, got_handler, &got));
	TEST_EQUALS(EINVAL, wsframe_decode(dec, NULL, 1, got_handler, &got));
	TEST_EQUALS(0, wsframe_decode(dec, NULL, 0, got_handler, &got));

	/* a handler that has had enough */
	got.stop = true;
	err = wsframe_decode(dec, (const uint8_t *)"\x81\x01" "a\x81\x01" "b",
			     6, got_handler, &got);
	if (err)
		goto out;
	TEST_EQUALS(1, got.count);

	/* once refused, always refused */
	TEST_EQUALS(EPROTO, wsframe_decode(dec, (const uint8_t *)"\xff\x00",
					   2, got_handler, &got));
	TEST_EQUALS(EPROTO, wsframe_decode(dec, (const uint8_t *)"\x81\x00",
					   2, got_handler, &got));
	TEST_EQUALS(1002, wsframe_dec_scode(dec));
 out:
	mem_deref(dec);
	return err;
}


/* ---- connections, over the loopback interface */

struct peers {
	struct http_sock *http;
	struct http_cli *cli;
	struct dnsc *dnsc;
	struct websock *ws;
	struct websock_conn *srv;
	struct websock_conn *clt;
	unsigned estab, srv_msg, clt_msg, srv_closed, clt_closed;
	int srv_err, clt_err, err;
	bool drop_in_handler;
	const char *bad;        /* raw bytes that the client sends */
	size_t bad_len;
};


static void fail(struct peers *p, int err)
{
	if (err) {
		p->err = err;
		re_cancel();
	}
}


static void srv_recv(const struct websock_hdr *hdr, struct mbuf *mb,
		     void *arg)
{
	struct peers *p = arg;

	++p->srv_msg;
	if (p->drop_in_handler) {
		p->srv = mem_deref(p->srv);
		return;
	}
	fail(p, websock_send(p->srv, hdr->opcode, "%b", mbuf_buf(mb),
			     mbuf_get_left(mb)));
}


static void srv_close(int err, void *arg)
{
	struct peers *p = arg;

	++p->srv_closed;
	p->srv_err = err;
	p->srv = mem_deref(p->srv);
	if (p->bad)
		re_cancel();
}


static void http_handler(struct http_conn *conn, const struct http_msg *msg,
			 void *arg)
{
	struct peers *p = arg;

	fail(p, websock_accept_sub(&p->srv, p->ws, conn, msg, "sip", 0,
				   srv_recv, srv_close, p));
}


static void clt_estab(void *arg)
{
	struct peers *p = arg;
	struct mbuf *mb;

	++p->estab;
	if (!p->bad) {
		fail(p, websock_send(p->clt, WEBSOCK_TEXT, "%s", "hello"));
		return;
	}

	mb = mbuf_alloc(p->bad_len);
	if (!mb) {
		fail(p, ENOMEM);
		return;
	}
	(void)mbuf_write_mem(mb, (const uint8_t *)p->bad, p->bad_len);
	mb->pos = 0;
	fail(p, tcp_send(websock_tcp(p->clt), mb));
	mem_deref(mb);
}


static void clt_recv(const struct websock_hdr *hdr, struct mbuf *mb,
		     void *arg)
{
	struct peers *p = arg;
	(void)hdr;

	if (mbuf_get_left(mb) != 5)
		fail(p, EBADMSG);
	if (++p->clt_msg == 3)
		fail(p, websock_close(p->clt, WEBSOCK_NORMAL_CLOSURE,
				      "%s", "bye"));
	else
		fail(p, websock_send(p->clt, WEBSOCK_BIN, "%s", "again"));
}


static void clt_close(int err, void *arg)
{
	struct peers *p = arg;

	++p->clt_closed;
	p->clt_err = err;
	p->clt = mem_deref(p->clt);
	re_cancel();
}


static int peers_run(struct peers *p)
{
	struct sa laddr;
	char uri[64];
	int err;

	err = sa_set_str(&laddr, "127.0.0.1", 0);
	if (err)
		return err;
	err = http_listen(&p->http, &laddr, http_handler, p);
	if (err)
		return err;
	err = tcp_sock_local_get(http_sock_tcp(p->http), &laddr);
	if (err)
		return err;
	err = dnsc_alloc(&p->dnsc, NULL, &laddr, 1);
	if (err)
		return err;
	err = http_client_alloc(&p->cli, p->dnsc);
	if (err)
		return err;
	err = websock_alloc(&p->ws, NULL, NULL);
	if (err)
		return err;

	(void)re_snprintf(uri, sizeof(uri), "http://127.0.0.1:%u/ws",
			  sa_port(&laddr));
	err = websock_connect(&p->clt, p->ws, p->cli, uri, 0, clt_estab,
			      clt_recv, clt_close, p,
			      "Sec-WebSocket-Protocol: sip\r\n");
	if (err)
		return err;

	err = test_run_loop(5000);

	return p->err ? p->err : err;
}


static void peers_free(struct peers *p)
{
	mem_deref(p->clt);
	mem_deref(p->srv);
	mem_deref(p->ws);
	mem_deref(p->cli);
	mem_deref(p->dnsc);
	mem_deref(p->http);
}


static int test_websock_talk(void)
{
	struct peers p;
	int err;

	memset(&p, 0, sizeof(p));
	err = peers_run(&p);
	TEST_ERR(err);
	TEST_EQUALS(1, p.estab);
	TEST_EQUALS(3, p.srv_msg);
	TEST_EQUALS(3, p.clt_msg);
	TEST_EQUALS(1, p.clt_closed);
	TEST_EQUALS(0, p.clt_err);
	TEST_EQUALS(1, p.srv_closed);
	TEST_EQUALS(0, p.srv_err);
 out:
	peers_free(&p);
	return err;
}


/* The owner drops the connection in its own handler: Close goes out */
static int test_websock_drop(void)
{
	struct peers p;
	int err;

	memset(&p, 0, sizeof(p));
	p.drop_in_handler = true;
	err = peers_run(&p);
	TEST_ERR(err);
	TEST_EQUALS(1, p.srv_msg);
	TEST_EQUALS(0, p.srv_closed);
	TEST_EQUALS(1, p.clt_closed);
	TEST_EQUALS(0, p.clt_err);
 out:
	peers_free(&p);
	return err;
}


/* One frame right after the upgrade, as an attacker would send it */
static int test_websock_attack(void)
{
	static const struct {
		const char *bytes;
		size_t len;
		int err;
	} badv[] = {
		{B("\x82\xff\xff\xff\xff\xff\xff\xff\xff\xfc\0\0\0\0abc"),
		 EPROTO},
		{B("\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff\0\0\0\0abc"),
		 EOVERFLOW},
		{B("\x81\x01x"), EPROTO},
		{B("\x81\x81\0\0\0\0\xff"), EILSEQ},
	};
	struct peers p;
	size_t i;
	int err = 0;

	for (i=0; i<RE_ARRAY_SIZE(badv); i++) {
		memset(&p, 0, sizeof(p));
		p.bad     = badv[i].bytes;
		p.bad_len = badv[i].len;
		err = peers_run(&p);
		TEST_ERR(err);
		TEST_EQUALS(1, p.srv_closed);
		TEST_EQUALS(badv[i].err, p.srv_err);
		TEST_EQUALS(0, p.srv_msg);
		peers_free(&p);
		memset(&p, 0, sizeof(p));
	}
 out:
	peers_free(&p);
	return err;
}


int main(int argc, char *argv[])
{
	static const struct test_case cases[] = {
		TEST_CASE(test_websock_frames),
		TEST_CASE(test_websock_roundtrip),
		TEST_CASE(test_websock_dec_api),
		TEST_CASE_ONCE(test_websock_talk),
		TEST_CASE_ONCE(test_websock_drop),
		TEST_CASE_ONCE(test_websock_attack),
	};

	return test_main(argc, argv, cases, RE_ARRAY_SIZE(cases));
}
