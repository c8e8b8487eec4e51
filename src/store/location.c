/**
 * @file store/location.c  Bindings of the location service, RFC 3261 10.3
 */

#include <re.h>
#include "store/store.h"
#include "store/internal.h"


static int run_set(const struct store_backend *be, void *b,
		   struct store_job *job)
{
	return be->location_set(b, job->key, job->args, job->argc);
}


static int run_list(const struct store_backend *be, void *b,
		    struct store_job *job)
{
	return be->location_list(b, store_job_emit, job);
}


int store_location_set(struct store *st, struct store_req **reqp,
		       uint32_t deadline, const char *aor,
		       const struct store_binding *bv, size_t n,
		       store_done_h *h, void *arg)
{
	const union store_rowh rowh = {NULL};
	struct store_job *job;
	int err;

	if (!st || !str_isset(aor) || (n && !bv))
		return EINVAL;

	err = store_job_alloc(&job, STORE_BINDING, run_set, true);
	if (err)
		return err;

	job->argc = n;
	err = str_dup(&job->key, aor);
	if (!err)
		err = store_rows_pack(&job->args, STORE_BINDING, bv, n);
	if (err) {
		store_job_release(job);
		return err;
	}

	return store_job_send(st, job, reqp, deadline, rowh, h, arg);
}


int store_location_list(struct store *st, struct store_req **reqp,
			uint32_t deadline, store_binding_row_h *rowh,
			store_done_h *h, void *arg)
{
	const union store_rowh rh = {.binding = rowh};
	struct store_job *job;
	int err;

	if (!st || !rowh)
		return EINVAL;

	err = store_job_alloc(&job, STORE_BINDING, run_list, false);
	if (err)
		return err;

	return store_job_send(st, job, reqp, deadline, rh, h, arg);
}
