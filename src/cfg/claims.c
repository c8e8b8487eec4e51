/**
 * @file cfg/claims.c  Ports of the selected node: who takes which, and twice?
 *
 * Sections that are named as a role are taken on nodes with that role.
 * Whatever listens, and each range of ports for media, is a claim; two that
 * meet are an error.  An address that this machine does not have is a
 * warning: the file may be checked elsewhere.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <re.h>
#include "cfg.h"
#include "internal.h"


enum {
	CLAIMS_MAX = 256,
	PORT_SIP   = 5060,
	PORT_PBX   = 5080,	/* of a pbx beside the sip role */
	PORT_NG    = 2223,
};

struct claim {
	const char *what;	/* "sip.listen" */
	struct cfg_pos pos;
	struct sa sa;
	bool stream;		/* TCP, not UDP */
	bool range;
	struct cfg_ports ports;
};

struct claims {
	const struct cfg *cfg;
	struct cfg_report *rep;
	size_t n;
	struct claim v[CLAIMS_MAX];
};


static void claim(struct claims *cl, const char *what, const struct sa *sa,
		  bool stream, const struct cfg_pos *pos)
{
	struct claim *c;

	if (cl->n == CLAIMS_MAX)
		return;

	c = &cl->v[cl->n++];
	memset(c, 0, sizeof(*c));
	c->what = what;
	c->sa = *sa;
	c->stream = stream;
	c->pos = *pos;
	c->ports.min = c->ports.max = sa_port(sa);
}


static void claim_range(struct claims *cl, const char *what,
			const struct sa *sa, const struct cfg_ports *ports,
			const struct cfg_pos *pos)
{
	if (!sa_isset(sa, SA_ADDR) || cl->n == CLAIMS_MAX)
		return;

	claim(cl, what, sa, false, pos);
	cl->v[cl->n - 1].range = true;
	cl->v[cl->n - 1].ports = *ports;
}


/* Returns how many; a listener without a port has that of its protocol */
static size_t claim_listeners(struct claims *cl, const char *section,
			      const char *name, const char *what,
			      uint16_t port)
{
	const struct cfg_list *list;
	const struct cfg_addr *v;
	size_t i;

	list = cfg_row(cl->cfg, section, name, CFG_LISTENERS);
	if (!list)
		return 0;

	v = list->v;
	for (i = 0; i < list->n && cl->n < CLAIMS_MAX; i++) {
		struct sa sa = v[i].sa;
		struct cfg_pos pos;
		char path[64];

		(void)re_snprintf(path, sizeof(path), "%s.%zu", name, i);
		pos = cfg_pos(cl->cfg, section, path);
		if (!sa_port(&sa))
			sa_set_port(&sa, port);
		claim(cl, what, &sa, v[i].proto != CFG_PROTO_UDP, &pos);
	}

	return list->n;
}


static bool runs(const struct cfg *cfg, enum cfg_role role)
{
	return cfg->self.role == CFG_ROLE_ALL || cfg->self.role == (int)role;
}


static void claim_pbx(struct claims *cl)
{
	const struct cfg_node *self = &cl->cfg->self;
	const struct cfg_ports *ports;
	struct cfg_pos pos;
	char *const *str;
	struct sa sa;

	/* DESIGN: beside the sip role it keeps to loopback */
	if (!claim_listeners(cl, "pbx", "listen", "pbx.listen", PORT_SIP) &&
	    cfg_row(cl->cfg, "pbx", "listen", CFG_LISTENERS)) {
		pos = cfg_pos(cl->cfg, "pbx", "listen");
		sa = self->internal;
		if (self->role == CFG_ROLE_ALL)
			(void)sa_set_str(&sa, "127.0.0.1", PORT_PBX);
		else if (sa_isset(&sa, SA_ADDR))
			sa_set_port(&sa, PORT_SIP);
		if (sa_isset(&sa, SA_ADDR)) {
			claim(cl, "pbx.listen", &sa, false, &pos);
			claim(cl, "pbx.listen", &sa, true, &pos);
		}
	}

	ports = cfg_row(cl->cfg, "pbx", "ports", CFG_PORTS);
	str = cfg_row(cl->cfg, "pbx", "rtp_address", CFG_STRING);
	if (!ports)
		return;

	sa = self->internal;
	if (str && str_isset(*str) && sa_set_str(&sa, *str, 0))
		return;
	pos = cfg_pos(cl->cfg, "pbx", "ports");
	claim_range(cl, "pbx.ports", &sa, ports, &pos);
}


static void claim_media(struct claims *cl)
{
	const struct cfg_node *self = &cl->cfg->self;
	const struct cfg_ports *ports;
	const struct cfg_list *list;
	struct cfg_pos pos;
	size_t i;

	(void)claim_listeners(cl, "media", "ng", "media.ng", PORT_NG);
	ports = cfg_row(cl->cfg, "media", "ports", CFG_PORTS);
	list = cfg_row(cl->cfg, "media", "interfaces", CFG_MAP);
	if (!ports)
		return;

	pos = cfg_pos(cl->cfg, "media", "ports");
	for (i = 0; list && i < list->n; i++) {
		const char *s = cfg_row_string(cl->cfg, "media", "interfaces",
					       i, "address");
		struct sa sa;

		if (s && !sa_set_str(&sa, s, 0))
			claim_range(cl, "media.ports", &sa, ports, &pos);
	}
	if (list && list->n)
		return;

	claim_range(cl, "media.ports", &self->internal, ports, &pos);
	claim_range(cl, "media.ports", &self->external, ports, &pos);
}


static bool meet(const struct claim *a, const struct claim *b)
{
	if (a->stream != b->stream || sa_af(&a->sa) != sa_af(&b->sa))
		return false;
	if (!sa_is_any(&a->sa) && !sa_is_any(&b->sa) &&
	    !sa_cmp(&a->sa, &b->sa, SA_ADDR))
		return false;

	/* the same range on two interfaces with one address */
	if (a->range && b->range && a->what == b->what)
		return false;

	return a->ports.min <= b->ports.max && b->ports.min <= a->ports.max;
}


static int print_claim(struct re_printf *pf, const struct claim *c)
{
	if (c->range)
		return re_hprintf(pf, "%u-%u at %j", c->ports.min,
				  c->ports.max, &c->sa);

	return re_hprintf(pf, "%s:%J", c->stream ? "tcp" : "udp", &c->sa);
}


static int print_where(struct re_printf *pf, const struct claim *c)
{
	return c->pos.line ? re_hprintf(pf, "line %u", c->pos.line) :
		re_hprintf(pf, "default");
}


static void complain(struct claims *cl, const struct claim *a,
		     const struct claim *b)
{
	/* said at the one that stands later in the file */
	if (a->pos.line > b->pos.line) {
		const struct claim *c = a;

		a = b;
		b = c;
	}

	if (a->range || b->range)
		cfg_error(cl->rep, &b->pos, "VS0502 %s: %H overlaps %s %H"
			  " (%H)", b->what, print_claim, b, a->what,
			  print_claim, a, print_where, a);
	else
		cfg_error(cl->rep, &b->pos, "VS0501 %s: %H is taken by %s %H"
			  " (%H)", b->what, print_claim, b, a->what,
			  print_claim, a, print_where, a);
}


static void check_pairs(struct claims *cl)
{
	size_t i, j;

	for (i = 0; i < cl->n; i++) {
		for (j = i + 1; j < cl->n; j++) {

			if (!meet(&cl->v[i], &cl->v[j]))
				continue;

			/* one complaint for each claim */
			complain(cl, &cl->v[i], &cl->v[j]);
			break;
		}
	}
}


/* Not only addresses of interfaces can be bound: the kernel knows */
static bool is_here(const struct sa *sa)
{
	struct sa any = *sa;
	bool here;
	int fd;

	fd = socket(sa_af(sa), SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return true;

	sa_set_port(&any, 0);
	here = !bind(fd, &any.u.sa, any.len) || errno != EADDRNOTAVAIL;
	(void)close(fd);

	return here;
}


/* Said once, at the node, and not where its address is used */
static void check_node(struct claims *cl, const char *name,
		       const struct sa *sa)
{
	const struct cfg_node *self = &cl->cfg->self;
	const bool fleet = cfg_val_find(cl->cfg->root, "nodes") != NULL;
	struct cfg_pos pos;
	char path[CFG_PATH_MAX];

	if (!sa_isset(sa, SA_ADDR) || sa_is_linklocal(sa) || is_here(sa))
		return;

	(void)re_snprintf(path, sizeof(path), "%s%s%s",
			  fleet ? self->name : "", fleet ? "." : "", name);
	pos = cfg_pos(cl->cfg, fleet ? "nodes" : "node", path);
	cfg_warning(cl->rep, &pos, "VS0304 %s.%s: %j is no address of this"
		    " machine; node %s needs it", fleet ? "nodes" : "node",
		    path, sa, self->name);
}


static void check_addresses(struct claims *cl)
{
	const struct cfg_node *self = &cl->cfg->self;
	size_t i, j;

	check_node(cl, "internal", &self->internal);
	check_node(cl, "external", &self->external);

	for (i = 0; i < cl->n; i++) {
		const struct claim *c = &cl->v[i];

		for (j = 0; j < i; j++) {
			if (sa_cmp(&cl->v[j].sa, &c->sa, SA_ADDR))
				break;
		}
		if (j < i || sa_is_any(&c->sa) || sa_is_linklocal(&c->sa) ||
		    sa_cmp(&self->internal, &c->sa, SA_ADDR) ||
		    sa_cmp(&self->external, &c->sa, SA_ADDR) ||
		    is_here(&c->sa))
			continue;

		cfg_warning(cl->rep, &c->pos, "VS0304 %s: %j is no address of"
			    " this machine; node %s needs it", c->what,
			    &c->sa, cl->cfg->self.name);
	}
}


/** What the selected node takes, once it is known */
int cfg_check_claims(const struct cfg *cfg, struct cfg_report *rep)
{
	struct claims *cl;

	if (!cfg->self.name)
		return 0;

	cl = mem_zalloc(sizeof(*cl), NULL);
	if (!cl)
		return ENOMEM;

	cl->cfg = cfg;
	cl->rep = rep;

	if (runs(cfg, CFG_ROLE_SIP))
		(void)claim_listeners(cl, "sip", "listen", "sip.listen",
				      PORT_SIP);
	if (runs(cfg, CFG_ROLE_PBX))
		claim_pbx(cl);
	if (runs(cfg, CFG_ROLE_MEDIA))
		claim_media(cl);

	check_pairs(cl);
	check_addresses(cl);
	mem_deref(cl);

	return 0;
}
