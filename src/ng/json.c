/**
 * @file json.c  NG bodies in JSON (RFC 8259), bounded in depth and size
 *
 * Strings are unescaped in place: an escape is never shorter than what it
 * stands for.
 */
#include <string.h>
#include <re.h>
#include "ng/ng.h"
#include "ng/internal.h"


static int decode_val(struct ng_cur *c, struct ng_val *to,
		      const struct pl *key);


static void skip_ws(struct ng_cur *c)
{
	while (c->p < c->end && (*c->p == ' ' || *c->p == '\t' ||
				 *c->p == '\r' || *c->p == '\n'))
		++c->p;
}


static bool take(struct ng_cur *c, char ch)
{
	if (c->p >= c->end || *c->p != ch)
		return false;

	++c->p;
	return true;
}


static int hex4(const char *p, uint32_t *v)
{
	unsigned i;

	*v = 0;
	for (i = 0; i < 4; i++) {

		const char ch = p[i];

		if (ch >= '0' && ch <= '9')
			*v = *v << 4 | (uint32_t)(ch - '0');
		else if ((ch | 0x20) >= 'a' && (ch | 0x20) <= 'f')
			*v = *v << 4 | (uint32_t)((ch | 0x20) - 'a' + 10);
		else
			return EBADMSG;
	}

	return 0;
}


static char *put_utf8(char *d, uint32_t u)
{
	if (u < 0x80) {
		*d++ = (char)u;
	}
	else if (u < 0x800) {
		*d++ = (char)(0xc0 | u >> 6);
		*d++ = (char)(0x80 | (u & 0x3f));
	}
	else if (u < 0x10000) {
		*d++ = (char)(0xe0 | u >> 12);
		*d++ = (char)(0x80 | (u >> 6 & 0x3f));
		*d++ = (char)(0x80 | (u & 0x3f));
	}
	else {
		*d++ = (char)(0xf0 | u >> 18);
		*d++ = (char)(0x80 | (u >> 12 & 0x3f));
		*d++ = (char)(0x80 | (u >> 6 & 0x3f));
		*d++ = (char)(0x80 | (u & 0x3f));
	}

	return d;
}


/* Behind "\u": four digits, or a surrogate pair (RFC 8259 7) */
static int unescape_u(struct ng_cur *c, char **d)
{
	uint32_t u, lo;

	if (c->end - c->p < 4 || hex4(c->p, &u))
		return EBADMSG;
	c->p += 4;

	if (u >= 0xdc00 && u <= 0xdfff)
		return EBADMSG;

	if (u >= 0xd800 && u <= 0xdbff) {

		if (c->end - c->p < 6 || c->p[0] != '\\' || c->p[1] != 'u' ||
		    hex4(c->p + 2, &lo) || lo < 0xdc00 || lo > 0xdfff)
			return EBADMSG;
		c->p += 6;
		u = 0x10000 + ((u - 0xd800) << 10) + (lo - 0xdc00);
	}

	*d = put_utf8(*d, u);

	return 0;
}


static int unescape(struct ng_cur *c, char **d)
{
	static const char from[] = "\"\\/bfnrt";
	static const char to[]   = "\"\\/\b\f\n\r\t";
	const char *at;
	char ch;

	if (c->p >= c->end)
		return EBADMSG;

	ch = *c->p++;
	if (ch == 'u')
		return unescape_u(c, d);

	at = ch ? strchr(from, ch) : NULL;
	if (!at)
		return EBADMSG;

	*(*d)++ = to[at - from];

	return 0;
}


static int decode_str(struct ng_cur *c, struct pl *pl)
{
	char *d;

	if (!take(c, '"'))
		return EBADMSG;

	d = c->p;
	pl->p = d;

	while (c->p < c->end && *c->p != '"') {

		if ((unsigned char)*c->p < 0x20)
			return EBADMSG;

		if (*c->p == '\\') {
			++c->p;
			if (unescape(c, &d))
				return EBADMSG;
		}
		else {
			*d++ = *c->p++;
		}
	}

	pl->l = d - pl->p;

	return take(c, '"') ? 0 : EBADMSG;
}


static bool is_word(struct ng_cur *c, const char *word)
{
	const size_t n = strlen(word);

	if ((size_t)(c->end - c->p) < n || memcmp(c->p, word, n))
		return false;

	c->p += n;
	return true;
}


/* A whole number becomes NG_INT; what has a fraction or exponent stays text */
static int decode_num(struct ng_cur *c, struct ng_val *v)
{
	const char *start = c->p;
	bool neg = take(c, '-'), whole = true;
	const char *digits = c->p;
	int64_t num = 0;

	for (; c->p < c->end && c->p - start < 32; c->p++) {

		if (*c->p >= '0' && *c->p <= '9')
			num = c->p - digits < 18 ? num * 10 + *c->p - '0' : 0;
		else if (memchr(".eE+-", *c->p, 5))
			whole = false;
		else
			break;
	}

	if (c->p == digits || *digits < '0' || *digits > '9')
		return EBADMSG;
	if (whole && c->p - digits > 1 && *digits == '0')
		return EBADMSG;

	if (whole && c->p - digits <= 18) {
		v->type = NG_INT;
		v->num = neg ? -num : num;
	}
	else {
		v->str.p = start;
		v->str.l = c->p - start;
	}

	return 0;
}


static int decode_scalar(struct ng_cur *c, struct ng_val *v)
{
	if (*c->p == '"')
		return decode_str(c, &v->str);

	if (is_word(c, "true") || is_word(c, "false")) {
		v->type = NG_INT;
		v->num = c->p[-2] == 'u';
		return 0;
	}

	if (is_word(c, "null"))
		return 0;

	return decode_num(c, v);
}


static int decode_member(struct ng_cur *c, struct ng_val *v)
{
	struct pl key = PL_INIT;
	int err;

	skip_ws(c);
	if (v->type == NG_DICT) {
		err = decode_str(c, &key);
		if (err)
			return err;
		skip_ws(c);
		if (!take(c, ':'))
			return EBADMSG;
		skip_ws(c);
	}

	return decode_val(c, v, &key);
}


/* From behind the opening bracket to behind the closing one */
static int decode_members(struct ng_cur *c, struct ng_val *v)
{
	const char close = v->type == NG_DICT ? '}' : ']';
	int err;

	if (++c->depth > NG_DEPTH_MAX)
		return EOVERFLOW;

	skip_ws(c);
	if (!take(c, close)) {

		do {
			err = decode_member(c, v);
			if (err)
				return err;
			skip_ws(c);
		} while (take(c, ','));

		if (!take(c, close))
			return EBADMSG;
	}

	--c->depth;

	return 0;
}


static int decode_val(struct ng_cur *c, struct ng_val *to,
		      const struct pl *key)
{
	enum ng_type type = NG_STR;
	struct ng_val *v;

	if (c->p >= c->end)
		return EBADMSG;

	if (*c->p == '{')
		type = NG_DICT;
	else if (*c->p == '[')
		type = NG_LIST;

	v = ng_tree_node(c->t, to, type, key);
	if (!v)
		return ng_tree_error(c->t);

	if (type == NG_STR)
		return decode_scalar(c, v);

	++c->p;
	return decode_members(c, v);
}


int ng_json_decode(struct ng_cur *c, struct ng_val *root)
{
	int err;

	++c->p;
	err = decode_members(c, root);
	if (err)
		return err;

	skip_ws(c);

	return c->p == c->end ? 0 : EBADMSG;
}


static int encode_str(struct mbuf *mb, const struct pl *pl)
{
	size_t i;
	int err;

	err = mbuf_write_u8(mb, '"');
	for (i = 0; i < pl->l && !err; i++) {

		const uint8_t ch = (uint8_t)pl->p[i];

		if (ch == '"' || ch == '\\')
			err = mbuf_printf(mb, "\\%c", ch);
		else if (ch == '\r' || ch == '\n')
			err = mbuf_write_str(mb, ch == '\r' ? "\\r" : "\\n");
		else if (ch < 0x20 || ch == 0x7f)
			err = mbuf_printf(mb, "\\u%04x", ch);
		else
			err = mbuf_write_u8(mb, ch);
	}

	return err | mbuf_write_u8(mb, '"');
}


int ng_json_encode(struct mbuf *mb, const struct ng_val *v)
{
	const struct ng_val *ch;
	int err;

	if (v->type == NG_STR)
		return encode_str(mb, &v->str);
	if (v->type == NG_INT)
		return mbuf_printf(mb, "%lld", (long long)v->num);

	err = mbuf_write_u8(mb, v->type == NG_DICT ? '{' : '[');
	for (ch = v->first; ch && !err; ch = ch->next) {

		if (ch != v->first)
			err |= mbuf_write_u8(mb, ',');
		if (v->type == NG_DICT) {
			err |= encode_str(mb, &ch->key);
			err |= mbuf_write_u8(mb, ':');
		}
		err |= ng_json_encode(mb, ch);
	}

	return err | mbuf_write_u8(mb, v->type == NG_DICT ? '}' : ']');
}
