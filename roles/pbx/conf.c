/**
 * @file roles/pbx/conf.c  Sections pbx and extensions
 */
#include <stddef.h>
#include <string.h>
#include <re.h>
#include "worker/worker.h"
#include "cfg/cfg.h"
#include "role.h"
#include "store/store.h"
#include "cdr/cdr.h"
#include "sipcore/sipcore.h"
#include "sipua/sipua.h"
#include "internal.h"


enum {
	PORT_ALL  = 5080,	/* beside the sip role on one machine */
	PORT_SIP  = 5060,
	RTP_PORTS_MIN = 4,
};

static const char *const app_names[] = {"none", "echo", "milliwatt", NULL};
static const char *const calls_names[] = {"all", "none", NULL};

static const struct cfg_opt pbx_optv[] = {
	{"listen", CFG_LISTENERS, offsetof(struct pbx_section, listen),
	 .help = "Where SIP is taken; default udp and tcp, with role all "
		 "127.0.0.1:5080, else the node's internal address:5060"},
	{"proxy", CFG_ADDRS, offsetof(struct pbx_section, proxy),
	 .help = "sip nodes: only they are answered, each gets the second "
		 "legs of its calls; default: nodes with role sip, or "
		 "127.0.0.1 with the port of sip.listen"},
	{"ports", CFG_PORTS, offsetof(struct pbx_section, ports),
	 .def = "30000-30999",
	 .help = "UDP ports of the PBX's own RTP (echo, milliwatt)"},
	{"rtp_address", CFG_STRING, offsetof(struct pbx_section, rtp_address),
	 .min = 1, .max = 64,
	 .help = "Address of own RTP; default: the node's internal one"},
	{"rtp_timeout", CFG_DURATION,
	 offsetof(struct pbx_section, rtp_timeout),
	 .def = "60s", .min = 0, .max = 3600000,
	 .help = "A call to echo or milliwatt without RTP ends; 0: never"},
	{"ring_timeout", CFG_DURATION,
	 offsetof(struct pbx_section, ring_timeout),
	 .def = "30s", .min = 100, .max = 600000,
	 .help = "How long a called extension rings"},
	{"max_duration", CFG_DURATION,
	 offsetof(struct pbx_section, max_duration),
	 .def = "24h", .min = 1000, .max = 604800000,
	 .help = "A call ends after this"},
	{"max_calls", CFG_INT, offsetof(struct pbx_section, max_calls),
	 .def = "10000", .min = 1, .max = 1000000, .unit = "calls",
	 .help = "More are refused with 503"},
	{"workers", CFG_INT, offsetof(struct pbx_section, workers),
	 .def = "1", .min = 1, .max = 64,
	 .help = "Signalling threads"},
	{"audio_workers", CFG_INT,
	 offsetof(struct pbx_section, audio_workers),
	 .def = "1", .min = 1, .max = AUDIO_MAX,
	 .help = "Threads for own RTP"},
	{"probe_interval", CFG_DURATION,
	 offsetof(struct pbx_section, probe_interval),
	 .def = "2m", .min = 1000, .max = 3600000,
	 .help = "How often telephones in a call are asked by OPTIONS whether "
		 "they live; one that is silent or knows nothing of the call "
		 "ends it"},
	{.name = NULL}
};

static const struct cfg_opt ext_optv[] = {
	{"name", CFG_STRING, offsetof(struct ext, name), .max = 128,
	 .help = "For people"},
	{"app", CFG_ENUM, offsetof(struct ext, app), .def = "none",
	 .names = app_names,
	 .help = "Answered by the PBX itself: echo, or milliwatt (1004 Hz)"},
	{"calls", CFG_ENUM, offsetof(struct ext, calls), .def = "all",
	 .names = calls_names,
	 .help = "Which calls it may make"},
	{.name = NULL}
};

static const struct cfg_opt extensions_optv[] = {
	{"", CFG_MAP, 0, .sub = ext_optv, .sub_size = sizeof(struct ext),
	 .help = "Number -> what is special about it; \"*43\" is echo and "
		 "\"*42\" milliwatt unless they stand here"},
	{.name = NULL}
};


static void pbx_check(const struct cfg *cfg, const void *data,
		      struct cfg_report *rep)
{
	const struct pbx_section *sec = data;
	struct cfg_pos pos;
	struct sa sa;

	if (sec->ports.max - sec->ports.min + 1 < RTP_PORTS_MIN) {
		pos = cfg_pos(cfg, "pbx", "ports");
		cfg_error(rep, &pos, "pbx.ports: %u-%u is too small; give "
			  "at least %d ports", sec->ports.min,
			  sec->ports.max, RTP_PORTS_MIN);
	}

	if (str_isset(sec->rtp_address)
	    && sa_set_str(&sa, sec->rtp_address, 0)) {
		pos = cfg_pos(cfg, "pbx", "rtp_address");
		cfg_error(rep, &pos, "pbx.rtp_address: \"%s\" is no IP "
			  "address", sec->rtp_address);
	}

	if (sec->proxy.n > NODES_MAX) {
		pos = cfg_pos(cfg, "pbx", "proxy");
		cfg_error(rep, &pos, "pbx.proxy: at most %d", NODES_MAX);
	}
}


const struct cfg_section conf_pbx_section = {
	"pbx", pbx_optv, sizeof(struct pbx_section),
	"The PBX: calls between extensions, test numbers", pbx_check
};

const struct cfg_section conf_extensions_section = {
	"extensions", extensions_optv, sizeof(struct cfg_list),
	"Numbers with something special about them", NULL
};


/* All roles on this machine, as the file has it (each is a process with its
   own --role) */
static bool is_alone(const struct cfg *cfg)
{
	const struct cfg_node *self = cfg_self(cfg), *node;
	size_t i;

	if (!self)
		return true;

	for (i = 0; (node = cfg_node_role(cfg, CFG_ROLE_ALL, i)); i++) {
		if (node->role == CFG_ROLE_ALL
		    && !str_cmp(node->name, self->name))
			return true;
	}

	return false;
}


/** Where to listen: the file's, or by the node's role */
size_t conf_listen(struct cfg_addr *v, size_t max, const struct cfg *cfg)
{
	const struct pbx_section *sec = cfg_get(cfg, "pbx");
	const struct cfg_node *self = cfg_self(cfg);
	const struct cfg_addr *lv = sec->listen.v;
	struct sa sa;
	size_t i;

	for (i = 0; i < sec->listen.n && i < max; i++) {
		v[i] = lv[i];
		if (!sa_port(&v[i].sa))
			sa_set_port(&v[i].sa, PORT_SIP);
	}
	if (i || max < 2)
		return i;

	(void)sa_set_str(&sa, "127.0.0.1", PORT_ALL);
	if (!is_alone(cfg) && self && sa_isset(&self->internal, SA_ADDR)) {
		sa = self->internal;
		sa_set_port(&sa, PORT_SIP);
	}

	v[0].proto = CFG_PROTO_UDP;
	v[1].proto = CFG_PROTO_TCP;
	v[0].sa = v[1].sa = sa;

	return 2;
}


static void node_add(struct conf *conf, enum cfg_proto proto,
		     const struct sa *sa)
{
	struct cfg_addr *n;

	if (conf->nodec == NODES_MAX || !sa_isset(sa, SA_ADDR))
		return;

	n = &conf->nodev[conf->nodec++];
	n->proto = proto == CFG_PROTO_TCP ? CFG_PROTO_TCP : CFG_PROTO_UDP;
	n->sa = *sa;
	if (!sa_port(&n->sa))
		sa_set_port(&n->sa, PORT_SIP);
}


/* Where the sip role takes UDP (TCP if nothing else); port 5060 if the file
   is silent */
static struct cfg_addr sip_listener(const struct cfg *cfg)
{
	const struct cfg_list *list = cfg_listen(cfg, "sip");
	const struct cfg_addr *v = list ? list->v : NULL;
	struct cfg_addr found = {.proto = CFG_PROTO_UDP};
	size_t i;

	(void)sa_set_str(&found.sa, "0.0.0.0", PORT_SIP);
	for (i = list ? list->n : 0; i-- > 0; ) {
		if (v[i].proto == CFG_PROTO_UDP
		    || (v[i].proto == CFG_PROTO_TCP && list->n == 1))
			found = v[i];
	}

	return found;
}


static void nodes_init(struct conf *conf)
{
	const struct cfg_addr sip = sip_listener(conf->cfg);
	const struct cfg_addr *pv = conf->sec->proxy.v;
	const struct cfg_node *node;
	struct sa sa;
	size_t i;

	for (i = 0; i < conf->sec->proxy.n; i++)
		node_add(conf, pv[i].proto, &pv[i].sa);
	if (conf->nodec)
		return;

	/* beside the sip role on one machine: by loopback, also when that
	   listens everywhere */
	if (is_alone(conf->cfg)) {
		sa = sip.sa;
		if (sa_is_any(&sa))
			(void)sa_set_str(&sa, "127.0.0.1", sa_port(&sip.sa));
		node_add(conf, sip.proto, &sa);
		return;
	}

	for (i = 0; (node = cfg_node_role(conf->cfg, CFG_ROLE_SIP, i)); i++) {
		sa = node->internal;
		sa_set_port(&sa, sa_port(&sip.sa));
		node_add(conf, sip.proto, &sa);
	}
	if (conf->nodec)
		return;

	(void)sa_set_str(&sa, "127.0.0.1", sa_port(&sip.sa));
	node_add(conf, sip.proto, &sa);
}


/** What follows from a configuration */
int conf_init(struct conf *conf, const struct cfg *cfg,
	      char *why, size_t whysz)
{
	const struct cfg_list *ext = cfg_get(cfg, "extensions");
	const struct cfg_node *self = cfg_self(cfg);

	memset(conf, 0, sizeof(*conf));
	conf->cfg = cfg;
	conf->sec = cfg_get(cfg, "pbx");
	if (!conf->sec || !ext) {
		(void)re_snprintf(why, whysz, "pbx: no configuration");
		return EINVAL;
	}

	conf->extv = ext->v;
	conf->extc = ext->n;
	nodes_init(conf);

	if (str_isset(conf->sec->rtp_address))
		return sa_set_str(&conf->rtp, conf->sec->rtp_address, 0);
	if (self && sa_isset(&self->internal, SA_ADDR)) {
		conf->rtp = self->internal;
		sa_set_port(&conf->rtp, 0);
		return 0;
	}

	return sa_set_str(&conf->rtp, "127.0.0.1", 0);
}


/* On loopback an address says nothing: there the node is its port, and it
   sends from it; what came by TCP has another, so that it must be the node's
   own protocol at least */
static bool is_node(const struct cfg_addr *n, const struct sipcore_flow *flow)
{
	if (!sa_cmp(&n->sa, &flow->remote, SA_ADDR))
		return false;
	if (!sa_is_loopback(&n->sa))
		return true;
	if (flow->proto != CFG_PROTO_UDP)
		return n->proto == flow->proto;

	return sa_port(&n->sa) == sa_port(&flow->remote);
}


/** The sip node that a message came from; NULL: a stranger */
const struct cfg_addr *conf_node(const struct conf *conf,
				 const struct sipcore_flow *flow)
{
	size_t i;

	for (i = 0; i < conf->nodec; i++) {
		if (is_node(&conf->nodev[i], flow))
			return &conf->nodev[i];
	}

	return NULL;
}
