/**
 * @file cdr/internal.h  The spool, and rows on their way to the disk
 */

#ifndef VOIPSTACK_CDR_INTERNAL_H
#define VOIPSTACK_CDR_INTERNAL_H

#include <stdatomic.h>

struct worker;

enum {
	CDR_SPOOL_SIZE = 4*1024*1024,	/**< some 10,000 rows                */
	CDR_RECORD_MAX = 16384,		/**< bytes of one spooled row        */
	CDR_BACKLOG_MAX = 10000,	/**< rows that wait in memory        */
};

enum cdr_counter {
	CDR_WRITTEN = 0,
	CDR_SPOOLED,
	CDR_DROPPED,
	CDR_WAITING,			/**< a gauge */
	CDR_METRIC_MAX
};

/* spool.c */
struct cdr_spool;

int  cdr_spool_open(struct cdr_spool **spp, const char *path, size_t size,
		    uint64_t *alive_us);
int  cdr_spool_append(struct cdr_spool *sp, const struct store_cdr *row);
int  cdr_spool_sync(struct cdr_spool *sp);
int  cdr_spool_next(struct cdr_spool *sp, size_t *pos,
		    struct store_cdr **rowp);
int  cdr_spool_reset(struct cdr_spool *sp);
void cdr_spool_alive(struct cdr_spool *sp);
unsigned cdr_spool_count(const struct cdr_spool *sp);

/* row.c: a row as a line of JSON */
int cdr_row_encode(char **linep, const struct store_cdr *row);
int cdr_row_decode(struct store_cdr **rowp, const char *line, size_t len);

/** Somebody who waits for a row; lives on his own thread */
struct cdr_waiter {
	struct le le;			/**< in its CDR, or nowhere          */
	cdr_done_h *h;			/**< NULL: he does not wait any more */
	void *arg;
};

/** A row under way */
struct cdr_job {
	struct le le;			/**< in one of the writer's lists    */
	struct cdr_writer *w;
	struct store_cdr *row;		/**< owned, one block                */
	struct worker *from;
	struct cdr_waiter *waiter;	/**< the caller's, NULL: nobody      */
	struct store_req *req;
	bool respool;			/**< a row before it has failed      */
	int err;
};

/** One attempt to hand what waits over to the store */
struct cdr_drain {
	struct tmr tmr;
	struct list jobl;		/**< with the store                  */
	size_t pos;			/**< spool: taken over up to here    */
	size_t next;			/**< and up to here with this batch  */
	unsigned mem;			/**< rows of this batch from memory  */
	int err;
	struct list waitl;		/**< jobs that wait for the end      */
};

struct cdr_writer {
	struct store *st;		/**< borrowed                        */
	struct worker *wk;
	struct cdr_spool *spool;
	char *node;
	uint64_t alive_us;		/**< when the last process was alive */
	struct list subl;

	/* on the writer's thread */
	cdr_state_h *stateh;
	void *statearg;
	struct worker *statewk;
	bool backlog;
	struct list storel;		/**< jobs with the store, in order   */
	struct list syncl;		/**< jobs waiting for the sync       */
	struct list meml;		/**< rows that the spool did not take */
	struct cdr_drain drain;
	struct tmr sync_tmr;
	struct tmr alive_tmr;

	atomic_ullong countv[CDR_WAITING], failures;
	atomic_uint waiting;
	atomic_int last_err;
};

/* writer.c */
void cdr_waiting(struct cdr_writer *w, unsigned n);
void cdr_count(struct cdr_writer *w, enum cdr_counter which);
int  cdr_writer_put(struct cdr_writer *w, const struct store_cdr *row,
		    struct list *waiters, cdr_done_h *h, void *arg);
int  cdr_job_alloc(struct cdr_job **jobp, struct cdr_writer *w);
int  cdr_job_waiter(struct cdr_job *job, struct list *waiters,
		    cdr_done_h *h, void *arg);
void cdr_job_reply(struct cdr_job *job, int err);

/* backlog.c */
void cdr_backlog_begin(struct cdr_writer *w, int err);
void cdr_backlog_put(struct cdr_writer *w, struct cdr_job *job);
void cdr_backlog_wait(struct cdr_writer *w, struct cdr_job *job);
void cdr_backlog_drain(void *arg);
void cdr_backlog_stop(struct cdr_writer *w);

#endif
