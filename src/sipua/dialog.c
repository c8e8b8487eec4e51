/**
 * @file sipua/dialog.c  The dialog: identity, route set, target (RFC 3261 12)
 */
#include <string.h>
#include <re.h>
#include "cfg/cfg.h"
#include "sipcore/sipcore.h"
#include "sipua.h"
#include "internal.h"


enum {
	ROUTE_MAX    = 32,	/* values of a route set that we take */
	MAX_FORWARDS = 70,	/* 8.1.1.6 */
};


static int naddr_dup(char **strp, const struct sipcore_naddr *na)
{
	if (!pl_isset(&na->auri))
		return EBADMSG;

	return re_sdprintf(strp, "<%r>", &na->auri);
}


/* The first Contact is the remote target, 12.1.1, 12.1.2, 12.2.1.2 */
static int target_dup(char **strp, const struct sipcore_msg *msg)
{
	const struct sipcore_hdr *hdr;
	struct sipcore_naddr na;
	struct pl rest, val;

	hdr = sipcore_hdr(msg, SIPCORE_HDR_CONTACT, 0);
	if (!hdr)
		return ENOENT;

	rest = hdr->val;
	if (!sipcore_val_next(&rest, &val) || sipcore_naddr_decode(&na, &val)
	    || !pl_isset(&na.auri))
		return EBADMSG;

	return pl_strdup(strp, &na.auri);
}


static int routes_collect(struct pl *routev, size_t *n,
			  const struct sipcore_msg *msg)
{
	const struct sipcore_hdr *hdr;
	struct pl rest, val;
	size_t i;

	*n = 0;
	for (i = 0; (hdr = sipcore_hdr(msg, SIPCORE_HDR_RECORD_ROUTE, i));
	     i++) {
		rest = hdr->val;
		while (sipcore_val_next(&rest, &val)) {
			if (*n == ROUTE_MAX)
				return EOVERFLOW;
			routev[(*n)++] = val;
		}
	}

	return 0;
}


/* 12.1.1: the UAS takes Record-Route in order; 12.1.2: the UAC reversed */
static int routes_dup(char **strp, const struct sipcore_msg *msg,
		      bool reverse)
{
	struct pl routev[ROUTE_MAX];
	struct mbuf *mb;
	size_t n, i;
	int err;

	*strp = NULL;
	err = routes_collect(routev, &n, msg);
	if (err || !n)
		return err;

	mb = mbuf_alloc(256);
	if (!mb)
		return ENOMEM;

	for (i = 0; i < n && !err; i++)
		err = mbuf_printf(mb, "%s%r", i ? "," : "",
				  &routev[reverse ? n - 1 - i : i]);

	mb->pos = 0;
	if (!err)
		err = mbuf_strdup(mb, strp, mb->end);

	mem_deref(mb);
	return err;
}


/* new into *strp, if err is 0; the old one stays otherwise */
static int str_swap(char **strp, char *str, int err)
{
	if (err)
		return err;

	mem_deref(*strp);
	*strp = str;

	return 0;
}


/** The UAS's side of a dialog, from the INVITE: 12.1.1 */
int dlg_init_uas(struct dlg *d, const struct sipcore_msg *msg,
		 const char *tag, const char *user)
{
	int err;

	err  = pl_strdup(&d->callid, &msg->callid);
	err |= pl_strdup(&d->rtag, &msg->from.tag);
	err |= str_dup(&d->ltag, tag);
	err |= str_dup(&d->user, user);
	if (err)
		return ENOMEM;

	err = naddr_dup(&d->luri, &msg->to);
	if (!err)
		err = naddr_dup(&d->ruri, &msg->from);
	if (!err)
		err = target_dup(&d->target, msg);
	if (!err)
		err = routes_dup(&d->routes, msg, false);

	d->rseq = msg->cseq;
	d->flow = msg->flow;

	return err;
}


/** The UAC's side, before any response */
int dlg_init_uac(struct dlg *d, const struct sipua_invite *inv)
{
	char tag[TAG_SIZE];
	int err;

	rand_str(tag, sizeof(tag));

	err  = str_dup(&d->callid, inv->callid);
	err |= str_dup(&d->ltag, tag);
	err |= str_dup(&d->luri, inv->from);
	err |= str_dup(&d->ruri, inv->to);
	err |= str_dup(&d->target, inv->ruri);
	err |= str_dup(&d->user, inv->user);
	if (inv->route)
		err |= str_dup(&d->routes, inv->route);

	d->rseq = UINT32_MAX;
	d->flow = inv->flow;
	d->maxfwd = inv->maxfwd;

	return err ? ENOMEM : 0;
}


/** The UAC learns the peer's tag, route set and target: 12.1.2, 13.2.2.4 */
int dlg_update(struct dlg *d, const struct sipcore_msg *resp)
{
	char *str = NULL;
	int err;

	err = pl_strdup(&str, &resp->to.tag);
	err = str_swap(&d->rtag, str, err);
	if (err)
		return err;

	err = routes_dup(&str, resp, true);
	err = str_swap(&d->routes, str, err);
	if (err)
		return err;

	d->flow = resp->flow;
	d->maxfwd = 0;		/* the first INVITE's own */

	return dlg_refresh(d, resp);
}


/** Target refresh by a Contact, where there is one: 12.2.1.2, 12.2.2 */
int dlg_refresh(struct dlg *d, const struct sipcore_msg *msg)
{
	char *str = NULL;
	int err;

	err = target_dup(&str, msg);
	if (err == ENOENT)
		return 0;

	return str_swap(&d->target, str, err);
}


/** A dialog like src, as the 2xx of another fork makes it: 13.2.2.4 */
int dlg_fork(struct dlg *d, const struct dlg *src,
	     const struct sipcore_msg *resp)
{
	int err;

	memset(d, 0, sizeof(*d));

	err  = str_dup(&d->callid, src->callid);
	err |= str_dup(&d->ltag, src->ltag);
	err |= str_dup(&d->luri, src->luri);
	err |= str_dup(&d->ruri, src->ruri);
	err |= str_dup(&d->target, src->target);
	err |= str_dup(&d->user, src->user);
	d->lseq = src->lseq;
	if (!err)
		err = dlg_update(d, resp);

	return err;
}


void dlg_close(struct dlg *d)
{
	d->callid = mem_deref(d->callid);
	d->ltag   = mem_deref(d->ltag);
	d->rtag   = mem_deref(d->rtag);
	d->luri   = mem_deref(d->luri);
	d->ruri   = mem_deref(d->ruri);
	d->target = mem_deref(d->target);
	d->routes = mem_deref(d->routes);
	d->user   = mem_deref(d->user);
}


/** Does a request of the peer belong to it?  12.2.2 */
bool dlg_match(const struct dlg *d, const struct sipcore_msg *msg)
{
	return 0 == pl_strcmp(&msg->callid, d->callid)
		&& 0 == pl_strcmp(&msg->to.tag, d->ltag)
		&& d->rtag && 0 == pl_strcmp(&msg->from.tag, d->rtag);
}


/* Where a request goes: the first route, else the target; a host name there
   is not resolved: the peer is behind the node that it came from */
static void next_hop(struct sipcore_flow *flow, const struct dlg *d,
		     const struct pl *hop)
{
	struct uri uri;

	memset(flow, 0, sizeof(*flow));
	if (!sipcore_uri_decode(&uri, hop) && !sipcore_uri_flow(flow, &uri))
		return;

	*flow = d->flow;
}


/* 12.2.1.1: a first route without ;lr is a strict router: it becomes the
   Request-URI and the target goes last */
static bool is_strict(const struct pl *routes, struct pl *first,
		      struct pl *rest)
{
	struct sipcore_naddr na;
	struct pl val;

	*rest = *routes;
	if (!sipcore_val_next(rest, &val) || sipcore_naddr_decode(&na, &val))
		return false;

	*first = na.auri;
	return !sipcore_param_exists(&na.uri.params, "lr");
}


static int head_encode(struct mbuf *mb, struct sipcore_flow *flow,
		       const struct dlg *d, const char *met)
{
	const unsigned hops = d->maxfwd ? d->maxfwd : MAX_FORWARDS;
	struct pl target, routes, first, rest;

	pl_set_str(&target, d->target);
	if (!d->routes) {
		next_hop(flow, d, &target);
		return mbuf_printf(mb, "%s %r SIP/2.0\r\n"
				   "Max-Forwards: %u\r\n", met, &target, hops);
	}

	pl_set_str(&routes, d->routes);
	first = target;
	if (is_strict(&routes, &first, &rest)) {
		next_hop(flow, d, &first);
		return mbuf_printf(mb, "%s %r SIP/2.0\r\n"
				   "Max-Forwards: %u\r\n"
				   "Route: %r%s<%r>\r\n", met, &first, hops,
				   &rest, rest.l ? "," : "", &target);
	}

	next_hop(flow, d, &first);
	return mbuf_printf(mb, "%s %r SIP/2.0\r\n"
			   "Max-Forwards: %u\r\n"
			   "Route: %s\r\n", met, &target, hops, d->routes);
}


/** Our Contact header line, as the peer behind flow can reach us */
int dlg_contact(struct mbuf *mb, const struct dlg *d, struct sipcore *core,
		const struct sipcore_flow *flow)
{
	struct sipcore_flow to = *flow;

	memset(&to.local, 0, sizeof(to.local));
	if (sipcore_laddr(core, &to, &to.local))
		to.local = d->flow.local;

	return mbuf_printf(mb, "Contact: <sip:%s@%J%s>\r\n", d->user,
			   &to.local, to.proto == CFG_PROTO_TCP ?
			   ";transport=tcp" : "");
}


static int body_encode(struct mbuf *mb, const struct sipua_body *b)
{
	if (!b || !b->data.l)
		return mbuf_write_str(mb, "Content-Length: 0\r\n\r\n");

	return mbuf_printf(mb, "Content-Type: %r\r\nContent-Length: %zu\r\n"
			   "\r\n%r", &b->ctype, b->data.l, &b->data);
}


/** A request in the dialog, without Via, and where it goes: 12.2.1.1 */
int dlg_encode(struct mbuf **mbp, struct sipcore_flow *flow,
	       const struct dlg *d, struct sipcore *core,
	       enum sipcore_method met, uint32_t cseq, const char *sid,
	       const char *hdrs, const struct sipua_body *b)
{
	const char *name = sipcore_method_name(met);
	struct mbuf *mb;
	int err;

	mb = mbuf_alloc(1024);
	if (!mb)
		return ENOMEM;

	err  = head_encode(mb, flow, d, name);
	err |= mbuf_printf(mb, "From: %s;tag=%s\r\n"
			   "To: %s%s%s\r\n"
			   "Call-ID: %s\r\n"
			   "CSeq: %u %s\r\n",
			   d->luri, d->ltag,
			   d->ruri, d->rtag ? ";tag=" : "",
			   d->rtag ? d->rtag : "",
			   d->callid, cseq, name);
	if (met == SIPCORE_INVITE || met == SIPCORE_UPDATE) {
		err |= dlg_contact(mb, d, core, flow);
		err |= mbuf_printf(mb, "Allow: %s\r\n", sipua_allow());
	}
	if (sid[0])
		err |= mbuf_printf(mb, "Session-ID: %s\r\n", sid);
	if (hdrs)
		err |= mbuf_write_str(mb, hdrs);
	err |= body_encode(mb, b);

	mb->pos = 0;
	if (err)
		mem_deref(mb);
	else
		*mbp = mb;

	return err ? ENOMEM : 0;
}
