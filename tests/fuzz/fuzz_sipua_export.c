/**
 * @file fuzz_sipua_export.c  A stored session, damaged in any way
 */
#include <stdlib.h>
#include <re.h>
#include "cfg/cfg.h"
#include "sipcore/sipcore.h"
#include "sipua/sipua.h"
#include "fuzz.h"


static struct sipcore_net *net;
static struct sipcore *core;


static void request_handler(struct sipcore *c, struct sipcore_strans *st,
			    struct sipcore_msg *msg, void *arg)
{
	(void)c;
	(void)st;
	(void)msg;
	(void)arg;
}


/* The sockets that a user agent stands on; nothing is sent */
static void ground(void)
{
	struct cfg_addr l = {.proto = CFG_PROTO_UDP};
	struct sipcore_net_prm prm = {
		.lv = &l, .lc = 1, .workers = 1, .software = "fuzz",
	};
	char why[128];

	(void)sa_set_str(&l.sa, "127.0.0.1", 0);
	if (libre_init() || sipcore_net_alloc(&net, &prm, why, sizeof(why))
	    || sipcore_alloc(&core, net, 0, request_handler, NULL,
			     NULL))
		abort();
}


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mbuf mb = {(uint8_t *)(uintptr_t)data, size, 0, size};
	struct sipua_sess *s = NULL;
	struct sipua *ua = NULL;
	struct pl callid;

	if (!net)
		ground();

	(void)sipua_export_callid(&mb, &callid);
	(void)sipua_export_skip(&mb);
	mb.pos = 0;

	if (!sipua_alloc(&ua, core, net, 0, NULL))
		(void)sipua_import(&s, ua, &mb, NULL, NULL);

	mem_deref(ua);
	(void)sipua_hangup(s, 0, NULL, NULL);

	return 0;
}
