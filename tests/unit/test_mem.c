/**
 * @file test_mem.c  compat/mem.c: counting, failing, references
 */
#include <string.h>
#include <pthread.h>
#include <re.h>
#include "compat/compat.h"
#include "test.h"


static unsigned destroyed;


static void destructor(void *arg)
{
	(void)arg;
	++destroyed;
}


static void keep_destructor(void *arg)
{
	if (++destroyed == 1)
		mem_ref(arg);
}


static int test_mem_count(void)
{
	struct memstat a, b;
	uint8_t *p, *q = NULL;
	int err = 0;

	(void)mem_get_stat(&a);
	p = mem_zalloc(100, NULL);
	if (!p)
		return ENOMEM;
	(void)mem_get_stat(&b);
	TEST_EQUALS(a.blocks_cur + 1, b.blocks_cur);
	TEST_EQUALS(a.bytes_cur + 100, b.bytes_cur);
	TEST(b.bytes_peak >= b.bytes_cur);
	TEST_EQUALS(0, p[99]);
	TEST_EQUALS(0, (uintptr_t)p % 16);

	memset(p, 7, 100);
	q = mem_realloc(p, 5000);
	if (!q) {
		err = ENOMEM;
		goto out;
	}
	p = q;
	TEST_EQUALS(7, p[99]);
	(void)mem_get_stat(&b);
	TEST_EQUALS(a.bytes_cur + 5000, b.bytes_cur);
	TEST_EQUALS(a.blocks_cur + 1, b.blocks_cur);
	TEST(NULL == mem_realloc(NULL, 1));
	TEST(NULL == mem_alloc((size_t)1 << 33, NULL));
	TEST(NULL == mem_reallocarray(NULL, SIZE_MAX / 2, 3, NULL));
	TEST_EQUALS(EINVAL, mem_get_stat(NULL));
 out:
	p = mem_deref(p);
	(void)mem_get_stat(&b);
	if (!err && b.bytes_cur != a.bytes_cur)
		err = EINVAL;
	return err;
}


static int test_mem_refs(void)
{
	void *p;
	int err = 0;

	destroyed = 0;
	p = mem_alloc(1, destructor);
	if (!p)
		return ENOMEM;
	TEST(p == mem_ref(p));
	TEST_EQUALS(2, mem_nrefs(p));
	mem_deref(p);
	TEST_EQUALS(0, destroyed);
	p = mem_deref(p);
	TEST_EQUALS(1, destroyed);
	TEST(NULL == mem_ref(NULL));
	TEST(NULL == mem_deref(NULL));
	TEST_EQUALS(0, mem_nrefs(NULL));

	/* a destructor that keeps its object */
	destroyed = 0;
	p = mem_alloc(1, keep_destructor);
	if (!p)
		return ENOMEM;
	mem_deref(p);
	TEST_EQUALS(1, mem_nrefs(p));
	p = mem_deref(p);
	TEST_EQUALS(2, destroyed);
 out:
	mem_deref(p);
	return err;
}


static int test_mem_fail(void)
{
	void *v[4] = {NULL};
	unsigned i;
	int err = 0;

	mem_fail_after(3);
	for (i=0; i<4; i++)
		v[i] = mem_alloc(8, NULL);
	TEST(v[0] && v[1] && !v[2] && v[3]);
	TEST(mem_fail_hit());
	mem_fail_after(0);
	TEST(!mem_fail_hit());
 out:
	for (i=0; i<4; i++)
		mem_deref(v[i]);
	return err;
}


static void *pass_on(void *arg)
{
	void **vp = arg;

	mem_deref(*vp);
	*vp = mem_alloc(50, NULL);

	return NULL;
}


/* Freed in another thread, counted right; more threads than slots in turn */
static int test_mem_threads(void)
{
	struct memstat a, b;
	pthread_t tid;
	unsigned i;
	void *p;
	int err = 0;

	(void)mem_get_stat(&a);
	p = mem_alloc(50, NULL);
	for (i=0; i<300; i++) {
		err = pthread_create(&tid, NULL, pass_on, &p);
		TEST_ERR(err);
		(void)pthread_join(tid, NULL);
	}
	(void)mem_get_stat(&b);
	TEST_EQUALS(a.blocks_cur + 1, b.blocks_cur);
	TEST_EQUALS(a.bytes_cur + 50, b.bytes_cur);
 out:
	mem_deref(p);
	return err;
}


int main(int argc, char *argv[])
{
	static const struct test_case cases[] = {
		TEST_CASE(test_mem_count),
		TEST_CASE(test_mem_refs),
		TEST_CASE_ONCE(test_mem_fail),
		TEST_CASE_ONCE(test_mem_threads),
	};

	return test_main(argc, argv, cases, RE_ARRAY_SIZE(cases));
}
