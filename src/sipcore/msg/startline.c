/**
 * @file sipcore/msg/startline.c  Request-Line and Status-Line (RFC 3261 7.1,
 * 7.2)
 */
#include <string.h>
#include <strings.h>
#include <re.h>
#include "cfg/cfg.h"
#include "sipcore/sipcore.h"
#include "sipcore/internal.h"


/* The first thing that is wrong is told */
void sipcore_malformed(struct sipcore_msg *msg, uint16_t code,
		       const char *what)
{
	if (msg->malformed)
		return;

	msg->malformed = what;
	msg->malformed_code = code;
}


/* Request-Line = Method SP Request-URI SP SIP-Version, single spaces */
static int request_line(struct sipcore_msg *msg)
{
	const struct pl *sl = &msg->startline;
	const char *end = sl->p + sl->l, *sp, *ver = NULL;
	struct pl v;
	int err;

	sp = memchr(sl->p, ' ', sl->l);
	if (!sp)
		return EBADMSG;

	msg->met.p = sl->p;
	msg->met.l = (size_t)(sp - sl->p);
	if (!sipcore_is_token(&msg->met))
		return EBADMSG;

	for (const char *c = end - 4; c > sp; c--) {
		if (!strncasecmp(c, "SIP/", 4)) {
			ver = c;
			break;
		}
	}
	if (!ver)
		return EBADMSG;

	v.p = ver;
	v.l = (size_t)(end - ver);
	msg->ruri.p = sp + 1;
	msg->ruri.l = (size_t)(ver - sp - 1);
	if (msg->ruri.l && ver[-1] == ' ')
		--msg->ruri.l;
	else
		sipcore_malformed(msg, 400, "Bad Request-Line");

	msg->req = true;
	msg->method = sipcore_name_method(&msg->met);

	if (pl_strcasecmp(&v, "SIP/2.0")) {
		sipcore_trim(&v);
		sipcore_malformed(msg, pl_strcasecmp(&v, "SIP/2.0") ? 505
				  : 400, "Bad SIP-Version");
	}

	err = sipcore_uri_decode(&msg->uri, &msg->ruri);
	msg->uri_ok = !err;
	if (err == EBADMSG)
		sipcore_malformed(msg, 400, "Bad Request-URI");
	/* RFC 3261 19.1.1: no headers in a Request-URI */
	else if (!err && msg->uri.headers.l)
		sipcore_malformed(msg, 400, "Headers in Request-URI");

	return 0;
}


/* Status-Line = SIP-Version SP Status-Code SP Reason-Phrase */
static int status_line(struct sipcore_msg *msg)
{
	struct pl rest = msg->startline, code;
	uint32_t v;

	pl_advance(&rest, 8);		/* "SIP/2.0 " seen by the caller */

	code.p = rest.p;
	code.l = 3;
	if (rest.l < 3 || sipcore_u32(&code, &v) || v < 100 || v > 699)
		return EBADMSG;

	pl_advance(&rest, 3);
	if (rest.l && rest.p[0] != ' ')
		return EBADMSG;

	if (rest.l)
		pl_advance(&rest, 1);

	msg->scode = (uint16_t)v;
	msg->reason = rest;

	return 0;
}


/**
 * Read the start line, which stands in msg->startline
 *
 * @return 0, also when it is malformed but answerable; EBADMSG
 */
int sipcore_startline(struct sipcore_msg *msg)
{
	return strncasecmp(msg->startline.p, "SIP/2.0 ", 8) ?
		request_line(msg) : status_line(msg);
}
