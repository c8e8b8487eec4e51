/**
 * @file test_worker.c  Threads with loops, and messages between them
 */
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <re.h>
#include "worker/worker.h"
#include "test.h"


enum { N = 20000 };

static struct {
	struct worker *control;
	struct worker *w[2];
	unsigned seen;
	bool wrong;
	_Atomic unsigned stopped;
} t;


struct value {
	unsigned n;
	struct worker *from;
};


static int init_handler(void *arg)
{
	return worker_self() && arg == &t ? 0 : EINVAL;
}


static int fail_handler(void *arg)
{
	(void)arg;
	return EPERM;
}


static void stop_handler(void *arg)
{
	(void)arg;
	++t.stopped;
}


static void back(void *arg)
{
	struct value *v = arg;

	if (worker_self() != t.control || v->n != t.seen)
		t.wrong = true;
	mem_deref(v);
	if (++t.seen == N)
		re_cancel();
}


static void there(void *arg)
{
	struct value *v = arg;

	if (worker_self() != t.w[1] || worker_index(t.w[1]) != 1)
		t.wrong = true;
	if (worker_post(t.control, back, v))
		mem_deref(v);
}


static int test_post(void)
{
	unsigned i;
	int err;

	memset(&t, 0, sizeof(t));
	err = worker_adopt(&t.control, "control");
	TEST_ERR(err);
	for (i = 0; i < 2; i++) {
		err = worker_alloc(&t.w[i], "w", i, init_handler,
				   stop_handler, &t);
		TEST_ERR(err);
	}

	for (i = 0; i < N; i++) {
		struct value *v = mem_zalloc(sizeof(*v), NULL);

		TEST(v);
		v->n = i;
		err = worker_post(t.w[1], there, v);
		TEST_ERR(err);
	}

	TEST_ERR(test_run_loop(10000));
	TEST_EQUALS(N, t.seen);
	TEST(!t.wrong);
 out:
	for (i = 0; i < 2; i++)
		t.w[i] = mem_deref(t.w[i]);
	if (!err && t.stopped != 2)
		err = EPROTO;
	t.control = mem_deref(t.control);
	return err;
}


static void count_handler(void *arg)
{
	_Atomic unsigned *n = arg;

	++*n;
}


/* What was posted before the stop is run, nothing is lost */
static int test_stop(void)
{
	static _Atomic unsigned n;
	struct worker *w = NULL;
	unsigned i;
	int err;

	n = 0;
	err = worker_alloc(&w, "w", 0, NULL, NULL, NULL);
	TEST_ERR(err);
	for (i = 0; i < 1000; i++)
		TEST_ERR(worker_post(w, count_handler, &n));
	w = mem_deref(w);
	TEST_EQUALS(1000, n);

	TEST_EQUALS(EPERM, worker_alloc(&w, "w", 0, fail_handler,
					stop_handler, NULL));
	TEST(!w);
 out:
	mem_deref(w);
	return err;
}


static uint64_t fixed_clock(void)
{
	return 42;
}


static int test_clock(void)
{
	int err = 0;

	TEST(worker_wallclock_us() > 1700000000ULL * 1000000);
	worker_wallclock_set(fixed_clock);
	TEST_EQUALS(42, worker_wallclock_us());
 out:
	worker_wallclock_set(NULL);
	return err;
}


int main(int argc, char *argv[])
{
	static const struct test_case cases[] = {
		TEST_CASE_RAW(test_post),
		TEST_CASE_RAW(test_stop),
		TEST_CASE(test_clock),
	};

	return test_main(argc, argv, cases, ARRAY_SIZE(cases));
}
