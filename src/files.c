/**
 * @file files.c  Where the configuration and the state are
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <re.h>
#include "program.h"


/** --config, else ./voipstack.yaml, else /etc's, else NULL: defaults */
const char *config_file(const struct options *opt)
{
	static const char *const filev[] = {
		"voipstack.yaml", "/etc/voipstack/voipstack.yaml",
	};
	size_t i;

	if (opt->config)
		return opt->config;

	/* one that exists but cannot be read is an error, not no file */
	for (i = 0; i < ARRAY_SIZE(filev); i++) {
		if (!access(filev[i], F_OK) || errno != ENOENT)
			return filev[i];
	}

	return NULL;
}


/**
 * --state, else what systemd's StateDirectory= says, else ./state if it
 * exists, else /var/lib/voipstack if it is writable, else ./state
 */
const char *state_dir(const struct options *opt)
{
	static const char service[] = "/var/lib/voipstack";
	const char *env = getenv("STATE_DIRECTORY");

	if (opt->state)
		return opt->state;
	if (env && env[0] == '/' && !strchr(env, ':'))
		return env;
	if (access("state", F_OK) && !access(service, W_OK | X_OK))
		return service;

	return "state";
}


/**
 * Make the state directory, 0750, unless it is there
 *
 * @param dir    Directory
 * @param why    On error: what is wrong and what to do
 * @param whysz  Size of why
 *
 * @return 0 if success, otherwise errorcode
 */
int state_dir_create(const char *dir, char *why, size_t whysz)
{
	struct stat st;
	int err = 0;

	if (mkdir(dir, 0750) && errno != EEXIST)
		err = errno;
	else if (stat(dir, &st))
		err = errno;
	else if (!S_ISDIR(st.st_mode))
		err = ENOTDIR;
	else if (access(dir, R_OK | W_OK | X_OK))
		err = errno;

	if (err)
		(void)re_snprintf(why, whysz, "state directory %s: %m; make"
				  " it writable for user %u or name another"
				  " with --state", dir, err,
				  (unsigned)geteuid());

	return err;
}
