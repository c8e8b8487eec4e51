/**
 * @file codec.c  NG datagrams: cookie, and a body in bencode (BEP 3)
 */
#include <string.h>
#include <re.h>
#include "ng/ng.h"
#include "ng/internal.h"


enum {
	TREE_MIN  = 2048,
	INT_DIGITS_MAX = 18,
	LEN_DIGITS_MAX = 7,
};


int ng_split(const uint8_t *p, size_t n, struct pl *cookie, struct pl *body)
{
	const char *s = (const char *)p;
	const char *sp;

	if (!p || !cookie || !body)
		return EINVAL;

	sp = memchr(s, ' ', n < NG_COOKIE_MAX + 1 ? n : NG_COOKIE_MAX + 1);
	if (!sp || sp == s || sp + 1 == s + n)
		return EBADMSG;

	cookie->p = s;
	cookie->l = sp - s;
	body->p = sp + 1;
	body->l = n - cookie->l - 1;

	return 0;
}


/* Digits up to a terminator; no leading zero, no empty number */
static int decode_num(struct ng_cur *c, char term, size_t max, int64_t *num)
{
	const char *start = c->p;
	int64_t v = 0;

	for (; c->p < c->end && *c->p >= '0' && *c->p <= '9'; c->p++) {

		if ((size_t)(c->p - start) >= max)
			return EBADMSG;
		v = v * 10 + (*c->p - '0');
	}

	if (c->p == start || c->p >= c->end || *c->p != term)
		return EBADMSG;
	if (*start == '0' && c->p - start > 1)
		return EBADMSG;

	++c->p;
	*num = v;

	return 0;
}


static int decode_str(struct ng_cur *c, struct pl *pl)
{
	int64_t n = 0;
	int err;

	err = decode_num(c, ':', LEN_DIGITS_MAX, &n);
	if (err)
		return err;

	if (n > c->end - c->p)
		return EBADMSG;

	pl->p = c->p;
	pl->l = (size_t)n;
	c->p += n;

	return 0;
}


static int decode_int(struct ng_cur *c, int64_t *num)
{
	bool neg = false;
	int err;

	++c->p;
	if (c->p < c->end && *c->p == '-') {
		neg = true;
		++c->p;
	}

	err = decode_num(c, 'e', INT_DIGITS_MAX, num);
	if (err)
		return err;

	if (neg) {
		if (!*num)
			return EBADMSG;
		*num = -*num;
	}

	return 0;
}


static int decode_val(struct ng_cur *c, struct ng_val *to,
		      const struct pl *key);


/* From behind the 'd' or 'l' to behind the 'e' */
static int decode_members(struct ng_cur *c, struct ng_val *v)
{
	int err;

	if (++c->depth > NG_DEPTH_MAX)
		return EOVERFLOW;

	while (c->p < c->end && *c->p != 'e') {

		struct pl key = PL_INIT;

		if (v->type == NG_DICT) {
			err = decode_str(c, &key);
			if (err)
				return err;
		}

		err = decode_val(c, v, &key);
		if (err)
			return err;
	}

	if (c->p >= c->end)
		return EBADMSG;

	++c->p;
	--c->depth;

	return 0;
}


static int decode_val(struct ng_cur *c, struct ng_val *to,
		      const struct pl *key)
{
	enum ng_type type;
	struct ng_val *v;

	if (c->p >= c->end)
		return EBADMSG;

	switch (*c->p) {

	case 'i': type = NG_INT;  break;
	case 'l': type = NG_LIST; break;
	case 'd': type = NG_DICT; break;
	default:  type = NG_STR;  break;
	}

	v = ng_tree_node(c->t, to, type, key);
	if (!v)
		return ng_tree_error(c->t);

	switch (type) {

	case NG_INT:
		return decode_int(c, &v->num);

	case NG_STR:
		return decode_str(c, &v->str);

	default:
		++c->p;
		return decode_members(c, v);
	}
}


static int decode_body(struct ng_cur *c, enum ng_format fmt)
{
	int err;

	if (fmt == NG_JSON)
		return ng_json_decode(c, ng_root(c->t));

	++c->p;
	err = decode_members(c, ng_root(c->t));
	if (err)
		return err;

	return c->p == c->end ? 0 : EBADMSG;
}


int ng_decode(struct ng_tree **tp, enum ng_format *fmtp,
	      const uint8_t *p, size_t n)
{
	enum ng_format fmt;
	struct ng_tree *t;
	struct ng_cur c;
	int err;

	if (!tp || !p || !n)
		return EINVAL;
	if (n > NG_DATAGRAM_MAX)
		return EOVERFLOW;
	if (*p != 'd' && *p != '{')
		return EBADMSG;

	fmt = *p == '{' ? NG_JSON : NG_BENCODE;

	err = ng_tree_alloc(&t, TREE_MIN + n +
			    NG_NODES_MAX * sizeof(struct ng_val));
	if (err)
		return err;

	c.t = t;
	c.depth = 0;
	c.p = ng_tree_mem(t, n);
	if (!c.p) {
		err = ng_tree_error(t);
		goto out;
	}
	memcpy(c.p, p, n);
	c.end = c.p + n;

	err = decode_body(&c, fmt);
	if (err)
		goto out;

	if (fmtp)
		*fmtp = fmt;
	*tp = t;

 out:
	if (err)
		mem_deref(t);

	return err;
}


static int encode_str(struct mbuf *mb, const struct pl *pl)
{
	int err;

	err = mbuf_printf(mb, "%zu:", pl->l);
	if (pl->l)
		err |= mbuf_write_mem(mb, (const uint8_t *)pl->p, pl->l);

	return err;
}


static int encode_val(struct mbuf *mb, const struct ng_val *v)
{
	const struct ng_val *ch;
	int err;

	switch (v->type) {

	case NG_STR:
		return encode_str(mb, &v->str);

	case NG_INT:
		return mbuf_printf(mb, "i%llde", (long long)v->num);

	default:
		break;
	}

	err = mbuf_write_u8(mb, v->type == NG_DICT ? 'd' : 'l');
	for (ch = v->first; ch && !err; ch = ch->next) {

		if (v->type == NG_DICT)
			err |= encode_str(mb, &ch->key);
		err |= encode_val(mb, ch);
	}
	err |= mbuf_write_u8(mb, 'e');

	return err;
}


int ng_encode(struct mbuf *mb, const struct ng_tree *t, enum ng_format fmt)
{
	if (!mb || !t)
		return EINVAL;
	if (ng_tree_error(t))
		return ng_tree_error(t);

	return fmt == NG_JSON ? ng_json_encode(mb, ng_root(t))
			      : encode_val(mb, ng_root(t));
}
