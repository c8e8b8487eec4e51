/**
 * @file offer.c  NG offer and answer: an SDP in, the same with our ports out
 *
 *	offer:  from-tag's SDP -> its far side;  to-tag's ports -> the SDP
 *	answer: to-tag's SDP -> its far side;  from-tag's ports -> the SDP
 */
#include <stddef.h>
#include <string.h>
#include <re.h>
#include "worker/worker.h"
#include "media/media.h"


/** What the command asks for */
struct ask {
	struct pl callid, from, to, branch, sdp, transport, family;
	const struct ng_val *flags, *replace, *mux, *direction;
	struct sa received;	/**< media address instead of SDP's */
	bool answer;
	struct sdpx s;
};

static const char no_ports[] = "Ran out of ports";


static void received_from(struct ask *a, const struct ng_val *in)
{
	const struct ng_val *v = ng_get(in, "received-from");
	char addr[64];

	sa_init(&a->received, AF_INET);

	/* rtpengine trusts the SDP unless told otherwise */
	if (!ng_has(a->flags, "SIP source address") ||
	    !v || v->type != NG_LIST || v->n < 2)
		return;

	if (!pl_strcpy(&v->first->next->str, addr, sizeof(addr)))
		(void)sa_set_str(&a->received, addr, 0);
}


static const char *ask_sdp(struct ask *a)
{
	const int err = sdpx_decode(&a->s, a->sdp.p, a->sdp.l);

	if (err)
		return "Failed to parse SDP";
	if (!a->s.mediac)
		return "Incomplete SDP specification";

	return NULL;
}


static const char *ask_read(struct ask *a, const struct ng_val *in,
			    bool answer)
{
	memset(a, 0, offsetof(struct ask, s));
	a->answer = answer;

	if (!ng_get_pl(in, "sdp", &a->sdp) || !a->sdp.l)
		return "No SDP body in message";
	if (!ng_get_pl(in, "call-id", &a->callid) || !a->callid.l)
		return "No call-id in message";
	if (!ng_get_pl(in, "from-tag", &a->from) || !a->from.l)
		return "No from-tag in message";
	if ((!ng_get_pl(in, "to-tag", &a->to) || !a->to.l) && answer)
		return "No to-tag in message";
	(void)ng_get_pl(in, "via-branch", &a->branch);

	if (a->callid.l > CALLID_MAX || a->from.l > TAG_MAX ||
	    a->to.l > TAG_MAX || a->branch.l > TAG_MAX)
		return "Call-id or tag is too long";

	(void)ng_get_pl(in, "transport-protocol", &a->transport);
	(void)ng_get_pl(in, "address family", &a->family);
	a->flags     = ng_get(in, "flags");
	a->replace   = ng_get(in, "replace");
	a->mux       = ng_get(in, "rtcp-mux");
	a->direction = ng_get(in, "direction");
	received_from(a, in);

	return ask_sdp(a);
}


/* Towards the sender the family of his SDP, towards the receiver the one that
   is asked for, or else the same */
static int family(const struct ask *a, bool receiver)
{
	size_t i;

	if (receiver && !pl_strcmp(&a->family, "IP4"))
		return AF_INET;
	if (receiver && !pl_strcmp(&a->family, "IP6"))
		return AF_INET6;

	for (i = 0; i < a->s.mediac; i++) {

		if (!a->s.mediav[i].rejected &&
		    sa_isset(&a->s.mediav[i].rtp, SA_ADDR))
			return sa_af(&a->s.mediav[i].rtp);
	}

	return AF_INET;
}


static unsigned if_index(const struct media *md, const struct ask *a,
			 bool receiver)
{
	const struct ng_val *v = NULL;
	struct pl name = PL_INIT;

	if (a->direction && a->direction->type == NG_LIST)
		v = a->direction->first;
	if (v && receiver)
		v = v->next;
	if (v && v->type == NG_STR)
		name = v->str;

	return media_if_find(md, &name, family(a, receiver));
}


static void session_id(struct session *s, const struct ng_val *in)
{
	static const struct pl name = PL("session-id=");
	struct pl pl;

	if (s->sid || !ng_get_pl(in, "metadata", &pl) || pl.l <= name.l ||
	    pl.l > 128 || memcmp(pl.p, name.p, name.l))
		return;

	pl_advance(&pl, name.l);
	(void)pl_strdup(&s->sid, &pl);
}


/* ---- who talks to whom */

static bool branch_is(const struct party *p, const struct pl *branch)
{
	if (!pl_isset(branch) || !p->branch)
		return true;

	return !pl_strcmp(branch, p->branch);
}


/* The other leg of f: the one of that tag, else the one of that branch */
static struct party *far_leg(const struct session *s, const struct party *f,
			     const struct ask *a)
{
	struct party *t = party_find(s, &a->to), *any = NULL;
	struct le *le;

	if (t && t != f)
		return t;

	for (le = s->partyl.head; le; le = le->next) {

		struct party *p = le->data;

		if (p == f || p->peer != f || !branch_is(p, &a->branch))
			continue;

		/* unanswered legs first; else the one that answered under
		   another tag (a fork behind one offer) */
		if (!str_isset(p->tag))
			return p;
		any = p;
	}

	return any;
}


static int legs(struct session *s, struct ask *a, struct party **fp,
		struct party **tp)
{
	const struct media *md = s->w->md;
	struct party *f, *t;
	int err;

	f = party_find(s, &a->from);
	if (!f) {
		if (a->answer)
			return ENOENT;
		err = party_alloc(&f, s, &a->from, NULL);
		if (err)
			return err;
		f->ifidx = if_index(md, a, false);
	}

	t = far_leg(s, f, a);
	if (!t) {
		if (a->answer)
			return ENOENT;
		err = party_alloc(&t, s, &a->to, &a->branch);
		if (err)
			return err;
		t->ifidx = if_index(md, a, true);
		t->peer = f;
	}

	if (!f->peer || a->answer || pl_isset(&a->to)) {
		f->peer = t;
		t->peer = f;
	}

	*fp = f;
	*tp = t;

	return a->answer || pl_isset(&a->to) ? party_tag(t, &a->to) : 0;
}


/* ---- what the SDP says about the sender's side */

static void set_codecs(struct medium *m, const struct sdpx_media *sm)
{
	struct sdpx_codec cv[SDPX_CODEC_MAX];
	const size_t n = sdpx_codecs(sm, cv, SDPX_CODEC_MAX);
	size_t i;

	for (i = 0; i < n; i++)
		m->rate[cv[i].pt] = (uint16_t)(cv[i].srate / 100);

	if (n) {
		m->em = emodel_codec(&cv[0].name);
		(void)re_snprintf(m->codec, sizeof(m->codec), "%r/%u",
				  &cv[0].name, cv[0].srate);
	}
}


static void set_text(char *dst, size_t size, const struct pl *pl)
{
	struct pl cut = *pl;

	if (cut.l >= size)
		cut.l = size - 1;
	(void)pl_strcpy(&cut, dst, size);
}


static void set_remote(struct medium *m, const struct sdpx_media *sm,
		       const struct sa *received)
{
	struct sa rtp = sm->rtp, rtcp = sm->rtcp;

	if (sa_isset(received, SA_ADDR)) {
		rtp = rtcp = *received;
		sa_set_port(&rtp, sa_port(&sm->rtp));
		sa_set_port(&rtcp, sa_port(&sm->rtcp));
	}

	port_remote(m->rtp, &rtp);
	if (m->rtcp)
		port_remote(m->rtcp, &rtcp);
}


static void set_medium(struct medium *m, const struct sdpx_media *sm,
		       const struct ask *a)
{
	const struct media_conf *conf = m->p->s->w->md->conf;

	set_text(m->type, sizeof(m->type), &sm->type);
	set_text(m->proto, sizeof(m->proto), &sm->proto);
	set_codecs(m, sm);
	m->dir = sm->dir;
	m->hold = sm->hold;
	m->strict = conf->strict_source ||
		ng_has(a->flags, "strict source");
	m->asymmetric = ng_has(a->flags, "asymmetric");
	m->handover = ng_has(a->flags, "media handover");
	m->mux_offered = sm->rtcp_mux;

	set_remote(m, sm, &a->received);
}


/* ---- RFC 5761 on each leg by itself */

static enum sdpx_mux mux_offer(struct medium *f, struct medium *t,
			       const struct ask *a)
{
	bool ask = f->mux_offered;

	if (ng_has(a->mux, "demux") || ng_has(a->mux, "reject"))
		ask = false;
	if (ng_has(a->mux, "offer") || ng_has(a->mux, "require"))
		ask = true;

	/* what was agreed stays until the answer changes it */
	t->mux_asked = ask;

	return ask ? SDPX_MUX_ON : SDPX_MUX_OFF;
}


/* f: the leg that the answer goes to, which offered; t: that it comes from */
static enum sdpx_mux mux_answer(struct medium *f, struct medium *t,
				const struct ask *a)
{
	t->mux = t->mux_offered && t->mux_asked;
	f->mux = f->mux_offered && !ng_has(a->mux, "reject");

	return f->mux ? SDPX_MUX_ON : SDPX_MUX_OFF;
}


/* ---- the SDP for the receiver, with his leg's ports */

/* Profiles that differ in the feedback only; keys are not ours to make */
static bool secure(const struct pl *proto)
{
	static const struct pl savp = PL("/SAVP");
	size_t i;

	for (i = 0; i + savp.l <= proto->l; i++) {

		if (!memcmp(proto->p + i, savp.p, savp.l))
			return true;
	}

	return false;
}


static const char *edit_proto(struct sdpx_media_edit *me,
			      const struct sdpx_media *sm,
			      const struct ask *a)
{
	static const char *const known[] = {
		"RTP/AVP", "RTP/AVPF", "RTP/SAVP", "RTP/SAVPF",
		"UDP/TLS/RTP/SAVP", "UDP/TLS/RTP/SAVPF",
	};
	size_t i;

	if (!sm->is_rtp || !pl_isset(&a->transport) ||
	    !pl_cmp(&a->transport, &sm->proto))
		return NULL;

	if (secure(&a->transport) != secure(&sm->proto))
		return "Unsupported SDP";

	for (i = 0; i < ARRAY_SIZE(known); i++) {

		if (!pl_strcmp(&a->transport, known[i]))
			me->proto = known[i];
	}

	return me->proto ? NULL : "Unknown transport protocol";
}


static void edit_medium(struct sdpx_media_edit *me, struct medium *r,
			enum sdpx_mux mux)
{
	me->addr = r->rtp->pub;
	me->mux = r->is_rtp ? mux : SDPX_MUX_KEEP;

	if (r->rtcp && r->is_rtp)
		me->rtcp = mux == SDPX_MUX_ON && r->mux ? r->rtp->num
							: r->rtcp->num;
}


/* Nothing passes, but the ports stay: another fork may still accept */
static void medium_off(struct medium *m)
{
	if (m)
		m->off = true;
}


static const char *medium_reject(struct sdpx_edit *e, const struct ask *a,
				 struct party *f, struct party *t,
				 struct party *r, unsigned idx)
{
	if (a->answer) {
		medium_off(f->mediav[idx]);
		medium_off(t->mediav[idx]);
	}
	else {
		medium_close(f, idx);
		medium_close(t, idx);
	}
	e->mediav[idx].addr = f->s->w->md->ifv[r->ifidx].pub;
	sa_set_port(&e->mediav[idx].addr, 0);

	return NULL;
}


/* One m= line: src sent it, r is told */
static const char *medium_do(struct sdpx_edit *e, struct ask *a,
			     struct party *f, struct party *t, unsigned idx)
{
	const struct sdpx_media *sm = &a->s.mediav[idx];
	struct party *src = a->answer ? t : f, *r = a->answer ? f : t;
	struct medium *ms, *mr;
	enum sdpx_mux mux;
	int err;

	if (sm->rejected)
		return medium_reject(e, a, f, t, r, idx);

	if (a->answer && (!f->mediav[idx] || !t->mediav[idx]))
		return "Incomplete SDP specification";

	err = medium_open(f, idx, sm->is_rtp);
	if (!err)
		err = medium_open(t, idx, sm->is_rtp);
	if (err == ENOMEM)
		return "Out of memory";
	if (err) {
		metric_inc(&media_m_noports);
		return no_ports;
	}

	ms = src->mediav[idx];
	mr = r->mediav[idx];
	ms->off = mr->off = false;
	set_medium(ms, sm, a);
	if (a->answer) {
		port_answered(mr->rtp);
		port_answered(mr->rtcp);
	}
	else {
		set_text(mr->type, sizeof(mr->type), &sm->type);
		set_text(mr->proto, sizeof(mr->proto), &sm->proto);
		mr->strict = ms->strict;
	}

	mux = a->answer ? mux_answer(mr, ms, a) : mux_offer(ms, mr, a);
	edit_medium(&e->mediav[idx], mr, mux);

	return edit_proto(&e->mediav[idx], sm, a);
}


static const char *rewrite(struct session *s, struct ask *a, struct party *f,
			   struct party *t, struct ng_tree *out)
{
	const struct party *r = a->answer ? f : t;
	const char *reason = NULL;
	struct sdpx_edit e;
	struct mbuf *mb;
	struct pl pl;
	unsigned i;

	memset(&e, 0, sizeof(e));
	e.conn = s->w->md->ifv[r->ifidx].pub;
	if (ng_has(a->replace, "origin"))
		e.origin = e.conn;
	e.ice_remove = true;
	e.keep_hold = true;

	for (i = 0; i < a->s.mediac && !reason; i++)
		reason = medium_do(&e, a, f, t, i);
	if (reason)
		return reason;

	mb = mbuf_alloc(a->sdp.l + 256);
	if (!mb)
		return "Out of memory";

	if (sdpx_rewrite(mb, &a->s, &e)) {
		reason = "Out of memory";
	}
	else {
		pl.p = (char *)mb->buf;
		pl.l = mb->end;
		ng_add_pl(out, ng_root(out), "sdp", &pl);
	}
	mem_deref(mb);

	return reason;
}


static struct session *session_new(struct mworker *w, const struct ask *a)
{
	struct session *s;

	if (session_alloc(&s, w, &a->callid))
		return NULL;

	metric_inc(&media_m_sessions);
	metric_inc(&media_m_started);

	return s;
}


static const char *offer_answer(struct mworker *w, const struct ng_val *in,
				struct ng_tree *out, bool answer)
{
	struct ask a;
	struct session *s;
	struct party *f = NULL, *t = NULL;
	const char *reason;
	bool fresh;
	int err;

	reason = ask_read(&a, in, answer);
	if (reason)
		return reason;

	s = session_find(w, &a.callid);
	fresh = !s;
	if (!s && answer)
		return "Unknown call-id";
	if (!s)
		s = session_new(w, &a);
	if (!s)
		return "Out of memory";

	session_id(s, in);
	err = legs(s, &a, &f, &t);
	reason = err == ENOENT ? "Unknown call-id"
		: err == EOVERFLOW ? "Too many parties"
		: err ? "Out of memory" : rewrite(s, &a, f, t, out);

	if (reason && fresh) {
		session_end(s, "failed");
		return reason;
	}

	if (answer && !reason)
		s->answered = true;
	session_touch(s);
	session_regroup(s);

	return reason;
}


const char *media_offer(struct mworker *w, const struct ng_val *in,
			struct ng_tree *out)
{
	return offer_answer(w, in, out, false);
}


const char *media_answer(struct mworker *w, const struct ng_val *in,
			 struct ng_tree *out)
{
	return offer_answer(w, in, out, true);
}
