/**
 * @file bench_sipcore.c  What sipcore costs: decode, edit, transaction, memory
 *
 *	bench_sipcore [N]
 *
 * Two of them exchange OPTIONS over loopback UDP in one thread; each exchange
 * is two messages sent and two received, so the kernel's share is in it.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <re.h>
#include "cfg/cfg.h"
#include "sipcore/sipcore.h"


enum {
	FLIGHT = 64,		/* requests under way */
};

static const char invite[] =
	"INVITE sip:1002@sip.local SIP/2.0\r\n"
	"Via: SIP/2.0/UDP 192.168.64.50:5062;branch=z9hG4bK776asdhds;rport\r\n"
	"Max-Forwards: 70\r\n"
	"Route: <sip:192.168.64.10;lr>\r\n"
	"From: \"Alice\" <sip:1001@sip.local>;tag=1928301774\r\n"
	"To: <sip:1002@sip.local>\r\n"
	"Call-ID: a84b4c76e66710@192.168.64.50\r\n"
	"CSeq: 314159 INVITE\r\n"
	"Contact: <sip:1001@192.168.64.50:5062>\r\n"
	"Allow: INVITE, ACK, BYE, CANCEL, OPTIONS, UPDATE, PRACK, REFER\r\n"
	"Supported: 100rel, timer, replaces\r\n"
	"User-Agent: telephone 1.2.3\r\n"
	"Content-Type: application/sdp\r\n"
	"Content-Length: 168\r\n"
	"\r\n"
	"v=0\r\no=alice 2890844526 2890844526 IN IP4 192.168.64.50\r\n"
	"s=-\r\nc=IN IP4 192.168.64.50\r\nt=0 0\r\n"
	"m=audio 49172 RTP/AVP 8 0 101\r\n"
	"a=rtpmap:8 PCMA/8000\r\na=rtpmap:0 PCMU/8000\r\n";


static double cpu_us(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);

	return (double)ts.tv_sec * 1e6 + (double)ts.tv_nsec / 1e3;
}


static int decode(struct sipcore_msg **msgp)
{
	return sipcore_msg_decode(msgp, (const uint8_t *)invite,
				  sizeof(invite) - 1, NULL);
}


/* What a record-routing proxy does to it */
static int edit(const struct sipcore_msg *msg, struct mbuf *mb)
{
	const struct pl ruri = PL("sip:1002@192.168.64.30:5080");
	struct sipcore_edit ed;
	int err;

	sipcore_edit_init(&ed, msg);
	err  = sipcore_edit_ruri(&ed, &ruri);
	err |= sipcore_edit_before(&ed, NULL,
				   "Record-Route: <sip:192.168.64.10;lr>");
	err |= sipcore_edit_drop(&ed, sipcore_hdr(msg, SIPCORE_HDR_ROUTE, 0));
	err |= sipcore_edit_replace(&ed, sipcore_hdr(msg,
				    SIPCORE_HDR_MAX_FORWARDS, 0),
				    "Max-Forwards: %d", msg->maxfwd - 1);
	mb->pos = mb->end = 0;
	err |= sipcore_edit_write(mb, &ed);
	sipcore_edit_close(&ed);

	return err;
}


static int bench_msg(unsigned n)
{
	struct mbuf *mb = mbuf_alloc(2048);
	double t, td, te;
	int err = 0;

	t = cpu_us();
	for (unsigned i=0; i<n && !err; i++) {
		struct sipcore_msg *msg = NULL;

		err = decode(&msg);
		mem_deref(msg);
	}
	td = cpu_us() - t;

	t = cpu_us();
	for (unsigned i=0; i<n && !err; i++) {
		struct sipcore_msg *msg = NULL;

		err = decode(&msg);
		if (!err)
			err = edit(msg, mb);
		mem_deref(msg);
	}
	te = cpu_us() - t;

	mem_deref(mb);
	if (err)
		return err;

	(void)re_printf("decode an INVITE of %zu bytes: %.2f us\n",
			sizeof(invite) - 1, td / n);
	(void)re_printf("decode, edit as a proxy, write: %.2f us\n", te / n);

	return 0;
}


/* ---- transactions */

struct bench {
	struct sipcore_net *net;
	struct sipcore *a;
	struct sipcore_flow to;
	struct mbuf *mb;
	unsigned n, sent, done, failed;
};


static void request_handler(struct sipcore *core, struct sipcore_strans *st,
			    struct sipcore_msg *msg, void *arg)
{
	(void)core;
	(void)msg;
	(void)arg;
	(void)sipcore_reply(st, 200, NULL, NULL);
}


static void request_send(struct bench *b);


static void response_handler(int err, struct sipcore_msg *resp, void *arg)
{
	struct bench *b = arg;
	(void)resp;

	++b->done;
	b->failed += err != 0;
	if (b->done >= b->n)
		re_cancel();
	else if (b->sent < b->n)
		request_send(b);
}


static void request_send(struct bench *b)
{
	b->mb->pos = b->mb->end = 0;
	(void)mbuf_printf(b->mb, "OPTIONS sip:127.0.0.1 SIP/2.0\r\n"
			  "Max-Forwards: 70\r\n"
			  "From: <sip:a@sip.local>;tag=%u\r\n"
			  "To: <sip:b@sip.local>\r\nCall-ID: bench-%u\r\n"
			  "CSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n",
			  b->sent, b->sent);
	b->mb->pos = 0;
	++b->sent;
	if (sipcore_request(NULL, b->a, &b->to, b->mb, response_handler, b))
		++b->failed;
}


static int bench_start(struct bench *b)
{
	struct cfg_addr lv[1];
	struct sipcore_net_prm prm = {
		.lv = lv, .lc = 1, .workers = 1, .software = "bench",
		.limits = {.strans = 1000000, .ctrans = 1000000},
	};
	char why[128];
	int err;

	memset(lv, 0, sizeof(lv));
	lv[0].proto = CFG_PROTO_UDP;
	(void)sa_set_str(&lv[0].sa, "127.0.0.1", 0);

	/* one net for each end, both in this thread */
	err = sipcore_net_alloc(&b->net, &prm, why, sizeof(why));
	if (!err)
		err = sipcore_alloc(&b->a, b->net, 0, request_handler, NULL,
				    b);

	return err;
}


static int bench_trans(unsigned n)
{
	struct bench b, srv;
	struct memstat before, after;
	double t;
	int err;

	memset(&b, 0, sizeof(b));
	memset(&srv, 0, sizeof(srv));
	b.n  = n;
	b.mb = mbuf_alloc(1024);
	err  = bench_start(&b);
	if (!err)
		err = bench_start(&srv);
	if (err)
		goto out;

	b.to.proto = CFG_PROTO_UDP;
	(void)sa_set_str(&b.to.remote, "127.0.0.1", 1);
	err = sipcore_laddr(srv.a, &b.to, &b.to.remote);
	if (err)
		goto out;

	(void)mem_get_stat(&before);
	t = cpu_us();
	for (unsigned i=0; i<FLIGHT; i++)
		request_send(&b);
	err = re_main(NULL);
	t = cpu_us() - t;
	(void)mem_get_stat(&after);

	(void)re_printf("OPTIONS and 200 over UDP, both ends: %.1f us "
			"(%u failed)\n", t / n, b.failed);
	(void)re_printf("memory of the two transactions while their timers "
			"run: %zu bytes\n",
			(after.bytes_cur - before.bytes_cur) / n);

 out:
	mem_deref(b.mb);
	mem_deref(b.a);
	mem_deref(b.net);
	mem_deref(srv.a);
	mem_deref(srv.net);

	return err;
}


int main(int argc, char *argv[])
{
	struct pl num;
	unsigned n = 100000;
	int err;

	if (argc > 1) {
		pl_set_str(&num, argv[1]);
		n = pl_u32(&num);
	}

	err = libre_init();
	if (err)
		return 2;

	(void)fd_setsize(1024);
	(void)poll_method_set(METHOD_EPOLL);

	err = bench_msg(n);
	if (!err)
		err = bench_trans(n / 2);
	if (err)
		(void)re_fprintf(stderr, "bench_sipcore: %m\n", err);

	libre_close();

	return err ? 1 : 0;
}
