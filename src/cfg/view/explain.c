/**
 * @file cfg/view/explain.c  Every value in force, and where it came from
 */
#include <errno.h>
#include <string.h>
#include <re.h>
#include "cfg/cfg.h"
#include "cfg/internal.h"


enum { COLUMN = 44 };

struct explain {
	struct re_printf *pf;
	struct cfg_explain *x;
	char path[CFG_PATH_MAX];
};

static int explain_rows(struct explain *e, const struct cfg_opt *optv,
			const struct cfg_val *v);


static size_t path_push(struct explain *e, const char *name)
{
	const size_t n = strlen(e->path);

	(void)re_snprintf(&e->path[n], sizeof(e->path) - n, "%s%s",
			  n ? "." : "", name);

	return n;
}


/* "a.b" is in "a" and the other way round */
static bool is_wanted(const char *path, const char *want)
{
	const size_t n = strlen(path), m = str_len(want);

	if (!m)
		return true;
	if (n < m)
		return false;

	return !strncmp(path, want, m) && (!path[m] || path[m] == '.');
}


static bool needs_quotes(const char *s)
{
	return !*s || strpbrk(s, ":#[]{},\"'&*!|>%@` \t\n\\") != NULL;
}


static int print_scalar(struct re_printf *pf, const char *s)
{
	const char *p = s;

	if (!needs_quotes(s))
		return re_hprintf(pf, "%s", s);

	while ((unsigned char)*p >= ' ' && *p != '"' && *p != '\\')
		++p;

	return *p ? re_hprintf(pf, "\"%H\"", utf8_encode, s) :
		re_hprintf(pf, "\"%s\"", s);
}


/* A value as one line of YAML */
static int print_value(struct re_printf *pf, const struct cfg_val *v)
{
	const bool seq = v->kind == CFG_SEQUENCE;
	const struct le *le;
	int err;

	if (v->kind == CFG_SCALAR)
		return print_scalar(pf, v->text);

	err = re_hprintf(pf, seq ? "[" : "{");
	for (le = v->vall.head; le; le = le->next) {
		const struct cfg_val *c = le->data;

		err |= re_hprintf(pf, "%s%s%s%H", le->prev ? ", " : "",
				  c->key ? c->key : "", c->key ? ": " : "",
				  print_value, c);
	}

	return err | re_hprintf(pf, seq ? "]" : "}");
}


static int print_text(struct explain *e, const char *value,
		      const struct cfg_val *v)
{
	char *line = NULL;
	int err;

	err = re_sdprintf(&line, "%s: %s", e->path, value ? value : "");
	if (err)
		return err;

	err = re_hprintf(e->pf, "%s", line);
	for (size_t n = strlen(line); n < COLUMN; n++)
		err |= re_hprintf(e->pf, " ");
	mem_deref(line);

	if (v)
		return err | re_hprintf(e->pf, " # %s:%u:%u\n", v->pos.file,
					v->pos.line, v->pos.col);

	return err | re_hprintf(e->pf, " # %s\n", value ? "default" :
				"not set");
}


static int print_json(struct explain *e, const char *value,
		      const struct cfg_val *v)
{
	int err;

	err = re_hprintf(e->pf, "%s\n{\"path\":\"%H\",\"value\":",
			 e->x->found ? "," : "", utf8_encode, e->path);
	err |= value ? re_hprintf(e->pf, "\"%H\"", utf8_encode, value) :
		re_hprintf(e->pf, "null");
	if (v)
		return err | re_hprintf(e->pf, ",\"origin\":\"file\",\"file\":"
					"\"%H\",\"line\":%u,\"column\":%u}",
					utf8_encode, v->pos.file,
					v->pos.line, v->pos.col);

	return err | re_hprintf(e->pf, ",\"origin\":\"%s\"}",
				value ? "default" : "none");
}


/* One option: v is what stands in the file, or NULL */
static int explain_value(struct explain *e, const struct cfg_opt *opt,
			 const struct cfg_val *v)
{
	char *text = NULL;
	const char *value = opt->def;
	int err = 0;

	if (!is_wanted(e->path, e->x->path))
		return 0;

	if (v) {
		err = re_sdprintf(&text, "%H", print_value, v);
		value = text;
	}
	if (!err)
		err = e->x->json ? print_json(e, value, v) :
			print_text(e, value, v);
	++e->x->found;
	mem_deref(text);

	return err;
}


static int explain_elements(struct explain *e, const struct cfg_opt *opt,
			    const struct cfg_val *v)
{
	const struct le *le;
	size_t i = 0;
	int err = 0;

	if (!v || !v->n)
		return explain_value(e, opt, v);

	for (le = v->vall.head; le && !err; le = le->next, i++) {
		const struct cfg_val *c = le->data;
		char idx[24];
		size_t n;

		(void)re_snprintf(idx, sizeof(idx), "%zu", i);
		n = path_push(e, c->key ? c->key : idx);
		err = explain_rows(e, opt->sub, c);
		e->path[n] = '\0';
	}

	return err;
}


static int explain_opt(struct explain *e, const struct cfg_opt *opt,
		       const struct cfg_val *v)
{
	switch (opt->type) {

	case CFG_LATER:  return 0;
	case CFG_STRUCT: return explain_rows(e, opt->sub, v);
	case CFG_MAP:
	case CFG_SEQ:    return explain_elements(e, opt, v);
	default:         return explain_value(e, opt, v);
	}
}


static int explain_rows(struct explain *e, const struct cfg_opt *optv,
			const struct cfg_val *v)
{
	const struct cfg_opt *opt;
	int err = 0;

	for (opt = optv; opt->name && !err; opt++) {
		const size_t n = path_push(e, opt->name);

		err = explain_opt(e, opt, cfg_val_find(v, opt->name));
		e->path[n] = '\0';
	}

	return err;
}


static int explain_section(struct explain *e, const struct cfg_section *sec,
			   const struct cfg_val *v)
{
	(void)re_snprintf(e->path, sizeof(e->path), "%s", sec->name);

	return sec->optv[0].name && !sec->optv[0].name[0] ?
		explain_opt(e, &sec->optv[0], v) :
		explain_rows(e, sec->optv, v);
}


/**
 * Print options, their values and where each came from
 *
 * @param pf  Print function
 * @param x   Which ones; found counts them
 *
 * @return 0 if success, otherwise errorcode
 */
int cfg_explain_print(struct re_printf *pf, struct cfg_explain *x)
{
	struct explain e = {.pf = pf, .x = x};
	const struct cfg *cfg = x->cfg;
	const bool fleet = cfg_val_find(cfg->root, "nodes") != NULL;
	size_t i;
	int err;

	x->found = 0;
	err = re_hprintf(pf, x->json ? "[" : "");

	for (i = 0; i < cfg->instc && !err; i++) {
		const struct cfg_section *sec = cfg->instv[i].sec;

		/* one of the two says nothing here */
		if (!strcmp(sec->name, fleet ? "node" : "nodes"))
			continue;

		err = explain_section(&e, sec,
				      cfg_val_find(cfg->root, sec->name));
	}

	return err | re_hprintf(pf, x->json ? "\n]\n" : "");
}
