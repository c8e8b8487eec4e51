/**
 * @file sipua/export.c  A confirmed session as bytes, and back
 *
 *   u8 version, callid, ltag, rtag, luri, ruri, target, routes, user, sid,
 *   u8 flags, u32 lseq, u32 rseq, u8 protocol, remote, lsdp, rsdp
 *
 * Strings are a u16 length and bytes; what is absent has length 0.
 */
#include <string.h>
#include <re.h>
#include "cfg/cfg.h"
#include "sipcore/sipcore.h"
#include "sipua.h"
#include "internal.h"


enum {
	EXPORT_V     = 1,
	FLAG_UAC    = 1 << 0,
	FLAG_UPDATE = 1 << 1,
};


static int bytes_write(struct mbuf *mb, const void *p, size_t n)
{
	int err;

	if (n > 0xffff)
		return EOVERFLOW;

	err = mbuf_write_u16(mb, htons((uint16_t)n));
	if (n)
		err |= mbuf_write_mem(mb, p, n);

	return err;
}


static int str_write(struct mbuf *mb, const char *str)
{
	return bytes_write(mb, str, str_len(str));
}


static int sdp_write(struct mbuf *mb, const struct mbuf *sdp)
{
	return bytes_write(mb, sdp ? sdp->buf : NULL, sdp ? sdp->end : 0);
}


int sipua_export(struct mbuf *mb, const struct sipua_sess *s)
{
	const struct dlg *d = &s->dlg;
	char remote[64];
	int err;

	/* a UAS that waits for its ACK goes on without: it confirms nothing
	   that an answer in the 200 has not settled */
	if (s->state != SESS_CONFIRMED
	    && !(s->state == SESS_ANSWERED && !s->uac))
		return ENOTCONN;

	(void)re_snprintf(remote, sizeof(remote), "%J", &d->flow.remote);

	err  = mbuf_write_u8(mb, EXPORT_V);
	err |= str_write(mb, d->callid);
	err |= str_write(mb, d->ltag);
	err |= str_write(mb, d->rtag);
	err |= str_write(mb, d->luri);
	err |= str_write(mb, d->ruri);
	err |= str_write(mb, d->target);
	err |= str_write(mb, d->routes);
	err |= str_write(mb, d->user);
	err |= str_write(mb, s->sid);
	err |= mbuf_write_u8(mb, (s->uac ? FLAG_UAC : 0)
			     | (s->allow_update ? FLAG_UPDATE : 0));
	err |= mbuf_write_u32(mb, htonl(d->lseq));
	err |= mbuf_write_u32(mb, htonl(d->rseq));
	err |= mbuf_write_u8(mb, d->flow.proto);
	err |= str_write(mb, remote);
	err |= sdp_write(mb, s->lsdp);
	err |= sdp_write(mb, s->rsdp);

	return err;
}


static int bytes_read(struct mbuf *mb, struct pl *pl)
{
	size_t n;

	if (mbuf_get_left(mb) < 2)
		return EBADMSG;

	n = ntohs(mbuf_read_u16(mb));
	if (mbuf_get_left(mb) < n)
		return EBADMSG;

	pl->p = (const char *)mbuf_buf(mb);
	pl->l = n;
	mbuf_advance(mb, n);

	return 0;
}


static int str_read(struct mbuf *mb, char **strp, bool required)
{
	struct pl pl;
	int err;

	err = bytes_read(mb, &pl);
	if (err)
		return err;
	if (!pl.l)
		return required ? EBADMSG : 0;

	return pl_strdup(strp, &pl);
}


static int sdp_read(struct mbuf *mb, struct mbuf **sdp)
{
	struct pl pl;
	int err;

	err = bytes_read(mb, &pl);
	if (err || !pl.l)
		return err;

	*sdp = mbuf_alloc(pl.l);
	if (!*sdp)
		return ENOMEM;

	err = mbuf_write_pl(*sdp, &pl);
	(*sdp)->pos = 0;

	return err;
}


static int names_read(struct sipua_sess *s, struct mbuf *mb)
{
	struct dlg *d = &s->dlg;
	struct pl sid;
	int err;

	if (mbuf_get_left(mb) < 1 || mbuf_read_u8(mb) != EXPORT_V)
		return EBADMSG;

	if ((err = str_read(mb, &d->callid, true))
	    || (err = str_read(mb, &d->ltag, true))
	    || (err = str_read(mb, &d->rtag, true))
	    || (err = str_read(mb, &d->luri, true))
	    || (err = str_read(mb, &d->ruri, true))
	    || (err = str_read(mb, &d->target, true))
	    || (err = str_read(mb, &d->routes, false))
	    || (err = str_read(mb, &d->user, true))
	    || (err = bytes_read(mb, &sid)))
		return err;

	return pl_strcpy(&sid, s->sid, sizeof(s->sid)) ? EBADMSG : 0;
}


static int flow_read(struct sipcore_flow *flow, struct mbuf *mb)
{
	struct pl remote;

	if (mbuf_get_left(mb) < 1)
		return EBADMSG;

	flow->proto = mbuf_read_u8(mb);
	if (flow->proto != CFG_PROTO_UDP && flow->proto != CFG_PROTO_TCP)
		return EBADMSG;
	if (bytes_read(mb, &remote))
		return EBADMSG;

	return sa_decode(&flow->remote, remote.p, remote.l) ? EBADMSG : 0;
}


static int sess_read(struct sipua_sess *s, struct mbuf *mb)
{
	uint8_t flags;
	int err;

	err = names_read(s, mb);
	if (err)
		return err;
	if (mbuf_get_left(mb) < 9)
		return EBADMSG;

	flags = mbuf_read_u8(mb);
	s->uac = flags & FLAG_UAC;
	s->allow_update = flags & FLAG_UPDATE;
	/* what was sent after the last export is not known */
	s->dlg.lseq = ntohl(mbuf_read_u32(mb)) + CSEQ_SKIP;
	s->dlg.rseq = ntohl(mbuf_read_u32(mb));

	err = flow_read(&s->dlg.flow, mb);
	if (!err)
		err = sdp_read(mb, &s->lsdp);
	if (!err)
		err = sdp_read(mb, &s->rsdp);

	return err;
}


int sipua_import(struct sipua_sess **sp, struct sipua *ua, struct mbuf *mb,
		 const struct sipua_handlers *h, void *arg)
{
	struct sipua_sess *s = NULL;
	struct pl callid, ltag;
	int err;

	if (!sp || !ua || !mb)
		return EINVAL;

	err = sess_alloc(&s, ua, h, arg);
	if (err)
		return err;

	s->state = SESS_CONFIRMED;
	s->initial = false;
	err = sess_read(s, mb);
	if (err)
		goto out;

	pl_set_str(&callid, s->dlg.callid);
	pl_set_str(&ltag, s->dlg.ltag);
	if (sipcore_owner(ua->net, &callid) != ua->idx)
		err = EXDEV;
	else if (sess_find(ua, &callid, &ltag))
		err = EALREADY;
	else
		sess_link(s);

 out:
	if (err)
		mem_deref(s);
	else
		*sp = s;

	return err;
}


int sipua_export_callid(const struct mbuf *mb, struct pl *callid)
{
	struct mbuf view = *mb;

	if (mbuf_get_left(&view) < 1 || mbuf_read_u8(&view) != EXPORT_V)
		return EBADMSG;

	return bytes_read(&view, callid);
}


int sipua_export_skip(struct mbuf *mb)
{
	const size_t strs = 9, tail = 3;	/* see above */
	struct pl pl;
	size_t i;

	if (mbuf_get_left(mb) < 1 || mbuf_read_u8(mb) != EXPORT_V)
		return EBADMSG;

	for (i = 0; i < strs; i++) {
		if (bytes_read(mb, &pl))
			return EBADMSG;
	}

	if (mbuf_get_left(mb) < 10)
		return EBADMSG;
	mbuf_advance(mb, 10);

	for (i = 0; i < tail; i++) {
		if (bytes_read(mb, &pl))
			return EBADMSG;
	}

	return 0;
}
