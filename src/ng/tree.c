/**
 * @file tree.c  The neutral tree behind bencode and JSON
 *
 * Values and strings come from chunks that the tree owns and frees at once;
 * what a peer can make it take is bounded by its maximum.
 */
#include <string.h>
#include <re.h>
#include "ng/ng.h"
#include "ng/internal.h"


enum {
	CHUNK_SIZE = 4096,
};

struct chunk {
	struct chunk *next;
	size_t used;
	size_t size;
	uint64_t data[];
};

struct ng_tree {
	struct chunk *chunk;	/**< newest first, owned */
	size_t left;
	unsigned nodes;
	int err;
	struct ng_val root;
};


static void destructor(void *arg)
{
	struct ng_tree *t = arg;
	struct chunk *c = t->chunk;

	while (c) {
		struct chunk *next = c->next;

		mem_deref(c);
		c = next;
	}
}


int ng_tree_alloc(struct ng_tree **tp, size_t max)
{
	struct ng_tree *t;

	if (!tp)
		return EINVAL;

	t = mem_zalloc(sizeof(*t), destructor);
	if (!t)
		return ENOMEM;

	t->left = max;
	t->root.type = NG_DICT;
	*tp = t;

	return 0;
}


struct ng_val *ng_root(const struct ng_tree *t)
{
	return t ? (struct ng_val *)&t->root : NULL;
}


int ng_tree_error(const struct ng_tree *t)
{
	return t ? t->err : EINVAL;
}


void ng_tree_fail(struct ng_tree *t, int err)
{
	if (!t->err)
		t->err = err;
}


void *ng_tree_mem(struct ng_tree *t, size_t n)
{
	struct chunk *c = t->chunk;
	size_t need = (n + 7) & ~(size_t)7;
	void *p;

	if (n > t->left) {
		ng_tree_fail(t, EOVERFLOW);
		return NULL;
	}

	if (!c || c->size - c->used < need) {
		size_t size = need > CHUNK_SIZE ? need : CHUNK_SIZE;

		c = mem_alloc(sizeof(*c) + size, NULL);
		if (!c) {
			ng_tree_fail(t, ENOMEM);
			return NULL;
		}
		c->next  = t->chunk;
		c->used  = 0;
		c->size  = size;
		t->chunk = c;
	}

	p = (uint8_t *)c->data + c->used;
	c->used += need;
	t->left -= need > t->left ? t->left : need;

	return p;
}


struct ng_val *ng_tree_node(struct ng_tree *t, struct ng_val *to,
			    enum ng_type type, const struct pl *key)
{
	struct ng_val *v;

	if (!t || !to)
		return NULL;

	if (t->nodes >= NG_NODES_MAX) {
		ng_tree_fail(t, EOVERFLOW);
		return NULL;
	}

	v = ng_tree_mem(t, sizeof(*v));
	if (!v)
		return NULL;

	memset(v, 0, sizeof(*v));
	v->type = type;
	if (key)
		v->key = *key;

	if (to->last)
		to->last->next = v;
	else
		to->first = v;
	to->last = v;
	++to->n;
	++t->nodes;

	return v;
}


static bool dup_pl(struct ng_tree *t, struct pl *dst, const struct pl *src)
{
	char *p = ng_tree_mem(t, src->l ? src->l : 1);

	if (!p)
		return false;

	if (src->l)
		memcpy(p, src->p, src->l);
	dst->p = p;
	dst->l = src->l;

	return true;
}


static struct ng_val *add(struct ng_tree *t, struct ng_val *to,
			  enum ng_type type, const struct pl *key)
{
	struct pl k = PL_INIT;

	if (!t || !to)
		return NULL;

	if (to->type == NG_DICT && (!key || !dup_pl(t, &k, key)))
		return NULL;

	return ng_tree_node(t, to, type, &k);
}


static struct ng_val *add_key(struct ng_tree *t, struct ng_val *to,
			      enum ng_type type, const char *key)
{
	struct pl k;

	if (!key)
		return add(t, to, type, NULL);

	pl_set_str(&k, key);

	return add(t, to, type, &k);
}


void ng_add_pl(struct ng_tree *t, struct ng_val *to, const char *key,
	       const struct pl *pl)
{
	struct ng_val *v = add_key(t, to, NG_STR, key);

	if (v && pl)
		(void)dup_pl(t, &v->str, pl);
}


void ng_add_str(struct ng_tree *t, struct ng_val *to, const char *key,
		const char *str)
{
	struct pl pl = PL_INIT;

	if (str)
		pl_set_str(&pl, str);

	ng_add_pl(t, to, key, &pl);
}


void ng_add_int(struct ng_tree *t, struct ng_val *to, const char *key,
		int64_t num)
{
	struct ng_val *v = add_key(t, to, NG_INT, key);

	if (v)
		v->num = num;
}


struct ng_val *ng_add_list(struct ng_tree *t, struct ng_val *to,
			   const char *key)
{
	return add_key(t, to, NG_LIST, key);
}


struct ng_val *ng_add_dict(struct ng_tree *t, struct ng_val *to,
			   const char *key)
{
	return add_key(t, to, NG_DICT, key);
}


struct ng_val *ng_add_dict_pl(struct ng_tree *t, struct ng_val *to,
			      const struct pl *key)
{
	return add(t, to, NG_DICT, key);
}


const struct ng_val *ng_get(const struct ng_val *d, const char *key)
{
	const struct ng_val *v;

	if (!d || d->type != NG_DICT || !key)
		return NULL;

	for (v = d->first; v; v = v->next) {

		if (!pl_strcmp(&v->key, key))
			return v;
	}

	return NULL;
}


bool ng_get_pl(const struct ng_val *d, const char *key, struct pl *pl)
{
	const struct ng_val *v = ng_get(d, key);

	if (!v || v->type != NG_STR) {
		*pl = pl_null;
		return false;
	}

	*pl = v->str;

	return true;
}


int64_t ng_get_int(const struct ng_val *d, const char *key, int64_t def)
{
	const struct ng_val *v = ng_get(d, key);
	int64_t num = 0;
	size_t i;

	if (!v)
		return def;
	if (v->type == NG_INT)
		return v->num;
	if (v->type != NG_STR || !v->str.l || v->str.l > 18)
		return def;

	for (i = 0; i < v->str.l; i++) {

		if (v->str.p[i] < '0' || v->str.p[i] > '9')
			return def;
		num = num * 10 + (v->str.p[i] - '0');
	}

	return num;
}


/* Some proxies write "trust-address" where others write "trust address" */
static bool word_is(const struct pl *word, const char *str)
{
	size_t i;

	if (word->l != strlen(str))
		return false;

	for (i = 0; i < word->l; i++) {

		if (word->p[i] != str[i] &&
		    !(word->p[i] == '-' && str[i] == ' '))
			return false;
	}

	return true;
}


bool ng_has(const struct ng_val *list, const char *str)
{
	const struct ng_val *v;

	if (!list || !str)
		return false;

	if (list->type == NG_STR)
		return word_is(&list->str, str);

	if (list->type != NG_LIST)
		return false;

	for (v = list->first; v; v = v->next) {

		if (v->type == NG_STR && word_is(&v->str, str))
			return true;
	}

	return false;
}
