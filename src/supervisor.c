/**
 * @file supervisor.c  --role=all: one process a role, started again if it
 *                     dies
 *
 *   starting -- READY=1 --> ready -- dies --> waiting (back-off) -> starting
 *      | exits 64..78 before any READY: the whole is given up
 *
 * A role dies with us (PR_SET_PDEATHSIG); it tells us how it is over a
 * socket, in the words of sd_notify(3).
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <re.h>
#include "cfg/cfg.h"
#include "log/log.h"
#include "program.h"
#include "role.h"


enum {
	ROLES_MAX   = 4,
	BACKOFF_MIN = 100,	/* ms */
	BACKOFF_MAX = 3000,	/* ms: new calls work 5 s after a kill */
	STEADY_MS   = 1000,	/* ready for so long: back-off begins anew */
	SILENT_MS   = 30000,	/* no WATCHDOG=1: the loop hangs */
	START_MS    = 300000,	/* until READY=1; a database may be large */
	KILL_MS     = 15000,	/* after the drain time */
	NOTIFY_FD   = 3,	/* in a child */
	CONFIG_FD   = 4,
};

struct supervisor;

struct child {
	struct supervisor *sup;
	const struct role *role;
	pid_t pid;		/* 0: none */
	int fd;			/* what it tells us */
	bool ready;
	bool was_ready;		/* at any time */
	uint64_t ready_at;
	uint64_t backoff;	/* ms */
	unsigned restarts;
	struct tmr tmr;		/* to start it again, or hang */
};

struct supervisor {
	const struct options *opt;
	struct cfg *cfg;
	int cfgfd;		/* the text of cfg, for children */
	const char *state;
	struct child childv[ROLES_MAX];
	size_t n;
	int sigfd;
	uint64_t began;
	bool all_ready;		/* has been said */
	bool stopping;
	uint64_t stopped_at;	/* when that began */
	int code;
	struct tmr kill_tmr;
	struct tmr beat_tmr;
};

static void child_start(void *arg);


static unsigned running(const struct supervisor *s)
{
	unsigned n = 0;
	size_t i;

	for (i = 0; i < s->n; i++)
		n += s->childv[i].pid != 0;

	return n;
}


static void signal_all(const struct supervisor *s, int sig)
{
	size_t i;

	for (i = 0; i < s->n; i++) {
		if (s->childv[i].pid)
			(void)kill(s->childv[i].pid, sig);
	}
}


static void kill_timeout(void *arg)
{
	const struct supervisor *s = arg;

	log_error(NULL, "a role does not stop: killed", NULL);
	signal_all(s, SIGKILL);
}


/* The role whose calls decide when the others may go */
static const struct child *calls_child(const struct supervisor *s)
{
	size_t i;

	for (i = 0; i < s->n; i++) {
		const struct child *c = &s->childv[i];

		if (c->role->id == CFG_ROLE_PBX && c->pid && c->ready)
			return c;
	}

	return NULL;
}


/* Two signals cut the calls: see frame_run() */
static void cut_all(const struct supervisor *s)
{
	signal_all(s, SIGTERM);
	signal_all(s, SIGINT);
}


/*
 * The pbx drains first: as long as it has calls, their BYE needs the sip
 * role and their media the media role.
 */
static void stop(struct supervisor *s, int code)
{
	const struct child *calls = calls_child(s);
	size_t i;

	if (s->stopping) {
		cut_all(s);
		return;
	}

	s->stopping   = true;
	s->stopped_at = tmr_jiffies();
	s->code       = code;
	(void)notify_printf("STOPPING=1\nSTATUS=stopping");
	tmr_start(&s->kill_tmr, cfg_self(s->cfg)->drain + KILL_MS,
		  kill_timeout, s);
	for (i = 0; i < s->n; i++)
		tmr_cancel(&s->childv[i].tmr);

	if (calls && code == EXIT_OK)
		(void)kill(calls->pid, SIGTERM);
	else
		signal_all(s, SIGTERM);
	if (!running(s))
		re_cancel();
}


/* A role has ended while we stop */
static void stop_next(struct supervisor *s, const struct child *c)
{
	if (!running(s))
		re_cancel();
	else if (c->role->id != CFG_ROLE_PBX)
		return;
	else if (tmr_jiffies() - s->stopped_at < cfg_self(s->cfg)->drain)
		signal_all(s, SIGTERM);
	else
		cut_all(s);
}


static void check_all_ready(struct supervisor *s)
{
	size_t i;

	for (i = 0; i < s->n; i++) {
		if (!s->childv[i].ready)
			return;
	}

	if (!s->all_ready)
		log_info(NULL, "all roles ready", "version=%s node=%s"
			 " state=\"%s\" ms=%llu", VOIPSTACK_VERSION,
			 cfg_self(s->cfg)->name, s->state,
			 tmr_jiffies() - s->began);
	s->all_ready = true;
	(void)notify_printf("READY=1\nSTATUS=all roles ready");
}


static void hang_timeout(void *arg)
{
	const struct child *c = arg;

	log_error(NULL, "a role hangs: killed", "name=%s pid=%d silent_ms=%d",
		  c->role->name, (int)c->pid, c->ready ? SILENT_MS :
		  START_MS);
	if (c->pid)
		(void)kill(c->pid, SIGKILL);
}


static void told_handler(int flags, void *arg)
{
	struct child *c = arg;
	char buf[1024];
	ssize_t n;
	(void)flags;

	n = recv(c->fd, buf, sizeof(buf) - 1, MSG_DONTWAIT);
	if (n < 0)
		return;
	if (n == 0) {
		/* closed: SIGCHLD follows */
		fd_close(c->fd);
		return;
	}
	buf[n] = '\0';

	tmr_start(&c->tmr, SILENT_MS, hang_timeout, c);
	if (strncmp(buf, "READY=1", 7) || c->ready)
		return;

	c->ready = c->was_ready = true;
	c->ready_at = tmr_jiffies();
	if (c->restarts)
		log_info(NULL, "role is back", "name=%s pid=%d restarts=%u",
			 c->role->name, (int)c->pid, c->restarts);
	check_all_ready(c->sup);
}


/* A descriptor of ours becomes the child's fd, and outlives exec */
static void child_inherit(int fd, int from)
{
	if (fd == from ? fcntl(fd, F_SETFD, 0) : dup2(from, fd) < 0)
		_exit(EXIT_OS);
}


/* In the child: what it inherits */
static void child_prepare(const struct child *c, int fd, pid_t parent)
{
	const int low = fcntl(fd, F_DUPFD, CONFIG_FD + 1);
	sigset_t set;

	/* the race: our parent may have died before prctl() */
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(EXIT_OS);

	/* ^C at a terminal is for the supervisor, who passes it on */
	(void)setpgid(0, 0);

	/* those for its signalfd stay blocked, and so wait for it */
	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGINT);
	(void)sigaddset(&set, SIGHUP);
	(void)sigprocmask(SIG_SETMASK, &set, NULL);

	/* above first: the numbers may be those of the sources */
	child_inherit(CONFIG_FD, c->sup->cfgfd);
	child_inherit(NOTIFY_FD, low);

	/* libre's epoll descriptor has no close-on-exec flag */
	(void)close_range(CONFIG_FD + 1, ~0U, 0);
}


/* In the child, between fork and exec */
static void child_exec(const struct child *c)
{
	const struct options *opt = c->sup->opt;
	const char *config = config_file(opt);
	char restarts[16], role[16], text[48];
	const char *argv[12] = {"voipstack", role, "--state", c->sup->state};
	int n = 4;

	(void)re_snprintf(role, sizeof(role), "--role=%s", c->role->name);
	if (config) {
		argv[n++] = "--config";
		argv[n++] = config;
	}
	if (opt->node) {
		argv[n++] = "--node";
		argv[n++] = opt->node;
	}

	(void)re_snprintf(restarts, sizeof(restarts), "%u", c->restarts);
	(void)setenv("VOIPSTACK_NOTIFY_FD", "3", 1);
	(void)setenv("VOIPSTACK_CONFIG_FD", "4", 1);
	(void)re_snprintf(text, sizeof(text), "/proc/%d/fd/%d",
			  (int)getppid(), c->sup->cfgfd);
	(void)setenv("VOIPSTACK_CONFIG_TEXT", text, 1);
	(void)setenv("VOIPSTACK_RESTARTS", restarts, 1);

	(void)execv("/proc/self/exe", (char *const *)(void *)argv);
	_exit(EXIT_OS);
}


static int child_fork(struct child *c)
{
	const pid_t parent = getpid();
	int fdv[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fdv))
		return errno;

	pid = fork();
	if (!pid) {
		child_prepare(c, fdv[1], parent);
		child_exec(c);
	}

	(void)close(fdv[1]);
	if (pid < 0) {
		(void)close(fdv[0]);
		return errno;
	}

	c->pid = pid;
	c->fd = fdv[0];
	c->ready = false;
	tmr_start(&c->tmr, START_MS, hang_timeout, c);

	return fd_listen(c->fd, FD_READ, told_handler, c);
}


static void start_later(struct child *c)
{
	tmr_start(&c->tmr, c->backoff, child_start, c);
	c->backoff = min(c->backoff * 2, (uint64_t)BACKOFF_MAX);
}


static void child_start(void *arg)
{
	struct child *c = arg;
	int err;

	err = child_fork(c);
	if (!err)
		return;

	log_error(NULL, "a role cannot be started", "name=%s why=\"%m\"",
		  c->role->name, err);
	start_later(c);
}


static void died(struct child *c, int status)
{
	struct supervisor *s = c->sup;
	const int code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
	const int sig = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
	const bool steady = c->ready &&
		tmr_jiffies() - c->ready_at >= STEADY_MS;

	tmr_cancel(&c->tmr);
	fd_close(c->fd);
	(void)close(c->fd);
	c->fd = -1;
	c->pid = 0;
	c->ready = false;

	if (s->stopping) {
		stop_next(s, c);
		return;
	}

	/* what was wrong at the first start will be wrong again */
	if (!c->was_ready && code >= EXIT_USAGE && code <= EXIT_CONFIG) {
		log_error(NULL, "given up: a role cannot start",
			  "name=%s code=%d", c->role->name, code);
		stop(s, code);
		return;
	}

	if (steady)
		c->backoff = BACKOFF_MIN;
	++c->restarts;
	log_error(NULL, "role died, started again", "name=%s code=%d"
		  " signal=%d in_ms=%llu restarts=%u", c->role->name, code,
		  sig, c->backoff, c->restarts);
	(void)notify_printf("STATUS=role %s died, started again",
			    c->role->name);
	start_later(c);
}


static void reap(struct supervisor *s)
{
	int status;
	pid_t pid;
	size_t i;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {

		for (i = 0; i < s->n; i++) {
			if (s->childv[i].pid == pid) {
				died(&s->childv[i], status);
				break;
			}
		}
	}
}


/*
 * Children get the text that was checked, not the file: a role that dies
 * while somebody edits the file comes back all the same.
 */
static int text_keep(struct supervisor *s, const struct mbuf *text)
{
	int fd;

	fd = memfd_create("voipstack.yaml", MFD_CLOEXEC);
	if (fd < 0)
		return errno;

	if (write(fd, text->buf, text->end) != (ssize_t)text->end) {
		(void)close(fd);
		return ENOSPC;
	}

	/* the number stays: roles open it through /proc to reload */
	if (s->cfgfd >= 0) {
		const int err = dup3(fd, s->cfgfd, O_CLOEXEC) < 0 ? errno : 0;

		(void)close(fd);
		return err;
	}
	s->cfgfd = fd;

	return 0;
}


/* A file that is wrong is not passed on.  It is read on this loop, which
   carries no calls. */
static void reload(struct supervisor *s)
{
	struct mbuf *text = NULL;
	struct cfg *cfg = NULL;

	if (s->stopping)
		return;

	notify_reloading();
	if (config_reload(&cfg, &text, s->opt) || text_keep(s, text)) {
		log_error(NULL, "reload failed, the old configuration stays",
			  NULL);
		(void)notify_printf("READY=1\nSTATUS=reload failed, see the"
				    " log");
		mem_deref(cfg);
		mem_deref(text);
		return;
	}
	mem_deref(text);

	log_info(NULL, "reload passed on to the roles", NULL);
	mem_deref(s->cfg);
	s->cfg = cfg;
	signal_all(s, SIGHUP);
	(void)notify_printf("READY=1\nSTATUS=reloaded");
}


static void signal_handler(int flags, void *arg)
{
	struct supervisor *s = arg;
	struct signalfd_siginfo si;
	(void)flags;

	while (read(s->sigfd, &si, sizeof(si)) == (ssize_t)sizeof(si)) {

		switch (si.ssi_signo) {
		case SIGCHLD:
			reap(s);
			break;
		case SIGHUP:
			reload(s);
			break;
		default:
			log_info(NULL, s->stopping ? "second signal" :
				 "stopping", "signal=%u", si.ssi_signo);
			stop(s, EXIT_OK);
			break;
		}
	}
}


static int signals_listen(struct supervisor *s)
{
	static const int sigv[] = {SIGTERM, SIGINT, SIGHUP, SIGCHLD};
	sigset_t set;
	size_t i;

	(void)sigemptyset(&set);
	for (i = 0; i < ARRAY_SIZE(sigv); i++)
		(void)sigaddset(&set, sigv[i]);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);

	s->sigfd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	if (s->sigfd < 0)
		return errno;

	return fd_listen(s->sigfd, FD_READ, signal_handler, s);
}


/* systemd's watchdog watches us; we watch the roles */
static void heartbeat(void *arg)
{
	struct supervisor *s = arg;

	tmr_start(&s->beat_tmr, notify_interval(), heartbeat, s);
	(void)notify_printf("WATCHDOG=1");
}


static void children_init(struct supervisor *s)
{
	const struct role *role;
	size_t i;

	for (i = 0; (role = role_get(i)) && i < ROLES_MAX; i++) {
		struct child *c = &s->childv[i];

		c->sup = s;
		c->role = role;
		c->fd = -1;
		c->backoff = BACKOFF_MIN;
		tmr_init(&c->tmr);
	}
	s->n = i;
}


static void loop(struct supervisor *s)
{
	size_t i;

	for (i = 0; i < s->n; i++)
		child_start(&s->childv[i]);
	if (notify_interval())
		heartbeat(s);

	(void)re_main(NULL);

	for (i = 0; i < s->n; i++)
		tmr_cancel(&s->childv[i].tmr);
	tmr_cancel(&s->kill_tmr);
	tmr_cancel(&s->beat_tmr);
}


static int prepare(struct supervisor *s, const struct mbuf *text, char *why,
		   size_t whysz)
{
	int err;

	err = state_dir_create(s->state, why, whysz);
	if (!err)
		err = state_dir_probe(s->state, why, whysz);
	if (err)
		return err;

	err = signals_listen(s);
	if (!err)
		err = text_keep(s, text);
	if (err)
		(void)re_snprintf(why, whysz, "the process cannot be set up:"
				  " %m", err);

	return err;
}


static void tidy(struct supervisor *s)
{
	if (s->sigfd >= 0) {
		fd_close(s->sigfd);
		(void)close(s->sigfd);
	}
	if (s->cfgfd >= 0)
		(void)close(s->cfgfd);
	mem_deref(s->cfg);
	notify_close();
}


/**
 * Run all roles, each in a process of its own
 *
 * @param opt   Command line
 * @param cfg   Configuration, handed over
 * @param text  Its text, handed over
 *
 * @return Exit code
 */
int supervisor_run(const struct options *opt, struct cfg *cfg,
		   struct mbuf *text)
{
	struct supervisor s;
	char why[256];
	int err;

	memset(&s, 0, sizeof(s));
	s.opt   = opt;
	s.cfg   = cfg;
	s.state = state_dir(opt);
	s.sigfd = s.cfgfd = -1;
	s.began = tmr_jiffies();
	tmr_init(&s.kill_tmr);
	tmr_init(&s.beat_tmr);
	children_init(&s);

	log_init((enum log_level)cfg_log(cfg)->level,
		 (enum log_format)cfg_log(cfg)->format, "supervisor");
	notify_init();

	err = prepare(&s, text, why, sizeof(why));
	mem_deref(text);
	if (err) {
		log_error(NULL, "cannot start", "why=\"%s\"", why);
		s.code = exit_code(err);
	}
	else {
		loop(&s);
	}

	log_info(NULL, "stopped", "code=%d", s.code);
	tidy(&s);

	return s.code;
}
