/**
 * @file packet.c  RTP and RTCP headers (RFC 3550), demultiplexing (RFC 7983)
 */
#include <string.h>
#include <re.h>
#include "rtp/rtp.h"


enum {
	SR_INFO = 20,
	BLOCK   = 24,
};


static uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}


static uint32_t get32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 |
		(uint32_t)p[2] << 8 | p[3];
}


enum rpkt_kind rpkt_kind(const uint8_t *p, size_t n)
{
	if (!p || n < 2)
		return RPKT_UNKNOWN;

	if (p[0] >= 128 && p[0] <= 191)		/* RFC 5761 4 */
		return p[1] >= 192 && p[1] <= 223 ? RPKT_RTCP : RPKT_RTP;
	if (p[0] <= 3)
		return RPKT_STUN;
	if (p[0] >= 16 && p[0] <= 19)
		return RPKT_ZRTP;
	if (p[0] >= 20 && p[0] <= 63)
		return RPKT_DTLS;
	if (p[0] >= 64 && p[0] <= 79)
		return RPKT_TURN;

	return RPKT_UNKNOWN;
}


const char *rpkt_kind_name(enum rpkt_kind kind)
{
	switch (kind) {

	case RPKT_RTP:     return "rtp";
	case RPKT_RTCP:    return "rtcp";
	case RPKT_STUN:    return "stun";
	case RPKT_ZRTP:    return "zrtp";
	case RPKT_DTLS:    return "dtls";
	case RPKT_TURN:    return "turn";
	case RPKT_UNKNOWN: break;
	}

	return "unknown";
}


int rpkt_decode(struct rpkt *h, const uint8_t *p, size_t n)
{
	size_t hdr;

	if (!h || !p || n < RPKT_HDR || p[0] >> 6 != 2)
		return EBADMSG;

	hdr = RPKT_HDR + 4 * (size_t)(p[0] & 0x0f);
	if (p[0] & 0x10) {			/* 5.3.1 extension */
		if (n < hdr + 4)
			return EBADMSG;
		hdr += 4 + 4 * (size_t)get16(p + hdr + 2);
	}
	if (n < hdr)
		return EBADMSG;

	h->pt     = p[1] & 0x7f;
	h->marker = (p[1] & 0x80) != 0;
	h->seq    = get16(p + 2);
	h->ts     = get32(p + 4);
	h->ssrc   = get32(p + 8);
	h->hdr    = hdr;
	h->len    = n - hdr;

	if (p[0] & 0x20) {			/* padding */
		if (!h->len || !p[n - 1] || p[n - 1] > h->len)
			return EBADMSG;
		h->len -= p[n - 1];
	}

	return 0;
}


/* RFC 3550 A.2: versions and lengths of the whole compound */
static bool compound_ok(const uint8_t *p, size_t n)
{
	while (n) {
		size_t len;

		if (n < 4 || p[0] >> 6 != 2)
			return false;

		len = 4 * ((size_t)get16(p + 2) + 1);
		if (len > n)
			return false;

		p += len;
		n -= len;
	}

	return true;
}


static void block_decode(struct rctl_block *b, const uint8_t *p)
{
	const uint32_t lost = get32(p + 4) & 0xffffff;

	b->ssrc     = get32(p);
	b->fraction = p[4];
	b->lost     = lost & 0x800000 ? (int32_t)lost - 0x1000000
				      : (int32_t)lost;
	b->seq      = get32(p + 8);
	b->jitter   = get32(p + 12);
	b->lsr      = get32(p + 16);
	b->dlsr     = get32(p + 20);
}


int rctl_decode(struct rctl *r, const uint8_t *p, size_t n)
{
	size_t len, off = 8, i;

	if (!r || !p || n < 8 || !compound_ok(p, n))
		return EBADMSG;

	len = 4 * ((size_t)get16(p + 2) + 1);
	if (p[1] != RTCP_SR && p[1] != RTCP_RR)
		return ENOENT;

	r->sr     = p[1] == RTCP_SR;
	r->ssrc   = get32(p + 4);
	r->blockc = p[0] & 0x1f;
	r->ntp_mid = r->packets = r->bytes = 0;

	if (r->sr) {
		if (len < off + SR_INFO)
			return EBADMSG;
		r->ntp_mid = get32(p + 10);
		r->packets = get32(p + 20);
		r->bytes   = get32(p + 24);
		off += SR_INFO;
	}

	if (len < off + BLOCK * r->blockc)
		return EBADMSG;

	for (i = 0; i < r->blockc; i++)
		block_decode(&r->blockv[i], p + off + BLOCK * i);

	return 0;
}


uint32_t rctl_rtt(const struct rctl_block *b, uint64_t sent_us,
		  uint64_t now_us)
{
	uint64_t dlsr_us;

	if (!b || !b->lsr || now_us <= sent_us)
		return 0;

	dlsr_us = (uint64_t)b->dlsr * 15625 / 1024;
	if (now_us - sent_us <= dlsr_us)
		return 0;

	now_us -= sent_us + dlsr_us;

	return now_us > 10000000 ? 0 : (uint32_t)now_us;
}
