/**
 * @file load.c  The configuration of this program: all roles' sections
 */
#include <errno.h>
#include <string.h>
#include <re.h>
#include "cfg/cfg.h"
#include "log/log.h"
#include "program.h"
#include "role.h"


enum { SECTIONS_MAX = 32 };


/**
 * The exit code that belongs to an error at start
 *
 * @param err  Errno
 *
 * @return Exit code
 */
int exit_code(int err)
{
	switch (err) {
	case 0:               return EXIT_OK;
	case EINVAL:          return EXIT_CONFIG;
	case EACCES:
	case EPERM:
	case EROFS:           return EXIT_NOPERM;
	case ENOSPC:
	case EDQUOT:
	case EIO:             return EXIT_IO;
	case EBADMSG:
	case EPROTONOSUPPORT: return EXIT_DATA;
	default:              return EXIT_OS;
	}
}


/** Sections of all roles: every node reads the whole file */
const struct cfg_section *const *all_sections(void)
{
	static const struct cfg_section *secv[SECTIONS_MAX + 1];
	const struct role *role;
	size_t i, j, k, n = 0;

	for (i = 0; (role = role_get(i)); i++) {

		for (j = 0; role->sections && role->sections[j]; j++) {

			/* two roles may list a section that they share */
			for (k = 0; k < n; k++) {
				if (secv[k] == role->sections[j])
					break;
			}
			if (k == n && n < SECTIONS_MAX)
				secv[n++] = role->sections[j];
		}
	}
	secv[n] = NULL;

	return secv;
}


/**
 * Load the configuration; prints all that is wrong with it
 *
 * @param cfgp  Configuration
 * @param opt   Command line; outlives the configuration
 * @param code  Exit code on error
 *
 * @return 0 if success, otherwise errorcode
 */
int config_load(struct cfg **cfgp, const struct options *opt, int *code)
{
	struct cfg_report *rep = NULL;
	int err;

	*code = EXIT_OS;
	err = cfg_report_alloc(&rep);
	if (err)
		return err;

	err = cfg_load(cfgp, config_file(opt), opt->node, options_role(opt),
		       all_sections(), rep);
	(void)re_fprintf(stderr, "%H", cfg_report_print, rep);
	*code = exit_code(err);
	if (err == ENOENT || err == EISDIR)
		*code = EXIT_CONFIG;

	mem_deref(rep);

	return err;
}


/** voipstack check: 0 good, 1 errors were printed */
int check_verb(const struct options *opt)
{
	const char *file = config_file(opt);
	struct cfg *cfg = NULL;
	int code;

	code = unexpected(opt);
	if (code)
		return code;

	if (config_load(&cfg, opt, &code))
		return EXIT_FAILED;

	(void)re_printf("%s: good, node %s\n",
			file ? file : "built-in defaults",
			cfg_self(cfg)->name);
	mem_deref(cfg);

	return EXIT_OK;
}
