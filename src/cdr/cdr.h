/**
 * @file cdr.h  The CDR of a leg: open at INVITE, closed at the end
 *
 * A writer stands between the calls and the store.  It has a thread of its
 * own, so that neither a slow disk nor a full one ever holds a call: a row
 * that the store does not take goes to the spool STATE/cdr.spool (bounded,
 * preallocated, synced), and from there to the store, in order, once that
 * works again.  "On disk" below means: committed in the store or synced in
 * the spool.
 *
 * A struct cdr lives on the worker of its call, like the call itself.  All
 * handlers run there, exactly once, never from inside the call.
 */

#ifndef VOIPSTACK_CDR_H
#define VOIPSTACK_CDR_H

struct bus;
struct store;
struct store_cdr;
struct cdr_writer;
struct cdr;

/** err 0: the row is on disk.  Otherwise it waits in memory only (counted);
    the call goes on in either case */
typedef void (cdr_done_h)(int err, void *arg);

/**
 * Asked for each open CDR that an earlier process left behind.
 *
 * @return true if its dialog has been taken up again (the handler then
 *         usually calls cdr_resume()); false to have it closed
 */
typedef bool (cdr_live_h)(const struct store_cdr *row, void *arg);
/** closed: how many rows were closed as "crash" */
typedef void (cdr_recover_h)(int err, unsigned closed, void *arg);

/**
 * The store fails (err, rows go to the spool from now on), or works again
 * (0, nothing waits any more).  Runs on the worker that set it; log it there.
 */
typedef void (cdr_state_h)(int err, unsigned waiting, void *arg);

/* writer.c */

/**
 * Start the writer of one process.  Blocks (start-up only).
 *
 * @param wp    Pointer to allocated writer.  Dropping it puts what is still
 *              under way on disk and joins its thread; drop all struct cdr
 *              before it, and it before the store
 * @param st    Store of STORE_CDR, open for writing
 * @param dir   State directory: where cdr.spool is
 * @param node  Name of this node, for rows that have none
 *
 * @return 0 if success, otherwise errorcode
 */
int cdr_writer_alloc(struct cdr_writer **wp, struct store *st,
		     const char *dir, const char *node);

/** Set once, before the first row */
int cdr_writer_state_handler(struct cdr_writer *w, cdr_state_h *h, void *arg);

/** Have rows of BUS_CALL_START, _ANSWER and _END written too, for publishers
    that do not wait.  The subscription ends with the writer; the bus must
    publish on a worker */
int cdr_writer_subscribe(struct cdr_writer *w, struct bus *bus);

/** Counters for ctl: rows written, spooled, waiting, dropped, last error */
int cdr_writer_debug(struct re_printf *pf, const struct cdr_writer *w);

/* recover.c */

/**
 * Close what a dead process left open: the spool is drained first, then each
 * open row is offered to liveh (NULL: none lives).  The rest is closed with
 * hangup "crash", ANSWERED or FAILED by whether it was answered, and ends
 * now, or at the time of its last change if that is known.  Once, at start,
 * before the first cdr_open(); calling thread must be a worker.
 */
int cdr_recover(struct cdr_writer *w, cdr_live_h *liveh, cdr_recover_h *h,
		void *arg);

/* cdr.c */

/**
 * Open the CDR of a leg.
 *
 * @param cp   Pointer to allocated CDR.  Dropping it: handlers of its own
 *             that did not run yet do not run; what was handed over is still
 *             written; a row that was not closed stays open, for
 *             cdr_recover() of the next process
 * @param w    Writer
 * @param row  time_us and call_id are the key; end_us 0.  Copied
 * @param h    Runs when the open row is on disk: let the call continue then
 *             (also on error).  May be NULL
 * @param arg  Handler argument
 *
 * @return 0 if success, otherwise errorcode (ENOMEM, EINVAL; h will not run)
 */
int cdr_open(struct cdr **cp, struct cdr_writer *w,
	     const struct store_cdr *row, cdr_done_h *h, void *arg);

/** Go on with an open row of an earlier process; writes nothing */
int cdr_resume(struct cdr **cp, struct cdr_writer *w,
	       const struct store_cdr *row);

/** Set what became known after the INVITE; NULL leaves as it is.  Goes to
    disk with the next cdr_answer() or cdr_close() */
int cdr_set(struct cdr *c, const char *codec, const char *dst_ip);

/** The leg was answered (2xx) at answer_us.  Written at once, so that a
    crash leaves an answered row; nobody waits for it */
int cdr_answer(struct cdr *c, uint64_t answer_us);

/**
 * Close the CDR.  A second close is EALREADY.
 *
 * @param end_us       When the leg ended
 * @param disposition  ANSWERED, NO ANSWER, BUSY or FAILED; NULL: by answer_us
 *                     and sip_code
 * @param sip_code     Final status (200 for an answered call)
 * @param hangup       "caller", "callee", "timeout", "cancel", ...
 * @param h            Runs when the closed row is on disk.  May be NULL
 */
int cdr_close(struct cdr *c, uint64_t end_us, const char *disposition,
	      uint16_t sip_code, const char *hangup,
	      cdr_done_h *h, void *arg);

/** The row as it is now; valid as long as the CDR and until its next change */
const struct store_cdr *cdr_row(const struct cdr *c);

#endif
