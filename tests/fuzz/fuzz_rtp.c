/**
 * @file fuzz_rtp.c  RTP and RTCP datagrams, one after another
 */
#include <string.h>
#include <re.h>
#include "rtp/rtp.h"
#include "fuzz.h"


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct emodel m = emodel_codec(NULL);
	struct rstat st;
	uint64_t now = 0;
	struct rctl r;
	struct rpkt h;
	size_t i;

	memset(&st, 0, sizeof(st));

	/* the first byte of a piece is its length */
	while (size > 1) {

		size_t n = data[0] < size - 1 ? data[0] : size - 1;

		++data;
		--size;
		if (rpkt_kind(data, n) == RPKT_RTP &&
		    !rpkt_decode(&h, data, n)) {
			if (h.hdr + h.len > n)
				__builtin_trap();
			rstat_rtp(&st, &h, n, now, h.pt ? 48000 : 8000);
		}
		else if (!rctl_decode(&r, data, n)) {
			for (i = 0; i < r.blockc; i++)
				(void)rctl_rtt(&r.blockv[i], now / 2, now);
		}
		now += 20000 + n * 100;
		data += n;
		size -= n;
	}

	if (rstat_lost(&st) > rstat_expected(&st))
		__builtin_trap();
	(void)emodel_stat(&st, &m, 0);

	return 0;
}
