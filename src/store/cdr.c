/**
 * @file store/cdr.c  Call detail records (ADR-007)
 */

#include <re.h>
#include "store/store.h"
#include "store/internal.h"


static int run_put(const struct store_backend *be, void *b,
		   struct store_job *job)
{
	return be->cdr_put(b, job->args);
}


static int run_list(const struct store_backend *be, void *b,
		    struct store_job *job)
{
	return be->cdr_list(b, &job->q, store_job_emit, job);
}


int store_cdr_put(struct store *st, struct store_req **reqp,
		  uint32_t deadline, const struct store_cdr *c,
		  store_done_h *h, void *arg)
{
	const union store_rowh rowh = {NULL};
	struct store_job *job;
	int err;

	if (!st || !c || !c->time_us || !str_isset(c->call_id))
		return EINVAL;

	err = store_job_alloc(&job, STORE_CDR_ROW, run_put, true);
	if (err)
		return err;

	err = store_rows_pack(&job->args, STORE_CDR_ROW, c, 1);
	if (err) {
		store_job_release(job);
		return err;
	}

	return store_job_send(st, job, reqp, deadline, rowh, h, arg);
}


int store_cdr_list(struct store *st, struct store_req **reqp,
		   uint32_t deadline, bool open_only, uint64_t since_us,
		   unsigned limit, store_cdr_row_h *rowh,
		   store_done_h *h, void *arg)
{
	const union store_rowh rh = {.cdr = rowh};
	struct store_job *job;
	int err;

	if (!st || !rowh)
		return EINVAL;

	err = store_job_alloc(&job, STORE_CDR_ROW, run_list, false);
	if (err)
		return err;

	job->q.open_only = open_only;
	job->q.since_us  = since_us;
	job->q.limit     = limit;

	return store_job_send(st, job, reqp, deadline, rh, h, arg);
}


int store_cdr_dup(struct store_cdr **cp, const struct store_cdr *c)
{
	void *v;
	int err;

	if (!cp || !c)
		return EINVAL;

	err = store_rows_pack(&v, STORE_CDR_ROW, c, 1);
	if (!err)
		*cp = v;

	return err;
}
