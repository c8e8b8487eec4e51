/**
 * @file config.c  The section "media", and the interfaces it names
 */
#include <stddef.h>
#include <string.h>
#include <re.h>
#include "media/media.h"


static const struct cfg_opt if_optv[] = {
	{"address", CFG_STRING, offsetof(struct media_if_conf, address),
	 .min = 1, .max = 63, .required = true,
	 .help = "Local address that media sockets are bound to"},
	{"advertised", CFG_STRING, offsetof(struct media_if_conf, advertised),
	 .max = 63, .def = "\"\"",
	 .help = "Address that SDP names instead (behind a NAT)"},
	{"address6", CFG_STRING, offsetof(struct media_if_conf, address6),
	 .max = 63, .def = "\"\"",
	 .help = "Its address of the other family, for telephones that have"
		 " only that"},
	{"advertised6", CFG_STRING, offsetof(struct media_if_conf, advertised6),
	 .max = 63, .def = "\"\"",
	 .help = "What SDP names instead of address6"},
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
	 .help = "How long a port rests before its next call, if others"
		 " are free"},
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


static void addr_check(struct cfg_report *rep, const struct cfg_pos *pos,
		       const char *name, const char *key, const char *str)
{
	struct sa sa;

	if (!str_isset(str))
		return;
	if (sa_set_str(&sa, str, 0))
		cfg_error(rep, pos, "media.interfaces.%s.%s: \"%s\" is not an"
			  " IP address", name, key, str);
	else if (sa_is_any(&sa))
		cfg_error(rep, pos, "media.interfaces.%s.%s: \"%s\" is no"
			  " address that a telephone can send to; name one of"
			  " this machine", name, key, str);
}


static void if_check(struct cfg_report *rep, const struct cfg_pos *pos,
		     const struct media_if_conf *ic)
{
	struct sa a, b;

	if (strlen(ic->name) > MEDIA_IF_NAME)
		cfg_error(rep, pos, "media.interfaces.%s: a name of at most"
			  " %u bytes", ic->name, MEDIA_IF_NAME);

	addr_check(rep, pos, ic->name, "address", ic->address);
	addr_check(rep, pos, ic->name, "advertised", ic->advertised);
	addr_check(rep, pos, ic->name, "address6", ic->address6);
	addr_check(rep, pos, ic->name, "advertised6", ic->advertised6);

	if (!sa_set_str(&a, ic->address, 0) && str_isset(ic->address6) &&
	    !sa_set_str(&b, ic->address6, 0) && sa_af(&a) == sa_af(&b))
		cfg_error(rep, pos, "media.interfaces.%s.address6: is of the"
			  " same family as address", ic->name);
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
	if (conf->ng.n > MEDIA_NG_MAX)
		cfg_error(rep, &pos, "media.ng: at most %u addresses",
			  MEDIA_NG_MAX);
	for (i = 0; i < conf->ng.n; i++) {

		if (ngv[i].proto != CFG_PROTO_UDP)
			cfg_error(rep, &pos, "media.ng: NG is served over"
				  " udp only, such as udp:127.0.0.1:2223");
	}

	pos = cfg_pos(cfg, "media", "interfaces");
	if (conf->interfaces.n > MEDIA_IF_MAX)
		cfg_error(rep, &pos, "media.interfaces: at most %u",
			  MEDIA_IF_MAX);

	for (i = 0; i < conf->interfaces.n; i++)
		if_check(rep, &pos, &ifv[i]);

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


static void if_add(struct media_if *ifv, unsigned *ifc, const char *name,
		   const struct sa *addr, const char *pub)
{
	struct media_if *mi = &ifv[*ifc];

	str_ncpy(mi->name, name, sizeof(mi->name));
	mi->addr = *addr;
	mi->pub = *addr;
	if (str_isset(pub))
		(void)sa_set_str(&mi->pub, pub, 0);
	++*ifc;
}


static bool is_bindable(const struct sa *addr)
{
	struct udp_sock *us;

	if (udp_listen(&us, addr, NULL, NULL))
		return false;

	mem_deref(us);

	return true;
}


/* Without a list: the node's two addresses, or loopback of both families */
static void if_default(struct media_if *ifv, unsigned *ifc,
		       const struct cfg_node *node)
{
	struct sa in, ex, lo;

	(void)sa_set_str(&in, "127.0.0.1", 0);
	(void)sa_set_str(&lo, "::1", 0);
	if (node && sa_isset(&node->internal, SA_ADDR))
		in = node->internal;
	ex = node && sa_isset(&node->external, SA_ADDR) ? node->external : in;

	if_add(ifv, ifc, "internal", &in, NULL);
	if_add(ifv, ifc, "external", &ex, NULL);
	if (sa_is_loopback(&in) && sa_af(&in) == AF_INET &&
	    is_bindable(&lo)) {
		if_add(ifv, ifc, "internal", &lo, NULL);
		if_add(ifv, ifc, "external", &lo, NULL);
	}
}


static int if_conf(struct media_if *ifv, unsigned *ifc,
		   const struct media_if_conf *ic)
{
	struct sa sa;

	if (sa_set_str(&sa, ic->address, 0))
		return EINVAL;
	if_add(ifv, ifc, ic->name, &sa, ic->advertised);

	if (str_isset(ic->address6)) {
		if (sa_set_str(&sa, ic->address6, 0))
			return EINVAL;
		if_add(ifv, ifc, ic->name, &sa, ic->advertised6);
	}

	return 0;
}


int media_interfaces(struct media_if *ifv, unsigned *ifc,
		     const struct cfg *cfg, char *why, size_t whysz)
{
	const struct media_conf *conf = cfg_get(cfg, "media");
	const struct media_if_conf *cv = conf->interfaces.v;
	size_t i;

	*ifc = 0;
	if (!conf->interfaces.n) {
		if_default(ifv, ifc, cfg_self(cfg));
		return 0;
	}

	for (i = 0; i < conf->interfaces.n && i < MEDIA_IF_MAX; i++) {

		if (if_conf(ifv, ifc, &cv[i])) {
			(void)re_snprintf(why, whysz, "media.interfaces.%s:"
					  " an address is no IP address",
					  cv[i].name);
			return EINVAL;
		}
	}

	return 0;
}


/** The interface of this name and address family; the name counts more.
    Without a name that is known: the first of the family */
unsigned media_if_find(const struct media *md, const struct pl *name, int af)
{
	unsigned i, found = md->ifc, family = md->ifc;

	for (i = md->ifc; i-- > 0; ) {

		const struct media_if *mi = &md->ifv[i];
		const bool same = sa_af(&mi->addr) == af;

		if (same)
			family = i;
		if (pl_strcmp(name, mi->name))
			continue;
		if (same || found == md->ifc ||
		    sa_af(&md->ifv[found].addr) != af)
			found = i;
	}

	if (found < md->ifc)
		return found;

	return family < md->ifc ? family : 0;
}
