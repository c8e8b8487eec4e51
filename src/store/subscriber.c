/**
 * @file store/subscriber.c  Subscribers: digest secrets as HA1, RFC 7616 3.4.2
 */

#include <re.h>
#include "store/store.h"
#include "store/internal.h"


static int run_get(const struct store_backend *be, void *b,
		   struct store_job *job)
{
	return be->subscriber_get(b, job->key, job->key2, store_job_emit, job);
}


static int run_put(const struct store_backend *be, void *b,
		   struct store_job *job)
{
	return be->subscriber_put(b, job->args);
}


static int run_del(const struct store_backend *be, void *b,
		   struct store_job *job)
{
	return be->subscriber_del(b, job->key, job->key2);
}


static int run_list(const struct store_backend *be, void *b,
		    struct store_job *job)
{
	return be->subscriber_list(b, store_job_emit, job);
}


/* A job that names one subscriber */
static int named(struct store_job **jobp, store_run_h *run, bool write,
		 const char *user, const char *domain)
{
	struct store_job *job;
	int err;

	err = store_job_alloc(&job, STORE_SUBSCRIBER, run, write);
	if (err)
		return err;

	err  = str_dup(&job->key, user);
	err |= str_dup(&job->key2, domain);
	if (err) {
		store_job_release(job);
		return ENOMEM;
	}

	*jobp = job;

	return 0;
}


int store_subscriber_get(struct store *st, struct store_req **reqp,
			 uint32_t deadline, const char *user,
			 const char *domain, store_subscriber_h *h, void *arg)
{
	const union store_rowh rowh = {.get = h};
	struct store_job *job;
	int err;

	if (!st || !user || !domain || !h)
		return EINVAL;

	err = named(&job, run_get, false, user, domain);
	if (err)
		return err;

	job->single = true;

	return store_job_send(st, job, reqp, deadline, rowh, NULL, arg);
}


int store_subscriber_put(struct store *st, struct store_req **reqp,
			 uint32_t deadline, const struct store_subscriber *s,
			 store_done_h *h, void *arg)
{
	const union store_rowh rowh = {NULL};
	struct store_job *job;
	int err;

	if (!st || !s || !str_isset(s->user) || !str_isset(s->domain))
		return EINVAL;

	err = store_job_alloc(&job, STORE_SUBSCRIBER, run_put, true);
	if (err)
		return err;

	err = store_rows_pack(&job->args, STORE_SUBSCRIBER, s, 1);
	if (err) {
		store_job_release(job);
		return err;
	}

	return store_job_send(st, job, reqp, deadline, rowh, h, arg);
}


int store_subscriber_del(struct store *st, struct store_req **reqp,
			 uint32_t deadline, const char *user,
			 const char *domain, store_done_h *h, void *arg)
{
	const union store_rowh rowh = {NULL};
	struct store_job *job;
	int err;

	if (!st || !user || !domain)
		return EINVAL;

	err = named(&job, run_del, true, user, domain);
	if (err)
		return err;

	return store_job_send(st, job, reqp, deadline, rowh, h, arg);
}


int store_subscriber_list(struct store *st, struct store_req **reqp,
			  uint32_t deadline, store_subscriber_row_h *rowh,
			  store_done_h *h, void *arg)
{
	const union store_rowh rh = {.subscriber = rowh};
	struct store_job *job;
	int err;

	if (!st || !rowh)
		return EINVAL;

	err = store_job_alloc(&job, STORE_SUBSCRIBER, run_list, false);
	if (err)
		return err;

	return store_job_send(st, job, reqp, deadline, rh, h, arg);
}
