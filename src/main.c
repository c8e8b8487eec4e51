/**
 * @file main.c  The program: argv -> verb
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <re.h>
#include "cfg/cfg.h"
#include "ctl/ctl.h"
#include "log/log.h"
#include "program.h"
#include "role.h"
#include "user/user.h"


static int ctl_verb(const struct options *opt)
{
	const char *rolev[8];
	const struct role *role;
	size_t i, n = 0;
	const bool one = opt->role && strcmp(opt->role, "all");

	if (one) {
		rolev[n++] = opt->role;
	}
	else {
		for (i = 0; (role = role_get(i)) && n < 7; i++)
			rolev[n++] = role->name;
	}
	rolev[n] = NULL;

	return ctl_client(state_dir(opt), rolev, one, opt->json, opt->argc,
			  opt->argv);
}


static void print_example(void)
{
	(void)re_printf(
		"# voipstack.yaml: all that can be said, with its"
		" defaults. Made by\n"
		"# \"voipstack help config\"; \"voipstack check\""
		" says what is wrong with a file.\n"
		"#\n"
		"# One file describes the whole deployment; every"
		" machine runs with the same\n"
		"# file. An option left out has its default. Either"
		" \"node\" or \"nodes\".\n"
		"%H", cfg_example_print, all_sections());
}


static void print_reference(void)
{
	(void)re_printf(
		"# voipstack.yaml: every option\n\n"
		"Made from the tables of options by `voipstack help"
		" reference`: do not edit. One file\n"
		"describes the whole deployment; `voipstack check` says what"
		" is wrong with it,\n"
		"`voipstack explain` which value is in force and where it"
		" came from, and\n"
		"`voipstack help config` prints an example. NAME stands for"
		" a name that you choose.\n"
		"%H", cfg_reference_print, all_sections());
}


/* help; and the views of the tables of options */
static int help_verb(const struct options *opt)
{
	const char *what = opt->argc ? opt->argv[0] : "";

	if (!strcmp(what, "config"))
		print_example();
	else if (!strcmp(what, "reference"))
		print_reference();
	else if (!strcmp(what, "schema"))
		(void)re_printf("%H", cfg_schema_print, all_sections());
	else
		options_usage(stdout);

	return EXIT_OK;
}


static int users_verb(const struct options *opt)
{
	const char *domainv[64] = {NULL};
	struct cfg *cfg = NULL;
	char why[256];
	size_t i;
	int code, err;

	if (config_load(&cfg, NULL, opt, &code))
		return code;

	for (i = 0; i < ARRAY_SIZE(domainv) - 1; i++)
		domainv[i] = cfg_domain(cfg, i);

	err = state_dir_create(state_dir(opt), why, sizeof(why));
	if (err) {
		(void)re_fprintf(stderr, "voipstack: %s\n", why);
		code = exit_code(err);
	}
	else {
		code = user_verb(state_dir(opt), domainv, opt->argc,
				 opt->argv);
	}
	mem_deref(cfg);

	return code;
}


static int run_verb(const struct options *opt)
{
	const struct role *role;
	struct mbuf *text = NULL;
	struct cfg *cfg = NULL;
	size_t i;
	int code;

	code = unexpected(opt);
	if (code)
		return code;
	if (opt->config && !strcmp(opt->config, "-"))
		return usage_error("run needs a file: a reload reads it"
				   " again");

	if (config_load(&cfg, &text, opt, &code))
		return code;

	if (cfg_self(cfg)->role == CFG_ROLE_ALL)
		return supervisor_run(opt, cfg, text);

	mem_deref(text);

	for (i = 0; (role = role_get(i)); i++) {
		if (role->id == cfg_self(cfg)->role)
			return frame_run(role, opt, cfg);
	}

	mem_deref(cfg);

	return EXIT_CONFIG;
}


static int run(const struct options *opt)
{
	if (!strcmp(opt->verb, "run"))
		return run_verb(opt);
	if (!strcmp(opt->verb, "check"))
		return check_verb(opt);
	if (!strcmp(opt->verb, "explain"))
		return explain_verb(opt);
	if (!strcmp(opt->verb, "ctl"))
		return ctl_verb(opt);
	if (!strcmp(opt->verb, "user"))
		return users_verb(opt);
	if (!strcmp(opt->verb, "version"))
		return version_verb();

	return help_verb(opt);
}


int main(int argc, char *argv[])
{
	struct options opt;
	int code;

	(void)signal(SIGPIPE, SIG_IGN);

	code = options_parse(&opt, argc, argv);
	if (code)
		return code;

	if (libre_init()) {
		(void)fprintf(stderr, "voipstack: libre does not start\n");
		return EXIT_OS;
	}

	log_init(LOG_INFO, LOG_LOGFMT, NULL);
	code = run(&opt);

	libre_close();

	return code;
}
