/**
 * @file test_sipua.c  sipua: two user agents on loopback, and what crosses
 */
#include <string.h>
#include <errno.h>
#include <re.h>
#include "cfg/cfg.h"
#include "worker/worker.h"
#include "sipcore/sipcore.h"
#include "sipcore/internal.h"
#include "sipua/sipua.h"
#include "test.h"


enum { T1 = 10 };		/* ms: everything 50 times faster */

/* What the called side does with an INVITE */
enum how {
	HOW_ANSWER = 0,		/* 180, 200 */
	HOW_RING,		/* 180 */
	HOW_BUSY,		/* 486 */
};

struct end {
	struct sipcore_net *net;
	struct sipcore *core;
	struct sipua *ua;
	struct sipua_sess *sess;
	enum how how;
	bool late;			/* UAC: no offer; answer in the ACK */
	bool hangup_early;		/* UAC: CANCEL at the first 180 */
	bool keep_ack;			/* ACKs are lost */
	unsigned refuse;		/* modifies answered 488 */
	unsigned progress, answered, acked, modify, modified, request, closed;
	unsigned modify_cancel;
	enum sipua_end end;
	uint16_t code;			/* of the last final response */
	char body[64];			/* the last that came */
	struct sipcore_strans *st;
};

struct pair {
	struct end a, b;
};


static struct sipua_body body_of(const char *str)
{
	struct sipua_body b = {PL("application/sdp"), PL_INIT};

	if (str)
		pl_set_str(&b.data, str);

	return b;
}


static void body_take(struct end *e, const struct sipcore_msg *msg)
{
	e->body[0] = '\0';
	(void)pl_strcpy(&msg->body, e->body, sizeof(e->body));
}


static void on_progress(struct sipua_sess *s, struct sipcore_msg *msg,
			void *arg)
{
	struct end *e = arg;
	(void)s;
	(void)msg;

	++e->progress;
	if (e->hangup_early)
		e->sess = sipua_hangup(e->sess, 0, NULL, NULL);
}


static void on_answer(struct sipua_sess *s, struct sipcore_msg *msg,
		      void *arg)
{
	struct end *e = arg;
	struct sipua_body b = body_of(e->late ? "late answer" : NULL);

	++e->answered;
	body_take(e, msg);
	(void)sipua_ack(s, &b);
}


static void on_ack(struct sipua_sess *s, struct sipcore_msg *msg, void *arg)
{
	struct end *e = arg;
	(void)s;

	++e->acked;
	if (msg->body.l)
		body_take(e, msg);
}


static void on_modify(struct sipua_sess *s, struct sipcore_msg *msg,
		      void *arg)
{
	struct end *e = arg;
	struct sipua_body b = body_of("modify answer");

	++e->modify;
	body_take(e, msg);
	if (e->refuse) {
		--e->refuse;
		(void)sipua_modify_reply(s, 488, NULL, NULL, NULL);
		return;
	}

	(void)sipua_modify_reply(s, 200, NULL, NULL, &b);
}


static void on_modify_cancel(struct sipua_sess *s, void *arg)
{
	struct end *e = arg;
	(void)s;
	++e->modify_cancel;
}


static void on_modified(struct sipua_sess *s, struct sipcore_msg *msg,
			void *arg)
{
	struct end *e = arg;

	++e->modified;
	e->code = msg ? msg->scode : 0;
	if (msg)
		body_take(e, msg);
	(void)sipua_ack(s, NULL);
}


static void on_request(struct sipua_sess *s, struct sipcore_strans *st,
		       struct sipcore_msg *msg, void *arg)
{
	struct end *e = arg;
	(void)s;
	(void)msg;

	++e->request;
	(void)sipcore_reply(st, 200, NULL, NULL);
}


static void on_closed(struct sipua_sess *s, enum sipua_end end,
		      struct sipcore_msg *msg, void *arg)
{
	struct end *e = arg;
	(void)s;

	++e->closed;
	e->end = end;
	e->code = msg && !msg->req ? msg->scode : 0;
	e->sess = sipua_hangup(e->sess, 0, NULL, NULL);
}


static const struct sipua_handlers handlers = {
	.progress = on_progress,
	.answer = on_answer,
	.ack = on_ack,
	.modify = on_modify,
	.modify_cancel = on_modify_cancel,
	.modified = on_modified,
	.request = on_request,
	.closed = on_closed,
};


static void request_handler(struct sipcore *core, struct sipcore_strans *st,
			    struct sipcore_msg *msg, void *arg)
{
	struct end *e = arg;
	struct sipua_body b = body_of("answer");
	(void)core;

	if (sipua_receive(e->ua, st, msg) || !st)
		return;

	if (sipua_accept(&e->sess, e->ua, st, msg, "b", &handlers, e))
		return;

	if (e->how == HOW_BUSY) {
		e->sess = sipua_hangup(e->sess, 486, NULL, NULL);
		return;
	}

	(void)sipua_progress(e->sess, 180, NULL, NULL, NULL);
	if (e->how == HOW_ANSWER)
		(void)sipua_answer(e->sess, NULL, &b);
}


static bool drop_handler(bool tx, const uint8_t *p, size_t n, void *arg)
{
	struct end *e = arg;

	return tx && e->keep_ack && n > 4 && !memcmp(p, "ACK ", 4);
}


static int end_start(struct end *e)
{
	struct sipcore_net_prm prm = {
		.lc = 1, .workers = 1, .software = "test",
		.limits = {.t1 = T1, .t2 = 4 * T1, .t4 = 5 * T1},
	};
	const struct sipua_limits lim = {.t1 = T1, .t2 = 4 * T1};
	struct cfg_addr l = {.proto = CFG_PROTO_UDP};
	char why[128];
	int err;

	(void)sa_set_str(&l.sa, "127.0.0.1", 0);
	prm.lv = &l;

	err = sipcore_net_alloc(&e->net, &prm, why, sizeof(why));
	if (!err)
		err = sipcore_alloc(&e->core, e->net, 0, request_handler,
				    NULL, e);
	if (!err)
		err = sipua_alloc(&e->ua, e->core, e->net, 0, &lim);
	if (err)
		return err;

	e->core->droph = drop_handler;
	e->core->drop_arg = e;

	return 0;
}


static int pair_start(struct pair *p)
{
	int err;

	memset(p, 0, sizeof(*p));
	err = end_start(&p->a);
	if (!err)
		err = end_start(&p->b);

	return err;
}


static void end_stop(struct end *e)
{
	e->ua = mem_deref(e->ua);
	e->sess = sipua_hangup(e->sess, 0, NULL, NULL);
	e->core = mem_deref(e->core);
	e->net = mem_deref(e->net);
}


static void pair_stop(struct pair *p)
{
	end_stop(&p->a);
	end_stop(&p->b);
}


static int connect_b(struct pair *p)
{
	char callid[64], ruri[64];
	struct sipua_invite inv = {
		.ruri = ruri, .from = "<sip:a@test>", .to = "<sip:b@test>",
		.user = "a", .callid = callid,
		.sid = "00112233445566778899aabbccddeeff",
	};
	int err;

	err = sipua_callid(p->a.ua, callid, sizeof(callid));
	if (err)
		return err;

	(void)re_snprintf(ruri, sizeof(ruri), "sip:b@%J",
			  &p->b.net->lv[0].sa);
	inv.flow.proto = CFG_PROTO_UDP;
	inv.flow.remote = p->b.net->lv[0].sa;
	inv.body = body_of(p->a.late ? NULL : "offer");

	return sipua_connect(&p->a.sess, p->a.ua, &inv, &handlers, &p->a);
}


static int run_ms(uint32_t ms)
{
	const int err = test_run_loop(ms);

	return err == ETIMEDOUT ? 0 : err;
}


/* Step by step until *n reaches want, or 5 s: glare waits for up to 4 */
static int until(const unsigned *n, unsigned want)
{
	unsigned i;
	int err = 0;

	for (i = 0; i < 1000 && *n < want && !err; i++)
		err = run_ms(5);

	return err ? err : *n < want ? ETIMEDOUT : 0;
}


static uint64_t sessions(const struct end *e)
{
	struct sipua_stats st;

	sipua_stats(e->ua, &st);
	return st.sessions;
}


static int confirmed_start(struct pair *p)
{
	int err;

	err = pair_start(p);
	if (!err)
		err = connect_b(p);
	if (!err)
		err = until(&p->b.acked, 1);

	return err;
}


static int test_call(void)
{
	struct sipua_body b = body_of("again");
	struct pair p;
	int err;

	err = confirmed_start(&p);
	TEST_ERR(err);
	TEST_EQUALS(1, p.a.progress);
	TEST_EQUALS(1, p.a.answered);
	TEST_STRCMP("answer", p.a.body);
	TEST(sipua_is_confirmed(p.a.sess) && sipua_is_confirmed(p.b.sess));
	TEST(sipua_has_update(p.a.sess) && !sipua_is_busy(p.b.sess));

	/* either side, either method */
	err = sipua_modify(p.a.sess, SIPCORE_INVITE, &b, false);
	TEST_ERR(err);
	TEST_EQUALS(EBUSY, sipua_modify(p.a.sess, SIPCORE_INVITE, &b, false));
	err = until(&p.b.acked, 2);
	TEST_ERR(err);
	TEST_STRCMP("again", p.b.body);
	TEST_STRCMP("modify answer", p.a.body);
	err = sipua_modify(p.b.sess, SIPCORE_UPDATE, &b, false);
	TEST_ERR(err);
	err = until(&p.b.modified, 1);
	TEST_ERR(err);
	TEST_EQUALS(200, p.b.code);
	TEST_STRCMP("again", p.a.body);
	TEST_MEMCMP("modify answer", 13, sipua_sess_sdp(p.a.sess, true)->buf,
		    sipua_sess_sdp(p.a.sess, true)->end);

	err = sipua_request(p.a.sess, NULL, SIPCORE_INFO, NULL, &b, NULL,
			    NULL);
	TEST_ERR(err);
	err = until(&p.b.request, 1);
	TEST_ERR(err);

	p.b.sess = sipua_hangup(p.b.sess, 0, NULL, "Reason: x\r\n");
	err = until(&p.a.closed, 1);
	TEST_ERR(err);
	TEST_EQUALS(SIPUA_END_BYE, p.a.end);
	(void)run_ms(30);
	TEST_EQUALS(0, sessions(&p.a));
	TEST_EQUALS(0, sessions(&p.b));

 out:
	pair_stop(&p);
	return err;
}


static int test_late_offer(void)
{
	struct pair p;
	int err;

	err = pair_start(&p);
	TEST_ERR(err);
	p.a.late = true;
	err = connect_b(&p);
	TEST_ERR(err);
	err = until(&p.b.acked, 1);
	TEST_ERR(err);
	TEST_STRCMP("answer", p.a.body);
	TEST_STRCMP("late answer", p.b.body);

 out:
	pair_stop(&p);
	return err;
}


static int test_busy(void)
{
	struct pair p;
	int err;

	err = pair_start(&p);
	TEST_ERR(err);
	p.b.how = HOW_BUSY;
	err = connect_b(&p);
	TEST_ERR(err);
	err = until(&p.a.closed, 1);
	TEST_ERR(err);
	TEST_EQUALS(SIPUA_END_REJECT, p.a.end);
	TEST_EQUALS(486, p.a.code);
	TEST_EQUALS(0, sessions(&p.a));
	TEST_EQUALS(0, sessions(&p.b));

 out:
	pair_stop(&p);
	return err;
}


static int test_cancel(void)
{
	struct pair p;
	int err;

	err = pair_start(&p);
	TEST_ERR(err);
	p.b.how = HOW_RING;
	p.a.hangup_early = true;
	err = connect_b(&p);
	TEST_ERR(err);
	err = until(&p.b.closed, 1);
	TEST_ERR(err);
	TEST_EQUALS(SIPUA_END_CANCEL, p.b.end);
	(void)run_ms(30);
	TEST_EQUALS(0, sessions(&p.a));
	TEST_EQUALS(0, p.a.closed);

 out:
	pair_stop(&p);
	return err;
}


/* 180 and 200 come together: the CANCEL is too late, the 200 unwanted */
static int test_cancel_crosses_200(void)
{
	struct pair p;
	int err;

	err = pair_start(&p);
	TEST_ERR(err);
	p.a.hangup_early = true;
	err = connect_b(&p);
	TEST_ERR(err);
	err = until(&p.b.closed, 1);
	TEST_ERR(err);
	TEST_EQUALS(SIPUA_END_BYE, p.b.end);
	TEST_EQUALS(1, p.b.acked);
	TEST_EQUALS(0, p.a.answered);
	(void)run_ms(30);
	TEST_EQUALS(0, sessions(&p.a));
	TEST_EQUALS(0, sessions(&p.b));

 out:
	pair_stop(&p);
	return err;
}


static int test_no_ack(void)
{
	struct sipua_stats st;
	struct pair p;
	int err;

	err = pair_start(&p);
	TEST_ERR(err);
	p.a.keep_ack = true;
	err = connect_b(&p);
	TEST_ERR(err);
	err = until(&p.b.closed, 1);
	TEST_ERR(err);
	TEST_EQUALS(SIPUA_END_NOACK, p.b.end);
	sipua_stats(p.b.ua, &st);
	TEST_EQUALS(1, st.no_ack);
	TEST(st.retrans_2xx > 10);
	err = until(&p.a.closed, 1);	/* by BYE */
	TEST_ERR(err);
	TEST_EQUALS(SIPUA_END_BYE, p.a.end);

 out:
	pair_stop(&p);
	return err;
}


/* 15: the callee's BYE waits for the ACK, or for 64*T1 without one */
static int test_callee_hangs_up_before_ack(void)
{
	struct pair p;
	int err;

	err = pair_start(&p);
	TEST_ERR(err);
	p.a.keep_ack = true;
	err = connect_b(&p);
	TEST_ERR(err);
	err = until(&p.a.answered, 1);
	TEST_ERR(err);
	p.b.sess = sipua_hangup(p.b.sess, 0, NULL, NULL);
	(void)run_ms(5 * T1);
	TEST_EQUALS(0, p.a.closed);
	p.a.keep_ack = false;		/* the next 200 brings it */
	err = until(&p.a.closed, 1);
	TEST_ERR(err);
	TEST_EQUALS(SIPUA_END_BYE, p.a.end);

 out:
	pair_stop(&p);
	return err;
}


static int test_glare(void)
{
	struct sipua_body a = body_of("from a"), b = body_of("from b");
	struct sipua_stats st;
	struct pair p;
	int err;

	err = confirmed_start(&p);
	TEST_ERR(err);
	err = sipua_modify(p.a.sess, SIPCORE_INVITE, &a, true);
	TEST_ERR(err);
	err = sipua_modify(p.b.sess, SIPCORE_INVITE, &b, true);
	TEST_ERR(err);

	/* RFC 3261 14.1: b within 2 s, a within 4 s */
	err = until(&p.b.modified, 1);
	TEST_ERR(err);
	TEST_EQUALS(200, p.b.code);
	TEST_EQUALS(0, p.a.modified);
	err = until(&p.a.modified, 1);
	TEST_ERR(err);
	TEST_EQUALS(200, p.a.code);
	sipua_stats(p.a.ua, &st);
	TEST_EQUALS(1, st.glare);
	TEST_EQUALS(1, p.a.modify);
	TEST_EQUALS(1, p.b.modify);

 out:
	pair_stop(&p);
	return err;
}


static int test_refused_modify(void)
{
	struct sipua_body a = body_of("from a");
	struct pair p;
	int err;

	err = confirmed_start(&p);
	TEST_ERR(err);
	p.b.refuse = 1;
	err = sipua_modify(p.a.sess, SIPCORE_INVITE, &a, false);
	TEST_ERR(err);
	err = until(&p.a.modified, 1);
	TEST_ERR(err);
	TEST_EQUALS(488, p.a.code);
	TEST(sipua_is_confirmed(p.a.sess) && !sipua_is_busy(p.a.sess));
	TEST_MEMCMP("offer", 5, sipua_sess_sdp(p.a.sess, true)->buf,
		    sipua_sess_sdp(p.a.sess, true)->end);

 out:
	pair_stop(&p);
	return err;
}


/* One side's process dies, another goes on with the dialog */
static int test_export(void)
{
	struct mbuf *mb = mbuf_alloc(512);
	struct pair p;
	struct pl callid;
	int err;

	err = confirmed_start(&p);
	TEST_ERR(err);
	TEST(mb != NULL);
	err = sipua_export(mb, p.b.sess);
	TEST_ERR(err);
	mb->pos = 0;
	err = sipua_export_callid(mb, &callid);
	TEST_ERR(err);
	TEST_PL(sipua_sess_callid(p.a.sess), &callid);
	TEST_EQUALS(EALREADY, sipua_import(&p.b.sess, p.b.ua, mb, &handlers,
					   &p.b));

	p.b.ua = mem_deref(p.b.ua);
	p.b.sess = sipua_hangup(p.b.sess, 0, NULL, NULL);
	err = sipua_alloc(&p.b.ua, p.b.core, p.b.net, 0, NULL);
	TEST_ERR(err);
	mb->pos = 0;
	err = sipua_import(&p.b.sess, p.b.ua, mb, &handlers, &p.b);
	TEST_ERR(err);
	TEST_EQUALS(mb->end, mb->pos);
	mb->pos = 0;
	err = sipua_export_skip(mb);
	TEST_ERR(err);
	TEST_EQUALS(mb->end, mb->pos);

	err = sipua_request(p.b.sess, NULL, SIPCORE_INFO, NULL, NULL, NULL,
			    NULL);
	TEST_ERR(err);
	err = until(&p.a.request, 1);
	TEST_ERR(err);
	p.a.sess = sipua_hangup(p.a.sess, 0, NULL, NULL);
	err = until(&p.b.closed, 1);
	TEST_ERR(err);
	TEST_EQUALS(SIPUA_END_BYE, p.b.end);

 out:
	mem_deref(mb);
	pair_stop(&p);
	return err;
}


static int test_export_damaged(void)
{
	struct mbuf *mb = mbuf_alloc(512), *cut = NULL;
	struct sipua_sess *s = NULL;
	struct pair p;
	size_t n;
	int err, e;

	err = confirmed_start(&p);
	TEST_ERR(err);
	err = sipua_export(mb, p.a.sess);
	TEST_ERR(err);

	for (n = 0; n < mb->end; n++) {
		cut = mbuf_alloc(n + 1);
		TEST(cut != NULL);
		(void)mbuf_write_mem(cut, mb->buf, n);
		cut->pos = 0;
		e = sipua_import(&s, p.b.ua, cut, &handlers, &p.b);
		TEST_EQUALS(EBADMSG, e);
		cut->pos = 0;
		TEST_EQUALS(EBADMSG, sipua_export_skip(cut));
		cut = mem_deref(cut);
	}

 out:
	mem_deref(cut);
	mem_deref(mb);
	pair_stop(&p);
	return err;
}


/* 12.2.1.2: the far end knows nothing any more */
static int test_gone(void)
{
	struct sipua_body a = body_of("from a");
	struct sipua_stats st;
	struct pair p;
	int err;

	err = confirmed_start(&p);
	TEST_ERR(err);
	p.b.ua = mem_deref(p.b.ua);
	p.b.sess = sipua_hangup(p.b.sess, 0, NULL, NULL);
	err = sipua_alloc(&p.b.ua, p.b.core, p.b.net, 0, NULL);
	TEST_ERR(err);

	err = sipua_modify(p.a.sess, SIPCORE_INVITE, &a, false);
	TEST_ERR(err);
	err = until(&p.a.closed, 1);
	TEST_ERR(err);
	TEST_EQUALS(SIPUA_END_GONE, p.a.end);
	TEST_EQUALS(1, p.a.modified);
	(void)run_ms(30);
	sipua_stats(p.b.ua, &st);
	TEST(st.unknown >= 1);
	TEST_EQUALS(0, sessions(&p.a));

 out:
	pair_stop(&p);
	return err;
}


/* Memory fails somewhere on either side of a call: no crash, no leak */
static int test_memory(void)
{
	struct sipua_body b = body_of("again");
	struct pair p;
	int err;

	err = pair_start(&p);
	TEST_ERR(err);
	err = connect_b(&p);
	if (!err)
		err = run_ms(20);
	if (!err && sipua_is_confirmed(p.a.sess)) {
		(void)sipua_modify(p.a.sess, SIPCORE_INVITE, &b, true);
		err = run_ms(20);
	}
	p.a.sess = sipua_hangup(p.a.sess, 0, NULL, NULL);
	if (!err)
		err = run_ms(10);

 out:
	pair_stop(&p);
	return err;
}


int main(int argc, char *argv[])
{
	static const struct test_case cases[] = {
		TEST_CASE_ONCE(test_call),
		TEST_CASE_ONCE(test_late_offer),
		TEST_CASE_ONCE(test_busy),
		TEST_CASE_ONCE(test_cancel),
		TEST_CASE_ONCE(test_cancel_crosses_200),
		TEST_CASE_ONCE(test_no_ack),
		TEST_CASE_ONCE(test_callee_hangs_up_before_ack),
		TEST_CASE_ONCE(test_glare),
		TEST_CASE_ONCE(test_refused_modify),
		TEST_CASE_ONCE(test_export),
		TEST_CASE_ONCE(test_export_damaged),
		TEST_CASE_ONCE(test_gone),
		TEST_CASE(test_memory),
	};

	return test_main(argc, argv, cases, ARRAY_SIZE(cases));
}
