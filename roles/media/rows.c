/**
 * @file rows.c  A session for people: its last log line, ctl sessions
 */
#include <string.h>
#include <re.h>
#include "ctl/ctl.h"
#include "log/log.h"
#include "worker/worker.h"
#include "media/media.h"


static double mos_of(const struct medium *m)
{
	return m->rtp ? emodel_stat(&m->rtp->flow[0].st, &m->em, m->rtt_us)
		      : 0.0;
}


static bool flow_joined(const struct medium *m)
{
	struct mworker *w = m->p->s->w;
	struct flow *f = m->rtp ? &m->rtp->flow[0] : NULL;

	if (f && f->gen != w->gen)
		flow_resolve(w, f);

	return f && f->viac > 0;
}


/* Its packets, or those for it, pass another session in the same hop */
static bool joined(const struct medium *m)
{
	const struct medium *peer = medium_peer(m);

	return flow_joined(m) || (peer && flow_joined(peer));
}


static int print_medium(struct re_printf *pf, const struct medium *m)
{
	const struct rstat *st = &m->rtp->flow[0].st;

	return re_hprintf(pf, " [%s %s %J packets %llu bytes %llu lost %llu"
			  " dup %llu jitter_ms %.1f mos %.2f%s]", m->p->tag,
			  m->type, &m->rtp->remote, st->packets, st->bytes,
			  rstat_lost(st), st->dup,
			  rstat_jitter_us(st) / 1000.0, mos_of(m),
			  joined(m) ? " joined" : "");
}


static int print_flows(struct re_printf *pf, const struct session *s)
{
	struct le *le;
	unsigned i;
	int err = 0;

	for (le = s->partyl.head; le && !err; le = le->next) {

		const struct party *p = le->data;

		for (i = 0; i < SDPX_MEDIA_MAX && !err; i++) {

			const struct medium *m = p->mediav[i];

			if (m && m->rtp && !m->off)
				err = print_medium(pf, m);
		}
	}

	return err;
}


static void sum_up(const struct session *s)
{
	uint64_t packets = 0, bytes = 0, dropped = 0;
	struct le *le;
	unsigned i, k;

	for (le = s->partyl.head; le; le = le->next) {

		const struct party *p = le->data;

		for (i = 0; i < 2 * SDPX_MEDIA_MAX; i++) {

			const struct medium *m = p->mediav[i / 2];
			const struct port *port = !m ? NULL
				: i & 1 ? m->rtcp : m->rtp;

			for (k = 0; port && k < 2; k++) {
				packets += port->flow[k].st.packets;
				bytes   += port->flow[k].st.bytes;
				dropped += port->flow[k].dropped;
			}
			dropped += port ? port->foreign : 0;
		}
	}

	metric_add(&media_m_packets, (int64_t)packets);
	metric_add(&media_m_bytes, (int64_t)bytes);
	metric_add(&media_m_dropped, (int64_t)dropped);
}


void session_log(const struct session *s, const char *why)
{
	sum_up(s);
	log_info(s->sid, "media session ended",
		 "call_id=\"%s\" why=\"%s\" seconds=%llu parties=%u"
		 " flows=\"%H\"", s->callid, why,
		 (worker_wallclock_us() - s->created_us) / 1000000,
		 s->partyc, print_flows, s);
}


/* ---- ctl sessions: each worker adds its rows in turn */

enum { ROWS_MAX = 2000 };

struct row {
	char callid[64], sid[48], tag[48], type[16], codec[32];
	struct sa local, remote;
	uint64_t age_s, packets, bytes, lost, dup, out_packets;
	uint32_t jitter_us, rtt_us;
	double mos;
	bool joined, latched;
	unsigned worker, parties;
};

struct collect {
	struct media *md;
	struct ctl_req *req;
	unsigned at;		/**< next worker */
	unsigned n;
	struct row rowv[ROWS_MAX];
};


static void row_fill(struct row *r, const struct medium *m)
{
	const struct session *s = m->p->s;
	const struct rstat *st = &m->rtp->flow[0].st;

	str_ncpy(r->callid, s->callid, sizeof(r->callid));
	str_ncpy(r->sid, s->sid ? s->sid : "", sizeof(r->sid));
	str_ncpy(r->tag, m->p->tag, sizeof(r->tag));
	str_ncpy(r->type, m->type, sizeof(r->type));
	str_ncpy(r->codec, m->codec, sizeof(r->codec));
	r->local       = m->rtp->pub;
	r->remote      = m->rtp->remote;
	r->age_s       = (worker_wallclock_us() - s->created_us) / 1000000;
	r->packets     = st->packets;
	r->bytes       = st->bytes;
	r->lost        = rstat_lost(st);
	r->dup         = st->dup;
	r->out_packets = m->rtp->out_packets;
	r->jitter_us   = rstat_jitter_us(st);
	r->rtt_us      = m->rtt_us;
	r->mos         = mos_of(m);
	r->joined      = joined(m);
	r->latched     = m->rtp->latched;
	r->worker      = s->w->idx;
	r->parties     = s->partyc;
}


static void collect_session(struct collect *c, const struct session *s)
{
	struct le *le;
	unsigned i;

	for (le = s->partyl.head; le; le = le->next) {

		const struct party *p = le->data;

		for (i = 0; i < SDPX_MEDIA_MAX && c->n < ROWS_MAX; i++) {

			const struct medium *m = p->mediav[i];

			if (m && m->rtp && !m->off)
				row_fill(&c->rowv[c->n++], m);
		}
	}
}


static int add_text(struct odict *od, const char *key, const char *str)
{
	return odict_entry_add(od, key, ODICT_STRING, str);
}


static int add_int(struct odict *od, const char *key, uint64_t num)
{
	return odict_entry_add(od, key, ODICT_INT, (int64_t)num);
}


static int add_sa(struct odict *od, const char *key, const struct sa *sa)
{
	char buf[80];

	(void)re_snprintf(buf, sizeof(buf), "%J", sa);

	return add_text(od, key, buf);
}


static int row_add(struct odict *array, unsigned idx, const struct row *r)
{
	struct odict *od;
	char key[16];
	int err;

	err = odict_alloc(&od, 32);
	if (err)
		return err;

	err |= add_text(od, "call_id", r->callid);
	err |= add_text(od, "session_id", r->sid);
	err |= add_int(od, "age_s", r->age_s);
	err |= add_int(od, "parties", r->parties);
	err |= add_text(od, "tag", r->tag);
	err |= add_text(od, "type", r->type);
	err |= add_text(od, "codec", r->codec);
	err |= add_sa(od, "local", &r->local);
	err |= add_sa(od, "remote", &r->remote);
	err |= add_int(od, "packets", r->packets);
	err |= add_int(od, "bytes", r->bytes);
	err |= add_int(od, "out_packets", r->out_packets);
	err |= add_int(od, "lost", r->lost);
	err |= add_int(od, "dup", r->dup);
	err |= odict_entry_add(od, "jitter_ms", ODICT_DOUBLE,
			       r->jitter_us / 1000.0);
	err |= odict_entry_add(od, "rtt_ms", ODICT_DOUBLE,
			       r->rtt_us / 1000.0);
	err |= odict_entry_add(od, "mos", ODICT_DOUBLE, r->mos);
	err |= odict_entry_add(od, "latched", ODICT_BOOL, r->latched);
	err |= odict_entry_add(od, "joined", ODICT_BOOL, r->joined);
	err |= add_int(od, "worker", r->worker);

	(void)re_snprintf(key, sizeof(key), "%u", idx);
	if (!err)
		err = odict_entry_add(array, key, ODICT_OBJECT, od);
	mem_deref(od);

	return err;
}


static int reply_build(struct odict *od, const struct collect *c)
{
	struct odict *array;
	unsigned i;
	int err;

	err = odict_alloc(&array, 256);
	if (err)
		return err;

	for (i = 0; i < c->n && !err; i++)
		err = row_add(array, i, &c->rowv[i]);
	if (!err)
		err = odict_entry_add(od, "sessions", ODICT_ARRAY, array);
	mem_deref(array);

	return err;
}


static void collect_reply(void *arg)
{
	struct collect *c = arg;
	struct odict *od = NULL;
	int err;

	err = odict_alloc(&od, 8);
	if (!err)
		err = reply_build(od, c);

	if (err)
		ctl_fail(c->req, err, "%m", err);
	else
		ctl_reply(c->req, od);

	mem_deref(od);
	mem_deref(c);
}


static void collect_worker(void *arg)
{
	struct collect *c = arg;
	struct mworker *w = c->md->workerv[c->at++];
	struct le *le;

	for (le = w->sessionl.head; le && c->n < ROWS_MAX; le = le->next)
		collect_session(c, le->data);

	/* on from worker to worker, and home */
	if (c->at < c->md->workerc)
		(void)worker_post(c->md->workerv[c->at]->w, collect_worker, c);
	else
		(void)worker_post(c->md->control, collect_reply, c);
}


void media_ctl_sessions(struct ctl_req *req, int argc,
			const char *const *argv, void *arg)
{
	struct media *md = arg;
	struct collect *c;
	(void)argc;
	(void)argv;

	c = mem_zalloc(sizeof(*c), NULL);
	if (!c) {
		ctl_fail(req, ENOMEM, "out of memory");
		return;
	}

	c->md = md;
	c->req = req;
	if (worker_post(md->workerv[0]->w, collect_worker, c)) {
		ctl_fail(req, ECANCELED, "stopping");
		mem_deref(c);
	}
}
