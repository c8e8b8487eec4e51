/**
 * @file ctl.h  Local control socket of a role: STATE/ctl-<role>.sock
 *
 * A line of JSON {"cmd":"status","args":[...]} in, one JSON object out, then
 * close.  0660, of the state directory's group.  Commands are a fixed table
 * of the role; each answers with an odict, at once or later.
 */

#ifndef VOIPSTACK_CTL_H
#define VOIPSTACK_CTL_H

struct ctl;
struct ctl_req;
struct odict;

/**
 * A command.  It must end with exactly one ctl_reply() or ctl_fail(), at once
 * or later, on the control loop.
 */
typedef void (ctl_h)(struct ctl_req *req, int argc, const char *const *argv,
		     void *arg);

struct ctl_cmd {
	const char *name;	/**< "calls"                            */
	const char *args;	/**< "[CALL-ID]", for help              */
	const char *help;
	ctl_h *h;
};

int ctl_listen(struct ctl **cp, const char *state_dir, const char *role,
	       const struct ctl_cmd *cmdv, size_t cmdc, void *arg);

int ctl_add(struct ctl *c, const struct ctl_cmd *cmdv, size_t cmdc,
	    void *arg);

/** od is borrowed.  An array of objects under one key is shown by the client
    as a table, scalar values as "key  value" lines */
void ctl_reply(struct ctl_req *req, const struct odict *od);
void ctl_fail(struct ctl_req *req, int err, const char *fmt, ...);

/**
 * The client: voipstack ctl CMD [ARGS].  Blocks, with time limits; prints to
 * stdout.
 *
 * @param state_dir  State directory
 * @param rolev      Roles to ask, end with NULL
 * @param bare       One role was asked for: its answer is not keyed by role
 * @param json       Print JSON instead of tables
 *
 * @return Exit code
 */
int ctl_client(const char *state_dir, const char *const *rolev, bool bare,
	       bool json, int argc, char *const argv[]);

/** Ask one role: what the client does, for other verbs.  Blocks.
    ENOENT, ECONNREFUSED: that role does not run.  The answer may be an error:
    its "error" (text) and "errno" */
int ctl_ask(struct odict **odp, const char *state_dir, const char *role,
	    const char *cmd, int argc, char *const argv[]);

#endif
