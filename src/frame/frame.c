/**
 * @file frame/frame.c  The process of one role: start, signals, drain, stop
 *
 *   start -> READY -> running <-> reloading
 *                        | TERM
 *                     draining -- drained, node.drain over, second TERM
 *                        |
 *                      stop -> workers joined -> close
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>
#include <re.h>
#include "bus/bus.h"
#include "cfg/cfg.h"
#include "ctl/ctl.h"
#include "log/log.h"
#include "worker/worker.h"
#include "program.h"
#include "role.h"
#include "internal.h"


enum {
	WHY_SIZE    = 512,
	STOP_SECS   = 10,	/* then the kernel ends us by SIGALRM */
	WORKERS_MAX = 64,
};


static void signals_block(sigset_t *set)
{
	(void)sigemptyset(set);
	(void)sigaddset(set, SIGTERM);
	(void)sigaddset(set, SIGINT);
	(void)sigaddset(set, SIGHUP);
	(void)sigprocmask(SIG_BLOCK, set, NULL);
}


static void drained_handler(void *arg)
{
	struct frame *f = arg;

	if (!f->draining)
		return;

	log_info(NULL, "drained", NULL);
	re_cancel();
}


static void drain_timeout(void *arg)
{
	(void)arg;

	log_warn(NULL, "drain time is over: calls are cut",
		 "option=node.drain");
	re_cancel();
}


/*
 * systemd signals every process of a service, and the supervisor passes on
 * what it gets: so a supervised role counts its supervisor's signals only.
 */
static void term(struct frame *f, const char *signame, pid_t sender)
{
	const uint64_t ms = cfg_self(f->cfg)->drain;

	/* a terminal or an init system tells everybody; the supervisor passes
	   it on in its order */
	if (notify_is_child() && sender <= 1 && sender != getppid())
		return;
	if (!notify_is_child() || sender == getppid())
		++f->terms;

	if (f->draining) {
		if (f->terms < 2)
			return;
		log_warn(NULL, "second signal: calls are cut", "signal=%s",
			 signame);
		re_cancel();
		return;
	}

	f->draining = true;
	(void)notify_printf("STOPPING=1\nSTATUS=draining");
	log_info(NULL, "draining", "signal=%s at_most_ms=%llu", signame, ms);

	tmr_start(&f->drain_tmr, ms, drain_timeout, f);
	if (f->role->drain)
		f->role->drain(f->state, drained_handler, f);
	else
		drained_handler(f);
}


static void signal_handler(int flags, void *arg)
{
	struct signalfd_siginfo si;
	struct frame *f = arg;
	(void)flags;

	if (read(f->sigfd, &si, sizeof(si)) != (ssize_t)sizeof(si))
		return;

	switch (si.ssi_signo) {
	case SIGTERM: term(f, "TERM", (pid_t)si.ssi_pid); break;
	case SIGINT:  term(f, "INT", (pid_t)si.ssi_pid);  break;
	case SIGHUP:  frame_reload(f);                    break;
	default:                                          break;
	}
}


static int signals_listen(struct frame *f)
{
	sigset_t set;

	signals_block(&set);
	f->sigfd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	if (f->sigfd < 0)
		return errno;

	return fd_listen(f->sigfd, FD_READ, signal_handler, f);
}


static void heartbeat(void *arg)
{
	struct frame *f = arg;

	tmr_start(&f->beat_tmr, notify_interval(), heartbeat, f);
	(void)notify_printf("WATCHDOG=1");
}


/* Each loop keeps a table as long as this limit: see worker_fdmax() */
static void files_limit(int64_t n)
{
	struct rlimit rl;

	if (getrlimit(RLIMIT_NOFILE, &rl))
		return;

	rl.rlim_cur = (rlim_t)n;
	if (rl.rlim_max != RLIM_INFINITY && rl.rlim_cur > rl.rlim_max) {
		log_warn(NULL, "fewer open files than configured",
			 "option=node.max_files wanted=%lld got=%llu",
			 n, (uint64_t)rl.rlim_max);
		rl.rlim_cur = rl.rlim_max;
	}
	(void)setrlimit(RLIMIT_NOFILE, &rl);
}


static int workers_start(struct frame *f)
{
	unsigned n = f->role->workers ? f->role->workers(f->cfg) : 1;
	unsigned i;
	int err = 0;

	n = min(n, (unsigned)WORKERS_MAX);
	f->env.workerv = mem_zalloc((n + 1) * sizeof(struct worker *), NULL);
	if (!f->env.workerv)
		return ENOMEM;

	for (i = 0; i < n && !err; i++) {
		char name[16];

		(void)re_snprintf(name, sizeof(name), "%s-%u",
				  f->role->name, i);
		err = worker_alloc(&f->env.workerv[i], name, i, NULL, NULL,
				   NULL);
		if (!err)
			f->env.workerc = i + 1;
	}

	return err;
}


static int ctl_start(struct frame *f, char *why, size_t whysz)
{
	int err;

	err = ctl_listen(&f->ctl, f->env.state_dir, f->role->name,
			 frame_cmdv, frame_cmdc, f);

	if (err == EADDRINUSE)
		(void)re_snprintf(why, whysz, "state directory %s: role %s"
				  " runs there already; stop it or name"
				  " another with --state",
				  f->env.state_dir, f->role->name);
	else if (err)
		(void)re_snprintf(why, whysz, "control socket in %s: %m",
				  f->env.state_dir, err);

	return err;
}


static int start(struct frame *f, char *why, size_t whysz)
{
	int err;

	files_limit(cfg_self(f->cfg)->max_files);
	err = fd_setsize(worker_fdmax());
	if (!err)
		err = signals_listen(f);
	if (!err)
		err = worker_adopt(&f->env.control, f->role->name);
	if (!err)
		err = bus_alloc(&f->env.bus);
	if (!err)
		err = workers_start(f);
	if (err) {
		(void)re_snprintf(why, whysz, "the process cannot be set up:"
				  " %m", err);
		return err;
	}

	/* the socket is also the lock of "one role a state directory" */
	err = ctl_start(f, why, whysz);
	if (err)
		return err;

	why[0] = '\0';
	err = f->role->start(&f->state, f->cfg, &f->env, why, whysz);
	if (err) {
		if (!why[0])
			(void)re_snprintf(why, whysz, "%m", err);
		return err;
	}
	f->started = true;

	return ctl_add(f->ctl, f->role->cmdv, f->role->cmdc, f->state);
}


static void stop(struct frame *f)
{
	unsigned i;

	(void)notify_printf("STOPPING=1\nSTATUS=stopping");
	(void)alarm(STOP_SECS);
	tmr_cancel(&f->drain_tmr);
	tmr_cancel(&f->beat_tmr);

	f->ctl = mem_deref(f->ctl);
	/* also what a failed start has left */
	if (f->state && f->role->stop)
		f->role->stop(f->state);

	frame_reload_wait(f);
	for (i = 0; i < f->env.workerc; i++)
		f->env.workerv[i] = mem_deref(f->env.workerv[i]);

	if (f->state && f->role->close)
		f->role->close(f->state);

	f->env.workerv = mem_deref(f->env.workerv);
	f->env.bus = mem_deref(f->env.bus);
	f->env.control = mem_deref(f->env.control);
	if (f->sigfd >= 0) {
		fd_close(f->sigfd);
		(void)close(f->sigfd);
	}
}


static void ready(struct frame *f)
{
	const uint64_t ms = tmr_jiffies() - f->began;

	log_info(NULL, "ready", "version=%s node=%s pid=%d workers=%u"
		 " state=\"%s\" ms=%llu", VOIPSTACK_VERSION, f->env.node,
		 (int)getpid(), f->env.workerc, f->env.state_dir, ms);
	(void)notify_printf("READY=1\nSTATUS=ready");
	if (notify_interval())
		heartbeat(f);
}


/**
 * Run one role until it is told to stop
 *
 * @param role  Role
 * @param opt   Command line
 * @param cfg   Configuration, handed over
 *
 * @return Exit code
 */
int frame_run(const struct role *role, const struct options *opt,
	      struct cfg *cfg)
{
	struct frame f;
	char why[WHY_SIZE];
	int err;

	memset(&f, 0, sizeof(f));
	f.role  = role;
	f.opt   = opt;
	f.cfg   = cfg;
	f.sigfd = -1;
	f.began = tmr_jiffies();
	tmr_init(&f.drain_tmr);
	tmr_init(&f.beat_tmr);
	f.env.state_dir = state_dir(opt);
	str_ncpy(f.node, cfg_self(cfg)->name, sizeof(f.node));
	f.env.node = f.node;

	log_init((enum log_level)cfg_log(cfg)->level,
		 (enum log_format)cfg_log(cfg)->format, role->name);
	notify_init();

	err = state_dir_create(f.env.state_dir, why, sizeof(why));
	if (!err && !notify_is_child())
		err = state_dir_probe(f.env.state_dir, why, sizeof(why));
	if (!err)
		err = start(&f, why, sizeof(why));
	if (err) {
		log_error(NULL, "cannot start", "why=\"%s\"", why);
		(void)notify_printf("STATUS=cannot start: %s\nERRNO=%d", why,
				    err);
	}
	else {
		ready(&f);
		err = re_main(NULL);
	}

	stop(&f);
	if (!err)
		log_info(NULL, "stopped", NULL);
	mem_deref(f.cfg);
	notify_close();

	return exit_code(err);
}
