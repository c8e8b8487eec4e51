/**
 * @file cfg/cross.c  Checks of one thing against another, whole file
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <re.h>
#include "cfg.h"
#include "internal.h"


enum {
	NODES_MAX      = 1000,	/* compared with each other             */
	CALL_PORTS     = 2,	/* RTP and RTCP, on each of two sides   */
	CALL_FILES     = 4,
};


static const struct cfg_opt *find_row(const struct cfg_opt *optv,
				      const char *name, enum cfg_type type)
{
	const struct cfg_opt *opt;

	for (opt = optv; opt->name; opt++) {
		if (opt->type == type && !strcmp(opt->name, name))
			return opt;
	}

	return NULL;
}


static const struct cfg_inst *find_inst(const struct cfg *cfg,
					const char *section)
{
	size_t i;

	for (i = 0; i < cfg->instc; i++) {
		if (cfg->instv[i].sound &&
		    !strcmp(cfg->instv[i].sec->name, section))
			return &cfg->instv[i];
	}

	return NULL;
}


/** A row's value, if its section is sound and has such a row */
const void *cfg_row(const struct cfg *cfg, const char *section,
		    const char *name, enum cfg_type type)
{
	const struct cfg_inst *inst = find_inst(cfg, section);
	const struct cfg_opt *opt;

	opt = inst ? find_row(inst->sec->optv, name, type) : NULL;

	return opt ? (const uint8_t *)inst->data + opt->offset : NULL;
}


/** A string of the idx-th element of a CFG_MAP */
const char *cfg_row_string(const struct cfg *cfg, const char *section,
			   const char *map, size_t idx, const char *name)
{
	const struct cfg_inst *inst = find_inst(cfg, section);
	const struct cfg_opt *opt, *sub;
	const struct cfg_list *list;

	opt = inst ? find_row(inst->sec->optv, map, CFG_MAP) : NULL;
	sub = opt ? find_row(opt->sub, name, CFG_STRING) : NULL;
	if (!sub)
		return NULL;

	list = (const void *)((const uint8_t *)inst->data + opt->offset);
	if (idx >= list->n)
		return NULL;

	return *(char *const *)(const void *)
		((const uint8_t *)list->v + idx * opt->sub_size +
		 sub->offset);
}


struct item {
	const void *v;
	size_t idx;
};


static int cidr_cmp(const void *a, const void *b)
{
	const struct item *i = a, *j = b;
	const struct cfg_cidr *x = i->v, *y = j->v;
	int d;

	if (sa_af(&x->net) != sa_af(&y->net))
		return sa_af(&x->net) < sa_af(&y->net) ? -1 : 1;

	d = sa_af(&x->net) == AF_INET ?
		memcmp(&x->net.u.in.sin_addr, &y->net.u.in.sin_addr, 4) :
		memcmp(&x->net.u.in6.sin6_addr, &y->net.u.in6.sin6_addr, 16);

	if (!d)
		d = (x->bits > y->bits) - (x->bits < y->bits);

	return d ? d : (i->idx > j->idx) - (i->idx < j->idx);
}


static int name_cmp(const void *a, const void *b)
{
	return strcasecmp(*(char *const *)((const struct item *)a)->v,
			  *(char *const *)((const struct item *)b)->v);
}


static struct item *sorted(const struct cfg_list *list, size_t size,
			   int (*cmp)(const void *a, const void *b))
{
	struct item *itemv = mem_reallocarray(NULL, list->n + 1,
					      sizeof(*itemv), NULL);
	size_t i;

	if (!itemv)
		return NULL;

	for (i = 0; i < list->n; i++) {
		itemv[i].v = (const uint8_t *)list->v + i * size;
		itemv[i].idx = i;
	}
	qsort(itemv, list->n, sizeof(*itemv), cmp);

	return itemv;
}


static struct cfg_pos item_pos(const struct cfg *cfg, const char *section,
			       const char *name, size_t idx)
{
	char path[64];

	(void)re_snprintf(path, sizeof(path), "%s%s%zu", name,
			  *name ? "." : "", idx);

	return cfg_pos(cfg, section, path);
}


/* Two networks are one in the other, or apart: sorted, neighbours tell */
static int check_networks(const struct cfg *cfg, const char *section,
			  const char *name, struct cfg_report *rep)
{
	const struct cfg_list *list = cfg_row(cfg, section, name, CFG_CIDRS);
	const struct cfg_cidr *outer = NULL;
	struct item *itemv;
	size_t i;

	if (!list)
		return 0;

	itemv = sorted(list, sizeof(*outer), cidr_cmp);
	if (!itemv)
		return ENOMEM;

	for (i = 0; i < list->n; i++) {
		const struct cfg_cidr *c = itemv[i].v;
		struct cfg_pos pos;

		if (!outer || !cfg_cidr_match(outer, &c->net)) {
			outer = c;
			continue;
		}
		pos = item_pos(cfg, section, name, itemv[i].idx);
		cfg_warning(rep, &pos, "VS0503 %s.%s: %j/%u lies within %j/%u"
			    " and changes nothing", section, name, &c->net,
			    c->bits, &outer->net, outer->bits);
	}
	mem_deref(itemv);

	return 0;
}


static int check_domains(const struct cfg *cfg, struct cfg_report *rep)
{
	const struct cfg_list *list = cfg_row(cfg, "domains", "",
					      CFG_STRINGS);
	struct item *itemv;
	size_t i;

	if (!list)
		return 0;

	itemv = sorted(list, sizeof(char *), name_cmp);
	if (!itemv)
		return ENOMEM;

	for (i = 1; i < list->n; i++) {
		struct cfg_pos pos;

		if (name_cmp(&itemv[i - 1], &itemv[i]))
			continue;

		pos = item_pos(cfg, "domains", "", max(itemv[i - 1].idx,
						       itemv[i].idx));
		cfg_warning(rep, &pos, "VS0506 domains: %s stands twice",
			    *(char *const *)itemv[i].v);
	}
	mem_deref(itemv);

	return 0;
}


static void check_nodes(const struct cfg *cfg, struct cfg_report *rep)
{
	size_t i, j;

	for (i = 1; i < cfg->nodec && cfg->nodec <= NODES_MAX; i++) {
		const struct cfg_node *n = &cfg->nodev[i];

		for (j = 0; j < i; j++) {
			const struct cfg_node *o = &cfg->nodev[j];
			struct cfg_pos pos;

			if (!sa_isset(&n->internal, SA_ADDR) ||
			    !sa_cmp(&n->internal, &o->internal, SA_ADDR))
				continue;

			pos = cfg_pos(cfg, "nodes", n->name);
			cfg_error(rep, &pos, "VS0305 nodes.%s.internal: %j is"
				  " the address of %s too", n->name,
				  &n->internal, o->name);
			break;
		}
	}
}


/* Has somebody set it?  The default is no promise, written out or not */
static bool is_chosen(const struct cfg *cfg, const char *section,
		      const char *name)
{
	const struct cfg_val *v = cfg_val_find(cfg_val_find(cfg->root,
							    section), name);
	const struct cfg_inst *inst = find_inst(cfg, section);
	const struct cfg_opt *opt;

	opt = inst ? find_row(inst->sec->optv, name, CFG_INT) : NULL;

	return v && opt && str_cmp(v->text, opt->def);
}


static void check_limits(const struct cfg *cfg, struct cfg_report *rep)
{
	const struct cfg_ports *ports = cfg_row(cfg, "media", "ports",
						CFG_PORTS);
	const int64_t *calls = cfg_row(cfg, "media", "max_sessions", CFG_INT);
	const struct cfg_pos pos = cfg_pos(cfg, "media", "max_sessions");
	const struct cfg_node *n = &cfg->self;
	int64_t have;

	if (!ports || !calls || !is_chosen(cfg, "media", "max_sessions"))
		return;

	have = ports->max - ports->min + 1;
	if (*calls * CALL_PORTS > have)
		cfg_warning(rep, &pos, "VS0504 media.max_sessions: %lld calls"
			    " need %lld ports at least, media.ports %u-%u has"
			    " %lld", *calls, *calls * CALL_PORTS, ports->min,
			    ports->max, have);

	if (n->name && (n->role == CFG_ROLE_ALL ||
			n->role == CFG_ROLE_MEDIA) &&
	    *calls * CALL_FILES > n->max_files)
		cfg_warning(rep, &pos, "VS0505 media.max_sessions: %lld calls"
			    " need %lld sockets, max_files of node %s is %lld",
			    *calls, *calls * CALL_FILES, n->name,
			    n->max_files);
}


static void check_files(const struct cfg *cfg, struct cfg_report *rep)
{
	char *const *key = cfg_row(cfg, "sip", "route_key", CFG_STRING);
	const struct cfg_pos whole = {.file = cfg->file};
	struct cfg_pos pos;
	struct stat st;

	if (cfg->file && !stat(cfg->file, &st) && S_ISREG(st.st_mode) &&
	    (st.st_mode & S_IWOTH))
		cfg_warning(rep, &whole, "VS0601 everybody may write it; use"
			    " chmod o-w");

	if (key && str_isset(*key) && !stat(*key, &st) &&
	    (st.st_mode & (S_IRWXG | S_IRWXO))) {
		pos = cfg_pos(cfg, "sip", "route_key");
		cfg_warning(rep, &pos, "VS0602 sip.route_key: %s has mode"
			    " %u%u%u, others may use it; chmod 600", *key,
			    st.st_mode >> 6 & 7, st.st_mode >> 3 & 7,
			    st.st_mode & 7);
	}
}


/** All checks of this file; sections that are not sound are left out */
int cfg_check_cross(const struct cfg *cfg, struct cfg_report *rep)
{
	int err;

	err  = check_networks(cfg, "networks", "internal", rep);
	err |= check_networks(cfg, "media", "allow", rep);
	err |= check_domains(cfg, rep);
	check_nodes(cfg, rep);
	check_limits(cfg, rep);
	check_files(cfg, rep);

	return err ? ENOMEM : cfg_check_claims(cfg, rep);
}
