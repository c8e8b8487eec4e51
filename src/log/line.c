/**
 * @file log/line.c  One log line: key=value pairs as logfmt or JSON
 *
 * re_vhprintf() hands literal text over as pointers into the format string,
 * and what an argument printed as pointers elsewhere.  So the format's own
 * text alone decides where a pair begins and ends, and bytes of a peer stay
 * inside their value whatever they contain.
 */
#include <string.h>
#include <re.h>
#include "log.h"
#include "internal.h"


enum {
	KEY_MAX = 32,
	VAL_MAX = 1024,
	TAIL = 8,		/* kept free for the cut mark, '}' and '\n' */
};

/** Splits what a format prints into pairs */
struct splitter {
	struct log_buf *lb;
	const char *fmt;
	size_t fmtlen;
	char key[KEY_MAX + 1];
	size_t keyn;
	char val[VAL_MAX];
	size_t valn;
	bool in_val;
	bool quoted;
};


static void put(struct log_buf *lb, const char *p, size_t n)
{
	if (lb->cut || lb->n + n > sizeof(lb->b) - TAIL) {
		lb->cut = true;
		return;
	}

	memcpy(&lb->b[lb->n], p, n);
	lb->n += n;
}


/* Length of the valid UTF-8 sequence (RFC 3629) at p, 0 if there is none */
static size_t utf8_len(const uint8_t *p, size_t n)
{
	size_t len, i;
	uint32_t cp;

	if (p[0] < 0xc2 || p[0] > 0xf4)
		return 0;

	len = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
	if (len > n)
		return 0;

	cp = p[0] & (0x7f >> len);
	for (i = 1; i < len; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		cp = cp << 6 | (p[i] & 0x3f);
	}

	if ((len == 3 && cp < 0x800) || (len == 4 && cp < 0x10000) ||
	    cp > 0x10ffff || (cp >= 0xd800 && cp <= 0xdfff))
		return 0;

	/* C1 controls steer terminals as ESC [ does */
	return cp < 0xa0 ? 0 : len;
}


static void put_escaped(struct log_buf *lb, const char *p, size_t n)
{
	static const char hex[] = "0123456789abcdef";
	const uint8_t *u = (const uint8_t *)p;
	size_t i = 0;

	while (i < n && !lb->cut) {
		const uint8_t c = u[i];
		size_t len = c >= 0x80 ? utf8_len(&u[i], n - i) : 1;

		if (c == '"' || c == '\\') {
			const char e[2] = {'\\', (char)c};
			put(lb, e, 2);
		}
		else if (c == '\n') {
			put(lb, "\\n", 2);
		}
		else if (c == '\r') {
			put(lb, "\\r", 2);
		}
		else if (c < 0x20 || c == 0x7f) {
			const char e[6] = {'\\', 'u', '0', '0',
					   hex[c >> 4], hex[c & 15]};
			put(lb, e, 6);
		}
		else if (!len) {
			/* not text: shown as \xNN, which JSON spells \\xNN */
			const char e[5] = {'\\', '\\', 'x',
					   hex[c >> 4], hex[c & 15]};
			put(lb, e, 5);
			len = 1;
		}
		else {
			put(lb, &p[i], len);
		}
		i += len ? len : 1;
	}
}


static bool is_bare(const char *p, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++) {
		const uint8_t c = (uint8_t)p[i];

		if (c <= 0x20 || c >= 0x7f || c == '"' || c == '=' ||
		    c == '\\')
			return false;
	}

	return n > 0;
}


void log_buf_init(struct log_buf *lb, enum log_format format)
{
	lb->n = 0;
	lb->cut = false;
	lb->format = format;

	if (format == LOG_JSON)
		put(lb, "{", 1);
}


/**
 * Append one pair
 *
 * @param lb   Line
 * @param key  Key, a constant of ours
 * @param val  Value, any bytes
 * @param len  Length of the value
 */
void log_buf_pair(struct log_buf *lb, const char *key, const char *val,
		  size_t len)
{
	const bool json = lb->format == LOG_JSON;
	const size_t begin = lb->n;
	const bool quote = json || !is_bare(val, len);

	if (lb->n > (json ? 1u : 0u))
		put(lb, json ? "," : " ", 1);

	if (json)
		put(lb, "\"", 1);
	put(lb, key, str_len(key));
	put(lb, json ? "\":" : "=", json ? 2 : 1);

	if (quote)
		put(lb, "\"", 1);
	put_escaped(lb, val, len);
	if (quote)
		put(lb, "\"", 1);

	/* a pair stands whole or not at all, so that the line still parses */
	if (lb->cut)
		lb->n = begin;
}


static void flush_pair(struct splitter *s)
{
	if (s->keyn) {
		s->key[s->keyn] = '\0';
		log_buf_pair(s->lb, s->key, s->val, s->valn);
	}

	s->keyn = s->valn = 0;
	s->in_val = s->quoted = false;
}


static void put_val(struct splitter *s, const char *p, size_t n)
{
	const size_t room = sizeof(s->val) - s->valn;

	n = min(n, room);
	memcpy(&s->val[s->valn], p, n);
	s->valn += n;
}


static void literal(struct splitter *s, char c)
{
	if (s->quoted && c == '"') {
		flush_pair(s);
	}
	else if (s->in_val && !s->quoted && !s->valn && c == '"') {
		s->quoted = true;
	}
	else if (s->in_val && (s->quoted || c != ' ')) {
		put_val(s, &c, 1);
	}
	else if (s->in_val || c == ' ') {
		flush_pair(s);
	}
	else if (c == '=') {
		s->in_val = true;
	}
	else if (s->keyn < KEY_MAX) {
		s->key[s->keyn++] = c;
	}
}


static int print_handler(const char *p, size_t size, void *arg)
{
	struct splitter *s = arg;
	size_t i;

	if (p < s->fmt || p > s->fmt + s->fmtlen) {
		if (s->in_val)
			put_val(s, p, size);
		return 0;
	}

	for (i = 0; i < size; i++)
		literal(s, p[i]);

	return 0;
}


void log_buf_vpairs(struct log_buf *lb, const char *fmt, va_list ap)
{
	struct splitter s;

	s.lb = lb;
	s.fmt = fmt;
	s.fmtlen = str_len(fmt);
	s.keyn = s.valn = 0;
	s.in_val = s.quoted = false;

	(void)re_vhprintf(fmt, ap, print_handler, &s);
	flush_pair(&s);
}


/** End the line with a newline; mark it if something did not fit */
void log_buf_close(struct log_buf *lb)
{
	const bool json = lb->format == LOG_JSON;
	const char *mark = lb->cut ? (json ? ",\"cut\":1" : " cut=1") : "";
	const size_t room = sizeof(lb->b) - lb->n;
	int n;

	n = re_snprintf(&lb->b[lb->n], room, "%s%s\n", mark, json ? "}" : "");
	if (n > 0)
		lb->n += (size_t)n;
}
