/**
 * @file sip_cfg.c  The section "sip"
 */
#include <stddef.h>
#include <string.h>
#include "internal.h"


enum {
	PORT_PBX_ALL = 5080,	/* beside this role on one machine */
	PORT_PBX     = 5060,
	PORT_NG      = 2223,
};

#define ROW(_name, _type, _member) \
	.name = (_name), .type = (_type), \
	.offset = offsetof(struct edge_cfg, _member)
#define HOUR (3600 * 1000)

static const char *const digest_names[] = {"md5", "both", NULL};

static const struct cfg_opt registrar_optv[] = {
	{ROW("min_expires", CFG_DURATION, registrar.min_expires),
	 .min = 1000, .max = 24 * HOUR, .def = "60s",
	 .help = "Shorter ones are refused with 423"},
	{ROW("max_expires", CFG_DURATION, registrar.max_expires),
	 .min = 1000, .max = 240 * HOUR, .def = "7200s",
	 .help = "Longer ones are shortened to this"},
	{ROW("default_expires", CFG_DURATION, registrar.default_expires),
	 .min = 1000, .max = 240 * HOUR, .def = "3600s",
	 .help = "Where the telephone names none"},
	{ROW("max_contacts", CFG_INT, registrar.max_contacts),
	 .min = 1, .max = BRANCH_MAX, .def = "10",
	 .help = "Contacts of one subscriber"},
	{ROW("max_aors", CFG_INT, registrar.max_aors),
	 .min = 1, .max = 10000000, .def = "1000000",
	 .help = "Subscribers that are registered at one time"},
	{.name = NULL}
};

static const struct cfg_opt dispatcher_optv[] = {
	{ROW("nodes", CFG_ADDRS, dispatcher.nodes), .max = 32,
	 .help = "PBX nodes; default: nodes with role pbx, port 5060, or "
		 "127.0.0.1:5080 under role all"},
	{ROW("ping", CFG_DURATION, dispatcher.ping),
	 .min = 100, .max = HOUR, .def = "5s",
	 .help = "OPTIONS to each node; every second to a dead one"},
	{ROW("timeout", CFG_DURATION, dispatcher.timeout),
	 .min = 100, .max = 32000, .def = "2s",
	 .help = "Silence after which the next node is tried"},
	{.name = NULL}
};

static const struct cfg_opt limits_optv[] = {
	{ROW("calls", CFG_INT, limits.calls),
	 .min = 1, .max = 1000000, .def = "100000",
	 .help = "Calls under way per worker; more are refused with 503"},
	{ROW("requests", CFG_INT, limits.requests),
	 .min = 16, .max = 1000000, .def = "100000",
	 .help = "Transactions per worker, of either kind"},
	{ROW("connections", CFG_INT, limits.connections),
	 .min = 1, .max = 60000, .def = "10000",
	 .help = "TCP connections per worker"},
	{ROW("connections_per_address", CFG_INT,
	     limits.connections_per_address),
	 .min = 1, .max = 60000, .def = "100",
	 .help = "... from one address"},
	{ROW("message", CFG_SIZE, limits.message),
	 .min = 1024, .max = 65535, .def = "65535", .unit = "bytes",
	 .help = "Longest message"},
	{.name = NULL}
};

static const struct cfg_opt timers_optv[] = {
	{ROW("t1", CFG_DURATION, timers.t1),
	 .min = 10, .max = 4000, .def = "500ms",
	 .help = "RFC 3261: estimate of the round trip"},
	{ROW("t2", CFG_DURATION, timers.t2),
	 .min = 10, .max = 32000, .def = "4s",
	 .help = "RFC 3261: longest time between retransmissions"},
	{ROW("t4", CFG_DURATION, timers.t4),
	 .min = 10, .max = 32000, .def = "5s",
	 .help = "RFC 3261: how long a message stays in the network"},
	{ROW("c", CFG_DURATION, timers.c),
	 .min = 1000, .max = HOUR, .def = "185s",
	 .help = "RFC 3261: ringing without a final answer; more than 3 min"},
	{ROW("nonce", CFG_DURATION, timers.nonce),
	 .min = 1000, .max = 24 * HOUR, .def = "300s",
	 .help = "How long a digest nonce is good"},
	{ROW("idle", CFG_DURATION, timers.idle),
	 .min = 1000, .max = 24 * HOUR, .def = "600s",
	 .help = "A TCP connection without a byte is closed"},
	{.name = NULL}
};

static const struct cfg_opt edge_optv[] = {
	{ROW("listen", CFG_LISTENERS, listen), .max = 32,
	 .def = "[\"udp:0.0.0.0:5060\", \"tcp:0.0.0.0:5060\", "
		"\"udp:[::]:5060\", \"tcp:[::]:5060\"]",
	 .help = "Where SIP is served"},
	{.name = "registrar", .type = CFG_STRUCT, .sub = registrar_optv,
	 .help = "Registrations"},
	{.name = "dispatcher", .type = CFG_STRUCT, .sub = dispatcher_optv,
	 .help = "The PBX nodes"},
	{ROW("media", CFG_ADDRS, media), .max = NG_NODE_MAX,
	 .help = "NG addresses of media nodes; default: nodes with role "
		 "media, port 2223, or 127.0.0.1:2223 under role all"},
	{ROW("anchor", CFG_BOOL, anchor), .def = "true",
	 .help = "Route the media of calls through a media node"},
	{ROW("digest", CFG_ENUM, digest), .def = "md5",
	 .names = digest_names,
	 .help = "What telephones are offered; both: SHA-256 too, at which "
		 "old ones give up (baresip 1.0 does). Either is taken"},
	{ROW("peers", CFG_ADDRS, peers), .max = 256,
	 .help = "Addresses that are not challenged"},
	{ROW("route_key", CFG_STRING, route_key), .max = 255, .def = "\"\"",
	 .help = "File of 32 bytes that signs routes, the same on every sip "
		 "node; default: STATE/route.key, made at the first start"},
	{ROW("workers", CFG_INT, workers), .min = 1, .max = 64, .def = "1",
	 .help = "Threads that serve SIP"},
	{.name = "limits", .type = CFG_STRUCT, .sub = limits_optv,
	 .help = "What a peer could make grow"},
	{.name = "timers", .type = CFG_STRUCT, .sub = timers_optv,
	 .help = "Times of the protocol"},
	{.name = NULL}
};


static void check(const struct cfg *cfg, const void *sec,
		  struct cfg_report *rep)
{
	const struct edge_cfg *conf = sec;
	struct cfg_pos pos;

	if (conf->registrar.min_expires > conf->registrar.max_expires) {
		pos = cfg_pos(cfg, "sip", "registrar.min_expires");
		cfg_error(rep, &pos, "sip.registrar.min_expires is above "
			  "max_expires: no registration would be taken");
	}
	if (conf->registrar.default_expires < conf->registrar.min_expires ||
	    conf->registrar.default_expires > conf->registrar.max_expires) {
		pos = cfg_pos(cfg, "sip", "registrar.default_expires");
		cfg_error(rep, &pos, "sip.registrar.default_expires must lie "
			  "between min_expires and max_expires");
	}
	if (!conf->listen.n) {
		pos = cfg_pos(cfg, "sip", "listen");
		cfg_error(rep, &pos, "sip.listen is empty: name at least one "
			  "listener, such as udp:0.0.0.0:5060");
	}
}


const struct cfg_section edge_section = {
	.name = "sip", .optv = edge_optv, .size = sizeof(struct edge_cfg),
	.help = "The edge: registrar, proxy, balancer", .check = check,
};


/* Address of a node's service: on this machine's loopback under role all */
static bool node_addr(struct sa *sa, const struct cfg_node *node,
		      uint16_t port_all, uint16_t port)
{
	if (node->role == CFG_ROLE_ALL)
		return !sa_set_str(sa, "127.0.0.1", port_all);

	if (!sa_isset(&node->internal, SA_ADDR))
		return false;

	*sa = node->internal;
	sa_set_port(sa, port);

	return true;
}


static void port_default(struct sa *sa, uint16_t port)
{
	if (!sa_port(sa))
		sa_set_port(sa, port);
}


/** Returns how many, at most max */
size_t edge_cfg_pbx(const struct cfg *cfg, struct cfg_addr *v, size_t max)
{
	const struct edge_cfg *conf = cfg_get(cfg, "sip");
	const struct cfg_list *list = &conf->dispatcher.nodes;
	const struct cfg_node *node;
	size_t n = 0;

	for (; n < list->n && n < max; n++) {
		v[n] = ((const struct cfg_addr *)list->v)[n];
		port_default(&v[n].sa, PORT_PBX);
	}
	if (n)
		return n;

	for (size_t i = 0; n < max &&
	     (node = cfg_node_role(cfg, CFG_ROLE_PBX, i)); i++) {
		v[n].proto = CFG_PROTO_UDP;
		if (node_addr(&v[n].sa, node, PORT_PBX_ALL, PORT_PBX))
			++n;
	}
	if (n || !max)
		return n;

	v[0].proto = CFG_PROTO_UDP;

	return sa_set_str(&v[0].sa, "127.0.0.1", PORT_PBX_ALL) ? 0 : 1;
}


size_t edge_cfg_media(const struct cfg *cfg, struct sa *v, size_t max)
{
	const struct edge_cfg *conf = cfg_get(cfg, "sip");
	const struct cfg_node *node;
	size_t n = 0;

	for (; n < conf->media.n && n < max; n++) {
		v[n] = ((const struct cfg_addr *)conf->media.v)[n].sa;
		port_default(&v[n], PORT_NG);
	}
	if (n)
		return n;

	for (size_t i = 0; n < max &&
	     (node = cfg_node_role(cfg, CFG_ROLE_MEDIA, i)); i++) {
		if (node_addr(&v[n], node, PORT_NG, PORT_NG))
			++n;
	}
	if (n || !max)
		return n;

	return sa_set_str(&v[0], "127.0.0.1", PORT_NG) ? 0 : 1;
}
