/**
 * @file make.c  Offers and answers of our own, for audio (RFC 3264, 4733)
 */
#include <string.h>
#include <re.h>
#include "sdpx/sdpx.h"
#include "sdpx/internal.h"


static const struct pl te_name = PL("telephone-event");


static int put_head(struct mbuf *mb, const struct sdpx_local *l)
{
	const char *ver = sa_af(&l->addr) == AF_INET6 ? "IP6" : "IP4";

	return mbuf_printf(mb, "v=0\r\no=- %llu %llu IN %s %j\r\ns=-\r\n"
			   "c=IN %s %j\r\nt=0 0\r\n",
			   l->sess_id, l->sess_ver, ver, &l->addr,
			   ver, &l->addr);
}


static int put_codec(struct mbuf *mb, const struct sdpx_codec *c)
{
	int err;

	err = mbuf_printf(mb, "a=rtpmap:%u %r/%u", c->pt, &c->name,
			  c->srate);
	if (c->ch > 1)
		err |= mbuf_printf(mb, "/%u", c->ch);
	err |= mbuf_write_str(mb, "\r\n");
	if (pl_isset(&c->fmtp))
		err |= mbuf_printf(mb, "a=fmtp:%u %r\r\n", c->pt, &c->fmtp);

	return err;
}


static int put_te(struct mbuf *mb, int pt)
{
	if (pt < 0)
		return 0;

	return mbuf_printf(mb, "a=rtpmap:%d telephone-event/8000\r\n"
			   "a=fmtp:%d 0-16\r\n", pt, pt);
}


int sdpx_make_offer(struct mbuf *mb, const struct sdpx_local *l)
{
	size_t i;
	int err;

	if (!mb || !l || !l->codecc)
		return EINVAL;

	err  = put_head(mb, l);
	err |= mbuf_printf(mb, "m=audio %u RTP/AVP", sa_port(&l->addr));
	for (i = 0; i < l->codecc; i++)
		err |= mbuf_printf(mb, " %u", l->codecv[i].pt);
	if (l->te_pt >= 0)
		err |= mbuf_printf(mb, " %d", l->te_pt);
	err |= mbuf_write_str(mb, "\r\n");

	for (i = 0; i < l->codecc; i++)
		err |= put_codec(mb, &l->codecv[i]);
	err |= put_te(mb, l->te_pt);

	return err | mbuf_printf(mb, "a=ptime:%u\r\na=%s\r\n",
				 l->ptime ? l->ptime : 20,
				 sdpx_dir_name(l->dir));
}


/* Without keys of our own only these can be taken */
static bool proto_plain(const struct sdpx_media *m)
{
	return !pl_strcmp(&m->proto, "RTP/AVP") ||
		!pl_strcmp(&m->proto, "RTP/AVPF");
}


static bool choose(const struct sdpx_media *m, const struct sdpx_local *l,
		   struct sdpx_choice *ch)
{
	struct sdpx_codec codecv[SDPX_CODEC_MAX];
	const size_t n = sdpx_codecs(m, codecv, SDPX_CODEC_MAX);
	size_t i, k;

	ch->te_pt = -1;

	/* the peer's order decides (RFC 3264 6.1) */
	for (i = 0; i < n; i++) {

		if (!pl_casecmp(&codecv[i].name, &te_name)) {
			if (ch->te_pt < 0 && codecv[i].srate == 8000)
				ch->te_pt = codecv[i].pt;
			continue;
		}

		for (k = 0; k < l->codecc && !ch->ok; k++) {

			if (!sdpx_codec_same(&codecv[i], &l->codecv[k]))
				continue;

			ch->codec = l->codecv[k];
			ch->codec.pt = codecv[i].pt;
			ch->ok = true;
		}
	}

	if (!ch->ok)
		return false;

	ch->dir = (enum sdpx_dir)(l->dir & sdpx_dir_reverse(m->dir));
	ch->ptime = m->ptime ? m->ptime : l->ptime ? l->ptime : 20;
	ch->rtp = m->rtp;
	ch->rtcp = m->rtcp;

	return true;
}


static bool find_audio(const struct sdpx *s, const struct sdpx_local *l,
		       struct sdpx_choice *ch)
{
	size_t i;

	memset(ch, 0, sizeof(*ch));

	for (i = 0; i < s->mediac; i++) {

		const struct sdpx_media *m = &s->mediav[i];

		if (m->rejected || pl_strcmp(&m->type, "audio") ||
		    !proto_plain(m))
			continue;

		ch->idx = i;
		if (choose(m, l, ch))
			return true;
	}

	return false;
}


static int put_accepted(struct mbuf *mb, const struct sdpx_media *m,
			const struct sdpx_local *l,
			const struct sdpx_choice *ch)
{
	int err;

	err = mbuf_printf(mb, "m=audio %u %r %u", sa_port(&l->addr),
			  &m->proto, ch->codec.pt);
	if (ch->te_pt >= 0)
		err |= mbuf_printf(mb, " %d", ch->te_pt);
	err |= mbuf_write_str(mb, "\r\n");

	err |= put_codec(mb, &ch->codec);
	err |= put_te(mb, ch->te_pt);
	if (pl_isset(&m->mid))
		err |= mbuf_printf(mb, "a=mid:%r\r\n", &m->mid);

	return err | mbuf_printf(mb, "a=ptime:%u\r\na=%s\r\n", ch->ptime,
				 sdpx_dir_name(ch->dir));
}


int sdpx_make_answer(struct mbuf *mb, const struct sdpx *offer,
		     const struct sdpx_local *l, struct sdpx_choice *choice)
{
	size_t i;
	int err;

	if (!mb || !offer || !l || !choice)
		return EINVAL;

	if (!find_audio(offer, l, choice))
		return ENOTSUP;

	err = put_head(mb, l);

	for (i = 0; i < offer->mediac; i++) {

		const struct sdpx_media *m = &offer->mediav[i];

		if (i == choice->idx)
			err |= put_accepted(mb, m, l, choice);
		else
			err |= mbuf_printf(mb, "m=%r 0 %r %r\r\n", &m->type,
					   &m->proto, &m->fmts);
	}

	return err;
}


int sdpx_read_answer(const struct sdpx *answer, const struct sdpx_local *l,
		     struct sdpx_choice *choice)
{
	if (!answer || !l || !choice)
		return EINVAL;

	return find_audio(answer, l, choice) ? 0 : ENOTSUP;
}
