/**
 * @file test_store.c  The store: its contract over every back end, and faults
 */
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <sqlite3.h>
#include <re.h>
#include "test.h"
#include "worker/worker.h"
#include "store/store.h"
#include "store/internal.h"


enum {
	DEADLINE = 5000,
	LOOP_MS  = 20000,
};

/** An error that must come, unless memory was made to fail */
#define TEST_REFUSED(expected, e)					   \
	do {								   \
		if ((e) == ENOMEM && test_oom())			   \
			goto out;					   \
		TEST_EQUALS(expected, e);				   \
		err = 0;						   \
	} while (0)

static const struct store_backend *const backendv[] = {
	&store_sqlite,
};

static const struct store_backend *backend;

/** A database in a folder of its own, and what came back from it */
struct fixture {
	char dir[64];
	struct worker *w;
	struct store *st;
	char why[256];

	int err;
	unsigned wait;		/**< answers to wait for */
	unsigned done;
	unsigned failed;
	unsigned rows;
	char text[1024];
	uint64_t sum;
	struct store_req *req;
};


static int fix_open(struct fixture *f, enum store_db db)
{
	return store_open_backend(&f->st, backend, db, f->dir, false,
				  f->why, sizeof(f->why));
}


static int fix_start(struct fixture *f, enum store_db db)
{
	int err;

	memset(f, 0, sizeof(*f));
	strncpy(f->dir, "/tmp/voipstack-test-XXXXXX", sizeof(f->dir) - 1);
	if (!mkdtemp(f->dir))
		return errno;

	err = worker_adopt(&f->w, "test");

	return err ? err : fix_open(f, db);
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
	mem_deref(f->st);
	mem_deref(f->w);
	if (f->dir[0])
		(void)nftw(f->dir, rm_entry, 8, FTW_DEPTH | FTW_PHYS);
}


static void done_handler(int err, void *arg)
{
	struct fixture *f = arg;

	f->err = err;
	++f->done;
	if (err)
		++f->failed;
	if (f->done >= f->wait)
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


static void text_add(struct fixture *f, const char *fmt, ...)
{
	const size_t n = strlen(f->text);
	va_list ap;

	va_start(ap, fmt);
	(void)re_vsnprintf(f->text + n, sizeof(f->text) - n, fmt, ap);
	va_end(ap);
}


/*
 * The contract
 */

static bool subscriber_row(const struct store_subscriber *s, void *arg)
{
	text_add(arg, "%s@%s %s %s %d\n", s->user, s->domain, s->ha1_md5,
		 s->ha1_sha256, s->disabled);

	return false;
}


static void subscriber_handler(int err, const struct store_subscriber *s,
			       void *arg)
{
	if (!err)
		(void)subscriber_row(s, arg);
	done_handler(err, arg);
}


static int contract_subscriber(void)
{
	struct store_subscriber s = {"1001", "sip.local", "aa", "bb", false};
	struct fixture f;
	int err;

	err = fix_start(&f, STORE_SIP);
	TEST_ERR(err);

	err = store_subscriber_put(f.st, NULL, DEADLINE, &s, done_handler, &f);
	TEST_ERR(err);

	/* not waited for: a read sees what was handed over before it */
	err = store_subscriber_get(f.st, &f.req, DEADLINE, "1001",
				   "sip.local", subscriber_handler, &f);
	TEST_ERR(err);
	err = fix_wait(&f, 2);
	TEST_ERR(err);
	TEST(f.req == NULL);
	TEST_STRCMP("1001@sip.local aa bb 0\n", f.text);

	s.user = "1000";
	s.disabled = true;
	s.ha1_md5 = NULL;
	err = store_subscriber_put(f.st, NULL, 0, &s, NULL, NULL);
	TEST_ERR(err);
	f.text[0] = '\0';
	err = store_subscriber_list(f.st, NULL, DEADLINE, subscriber_row,
				    done_handler, &f);
	TEST_ERR(err);
	err = fix_wait(&f, 1);
	TEST_ERR(err);
	TEST_STRCMP("1000@sip.local  bb 1\n1001@sip.local aa bb 0\n", f.text);

	err = store_subscriber_del(f.st, NULL, DEADLINE, "1001", "sip.local",
				   done_handler, &f);
	TEST_ERR(err);
	err = fix_wait(&f, 1);
	TEST_ERR(err);
	err = store_subscriber_del(f.st, NULL, DEADLINE, "1001", "sip.local",
				   done_handler, &f);
	TEST_ERR(err);
	TEST_EQUALS(ENOENT, fix_wait(&f, 1));
	err = store_subscriber_get(f.st, NULL, DEADLINE, "1001", "sip.local",
				   subscriber_handler, &f);
	TEST_ERR(err);
	TEST_EQUALS(ENOENT, fix_wait(&f, 1));

 out:
	fix_end(&f);
	return err;
}


static bool binding_row(const struct store_binding *b, void *arg)
{
	text_add(arg, "%s %s %s %u %llu %u %s %s %s %u %s\n", b->aor,
		 b->contact, b->callid, b->cseq, b->expires, b->q,
		 b->received, b->path, b->instance, b->reg_id,
		 b->user_agent);

	return false;
}


static int fix_bindings(struct fixture *f)
{
	int err;

	f->text[0] = '\0';
	err = store_location_list(f->st, NULL, DEADLINE, binding_row,
				  done_handler, f);

	return err ? err : fix_wait(f, 1);
}


static int contract_location(void)
{
	const struct store_binding bv[] = {
		{"a@x", "sip:a@1.1.1.1", "c1", 4294967295u, 9000000000ull,
		 1000, "udp:1.1.1.1:5060", "<sip:p;lr>", "<urn:uuid:1>", 1,
		 "ua"},
		{"a@x", "sip:a@2.2.2.2", "c2", 2, 200, 0, "", NULL, "", 0,
		 ""},
	};
	struct fixture f;
	int err;

	err = fix_start(&f, STORE_SIP);
	TEST_ERR(err);

	err  = store_location_set(f.st, NULL, DEADLINE, "b@x", &bv[1], 1,
				  done_handler, &f);
	err |= store_location_set(f.st, NULL, DEADLINE, "a@x", bv, 2,
				  done_handler, &f);
	TEST_ERR(err);
	err = fix_wait(&f, 2);
	TEST_ERR(err);
	err = fix_bindings(&f);
	TEST_ERR(err);
	TEST_STRCMP("a@x sip:a@1.1.1.1 c1 4294967295 9000000000 1000"
		    " udp:1.1.1.1:5060 <sip:p;lr> <urn:uuid:1> 1 ua\n"
		    "a@x sip:a@2.2.2.2 c2 2 200 0    0 \n"
		    "b@x sip:a@2.2.2.2 c2 2 200 0    0 \n", f.text);

	err  = store_location_set(f.st, NULL, DEADLINE, "a@x", &bv[1], 1,
				  done_handler, &f);
	err |= store_location_set(f.st, NULL, DEADLINE, "b@x", NULL, 0,
				  done_handler, &f);
	TEST_ERR(err);
	err = fix_wait(&f, 2);
	TEST_ERR(err);

	/* and it is still so after closing and opening */
	f.st = mem_deref(f.st);
	err = fix_open(&f, STORE_SIP);
	TEST_ERR(err);
	err = fix_bindings(&f);
	TEST_ERR(err);
	TEST_STRCMP("a@x sip:a@2.2.2.2 c2 2 200 0    0 \n", f.text);

 out:
	fix_end(&f);
	return err;
}


static bool cdr_row(const struct store_cdr *c, void *arg)
{
	text_add(arg, "%llu %s %s %s>%s %llu %llu %s %u %s %s %s %s %s\n",
		 c->time_us, c->call_id, c->linked_id, c->caller, c->callee,
		 c->answer_us, c->end_us, c->disposition, c->sip_code,
		 c->codec, c->src_ip, c->dst_ip, c->hangup, c->node);

	return false;
}


static int fix_cdrs(struct fixture *f, bool open_only, uint64_t since,
		    unsigned limit)
{
	int err;

	f->text[0] = '\0';
	err = store_cdr_list(f->st, NULL, DEADLINE, open_only, since, limit,
			     cdr_row, done_handler, f);

	return err ? err : fix_wait(f, 1);
}


static int fix_cdr_put(struct fixture *f, const struct store_cdr *c)
{
	int err = store_cdr_put(f->st, NULL, DEADLINE, c, done_handler, f);

	return err ? err : fix_wait(f, 1);
}


static int contract_cdr(void)
{
	struct store_cdr c = {
		.time_us = 1000000, .call_id = "id1", .linked_id = "sid",
		.caller = "1001", .callee = "1002", .src_ip = "10.0.0.1",
		.node = "pbx-1"
	};
	struct fixture f;
	int err;

	err = fix_start(&f, STORE_CDR);
	TEST_ERR(err);

	err = fix_cdr_put(&f, &c);
	TEST_ERR(err);
	c.time_us = 2000000;
	c.call_id = "id2";
	err = fix_cdr_put(&f, &c);
	TEST_ERR(err);
	err = fix_cdrs(&f, true, 0, 0);
	TEST_ERR(err);
	TEST_STRCMP("2000000 id2 sid 1001>1002 0 0  0  10.0.0.1   pbx-1\n"
		    "1000000 id1 sid 1001>1002 0 0  0  10.0.0.1   pbx-1\n",
		    f.text);

	c.answer_us = 4000000;
	c.end_us = 9999999;
	c.disposition = "ANSWERED";
	c.sip_code = 200;
	c.codec = "PCMU";
	c.dst_ip = "10.0.0.2";
	c.hangup = "caller";
	err = fix_cdr_put(&f, &c);
	TEST_ERR(err);
	err = fix_cdrs(&f, true, 0, 0);
	TEST_ERR(err);
	TEST_STRCMP("1000000 id1 sid 1001>1002 0 0  0  10.0.0.1   pbx-1\n",
		    f.text);
	err = fix_cdrs(&f, false, 0, 1);
	TEST_ERR(err);
	TEST_STRCMP("2000000 id2 sid 1001>1002 4000000 9999999 ANSWERED 200"
		    " PCMU 10.0.0.1 10.0.0.2 caller pbx-1\n", f.text);
	err = fix_cdrs(&f, false, 2000001, 0);
	TEST_ERR(err);
	TEST_STRCMP("", f.text);

 out:
	fix_end(&f);
	return err;
}


static bool dialog_row(const struct store_dialog *d, void *arg)
{
	text_add(arg, "%s %s %w %llu\n", d->id, d->linked_id, d->state,
		 d->size, d->updated_us);

	return false;
}


static int contract_dialog(void)
{
	static const uint8_t blob[] = {0x00, 0xff, 0x00};
	struct store_dialog d = {"c;l;r", "sid", blob, sizeof(blob), 7};
	struct fixture f;
	int err;

	err = fix_start(&f, STORE_PBX);
	TEST_ERR(err);

	err = store_dialog_put(f.st, NULL, DEADLINE, &d, done_handler, &f);
	TEST_ERR(err);
	d.id = "d";
	d.size = 0;
	d.state = NULL;
	err  = store_dialog_put(f.st, NULL, DEADLINE, &d, done_handler, &f);
	err |= store_dialog_list(f.st, NULL, DEADLINE, dialog_row,
				 done_handler, &f);
	TEST_ERR(err);
	err = fix_wait(&f, 3);
	TEST_ERR(err);
	TEST_STRCMP("c;l;r sid 00ff00 7\nd sid  7\n", f.text);

	err  = store_dialog_del(f.st, NULL, DEADLINE, "d", done_handler, &f);
	err |= store_dialog_del(f.st, NULL, DEADLINE, "c;l;r", done_handler,
				&f);
	f.text[0] = '\0';
	err |= store_dialog_list(f.st, NULL, DEADLINE, dialog_row,
				 done_handler, &f);
	TEST_ERR(err);
	err = fix_wait(&f, 3);
	TEST_ERR(err);
	TEST_STRCMP("", f.text);

 out:
	fix_end(&f);
	return err;
}


static bool count_row(const struct store_binding *b, void *arg)
{
	struct fixture *f = arg;

	++f->rows;
	f->sum += b->cseq;

	return f->rows == 70;
}


/* A full queue is refused, and more rows than one chunk holds come in order
   until the caller has had enough */
static int contract_limits(void)
{
	char user_agent[2000], huge[STORE_ROW_MAX];
	struct store_binding b = {.user_agent = user_agent};
	struct store_status status;
	struct fixture f;
	unsigned i;
	char aor[16];
	int err;

	err = fix_start(&f, STORE_SIP);
	TEST_ERR(err);

	memset(user_agent, 'x', sizeof(user_agent) - 1);
	user_agent[sizeof(user_agent) - 1] = '\0';
	for (i=0; i<100; i++) {
		(void)re_snprintf(aor, sizeof(aor), "u%03u@x", i);
		b.cseq = i;
		err = store_location_set(f.st, NULL, DEADLINE, aor, &b, 1,
					 done_handler, &f);
		TEST_ERR(err);
	}
	err = store_location_list(f.st, NULL, DEADLINE, count_row,
				  done_handler, &f);
	TEST_ERR(err);
	err = fix_wait(&f, 101);
	TEST_ERR(err);
	TEST_EQUALS(0, f.failed);
	TEST_EQUALS(70, f.rows);
	TEST_EQUALS(69*70/2, f.sum);

	memset(huge, 'x', sizeof(huge) - 1);
	huge[sizeof(huge) - 1] = '\0';
	b.contact = huge;
	TEST_EQUALS(EMSGSIZE, store_location_set(f.st, NULL, 0, "a@x", &b, 1,
						 NULL, NULL));
	b.contact = NULL;

	store_queue_limit(f.st, 2);
	for (i=0; i<1000 && !err; i++)
		err = store_location_set(f.st, NULL, 0, "a@x", &b, 1,
					 NULL, NULL);
	TEST_EQUALS(EAGAIN, err);
	err = store_status(f.st, &status);
	TEST_ERR(err);
	TEST_EQUALS(1, status.refused);
	TEST(status.commits < status.writes);

 out:
	fix_end(&f);
	return err;
}


static int contract_readonly(void)
{
	struct store_subscriber s = {"1001", "sip.local", "aa", "bb", false};
	struct store *ro = NULL, *rw = NULL;
	struct fixture f;
	char why[256], pid[32];
	int err;

	err = fix_start(&f, STORE_SIP);
	TEST_ERR(err);

	err = store_subscriber_put(f.st, NULL, DEADLINE, &s, done_handler, &f);
	TEST_ERR(err);
	err = fix_wait(&f, 1);
	TEST_ERR(err);

	err = store_open_backend(&ro, backend, STORE_SIP, f.dir, true,
				 why, sizeof(why));
	TEST_ERR(err);
	err = store_subscriber_get(ro, NULL, DEADLINE, "1001", "sip.local",
				   subscriber_handler, &f);
	TEST_ERR(err);
	err = fix_wait(&f, 1);
	TEST_ERR(err);
	TEST_STRCMP("1001@sip.local aa bb 0\n", f.text);
	err = store_subscriber_put(ro, NULL, DEADLINE, &s, done_handler, &f);
	TEST_REFUSED(EROFS, err);

	err = store_open_backend(&rw, backend, STORE_SIP, f.dir, false,
				 why, sizeof(why));
	TEST_REFUSED(EBUSY, err);
	(void)re_snprintf(pid, sizeof(pid), "process %d:", (int)getpid());
	TEST(strstr(why, pid) != NULL);

	ro = mem_deref(ro);
	err = store_open_backend(&ro, backend, STORE_PBX, f.dir, true,
				 why, sizeof(why));
	TEST_REFUSED(ENOENT, err);

 out:
	mem_deref(ro);
	fix_end(&f);
	return err;
}


static int each_backend(int (*contract)(void))
{
	size_t i;
	int err = 0;

	for (i=0; i<RE_ARRAY_SIZE(backendv) && !err; i++) {
		backend = backendv[i];
		err = contract();
	}

	return err;
}


static int test_subscriber(void)
{
	return each_backend(contract_subscriber);
}


static int test_location(void)
{
	return each_backend(contract_location);
}


static int test_cdr(void)
{
	return each_backend(contract_cdr);
}


static int test_dialog(void)
{
	return each_backend(contract_dialog);
}


static int test_limits(void)
{
	return each_backend(contract_limits);
}


static int test_readonly(void)
{
	return each_backend(contract_readonly);
}


/*
 * SQLite: faults of the file, the disk and the thread
 */

static int raw_exec(const struct fixture *f, const char *name,
		    const char *sql, int *val)
{
	sqlite3_stmt *s = NULL;
	sqlite3 *db = NULL;
	char path[128];
	int rc;

	(void)re_snprintf(path, sizeof(path), "%s/%s", f->dir, name);
	rc = sqlite3_open(path, &db);
	if (rc == SQLITE_OK)
		rc = sqlite3_prepare_v2(db, sql, -1, &s, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_step(s);
	if (rc == SQLITE_ROW && val)
		*val = sqlite3_column_int(s, 0);
	(void)sqlite3_finalize(s);
	(void)sqlite3_close(db);

	return rc == SQLITE_ROW || rc == SQLITE_DONE ? 0 : EIO;
}


static int test_cdr_seconds(void)
{
	const struct store_cdr c = {
		.time_us = 1000000, .call_id = "id", .answer_us = 3500000,
		.end_us = 9999999,
	};
	struct fixture f;
	int n = 0, err;

	backend = &store_sqlite;
	err = fix_start(&f, STORE_CDR);
	TEST_ERR(err);
	err = fix_cdr_put(&f, &c);
	TEST_ERR(err);
	err = raw_exec(&f, "cdr.db", "SELECT duration * 1000 + billsec"
		       " FROM cdr", &n);
	TEST_ERR(err);
	TEST_EQUALS(8006, n);

 out:
	fix_end(&f);
	return err;
}


/* Bytes of a file, as a sum that tells whether it was touched */
static uint32_t file_sum(const struct fixture *f, const char *name)
{
	uint32_t sum = 0;
	char path[128];
	uint8_t buf[4096];
	ssize_t n;
	int fd;

	(void)re_snprintf(path, sizeof(path), "%s/%s", f->dir, name);
	fd = open(path, O_RDONLY);
	if (fd < 0)
		return 0;
	while ((n = read(fd, buf, sizeof(buf))) > 0)
		sum = crc32(sum, buf, (uint32_t)n);
	(void)close(fd);

	return sum;
}


static int file_write(const struct fixture *f, const char *name, off_t pos,
		      const void *data, size_t len)
{
	char path[128];
	int fd, err = 0;

	(void)re_snprintf(path, sizeof(path), "%s/%s", f->dir, name);
	fd = open(path, O_RDWR | O_CREAT, 0600);
	if (fd < 0)
		return errno;
	if (pwrite(fd, data, len, pos) != (ssize_t)len)
		err = EIO;
	(void)close(fd);

	return err;
}


static int refused(struct fixture *f, const char *name, enum store_db db,
		   int expect, const char *words)
{
	const uint32_t sum = file_sum(f, name);
	struct store *st = NULL;
	int err;

	f->why[0] = '\0';
	err = store_open(&st, db, f->dir, false, f->why, sizeof(f->why));
	st = mem_deref(st);
	TEST_REFUSED(expect, err);
	TEST(strstr(f->why, words) != NULL);
	TEST_EQUALS(sum, file_sum(f, name));

 out:
	return err;
}


static int test_refused(void)
{
	static const char noise[] = "this is a letter, not a database";
	uint8_t junk[3000];
	struct fixture f;
	int err;

	backend = &store_sqlite;
	err = fix_start(&f, STORE_SIP);
	TEST_ERR(err);
	f.st = mem_deref(f.st);

	err = raw_exec(&f, "sip.db", "PRAGMA user_version=99", NULL);
	TEST_ERR(err);
	err = refused(&f, "sip.db", STORE_SIP, EPROTONOSUPPORT, "newer");
	TEST_ERR(err);
	err = raw_exec(&f, "sip.db", "PRAGMA user_version=1", NULL);
	TEST_ERR(err);

	/* pages of garbage behind a sound header */
	memset(junk, 0x55, sizeof(junk));
	err = file_write(&f, "sip.db", 4096, junk, sizeof(junk));
	TEST_ERR(err);
	err = refused(&f, "sip.db", STORE_SIP, EBADMSG, "damaged");
	TEST_ERR(err);

	err = file_write(&f, "cdr.db", 0, noise, sizeof(noise));
	TEST_ERR(err);
	err = refused(&f, "cdr.db", STORE_CDR, EBADMSG, "damaged");
	TEST_ERR(err);

	err = raw_exec(&f, "pbx.db", "CREATE TABLE mine (a)", NULL);
	TEST_ERR(err);
	err = refused(&f, "pbx.db", STORE_PBX, EBADMSG, "not a voipstack");
	TEST_ERR(err);

 out:
	fix_end(&f);
	return err;
}


/* A file that grows no more: the writer hears ENOSPC, the others are kept,
   and the next write after there is room again works */
static int test_disk_full(void)
{
	const struct rlimit none = {RLIM_INFINITY, RLIM_INFINITY};
	struct rlimit small = {256*1024, RLIM_INFINITY};
	struct store_binding b;
	char big[60000];
	struct fixture f;
	unsigned i, ok = 0;
	char aor[16];
	int err;

	backend = &store_sqlite;
	err = fix_start(&f, STORE_SIP);
	TEST_ERR(err);

	(void)signal(SIGXFSZ, SIG_IGN);
	memset(&b, 0, sizeof(b));
	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	b.user_agent = big;

	TEST_EQUALS(0, setrlimit(RLIMIT_FSIZE, &small));
	for (i=0; i<20; i++) {
		(void)re_snprintf(aor, sizeof(aor), "u%u@x", i);
		err = store_location_set(f.st, NULL, DEADLINE, aor, &b, 1,
					 done_handler, &f);
		TEST_ERR(err);
		err = fix_wait(&f, 1);
		if (!err)
			++ok;
		else
			TEST_EQUALS(ENOSPC, err);
	}
	TEST(ok > 0 && ok < 20);

	/* a batch with one small and one large write: the small one holds */
	TEST_EQUALS(0, setrlimit(RLIMIT_FSIZE, &none));
	err = store_location_set(f.st, NULL, DEADLINE, "last@x", &b, 1,
				 done_handler, &f);
	TEST_ERR(err);
	err = fix_wait(&f, 1);
	TEST_ERR(err);

	f.st = mem_deref(f.st);
	err = fix_open(&f, STORE_SIP);
	TEST_ERR(err);
	err = store_location_list(f.st, NULL, DEADLINE, count_row,
				  done_handler, &f);
	TEST_ERR(err);
	err = fix_wait(&f, 1);
	TEST_ERR(err);
	TEST_EQUALS(ok + 1, f.rows);

 out:
	(void)setrlimit(RLIMIT_FSIZE, &none);
	fix_end(&f);
	return err;
}


/* Somebody else's lock stalls the store's thread, as a hanging disk would */
static int test_stalled(void)
{
	struct store_subscriber s = {"1001", "sip.local", "aa", "bb", false};
	struct store_req *dropped = NULL;
	struct fixture f;
	char path[128];
	sqlite3 *db = NULL;
	uint64_t t;
	int err;

	backend = &store_sqlite;
	err = fix_start(&f, STORE_SIP);
	TEST_ERR(err);

	(void)re_snprintf(path, sizeof(path), "%s/sip.db", f.dir);
	TEST_EQUALS(0, sqlite3_open(path, &db));
	TEST_EQUALS(0, sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL));

	err = store_subscriber_put(f.st, NULL, 0, &s, NULL, NULL);
	TEST_ERR(err);
	t = tmr_jiffies();
	s.user = "1002";
	err = store_subscriber_put(f.st, &f.req, 50, &s, done_handler, &f);
	TEST_ERR(err);
	s.user = "1003";
	err = store_subscriber_put(f.st, &dropped, 20, &s, done_handler, &f);
	TEST_ERR(err);
	dropped = mem_deref(dropped);

	TEST_EQUALS(ETIMEDOUT, fix_wait(&f, 1));
	t = tmr_jiffies() - t;
	TEST(t >= 45 && t < 1500);
	TEST(f.req == NULL);

	/* the first write is still being tried and gets through; those that
	   nobody waits for any more are not */
	TEST_EQUALS(0, sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL));
	err = store_subscriber_list(f.st, NULL, DEADLINE, subscriber_row,
				    done_handler, &f);
	TEST_ERR(err);
	err = fix_wait(&f, 1);
	TEST_ERR(err);
	TEST_STRCMP("1001@sip.local aa bb 0\n", f.text);

 out:
	(void)sqlite3_close(db);
	mem_deref(dropped);
	fix_end(&f);
	return err;
}


/*
 * What was acknowledged survives kill -9
 */

struct child {
	struct worker *w;
	struct store *st;
	unsigned n;
	int fd;
	char dir[64];
};


static void child_next(void *arg);


static void child_done(int err, void *arg)
{
	struct child *ch = arg;
	static unsigned acked;

	if (err || write(ch->fd, &acked, sizeof(acked)) < 0)
		_exit(3);
	++acked;
	child_next(ch);
}


static void child_next(void *arg)
{
	struct child *ch = arg;
	struct store_binding b;
	char aor[16];

	memset(&b, 0, sizeof(b));
	b.cseq = ch->n;
	(void)re_snprintf(aor, sizeof(aor), "u%06u@x", ch->n++);
	if (store_location_set(ch->st, NULL, DEADLINE, aor, &b, 1,
			       child_done, ch))
		_exit(4);
}


static int child_init(void *arg)
{
	struct child *ch = arg;
	unsigned i;
	char why[256];
	int err;

	err = store_open(&ch->st, STORE_SIP, ch->dir, false,
			 why, sizeof(why));
	for (i=0; i<20 && !err; i++)
		child_next(ch);

	return err;
}


static void child_main(const char *dir, int fd)
{
	struct child *ch = mem_zalloc(sizeof(*ch), NULL);

	if (!ch)
		_exit(2);

	str_ncpy(ch->dir, dir, sizeof(ch->dir));
	ch->fd = fd;
	if (worker_alloc(&ch->w, "child", 0, child_init, NULL, ch))
		_exit(2);
	for (;;)
		pause();
}


static int kill_round(struct fixture *f, unsigned ms)
{
	unsigned last = 0, n;
	int err = 0, status, pv[2];
	pid_t pid;

	TEST_EQUALS(0, pipe(pv));
	pid = fork();
	TEST(pid >= 0);
	if (!pid) {
		(void)close(pv[0]);
		child_main(f->dir, pv[1]);
	}
	(void)close(pv[1]);

	TEST_EQUALS(sizeof(n), read(pv[0], &n, sizeof(n)));
	(void)usleep(ms * 1000);
	TEST_EQUALS(0, kill(pid, SIGKILL));
	(void)waitpid(pid, &status, 0);
	TEST(WIFSIGNALED(status));
	while (read(pv[0], &n, sizeof(n)) == (ssize_t)sizeof(n))
		last = n;
	(void)close(pv[0]);

	err = fix_open(f, STORE_SIP);
	TEST_ERR(err);
	f->text[0] = '\0';
	f->rows = 100;		/* past count_row's own end */
	err = store_location_list(f->st, NULL, DEADLINE, count_row,
				  done_handler, f);
	TEST_ERR(err);
	err = fix_wait(f, 1);
	TEST_ERR(err);
	TEST(f->rows - 100 >= last + 1);

 out:
	f->st = mem_deref(f->st);
	return err;
}


static int test_kill(void)
{
	struct fixture f;
	unsigned i;
	int err;

	backend = &store_sqlite;
	err = fix_start(&f, STORE_SIP);
	TEST_ERR(err);
	f.st = mem_deref(f.st);

	for (i=0; i<5; i++) {
		err = kill_round(&f, 10 + 37 * i);
		TEST_ERR(err);
	}

 out:
	fix_end(&f);
	return err;
}


int main(int argc, char *argv[])
{
	static const struct test_case cases[] = {
		TEST_CASE_ONCE(test_kill),
		TEST_CASE(test_subscriber),
		TEST_CASE(test_location),
		TEST_CASE(test_cdr),
		TEST_CASE(test_dialog),
		TEST_CASE_ONCE(test_limits),
		TEST_CASE(test_readonly),
		TEST_CASE(test_cdr_seconds),
		TEST_CASE(test_refused),
		TEST_CASE_ONCE(test_disk_full),
		TEST_CASE_ONCE(test_stalled),
	};

	return test_main(argc, argv, cases, RE_ARRAY_SIZE(cases));
}
