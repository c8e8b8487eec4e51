/**
 * @file role.c  The sip role: start, drain, reload, stop
 *
 * Shared (struct edge): listeners, store, location table, PBX nodes, key.
 * A worker's own (struct lane): transactions, NG client, calls.
 */
#include <pthread.h>
#include <string.h>
#include "internal.h"


enum {
	TICK       = 1000,	/* ms: housekeeping of a lane */
	DRAIN_POLL = 50,
	CALL_AGE   = 24 * 3600,	/* s: a call whose BYE we never saw */
};

static struct metric m_aors = METRIC_INIT(GAUGE,
	"sip_registered_aors", "AORs with a contact");
static struct metric m_contacts = METRIC_INIT(GAUGE,
	"sip_registered_contacts", "contacts of all AORs");

/** Something that must be done on a lane's own thread while we wait */
struct errand {
	int (*h)(struct lane *w);
	struct lane *w;
	pthread_mutex_t lock;
	pthread_cond_t cond;
	bool done;
	int err;
};


/* ---- errands to a worker (start and stop only: blocks) */

static void errand_run(void *arg)
{
	struct errand *er = *(struct errand **)arg;
	const int err = er->h(er->w);

	mem_deref(arg);
	(void)pthread_mutex_lock(&er->lock);
	er->err  = err;
	er->done = true;
	(void)pthread_cond_signal(&er->cond);
	(void)pthread_mutex_unlock(&er->lock);
}


static int errand_send(struct lane *w, int (*h)(struct lane *w))
{
	struct errand er = {.h = h, .w = w};
	struct errand **box = mem_alloc(sizeof(*box), NULL);
	int err;

	if (!box)
		return ENOMEM;
	*box = &er;

	(void)pthread_mutex_init(&er.lock, NULL);
	(void)pthread_cond_init(&er.cond, NULL);
	err = worker_post(w->e->env->workerv[w->idx], errand_run, box);
	if (err) {
		mem_deref(box);
	}
	else {
		(void)pthread_mutex_lock(&er.lock);
		while (!er.done)
			(void)pthread_cond_wait(&er.cond, &er.lock);
		(void)pthread_mutex_unlock(&er.lock);
		err = er.err;
	}
	(void)pthread_cond_destroy(&er.cond);
	(void)pthread_mutex_destroy(&er.lock);

	return err;
}


/* ---- a lane, on its own thread */

static void stray_handler(struct sipcore *core, struct sipcore_msg *msg,
			  void *arg)
{
	(void)core;
	(void)arg;

	/* RFC 6026 7.3: not forwarded */
	log_debug(msg->sid, "stray response dropped", "code=%u src=%H",
		  msg->scode, nat_flow_print, &msg->flow);
}


static void lane_tick(void *arg)
{
	struct lane *w = arg;

	tmr_start(&w->tmr, TICK, lane_tick, w);
	calls_expire(w->calls, location_now() - CALL_AGE);

	if (w->idx)
		return;
	dispatch_tick(w);
	for (unsigned i = 0; i < w->e->mediac; i++) {
		if (ng_client_alive(w->ng, i))
			atomic_fetch_or(&w->e->media_up, 1ull << i);
		else
			atomic_fetch_and(&w->e->media_up, ~(1ull << i));
	}
}


static int lane_start(struct lane *w)
{
	struct edge *e = w->e;
	int err;

	err = calls_alloc(&w->calls, (size_t)w->conf->limits.calls,
			  &e->calls);
	err = err ? err : stamper_alloc(&w->stamper, e->key);
	err = err ? err : sipauth_alloc(&w->auth, e->store,
					(uint32_t)w->conf->timers.nonce);
	err = err ? err : ng_client_alloc(&w->ng, e->mediav, e->mediac);
	err = err ? err : sipcore_alloc(&w->core, e->net, w->idx,
					ingress_request, stray_handler, w);
	if (err)
		return err;

	tmr_start(&w->tmr, 1 + w->idx, lane_tick, w);

	return 0;
}


static int lane_stop(struct lane *w)
{
	struct le *le;

	tmr_cancel(&w->tmr);
	if (!w->idx)
		dispatch_stop(w->e->disp);
	while ((le = w->requestl.head))
		request_close(le->data);

	w->core    = mem_deref(w->core);
	w->ng      = mem_deref(w->ng);
	w->auth    = mem_deref(w->auth);
	w->calls   = mem_deref(w->calls);
	w->stamper = mem_deref(w->stamper);

	return 0;
}


static int lanes_post(struct edge *e, worker_h *h)
{
	int err = 0;

	for (unsigned i = 0; i < e->lanec; i++) {
		struct lane **box = mem_alloc(sizeof(*box), NULL);

		if (!box)
			return ENOMEM;
		*box = e->lanev[i];
		err = worker_post(e->env->workerv[i], h, box);
		if (err)
			mem_deref(box);
	}

	return err;
}


/* ---- the role */

static void edge_destructor(void *arg)
{
	struct edge *e = arg;

	tmr_cancel(&e->tmr);
	for (unsigned i = 0; i < e->lanec; i++)
		mem_deref(e->lanev[i]);
	mem_deref(e->lanev);
	list_flush(&e->expiryl);
	mem_deref(e->store);
	mem_deref(e->net);
	mem_deref(e->disp);
	mem_deref(e->loc);
	memset(e->key, 0, sizeof(e->key));
}


static void edge_tick(void *arg)
{
	struct edge *e = arg;

	tmr_start(&e->tmr, TICK, edge_tick, e);
	metric_set(&m_aors, (int64_t)location_count(e->loc));
	metric_set(&m_contacts, (int64_t)location_contacts(e->loc));
	expire_locations(e);
}


static int net_start(struct edge *e, const struct edge_cfg *conf, char *why,
		     size_t whysz)
{
	const struct sipcore_net_prm prm = {
		.lv = conf->listen.v, .lc = conf->listen.n,
		.workers = e->env->workerc,
		.software = "voipstack/" VOIPSTACK_VERSION,
		.limits = {
			.msg_size = conf->limits.message,
			.strans = (unsigned)conf->limits.requests,
			.ctrans = (unsigned)conf->limits.requests,
			.conns = (unsigned)conf->limits.connections,
			.conns_addr = (unsigned)
				conf->limits.connections_per_address,
			.conn_idle = (uint32_t)conf->timers.idle,
			.t1 = (uint32_t)conf->timers.t1,
			.t2 = (uint32_t)conf->timers.t2,
			.t4 = (uint32_t)conf->timers.t4,
		},
	};
	char text[256] = "";
	int err;

	err = sipcore_net_alloc(&e->net, &prm, text, sizeof(text));
	if (err)
		(void)re_snprintf(why, whysz, "sip.listen %s", text);

	return err;
}


static int shared_start(struct edge *e, const struct edge_cfg *conf,
			char *why, size_t whysz)
{
	struct cfg_addr pbxv[32];
	char path[512];
	size_t n;
	int err;

	if (re_snprintf(path, sizeof(path), "%s/route.key",
			e->env->state_dir) < 0)
		return ENAMETOOLONG;
	err = stamp_key_load(e->key, str_isset(conf->route_key)
			     ? conf->route_key : path, why, whysz);
	if (err)
		return err;

	n = edge_cfg_pbx(e->cfg, pbxv, ARRAY_SIZE(pbxv));
	e->mediac = (unsigned)edge_cfg_media(e->cfg, e->mediav,
					     ARRAY_SIZE(e->mediav));
	err  = dispatch_alloc(&e->disp, pbxv, n);
	err |= location_alloc(&e->loc, (size_t)conf->registrar.max_aors);
	if (err)
		return ENOMEM;

	err = store_open(&e->store, STORE_SIP, e->env->state_dir, false, why,
			 whysz);

	return err ? err : restore_locations(e, why, whysz);
}


static int lanes_start(struct edge *e, const struct edge_cfg *conf)
{
	int err = 0;

	e->lanev = mem_zalloc(e->env->workerc * sizeof(*e->lanev), NULL);
	if (!e->lanev)
		return ENOMEM;

	for (unsigned i = 0; i < e->env->workerc && !err; i++) {
		struct lane *w = mem_zalloc(sizeof(*w), NULL);

		if (!w)
			return ENOMEM;
		w->e    = e;
		w->idx  = i;
		w->cfg  = e->cfg;
		w->conf = conf;
		tmr_init(&w->tmr);
		e->lanev[e->lanec++] = w;
		err = errand_send(w, lane_start);
	}

	return err;
}


static void metrics_start(void)
{
	metric_register(&m_aors);
	metric_register(&m_contacts);
	ingress_metrics();
	registrar_metrics();
	dialog_metrics();
	anchor_metrics();
}


static void role_stop(void *state);


static int role_start(void **rp, const struct cfg *cfg,
		      const struct role_env *env, char *why, size_t whysz)
{
	const struct edge_cfg *conf = cfg_get(cfg, "sip");
	struct edge *e;
	int err;

	e = mem_zalloc(sizeof(*e), edge_destructor);
	if (!e)
		return ENOMEM;

	e->env = env;
	e->cfg = cfg;
	tmr_init(&e->tmr);
	metrics_start();

	err = shared_start(e, conf, why, whysz);
	if (!err)
		err = net_start(e, conf, why, whysz);
	if (!err) {
		err = lanes_start(e, conf);
		if (err)
			(void)re_snprintf(why, whysz, "a worker of the sip "
					  "role cannot start: %m", err);
	}
	if (err) {
		/* workers run: what lives on them is dropped there */
		role_stop(e);
		mem_deref(e);
		return err;
	}

	tmr_start(&e->tmr, TICK, edge_tick, e);
	*rp = e;

	return 0;
}


static void lane_drain(void *arg)
{
	struct lane *w = *(struct lane **)arg;

	mem_deref(arg);
	if (w->core)
		sipcore_drain(w->core, true);
}


static void drain_poll(void *arg)
{
	struct edge *e = arg;

	if (atomic_load(&e->active) > 0) {
		tmr_start(&e->tmr, DRAIN_POLL, drain_poll, e);
		return;
	}

	e->drained(e->drained_arg);
}


/* New calls and registrations get 503; requests inside dialogs go on until
   none is under way.  Calls that are up can be ended through another node,
   or through this one after its restart: their Route says all */
static void role_drain(void *state, role_drained_h *drained, void *arg)
{
	struct edge *e = state;

	e->drained     = drained;
	e->drained_arg = arg;
	atomic_store(&e->draining, true);
	(void)lanes_post(e, lane_drain);
	tmr_start(&e->tmr, DRAIN_POLL, drain_poll, e);
}


static void lane_reload(void *arg)
{
	struct lane *w = *(struct lane **)arg;

	mem_deref(arg);
	w->cfg  = w->e->cfg;
	w->conf = cfg_get(w->cfg, "sip");
}


static bool same_addrs(const struct cfg_list *a, const struct cfg_list *b)
{
	const struct cfg_addr *av = a->v, *bv = b->v;

	if (a->n != b->n)
		return false;

	for (size_t i = 0; i < a->n; i++) {
		if (av[i].proto != bv[i].proto ||
		    !sa_cmp(&av[i].sa, &bv[i].sa, SA_ALL))
			return false;
	}

	return true;
}


/* Sockets and nodes need a restart; domains, networks, registrar, peers and
   timers are taken at once */
static int role_reload(void *state, const struct cfg *cfg, char *why,
		       size_t whysz)
{
	const struct edge_cfg *conf = cfg_get(cfg, "sip");
	struct edge *e = state;
	const struct edge_cfg *old = cfg_get(e->cfg, "sip");

	if (!same_addrs(&conf->listen, &old->listen) ||
	    !same_addrs(&conf->dispatcher.nodes, &old->dispatcher.nodes) ||
	    !same_addrs(&conf->media, &old->media) ||
	    conf->workers != old->workers) {
		(void)re_snprintf(why, whysz, "sip.listen, sip.media, "
				  "sip.workers and sip.dispatcher.nodes "
				  "change at a restart only");
		return ENOTSUP;
	}

	e->cfg = cfg;

	return lanes_post(e, lane_reload);
}


static void role_stop(void *state)
{
	struct edge *e = state;

	if (!e)
		return;

	tmr_cancel(&e->tmr);
	for (unsigned i = 0; i < e->lanec; i++)
		(void)errand_send(e->lanev[i], lane_stop);

	/* nobody calls the store any more; what it was given it still writes,
	   and its answers find their loops */
	e->store = mem_deref(e->store);
}


static void role_close(void *state)
{
	mem_deref(state);
}


static unsigned role_workers(const struct cfg *cfg)
{
	const struct edge_cfg *conf = cfg_get(cfg, "sip");

	return (unsigned)conf->workers;
}


static const struct cfg_section *const sections[] = {&edge_section, NULL};

const struct role role_sip = {
	.name     = "sip",
	.id       = CFG_ROLE_SIP,
	.sections = sections,
	.workers  = role_workers,
	.start    = role_start,
	.drain    = role_drain,
	.reload   = role_reload,
	.stop     = role_stop,
	.close    = role_close,
	.status   = edge_ctl_status,
	.cmdv     = edge_ctl_cmdv,
	.cmdc     = EDGE_CTL_CMDC,
};
