/**
 * @file user/verb.c  voipstack user ...
 *
 *   words -> names, password -> HA1 -> sip.db
 *                                   -> busy: the sip role's control socket
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>
#include <re.h>
#include <mbedtls/platform_util.h>
#include "ctl/ctl.h"
#include "store/store.h"
#include "worker/worker.h"
#include "user/user.h"
#include "user/internal.h"


enum {
	EX_FAILED = 1,
};

/** The command line */
struct command {
	const char *state_dir;
	const char *const *domainv;
	bool list;
	bool json;
	enum user_source source;
	const char *given;		/**< --password */
	const char *name;		/**< EXT[@DOMAIN] */
	struct user_change ch;
};

/** Waiting for the store */
struct wait {
	int err;
	bool json;
	unsigned n;
};


static void usage(FILE *f)
{
	(void)re_fprintf(f,
		"voipstack user add EXT[@DOMAIN]      new subscriber; a"
		" password is made and shown once\n"
		"voipstack user passwd EXT[@DOMAIN]   another password\n"
		"voipstack user disable EXT[@DOMAIN]  may not register and"
		" call; keeps the password\n"
		"voipstack user enable EXT[@DOMAIN]\n"
		"voipstack user del EXT[@DOMAIN]\n"
		"voipstack user list [--json]\n"
		"\n"
		"  --password-stdin  read the password from standard input\n"
		"  --prompt          ask for it\n"
		"  --password WORD   others on this machine can see it\n"
		"\n"
		"Works beside running roles.  Only hashes are stored, so a"
		" lost password cannot be\nshown again, only replaced.\n");
}


static int bad_usage(const char *what, const char *word)
{
	(void)re_fprintf(stderr, "voipstack user: %s%s%s%s; see voipstack"
			 " user help\n", what, word ? " \"" : "",
			 word ? word : "", word ? "\"" : "");

	return EX_USAGE;
}


static int option_parse(struct command *cmd, char *const argv[], int argc,
			int *used)
{
	const char *a = argv[0];

	*used = 1;
	if (!strcmp(a, "--json"))
		cmd->json = true;
	else if (!strcmp(a, "--prompt"))
		cmd->source = USER_PROMPT;
	else if (!strcmp(a, "--password-stdin"))
		cmd->source = USER_STDIN;
	else if (!strcmp(a, "--password") || !strcmp(a, "--state") ||
		 !strcmp(a, "-s")) {

		if (argc < 2)
			return bad_usage("a value must follow", a);

		*used = 2;
		if (a[2] != 'p')
			cmd->state_dir = argv[1];
		else {
			cmd->source = USER_ARGV;
			cmd->given  = argv[1];
		}
	}
	else
		return bad_usage("unknown option", a);

	return 0;
}


static int words_parse(struct command *cmd, int argc, char *const argv[])
{
	int i, used, code;

	for (i=1; i<argc; i+=used) {

		used = 1;
		if (argv[i][0] == '-') {
			code = option_parse(cmd, &argv[i], argc - i, &used);
			if (code)
				return code;
		}
		else if (cmd->name || cmd->list)
			return bad_usage("one word too many:", argv[i]);
		else
			cmd->name = argv[i];
	}

	if (!cmd->list && !cmd->name)
		return bad_usage("an extension must follow", argv[0]);

	return 0;
}


static bool domain_known(const struct command *cmd)
{
	size_t i;

	for (i=0; cmd->domainv[i]; i++) {
		if (!strcmp(cmd->domainv[i], cmd->ch.domain))
			return true;
	}

	return false;
}


/* EXT[@DOMAIN]; says what is wrong with it */
static int name_parse(struct command *cmd)
{
	const char *at = strchr(cmd->name, '@');
	const size_t n = at ? (size_t)(at - cmd->name) : strlen(cmd->name);
	const char *domain = at ? at + 1 : cmd->domainv[0];
	struct user_change *ch = &cmd->ch;
	char why[128];

	if (n > USER_NAME_MAX || strlen(domain) > USER_DOMAIN_MAX) {
		(void)re_fprintf(stderr, "voipstack: \"%s\" is too long\n",
				 cmd->name);
		return EX_USAGE;
	}

	memcpy(ch->user, cmd->name, n);
	str_ncpy(ch->domain, domain, sizeof(ch->domain));

	if (user_names_check(ch, why, sizeof(why))) {
		(void)re_fprintf(stderr, "voipstack: \"%s\": %s\n",
				 cmd->name, why);
		return EX_USAGE;
	}

	if (ch->op == USER_ADD && !domain_known(cmd)) {
		(void)re_fprintf(stderr, "voipstack: \"%s\" is not one of this"
				 " system's domains (the first is \"%s\"); add"
				 " it to domains: in the configuration\n",
				 ch->domain, cmd->domainv[0]);
		return EX_USAGE;
	}

	return 0;
}


/* Files that root makes must belong to whom the folder belongs */
static void become_owner(const char *dir)
{
	struct stat sb;

	if (geteuid() != 0 || stat(dir, &sb) || sb.st_uid == 0)
		return;

	if (setegid(sb.st_gid) || seteuid(sb.st_uid))
		return;
}


static int exit_code(int err)
{
	switch (err) {

	case EBADMSG:
	case EPROTONOSUPPORT: return EX_DATAERR;
	case EACCES:
	case EPERM:
	case EROFS:           return EX_NOPERM;
	case ENOSPC:
	case EIO:             return EX_IOERR;
	default:              return EX_FAILED;
	}
}


static int complain(const struct command *cmd, int err)
{
	const struct user_change *ch = &cmd->ch;

	if (err == EEXIST)
		(void)re_fprintf(stderr, "voipstack: %s@%s exists already;"
				 " for a new password: voipstack user passwd"
				 " %s\n", ch->user, ch->domain, cmd->name);
	else if (err == ENOENT)
		(void)re_fprintf(stderr, "voipstack: there is no %s@%s;"
				 " voipstack user list shows all\n",
				 ch->user, ch->domain);
	else
		(void)re_fprintf(stderr, "voipstack: %s@%s: %m; nothing was"
				 " changed\n", ch->user, ch->domain, err);

	return exit_code(err);
}


static void done_handler(int err, void *arg)
{
	struct wait *w = arg;

	w->err = err;
	re_cancel();
}


static int direct_change(const struct command *cmd, struct store *st)
{
	struct wait w = {0, false, 0};
	int err;

	err = user_change(st, &cmd->ch, done_handler, &w);
	if (err)
		return err;

	err = re_main(NULL);

	return err ? err : w.err;
}


/* The sip role has the database: ask it */
static int ctl_change(const struct command *cmd)
{
	const struct user_change *ch = &cmd->ch;
	char op[16], user[USER_NAME_MAX + 1], domain[USER_DOMAIN_MAX + 1];
	char ha1m[33], ha1s[65];
	char *const argv[] = {op, user, domain, ha1m, ha1s};
	struct odict *od = NULL;
	uint64_t num = 0;
	int err;

	str_ncpy(op, user_op_name(ch->op), sizeof(op));
	str_ncpy(user, ch->user, sizeof(user));
	str_ncpy(domain, ch->domain, sizeof(domain));
	str_ncpy(ha1m, ch->ha1_md5, sizeof(ha1m));
	str_ncpy(ha1s, ch->ha1_sha256, sizeof(ha1s));

	err = ctl_ask(&od, cmd->state_dir, "sip", USER_CTL_NAME,
		      ch->ha1_md5[0] ? 5 : 3, argv);
	if (err)
		return err == ENOENT || err == ECONNREFUSED ? EBUSY : err;

	if (odict_string(od, "error")) {
		err = odict_get_number(od, &num, "errno") ? (int)num : EIO;
		if (err == ENOSYS)
			err = EBUSY;
	}

	mem_deref(od);

	return err;
}


static int change(const struct command *cmd)
{
	struct store *st = NULL;
	char why[256];
	int err;

	become_owner(cmd->state_dir);
	err = store_open(&st, STORE_SIP, cmd->state_dir, false,
			 why, sizeof(why));
	if (!err) {
		err = direct_change(cmd, st);
		mem_deref(st);
	}
	else if (err == EBUSY) {
		err = ctl_change(cmd);
		if (err != EBUSY)
			return err ? complain(cmd, err) : 0;
		(void)re_fprintf(stderr, "voipstack: %s, or wait until it"
				 " answers\n", why);
		return EX_UNAVAILABLE;
	}
	else {
		(void)re_fprintf(stderr, "voipstack: %s\n", why);
		return exit_code(err);
	}

	return err ? complain(cmd, err) : 0;
}


static int secret_get(struct command *cmd, char *secret, size_t size)
{
	if (cmd->source == USER_ARGV)
		(void)re_fprintf(stderr, "voipstack: warning: a password on"
				 " the command line can be seen by others;"
				 " better --password-stdin\n");

	if (user_secret_get(secret, size, cmd->source, cmd->given))
		return EX_USAGE;

	return user_ha1(&cmd->ch, secret) ? EX_SOFTWARE : 0;
}


static void told(const struct command *cmd, const char *secret)
{
	const struct user_change *ch = &cmd->ch;
	const bool generated = secret[0] && cmd->source == USER_GENERATE;

	if (cmd->json) {
		(void)re_printf("{\"result\":\"%s\",\"user\":\"%s\","
				"\"domain\":\"%s\"",
				user_op_name(ch->op), ch->user, ch->domain);
		if (generated)
			(void)re_printf(",\"password\":\"%s\"", secret);
		(void)re_printf("}\n");
		return;
	}

	(void)re_printf("%s %s@%s\n", user_op_past(ch->op), ch->user,
			ch->domain);
	if (generated)
		(void)re_printf("password: %s\n", secret);
}


static int change_verb(struct command *cmd)
{
	const bool wants = cmd->ch.op == USER_ADD ||
		cmd->ch.op == USER_PASSWD;
	char secret[USER_SECRET_MAX + 2] = "";
	int code;

	code = name_parse(cmd);
	if (!code && !wants && cmd->source != USER_GENERATE)
		code = bad_usage("no password is needed for",
				 user_op_name(cmd->ch.op));
	if (!code && wants)
		code = secret_get(cmd, secret, sizeof(secret));
	if (!code)
		code = change(cmd);
	if (!code)
		told(cmd, secret);

	mbedtls_platform_zeroize(secret, sizeof(secret));
	mbedtls_platform_zeroize(&cmd->ch, sizeof(cmd->ch));

	return code;
}


static bool row_handler(const struct store_subscriber *s, void *arg)
{
	struct wait *w = arg;

	if (w->json)
		(void)re_printf("%s{\"user\":\"%H\",\"domain\":\"%H\","
				"\"disabled\":%s}", w->n ? "," : "",
				utf8_encode, s->user, utf8_encode, s->domain,
				s->disabled ? "true" : "false");
	else
		(void)re_printf("%s@%s%s\n", s->user, s->domain,
				s->disabled ? "  (disabled)" : "");
	++w->n;

	return false;
}


static int list_verb(const struct command *cmd)
{
	struct wait w = {0, cmd->json, 0};
	struct store *st = NULL;
	char why[256];
	int err;

	err = store_open(&st, STORE_SIP, cmd->state_dir, true,
			 why, sizeof(why));
	if (err && err != ENOENT) {
		(void)re_fprintf(stderr, "voipstack: %s\n", why);
		return exit_code(err);
	}

	if (cmd->json)
		(void)re_printf("{\"subscribers\":[");
	if (!err) {
		err = store_subscriber_list(st, NULL, 0, row_handler,
					    done_handler, &w);
		err = err ? err : re_main(NULL);
		err = err ? err : w.err;
	}
	else
		err = 0;
	if (cmd->json)
		(void)re_printf("]}\n");
	else if (!w.n && !err)
		(void)re_fprintf(stderr, "voipstack: no subscribers yet;"
				 " voipstack user add EXT makes one\n");

	mem_deref(st);
	if (err)
		(void)re_fprintf(stderr, "voipstack: %s/sip.db: %m\n",
				 cmd->state_dir, err);

	return err ? exit_code(err) : 0;
}


int user_verb(const char *state_dir, const char *const *domainv,
	      int argc, char *const argv[])
{
	struct command cmd;
	struct worker *self = NULL;
	int code;

	if (argc < 1 || !strcmp(argv[0], "help") ||
	    !strcmp(argv[0], "--help")) {
		usage(argc < 1 ? stderr : stdout);
		return argc < 1 ? EX_USAGE : 0;
	}

	memset(&cmd, 0, sizeof(cmd));
	cmd.state_dir = state_dir;
	cmd.domainv   = domainv;
	cmd.list      = !strcmp(argv[0], "list");
	if (!cmd.list && !user_op_find(&cmd.ch.op, argv[0]))
		return bad_usage("unknown command", argv[0]);

	code = words_parse(&cmd, argc, argv);
	if (code)
		return code;

	if (worker_adopt(&self, "user"))
		return EX_OSERR;

	code = cmd.list ? list_verb(&cmd) : change_verb(&cmd);
	mem_deref(self);

	return code;
}
