/**
 * @file roles/pbx/channel.c  One leg of a call: its CDR, its events
 */
#include <string.h>
#include <re.h>
#include "log/log.h"
#include "worker/worker.h"
#include "cfg/cfg.h"
#include "bus/bus.h"
#include "role.h"
#include "store/store.h"
#include "cdr/cdr.h"
#include "sdpx/sdpx.h"
#include "sipcore/sipcore.h"
#include "sipua/sipua.h"
#include "internal.h"


enum {
	FWD_MAX = 16,		/* INFO and MESSAGE under way per direction */
};


/** Open the leg's CDR; h runs when it is on disk */
int channel_cdr_open(struct channel *ch, const char *caller,
		     const char *callee, const char *src_ip,
		     const char *dst_ip, cdr_done_h *h, void *arg)
{
	const struct call *call = ch->call;
	struct store_cdr row;
	int err;

	ch->time_us = worker_wallclock_us();

	memset(&row, 0, sizeof(row));
	row.time_us     = ch->time_us;
	row.call_id     = ch->id;
	row.linked_id   = call->sid;
	row.caller      = caller;
	row.callee      = callee;
	row.disposition = "";
	row.codec       = "";
	row.src_ip      = src_ip;
	row.dst_ip      = dst_ip;
	row.hangup      = "";
	row.node        = call->ag->pbx->env->node;

	err = cdr_open(&ch->cdr, call->ag->pbx->writer, &row, h, arg);
	if (!err) {
		event_channel(ch, "new");
		event_call(ch, BUS_CALL_START);
	}

	return err;
}


/* The first codec of the first audio line: what an answer has settled on */
static void codec_get(char *buf, size_t size, const struct pl *body)
{
	const struct sdpx_media *m;
	struct sdpx_codec codec;
	struct sdpx sdp;

	buf[0] = '\0';
	if (!body->l || sdpx_decode(&sdp, body->p, body->l))
		return;

	m = sdpx_find(&sdp, "audio");
	if (m && sdpx_codecs(m, &codec, 1))
		(void)pl_strcpy(&codec.name, buf, size);
}


/** The leg was answered; sdp: the answer, or what is known */
void channel_answered(struct channel *ch, const struct pl *sdp)
{
	char codec[32];

	ch->answer_us = worker_wallclock_us();
	ch->code = 200;
	codec_get(codec, sizeof(codec), sdp);
	if (!ch->cdr)
		return;

	(void)cdr_set(ch->cdr, codec[0] ? codec : NULL, NULL);
	(void)cdr_answer(ch->cdr, ch->answer_us);
	event_channel(ch, "up");
	event_call(ch, BUS_CALL_ANSWER);
}


/** Close the leg's CDR; h runs when that is on disk, or not at all if there
    is nothing to close */
void channel_cdr_close(struct channel *ch, const struct chan_end *end,
		       cdr_done_h *h, void *arg)
{
	const uint16_t code = ch->answer_us ? 200 : end->code;
	struct call *call = ch->call;

	if (!ch->cdr)
		return;

	++call->cdr_wait;
	if (cdr_close(ch->cdr, worker_wallclock_us(), NULL, code,
		      end->hangup, h, arg))
		--call->cdr_wait;

	event_channel(ch, "end");
	event_call(ch, BUS_CALL_END);

	log_info(call->sid, "leg ended",
		 "call=%s leg=%s call_id=\"%s\" code=%u by=%s "
		 "disposition=\"%s\"", call->id, ch->caller ? "a" : "b",
		 ch->id, code, end->hangup, cdr_row(ch->cdr)->disposition);
}


/* INFO and MESSAGE ---------------------------------------------------------*/

static void fwd_destructor(void *arg)
{
	struct chan_fwd *f = arg;

	list_unlink(&f->le);
	if (f->st)
		(void)sipcore_reply(f->st, 487, sipcore_reason(487), NULL);
	mem_deref(f->ct);
	mem_deref(f->st);
}


static void fwd_response(int err, struct sipcore_msg *msg, void *arg)
{
	struct chan_fwd *f = arg;

	if (!err && msg && msg->scode < 200)
		return;

	if (err || !msg)
		(void)sipcore_reply(f->st, 408, sipcore_reason(408), NULL);
	else if (msg->body.l && pl_isset(&msg->ctype))
		(void)sipcore_reply(f->st, msg->scode,
				    sipcore_reason(msg->scode),
				    "Content-Type: %r\r\n"
				    "Content-Length: %zu\r\n\r\n%r",
				    &msg->ctype, msg->body.l, &msg->body);
	else
		(void)sipcore_reply(f->st, msg->scode,
				    sipcore_reason(msg->scode), NULL);

	f->st = mem_deref(f->st);
	mem_deref(f);
}


/* RFC 6086 8: what says how an INFO's body is meant */
static int fwd_headers(char **strp, const struct sipcore_msg *msg)
{
	static const char *const namev[] = {
		"Info-Package", "Content-Disposition", "Content-Encoding",
		"Content-Language",
	};
	const struct sipcore_hdr *hdr;
	struct mbuf *mb;
	int err = 0;
	size_t i;

	mb = mbuf_alloc(256);
	if (!mb)
		return ENOMEM;

	for (i = 0; i < ARRAY_SIZE(namev); i++) {
		hdr = sipcore_hdr_name(msg, namev[i], 0);
		if (hdr)
			err |= mbuf_write_pl(mb, &hdr->line);
	}

	mb->pos = 0;
	if (!err)
		err = mbuf_strdup(mb, strp, mb->end);
	mem_deref(mb);

	return err;
}


/** Pass INFO or MESSAGE from one leg to the other, and its response back */
void channel_forward(struct channel *from, struct channel *to,
		     struct sipcore_strans *st,
		     const struct sipcore_msg *msg)
{
	struct sipua_body body = {msg->ctype, msg->body};
	struct chan_fwd *f;
	char *hdrs = NULL;
	int err;

	/* the other leg has been given up, this one waits for its CDR */
	if (sipua_is_ended(to->sess)) {
		(void)sipcore_reply(st, 481, sipcore_reason(481), NULL);
		return;
	}

	if (list_count(&from->fwdl) >= FWD_MAX) {
		(void)sipcore_reply(st, 500, "Too Many Pending",
				    "Retry-After: 1\r\n");
		return;
	}

	f = mem_zalloc(sizeof(*f), fwd_destructor);
	if (!f) {
		(void)sipcore_reply(st, 500, "Out of Memory", NULL);
		return;
	}

	f->st = mem_ref(st);
	list_append(&from->fwdl, &f->le, f);

	err = fwd_headers(&hdrs, msg);
	if (!err)
		err = sipua_request(to->sess, &f->ct, msg->method, hdrs,
				    &body, fwd_response, f);
	if (err)
		mem_deref(f);
	mem_deref(hdrs);
}


/** What is left of a leg; its session without a word if it still lives */
void channel_close(struct channel *ch)
{
	list_flush(&ch->fwdl);
	ch->probe = mem_deref(ch->probe);
	ch->sess = sipua_hangup(ch->sess, 0, NULL, NULL);
	ch->cdr = mem_deref(ch->cdr);
}
