/**
 * @file cfg/walk.c  Tree + table of options -> struct, defaults included
 *
 * Every error is reported and the walk goes on, so that one run of "check"
 * tells all.
 */
#include <stddef.h>
#include <string.h>
#include <strings.h>
#include <re.h>
#include "cfg.h"
#include "internal.h"


struct walk {
	struct cfg *cfg;
	struct cfg_report *rep;
	char path[CFG_PATH_MAX];
};

/** Memory that lives as long as the cfg */
struct block {
	struct le le;
	max_align_t data[];
};

static int walk_rows(struct walk *w, const struct cfg_opt *optv,
		     const struct cfg_val *v, const struct cfg_pos *pos,
		     void *base);


static void block_destructor(void *arg)
{
	struct block *b = arg;

	list_unlink(&b->le);
}


/** Zeroed memory, freed with the cfg */
void *cfg_block(struct cfg *cfg, size_t size)
{
	struct block *b;

	b = mem_zalloc(sizeof(*b) + size, block_destructor);
	if (!b)
		return NULL;

	list_append(&cfg->blockl, &b->le, b);

	return b->data;
}


static char *string_block(struct cfg *cfg, const char *s)
{
	const size_t n = strlen(s) + 1;
	char *p = cfg_block(cfg, n);

	if (p)
		memcpy(p, s, n);

	return p;
}


static size_t path_push(struct walk *w, const char *name)
{
	const size_t n = strlen(w->path);

	(void)re_snprintf(&w->path[n], sizeof(w->path) - n, "%s%s",
			  n ? "." : "", name);

	return n;
}


static void path_pop(struct walk *w, size_t n)
{
	w->path[n] = '\0';
}


static void wrong(struct walk *w, const struct cfg_opt *opt,
		  const struct cfg_val *v)
{
	if (v->kind != CFG_SCALAR)
		cfg_error(w->rep, &v->pos, "VS0204"
			  " %s: a %s, expected %H", w->path,
			  v->kind == CFG_MAPPING ? "map" : "list",
			  cfg_expect_print, opt);
	else if (v->null)
		cfg_error(w->rep, &v->pos, "VS0205"
			  " %s: no value, expected %H; for"
			  " the default leave the line out", w->path,
			  cfg_expect_print, opt);
	else
		cfg_error(w->rep, &v->pos, "VS0206"
			  " %s: \"%s\", expected %H", w->path,
			  v->text, cfg_expect_print, opt);
}


static bool is_empty(const struct cfg_val *v)
{
	return v->kind == CFG_SCALAR && v->null;
}


static bool in_range(const struct cfg_opt *opt, int64_t n)
{
	if (!opt->min && !opt->max)
		return true;

	return n >= opt->min && (n <= opt->max ||
				 (!opt->max && opt->min > 0));
}


static int set_string(struct walk *w, const struct cfg_opt *opt,
		      const char *s, void *p)
{
	char *str;

	if (!in_range(opt, (int64_t)strlen(s)))
		return EINVAL;

	str = string_block(w->cfg, s);
	if (!str)
		return ENOMEM;

	*(char **)p = str;

	return 0;
}


static const char *enum_name(size_t i, void *arg)
{
	const char *const *names = arg;

	return names[i];
}


static int set_enum(struct walk *w, const struct cfg_opt *opt,
		    const struct cfg_val *v, void *p)
{
	const char *near;
	size_t i;

	for (i = 0; opt->names[i]; i++) {

		if (!strcmp(opt->names[i], v->text)) {
			*(int *)p = (int)i;
			return 0;
		}
	}

	near = cfg_report_is_full(w->rep) ? NULL :
		cfg_suggest(v->text, enum_name, (void *)opt->names);
	if (!near)
		return EINVAL;

	cfg_error(w->rep, &v->pos, "VS0206 %s: \"%s\", did you mean \"%s\"?"
		  " Expected %H", w->path, v->text, near,
		  cfg_expect_print, opt);

	return 0;
}


/* One scalar of a type; EINVAL: not what is expected */
static int set_scalar(struct walk *w, const struct cfg_opt *opt,
		      const struct cfg_val *v, void *p)
{
	const char *s = v->text;
	uint64_t u = 0;
	int64_t n = 0;
	int err;

	switch (opt->type) {

	case CFG_BOOL:
		return cfg_parse_bool(p, s);

	case CFG_INT:
		err = cfg_parse_int(&n, s);
		if (err || !in_range(opt, n))
			return EINVAL;
		*(int64_t *)p = n;
		return 0;

	case CFG_DURATION:
	case CFG_SIZE:
		err = opt->type == CFG_SIZE ? cfg_parse_size(&u, s) :
			cfg_parse_duration(&u, s);
		if (err || !in_range(opt, (int64_t)u))
			return EINVAL;
		*(uint64_t *)p = u;
		return 0;

	case CFG_ENUM:
		return set_enum(w, opt, v, p);

	case CFG_PORTS:
		return cfg_parse_ports(p, s);

	case CFG_CIDRS:
		return cfg_parse_cidr(p, s);

	case CFG_LISTENERS:
	case CFG_ADDRS:
		err = cfg_parse_addr(p, s);
		if (!err && opt->type == CFG_LISTENERS &&
		    ((struct cfg_addr *)p)->proto == CFG_PROTO_ANY)
			err = EINVAL;
		return err;

	case CFG_STRING:
	case CFG_STRINGS:
		return set_string(w, opt, s, p);

	default:
		return EINVAL;
	}
}


static int walk_scalar(struct walk *w, const struct cfg_opt *opt,
		       const struct cfg_val *v, void *p)
{
	int err;

	if (v->kind != CFG_SCALAR || v->null) {
		wrong(w, opt, v);
		return 0;
	}

	err = set_scalar(w, opt, v, p);
	if (err != EINVAL)
		return err;

	wrong(w, opt, v);

	return 0;
}


static size_t element_size(const struct cfg_opt *opt)
{
	switch (opt->type) {
	case CFG_LISTENERS:
	case CFG_ADDRS:   return sizeof(struct cfg_addr);
	case CFG_CIDRS:   return sizeof(struct cfg_cidr);
	case CFG_STRINGS: return sizeof(char *);
	default:          return opt->sub_size;
	}
}


static int list_init_n(struct walk *w, const struct cfg_opt *opt, size_t n,
		       struct cfg_list *list)
{
	list->n = 0;
	list->v = NULL;
	if (!n)
		return 0;

	list->v = cfg_block(w->cfg, n * element_size(opt));

	return list->v ? 0 : ENOMEM;
}


/* Of lists min and max count the elements; CFG_STRINGS: bytes of each */
static void check_count(struct walk *w, const struct cfg_opt *opt,
			const struct cfg_val *v, size_t n)
{
	if (opt->type != CFG_STRINGS && !in_range(opt, (int64_t)n))
		cfg_error(w->rep, &v->pos, "VS0207"
			  " %s: %zu entries, expected %lld to"
			  " %lld", w->path, n, opt->min, opt->max);
}


/* A list of scalars; a single one needs no brackets */
static int walk_list(struct walk *w, const struct cfg_opt *opt,
		     const struct cfg_val *v, struct cfg_list *list)
{
	const bool seq = v->kind == CFG_SEQUENCE;
	const size_t n = seq ? v->n : 1;
	struct le *le = v->vall.head;
	size_t i;
	int err;

	if (is_empty(v)) {
		check_count(w, opt, v, 0);
		return list_init_n(w, opt, 0, list);
	}

	check_count(w, opt, v, n);
	err = list_init_n(w, opt, n, list);
	for (i = 0; i < n && !err; i++) {
		const struct cfg_val *c = seq ? le->data : v;

		err = walk_scalar(w, opt, c,
				  (char *)list->v + i * element_size(opt));
		if (seq)
			le = le->next;
	}
	list->n = n;

	return err;
}


/* CFG_MAP and CFG_SEQ: elements are structs */
static int walk_elements(struct walk *w, const struct cfg_opt *opt,
			 const struct cfg_val *v, struct cfg_list *list)
{
	const bool map = opt->type == CFG_MAP;
	struct le *le;
	size_t i;
	int err;

	if (!is_empty(v) &&
	    v->kind != (map ? CFG_MAPPING : CFG_SEQUENCE)) {
		wrong(w, opt, v);
		return 0;
	}

	check_count(w, opt, v, v->n);
	err = list_init_n(w, opt, v->n, list);
	for (i = 0, le = v->vall.head; le && !err; i++, le = le->next) {
		const struct cfg_val *c = le->data;
		char *elem = (char *)list->v + i * opt->sub_size;
		char idx[24];
		size_t n;

		(void)re_snprintf(idx, sizeof(idx), "%zu", i);
		n = path_push(w, map ? c->key : idx);
		if (map && !(*(char **)(void *)elem =
			     string_block(w->cfg, c->key)))
			err = ENOMEM;
		else if (c->kind != CFG_MAPPING && !is_empty(c))
			cfg_error(w->rep, &c->pos, "VS0204"
				  " %s: expected options,"
				  " one a line, indented", w->path);
		else
			err = walk_rows(w, opt->sub, c, &c->pos, elem);
		path_pop(w, n);
	}
	list->n = v->n;

	return err;
}


static int walk_struct(struct walk *w, const struct cfg_opt *opt,
		       const struct cfg_val *v, void *p)
{
	if (v->kind != CFG_MAPPING && !is_empty(v)) {
		wrong(w, opt, v);
		v = NULL;
	}

	return walk_rows(w, opt->sub, v, v ? &v->pos : NULL, p);
}


static int walk_value(struct walk *w, const struct cfg_opt *opt,
		      const struct cfg_val *v, void *p)
{
	switch (opt->type) {

	case CFG_LISTENERS:
	case CFG_ADDRS:
	case CFG_CIDRS:
	case CFG_STRINGS:
		return v->kind == CFG_MAPPING ? (wrong(w, opt, v), 0) :
			walk_list(w, opt, v, p);

	case CFG_STRUCT:
		return walk_struct(w, opt, v, p);

	case CFG_MAP:
	case CFG_SEQ:
		return walk_elements(w, opt, v, p);

	case CFG_LATER:
		cfg_error(w->rep, v->key ? &v->kpos : &v->pos, "VS0203 %s: not"
			  " supported yet by this version; remove it",
			  w->path);
		return 0;

	default:
		return walk_scalar(w, opt, v, p);
	}
}


/* A default is YAML text, read by the same rules as the file */
static int walk_default(struct walk *w, const struct cfg_opt *opt, void *p)
{
	const struct cfg_val plain = {.text = (char *)opt->def};
	struct cfg_val *v = NULL;
	int err;

	if (opt->type == CFG_STRUCT)
		return walk_rows(w, opt->sub, NULL, NULL, p);

	if (!opt->def)
		return 0;

	/* most are a word, and a large map has as many of them as elements */
	if (!strpbrk(opt->def, "[{\"'"))
		return walk_value(w, opt, &plain, p);

	err = cfg_read_text(&v, "built-in default", opt->def,
			    strlen(opt->def), w->rep);
	if (!err && v)
		err = walk_value(w, opt, v, p);
	mem_deref(v);

	return err;
}


static const char *opt_name(size_t i, void *arg)
{
	const struct cfg_opt *optv = arg;

	return optv[i].name;
}


static bool is_password(const char *key)
{
	static const char *const wordv[] = {
		"password", "passwd", "pass", "secret", "ha1", "pin",
		"auth_token", "api_key",
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(wordv); i++) {
		if (!strcasecmp(key, wordv[i]))
			return true;
	}

	return false;
}


/** May a secret stand in this line of a file?  Then it is not shown */
bool cfg_is_secret(const struct pl *line)
{
	return !re_regex(line->p, line->l, "pass") ||
		!re_regex(line->p, line->l, "secret") ||
		!re_regex(line->p, line->l, "ha1") ||
		!re_regex(line->p, line->l, "pin[ \"']*:", NULL) ||
		!re_regex(line->p, line->l, "token") ||
		!re_regex(line->p, line->l, "key");
}


static void unknown_key(struct walk *w, const struct cfg_opt *optv,
			const struct cfg_val *c)
{
	const char *near;

	if (is_password(c->key)) {
		cfg_error(w->rep, &c->kpos, "VS0210 %s.%s: no password stands"
			  " in this file; remove it, and use \"voipstack user"
			  " add\"", w->path, c->key);
		return;
	}

	near = cfg_report_is_full(w->rep) ? NULL :
		cfg_suggest(c->key, opt_name, (void *)optv);
	cfg_error(w->rep, &c->kpos, "VS0202 %s.%s: no such option%s%s%s",
		  w->path, c->key, near ? "; did you mean \"" : "",
		  near ? near : "", near ? "\"?" : "");
}


static void check_keys(struct walk *w, const struct cfg_opt *optv,
		       const struct cfg_val *v)
{
	struct le *le;

	for (le = v ? v->vall.head : NULL; le; le = le->next) {
		const struct cfg_val *c = le->data;
		size_t i;

		for (i = 0; optv[i].name && strcmp(optv[i].name, c->key); i++)
			;
		if (!optv[i].name)
			unknown_key(w, optv, c);
	}
}


/* All rows of a table; v NULL: defaults only */
static int walk_rows(struct walk *w, const struct cfg_opt *optv,
		     const struct cfg_val *v, const struct cfg_pos *pos,
		     void *base)
{
	const struct cfg_opt *opt;
	int err = 0;

	check_keys(w, optv, v);

	for (opt = optv; opt->name && !err; opt++) {
		const struct cfg_val *c = cfg_val_find(v, opt->name);
		void *p = (char *)base + opt->offset;
		const size_t n = path_push(w, opt->name);

		if (c)
			err = walk_value(w, opt, c, p);
		else if (opt->required && v)
			cfg_error(w->rep, pos, "VS0208"
				  " %s: is missing: %H", w->path,
				  cfg_expect_print, opt);
		else
			err = walk_default(w, opt, p);
		path_pop(w, n);
	}

	return err;
}


/**
 * Read one section
 *
 * @param cfg   Owner of the memory
 * @param sec   Section; a single row named "" is the section's value itself
 *              (a list or map without options of its own)
 * @param v     Its value, NULL if the file has none
 * @param data  Section's struct, zeroed
 * @param rep   Gets what is wrong
 *
 * @return 0 (look into rep) or ENOMEM
 */
int cfg_walk(struct cfg *cfg, const struct cfg_section *sec,
	     const struct cfg_val *v, void *data, struct cfg_report *rep)
{
	struct cfg_opt whole = {.type = CFG_STRUCT};
	struct walk w = {.cfg = cfg, .rep = rep};
	void *p = data;

	if (sec->optv[0].name && !sec->optv[0].name[0]) {
		whole = sec->optv[0];
		p = (char *)data + whole.offset;
	}
	else {
		whole.sub = sec->optv;
	}

	(void)path_push(&w, sec->name);

	return v ? walk_value(&w, &whole, v, p) : walk_default(&w, &whole, p);
}
