/**
 * @file cfg/load.c  File -> tree -> sections -> cross checks -> struct cfg
 */
#include <string.h>
#include <re.h>
#include "cfg.h"
#include "internal.h"


/** Names of the top level, for "did you mean" */
struct top {
	const struct cfg *cfg;
};


static void destructor(void *arg)
{
	struct cfg *cfg = arg;

	list_flush(&cfg->blockl);
	mem_deref(cfg->root);
	mem_deref(cfg->instv);
	mem_deref(cfg->file);
}


static size_t section_count(const struct cfg_section *const *secv)
{
	size_t n = 0;

	while (secv && secv[n])
		++n;

	return n;
}


static int add_section(struct cfg *cfg, const struct cfg_section *sec)
{
	struct cfg_inst *inst = &cfg->instv[cfg->instc];

	inst->data = cfg_block(cfg, sec->size);
	if (!inst->data)
		return ENOMEM;

	inst->sec = sec;
	++cfg->instc;

	return 0;
}


static int add_sections(struct cfg *cfg,
			const struct cfg_section *const *secv)
{
	const size_t ground = section_count(cfg_ground_sections);
	const size_t more = section_count(secv);
	size_t i;
	int err = 0;

	cfg->instv = mem_zalloc((ground + more) * sizeof(*cfg->instv), NULL);
	if (!cfg->instv)
		return ENOMEM;

	for (i = 0; i < ground && !err; i++)
		err = add_section(cfg, cfg_ground_sections[i]);
	for (i = 0; i < more && !err; i++)
		err = add_section(cfg, secv[i]);

	return err;
}


static const struct cfg_inst *find(const struct cfg *cfg, const char *name)
{
	size_t i;

	for (i = 0; i < cfg->instc; i++) {
		if (!strcmp(cfg->instv[i].sec->name, name))
			return &cfg->instv[i];
	}

	return NULL;
}


static const char *top_name(size_t i, void *arg)
{
	const struct top *top = arg;

	if (i < top->cfg->instc)
		return top->cfg->instv[i].sec->name;

	return cfg_later_name(i - top->cfg->instc);
}


static void check_top(const struct cfg *cfg, struct cfg_report *rep)
{
	struct top top = {cfg};
	struct le *le;

	for (le = cfg->root ? cfg->root->vall.head : NULL; le;
	     le = le->next) {
		const struct cfg_val *v = le->data;
		const char *near;

		if (find(cfg, v->key))
			continue;

		if (cfg_is_later(v->key)) {
			cfg_error(rep, &v->kpos, "VS0203"
				  " %s: not supported yet by"
				  " this version; remove it", v->key);
			continue;
		}

		near = cfg_report_is_full(rep) ? NULL :
			cfg_suggest(v->key, top_name, &top);
		cfg_error(rep, &v->kpos, "VS0201"
			  " %s: no such section%s%s%s", v->key,
			  near ? "; did you mean \"" : "", near ? near : "",
			  near ? "\"?" : "");
	}
}


static int read_sections(struct cfg *cfg, struct cfg_report *rep)
{
	size_t i;
	int err = 0;

	check_top(cfg, rep);

	for (i = 0; i < cfg->instc && !err; i++) {
		struct cfg_inst *inst = &cfg->instv[i];
		const size_t errors = cfg_report_errors(rep);

		err = cfg_walk(cfg, inst->sec,
			       cfg_val_find(cfg->root, inst->sec->name),
			       inst->data, rep);
		inst->sound = errors == cfg_report_errors(rep);
	}

	return err;
}


/* A check trusts what was read of its section: it runs if that is sound */
static void cross_check(const struct cfg *cfg, struct cfg_report *rep)
{
	size_t i;

	for (i = 0; i < cfg->instc; i++) {
		const struct cfg_inst *inst = &cfg->instv[i];

		if (inst->sound && inst->sec->check)
			inst->sec->check(cfg, inst->data, rep);
	}
}


static int load(struct cfg *cfg, const char *node, int role,
		const struct cfg_section *const *secv,
		struct cfg_report *rep)
{
	int err;

	err = add_sections(cfg, secv);
	if (err)
		return err;

	if (cfg->root && cfg->root->kind != CFG_MAPPING) {
		cfg_error(rep, &cfg->root->pos, "VS0209"
			  " expected sections such as"
			  " \"sip:\" with options indented below");
		return cfg_report_verdict(rep);
	}

	err = read_sections(cfg, rep);
	if (err)
		return err;

	err = cfg_nodes_resolve(cfg, node, role, rep);
	if (err)
		return err;

	cross_check(cfg, rep);
	err = cfg_check_cross(cfg, rep);
	if (err)
		return err;

	return cfg_report_verdict(rep);
}


/** The same for a text in memory */
int cfg_load_text(struct cfg **cfgp, const char *name, const char *text,
		  size_t len, const char *node, int role,
		  const struct cfg_section *const *secv,
		  struct cfg_report *rep)
{
	struct cfg *cfg;
	int err = 0;

	if (!cfgp || !rep)
		return EINVAL;

	cfg = mem_zalloc(sizeof(*cfg), destructor);
	if (!cfg)
		return ENOMEM;

	if (name) {
		err = str_dup(&cfg->file, name);
		if (!err)
			err = cfg_read_text(&cfg->root, name, text, len, rep);
	}

	if (!err)
		err = load(cfg, node, role, secv, rep);
	else if (err == EINVAL)
		err = cfg_report_verdict(rep);

	if (err)
		mem_deref(cfg);
	else
		*cfgp = cfg;

	return err;
}


int cfg_load(struct cfg **cfgp, const char *file, const char *node, int role,
	     const struct cfg_section *const *secv, struct cfg_report *rep)
{
	struct mbuf *mb;
	int err = 0;

	mb = mbuf_alloc(16384);
	if (!mb)
		return ENOMEM;

	if (file)
		err = cfg_file_read(mb, file, rep);
	if (!err)
		err = cfg_load_text(cfgp, file, (const char *)mb->buf,
				    mb->end, node, role, secv, rep);
	mem_deref(mb);

	return err;
}


const void *cfg_get(const struct cfg *cfg, const char *section)
{
	const struct cfg_inst *inst;

	if (!cfg || !section)
		return NULL;

	inst = find(cfg, section);

	return inst ? inst->data : NULL;
}


const struct cfg_list *cfg_listen(const struct cfg *cfg, const char *section)
{
	const struct cfg_inst *inst = cfg ? find(cfg, section) : NULL;
	const struct cfg_opt *opt;

	if (!inst || !inst->data)
		return NULL;

	for (opt = inst->sec->optv; opt->name; opt++) {
		if (opt->type == CFG_LISTENERS &&
		    !strcmp(opt->name, "listen"))
			return (const struct cfg_list *)(const void *)
				((const uint8_t *)inst->data + opt->offset);
	}

	return NULL;
}


/* A step of a path: a key, or the index in a list */
static const struct cfg_val *step(const struct cfg_val *v, const char *name)
{
	struct pl pl;
	struct le *le;
	uint32_t i;

	if (v->kind == CFG_MAPPING)
		return cfg_val_find(v, name);

	pl_set_str(&pl, name);
	i = pl_u32(&pl);
	for (le = v->vall.head; le && i; le = le->next)
		--i;

	return le ? le->data : NULL;
}


/** The deepest part of the path that stands in the file */
struct cfg_pos cfg_pos(const struct cfg *cfg, const char *section,
		       const char *path)
{
	struct cfg_pos pos = {.file = cfg ? cfg->file : NULL};
	const struct cfg_val *v;

	v = cfg ? cfg_val_find(cfg->root, section) : NULL;

	while (v) {
		char name[CFG_PATH_MAX];
		size_t n;

		pos = v->pos;
		if (!path || !*path)
			break;

		n = strcspn(path, ".");
		str_ncpy(name, path, min(n + 1, sizeof(name)));
		path += n + (path[n] == '.');
		v = step(v, name);
	}

	return pos;
}


static bool same_str(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}


static bool same_val(const struct cfg_val *a, const struct cfg_val *b)
{
	const struct le *la, *lb;

	if (!a || !b)
		return a == b;
	if (a->kind != b->kind || a->n != b->n ||
	    !same_str(a->key, b->key) || !same_str(a->text, b->text))
		return false;

	for (la = a->vall.head, lb = b->vall.head; la && lb;
	     la = la->next, lb = lb->next) {
		if (!same_val(la->data, lb->data))
			return false;
	}

	return true;
}


/** Does the same stand in both files for this section, in the same order? */
bool cfg_same_section(const struct cfg *a, const struct cfg *b,
		      const char *section)
{
	return a && b && same_val(cfg_val_find(a->root, section),
				  cfg_val_find(b->root, section));
}
