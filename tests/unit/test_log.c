/**
 * @file test_log.c  A log line's pairs, quoting and limits
 */
#include <string.h>
#include <re.h>
#include "log/log.h"
#include "log/internal.h"
#include "test.h"


static void line(struct log_buf *lb, enum log_format format,
		 const char *fmt, ...)
{
	va_list ap;

	log_buf_init(lb, format);
	va_start(ap, fmt);
	log_buf_vpairs(lb, fmt, ap);
	va_end(ap);
	log_buf_close(lb);
	lb->b[lb->n - 1] = '\0';
}


static int test_logfmt(void)
{
	struct log_buf lb;
	int err = 0;

	line(&lb, LOG_LOGFMT, "from=%s n=%u text=\"%s\" end=%d",
	     "alice", 5, "two words", -1);
	TEST_STRCMP("from=alice n=5 text=\"two words\" end=-1", lb.b);

	line(&lb, LOG_LOGFMT, "a=%s", "");
	TEST_STRCMP("a=\"\"", lb.b);
 out:
	return err;
}


/* What a peer sends can neither end its value, nor its line, nor steer a
   terminal */
static int test_forgery(void)
{
	struct log_buf lb;
	int err = 0;

	line(&lb, LOG_LOGFMT, "a=\"%s\" b=%s",
	     "x\" level=error y=\"", "1\nlevel=error\x1b[2J");
	TEST_STRCMP("a=\"x\\\" level=error y=\\\"\""
		    " b=\"1\\nlevel=error\\u001b[2J\"", lb.b);

	line(&lb, LOG_JSON, "a=%s b=%s", "x\",\"level\":\"error\"\\",
	     "\xff\xc3\xa4\xed\xa0\x80");
	TEST_STRCMP("{\"a\":\"x\\\",\\\"level\\\":\\\"error\\\"\\\\\","
		    "\"b\":\"\\\\xff\xc3\xa4\\\\xed\\\\xa0\\\\x80\"}", lb.b);
 out:
	return err;
}


static int test_long(void)
{
	static char text[3000];
	struct log_buf lb;
	int err = 0;

	memset(text, '"', sizeof(text) - 1);
	line(&lb, LOG_JSON, "a=%s b=%s c=%s d=%s", text, text, text, "last");
	TEST(lb.n <= LOG_LINE_MAX);
	TEST(lb.cut);
	TEST_STRCMP("\",\"cut\":1}", &lb.b[lb.n - 11]);
 out:
	return err;
}


int main(int argc, char *argv[])
{
	static const struct test_case cases[] = {
		TEST_CASE(test_logfmt),
		TEST_CASE(test_forgery),
		TEST_CASE(test_long),
	};

	return test_main(argc, argv, cases, ARRAY_SIZE(cases));
}
