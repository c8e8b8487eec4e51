/**
 * @file role.c  The media role: start, drain, stop, status
 */
#include <string.h>
#include <re.h>
#include "ctl/ctl.h"
#include "worker/worker.h"
#include "role.h"
#include "media/media.h"


enum {
	DRAIN_MS = 100,
	BUCKETS  = 4096,
};

struct metric media_m_sessions = METRIC_INIT(GAUGE, "media_sessions",
	"Sessions now");
struct metric media_m_started = METRIC_INIT(COUNTER,
	"media_sessions_started_total", "Sessions begun by an offer");
struct metric media_m_timeout = METRIC_INIT(COUNTER,
	"media_sessions_timeout_total", "Sessions freed for silence");
struct metric media_m_noports = METRIC_INIT(COUNTER,
	"media_ports_exhausted_total", "Offers refused: no port left");
struct metric media_m_limit = METRIC_INIT(COUNTER,
	"media_sessions_refused_total", "Offers refused: too many sessions");
struct metric media_m_moved = METRIC_INIT(COUNTER,
	"media_sessions_moved_total", "Sessions that changed their worker");
struct metric media_m_packets = METRIC_INIT(COUNTER, "media_packets_total",
	"Packets of ended sessions");
struct metric media_m_bytes = METRIC_INIT(COUNTER, "media_bytes_total",
	"Bytes of ended sessions");
struct metric media_m_dropped = METRIC_INIT(COUNTER, "media_dropped_total",
	"Packets of ended sessions that were not relayed");


static unsigned workers(const struct cfg *cfg)
{
	const struct media_conf *conf = cfg_get(cfg, "media");

	return (unsigned)conf->workers;
}


/* ---- on a worker */

static void worker_end(void *arg)
{
	session_flush(arg);
}


static void worker_destructor(void *arg)
{
	struct mworker *w = arg;

	mem_deref(w->sessions);
	mem_deref(w->portv);
}


static int mworker_alloc(struct media *md, unsigned idx, struct worker *wk)
{
	struct mworker *w;
	int err;

	w = mem_zalloc(sizeof(*w), worker_destructor);
	if (!w)
		return ENOMEM;

	w->md = md;
	w->w = wk;
	w->idx = idx;
	w->gen = 1;
	tmr_init(&w->tmr);
	md->workerv[idx] = w;
	++md->workerc;

	w->portv = mem_zalloc(pool_slots(md->pool) * sizeof(*w->portv), NULL);
	err = hash_alloc(&w->sessions, BUCKETS);
	if (!w->portv)
		err = ENOMEM;

	return err;
}


/* ---- on the control loop */

static void destructor(void *arg)
{
	struct media *md = arg;
	unsigned i;

	tmr_cancel(&md->tmr_drain);
	mem_deref(md->ng);
	for (i = 0; i < md->workerc; i++)
		mem_deref(md->workerv[i]);
	mem_deref(md->dir);
	mem_deref(md->pool);
}


static void metrics(void)
{
	metric_register(&media_m_sessions);
	metric_register(&media_m_started);
	metric_register(&media_m_timeout);
	metric_register(&media_m_noports);
	metric_register(&media_m_limit);
	metric_register(&media_m_moved);
	metric_register(&media_m_packets);
	metric_register(&media_m_bytes);
	metric_register(&media_m_dropped);
}


/* An address that is not this machine's is found at start, not by the first
   call */
static int try_bind(const struct media *md, char *why, size_t whysz)
{
	unsigned i;

	for (i = 0; i < md->ifc; i++) {

		struct udp_sock *us = NULL;
		const int err = udp_listen(&us, &md->ifv[i].addr, NULL, NULL);

		mem_deref(us);
		if (err) {
			(void)re_snprintf(why, whysz, "media.interfaces.%s:"
					  " cannot bind %j: %m; is it an"
					  " address of this machine?",
					  md->ifv[i].name, &md->ifv[i].addr,
					  err);
			return err;
		}
	}

	return 0;
}


/* What can fail for a person's reasons comes before the workers are given
   anything */
static int prepare(struct media *md, const struct role_env *env,
		   char *why, size_t whysz)
{
	unsigned i;
	int err;

	err = media_interfaces(md->ifv, &md->ifc, md->cfg, why, whysz);
	if (!err)
		err = try_bind(md, why, whysz);
	if (!err)
		err = pool_alloc(&md->pool, md->ifv, md->ifc, md->conf->ports,
				 md->conf->port_reuse);
	if (!err)
		err = directory_alloc(&md->dir);
	if (!err)
		err = ng_server_alloc(&md->ng, md, why, whysz);

	for (i = 0; i < env->workerc && i < MEDIA_WORKER_MAX && !err; i++)
		err = mworker_alloc(md, i, env->workerv[i]);

	return err;
}


static void stop(void *state)
{
	struct media *md = state;
	unsigned i;

	md->ng = mem_deref(md->ng);
	for (i = 0; i < md->workerc; i++)
		(void)worker_post(md->workerv[i]->w, worker_end,
				  md->workerv[i]);
}


static int start(void **rp, const struct cfg *cfg, const struct role_env *env,
		 char *why, size_t whysz)
{
	struct media *md;
	int err;

	md = mem_zalloc(sizeof(*md), destructor);
	if (!md)
		return ENOMEM;

	metrics();
	md->cfg = cfg;
	md->conf = cfg_get(cfg, "media");
	md->control = env->control;
	tmr_init(&md->tmr_drain);

	err = prepare(md, env, why, whysz);

	/* also on error: workers that began must end on their own thread,
	   so the frame stops and closes what there is */
	*rp = md;

	return err;
}


static void on_drain(void *arg)
{
	struct media *md = arg;

	if (directory_count(md->dir))
		tmr_start(&md->tmr_drain, DRAIN_MS, on_drain, md);
	else
		md->drained(md->drained_arg);
}


static void drain(void *state, role_drained_h *drained, void *arg)
{
	struct media *md = state;

	md->draining = true;
	md->drained = drained;
	md->drained_arg = arg;
	tmr_start(&md->tmr_drain, 0, on_drain, md);
}


static void close_role(void *state)
{
	mem_deref(state);
}


static int status(void *state, struct odict *od)
{
	const struct media *md = state;
	int err;

	err  = odict_entry_add(od, "sessions", ODICT_INT,
			       (int64_t)directory_count(md->dir));
	err |= odict_entry_add(od, "sessions_started", ODICT_INT,
			       metric_get(&media_m_started));
	err |= odict_entry_add(od, "sessions_timed_out", ODICT_INT,
			       metric_get(&media_m_timeout));
	err |= odict_entry_add(od, "ports_used", ODICT_INT,
			       (int64_t)pool_used(md->pool));
	err |= odict_entry_add(od, "ports", ODICT_INT,
			       (int64_t)pool_slots(md->pool));

	return err;
}


static const struct ctl_cmd cmdv[] = {
	{"sessions", "", "Calls with their flows: packets, loss, jitter, MOS",
	 media_ctl_sessions},
};

static const struct cfg_section *const sections[] = {&media_section, NULL};

const struct role role_media = {
	.name     = "media",
	.id       = CFG_ROLE_MEDIA,
	.sections = sections,
	.workers  = workers,
	.start    = start,
	.drain    = drain,
	.stop     = stop,
	.close    = close_role,
	.status   = status,
	.cmdv     = cmdv,
	.cmdc     = ARRAY_SIZE(cmdv),
};
