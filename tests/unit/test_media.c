/**
 * @file test_media.c  Ports, the directory, sessions by offer and answer
 */
#include <string.h>
#include <re.h>
#include "media/media.h"
#include "test.h"


enum { BASE = 27400 };

static struct media_conf conf = {
	.timeout = 60000, .held_timeout = 60000, .offer_timeout = 60000,
	.strict_source = true,
};

static const char body[] = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\n"
	"c=IN IP4 127.0.0.1\r\nm=audio 4000 RTP/AVP 0\r\n";


static void interfaces(struct media_if *ifv)
{
	memset(ifv, 0, 3 * sizeof(*ifv));
	str_ncpy(ifv[0].name, "internal", sizeof(ifv[0].name));
	(void)sa_set_str(&ifv[0].addr, "127.0.0.1", 0);
	ifv[0].pub = ifv[0].addr;
	str_ncpy(ifv[1].name, "external", sizeof(ifv[1].name));
	ifv[1].addr = ifv[0].addr;
	(void)sa_set_str(&ifv[1].pub, "203.0.113.9", 0);
	str_ncpy(ifv[2].name, "other", sizeof(ifv[2].name));
	(void)sa_set_str(&ifv[2].addr, "127.0.0.2", 0);
	ifv[2].pub = ifv[2].addr;
}


static int test_pool(void)
{
	const struct cfg_ports range = {BASE + 1, BASE + 8};
	struct media_if ifv[3];
	struct pool *p = NULL;
	unsigned worker, i;
	uint16_t port;
	struct sa sa;
	int err;

	interfaces(ifv);
	err = pool_alloc(&p, ifv, 3, range, 0);
	TEST_ERR(err);

	/* two interfaces on one address share its ports */
	TEST_EQUALS(16, pool_slots(p));

	/* 27402..27407 make three pairs; 27401 and 27408 have no partner */
	for (i = 0; i < 3; i++) {
		err = pool_take(p, i & 1, true, 5, &port);
		TEST_ERR(err);
		TEST_EQUALS(0, port & 1);
		TEST(port > BASE && port < BASE + 8);
	}
	TEST_EQUALS(ENOSPC, pool_take(p, 0, true, 0, &port));
	TEST_EQUALS(6, pool_used(p));
	err = pool_take(p, 0, false, 0, &port);
	TEST_ERR(err);
	TEST_EQUALS(BASE + 8, port);
	err = pool_take(p, 2, true, 0, &port);
	TEST_ERR(err);

	/* found by either address, with its owner */
	(void)sa_set_str(&sa, "203.0.113.9", BASE + 3);
	TEST(pool_find(p, &sa, &worker) >= 0);
	TEST_EQUALS(5, worker);
	pool_owner_set(p, 0, BASE + 3, 6);
	(void)sa_set_str(&sa, "127.0.0.1", BASE + 3);
	TEST(pool_find(p, &sa, &worker) >= 0);
	TEST_EQUALS(6, worker);
	sa_set_port(&sa, BASE + 1);
	TEST_EQUALS(-1, pool_find(p, &sa, &worker));
	sa_set_port(&sa, 80);
	TEST_EQUALS(-1, pool_find(p, &sa, &worker));
	(void)sa_set_str(&sa, "192.0.2.1", BASE + 3);
	TEST_EQUALS(-1, pool_find(p, &sa, &worker));

	/* half a pair is no pair */
	pool_give(p, 0, BASE + 4);
	TEST_EQUALS(ENOSPC, pool_take(p, 0, true, 0, &port));
	pool_give(p, 0, BASE + 5);
	err = pool_take(p, 0, true, 0, &port);
	TEST_ERR(err);
	TEST_EQUALS(BASE + 4, port);
 out:
	mem_deref(p);
	return err;
}


static int test_pool_rest(void)
{
	const struct cfg_ports range = {BASE, BASE + 3};
	struct media_if ifv[3];
	struct pool *p = NULL;
	uint16_t first, port;
	int err;

	interfaces(ifv);
	err = pool_alloc(&p, ifv, 1, range, 100000);
	TEST_ERR(err);
	err = pool_take(p, 0, true, 0, &first);
	TEST_ERR(err);
	pool_give(p, 0, first);
	pool_give(p, 0, first + 1);
	TEST_EQUALS(0, pool_used(p));

	/* the other pair has rested */
	err = pool_take(p, 0, true, 0, &port);
	TEST_ERR(err);
	TEST(port != first);

	/* tired is better than none */
	err = pool_take(p, 0, true, 0, &port);
	TEST_ERR(err);
	TEST_EQUALS(first, port);
	TEST_EQUALS(ENOSPC, pool_take(p, 0, true, 0, &port));
 out:
	mem_deref(p);
	return err;
}


static int test_directory(void)
{
	const struct pl a = PL("a"), b = PL("b"), c = PL("c");
	struct directory *d = NULL;
	int err;

	err = directory_alloc(&d);
	TEST_ERR(err);
	err = directory_set(d, &a, 0, 2);
	TEST_ERR(err);
	err = directory_set(d, &b, 1, 2);
	TEST_ERR(err);
	TEST_EQUALS(EOVERFLOW, directory_set(d, &c, 0, 2));
	err = directory_set(d, &a, 1, 2);
	TEST_ERR(err);
	TEST_EQUALS(1, directory_find(d, &a));
	TEST_EQUALS(-1, directory_find(d, &c));
	directory_del(d, &a, 0);	/* no longer that worker's */
	TEST_EQUALS(2, directory_count(d));
	directory_del(d, &a, 1);
	TEST_EQUALS(1, directory_count(d));
 out:
	mem_deref(d);
	return err;
}


/* ---- a worker without thread */

struct bed {
	struct media md;
	struct mworker w;
};


static void bed_close(struct bed *b)
{
	if (!b)
		return;

	if (b->w.sessions)
		session_flush(&b->w);
	mem_deref(b->w.sessions);
	mem_deref(b->w.portv);
	mem_deref(b->md.dir);
	mem_deref(b->md.pool);
	mem_deref(b);
}


static int bed_open(struct bed **bp, uint16_t ports)
{
	const struct cfg_ports range = {BASE, (uint16_t)(BASE + ports - 1)};
	struct bed *b;
	int err;

	b = mem_zalloc(sizeof(*b), NULL);
	if (!b)
		return ENOMEM;

	b->md.conf = &conf;
	b->md.ifc = 3;
	interfaces(b->md.ifv);
	b->md.workerc = 1;
	b->md.workerv[0] = &b->w;
	b->w.md = &b->md;
	b->w.gen = 1;

	err = pool_alloc(&b->md.pool, b->md.ifv, 3, range, 0);
	if (!err)
		err = directory_alloc(&b->md.dir);
	if (!err)
		err = hash_alloc(&b->w.sessions, 16);
	if (!err) {
		b->w.portv = mem_zalloc(pool_slots(b->md.pool) *
					sizeof(*b->w.portv), NULL);
		err = b->w.portv ? 0 : ENOMEM;
	}

	if (err)
		bed_close(b);
	else
		*bp = b;

	return err;
}


/* One command; reason NULL: it must be done.  Its SDP's port into port */
static int ask(struct bed *b, media_cmd_h *h, const char *callid,
	       const char *from, const char *to, const char *sdp,
	       const char *reason, uint16_t *port)
{
	struct ng_tree *in = NULL, *out = NULL;
	const char *why;
	struct pl pl;
	struct sdpx s;
	int err;

	err  = ng_tree_alloc(&in, 65536);
	err |= ng_tree_alloc(&out, 65536);
	if (err)
		goto out;

	ng_add_str(in, ng_root(in), "call-id", callid);
	ng_add_str(in, ng_root(in), "from-tag", from);
	if (to)
		ng_add_str(in, ng_root(in), "to-tag", to);
	if (sdp)
		ng_add_str(in, ng_root(in), "sdp", sdp);
	err = ng_tree_error(in);
	if (err)
		goto out;

	why = h(&b->w, ng_root(in), out);
	if (ng_tree_error(out) || !str_cmp(why, "Out of memory")) {
		err = ENOMEM;
		goto out;
	}

	TEST_STRCMP(reason ? reason : "", why ? why : "");
	if (port && !reason) {
		TEST(ng_get_pl(ng_root(out), "sdp", &pl));
		err = sdpx_decode(&s, pl.p, pl.l);
		TEST_ERR(err);
		*port = sa_port(&s.mediav[0].rtp);
	}
 out:
	mem_deref(in);
	mem_deref(out);
	return err;
}


static int test_session(void)
{
	struct bed *b = NULL;
	uint16_t o, n, o2;
	int err;

	err = bed_open(&b, 40);
	if (err)
		goto out;

	err = ask(b, media_offer, "c", "a", NULL, body, NULL, &o);
	if (err)
		goto out;
	err = ask(b, media_answer, "c", "a", "b", body, NULL, &n);
	if (err)
		goto out;
	TEST(o != n);
	TEST_EQUALS(4, pool_used(b->md.pool));

	/* again, from either side: the same ports */
	err = ask(b, media_offer, "c", "a", "b", body, NULL, &o2);
	if (err)
		goto out;
	TEST_EQUALS(o, o2);
	err = ask(b, media_offer, "c", "b", "a", body, NULL, &o2);
	if (err)
		goto out;
	TEST_EQUALS(n, o2);

	err = ask(b, media_answer, "c", "nobody", "b", body,
		  "Unknown call-id", NULL);
	if (err)
		goto out;
	err = ask(b, media_query, "c", "a", NULL, NULL, NULL, NULL);
	if (err)
		goto out;
	err = ask(b, media_delete, "c", "a", NULL, NULL, NULL, NULL);
	if (err)
		goto out;
	TEST_EQUALS(0, pool_used(b->md.pool));
	err = ask(b, media_query, "c", "a", NULL, NULL, "Unknown call-id",
		  NULL);
 out:
	bed_close(b);
	return err;
}


static int test_exhaustion(void)
{
	struct bed *b = NULL;
	int err;

	err = bed_open(&b, 4);
	if (err)
		goto out;

	err = ask(b, media_offer, "c1", "a", NULL, body, NULL, NULL);
	if (err)
		goto out;
	err = ask(b, media_offer, "c2", "a", NULL, body, "Ran out of ports",
		  NULL);
	if (err)
		goto out;

	/* nothing is left of what failed */
	TEST_EQUALS(1, list_count(&b->w.sessionl));
	TEST_EQUALS(4, pool_used(b->md.pool));
	err = ask(b, media_delete, "c1", "a", NULL, NULL, NULL, NULL);
	if (err)
		goto out;
	err = ask(b, media_offer, "c2", "a", NULL, body, NULL, NULL);
 out:
	bed_close(b);
	return err;
}


/* The way of a flow: out, joined, in a circle */
static int test_resolve(void)
{
	static const char fmt[] = "v=0\r\nc=IN IP4 127.0.0.1\r\n"
		"m=audio %u RTP/AVP 0\r\n";
	const struct pl one = PL("one"), tag = PL("a");
	struct bed *b = NULL;
	struct party *p;
	struct flow *f;
	char sdp[128];
	uint16_t o1, o2, n;
	int err;

	err = bed_open(&b, 40);
	if (err)
		goto out;

	err = ask(b, media_offer, "one", "a", NULL, body, NULL, &o1);
	if (err)
		goto out;
	p = party_find(session_find(&b->w, &one), &tag);
	f = &p->mediav[0]->rtp->flow[0];
	flow_resolve(&b->w, f);
	TEST_EQUALS(-1, f->fd);

	(void)re_snprintf(sdp, sizeof(sdp), fmt, o1);
	err = ask(b, media_offer, "two", "pbx", NULL, sdp, NULL, &o2);
	if (err)
		goto out;
	err = ask(b, media_answer, "two", "pbx", "b", body, NULL, &n);
	if (err)
		goto out;
	(void)re_snprintf(sdp, sizeof(sdp), fmt, n);
	err = ask(b, media_answer, "one", "a", "pbx", sdp, NULL, NULL);
	if (err)
		goto out;

	flow_resolve(&b->w, f);
	TEST_EQUALS(1, f->viac);
	TEST_EQUALS(4000, sa_port(&f->dst));
	TEST_EQUALS(o2, f->outv[1]->num);

	/* b's far side is a port of a's session: it goes round */
	(void)re_snprintf(sdp, sizeof(sdp), fmt, p->mediav[0]->rtp->num);
	err = ask(b, media_answer, "two", "pbx", "b", sdp, NULL, NULL);
	if (err)
		goto out;
	flow_resolve(&b->w, f);
	TEST_EQUALS(-1, f->fd);
	TEST_STRCMP("loop", f->why);
 out:
	bed_close(b);
	return err;
}


int main(int argc, char *argv[])
{
	static const struct test_case cases[] = {
		TEST_CASE(test_pool),
		TEST_CASE(test_pool_rest),
		TEST_CASE(test_directory),
		TEST_CASE(test_session),
		TEST_CASE(test_exhaustion),
		TEST_CASE(test_resolve),
	};

	return test_main(argc, argv, cases, RE_ARRAY_SIZE(cases));
}
