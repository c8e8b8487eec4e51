/**
 * @file codec.c  Formats of an m= line: a=rtpmap and static types (RFC 3551)
 */
#include <string.h>
#include <re.h>
#include "sdpx/sdpx.h"
#include "sdpx/internal.h"


static const struct sdpx_codec staticv[] = {
	{0,  PL("PCMU"), 8000,  1, PL_INIT},
	{3,  PL("GSM"),  8000,  1, PL_INIT},
	{4,  PL("G723"), 8000,  1, PL_INIT},
	{8,  PL("PCMA"), 8000,  1, PL_INIT},
	{9,  PL("G722"), 8000,  1, PL_INIT},
	{10, PL("L16"),  44100, 2, PL_INIT},
	{11, PL("L16"),  44100, 1, PL_INIT},
	{13, PL("CN"),   8000,  1, PL_INIT},
	{15, PL("G728"), 8000,  1, PL_INIT},
	{18, PL("G729"), 8000,  1, PL_INIT},
	{26, PL("JPEG"), 90000, 1, PL_INIT},
	{31, PL("H261"), 90000, 1, PL_INIT},
	{32, PL("MPV"),  90000, 1, PL_INIT},
	{34, PL("H263"), 90000, 1, PL_INIT},
};

const struct sdpx_codec sdpx_g711[2] = {
	{0, PL("PCMU"), 8000, 1, PL_INIT},
	{8, PL("PCMA"), 8000, 1, PL_INIT},
};


/* "0 PCMU/8000", "96 opus/48000/2": what follows the payload type */
static bool rtpmap(struct sdpx_codec *c, const struct pl *val)
{
	const char *slash = pl_strchr(val, '/');
	struct pl rate, ch;
	uint32_t num;

	if (!slash || slash == val->p)
		return false;

	c->name.p = val->p;
	c->name.l = slash - val->p;
	rate.p = slash + 1;
	rate.l = val->p + val->l - rate.p;
	while (rate.l && rate.p[rate.l - 1] == ' ')
		--rate.l;

	c->ch = 1;
	slash = pl_strchr(&rate, '/');
	if (slash) {
		ch.p = slash + 1;
		ch.l = rate.p + rate.l - ch.p;
		rate.l = slash - rate.p;
		if (sdpx_num(&ch, 255, &num))
			return false;
		c->ch = (uint8_t)num;
	}

	return !sdpx_num(&rate, 1000000, &c->srate);
}


/* The value of a=NAME:PT ..., without the payload type */
static bool pt_attr(const struct sdpx_line *l, const char *name,
		    const struct pl *pt, struct pl *val)
{
	struct pl word;

	if (!sdpx_line_attr(l, name, val))
		return false;
	if (!sdpx_word(val, &word) || pl_cmp(&word, pt))
		return false;

	while (val->l && *val->p == ' ')
		pl_advance(val, 1);

	return true;
}


static bool codec_read(const struct sdpx_media *m, const struct pl *pt,
		       struct sdpx_codec *c)
{
	struct pl rest = m->block, val;
	struct sdpx_line l;
	bool known = false;
	uint32_t num;
	size_t i;

	if (sdpx_num(pt, 127, &num))
		return false;

	memset(c, 0, sizeof(*c));
	for (i = 0; i < ARRAY_SIZE(staticv); i++) {

		if (staticv[i].pt == num) {
			*c = staticv[i];
			known = true;
		}
	}
	c->pt = (uint8_t)num;

	while (sdpx_line_next(&rest, &l)) {

		if (pt_attr(&l, "rtpmap", pt, &val))
			known = rtpmap(c, &val);
		else if (pt_attr(&l, "fmtp", pt, &val))
			c->fmtp = val;
	}

	return known;
}


size_t sdpx_codecs(const struct sdpx_media *m, struct sdpx_codec *codecv,
		   size_t max)
{
	struct pl rest, pt;
	size_t n = 0, seen = 0;

	if (!m || !codecv || !m->is_rtp)
		return 0;

	rest = m->fmts;
	while (n < max && seen++ < SDPX_CODEC_MAX && sdpx_word(&rest, &pt)) {

		if (codec_read(m, &pt, &codecv[n]))
			++n;
	}

	return n;
}


bool sdpx_codec_same(const struct sdpx_codec *a, const struct sdpx_codec *b)
{
	return a && b && a->srate == b->srate && a->ch == b->ch &&
		!pl_casecmp(&a->name, &b->name);
}
