/**
 * @file test_cdr.c  CDRs: open, answered, closed; full disk, crash, spool
 */
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <re.h>
#include "test.h"
#include "worker/worker.h"
#include "bus/bus.h"
#include "bus/bus_event.h"
#include "store/store.h"
#include "cdr/cdr.h"


enum {
	LOOP_MS = 20000,
};

struct fixture {
	char dir[64];
	struct worker *wk;
	struct store *st;
	struct cdr_writer *w;
	unsigned wait;
	unsigned done;
	int err;
	unsigned closed;
	unsigned live;
	unsigned states;
	int state;
	bool till_state;
	char text[2048];
};


static int fix_open(struct fixture *f)
{
	char why[256];
	int err;

	err = store_open(&f->st, STORE_CDR, f->dir, false, why, sizeof(why));
	if (err)
		return err;

	return cdr_writer_alloc(&f->w, f->st, f->dir, "pbx-1");
}


static void fix_close(struct fixture *f)
{
	f->w = mem_deref(f->w);
	f->st = mem_deref(f->st);
}


static int fix_start(struct fixture *f)
{
	int err;

	memset(f, 0, sizeof(*f));
	strncpy(f->dir, "/tmp/voipstack-test-XXXXXX", sizeof(f->dir) - 1);
	if (!mkdtemp(f->dir))
		return errno;

	err = worker_adopt(&f->wk, "test");

	return err ? err : fix_open(f);
}


static int rm_entry(const char *path, const struct stat *sb, int flag,
		    struct FTW *ftw)
{
	(void)sb;
	(void)flag;
	(void)ftw;

	return remove(path);
}


static void fix_end(struct fixture *f)
{
	fix_close(f);
	mem_deref(f->wk);
	if (f->dir[0])
		(void)nftw(f->dir, rm_entry, 8, FTW_DEPTH | FTW_PHYS);
}


static void done_handler(int err, void *arg)
{
	struct fixture *f = arg;

	f->err = err;
	++f->done;
	if (f->wait && f->done >= f->wait)
		re_cancel();
}


static void state_handler(int err, unsigned waiting, void *arg)
{
	struct fixture *f = arg;
	(void)waiting;

	f->state = err;
	++f->states;
	if (f->till_state && !err)
		re_cancel();
}


static int fix_wait(struct fixture *f, unsigned n)
{
	int err = 0;

	f->wait = n;
	if (f->done < n)
		err = test_run_loop(LOOP_MS);
	f->wait = 0;
	f->done = 0;

	return err ? err : f->err;
}


/* Until what waited is in the store */
static int fix_drained(struct fixture *f)
{
	f->till_state = true;

	return test_run_loop(LOOP_MS);
}


static bool row_handler(const struct store_cdr *c, void *arg)
{
	struct fixture *f = arg;
	const size_t n = strlen(f->text);

	(void)re_snprintf(f->text + n, sizeof(f->text) - n,
			  "%s %llu %llu %s %u %s %s %s\n", c->call_id,
			  c->answer_us, c->end_us, c->disposition,
			  c->sip_code, c->codec, c->hangup, c->node);

	return false;
}


static int fix_rows(struct fixture *f)
{
	int err;

	f->text[0] = '\0';
	err = store_cdr_list(f->st, NULL, 5000, false, 0, 0, row_handler,
			     done_handler, f);

	return err ? err : fix_wait(f, 1);
}


static void recover_handler(int err, unsigned closed, void *arg)
{
	struct fixture *f = arg;

	f->closed = closed;
	done_handler(err, f);
}


static int test_leg(void)
{
	const struct store_cdr row = {
		.time_us = 1000, .call_id = "a", .caller = "1001"
	};
	struct cdr *c = NULL, *busy = NULL;
	struct fixture f;
	int err;

	err = fix_start(&f);
	TEST_ERR(err);

	err = cdr_open(&c, f.w, &row, done_handler, &f);
	TEST_ERR(err);
	err = fix_wait(&f, 1);
	TEST_ERR(err);
	err = fix_rows(&f);
	TEST_ERR(err);
	TEST_STRCMP("a 0 0  0   pbx-1\n", f.text);

	err = cdr_set(c, "PCMU", NULL);
	TEST_ERR(err);
	err = cdr_answer(c, 2000);
	TEST_ERR(err);
	TEST_EQUALS(EALREADY, cdr_answer(c, 2000));
	err = cdr_close(c, 3000, NULL, 200, "callee", done_handler, &f);
	TEST_ERR(err);
	TEST_EQUALS(EALREADY, cdr_close(c, 1, NULL, 1, "", NULL, NULL));
	err = fix_wait(&f, 1);
	TEST_ERR(err);

	/* handlers of a dropped CDR do not run, its rows are written */
	err = cdr_open(&busy, f.w, &(struct store_cdr){
			.time_us = 2, .call_id = "b"}, done_handler, &f);
	TEST_ERR(err);
	err = cdr_close(busy, 3, NULL, 486, "callee", done_handler, &f);
	busy = mem_deref(busy);
	TEST_ERR(err);

	fix_close(&f);
	err = fix_open(&f);
	TEST_ERR(err);
	err = cdr_recover(f.w, NULL, recover_handler, &f);
	TEST_ERR(err);
	err = fix_wait(&f, 1);
	TEST_ERR(err);
	TEST_EQUALS(0, f.closed);
	err = cdr_open(&busy, f.w, &(struct store_cdr){
			.time_us = 1, .call_id = "c"}, done_handler, &f);
	TEST_ERR(err);
	err = fix_wait(&f, 1);
	TEST_ERR(err);
	err = fix_rows(&f);
	TEST_ERR(err);
	TEST_STRCMP("a 2000 3000 ANSWERED 200 PCMU callee pbx-1\n"
		    "b 0 3 BUSY 486  callee pbx-1\n"
		    "c 0 0  0   pbx-1\n", f.text);

 out:
	mem_deref(c);
	mem_deref(busy);
	fix_end(&f);
	return err;
}


/* A full disk: calls go on, rows come to the store in order afterwards */
static int full_disk(rlim_t limit, int expect)
{
	const struct rlimit none = {RLIM_INFINITY, RLIM_INFINITY};
	const struct rlimit small = {limit, RLIM_INFINITY};
	struct store_cdr row = {.call_id = "x"};
	struct cdr *cv[3] = {NULL, NULL, NULL};
	struct fixture f;
	unsigned i;
	int err;

	err = fix_start(&f);
	TEST_ERR(err);

	(void)signal(SIGXFSZ, SIG_IGN);
	err = cdr_writer_state_handler(f.w, state_handler, &f);
	TEST_ERR(err);
	TEST_EQUALS(0, setrlimit(RLIMIT_FSIZE, &small));

	for (i=0; i<3; i++) {
		row.time_us = 3 - i;
		err = cdr_open(&cv[i], f.w, &row, done_handler, &f);
		TEST_ERR(err);
	}
	for (i=0; i<3; i++) {
		err = cdr_close(cv[i], 100 + i, "NO ANSWER", 480, "timeout",
				done_handler, &f);
		TEST_ERR(err);
	}
	TEST_EQUALS(expect, fix_wait(&f, 6));
	TEST_EQUALS(ENOSPC, f.state);
	TEST_EQUALS(1, f.states);

	TEST_EQUALS(0, setrlimit(RLIMIT_FSIZE, &none));
	if (!expect) {
		/* the spool alone, over a restart */
		fix_close(&f);
		err = fix_open(&f);
		TEST_ERR(err);
		err = cdr_recover(f.w, NULL, recover_handler, &f);
		TEST_ERR(err);
		err = fix_wait(&f, 1);
		TEST_ERR(err);
		TEST_EQUALS(0, f.closed);
	}
	else {
		err = fix_drained(&f);
		TEST_ERR(err);
		TEST_EQUALS(0, f.state);
	}
	err = fix_rows(&f);
	TEST_ERR(err);
	TEST_STRCMP("x 0 100 NO ANSWER 480  timeout pbx-1\n"
		    "x 0 101 NO ANSWER 480  timeout pbx-1\n"
		    "x 0 102 NO ANSWER 480  timeout pbx-1\n", f.text);

 out:
	(void)setrlimit(RLIMIT_FSIZE, &none);
	for (i=0; i<3; i++)
		mem_deref(cv[i]);
	fix_end(&f);
	return err;
}


static int test_spool(void)
{
	return full_disk(16*1024, 0);
}


static int test_memory(void)
{
	return full_disk(1, ENOSPC);
}


static bool live_handler(const struct store_cdr *row, void *arg)
{
	struct fixture *f = arg;

	++f->live;

	return !strcmp(row->call_id, "live");
}


static int test_recover(void)
{
	const uint64_t t = worker_wallclock_us() + 3600000000u;
	const char *const idv[] = {"live", "rings", "talks"};
	struct cdr *c = NULL;
	struct fixture f;
	unsigned i;
	int err;

	err = fix_start(&f);
	TEST_ERR(err);

	for (i=0; i<3; i++) {
		const struct store_cdr row = {
			.time_us = t - i,
			.call_id = idv[i]
		};

		err = cdr_open(&c, f.w, &row, done_handler, &f);
		TEST_ERR(err);
		if (i == 2) {
			err = cdr_answer(c, row.time_us + 1000000);
			TEST_ERR(err);
		}
		c = mem_deref(c);
	}

	fix_close(&f);
	err = fix_open(&f);
	TEST_ERR(err);
	err = cdr_recover(f.w, live_handler, recover_handler, &f);
	TEST_ERR(err);
	err = fix_wait(&f, 1);
	TEST_ERR(err);
	TEST_EQUALS(3, f.live);
	TEST_EQUALS(2, f.closed);

	err = fix_rows(&f);
	TEST_ERR(err);
	TEST(strstr(f.text, "live 0 0  0   pbx-1\n") == f.text);
	TEST(strstr(f.text, " FAILED 0  crash pbx-1\n") != NULL);
	TEST(strstr(f.text, " ANSWERED 200  crash pbx-1\n") != NULL);

 out:
	mem_deref(c);
	fix_end(&f);
	return err;
}


static int test_events(void)
{
	struct bus_call call = {.time_us = 1, .call_id = "e"};
	struct bus *bus = NULL;
	struct fixture f;
	int err;

	err = fix_start(&f);
	TEST_ERR(err);
	err = bus_alloc(&bus);
	TEST_ERR(err);
	err = cdr_writer_subscribe(f.w, bus);
	TEST_ERR(err);

	bus_publish(bus, BUS_CALL_START, &call);
	call.end_us = 2;
	call.disposition = "FAILED";
	bus_publish(bus, BUS_CALL_END, &call);

	/* recovery waits for rows before it: none is open any more */
	fix_close(&f);
	err = fix_open(&f);
	TEST_ERR(err);
	err = cdr_recover(f.w, live_handler, recover_handler, &f);
	TEST_ERR(err);
	err = fix_wait(&f, 1);
	TEST_ERR(err);
	TEST_EQUALS(0, f.live);
	err = fix_rows(&f);
	TEST_ERR(err);
	TEST_STRCMP("e 0 2 FAILED 0   pbx-1\n", f.text);

 out:
	mem_deref(bus);
	fix_end(&f);
	return err;
}


int main(int argc, char *argv[])
{
	static const struct test_case cases[] = {
		TEST_CASE_ONCE(test_leg),
		TEST_CASE_ONCE(test_spool),
		TEST_CASE_ONCE(test_memory),
		TEST_CASE_ONCE(test_recover),
		TEST_CASE_ONCE(test_events),
	};

	return test_main(argc, argv, cases, RE_ARRAY_SIZE(cases));
}
