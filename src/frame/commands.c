/**
 * @file frame/frame.commands.c  Control commands that every role has
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>
#include <re.h>
#include "cfg/cfg.h"
#include "ctl/ctl.h"
#include "log/log.h"
#include "metric/metric.h"
#include "program.h"
#include "role.h"
#include "internal.h"


/** Resident memory of this process, proc(5) */
uint64_t frame_rss_bytes(void)
{
	char buf[128];
	struct pl size, rss;
	ssize_t n;
	int fd;

	fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;

	n = read(fd, buf, sizeof(buf));
	(void)close(fd);
	if (n <= 0 || re_regex(buf, (size_t)n, "[0-9]+ [0-9]+ ", &size, &rss))
		return 0;

	return pl_u64(&rss) * (uint64_t)sysconf(_SC_PAGESIZE);
}


static void status_handler(struct ctl_req *req, int argc,
			   const char *const *argv, void *arg)
{
	const struct frame *f = arg;
	struct odict *od = NULL;
	int err;
	(void)argc;
	(void)argv;

	err = odict_alloc(&od, 16);
	if (err)
		goto out;

	err |= odict_entry_add(od, "state", ODICT_STRING, f->draining ?
			       "draining" : f->started ? "ready" :
			       "starting");
	err |= odict_entry_add(od, "node", ODICT_STRING, f->env.node);
	err |= odict_entry_add(od, "pid", ODICT_INT, (int64_t)getpid());
	err |= odict_entry_add(od, "uptime_s", ODICT_INT,
			       (int64_t)((tmr_jiffies() - f->began) / 1000));
	if (f->started && f->role->status)
		err |= f->role->status(f->state, od);
	err |= odict_entry_add(od, "workers", ODICT_INT,
			       (int64_t)f->env.workerc);
	err |= odict_entry_add(od, "restarts", ODICT_INT,
			       (int64_t)notify_restarts());
	err |= odict_entry_add(od, "rss_bytes", ODICT_INT,
			       (int64_t)frame_rss_bytes());
 out:
	if (err)
		ctl_fail(req, err, "%m", err);
	else
		ctl_reply(req, od);
	mem_deref(od);
}


static bool metric_handler(const struct metric *m, void *arg)
{
	(void)odict_entry_add(arg, m->name, ODICT_INT, metric_get(m));

	return false;
}


static void metrics_handler(struct ctl_req *req, int argc,
			    const char *const *argv, void *arg)
{
	struct odict *od = NULL;
	int err;
	(void)argc;
	(void)argv;
	(void)arg;

	err = odict_alloc(&od, 64);
	if (err) {
		ctl_fail(req, err, "%m", err);
		return;
	}

	(void)odict_entry_add(od, "log_lines_lost_total", ODICT_INT,
			      (int64_t)log_lost());
	metric_apply(metric_handler, od);
	ctl_reply(req, od);
	mem_deref(od);
}


static void log_level_handler(struct ctl_req *req, int argc,
			      const char *const *argv, void *arg)
{
	static const char *const namev[] = {"error", "warn", "info", "debug"};
	struct odict *od = NULL;
	size_t i;
	(void)arg;

	for (i = 0; i < ARRAY_SIZE(namev); i++) {
		if (argc == 1 && !strcmp(argv[0], namev[i]))
			break;
	}
	if (i == ARRAY_SIZE(namev)) {
		ctl_fail(req, EINVAL, "expected one of error, warn, info,"
			 " debug");
		return;
	}

	log_level_set((enum log_level)i);
	log_info(NULL, "log level set", "level=%s", namev[i]);

	if (odict_alloc(&od, 4) ||
	    odict_entry_add(od, "level", ODICT_STRING, namev[i]))
		ctl_fail(req, ENOMEM, "%m", ENOMEM);
	else
		ctl_reply(req, od);
	mem_deref(od);
}


const struct ctl_cmd frame_cmdv[] = {
	{"status", NULL, "State, memory and the role's main figures",
	 status_handler},
	{"metrics", NULL, "All counters and gauges", metrics_handler},
	{"log-level", "error|warn|info|debug", "Until the next start or"
	 " reload", log_level_handler},
};

const size_t frame_cmdc = ARRAY_SIZE(frame_cmdv);
