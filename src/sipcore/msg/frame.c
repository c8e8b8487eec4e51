/**
 * @file sipcore/msg/frame.c  Where a message ends in a stream (RFC 3261 18.3),
 * fields by name, Session-ID (RFC 7989)
 */
#include <string.h>
#include <re.h>
#include <re_sha.h>
#include "cfg/cfg.h"
#include "sipcore/sipcore.h"
#include "sipcore/internal.h"


/* RFC 3261 7.5: line ends before the start line are skipped */
size_t sipcore_leading_crlf(const uint8_t *p, size_t n)
{
	size_t i = 0;

	while (i < n && (p[i] == '\r' || p[i] == '\n'))
		++i;

	return i;
}


/* Where the header section ends: its blank line, or the end of the datagram */
size_t sipcore_header_len(const uint8_t *p, size_t n)
{
	const uint8_t *end = memmem(p, n, "\r\n\r\n", 4);

	return end ? (size_t)(end - p) + 4 : n;
}


/* Bytes that no header section may hold: a bare NUL, CR or LF alone.  They
   would let a field mean one thing here and another at the next hop */
bool sipcore_has_stray(const char *p, size_t n)
{
	const char *end = p + n;

	/* a quoted pair may hold NUL (RFC 3261 25.1) */
	for (const char *c = p; (c = memchr(c, 0, (size_t)(end - c))); c++) {
		if (c == p || c[-1] != '\\')
			return true;
	}

	for (const char *c = p; (c = memchr(c, '\r', (size_t)(end - c)));
	     c += 2) {
		if (c + 1 >= end || c[1] != '\n')
			return true;
	}

	for (const char *c = p; (c = memchr(c, '\n', (size_t)(end - c)));
	     c++) {
		if (c == p || c[-1] != '\r')
			return true;
	}

	return false;
}


size_t sipcore_count_lines(const uint8_t *p, size_t n)
{
	const uint8_t *end = p + n;
	size_t c = 0;

	while ((p = memchr(p, '\n', (size_t)(end - p)))) {
		++p;
		++c;
	}

	return c;
}


/**
 * Find a header's value in bytes that are not decoded
 *
 * @return true if found
 */
bool sipcore_scan(const uint8_t *p, size_t n, enum sipcore_hdrid id,
		  struct pl *val)
{
	const char *c = (const char *)p, *end = c + n, *nl;

	for (; (nl = memchr(c, '\n', (size_t)(end - c))); c = nl + 1) {
		const char *colon = memchr(c, ':', (size_t)(nl - c));
		struct pl name;

		if (nl - c < 2)
			break;
		/* a continuation of another field is none itself */
		if (!colon || sipcore_is_ws(*c))
			continue;

		name.p = c;
		name.l = (size_t)(colon - c);
		sipcore_trim(&name);
		if (sipcore_name_hdrid(&name) != id)
			continue;

		while (nl + 1 < end && (nl[1] == ' ' || nl[1] == '\t')) {
			c = memchr(nl + 1, '\n', (size_t)(end - nl - 1));
			if (!c)
				break;
			nl = c;
		}

		val->p = colon + 1;
		val->l = (size_t)(nl - val->p);
		sipcore_trim(val);

		return true;
	}

	return false;
}


/* One that is folded or wrong counts as 0: the decoder will tell */
static size_t clen_find(const uint8_t *p, size_t n)
{
	struct pl val;
	uint32_t v;

	if (!sipcore_scan(p, n, SIPCORE_HDR_CONTENT_LENGTH, &val))
		return 0;

	return sipcore_u32(&val, &v) ? 0 : v;
}


/**
 * Find the end of the message that a stream begins with.  Bytes looked at
 * once are not looked at again, so the cost is linear in what arrives.
 *
 * @param fr  Position; fr->total is the length to decode when 0 is returned
 * @param p   Bytes, beginning with the start line
 * @param n   Number of bytes so far
 *
 * @return 0 complete, ENODATA more is needed
 */
int sipcore_frame(struct sipcore_frame *fr, const uint8_t *p, size_t n)
{
	if (!fr->hlen) {
		const size_t from = fr->scan > 3 ? fr->scan - 3 : 0;
		const uint8_t *end = memmem(p + from, n - from, "\r\n\r\n", 4);

		if (!end) {
			fr->scan = n;
			return ENODATA;
		}

		fr->hlen = (size_t)(end - p) + 4;

		fr->total = fr->hlen + clen_find(p, fr->hlen);
	}

	return n < fr->total ? ENODATA : 0;
}


/* The sender's half of Session-ID (RFC 7989 5) */
static bool received(struct sipcore_msg *msg)
{
	const struct sipcore_hdr *hdr =
		sipcore_hdr(msg, SIPCORE_HDR_SESSION_ID, 0);
	bool nil = true;

	if (!hdr || hdr->val.l < 32 ||
	    (hdr->val.l > 32 && hdr->val.p[32] != ';' &&
	     !sipcore_is_ws(hdr->val.p[32])))
		return false;

	for (size_t i=0; i<32; i++) {
		const char c = hdr->val.p[i];

		if ((c < '0' || c > '9') && (c < 'a' || c > 'f'))
			return false;

		nil &= c == '0';
	}

	if (nil)
		return false;

	memcpy(msg->sid, hdr->val.p, 32);

	return true;
}


/* RFC 4122 4.3 from the Call-ID, so that every node derives the same */
static void derived(struct sipcore_msg *msg)
{
	static const char hex[] = "0123456789abcdef";
	uint8_t md[SHA1_DIGEST_SIZE];
	SHA1_CTX ctx;

	SHA1_Init(&ctx);
	SHA1_Update(&ctx, "voipstack call-id", 17);
	SHA1_Update(&ctx, msg->callid.p, msg->callid.l);
	SHA1_Final(md, &ctx);

	md[6] = (md[6] & 0x0f) | 0x50;
	md[8] = (md[8] & 0x3f) | 0x80;

	for (size_t i=0; i<16; i++) {
		msg->sid[2*i]     = hex[md[i] >> 4];
		msg->sid[2*i + 1] = hex[md[i] & 15];
	}
}


void sipcore_sid(struct sipcore_msg *msg)
{
	if (!received(msg))
		derived(msg);
}


int sipcore_msg_decode(struct sipcore_msg **msgp, const uint8_t *p, size_t n,
		       size_t *used)
{
	struct sipcore_frame fr = {0, 0, 0};
	size_t skip = 0;
	int err;

	if (!msgp || !p)
		return EINVAL;

	if (!used)
		return sipcore_msg_read(msgp, p, n, 0, NULL, NULL);

	skip = sipcore_leading_crlf(p, n);
	err = sipcore_frame(&fr, p + skip, n - skip);
	if (err)
		return n - skip > 65535 ? EMSGSIZE : err;

	*used = skip + fr.total;

	return sipcore_msg_read(msgp, p + skip, fr.total,
				SIPCORE_STREAM, NULL, NULL);
}


const struct sipcore_hdr *sipcore_hdr(const struct sipcore_msg *msg,
				      enum sipcore_hdrid id, size_t n)
{
	if (!msg)
		return NULL;

	for (size_t i=0; i<msg->hdrc; i++) {

		if (msg->hdrv[i].id == id && !n--)
			return &msg->hdrv[i];
	}

	return NULL;
}


const struct sipcore_hdr *sipcore_hdr_name(const struct sipcore_msg *msg,
					   const char *name, size_t n)
{
	enum sipcore_hdrid id;
	struct pl nm;

	if (!msg || !name)
		return NULL;

	/* a known name also finds its other form */
	pl_set_str(&nm, name);
	id = sipcore_name_hdrid(&nm);
	if (id != SIPCORE_HDR_OTHER)
		return sipcore_hdr(msg, id, n);

	for (size_t i=0; i<msg->hdrc; i++) {

		if (msg->hdrv[i].id == SIPCORE_HDR_OTHER &&
		    !pl_strcasecmp(&msg->hdrv[i].name, name) && !n--)
			return &msg->hdrv[i];
	}

	return NULL;
}
