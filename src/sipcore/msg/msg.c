/**
 * @file sipcore/msg/msg.c  A message: bytes and views into them (RFC 3261 7)
 *
 * One block holds the struct, its header fields and the bytes.  The first
 * pass finds the end of the header section and counts lines, the second one
 * makes the views.  A line that is wrong does not stop the reading, so that
 * the answer 400 can carry what was right.
 */
#include <string.h>
#include <strings.h>
#include <re.h>
#include "cfg/cfg.h"
#include "sipcore/sipcore.h"
#include "sipcore/internal.h"


enum {
	VIA_GROWTH = 96,	/* ;received=<IPv6>;rport=65535 */
	CSEQ_MAX = 0x7fffffff,	/* RFC 3261 8.1.1.5 */
};

struct reader {
	struct sipcore_msg *msg;
	char *buf;
	size_t end;		/* bytes in buf */
	size_t hlen;		/* header section with blank line */
	size_t cap;		/* room in hdrv */
	const struct sa *src;
	uint64_t clen;
	bool have_clen;
	bool stream;
};

static const struct sipcore_lim default_lim = {65535, 256};


static int start_line(struct reader *rd, size_t *pos)
{
	struct sipcore_msg *msg = rd->msg;
	const char *nl = memchr(rd->buf, '\n', rd->hlen);

	if (!nl)
		return EBADMSG;

	msg->startline.p = rd->buf;
	msg->startline.l = (size_t)(nl - rd->buf);
	if (msg->startline.l && nl[-1] == '\r')
		--msg->startline.l;

	*pos = (size_t)(nl - rd->buf) + 1;

	if (msg->startline.l < 12)
		return EBADMSG;

	return sipcore_startline(msg);
}


/* Replace bytes of the buffer behind which nothing has been viewed yet */
static void splice(struct reader *rd, size_t at, size_t del,
		   const char *ins, size_t len)
{
	memmove(rd->buf + at + len, rd->buf + at + del, rd->end - at - del);
	if (len)
		memcpy(rd->buf + at, ins, len);
	rd->end += len - del;
	rd->hlen += len - del;
}


/* Take ";name[=value]" out of the Via's parameters */
static void via_param_del(struct reader *rd, struct sipcore_via *via,
			  const char *name)
{
	const char *p = via->params.p, *end = p + via->params.l;
	const size_t n = strlen(name);

	while (p < end) {
		const char *q = p + 1;
		struct pl nm;

		while (q < end && *q != ';') {
			if (*q == '"') {
				for (++q; q < end && *q != '"'; q++)
					if (*q == '\\')
						++q;
			}
			++q;
		}
		if (q > end)
			q = end;

		nm.p = p + 1;
		nm.l = (size_t)(q - p - 1);
		sipcore_trim(&nm);
		if (nm.l >= n && !strncasecmp(nm.p, name, n) &&
		    (nm.l == n || nm.p[n] == '=' || sipcore_is_ws(nm.p[n]))) {
			const size_t del = (size_t)(q - p);

			splice(rd, (size_t)(p - rd->buf), del, NULL, 0);
			via->params.l -= del;
			via->val.l -= del;
			end -= del;
			continue;
		}

		p = q;
	}
}


/* RFC 3261 18.2.1, RFC 3581 4: write down where the request came from */
static void via_received(struct reader *rd, struct sipcore_via *via)
{
	char ins[VIA_GROWTH], addr[64];
	struct sa host;
	size_t at;
	int n;

	if (!via->rport && !sa_set(&host, &via->host, 0) &&
	    sa_cmp(&host, rd->src, SA_ADDR) &&
	    !sipcore_param_exists(&via->params, "received"))
		return;

	if (sa_ntop(rd->src, addr, sizeof(addr)))
		return;

	via_param_del(rd, via, "received");
	if (via->rport)
		via_param_del(rd, via, "rport");

	n = via->rport ? re_snprintf(ins, sizeof(ins), ";received=%s;rport=%u",
				     addr, sa_port(rd->src))
		       : re_snprintf(ins, sizeof(ins), ";received=%s", addr);
	if (n <= 0)
		return;

	at = (size_t)(via->val.p + via->val.l - rd->buf);
	splice(rd, at, 0, ins, (size_t)n);
	via->val.l += (size_t)n;
}


static void top_via(struct reader *rd, struct pl *hval)
{
	struct sipcore_msg *msg = rd->msg;
	struct pl rest = *hval, val;
	const size_t before = rd->end;
	struct sipcore_via via;

	if (!sipcore_val_next(&rest, &val) ||
	    sipcore_via_decode(&via, &val)) {
		sipcore_malformed(msg, 400, "Bad Via");
		return;
	}

	while (sipcore_val_next(&rest, &val)) {

		if (sipcore_via_decode(&msg->via, &val))
			sipcore_malformed(msg, 400, "Bad Via");
	}

	if (msg->req && rd->src) {
		via_received(rd, &via);
		hval->l += rd->end - before;
		val = via.val;
		if (sipcore_via_decode(&via, &val))
			return;
	}

	msg->via = via;
}


static void cseq_read(struct sipcore_msg *msg, const struct pl *val)
{
	struct pl num = {val->p, 0}, met = *val;

	while (num.l < val->l && !sipcore_is_ws(val->p[num.l]))
		++num.l;

	pl_advance(&met, (ssize_t)num.l);
	sipcore_trim(&met);

	if (sipcore_u32(&num, &msg->cseq) || msg->cseq > CSEQ_MAX ||
	    !sipcore_is_token(&met)) {
		sipcore_malformed(msg, 400, "Bad CSeq");
		return;
	}

	if (!msg->req) {
		msg->met = met;
		msg->method = sipcore_name_method(&met);
	}
	else if (pl_cmp(&met, &msg->met)) {
		sipcore_malformed(msg, 400,
				  "CSeq method differs from request's");
	}
}


static void naddr_read(struct sipcore_msg *msg, struct sipcore_naddr *na,
		       const struct pl *val, const char *what)
{
	if (sipcore_naddr_decode(na, val))
		sipcore_malformed(msg, 400, what);
}


static void maxfwd_read(struct sipcore_msg *msg, const struct pl *val)
{
	uint32_t v;

	if (sipcore_u32(val, &v) || v > 255)
		sipcore_malformed(msg, 400, "Bad Max-Forwards");
	else
		msg->maxfwd = (int)v;
}


static void clen_read(struct reader *rd, const struct pl *val)
{
	uint32_t v;

	if (sipcore_u32(val, &v)) {
		sipcore_malformed(rd->msg, 400, "Bad Content-Length");
		return;
	}

	rd->have_clen = true;
	rd->clen = v;
}


/* Headers that may stand once only */
static bool is_repeated(struct sipcore_msg *msg, enum sipcore_hdrid id)
{
	switch (id) {

	case SIPCORE_HDR_FROM:
	case SIPCORE_HDR_TO:
	case SIPCORE_HDR_CALL_ID:
	case SIPCORE_HDR_CSEQ:
	case SIPCORE_HDR_MAX_FORWARDS:
	case SIPCORE_HDR_CONTENT_LENGTH:
	case SIPCORE_HDR_CONTENT_TYPE:
		if (!sipcore_hdr(msg, id, 0))
			return false;
		sipcore_malformed(msg, 400, "Header given twice");
		return true;

	default:
		return false;
	}
}


/* What transactions and routing need is read now, the rest when asked for */
static void hdr_read(struct reader *rd, struct sipcore_hdr *hdr)
{
	struct sipcore_msg *msg = rd->msg;

	switch (hdr->id) {

	case SIPCORE_HDR_VIA:
		if (!msg->via.val.p)
			top_via(rd, &hdr->val);
		break;

	case SIPCORE_HDR_FROM:
		naddr_read(msg, &msg->from, &hdr->val, "Bad From");
		break;

	case SIPCORE_HDR_TO:
		naddr_read(msg, &msg->to, &hdr->val, "Bad To");
		break;

	case SIPCORE_HDR_CALL_ID:
		msg->callid = hdr->val;
		break;

	case SIPCORE_HDR_CSEQ:
		cseq_read(msg, &hdr->val);
		break;

	case SIPCORE_HDR_MAX_FORWARDS:
		maxfwd_read(msg, &hdr->val);
		break;

	case SIPCORE_HDR_CONTENT_LENGTH:
		clen_read(rd, &hdr->val);
		break;

	case SIPCORE_HDR_CONTENT_TYPE:
		msg->ctype = hdr->val;
		break;

	default:
		break;
	}
}


/* Length of the field at pos, its continuation lines included */
static size_t field_len(const struct reader *rd, size_t pos)
{
	size_t i = pos;

	for (;;) {
		const char *nl = memchr(rd->buf + i, '\n', rd->hlen - i);

		if (!nl)
			return rd->hlen - pos;

		i = (size_t)(nl - rd->buf) + 1;

		/* RFC 3261 7.3.1: white space continues the line */
		if (i >= rd->hlen || (rd->buf[i] != ' ' && rd->buf[i] != '\t'))
			return i - pos;
	}
}


/* Read the field at *pos and move on */
static void field_read(struct reader *rd, size_t *pos)
{
	struct sipcore_msg *msg = rd->msg;
	struct sipcore_hdr hdr;
	const char *colon;
	const size_t at = *pos, before = rd->end;
	size_t len = field_len(rd, at);

	hdr.line.p = rd->buf + at;
	hdr.line.l = len;

	colon = memchr(hdr.line.p, ':', len);
	*pos = at + len;
	if (!colon) {
		sipcore_malformed(msg, 400, "Header without colon");
		return;
	}

	hdr.name.p = hdr.line.p;
	hdr.name.l = (size_t)(colon - hdr.line.p);
	sipcore_trim(&hdr.name);
	hdr.val.p = colon + 1;
	hdr.val.l = (size_t)(hdr.line.p + len - hdr.val.p);
	sipcore_trim(&hdr.val);

	if (hdr.name.p != hdr.line.p || !sipcore_is_token(&hdr.name)) {
		sipcore_malformed(msg, 400, "Bad header name");
		return;
	}

	if (msg->hdrc >= rd->cap) {
		sipcore_malformed(msg, 400, "Too many header fields");
		return;
	}

	hdr.id = sipcore_name_hdrid(&hdr.name);
	if (!is_repeated(msg, hdr.id))
		hdr_read(rd, &hdr);

	/* top_via() may have made this line longer */
	*pos += rd->end - before;
	hdr.line.l += rd->end - before;

	msg->hdrv[msg->hdrc++] = hdr;
}


/* RFC 3261 8.1.1: without these nothing can be done with a request */
static void essential(struct sipcore_msg *msg)
{
	if (!sipcore_hdr(msg, SIPCORE_HDR_FROM, 0))
		sipcore_malformed(msg, 400, "Missing From");
	if (!sipcore_hdr(msg, SIPCORE_HDR_TO, 0))
		sipcore_malformed(msg, 400, "Missing To");
	if (!msg->callid.l)
		sipcore_malformed(msg, 400, "Missing Call-ID");
	if (!sipcore_hdr(msg, SIPCORE_HDR_CSEQ, 0))
		sipcore_malformed(msg, 400, "Missing CSeq");
}


static void body_read(struct reader *rd)
{
	struct sipcore_msg *msg = rd->msg;
	const size_t left = rd->end - rd->hlen;

	msg->body.p = rd->buf + rd->hlen;
	msg->body.l = left;

	if (rd->have_clen) {

		if (rd->clen > left)
			sipcore_malformed(msg, 400,
				  "Content-Length exceeds the message");
		else
			msg->body.l = (size_t)rd->clen;
	}
	else if (rd->stream) {
		/* RFC 3261 20.14 */
		sipcore_malformed(msg, 400, "Missing Content-Length");
		msg->body.l = 0;
	}
}


static int msg_fill(struct reader *rd)
{
	struct sipcore_msg *msg = rd->msg;
	size_t pos, blank;
	int err;

	err = start_line(rd, &pos);
	if (err)
		return err;

	if (sipcore_has_stray(rd->buf, rd->hlen))
		sipcore_malformed(msg, 400, "Stray CR, LF or NUL");

	for (;;) {
		blank = rd->hlen - pos;
		if (blank <= 2 && (!blank || rd->buf[pos] == '\r'))
			break;

		field_read(rd, &pos);
	}

	/* forgiven where nothing can be missing (RFC 4475's own baddn) */
	if (!blank && (!rd->have_clen || rd->clen))
		sipcore_malformed(msg, 400,
				  "No empty line behind the headers");

	essential(msg);
	body_read(rd);

	return 0;
}


static int msg_alloc(struct reader *rd, const uint8_t *p, size_t n,
		     unsigned hdrs)
{
	const size_t lines = sipcore_count_lines(p, rd->hlen);
	struct mbuf *mb;
	size_t sz;

	rd->cap = lines < hdrs ? lines : hdrs;

	sz = sizeof(struct sipcore_msg) + sizeof(struct mbuf) +
		rd->cap * sizeof(struct sipcore_hdr);

	rd->msg = mem_alloc(sz + n + VIA_GROWTH, NULL);
	if (!rd->msg)
		return ENOMEM;

	memset(rd->msg, 0, sizeof(*rd->msg));
	rd->msg->hdrv = (struct sipcore_hdr *)(void *)(rd->msg + 1);
	mb = (struct mbuf *)(void *)(rd->msg->hdrv + rd->cap);
	rd->buf = (char *)(mb + 1);
	memcpy(rd->buf, p, n);
	rd->end = n;

	mb->buf  = (uint8_t *)rd->buf;
	mb->size = n + VIA_GROWTH;
	rd->msg->mb = mb;
	rd->msg->maxfwd = -1;

	return 0;
}


/**
 * Decode with given limits
 *
 * @param msgp    Pointer to allocated message
 * @param p,n     Bytes of one message
 * @param flags   SIPCORE_STREAM, SIPCORE_LARGE
 * @param lim     Limits, NULL: default
 * @param src     Where a request came from, for the top Via; or NULL
 *
 * @return 0, EPROTO, EBADMSG as sipcore_msg_decode(); EMSGSIZE without a
 *         message when not even the headers fit, else with one (513)
 */
int sipcore_msg_read(struct sipcore_msg **msgp, const uint8_t *p, size_t n,
		     unsigned flags, const struct sipcore_lim *lim,
		     const struct sa *src)
{
	struct reader rd = {.src = src, .stream = flags & SIPCORE_STREAM};
	const size_t skip = sipcore_leading_crlf(p, n);
	bool large;
	int err;

	if (!lim)
		lim = &default_lim;

	p += skip;
	n -= skip;
	rd.hlen = sipcore_header_len(p, n);
	if (rd.hlen > lim->size)
		return EMSGSIZE;

	large = n > lim->size || (flags & SIPCORE_LARGE);
	if (large)
		n = rd.hlen;

	err = msg_alloc(&rd, p, n, lim->hdrs);
	if (err)
		return err;

	if (large)
		sipcore_malformed(rd.msg, 513, "Message too large");

	err = msg_fill(&rd);
	if (err)
		goto out;

	((struct mbuf *)(uintptr_t)rd.msg->mb)->end = rd.end;

	/* RFC 3261 16.3 step 1, 18.3: a bad response is dropped, and so is
	   what has no usable Via to send the answer to */
	if (!rd.msg->via.val.p || (rd.msg->malformed && !rd.msg->req)) {
		err = EBADMSG;
		goto out;
	}

	sipcore_sid(rd.msg);

	err = large ? EMSGSIZE : rd.msg->malformed ? EPROTO : 0;
	*msgp = rd.msg;
	return err;

 out:
	mem_deref(rd.msg);

	return err;
}
