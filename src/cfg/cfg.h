/**
 * @file cfg.h  One YAML file, described by tables
 *
 * Every option is one row of a table: name, type, range, default, help.  A
 * module owns the table of its section; src/role.c lists the sections.  The
 * result is one const block per section, immutable, that lives until the
 * struct cfg is dropped; reload makes a second one.
 */

#ifndef VOIPSTACK_CFG_H
#define VOIPSTACK_CFG_H

struct cfg;
struct cfg_opt;

enum cfg_type {
	CFG_BOOL = 0,		/**< bool                               */
	CFG_INT,		/**< int64_t, min..max                  */
	CFG_DURATION,		/**< uint64_t ms; "30s", min..max in ms */
	CFG_SIZE,		/**< uint64_t bytes; "64k"              */
	CFG_STRING,		/**< char *, length min..max            */
	CFG_ENUM,		/**< int, index into names              */
	CFG_LISTENERS,		/**< struct cfg_addr *v; "udp:0.0.0.0:5060" */
	CFG_ADDRS,		/**< as LISTENERS, protocol optional    */
	CFG_CIDRS,		/**< struct cfg_cidr *v                 */
	CFG_PORTS,		/**< struct cfg_ports "10000-20000"     */
	CFG_STRINGS,		/**< char **v                           */
	CFG_STRUCT,		/**< nested options, in place           */
	CFG_MAP,		/**< map of name -> struct: elements    */
	CFG_SEQ,		/**< sequence of structs: elements      */
	CFG_LATER,		/**< known, refused: not supported yet  */
};

enum cfg_proto {
	CFG_PROTO_ANY = 0,
	CFG_PROTO_UDP,
	CFG_PROTO_TCP,
	CFG_PROTO_TLS,
	CFG_PROTO_WS,
	CFG_PROTO_WSS,
};

struct cfg_addr {
	enum cfg_proto proto;
	struct sa sa;		/**< port 0: not given (see def_port)   */
};

struct cfg_cidr {
	struct sa net;
	unsigned bits;
};

struct cfg_ports {
	uint16_t min;
	uint16_t max;
};

/** What list-like options are stored as: count, then elements */
struct cfg_list {
	size_t n;
	void *v;		/**< n elements of the row's type       */
};				/* CFG_MAP: element begins with char *name */

/** Where something stands in the file, for messages */
struct cfg_pos {
	const char *file;
	unsigned line;
	unsigned col;
};

/** A row.  List types store a struct cfg_list at offset */
struct cfg_opt {
	const char *name;
	enum cfg_type type;
	size_t offset;		/**< in the section's struct            */
	int64_t min, max;	/**< range (type's own when both 0); of lists
				     the number of elements, of CFG_STRINGS
				     the length of each                 */
	const char *def;	/**< default as YAML text; NULL: zero   */
	const char *unit;	/**< for people: "s", "bytes"           */
	const char *const *names; /**< ENUM: NULL-terminated            */
	const struct cfg_opt *sub; /**< STRUCT, MAP, SEQ: rows, end with
				        name NULL                       */
	size_t sub_size;	/**< MAP, SEQ: size of one element      */
	bool required;
	const char *help;
};

/**
 * Collects what is wrong; call as often as needed.  fmt begins with a code of
 * code.c ("VS0202 %s: no such option"); without one it is VS0401
 */
struct cfg_report;
void cfg_error(struct cfg_report *rep, const struct cfg_pos *pos,
	       const char *fmt, ...);
void cfg_warning(struct cfg_report *rep, const struct cfg_pos *pos,
		 const char *fmt, ...);

/**
 * A section: one key of the file's top level.  If its only row is named "",
 * the row is the section's value itself: a list or map without options.
 */
struct cfg_section {
	const char *name;	/**< "sip"                              */
	const struct cfg_opt *optv;
	size_t size;		/**< of the struct that holds it        */
	const char *help;
	/** Cross checks after all sections are read; may be NULL */
	void (*check)(const struct cfg *cfg, const void *sec,
		      struct cfg_report *rep);
};

/** Ground sections, owned by src/cfg */
enum cfg_role { CFG_ROLE_ALL = 0, CFG_ROLE_SIP, CFG_ROLE_PBX, CFG_ROLE_MEDIA };
enum cfg_encryption { CFG_ENC_REQUIRED = 0, CFG_ENC_OPTIONAL, CFG_ENC_OFF };

struct cfg_node {
	char *name;		/**< nodes: the key; node: "" = host name */
	int role;		/**< enum cfg_role                       */
	struct sa internal;	/**< address on the internal network     */
	struct sa external;	/**< or unset                            */
	uint64_t drain;		/**< ms that calls may go on after TERM  */
	int64_t max_files;	/**< RLIMIT_NOFILE of a role             */
};

/** log: */
struct cfg_log {
	int level;		/**< enum log_level                      */
	int format;		/**< enum log_format                     */
};

/** The node that this process is, chosen by --node or host name */
const struct cfg_node *cfg_self(const struct cfg *cfg);
/** Nodes of the file with this role (role "all" has every role), in order;
    NULL when idx is past the end */
const struct cfg_node *cfg_node_role(const struct cfg *cfg,
				     enum cfg_role role, size_t idx);
const char *cfg_domain(const struct cfg *cfg, size_t idx);
bool cfg_is_domain(const struct cfg *cfg, const struct pl *host);
/** Is the address in this network? */
bool cfg_cidr_match(const struct cfg_cidr *c, const struct sa *sa);
/** Loopback and networks.internal */
bool cfg_is_internal(const struct cfg *cfg, const struct sa *sa);
enum cfg_encryption cfg_encryption(const struct cfg *cfg, const struct sa *sa);

const struct cfg_log *cfg_log(const struct cfg *cfg);

/** A section's struct by name, with defaults where the file is silent */
const void *cfg_get(const struct cfg *cfg, const char *section);
/** The row "listen" of a section (struct cfg_addr), so that one role finds
    another on the same machine without its header; NULL: no such */
const struct cfg_list *cfg_listen(const struct cfg *cfg, const char *section);
bool cfg_same_section(const struct cfg *a, const struct cfg *b,
		      const char *section);
/** Position of an option of a section ("listen", "registrar.min_expires") */
struct cfg_pos cfg_pos(const struct cfg *cfg, const char *section,
		       const char *path);

/**
 * Read and check a file.
 *
 * @param cfgp     Pointer to configuration, set only when there is no error
 * @param file     Path; NULL: built-in defaults only.  Must outlive cfg and
 *                 rep
 * @param node     Name of this node or NULL (host name)
 * @param role     Role that overrides the file's, or -1
 * @param secv     Sections beside the ground's, end with NULL
 * @param rep      Gets every error, in order of position
 *
 * @return 0, EINVAL when rep has errors, or errno of the file
 */
int cfg_load(struct cfg **cfgp, const char *file, const char *node, int role,
	     const struct cfg_section *const *secv, struct cfg_report *rep);

int cfg_file_read(struct mbuf *mb, const char *file, struct cfg_report *rep);

/** The same for a text in memory; name stands for the file, NULL: defaults */
int cfg_load_text(struct cfg **cfgp, const char *name, const char *text,
		  size_t len, const char *node, int role,
		  const struct cfg_section *const *secv,
		  struct cfg_report *rep);

/** The tables as an example file; secv as for cfg_load() */
int cfg_example_print(struct re_printf *pf,
		      const struct cfg_section *const *secv);

/** The tables as a page in Markdown */
int cfg_reference_print(struct re_printf *pf,
			const struct cfg_section *const *secv);
/** ... and as JSON Schema */
int cfg_schema_print(struct re_printf *pf,
		     const struct cfg_section *const *secv);

/** What cfg_explain_print() prints: "PATH: VALUE   # FILE:LINE:COL" */
struct cfg_explain {
	const struct cfg *cfg;
	const char *path;	/**< "sip.registrar"; NULL: all           */
	bool json;
	size_t found;		/**< options that were printed            */
};

int cfg_explain_print(struct re_printf *pf, struct cfg_explain *x);

int cfg_report_alloc(struct cfg_report **repp);
size_t cfg_report_errors(const struct cfg_report *rep);
size_t cfg_report_warnings(const struct cfg_report *rep);
int cfg_report_source(struct cfg_report *rep, const char *file,
		      const char *text, size_t len);

/** One line each: "FILE:LINE:COL: MESSAGE [VS0202]" */
int cfg_report_print(struct re_printf *pf, const struct cfg_report *rep);
/** The same, each with its line of cfg_report_source() and a caret */
int cfg_report_print_lines(struct re_printf *pf,
			   const struct cfg_report *rep);
/** ... with the colours of a terminal */
int cfg_report_print_colour(struct re_printf *pf,
			    const struct cfg_report *rep);
/** One JSON object: {"file", "errors", "warnings", "messages": [...]} */
int cfg_report_print_json(struct re_printf *pf, const struct cfg_report *rep);

/** A code of a message: its number and what it means */
struct cfg_code {
	unsigned code;		/**< 202 of VS0202                        */
	const char *title;
	const char *help;	/**< what to do                           */
};

const struct cfg_code *cfg_code_get(size_t idx);
const struct cfg_code *cfg_code_find(const char *name);

#endif
