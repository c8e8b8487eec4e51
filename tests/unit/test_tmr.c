/**
 * @file test_tmr.c  compat/tmr.c: the timer wheel
 */
#include <string.h>
#include <pthread.h>
#include <re.h>
#include "compat/compat.h"
#include "test.h"


extern struct list *tmrl_get(void);

static uint64_t fake_usec;


static uint64_t fake_clock(void)
{
	return fake_usec;
}


static void fake_begin(uint64_t ms)
{
	fake_usec = ms * 1000;
	compat_clock_set(fake_clock);
}


static void fake_end(void)
{
	compat_clock_set(NULL);
}


static void fake_pass(uint64_t ms)
{
	fake_usec += ms * 1000;
	tmr_poll(tmrl_get());
}


/* ---- against a model */

enum {
	MODEL_TIMERS = 300,
	MODEL_STEPS  = 20000,
};

struct model {
	struct tmr tmr;
	uint64_t at;        /* when it must fire */
	uint64_t seq;       /* order of starting */
	bool on;
};

static struct {
	struct model v[MODEL_TIMERS];
	uint64_t seq;
	uint64_t last_at, last_seq;
	unsigned fired, early, disorder;
} model;


static void model_handler(void *arg)
{
	struct model *m = arg;

	if (!m->on || m->at > tmr_jiffies())
		++model.early;
	if (m->at < model.last_at ||
	    (m->at == model.last_at && m->seq < model.last_seq))
		++model.disorder;

	model.last_at  = m->at;
	model.last_seq = m->seq;
	m->on = false;
	++model.fired;
}


static uint64_t model_delay(uint32_t *seed)
{
	static const uint64_t rangev[] = {
		1, 3, 64, 70, 500, 4096, 32000, 300000, 90000000,
		40ULL * 86400 * 1000
	};

	*seed = *seed * 1103515245 + 12345;

	return ((uint64_t)*seed * 2654435761U >> 7) %
		rangev[(*seed >> 16) % RE_ARRAY_SIZE(rangev)] + 1;
}


static int test_tmr_model(void)
{
	uint32_t seed = 4711;
	unsigned i, step;
	int err = 0;

	memset(&model, 0, sizeof(model));
	fake_begin(123456);

	for (step=0; step<MODEL_STEPS; step++) {

		struct model *m;
		uint64_t delay = model_delay(&seed);

		m = &model.v[(seed >> 8) % MODEL_TIMERS];

		switch ((seed >> 20) % 8) {

		case 0:
			tmr_cancel(&m->tmr);
			m->on = false;
			break;

		case 1:
			model.last_at = model.last_seq = 0;
			fake_pass(model_delay(&seed) % 5000);
			for (i=0; i<MODEL_TIMERS; i++) {
				TEST(!model.v[i].on ||
				     model.v[i].at > tmr_jiffies());
			}
			break;

		default:
			m->at  = tmr_jiffies() + delay;
			m->seq = ++model.seq;
			m->on  = true;
			tmr_start(&m->tmr, delay, model_handler, m);
			TEST_EQUALS(delay, tmr_get_expire(&m->tmr));
			break;
		}
	}

	TEST(model.fired > 1000);
	TEST_EQUALS(0, model.early);
	TEST_EQUALS(0, model.disorder);

 out:
	for (i=0; i<MODEL_TIMERS; i++)
		tmr_cancel(&model.v[i].tmr);
	fake_end();
	return err;
}


/* ---- sleeping */

static void count_handler(void *arg)
{
	++*(unsigned *)arg;
}


/* As the loop does: sleep as long as told, poll; how often for one timer? */
static int sleep_until_fired(uint64_t delay, unsigned *polls)
{
	unsigned fired = 0;
	struct tmr tmr;
	uint64_t to;
	int err = 0;

	tmr_init(&tmr);
	tmr_start(&tmr, delay, count_handler, &fired);

	for (*polls=0; !fired; ++*polls) {

		const uint64_t left = tmr_get_expire(&tmr);

		to = tmr_next_timeout(tmrl_get());
		TEST(to > 0);
		TEST(to <= left || to == 1);
		TEST(to <= 3600 * 1000);
		fake_pass(to);
	}

	TEST(!tmr_isrunning(&tmr));
	TEST_EQUALS(0, tmr_next_timeout(tmrl_get()));
 out:
	tmr_cancel(&tmr);
	return err;
}


static int test_tmr_sleep(void)
{
	static const uint64_t delayv[] = {
		0, 1, 2, 63, 64, 65, 4095, 4096, 4097, 32000, 262144,
		3599999, 3600000
	};
	unsigned polls;
	uint64_t begin;
	size_t i, j;
	int err = 0;

	fake_begin(0);

	for (i=0; i<RE_ARRAY_SIZE(delayv); i++) {
		for (j=0; j<130; j+=7) {
			fake_pass(j);
			begin = tmr_jiffies();
			err = sleep_until_fired(delayv[i], &polls);
			TEST_ERR(err);
			TEST_EQUALS(1, polls);
			TEST_EQUALS(max(delayv[i], (uint64_t)1),
				    tmr_jiffies() - begin);
		}
	}

	/* days: the loop wakes every hour, no more */
	begin = tmr_jiffies();
	err = sleep_until_fired(30ULL * 86400 * 1000, &polls);
	TEST_ERR(err);
	TEST_EQUALS(30 * 24, polls);
	TEST_EQUALS(30LL * 86400 * 1000, tmr_jiffies() - begin);
 out:
	fake_end();
	return err;
}


/* Many timers in one slot: the exact time is not looked for, but nothing
   is late, and the loop wakes only a few times more */
static int test_tmr_sleep_crowd(void)
{
	enum { N = 2000 };
	struct tmr *v;
	unsigned i, polls = 0, fired = 0;
	uint64_t begin;
	int err = 0;

	fake_begin(77);

	v = mem_zalloc(N * sizeof(*v), NULL);
	if (!v) {
		err = ENOMEM;
		goto out;
	}

	begin = tmr_jiffies();
	for (i=0; i<N; i++)
		tmr_start(&v[i], 32000, count_handler, &fired);

	while (fired < N) {
		fake_pass(tmr_next_timeout(tmrl_get()));
		TEST(++polls < 5);
	}
	TEST_EQUALS(32000, tmr_jiffies() - begin);
 out:
	mem_deref(v);
	fake_end();
	return err;
}


/* ---- what handlers may do */

struct obj {
	struct tmr tmr;
	struct tmr *victim;
	unsigned *count;
};


static void obj_destructor(void *arg)
{
	struct obj *obj = arg;

	tmr_cancel(&obj->tmr);
}


static void obj_handler(void *arg)
{
	struct obj *obj = arg;

	++*obj->count;
	tmr_cancel(obj->victim);
	mem_deref(obj);
}


static int test_tmr_handler_frees(void)
{
	unsigned count = 0, other = 0, i;
	struct obj *obj;
	struct tmr victim;
	int err = 0;

	fake_begin(5);
	tmr_init(&victim);

	for (i=0; i<3; i++) {
		obj = mem_zalloc(sizeof(*obj), obj_destructor);
		if (!obj) {
			err = ENOMEM;
			goto out;
		}
		obj->victim = &victim;
		obj->count  = &count;

		tmr_start(&obj->tmr, 100, obj_handler, obj);
		tmr_start(&victim, 100, count_handler, &other);
		fake_pass(100);
		TEST_EQUALS(i + 1, count);
		TEST_EQUALS(0, other);
		TEST(!tmr_isrunning(&victim));
	}
 out:
	tmr_cancel(&victim);
	fake_end();
	return err;
}


struct again {
	struct tmr tmr;
	unsigned count;
	uint64_t delay;
};


static void again_handler(void *arg)
{
	struct again *again = arg;

	++again->count;
	tmr_start(&again->tmr, again->delay, again_handler, again);
}


static int test_tmr_handler_restarts(void)
{
	struct again again;
	int err = 0;

	fake_begin(1000);

	memset(&again, 0, sizeof(again));
	again.delay = 20;
	tmr_start(&again.tmr, 20, again_handler, &again);
	while (again.count < 50)
		fake_pass(tmr_next_timeout(tmrl_get()));
	TEST_EQUALS(2000, tmr_jiffies());

	/* no delay at all, under a clock that stands: the poll still ends,
	   and goes on next time */
	again.delay = 0;
	again.count = 0;
	tmr_start(&again.tmr, 0, again_handler, &again);
	tmr_poll(tmrl_get());
	TEST(again.count > 0);
	TEST(again.count < 100);
	TEST_EQUALS(1, tmr_next_timeout(tmrl_get()));
	again.count = 0;
	tmr_poll(tmrl_get());
	TEST(again.count > 0);
 out:
	tmr_cancel(&again.tmr);
	fake_end();
	return err;
}


static int test_tmr_api(void)
{
	unsigned count = 0;
	struct tmr tmr;
	int err = 0;

	fake_begin(10);
	tmr_init(NULL);
	tmr_start(NULL, 1, count_handler, NULL);
	tmr_cancel(NULL);
	TEST_EQUALS(0, tmr_get_expire(NULL));
	TEST(!tmr_isrunning(NULL));

	tmr_init(&tmr);
	tmr_cancel(&tmr);
	TEST(!tmr_isrunning(&tmr));

	tmr_start(&tmr, 50, count_handler, &count);
	TEST(tmr_isrunning(&tmr));
	fake_pass(49);
	TEST_EQUALS(0, count);
	TEST_EQUALS(1, tmr_get_expire(&tmr));

	tmr_start(&tmr, 50, count_handler, &count);
	fake_pass(49);
	TEST_EQUALS(0, count);
	fake_pass(1);
	TEST_EQUALS(1, count);
	TEST_EQUALS(0, tmr_get_expire(&tmr));

	/* a sleep of the whole machine: all in one poll */
	tmr_start(&tmr, 86400000, count_handler, &count);
	fake_pass(10ULL * 86400000);
	TEST_EQUALS(2, count);

	/* longer than we count */
	tmr_start(&tmr, UINT64_MAX, count_handler, &count);
	TEST_EQUALS(3600000, tmr_next_timeout(tmrl_get()));
	fake_pass(86400000);
	TEST_EQUALS(2, count);
	TEST(tmr_isrunning(&tmr));

	fake_pass(1);
	tmr_cancel(&tmr);
	TEST_EQUALS(0, tmr_next_timeout(tmrl_get()));
 out:
	tmr_cancel(&tmr);
	fake_end();
	return err;
}


/* ---- threads */

static struct tmr left_over;
static unsigned thread_count;


static void stop_handler(void *arg)
{
	count_handler(arg);
	re_cancel();
}


static void *thread_main(void *arg)
{
	struct tmr tmr;
	int err;
	(void)arg;

	memset(&tmr, 0, sizeof(tmr));
	if (re_thread_init())
		return NULL;
	tmr_start(&tmr, 20, stop_handler, &thread_count);
	err = re_main(NULL);
	tmr_cancel(&tmr);
	re_thread_close();
	if (err)
		return NULL;

	/* another loop in the same thread, and timers that outlive it */
	if (re_thread_init())
		return NULL;
	tmr_start(&left_over, 10, count_handler, &thread_count);
	tmr_start(&tmr, 20, stop_handler, &thread_count);
	(void)re_main(NULL);
	tmr_start(&left_over, 100000, count_handler, &thread_count);
	re_thread_close();

	return NULL;
}


static int test_tmr_thread(void)
{
	pthread_t tid;
	unsigned i;
	int err;

	for (i=0; i<3; i++) {
		thread_count = 0;
		err = pthread_create(&tid, NULL, thread_main, NULL);
		TEST_ERR(err);
		(void)pthread_join(tid, NULL);
		TEST_EQUALS(3, thread_count);
		TEST(!tmr_isrunning(&left_over));
		tmr_cancel(&left_over);
	}
 out:
	return err;
}


static int test_tmr_loop(void)
{
	const uint64_t begin = tmr_jiffies_usec();
	unsigned count = 0;
	struct tmr tmr;
	uint64_t took;
	int err;

	tmr_init(&tmr);
	tmr_start(&tmr, 30, stop_handler, &count);
	err = test_run_loop(2000);
	TEST_ERR(err);
	took = tmr_jiffies_usec() - begin;
	TEST_EQUALS(1, count);
	TEST(took >= 29000);
 out:
	tmr_cancel(&tmr);
	return err;
}


int main(int argc, char *argv[])
{
	static const struct test_case cases[] = {
		TEST_CASE(test_tmr_api),
		TEST_CASE(test_tmr_model),
		TEST_CASE(test_tmr_sleep),
		TEST_CASE(test_tmr_sleep_crowd),
		TEST_CASE(test_tmr_handler_frees),
		TEST_CASE(test_tmr_handler_restarts),
		TEST_CASE_ONCE(test_tmr_loop),
		TEST_CASE_ONCE(test_tmr_thread),
	};

	return test_main(argc, argv, cases, RE_ARRAY_SIZE(cases));
}
