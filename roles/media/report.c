/**
 * @file report.c  NG query and delete: a session in rtpengine 12.5's shape
 */
#include <string.h>
#include <re.h>
#include "worker/worker.h"
#include "media/media.h"


struct total {
	uint64_t packets, bytes, errors;
};


static void add_addr(struct ng_tree *t, struct ng_val *d, const char *key,
		     const struct sa *sa)
{
	struct ng_val *ep;
	char addr[64];

	if (!sa_isset(sa, SA_ADDR))
		return;

	(void)re_snprintf(addr, sizeof(addr), "%j", sa);
	ep = ng_add_dict(t, d, key);
	ng_add_str(t, ep, "family", sa_af(sa) == AF_INET6 ? "IPv6" : "IPv4");
	ng_add_str(t, ep, "address", addr);
	ng_add_int(t, ep, "port", sa_port(sa));
}


static void add_counts(struct ng_tree *t, struct ng_val *d, const char *key,
		       uint64_t packets, uint64_t bytes, uint64_t errors)
{
	struct ng_val *c = ng_add_dict(t, d, key);

	ng_add_int(t, c, "packets", (int64_t)packets);
	ng_add_int(t, c, "bytes", (int64_t)bytes);
	ng_add_int(t, c, "errors", (int64_t)errors);
}


/* Seconds since 1970 of a monotonic time */
static int64_t wall(uint64_t us)
{
	if (!us)
		return 0;

	return (int64_t)((worker_wallclock_us() - (media_now_us() - us)) /
			 1000000);
}


static void add_quality(struct ng_tree *t, struct ng_val *d,
			const struct port *p)
{
	const struct rstat *st = &p->flow[0].st;
	struct ng_val *q;

	if (!st->begun)
		return;

	q = ng_add_dict(t, d, "quality");
	ng_add_int(t, q, "packets lost", (int64_t)rstat_lost(st));
	ng_add_int(t, q, "duplicates", (int64_t)st->dup);
	ng_add_int(t, q, "reordered", (int64_t)st->reorder);
	ng_add_int(t, q, "jitter us", rstat_jitter_us(st));
	ng_add_int(t, q, "round-trip time us", p->m->rtt_us);
	ng_add_int(t, q, "MOS times 100",
		   (int64_t)(100.0 * emodel_stat(st, &p->m->em,
						 p->m->rtt_us) + 0.5));
}


static void add_ssrc(struct ng_tree *t, struct ng_val *d,
		     const struct port *p)
{
	const struct rstat *st = &p->flow[0].st;
	struct ng_val *l = ng_add_list(t, d, "ingress SSRCs"), *e;

	if (!st->begun)
		return;

	e = ng_add_dict(t, l, NULL);
	ng_add_int(t, e, "SSRC", st->ssrc);
	ng_add_int(t, e, "bytes", (int64_t)st->bytes);
	ng_add_int(t, e, "packets", (int64_t)st->packets);
	ng_add_int(t, e, "last RTP timestamp", st->last_ts);
	ng_add_int(t, e, "last RTP seq", st->max_seq);
}


static void add_stream(struct ng_tree *t, struct ng_val *list,
		       const struct port *p, struct total *tot)
{
	struct ng_val *d = ng_add_dict(t, list, NULL), *fl;
	const struct flow *f = p->flow;
	const uint64_t packets = f[0].st.packets + f[1].st.packets;
	const uint64_t bytes = f[0].st.bytes + f[1].st.bytes;
	const uint64_t errors = f[0].errors + f[1].errors + f[0].dropped +
		f[1].dropped + p->foreign;
	char addr[64];

	(void)re_snprintf(addr, sizeof(addr), "%j", &p->pub);
	ng_add_int(t, d, "local port", p->num);
	ng_add_str(t, d, "local address", addr);
	ng_add_str(t, d, "family",
		   sa_af(&p->pub) == AF_INET6 ? "IPv6" : "IPv4");
	add_addr(t, d, "endpoint", &p->remote);
	add_addr(t, d, "advertised endpoint", &p->sdp);
	ng_add_int(t, d, "last packet", wall(p->last_us));
	ng_add_int(t, d, "last kernel packet", 0);
	ng_add_int(t, d, "last user packet", wall(p->last_us));

	fl = ng_add_list(t, d, "flags");
	ng_add_str(t, fl, NULL, p->rtcp ? "RTCP" : "RTP");
	if (sa_isset(&p->sdp, SA_ALL))
		ng_add_str(t, fl, NULL, "filled");
	if (p->latched)
		ng_add_str(t, fl, NULL, "confirmed");
	if (f[0].viac || f[1].viac)
		ng_add_str(t, fl, NULL, "joined");

	add_ssrc(t, d, p);
	(void)ng_add_list(t, d, "egress SSRCs");
	add_counts(t, d, "stats", packets, bytes, errors);
	add_counts(t, d, "stats_out", p->out_packets, p->out_bytes, 0);
	if (!p->rtcp)
		add_quality(t, d, p);

	tot[p->rtcp].packets += packets;
	tot[p->rtcp].bytes   += bytes;
	tot[p->rtcp].errors  += errors;
}


static void add_media(struct ng_tree *t, struct ng_val *list,
		      const struct medium *m, struct total *tot)
{
	struct ng_val *d = ng_add_dict(t, list, NULL), *streams, *fl;

	ng_add_int(t, d, "index", m->idx + 1);
	ng_add_str(t, d, "type", m->type);
	ng_add_str(t, d, "protocol", m->proto);
	if (str_isset(m->codec))
		ng_add_str(t, d, "codec", m->codec);

	streams = ng_add_list(t, d, "streams");
	if (m->rtp)
		add_stream(t, streams, m->rtp, tot);
	if (m->rtcp)
		add_stream(t, streams, m->rtcp, tot);

	fl = ng_add_list(t, d, "flags");
	ng_add_str(t, fl, NULL, "initialized");
	if (m->dir & SDPX_SENDONLY)
		ng_add_str(t, fl, NULL, "send");
	if (m->dir & SDPX_RECVONLY)
		ng_add_str(t, fl, NULL, "recv");
	if (m->mux)
		ng_add_str(t, fl, NULL, "rtcp-mux");
}


static void add_edge(struct ng_tree *t, struct ng_val *d, const char *key,
		     const struct party *p)
{
	struct ng_val *list = ng_add_list(t, d, key), *e;

	if (!p)
		return;

	e = ng_add_dict(t, list, NULL);
	ng_add_str(t, e, "tag", p->tag);
	ng_add_str(t, e, "type", "offer/answer");
}


static void add_party(struct ng_tree *t, struct ng_val *tags,
		      const struct party *p, struct total *tot)
{
	struct ng_val *d, *medias;
	struct pl tag;
	unsigned i;

	pl_set_str(&tag, p->tag);
	d = ng_add_dict_pl(t, tags, &tag);
	ng_add_str(t, d, "tag", p->tag);
	if (p->branch)
		ng_add_str(t, d, "via-branch", p->branch);
	ng_add_int(t, d, "created", (int64_t)p->created);
	add_edge(t, d, "subscriptions", p->peer);
	add_edge(t, d, "subscribers", p->peer && p->peer->peer == p ? p->peer
								    : NULL);

	medias = ng_add_list(t, d, "medias");
	for (i = 0; i < SDPX_MEDIA_MAX; i++) {

		if (p->mediav[i])
			add_media(t, medias, p->mediav[i], tot);
	}
	(void)ng_add_list(t, d, "VSC");
}


void session_report(const struct session *s, struct ng_tree *t)
{
	struct total tot[2];
	struct ng_val *tags, *totals;
	struct le *le;

	memset(tot, 0, sizeof(tot));
	ng_add_int(t, ng_root(t), "created",
		   (int64_t)(s->created_us / 1000000));
	ng_add_int(t, ng_root(t), "created_us",
		   (int64_t)(s->created_us % 1000000));
	ng_add_int(t, ng_root(t), "last signal", (int64_t)s->signal);
	ng_add_int(t, ng_root(t), "last redis update", 0);
	(void)ng_add_dict(t, ng_root(t), "SSRC");

	tags = ng_add_dict(t, ng_root(t), "tags");
	for (le = s->partyl.head; le; le = le->next)
		add_party(t, tags, le->data, tot);

	totals = ng_add_dict(t, ng_root(t), "totals");
	add_counts(t, totals, "RTP", tot[0].packets, tot[0].bytes,
		   tot[0].errors);
	add_counts(t, totals, "RTCP", tot[1].packets, tot[1].bytes,
		   tot[1].errors);
}


static const char *asked(struct mworker *w, const struct ng_val *in,
			 struct session **sp)
{
	struct pl callid;

	if (!ng_get_pl(in, "call-id", &callid) || !callid.l)
		return "No call-id in message";

	*sp = session_find(w, &callid);

	return NULL;
}


const char *media_query(struct mworker *w, const struct ng_val *in,
			struct ng_tree *out)
{
	struct session *s;
	const char *reason = asked(w, in, &s);

	if (reason)
		return reason;
	if (!s)
		return "Unknown call-id";

	session_report(s, out);

	return NULL;
}


/* Another leg that was offered to the same party; one that answered first */
static struct party *sibling(const struct session *s, const struct party *p)
{
	struct party *any = NULL;
	struct le *le;

	for (le = s->partyl.tail; le; le = le->prev) {

		struct party *q = le->data;

		if (q == p || q == p->peer || q->peer != p->peer)
			continue;
		if (str_isset(q->tag))
			return q;
		if (!any)
			any = q;
	}

	return any;
}


static void party_drop(struct session *s, struct party *p, struct party *heir)
{
	struct le *le;

	for (le = s->partyl.head; le; le = le->next) {

		struct party *q = le->data;

		if (q->peer == p)
			q->peer = heir;
	}

	--s->partyc;
	mem_deref(p);
	session_touch(s);
}


/* A leg that lost a fork; the others go on, also if the offerer talked to
   this one so far */
static bool delete_branch(struct session *s, const struct pl *branch)
{
	struct le *le;

	if (!pl_isset(branch))
		return false;

	for (le = s->partyl.head; le; le = le->next) {

		struct party *p = le->data, *heir;

		if (!p->branch || pl_strcmp(branch, p->branch) || !p->peer)
			continue;

		heir = sibling(s, p);
		if (!heir)
			return false;

		party_drop(s, p, heir);
		return true;
	}

	return false;
}


const char *media_delete(struct mworker *w, const struct ng_val *in,
			 struct ng_tree *out)
{
	struct session *s;
	struct pl from, to, branch;
	const char *reason = asked(w, in, &s);

	if (reason)
		return reason;

	(void)ng_get_pl(in, "from-tag", &from);
	(void)ng_get_pl(in, "to-tag", &to);
	(void)ng_get_pl(in, "via-branch", &branch);

	if (!s || (pl_isset(&from) && !party_find(s, &from) &&
		   !party_find(s, &to))) {
		ng_add_str(out, ng_root(out), "warning",
			   "Call-ID not found or tags didn't match");
		return NULL;
	}

	session_report(s, out);
	if (!delete_branch(s, &branch))
		session_end(s, "delete");

	return NULL;
}
