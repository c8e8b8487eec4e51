/**
 * @file bench_tmr.c  Cost of starting, restarting, cancelling and firing a
 *                    timer among 100,000 running ones
 *
 * Prints one line a step: "NAME NANOSECONDS ns".  Exit 1 if a start or a
 * cancel costs a microsecond or more.
 */
#include <time.h>
#include <re.h>
#include "compat/compat.h"


extern struct list *tmrl_get(void);

enum { N = 100000 };

static uint64_t skew;       /**< The clock is put forward by this [us] */
static unsigned fired;


static uint64_t bench_clock(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);

	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000
		+ skew;
}


static void handler(void *arg)
{
	(void)arg;
	++fired;
}


static double report(const char *name, uint64_t begin)
{
	const double ns = (double)(tmr_jiffies_usec() - begin) * 1000 / N;

	(void)re_printf("%-8s %u ns\n", name, (unsigned)ns);

	return ns;
}


int main(void)
{
	uint64_t *delayv, begin;
	struct tmr *v;
	double start, again, cancel;
	unsigned i;

	if (libre_init())
		return 2;

	compat_clock_set(bench_clock);
	v      = mem_zalloc(N * sizeof(*v), NULL);
	delayv = mem_zalloc(N * sizeof(*delayv), NULL);
	if (!v || !delayv)
		return 2;

	/* what a proxy has: 500 ms to an hour */
	for (i=0; i<N; i++)
		delayv[i] = 500ULL << rand_u32() % 13;

	begin = tmr_jiffies_usec();
	for (i=0; i<N; i++)
		tmr_start(&v[i], delayv[i], handler, NULL);
	start = report("start", begin);

	begin = tmr_jiffies_usec();
	for (i=0; i<N; i++)
		tmr_start(&v[i], delayv[N - 1 - i], handler, NULL);
	again = report("restart", begin);

	begin = tmr_jiffies_usec();
	for (i=0; i<N; i++)
		tmr_cancel(&v[i]);
	cancel = report("cancel", begin);

	for (i=0; i<N; i++)
		tmr_start(&v[i], delayv[i], handler, NULL);
	begin = tmr_jiffies_usec();
	skew += 2 * 3600 * 1000000ULL;
	tmr_poll(tmrl_get());
	begin += skew;
	(void)report("fire", begin);
	if (fired != N)
		(void)re_fprintf(stderr, "%u of %u fired\n", fired, N);

	mem_deref(v);
	mem_deref(delayv);
	libre_close();

	return start < 1000 && again < 1000 && cancel < 1000 && fired == N
		? 0 : 1;
}
