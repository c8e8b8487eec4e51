/**
 * @file fuzz_wsframe.c  compat/wsframe.c: WebSocket frames
 *
 * The first byte says which side we are and how the rest is cut.
 */
#include <re.h>
#include "compat/wsframe.h"
#include "fuzz.h"


static bool frame_handler(enum websock_opcode opcode, struct mbuf *mb,
			  void *arg)
{
	uint8_t *sum = arg;

	*sum ^= (uint8_t)opcode;
	while (mbuf_get_left(mb))
		*sum ^= mbuf_read_u8(mb);

	return true;
}


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct wsframe_dec *dec;
	size_t piece, n;
	uint8_t sum = 0;

	if (!size)
		return 0;

	piece = 1 + (*data >> 1);
	if (wsframe_dec_alloc(&dec, *data & 1, 4096))
		return 0;

	for (++data, --size; size; data += n, size -= n) {
		n = size < piece ? size : piece;
		if (wsframe_decode(dec, data, n, frame_handler, &sum))
			break;
	}

	mem_deref(dec);

	return 0;
}
