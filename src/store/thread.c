/**
 * @file thread.c  The store's thread: a bounded queue, and group commit
 *
 *   queue -> reads are answered at once
 *         -> writes are collected while more wait, for STORE_BATCH_MS at most
 *            -> one commit -> their answers
 *
 * When the batch fails, it is taken back and each of its writes is tried
 * alone, so that one bad row or a disk filling up costs nobody else's write.
 */

#include <signal.h>
#include <string.h>
#include <re.h>
#include "metric/metric.h"
#include "worker/worker.h"
#include "store/store.h"
#include "store/internal.h"


static struct metric writes = METRIC_INIT(COUNTER,
	"store_writes_total", "Writes committed");
static struct metric commits = METRIC_INIT(COUNTER,
	"store_commits_total", "Commits, of one or more writes");
static struct metric refused = METRIC_INIT(COUNTER,
	"store_refused_total", "Requests refused: the queue was full");
static struct metric expired = METRIC_INIT(COUNTER,
	"store_expired_total", "Requests dropped before they began");
static struct metric failed = METRIC_INIT(COUNTER,
	"store_failed_total", "Writes that ended with an error");

/** Writes of one commit */
struct batch {
	struct store_job *head;
	struct store_job **tail;
	unsigned n;
	bool open;
	int err;
	uint64_t until;
};


static struct store_job *queue_pop(struct store *st, bool wait)
{
	struct store_job *job;

	pthread_mutex_lock(&st->mutex);

	while (wait && !st->head && !st->stop)
		pthread_cond_wait(&st->cond, &st->mutex);

	job = st->head;
	if (job) {
		st->head = job->next;
		if (!st->head)
			st->tail = NULL;
		job->next = NULL;
		atomic_fetch_sub(&st->stat.queue, 1);
	}

	pthread_mutex_unlock(&st->mutex);

	return job;
}


/** Queue a job; EAGAIN if the queue is full, ECANCELED if closing */
int store_thread_push(struct store *st, struct store_job *job)
{
	unsigned n;
	int err = 0;

	pthread_mutex_lock(&st->mutex);

	n = atomic_load(&st->stat.queue);
	if (st->stop) {
		err = ECANCELED;
		goto out;
	}
	if (n >= st->queue_max) {
		atomic_fetch_add(&st->stat.refused, 1);
		metric_inc(&refused);
		err = EAGAIN;
		goto out;
	}

	if (st->tail)
		st->tail->next = job;
	else
		st->head = job;
	st->tail = job;

	atomic_store(&st->stat.queue, n + 1);
	if (n + 1 > atomic_load(&st->stat.queue_peak))
		atomic_store(&st->stat.queue_peak, n + 1);

	pthread_cond_signal(&st->cond);

 out:
	pthread_mutex_unlock(&st->mutex);

	return err;
}


static bool job_dropped(struct store *st, struct store_job *job)
{
	if (!atomic_load(&job->cancelled))
		return false;

	atomic_fetch_add(&st->stat.expired, 1);
	metric_inc(&expired);

	return true;
}


static void job_run(struct store *st, struct store_job *job)
{
	int err;

	job->err = 0;
	err = job->run(st->be, st->b, job);
	if (!job->err)
		job->err = err;
}


static void job_read(struct store *st, struct store_job *job)
{
	job_run(st, job);
	(void)store_job_emit(NULL, job);
	atomic_fetch_add(&st->stat.reads, 1);
	if (job->err && job->err != ENOENT)
		atomic_store(&st->stat.last_err, job->err);

	store_jobs_answer(job);
}


/* These change nothing, so the rest of the batch is as good as before */
static bool is_harmless(int err)
{
	return err == 0 || err == ENOENT;
}


static void batch_add(struct store *st, struct batch *ba,
		      struct store_job *job)
{
	if (!ba->open) {
		ba->err  = st->be->begin(st->b);
		ba->open = ba->err == 0;
		ba->until = tmr_jiffies() + STORE_BATCH_MS;
	}

	if (!ba->err) {
		job_run(st, job);
		if (!is_harmless(job->err))
			ba->err = job->err;
	}

	*ba->tail = job;
	ba->tail = &job->next;
	++ba->n;
}


static void job_retry(struct store *st, struct store_job *job)
{
	int err;

	atomic_fetch_add(&st->stat.retries, 1);

	err = st->be->begin(st->b);
	if (err) {
		job->err = err;
		return;
	}

	job_run(st, job);
	if (is_harmless(job->err)) {
		err = st->be->commit(st->b);
		if (err)
			job->err = err;
	}

	if (!is_harmless(job->err))
		st->be->rollback(st->b);
}


static void batch_retry(struct store *st, struct batch *ba)
{
	struct store_job *job;

	for (job = ba->head; job; job = job->next) {

		if (job_dropped(st, job))
			job->err = ETIMEDOUT;
		else
			job_retry(st, job);
	}
}


static void batch_count(struct store *st, const struct batch *ba)
{
	const struct store_job *job;

	for (job = ba->head; job; job = job->next) {

		if (is_harmless(job->err)) {
			atomic_fetch_add(&st->stat.writes, 1);
			metric_inc(&writes);
			continue;
		}

		atomic_fetch_add(&st->stat.failed, 1);
		metric_inc(&failed);
		atomic_store(&st->stat.last_err, job->err);
	}

	atomic_fetch_add(&st->stat.commits, 1);
	metric_inc(&commits);
}


static void batch_end(struct store *st, struct batch *ba)
{
	if (!ba->head)
		return;

	if (!ba->err)
		ba->err = st->be->commit(st->b);

	if (ba->err) {
		if (ba->open)
			st->be->rollback(st->b);
		batch_retry(st, ba);
	}

	batch_count(st, ba);
	store_jobs_answer(ba->head);
}


/* From the first write until the queue is empty or the time is up */
static void batch_run(struct store *st, struct store_job *job)
{
	struct batch ba;

	memset(&ba, 0, sizeof(ba));
	ba.tail = &ba.head;

	while (job) {
		if (job_dropped(st, job))
			store_job_release(job);
		else if (job->write)
			batch_add(st, &ba, job);
		else
			job_read(st, job);

		if (ba.err || ba.n >= STORE_BATCH_MAX ||
		    (ba.open && tmr_jiffies() >= ba.until))
			break;

		job = queue_pop(st, false);
	}

	batch_end(st, &ba);
}


static void *store_thread(void *arg)
{
	struct store *st = arg;
	struct store_job *job;

	while ((job = queue_pop(st, true)))
		batch_run(st, job);

	return NULL;
}


int store_thread_start(struct store *st)
{
	sigset_t all, old;
	int err;

	metric_register(&writes);
	metric_register(&commits);
	metric_register(&refused);
	metric_register(&expired);
	metric_register(&failed);

	/* signals belong to the process's main thread */
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &old);
	err = pthread_create(&st->tid, NULL, store_thread, st);
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (err)
		return err;

	st->running = true;
	(void)pthread_setname_np(st->tid, "store");

	return 0;
}


/** What is queued is still done; then the thread ends */
void store_thread_stop(struct store *st)
{
	if (!st->running)
		return;

	pthread_mutex_lock(&st->mutex);
	st->stop = true;
	pthread_cond_signal(&st->cond);
	pthread_mutex_unlock(&st->mutex);

	pthread_join(st->tid, NULL);
	st->running = false;
}
