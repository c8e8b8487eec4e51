/**
 * @file store/internal.h  Back ends, packed rows, and requests on their way
 */

#ifndef VOIPSTACK_STORE_INTERNAL_H
#define VOIPSTACK_STORE_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

struct worker;

enum {
	STORE_QUEUE_MAX  = 10000,	/**< requests waiting, default       */
	STORE_ROW_MAX    = 65536,	/**< bytes of one packed row         */
	STORE_BATCH_MAX  = 2000,	/**< writes in one commit            */
	STORE_BATCH_MS   = 10,		/**< collecting for one commit       */
	STORE_CHUNK_SIZE = 65536,	/**< result rows that cross at once  */
};


/*
 * Rows
 */

enum store_kind {
	STORE_SUBSCRIBER = 0,
	STORE_BINDING,
	STORE_CDR_ROW,
	STORE_DIALOG,
};

/* row.c: a block of n rows with their strings behind them, no other pointer */
int  store_rows_pack(void **vp, enum store_kind kind, const void *rows,
		     size_t n);
struct store_chunk;
int  store_chunk_alloc(struct store_chunk **cp, enum store_kind kind,
		       size_t room);
/** ENOBUFS when the row does not fit behind the others */
int  store_chunk_add(struct store_chunk *c, const void *row);
const void *store_chunk_next(const struct store_chunk *c, size_t *pos);
size_t store_row_size(enum store_kind kind, const void *row);


/*
 * Back ends: one thread calls them.  A write happens between begin and
 * commit; rows go to emit one by one, which returns true to stop.
 */

typedef bool (store_emit_h)(const void *row, void *arg);

struct store_cdr_query {
	bool open_only;
	uint64_t since_us;
	unsigned limit;
};

struct store_backend {
	const char *name;
	int  (*open)(void **bp, enum store_db db, const char *path,
		     bool readonly, char *why, size_t whysz);
	void (*close)(void *b);
	int  (*begin)(void *b);
	int  (*commit)(void *b);
	void (*rollback)(void *b);

	int (*subscriber_get)(void *b, const char *user, const char *domain,
			      store_emit_h *emit, void *arg);
	int (*subscriber_put)(void *b, const struct store_subscriber *s);
	int (*subscriber_del)(void *b, const char *user, const char *domain);
	int (*subscriber_list)(void *b, store_emit_h *emit, void *arg);
	int (*location_set)(void *b, const char *aor,
			    const struct store_binding *bv, size_t n);
	int (*location_list)(void *b, store_emit_h *emit, void *arg);
	int (*cdr_put)(void *b, const struct store_cdr *c);
	int (*cdr_list)(void *b, const struct store_cdr_query *q,
			store_emit_h *emit, void *arg);
	int (*dialog_put)(void *b, const struct store_dialog *d);
	int (*dialog_del)(void *b, const char *id);
	int (*dialog_list)(void *b, store_emit_h *emit, void *arg);
};

extern const struct store_backend store_sqlite;

/* store.c */
int store_open_backend(struct store **stp, const struct store_backend *be,
		       enum store_db db, const char *dir, bool readonly,
		       char *why, size_t whysz);


/*
 * A request: struct store_req belongs to the calling thread, struct store_job
 * travels to the store's thread and back and is counted atomically.
 */

struct store_job;
typedef int (store_run_h)(const struct store_backend *be, void *b,
			  struct store_job *job);

struct store_job {
	struct store_job *next;		/**< in the queue, or in an answer   */
	struct worker *w;		/**< where the handlers run          */
	struct store_req *req;		/**< calling thread only             */
	atomic_uint refs;
	atomic_bool cancelled;		/**< do not begin, or stop           */
	bool wanted;			/**< somebody waits for the answer   */
	bool write;
	int err;
	enum store_kind kind;
	store_run_h *run;

	void *args;			/**< packed rows                     */
	size_t argc;
	char *key;
	char *key2;
	struct store_cdr_query q;

	struct store_chunk *chunk;	/**< rows on their way back          */
	bool single;			/**< at most one row, goes with done */
};

union store_rowh {
	store_subscriber_row_h *subscriber;
	store_binding_row_h *binding;
	store_cdr_row_h *cdr;
	store_dialog_row_h *dialog;
	store_subscriber_h *get;	/**< of a single row                 */
};

/* job.c */
int  store_job_alloc(struct store_job **jobp, enum store_kind kind,
		     store_run_h *run, bool write);
void store_job_release(struct store_job *job);
int  store_job_send(struct store *st, struct store_job *job,
		    struct store_req **reqp, uint32_t deadline,
		    union store_rowh rowh, store_done_h *doneh, void *arg);
bool store_job_emit(const void *row, void *arg);
void store_jobs_answer(struct store_job *head);

/* thread.c */
struct store_stat {
	atomic_uint queue, queue_peak;
	atomic_ullong reads, writes, commits, retries;
	atomic_ullong refused, expired, failed;
	atomic_int last_err;
};

struct store {
	const struct store_backend *be;
	void *b;			/**< the back end's own              */
	enum store_db db;
	bool readonly;
	int lockfd;
	unsigned queue_max;

	pthread_t tid;
	bool running;
	pthread_mutex_t mutex;
	pthread_cond_t cond;
	struct store_job *head;		/**< the queue, under mutex          */
	struct store_job *tail;
	bool stop;

	struct store_stat stat;
};

int  store_thread_start(struct store *st);
void store_thread_stop(struct store *st);
int  store_thread_push(struct store *st, struct store_job *job);

#endif
