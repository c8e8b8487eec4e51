/**
 * @file cdr/writer.c  CDRs on their way to the disk
 *
 *   caller -> put -> [clean]   -> store -----------> done
 *                 -> [backlog] -> see backlog.c ---> done
 *
 * All of it but put and done happens on the writer's own thread.  When a row
 * fails, those that were handed to the store behind it are spooled too, so
 * that the order of two rows of one leg is never turned round.
 */

#include <errno.h>
#include <string.h>
#include <re.h>
#include "metric/metric.h"
#include "worker/worker.h"
#include "bus/bus.h"
#include "bus/bus_event.h"
#include "store/store.h"
#include "cdr/cdr.h"
#include "cdr/internal.h"


enum {
	STORE_DEADLINE = 2000,	/* [ms] then the row goes to the spool */
	ALIVE_INTERVAL = 2000,	/* [ms] between two stamps             */
};

static struct metric metricv[CDR_METRIC_MAX] = {
	METRIC_INIT(COUNTER, "cdr_written_total", "CDR rows in the store"),
	METRIC_INIT(COUNTER, "cdr_spooled_total",
		    "CDR rows that the store did not take at first"),
	METRIC_INIT(COUNTER, "cdr_dropped_total", "CDR rows lost"),
	METRIC_INIT(GAUGE, "cdr_waiting",
		    "CDR rows that wait for the store"),
};

/** A state handler on its way to the writer's thread */
struct state {
	struct cdr_writer *w;
	cdr_state_h *h;
	void *arg;
	struct worker *wk;
};

struct sub {
	struct le le;
	struct bus_sub *startp, *answerp, *endp;
};


/** Count a row, in the writer and among the process's metrics */
void cdr_count(struct cdr_writer *w, enum cdr_counter which)
{
	atomic_fetch_add(&w->countv[which], 1);
	metric_inc(&metricv[which]);
}


/** So many rows wait for the store */
void cdr_waiting(struct cdr_writer *w, unsigned n)
{
	atomic_store(&w->waiting, n);
	metric_set(&metricv[CDR_WAITING], n);
}


static void job_destructor(void *data)
{
	struct cdr_job *job = data;

	list_unlink(&job->le);
	mem_deref(job->req);
	mem_deref(job->row);
}


int cdr_job_alloc(struct cdr_job **jobp, struct cdr_writer *w)
{
	struct cdr_job *job;

	job = mem_zalloc(sizeof(*job), job_destructor);
	if (!job)
		return ENOMEM;

	job->w = w;
	*jobp = job;

	return 0;
}


static void waiter_destructor(void *data)
{
	struct cdr_waiter *wt = data;

	list_unlink(&wt->le);
}


/** Who waits for the job; he is in the list waiters until it is done */
int cdr_job_waiter(struct cdr_job *job, struct list *waiters,
		   cdr_done_h *h, void *arg)
{
	struct cdr_waiter *wt;

	job->from = worker_self();
	if (!job->from)
		return EINVAL;

	wt = mem_zalloc(sizeof(*wt), waiter_destructor);
	if (!wt)
		return ENOMEM;

	wt->h   = h;
	wt->arg = arg;
	if (waiters)
		list_append(waiters, &wt->le, wt);
	job->waiter = wt;

	return 0;
}


/* On the caller's thread */
static void reply_handler(void *arg)
{
	struct cdr_job *job = arg;
	struct cdr_waiter *wt = job->waiter;
	cdr_done_h *h = wt->h;
	void *harg = wt->arg;
	const int err = job->err;

	mem_deref(wt);
	mem_deref(job);

	if (h)
		h(err, harg);
}


/** The job is done with: tell its caller */
void cdr_job_reply(struct cdr_job *job, int err)
{
	list_unlink(&job->le);
	job->err = err;

	if (!job->waiter) {
		mem_deref(job);
		return;
	}

	/* short of memory: a handler runs all the same */
	while ((err = worker_post(job->from, reply_handler, job)) &&
	       err != ECANCELED)
		sys_msleep(1);

	/* its loop has ended, and with it whoever waited */
	if (err)
		mem_deref(job);
}


static void store_handler(int err, void *arg)
{
	struct cdr_job *job = arg;
	struct cdr_writer *w = job->w;
	struct le *le;

	if (err) {
		for (le = job->le.next; le; le = le->next)
			((struct cdr_job *)le->data)->respool = true;
		cdr_backlog_begin(w, err);
	}
	else
		cdr_count(w, CDR_WRITTEN);

	if (err || job->respool)
		cdr_backlog_put(w, job);
	else
		cdr_job_reply(job, 0);
}


/* A row arrives on the writer's thread */
static void put_handler(void *arg)
{
	struct cdr_job *job = arg;
	struct cdr_writer *w = job->w;
	int err;

	if (w->backlog) {
		cdr_backlog_put(w, job);
		return;
	}

	list_append(&w->storel, &job->le, job);
	err = store_cdr_put(w->st, &job->req, STORE_DEADLINE, job->row,
			    store_handler, job);
	if (err)
		store_handler(err, job);
}


/**
 * Have a row written
 *
 * @param w       Writer
 * @param row     Row, copied
 * @param waiters Where the handler waits, or NULL
 * @param h       Handler, or NULL: nobody waits
 * @param arg     Handler argument
 *
 * @return 0 if success, otherwise errorcode
 */
int cdr_writer_put(struct cdr_writer *w, const struct store_cdr *row,
		   struct list *waiters, cdr_done_h *h, void *arg)
{
	struct store_cdr copy = *row;
	struct cdr_job *job;
	int err;

	if (!row->time_us || !str_isset(row->call_id))
		return EINVAL;

	if (!str_isset(copy.node))
		copy.node = w->node;

	err = cdr_job_alloc(&job, w);
	if (err)
		return err;

	err = store_cdr_dup(&job->row, &copy);
	if (!err && h)
		err = cdr_job_waiter(job, waiters, h, arg);
	if (!err)
		err = worker_post(w->wk, put_handler, job);
	if (err) {
		mem_deref(job->waiter);
		mem_deref(job);
	}

	return err;
}


static void alive_handler(void *arg)
{
	struct cdr_writer *w = arg;

	cdr_spool_alive(w->spool);
	tmr_start(&w->alive_tmr, ALIVE_INTERVAL, alive_handler, w);
}


static int thread_start(void *arg)
{
	struct cdr_writer *w = arg;

	tmr_init(&w->sync_tmr);
	tmr_init(&w->alive_tmr);
	tmr_init(&w->drain.tmr);
	alive_handler(w);
	if (cdr_spool_count(w->spool)) {
		w->backlog = true;
		cdr_waiting(w, cdr_spool_count(w->spool));
		tmr_start(&w->drain.tmr, 0, cdr_backlog_drain, w);
	}

	return 0;
}


static void thread_stop(void *arg)
{
	struct cdr_writer *w = arg;

	tmr_cancel(&w->alive_tmr);
	cdr_backlog_stop(w);
}


static void sub_destructor(void *data)
{
	struct sub *sub = data;

	list_unlink(&sub->le);
	mem_deref(sub->startp);
	mem_deref(sub->answerp);
	mem_deref(sub->endp);
}


static void writer_destructor(void *data)
{
	struct cdr_writer *w = data;

	list_flush(&w->subl);
	mem_deref(w->wk);
	mem_deref(w->spool);
	mem_deref(w->node);
}


int cdr_writer_alloc(struct cdr_writer **wp, struct store *st,
		     const char *dir, const char *node)
{
	struct cdr_writer *w;
	char path[1024];
	size_t i;
	int err;

	if (!wp || !st || !dir)
		return EINVAL;

	for (i=0; i<CDR_METRIC_MAX; i++)
		metric_register(&metricv[i]);

	if (re_snprintf(path, sizeof(path), "%s/cdr.spool", dir) < 0)
		return ENAMETOOLONG;

	w = mem_zalloc(sizeof(*w), writer_destructor);
	if (!w)
		return ENOMEM;

	w->st = st;
	err = str_dup(&w->node, node ? node : "");
	if (!err)
		err = cdr_spool_open(&w->spool, path, CDR_SPOOL_SIZE,
				     &w->alive_us);
	if (!err)
		err = worker_alloc(&w->wk, "cdr", 0, thread_start,
				   thread_stop, w);
	if (err)
		mem_deref(w);
	else
		*wp = w;

	return err;
}


/* On the writer's thread, which alone reads these */
static void state_handler(void *arg)
{
	struct state *state = arg;
	struct cdr_writer *w = state->w;

	w->stateh   = state->h;
	w->statearg = state->arg;
	w->statewk  = state->wk;
	mem_deref(state);
}


int cdr_writer_state_handler(struct cdr_writer *w, cdr_state_h *h, void *arg)
{
	struct state *state;
	int err;

	if (!w || !h || !worker_self())
		return EINVAL;

	state = mem_zalloc(sizeof(*state), NULL);
	if (!state)
		return ENOMEM;

	state->w   = w;
	state->h   = h;
	state->arg = arg;
	state->wk  = worker_self();

	err = worker_post(w->wk, state_handler, state);
	if (err)
		mem_deref(state);

	return err;
}


static void call_handler(enum bus_kind kind, const void *ev, void *arg)
{
	const struct bus_call *c = ev;
	const struct store_cdr row = {
		.time_us = c->time_us, .call_id = c->call_id,
		.linked_id = c->linked_id, .caller = c->caller,
		.callee = c->callee, .answer_us = c->answer_us,
		.end_us = c->end_us, .disposition = c->disposition,
		.sip_code = c->sip_code, .codec = c->codec,
		.src_ip = c->src_ip, .dst_ip = c->dst_ip,
		.hangup = c->hangup, .node = c->node,
	};
	struct cdr_writer *w = arg;
	(void)kind;

	if (cdr_writer_put(w, &row, NULL, NULL, NULL))
		cdr_count(w, CDR_DROPPED);
}


int cdr_writer_subscribe(struct cdr_writer *w, struct bus *bus)
{
	struct sub *sub;
	int err;

	if (!w || !bus)
		return EINVAL;

	sub = mem_zalloc(sizeof(*sub), sub_destructor);
	if (!sub)
		return ENOMEM;

	list_append(&w->subl, &sub->le, sub);
	err = bus_subscribe(&sub->startp, bus, BUS_CALL_START,
			    call_handler, w);
	if (!err)
		err = bus_subscribe(&sub->answerp, bus, BUS_CALL_ANSWER,
				    call_handler, w);
	if (!err)
		err = bus_subscribe(&sub->endp, bus, BUS_CALL_END,
				    call_handler, w);
	if (err)
		mem_deref(sub);

	return err;
}


int cdr_writer_debug(struct re_printf *pf, const struct cdr_writer *w)
{
	if (!w)
		return 0;

	return re_hprintf(pf, "written=%llu spooled=%llu waiting=%u"
			  " dropped=%llu failures=%llu last_error=%m",
			  atomic_load(&w->countv[CDR_WRITTEN]),
			  atomic_load(&w->countv[CDR_SPOOLED]),
			  atomic_load(&w->waiting),
			  atomic_load(&w->countv[CDR_DROPPED]),
			  atomic_load(&w->failures),
			  atomic_load(&w->last_err));
}
