/**
 * @file test.c  The unit tests' harness
 */
#include <stdio.h>
#include <string.h>
#include <stdlib.h>
#include <re.h>
#include "test.h"
#include "compat/compat.h"


enum {
	FAIL_MAX = 20000,  /**< Give up: the case allocates without end */
};

static bool quiet;     /**< An allocation is made to fail: say nothing yet */
static char why[256];  /**< The first complaint of this run */


static void complain(const char *text)
{
	if (!why[0])
		(void)re_snprintf(why, sizeof(why), "%s", text);

	if (!quiet)
		(void)re_fprintf(stderr, "  %s\n", text);
}


/**
 * Is this run one in which an allocation was made to fail?
 *
 * @return true if the failure was met, so that ENOMEM is in order
 */
bool test_oom(void)
{
	return mem_fail_hit();
}


void test_complain(const char *file, int line, const char *what)
{
	char text[256];

	(void)re_snprintf(text, sizeof(text), "%s:%d: not true: %s",
			  file, line, what);
	complain(text);
}


void test_complain_err(const char *file, int line, const char *what, int e)
{
	char text[256];

	(void)re_snprintf(text, sizeof(text), "%s:%d: %s: %m",
			  file, line, what, e);
	complain(text);
}


void test_complain_int(const char *file, int line, const char *what,
		       long long expected, long long actual)
{
	char text[256];

	(void)re_snprintf(text, sizeof(text),
			  "%s:%d: %s is %lld, expected %lld",
			  file, line, what, actual, expected);
	complain(text);
}


bool test_same(const char *file, int line, const void *expected, size_t en,
	       const void *actual, size_t an)
{
	char text[256];

	if (en == an && (!en || !memcmp(expected, actual, en)))
		return true;

	(void)re_snprintf(text, sizeof(text),
			  "%s:%d: bytes differ (%zu, expected %zu)",
			  file, line, an, en);
	complain(text);

	if (!quiet) {
		(void)re_fprintf(stderr, "  expected:\n");
		hexdump(stderr, expected, en);
		(void)re_fprintf(stderr, "  actual:\n");
		hexdump(stderr, actual, an);
	}

	return false;
}


static void loop_timeout(void *arg)
{
	bool *late = arg;

	*late = true;
	re_cancel();
}


/**
 * Run the event loop until someone calls re_cancel()
 *
 * @param timeout_ms At most this long [ms]
 *
 * @return 0 if cancelled in time, ETIMEDOUT if not
 */
int test_run_loop(uint32_t timeout_ms)
{
	bool late = false;
	struct tmr tmr;
	int err;

	tmr_init(&tmr);
	tmr_start(&tmr, timeout_ms, loop_timeout, &late);
	err = re_main(NULL);
	tmr_cancel(&tmr);

	return late ? ETIMEDOUT : err;
}


/** One run of a case; false and why[] if it failed */
static bool run_once(const struct test_case *tc, long fail, bool *hit)
{
	struct memstat before, after;
	int err;

	why[0] = '\0';
	quiet  = fail > 0;
	(void)mem_get_stat(&before);

	mem_fail_after(fail);
	err  = tc->exec();
	*hit = mem_fail_hit();
	mem_fail_after(0);

	(void)mem_get_stat(&after);

	if (err && !(*hit && err == ENOMEM)) {
		if (!why[0])
			(void)re_snprintf(why, sizeof(why), "returned %m",
					  err);
		return false;
	}

	if (!(tc->flags & TEST_NOLEAK) &&
	    after.blocks_cur != before.blocks_cur) {
		(void)re_snprintf(why, sizeof(why), "leaks %zd blocks,"
				  " %zd bytes",
				  after.blocks_cur - before.blocks_cur,
				  after.bytes_cur - before.bytes_cur);
		return false;
	}

	return true;
}


static bool run_case(const struct test_case *tc)
{
	bool hit = false;
	long n;

	if (!run_once(tc, 0, &hit)) {
		(void)re_printf("not ok %s: %s\n", tc->name, why);
		return false;
	}

	for (n=1; !(tc->flags & TEST_NOFAIL); n++) {

		if (n > FAIL_MAX) {
			(void)re_printf("not ok %s: more than %d"
					" allocations: make it smaller, or"
					" TEST_CASE_ONCE\n",
					tc->name, FAIL_MAX);
			return false;
		}

		if (!run_once(tc, n, &hit)) {
			(void)re_printf("not ok %s: with allocation %ld"
					" failing: %s\n", tc->name, n, why);
			return false;
		}

		if (!hit)
			break;
	}

	(void)re_printf("ok %s\n", tc->name);
	return true;
}


static bool wanted(int argc, char *argv[], const char *name)
{
	int i;

	for (i=1; i<argc; i++) {
		if (!strcmp(argv[i], name))
			return true;
	}

	return argc < 2;
}


/**
 * Run the cases and print a line for each
 *
 * @return Exit status: 0 if all passed
 */
int test_main(int argc, char *argv[], const struct test_case *casev,
	      size_t casec)
{
	size_t i;
	int err, bad = 0;

	setvbuf(stdout, NULL, _IOLBF, 0);

	err = libre_init();
	if (err) {
		(void)re_fprintf(stderr, "libre_init: %m\n", err);
		return 2;
	}

	/* the event loop's own memory is not a leak of the case */
	(void)fd_setsize(1024);
	(void)poll_method_set(METHOD_EPOLL);

	for (i=0; i<casec; i++) {
		if (wanted(argc, argv, casev[i].name))
			bad += !run_case(&casev[i]);
	}

	libre_close();

	return bad ? 1 : 0;
}
