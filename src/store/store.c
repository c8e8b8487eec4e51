/**
 * @file store.c  Opening and closing a database: lock, back end, thread
 */

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <re.h>
#include "store/store.h"
#include "store/internal.h"


enum {
	LOCK_WAIT = 3000,	/* [ms] for a holder that is ending */
	LOCK_POLL = 10,		/* [ms] */
};


static const char *db_name(enum store_db db)
{
	switch (db) {

	case STORE_SIP: return "sip.db";
	case STORE_PBX: return "pbx.db";
	case STORE_CDR: return "cdr.db";
	}

	return NULL;
}


static void store_destructor(void *data)
{
	struct store *st = data;

	store_thread_stop(st);

	if (st->b)
		st->be->close(st->b);

	if (st->lockfd >= 0)
		(void)close(st->lockfd);

	pthread_cond_destroy(&st->cond);
	pthread_mutex_destroy(&st->mutex);
}


static void lock_holder(int fd, char *pid, size_t sz)
{
	ssize_t n = pread(fd, pid, sz - 1, 0);

	pid[n > 0 ? n : 0] = '\0';
	pid[strcspn(pid, "\n")] = '\0';
}


/* A process that was killed may still wait for its disk before it lets go;
   its memory, and with it its command line, is gone by then */
static bool is_ending(const char *pid)
{
	char path[64], c;
	ssize_t n;
	int fd;

	if (re_snprintf(path, sizeof(path), "/proc/%s/cmdline", pid) < 0)
		return false;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT;

	n = read(fd, &c, 1);
	(void)close(fd);

	return n <= 0;
}


/* flock(2), with patience for a holder that is ending */
static int lock_take(int fd, char *pid, size_t sz)
{
	unsigned ms;

	for (ms=0; flock(fd, LOCK_EX | LOCK_NB); ms += LOCK_POLL) {

		if (errno != EWOULDBLOCK)
			return errno;

		lock_holder(fd, pid, sz);
		if (ms >= LOCK_WAIT || !is_ending(pid))
			return EBUSY;

		sys_msleep(LOCK_POLL);
	}

	return 0;
}


/* The writer's lock: it dies with its process, so kill -9 leaves none */
static int writer_lock(struct store *st, const char *path,
		       char *why, size_t whysz)
{
	char lock[1024], pid[32] = "";
	int err;

	if (re_snprintf(lock, sizeof(lock), "%s.lock", path) < 0)
		return ENAMETOOLONG;

	st->lockfd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
	if (st->lockfd < 0) {
		err = errno;
		(void)re_snprintf(why, whysz, "%s: cannot open: %m",
				  lock, err);
		return err;
	}

	err = lock_take(st->lockfd, pid, sizeof(pid));
	if (err == EBUSY)
		(void)re_snprintf(why, whysz, "%s is in use by process %s:"
				  " stop that one first", path, pid);
	else if (err)
		(void)re_snprintf(why, whysz, "%s: cannot lock: %m",
				  lock, err);
	if (err)
		return err;

	(void)re_snprintf(pid, sizeof(pid), "%d\n", (int)getpid());
	if (ftruncate(st->lockfd, 0) ||
	    pwrite(st->lockfd, pid, strlen(pid), 0) < 0) {
		/* it only names the holder; a full disk must not stop us */
		return 0;
	}

	return 0;
}


/* The file's name must survive a power loss as well as its bytes */
static void dir_sync(const char *dir)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return;

	(void)fsync(fd);
	(void)close(fd);
}


static int dir_make(const char *dir, char *why, size_t whysz)
{
	int err;

	if (!mkdir(dir, 0750) || errno == EEXIST)
		return 0;

	err = errno;
	(void)re_snprintf(why, whysz, "%s: cannot make this folder: %m",
			  dir, err);

	return err;
}


/** store_open() with any back end */
int store_open_backend(struct store **stp, const struct store_backend *be,
		       enum store_db db, const char *dir, bool readonly,
		       char *why, size_t whysz)
{
	struct store *st;
	char path[1000];
	int err;

	if (!stp || !be || !dir || !db_name(db) || !why || !whysz)
		return EINVAL;

	why[0] = '\0';
	if (re_snprintf(path, sizeof(path), "%s/%s", dir, db_name(db)) < 0)
		return ENAMETOOLONG;

	st = mem_zalloc(sizeof(*st), store_destructor);
	if (!st)
		return ENOMEM;

	st->be       = be;
	st->db       = db;
	st->readonly = readonly;
	st->lockfd   = -1;
	st->queue_max = STORE_QUEUE_MAX;
	pthread_mutex_init(&st->mutex, NULL);
	pthread_cond_init(&st->cond, NULL);

	if (!readonly) {
		err = dir_make(dir, why, whysz);
		err = err ? err : writer_lock(st, path, why, whysz);
		if (err)
			goto out;
	}

	err = be->open(&st->b, db, path, readonly, why, whysz);
	if (err)
		goto out;

	if (!readonly)
		dir_sync(dir);

	err = store_thread_start(st);

 out:
	if (err) {
		if (!why[0])
			(void)re_snprintf(why, whysz, "%s: %m", path, err);
		mem_deref(st);
	}
	else
		*stp = st;

	return err;
}


int store_open(struct store **stp, enum store_db db, const char *dir,
	       bool readonly, char *why, size_t whysz)
{
	return store_open_backend(stp, &store_sqlite, db, dir, readonly,
				  why, whysz);
}


void store_queue_limit(struct store *st, unsigned max)
{
	if (!st)
		return;

	pthread_mutex_lock(&st->mutex);
	st->queue_max = max ? max : STORE_QUEUE_MAX;
	pthread_mutex_unlock(&st->mutex);
}


int store_status(const struct store *st, struct store_status *status)
{
	const struct store_stat *s;

	if (!st || !status)
		return EINVAL;

	s = &st->stat;
	status->backend    = st->be->name;
	status->queue      = atomic_load(&s->queue);
	status->queue_peak = atomic_load(&s->queue_peak);
	status->reads      = atomic_load(&s->reads);
	status->writes     = atomic_load(&s->writes);
	status->commits    = atomic_load(&s->commits);
	status->retries    = atomic_load(&s->retries);
	status->refused    = atomic_load(&s->refused);
	status->expired    = atomic_load(&s->expired);
	status->failed     = atomic_load(&s->failed);
	status->last_err   = atomic_load(&s->last_err);

	return 0;
}


int store_debug(struct re_printf *pf, const struct store *st)
{
	struct store_status s;

	if (!st)
		return 0;

	(void)store_status(st, &s);

	return re_hprintf(pf, "%s %s queue=%u peak=%u reads=%llu writes=%llu"
			  " commits=%llu retries=%llu refused=%llu"
			  " expired=%llu failed=%llu last_error=%m",
			  db_name(st->db), s.backend, s.queue, s.queue_peak,
			  s.reads, s.writes, s.commits, s.retries, s.refused,
			  s.expired, s.failed, s.last_err);
}
