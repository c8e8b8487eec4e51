/**
 * @file worker/worker.c  A libre loop in a thread, and its queue of messages
 *
 *   sender: lock, append, unlock, eventfd if the queue was empty
 *   target: eventfd -> take the whole queue -> run each message
 *
 * libre's mqueue sends each message through a pipe and fails when that is
 * full; here a burst costs one wake-up and nothing is refused.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>
#include <re.h>
#include "worker.h"


enum {
	NAME_MAX_LEN = 15,	/* pthread_setname_np(3) */
	FDMAX_LIMIT  = 65536,	/* a loop spends 44 bytes on each */
};

struct msg {
	struct le le;
	worker_h *h;
	void *arg;
};

struct worker {
	char name[NAME_MAX_LEN + 1];
	unsigned idx;
	pthread_t thread;
	bool own_thread;	/* started by us: stop and join */
	int evfd;

	pthread_mutex_t lock;
	struct list msgl;	/* under lock */
	bool stopping;		/* under lock */

	/* start-up only */
	int (*init)(void *arg);
	void (*stop)(void *arg);
	void *arg;
	pthread_cond_t started_cond;
	bool started;
	int err;
};

static __thread struct worker *self;


/**
 * Descriptors that a loop can watch, for fd_setsize(): as many as the process
 * may open.  libre's own limit of 1,024 comes back unless this is set first
 * in every thread.
 */
int worker_fdmax(void)
{
	struct rlimit rl;

	if (getrlimit(RLIMIT_NOFILE, &rl) || rl.rlim_cur > FDMAX_LIMIT)
		return FDMAX_LIMIT;

	return (int)rl.rlim_cur;
}


static void run_messages(struct worker *w)
{
	struct list msgl;
	bool stopping;
	struct le *le;

	(void)pthread_mutex_lock(&w->lock);
	msgl = w->msgl;
	list_init(&w->msgl);
	stopping = w->stopping;
	(void)pthread_mutex_unlock(&w->lock);

	le = msgl.head;
	while (le) {
		struct msg *m = le->data;

		le = le->next;
		m->h(m->arg);
		mem_deref(m);
	}

	/* after stopping was seen nothing can have been added */
	if (stopping && w->own_thread)
		re_cancel();
}


static void event_handler(int flags, void *arg)
{
	struct worker *w = arg;
	uint64_t n;
	(void)flags;

	/* EAGAIN: libre may deliver an event that was meant for the former
	   owner of this descriptor number */
	if (read(w->evfd, &n, sizeof(n)) < 0)
		return;

	run_messages(w);
}


static void wake(struct worker *w)
{
	const uint64_t one = 1;

	/* fails only if the counter is full: then it is readable anyway */
	if (write(w->evfd, &one, sizeof(one)) < 0)
		return;
}


static void started(struct worker *w, int err)
{
	(void)pthread_mutex_lock(&w->lock);
	w->err = err;
	w->started = true;
	(void)pthread_cond_signal(&w->started_cond);
	(void)pthread_mutex_unlock(&w->lock);
}


static int loop_open(struct worker *w)
{
	int err;

	err = fd_setsize(worker_fdmax());
	if (err)
		return err;

	return fd_listen(w->evfd, FD_READ, event_handler, w);
}


static void *thread_main(void *arg)
{
	struct worker *w = arg;
	int err;

	self = w;
	(void)pthread_setname_np(pthread_self(), w->name);

	err = re_thread_init();
	if (err) {
		started(w, err);
		return NULL;
	}

	err = loop_open(w);
	if (!err && w->init)
		err = w->init(w->arg);

	started(w, err);

	if (!err) {
		(void)re_main(NULL);
		if (w->stop)
			w->stop(w->arg);
	}

	fd_close(w->evfd);
	re_thread_close();

	return NULL;
}


static void destructor(void *arg)
{
	struct worker *w = arg;

	(void)pthread_mutex_lock(&w->lock);
	w->stopping = true;
	(void)pthread_mutex_unlock(&w->lock);

	if (w->own_thread) {
		wake(w);
		(void)pthread_join(w->thread, NULL);
	}
	else if (self == w) {
		run_messages(w);
		fd_close(w->evfd);
		self = NULL;
	}

	if (w->evfd >= 0)
		(void)close(w->evfd);
	(void)pthread_cond_destroy(&w->started_cond);
	(void)pthread_mutex_destroy(&w->lock);
}


static int create(struct worker **wp, const char *name, unsigned idx)
{
	struct worker *w;

	if (!wp || !name)
		return EINVAL;

	w = mem_zalloc(sizeof(*w), destructor);
	if (!w)
		return ENOMEM;

	(void)pthread_mutex_init(&w->lock, NULL);
	(void)pthread_cond_init(&w->started_cond, NULL);
	str_ncpy(w->name, name, sizeof(w->name));
	w->idx = idx;

	w->evfd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (w->evfd < 0) {
		const int err = errno;
		mem_deref(w);
		return err;
	}

	*wp = w;

	return 0;
}


/* The process's signals belong to its main thread: none is taken here */
static int thread_start(struct worker *w)
{
	sigset_t all, old;
	int err;

	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &old);
	err = pthread_create(&w->thread, NULL, thread_main, w);
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (err)
		return err;

	w->own_thread = true;

	(void)pthread_mutex_lock(&w->lock);
	while (!w->started)
		(void)pthread_cond_wait(&w->started_cond, &w->lock);
	err = w->err;
	(void)pthread_mutex_unlock(&w->lock);

	return err;
}


int worker_alloc(struct worker **wp, const char *name, unsigned idx,
		 int (*init)(void *arg), void (*stop)(void *arg), void *arg)
{
	struct worker *w = NULL;
	int err;

	if (!wp)
		return EINVAL;

	err = create(&w, name, idx);
	if (err)
		return err;

	w->init = init;
	w->stop = stop;
	w->arg  = arg;

	err = thread_start(w);
	if (err)
		mem_deref(w);
	else
		*wp = w;

	return err;
}


int worker_adopt(struct worker **wp, const char *name)
{
	struct worker *w = NULL;
	int err;

	if (!wp)
		return EINVAL;

	if (self)
		return EALREADY;

	err = create(&w, name, 0);
	if (err)
		return err;

	self = w;
	err = loop_open(w);
	if (err)
		mem_deref(w);
	else
		*wp = w;

	return err;
}


struct worker *worker_self(void)
{
	return self;
}


unsigned worker_index(const struct worker *w)
{
	return w ? w->idx : 0;
}


int worker_post(struct worker *w, worker_h *h, void *arg)
{
	struct msg *m;
	bool first;

	if (!w || !h)
		return EINVAL;

	m = mem_zalloc(sizeof(*m), NULL);
	if (!m)
		return ENOMEM;

	m->h   = h;
	m->arg = arg;

	(void)pthread_mutex_lock(&w->lock);
	if (w->stopping) {
		(void)pthread_mutex_unlock(&w->lock);
		mem_deref(m);
		return ECANCELED;
	}
	first = list_isempty(&w->msgl);
	list_append(&w->msgl, &m->le, m);
	(void)pthread_mutex_unlock(&w->lock);

	if (first)
		wake(w);

	return 0;
}
