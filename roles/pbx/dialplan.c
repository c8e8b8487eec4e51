/**
 * @file roles/pbx/dialplan.c  A number -> what is done with the call
 */
#include <string.h>
#include <re.h>
#include "worker/worker.h"
#include "cfg/cfg.h"
#include "role.h"
#include "store/store.h"
#include "cdr/cdr.h"
#include "sipcore/sipcore.h"
#include "sipua/sipua.h"
#include "internal.h"


/* There unless the file says otherwise */
static const struct ext defaultv[] = {
	{.number = (char *)"*43", .app = EXT_ECHO},
	{.number = (char *)"*42", .app = EXT_MILLIWATT},
};


static const struct ext *ext_find(const struct conf *conf,
				  const char *number)
{
	size_t i;

	for (i = 0; i < conf->extc; i++) {
		if (!str_cmp(conf->extv[i].number, number))
			return &conf->extv[i];
	}

	for (i = 0; i < ARRAY_SIZE(defaultv); i++) {
		if (!str_cmp(defaultv[i].number, number))
			return &defaultv[i];
	}

	return NULL;
}


/* RFC 3261 19.1.2: user parts are compared unescaped */
static int user_get(char *buf, size_t size, const struct uri *uri)
{
	if (!pl_isset(&uri->user)) {
		buf[0] = '\0';
		return ENOENT;
	}

	return re_snprintf(buf, size, "%H", uri_user_unescape, &uri->user) < 0
		? EOVERFLOW : 0;
}


/* The B leg asks for user@domain: the Request-URI's host if it is a domain of
   ours, else To's, else the first (a balancer may have put our address) */
static int ruri_make(struct dial *d, const struct conf *conf,
		     const struct sipcore_msg *msg)
{
	const struct pl *user = &msg->uri.user;

	if (cfg_is_domain(conf->cfg, &msg->uri.host))
		return re_sdprintf(&d->ruri, "sip:%r@%r", user,
				   &msg->uri.host);
	if (cfg_is_domain(conf->cfg, &msg->to.uri.host))
		return re_sdprintf(&d->ruri, "sip:%r@%r", user,
				   &msg->to.uri.host);

	return re_sdprintf(&d->ruri, "sip:%r@%s", user,
			   cfg_domain(conf->cfg, 0));
}


static enum dial_verdict verdict_of(const struct ext *callee,
				    const struct ext *caller)
{
	if (caller && caller->calls == EXT_CALLS_NONE)
		return DIAL_FORBIDDEN;
	if (callee && callee->app == EXT_ECHO)
		return DIAL_ECHO;
	if (callee && callee->app == EXT_MILLIWATT)
		return DIAL_MILLIWATT;

	return DIAL_EXTENSION;
}


/** Decide about an INVITE; ENOMEM is the only error */
int dialplan_find(struct dial *d, const struct conf *conf,
		  const struct sipcore_msg *msg)
{
	int err;

	(void)user_get(d->caller, sizeof(d->caller), &msg->from.uri);
	err = msg->uri_ok ? user_get(d->number, sizeof(d->number), &msg->uri)
			  : EBADMSG;
	if (err || !d->number[0]) {
		d->verdict = DIAL_BAD;
		return 0;
	}

	d->verdict = verdict_of(ext_find(conf, d->number),
				ext_find(conf, d->caller));

	return ruri_make(d, conf, msg);
}


const char *dialplan_verdict_name(enum dial_verdict v)
{
	switch (v) {

	case DIAL_EXTENSION: return "extension";
	case DIAL_ECHO:      return "echo";
	case DIAL_MILLIWATT: return "milliwatt";
	case DIAL_FORBIDDEN: return "forbidden";
	case DIAL_BAD:       return "no-number";
	}

	return "?";
}
