/**
 * @file cdr/backlog.c  Rows that the store did not take, and their way back
 *
 *   row -> spool -> sync -> done          every second, until it is empty:
 *            full: memory -> done(err)    spool, memory -> store, in order
 *
 * A row that was taken over stays in the spool until all of it has been: to
 * write it twice does no harm, since a row replaces the one with its key.
 */

#include <errno.h>
#include <string.h>
#include <re.h>
#include "worker/worker.h"
#include "store/store.h"
#include "cdr/cdr.h"
#include "cdr/internal.h"


enum {
	SYNC_DELAY     = 5,	/* [ms] collecting for one sync       */
	DRAIN_DEADLINE = 5000,	/* [ms] of one row                    */
	DRAIN_INTERVAL = 1000,	/* [ms] between two attempts          */
	DRAIN_BATCH    = 200,	/* rows handed to the store at once   */
};

/** What the state handler is told */
struct report {
	cdr_state_h *h;
	void *arg;
	int err;
	unsigned waiting;
};


static void report_handler(void *arg)
{
	struct report *r = arg;
	const struct report copy = *r;

	mem_deref(r);
	copy.h(copy.err, copy.waiting, copy.arg);
}


static void report(struct cdr_writer *w, int err)
{
	struct report *r;

	if (!w->stateh)
		return;

	r = mem_zalloc(sizeof(*r), NULL);
	if (!r)
		return;

	r->h   = w->stateh;
	r->arg = w->statearg;
	r->err = err;
	r->waiting = atomic_load(&w->waiting);
	if (worker_post(w->statewk, report_handler, r))
		mem_deref(r);
}


static void waiting_update(struct cdr_writer *w)
{
	cdr_waiting(w, cdr_spool_count(w->spool) + list_count(&w->meml));
}


static void sync_handler(void *arg)
{
	struct cdr_writer *w = arg;
	const int err = cdr_spool_sync(w->spool);
	struct le *le;

	while ((le = list_head(&w->syncl)))
		cdr_job_reply(le->data, err);
}


/* Neither store nor spool: memory, as long as there is room */
static void memory_put(struct cdr_writer *w, struct cdr_job *job, int err)
{
	struct cdr_job *keep;

	if (list_count(&w->meml) < CDR_BACKLOG_MAX &&
	    !cdr_job_alloc(&keep, w)) {

		keep->row = job->row;
		job->row = NULL;
		list_append(&w->meml, &keep->le, keep);
	}
	else
		cdr_count(w, CDR_DROPPED);

	cdr_job_reply(job, err);
}


/** The job's row waits from now on; its caller is told where */
void cdr_backlog_put(struct cdr_writer *w, struct cdr_job *job)
{
	int err = ENOSPC;

	list_unlink(&job->le);
	if (!w->backlog) {
		w->backlog = true;
		tmr_start(&w->drain.tmr, DRAIN_INTERVAL, cdr_backlog_drain, w);
	}

	/* behind a row that waits in memory it must wait there too */
	if (list_isempty(&w->meml))
		err = cdr_spool_append(w->spool, job->row);

	if (err)
		memory_put(w, job, err);
	else {
		cdr_count(w, CDR_SPOOLED);
		list_append(&w->syncl, &job->le, job);
		if (!tmr_isrunning(&w->sync_tmr))
			tmr_start(&w->sync_tmr, SYNC_DELAY, sync_handler, w);
	}

	waiting_update(w);
}


/** The store failed: rows wait from now on */
void cdr_backlog_begin(struct cdr_writer *w, int err)
{
	atomic_fetch_add(&w->failures, 1);
	atomic_store(&w->last_err, err);
	if (w->backlog)
		return;

	w->backlog = true;
	report(w, err);
	tmr_start(&w->drain.tmr, DRAIN_INTERVAL, cdr_backlog_drain, w);
}


static void drain_end(struct cdr_writer *w, int err)
{
	struct cdr_drain *d = &w->drain;
	struct le *le;

	if (!err)
		err = cdr_spool_reset(w->spool);

	if (!err) {
		const bool told = w->backlog;

		d->pos = 0;
		w->backlog = false;
		waiting_update(w);
		if (told)
			report(w, 0);
	}
	else {
		w->backlog = true;
		atomic_store(&w->last_err, err);
		tmr_start(&d->tmr, DRAIN_INTERVAL, cdr_backlog_drain, w);
	}

	while ((le = list_head(&d->waitl)))
		cdr_job_reply(le->data, err);
}


static void batch_end(struct cdr_writer *w)
{
	struct cdr_drain *d = &w->drain;

	if (d->err) {
		drain_end(w, d->err);
		return;
	}

	d->pos = d->next;
	while (d->mem) {
		mem_deref(list_ledata(list_head(&w->meml)));
		--d->mem;
	}

	tmr_start(&d->tmr, 0, cdr_backlog_drain, w);
}


static void drained_handler(int err, void *arg)
{
	struct cdr_job *job = arg;
	struct cdr_writer *w = job->w;

	if (err)
		w->drain.err = err;
	else
		cdr_count(w, CDR_WRITTEN);

	mem_deref(job);
	if (list_isempty(&w->drain.jobl))
		batch_end(w);
}


/* Takes the row.  What cannot ever be stored must not stop the others */
static int drain_row(struct cdr_writer *w, struct store_cdr *row)
{
	struct cdr_job *job;
	int err;

	err = cdr_job_alloc(&job, w);
	if (err) {
		mem_deref(row);
		return err;
	}

	job->row = row;
	list_append(&w->drain.jobl, &job->le, job);
	err = store_cdr_put(w->st, &job->req, DRAIN_DEADLINE, row,
			    drained_handler, job);
	if (!err)
		return 0;

	mem_deref(job);
	if (err != EMSGSIZE && err != EINVAL)
		return err;

	cdr_count(w, CDR_DROPPED);

	return 0;
}


static int drain_spool(struct cdr_writer *w, unsigned *n)
{
	struct cdr_drain *d = &w->drain;
	struct store_cdr *row;
	int err;

	while (*n < DRAIN_BATCH) {

		err = cdr_spool_next(w->spool, &d->next, &row);
		if (err == ENOENT)
			return 0;

		if (err == EBADMSG) {
			cdr_count(w, CDR_DROPPED);
			continue;
		}

		err = err ? err : drain_row(w, row);
		if (err)
			return err;
		++*n;
	}

	return 0;
}


static int drain_memory(struct cdr_writer *w, unsigned *n)
{
	struct store_cdr *row;
	struct le *le;
	int err;

	for (le = list_head(&w->meml); le && *n < DRAIN_BATCH; le = le->next) {

		const struct cdr_job *keep = le->data;

		err = store_cdr_dup(&row, keep->row);
		err = err ? err : drain_row(w, row);
		if (err)
			return err;
		++*n;
		++w->drain.mem;
	}

	return 0;
}


/** Hand what waits over to the store, a batch at a time */
void cdr_backlog_drain(void *arg)
{
	struct cdr_writer *w = arg;
	struct cdr_drain *d = &w->drain;
	unsigned n = 0;

	tmr_cancel(&d->tmr);
	if (!list_isempty(&d->jobl))
		return;

	d->next = d->pos;
	d->mem  = 0;
	d->err  = drain_spool(w, &n);
	if (!d->err)
		d->err = drain_memory(w, &n);

	/* the rows that are with the store already end the batch */
	if (!list_isempty(&d->jobl))
		return;

	if (n || d->err)
		batch_end(w);
	else
		drain_end(w, 0);
}


/** Answer this job when an attempt to drain has ended */
void cdr_backlog_wait(struct cdr_writer *w, struct cdr_job *job)
{
	list_append(&w->drain.waitl, &job->le, job);
	cdr_backlog_drain(w);
}


/** The writer ends: what is under way goes to the spool */
void cdr_backlog_stop(struct cdr_writer *w)
{
	struct cdr_job *job;

	tmr_cancel(&w->drain.tmr);
	tmr_cancel(&w->sync_tmr);

	list_flush(&w->drain.jobl);
	while ((job = list_ledata(list_head(&w->drain.waitl))))
		cdr_job_reply(job, ECANCELED);

	while ((job = list_ledata(list_head(&w->meml)))) {
		if (cdr_spool_append(w->spool, job->row))
			break;
		mem_deref(job);
	}

	while ((job = list_ledata(list_head(&w->storel)))) {
		job->req = mem_deref(job->req);
		cdr_backlog_put(w, job);
	}

	tmr_cancel(&w->sync_tmr);
	sync_handler(w);
	list_flush(&w->meml);
}
