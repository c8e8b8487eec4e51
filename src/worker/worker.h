/**
 * @file worker.h  Loops in threads, and values between them
 *
 * A role has one control loop (the process's main thread) and N workers, each
 * a libre loop in a thread of its own.  An object lives and dies on one
 * worker; between workers only values cross, with worker_post().
 */

#ifndef VOIPSTACK_WORKER_H
#define VOIPSTACK_WORKER_H

struct worker;

/** Runs on the target's thread; arg is what was posted */
typedef void (worker_h)(void *arg);

/**
 * Start a thread with a libre loop.  fd_setsize() is called in it.
 *
 * @param wp    Pointer to allocated worker; dropping it stops and joins
 * @param name  Thread name, at most 15 bytes
 * @param idx   Index 0..N-1, as worker_index() will tell
 * @param init  Runs first on the new thread, before worker_alloc() returns;
 *              may be NULL
 * @param stop  Runs last on it; may be NULL
 * @param arg   Handler argument
 *
 * @return 0 if success, otherwise errorcode (also init's)
 */
int worker_alloc(struct worker **wp, const char *name, unsigned idx,
		 int (*init)(void *arg), void (*stop)(void *arg), void *arg);

/** Make the calling thread (with a running libre loop) addressable too: the
    control loop does so once at start */
int worker_adopt(struct worker **wp, const char *name);

/** The calling thread's worker, NULL if it is none */
struct worker *worker_self(void);
unsigned worker_index(const struct worker *w);

/**
 * Run h(arg) on another worker's loop, in order per sender.  arg is handed
 * over: the receiver owns it.  Memory that crosses must be a plain block
 * with no other reference (mem_alloc'ed, dropped by the receiver).
 *
 * @return 0 if success, ECANCELED if the worker is stopping (the caller
 *         keeps arg)
 */
int worker_post(struct worker *w, worker_h *h, void *arg);

/** Descriptors that a loop of this process can watch, for fd_setsize() */
int worker_fdmax(void);

/** Wall clock in microseconds since 1970; for what is stored or shown.
    Durations use tmr_jiffies() (monotonic).  Injectable in tests. */
uint64_t worker_wallclock_us(void);
void worker_wallclock_set(uint64_t (*clock)(void));

#endif
