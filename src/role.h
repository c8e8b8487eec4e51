/**
 * @file role.h  What a role gives to the frame, and gets from it
 *
 * roles/NAME/role.c defines one "const struct role role_NAME"; src/role.c
 * lists them.  The frame runs the process: configuration, log, workers,
 * signals, control socket, sd_notify.  All handlers below run on the control
 * loop (the main thread).
 *
 *   start -> READY -> (reload)* -> drain -> stop -> workers joined -> close
 */

#ifndef VOIPSTACK_ROLE_H
#define VOIPSTACK_ROLE_H

struct bus;
struct cfg;
struct cfg_section;
struct ctl_cmd;
struct odict;
struct worker;

/** What the frame has made before start; valid until close returns */
struct role_env {
	const char *state_dir;	/**< exists and is writable               */
	const char *node;	/**< name of this node                    */
	struct worker *control;	/**< the control loop                     */
	struct worker **workerv; /**< workers, running, index 0..workerc-1 */
	unsigned workerc;
	struct bus *bus;
};

/** No call is left (or there never was one) */
typedef void (role_drained_h)(void *arg);

struct role {
	const char *name;	/**< "sip": as in --role=sip              */
	int id;			/**< enum cfg_role                        */

	/** Sections of the file that this role owns, end with NULL */
	const struct cfg_section *const *sections;

	/** How many workers; NULL: one */
	unsigned (*workers)(const struct cfg *cfg);

	/**
	 * Start.  May block: nothing is served yet.  Sockets are bound when
	 * it returns, so that READY is true.
	 *
	 * @param rp   State of the role, given to all below.  If it is set
	 *             although start fails, stop and close are called: what
	 *             lives on workers can then be dropped there first
	 * @param cfg  Configuration, valid until replaced by reload (see
	 *             there) or until close returns
	 * @param env  What the frame offers
	 * @param why  On error: one line, what, where and what to do, such as
	 *             "sip.listen udp:0.0.0.0:5060: port is taken; ..."
	 *
	 * @return 0, or an errno that decides the exit code: EINVAL wrong
	 *         configuration, EACCES and EPERM missing right, EADDRINUSE,
	 *         ENOSPC, EBADMSG damaged data, EPROTONOSUPPORT newer, ...
	 */
	int (*start)(void **rp, const struct cfg *cfg,
		     const struct role_env *env, char *why, size_t whysz);

	/**
	 * Take no new calls; call drained(arg) once when the last one has
	 * ended, at once if there is none.  The frame bounds the wait
	 * (node.drain).  NULL: nothing to drain.
	 */
	void (*drain)(void *state, role_drained_h *drained, void *arg);

	/**
	 * Take a new configuration, checked already, without dropping a call.
	 * Workers learn of it by worker_post(); the old one is dropped when
	 * each worker has run what was posted to it here.  On error nothing
	 * has changed and the old one stays.  NULL: needs a restart.
	 */
	int (*reload)(void *state, const struct cfg *cfg,
		      char *why, size_t whysz);

	/**
	 * Stop, workers still run: post to them to drop their objects; the
	 * frame joins them after they have run what was posted.
	 */
	void (*stop)(void *state);

	/** Free what is left; no worker runs any more */
	void (*close)(void *state);

	/** Add this role's figures to "ctl status": calls, registrations,
	    sessions, backends, ...; NULL: none */
	int (*status)(void *state, struct odict *od);

	/** Commands of the control socket beside the frame's own (status,
	    metrics, log-level, help); arg is the state */
	const struct ctl_cmd *cmdv;
	size_t cmdc;
};

extern const struct role role_media;
extern const struct role role_pbx;
extern const struct role role_sip;

/** All roles of this program, in the order of start; NULL past the end */
const struct role *role_get(size_t idx);
const struct role *role_find(const char *name);

#endif
