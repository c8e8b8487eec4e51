/**
 * @file config.c  The section "media", and the interfaces it names
 */
#include <stddef.h>
#include <re.h>
#include "media/media.h"


static const struct cfg_opt if_optv[] = {
	{"address", CFG_STRING, offsetof(struct media_if_conf, address),
	 .min = 1, .max = 63, .required = true,
	 .help = "Local address that media sockets are bound to"},
	{"advertised", CFG_STRING, offsetof(struct media_if_conf, advertised),
	 .max = 63, .def = "\"\"",
	 .help = "Address that SDP names instead (behind a NAT)"},
	{.name = NULL}
};

static const struct cfg_opt optv[] = {
	{"ng", CFG_LISTENERS, offsetof(struct media_conf, ng),
	 .def = "[\"udp:127.0.0.1:2223\"]",
	 .help = "Where NG commands are taken"},
	{"allow", CFG_CIDRS, offsetof(struct media_conf, allow),
	 .help = "Who may send them, beside loopback and the internal"
		 " network"},
	{"ports", CFG_PORTS, offsetof(struct media_conf, ports),
	 .def = "10000-20000", .help = "Ports for media"},
	{"interfaces", CFG_MAP, offsetof(struct media_conf, interfaces),
	 .sub = if_optv, .sub_size = sizeof(struct media_if_conf),
	 .help = "Names that an NG \"direction\" may give, each with its"
		 " address; without any, internal and external of the node"},
	{"timeout", CFG_DURATION, offsetof(struct media_conf, timeout),
	 .min = 1000, .max = 86400000, .def = "60s",
	 .help = "A call without any packet for this long is freed"},
	{"held_timeout", CFG_DURATION,
	 offsetof(struct media_conf, held_timeout),
	 .min = 1000, .max = 604800000, .def = "1h",
	 .help = "The same while the call is on hold"},
	{"offer_timeout", CFG_DURATION,
	 offsetof(struct media_conf, offer_timeout),
	 .min = 1000, .max = 86400000, .def = "5m",
	 .help = "An offer that is not answered for this long is freed"},
	{"port_reuse", CFG_DURATION, offsetof(struct media_conf, port_reuse),
	 .min = 0, .max = 600000, .def = "2s",
	 .help = "How long a port rests before its next call"},
	{"workers", CFG_INT, offsetof(struct media_conf, workers),
	 .min = 1, .max = MEDIA_WORKER_MAX, .def = "1",
	 .help = "Threads that relay packets"},
	{"max_sessions", CFG_INT, offsetof(struct media_conf, max_sessions),
	 .min = 1, .max = 1000000, .def = "5000",
	 .help = "Calls at once; more are refused"},
	{"strict_source", CFG_BOOL, offsetof(struct media_conf, strict_source),
	 .def = "true",
	 .help = "Drop packets that do not come from the learnt source, also"
		 " without the flag \"strict source\""},
	{.name = NULL}
};


static bool addr_ok(const char *str)
{
	struct sa sa;

	return !sa_set_str(&sa, str, 0);
}


static void check(const struct cfg *cfg, const void *sec,
		  struct cfg_report *rep)
{
	const struct media_conf *conf = sec;
	const struct media_if_conf *ifv = conf->interfaces.v;
	const struct cfg_addr *ngv = conf->ng.v;
	struct cfg_pos pos;
	size_t i;

	pos = cfg_pos(cfg, "media", "ng");
	for (i = 0; i < conf->ng.n; i++) {

		if (ngv[i].proto != CFG_PROTO_UDP)
			cfg_error(rep, &pos, "media.ng: NG is served over"
				  " udp only, such as udp:127.0.0.1:2223");
	}

	pos = cfg_pos(cfg, "media", "interfaces");
	if (conf->interfaces.n > MEDIA_IF_MAX)
		cfg_error(rep, &pos, "media.interfaces: at most %u",
			  MEDIA_IF_MAX);

	for (i = 0; i < conf->interfaces.n; i++) {

		if (!addr_ok(ifv[i].address))
			cfg_error(rep, &pos, "media.interfaces.%s.address:"
				  " \"%s\" is not an IP address",
				  ifv[i].name, ifv[i].address);
		if (str_isset(ifv[i].advertised) &&
		    !addr_ok(ifv[i].advertised))
			cfg_error(rep, &pos, "media.interfaces.%s.advertised:"
				  " \"%s\" is not an IP address",
				  ifv[i].name, ifv[i].advertised);
	}

	if (conf->ports.max - conf->ports.min < 3) {
		pos = cfg_pos(cfg, "media", "ports");
		cfg_error(rep, &pos, "media.ports: a call needs at least"
			  " four ports");
	}
}


const struct cfg_section media_section = {
	.name  = "media",
	.optv  = optv,
	.size  = sizeof(struct media_conf),
	.help  = "The media role: relay of RTP, driven by NG",
	.check = check,
};


static void if_set(struct media_if *mi, const char *name, const struct sa *sa)
{
	str_ncpy(mi->name, name, sizeof(mi->name));
	mi->addr = *sa;
	mi->pub = *sa;
}


/* Without a list: the node's two addresses, or loopback */
static void if_default(struct media_if *ifv, unsigned *ifc,
		       const struct cfg_node *node)
{
	struct sa lo;

	(void)sa_set_str(&lo, "127.0.0.1", 0);

	if_set(&ifv[0], "internal", node && sa_isset(&node->internal, SA_ADDR)
	       ? &node->internal : &lo);
	if_set(&ifv[1], "external", node && sa_isset(&node->external, SA_ADDR)
	       ? &node->external : &ifv[0].addr);
	*ifc = 2;
}


int media_interfaces(struct media_if *ifv, unsigned *ifc,
		     const struct cfg *cfg, char *why, size_t whysz)
{
	const struct media_conf *conf = cfg_get(cfg, "media");
	const struct media_if_conf *cv = conf->interfaces.v;
	unsigned i;

	if (!conf->interfaces.n) {
		if_default(ifv, ifc, cfg_self(cfg));
		return 0;
	}

	for (i = 0; i < conf->interfaces.n && i < MEDIA_IF_MAX; i++) {

		struct sa sa;

		if (sa_set_str(&sa, cv[i].address, 0)) {
			(void)re_snprintf(why, whysz, "media.interfaces.%s:"
					  " \"%s\" is not an IP address",
					  cv[i].name, cv[i].address);
			return EINVAL;
		}

		if_set(&ifv[i], cv[i].name, &sa);
		if (str_isset(cv[i].advertised))
			(void)sa_set_str(&ifv[i].pub, cv[i].advertised, 0);
	}
	*ifc = i;

	return 0;
}
