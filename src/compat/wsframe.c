/**
 * @file wsframe.c  WebSocket frames: bytes to messages and back (RFC 6455)
 *
 * The decoder takes bytes as they come, in any pieces, and holds no more of
 * them than one message of limited length and one control frame:
 *
 *   HEAD -> LENGTH -> [KEY] -> PAYLOAD -> (message whole?) -> handler -> HEAD
 *
 * It refuses at the first wrong byte, and then says with which close code.
 */
#include <string.h>
#include <re.h>
#include "compat/wsframe.h"


enum state {
	HEAD,           /**< The first two bytes                      */
	LENGTH,         /**< The longer length, if any, and the key   */
	PAYLOAD,
	REFUSED,
};

/** Where we are inside a UTF-8 character (RFC 3629 4) */
struct utf8 {
	unsigned left;          /**< Bytes still to come                  */
	uint8_t lo, hi;         /**< The next one's range                 */
};

struct wsframe_dec {
	enum state state;
	enum websock_scode scode;       /**< Why it was refused           */
	bool masked;                    /**< What the peer sends must be  */
	size_t msg_max;

	uint8_t hdr[WSFRAME_HDR_MAX];   /**< The header so far            */
	size_t hdr_len;
	size_t hdr_want;

	bool fin;
	unsigned opcode;
	uint8_t key[4];
	uint64_t at;                    /**< Bytes of payload taken       */
	uint64_t len;                   /**< Bytes of payload in all      */

	struct mbuf *msg;               /**< The message so far           */
	enum websock_opcode msg_opcode; /**< CONT: there is none          */
	struct utf8 utf8;
	struct mbuf *ctl;               /**< The control frame so far     */
};


static void dec_destructor(void *arg)
{
	struct wsframe_dec *dec = arg;

	mem_deref(dec->msg);
	mem_deref(dec->ctl);
}


/**
 * Make a decoder
 *
 * @param decp    The decoder
 * @param masked  true on a server's side: frames must be masked (5.1);
 *                false on a client's: they must not
 * @param msg_max Longest message that is taken, fragments together
 *
 * @return 0 if success, otherwise errorcode
 */
int wsframe_dec_alloc(struct wsframe_dec **decp, bool masked, size_t msg_max)
{
	struct wsframe_dec *dec;

	if (!decp || msg_max > UINT32_MAX / 2)
		return EINVAL;

	dec = mem_zalloc(sizeof(*dec), dec_destructor);
	if (!dec)
		return ENOMEM;

	dec->masked   = masked;
	dec->msg_max  = msg_max;
	dec->hdr_want = 2;

	*decp = dec;

	return 0;
}


static int refuse(struct wsframe_dec *dec, enum websock_scode scode, int err)
{
	dec->state = REFUSED;
	dec->scode = scode;

	return err;
}


/**
 * With which code is the connection to be closed?
 *
 * @param dec The decoder, after it returned an error
 *
 * @return Close code
 */
enum websock_scode wsframe_dec_scode(const struct wsframe_dec *dec)
{
	return dec && dec->scode ? dec->scode : WEBSOCK_INTERNAL_ERROR;
}


/**
 * May this code stand in a Close frame? (7.4.1, 7.4.2, and IANA's registry)
 *
 * @param scode Close code
 *
 * @return true if so
 */
bool wsframe_scode_valid(unsigned scode)
{
	return (scode >= 1000 && scode <= 1003) ||
		(scode >= 1007 && scode <= 1014) ||
		(scode >= 3000 && scode <= 4999);
}


/* ---- UTF-8 */

static bool utf8_lead(struct utf8 *u, uint8_t c)
{
	u->lo = 0x80;
	u->hi = 0xbf;

	if (c < 0x80)
		return true;
	if (c < 0xc2 || c > 0xf4)
		return false;

	u->left = c < 0xe0 ? 1 : c < 0xf0 ? 2 : 3;
	if (c == 0xe0)
		u->lo = 0xa0;   /* no longer than needed */
	else if (c == 0xed)
		u->hi = 0x9f;   /* no surrogates */
	else if (c == 0xf0)
		u->lo = 0x90;
	else if (c == 0xf4)
		u->hi = 0x8f;   /* up to U+10FFFF */

	return true;
}


static bool utf8_take(struct utf8 *u, const uint8_t *p, size_t len)
{
	for (; len; ++p, --len) {

		if (!u->left) {
			if (!utf8_lead(u, *p))
				return false;
			continue;
		}

		if (*p < u->lo || *p > u->hi)
			return false;
		u->lo = 0x80;
		u->hi = 0xbf;
		--u->left;
	}

	return true;
}


/* ---- the header */

static bool is_control(unsigned opcode)
{
	return opcode & 0x8;
}


/* 5.2: the first byte, as far as it can be judged alone */
static bool head_valid(const struct wsframe_dec *dec)
{
	if (dec->hdr[0] & 0x70)
		return false;   /* no extension was negotiated */

	if (!!(dec->hdr[1] & 0x80) != dec->masked)
		return false;   /* 5.1 */

	switch (dec->opcode) {

	case WEBSOCK_CONT:
		return dec->msg_opcode != WEBSOCK_CONT;

	case WEBSOCK_TEXT:
	case WEBSOCK_BIN:
		return dec->msg_opcode == WEBSOCK_CONT;

	case WEBSOCK_CLOSE:
	case WEBSOCK_PING:
	case WEBSOCK_PONG:
		/* 5.5: short, and whole */
		return dec->fin && (dec->hdr[1] & 0x7f) <= WSFRAME_CTL_MAX;

	default:
		return false;
	}
}


static int head_done(struct wsframe_dec *dec)
{
	const unsigned len7 = dec->hdr[1] & 0x7f;

	dec->fin    = dec->hdr[0] >> 7;
	dec->opcode = dec->hdr[0] & 0x0f;

	if (!head_valid(dec))
		return refuse(dec, WEBSOCK_PROTOCOL_ERROR, EPROTO);

	dec->state = LENGTH;
	dec->hdr_want = 2 + (len7 == 127 ? 8 : len7 == 126 ? 2 : 0) +
		(dec->masked ? 4 : 0);

	return 0;
}


/* 5.2: in as few bytes as it takes, and the highest bit is zero */
static bool length_valid(uint64_t len, unsigned len7)
{
	if (len7 == 126)
		return len > 125;
	if (len7 == 127)
		return len > 0xffff && !(len >> 63);

	return true;
}


static struct mbuf **payload_of(struct wsframe_dec *dec)
{
	return is_control(dec->opcode) ? &dec->ctl : &dec->msg;
}


static int length_done(struct wsframe_dec *dec)
{
	const unsigned len7 = dec->hdr[1] & 0x7f;
	const size_t n = len7 == 127 ? 8 : len7 == 126 ? 2 : 0;
	struct mbuf **mbp = payload_of(dec);
	uint64_t len = n ? 0 : len7;
	size_t i;

	for (i=0; i<n; i++)
		len = len << 8 | dec->hdr[2 + i];

	if (!length_valid(len, len7))
		return refuse(dec, WEBSOCK_PROTOCOL_ERROR, EPROTO);

	/* the message so far is never longer than msg_max */
	if (!is_control(dec->opcode) &&
	    len > dec->msg_max - (dec->msg ? dec->msg->end : 0))
		return refuse(dec, WEBSOCK_MESSAGE_TOO_BIG, EOVERFLOW);

	if (!*mbp) {
		/* it grows with what arrives, not with what is announced */
		*mbp = mbuf_alloc(len < 1024 ? (size_t)len + 1 : 1024);
		if (!*mbp)
			return refuse(dec, WEBSOCK_INTERNAL_ERROR, ENOMEM);
	}

	if (dec->opcode == WEBSOCK_TEXT || dec->opcode == WEBSOCK_BIN) {
		dec->msg_opcode = dec->opcode;
		memset(&dec->utf8, 0, sizeof(dec->utf8));
	}

	memcpy(dec->key, dec->hdr + 2 + n, sizeof(dec->key));
	dec->len   = len;
	dec->at    = 0;
	dec->state = PAYLOAD;

	return 0;
}


/* ---- the payload */

static int payload_take(struct wsframe_dec *dec, const uint8_t *p, size_t len)
{
	struct mbuf *mb = *payload_of(dec);
	const size_t pos = mb->end;
	size_t i;
	int err;

	mb->pos = mb->end;
	err = mbuf_write_mem(mb, p, len);
	if (err)
		return refuse(dec, WEBSOCK_INTERNAL_ERROR, err);

	if (dec->masked) {
		for (i=0; i<len; i++)
			mb->buf[pos + i] ^= dec->key[(dec->at + i) & 3];
	}
	dec->at += len;

	/* 8.1: fail as soon as it cannot become text any more */
	if (!is_control(dec->opcode) && dec->msg_opcode == WEBSOCK_TEXT &&
	    !utf8_take(&dec->utf8, mb->buf + pos, len))
		return refuse(dec, WEBSOCK_INVALID_PAYLOAD, EILSEQ);

	return 0;
}


/* 5.5.1, 7.4: empty, or a code and perhaps a reason */
static int close_check(struct wsframe_dec *dec, const struct mbuf *mb)
{
	struct utf8 u = {0, 0, 0};

	if (mb->end == 0)
		return 0;

	if (mb->end == 1 ||
	    !wsframe_scode_valid((unsigned)mb->buf[0] << 8 | mb->buf[1]))
		return refuse(dec, WEBSOCK_PROTOCOL_ERROR, EPROTO);

	if (!utf8_take(&u, mb->buf + 2, mb->end - 2) || u.left)
		return refuse(dec, WEBSOCK_INVALID_PAYLOAD, EILSEQ);

	return 0;
}


/** The frame is whole; *more is cleared if the handler wants no more */
static int frame_done(struct wsframe_dec *dec, bool *more, wsframe_h *h,
		      void *arg)
{
	enum websock_opcode opcode = dec->opcode;
	struct mbuf **mbp = payload_of(dec), *mb = *mbp;
	int err = 0;

	dec->state    = HEAD;
	dec->hdr_len  = 0;
	dec->hdr_want = 2;

	if (!is_control(opcode)) {
		if (!dec->fin)
			return 0;
		opcode = dec->msg_opcode;
		dec->msg_opcode = WEBSOCK_CONT;
		if (opcode == WEBSOCK_TEXT && dec->utf8.left)
			return refuse(dec, WEBSOCK_INVALID_PAYLOAD, EILSEQ);
	}
	else if (opcode == WEBSOCK_CLOSE) {
		err = close_check(dec, mb);
		if (err)
			return err;
	}

	*mbp = NULL;
	mb->pos = 0;
	*more = h(opcode, mb, arg);
	mem_deref(mb);

	return 0;
}


/**
 * Take bytes from the peer
 *
 * @param dec The decoder
 * @param p   The bytes
 * @param len How many
 * @param h   Called for each whole message and each control frame
 * @param arg Handler argument
 *
 * @return 0 if success; else the connection is to be closed, see
 *         wsframe_dec_scode(): EPROTO, EOVERFLOW (too long), EILSEQ (not
 *         UTF-8), ENOMEM
 */
int wsframe_decode(struct wsframe_dec *dec, const uint8_t *p, size_t len,
		   wsframe_h *h, void *arg)
{
	bool more = true;
	int err = 0;

	if (!dec || (len && !p) || !h)
		return EINVAL;

	if (dec->state == REFUSED)
		return EPROTO;

	if (!len)
		return 0;

	while (more && !err) {

		size_t n;

		if (dec->state != PAYLOAD) {

			n = min(len, dec->hdr_want - dec->hdr_len);
			if (n)
				memcpy(dec->hdr + dec->hdr_len, p, n);
			dec->hdr_len += n;
			p   += n;
			len -= n;
			if (dec->hdr_len < dec->hdr_want)
				break;

			err = dec->state == HEAD ? head_done(dec)
				: length_done(dec);
			continue;
		}

		n = (size_t)min((uint64_t)len, dec->len - dec->at);
		if (n)
			err = payload_take(dec, p, n);
		p   += n;
		len -= n;
		if (err || dec->at < dec->len)
			break;

		err = frame_done(dec, &more, h, arg);
	}

	return err;
}


/**
 * Make one whole frame around a payload
 *
 * @param mb     On entry, WSFRAME_HDR_MAX free bytes and behind them the
 *               payload; on return, pos stands at the frame's first byte
 * @param opcode What it is
 * @param mask   true on a client's side (5.3)
 *
 * @return 0 if success, EMSGSIZE if a control frame would be too long
 */
int wsframe_encode(struct mbuf *mb, enum websock_opcode opcode, bool mask)
{
	uint8_t hdr[WSFRAME_HDR_MAX], *key;
	size_t len, i, n = 0;

	if (!mb || mb->end < WSFRAME_HDR_MAX)
		return EINVAL;

	len = mb->end - WSFRAME_HDR_MAX;
	if (is_control(opcode) && len > WSFRAME_CTL_MAX)
		return EMSGSIZE;

	hdr[n++] = (uint8_t)(0x80 | opcode);
	if (len <= 125) {
		hdr[n++] = (uint8_t)len;
	}
	else if (len <= 0xffff) {
		hdr[n++] = 126;
		hdr[n++] = (uint8_t)(len >> 8);
		hdr[n++] = (uint8_t)len;
	}
	else {
		hdr[n++] = 127;
		for (i=0; i<8; i++)
			hdr[n++] = (uint8_t)((uint64_t)len >> (56 - 8 * i));
	}

	if (mask) {
		hdr[1] |= 0x80;
		key = hdr + n;
		rand_bytes(key, 4);
		n += 4;
		for (i=0; i<len; i++)
			mb->buf[WSFRAME_HDR_MAX + i] ^= key[i & 3];
	}

	mb->pos = WSFRAME_HDR_MAX - n;
	memcpy(mb->buf + mb->pos, hdr, n);

	return 0;
}
