/**
 * @file user.h  Subscribers: the verb "user", and its door into a running role
 *
 * A password never leaves the process that was given it: what is stored and
 * what crosses the control socket is HA1 (RFC 7616 3.4.2).
 */

#ifndef VOIPSTACK_USER_H
#define VOIPSTACK_USER_H

struct ctl_req;
struct store;

/**
 * voipstack user add|passwd|enable|disable|del|list ...  Blocks; prints what
 * it did to stdout, and why not to stderr.
 *
 * @param state_dir State directory
 * @param domainv   The configuration's domains, NULL-terminated; the first is
 *                  the default
 * @param argc      Words after "user"
 * @param argv      The words
 *
 * @return Exit code
 */
int user_verb(const char *state_dir, const char *const *domainv,
	      int argc, char *const argv[]);

/** Words of user_ctl(), for the help of the role's command */
#define USER_CTL_NAME "subscriber"
#define USER_CTL_ARGS "add|passwd|enable|disable|del USER DOMAIN"	\
	" [HA1-MD5 HA1-SHA256]"
#define USER_CTL_HELP "change a subscriber (see voipstack user help)"

/**
 * The command "subscriber" of the role that has sip.db open for writing: the
 * verb uses it when the database is busy.  Replies when the change is on
 * disk.
 *
 * @param req  Request, answered at once or later
 * @param argc Arguments
 * @param argv Arguments: see USER_CTL_ARGS
 * @param st   The role's STORE_SIP
 */
void user_ctl(struct ctl_req *req, int argc, const char *const *argv,
	      struct store *st);

#endif
