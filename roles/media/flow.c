/**
 * @file flow.c  The path of a packet (RFC 3550, 5761, 7983)
 *
 *	socket -> source -> demux -> statistics -> flow -> sendto
 *
 * A flow knows its next socket and address; they are worked out again when
 * the worker's generation has changed, that is, when something was signalled
 * or learnt.  No allocation, lock or log stands here.
 */
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <re.h>
#include "media/media.h"


enum {
	LEARN_US  = 3000000,	/**< how long a likelier source wins    */
	SILENT_US = 1000000,	/**< after that a known source is gone  */
};


uint64_t media_now_us(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);

	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}


static struct port *out_port(const struct medium *m, bool rtcp)
{
	return rtcp && !m->mux && m->rtcp ? m->rtcp : m->rtp;
}


static struct port *local_port(const struct mworker *w, const struct sa *sa)
{
	const int slot = pool_slot(w->md->pool, sa);

	return slot < 0 ? NULL : w->portv[slot];
}


/**
 * Follow a flow from port to port, as long as the far side is one of our own:
 * both know each other as far side, so that they are one hop.  Where they do
 * not, the socket is used, but the walk goes on, so that a cycle is found.
 */
void flow_resolve(struct mworker *w, struct flow *f)
{
	const bool rtcp = f == &f->in->flow[1];
	const struct medium *m = f->in->m;
	bool joining = true;
	unsigned hop;

	f->gen = w->gen;
	f->fd = -1;
	f->viac = 0;
	f->why = "no destination";

	for (hop = 0; hop < HOP_MAX; hop++) {

		const struct medium *peer = medium_peer(m);
		struct port *out = peer && !peer->off ? out_port(peer, rtcp)
						      : NULL;
		struct port *next;

		if (!out || !sa_isset(&out->remote, SA_ALL)) {
			if (joining)
				f->fd = -1;
			return;
		}

		if (joining) {
			f->fd = out->fd;
			f->dst = out->remote;
			f->outv[f->viac] = out;
			f->why = NULL;
		}

		next = local_port(w, &out->remote);
		if (!next)
			return;

		joining = joining && sa_cmp(&next->remote, &out->pub, SA_ALL);
		if (joining && hop + 1 < HOP_MAX)
			f->viav[f->viac++] = &next->flow[rtcp];

		m = next->m;
	}

	f->fd = -1;
	f->viac = 0;
	f->why = "loop";
}


static void learn(struct mworker *w, struct port *p, const struct sa *src)
{
	p->remote = *src;
	p->latched = true;
	p->latch_us = p->heard_us = w->now_us;
	++w->gen;
}


/* How well a source fits what was signalled; a NAT changes the port */
static unsigned likely(const struct port *p, const struct sa *src)
{
	return sa_cmp(src, &p->sdp, SA_ALL) ? 2
		: sa_cmp(src, &p->sdp, SA_ADDR);
}


/* A source that talks is not given up because of a re-INVITE that changes
   nothing: whoever sends to our ports all the time would win the race */
static bool may_learn(const struct mworker *w, const struct port *p,
		      const struct sa *src)
{
	if (!p->latched)
		return !p->heard_us ||
			w->now_us - p->heard_us > SILENT_US;

	return w->now_us - p->latch_us < LEARN_US &&
		likely(p, src) > likely(p, &p->remote);
}


/** May a packet from here be taken? */
static bool source_ok(struct mworker *w, struct port *p, const struct sa *src)
{
	const struct medium *m = p->m;

	if (sa_cmp(src, &p->remote, SA_ALL)) {
		p->latched = true;
		p->heard_us = w->now_us;
		return true;
	}

	if (m->asymmetric)
		return !m->strict || sa_cmp(src, &p->sdp, SA_ADDR);

	if (m->handover || may_learn(w, p, src)) {
		learn(w, p, src);
		return true;
	}

	return !m->strict;
}


static void send_on(struct mworker *w, struct flow *f, size_t n)
{
	unsigned i;

	if (f->gen != w->gen)
		flow_resolve(w, f);

	if (f->fd < 0) {
		++f->dropped;
		return;
	}

	if (sendto(f->fd, w->buf, n, MSG_DONTWAIT, &f->dst.u.sa,
		   f->dst.len) < 0) {
		++f->errors;
		return;
	}

	for (i = 0; i <= f->viac; i++) {
		++f->outv[i]->out_packets;
		f->outv[i]->out_bytes += n;
	}
}


/* The statistics of this flow, and of those it is joined with */
static void count(struct mworker *w, struct flow *f, const struct rpkt *h,
		  size_t n)
{
	unsigned i;

	if (f->gen != w->gen)
		flow_resolve(w, f);

	for (i = 0; i <= f->viac; i++) {

		struct flow *at = i ? f->viav[i - 1] : f;
		struct port *p = at->in;

		p->last_us = w->now_us;
		if (h)
			rstat_rtp(&at->st, h, n, w->now_us,
				  p->m->rate[h->pt] * 100u);
		else
			rstat_other(&at->st, n);
	}
}


/* Round trip to a party: its report about an SR that we passed on to it, also
   through joined sessions */
static void rtcp_note(struct mworker *w, struct flow *f, size_t n)
{
	struct medium *from = f->in->m;
	struct medium *to = f->fd < 0 ? NULL : f->outv[f->viac]->m;
	struct rctl r;
	size_t i;

	if (rctl_decode(&r, w->buf, n))
		return;

	for (i = 0; i < r.blockc; i++) {

		if (from->sr_mid && r.blockv[i].lsr == from->sr_mid)
			from->rtt_us = rctl_rtt(&r.blockv[i], from->sr_us,
						w->now_us);
	}

	if (r.sr && to) {
		to->sr_mid = r.ntp_mid;
		to->sr_us = w->now_us;
	}
}


/* What kind goes on: 0 media, 1 RTCP, -1 not relayed */
static int classify(const struct port *p, const struct mworker *w, size_t n,
		    struct rpkt *h, bool *is_rtp)
{
	*is_rtp = false;

	if (p->m->off)
		return -1;
	if (!p->m->is_rtp)
		return 0;

	switch (rpkt_kind(w->buf, n)) {

	case RPKT_RTP:
		*is_rtp = true;
		return p->rtcp || rpkt_decode(h, w->buf, n) ? -1 : 0;

	case RPKT_RTCP:
		return 1;

	case RPKT_DTLS:
	case RPKT_ZRTP:
		return p->rtcp ? 1 : 0;

	default:
		return -1;
	}
}


static void packet(struct mworker *w, struct port *p, const struct sa *src,
		   size_t n)
{
	struct flow *f;
	struct rpkt h;
	bool is_rtp;
	int kind;

	kind = classify(p, w, n, &h, &is_rtp);
	if (kind < 0) {
		++p->flow[0].dropped;
		return;
	}

	if (!source_ok(w, p, src)) {
		++p->foreign;
		return;
	}

	f = &p->flow[kind];
	count(w, f, is_rtp ? &h : NULL, n);
	if (kind == 1)
		rtcp_note(w, f, n);

	send_on(w, f, n);
}


/* Level-triggered: what is left comes with the next turn of the loop, so that
   a flood on one port cannot starve the others, and the usual single packet
   costs no second, empty recvfrom() */
static void on_readable(int flags, void *arg)
{
	struct port *p = arg;
	struct mworker *w = p->m->p->s->w;
	struct sa src;
	ssize_t n;
	(void)flags;

	src.len = sizeof(src.u);
	n = recvfrom(p->fd, w->buf, sizeof(w->buf), MSG_DONTWAIT | MSG_TRUNC,
		     &src.u.sa, &src.len);
	if (n < 0)
		return;			/* empty, or an ICMP error */

	if ((size_t)n > sizeof(w->buf)) {
		++p->flow[0].dropped;
		return;
	}

	w->now_us = media_now_us();
	packet(w, p, &src, (size_t)n);
}


static void destructor(void *arg)
{
	struct port *p = arg;

	if (p->fd < 0)
		return;

	port_detach(p);
	(void)close(p->fd);
	pool_give(p->m->p->s->w->md->pool, p->ifidx, p->num);
}


static int sock_bind(int *fdp, const struct sa *addr)
{
	int fd, err = 0;

	fd = socket(sa_af(addr), SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
		    IPPROTO_UDP);
	if (fd < 0)
		return errno;

	if (bind(fd, &addr->u.sa, addr->len) < 0) {
		err = errno;
		(void)close(fd);
		return err;
	}

	*fdp = fd;

	return 0;
}


int port_open(struct port **pp, struct medium *m, bool rtcp,
	      unsigned ifidx, uint16_t num)
{
	const struct media_if *mi = &m->p->s->w->md->ifv[ifidx];
	struct sa addr = mi->addr;
	struct port *p;
	int err;

	p = mem_zalloc(sizeof(*p), destructor);
	if (!p)
		return ENOMEM;

	p->fd = -1;
	p->m = m;
	p->rtcp = rtcp;
	p->ifidx = ifidx;
	p->num = num;
	p->pub = mi->pub;
	sa_set_port(&p->pub, num);
	sa_init(&p->sdp, AF_INET);
	sa_init(&p->remote, AF_INET);
	p->flow[0].in = p->flow[1].in = p;
	p->flow[0].fd = p->flow[1].fd = -1;

	sa_set_port(&addr, num);
	err = sock_bind(&p->fd, &addr);
	if (!err)
		err = port_attach(p, m->p->s->w);
	if (err) {
		/* the caller gives the number back, unless we own it */
		if (p->fd >= 0)
			(void)close(p->fd);
		p->fd = -1;
		mem_deref(p);
		return err;
	}

	*pp = p;

	return 0;
}


void port_detach(struct port *p)
{
	struct mworker *w = p->m->p->s->w;
	const int slot = pool_slot_if(w->md->pool, p->ifidx, p->num);

	fd_close(p->fd);
	if (slot >= 0)
		w->portv[slot] = NULL;
	p->flow[0].gen = p->flow[1].gen = 0;
	++w->gen;
}


int port_attach(struct port *p, struct mworker *w)
{
	const int slot = pool_slot_if(w->md->pool, p->ifidx, p->num);
	int err;

	err = fd_listen(p->fd, FD_READ, on_readable, p);
	if (err)
		return err;

	w->portv[slot] = p;
	pool_owner_set(w->md->pool, p->ifidx, p->num, w->idx);
	++w->gen;

	return 0;
}


/* RFC 3264 8: an unchanged address stays learnt until another packet comes;
   a new one counts at once */
void port_remote(struct port *p, const struct sa *sa)
{
	if (!sa_cmp(&p->sdp, sa, SA_ALL)) {
		p->sdp = *sa;
		p->remote = *sa;
		p->heard_us = 0;
	}

	p->latched = false;
}


/* Who sends early is known before the call is answered, his telephone perhaps
   talks only then: the likelier source has its time from here on */
void port_answered(struct port *p)
{
	if (p && p->latched)
		p->latch_us = media_now_us();
}
