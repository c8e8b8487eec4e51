/**
 * @file files.c  Where the configuration and the state are
 */
#include <errno.h>
#include <fcntl.h>
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


/**
 * Is there room in the state directory?  One line of the supervisor's is
 * better than one of each role.  Asked at the first start only: a role that
 * is started again may do without.
 *
 * @return 0 if success, otherwise errorcode, with why as above
 */
int state_dir_probe(const char *dir, char *why, size_t whysz)
{
	static const char room[16384];
	int err = 0, fd;

	/* a file without a name; not every file system has them */
	fd = open(dir, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
	if (fd < 0) {
		err = errno == EROFS || errno == ENOSPC || errno == EDQUOT ?
			errno : 0;
	}
	else {
		errno = ENOSPC;		/* a short write sets none */
		if (write(fd, room, sizeof(room)) < (ssize_t)sizeof(room))
			err = errno;
		(void)close(fd);
	}

	if (err)
		(void)re_snprintf(why, whysz, "state directory %s: %m; make"
				  " room there or name another with --state",
				  dir, err);

	return err;
}
