/**
 * @file job.c  A request between the calling loop and the store's thread
 *
 *   caller                 store thread                caller's loop
 *   store_job_send ------> queue, run, (commit) -----> rows, then done
 *        |                      |
 *        +-- drop, deadline: cancelled; not run if it has not begun
 */

#include <string.h>
#include <unistd.h>
#include <re.h>
#include "worker/worker.h"
#include "store/store.h"
#include "store/internal.h"


struct store_req {
	struct store_req **reqp;	/**< cleared before the last handler */
	struct store_job *job;
	struct tmr tmr;
	union store_rowh rowh;
	store_done_h *doneh;
	void *arg;
};

/* Held while an answer is posted: once a request was dropped, nothing is
   posted for it, so that its worker may end */
static pthread_mutex_t post_mutex = PTHREAD_MUTEX_INITIALIZER;

/** A chunk of rows on its way to the caller */
struct rows {
	struct store_job *job;
	struct store_chunk *chunk;
};


/** Drop one reference; the last one, on whichever thread, frees */
void store_job_release(struct store_job *job)
{
	if (!job || atomic_fetch_sub(&job->refs, 1) != 1)
		return;

	mem_deref(job->args);
	mem_deref(job->key);
	mem_deref(job->key2);
	mem_deref(job->chunk);
	mem_deref(job);
}


int store_job_alloc(struct store_job **jobp, enum store_kind kind,
		    store_run_h *run, bool write)
{
	struct store_job *job;

	job = mem_zalloc(sizeof(*job), NULL);
	if (!job)
		return ENOMEM;

	atomic_init(&job->refs, 1);
	atomic_init(&job->cancelled, false);
	job->kind  = kind;
	job->run   = run;
	job->write = write;
	*jobp = job;

	return 0;
}


static void req_destructor(void *data)
{
	struct store_req *req = data;

	tmr_cancel(&req->tmr);
	if (!req->job)
		return;

	(void)pthread_mutex_lock(&post_mutex);
	atomic_store(&req->job->cancelled, true);
	req->job->wanted = false;
	(void)pthread_mutex_unlock(&post_mutex);

	req->job->req = NULL;
	store_job_release(req->job);
}


/* The last handler: the request is gone before it runs */
static void req_done(struct store_req *req, int err, const void *row)
{
	union store_rowh rowh = req->rowh;
	store_done_h *doneh = req->doneh;
	void *arg = req->arg;
	const bool single = req->job->single;

	if (req->reqp)
		*req->reqp = NULL;
	mem_deref(req);

	if (single && rowh.get)
		rowh.get(err, err ? NULL : row, arg);
	else if (doneh)
		doneh(err, arg);
}


static void deadline_handler(void *arg)
{
	req_done(arg, ETIMEDOUT, NULL);
}


static bool row_deliver(const struct store_req *req, enum store_kind kind,
			const void *row)
{
	switch (kind) {

	case STORE_SUBSCRIBER:
		return req->rowh.subscriber(row, req->arg);

	case STORE_BINDING:
		return req->rowh.binding(row, req->arg);

	case STORE_CDR_ROW:
		return req->rowh.cdr(row, req->arg);

	case STORE_DIALOG:
		return req->rowh.dialog(row, req->arg);
	}

	return true;
}


/* On the calling loop: the row handler may drop the request */
static void rows_deliver(void *arg)
{
	struct rows *r = arg;
	struct store_job *job = r->job;
	const void *row;
	size_t pos = 0;

	while (job->req && !atomic_load(&job->cancelled) &&
	       (row = store_chunk_next(r->chunk, &pos))) {

		if (row_deliver(job->req, job->kind, row)) {
			atomic_store(&job->cancelled, true);
			break;
		}
	}

	mem_deref(r->chunk);
	mem_deref(r);
	store_job_release(job);
}


/* On the calling loop: a chain of finished jobs */
static void jobs_deliver(void *arg)
{
	struct store_job *job = arg;

	while (job) {
		struct store_job *next = job->next;

		if (job->req) {
			size_t pos = 0;

			req_done(job->req, job->err,
				 store_chunk_next(job->chunk, &pos));
		}
		store_job_release(job);
		job = next;
	}
}


/* A worker that is short of memory is asked again: a handler always runs */
static int post(struct worker *w, worker_h *h, void *arg)
{
	int err;

	while ((err = worker_post(w, h, arg)) && err != ECANCELED)
		(void)usleep(1000);

	return err;
}


static void jobs_release(struct store_job *head)
{
	while (head) {
		struct store_job *next = head->next;

		store_job_release(head);
		head = next;
	}
}


/* Takes the first jobs of a chain that want the same loop, and puts those
   that nobody wants aside */
static struct store_job *jobs_take(struct store_job **headp,
				   struct store_job **asidep)
{
	struct store_job *first = NULL, **tail = &first, *job;

	while ((job = *headp)) {

		if (job->wanted && first && job->w != first->w)
			break;

		*headp = job->next;
		if (job->wanted) {
			job->next = NULL;
			*tail = job;
			tail = &job->next;
		}
		else {
			job->next = *asidep;
			*asidep = job;
		}
	}

	return first;
}


/** On the store's thread: answer a chain of finished jobs, one message for
    each run of jobs that came from the same loop */
void store_jobs_answer(struct store_job *head)
{
	struct store_job *aside = NULL, *first;

	while (head) {
		int err = ECANCELED;

		(void)pthread_mutex_lock(&post_mutex);
		first = jobs_take(&head, &aside);
		if (first)
			err = post(first->w, jobs_deliver, first);
		(void)pthread_mutex_unlock(&post_mutex);

		if (err)
			jobs_release(first);
	}

	jobs_release(aside);
}


static int chunk_send(struct store_job *job)
{
	struct rows *r;
	int err;

	r = mem_alloc(sizeof(*r), NULL);
	if (!r)
		return ENOMEM;

	r->job   = job;
	r->chunk = job->chunk;
	job->chunk = NULL;

	atomic_fetch_add(&job->refs, 1);

	(void)pthread_mutex_lock(&post_mutex);
	err = job->wanted ? post(job->w, rows_deliver, r) : ECANCELED;
	(void)pthread_mutex_unlock(&post_mutex);

	if (err) {
		mem_deref(r->chunk);
		mem_deref(r);
		store_job_release(job);
	}

	return err;
}


static int row_add(struct store_job *job, const void *row)
{
	const size_t len = store_row_size(job->kind, row);
	int err;

	if (job->chunk) {
		err = store_chunk_add(job->chunk, row);
		if (err != ENOBUFS)
			return err;

		err = chunk_send(job);
		if (err)
			return err;
	}

	err = store_chunk_alloc(&job->chunk, job->kind,
				job->single || len > STORE_CHUNK_SIZE ?
				len : STORE_CHUNK_SIZE);
	if (err)
		return err;

	return store_chunk_add(job->chunk, row);
}


/** On the store's thread: a row of the answer; NULL after the last.  Returns
    true to stop */
bool store_job_emit(const void *row, void *arg)
{
	struct store_job *job = arg;
	int err = 0;

	if (atomic_load(&job->cancelled))
		return true;

	if (row)
		err = row_add(job, row);
	else if (job->chunk && !job->single)
		err = chunk_send(job);

	if (err)
		job->err = err;

	return err != 0;
}


static int req_alloc(struct store_req **reqp, struct store_job *job,
		     uint32_t deadline)
{
	struct store_req *req;

	req = mem_zalloc(sizeof(*req), req_destructor);
	if (!req)
		return ENOMEM;

	tmr_init(&req->tmr);
	if (deadline)
		tmr_start(&req->tmr, deadline, deadline_handler, req);

	atomic_fetch_add(&job->refs, 1);
	req->job = job;
	job->req = req;
	job->wanted = true;
	*reqp = req;

	return 0;
}


/**
 * Hand a job over to the store's thread.  The job is consumed in any case.
 *
 * @return 0 if success, EAGAIN if the queue is full, otherwise errorcode
 */
int store_job_send(struct store *st, struct store_job *job,
		   struct store_req **reqp, uint32_t deadline,
		   union store_rowh rowh, store_done_h *doneh, void *arg)
{
	struct store_req *req = NULL;
	int err = 0;

	job->w = worker_self();
	if (!job->w) {
		err = EINVAL;
		goto out;
	}

	if (job->write && st->readonly) {
		err = EROFS;
		goto out;
	}

	if (doneh || rowh.subscriber) {
		err = req_alloc(&req, job, deadline);
		if (err)
			goto out;

		req->rowh  = rowh;
		req->doneh = doneh;
		req->arg   = arg;
	}

	err = store_thread_push(st, job);
	if (err)
		goto out;

	if (req && reqp) {
		req->reqp = reqp;
		*reqp = req;
	}

	return 0;

 out:
	mem_deref(req);
	store_job_release(job);

	return err;
}
