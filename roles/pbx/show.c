/**
 * @file roles/pbx/show.c  What a person asks over the control socket
 *
 * A command is posted to each worker; what they answer comes back as blocks
 * of values, and the last one completes the reply on the control loop.
 */
#include <string.h>
#include <re.h>
#include "log/log.h"
#include "metric/metric.h"
#include "worker/worker.h"
#include "cfg/cfg.h"
#include "ctl/ctl.h"
#include "role.h"
#include "store/store.h"
#include "cdr/cdr.h"
#include "sipcore/sipcore.h"
#include "sipua/sipua.h"
#include "internal.h"


enum {
	ROWS_MAX = 10000,	/* of a worker, in one reply */
};

struct metric show_calls = METRIC_INIT(GAUGE, "pbx_calls",
	"Calls now, with those that are ending");
struct metric show_calls_total = METRIC_INIT(COUNTER, "pbx_calls_total",
	"INVITEs taken since the start");
struct metric show_refused = METRIC_INIT(COUNTER, "pbx_refused_total",
	"Requests of strangers refused");
struct metric show_restored = METRIC_INIT(COUNTER, "pbx_restored_total",
	"Calls taken over from a dead process");
struct metric show_play = METRIC_INIT(GAUGE, "pbx_rtp_endpoints",
	"RTP endpoints of the PBX itself (echo, milliwatt)");


void show_init(void)
{
	metric_register(&show_calls);
	metric_register(&show_calls_total);
	metric_register(&show_refused);
	metric_register(&show_restored);
	metric_register(&show_play);
}


static int add_int(struct odict *od, const char *key, uint64_t val)
{
	return odict_entry_add(od, key, ODICT_INT, (int64_t)val);
}


static int add_metric(struct odict *od, const char *key,
		      const struct metric *m)
{
	return odict_entry_add(od, key, ODICT_INT, metric_get(m));
}


/** Figures for "ctl status" */
int show_status(void *state, struct odict *od)
{
	const struct pbx *pbx = state;
	int err;

	err  = add_int(od, "calls", pbx->calls);
	err |= add_metric(od, "calls_total", &show_calls_total);
	err |= add_metric(od, "refused", &show_refused);
	err |= add_metric(od, "restored", &show_restored);
	err |= add_metric(od, "rtp_endpoints", &show_play);
	err |= odict_entry_add(od, "draining", ODICT_BOOL,
			       (int)pbx->draining);

	return err ? ENOMEM : 0;
}


/* A question to all workers ------------------------------------------------*/

/** What is known of a call; a value */
struct show_row {
	char call[17];
	char sid[33];
	char caller[NUMBER_SIZE];
	char callee[NUMBER_SIZE];
	char call_id_a[CALLID_SIZE];
	char call_id_b[CALLID_SIZE];
	const char *state;
	const char *verdict;
	uint64_t duration;
	bool bridged;
};

/** The question; the control loop's */
struct ask {
	struct ctl_req *req;
	struct odict *rows;
	unsigned left;
	unsigned found;
	bool hangup;
	char name[CALLID_SIZE];		/* hangup: which */
};

/** To a worker, and back with its rows */
struct part {
	struct ask *ask;
	struct worker *control;
	struct agent *ag;
	bool hangup;
	char name[CALLID_SIZE];
	unsigned found;
	size_t n;
	struct show_row *rowv;
};


static void part_destructor(void *arg)
{
	struct part *p = arg;
	mem_deref(p->rowv);
}


static void ask_destructor(void *arg)
{
	struct ask *ask = arg;
	mem_deref(ask->rows);
}


static int row_add(struct odict *rows, unsigned idx, const struct show_row *r)
{
	struct odict *od;
	char key[16];
	int err;

	err = odict_alloc(&od, 16);
	if (err)
		return err;

	(void)re_snprintf(key, sizeof(key), "%u", idx);
	err |= odict_entry_add(od, "call", ODICT_STRING, r->call);
	err |= odict_entry_add(od, "caller", ODICT_STRING, r->caller);
	err |= odict_entry_add(od, "callee", ODICT_STRING, r->callee);
	err |= odict_entry_add(od, "state", ODICT_STRING, r->state);
	err |= add_int(od, "seconds", r->duration);
	err |= odict_entry_add(od, "kind", ODICT_STRING, r->verdict);
	err |= add_int(od, "channels", r->bridged ? 2 : 1);
	err |= odict_entry_add(od, "session_id", ODICT_STRING, r->sid);
	err |= odict_entry_add(od, "call_id", ODICT_STRING, r->call_id_a);
	err |= odict_entry_add(od, "call_id_b", ODICT_STRING, r->call_id_b);
	err |= odict_entry_add(rows, key, ODICT_OBJECT, od);

	mem_deref(od);
	return err;
}


static void reply(struct ask *ask)
{
	struct odict *od = NULL;
	int err;

	if (ask->hangup && !ask->found) {
		ctl_fail(ask->req, ENOENT, "no such call: %s; \"calls\" "
			 "lists them", ask->name);
		mem_deref(ask);
		return;
	}

	err = odict_alloc(&od, 4);
	if (!err && ask->hangup)
		err = add_int(od, "ended", ask->found);
	else if (!err)
		err = odict_entry_add(od, "calls", ODICT_ARRAY, ask->rows);

	if (err)
		ctl_fail(ask->req, ENOMEM, "out of memory");
	else
		ctl_reply(ask->req, od);

	mem_deref(od);
	mem_deref(ask);
}


static void part_back(void *arg)
{
	struct part *p = arg;
	struct ask *ask = p->ask;
	size_t i;

	if (!role_is_open()) {		/* nobody waits any more */
		mem_deref(p);
		if (--ask->left == 0)
			mem_deref(ask);
		return;
	}

	for (i = 0; i < p->n && ask->rows; i++)
		(void)row_add(ask->rows, ask->found + (unsigned)i,
			      &p->rowv[i]);
	ask->found += (unsigned)p->n + p->found;
	mem_deref(p);

	if (--ask->left == 0)
		reply(ask);
}


static void row_fill(struct show_row *r, const struct call *call)
{
	str_ncpy(r->call, call->id, sizeof(r->call));
	str_ncpy(r->sid, call->sid, sizeof(r->sid));
	str_ncpy(r->caller, call->dial.caller, sizeof(r->caller));
	str_ncpy(r->callee, call->dial.number, sizeof(r->callee));
	str_ncpy(r->call_id_a, call->a.id, sizeof(r->call_id_a));
	str_ncpy(r->call_id_b, call->b.id, sizeof(r->call_id_b));
	r->state = call_state_name(call->state);
	r->verdict = dialplan_verdict_name(call->dial.verdict);
	r->duration = call_duration(call);
	r->bridged = call->bridged;
}


static void rows_fill(struct part *p)
{
	const size_t max = min(list_count(&p->ag->calls), (uint32_t)ROWS_MAX);
	struct le *le;

	p->rowv = mem_zalloc((max + 1) * sizeof(*p->rowv), NULL);
	if (!p->rowv)
		return;

	for (le = p->ag->calls.head; le && p->n < max; le = le->next)
		row_fill(&p->rowv[p->n++], le->data);
}


static bool is_named(const struct call *call, const char *name)
{
	return !str_cmp(call->id, name) || !str_cmp(call->sid, name)
		|| !str_cmp(call->a.id, name) || !str_cmp(call->b.id, name);
}


static void calls_end(struct part *p)
{
	static const struct chan_end end = {"operator", 480};
	struct le *le = p->ag->calls.head;

	while (le) {
		struct call *call = le->data;

		le = le->next;
		if (!is_named(call, p->name) || call->state == CALL_ENDING)
			continue;

		log_info(call->sid, "hangup", "call=%s by=operator",
			 call->id);
		if (call->state == CALL_UP)
			call_end(call, &end, &end);
		else
			call_fail(call, 480, NULL, NULL, "operator");
		++p->found;
	}
}


static void part_handler(void *arg)
{
	struct part *p = arg;

	if (p->hangup)
		calls_end(p);
	else
		rows_fill(p);

	if (worker_post(p->control, part_back, p))
		mem_deref(p);
}


static bool part_send(struct ask *ask, struct pbx *pbx, unsigned i)
{
	struct part *p = mem_zalloc(sizeof(*p), part_destructor);

	if (!p)
		return false;

	p->ask = ask;
	p->control = pbx->env->control;
	p->ag = pbx->agentv[i];
	p->hangup = ask->hangup;
	str_ncpy(p->name, ask->name, sizeof(p->name));
	if (worker_post(pbx->env->workerv[i], part_handler, p)) {
		mem_deref(p);
		return false;
	}

	return true;
}


static void ask_all(struct pbx *pbx, struct ctl_req *req, const char *name)
{
	struct ask *ask = mem_zalloc(sizeof(*ask), ask_destructor);
	unsigned i;

	if (!ask || odict_alloc(&ask->rows, 64)) {
		mem_deref(ask);
		ctl_fail(req, ENOMEM, "out of memory");
		return;
	}

	ask->req = req;
	ask->left = 1;
	if (name) {
		ask->hangup = true;
		str_ncpy(ask->name, name, sizeof(ask->name));
	}

	for (i = 0; i < pbx->agentc; i++) {
		if (part_send(ask, pbx, i))
			++ask->left;
	}

	if (--ask->left == 0)
		reply(ask);
}


static void calls_handler(struct ctl_req *req, int argc,
			  const char *const *argv, void *arg)
{
	(void)argc;
	(void)argv;
	ask_all(arg, req, NULL);
}


static void hangup_handler(struct ctl_req *req, int argc,
			   const char *const *argv, void *arg)
{
	if (argc != 1) {
		ctl_fail(req, EINVAL, "hangup CALL: one argument, a call, "
			 "Session-ID or Call-ID that \"calls\" shows");
		return;
	}

	ask_all(arg, req, argv[0]);
}


/* Writer and stores lock for themselves */
static void cdr_handler(struct ctl_req *req, int argc,
			const char *const *argv, void *arg)
{
	const struct pbx *pbx = arg;
	struct odict *od = NULL;
	char *text = NULL;
	int err;
	(void)argc;
	(void)argv;

	err = odict_alloc(&od, 4);
	if (!err)
		err = re_sdprintf(&text, "%H", cdr_writer_debug,
				  pbx->writer);
	if (!err)
		err = odict_entry_add(od, "cdr", ODICT_STRING, text);

	if (err)
		ctl_fail(req, err, "out of memory");
	else
		ctl_reply(req, od);

	mem_deref(text);
	mem_deref(od);
}


const struct ctl_cmd show_cmdv[SHOW_CMDC] = {
	{"calls", "", "Calls now: parties, state, seconds, identities",
	 calls_handler},
	{"hangup", "CALL", "End a call (call, Session-ID or Call-ID)",
	 hangup_handler},
	{"cdr-writer", "", "Rows written, in the spool, waiting",
	 cdr_handler},
};
