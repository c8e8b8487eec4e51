/**
 * @file cfg/internal.h  What the files of src/cfg share
 */

#ifndef VOIPSTACK_CFG_INTERNAL_H
#define VOIPSTACK_CFG_INTERNAL_H

enum {
	CFG_FILE_MAX  = 4 * 1024 * 1024, /* bytes                        */
	CFG_DEPTH_MAX = 16,		 /* maps and lists in each other */
	CFG_VALS_MAX  = 200000,		 /* values in a file             */
	CFG_TEXT_MAX  = 65536,		 /* bytes of one scalar          */
	CFG_PATH_MAX  = 256,
	CFG_ERRS_MAX  = 500,		 /* kept; more are counted       */
};

enum cfg_kind {
	CFG_SCALAR = 0,
	CFG_MAPPING,
	CFG_SEQUENCE,
};

/** A value of the file, with its place */
struct cfg_val {
	struct le le;		/**< in its parent                        */
	enum cfg_kind kind;
	char *key;		/**< if the parent is a mapping           */
	struct cfg_pos kpos;	/**< of the key                           */
	struct cfg_pos pos;
	char *text;		/**< SCALAR                               */
	bool null;		/**< SCALAR, plain and empty, ~ or null   */
	struct list vall;	/**< children, struct cfg_val, in order   */
	size_t n;		/**< how many                             */
};

struct networks;

/** A section as read */
struct cfg_inst {
	bool sound;		/**< nothing was wrong with it            */
	const struct cfg_section *sec;
	void *data;
};

struct cfg {
	struct list blockl;	/**< all that the sections point to       */
	char *file;
	struct cfg_val *root;	/**< stays for cfg_pos(); NULL: no file   */
	struct cfg_inst *instv;
	size_t instc;
	struct cfg_node self;	/**< with --role applied                  */
	struct cfg_node *nodev;	/**< all nodes, as the file says          */
	size_t nodec;
	struct cfg_cidr loopback[2];
	const struct networks *networks; /**< ground.c                   */
};

/** Something that is wrong */
struct cfg_complaint {
	struct le le;
	struct cfg_pos pos;
	bool warning;
	unsigned code;		/**< 202 of VS0202                        */
	char *text;
};

struct cfg_report {
	struct list complaintl;	/**< in order of position                 */
	size_t kept;
	size_t errors;
	size_t warnings;
	size_t dropped;
	bool oom;		/**< a complaint has been lost            */
	char *file;		/**< whose text this is, or NULL          */
	char *text;
	size_t len;
};

/* code.c */
enum { CFG_CODE_RULE = 401 };	/**< of messages that bring none      */
unsigned cfg_code_split(const char **fmtp);

/* report.c */
void cfg_vreport(struct cfg_report *rep, bool warning,
		 const struct cfg_pos *pos, const char *fmt, va_list ap);
bool cfg_report_is_full(const struct cfg_report *rep);
int cfg_report_verdict(const struct cfg_report *rep);

/* read.c */
int cfg_read_text(struct cfg_val **rootp, const char *file, const char *text,
		  size_t len, struct cfg_report *rep);
struct cfg_val *cfg_val_find(const struct cfg_val *v, const char *key);

/* value.c: 0, or EINVAL; the value is written on success only */
int cfg_parse_bool(bool *b, const char *s);
int cfg_parse_int(int64_t *n, const char *s);
int cfg_parse_duration(uint64_t *ms, const char *s);
int cfg_parse_size(uint64_t *bytes, const char *s);
int cfg_parse_addr(struct cfg_addr *a, const char *s);
int cfg_parse_cidr(struct cfg_cidr *c, const char *s);
int cfg_parse_ports(struct cfg_ports *p, const char *s);

/* expect.c */
int cfg_expect_print(struct re_printf *pf, const struct cfg_opt *opt);
int cfg_range_print(struct re_printf *pf, const struct cfg_opt *opt);
const char *cfg_proto_name(enum cfg_proto proto);

/* suggest.c */
typedef const char *(cfg_name_h)(size_t i, void *arg);
const char *cfg_suggest(const char *word, cfg_name_h *nameh, void *arg);

/* walk.c */
int cfg_walk(struct cfg *cfg, const struct cfg_section *sec,
	     const struct cfg_val *v, void *data, struct cfg_report *rep);
bool cfg_is_secret(const struct pl *line);
void *cfg_block(struct cfg *cfg, size_t size);

/* cross.c */
int cfg_check_cross(const struct cfg *cfg, struct cfg_report *rep);
const void *cfg_row(const struct cfg *cfg, const char *section,
		    const char *name, enum cfg_type type);
const char *cfg_row_string(const struct cfg *cfg, const char *section,
			   const char *map, size_t idx, const char *name);

/* claims.c */
int cfg_check_claims(const struct cfg *cfg, struct cfg_report *rep);

/* ground.c */
extern const struct cfg_section *const cfg_ground_sections[];
bool cfg_is_later(const char *key);
const char *cfg_later_name(size_t i);
int cfg_nodes_resolve(struct cfg *cfg, const char *node, int role,
		      struct cfg_report *rep);

#endif
