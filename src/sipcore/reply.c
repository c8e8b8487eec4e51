/**
 * @file sipcore/reply.c  Responses that we make ourselves (RFC 3261 8.2.6)
 */
#include <string.h>
#include <re.h>
#include "cfg/cfg.h"
#include "sipcore.h"
#include "internal.h"


/* The same tag for every response to a request, also without a transaction
   (RFC 3261 8.2.7) */
void sipcore_tag(const struct sipcore_net *net, const struct sipcore_msg *req,
		 char tag[17])
{
	uint64_t v[4];

	v[0] = sipcore_siphash(net->key, req->callid.p, req->callid.l);
	v[1] = sipcore_siphash(net->key, req->from.tag.p, req->from.tag.l);
	v[2] = sipcore_siphash(net->key, req->via.branch.p,
			       req->via.branch.l);
	v[3] = req->cseq;

	(void)re_snprintf(tag, 17, "%016llx",
			  (unsigned long long)sipcore_siphash(net->key, v,
							      sizeof(v)));
}


static int line_put(struct mbuf *mb, const struct sipcore_hdr *h)
{
	return h ? mbuf_write_mem(mb, (const uint8_t *)h->line.p, h->line.l)
		 : 0;
}


/* 8.2.6.2: every response but 100 has a tag in To */
static int to_put(struct mbuf *mb, const struct sipcore_msg *req,
		  const struct sipcore_hdr *h, uint16_t code, const char *tag)
{
	int err;

	if (code == 100 || req->to.tag.l || !req->to.val.p)
		return line_put(mb, h);

	err  = mbuf_write_str(mb, "To: ");
	err |= mbuf_write_pl(mb, &h->val);
	err |= mbuf_write_str(mb, ";tag=");
	err |= mbuf_write_str(mb, tag);
	err |= mbuf_write_str(mb, "\r\n");

	return err;
}


/* A malformed request may lack any of these: what is there is copied */
static int headers_copy(struct mbuf *mb, const struct sipcore_msg *req,
			uint16_t code, const char *tag)
{
	int err = 0;

	for (size_t i=0; i<req->hdrc; i++) {

		const struct sipcore_hdr *h = &req->hdrv[i];

		switch (h->id) {

		case SIPCORE_HDR_TO:
			err |= to_put(mb, req, h, code, tag);
			break;

		case SIPCORE_HDR_VIA:
		case SIPCORE_HDR_FROM:
		case SIPCORE_HDR_CALL_ID:
		case SIPCORE_HDR_CSEQ:
			err |= line_put(mb, h);
			break;

		case SIPCORE_HDR_OTHER:
			/* 8.2.6.1 */
			if (code == 100 && !pl_strcasecmp(&h->name,
							  "Timestamp"))
				err |= line_put(mb, h);
			break;

		default:
			break;
		}
	}

	return err;
}


/* Ends the headers; the text of fmt may have a body of its own */
static int rest_print(struct mbuf *mb, const char *fmt, va_list ap)
{
	const size_t at = mb->end;
	int err = 0;

	if (fmt)
		err = mbuf_vprintf(mb, fmt, ap);
	if (err)
		return err;

	if (fmt && memmem(mb->buf + at, mb->end - at, "\r\n\r\n", 4))
		return 0;

	return mbuf_write_str(mb, "Content-Length: 0\r\n\r\n");
}


int sipcore_reply_print(struct mbuf *mb, const struct sipcore_msg *req,
			const struct sipcore_net *net, uint16_t code,
			const char *reason, const char *tag,
			const char *fmt, va_list ap)
{
	const char digits[4] = {
		(char)('0' + code / 100), (char)('0' + code / 10 % 10),
		(char)('0' + code % 10), ' '
	};
	int err;

	err  = mbuf_write_mem(mb, (const uint8_t *)"SIP/2.0 ", 8);
	err |= mbuf_write_mem(mb, (const uint8_t *)digits, 4);
	err |= mbuf_write_str(mb, reason ? reason : sipcore_reason(code));
	err |= mbuf_write_str(mb, "\r\n");
	err |= headers_copy(mb, req, code, tag);

	if (net->software) {
		err |= mbuf_write_str(mb, "Server: ");
		err |= mbuf_write_str(mb, net->software);
		err |= mbuf_write_str(mb, "\r\n");
	}
	if (err)
		return err;

	return rest_print(mb, fmt, ap);
}


/* Answer and forget */
void sipcore_reply_stateless(struct sipcore *core,
			     const struct sipcore_msg *msg, uint16_t code,
			     const char *reason, const char *fmt, ...)
{
	struct mbuf *mb = mbuf_alloc(1024);
	struct sipcore_flow flow;
	struct sa fallback;
	char tag[17];
	va_list ap;
	int err;

	if (!mb)
		return;

	sipcore_tag(core->net, msg, tag);

	va_start(ap, fmt);
	err = sipcore_reply_print(mb, msg, core->net, code, reason, tag, fmt,
				  ap);
	va_end(ap);

	if (!err) {
		sipcore_reply_flow(msg, &flow, &fallback);
		(void)sipcore_tx(core, &flow, &fallback, mb->buf, mb->end, 0);
	}

	mem_deref(mb);
}
