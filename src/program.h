/**
 * @file program.h  What main.c, the frame and the supervisor share
 */

#ifndef VOIPSTACK_PROGRAM_H
#define VOIPSTACK_PROGRAM_H

struct cfg;
struct cfg_section;
struct role;

/** Exit codes: sysexits(3), so that a supervisor knows what to do */
enum exit_code {
	EXIT_OK          = 0,
	EXIT_FAILED      = 1,
	EXIT_WARNINGS    = 3,	/* check --strict                          */
	EXIT_USAGE       = 64,	/* command line                            */
	EXIT_DATA        = 65,	/* damaged or newer database               */
	EXIT_UNAVAILABLE = 69,
	EXIT_INTERNAL    = 70,
	EXIT_OS          = 71,	/* port taken, no memory, ...              */
	EXIT_IO          = 74,	/* disk full or broken                     */
	EXIT_NOPERM      = 77,	/* missing right                           */
	EXIT_CONFIG      = 78,	/* configuration                           */
};

/** The command line */
struct options {
	const char *verb;
	const char *config;	/**< --config, NULL: look for it           */
	const char *state;	/**< --state, NULL: the rule of state.c    */
	const char *node;
	const char *role;
	bool json;
	bool strict;
	int argc;		/**< what follows the verb                 */
	char **argv;
};

/* options.c */
int options_parse(struct options *opt, int argc, char *argv[]);
void options_usage(FILE *f);
int options_role(const struct options *opt);
int unexpected(const struct options *opt);
int usage_error(const char *fmt, ...);

/* files.c */
const char *config_file(const struct options *opt);
const char *state_dir(const struct options *opt);
int  state_dir_create(const char *dir, char *why, size_t whysz);
int  state_dir_probe(const char *dir, char *why, size_t whysz);

/* load.c */
const struct cfg_section *const *all_sections(void);
int  config_load(struct cfg **cfgp, struct mbuf **textp,
		 const struct options *opt, int *code);
int  config_reload(struct cfg **cfgp, struct mbuf **textp,
		   const struct options *opt);
int  check_verb(const struct options *opt);
int  explain_verb(const struct options *opt);
int  exit_code(int err);

/* version.c */
int  version_verb(void);

/* frame/frame.c */
int  frame_run(const struct role *role, const struct options *opt,
	       struct cfg *cfg);

/* supervisor.c */
int  supervisor_run(const struct options *opt, struct cfg *cfg,
		    struct mbuf *text);

/* frame/notify.c */
void notify_init(void);
void notify_close(void);
int  notify_printf(const char *fmt, ...);
void notify_reloading(void);
uint64_t notify_interval(void);
uint64_t notify_restarts(void);
bool notify_is_child(void);

#endif
