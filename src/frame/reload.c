/**
 * @file frame/reload.c  SIGHUP: a second configuration, swapped in whole
 *
 *   HUP -> thread reads and checks -> control loop: role->reload()
 *       -> each worker has run what that posted -> the old one is dropped
 *
 * The file is read on a thread of its own: it may lie on a dead disk.
 */
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <re.h>
#include "cfg/cfg.h"
#include "log/log.h"
#include "worker/worker.h"
#include "program.h"
#include "role.h"
#include "internal.h"


enum { WHY_SIZE = 512 };

/** One reload under way; one at a time */
struct reload {
	struct frame *f;
	pthread_t thread;
	struct cfg *cfg;	/* the new one, then the old one         */
	int err;
	bool joined;
	char why[WHY_SIZE];
	unsigned waiting;	/* workers that may still see the old one */
};


static void destructor(void *arg)
{
	struct reload *r = arg;

	mem_deref(r->cfg);
}


static void finish(struct reload *r)
{
	struct frame *f = r->f;
	const bool again = f->reload_again;

	f->reload = NULL;
	f->reload_again = false;
	mem_deref(r);

	if (again && !f->draining)
		frame_reload(f);
}


/* On the control loop: one more worker is past the old configuration */
static void bounced(void *arg)
{
	struct reload *r = arg;

	if (!--r->waiting)
		finish(r);
}


static void bounce(void *arg)
{
	struct reload *r = arg;

	/* refused only when all stops: then nobody waits any more */
	(void)worker_post(r->f->env.control, bounced, r);
}


static void retire(struct reload *r)
{
	struct frame *f = r->f;
	unsigned i;

	r->waiting = 1;
	for (i = 0; i < f->env.workerc; i++) {
		if (!worker_post(f->env.workerv[i], bounce, r))
			++r->waiting;
	}

	bounced(r);
}


static void keep_old(struct reload *r)
{
	log_error(NULL, "reload failed, the old configuration stays",
		  "why=\"%s\"", r->why[0] ? r->why : "see above");
	(void)notify_printf("READY=1\nSTATUS=reload failed: %s", r->why);
	finish(r);
}


static void set_log(const struct frame *f, const struct cfg *cfg)
{
	log_init((enum log_level)cfg_log(cfg)->level,
		 (enum log_format)cfg_log(cfg)->format, f->role->name);
}


/* A role that cannot reload need not, if nothing of it has changed */
static bool concerns_role(const struct frame *f, const struct cfg *cfg)
{
	static const char *const ground[] = {
		"node", "nodes", "domains", "networks",
	};
	const struct cfg_section *const *sp;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(ground); i++) {
		if (!cfg_same_section(f->cfg, cfg, ground[i]))
			return true;
	}

	for (sp = f->role->sections; sp && *sp; sp++) {
		if (!cfg_same_section(f->cfg, cfg, (*sp)->name))
			return true;
	}

	return false;
}


/* The role goes on with the old one, which says the same */
static void nothing_new(struct reload *r)
{
	set_log(r->f, r->cfg);
	log_info(NULL, "reloaded: nothing new for this role", NULL);
	(void)notify_printf("READY=1\nSTATUS=ready");
	finish(r);
}


static int swap(struct reload *r)
{
	struct frame *f = r->f;
	struct cfg *old = f->cfg;
	int err;

	if (!f->role->reload) {
		str_ncpy(r->why, "this role takes a new configuration only"
			 " by a restart", sizeof(r->why));
		return ENOTSUP;
	}

	err = f->role->reload(f->state, r->cfg, r->why, sizeof(r->why));
	if (err)
		return err;

	f->cfg = r->cfg;
	r->cfg = old;

	return 0;
}


/* On the control loop: the thread is done */
static void loaded(void *arg)
{
	struct reload *r = arg;
	struct frame *f = r->f;

	if (!r->joined)
		(void)pthread_join(r->thread, NULL);

	if (!r->err && !f->role->reload && !concerns_role(f, r->cfg)) {
		nothing_new(r);
		return;
	}

	if (!r->err)
		r->err = swap(r);
	if (r->err) {
		keep_old(r);
		return;
	}

	set_log(f, f->cfg);
	log_info(NULL, "reloaded", NULL);
	(void)notify_printf("READY=1\nSTATUS=ready");
	retire(r);
}


static void *load_thread(void *arg)
{
	struct reload *r = arg;
	const struct options *opt = r->f->opt;
	const char *file = config_file(opt);

	r->err = config_reload(&r->cfg, NULL, opt);
	if (r->err)
		(void)re_snprintf(r->why, sizeof(r->why), "%s: see above",
				  file ? file : "built-in defaults");

	/* refused only when all stops: frame_reload_wait() joins then */
	(void)worker_post(r->f->env.control, loaded, r);

	return NULL;
}


/** Begin a reload; one that is under way is followed by another */
void frame_reload(struct frame *f)
{
	struct reload *r;
	int err;

	if (f->draining)
		return;

	if (f->reload) {
		f->reload_again = true;
		return;
	}

	r = mem_zalloc(sizeof(*r), destructor);
	if (!r)
		return;

	r->f = f;
	notify_reloading();
	err = pthread_create(&r->thread, NULL, load_thread, r);
	if (err) {
		(void)re_snprintf(r->why, sizeof(r->why), "thread: %m", err);
		keep_old(r);
		return;
	}

	f->reload = r;
}


/** At stop, while the role still has its state: let go what is under way */
void frame_reload_wait(struct frame *f)
{
	struct reload *r = f->reload;

	f->reload_again = false;
	if (!r || r->waiting || r->joined)
		return;

	/* loaded() is in the control loop's queue and will see the error */
	(void)pthread_join(r->thread, NULL);
	r->joined = true;
	r->err = ECANCELED;
	str_ncpy(r->why, "stopping", sizeof(r->why));
}
