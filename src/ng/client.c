/**
 * @file client.c  NG client: requests, retransmission, failover
 *
 *            answer                          answer: handler
 *   start -> SENT --200,400,800 ms--> SENT ------------------> done
 *             | slot over, or "Unknown call-id"   | deadline
 *             v                                   v
 *           next node -> SENT ...              handler(NG_TIMEOUT)
 */
#include <string.h>
#include <re.h>
#include "ng/ng.h"
#include "ng/internal.h"


enum {
	T_FIRST      = 200,	/**< first retransmission, then doubled  */
	T_MAX        = 800,
	DEADLINE     = 2000,
	DEADLINE_MAX = 60000,
	PROBE_EVERY  = 1000,
	REQ_MAX      = 4096,	/**< under way at once                   */
	REQ_BUCKETS  = 256,
	COOKIE_SIZE  = 40,
};

struct ng_req {
	struct le he;
	struct tmr tmr;
	struct ng_client *c;
	struct ng_req **rp;	/**< the owner's pointer, NULL: client owns */
	struct mbuf *mb;	/**< the datagram                           */
	char cookie[COOKIE_SIZE];
	uint64_t call;		/**< hash of the Call-ID                    */
	uint64_t started;
	uint64_t sent;		/**< when first to this node                */
	uint64_t end;
	uint32_t slot;		/**< for one node, ms                       */
	uint32_t wait;
	uint32_t asked;		/**< bits of nodes that it went to          */
	uint8_t orderv[NG_NODE_MAX];
	unsigned at;		/**< index in orderv                        */
	enum ng_op op;
	bool fresh;		/**< may be served by any node              */
	bool probe;
	ng_h *h;
	void *arg;
};


static void on_timer(void *arg);


static void req_destructor(void *arg)
{
	struct ng_req *r = arg;

	tmr_cancel(&r->tmr);
	hash_unlink(&r->he);
	if (r->c)
		--r->c->reqc;
	mem_deref(r->mb);
}


static void finish(struct ng_req *r, const struct ng_result *res)
{
	ng_h *h = r->h;
	void *arg = r->arg;

	tmr_cancel(&r->tmr);
	hash_unlink(&r->he);
	if (r->c) {
		--r->c->reqc;
		r->c = NULL;
	}
	if (r->rp)
		*r->rp = NULL;

	if (h)
		h(res, arg);

	mem_deref(r);
}


static struct ng_node *node_of(const struct ng_req *r)
{
	return &r->c->nodev[r->orderv[r->at]];
}


static void transmit(struct ng_req *r)
{
	const struct ng_node *node = node_of(r);
	struct udp_sock *us = sa_af(&node->sa) == AF_INET6 ? r->c->us6
							   : r->c->us4;

	r->asked |= 1u << r->orderv[r->at];
	r->mb->pos = 0;

	/* a refused or unreachable node is one that does not answer */
	(void)udp_send(us, &node->sa, r->mb);
}


static void arm(struct ng_req *r)
{
	const uint64_t now = tmr_jiffies();
	const uint64_t slot_end = r->sent + r->slot;
	uint64_t at = now + r->wait;

	if (at > slot_end)
		at = slot_end;
	if (at > r->end)
		at = r->end;

	tmr_start(&r->tmr, at > now ? at - now : 0, on_timer, r);
}


static void send_first(struct ng_req *r)
{
	r->sent = tmr_jiffies();
	r->wait = T_FIRST;
	transmit(r);
	arm(r);
}


static bool next_node(struct ng_req *r)
{
	if (r->at + 1 >= r->c->nodec)
		return false;

	++r->at;
	if (r->at + 1 >= r->c->nodec)
		r->slot = DEADLINE_MAX;
	send_first(r);

	return true;
}


static void probe_answer(const struct ng_result *res, void *arg)
{
	(void)res;
	(void)arg;
}


static void on_probe(void *arg)
{
	static const struct ng_cmd ping = {.op = NG_PING};
	struct ng_client *c = arg;
	bool dead = false;
	unsigned i;

	for (i = 0; i < c->nodec; i++) {

		struct ng_node *node = &c->nodev[i];

		if (node->alive)
			continue;

		dead = true;
		if (node->probe)
			continue;

		if (ng_request(&node->probe, c, &ping, PROBE_EVERY,
			       probe_answer, NULL))
			continue;

		/* it goes to this node alone, also from the first packet */
		node->probe->probe = true;
		node->probe->orderv[0] = (uint8_t)i;
		node->probe->at = 0;
	}

	if (dead)
		tmr_start(&c->tmr_probe, PROBE_EVERY, on_probe, c);
}


static void node_silent(struct ng_req *r)
{
	struct ng_node *node = node_of(r);

	++node->timeouts;

	/* something came from it meanwhile: this one packet was lost */
	if (node->rx >= r->sent)
		return;

	if (node->alive && r->c->nodec > 1) {
		node->alive = false;
		tmr_start(&r->c->tmr_probe, PROBE_EVERY, on_probe, r->c);
	}
}


static void on_timer(void *arg)
{
	struct ng_req *r = arg;
	const uint64_t now = tmr_jiffies();

	/* the first packet leaves from the loop, never inside ng_request() */
	if (!r->sent) {
		send_first(r);
		return;
	}

	if (now >= r->end) {
		struct ng_result res;

		memset(&res, 0, sizeof(res));
		res.status = NG_TIMEOUT;
		res.node = node_of(r)->sa;
		pl_set_str(&res.reason, "no answer from the media node");

		if (!r->probe) {
			++r->c->n_timeout;
			node_silent(r);
		}
		finish(r, &res);
		return;
	}

	if (now >= r->sent + r->slot) {
		node_silent(r);
		if (next_node(r))
			return;
	}

	r->wait = r->wait * 2 > T_MAX ? T_MAX : r->wait * 2;
	++r->c->n_retrans;
	transmit(r);
	arm(r);
}


static struct ng_req *find(const struct ng_client *c, const struct pl *cookie)
{
	struct le *le = list_head(hash_list(c->reqs,
					    hash_joaat((uint8_t *)cookie->p,
						       cookie->l)));

	for (; le; le = le->next) {

		struct ng_req *r = le->data;

		if (!pl_strcmp(cookie, r->cookie))
			return r;
	}

	return NULL;
}


static int node_index(const struct ng_client *c, const struct sa *src)
{
	unsigned i;

	for (i = 0; i < c->nodec; i++) {

		if (sa_cmp(&c->nodev[i].sa, src, SA_ALL))
			return (int)i;
	}

	return -1;
}


/* Remember a call only if it is not where hashing would look for it */
static void remember(struct ng_req *r, unsigned node, enum ng_status st)
{
	if (r->op == NG_DELETE)
		ng_sticky_del(r->c, r->call);
	else if (r->op == NG_OFFER && st == NG_OK) {

		if (ng_node_home(r->c, r->call) != node)
			ng_sticky_set(r->c, r->call, node);
		else
			ng_sticky_del(r->c, r->call);
	}
}


static void on_answer(struct ng_req *r, unsigned node,
		      const struct ng_val *root)
{
	struct ng_result res;

	memset(&res, 0, sizeof(res));
	res.node = r->c->nodev[node].sa;
	ng_result_read(&res, root);

	if (res.status == NG_UNKNOWN_CALL && !r->probe &&
	    r->orderv[r->at] == node && next_node(r))
		return;

	/* an old node's late refusal does not count */
	if (res.status != NG_OK && r->orderv[r->at] != node)
		return;

	remember(r, node, res.status);
	finish(r, &res);
}


static void on_packet(const struct sa *src, struct mbuf *mb, void *arg)
{
	struct ng_client *c = arg;
	struct pl cookie, body;
	struct ng_tree *t = NULL;
	struct ng_req *r;
	int node;

	node = node_index(c, src);
	if (node < 0 || ng_split(mbuf_buf(mb), mbuf_get_left(mb),
				 &cookie, &body)) {
		++c->n_stray;
		return;
	}

	r = find(c, &cookie);
	if (!r || !(r->asked & 1u << node)) {
		++c->n_stray;
		return;
	}

	c->nodev[node].rx = tmr_jiffies();
	c->nodev[node].alive = true;

	if (ng_decode(&t, NULL, (const uint8_t *)body.p, body.l)) {
		++c->n_stray;
		return;
	}

	on_answer(r, (unsigned)node, ng_root(t));
	mem_deref(t);
}


static void client_destructor(void *arg)
{
	struct ng_client *c = arg;
	unsigned i;

	tmr_cancel(&c->tmr_probe);

	for (i = 0; c->reqs && i < hash_bsize(c->reqs); i++) {

		struct le *le = list_head(hash_list(c->reqs, i));

		while (le) {
			struct ng_req *r = le->data;

			le = le->next;
			tmr_cancel(&r->tmr);
			hash_unlink(&r->he);
			r->c = NULL;
			if (!r->rp)
				mem_deref(r);
		}
	}

	for (i = 0; i < c->nodec; i++)
		mem_deref(c->nodev[i].probe);

	ng_sticky_close(c);
	mem_deref(c->reqs);
	mem_deref(c->us4);
	mem_deref(c->us6);
}


static int sock_open(struct udp_sock **usp, struct ng_client *c,
		     const char *any)
{
	struct sa sa;
	int err;

	err = sa_set_str(&sa, any, 0);
	if (err)
		return err;

	err = udp_listen(usp, &sa, on_packet, c);
	if (err)
		return err;

	udp_rxsz_set(*usp, NG_DATAGRAM_MAX);

	return 0;
}


static int node_add(struct ng_client *c, const struct sa *sa)
{
	struct ng_node *node = &c->nodev[c->nodec];
	char buf[80];

	if (!sa_isset(sa, SA_ALL))
		return EINVAL;

	if (re_snprintf(buf, sizeof(buf), "%J", sa) < 0)
		return EINVAL;

	node->sa = *sa;
	node->alive = true;
	node->hash = ng_hash(0x9e3779b97f4a7c15ULL, buf, strlen(buf));
	++c->nodec;

	if (sa_af(sa) == AF_INET6)
		return c->us6 ? 0 : sock_open(&c->us6, c, "::");

	return c->us4 ? 0 : sock_open(&c->us4, c, "0.0.0.0");
}


int ng_client_alloc(struct ng_client **cp, const struct sa *nodev,
		    size_t nodec)
{
	struct ng_client *c;
	size_t i;
	int err;

	if (!cp || !nodev || !nodec || nodec > NG_NODE_MAX)
		return EINVAL;

	c = mem_zalloc(sizeof(*c), client_destructor);
	if (!c)
		return ENOMEM;

	c->prefix = rand_u64();

	err  = hash_alloc(&c->reqs, REQ_BUCKETS);
	err |= ng_sticky_init(c);
	if (err)
		goto out;

	for (i = 0; i < nodec && !err; i++)
		err = node_add(c, &nodev[i]);

 out:
	if (err)
		mem_deref(c);
	else
		*cp = c;

	return err;
}


static int build(struct ng_req *r, const struct ng_cmd *cmd)
{
	int err;

	r->mb = mbuf_alloc(512 + cmd->sdp.l);
	if (!r->mb)
		return ENOMEM;

	err  = mbuf_printf(r->mb, "%s ", r->cookie);
	err |= ng_cmd_encode(r->mb, cmd);
	if (err)
		return err;

	return r->mb->end > NG_DATAGRAM_MAX ? EOVERFLOW : 0;
}


int ng_request(struct ng_req **rp, struct ng_client *c,
	       const struct ng_cmd *cmd, uint32_t deadline,
	       ng_h *h, void *arg)
{
	struct ng_req *r;
	int err;

	if (!c || !cmd || (cmd->op != NG_PING && !pl_isset(&cmd->call_id)))
		return EINVAL;
	if (c->reqc >= REQ_MAX)
		return EOVERFLOW;

	if (!deadline || deadline > DEADLINE_MAX)
		deadline = DEADLINE;

	r = mem_zalloc(sizeof(*r), req_destructor);
	if (!r)
		return ENOMEM;

	if (re_snprintf(r->cookie, sizeof(r->cookie), "%016llx_%llu",
			c->prefix ^ rand_u64(), ++c->seq) < 0) {
		err = EOVERFLOW;
		goto out;
	}

	err = build(r, cmd);
	if (err)
		goto out;

	r->call  = ng_hash(0xcbf29ce484222325ULL, cmd->call_id.p,
			   cmd->call_id.l);
	r->op    = cmd->op;
	r->fresh = cmd->op == NG_OFFER && !pl_isset(&cmd->to_tag);
	r->end   = tmr_jiffies() + deadline;
	r->slot  = r->fresh && c->nodec > 1 ? deadline / 3 : DEADLINE_MAX;
	r->h     = h;
	r->arg   = arg;
	r->c     = c;
	ng_node_order(c, r->call, r->orderv);

	++c->reqc;
	++c->n_req;
	hash_append(c->reqs, hash_joaat_str(r->cookie), &r->he, r);
	tmr_start(&r->tmr, 0, on_timer, r);

	if (rp) {
		r->rp = rp;
		*rp = r;
	}

 out:
	if (err)
		mem_deref(r);

	return err;
}


static int request_op(struct ng_req **rp, struct ng_client *c,
		      const struct ng_cmd *cmd, enum ng_op op,
		      uint32_t deadline, ng_h *h, void *arg)
{
	struct ng_cmd copy;

	if (!cmd)
		return EINVAL;

	copy = *cmd;
	copy.op = op;

	return ng_request(rp, c, &copy, deadline, h, arg);
}


int ng_offer(struct ng_req **rp, struct ng_client *c,
	     const struct ng_cmd *cmd, uint32_t deadline, ng_h *h, void *arg)
{
	return request_op(rp, c, cmd, NG_OFFER, deadline, h, arg);
}


int ng_answer(struct ng_req **rp, struct ng_client *c,
	      const struct ng_cmd *cmd, uint32_t deadline, ng_h *h,
	      void *arg)
{
	return request_op(rp, c, cmd, NG_ANSWER, deadline, h, arg);
}


int ng_delete(struct ng_req **rp, struct ng_client *c,
	      const struct ng_cmd *cmd, uint32_t deadline, ng_h *h,
	      void *arg)
{
	return request_op(rp, c, cmd, NG_DELETE, deadline, h, arg);
}


bool ng_client_alive(const struct ng_client *c, size_t idx)
{
	return c && idx < c->nodec && c->nodev[idx].alive;
}


int ng_client_debug(struct re_printf *pf, const struct ng_client *c)
{
	unsigned i;
	int err;

	if (!c)
		return 0;

	err = re_hprintf(pf, "requests=%llu under_way=%u retransmitted=%llu"
			 " timeouts=%llu stray=%llu\n", c->n_req, c->reqc,
			 c->n_retrans, c->n_timeout, c->n_stray);

	for (i = 0; i < c->nodec; i++)
		err |= re_hprintf(pf, "node=%J alive=%u timeouts=%llu\n",
				  &c->nodev[i].sa, c->nodev[i].alive,
				  c->nodev[i].timeouts);

	return err;
}
