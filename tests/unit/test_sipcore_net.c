/**
 * @file test_sipcore_net.c  sipcore: two of them talk, and messages get lost
 */
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <errno.h>
#include <fcntl.h>
#include <re.h>
#include "cfg/cfg.h"
#include "compat/compat.h"
#include "metric/metric.h"
#include "worker/worker.h"
#include "sipcore/sipcore.h"
#include "sipcore/internal.h"
#include "test.h"


enum { T1 = 10 };		/* ms: everything 50 times faster */

/* Time passes only when a test lets it, so that a busy machine changes
   nothing: each step is one turn of the loop and one millisecond */
static uint64_t fake_usec = 1000000;
static bool stopped;


static uint64_t fake_clock(void)
{
	return fake_usec;
}


static void step_handler(void *arg)
{
	(void)arg;
	re_cancel();
}


static int step(void)
{
	struct tmr tmr;
	int err;

	tmr_init(&tmr);
	tmr_start(&tmr, 0, step_handler, NULL);
	err = re_main(NULL);
	tmr_cancel(&tmr);

	return err;
}


/* Until a handler says stop: 0; ETIMEDOUT if none did */
static int run_ms(uint32_t ms)
{
	int err = 0;

	stopped = false;
	for (uint32_t i=0; i<ms && !stopped && !err; i++) {
		fake_usec += 1000;
		err = step();
	}

	return err ? err : stopped ? 0 : ETIMEDOUT;
}


static int wait_ms(uint32_t ms)
{
	int err = 0;

	for (uint32_t i=0; i<ms && !err; i++) {
		fake_usec += 1000;
		err = step();
	}

	return err;
}


struct end {
	struct sipcore_net *net;
	struct sipcore *core;
	struct sipcore_strans *st;	/* the last request's */
	unsigned requests, acks, cancels, ends, stray;
	int end_err;
	/* as client */
	unsigned responses, errors;
	int err;
	uint16_t code;
	unsigned stop_after;		/* responses */
	/* messages to lose */
	unsigned drop_tx, drop_rx;
	unsigned seen_tx;
	char last_req[1024];
};

struct pair {
	struct end a, b;
	struct sipcore_flow to;
};


static bool drop_handler(bool tx, const uint8_t *p, size_t n, void *arg)
{
	struct end *e = arg;
	unsigned *left = tx ? &e->drop_tx : &e->drop_rx;
	(void)p;
	(void)n;

	e->seen_tx += tx;
	if (!*left)
		return false;
	--*left;

	return true;
}


static void cancel_handler(struct sipcore_strans *st,
			   struct sipcore_msg *cancel, void *arg)
{
	struct end *e = arg;
	(void)cancel;

	++e->cancels;
	(void)sipcore_reply(st, 487, NULL, NULL);
}


static void end_handler(int err, void *arg)
{
	struct end *e = arg;

	++e->ends;
	e->end_err = err;
}


/* The user part of the Request-URI says what to do */
static void request_handler(struct sipcore *core, struct sipcore_strans *st,
			    struct sipcore_msg *msg, void *arg)
{
	struct end *e = arg;
	uint32_t code;
	(void)core;

	(void)re_snprintf(e->last_req, sizeof(e->last_req), "%b",
			  msg->mb->buf, msg->mb->end);

	if (!st) {
		++e->acks;
		return;
	}

	++e->requests;
	e->st = st;
	sipcore_strans_handlers(st, cancel_handler, end_handler, e);

	if (!pl_strcmp(&msg->uri.user, "silent"))
		return;
	if (!pl_strcmp(&msg->uri.user, "ring")) {
		(void)sipcore_reply(st, 180, NULL, NULL);
		return;
	}
	if (!pl_strcmp(&msg->uri.user, "stranger")) {
		(void)sipcore_reply(st, 407, NULL, NULL);
		sipcore_strans_forget(st);
		return;
	}
	if (!pl_strcmp(&msg->uri.user, "body")) {
		(void)sipcore_reply(st, 200, "Fine", "Content-Type: text/plain"
				    "\r\nContent-Length: 2\r\n\r\nhi");
		return;
	}

	if (!sipcore_u32(&msg->uri.user, &code))
		(void)sipcore_reply(st, (uint16_t)code, NULL, NULL);
}


static void stray_handler(struct sipcore *core, struct sipcore_msg *msg,
			  void *arg)
{
	struct end *e = arg;
	(void)core;
	(void)msg;

	++e->stray;
}


static void response_handler(int err, struct sipcore_msg *resp, void *arg)
{
	struct end *e = arg;

	if (err) {
		++e->errors;
		e->err = err;
	}
	else {
		++e->responses;
		e->code = resp->scode;
	}

	if (!e->stop_after || e->responses + e->errors >= e->stop_after) {
		stopped = true;
		re_cancel();
	}
}


static const char *host = "127.0.0.1";


static int end_start(struct end *e, const struct sipcore_limits *lim)
{
	struct cfg_addr lv[4];
	struct sipcore_net_prm prm = {
		.lv = lv, .lc = 2, .workers = 1, .software = "test",
	};
	char why[128];
	int err;

	if (lim)
		prm.limits = *lim;
	prm.limits.t1 = T1;
	prm.limits.t2 = 4 * T1;
	prm.limits.t4 = 5 * T1;

	memset(lv, 0, sizeof(lv));
	lv[0].proto = CFG_PROTO_UDP;
	lv[1].proto = CFG_PROTO_TCP;
	(void)sa_set_str(&lv[0].sa, host, 0);
	(void)sa_set_str(&lv[1].sa, host, 0);

	err = sipcore_net_alloc(&e->net, &prm, why, sizeof(why));
	if (err)
		return err;

	err = sipcore_alloc(&e->core, e->net, 0, request_handler,
			    stray_handler, e);
	if (err)
		return err;

	e->core->droph    = drop_handler;
	e->core->drop_arg = e;

	return 0;
}


static int pair_start_lim(struct pair *p, bool tcp,
			  const struct sipcore_limits *lim)
{
	int err;

	memset(p, 0, sizeof(*p));
	err = end_start(&p->a, NULL);
	if (!err)
		err = end_start(&p->b, lim);
	if (err)
		return err;

	p->to.proto  = tcp ? CFG_PROTO_TCP : CFG_PROTO_UDP;
	p->to.remote = p->b.net->lv[tcp].sa;

	return 0;
}


static int pair_start(struct pair *p, bool tcp)
{
	return pair_start_lim(p, tcp, NULL);
}


static void pair_stop(struct pair *p)
{
	mem_deref(p->a.core);
	mem_deref(p->b.core);
	mem_deref(p->a.net);
	mem_deref(p->b.net);
}


static int request(struct sipcore_ctrans **ctp, struct pair *p,
		   const char *met, const char *user, const char *callid)
{
	struct mbuf *mb = mbuf_alloc(512);
	int err;

	if (!mb)
		return ENOMEM;

	err = mbuf_printf(mb, "%s sip:%s@127.0.0.1 SIP/2.0\r\n"
			  "Max-Forwards: 70\r\n"
			  "Route: <sip:127.0.0.1;lr>\r\n"
			  "From: <sip:a@test>;tag=1\r\nTo: <sip:b@test>\r\n"
			  "Call-ID: %s\r\nCSeq: 1 %s\r\n"
			  "Content-Length: 0\r\n\r\n",
			  met, user, callid, met);
	mb->pos = 0;
	if (!err)
		err = sipcore_request(ctp, p->a.core, &p->to, mb,
				      response_handler, &p->a);
	mem_deref(mb);

	return err;
}


static int exchange(bool tcp)
{
	struct pair p;
	int err;

	err = pair_start(&p, tcp);
	TEST_ERR(err);

	err = request(NULL, &p, "OPTIONS", "200", "c1");
	TEST_ERR(err);
	err = run_ms(1000);
	TEST_ERR(err);
	TEST_EQUALS(200, p.a.code);
	TEST_EQUALS(1, p.b.requests);
	TEST_EQUALS(0, p.a.core->stats.retrans_tx);

	err = request(NULL, &p, "MESSAGE", "body", "c1b");
	TEST_ERR(err);
	err = run_ms(1000);
	TEST_ERR(err);

	/* non-2xx to INVITE: acknowledged by the core */
	err = request(NULL, &p, "INVITE", "486", "c2");
	TEST_ERR(err);
	err = run_ms(1000);
	TEST_ERR(err);
	TEST_EQUALS(486, p.a.code);
	TEST_EQUALS(0, p.b.acks);

	/* 2xx: the caller's business */
	err = request(NULL, &p, "INVITE", "200", "c3");
	TEST_ERR(err);
	err = run_ms(1000);
	TEST_ERR(err);
	TEST_EQUALS(200, p.a.code);

	/* every transaction ends by its timers */
	err = wait_ms(70 * T1);
	TEST_ERR(err);
	TEST_EQUALS(4, p.b.ends);
	TEST_EQUALS(0, p.b.end_err);
	TEST_EQUALS(0, p.a.core->ctrans.used);
	TEST_EQUALS(0, p.b.core->stats.strans);
	TEST_EQUALS(tcp ? 1 : 0, p.b.core->stats.conns);
	TEST_EQUALS(0, p.a.stray);
 out:
	pair_stop(&p);
	return err;
}


static int test_net_udp(void)
{
	return exchange(false);
}


static int test_net_tcp(void)
{
	return exchange(true);
}


static int test_net_ipv6(void)
{
	struct sa sa;
	int fd, err;

	(void)sa_set_str(&sa, "::1", 0);
	if (sipcore_udp_bind(&fd, &sa, false))
		return 0;	/* a machine without it */
	(void)close(fd);

	host = "::1";
	err = exchange(false);
	if (!err)
		err = exchange(true);
	host = "127.0.0.1";

	return err;
}


/* A connection goes while the call rings: CANCEL and ACK take a new one */
static int test_net_reconnect(void)
{
	struct sipcore_ctrans *ct = NULL;
	struct pair p;
	int err;

	err = pair_start(&p, true);
	TEST_ERR(err);
	p.a.stop_after = 100;

	err = request(&ct, &p, "INVITE", "ring", "rc");
	TEST_ERR(err);
	err = wait_ms(5 * T1);
	TEST_ERR(err);
	TEST_EQUALS(180, p.a.code);
	sipcore_conn_flush(p.a.core);
	err = wait_ms(5 * T1);
	TEST_ERR(err);
	TEST_EQUALS(0, p.b.core->stats.conns);

	err = sipcore_ctrans_cancel(ct, NULL);
	TEST_ERR(err);
	err = wait_ms(5 * T1);
	TEST_ERR(err);
	TEST_EQUALS(1, p.b.cancels);
	/* the 487 goes to the Via's port, which is our listener */
	TEST_EQUALS(487, p.a.code);
	err = wait_ms(70 * T1);
	TEST_ERR(err);
	TEST_EQUALS(0, p.b.end_err);
	TEST_EQUALS(0, p.b.core->stats.strans);
 out:
	mem_deref(ct);
	pair_stop(&p);
	return err;
}


/* Timers A, E: lost requests and responses are sent again, and the server's
   handler sees each request once */
static int test_net_loss(void)
{
	struct pair p;
	int err;

	err = pair_start(&p, false);
	TEST_ERR(err);

	p.b.drop_rx = 2;
	err = request(NULL, &p, "OPTIONS", "200", "l1");
	TEST_ERR(err);
	err = run_ms(1000);
	TEST_ERR(err);
	TEST_EQUALS(200, p.a.code);
	TEST_EQUALS(1, p.b.requests);
	TEST_EQUALS(2, p.a.core->stats.retrans_tx);

	p.b.drop_tx = 2;		/* responses */
	err = request(NULL, &p, "OPTIONS", "404", "l2");
	TEST_ERR(err);
	err = run_ms(1000);
	TEST_ERR(err);
	TEST_EQUALS(404, p.a.code);
	TEST_EQUALS(2, p.b.requests);
	TEST_EQUALS(2, p.b.core->stats.retrans_rx);

	/* INVITE, its final response and its ACK, each lost once */
	p.b.drop_rx = 1;
	p.b.drop_tx = 1;
	err = request(NULL, &p, "INVITE", "486", "l3");
	TEST_ERR(err);
	err = run_ms(1000);
	TEST_ERR(err);
	TEST_EQUALS(486, p.a.code);
	p.b.drop_rx = 1;
	err = wait_ms(80 * T1);
	TEST_ERR(err);
	TEST_EQUALS(3, p.b.requests);
	TEST_EQUALS(3, p.b.ends);
	TEST_EQUALS(0, p.b.end_err);
	TEST_EQUALS(0, p.b.acks);
 out:
	pair_stop(&p);
	return err;
}


/* Timers B, F */
static int test_net_timeout(void)
{
	struct pair p;
	uint64_t t;
	int err;

	err = pair_start(&p, false);
	TEST_ERR(err);

	p.b.drop_rx = 1000;
	t = tmr_jiffies();
	err = request(NULL, &p, "OPTIONS", "200", "t1");
	TEST_ERR(err);
	err = run_ms(2000);
	TEST_ERR(err);
	t = tmr_jiffies() - t;
	TEST_EQUALS(64 * T1, t);
	TEST_EQUALS(ETIMEDOUT, p.a.err);
	/* RFC 3261 17.1.2.2: 0, 1, 3, 7, then every 4 T1 up to 64 T1 */
	TEST_EQUALS(4 + 14, p.a.seen_tx);

	p.a.seen_tx = 0;
	p.a.err = 0;
	err = request(NULL, &p, "INVITE", "200", "t2");
	TEST_ERR(err);
	err = run_ms(2000);
	TEST_ERR(err);
	TEST_EQUALS(ETIMEDOUT, p.a.err);
	/* 17.1.1.2: 0, 1, 3, 7, 15, 31, 63; on a busy machine the last comes
	   after the end */
	TEST(p.a.seen_tx >= 6 && p.a.seen_tx <= 7);
 out:
	pair_stop(&p);
	return err;
}


static int no_ack(struct pair *p, const char *user)
{
	struct mbuf *mb = mbuf_alloc(512);
	struct sipcore_flow to = p->to;
	int err;

	if (!mb)
		return ENOMEM;

	/* without a client transaction nobody sends ACK */
	err = mbuf_printf(mb, "INVITE sip:%s@127.0.0.1 SIP/2.0\r\n"
			  "Max-Forwards: 70\r\n"
			  "From: <sip:a@test>;tag=1\r\nTo: <sip:b@test>\r\n"
			  "Call-ID: h\r\nCSeq: 1 INVITE\r\n"
			  "Content-Length: 0\r\n\r\n", user);
	mb->pos = 0;
	if (!err)
		err = sipcore_send(p->a.core, &to, mb, true);
	mem_deref(mb);

	return err;
}


static int test_net_timer_h(void)
{
	struct pair p;
	int err;

	err = pair_start(&p, false);
	TEST_ERR(err);
	err = no_ack(&p, "486");
	TEST_ERR(err);
	err = wait_ms(70 * T1);
	TEST_ERR(err);
	TEST_EQUALS(1, p.b.ends);
	TEST_EQUALS(ETIMEDOUT, p.b.end_err);
	/* once, and G: 1, 3, 7, then every 4 T1 */
	TEST_EQUALS(1 + 3 + 14, p.a.stray);
 out:
	pair_stop(&p);
	return err;
}


/* RFC 3261 26.3.2.4: one answer, nothing is kept, and the ACK is known by its
   tag alone */
static int test_net_forgotten(void)
{
	struct pair p;
	int err;

	err = pair_start(&p, false);
	TEST_ERR(err);
	err = no_ack(&p, "stranger");
	TEST_ERR(err);
	err = wait_ms(5 * T1);
	TEST_ERR(err);
	TEST_EQUALS(1, p.a.stray);
	TEST_EQUALS(1, p.b.ends);
	TEST_EQUALS(0, p.b.end_err);
	TEST_EQUALS(0, p.b.core->stats.strans);

	err = request(NULL, &p, "INVITE", "stranger", "f1");
	TEST_ERR(err);
	err = run_ms(1000);
	TEST_ERR(err);
	err = wait_ms(5);
	TEST_ERR(err);
	TEST_EQUALS(407, p.a.code);
	TEST_EQUALS(0, p.b.core->stats.strans);
	TEST_EQUALS(0, p.b.acks);
 out:
	pair_stop(&p);
	return err;
}


/* 100 after 200 ms; provisionals; no timer B once it rings */
static int test_net_ringing(void)
{
	struct pair p;
	int err;

	err = pair_start(&p, false);
	TEST_ERR(err);
	p.a.stop_after = 100;

	err = request(NULL, &p, "INVITE", "silent", "r1");
	TEST_ERR(err);
	err = wait_ms(230);
	TEST_ERR(err);
	TEST_EQUALS(100, p.a.code);
	TEST_EQUALS(1, p.b.requests);
	err = wait_ms(80 * T1);
	TEST_ERR(err);
	TEST_EQUALS(0, p.a.errors);
	err = sipcore_reply(p.b.st, 603, NULL, NULL);
	TEST_ERR(err);
	TEST_EQUALS(EALREADY, sipcore_reply(p.b.st, 200, NULL, NULL));
	err = wait_ms(5 * T1);
	TEST_ERR(err);
	TEST_EQUALS(603, p.a.code);
 out:
	pair_stop(&p);
	return err;
}


/* RFC 6026: each 2xx is passed on, and the server may repeat it */
static int test_net_accepted(void)
{
	struct pair p;
	struct mbuf *mb = NULL;
	int err;

	err = pair_start(&p, false);
	TEST_ERR(err);
	p.a.stop_after = 100;

	err = request(NULL, &p, "INVITE", "200", "a1");
	TEST_ERR(err);
	err = wait_ms(3 * T1);
	TEST_ERR(err);
	TEST_EQUALS(1, p.a.responses);
	err = sipcore_reply(p.b.st, 200, NULL, NULL);
	TEST_ERR(err);
	TEST_EQUALS(EALREADY, sipcore_reply(p.b.st, 486, NULL, NULL));
	err = wait_ms(3 * T1);
	TEST_ERR(err);
	TEST_EQUALS(2, p.a.responses);

	mb = mbuf_alloc(512);
	if (!mb) {
		err = ENOMEM;
		goto out;
	}
	err = mbuf_printf(mb, "ACK sip:b@127.0.0.1 SIP/2.0\r\n"
			  "Max-Forwards: 70\r\n"
			  "From: <sip:a@test>;tag=1\r\n"
			  "To: <sip:b@test>;tag=2\r\n"
			  "Call-ID: a1\r\nCSeq: 1 ACK\r\n"
			  "Content-Length: 0\r\n\r\n");
	TEST_ERR(err);
	mb->pos = 0;
	err = sipcore_send(p.a.core, &p.to, mb, true);
	TEST_ERR(err);
	err = wait_ms(3 * T1);
	TEST_ERR(err);
	TEST_EQUALS(1, p.b.acks);
 out:
	mem_deref(mb);
	pair_stop(&p);
	return err;
}


static int cancel_one(bool tcp, bool early)
{
	struct sipcore_ctrans *ct = NULL;
	struct pair p;
	int err;

	err = pair_start(&p, tcp);
	TEST_ERR(err);
	p.a.stop_after = 100;

	err = request(&ct, &p, "INVITE", "ring", "x1");
	TEST_ERR(err);
	if (early) {
		/* 9.1: must wait for a provisional */
		err = sipcore_ctrans_cancel(ct, "Reason: SIP;cause=200\r\n");
		TEST_ERR(err);
	}
	err = wait_ms(5 * T1);
	TEST_ERR(err);
	if (!early) {
		TEST_EQUALS(180, p.a.code);
		p.b.drop_rx = tcp ? 0 : 1;
		err = sipcore_ctrans_cancel(ct, NULL);
		TEST_ERR(err);
		err = wait_ms(5 * T1);
		TEST_ERR(err);
	}
	TEST_EQUALS(1, p.b.cancels);
	TEST_EQUALS(487, p.a.code);
	TEST_EQUALS(2, p.a.responses);
	err = wait_ms(70 * T1);
	TEST_ERR(err);
	TEST_EQUALS(0, p.b.core->stats.strans);
	TEST_EQUALS(0, p.a.core->ctrans.used);
	TEST_EQUALS(0, p.b.acks);
 out:
	mem_deref(ct);
	pair_stop(&p);
	return err;
}


static int test_net_cancel(void)
{
	int err;

	err = cancel_one(false, false);
	TEST_ERR(err);
	err = cancel_one(false, true);
	TEST_ERR(err);
	err = cancel_one(true, false);
	TEST_ERR(err);
 out:
	return err;
}


/* A dropped transaction says nothing any more, and still ends */
static int test_net_dropped(void)
{
	struct sipcore_ctrans *ct = NULL;
	struct pair p;
	int err;

	err = pair_start(&p, false);
	TEST_ERR(err);

	err = request(&ct, &p, "OPTIONS", "200", "d1");
	TEST_ERR(err);
	ct = mem_deref(ct);
	err = wait_ms(20 * T1);
	TEST_ERR(err);
	TEST_EQUALS(1, p.b.requests);
	TEST_EQUALS(0, p.a.responses);
	TEST_EQUALS(0, p.a.core->ctrans.used);

	/* one that outlives its core */
	err = request(&ct, &p, "OPTIONS", "silent", "d2");
	TEST_ERR(err);
	p.a.core = mem_deref(p.a.core);
	err = sipcore_ctrans_cancel(ct, NULL);
	TEST_EQUALS(EINVAL, err);
	err = 0;
 out:
	mem_deref(ct);
	pair_stop(&p);
	return err;
}


static int test_net_limits(void)
{
	const struct sipcore_limits lim = {.strans = 2, .conns_addr = 1};
	struct pair p, q;
	int err;

	memset(&q, 0, sizeof(q));
	err = pair_start_lim(&p, false, &lim);
	TEST_ERR(err);
	p.a.stop_after = 100;

	for (unsigned i=0; i<3; i++) {
		char id[8];

		(void)re_snprintf(id, sizeof(id), "m%u", i);
		err = request(NULL, &p, "INVITE", "ring", id);
		TEST_ERR(err);
	}
	err = wait_ms(5 * T1);
	TEST_ERR(err);
	TEST_EQUALS(503, p.a.code);
	TEST_EQUALS(2, p.b.requests);
	TEST(p.b.core->stats.limit_hits > 0);

	sipcore_drain(p.b.core, true);
	TEST_EQUALS(2, p.b.core->stats.strans);

	/* a second connection from one address is closed */
	p.to.proto  = CFG_PROTO_TCP;
	p.to.remote = p.b.net->lv[1].sa;
	err = request(NULL, &p, "OPTIONS", "200", "m4");
	TEST_ERR(err);
	err = wait_ms(5 * T1);
	TEST_ERR(err);
	TEST_EQUALS(1, p.b.core->stats.conns);
	err = pair_start(&q, true);
	TEST_ERR(err);
	q.to = p.to;
	q.a.stop_after = 1;
	err = request(NULL, &q, "OPTIONS", "200", "m5");
	TEST_ERR(err);
	err = run_ms(2000);
	TEST_ERR(err);
	TEST_EQUALS(1, q.a.errors);
	TEST_EQUALS(1, p.b.core->stats.conns);
 out:
	pair_stop(&p);
	if (q.a.net)
		pair_stop(&q);
	return err;
}


/* A connection that is refused tells at once, not after 64*T1 */
static int test_net_refused(void)
{
	struct pair p;
	int err;

	err = pair_start(&p, true);
	TEST_ERR(err);
	p.b.core = mem_deref(p.b.core);
	p.b.net  = mem_deref(p.b.net);

	err = request(NULL, &p, "OPTIONS", "200", "f1");
	if (err == ECONNREFUSED)
		err = 0;
	else {
		TEST_ERR(err);
		err = run_ms(5 * T1);
		TEST_ERR(err);
		TEST_EQUALS(ECONNREFUSED, p.a.err);
	}

	p.to.conn = sipcore_id(0, 3, 4);
	TEST_EQUALS(ENOTCONN, request(NULL, &p, "OPTIONS", "200", "f2"));
	p.to.conn = 0;
	p.to.proto = CFG_PROTO_TLS;
	TEST_EQUALS(EAFNOSUPPORT, request(NULL, &p, "OPTIONS", "200", "f3"));
 out:
	pair_stop(&p);
	return err;
}


/* ---- bytes from outside */

struct raw {
	int fd;
	char buf[4096];
	size_t n;
};


static int raw_open(struct raw *r, const struct pair *p, bool tcp)
{
	const struct sa *sa = &p->b.net->lv[tcp].sa;

	r->n  = 0;
	r->fd = socket(AF_INET, (tcp ? SOCK_STREAM : SOCK_DGRAM), 0);
	if (r->fd < 0)
		return errno;

	return connect(r->fd, &sa->u.sa, sa->len) ? errno : 0;
}


static int raw_say(struct raw *r, const char *str)
{
	const size_t n = strlen(str);

	return send(r->fd, str, n, MSG_NOSIGNAL) == (ssize_t)n ? 0 : errno;
}


/* Lets the loop run, then takes what came */
static int raw_hear(struct raw *r)
{
	ssize_t n;
	int err;

	err = wait_ms(30);
	if (err)
		return err;

	n = recv(r->fd, r->buf, sizeof(r->buf) - 1, MSG_DONTWAIT);
	r->n = n > 0 ? (size_t)n : 0;
	r->buf[r->n] = '\0';

	return n == 0 ? ECONNRESET : 0;
}


#define HEAD(met, cl) met " sip:200@127.0.0.1 SIP/2.0\r\n" \
	"Via: SIP/2.0/TCP 127.0.0.1:1;branch=z9hG4bK" met ";rport\r\n" \
	"From: <sip:a@test>;tag=1\r\nTo: <sip:b@test>\r\n" \
	"Call-ID: raw\r\nCSeq: 1 " met "\r\n" cl "\r\n"


static int test_net_raw_udp(void)
{
	struct raw r = {.fd = -1};
	struct pair p;
	int err;

	err = pair_start(&p, false);
	TEST_ERR(err);
	err = raw_open(&r, &p, false);
	TEST_ERR(err);

	/* 481 to a CANCEL of nothing */
	err = raw_say(&r, HEAD("CANCEL", ""));
	TEST_ERR(err);
	err = raw_hear(&r);
	TEST_ERR(err);
	TEST(!strncmp(r.buf, "SIP/2.0 481 ", 12));
	TEST(strstr(r.buf, ";received=127.0.0.1;rport="));
	TEST(strstr(r.buf, "To: <sip:b@test>;tag="));
	TEST(strstr(r.buf, "Server: test\r\n"));

	err = raw_say(&r, HEAD("OPTIONS", "CSeq: 2 OPTIONS\r\n"));
	TEST_ERR(err);
	err = raw_hear(&r);
	TEST_ERR(err);
	TEST(!strncmp(r.buf, "SIP/2.0 400 Bad Request (Header given twice)\r",
		      45));

	/* a bad ACK is never answered, nor what is not SIP */
	err = raw_say(&r, HEAD("ACK", "CSeq: 2 ACK\r\n"));
	err |= raw_say(&r, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
	err |= raw_say(&r, "\r\n\r\n");
	TEST_ERR(err);
	err = raw_hear(&r);
	TEST_ERR(err);
	TEST_EQUALS(0, r.n);
	TEST_EQUALS(0, p.b.requests);
	TEST_EQUALS(3, p.b.core->stats.rx_bad);
 out:
	if (r.fd >= 0)
		(void)close(r.fd);
	pair_stop(&p);
	return err;
}


static int test_net_raw_tcp(void)
{
	const struct sipcore_limits lim = {
		.msg_size = 2000, .msg_time = 100, .conn_idle = 300,
	};
	static const char opt[] = HEAD("OPTIONS", "Content-Length: 3\r\n")
		"abc";
	struct raw r = {.fd = -1};
	struct pair p;
	int err;

	err = pair_start_lim(&p, true, &lim);
	TEST_ERR(err);
	err = raw_open(&r, &p, true);
	TEST_ERR(err);

	/* keep-alive */
	err = raw_say(&r, "\r\n\r\n");
	TEST_ERR(err);
	err = raw_hear(&r);
	TEST_ERR(err);
	TEST_STRCMP("\r\n", r.buf);

	/* one in pieces, with a second one behind it */
	err = send(r.fd, opt, 30, MSG_NOSIGNAL) == 30 ? 0 : EIO;
	TEST_ERR(err);
	err = raw_hear(&r);
	TEST_ERR(err);
	TEST_EQUALS(0, r.n);
	err = raw_say(&r, opt + 30);
	err |= raw_say(&r, HEAD("INFO", "l: 0\r\n"));
	TEST_ERR(err);
	err = raw_hear(&r);
	TEST_ERR(err);
	TEST_EQUALS(2, p.b.requests);
	TEST(strstr(r.buf, "CSeq: 1 OPTIONS"));
	TEST(strstr(r.buf, "CSeq: 1 INFO"));

	/* no Content-Length: answered, then closed */
	err = raw_say(&r, HEAD("MESSAGE", ""));
	TEST_ERR(err);
	err = raw_hear(&r);
	TEST_ERR(err);
	TEST(!strncmp(r.buf, "SIP/2.0 400 Bad Request (Missing Content-L",
		      40));
	err = wait_ms(250);
	TEST_ERR(err);
	TEST_EQUALS(ECONNRESET, raw_hear(&r));
	(void)close(r.fd);

	/* too large: 513, then closed */
	err = raw_open(&r, &p, true);
	TEST_ERR(err);
	err = raw_say(&r, HEAD("MESSAGE", "Content-Length: 5000\r\n"));
	TEST_ERR(err);
	err = raw_hear(&r);
	TEST_ERR(err);
	TEST(!strncmp(r.buf, "SIP/2.0 513 ", 12));
	err = wait_ms(250);
	TEST_ERR(err);
	TEST_EQUALS(ECONNRESET, raw_hear(&r));
	(void)close(r.fd);

	/* half a message and then nothing */
	err = raw_open(&r, &p, true);
	TEST_ERR(err);
	err = raw_say(&r, "OPTIONS sip:");
	TEST_ERR(err);
	err = wait_ms(150);
	TEST_ERR(err);
	TEST_EQUALS(ECONNRESET, raw_hear(&r));
	(void)close(r.fd);

	/* nothing at all */
	err = raw_open(&r, &p, true);
	TEST_ERR(err);
	err = wait_ms(400);
	TEST_ERR(err);
	TEST_EQUALS(ECONNRESET, raw_hear(&r));
	err = wait_ms(150);
	TEST_ERR(err);
	TEST_EQUALS(0, p.b.core->stats.conns);
 out:
	if (r.fd >= 0)
		(void)close(r.fd);
	pair_stop(&p);
	return err;
}


/* Who asks and does not read is cut off at the limit of its queue */
static int test_net_slow_reader(void)
{
	const struct sipcore_limits lim = {.conn_queue = 20000};
	/* malformed, so each is answered */
	static const char opt[] = HEAD("OPTIONS", "CSeq: 1 OPTIONS\r\n"
				       "Content-Length: 0\r\n");
	const int small = 32768;
	struct raw r = {.fd = -1};
	struct pair p;
	bool closed = false;
	size_t off = 0;
	int err;

	err = pair_start_lim(&p, true, &lim);
	TEST_ERR(err);
	err = raw_open(&r, &p, true);
	TEST_ERR(err);
	(void)setsockopt(r.fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	(void)fcntl(r.fd, F_SETFL, O_NONBLOCK);

	for (unsigned i=0; i<2000 && !closed; i++) {
		for (unsigned k=0; k<50; k++) {
			ssize_t n = send(r.fd, opt + off,
					 sizeof(opt) - 1 - off, MSG_NOSIGNAL);

			if (n > 0)
				off = (off + (size_t)n) % (sizeof(opt) - 1);
		}
		err = wait_ms(1);
		TEST_ERR(err);
		closed = !p.b.core->stats.conns && i > 10;
	}
	TEST(closed);
	TEST(p.b.core->stats.limit_hits > 0);
 out:
	if (r.fd >= 0)
		(void)close(r.fd);
	pair_stop(&p);
	return err;
}


/* ---- what was counted */

static bool metric_handler(const struct metric *m, void *arg)
{
	const struct metric **mp = arg;

	if (strcmp(m->name, (*mp)->name))
		return false;
	*mp = m;

	return true;
}


static int64_t metric_of(const char *name)
{
	const struct metric wanted = {.name = name}, *m = &wanted;

	metric_apply(metric_handler, &m);

	return m == &wanted ? -1 : metric_get(m);
}


static int test_net_metrics(void)
{
	const int64_t rx = metric_of("sipcore_received_total");
	struct pair p;
	int err;

	err = pair_start(&p, true);
	TEST_ERR(err);
	err = request(NULL, &p, "INVITE", "ring", "v1");
	TEST_ERR(err);
	err = wait_ms(1001);
	TEST_ERR(err);
	TEST_EQUALS(max(rx, 0) + 2, metric_of("sipcore_received_total"));
	TEST_EQUALS(1, metric_of("sipcore_server_transactions"));
	TEST_EQUALS(1, metric_of("sipcore_client_transactions"));
	TEST_EQUALS(2, metric_of("sipcore_connections"));
 out:
	pair_stop(&p);
	if (!err && metric_of("sipcore_connections"))
		err = EINVAL;
	return err;
}


/* ---- listeners */

static int test_net_listen(void)
{
	struct cfg_addr lv[2];
	struct sipcore_net_prm prm = {.lv = lv, .lc = 1, .workers = 2};
	struct sipcore_net *net = NULL, *net2 = NULL;
	struct uri uri;
	struct pl pl;
	char why[128], text[64];
	int err;

	memset(lv, 0, sizeof(lv));
	lv[0].proto = CFG_PROTO_UDP;
	(void)sa_set_str(&lv[0].sa, "0.0.0.0", 0);
	err = sipcore_net_alloc(&net, &prm, why, sizeof(why));
	TEST_ERR(err);

	/* a busy port, though it could be shared */
	lv[0].sa = net->lv[0].sa;
	TEST_EQUALS(EADDRINUSE, sipcore_net_alloc(&net2, &prm, why,
						  sizeof(why)));
	(void)re_snprintf(text, sizeof(text),
			  "udp:%J: Address already in use", &lv[0].sa);
	TEST_STRCMP(text, why);

	/* a wildcard is every address of this machine */
	(void)re_snprintf(text, sizeof(text), "sip:127.0.0.1:%u",
			  sa_port(&lv[0].sa));
	pl_set_str(&pl, text);
	err = sipcore_uri_decode(&uri, &pl);
	TEST_ERR(err);
	TEST(sipcore_is_self(net, &uri));
	uri.port ^= 1;
	TEST(!sipcore_is_self(net, &uri));
	pl_set_str(&pl, "192.0.2.1");
	uri.port ^= 1;
	uri.host = pl;
	TEST(!sipcore_is_self(net, &uri));

	lv[0].proto = CFG_PROTO_TLS;
	TEST_EQUALS(EPROTONOSUPPORT, sipcore_net_alloc(&net2, &prm, why,
						       sizeof(why)));
 out:
	mem_deref(net);
	return test_oom() ? ENOMEM : err;
}


/* ---- two workers */

struct farm {
	struct sipcore_net *net;
	struct sipcore *corev[2];
	struct worker *wv[2];
	unsigned idx;
	unsigned wrong;
	unsigned reqv[2];
};


static void farm_request(struct sipcore *core, struct sipcore_strans *st,
			 struct sipcore_msg *msg, void *arg)
{
	struct farm *f = arg;
	const unsigned own = sipcore_owner(f->net, &msg->callid);

	if (core->idx != own || core != f->corev[own] ||
	    worker_index(worker_self()) != own)
		(void)__atomic_add_fetch(&f->wrong, 1, __ATOMIC_RELAXED);

	(void)__atomic_add_fetch(&f->reqv[core->idx], 1, __ATOMIC_RELAXED);
	if (st)
		(void)sipcore_reply(st, 200, NULL, "X-Worker: %u\r\n",
				    core->idx);
}


static int farm_init(void *arg)
{
	struct farm *f = arg;

	return sipcore_alloc(&f->corev[f->idx], f->net, f->idx, farm_request,
			     NULL, f);
}


static void farm_stop(void *arg)
{
	struct farm *f = arg;
	const unsigned i = worker_index(worker_self());

	f->corev[i] = mem_deref(f->corev[i]);
}


static int farm_start(struct farm *f)
{
	struct cfg_addr lv[2];
	struct sipcore_net_prm prm = {.lv = lv, .lc = 2, .workers = 2};
	char why[128];
	int err;

	memset(lv, 0, sizeof(lv));
	lv[0].proto = CFG_PROTO_UDP;
	lv[1].proto = CFG_PROTO_TCP;
	(void)sa_set_str(&lv[0].sa, "127.0.0.1", 0);
	(void)sa_set_str(&lv[1].sa, "127.0.0.1", 0);
	prm.limits.t1 = T1;

	err = sipcore_net_alloc(&f->net, &prm, why, sizeof(why));

	for (f->idx=0; f->idx<2 && !err; f->idx++)
		err = worker_alloc(&f->wv[f->idx], "farm", f->idx, farm_init,
				   farm_stop, f);

	return err;
}


static int farm_calls(struct farm *f, struct pair *p, bool tcp)
{
	enum { N = 100 };
	int err = 0;

	p->to.proto  = tcp ? CFG_PROTO_TCP : CFG_PROTO_UDP;
	p->to.remote = f->net->lv[tcp].sa;
	p->to.conn   = 0;
	p->a.responses = p->a.errors = 0;
	p->a.stop_after = N;

	for (unsigned i=0; i<N && !err; i++) {
		char id[32];

		(void)re_snprintf(id, sizeof(id), "farm-%d-%u", tcp, i);
		err = request(NULL, p, "OPTIONS", "x", id);
	}
	TEST_ERR(err);
	err = test_run_loop(3000);
	TEST_ERR(err);
	TEST_EQUALS(N, p->a.responses);
	TEST_EQUALS(200, p->a.code);
 out:
	return err;
}


static int test_net_workers(void)
{
	struct farm f;
	struct pair p;
	int err;

	/* threads: real time */
	compat_clock_set(NULL);
	memset(&f, 0, sizeof(f));
	err = pair_start(&p, false);
	TEST_ERR(err);
	p.a.core->net->lim.t1 = 500;
	err = farm_start(&f);
	TEST_ERR(err);

	/* one source address: the kernel gives all to one worker */
	err = farm_calls(&f, &p, false);
	TEST_ERR(err);
	/* one connection: answers of the other worker cross to it */
	err = farm_calls(&f, &p, true);
	TEST_ERR(err);

	TEST_EQUALS(0, f.wrong);
	TEST(f.reqv[0] > 50);
	TEST(f.reqv[1] > 50);
	TEST_EQUALS(1, p.a.core->stats.conns);
 out:
	mem_deref(f.wv[0]);
	mem_deref(f.wv[1]);
	mem_deref(f.net);
	pair_stop(&p);
	compat_clock_set(fake_clock);
	return err;
}


/* RFC 3261 18.2.2: the connection of a request has gone before its answer */
static int test_net_fallback(void)
{
	struct raw r = {.fd = -1};
	struct pair p;
	char req[512];
	int err;

	err = pair_start(&p, true);
	TEST_ERR(err);
	err = raw_open(&r, &p, true);
	TEST_ERR(err);
	(void)re_snprintf(req, sizeof(req),
			  "MESSAGE sip:silent@127.0.0.1 SIP/2.0\r\n"
			  "Via: SIP/2.0/TCP 127.0.0.1:%u;branch=z9hG4bKfb\r\n"
			  "From: <sip:a@t>;tag=1\r\nTo: <sip:b@t>\r\n"
			  "Call-ID: fb\r\nCSeq: 1 MESSAGE\r\nl: 0\r\n\r\n",
			  sa_port(&p.a.net->lv[1].sa));
	err = raw_say(&r, req);
	TEST_ERR(err);
	err = wait_ms(20);
	TEST_ERR(err);
	(void)close(r.fd);
	r.fd = -1;
	err = wait_ms(20);
	TEST_ERR(err);
	TEST_EQUALS(0, p.b.core->stats.conns);
	TEST_EQUALS(1, p.b.requests);
	err = sipcore_reply(p.b.st, 200, NULL, NULL);
	TEST_ERR(err);
	err = wait_ms(30);
	TEST_ERR(err);
	TEST_EQUALS(1, p.a.stray);
 out:
	if (r.fd >= 0)
		(void)close(r.fd);
	pair_stop(&p);
	return err;
}


/* No allocation may leave anything behind when it fails */
static int test_net_alloc(void)
{
	struct pair p;
	int err;

	err = pair_start(&p, true);
	if (!err)
		err = request(NULL, &p, "INVITE", "ring", "n1");
	pair_stop(&p);

	return test_oom() ? ENOMEM : err;
}


int main(int argc, char *argv[])
{
	static const struct test_case cases[] = {
		TEST_CASE(test_net_alloc),
		TEST_CASE(test_net_listen),
		TEST_CASE_ONCE(test_net_udp),
		TEST_CASE_ONCE(test_net_tcp),
		TEST_CASE_ONCE(test_net_ipv6),
		TEST_CASE_ONCE(test_net_reconnect),
		TEST_CASE_ONCE(test_net_loss),
		TEST_CASE_ONCE(test_net_timeout),
		TEST_CASE_ONCE(test_net_timer_h),
		TEST_CASE_ONCE(test_net_forgotten),
		TEST_CASE_ONCE(test_net_ringing),
		TEST_CASE_ONCE(test_net_accepted),
		TEST_CASE_ONCE(test_net_cancel),
		TEST_CASE_ONCE(test_net_dropped),
		TEST_CASE_ONCE(test_net_limits),
		TEST_CASE_ONCE(test_net_refused),
		TEST_CASE_ONCE(test_net_raw_udp),
		TEST_CASE_ONCE(test_net_raw_tcp),
		TEST_CASE_ONCE(test_net_slow_reader),
		TEST_CASE_ONCE(test_net_metrics),
		TEST_CASE_ONCE(test_net_fallback),
		TEST_CASE_ONCE(test_net_workers),
	};

	compat_clock_set(fake_clock);

	return test_main(argc, argv, cases, RE_ARRAY_SIZE(cases));
}
