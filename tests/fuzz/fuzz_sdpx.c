/**
 * @file fuzz_sdpx.c  SDP: read, rewritten, read again, answered
 */
#include <string.h>
#include <re.h>
#include "sdpx/sdpx.h"
#include "fuzz.h"


static void edit_all(struct sdpx_edit *e, const struct sdpx *s)
{
	size_t i;

	memset(e, 0, sizeof(*e));
	(void)sa_set_str(&e->conn, "203.0.113.5", 0);
	e->origin = e->conn;
	e->ice_remove = true;
	for (i = 0; i < s->mediac; i++) {
		e->mediav[i].addr = e->conn;
		sa_set_port(&e->mediav[i].addr, (uint16_t)(10000 + 2 * i));
		e->mediav[i].rtcp = (uint16_t)(10001 + 2 * i);
		e->mediav[i].mux = i & 1 ? SDPX_MUX_ON : SDPX_MUX_OFF;
	}
}


static void rewrite(const struct sdpx *s, struct mbuf *mb)
{
	struct sdpx_edit e;
	struct sdpx s2;

	/* nothing asked: byte for byte */
	memset(&e, 0, sizeof(e));
	if (sdpx_rewrite(mb, s, &e))
		return;
	if (mb->end != s->body.l || memcmp(mb->buf, s->body.p, s->body.l))
		__builtin_trap();

	/* all asked: still SDP, with as many m= lines */
	mbuf_rewind(mb);
	edit_all(&e, s);
	if (sdpx_rewrite(mb, s, &e))
		return;
	if (mb->end <= SDPX_SIZE_MAX &&
	    (sdpx_decode(&s2, (char *)mb->buf, mb->end) ||
	     s2.mediac != s->mediac))
		__builtin_trap();
}


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sdpx_codec cv[SDPX_CODEC_MAX];
	struct sdpx_choice ch;
	struct sdpx_local l;
	struct mbuf *mb;
	struct sdpx s;
	struct pl val;
	size_t i;

	if (size > 4096 || sdpx_decode(&s, (const char *)data, size))
		return 0;

	mb = mbuf_alloc(1024);
	if (!mb)
		return 0;

	for (i = 0; i < s.mediac; i++)
		(void)sdpx_codecs(&s.mediav[i], cv, SDPX_CODEC_MAX);
	(void)sdpx_attr(&s, NULL, "group", 0, &val);
	rewrite(&s, mb);

	mbuf_rewind(mb);
	(void)sdpx_set_dir(mb, &s, SDPX_SENDONLY);

	memset(&l, 0, sizeof(l));
	(void)sa_set_str(&l.addr, "127.0.0.1", 5000);
	l.dir = SDPX_SENDRECV;
	l.codecv = sdpx_g711;
	l.codecc = 2;
	mbuf_rewind(mb);
	(void)sdpx_make_answer(mb, &s, &l, &ch);
	mem_deref(mb);

	return 0;
}
