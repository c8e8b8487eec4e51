/**
 * @file test_user.c  Subscribers: names, HA1, changes
 */
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <re.h>
#include "test.h"
#include "store/store.h"
#include "worker/worker.h"
#include "user/user.h"
#include "user/internal.h"


static int test_ha1(void)
{
	/* RFC 7616 3.9.1 */
	struct user_change ch = {
		.user = "Mufasa", .domain = "http-auth@example.org"
	};
	int err;

	err = user_ha1(&ch, "Circle of Life");
	TEST_ERR(err);
	TEST_STRCMP("3d78807defe7de2157e2b0b6573a855f", ch.ha1_md5);
	TEST_STRCMP("7987c64c30e25f1b74be53f966b49b90"
		    "f2808aa92faf9a00262392d7b4794232", ch.ha1_sha256);
	TEST_EQUALS(0, user_ha1_check(&ch));
	ch.ha1_md5[3] = 'X';
	TEST_EQUALS(EINVAL, user_ha1_check(&ch));

 out:
	return err;
}


static int test_names(void)
{
	static const struct {
		const char *user;
		const char *domain;
		bool good;
	} casev[] = {
		{"1001",  "sip.local", true},
		{"a.b+c", "[2001:db8::1]", true},
		{"",      "sip.local", false},
		{"1001",  "",          false},
		{"a b",   "sip.local", false},
		{"a\"b",  "sip.local", false},
		{"a:b",   "sip.local", false},
		{"\xc3\xa4", "sip.local", false},
		{"1001",  "sip local", false},
	};
	struct user_change ch;
	char why[128], a[64], b[64];
	size_t i;
	int err = 0;

	for (i=0; i<RE_ARRAY_SIZE(casev); i++) {
		memset(&ch, 0, sizeof(ch));
		str_ncpy(ch.user, casev[i].user, sizeof(ch.user));
		str_ncpy(ch.domain, casev[i].domain, sizeof(ch.domain));
		TEST_EQUALS(casev[i].good ? 0 : EINVAL,
			    user_names_check(&ch, why, sizeof(why)));
	}

	TEST_EQUALS(EINVAL, user_secret_check("", why, sizeof(why)));
	TEST_EQUALS(EINVAL, user_secret_check("a\tb", why, sizeof(why)));
	TEST_EQUALS(0, user_secret_check("pass phrase", why, sizeof(why)));

	user_secret_make(a, sizeof(a));
	user_secret_make(b, sizeof(b));
	TEST_EQUALS(USER_SECRET_GEN, strlen(a));
	TEST(strcmp(a, b));

 out:
	return err;
}


static int rm_entry(const char *path, const struct stat *sb, int flag,
		    struct FTW *ftw)
{
	(void)sb;
	(void)flag;
	(void)ftw;

	return remove(path);
}


static void done_handler(int err, void *arg)
{
	*(int *)arg = err;
	re_cancel();
}


static int change(struct store *st, struct user_change *ch, enum user_op op,
		  const char *ha1)
{
	int err, result = 0;

	ch->op = op;
	str_ncpy(ch->ha1_md5, ha1, sizeof(ch->ha1_md5));
	err = user_change(st, ch, done_handler, &result);
	if (!err)
		err = test_run_loop(10000);

	return err ? err : result;
}


static void get_handler(int err, const struct store_subscriber *s, void *arg)
{
	char *text = arg;

	(void)re_snprintf(text, 64, "%d %s %d", err, err ? "" : s->ha1_md5,
			  !err && s->disabled);
	re_cancel();
}


static int test_change(void)
{
	static const struct {
		enum user_op op;
		const char *ha1;
		int err;
		const char *text;
	} stepv[] = {
		{USER_PASSWD,  "a", ENOENT, NULL},
		{USER_DEL,     "",  ENOENT, NULL},
		{USER_ADD,     "a", 0,      "0 a 0"},
		{USER_ADD,     "b", EEXIST, "0 a 0"},
		{USER_DISABLE, "",  0,      "0 a 1"},
		{USER_PASSWD,  "c", 0,      "0 c 1"},
		{USER_ENABLE,  "",  0,      "0 c 0"},
		{USER_DEL,     "",  0,      NULL},
	};
	struct user_change ch = {.user = "1001", .domain = "x"};
	char dir[] = "/tmp/voipstack-test-XXXXXX", why[256], text[64];
	struct worker *w = NULL;
	struct store *st = NULL;
	size_t i;
	int err = 0;

	TEST(mkdtemp(dir) != NULL);
	err = worker_adopt(&w, "test");
	TEST_ERR(err);
	err = store_open(&st, STORE_SIP, dir, false, why, sizeof(why));
	TEST_ERR(err);

	for (i=0; i<RE_ARRAY_SIZE(stepv); i++) {
		err = change(st, &ch, stepv[i].op, stepv[i].ha1);
		if (err == ENOMEM && test_oom())
			goto out;
		TEST_EQUALS(stepv[i].err, err);
		if (!stepv[i].text)
			continue;

		err = store_subscriber_get(st, NULL, 5000, "1001", "x",
					   get_handler, text);
		TEST_ERR(err);
		err = test_run_loop(10000);
		TEST_ERR(err);
		TEST_STRCMP(stepv[i].text, text);
	}

 out:
	mem_deref(st);
	mem_deref(w);
	(void)nftw(dir, rm_entry, 8, FTW_DEPTH | FTW_PHYS);
	return err;
}


int main(int argc, char *argv[])
{
	static const struct test_case cases[] = {
		TEST_CASE(test_ha1),
		TEST_CASE(test_names),
		TEST_CASE(test_change),
	};

	return test_main(argc, argv, cases, RE_ARRAY_SIZE(cases));
}
