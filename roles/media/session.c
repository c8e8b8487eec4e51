/**
 * @file session.c  Sessions, their parties and m= lines; which worker
 *
 *	offer -> session -- answer --> relaying -- delete | silence --> ended
 *
 * A session belongs to one worker's thread.  It is handed to another worker
 * whole, when its far side turns out to be a session there; the lower index
 * wins, so that two never swap.
 */
#include <string.h>
#include <re.h>
#include "log/log.h"
#include "worker/worker.h"
#include "media/media.h"


enum {
	PORT_TRIES = 64,
	TICK_MS    = 1000,
};


static void on_tick(void *arg);


static void medium_destructor(void *arg)
{
	struct medium *m = arg;

	mem_deref(m->rtp);
	mem_deref(m->rtcp);
}


static void party_destructor(void *arg)
{
	struct party *p = arg;
	unsigned i;

	list_unlink(&p->le);
	for (i = 0; i < SDPX_MEDIA_MAX; i++)
		mem_deref(p->mediav[i]);
	for (i = 0; i < p->aliasc; i++)
		mem_deref(p->aliasv[i]);
	mem_deref(p->tag);
	mem_deref(p->branch);
}


static void session_destructor(void *arg)
{
	struct session *s = arg;

	list_flush(&s->partyl);
	hash_unlink(&s->he);
	list_unlink(&s->le);
	if (s->w)
		++s->w->gen;
	mem_deref(s->callid);
	mem_deref(s->sid);
}


static uint32_t key_of(const struct pl *callid)
{
	return hash_joaat((const uint8_t *)callid->p, callid->l);
}


struct session *session_find(struct mworker *w, const struct pl *callid)
{
	struct le *le = list_head(hash_list(w->sessions, key_of(callid)));

	for (; le; le = le->next) {

		struct session *s = le->data;

		if (!pl_strcmp(callid, s->callid))
			return s;
	}

	return NULL;
}


static void enter(struct session *s, struct mworker *w)
{
	struct pl callid;

	pl_set_str(&callid, s->callid);
	s->w = w;
	hash_append(w->sessions, key_of(&callid), &s->he, s);
	list_append(&w->sessionl, &s->le, s);

	if (!tmr_isrunning(&w->tmr))
		tmr_start(&w->tmr, TICK_MS, on_tick, w);
}


int session_alloc(struct session **sp, struct mworker *w,
		  const struct pl *callid)
{
	struct session *s;
	int err;

	s = mem_zalloc(sizeof(*s), session_destructor);
	if (!s)
		return ENOMEM;

	err = pl_strdup(&s->callid, callid);
	if (err) {
		mem_deref(s);
		return err;
	}

	s->created_us = worker_wallclock_us();
	enter(s, w);
	session_touch(s);
	*sp = s;

	return 0;
}


void session_touch(struct session *s)
{
	s->signal_us = media_now_us();
	s->signal = worker_wallclock_us() / 1000000;
	++s->w->gen;
}


void session_end(struct session *s, const char *why)
{
	struct mworker *w = s->w;
	struct pl callid;

	session_log(s, why);
	pl_set_str(&callid, s->callid);
	directory_del(w->md->dir, &callid, w->idx);
	metric_add(&media_m_sessions, -1);
	mem_deref(s);
}


void session_flush(struct mworker *w)
{
	while (w->sessionl.head)
		session_end(w->sessionl.head->data, "stop");

	tmr_cancel(&w->tmr);
}


struct party *party_find(const struct session *s, const struct pl *tag)
{
	struct le *le;
	unsigned i;

	if (!pl_isset(tag))
		return NULL;

	for (le = s->partyl.head; le; le = le->next) {

		struct party *p = le->data;

		if (!pl_strcmp(tag, p->tag))
			return p;

		for (i = 0; i < p->aliasc; i++) {

			if (!pl_strcmp(tag, p->aliasv[i]))
				return p;
		}
	}

	return NULL;
}


int party_alloc(struct party **pp, struct session *s, const struct pl *tag,
		const struct pl *branch)
{
	struct party *p;
	int err;

	if (s->partyc >= PARTY_MAX)
		return EOVERFLOW;

	p = mem_zalloc(sizeof(*p), party_destructor);
	if (!p)
		return ENOMEM;

	p->s = s;
	p->created = worker_wallclock_us() / 1000000;
	if (pl_isset(tag))
		err = pl_strdup(&p->tag, tag);
	else
		err = str_dup(&p->tag, "");
	if (!err && pl_isset(branch))
		err = pl_strdup(&p->branch, branch);
	if (err) {
		mem_deref(p);
		return err;
	}

	list_append(&s->partyl, &p->le, p);
	++s->partyc;
	*pp = p;

	return 0;
}


/* The leg answers under this tag from now on; what it was called before
   still finds it (forks that share one offer) */
int party_tag(struct party *p, const struct pl *tag)
{
	char *str;
	int err;

	if (!pl_isset(tag) || !pl_strcmp(tag, p->tag))
		return 0;

	err = pl_strdup(&str, tag);
	if (err)
		return err;

	if (str_isset(p->tag) && p->aliasc < ALIAS_MAX)
		p->aliasv[p->aliasc++] = p->tag;
	else
		mem_deref(p->tag);
	p->tag = str;

	return 0;
}


struct medium *medium_peer(const struct medium *m)
{
	return m->p->peer ? m->p->peer->mediav[m->idx] : NULL;
}


static int open_ports(struct medium *m, unsigned ifidx, uint16_t num)
{
	struct pool *pool = m->p->s->w->md->pool;
	int err;

	err = port_open(&m->rtp, m, false, ifidx, num);
	if (err)
		pool_give(pool, ifidx, num);
	if (!m->is_rtp)
		return err;

	if (!err)
		err = port_open(&m->rtcp, m, true, ifidx, num + 1);
	if (err) {
		if (!m->rtcp)
			pool_give(pool, ifidx, num + 1);
		m->rtp = mem_deref(m->rtp);
	}

	return err;
}


int medium_open(struct party *p, unsigned idx, bool is_rtp)
{
	struct mworker *w = p->s->w;
	struct medium *m = p->mediav[idx];
	unsigned i;
	int err = ENOSPC;

	/* fax after voice keeps its port; voice after fax wants a pair */
	if (m && (m->is_rtp == is_rtp || m->rtcp)) {
		m->is_rtp = is_rtp;
		return 0;
	}

	m = mem_zalloc(sizeof(*m), medium_destructor);
	if (!m)
		return ENOMEM;

	m->p = p;
	m->idx = idx;
	m->is_rtp = is_rtp;
	m->em = emodel_codec(NULL);

	/* a port that someone else has is passed over */
	for (i = 0; i < PORT_TRIES && err; i++) {

		uint16_t num;

		err = pool_take(w->md->pool, p->ifidx, is_rtp, w->idx, &num);
		if (err)
			break;

		err = open_ports(m, p->ifidx, num);
		if (err != EADDRINUSE)
			break;
	}

	if (err) {
		mem_deref(m);
		return err;
	}

	mem_deref(p->mediav[idx]);
	p->mediav[idx] = m;

	return 0;
}


void medium_close(struct party *p, unsigned idx)
{
	p->mediav[idx] = mem_deref(p->mediav[idx]);
}


/* ---- one session after another: the dead */

static uint64_t port_last(const struct port *p, uint64_t last)
{
	return p && p->last_us > last ? p->last_us : last;
}


static uint64_t limit_of(const struct session *s, uint64_t *last)
{
	const struct media_conf *conf = s->w->md->conf;
	bool held = false;
	struct le *le;
	unsigned i;

	*last = s->signal_us;

	for (le = s->partyl.head; le; le = le->next) {

		const struct party *p = le->data;

		for (i = 0; i < SDPX_MEDIA_MAX; i++) {

			const struct medium *m = p->mediav[i];

			if (!m || m->off)
				continue;

			*last = port_last(m->rtp, *last);
			*last = port_last(m->rtcp, *last);
			held = held || m->hold;
		}
	}

	if (!s->answered)
		return conf->offer_timeout;

	return held ? conf->held_timeout : conf->timeout;
}


/* Runs while there are sessions */
static void on_tick(void *arg)
{
	struct mworker *w = arg;
	const uint64_t now = media_now_us();
	struct le *le = w->sessionl.head;

	while (le) {

		struct session *s = le->data;
		uint64_t last, limit;

		le = le->next;
		limit = limit_of(s, &last);
		if (now > last && now - last > limit * 1000) {
			metric_inc(&media_m_timeout);
			session_end(s, "timeout");
		}
	}

	if (w->sessionl.head)
		tmr_start(&w->tmr, TICK_MS, on_tick, w);
}


/* ---- from worker to worker */

struct move {
	struct mworker *to;
	struct session *s;	/**< handed over                        */
	int slot;		/**< or: who has this port, come here   */
	unsigned target;
};


static int each_port(struct session *s, int (*h)(struct port *p, void *arg),
		     void *arg)
{
	struct le *le;
	unsigned i;
	int err = 0;

	for (le = s->partyl.head; le; le = le->next) {

		const struct party *p = le->data;

		for (i = 0; i < SDPX_MEDIA_MAX && !err; i++) {

			const struct medium *m = p->mediav[i];

			if (m && m->rtp)
				err = h(m->rtp, arg);
			if (m && m->rtcp && !err)
				err = h(m->rtcp, arg);
		}
	}

	return err;
}


static int detach_h(struct port *p, void *arg)
{
	(void)arg;
	port_detach(p);
	return 0;
}


static int attach_h(struct port *p, void *arg)
{
	return port_attach(p, arg);
}


static void arrive(void *arg)
{
	struct move *mv = arg;
	struct mworker *w = mv->to;
	struct session *s = mv->s;

	mem_deref(mv);
	enter(s, w);
	metric_inc(&media_m_moved);

	if (each_port(s, attach_h, w)) {
		session_end(s, "no descriptors");
		return;
	}

	session_regroup(s);
}


static void fetch(void *arg)
{
	struct move *mv = arg;
	struct mworker *w = mv->to;
	struct port *p = w->portv[mv->slot];

	if (p && mv->target < w->idx)
		session_move(p->m->p->s, mv->target);

	mem_deref(mv);
}


static struct move *move_new(struct media *md, unsigned to)
{
	struct move *mv = mem_zalloc(sizeof(*mv), NULL);

	if (mv)
		mv->to = md->workerv[to];

	return mv;
}


static int post_move(void *arg)
{
	struct move *mv = arg;

	return worker_post(mv->to->w, arrive, mv);
}


void session_move(struct session *s, unsigned target)
{
	struct mworker *w = s->w;
	struct move *mv;
	struct pl callid;

	mv = move_new(w->md, target);
	if (!mv)
		return;

	(void)each_port(s, detach_h, NULL);
	hash_unlink(&s->he);
	list_unlink(&s->le);
	mv->s = s;

	/* under the directory's lock: whoever reads the new entry posts
	   behind the session, whoever read the old one is sent on */
	pl_set_str(&callid, s->callid);
	if (directory_move(w->md->dir, &callid, target, post_move, mv)) {
		mem_deref(mv);
		enter(s, w);
		session_end(s, "stop");
	}
}


struct group {
	unsigned lowest;
};


static int group_h(struct port *p, void *arg)
{
	struct mworker *w = p->m->p->s->w;
	struct group *g = arg;
	unsigned other;
	int slot;

	slot = pool_find(w->md->pool, &p->sdp, &other);
	if (slot < 0 || other == w->idx)
		return 0;

	if (other < w->idx) {
		if (other < g->lowest)
			g->lowest = other;
	}
	else {
		struct move *mv = move_new(w->md, other);

		if (!mv)
			return 0;

		mv->slot = slot;
		mv->target = w->idx;
		if (worker_post(mv->to->w, fetch, mv))
			mem_deref(mv);
	}

	return 0;
}


void session_regroup(struct session *s)
{
	struct group g = {s->w->idx};

	if (s->w->md->workerc < 2)
		return;

	(void)each_port(s, group_h, &g);
	if (g.lowest != s->w->idx)
		session_move(s, g.lowest);
}
