/**
 * @file dispatch.c  The PBX nodes: which one gets a call, and which are alive
 *
 *   alive --(no answer, refused)--> dead --(an answer to OPTIONS)--> alive
 *
 * Shared by the workers; states are atomic.  The first worker pings.
 */
#include <string.h>
#include "internal.h"


enum {
	NODE_MAX = 32,		/* bits of a request's pbx_tried */
};

struct node {
	struct dispatch *owner;
	struct sipcore_flow flow;
	_Atomic bool alive;
	_Atomic uint64_t failures;
	uint64_t pinged;		/* lane 0 only: tmr_jiffies() */
	struct sipcore_ctrans *ping;	/* lane 0 only */
};

struct dispatch {
	struct node nodev[NODE_MAX];
	size_t n;
};


int dispatch_alloc(struct dispatch **dp, const struct cfg_addr *v, size_t n)
{
	struct dispatch *d;

	if (!dp || (n && !v) || n > NODE_MAX)
		return EINVAL;

	d = mem_zalloc(sizeof(*d), NULL);
	if (!d)
		return ENOMEM;

	d->n = n;
	for (size_t i = 0; i < n; i++) {
		struct node *node = &d->nodev[i];

		node->owner = d;
		node->flow.proto = v[i].proto == CFG_PROTO_ANY
			? CFG_PROTO_UDP : v[i].proto;
		node->flow.remote = v[i].sa;
		atomic_init(&node->alive, true);
	}

	*dp = d;

	return 0;
}


size_t dispatch_count(const struct dispatch *d)
{
	return d ? d->n : 0;
}


/* Calls are spread by Call-ID, so that every sip node chooses alike.  When
   all are dead, the dead are tried: a node that came back serves at once */
int dispatch_next(const struct dispatch *d, const struct pl *callid,
		  uint32_t tried)
{
	uint32_t h;

	if (!d || !d->n || !callid)
		return -1;

	h = hash_joaat_pl(callid);
	for (int dead = 0; dead < 2; dead++) {
		for (size_t i = 0; i < d->n; i++) {
			const size_t idx = (h + i) % d->n;

			if (!(tried & (1u << idx)) &&
			    (dead || atomic_load(&d->nodev[idx].alive)))
				return (int)idx;
		}
	}

	return -1;
}


void dispatch_flow(const struct dispatch *d, int node,
		   struct sipcore_flow *flow)
{
	if (d && flow && node >= 0 && (size_t)node < d->n)
		*flow = d->nodev[node].flow;
}


void dispatch_failed(struct dispatch *d, int node, const char *why)
{
	struct node *n;

	if (!d || node < 0 || (size_t)node >= d->n)
		return;

	n = &d->nodev[node];
	atomic_fetch_add(&n->failures, 1);
	if (atomic_exchange(&n->alive, false))
		log_warn(NULL, "pbx node is down", "node=%H why=\"%s\"",
			 nat_flow_print, &n->flow, why);
}


void dispatch_works(struct dispatch *d, int node)
{
	struct node *n;

	if (!d || node < 0 || (size_t)node >= d->n)
		return;

	n = &d->nodev[node];
	if (!atomic_exchange(&n->alive, true))
		log_info(NULL, "pbx node is up", "node=%H", nat_flow_print,
			 &n->flow);
}


bool dispatch_alive(const struct dispatch *d, int node)
{
	return d && node >= 0 && (size_t)node < d->n &&
		atomic_load(&d->nodev[node].alive);
}


/** A request from a node: by address, and by port where others may share the
    address: over UDP, and on this very machine */
bool dispatch_is_node(const struct dispatch *d,
		      const struct sipcore_flow *flow)
{
	for (size_t i = 0; d && i < d->n; i++) {
		const struct sa *sa = &d->nodev[i].flow.remote;
		const bool port = flow->proto == CFG_PROTO_UDP ||
			sa_is_loopback(sa);

		if (sa_cmp(sa, &flow->remote, port ? SA_ALL : SA_ADDR))
			return true;
	}

	return false;
}


/* ---- ping */

static void ping_handler(int err, struct sipcore_msg *resp, void *arg)
{
	struct node *n = arg;
	const int idx = (int)(n - n->owner->nodev);

	if (!err && resp && resp->scode < 200)
		return;

	n->ping = mem_deref(n->ping);
	if (err)
		dispatch_failed(n->owner, idx, "no answer to OPTIONS");
	else
		dispatch_works(n->owner, idx);
}


static int ping_send(struct lane *w, struct node *n)
{
	struct mbuf *mb;
	struct sa laddr;
	int err;

	err = sipcore_laddr(w->core, &n->flow, &laddr);
	if (err)
		return err;

	mb = mbuf_alloc(512);
	if (!mb)
		return ENOMEM;

	err = mbuf_printf(mb, "OPTIONS sip:%J SIP/2.0\r\n"
			  "Max-Forwards: 1\r\n"
			  "From: <sip:ping@%J>;tag=%016llx\r\n"
			  "To: <sip:%J>\r\n"
			  "Call-ID: %016llx@%J\r\n"
			  "CSeq: 1 OPTIONS\r\n"
			  "Content-Length: 0\r\n\r\n",
			  &n->flow.remote, &laddr, rand_u64(),
			  &n->flow.remote, rand_u64(), &laddr);
	mb->pos = 0;
	if (!err)
		err = sipcore_request(&n->ping, w->core, &n->flow, mb,
				      ping_handler, n);
	mem_deref(mb);

	return err;
}


/** Ping those whose time has come: the dead more often.  A ping that is not
    answered in its time has failed */
void dispatch_tick(struct lane *w)
{
	struct dispatch *d = w->e->disp;
	const uint64_t now = tmr_jiffies();
	const uint64_t every = w->conf->dispatcher.ping;
	const uint64_t limit = w->conf->dispatcher.timeout;

	for (size_t i = 0; d && i < d->n; i++) {
		struct node *n = &d->nodev[i];
		const bool alive = atomic_load(&n->alive);
		const uint64_t due = alive ? every : min(every, 1000);

		if (n->ping && now - n->pinged >= limit) {
			n->ping = mem_deref(n->ping);
			dispatch_failed(d, (int)i, "no answer to OPTIONS");
		}
		if (n->ping || (n->pinged && now - n->pinged < due))
			continue;

		n->pinged = now;
		if (ping_send(w, n))
			dispatch_failed(d, (int)i, "OPTIONS cannot be sent");
	}
}


/** Lane 0 ends: its transactions go */
void dispatch_stop(struct dispatch *d)
{
	for (size_t i = 0; d && i < d->n; i++)
		d->nodev[i].ping = mem_deref(d->nodev[i].ping);
}
