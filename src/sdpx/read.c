/**
 * @file read.c  SDP into a struct of views (RFC 8866, 3264, 3605, 5761)
 */
#include <string.h>
#include <re.h>
#include "sdpx/sdpx.h"
#include "sdpx/internal.h"


bool sdpx_line_next(struct pl *rest, struct sdpx_line *l)
{
	const char *nl;
	size_t n;

	if (!rest->l)
		return false;

	nl = memchr(rest->p, '\n', rest->l);
	n = nl ? (size_t)(nl - rest->p) + 1 : rest->l;

	l->raw.p = rest->p;
	l->raw.l = n;
	rest->p += n;
	rest->l -= n;

	if (nl)
		--n;
	if (n && l->raw.p[n - 1] == '\r')
		--n;

	l->type = n >= 2 && l->raw.p[1] == '=' ? l->raw.p[0] : 0;
	l->val.p = l->type ? l->raw.p + 2 : l->raw.p;
	l->val.l = l->type ? n - 2 : n;

	return true;
}


bool sdpx_line_attr(const struct sdpx_line *l, const char *name,
		    struct pl *val)
{
	const size_t n = strlen(name);

	if (l->type != 'a' || l->val.l < n || memcmp(l->val.p, name, n))
		return false;

	if (l->val.l > n && l->val.p[n] != ':')
		return false;

	if (val) {
		val->p = l->val.p + (l->val.l > n ? n + 1 : n);
		val->l = l->val.p + l->val.l - val->p;
	}

	return true;
}


bool sdpx_word(struct pl *rest, struct pl *word)
{
	while (rest->l && *rest->p == ' ')
		pl_advance(rest, 1);

	word->p = rest->p;
	word->l = 0;

	while (rest->l && *rest->p != ' ') {
		++word->l;
		pl_advance(rest, 1);
	}

	return word->l > 0;
}


int sdpx_num(const struct pl *pl, uint32_t max, uint32_t *v)
{
	uint32_t num = 0;
	size_t i;

	if (!pl->l || pl->l > 9)
		return EBADMSG;

	for (i = 0; i < pl->l; i++) {

		if (pl->p[i] < '0' || pl->p[i] > '9')
			return EBADMSG;
		num = num * 10 + (uint32_t)(pl->p[i] - '0');
	}

	*v = num;

	return num > max ? EBADMSG : 0;
}


bool sdpx_line_dir(const struct sdpx_line *l, enum sdpx_dir *dir)
{
	unsigned d;

	for (d = SDPX_INACTIVE; d <= SDPX_SENDRECV; d++) {

		if (sdpx_line_attr(l, sdpx_dir_name((enum sdpx_dir)d),
				   NULL)) {
			*dir = (enum sdpx_dir)d;
			return true;
		}
	}

	return false;
}


struct pl sdpx_session_part(const struct sdpx *s)
{
	struct pl pl = s->body;

	if (s->mediac)
		pl.l = s->mediav[0].block.p - pl.p;

	return pl;
}


/* "IN IP4 192.0.2.1", "IN IP4 233.252.0.1/127"; a name leaves sa unset */
static int conn_addr(const struct pl *conn, struct sa *sa)
{
	struct pl rest = *conn, net, type, addr;
	const char *slash;
	char buf[64];

	if (!sdpx_word(&rest, &net) || !sdpx_word(&rest, &type) ||
	    !sdpx_word(&rest, &addr))
		return EBADMSG;

	slash = pl_strchr(&addr, '/');
	if (slash)
		addr.l = slash - addr.p;

	sa_init(sa, pl_strcasecmp(&type, "IP6") ? AF_INET : AF_INET6);
	if (addr.l && !pl_strcpy(&addr, buf, sizeof(buf)))
		(void)sa_set_str(sa, buf, 0);

	return 0;
}


static bool begins(const struct pl *pl, const char *str)
{
	const size_t n = strlen(str);

	return pl->l >= n && !memcmp(pl->p, str, n);
}


/* RFC 2543's hold: no address to send to */
bool sdpx_conn_hold(const struct pl *conn)
{
	struct pl rest = *conn, word;
	unsigned i;

	for (i = 0; i < 3; i++) {

		if (!sdpx_word(&rest, &word))
			return false;
	}

	return !pl_strcmp(&word, "0.0.0.0");
}


static int media_line(struct sdpx_media *m, const struct pl *val)
{
	struct pl rest = *val, port;
	const char *slash;
	uint32_t num;

	if (!sdpx_word(&rest, &m->type) || !sdpx_word(&rest, &port) ||
	    !sdpx_word(&rest, &m->proto))
		return EBADMSG;

	while (rest.l && *rest.p == ' ')
		pl_advance(&rest, 1);
	m->fmts = rest;

	slash = pl_strchr(&port, '/');
	if (slash)
		port.l = slash - port.p;
	if (sdpx_num(&port, 65535, &num))
		return EBADMSG;

	sa_set_port(&m->rtp, (uint16_t)num);
	m->rejected = num == 0;
	m->is_rtp = begins(&m->proto, "RTP/") ||
		begins(&m->proto, "UDP/TLS/RTP/");

	return 0;
}


/* RFC 3605: "a=rtcp:53020 IN IP4 192.0.2.1", address optional */
static void rtcp_attr(struct sdpx_media *m, const struct pl *val)
{
	struct pl rest = *val, port;
	uint32_t num;

	if (!sdpx_word(&rest, &port) || sdpx_num(&port, 65535, &num))
		return;

	m->rtcp_attr = true;
	sa_init(&m->rtcp, AF_INET);
	if (rest.l)
		(void)conn_addr(&rest, &m->rtcp);
	sa_set_port(&m->rtcp, (uint16_t)num);
}


static void media_attr(struct sdpx_media *m, const struct sdpx_line *l)
{
	struct pl val;

	if (sdpx_line_dir(l, &m->dir))
		return;

	if (sdpx_line_attr(l, "rtcp", &val))
		rtcp_attr(m, &val);
	else if (sdpx_line_attr(l, "rtcp-mux", NULL))
		m->rtcp_mux = true;
	else if (sdpx_line_attr(l, "mid", &val))
		m->mid = val;
	else if (sdpx_line_attr(l, "ptime", &val))
		(void)sdpx_num(&val, 1000, &m->ptime);
	else if (sdpx_line_attr(l, "candidate", NULL) ||
		 sdpx_line_attr(l, "ice-ufrag", NULL))
		m->ice = true;
	else if (sdpx_line_attr(l, "crypto", NULL))
		m->crypto = true;
	else if (sdpx_line_attr(l, "fingerprint", NULL))
		m->fingerprint = true;
	else if (sdpx_line_attr(l, "bundle-only", NULL))
		m->rejected = false;
}


/* What follows from the session's lines, once all are read */
static int media_finish(const struct sdpx *s, struct sdpx_media *m)
{
	const struct pl *conn = pl_isset(&m->conn) ? &m->conn : &s->conn;
	const uint16_t port = sa_port(&m->rtp);
	struct sa sa;

	sa_init(&sa, AF_INET);
	if (pl_isset(conn) && conn_addr(conn, &sa))
		return EBADMSG;

	m->rtp = sa;
	sa_set_port(&m->rtp, port);

	if (!m->rtcp_attr || !sa_isset(&m->rtcp, SA_ADDR)) {

		const uint16_t rtcp = m->rtcp_attr ? sa_port(&m->rtcp)
			: port && port < 65535 ? port + 1 : 0;

		m->rtcp = sa;
		sa_set_port(&m->rtcp, rtcp);
	}

	m->hold = !(m->dir & SDPX_RECVONLY) || sdpx_conn_hold(conn);

	return 0;
}


static void session_line(struct sdpx *s, const struct sdpx_line *l,
			 bool *fingerprint, bool *ice)
{
	struct pl val;

	if (l->type == 'o')
		s->origin = l->val;
	else if (l->type == 'c')
		s->conn = l->val;
	else if (sdpx_line_dir(l, &s->dir))
		return;
	else if (sdpx_line_attr(l, "group", &val)) {
		if (val.l > 7 && !memcmp(val.p, "BUNDLE ", 7)) {
			pl_advance(&val, 7);
			s->bundle = val;
		}
	}
	else if (sdpx_line_attr(l, "ice-lite", NULL))
		s->ice_lite = true;
	else if (sdpx_line_attr(l, "fingerprint", NULL))
		*fingerprint = true;
	else if (sdpx_line_attr(l, "ice-ufrag", NULL))
		*ice = true;
}


static int media_begin(struct sdpx *s, const struct sdpx_line *l,
		       bool fingerprint, bool ice)
{
	struct sdpx_media *m;

	if (s->mediac >= SDPX_MEDIA_MAX)
		return EOVERFLOW;

	m = &s->mediav[s->mediac++];
	memset(m, 0, sizeof(*m));
	sa_init(&m->rtp, AF_INET);
	m->dir = s->dir;
	m->fingerprint = fingerprint;
	m->ice = ice;
	m->block.p = l->raw.p;

	return media_line(m, &l->val);
}


int sdpx_decode(struct sdpx *s, const char *p, size_t n)
{
	struct sdpx_line l;
	struct pl rest;
	bool fingerprint = false, ice = false;
	size_t i;
	int err;

	if (!s || !p)
		return EINVAL;
	if (n > SDPX_SIZE_MAX)
		return EOVERFLOW;
	if (n < 2 || memcmp(p, "v=", 2))
		return EBADMSG;

	s->body.p = p;
	s->body.l = n;
	s->origin = s->conn = s->bundle = pl_null;
	s->dir = SDPX_SENDRECV;
	s->ice_lite = false;
	s->mediac = 0;

	rest = s->body;
	while (sdpx_line_next(&rest, &l)) {

		struct sdpx_media *m = s->mediac ? &s->mediav[s->mediac - 1]
						 : NULL;

		if (l.type == 'm') {
			err = media_begin(s, &l, fingerprint, ice);
			if (err)
				return err;
			m = &s->mediav[s->mediac - 1];
		}
		else if (!m)
			session_line(s, &l, &fingerprint, &ice);
		else if (l.type == 'c' && !pl_isset(&m->conn))
			m->conn = l.val;
		else if (l.type == 'a')
			media_attr(m, &l);

		if (m)
			m->block.l = l.raw.p + l.raw.l - m->block.p;
	}

	for (i = 0; i < s->mediac; i++) {

		err = media_finish(s, &s->mediav[i]);
		if (err)
			return err;
	}

	return 0;
}


bool sdpx_attr(const struct sdpx *s, const struct sdpx_media *m,
	       const char *name, size_t idx, struct pl *val)
{
	struct sdpx_line l;
	struct pl rest;

	if (!s || !name || !val)
		return false;

	rest = m ? m->block : sdpx_session_part(s);
	while (sdpx_line_next(&rest, &l)) {

		if (sdpx_line_attr(&l, name, val) && idx-- == 0)
			return true;
	}

	return false;
}


const char *sdpx_dir_name(enum sdpx_dir dir)
{
	switch (dir) {

	case SDPX_INACTIVE: return "inactive";
	case SDPX_SENDONLY: return "sendonly";
	case SDPX_RECVONLY: return "recvonly";
	case SDPX_SENDRECV: return "sendrecv";
	}

	return "sendrecv";
}


enum sdpx_dir sdpx_dir_reverse(enum sdpx_dir dir)
{
	if (dir == SDPX_SENDONLY)
		return SDPX_RECVONLY;
	if (dir == SDPX_RECVONLY)
		return SDPX_SENDONLY;

	return dir;
}


const struct sdpx_media *sdpx_find(const struct sdpx *s, const char *type)
{
	size_t i;

	for (i = 0; s && i < s->mediac; i++) {

		const struct sdpx_media *m = &s->mediav[i];

		if (!m->rejected && !pl_strcmp(&m->type, type))
			return m;
	}

	return NULL;
}
