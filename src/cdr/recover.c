/**
 * @file cdr/recover.c  CDRs that a dead process left open
 *
 *   drain the spool -> list open rows -> lives? | close as "crash" -> done
 */

#include <errno.h>
#include <string.h>
#include <re.h>
#include "worker/worker.h"
#include "store/store.h"
#include "cdr/cdr.h"
#include "cdr/internal.h"


enum {
	LIST_DEADLINE = 30000,	/* [ms] */
};

/** One recovery; lives until its last row is written */
struct recovery {
	struct cdr_writer *w;
	cdr_live_h *liveh;
	cdr_recover_h *h;
	void *arg;
	uint64_t end_us;
	unsigned pending;	/**< rows being closed, and the list itself */
	unsigned closed;
	int err;
};


static void step_done(struct recovery *r, int err)
{
	cdr_recover_h *h = r->h;
	void *arg = r->arg;
	unsigned closed;

	if (err)
		r->err = err;

	if (--r->pending)
		return;

	err = r->err;
	closed = r->closed;
	mem_deref(r);
	if (h)
		h(err, closed, arg);
}


static void closed_handler(int err, void *arg)
{
	struct recovery *r = arg;

	if (!err)
		++r->closed;
	step_done(r, err);
}


static void crash_close(struct recovery *r, const struct store_cdr *row)
{
	struct store_cdr next = *row;
	int err;

	next.end_us = r->end_us;
	if (next.end_us < row->time_us)
		next.end_us = row->time_us;
	if (next.end_us < row->answer_us)
		next.end_us = row->answer_us;

	next.disposition = row->answer_us ? "ANSWERED" : "FAILED";
	next.sip_code    = row->answer_us ? 200 : 0;
	next.hangup      = "crash";

	err = cdr_writer_put(r->w, &next, NULL, closed_handler, r);
	if (err)
		r->err = err;
	else
		++r->pending;
}


static bool row_handler(const struct store_cdr *row, void *arg)
{
	struct recovery *r = arg;

	if (!r->liveh || !r->liveh(row, r->arg))
		crash_close(r, row);

	return false;
}


static void listed_handler(int err, void *arg)
{
	step_done(arg, err);
}


static void drained_handler(int err, void *arg)
{
	struct recovery *r = arg;

	/* what is still in the spool may close a row that looks open */
	if (!err)
		err = store_cdr_list(r->w->st, NULL, LIST_DEADLINE, true, 0,
				     0, row_handler, listed_handler, r);
	if (err)
		step_done(r, err);
}


static void wait_handler(void *arg)
{
	struct cdr_job *job = arg;

	cdr_backlog_wait(job->w, job);
}


int cdr_recover(struct cdr_writer *w, cdr_live_h *liveh, cdr_recover_h *h,
		void *arg)
{
	struct cdr_job *job = NULL;
	struct recovery *r;
	int err;

	if (!w)
		return EINVAL;

	r = mem_zalloc(sizeof(*r), NULL);
	if (!r)
		return ENOMEM;

	r->w     = w;
	r->liveh = liveh;
	r->h     = h;
	r->arg   = arg;
	r->pending = 1;
	r->end_us  = w->alive_us ? w->alive_us : worker_wallclock_us();

	err = cdr_job_alloc(&job, w);
	if (!err)
		err = cdr_job_waiter(job, NULL, drained_handler, r);
	if (!err)
		err = worker_post(w->wk, wait_handler, job);
	if (err) {
		if (job)
			mem_deref(job->waiter);
		mem_deref(job);
		mem_deref(r);
	}

	return err;
}
