/**
 * @file options.c  The command line
 */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <re.h>
#include "cfg/cfg.h"
#include "program.h"
#include "role.h"


struct flag {
	const char *name;
	char letter;
	size_t offset;		/* of a const char * in struct options */
};

static const char *const verbs[] = {
	"run", "check", "explain", "ctl", "user", "version", "help", NULL
};

static const struct flag flagv[] = {
	{"config", 'c', offsetof(struct options, config)},
	{"state",  's', offsetof(struct options, state)},
	{"node",   'n', offsetof(struct options, node)},
	{"role",   'r', offsetof(struct options, role)},
};


void options_usage(FILE *f)
{
	(void)re_fprintf(f,
		"voipstack [OPTIONS] [VERB]\n"
		"\n"
		"  run               run this node's roles (the default)\n"
		"  check [FILE|-]    read the configuration, print all that"
		" is wrong\n"
		"  explain [PATH]    every option's value and where it came"
		" from; or a code\n"
		"                    (VS0202) of check\n"
		"  ctl [CMD ...]     ask the running roles; without CMD:"
		" status;\n"
		"                    ctl help lists the commands\n"
		"  user add|del|list subscribers and their passwords\n"
		"  version           print the version\n"
		"  help [config|reference|schema]\n"
		"                    print this, or an example configuration,"
		" the page of all\n"
		"                    options, their JSON Schema\n"
		"\n"
		"  -c, --config FILE default ./voipstack.yaml, then\n"
		"                    /etc/voipstack/voipstack.yaml, then"
		" built-in defaults\n"
		"  -s, --state DIR   default $STATE_DIRECTORY, then ./state"
		" if it exists,\n"
		"                    then /var/lib/voipstack if writable, then"
		" ./state\n"
		"  -r, --role ROLE   sip, pbx, media or all (default: the"
		" node's role)\n"
		"  -n, --node NAME   which of nodes: this machine is (default:"
		" host name)\n"
		"      --json        ctl, check, explain: print JSON\n"
		"      --strict      check: warnings are errors (exit 3)\n"
		"\n"
		"Exit codes: 0 good, 1 check: errors, 3 check --strict:"
		" warnings,\n64 command line, 65 damaged data, 71"
		" system (port taken),\n"
		"74 disk, 77 missing right, 78 configuration\n");
}


/** Say what is wrong with the command line; returns EXIT_USAGE */
int usage_error(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)re_fprintf(stderr, "voipstack: %v; see voipstack help\n", fmt,
			 &ap);
	va_end(ap);

	return EXIT_USAGE;
}


static bool is_verb(const char *s)
{
	size_t i;

	for (i = 0; verbs[i]; i++) {
		if (!strcmp(verbs[i], s))
			return true;
	}

	return false;
}


/* "--state=DIR", "--state DIR", "-s DIR": how many words, 0: no such flag */
static int parse_flag(struct options *opt, int argc, char *argv[])
{
	const char *a = argv[0];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(flagv); i++) {
		const struct flag *f = &flagv[i];
		const size_t n = strlen(f->name);
		const char **val = (const char **)(void *)((char *)opt +
							   f->offset);

		if (!strncmp(a, "--", 2) && !strncmp(a + 2, f->name, n) &&
		    a[2 + n] == '=') {
			*val = a + 3 + n;
			return 1;
		}

		if ((!strncmp(a, "--", 2) && !strcmp(a + 2, f->name)) ||
		    (a[0] == '-' && a[1] == f->letter && !a[2])) {
			*val = argc > 1 ? argv[1] : NULL;
			return 2;
		}
	}

	return 0;
}


/* "-" is standard input */
static bool is_word(const char *a)
{
	return a[0] != '-' || !a[1];
}


static int parse_one(struct options *opt, int argc, char *argv[], int *used)
{
	const char *a = argv[0];

	*used = 1;
	if (!strcmp(a, "--json")) {
		opt->json = true;
		return 0;
	}
	if (!strcmp(a, "--strict")) {
		opt->strict = true;
		return 0;
	}
	if (!strcmp(a, "--help") || !strcmp(a, "-h")) {
		opt->verb = "help";
		return 0;
	}
	if (!strcmp(a, "--version")) {
		opt->verb = "version";
		return 0;
	}

	*used = parse_flag(opt, argc, argv);
	if (!*used)
		return usage_error("unknown option %s", a);
	if (*used > argc)
		return usage_error("option %s needs a value", a);

	return 0;
}


/**
 * Read the command line; says what is wrong with it
 *
 * Options may stand anywhere.  Words after the verb are its arguments; all
 * that follows "user" or "--" is not looked into.
 *
 * @return 0 or EXIT_USAGE
 */
int options_parse(struct options *opt, int argc, char *argv[])
{
	bool raw = false;
	int i, used, code;

	memset(opt, 0, sizeof(*opt));
	opt->argv = &argv[1];

	for (i = 1; i < argc; i += used) {

		used = 1;
		if (raw || (opt->verb && is_word(argv[i]))) {
			opt->argv[opt->argc++] = argv[i];
		}
		else if (!strcmp(argv[i], "--")) {
			raw = true;
		}
		else if (argv[i][0] == '-') {
			code = parse_one(opt, argc - i, &argv[i], &used);
			if (code)
				return code;
		}
		else if (is_verb(argv[i])) {
			opt->verb = argv[i];
			raw = !strcmp(opt->verb, "user");
		}
		else {
			return usage_error("unknown verb \"%s\"", argv[i]);
		}
	}

	if (!opt->verb)
		opt->verb = "run";

	return options_role(opt) < -1 ? EXIT_USAGE : 0;
}


/** enum cfg_role of --role, -1: not given, -2: no such role (said so) */
int options_role(const struct options *opt)
{
	const struct role *role;

	if (!opt->role)
		return -1;
	if (!strcmp(opt->role, "all"))
		return CFG_ROLE_ALL;

	role = role_find(opt->role);
	if (role)
		return role->id;

	(void)usage_error("unknown role \"%s\": one of sip, pbx, media, all",
			  opt->role);

	return -2;
}


/** A verb without arguments has got some */
int unexpected(const struct options *opt)
{
	if (!opt->argc)
		return 0;

	return usage_error("%s takes no \"%s\"", opt->verb, opt->argv[0]);
}
