/**
 * @file store/dialog.c  Confirmed dialogs of the PBX
 */

#include <re.h>
#include "store/store.h"
#include "store/internal.h"


static int run_put(const struct store_backend *be, void *b,
		   struct store_job *job)
{
	return be->dialog_put(b, job->args);
}


static int run_del(const struct store_backend *be, void *b,
		   struct store_job *job)
{
	return be->dialog_del(b, job->key);
}


static int run_list(const struct store_backend *be, void *b,
		    struct store_job *job)
{
	return be->dialog_list(b, store_job_emit, job);
}


int store_dialog_put(struct store *st, struct store_req **reqp,
		     uint32_t deadline, const struct store_dialog *d,
		     store_done_h *h, void *arg)
{
	const union store_rowh rowh = {NULL};
	struct store_job *job;
	int err;

	if (!st || !d || !str_isset(d->id) || (d->size && !d->state))
		return EINVAL;

	err = store_job_alloc(&job, STORE_DIALOG, run_put, true);
	if (err)
		return err;

	err = store_rows_pack(&job->args, STORE_DIALOG, d, 1);
	if (err) {
		store_job_release(job);
		return err;
	}

	return store_job_send(st, job, reqp, deadline, rowh, h, arg);
}


int store_dialog_del(struct store *st, struct store_req **reqp,
		     uint32_t deadline, const char *id,
		     store_done_h *h, void *arg)
{
	const union store_rowh rowh = {NULL};
	struct store_job *job;
	int err;

	if (!st || !id)
		return EINVAL;

	err = store_job_alloc(&job, STORE_DIALOG, run_del, true);
	if (err)
		return err;

	if (str_dup(&job->key, id)) {
		store_job_release(job);
		return ENOMEM;
	}

	return store_job_send(st, job, reqp, deadline, rowh, h, arg);
}


int store_dialog_list(struct store *st, struct store_req **reqp,
		      uint32_t deadline, store_dialog_row_h *rowh,
		      store_done_h *h, void *arg)
{
	const union store_rowh rh = {.dialog = rowh};
	struct store_job *job;
	int err;

	if (!st || !rowh)
		return EINVAL;

	err = store_job_alloc(&job, STORE_DIALOG, run_list, false);
	if (err)
		return err;

	return store_job_send(st, job, reqp, deadline, rh, h, arg);
}
