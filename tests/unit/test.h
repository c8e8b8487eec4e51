/**
 * @file test.h  The unit tests' harness
 *
 * A test file is a list of cases and a main():
 *
 *	static int test_parse(void)
 *	{
 *		struct foo *foo = NULL;
 *		int err;
 *
 *		err = foo_alloc(&foo);
 *		TEST_ERR(err);
 *		TEST_EQUALS(3, foo_count(foo));
 *	 out:
 *		mem_deref(foo);
 *		return err;
 *	}
 *
 *	int main(int argc, char *argv[])
 *	{
 *		static const struct test_case cases[] = {
 *			TEST_CASE(test_parse),
 *		};
 *
 *		return test_main(argc, argv, cases, RE_ARRAY_SIZE(cases));
 *	}
 *
 * Every case runs once as it is, and then again and again with the n-th
 * allocation failing, until it no longer meets the failure; then it may
 * return ENOMEM, but neither crash, nor leak, nor return another error.
 * After each run no memory may be left.  Cases of TEST_CASE_ONCE run once
 * (threads, real time, files), TEST_CASE_RAW also without the leak check.
 * Arguments name the cases to run; without any, all of them.
 */

#ifndef RE_ARRAY_SIZE
#define RE_ARRAY_SIZE(a) ((sizeof(a))/(sizeof((a)[0])))
#endif

enum {
	TEST_NOFAIL = 1 << 0,  /**< Do not repeat with failing allocations */
	TEST_NOLEAK = 1 << 1,  /**< Do not look for leaks                  */
};

struct test_case {
	const char *name;
	int (*exec)(void);
	int flags;
};

#define TEST_CASE(f)      {#f, f, 0}
#define TEST_CASE_ONCE(f) {#f, f, TEST_NOFAIL}
#define TEST_CASE_RAW(f)  {#f, f, TEST_NOFAIL | TEST_NOLEAK}

/* Each of these needs "int err" and a label "out" in the case */

/** A condition that must hold */
#define TEST(cond)                                                         \
	do {                                                               \
		if (!(cond)) {                                             \
			test_complain(__FILE__, __LINE__, #cond);          \
			err = EINVAL;                                      \
			goto out;                                          \
		}                                                          \
	} while (0)

/** An error code that must be 0; it is passed on */
#define TEST_ERR(e)                                                        \
	do {                                                               \
		if (e) {                                                   \
			test_complain_err(__FILE__, __LINE__, #e, e);      \
			err = (e);                                         \
			goto out;                                          \
		}                                                          \
	} while (0)

/** Two integers that must be equal */
#define TEST_EQUALS(expected, actual)                                      \
	do {                                                               \
		const long long te_ = (expected);                          \
		const long long ta_ = (actual);                            \
		if (te_ != ta_) {                                          \
			test_complain_int(__FILE__, __LINE__, #actual,     \
					  te_, ta_);                       \
			err = EINVAL;                                      \
			goto out;                                          \
		}                                                          \
	} while (0)

/** Bytes that must be equal */
#define TEST_MEMCMP(expected, en, actual, an)                              \
	do {                                                               \
		if (!test_same(__FILE__, __LINE__, expected, en,           \
			       actual, an)) {                              \
			err = EINVAL;                                      \
			goto out;                                          \
		}                                                          \
	} while (0)

/** Strings that must be equal */
#define TEST_STRCMP(expected, actual)                                      \
	TEST_MEMCMP(expected, strlen(expected), actual, strlen(actual))

/** A struct pl that must be equal to a string */
#define TEST_PL(expected, plp)                                             \
	TEST_MEMCMP(expected, strlen(expected), (plp)->p, (plp)->l)

int  test_main(int argc, char *argv[], const struct test_case *casev,
	       size_t casec);
void test_complain(const char *file, int line, const char *what);
void test_complain_err(const char *file, int line, const char *what, int e);
void test_complain_int(const char *file, int line, const char *what,
		       long long expected, long long actual);
bool test_same(const char *file, int line, const void *expected, size_t en,
	       const void *actual, size_t an);
bool test_oom(void);
int  test_run_loop(uint32_t timeout_ms);
