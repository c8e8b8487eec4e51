/**
 * @file stat.c  Loss, duplicates, order and jitter (RFC 3550 A.1, A.3, A.8)
 */
#include <string.h>
#include <re.h>
#include "rtp/rtp.h"


enum {
	SEQ_MOD      = 1 << 16,
	MAX_DROPOUT  = 3000,
	MAX_MISORDER = 100,
	WINDOW       = 64,
};


static uint64_t source_expected(const struct rstat *st)
{
	if (!st->begun)
		return 0;

	return (uint64_t)st->cycles + st->max_seq - st->base_seq + 1;
}


static uint64_t source_lost(const struct rstat *st)
{
	const uint64_t expected = source_expected(st);
	const uint64_t got = st->source_packets - (st->dup - st->dup_before);

	return expected > got ? expected - got : 0;
}


/* A new source, or one that starts again: keep what the old one lost */
static void begin(struct rstat *st, const struct rpkt *h)
{
	st->lost_before     += source_lost(st);
	st->expected_before += source_expected(st);
	st->dup_before       = st->dup;
	st->source_packets   = 0;
	st->ssrc     = h->ssrc;
	st->base_seq = st->max_seq = h->seq;
	st->cycles   = 0;
	st->bad_seq  = SEQ_MOD + 1;
	st->window   = 1;
	st->transit  = 0;
	st->begun    = true;
	++st->sources;
}


/* Behind max_seq by this many; seen already, or late? */
static void behind(struct rstat *st, unsigned by)
{
	if (by >= WINDOW) {
		++st->reorder;
		return;
	}

	if (st->window & 1ULL << by)
		++st->dup;
	else
		++st->reorder;

	st->window |= 1ULL << by;
}


static void sequence(struct rstat *st, const struct rpkt *h)
{
	const uint16_t ahead = (uint16_t)(h->seq - st->max_seq);

	if (ahead == 0) {
		behind(st, 0);
	}
	else if (ahead < MAX_DROPOUT) {

		if (h->seq < st->max_seq)
			st->cycles += SEQ_MOD;
		st->max_seq = h->seq;
		st->window = ahead < WINDOW ? st->window << ahead | 1 : 1;
		st->bad_seq = SEQ_MOD + 1;
	}
	else if (ahead > SEQ_MOD - MAX_MISORDER) {
		behind(st, (unsigned)(SEQ_MOD - ahead));
	}
	else if (h->seq == st->bad_seq) {

		/* two in a row after a jump: it restarted (A.1) */
		begin(st, h);
	}
	else {
		st->bad_seq = (h->seq + 1) & (SEQ_MOD - 1);
	}
}


/* A.8; a jump of the timestamp (talk spurt of another payload type) is
   bounded to one second, so that it does not ring for minutes */
static void jitter(struct rstat *st, const struct rpkt *h, uint64_t now_us)
{
	const uint32_t arrival = (uint32_t)(now_us * st->srate / 1000000);
	const uint32_t transit = arrival - h->ts;
	int32_t d = (int32_t)(transit - st->transit);

	if (st->source_packets > 1) {

		if (d < 0)
			d = d == INT32_MIN ? INT32_MAX : -d;
		if ((uint32_t)d < st->srate)
			st->jitter16 += (uint32_t)d -
				((st->jitter16 + 8) >> 4);
	}

	st->transit = transit;
	st->last_ts = h->ts;
}


void rstat_rtp(struct rstat *st, const struct rpkt *h, size_t bytes,
	       uint64_t now_us, uint32_t srate)
{
	st->srate = srate ? srate : 8000;
	st->pt = h->pt;

	if (!st->begun || st->ssrc != h->ssrc)
		begin(st, h);
	else
		sequence(st, h);

	++st->packets;
	++st->source_packets;
	st->bytes += bytes;

	jitter(st, h, now_us);
}


void rstat_other(struct rstat *st, size_t bytes)
{
	++st->packets;
	st->bytes += bytes;
}


uint64_t rstat_expected(const struct rstat *st)
{
	return st->expected_before + source_expected(st);
}


uint64_t rstat_lost(const struct rstat *st)
{
	return st->lost_before + source_lost(st);
}


double rstat_loss_pct(const struct rstat *st)
{
	const uint64_t expected = rstat_expected(st);
	const uint64_t lost = rstat_lost(st);

	return expected ? 100.0 * lost / expected : 0.0;
}


uint32_t rstat_jitter_us(const struct rstat *st)
{
	if (!st->srate)
		return 0;

	return (uint32_t)((uint64_t)(st->jitter16 >> 4) * 1000000 /
			  st->srate);
}
