/**
 * @file fuzz_ng.c  NG datagrams: what decodes is encoded and decoded again
 */
#include <string.h>
#include <re.h>
#include "ng/ng.h"
#include "fuzz.h"


static void again(const struct ng_tree *t, enum ng_format fmt)
{
	struct ng_tree *t2 = NULL;
	struct mbuf *mb = mbuf_alloc(256);

	if (mb && !ng_encode(mb, t, fmt) && mb->end <= NG_DATAGRAM_MAX &&
	    ng_decode(&t2, NULL, mb->buf, mb->end))
		__builtin_trap();

	mem_deref(t2);
	mem_deref(mb);
}


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pl cookie, body, pl;
	struct ng_tree *t = NULL;
	enum ng_format fmt;

	if (ng_split(data, size, &cookie, &body))
		return 0;

	if (ng_decode(&t, &fmt, (const uint8_t *)body.p, body.l))
		return 0;

	(void)ng_get_pl(ng_root(t), "call-id", &pl);
	(void)ng_get_int(ng_root(t), "port", 0);
	(void)ng_has(ng_get(ng_root(t), "flags"), "strict source");
	again(t, fmt);
	again(t, fmt == NG_JSON ? NG_BENCODE : NG_JSON);
	mem_deref(t);

	return 0;
}
