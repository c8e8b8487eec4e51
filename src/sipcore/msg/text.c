/**
 * @file sipcore/msg/text.c  Small grammar: white space, tokens, lists and
 * parameters (RFC 3261 25.1)
 */
#include <string.h>
#include <strings.h>
#include <re.h>
#include "cfg/cfg.h"
#include "sipcore/sipcore.h"
#include "sipcore/internal.h"


/* LWS: folding has stayed in the values, so line ends count as well */
bool sipcore_is_ws(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}


/* RFC 3261 25.1: bit n of word n/64 says that character n is a token's */
static const uint64_t token_map[2] = {
	0x03ff6ca200000000ULL,	/* ! % ' * + - . 0-9 */
	0x47ffffff87fffffeULL,	/* A-Z _ ` a-z ~ */
};


static bool is_token_char(char c)
{
	const unsigned char u = (unsigned char)c;

	return u < 128 && token_map[u >> 6] >> (u & 63) & 1;
}


bool sipcore_is_token(const struct pl *pl)
{
	for (size_t i=0; i<pl->l; i++) {

		if (!is_token_char(pl->p[i]))
			return false;
	}

	return pl->l > 0;
}


void sipcore_trim(struct pl *pl)
{
	while (pl->l && sipcore_is_ws(pl->p[0])) {
		++pl->p;
		--pl->l;
	}

	while (pl->l && sipcore_is_ws(pl->p[pl->l - 1]))
		--pl->l;
}


/* A number and nothing else.  pl_u32() takes anything and wraps */
int sipcore_u32(const struct pl *pl, uint32_t *v)
{
	uint64_t n = 0;

	if (!pl->l)
		return EBADMSG;

	for (size_t i=0; i<pl->l; i++) {

		if (pl->p[i] < '0' || pl->p[i] > '9')
			return EBADMSG;

		n = n*10 + (uint64_t)(pl->p[i] - '0');
		if (n > UINT32_MAX)
			return ERANGE;
	}

	*v = (uint32_t)n;

	return 0;
}


/* Length up to the end of a quoted string that begins at p, or n */
static size_t quoted_len(const char *p, size_t n)
{
	size_t i;

	for (i=1; i<n; i++) {

		if (p[i] == '\\')
			++i;
		else if (p[i] == '"')
			return i + 1;
	}

	return n;
}


/* Length up to the first stop character outside quotes and <> */
static size_t span(const struct pl *pl, char stop)
{
	bool angle = false;
	size_t i = 0;

	while (i < pl->l) {
		const char c = pl->p[i];

		if (c == '"' && !angle) {
			i += quoted_len(pl->p + i, pl->l - i);
			continue;
		}

		if (c == '<')
			angle = true;
		else if (c == '>')
			angle = false;
		else if (c == stop && !angle)
			return i;

		++i;
	}

	return pl->l;
}


bool sipcore_val_next(struct pl *rest, struct pl *val)
{
	if (!rest || !val)
		return false;

	while (rest->l) {
		size_t n = span(rest, ',');

		val->p = rest->p;
		val->l = n;
		pl_advance(rest, (ssize_t)(n < rest->l ? n + 1 : n));

		sipcore_trim(val);
		if (val->l)
			return true;
	}

	return false;
}


bool sipcore_hdr_has_token(const struct sipcore_msg *msg,
			   enum sipcore_hdrid id, const char *token)
{
	const struct sipcore_hdr *hdr;

	if (!msg || !token)
		return false;

	for (size_t i=0; (hdr = sipcore_hdr(msg, id, i)); i++) {

		struct pl rest = hdr->val, val;

		while (sipcore_val_next(&rest, &val)) {

			if (!pl_strcasecmp(&val, token))
				return true;
		}
	}

	return false;
}


/* Cut the next ";name[=value]" off rest; quotes stay in val */
static bool param_next(struct pl *rest, struct pl *name, struct pl *val)
{
	size_t n, eq;

	while (rest->l && (rest->p[0] == ';' || sipcore_is_ws(rest->p[0])))
		pl_advance(rest, 1);

	if (!rest->l)
		return false;

	n = span(rest, ';');
	name->p = rest->p;
	name->l = n;
	*val = pl_null;
	pl_advance(rest, (ssize_t)n);

	eq = span(name, '=');
	if (eq < name->l) {
		val->p = name->p + eq + 1;
		val->l = name->l - eq - 1;
		name->l = eq;
		sipcore_trim(val);
	}

	sipcore_trim(name);

	return true;
}


bool sipcore_param(const struct pl *params, const char *name, struct pl *val)
{
	struct pl rest, nm, v;

	if (!params || !name)
		return false;

	rest = *params;

	while (param_next(&rest, &nm, &v)) {

		if (pl_strcasecmp(&nm, name))
			continue;

		if (v.l >= 2 && v.p[0] == '"' && v.p[v.l - 1] == '"') {
			++v.p;
			v.l -= 2;
		}

		if (val)
			*val = v;

		return true;
	}

	return false;
}


bool sipcore_param_exists(const struct pl *params, const char *name)
{
	return sipcore_param(params, name, NULL);
}
