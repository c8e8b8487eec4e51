/**
 * @file roles/pbx/role.c  The pbx role: what the frame starts and stops
 *
 *   start: configuration, sockets, stores, CDR writer, audio workers; then
 *          restore_start() takes calls up and lets each worker serve
 *   stop:  each worker drops its agent; close: what they stood on
 */
#include <pthread.h>
#include <string.h>
#include <re.h>
#include "log/log.h"
#include "metric/metric.h"
#include "worker/worker.h"
#include "cfg/cfg.h"
#include "bus/bus.h"
#include "ctl/ctl.h"
#include "role.h"
#include "store/store.h"
#include "cdr/cdr.h"
#include "sipcore/sipcore.h"
#include "sipua/sipua.h"
#include "internal.h"


enum {
	LISTEN_MAX = 32,
};


static struct pbx *current;	/* control thread's; NULL: stopping */


bool role_is_open(void)
{
	return current != NULL;
}


static void pbx_destructor(void *arg)
{
	struct pbx *pbx = arg;
	unsigned i;

	for (i = 0; i < pbx->audioc; i++)
		mem_deref(pbx->audiov[i]);
	mem_deref(pbx->writer);
	mem_deref(pbx->dialogs);
	mem_deref(pbx->cdrs);
	mem_deref(pbx->net);
	mem_deref(pbx->agentv);
}


static int net_start(struct pbx *pbx, const struct cfg *cfg,
		     char *why, size_t whysz)
{
	const struct pbx_section *sec = cfg_get(cfg, "pbx");
	struct cfg_addr lv[LISTEN_MAX];
	struct sipcore_net_prm prm;
	uint8_t key[KEY_SIZE];
	char what[256] = "";
	int err;

	err = keep_key(key, pbx->env->state_dir, why, whysz);
	if (err)
		return err;

	memset(&prm, 0, sizeof(prm));
	prm.lv = lv;
	prm.lc = conf_listen(lv, ARRAY_SIZE(lv), cfg);
	prm.workers = pbx->agentc;
	prm.software = "voipstack";
	prm.owner_key = key;
	/* all calls come from few sip nodes */
	prm.limits.conns_addr = 10000;
	prm.limits.strans = 4 * (unsigned)sec->max_calls + 1000;
	prm.limits.ctrans = 4 * (unsigned)sec->max_calls + 1000;

	err = sipcore_net_alloc(&pbx->net, &prm, what, sizeof(what));
	if (err)
		(void)re_snprintf(why, whysz, "pbx.listen: %s; choose "
				  "another address or port", what);

	return err;
}


static void cdr_state_handler(int err, unsigned waiting, void *arg)
{
	const struct pbx *pbx = arg;

	if (err)
		log_error(NULL, "CDRs cannot be stored, calls go on; they wait"
			  " in cdr.spool", "file=\"%s/cdr.db\" why=\"%m\"",
			  pbx->env->state_dir, err);
	else
		log_info(NULL, "CDRs are stored again", "waiting=%u",
			 waiting);
}


static int stores_open(struct pbx *pbx, char *why, size_t whysz)
{
	const char *dir = pbx->env->state_dir;
	int err;

	err = store_open(&pbx->dialogs, STORE_PBX, dir, false, why, whysz);
	if (err)
		return err;

	err = store_open(&pbx->cdrs, STORE_CDR, dir, false, why, whysz);
	if (err)
		return err;

	err = cdr_writer_alloc(&pbx->writer, pbx->cdrs, dir, pbx->env->node);
	if (!err)
		err = cdr_writer_state_handler(pbx->writer, cdr_state_handler,
					       pbx);
	if (err)
		(void)re_snprintf(why, whysz, "%s/cdr.spool: %m; check the "
				  "directory's rights and space", dir, err);

	return err;
}


static int audio_start(struct pbx *pbx, const struct cfg *cfg)
{
	const struct pbx_section *sec = cfg_get(cfg, "pbx");
	char name[16];
	unsigned i;
	int err;

	err = track_init();
	for (i = 0; i < sec->audio_workers && !err; i++) {
		(void)re_snprintf(name, sizeof(name), "audio%u", i);
		err = worker_alloc(&pbx->audiov[i], name, i,
				   track_worker_init, track_worker_stop,
				   NULL);
		if (!err)
			++pbx->audioc;
	}

	return err;
}


static int agents_alloc(struct pbx *pbx, const struct conf *conf)
{
	unsigned i;
	int err = 0;

	pbx->agentv = mem_zalloc(pbx->agentc * sizeof(struct agent *),
				 NULL);
	if (!pbx->agentv)
		return ENOMEM;

	for (i = 0; i < pbx->agentc && !err; i++)
		err = agent_alloc(&pbx->agentv[i], pbx, i, conf);

	return err;
}


/** Waits in stop() for the workers to have dropped their agents */
struct stop_wait {
	pthread_mutex_t lock;
	pthread_cond_t cond;
	unsigned left;
};

/** To a worker */
struct stop_part {
	struct stop_wait *w;
	struct agent *ag;
};


static void agent_close_handler(void *arg)
{
	struct stop_part *p = arg;
	struct stop_wait *w = p->w;

	agent_close(p->ag);
	mem_deref(p);

	pthread_mutex_lock(&w->lock);
	--w->left;
	pthread_cond_signal(&w->cond);
	pthread_mutex_unlock(&w->lock);
}


static void agents_close(struct pbx *pbx)
{
	struct stop_wait w = {PTHREAD_MUTEX_INITIALIZER,
			      PTHREAD_COND_INITIALIZER, 0};
	unsigned i;

	for (i = 0; i < pbx->agentc && pbx->agentv; i++) {
		struct stop_part *p = mem_alloc(sizeof(*p), NULL);

		if (!p || !pbx->agentv[i]) {
			mem_deref(p);
			continue;
		}
		p->w = &w;
		p->ag = pbx->agentv[i];
		pbx->agentv[i] = NULL;

		pthread_mutex_lock(&w.lock);
		++w.left;
		pthread_mutex_unlock(&w.lock);
		if (worker_post(pbx->env->workerv[i], agent_close_handler,
				p)) {
			mem_deref(p);
			pthread_mutex_lock(&w.lock);
			--w.left;
			pthread_mutex_unlock(&w.lock);
		}
	}

	pthread_mutex_lock(&w.lock);
	while (w.left)
		pthread_cond_wait(&w.cond, &w.lock);
	pthread_mutex_unlock(&w.lock);
}


/* Writer and stores answer to the workers: they go while those still run */
static void stop(void *state)
{
	struct pbx *pbx = state;

	current = NULL;
	pbx->draining = false;
	agents_close(pbx);
	pbx->writer = mem_deref(pbx->writer);
	pbx->dialogs = mem_deref(pbx->dialogs);
	pbx->cdrs = mem_deref(pbx->cdrs);
}


static void close_role(void *state)
{
	mem_deref(state);
}


/* Agents that a worker has seen are dropped there */
static void start_undo(struct pbx *pbx)
{
	unsigned i;

	if (pbx->served)
		stop(pbx);

	for (i = 0; i < pbx->agentc && pbx->agentv; i++)
		mem_deref(pbx->agentv[i]);
	mem_deref(pbx);
}


static int start(void **rp, const struct cfg *cfg,
		 const struct role_env *env, char *why, size_t whysz)
{
	struct pbx *pbx;
	struct conf conf;
	int err;

	pbx = mem_zalloc(sizeof(*pbx), pbx_destructor);
	if (!pbx)
		return ENOMEM;

	pbx->env = env;
	pbx->agentc = env->workerc;
	show_init();

	err = conf_init(&conf, cfg, why, whysz);
	if (!err)
		err = net_start(pbx, cfg, why, whysz);
	if (!err)
		err = stores_open(pbx, why, whysz);
	if (!err)
		err = audio_start(pbx, cfg);
	if (!err)
		err = agents_alloc(pbx, &conf);
	if (!err) {
		pbx->served = true;
		err = restore_start(pbx, why, whysz);
	}

	if (err) {
		start_undo(pbx);
		return err;
	}

	current = pbx;
	*rp = pbx;
	return 0;
}


/* Drain --------------------------------------------------------------------*/

static void drained_check(void *arg)
{
	struct pbx *pbx = arg;

	if (pbx == current && pbx->drainedh && !pbx->calls) {
		role_drained_h *h = pbx->drainedh;

		pbx->drainedh = NULL;
		h(pbx->drained_arg);
	}
}


void role_call_ended(struct pbx *pbx)
{
	if (--pbx->calls == 0 && pbx->draining)
		(void)worker_post(pbx->env->control, drained_check, pbx);
}


static void drain_handler(void *arg)
{
	const struct agent *ag = arg;

	sipcore_drain(ag->core, true);
}


static void drain(void *state, role_drained_h *drained, void *arg)
{
	struct pbx *pbx = state;
	unsigned i;

	pbx->drainedh = drained;
	pbx->drained_arg = arg;
	pbx->draining = true;

	for (i = 0; i < pbx->agentc; i++)
		(void)worker_post(pbx->env->workerv[i], drain_handler,
				  pbx->agentv[i]);

	log_info(NULL, "draining", "calls=%u", pbx->calls);
	drained_check(pbx);
}


/* Reload -------------------------------------------------------------------*/

struct reload {
	struct agent *ag;
	struct conf conf;
};


static void reload_handler(void *arg)
{
	struct reload *r = arg;

	r->ag->conf = r->conf;
	mem_deref(r);
}


static int reload(void *state, const struct cfg *cfg, char *why, size_t whysz)
{
	struct pbx *pbx = state;
	struct conf conf;
	unsigned i;
	int err;

	err = conf_init(&conf, cfg, why, whysz);
	if (err)
		return err;

	if ((unsigned)conf.sec->workers != pbx->agentc
	    || (unsigned)conf.sec->audio_workers != pbx->audioc)
		log_warn(NULL, "number of workers changes at the next start",
			 NULL);

	for (i = 0; i < pbx->agentc; i++) {
		struct reload *r = mem_zalloc(sizeof(*r), NULL);

		if (!r)
			return ENOMEM;
		r->ag = pbx->agentv[i];
		r->conf = conf;
		if (worker_post(pbx->env->workerv[i], reload_handler, r))
			mem_deref(r);
	}

	return 0;
}


static unsigned workers(const struct cfg *cfg)
{
	const struct pbx_section *sec = cfg_get(cfg, "pbx");

	return sec ? (unsigned)sec->workers : 1;
}


static const struct cfg_section *const sections[] = {
	&conf_pbx_section,
	&conf_extensions_section,
	NULL
};

const struct role role_pbx = {
	.name = "pbx",
	.id = CFG_ROLE_PBX,
	.sections = sections,
	.workers = workers,
	.start = start,
	.drain = drain,
	.reload = reload,
	.stop = stop,
	.close = close_role,
	.status = show_status,
	.cmdv = show_cmdv,
	.cmdc = SHOW_CMDC,
};
