/**
 * @file fuzz_sipmsg.c  sipcore: a message from anywhere, read, edited, framed
 */
#include <re.h>
#include "cfg/cfg.h"
#include "sipcore/sipcore.h"
#include "sipcore/internal.h"
#include "fuzz.h"


/* What reads one well-formed message of ours must read it again */
static void edit(const struct sipcore_msg *msg)
{
	struct sipcore_msg *again = NULL;
	struct sipcore_edit ed;
	struct mbuf *mb = mbuf_alloc(1024);
	struct pl body = PL("v=0\r\n");
	int err;

	if (!mb)
		return;

	sipcore_edit_init(&ed, msg);
	err  = sipcore_edit_before(&ed, NULL, "Via: SIP/2.0/UDP a;branch=b");
	err |= sipcore_edit_append(&ed, "X-Last: 1");
	err |= sipcore_edit_body(&ed, "application/sdp", &body);
	for (size_t i=0; i<msg->hdrc && i<8; i++) {
		const struct sipcore_hdr *h = &msg->hdrv[i];
		struct pl rest = h->val, val;

		if (h->id == SIPCORE_HDR_ROUTE &&
		    sipcore_val_next(&rest, &val))
			err |= sipcore_edit_drop_val(&ed, h, &val);
	}
	if (!err)
		err = sipcore_edit_write(mb, &ed);
	sipcore_edit_close(&ed);

	if (!err && sipcore_msg_decode(&again, mb->buf, mb->end, NULL))
		__builtin_trap();

	mem_deref(again);
	mem_deref(mb);
}


static void views(const struct sipcore_msg *msg)
{
	for (size_t i=0; i<msg->hdrc; i++) {
		const struct sipcore_hdr *h = &msg->hdrv[i];
		struct pl rest = h->val, val;
		struct sipcore_naddr na;
		struct sipcore_via via;

		if (h->line.p < msg->startline.p ||
		    h->val.p + h->val.l > h->line.p + h->line.l)
			__builtin_trap();

		while (sipcore_val_next(&rest, &val)) {
			(void)sipcore_via_decode(&via, &val);
			if (!sipcore_naddr_decode(&na, &val)) {
				(void)sipcore_param(&na.params, "q", &val);
				(void)sipcore_uri_cmp(&na.uri, &msg->uri);
			}
		}
	}
}


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sipcore_msg *msg = NULL;
	struct sa src;
	size_t used;
	int err;

	(void)sa_set_str(&src, "2001:db8::1", 5060);

	err = sipcore_msg_read(&msg, data, size, 0, NULL, &src);
	if (msg)
		views(msg);
	if (!err)
		edit(msg);
	msg = mem_deref(msg);

	while (size && !sipcore_msg_decode(&msg, data, size, &used)) {
		msg = mem_deref(msg);
		data += used;
		size -= used;
	}
	mem_deref(msg);

	return 0;
}
