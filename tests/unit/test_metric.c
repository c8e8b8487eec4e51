/**
 * @file test_metric.c  Counters and their list
 */
#include <re.h>
#include "metric/metric.h"
#include "test.h"


static struct metric a = METRIC_INIT(COUNTER, "a_total", "A");
static struct metric b = METRIC_INIT(GAUGE, "b", "B");


static bool sum_handler(const struct metric *m, void *arg)
{
	int64_t *sum = arg;

	*sum += metric_get(m);

	return false;
}


static int test_metric(void)
{
	int64_t sum = 0;
	int err = 0;

	metric_set(&a, 0);
	metric_inc(&a);
	metric_register(&a);
	metric_register(&b);
	metric_register(&a);
	metric_add(&a, 2);
	metric_set(&b, 10);

	metric_apply(sum_handler, &sum);
	TEST_EQUALS(13, sum);
 out:
	return err;
}


int main(int argc, char *argv[])
{
	static const struct test_case cases[] = {
		TEST_CASE(test_metric),
	};

	return test_main(argc, argv, cases, ARRAY_SIZE(cases));
}
