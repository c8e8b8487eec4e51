/**
 * @file test_ng.c  NG bodies in bencode and JSON, commands, the client
 */
#include <string.h>
#include <re.h>
#include "compat/compat.h"
#include "ng/ng.h"
#include "test.h"


static int decode(struct ng_tree **tp, const char *s)
{
	enum ng_format fmt;

	return ng_decode(tp, &fmt, (const uint8_t *)s, strlen(s));
}


static int test_bencode(void)
{
	static const char body[] =
		"d7:command5:offer1:nli1ei-20e0:e1:dd1:ai0eee";
	struct ng_tree *t = NULL;
	struct mbuf *mb = NULL;
	const struct ng_val *l;
	struct pl pl;
	int err;

	err = decode(&t, body);
	TEST_ERR(err);
	TEST(ng_get_pl(ng_root(t), "command", &pl));
	TEST_PL("offer", &pl);
	l = ng_get(ng_root(t), "n");
	TEST(l != NULL);
	TEST_EQUALS(3, l->n);
	TEST_EQUALS(-20, l->first->next->num);
	TEST_EQUALS(0, ng_get_int(ng_get(ng_root(t), "d"), "a", 7));
	TEST_EQUALS(7, ng_get_int(ng_root(t), "nothing", 7));

	mb = mbuf_alloc(64);
	if (!mb) {
		err = ENOMEM;
		goto out;
	}
	err = ng_encode(mb, t, NG_BENCODE);
	TEST_ERR(err);
	TEST_MEMCMP(body, strlen(body), mb->buf, mb->end);

	mbuf_rewind(mb);
	err = ng_encode(mb, t, NG_JSON);
	TEST_ERR(err);
	static const char json[] = "{\"command\":\"offer\","
		"\"n\":[1,-20,\"\"],\"d\":{\"a\":0}}";
	TEST_MEMCMP(json, strlen(json), mb->buf, mb->end);
 out:
	mem_deref(mb);
	mem_deref(t);
	return err;
}


static int test_bencode_bad(void)
{
	static const char *badv[] = {
		"", "d", "x", "i1e", "le", "de ", "d1:a", "d1:ae", "d1:ai1",
		"d1:ai01ee", "d1:ai-0ee", "d1:aiee", "d1:a2:xe", "d01:ai1ee",
		"d-1:ai1ee", "di1e1:ae", "d1:ai1e", "d1:a99999999:xe",
		"d1:a4294967297:xe", "d1:ai9999999999999999999ee", "dee",
		"d1:ali1e", "d1:a:e", "d:i1ee",
	};
	struct ng_tree *t = NULL;
	size_t i;
	int err = 0;

	for (i = 0; i < RE_ARRAY_SIZE(badv); i++) {

		err = decode(&t, badv[i]);
		TEST(err != 0);
		if (err == ENOMEM)
			goto out;
		TEST(t == NULL);
	}
	err = 0;
 out:
	return err;
}


static int test_json(void)
{
	static const char body[] =
		"{ \"sdp\" : \"v=0\\r\\n\\u0041\\u00e9\\ud83d\\ude00\", "
		"\"on\":true,\"off\":false,\"no\":null,\"f\":-1.5e3,"
		"\"n\":-42, \"l\":[ ], \"l2\":[1,[2],{\"a\":\"\\\"\"}] }\n";
	struct ng_tree *t = NULL;
	struct pl pl;
	int err;

	err = decode(&t, body);
	TEST_ERR(err);
	TEST(ng_get_pl(ng_root(t), "sdp", &pl));
	TEST_PL("v=0\r\nA\xc3\xa9\xf0\x9f\x98\x80", &pl);
	TEST_EQUALS(1, ng_get_int(ng_root(t), "on", 5));
	TEST_EQUALS(0, ng_get_int(ng_root(t), "off", 5));
	TEST_EQUALS(-42, ng_get_int(ng_root(t), "n", 5));
	TEST(ng_get_pl(ng_root(t), "f", &pl));
	TEST_PL("-1.5e3", &pl);
	TEST_EQUALS(3, ng_get(ng_root(t), "l2")->n);
 out:
	mem_deref(t);
	return err;
}


static int test_json_bad(void)
{
	static const char *badv[] = {
		"{", "{}x", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{a:1}",
		"{\"a\":01}", "{\"a\":-}", "{\"a\":\"\\x\"}",
		"{\"a\":\"\\ud800\"}", "{\"a\":\"\\udc00\"}",
		"{\"a\":\"\\u12\"}", "{\"a\":\"\n\"}", "{\"a\":tru}",
		"{\"a\":[1}", "{\"a\" 1}", "{\"a\":\"", "{\"a\":\"\\",
	};
	struct ng_tree *t = NULL;
	size_t i;
	int err = 0;

	for (i = 0; i < RE_ARRAY_SIZE(badv); i++) {

		err = decode(&t, badv[i]);
		TEST(err != 0);
		if (err == ENOMEM)
			goto out;
		TEST(t == NULL);
	}
	err = 0;
 out:
	return err;
}


/* Neither depth nor number can be made to grow */
static int test_bombs(void)
{
	struct ng_tree *t = NULL;
	char *p;
	size_t i;
	int err = 0;

	p = mem_alloc(NG_DATAGRAM_MAX, NULL);
	if (!p)
		return ENOMEM;

	memset(p, 'l', NG_DATAGRAM_MAX);
	memcpy(p, "d1:a", 4);
	err = ng_decode(&t, NULL, (uint8_t *)p, NG_DATAGRAM_MAX);
	TEST(err == EOVERFLOW || err == ENOMEM);
	if (err == ENOMEM)
		goto out;

	memset(p, '[', NG_DATAGRAM_MAX);
	memcpy(p, "{\"a\":", 5);
	err = ng_decode(&t, NULL, (uint8_t *)p, NG_DATAGRAM_MAX);
	TEST(err == EOVERFLOW || err == ENOMEM);
	if (err == ENOMEM)
		goto out;

	memcpy(p, "d1:al", 5);
	for (i = 5; i + 2 < NG_DATAGRAM_MAX; i += 2)
		memcpy(p + i, "0:", 2);
	err = ng_decode(&t, NULL, (uint8_t *)p, NG_DATAGRAM_MAX);
	TEST(err == EOVERFLOW || err == ENOMEM);
	if (err == ENOMEM)
		goto out;

	err = 0;
 out:
	mem_deref(p);
	return err;
}


static int test_split(void)
{
	struct pl cookie, body;
	int err;

	err = ng_split((const uint8_t *)"c1 d1:xe", 8, &cookie, &body);
	TEST_ERR(err);
	TEST_PL("c1", &cookie);
	TEST_PL("d1:xe", &body);
	TEST(ng_split((const uint8_t *)" d", 2, &cookie, &body));
	TEST(ng_split((const uint8_t *)"abc", 3, &cookie, &body));
	TEST(ng_split((const uint8_t *)"abc ", 4, &cookie, &body));
	TEST(ng_split((const uint8_t *)"", 0, &cookie, &body));
 out:
	return err;
}


static int test_words(void)
{
	struct ng_tree *t = NULL;
	int err;

	err = decode(&t, "d5:flagsl13:trust-address13:strict sourceee");
	TEST_ERR(err);
	TEST(ng_has(ng_get(ng_root(t), "flags"), "trust address"));
	TEST(ng_has(ng_get(ng_root(t), "flags"), "strict source"));
	TEST(!ng_has(ng_get(ng_root(t), "flags"), "asymmetric"));
	TEST(!ng_has(NULL, "asymmetric"));
 out:
	mem_deref(t);
	return err;
}


/* ---- the client against a media node of the test's own */

struct peer {
	struct udp_sock *us;
	struct sa sa;
	const char *answer;	/**< NULL: silent */
	unsigned drop;		/**< first packets to ignore */
	unsigned n;
	char first[64];
	char last[1024];
};

struct got {
	unsigned n;
	enum ng_status status;
	char sdp[32];
	struct sa node;
	bool stop;
};


static void peer_recv(const struct sa *src, struct mbuf *mb, void *arg)
{
	struct peer *p = arg;
	struct pl cookie, body;
	struct mbuf *out;

	++p->n;
	if (ng_split(mbuf_buf(mb), mbuf_get_left(mb), &cookie, &body))
		return;
	if (p->n == 1)
		(void)pl_strcpy(&cookie, p->first, sizeof(p->first));
	(void)pl_strcpy(&body, p->last, sizeof(p->last));
	if (!p->answer || p->n <= p->drop)
		return;

	out = mbuf_alloc(256);
	if (out && !mbuf_printf(out, "%r %s", &cookie, p->answer)) {
		out->pos = 0;
		(void)udp_send(p->us, src, out);
	}
	mem_deref(out);
}


static int peer_open(struct peer *p, const char *answer, unsigned drop)
{
	struct sa sa;
	int err;

	memset(p, 0, sizeof(*p));
	p->answer = answer;
	p->drop = drop;
	err = sa_set_str(&sa, "127.0.0.1", 0);
	if (err)
		return err;
	err = udp_listen(&p->us, &sa, peer_recv, p);
	if (err)
		return err;

	return udp_local_get(p->us, &p->sa);
}


static void on_result(const struct ng_result *res, void *arg)
{
	struct got *g = arg;

	++g->n;
	g->status = res->status;
	g->node = res->node;
	(void)pl_strcpy(&res->sdp, g->sdp, sizeof(g->sdp));
	if (g->stop)
		re_cancel();
}


static void cmd_init(struct ng_cmd *cmd, const char *id)
{
	memset(cmd, 0, sizeof(*cmd));
	pl_set_str(&cmd->call_id, id);
	pl_set_str(&cmd->from_tag, "a");
	pl_set_str(&cmd->sdp, "v=0");
	pl_set_str(&cmd->session_id, "abc");
	cmd->ice = "remove";
}


/* A lost packet is sent again, with the same cookie */
static int test_client_retransmit(void)
{
	static const char *flags[] = {"trust address", NULL};
	struct ng_client *c = NULL;
	struct ng_req *req = NULL;
	struct got g = {.stop = true};
	struct ng_cmd cmd;
	struct sa from;
	struct peer p;
	int err;

	err = peer_open(&p, "d6:result2:ok3:sdp3:newe", 1);
	TEST_ERR(err);
	err = ng_client_alloc(&c, &p.sa, 1);
	TEST_ERR(err);

	cmd_init(&cmd, "c1");
	cmd.flags = flags;
	cmd.dir[0] = "external";
	cmd.dir[1] = "internal";
	sa_set_str(&from, "192.0.2.1", 5060);
	cmd.received_from = &from;
	err = ng_offer(&req, c, &cmd, 0, on_result, &g);
	TEST_ERR(err);
	TEST(req != NULL);
	err = test_run_loop(3000);
	TEST_ERR(err);
	TEST(req == NULL);
	TEST_EQUALS(1, g.n);
	TEST_EQUALS(NG_OK, g.status);
	TEST_STRCMP("new", g.sdp);
	TEST_EQUALS(2, p.n);
	TEST_STRCMP("d7:command5:offer7:call-id2:c18:from-tag1:a3:ICE6:remove"
		    "5:flagsl13:trust addresse13:received-froml3:IP49:192.0."
		    "2.1e8:metadata14:session-id=abc9:directionl8:external"
		    "8:internale3:sdp3:v=0e", p.last);
 out:
	mem_deref(c);
	mem_deref(p.us);
	return err;
}


static int test_client_timeout_and_cancel(void)
{
	struct ng_client *c = NULL;
	struct ng_req *req = NULL, *req2 = NULL;
	struct got g = {.stop = true}, g2 = {0};
	struct ng_cmd cmd;
	struct peer p;
	int err;

	err = peer_open(&p, NULL, 0);
	TEST_ERR(err);
	err = ng_client_alloc(&c, &p.sa, 1);
	TEST_ERR(err);
	cmd_init(&cmd, "c1");
	err = ng_offer(&req, c, &cmd, 250, on_result, &g);
	TEST_ERR(err);
	err = ng_offer(&req2, c, &cmd, 250, on_result, &g2);
	TEST_ERR(err);
	req2 = mem_deref(req2);
	err = test_run_loop(3000);
	TEST_ERR(err);
	TEST_EQUALS(1, g.n);
	TEST_EQUALS(NG_TIMEOUT, g.status);
	TEST_EQUALS(0, g2.n);

	/* a client may go with requests under way */
	err = ng_offer(NULL, c, &cmd, 250, on_result, &g2);
	TEST_ERR(err);
	err = ng_offer(&req2, c, &cmd, 250, on_result, &g2);
	TEST_ERR(err);
 out:
	mem_deref(c);
	mem_deref(req2);
	mem_deref(p.us);
	return err;
}


/* One of two nodes is silent: every new call is served, and what belongs to
   it goes where it was taken */
static int test_client_failover(void)
{
	struct ng_client *c = NULL;
	struct ng_req *req = NULL;
	struct ng_cmd cmd;
	struct peer p[2];
	struct sa sav[2];
	unsigned i;
	int err;

	memset(p, 0, sizeof(p));
	err = peer_open(&p[0], NULL, 0);
	TEST_ERR(err);
	err = peer_open(&p[1], "d6:result2:ok3:sdp1:xe", 0);
	TEST_ERR(err);
	sav[0] = p[0].sa;
	sav[1] = p[1].sa;
	err = ng_client_alloc(&c, sav, 2);
	TEST_ERR(err);

	for (i = 0; i < 8; i++) {

		struct got g = {.stop = true};
		char id[16];

		re_snprintf(id, sizeof(id), "call-%u", i);
		cmd_init(&cmd, id);
		err = ng_offer(&req, c, &cmd, 1500, on_result, &g);
		TEST_ERR(err);
		err = test_run_loop(3000);
		TEST_ERR(err);
		TEST_EQUALS(NG_OK, g.status);
		TEST(sa_cmp(&g.node, &p[1].sa, SA_ALL));
	}

	TEST(!ng_client_alive(c, 0));
	TEST(ng_client_alive(c, 1));

	/* it comes back; the old calls are still found at the other */
	p[0].answer = "d6:result5:error12:error-reason15:Unknown call-ide";
	(void)test_run_loop(1500);
	TEST(ng_client_alive(c, 0));
	for (i = 0; i < 8; i++) {

		struct got g = {.stop = true};
		char id[16];

		re_snprintf(id, sizeof(id), "call-%u", i);
		cmd_init(&cmd, id);
		pl_set_str(&cmd.to_tag, "b");
		err = ng_answer(&req, c, &cmd, 1500, on_result, &g);
		TEST_ERR(err);
		err = test_run_loop(3000);
		TEST_ERR(err);
		TEST_EQUALS(NG_OK, g.status);
		TEST(sa_cmp(&g.node, &p[1].sa, SA_ALL));
	}

	/* another client, which knows nothing, finds them too */
	c = mem_deref(c);
	err = ng_client_alloc(&c, sav, 2);
	TEST_ERR(err);
	for (i = 0; i < 8; i++) {

		struct got g = {.stop = true};
		char id[16];

		re_snprintf(id, sizeof(id), "call-%u", i);
		cmd_init(&cmd, id);
		err = ng_delete(&req, c, &cmd, 1500, on_result, &g);
		TEST_ERR(err);
		err = test_run_loop(3000);
		TEST_ERR(err);
		TEST_EQUALS(NG_OK, g.status);
	}
 out:
	mem_deref(c);
	mem_deref(p[0].us);
	mem_deref(p[1].us);
	return err;
}


static int test_client_reasons(void)
{
	static const struct {
		const char *answer;
		enum ng_status status;
	} v[] = {
		{"d6:result5:error12:error-reason16:Ran out of portse",
		 NG_NO_PORTS},
		{"{\"result\":\"error\",\"error-reason\":"
		 "\"Parallel session limit reached\"}", NG_OVERLOAD},
		{"d6:result5:error12:error-reason15:Unknown call-ide",
		 NG_UNKNOWN_CALL},
		{"d6:result5:error12:error-reason22:No SDP body in messagee",
		 NG_BAD_SDP},
		{"d6:result4:poofe", NG_FAILED},
		{"de", NG_FAILED},
	};
	struct ng_client *c = NULL;
	struct ng_req *req = NULL;
	struct ng_cmd cmd;
	struct peer p;
	size_t i;
	int err;

	err = peer_open(&p, NULL, 0);
	TEST_ERR(err);
	err = ng_client_alloc(&c, &p.sa, 1);
	TEST_ERR(err);

	for (i = 0; i < RE_ARRAY_SIZE(v); i++) {

		struct got g = {.stop = true};

		p.answer = v[i].answer;
		cmd_init(&cmd, "x");
		err = ng_offer(&req, c, &cmd, 1000, on_result, &g);
		TEST_ERR(err);
		err = test_run_loop(3000);
		TEST_ERR(err);
		TEST_EQUALS(v[i].status, g.status);
	}
 out:
	mem_deref(c);
	mem_deref(p.us);
	return err;
}


int main(int argc, char *argv[])
{
	static const struct test_case cases[] = {
		TEST_CASE(test_bencode),
		TEST_CASE(test_bencode_bad),
		TEST_CASE(test_json),
		TEST_CASE(test_json_bad),
		TEST_CASE(test_bombs),
		TEST_CASE(test_split),
		TEST_CASE(test_words),
		TEST_CASE_ONCE(test_client_retransmit),
		TEST_CASE_ONCE(test_client_timeout_and_cancel),
		TEST_CASE_ONCE(test_client_failover),
		TEST_CASE_ONCE(test_client_reasons),
	};

	return test_main(argc, argv, cases, RE_ARRAY_SIZE(cases));
}
