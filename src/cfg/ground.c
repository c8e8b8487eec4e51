/**
 * @file cfg/ground.c  Sections without a module: node, nodes, domains,
 *                     networks, log; and what later versions will know
 */
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>
#include <re.h>
#include "cfg.h"
#include "internal.h"


enum { NAME_SIZE = 65 };	/* HOST_NAME_MAX + 1 */

/** A node as the file writes it */
struct node_rows {
	char *name;		/* of nodes: first, as CFG_MAP wants it */
	int role;
	char *internal;
	char *external;
	uint64_t drain;
	int64_t max_files;
};

struct networks {
	struct cfg_list internal;	/* struct cfg_cidr */
	struct {
		int encryption;
	} external;
};

struct list_section {
	struct cfg_list list;
};

static const char *const role_names[] = {"all", "sip", "pbx", "media", NULL};
static const char *const enc_names[] = {"required", "optional", "off", NULL};
static const char *const level_names[] = {
	"error", "warn", "info", "debug", NULL
};
static const char *const format_names[] = {"logfmt", "json", NULL};

#define NODE_ROWS							\
	{"role", CFG_ENUM, offsetof(struct node_rows, role),		\
	 .def = "all", .names = role_names,				\
	 .help = "What this machine does"},				\
	{"internal", CFG_STRING, offsetof(struct node_rows, internal),	\
	 .min = 1, .max = 64,						\
	 .help = "Address on the internal network, or an interface"},	\
	{"external", CFG_STRING, offsetof(struct node_rows, external),	\
	 .min = 1, .max = 64,						\
	 .help = "Address towards outside, or an interface"},		\
	{"drain", CFG_DURATION, offsetof(struct node_rows, drain),	\
	 .min = 1, .max = 86400000, .def = "30s",			\
	 .help = "How long calls may go on after SIGTERM"},		\
	{"max_files", CFG_INT, offsetof(struct node_rows, max_files),	\
	 .min = 256, .max = 65536, .def = "16384",			\
	 .help = "Open files and sockets of a role"}

static const struct cfg_opt node_optv[] = {
	{"name", CFG_STRING, offsetof(struct node_rows, name), .min = 1,
	 .max = NAME_SIZE - 1, .help = "Default: the host name"},
	NODE_ROWS,
	{.name = NULL}
};

static const struct cfg_opt nodes_elem_optv[] = {
	NODE_ROWS,
	{.name = NULL}
};

static const struct cfg_opt nodes_optv[] = {
	{"", CFG_MAP, offsetof(struct list_section, list),
	 .sub = nodes_elem_optv, .sub_size = sizeof(struct node_rows)},
	{.name = NULL}
};

static const struct cfg_opt domains_optv[] = {
	{"", CFG_STRINGS, offsetof(struct list_section, list),
	 .min = 1, .max = 255, .def = "sip.local"},
	{.name = NULL}
};

static const struct cfg_opt external_optv[] = {
	{"encryption", CFG_ENUM, 0, .def = "required", .names = enc_names,
	 .help = "Of signalling and media with telephones outside"},
	{.name = NULL}
};

static const struct cfg_opt networks_optv[] = {
	{"internal", CFG_CIDRS, offsetof(struct networks, internal),
	 .help = "Trusted networks, beside loopback"},
	{"external", CFG_STRUCT, offsetof(struct networks, external),
	 .sub = external_optv},
	{.name = NULL}
};

static const struct cfg_opt log_optv[] = {
	{"level", CFG_ENUM, offsetof(struct cfg_log, level), .def = "info",
	 .names = level_names, .help = "Lines below this are not written"},
	{"format", CFG_ENUM, offsetof(struct cfg_log, format),
	 .def = "logfmt", .names = format_names, .help = "Of each line"},
	{"loki", CFG_LATER, 0, .help = "Push to Grafana Loki"},
	{.name = NULL}
};

static const struct cfg_section node_section = {
	"node", node_optv, sizeof(struct node_rows),
	"This machine, when it is the only one", NULL
};
static const struct cfg_section nodes_section = {
	"nodes", nodes_optv, sizeof(struct list_section),
	"All machines, by host name", NULL
};
static const struct cfg_section domains_section = {
	"domains", domains_optv, sizeof(struct list_section),
	"SIP domains that are ours", NULL
};
static const struct cfg_section networks_section = {
	"networks", networks_optv, sizeof(struct networks),
	"Which networks are trusted", NULL
};
static const struct cfg_section log_section = {
	"log", log_optv, sizeof(struct cfg_log),
	"What is written to stderr", NULL
};

const struct cfg_section *const cfg_ground_sections[] = {
	&node_section, &nodes_section, &domains_section, &networks_section,
	&log_section, NULL
};

/* Keys of DESIGN's shape that no module of this version takes */
static const char *const later[] = {
	"sip", "pbx", "media", "store", "vault", "redis", "rabbitmq",
	"capture", "metrics", "extensions", "trunks", "routes", "recording",
	"tls", "s3", NULL
};


const char *cfg_later_name(size_t i)
{
	return i < ARRAY_SIZE(later) ? later[i] : NULL;
}


bool cfg_is_later(const char *key)
{
	size_t i;

	for (i = 0; later[i]; i++) {
		if (!strcmp(later[i], key))
			return true;
	}

	return false;
}


static void set_addr(struct sa *sa, const struct cfg_pos *pos,
		     const char *what, const char *s, bool is_self,
		     struct cfg_report *rep)
{
	if (!s || !sa_set_str(sa, s, 0))
		return;

	/* interfaces of other machines are not known here */
	sa_init(sa, AF_UNSPEC);
	if (!is_self || !net_if_getaddr(s, AF_INET, sa))
		return;

	cfg_error(rep, pos, "VS0303 %s: \"%s\" is neither an address nor an"
		  " interface of this machine with one", what, s);
}


static void set_node(struct cfg_node *n, const struct cfg *cfg,
		     const struct node_rows *rows, bool is_self,
		     struct cfg_report *rep)
{
	const bool one = !((const struct list_section *)
			   cfg_get(cfg, "nodes"))->list.n;
	struct cfg_pos pos = cfg_pos(cfg, one ? "node" : "nodes",
				     one ? NULL : rows->name);

	n->name      = rows->name;
	n->role      = rows->role;
	n->drain     = rows->drain;
	n->max_files = rows->max_files;
	set_addr(&n->internal, &pos, "internal", rows->internal,
		 is_self, rep);
	set_addr(&n->external, &pos, "external", rows->external,
		 is_self, rep);
}


/* "sip-1" is the machine called sip-1 or sip-1.example.com */
static bool is_host(const char *name, const char *host)
{
	const size_t n = strlen(name);

	return !strncasecmp(name, host, n) && (!host[n] || host[n] == '.');
}


static int one_node(struct cfg *cfg, const char *node, const char *host,
		    struct cfg_report *rep)
{
	const struct node_rows *rows = cfg_get(cfg, "node");
	char *name = rows->name;

	cfg->nodev = cfg_block(cfg, sizeof(*cfg->nodev));
	if (!cfg->nodev)
		return ENOMEM;

	cfg->nodec = 1;
	set_node(cfg->nodev, cfg, rows, true, rep);

	if (!name || node) {
		const char *s = node ? node : host;

		name = cfg_block(cfg, strlen(s) + 1);
		if (!name)
			return ENOMEM;
		memcpy(name, s, strlen(s));
	}
	cfg->nodev->name = name;

	/* alone on a machine the roles meet on loopback */
	if (!rows->internal && rows->role == CFG_ROLE_ALL)
		(void)sa_set_str(&cfg->nodev->internal, "127.0.0.1", 0);

	cfg->self = cfg->nodev[0];

	return 0;
}


static int print_names(struct re_printf *pf, void *arg)
{
	const struct cfg_list *list = arg;
	const struct node_rows *rows = list->v;
	size_t i;
	int err = 0;

	for (i = 0; i < list->n; i++)
		err |= re_hprintf(pf, "%s%s", i ? ", " : "", rows[i].name);

	return err;
}


static int many_nodes(struct cfg *cfg, const struct cfg_list *list,
		      const char *node, const char *host,
		      struct cfg_report *rep)
{
	const struct node_rows *rows = list->v;
	const struct cfg_pos pos = cfg_pos(cfg, "nodes", NULL);
	bool found = false;
	size_t i;

	cfg->nodev = cfg_block(cfg, list->n * sizeof(*cfg->nodev));
	if (!cfg->nodev)
		return ENOMEM;

	for (i = 0; i < list->n; i++) {
		const bool is_self = !found &&
			(node ? !strcmp(node, rows[i].name) :
			 is_host(rows[i].name, host));

		set_node(&cfg->nodev[i], cfg, &rows[i], is_self, rep);
		if (is_self) {
			cfg->self = cfg->nodev[i];
			found = true;
		}
	}
	cfg->nodec = list->n;

	if (!found)
		cfg_error(rep, &pos, "VS0302"
			  " nodes: none is called \"%s\" (%s); name"
			  " one with --node: %H", node ? node : host,
			  node ? "--node" : "this machine's name",
			  print_names, list);

	return 0;
}


/** Which node are we, and which are there? */
int cfg_nodes_resolve(struct cfg *cfg, const char *node, int role,
		      struct cfg_report *rep)
{
	const struct list_section *nodes = cfg_get(cfg, "nodes");
	char host[NAME_SIZE];
	int err;

	if (gethostname(host, sizeof(host)))
		str_ncpy(host, "localhost", sizeof(host));
	host[sizeof(host) - 1] = '\0';

	cfg->networks = cfg_get(cfg, "networks");
	if (cfg_parse_cidr(&cfg->loopback[0], "127.0.0.0/8") ||
	    cfg_parse_cidr(&cfg->loopback[1], "::1"))
		return EINVAL;

	if (nodes->list.n && cfg_val_find(cfg->root, "node")) {
		const struct cfg_pos pos = cfg_pos(cfg, "node", NULL);

		cfg_error(rep, &pos, "VS0301"
			  " node: stands beside nodes; keep one of"
			  " the two");
	}

	err = nodes->list.n ? many_nodes(cfg, &nodes->list, node, host, rep)
		: one_node(cfg, node, host, rep);
	if (err)
		return err;

	if (role >= 0)
		cfg->self.role = role;

	return 0;
}


const struct cfg_node *cfg_self(const struct cfg *cfg)
{
	return cfg ? &cfg->self : NULL;
}


const struct cfg_node *cfg_node_role(const struct cfg *cfg,
				     enum cfg_role role, size_t idx)
{
	size_t i;

	for (i = 0; cfg && i < cfg->nodec; i++) {
		const int r = cfg->nodev[i].role;

		if ((r == CFG_ROLE_ALL || r == (int)role) && !idx--)
			return &cfg->nodev[i];
	}

	return NULL;
}


const char *cfg_domain(const struct cfg *cfg, size_t idx)
{
	const struct list_section *s = cfg_get(cfg, "domains");

	return s && idx < s->list.n ? ((char **)s->list.v)[idx] : NULL;
}


bool cfg_is_domain(const struct cfg *cfg, const struct pl *host)
{
	const char *domain;
	size_t i;

	for (i = 0; (domain = cfg_domain(cfg, i)); i++) {
		if (!pl_strcasecmp(host, domain))
			return true;
	}

	return false;
}


bool cfg_is_internal(const struct cfg *cfg, const struct sa *sa)
{
	const struct cfg_list *list = &cfg->networks->internal;
	const struct cfg_cidr *cidrv = list->v;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cfg->loopback); i++) {
		if (cfg_cidr_match(&cfg->loopback[i], sa))
			return true;
	}

	for (i = 0; i < list->n; i++) {
		if (cfg_cidr_match(&cidrv[i], sa))
			return true;
	}

	return false;
}


/** The policy for a peer at this address; internal: off */
enum cfg_encryption cfg_encryption(const struct cfg *cfg, const struct sa *sa)
{
	if (cfg_is_internal(cfg, sa))
		return CFG_ENC_OFF;

	return (enum cfg_encryption)cfg->networks->external.encryption;
}


const struct cfg_log *cfg_log(const struct cfg *cfg)
{
	return cfg_get(cfg, "log");
}
