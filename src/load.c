/**
 * @file load.c  The configuration of this program: all roles' sections
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <re.h>
#include "cfg/cfg.h"
#include "log/log.h"
#include "program.h"
#include "role.h"


enum { SECTIONS_MAX = 32 };

/* of enum cfg_role */
static const char *const role_names[] = {"all", "sip", "pbx", "media"};


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


/* Every error as a log line of its own: stderr may be JSON */
static int print_handler(const char *p, size_t size, void *arg)
{
	struct mbuf *mb = arg;

	return mbuf_write_mem(mb, (const uint8_t *)p, size);
}


static void report_log(const struct cfg_report *rep)
{
	struct mbuf *mb = mbuf_alloc(1024);
	struct re_printf pf = {print_handler, mb};
	struct pl line;

	if (!mb || cfg_report_print(&pf, rep)) {
		mem_deref(mb);
		return;
	}

	mb->pos = 0;
	while (mbuf_get_left(mb)) {
		line.p = (const char *)mbuf_buf(mb);
		line.l = 0;
		while (line.l < mbuf_get_left(mb) && line.p[line.l] != '\n')
			++line.l;
		log_error(NULL, "configuration", "message=\"%r\"", &line);
		mbuf_advance(mb, (ssize_t)min(line.l + 1,
					      mbuf_get_left(mb)));
	}
	mem_deref(mb);
}


/* Shared with the next role to be started: no common offset */
static int text_read(struct mbuf *mb, int fd)
{
	uint8_t buf[16384];
	ssize_t n;
	off_t pos = 0;
	int err = 0;

	while (!err && (n = pread(fd, buf, sizeof(buf), pos)) > 0) {
		err = mbuf_write_mem(mb, buf, (size_t)n);
		pos += n;
	}
	(void)close(fd);

	return err;
}


/*
 * Of a role under the supervisor: the text that the supervisor has checked.
 * At start it is inherited; for a reload it is what the supervisor holds now.
 * The file itself may be half written by then, and half a file can be a good
 * configuration that says less.
 */
static int read_inherited(struct mbuf *mb)
{
	const char *env = getenv("VOIPSTACK_CONFIG_FD");
	const char *path = getenv("VOIPSTACK_CONFIG_TEXT");
	struct pl pl;
	int fd;

	if (env) {
		pl_set_str(&pl, env);
		fd = (int)pl_u32(&pl);
		(void)unsetenv("VOIPSTACK_CONFIG_FD");
		return text_read(mb, fd);
	}

	fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;

	return fd < 0 ? ENOENT : text_read(mb, fd);
}


/**
 * Load the configuration
 *
 * @param cfgp   Configuration
 * @param textp  Its text, for those to whom it is handed on; may be NULL
 * @param opt    Command line; outlives the configuration
 * @param rep    Gets what is wrong
 *
 * @return 0 if success, otherwise errorcode
 */
static int load(struct cfg **cfgp, struct mbuf **textp,
		const struct options *opt, struct cfg_report *rep)
{
	const char *file = config_file(opt);
	struct mbuf *mb;
	int err = 0;

	mb = mbuf_alloc(16384);
	if (!mb)
		return ENOMEM;

	if (file) {
		err = read_inherited(mb);
		if (err == ENOENT)
			err = cfg_file_read(mb, file, rep);
	}
	if (!err && file && opt->verb && !strcmp(opt->verb, "check"))
		err = cfg_report_source(rep, file, (const char *)mb->buf,
					mb->end);
	if (!err)
		err = cfg_load_text(cfgp, file, (const char *)mb->buf,
				    mb->end, opt->node, options_role(opt),
				    all_sections(), rep);
	if (!err && textp)
		*textp = mem_ref(mb);
	mem_deref(mb);

	return err;
}


/** At start: prints all that is wrong; code is the exit code on error */
int config_load(struct cfg **cfgp, struct mbuf **textp,
		const struct options *opt, int *code)
{
	const bool inherited = getenv("VOIPSTACK_CONFIG_FD") != NULL;
	struct cfg_report *rep = NULL;
	int err;

	*code = EXIT_OS;
	err = cfg_report_alloc(&rep);
	if (err)
		return err;

	err = load(cfgp, textp, opt, rep);

	/* the supervisor has told the warnings already */
	if (err || !inherited)
		(void)re_fprintf(stderr, "%H", cfg_report_print, rep);
	*code = exit_code(err);
	if (err == ENOENT || err == EISDIR)
		*code = EXIT_CONFIG;

	mem_deref(rep);

	return err;
}


/** For a reload: errors go to the log */
int config_reload(struct cfg **cfgp, struct mbuf **textp,
		  const struct options *opt)
{
	struct cfg_report *rep = NULL;
	int err;

	err = cfg_report_alloc(&rep);
	if (err)
		return err;

	err = load(cfgp, textp, opt, rep);
	if (err)
		report_log(rep);
	mem_deref(rep);

	return err;
}


static void check_print(const struct options *opt,
			const struct cfg_report *rep)
{
	const char *no_colour = getenv("NO_COLOR");

	if (opt->json)
		(void)re_printf("%H", cfg_report_print_json, rep);
	else if (isatty(STDERR_FILENO) && !str_isset(no_colour))
		(void)re_fprintf(stderr, "%H", cfg_report_print_colour, rep);
	else
		(void)re_fprintf(stderr, "%H", cfg_report_print_lines, rep);
}


static int check(const struct options *opt, struct cfg_report *rep)
{
	const char *file = config_file(opt);
	struct cfg *cfg = NULL;
	int err, code;

	err = load(&cfg, NULL, opt, rep);
	check_print(opt, rep);
	if (err) {
		if (!cfg_report_errors(rep))
			(void)re_fprintf(stderr, "voipstack: %m\n", err);
		return EXIT_FAILED;
	}

	code = opt->strict && cfg_report_warnings(rep) ? EXIT_WARNINGS :
		EXIT_OK;
	if (!opt->json && code == EXIT_OK)
		(void)re_printf("%s: good, node %s\n",
				file ? file : "built-in defaults",
				cfg_self(cfg)->name);
	mem_deref(cfg);

	return code;
}


/** voipstack check [FILE]: 0 good, 1 errors, 3 --strict and warnings */
int check_verb(const struct options *opt)
{
	struct options one = *opt;
	struct cfg_report *rep = NULL;
	int code;

	if (one.argc && !one.config) {
		one.config = one.argv[0];
		++one.argv;
		--one.argc;
	}
	code = unexpected(&one);
	if (code)
		return code;

	if (cfg_report_alloc(&rep))
		return EXIT_OS;

	code = check(&one, rep);
	mem_deref(rep);

	return code;
}


static int explain_code(const struct cfg_code *c)
{
	(void)re_printf("VS%04u: %s.\n%s\n", c->code, c->title, c->help);

	return EXIT_OK;
}


static int explain(const struct options *opt, const struct cfg *cfg)
{
	struct cfg_explain x = {
		.cfg = cfg, .path = opt->argc ? opt->argv[0] : NULL,
		.json = opt->json
	};

	if (!x.json)
		(void)re_printf("# %s, node %s, role %s\n",
				config_file(opt) ? config_file(opt) :
				"built-in defaults", cfg_self(cfg)->name,
				role_names[cfg_self(cfg)->role]);
	(void)re_printf("%H", cfg_explain_print, &x);
	if (x.found)
		return EXIT_OK;

	(void)re_fprintf(stderr, "voipstack: no option \"%s\"; voipstack"
			 " explain lists all\n", x.path);

	return EXIT_FAILED;
}


/** voipstack explain [PATH|CODE]: values and where they came from */
int explain_verb(const struct options *opt)
{
	struct options all = *opt;
	struct cfg *cfg = NULL;
	int code;

	if (opt->argc && cfg_code_find(opt->argv[0]))
		return explain_code(cfg_code_find(opt->argv[0]));

	all.argc = opt->argc > 1 ? opt->argc - 1 : 0;
	all.argv = opt->argv + 1;
	code = unexpected(&all);
	if (code)
		return code;

	if (config_load(&cfg, NULL, opt, &code))
		return EXIT_FAILED;

	code = explain(opt, cfg);
	mem_deref(cfg);

	return code;
}
