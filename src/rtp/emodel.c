/**
 * @file emodel.c  Speech quality by the E-model (ITU-T G.107, G.113)
 *
 *	R      = 93.2 - Idd(Ta) - Ie_eff
 *	Ie_eff = Ie + (95 - Ie) * Ppl / (Ppl + Bpl)          (BurstR = 1)
 *	Idd    = 25 {(1+X^6)^(1/6) - 3 (1+(X/3)^6)^(1/6) + 2},
 *	         X = log2(Ta / 100 ms), 0 up to 100 ms
 *
 * 93.2 is the rating with G.107's default values.
 */
#include <math.h>
#include <string.h>
#include <re.h>
#include "rtp/rtp.h"


struct emodel emodel_codec(const struct pl *name)
{
	/* G.113 appendix I, tables I.1 and I.2.  On this narrow-band scale
	   G.722 and Opus have no own values: taken as unimpaired, with the
	   concealment of G.711 appendix I and of a robust coder */
	static const struct {
		const char *name;
		struct emodel m;
	} v[] = {
		{"PCMU", {0.0,  25.1}},
		{"PCMA", {0.0,  25.1}},
		{"G722", {0.0,  25.1}},
		{"opus", {0.0,  34.0}},
		{"G729", {11.0, 19.0}},
		{"G723", {15.0, 16.1}},
	};
	size_t i;

	for (i = 0; name && i < ARRAY_SIZE(v); i++) {

		if (!pl_strcasecmp(name, v[i].name))
			return v[i].m;
	}

	return v[0].m;
}


static double idd(double ta)
{
	double x;

	if (ta <= 100.0)
		return 0.0;

	x = log2(ta / 100.0);

	return 25.0 * (pow(1.0 + pow(x, 6.0), 1.0 / 6.0) -
		       3.0 * pow(1.0 + pow(x / 3.0, 6.0), 1.0 / 6.0) + 2.0);
}


double emodel_r(const struct emodel *m, double loss_pct, double delay_ms)
{
	double ie_eff = m->ie;

	if (loss_pct > 0.0)
		ie_eff += (95.0 - m->ie) * loss_pct / (loss_pct + m->bpl);

	return 93.2 - idd(delay_ms) - ie_eff;
}


double emodel_mos(double r)
{
	if (r <= 0.0)
		return 1.0;
	if (r >= 100.0)
		return 4.5;

	r = 1.0 + 0.035 * r + r * (r - 60.0) * (100.0 - r) * 7e-6;

	return r < 1.0 ? 1.0 : r;
}


double emodel_stat(const struct rstat *st, const struct emodel *m,
		   uint32_t rtt_us)
{
	double delay;

	if (!st || !m || !st->begun)
		return 0.0;

	delay = rtt_us / 2000.0 + 2.0 * rstat_jitter_us(st) / 1000.0 + 20.0;

	return emodel_mos(emodel_r(m, rstat_loss_pct(st), delay));
}
