/**
 * @file nat.c  Flows as text, and which address of a contact is the true one
 *              (RFC 3261 18.2, RFC 3581)
 */
#include <string.h>
#include "internal.h"


static const char *proto_name(enum cfg_proto proto)
{
	switch (proto) {

	case CFG_PROTO_TCP: return "tcp";
	case CFG_PROTO_TLS: return "tls";
	case CFG_PROTO_WS:  return "ws";
	case CFG_PROTO_WSS: return "wss";
	default:            return "udp";
	}
}


/** "udp:192.0.2.1:5060" */
int nat_flow_print(struct re_printf *pf, const struct sipcore_flow *flow)
{
	if (!flow)
		return 0;

	return re_hprintf(pf, "%s:%J", proto_name(flow->proto),
			  &flow->remote);
}


int nat_flow_decode(struct sipcore_flow *flow, const char *str)
{
	static const enum cfg_proto protov[] = {
		CFG_PROTO_UDP, CFG_PROTO_TCP, CFG_PROTO_TLS, CFG_PROTO_WS,
		CFG_PROTO_WSS
	};
	const char *colon;

	if (!flow || !str)
		return EINVAL;
	colon = strchr(str, ':');
	if (!colon)
		return EBADMSG;

	memset(flow, 0, sizeof(*flow));
	for (size_t i = 0; i < ARRAY_SIZE(protov); i++) {
		const char *name = proto_name(protov[i]);

		if (strlen(name) == (size_t)(colon - str) &&
		    !memcmp(name, str, strlen(name)))
			flow->proto = protov[i];
	}
	if (flow->proto == CFG_PROTO_ANY)
		return EBADMSG;

	return sa_decode(&flow->remote, colon + 1, strlen(colon + 1));
}


/**
 * Where to send a request for a contact.
 *
 * A connection is used as long as it lives.  From outside, a telephone is
 * reached where its REGISTER came from: its contact names an address behind
 * the NAT, or a port that the NAT chose for somebody else.  Inside, nobody
 * translates: the contact counts, unless its host is a name, or is not the
 * host that sent it.
 *
 * @param alt  Where to connect to if the connection is gone, or unset
 */
int nat_contact_flow(struct sipcore_flow *flow, struct sa *alt,
		     const struct uri *contact,
		     const struct sipcore_flow *src, bool outside)
{
	struct sipcore_flow own;
	int err;

	if (!flow || !alt || !contact)
		return EINVAL;
	sa_init(alt, AF_UNSPEC);

	err = sipcore_uri_flow(&own, contact);
	if (!src || src->proto == CFG_PROTO_ANY) {
		if (!err)
			*flow = own;
		return err;
	}

	if (err || outside || src->proto != own.proto ||
	    !sa_cmp(&own.remote, &src->remote, SA_ADDR)) {
		*flow = *src;
		return 0;
	}

	*flow = own;
	if (src->conn) {
		*flow = *src;
		*alt  = own.remote;
	}

	return 0;
}
