/**
 * @file test_rand.c  compat/rand.c: random numbers
 */
#include <string.h>
#include <unistd.h>
#include <ctype.h>
#include <sys/wait.h>
#include <re.h>
#include "test.h"


static int test_rand_bits(void)
{
	unsigned i, b, countv[64] = {0};
	int err = 0;

	for (i=0; i<10000; i++) {
		const uint64_t v = rand_u64();

		for (b=0; b<64; b++)
			countv[b] += v >> b & 1;
	}

	/* ten standard deviations */
	for (b=0; b<64; b++)
		TEST(countv[b] > 4500 && countv[b] < 5500);
 out:
	return err;
}


static int test_rand_sizes(void)
{
	uint8_t a[1500], b[1500];
	size_t i, size;
	int err = 0;

	for (size=0; size<sizeof(a); size+=13) {
		memset(a, 0, sizeof(a));
		memset(b, 0, sizeof(b));
		rand_bytes(a, size);
		rand_bytes(b, size);
		for (i=size; i<sizeof(a); i++)
			TEST_EQUALS(0, a[i]);
		TEST(size < 13 || memcmp(a, b, size));
	}
	rand_bytes(NULL, 1);
	(void)rand_u16();
	(void)rand_u32();
 out:
	return err;
}


static int test_rand_str(void)
{
	unsigned countv[128] = {0}, i, j, kinds = 0;
	char s[21];
	int err = 0;

	for (i=0; i<3100; i++) {
		memset(s, 'x', sizeof(s));
		rand_str(s, sizeof(s));
		TEST_EQUALS(20, strlen(s));
		for (j=0; j<20; j++) {
			TEST(isalnum((unsigned char)s[j]));
			++countv[(unsigned)s[j] & 127];
		}
	}

	/* 62,000 letters: a thousand each */
	for (i=0; i<128; i++) {
		kinds += countv[i] > 0;
		TEST(!countv[i] || (countv[i] > 700 && countv[i] < 1300));
	}
	TEST_EQUALS(62, kinds);

	rand_str(s, 1);
	TEST_EQUALS(0, s[0]);
	rand_str(s, 0);
	rand_str(NULL, 3);
 out:
	return err;
}


/* The child must not draw what the parent draws */
static int test_rand_fork(void)
{
	uint64_t mine, theirs = 0;
	int err = 0, fd[2], st;
	pid_t pid;

	TEST_EQUALS(0, pipe(fd));

	(void)rand_u64();
	pid = fork();
	if (pid == 0) {
		theirs = rand_u64();
		_exit(write(fd[1], &theirs, 8) != 8);
	}
	mine = rand_u64();
	TEST(pid > 0);
	TEST_EQUALS(8, read(fd[0], &theirs, 8));
	TEST_EQUALS(pid, waitpid(pid, &st, 0));
	TEST(mine != theirs);
 out:
	(void)close(fd[0]);
	(void)close(fd[1]);
	return err;
}


int main(int argc, char *argv[])
{
	static const struct test_case cases[] = {
		TEST_CASE(test_rand_bits),
		TEST_CASE(test_rand_sizes),
		TEST_CASE(test_rand_str),
		TEST_CASE_ONCE(test_rand_fork),
	};

	return test_main(argc, argv, cases, RE_ARRAY_SIZE(cases));
}
