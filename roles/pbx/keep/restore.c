/**
 * @file roles/pbx/keep/restore.c  Calls of a dead process are taken up again
 *
 *   worker 0: list rows -> offer open CDRs to them (cdr_recover)
 *   each worker: sessions from bytes, CDRs resumed, then SIP is served
 *
 * A call lives if a CDR of it is open.  Other rows are dropped, other open
 * CDRs closed.  All calls are asked by OPTIONS now and then whether they
 * live, restored ones soon.
 */
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <time.h>
#include <re.h>
#include "log/log.h"
#include "metric/metric.h"
#include "worker/worker.h"
#include "cfg/cfg.h"
#include "bus/bus.h"
#include "role.h"
#include "store/store.h"
#include "cdr/cdr.h"
#include "sipcore/sipcore.h"
#include "sipua/sipua.h"
#include "pbx/internal.h"


enum {
	PROBE_FIRST  = 5000,	/* ms, within which all are asked first */
	LIST_WAIT    = 30000,
	START_WAIT   = 60,	/* s */
};


/* Probes -------------------------------------------------------------------*/

/* RFC 3261 12.2.1.2: 481, 408 and silence end the dialog */
static void probe_response(int err, struct sipcore_msg *msg, void *arg)
{
	static const struct chan_end gone = {"gone", 200};
	struct call *call = arg;

	if (!err && msg && msg->scode < 200)
		return;
	if (!err && msg && msg->scode != 481 && msg->scode != 408)
		return;

	log_info(call->sid, "far end is gone, call ends",
		 "call=%s code=%u err=%m", call->id, msg ? msg->scode : 0,
		 err);
	call_end(call, &gone, &gone);
}


static void probe_timeout(void *arg)
{
	struct call *call = arg;

	tmr_start(&call->tmr_probe, call->ag->conf.sec->probe_interval,
		  probe_timeout, call);
	call->a.probe = mem_deref(call->a.probe);
	call->b.probe = mem_deref(call->b.probe);
	(void)sipua_request(call->a.sess, &call->a.probe, SIPCORE_OPTIONS,
			    NULL, NULL, probe_response, call);
	if (call->bridged)
		(void)sipua_request(call->b.sess, &call->b.probe,
				    SIPCORE_OPTIONS, NULL, NULL,
				    probe_response, call);
}


/** Ask from time to time whether both far ends live; soon: one that was
    restored.  At random, so that many are not asked at once */
void restore_probe(struct call *call, bool soon)
{
	const uint32_t ms = (uint32_t)call->ag->conf.sec->probe_interval;

	tmr_start(&call->tmr_probe, soon ? 100 + rand_u32() % PROBE_FIRST
		  : ms / 2 + rand_u32() % (ms / 2 + 1), probe_timeout, call);
}


/* Reading ------------------------------------------------------------------*/

/** A row on its way from the store to its worker; crosses as one block */
struct row {
	struct row *next;
	struct agent *ag;		/* whose it is */
	uint64_t time_a, answer_a;	/* of the CDRs; 0: not open */
	uint64_t time_b, answer_b;
	char id[512];
	char callid_a[CALLID_SIZE], callid_b[CALLID_SIZE];
	char codec[32], src[64], own[64], dst[64], node[128], sid[33];
	uint8_t verdict;
	bool bridged;
	uint16_t port;
	char call[17];
	char caller[NUMBER_SIZE], number[NUMBER_SIZE];
	size_t pos;			/* of the sessions in state */
	size_t size;
	uint8_t state[];
};


static int str_read(struct mbuf *mb, char *buf, size_t size)
{
	size_t n;

	if (mbuf_get_left(mb) < 2)
		return EBADMSG;

	n = ntohs(mbuf_read_u16(mb));
	if (mbuf_get_left(mb) < n || n >= size)
		return EBADMSG;

	(void)mbuf_read_mem(mb, (uint8_t *)buf, n);
	buf[n] = '\0';

	return 0;
}


static int callid_skip(struct mbuf *mb, char *buf, size_t size)
{
	struct pl callid;

	if (sipua_export_callid(mb, &callid)
	    || pl_strcpy(&callid, buf, size))
		return EBADMSG;

	return 0;
}


/* Its head, and both Call-IDs: the worker decodes the sessions */
static int row_decode(struct row *r)
{
	struct mbuf mb = {r->state, r->size, 0, r->size};
	int err;

	if (mbuf_get_left(&mb) < 5 || mbuf_read_u8(&mb) != KEEP_V)
		return EBADMSG;

	r->bridged = mbuf_read_u8(&mb) & KEEP_BRIDGED;
	r->verdict = mbuf_read_u8(&mb);
	r->port = ntohs(mbuf_read_u16(&mb));
	err = str_read(&mb, r->call, sizeof(r->call));
	if (!err)
		err = str_read(&mb, r->caller, sizeof(r->caller));
	if (!err)
		err = str_read(&mb, r->number, sizeof(r->number));
	if (!err)
		err = callid_skip(&mb, r->callid_a, sizeof(r->callid_a));
	if (err)
		return err;

	r->pos = mb.pos;
	if (!r->bridged)
		return 0;

	err = sipua_export_skip(&mb);
	if (!err)
		err = callid_skip(&mb, r->callid_b, sizeof(r->callid_b));

	return err;
}


static struct call *row_call(const struct row *r, struct agent *ag)
{
	struct call *call = NULL;

	if (call_alloc(&call, ag))
		return NULL;

	call->restored = true;
	call->bridged = r->bridged;
	call->dial.verdict = (enum dial_verdict)r->verdict;
	str_ncpy(call->id, r->call, sizeof(call->id));
	str_ncpy(call->sid, r->sid, sizeof(call->sid));
	str_ncpy(call->dial.caller, r->caller, sizeof(call->dial.caller));
	str_ncpy(call->dial.number, r->number, sizeof(call->dial.number));
	str_ncpy(call->a.id, r->callid_a, sizeof(call->a.id));
	str_ncpy(call->b.id, r->callid_b, sizeof(call->b.id));
	call->a.time_us = r->time_a;
	call->a.answer_us = r->answer_a ? r->answer_a : r->time_a;
	call->b.time_us = r->time_b;
	call->b.answer_us = r->answer_b ? r->answer_b : r->time_b;
	call->a.code = call->b.code = 200;

	return call;
}


static int sessions_import(struct call *call, const struct row *r)
{
	struct mbuf mb = {(uint8_t *)(uintptr_t)r->state, r->size, r->pos,
			  r->size};
	struct agent *ag = call->ag;
	int err;

	err = sipua_import(&call->a.sess, ag->ua, &mb, r->bridged ?
			   &bridge_a_handlers : &play_handlers, call);
	if (!err && r->bridged)
		err = sipua_import(&call->b.sess, ag->ua, &mb,
				   &bridge_b_handlers, call);
	if (!err && !r->bridged)
		err = play_restore(call, r->port);

	return err;
}


static int cdr_take(struct channel *ch, const struct row *r)
{
	struct store_cdr row;

	memset(&row, 0, sizeof(row));
	row.time_us = ch->time_us;
	row.call_id = ch->id;
	row.linked_id = r->sid;
	row.caller = r->caller;
	row.callee = r->number;
	row.answer_us = ch->answer_us;
	row.disposition = "";
	row.codec = r->codec;
	row.src_ip = ch->caller ? r->src : r->own;
	row.dst_ip = ch->caller ? r->own : r->dst;
	row.hangup = "";
	row.node = r->node;

	return cdr_resume(&ch->cdr, ch->call->ag->pbx->writer, &row);
}


/* On the worker: the call again.  What cannot be taken up has its CDRs closed
   and its legs hung up, as far as they are known */
static void row_restore(struct agent *ag, const struct row *r)
{
	static const struct chan_end crash = {"crash", 200};
	struct call *call = row_call(r, ag);
	int err;

	if (!call)
		return;

	err = str_dup(&call->keep_id, r->id);
	if (r->time_a)
		err |= cdr_take(&call->a, r);
	if (r->time_b)
		err |= cdr_take(&call->b, r);
	if (!err)
		err = sessions_import(call, r);
	if (!err && !r->time_a)
		err = ESTALE;		/* it was ending already */

	call->state = CALL_UP;
	if (err) {
		log_warn(call->sid, "call is lost", "call=%s err=%m",
			 call->id, err);
		call_end(call, &crash, &crash);
		return;
	}

	metric_inc(&show_restored);
	log_info(call->sid, "call restored", "call=%s caller=\"%s\" "
		 "callee=\"%s\"", call->id, call->dial.caller,
		 call->dial.number);
	call_max_duration(call);
	restore_probe(call, true);
}


/* The restore of a process, on worker 0 ------------------------------------*/

struct restore {
	struct pbx *pbx;
	struct row *rows;		/* all, then those that live */
	int err;
	const char *what;
	bool done;
	pthread_mutex_t lock;
	pthread_cond_t cond;
	unsigned left;			/* workers that do not serve yet */
};


static void finish(struct restore *rs, int err, const char *what)
{
	pthread_mutex_lock(&rs->lock);
	if (err && !rs->err) {
		rs->err = err;
		rs->what = what;
	}
	rs->done = true;
	pthread_cond_signal(&rs->cond);
	pthread_mutex_unlock(&rs->lock);
}


/** What each worker gets: its rows, then it serves */
struct serve {
	struct restore *rs;
	struct agent *ag;
	struct row *rows;
};


static void serve_handler(void *arg)
{
	struct serve *sv = arg;
	struct restore *rs = sv->rs;
	unsigned left;
	int err;

	err = agent_serve(sv->ag);
	while (sv->rows) {
		struct row *r = sv->rows;

		sv->rows = r->next;
		if (!err)
			row_restore(sv->ag, r);
		mem_deref(r);
	}
	mem_deref(sv);

	pthread_mutex_lock(&rs->lock);
	if (err && !rs->err) {
		rs->err = err;
		rs->what = "SIP on a worker";
	}
	left = --rs->left;
	pthread_mutex_unlock(&rs->lock);

	if (!left)
		finish(rs, 0, NULL);
}


/* Rows of this worker: its own Call-ID decides */
static struct row *rows_take(struct restore *rs, const struct agent *ag)
{
	struct row **rp = &rs->rows, *mine = NULL;

	while (*rp) {
		struct row *r = *rp;

		if (r->ag != ag) {
			rp = &r->next;
			continue;
		}
		*rp = r->next;
		r->next = mine;
		mine = r;
	}

	return mine;
}


static void serve_all(struct restore *rs)
{
	struct pbx *pbx = rs->pbx;
	unsigned i;

	rs->left = pbx->agentc;
	for (i = 0; i < pbx->agentc; i++) {
		struct serve *sv = mem_zalloc(sizeof(*sv), NULL);

		if (!sv) {
			finish(rs, ENOMEM, "memory");
			return;
		}
		sv->rs = rs;
		sv->ag = pbx->agentv[i];
		sv->rows = rows_take(rs, sv->ag);
		if (worker_post(pbx->env->workerv[i], serve_handler, sv)) {
			mem_deref(sv);
			finish(rs, ECANCELED, "worker");
			return;
		}
	}
}


/* Rows without an open CDR: calls that ended, only their removal was lost */
static void rows_drop_dead(struct restore *rs)
{
	struct row **rp = &rs->rows;

	while (*rp) {
		struct row *r = *rp;

		if (r->time_a || r->time_b) {
			rp = &r->next;
			continue;
		}
		*rp = r->next;
		(void)store_dialog_del(rs->pbx->dialogs, NULL, DEADLINE,
				       r->id, keep_gone_handler, NULL);
		mem_deref(r);
	}
}


static void recovered_handler(int err, unsigned closed, void *arg)
{
	struct restore *rs = arg;

	if (closed)
		log_info(NULL, "CDRs of calls in setup closed", "n=%u",
			 closed);
	if (err) {
		finish(rs, err, "open CDRs");
		return;
	}

	rows_drop_dead(rs);
	serve_all(rs);
}


static void cdr_keep_a(struct row *r, const struct store_cdr *c)
{
	r->time_a = c->time_us;
	r->answer_a = c->answer_us;
	str_ncpy(r->codec, c->codec ? c->codec : "", sizeof(r->codec));
	str_ncpy(r->src, c->src_ip ? c->src_ip : "", sizeof(r->src));
	str_ncpy(r->own, c->dst_ip ? c->dst_ip : "", sizeof(r->own));
}


static void cdr_keep_b(struct row *r, const struct store_cdr *c)
{
	r->time_b = c->time_us;
	r->answer_b = c->answer_us;
	str_ncpy(r->dst, c->dst_ip ? c->dst_ip : "", sizeof(r->dst));
}


static void cdr_keep_any(struct row *r, const struct store_cdr *c)
{
	str_ncpy(r->node, c->node ? c->node : "", sizeof(r->node));
	str_ncpy(r->sid, c->linked_id ? c->linked_id : "", sizeof(r->sid));
}


static bool live_handler(const struct store_cdr *c, void *arg)
{
	struct restore *rs = arg;
	struct row *r;

	for (r = rs->rows; r; r = r->next) {

		if (!r->time_a && !str_cmp(r->callid_a, c->call_id))
			cdr_keep_a(r, c);
		else if (!r->time_b && r->bridged
			 && !str_cmp(r->callid_b, c->call_id))
			cdr_keep_b(r, c);
		else
			continue;

		cdr_keep_any(r, c);
		return true;
	}

	return false;
}


static void listed_handler(int err, void *arg)
{
	struct restore *rs = arg;

	if (!err)
		err = cdr_recover(rs->pbx->writer, live_handler,
				  recovered_handler, rs);
	if (err)
		finish(rs, err, "stored calls");
}


static bool row_handler(const struct store_dialog *d, void *arg)
{
	struct restore *rs = arg;
	struct pbx *pbx = rs->pbx;
	struct row *r;
	struct pl pl;

	r = mem_zalloc(sizeof(*r) + d->size, NULL);
	if (!r)
		return false;

	str_ncpy(r->id, d->id, sizeof(r->id));
	memcpy(r->state, d->state, d->size);
	r->size = d->size;
	if (row_decode(r)) {
		log_warn(d->linked_id, "stored call is damaged, removed",
			 "id=\"%s\"", d->id);
		(void)store_dialog_del(pbx->dialogs, NULL, DEADLINE, d->id,
				       keep_gone_handler, NULL);
		mem_deref(r);
		return false;
	}

	pl_set_str(&pl, r->callid_a);
	r->ag = pbx->agentv[sipcore_owner(pbx->net, &pl)];
	r->next = rs->rows;
	rs->rows = r;

	return false;
}


static void restore_handler(void *arg)
{
	struct restore *rs = arg;
	int err;

	err = store_dialog_list(rs->pbx->dialogs, NULL, LIST_WAIT,
				row_handler, listed_handler, rs);
	if (err)
		finish(rs, err, "stored calls");
}


static int restore_wait(struct restore *rs)
{
	struct timespec ts;
	int err = 0;

	(void)clock_gettime(CLOCK_REALTIME, &ts);
	ts.tv_sec += START_WAIT;

	pthread_mutex_lock(&rs->lock);
	while (!rs->done && !err)
		err = pthread_cond_timedwait(&rs->cond, &rs->lock, &ts);
	if (!err)
		err = rs->err;
	pthread_mutex_unlock(&rs->lock);

	return err;
}


/**
 * Take up what an earlier process left, then serve on each worker.  Blocks;
 * on the control thread, before the loop.
 */
int restore_start(struct pbx *pbx, char *why, size_t whysz)
{
	static struct restore rs;	/* a late worker may still use it */
	int err;

	memset(&rs, 0, sizeof(rs));
	rs.pbx = pbx;
	(void)pthread_mutex_init(&rs.lock, NULL);
	(void)pthread_cond_init(&rs.cond, NULL);

	err = worker_post(pbx->env->workerv[0], restore_handler, &rs);
	if (!err)
		err = restore_wait(&rs);
	if (err)
		(void)re_snprintf(why, whysz, "pbx: %s: %m",
				  rs.what ? rs.what : "restore", err);

	while (rs.rows) {
		struct row *r = rs.rows;

		rs.rows = r->next;
		mem_deref(r);
	}

	return err;
}
