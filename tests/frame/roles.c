/**
 * @file tests/frame/roles.c  Three roles that do nothing, for the frame's
 *                            and the supervisor's test
 *
 * The section of each says how it misbehaves.  Each worker reads its
 * configuration every millisecond, so that a reload which drops it too early
 * is seen by ASan.
 */
#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>
#include <re.h>
#include "cfg/cfg.h"
#include "ctl/ctl.h"
#include "log/log.h"
#include "worker/worker.h"
#include "role.h"


enum { WORKERS = 2, REFUSED = 66 };

struct section {
	int64_t value;		/* 66: refused by reload */
	int64_t start_errno;	/* start fails with it */
	uint64_t drain;		/* that long */
};

struct lane {
	const struct section *sec;
	struct tmr tmr;
	int64_t seen;
};

struct fake {
	const char *name;
	const struct section *sec;
	const struct role_env *env;
	struct lane lanev[WORKERS];
	struct tmr tmr;
	role_drained_h *drained;
	void *arg;
};

struct change {
	struct lane *lane;
	const struct section *sec;
};

static const struct cfg_opt optv[] = {
	{"value", CFG_INT, offsetof(struct section, value), 0, 100, "5"},
	{"start_errno", CFG_INT, offsetof(struct section, start_errno)},
	{"drain", CFG_DURATION, offsetof(struct section, drain), .def = "0"},
	{.name = NULL}
};

static const struct cfg_section sip_section = {
	"sip", optv, sizeof(struct section), "Test", NULL
};
static const struct cfg_section pbx_section = {
	"pbx", optv, sizeof(struct section), "Test", NULL
};
static const struct cfg_section media_section = {
	"media", optv, sizeof(struct section), "Test", NULL
};
static const struct cfg_section *const sip_sections[] = {&sip_section, NULL};
static const struct cfg_section *const pbx_sections[] = {&pbx_section, NULL};
static const struct cfg_section *const media_sections[] = {
	&media_section, NULL
};


static unsigned worker_count(const struct cfg *cfg)
{
	(void)cfg;

	return WORKERS;
}


static void tick(void *arg)
{
	struct lane *lane = arg;

	lane->seen += lane->sec->value;
	tmr_start(&lane->tmr, 1, tick, lane);
}


static void lane_change(void *arg)
{
	struct change *ch = arg;

	ch->lane->sec = ch->sec;
	if (ch->sec)
		tick(ch->lane);
	else
		tmr_cancel(&ch->lane->tmr);
	mem_deref(ch);
}


static int lanes_change(struct fake *fake, const struct section *sec)
{
	unsigned i;
	int err = 0;

	for (i = 0; i < fake->env->workerc && !err; i++) {
		struct change *ch = mem_zalloc(sizeof(*ch), NULL);

		if (!ch)
			return ENOMEM;
		ch->lane = &fake->lanev[i];
		ch->sec = sec;
		err = worker_post(fake->env->workerv[i], lane_change, ch);
		if (err)
			mem_deref(ch);
	}

	return err;
}


static int start(void **rp, const struct cfg *cfg, const struct role_env *env,
		 char *why, size_t whysz, const char *name)
{
	const struct section *sec = cfg_get(cfg, name);
	struct fake *fake;

	int err;

	fake = mem_zalloc(sizeof(*fake), NULL);
	if (!fake)
		return ENOMEM;

	fake->name = name;
	fake->env = env;
	fake->sec = sec;
	*rp = fake;

	err = lanes_change(fake, sec);
	if (!err && sec->start_errno) {
		(void)re_snprintf(why, whysz, "%s: told to fail", name);
		err = (int)sec->start_errno;
	}

	return err;
}


static int sip_start(void **rp, const struct cfg *cfg,
		     const struct role_env *env, char *why, size_t whysz)
{
	return start(rp, cfg, env, why, whysz, "sip");
}


static int pbx_start(void **rp, const struct cfg *cfg,
		     const struct role_env *env, char *why, size_t whysz)
{
	return start(rp, cfg, env, why, whysz, "pbx");
}


static int media_start(void **rp, const struct cfg *cfg,
		       const struct role_env *env, char *why, size_t whysz)
{
	return start(rp, cfg, env, why, whysz, "media");
}


static void drain_timeout(void *arg)
{
	struct fake *fake = arg;

	fake->drained(fake->arg);
}


static void drain(void *state, role_drained_h *drained, void *arg)
{
	struct fake *fake = state;

	fake->drained = drained;
	fake->arg = arg;
	if (fake->sec->drain)
		tmr_start(&fake->tmr, fake->sec->drain, drain_timeout, fake);
	else
		drained(arg);
}


static int reload(void *state, const struct cfg *cfg, char *why, size_t whysz)
{
	const struct section *sec;
	struct fake *fake = state;

	sec = cfg_get(cfg, fake->name);
	if (sec->value == REFUSED) {
		(void)re_snprintf(why, whysz, "%s.value: must not be 66",
				  fake->name);
		return EINVAL;
	}

	fake->sec = sec;

	return lanes_change(fake, sec);
}


static void stop(void *state)
{
	struct fake *fake = state;

	tmr_cancel(&fake->tmr);
	(void)lanes_change(fake, NULL);
}


static void close_handler(void *state)
{
	mem_deref(state);
}


static int status(void *state, struct odict *od)
{
	const struct fake *fake = state;

	return odict_entry_add(od, "value", ODICT_INT, fake->sec->value);
}


/* A broken role: its control loop stands still */
static void hang_handler(struct ctl_req *req, int argc,
			 const char *const *argv, void *arg)
{
	(void)req;
	(void)argc;
	(void)argv;
	(void)arg;

	for (;;)
		(void)pause();
}


static const struct ctl_cmd cmdv[] = {
	{"hang", NULL, "Stand still", hang_handler},
};

const struct role role_sip = {
	"sip", CFG_ROLE_SIP, sip_sections, worker_count, sip_start, drain,
	reload, stop, close_handler, status, cmdv, ARRAY_SIZE(cmdv)
};

const struct role role_pbx = {
	"pbx", CFG_ROLE_PBX, pbx_sections, worker_count, pbx_start, drain,
	reload, stop, close_handler, status, cmdv, ARRAY_SIZE(cmdv)
};

/* one that cannot reload */
const struct role role_media = {
	"media", CFG_ROLE_MEDIA, media_sections, worker_count, media_start,
	drain, NULL, stop, close_handler, status, cmdv, ARRAY_SIZE(cmdv)
};
