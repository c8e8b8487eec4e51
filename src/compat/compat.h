/**
 * @file compat.h  What our replacements of libre's files offer beyond
 *                 libre's own headers
 */
#include <stdbool.h>
#include <stdint.h>


/* mem.c */

/**
 * Make one allocation of this thread fail
 *
 * @param n The n-th from now on fails (1: the next), once; 0: none
 */
void mem_fail_after(long n);

/** Has the allocation that was to fail been met? */
bool mem_fail_hit(void);


/* tmr.c */

/** A clock: monotonic time in [us] */
typedef uint64_t (compat_clock_h)(void);

/**
 * Take the time of all timers and of tmr_jiffies() from a test's clock
 *
 * @param clockh The clock, called from every thread that has timers; NULL:
 *               the real one.  Set it while no timers run.
 */
void compat_clock_set(compat_clock_h *clockh);
