/**
 * @file rewrite.c  A body with other addresses, all else byte for byte
 */
#include <string.h>
#include <re.h>
#include "sdpx/sdpx.h"
#include "sdpx/internal.h"


/** State of a walk over the lines */
struct walk {
	struct mbuf *mb;
	const struct sdpx *s;
	const struct sdpx_edit *e;
	const struct sdpx_media *m;		/**< NULL: session part */
	const struct sdpx_media_edit *me;
	bool conn_due;				/**< c= is to be added  */
	struct pl eol;
};


static int put(struct mbuf *mb, const struct pl *pl)
{
	return pl->l ? mbuf_write_mem(mb, (const uint8_t *)pl->p, pl->l) : 0;
}


static const char *ipver(const struct sa *sa)
{
	return sa_af(sa) == AF_INET6 ? "IP6" : "IP4";
}


/* The end of this line, as the body writes it */
static struct pl eol_of(const struct sdpx_line *l)
{
	struct pl eol;

	eol.p = l->val.p + l->val.l;
	eol.l = l->raw.p + l->raw.l - eol.p;

	return eol;
}


static int put_conn(struct walk *w, const struct sa *sa,
		    const struct pl *eol)
{
	return mbuf_printf(w->mb, "c=IN %s %j%r", ipver(sa), sa, eol);
}


/* o=USER ID VERSION IN IP4 ADDRESS */
static int put_origin(struct walk *w, const struct sdpx_line *l)
{
	struct pl rest = l->val, word, head;
	const struct pl eol = eol_of(l);
	unsigned i;

	for (i = 0; i < 3; i++) {

		if (!sdpx_word(&rest, &word))
			return put(w->mb, &l->raw);
	}

	head.p = l->raw.p;
	head.l = word.p + word.l - head.p;

	return mbuf_printf(w->mb, "%r IN %s %j%r", &head,
			   ipver(&w->e->origin), &w->e->origin, &eol);
}


static bool is_ice(const struct sdpx_line *l)
{
	static const char *namev[] = {
		"candidate", "ice-ufrag", "ice-pwd", "ice-options",
		"ice-lite", "ice-mismatch", "ice-pacing",
		"remote-candidates", "end-of-candidates",
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(namev); i++) {

		if (sdpx_line_attr(l, namev[i], NULL))
			return true;
	}

	return false;
}


static int put_conn_line(struct walk *w, const struct sdpx_line *l)
{
	const struct sa *sa = w->m ? &w->me->addr : &w->e->conn;
	const struct pl eol = eol_of(l);

	if (!sa_isset(sa, SA_ADDR) ||
	    (w->e->keep_hold && sdpx_conn_hold(&l->val)))
		return put(w->mb, &l->raw);

	return put_conn(w, sa, &eol);
}


static int put_media_line(struct walk *w, const struct sdpx_line *l)
{
	const struct sdpx_media *m = w->m;
	const struct pl eol = eol_of(l);
	struct pl proto = m->proto, tail;

	if (!w->me->proto && !sa_isset(&w->me->addr, SA_ADDR))
		return put(w->mb, &l->raw);

	if (w->me->proto)
		pl_set_str(&proto, w->me->proto);

	tail.p = m->proto.p + m->proto.l;
	tail.l = l->val.p + l->val.l - tail.p;

	return mbuf_printf(w->mb, "m=%r %u %r%r%r", &m->type,
			   sa_isset(&w->me->addr, SA_ADDR)
				? sa_port(&w->me->addr) : sa_port(&m->rtp),
			   &proto, &tail, &eol);
}


/* Does the m= line need a c= that it did not have? */
static bool needs_conn(const struct walk *w)
{
	const struct sa *sa = &w->me->addr;

	if (pl_isset(&w->m->conn) || !sa_isset(sa, SA_ADDR))
		return false;
	if (!pl_isset(&w->s->conn))
		return true;
	if (w->e->keep_hold && sdpx_conn_hold(&w->s->conn))
		return false;

	return !sa_cmp(sa, &w->e->conn, SA_ADDR);
}


static int put_attr(struct walk *w, const struct sdpx_line *l)
{
	if (w->e->ice_remove && is_ice(l))
		return 0;

	if (w->m && sa_isset(&w->me->addr, SA_ADDR)) {

		const struct pl eol = eol_of(l);

		if (sdpx_line_attr(l, "rtcp", NULL))
			return w->me->rtcp
				? mbuf_printf(w->mb, "a=rtcp:%u%r",
					      w->me->rtcp, &eol)
				: 0;
	}

	if (w->m && w->me->mux == SDPX_MUX_OFF &&
	    (sdpx_line_attr(l, "rtcp-mux", NULL) ||
	     sdpx_line_attr(l, "rtcp-mux-only", NULL)))
		return 0;

	return put(w->mb, &l->raw);
}


static int put_line(struct walk *w, const struct sdpx_line *l)
{
	int err = 0;

	if (l->type == 'm')
		return put_media_line(w, l);

	/* RFC 8866 5: i= stands before c= */
	if (w->conn_due && l->type != 'i') {
		w->conn_due = false;
		err = put_conn(w, &w->me->addr, &w->eol);
	}

	if (l->type == 'c')
		err |= put_conn_line(w, l);
	else if (l->type == 'a')
		err |= put_attr(w, l);
	else if (l->type == 'o' && sa_isset(&w->e->origin, SA_ADDR))
		err |= put_origin(w, l);
	else
		err |= put(w->mb, &l->raw);

	return err;
}


/* What the m= block lacked, behind its last line */
static int put_missing(struct walk *w)
{
	const struct sdpx_media *m = w->m;
	const bool moved = sa_isset(&w->me->addr, SA_ADDR);
	const bool rtcp = moved && w->me->rtcp && !m->rtcp_attr;
	const bool mux = w->me->mux == SDPX_MUX_ON && !m->rtcp_mux;
	int err = 0;

	if (!w->conn_due && !rtcp && !mux)
		return 0;

	if (w->mb->end && w->mb->buf[w->mb->end - 1] != '\n')
		err = put(w->mb, &w->eol);

	if (w->conn_due)
		err |= put_conn(w, &w->me->addr, &w->eol);
	if (rtcp)
		err |= mbuf_printf(w->mb, "a=rtcp:%u%r", w->me->rtcp,
				   &w->eol);
	if (mux)
		err |= mbuf_printf(w->mb, "a=rtcp-mux%r", &w->eol);

	w->conn_due = false;

	return err;
}


static int walk_part(struct walk *w, struct pl part)
{
	struct sdpx_line l;
	int err = 0;

	while (!err && sdpx_line_next(&part, &l))
		err = put_line(w, &l);

	return err;
}


int sdpx_rewrite(struct mbuf *mb, const struct sdpx *s,
		 const struct sdpx_edit *e)
{
	struct walk w;
	size_t i;
	int err;

	if (!mb || !s || !e)
		return EINVAL;

	memset(&w, 0, sizeof(w));
	w.mb = mb;
	w.s = s;
	w.e = e;
	pl_set_str(&w.eol, pl_strchr(&s->body, '\r') ? "\r\n" : "\n");

	err = walk_part(&w, sdpx_session_part(s));

	for (i = 0; i < s->mediac && !err; i++) {

		w.m = &s->mediav[i];
		w.me = &e->mediav[i];
		w.conn_due = needs_conn(&w);

		err  = walk_part(&w, w.m->block);
		err |= put_missing(&w);
	}

	return err;
}


/* o= with its version raised by one (RFC 3264 8) */
static int put_version(struct mbuf *mb, const struct sdpx_line *l)
{
	struct pl rest = l->val, word, head, tail;
	unsigned i;

	for (i = 0; i < 3; i++) {

		if (!sdpx_word(&rest, &word))
			return put(mb, &l->raw);
	}

	head.p = l->raw.p;
	head.l = word.p - head.p;
	tail.p = word.p + word.l;
	tail.l = l->raw.p + l->raw.l - tail.p;

	return mbuf_printf(mb, "%r%llu%r", &head, pl_u64(&word) + 1, &tail);
}


static int put_part_dir(struct mbuf *mb, struct pl part, bool drop)
{
	struct sdpx_line l;
	enum sdpx_dir old;
	int err = 0;

	while (!err && sdpx_line_next(&part, &l)) {

		if (drop && sdpx_line_dir(&l, &old))
			continue;

		err = l.type == 'o' ? put_version(mb, &l) : put(mb, &l.raw);
	}

	return err;
}


int sdpx_set_dir(struct mbuf *mb, const struct sdpx *s, enum sdpx_dir dir)
{
	const char *eol;
	size_t i;
	int err;

	if (!mb || !s)
		return EINVAL;

	eol = pl_strchr(&s->body, '\r') ? "\r\n" : "\n";

	err = put_part_dir(mb, sdpx_session_part(s), true);

	for (i = 0; i < s->mediac && !err; i++) {

		const struct sdpx_media *m = &s->mediav[i];

		err = put_part_dir(mb, m->block, !m->rejected);
		if (m->rejected)
			continue;

		if (mb->buf[mb->end - 1] != '\n')
			err |= mbuf_write_str(mb, eol);
		err |= mbuf_printf(mb, "a=%s%s", sdpx_dir_name(dir), eol);
	}

	return err;
}
