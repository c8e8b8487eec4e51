/**
 * @file compat.h  What our replacements of libre's files offer beyond
 *                 libre's own headers
 */
#include <stdbool.h>


/* mem.c */

/**
 * Make one allocation of this thread fail
 *
 * @param n The n-th from now on fails (1: the next), once; 0: none
 */
void mem_fail_after(long n);

/** Has the allocation that was to fail been met? */
bool mem_fail_hit(void);
