/**
 * @file sipcore/msg/edit.c  A message changed by pieces (RFC 3261 16.6)
 *
 * A piece says: at this byte leave so many out and put this text there.  The
 * pieces are kept in order of position; what no piece touches goes out byte
 * for byte.
 */
#include <string.h>
#include <re.h>
#include "cfg/cfg.h"
#include "sipcore/sipcore.h"
#include "sipcore/internal.h"


void sipcore_edit_init(struct sipcore_edit *ed, const struct sipcore_msg *m)
{
	if (!ed)
		return;

	ed->msg    = m;
	ed->mb     = NULL;
	ed->piecec = 0;
	ed->body   = NULL;
}


void sipcore_edit_close(struct sipcore_edit *ed)
{
	if (!ed)
		return;

	ed->mb = mem_deref(ed->mb);
	ed->piecec = 0;
}


static size_t pos_of(const struct sipcore_edit *ed, const char *p)
{
	return (size_t)(p - (const char *)ed->msg->mb->buf);
}


/* Behind the last header field: where the empty line stands */
static size_t pos_end(const struct sipcore_edit *ed)
{
	const struct sipcore_msg *m = ed->msg;
	const struct sipcore_hdr *last;

	if (!m->hdrc)
		return pos_of(ed, m->startline.p) + m->startline.l + 2;

	last = &m->hdrv[m->hdrc - 1];

	return pos_of(ed, last->line.p) + last->line.l;
}


/* Text was written to ed->mb from off on; pieces at one place keep the order
   in which they were made */
static int piece_add(struct sipcore_edit *ed, size_t pos, size_t del,
		     size_t off)
{
	size_t i = ed->piecec;

	if (ed->piecec >= SIPCORE_EDIT_MAX)
		return EOVERFLOW;

	for (; i > 0 && ed->piecev[i-1].pos > pos; i--)
		ed->piecev[i] = ed->piecev[i-1];

	ed->piecev[i].pos = pos;
	ed->piecev[i].del = del;
	ed->piecev[i].off = off;
	ed->piecev[i].len = ed->mb ? ed->mb->end - off : 0;
	++ed->piecec;

	return 0;
}


static size_t text_begin(const struct sipcore_edit *ed)
{
	return ed->mb ? ed->mb->end : 0;
}


static int text_open(struct sipcore_edit *ed, size_t *off)
{
	if (!ed->mb) {
		ed->mb = mbuf_alloc(512);
		if (!ed->mb)
			return ENOMEM;
	}

	*off = ed->mb->end;

	return 0;
}


static int piece_printf(struct sipcore_edit *ed, size_t pos, size_t del,
			const char *fmt, va_list ap)
{
	size_t off;
	int err;

	err = text_open(ed, &off);
	if (err)
		return err;

	err  = mbuf_vprintf(ed->mb, fmt, ap);
	err |= mbuf_write_str(ed->mb, "\r\n");

	return err ? err : piece_add(ed, pos, del, off);
}


int sipcore_edit_ruri(struct sipcore_edit *ed, const struct pl *ruri)
{
	size_t off;
	int err;

	if (!ed || !ruri || !ed->msg->req)
		return EINVAL;

	err = text_open(ed, &off);
	if (err)
		return err;

	err = mbuf_write_pl(ed->mb, ruri);

	return err ? err : piece_add(ed, pos_of(ed, ed->msg->ruri.p),
				     ed->msg->ruri.l, off);
}


int sipcore_edit_drop(struct sipcore_edit *ed, const struct sipcore_hdr *h)
{
	if (!ed || !h)
		return EINVAL;

	return piece_add(ed, pos_of(ed, h->line.p), h->line.l,
			 text_begin(ed));
}


static bool is_dropped(const struct sipcore_edit *ed, const struct pl *val)
{
	const size_t pos = pos_of(ed, val->p);

	for (size_t i=0; i<ed->piecec; i++) {
		const struct sipcore_piece *pc = &ed->piecev[i];

		if (pc->pos <= pos && pc->pos + pc->del >= pos + val->l)
			return true;
	}

	return false;
}


int sipcore_edit_drop_val(struct sipcore_edit *ed,
			  const struct sipcore_hdr *h, const struct pl *val)
{
	struct pl rest, v, prev = PL_INIT, next = PL_INIT, last = PL_INIT;
	const char *from, *to;
	bool seen = false;

	if (!ed || !h || !val)
		return EINVAL;

	/* the neighbours that stay */
	rest = h->val;
	while (sipcore_val_next(&rest, &v)) {

		last = v;
		if (v.p == val->p)
			seen = true;
		else if (is_dropped(ed, &v))
			continue;
		else if (!seen)
			prev = v;
		else if (!next.p)
			next = v;
	}

	if (!seen)
		return ENOENT;

	if (!prev.p && !next.p)
		return sipcore_edit_drop(ed, h);

	/* one comma goes with it */
	from = next.p ? val->p : prev.p + prev.l;
	to   = next.p ? next.p : last.p + last.l;

	return piece_add(ed, pos_of(ed, from), (size_t)(to - from),
			 text_begin(ed));
}


int sipcore_edit_replace(struct sipcore_edit *ed,
			 const struct sipcore_hdr *h, const char *fmt, ...)
{
	va_list ap;
	int err;

	if (!ed || !h || !fmt)
		return EINVAL;

	va_start(ap, fmt);
	err = piece_printf(ed, pos_of(ed, h->line.p), h->line.l, fmt, ap);
	va_end(ap);

	return err;
}


int sipcore_edit_before(struct sipcore_edit *ed, const struct sipcore_hdr *h,
			const char *fmt, ...)
{
	va_list ap;
	size_t pos;
	int err;

	if (!ed || !fmt)
		return EINVAL;

	pos = h ? pos_of(ed, h->line.p)
		: pos_of(ed, ed->msg->startline.p) + ed->msg->startline.l + 2;

	va_start(ap, fmt);
	err = piece_printf(ed, pos, 0, fmt, ap);
	va_end(ap);

	return err;
}


int sipcore_edit_append(struct sipcore_edit *ed, const char *fmt, ...)
{
	va_list ap;
	int err;

	if (!ed || !fmt)
		return EINVAL;

	va_start(ap, fmt);
	err = piece_printf(ed, pos_end(ed), 0, fmt, ap);
	va_end(ap);

	return err;
}


int sipcore_edit_body(struct sipcore_edit *ed, const char *ctype,
		      const struct pl *body)
{
	const struct sipcore_hdr *h;
	int err = 0;

	if (!ed || !body || ed->body)
		return EINVAL;

	h = sipcore_hdr(ed->msg, SIPCORE_HDR_CONTENT_LENGTH, 0);
	if (h)
		err = sipcore_edit_replace(ed, h, "Content-Length: %zu",
					   body->l);
	else
		err = sipcore_edit_append(ed, "Content-Length: %zu", body->l);

	if (ctype && !err) {
		h = sipcore_hdr(ed->msg, SIPCORE_HDR_CONTENT_TYPE, 0);
		err = h ? sipcore_edit_replace(ed, h, "Content-Type: %s",
					       ctype)
			: sipcore_edit_append(ed, "Content-Type: %s", ctype);
	}

	if (!err)
		ed->body = body;

	return err;
}


int sipcore_edit_write(struct mbuf *mb, const struct sipcore_edit *ed)
{
	const uint8_t *buf;
	const struct pl *body;
	size_t cur, end;
	int err = 0;

	if (!mb || !ed)
		return EINVAL;

	buf = ed->msg->mb->buf;
	cur = pos_of(ed, ed->msg->startline.p);
	end = pos_end(ed);

	for (size_t i=0; i<ed->piecec && !err; i++) {
		const struct sipcore_piece *pc = &ed->piecev[i];

		if (pc->pos > cur) {
			err = mbuf_write_mem(mb, buf + cur, pc->pos - cur);
			cur = pc->pos;
		}
		if (pc->len)
			err |= mbuf_write_mem(mb, ed->mb->buf + pc->off,
					      pc->len);
		if (pc->pos + pc->del > cur)
			cur = pc->pos + pc->del;
	}

	if (!err && cur < end)
		err = mbuf_write_mem(mb, buf + cur, end - cur);

	err |= mbuf_write_str(mb, "\r\n");

	body = ed->body ? ed->body : &ed->msg->body;
	if (body->l)
		err |= mbuf_write_pl(mb, body);

	return err;
}
