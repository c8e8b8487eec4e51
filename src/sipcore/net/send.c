/**
 * @file sipcore/net/send.c  Which way out: listeners, our address, Via, branch
 * (RFC 3261 18.1, 18.2.2, RFC 3581)
 *
 * A branch of ours is "z9hG4bK", then worker, slot and generation of the
 * transaction and a MAC over them: a response finds its transaction without a
 * search, and nobody else can make one up.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>
#include <re.h>
#include "cfg/cfg.h"
#include "sipcore/sipcore.h"
#include "sipcore/internal.h"


enum {
	DEFAULT_PORT = 5060,
	BRANCH_LEN   = 7 + 32,
	SRC_LIFE     = 10000,	/* ms that a looked-up source is believed */
};

static const char hexv[] = "0123456789abcdef";


/* Ask the kernel which address it would send from.  Sends nothing */
static int source_lookup(const struct sa *dst, struct sa *src)
{
	int fd, err = 0;

	fd = socket(sa_af(dst), SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return errno;

	src->len = sizeof(src->u);
	if (connect(fd, &dst->u.sa, dst->len) ||
	    getsockname(fd, &src->u.sa, &src->len))
		err = errno;

	(void)close(fd);

	return err;
}


static int source_get(struct sipcore *core, const struct sa *dst,
		      struct sa *src)
{
	struct sipcore_src *e = &core->srcv[sa_hash(dst, SA_ADDR) %
					    SIPCORE_SRCS];
	const uint64_t now = tmr_jiffies();
	int err;

	if (e->expires <= now || !sa_cmp(&e->dst, dst, SA_ADDR)) {

		err = source_lookup(dst, &e->src);
		if (err) {
			e->expires = 0;
			return err;
		}
		e->dst = *dst;
		e->expires = now + SRC_LIFE;
	}

	*src = e->src;

	return 0;
}


/* The flow's own local address names a listener, also behind a wildcard */
static bool is_named(const struct sipcore_listener *l, const struct sa *local)
{
	return sa_isset(local, SA_PORT) && sa_port(&l->sa) == sa_port(local) &&
		(l->any || sa_cmp(&l->sa, local, SA_ADDR));
}


/**
 * Choose the listener to send from
 *
 * @return Index, -1 if there is none of this transport and family
 */
int sipcore_pick(struct sipcore *core, const struct sipcore_flow *to)
{
	const struct sipcore_net *net = core->net;
	struct sa src;
	int first = -1, best = -1;
	unsigned n = 0;

	for (size_t i=0; i<net->lc; i++) {
		const struct sipcore_listener *l = &net->lv[i];

		if (l->proto != to->proto ||
		    sa_af(&l->sa) != sa_af(&to->remote))
			continue;

		if (is_named(l, &to->local))
			return (int)i;

		if (!n++)
			first = (int)i;
	}

	if (n < 2 || source_get(core, &to->remote, &src))
		return first;

	for (size_t i=0; i<net->lc; i++) {
		const struct sipcore_listener *l = &net->lv[i];

		if (l->proto != to->proto || sa_af(&l->sa) != sa_af(&src))
			continue;

		if (sa_cmp(&l->sa, &src, SA_ADDR))
			return (int)i;
		if (l->any && best < 0)
			best = (int)i;
	}

	return best < 0 ? first : best;
}


int sipcore_laddr(const struct sipcore *core, const struct sipcore_flow *to,
		  struct sa *local)
{
	struct sipcore *c = (struct sipcore *)(uintptr_t)core;
	const struct sipcore_listener *l;
	int i, err;

	if (!core || !to || !local)
		return EINVAL;

	i = sipcore_pick(c, to);
	if (i < 0)
		return EAFNOSUPPORT;

	l = &core->net->lv[i];
	if (!l->any) {
		*local = l->sa;
		return 0;
	}

	if (is_named(l, &to->local) && !sa_is_any(&to->local)) {
		*local = to->local;
		return 0;
	}

	err = source_get(c, &to->remote, local);
	if (!err)
		sa_set_port(local, sa_port(&l->sa));

	return err;
}


static char *hex_put(char *p, uint64_t v, int digits)
{
	for (int i=digits-1; i>=0; i--)
		*p++ = hexv[v >> (4*i) & 15];

	return p;
}


static bool hex_get(const char *p, int digits, uint64_t *v)
{
	*v = 0;

	for (int i=0; i<digits; i++) {
		const char *d = p[i] ? strchr(hexv, p[i]) : NULL;

		if (!d)
			return false;
		*v = *v << 4 | (uint64_t)(d - hexv);
	}

	return true;
}


static uint64_t branch_mac(const struct sipcore_net *net, uint64_t id)
{
	return sipcore_siphash(net->key, &id, sizeof(id));
}


/**
 * @param id  Transaction that the branch names
 *
 * @return true if the branch was made by this process
 */
bool sipcore_branch_id(const struct sipcore_net *net, const struct pl *branch,
		       uint64_t *id)
{
	uint64_t mac;

	if (branch->l != BRANCH_LEN || memcmp(branch->p, "z9hG4bK", 7) ||
	    !hex_get(branch->p + 7, 16, id) ||
	    !hex_get(branch->p + 23, 16, &mac))
		return false;

	return mac == branch_mac(net, *id);
}


/* "Via: SIP/2.0/UDP 10.0.0.1:5060;branch=...;rport" CRLF, without printf */
static int via_print(struct sipcore *core, const struct sipcore_flow *to,
		     uint64_t id, char buf[SIPCORE_VIA_MAX], size_t *n)
{
	const char *proto = sipcore_proto_name(to->proto);
	char addr[64], *p = buf;
	struct sa local;
	unsigned port;
	bool v6;
	int err;

	err = sipcore_laddr(core, to, &local);
	if (err)
		return err;

	err = sa_ntop(&local, addr, sizeof(addr));
	if (err)
		return err;

	v6 = sa_af(&local) == AF_INET6;

#define PUT(str, len) do { memcpy(p, str, len); p += len; } while (0)
	PUT("Via: SIP/2.0/", 13);
	PUT(proto, strlen(proto));
	*p++ = ' ';
	if (v6)
		*p++ = '[';
	PUT(addr, strlen(addr));
	if (v6)
		*p++ = ']';
	*p++ = ':';
	port = sa_port(&local);
	for (unsigned div=10000; div; div /= 10) {
		if (port >= div || div == 1)
			*p++ = (char)('0' + port / div % 10);
	}
	PUT(";branch=z9hG4bK", 15);
	p = hex_put(p, id, 16);
	p = hex_put(p, branch_mac(core->net, id), 16);
	PUT(";rport\r\n", 8);
#undef PUT

	*n = (size_t)(p - buf);

	return 0;
}


/**
 * Where the response to a request goes (RFC 3261 18.2.2, RFC 3581 4).  maddr
 * is not honoured: it would let anyone send our answers to a third party.
 *
 * @param fallback  Stream: where to connect to when the connection is gone
 */
void sipcore_reply_flow(const struct sipcore_msg *msg,
			struct sipcore_flow *flow, struct sa *fallback)
{
	const uint16_t port = msg->via.port ? msg->via.port : DEFAULT_PORT;

	*flow = msg->flow;
	if (flow->proto == CFG_PROTO_UDP && !msg->via.rport)
		sa_set_port(&flow->remote, port);

	*fallback = msg->flow.remote;
	sa_set_port(fallback, port);
}


/**
 * Send bytes
 *
 * @param flow      As of sipcore_request(); TCP: conn is set
 * @param fallback  As of sipcore_tcp_send()
 * @param ct        Client transaction to tell of a later error, or 0
 */
int sipcore_tx(struct sipcore *core, struct sipcore_flow *flow,
	       const struct sa *fallback, const uint8_t *p, size_t n,
	       uint64_t ct)
{
	int err, i;

	++core->stats.tx;

	if (core->traceh)
		core->traceh(true, flow, p, n, core->trace_arg);

	if (core->droph && core->droph(true, p, n, core->drop_arg))
		return 0;

	if (flow->proto == CFG_PROTO_TCP)
		return sipcore_tcp_send(core, flow, fallback, p, n, ct);

	i = flow->proto == CFG_PROTO_UDP ? sipcore_pick(core, flow) : -1;
	if (i < 0)
		return EAFNOSUPPORT;

	err = sipcore_udp_send(&core->sockv[i], &flow->remote, p, n);

	return err;
}


int sipcore_uri_flow(struct sipcore_flow *flow, const struct uri *uri)
{
	struct pl transp;

	if (!flow || !uri)
		return EINVAL;

	memset(flow, 0, sizeof(*flow));
	flow->proto = CFG_PROTO_UDP;

	if (!pl_strcasecmp(&uri->scheme, "sips"))
		flow->proto = CFG_PROTO_TLS;

	if (sipcore_param(&uri->params, "transport", &transp)) {
		flow->proto = sipcore_name_proto(&transp);
		if (!flow->proto)
			return EPROTONOSUPPORT;
	}

	if (sa_set(&flow->remote, &uri->host,
		   uri->port ? uri->port : DEFAULT_PORT))
		return ENOENT;

	return 0;
}


/* The flow that a response's top Via names */
static int via_flow(struct sipcore_flow *flow, const uint8_t *p, size_t n)
{
	struct sipcore_via via;
	struct pl rest, val, host, rport;
	uint32_t port;

	memset(flow, 0, sizeof(*flow));

	if (!sipcore_scan(p, n, SIPCORE_HDR_VIA, &rest) ||
	    !sipcore_val_next(&rest, &val) ||
	    sipcore_via_decode(&via, &val))
		return EBADMSG;

	if (!sipcore_param(&via.params, "received", &host))
		host = via.host;
	if (!sipcore_param(&via.params, "rport", &rport) ||
	    sipcore_u32(&rport, &port) || port > 65535)
		port = via.port ? via.port : DEFAULT_PORT;

	flow->proto = via.proto;

	return sa_set(&flow->remote, &host, (uint16_t)port);
}


/* Behind the start line goes our Via */
int sipcore_with_via(struct sipcore_octets **ocp, struct sipcore *core,
		     const struct sipcore_flow *to, uint64_t id,
		     const uint8_t *p, size_t n)
{
	const uint8_t *nl = memchr(p, '\n', n);
	struct sipcore_octets *oc;
	char via[SIPCORE_VIA_MAX];
	size_t line, vl;
	int err;

	if (!nl)
		return EINVAL;

	err = via_print(core, to, id, via, &vl);
	if (err)
		return err;

	oc = mem_alloc(sizeof(*oc) + n + vl, NULL);
	if (!oc)
		return ENOMEM;

	line  = (size_t)(nl - p) + 1;
	oc->n = n + vl;
	memcpy(oc->v, p, line);
	memcpy(oc->v + line, via, vl);
	memcpy(oc->v + line + vl, p + line, n - line);
	*ocp = oc;

	return 0;
}


int sipcore_send(struct sipcore *core, const struct sipcore_flow *to,
		 struct mbuf *mb, bool add_via)
{
	struct sipcore_flow flow;
	struct sipcore_octets *oc;
	int err = 0;

	if (!core || !mb || !mbuf_get_left(mb) || (!to && add_via))
		return EINVAL;

	if (to)
		flow = *to;
	else
		err = via_flow(&flow, mbuf_buf(mb), mbuf_get_left(mb));
	if (err)
		return err;

	if (!add_via)
		return sipcore_tx(core, &flow, NULL, mbuf_buf(mb),
				  mbuf_get_left(mb), 0);

	/* no transaction has this slot: a response to it is a stray one */
	err = sipcore_with_via(&oc, core, &flow,
			       sipcore_id(core->idx, SIPCORE_SLOT_MAX,
					  core->stateless++),
			       mbuf_buf(mb), mbuf_get_left(mb));
	if (err)
		return err;

	err = sipcore_tx(core, &flow, NULL, oc->v, oc->n, 0);
	mem_deref(oc);

	return err;
}
