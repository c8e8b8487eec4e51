/**
 * @file worker/clock.c  Wall clock that a test can replace
 */
#include <time.h>
#include <re.h>
#include "worker.h"


static uint64_t (*_Atomic clockh)(void);


uint64_t worker_wallclock_us(void)
{
	uint64_t (*h)(void) = clockh;
	struct timespec ts;

	if (h)
		return h();

	(void)clock_gettime(CLOCK_REALTIME, &ts);

	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}


/** Use another clock, NULL for the machine's */
void worker_wallclock_set(uint64_t (*clock)(void))
{
	clockh = clock;
}
