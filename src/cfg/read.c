/**
 * @file cfg/read.c  Bytes -> YAML 1.1 events (libyaml) -> tree with positions
 *
 * Only what a configuration needs: one document of maps, lists and scalars.
 * Anchors, aliases and tags are refused, and with them alias bombs.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <yaml.h>
#include <re.h>
#include "cfg.h"
#include "internal.h"


struct reader {
	yaml_parser_t parser;
	const char *file;
	const char *text;
	size_t len;
	struct cfg_report *rep;
	struct hash *keys;	/* of all mappings, to find a second one */
	struct list keyl;
	size_t vals;
};

/** A key of a mapping, while reading */
struct key {
	struct le he;
	struct le le;
	const struct cfg_val *map;
	const struct cfg_val *val;
};

static int read_value(struct reader *r, struct cfg_val **vp,
		      const yaml_event_t *ev, unsigned depth);


static void val_destructor(void *arg)
{
	struct cfg_val *v = arg;

	list_flush(&v->vall);
	mem_deref(v->key);
	mem_deref(v->text);
}


static void key_destructor(void *arg)
{
	struct key *k = arg;

	hash_unlink(&k->he);
}


static struct cfg_pos mark_pos(const struct reader *r, yaml_mark_t m)
{
	const struct cfg_pos pos = {
		r->file, (unsigned)m.line + 1, (unsigned)m.column + 1
	};

	return pos;
}


static struct cfg_pos offset_pos(const struct reader *r, size_t offset)
{
	struct cfg_pos pos = {r->file, 1, 1};
	size_t i;

	for (i = 0; i < offset && i < r->len; i++) {

		++pos.col;
		if (r->text[i] == '\n') {
			++pos.line;
			pos.col = 1;
		}
	}

	return pos;
}


/* libyaml's problem in words for the person at the keyboard */
static int syntax_error(const struct reader *r)
{
	const yaml_parser_t *p = &r->parser;
	struct cfg_pos pos;

	if (p->error == YAML_MEMORY_ERROR)
		return ENOMEM;

	if (p->error == YAML_READER_ERROR) {
		pos = offset_pos(r, p->problem_offset);
		cfg_error(r->rep, &pos, "VS0103 not text in UTF-8: %s",
			  p->problem);
		return EINVAL;
	}

	pos = mark_pos(r, p->problem_mark);
	if (p->problem_mark.index < r->len &&
	    memchr(&r->text[p->problem_mark.index], '\t', 1))
		cfg_error(r->rep, &pos, "VS0104 not YAML: a tab cannot indent;"
			  " use spaces");
	else if (p->context)
		cfg_error(r->rep, &pos, "VS0104 not YAML: %s %s (line %zu)",
			  p->problem, p->context, p->context_mark.line + 1);
	else
		cfg_error(r->rep, &pos, "VS0104 not YAML: %s", p->problem);

	return EINVAL;
}


static int next(struct reader *r, yaml_event_t *ev)
{
	if (!yaml_parser_parse(&r->parser, ev)) {
		memset(ev, 0, sizeof(*ev));
		return syntax_error(r);
	}

	return 0;
}


static int val_alloc(struct reader *r, struct cfg_val **vp,
		     enum cfg_kind kind, yaml_mark_t mark)
{
	struct cfg_val *v;
	const struct cfg_pos pos = mark_pos(r, mark);

	if (++r->vals > CFG_VALS_MAX) {
		cfg_error(r->rep, &pos, "VS0106 more than %d values in a file",
			  CFG_VALS_MAX);
		return EINVAL;
	}

	v = mem_zalloc(sizeof(*v), val_destructor);
	if (!v)
		return ENOMEM;

	v->kind = kind;
	v->pos = pos;
	*vp = v;

	return 0;
}


static int refuse(const struct reader *r, const yaml_event_t *ev,
		  const char *what)
{
	const struct cfg_pos pos = mark_pos(r, ev->start_mark);

	cfg_error(r->rep, &pos, "VS0105 %s not supported; write the value out",
		  what);

	return EINVAL;
}


static int text_dup(const struct reader *r, char **sp, const yaml_event_t *ev)
{
	const char *s = (const char *)ev->data.scalar.value;
	const size_t n = ev->data.scalar.length;
	const struct cfg_pos pos = mark_pos(r, ev->start_mark);

	if (memchr(s, '\0', n)) {
		cfg_error(r->rep, &pos, "VS0110 a value must not contain \\0");
		return EINVAL;
	}
	if (n > CFG_TEXT_MAX) {
		cfg_error(r->rep, &pos, "VS0110"
			  " a value of %zu bytes; at most %d",
			  n, CFG_TEXT_MAX);
		return EINVAL;
	}

	return str_dup(sp, s);
}


static int read_scalar(struct reader *r, struct cfg_val **vp,
		       const yaml_event_t *ev)
{
	struct cfg_val *v;
	int err;

	if (ev->data.scalar.anchor)
		return refuse(r, ev, "anchors are");
	if (ev->data.scalar.tag)
		return refuse(r, ev, "tags are");

	err = val_alloc(r, &v, CFG_SCALAR, ev->start_mark);
	if (err)
		return err;

	err = text_dup(r, &v->text, ev);
	if (err) {
		mem_deref(v);
		return err;
	}

	v->null = ev->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
		(!v->text[0] || !strcmp(v->text, "~") ||
		 !strcmp(v->text, "null"));
	*vp = v;

	return 0;
}


static bool same_key(struct le *le, void *arg)
{
	const struct key *a = le->data, *b = arg;

	return a->map == b->map && !strcmp(a->val->key, b->val->key);
}


/* A second key of the same name is an error, not the winner */
static int note_key(struct reader *r, const struct cfg_val *map,
		    const struct cfg_val *v)
{
	const uint32_t hv = hash_joaat_str(v->key) ^
		(uint32_t)((uintptr_t)map >> 4);
	struct key *k;
	struct le *le;

	k = mem_zalloc(sizeof(*k), key_destructor);
	if (!k)
		return ENOMEM;

	k->map = map;
	k->val = v;
	le = hash_lookup(r->keys, hv, same_key, k);
	if (le) {
		const struct key *o = le->data;

		cfg_error(r->rep, &v->kpos, "VS0109"
			  " %s: given twice, first in line"
			  " %u; remove one", v->key, o->val->kpos.line);
	}
	list_append(&r->keyl, &k->le, k);
	hash_append(r->keys, hv, &k->he, k);

	return 0;
}


static int read_entry(struct reader *r, struct cfg_val *map,
		      const yaml_event_t *kev, unsigned depth)
{
	const struct cfg_pos kpos = mark_pos(r, kev->start_mark);
	struct cfg_val *v = NULL;
	char *key = NULL;
	yaml_event_t ev;
	int err;

	if (kev->type == YAML_ALIAS_EVENT)
		return refuse(r, kev, "aliases are");
	if (kev->type != YAML_SCALAR_EVENT) {
		cfg_error(r->rep, &kpos, "VS0108 a key must be a word");
		return EINVAL;
	}
	if (kev->data.scalar.anchor || kev->data.scalar.tag)
		return refuse(r, kev, "anchors and tags are");

	err = text_dup(r, &key, kev);
	if (err)
		return err;

	err = next(r, &ev);
	if (!err) {
		err = read_value(r, &v, &ev, depth);
		yaml_event_delete(&ev);
	}
	if (err) {
		mem_deref(key);
		return err;
	}

	v->key = key;
	v->kpos = kpos;
	list_append(&map->vall, &v->le, v);
	++map->n;

	return note_key(r, map, v);
}


static int read_item(struct reader *r, struct cfg_val *seq,
		     const yaml_event_t *ev, unsigned depth)
{
	struct cfg_val *v;
	int err;

	err = read_value(r, &v, ev, depth);
	if (err)
		return err;

	list_append(&seq->vall, &v->le, v);
	++seq->n;

	return 0;
}


static int read_container(struct reader *r, struct cfg_val *v, unsigned depth)
{
	const bool map = v->kind == CFG_MAPPING;
	const yaml_event_type_t end = map ? YAML_MAPPING_END_EVENT :
		YAML_SEQUENCE_END_EVENT;
	int err;

	if (depth > CFG_DEPTH_MAX) {
		cfg_error(r->rep, &v->pos, "VS0107 nested deeper than %d",
			  CFG_DEPTH_MAX);
		return EINVAL;
	}

	do {
		yaml_event_t ev;
		bool done;

		err = next(r, &ev);
		if (err)
			break;

		done = ev.type == end;
		if (!done)
			err = map ? read_entry(r, v, &ev, depth) :
				read_item(r, v, &ev, depth);
		yaml_event_delete(&ev);
		if (done)
			break;
	} while (!err);

	return err;
}


static int read_value(struct reader *r, struct cfg_val **vp,
		      const yaml_event_t *ev, unsigned depth)
{
	const bool map = ev->type == YAML_MAPPING_START_EVENT;
	struct cfg_val *v;
	int err;

	if (ev->type == YAML_ALIAS_EVENT)
		return refuse(r, ev, "aliases are");
	if (ev->type == YAML_SCALAR_EVENT)
		return read_scalar(r, vp, ev);

	/* mapping_start and sequence_start begin alike, but say so */
	if (map ? ev->data.mapping_start.anchor != NULL :
	    ev->data.sequence_start.anchor != NULL)
		return refuse(r, ev, "anchors are");
	if (map ? ev->data.mapping_start.tag != NULL :
	    ev->data.sequence_start.tag != NULL)
		return refuse(r, ev, "tags are");

	err = val_alloc(r, &v, map ? CFG_MAPPING : CFG_SEQUENCE,
			ev->start_mark);
	if (err)
		return err;

	err = read_container(r, v, depth + 1);
	if (err)
		mem_deref(v);
	else
		*vp = v;

	return err;
}


/* STREAM-START (DOCUMENT-START value DOCUMENT-END)? STREAM-END */
static int read_stream(struct reader *r, struct cfg_val **rootp)
{
	struct cfg_val *root = NULL;
	yaml_event_t ev;
	int err = 0;

	for (;;) {
		yaml_event_type_t type;

		err = next(r, &ev);
		if (err)
			break;

		type = ev.type;
		if (type == YAML_DOCUMENT_START_EVENT && root) {
			err = refuse(r, &ev, "a second document is");
		}
		else if (type != YAML_STREAM_START_EVENT &&
			 type != YAML_STREAM_END_EVENT &&
			 type != YAML_DOCUMENT_START_EVENT &&
			 type != YAML_DOCUMENT_END_EVENT) {
			err = read_value(r, &root, &ev, 0);
		}
		yaml_event_delete(&ev);
		if (err || type == YAML_STREAM_END_EVENT)
			break;
	}

	if (err)
		mem_deref(root);
	else
		*rootp = root;

	return err;
}


static int check_bytes(const struct reader *r)
{
	const char *nul = memchr(r->text, '\0', r->len);
	struct cfg_pos pos;

	if (r->len > CFG_FILE_MAX) {
		const struct cfg_pos whole = {.file = r->file};

		cfg_error(r->rep, &whole, "VS0102 larger than %d bytes",
			  CFG_FILE_MAX);
		return EINVAL;
	}

	if (nul) {
		pos = offset_pos(r, (size_t)(nul - r->text));
		cfg_error(r->rep, &pos, "VS0103"
			  " not text in UTF-8: a NUL byte");
		return EINVAL;
	}

	return 0;
}


/**
 * Read a text
 *
 * @param rootp  Tree; NULL if the text has no value at all
 * @param file   Its name, for messages; must outlive tree and report
 * @param text   The text
 * @param len    Its length
 * @param rep    Gets what is wrong
 *
 * @return 0 if there is a tree (rep may have errors all the same), EINVAL
 */
int cfg_read_text(struct cfg_val **rootp, const char *file, const char *text,
		  size_t len, struct cfg_report *rep)
{
	struct reader r;
	int err;

	memset(&r, 0, sizeof(r));
	r.file = file;
	r.text = text;
	r.len  = len;
	r.rep  = rep;
	*rootp = NULL;

	err = check_bytes(&r);
	if (err)
		return err;

	if (!yaml_parser_initialize(&r.parser))
		return ENOMEM;

	yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&r.parser, (const uint8_t *)text, len);

	err = hash_alloc(&r.keys, len > 65536 ? 16384 : 64);
	if (!err)
		err = read_stream(&r, rootp);

	list_flush(&r.keyl);
	mem_deref(r.keys);
	yaml_parser_delete(&r.parser);

	return err;
}


static int slurp(struct mbuf *mb, const char *file)
{
	struct stat st;
	ssize_t n;
	int err = 0, fd;

	fd = strcmp(file, "-") ?
		open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK) :
		dup(STDIN_FILENO);
	if (fd < 0)
		return errno;

	if (fstat(fd, &st))
		err = errno;
	else if (S_ISDIR(st.st_mode))
		err = EISDIR;

	/* one byte more than allowed is enough to know */
	while (!err && mb->end <= CFG_FILE_MAX) {
		uint8_t buf[16384];

		n = read(fd, buf, sizeof(buf));
		if (n < 0)
			err = errno;
		if (n <= 0)
			break;
		err = mbuf_write_mem(mb, buf, (size_t)n);
	}

	(void)close(fd);

	return err;
}


/**
 * Read a file's bytes, not more than a configuration may have
 *
 * @param mb    Gets them
 * @param file  Path, "-": standard input
 * @param rep   Gets what is wrong
 *
 * @return 0 if success, otherwise errorcode
 */
int cfg_file_read(struct mbuf *mb, const char *file, struct cfg_report *rep)
{
	const struct cfg_pos pos = {.file = file};
	int err;

	if (!mb || !file)
		return EINVAL;

	err = slurp(mb, file);
	if (err)
		cfg_error(rep, &pos, "VS0101 cannot be read: %m", err);

	return err;
}


struct cfg_val *cfg_val_find(const struct cfg_val *v, const char *key)
{
	struct le *le;

	if (!v || v->kind != CFG_MAPPING)
		return NULL;

	for (le = v->vall.head; le; le = le->next) {
		struct cfg_val *c = le->data;

		if (!strcmp(c->key, key))
			return c;
	}

	return NULL;
}
