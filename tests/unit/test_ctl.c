/**
 * @file test_ctl.c  Control socket: commands, late answers, bad clients
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <re.h>
#include "ctl/ctl.h"
#include "ctl/internal.h"
#include "worker/worker.h"
#include "test.h"


static struct {
	char dir[64];
	struct ctl *ctl;
	struct ctl_req *late;
	struct tmr tmr;
	int (*client)(void);
	int result;
	struct worker *control;
} t;


static void echo_handler(struct ctl_req *req, int argc,
			 const char *const *argv, void *arg)
{
	struct odict *od = NULL;

	if (arg != &t || odict_alloc(&od, 4) ||
	    odict_entry_add(od, "argc", ODICT_INT, (int64_t)argc) ||
	    odict_entry_add(od, "last", ODICT_STRING,
			    argc ? argv[argc - 1] : ""))
		ctl_fail(req, ENOMEM, "no memory");
	else
		ctl_reply(req, od);

	mem_deref(od);
}


static void late_timeout(void *arg)
{
	struct ctl_req *req = t.late;
	(void)arg;

	t.late = NULL;
	ctl_fail(req, EBUSY, "late, %d", 42);
}


static void late_handler(struct ctl_req *req, int argc,
			 const char *const *argv, void *arg)
{
	(void)argc;
	(void)argv;
	(void)arg;

	t.late = req;
	tmr_start(&t.tmr, 50, late_timeout, NULL);
}


enum { BIG = 4000000 };

static void big_handler(struct ctl_req *req, int argc,
			const char *const *argv, void *arg)
{
	struct odict *od = NULL;
	char *s;
	(void)argc;
	(void)argv;
	(void)arg;

	s = mem_alloc(BIG + 1, NULL);
	if (s) {
		memset(s, 'x', BIG);
		s[BIG] = '\0';
	}
	if (!s || odict_alloc(&od, 4) ||
	    odict_entry_add(od, "big", ODICT_STRING, s))
		ctl_fail(req, ENOMEM, "no memory");
	else
		ctl_reply(req, od);

	mem_deref(od);
	mem_deref(s);
}


static const struct ctl_cmd cmdv[] = {
	{"big", NULL, "More than a socket takes at once", big_handler},
	{"echo", "[WORD ...]", "Say it again", echo_handler},
	{"late", NULL, "Fail later", late_handler},
};


static void done(void *arg)
{
	(void)arg;
	re_cancel();
}


static void *client_thread(void *arg)
{
	(void)arg;

	t.result = t.client();
	(void)worker_post(t.control, done, NULL);

	return NULL;
}


/* The server's loop here, the blocking client in a thread */
static int run(int (*client)(void))
{
	pthread_t thread;
	int err;

	memset(&t, 0, sizeof(t));
	tmr_init(&t.tmr);
	t.client = client;
	t.result = EPROTO;
	str_ncpy(t.dir, "/tmp/test_ctl.XXXXXX", sizeof(t.dir));
	if (!mkdtemp(t.dir))
		return errno;

	err = worker_adopt(&t.control, "test");
	TEST_ERR(err);
	err = ctl_listen(&t.ctl, t.dir, "x", cmdv, ARRAY_SIZE(cmdv), &t);
	TEST_ERR(err);
	err = pthread_create(&thread, NULL, client_thread, NULL);
	TEST_ERR(err);
	err = test_run_loop(20000);
	TEST_ERR(err);
	(void)pthread_join(thread, NULL);
	err = t.result;
 out:
	tmr_cancel(&t.tmr);
	mem_deref(t.ctl);
	mem_deref(t.control);
	if (rmdir(t.dir) && !err)
		err = errno;
	return err;
}


static int commands_client(void)
{
	char *const args[] = {(char *)"one", (char *)"tw\"o\n\x01\\"};
	struct odict *od = NULL;
	char path[CTL_PATH_MAX];
	struct stat st;
	uint64_t n = 0;
	int err;

	TEST_ERR(ctl_path(path, sizeof(path), t.dir, "x"));
	TEST_EQUALS(0, stat(path, &st));
	TEST_EQUALS(0660, st.st_mode & 07777);

	err = ctl_ask(&od, t.dir, "x", "echo", 2, args);
	TEST_ERR(err);
	TEST(odict_get_number(od, &n, "argc"));
	TEST_EQUALS(2, n);
	TEST_STRCMP(args[1], odict_string(od, "last"));
	od = mem_deref(od);

	err = ctl_ask(&od, t.dir, "x", "late", 0, NULL);
	TEST_ERR(err);
	TEST_STRCMP("late, 42", odict_string(od, "error"));
	TEST(odict_get_number(od, &n, "errno"));
	TEST_EQUALS(EBUSY, n);
	od = mem_deref(od);

	err = ctl_ask(&od, t.dir, "x", "nonsense", 0, NULL);
	TEST_ERR(err);
	TEST(odict_get_number(od, &n, "errno"));
	TEST_EQUALS(ENOSYS, n);
	od = mem_deref(od);

	err = ctl_ask(&od, t.dir, "x", "help", 0, NULL);
	TEST_ERR(err);
	TEST(odict_lookup(od, "commands"));
	od = mem_deref(od);

	TEST_EQUALS(ENOENT, ctl_ask(&od, t.dir, "y", "help", 0, NULL));
 out:
	mem_deref(od);
	return err;
}


static int dial(void)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	const struct timeval tv = {.tv_sec = 10};
	int fd;

	(void)ctl_path(sun.sun_path, sizeof(sun.sun_path), t.dir, "x");
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	if (fd >= 0)
		(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv,
				 sizeof(tv));
	if (fd >= 0 && connect(fd, (struct sockaddr *)&sun, sizeof(sun))) {
		(void)close(fd);
		fd = -1;
	}

	return fd;
}


static int raw(char *buf, size_t size, const char *request, size_t len)
{
	ssize_t n, total = 0;
	int fd;

	fd = dial();
	if (fd < 0)
		return errno;

	(void)send(fd, request, len, MSG_NOSIGNAL);
	while ((n = recv(fd, buf + total, size - 1 - (size_t)total, 0)) > 0)
		total += n;
	buf[total] = '\0';
	(void)close(fd);

	return 0;
}


static int bad_client(void)
{
	static char big[100000];
	char buf[1024];
	int fdv[40], err = 0;
	size_t i;

	memset(big, 'x', sizeof(big));
	memset(fdv, 0xff, sizeof(fdv));

	TEST_ERR(raw(buf, sizeof(buf), "hello\n", 6));
	TEST(strstr(buf, "error"));
	TEST_ERR(raw(buf, sizeof(buf), "{}\n", 3));
	TEST(strstr(buf, "no \\\"cmd\\\""));
	TEST_ERR(raw(buf, sizeof(buf), "{\"cmd\":\"echo\",\"args\":[1]}\n",
		     26));
	TEST(strstr(buf, "32 strings"));
	TEST_ERR(raw(buf, sizeof(buf), big, sizeof(big)));
	TEST_ERR(raw(buf, sizeof(buf), "[[[[[[[[[[[[\n", 13));
	TEST(strstr(buf, "error"));

	/* those who say nothing do not keep others out for ever, and hold no
	   more than their number */
	for (i = 0; i < ARRAY_SIZE(fdv); i++)
		fdv[i] = dial();
	for (i = 0; i < ARRAY_SIZE(fdv); i++) {
		if (fdv[i] >= 0)
			(void)close(fdv[i]);
		fdv[i] = -1;
	}

	/* gone before the answer, which then goes nowhere */
	fdv[0] = dial();
	TEST(fdv[0] >= 0);
	TEST(send(fdv[0], "{\"cmd\":\"late\"}\n", 15, MSG_NOSIGNAL) == 15);
	(void)close(fdv[0]);
	fdv[0] = -1;
	(void)usleep(200000);

	TEST_ERR(raw(buf, sizeof(buf), "{\"cmd\":\"echo\"}\n", 15));
	TEST_STRCMP("{\"argc\":0,\"last\":\"\"}\n", buf);
 out:
	return err;
}


/* One who does not read holds up nobody, and gets all when he does */
static int slow_client(void)
{
	static char buf[65536];
	struct odict *od = NULL;
	size_t total = 0;
	ssize_t n;
	int fd, err = 0;

	fd = dial();
	TEST(fd >= 0);
	TEST(send(fd, "{\"cmd\":\"big\"}\n", 14, MSG_NOSIGNAL) == 14);
	(void)usleep(100000);

	err = ctl_ask(&od, t.dir, "x", "echo", 0, NULL);
	TEST_ERR(err);

	while ((n = recv(fd, buf, sizeof(buf), 0)) > 0)
		total += (size_t)n;
	TEST_EQUALS(BIG + strlen("{\"big\":\"\"}\n"), total);
 out:
	if (fd >= 0)
		(void)close(fd);
	mem_deref(od);
	return err;
}


static int test_slow_client(void)
{
	return run(slow_client);
}


static int test_commands(void)
{
	return run(commands_client);
}


static int test_bad_clients(void)
{
	return run(bad_client);
}


/* One role a state directory; a socket left by a killed one is no obstacle */
static int test_listen_twice(void)
{
	struct ctl *a = NULL, *b = NULL;
	char path[CTL_PATH_MAX];
	char dir[] = "/tmp/test_ctl.XXXXXX";
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	int err = 0, fd = -1;

	if (!mkdtemp(dir))
		return errno;

	TEST_ERR(ctl_path(path, sizeof(path), dir, "x"));
	memcpy(sun.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	TEST(!bind(fd, (struct sockaddr *)&sun, sizeof(sun)));
	(void)close(fd);

	err = ctl_listen(&a, dir, "x", cmdv, 1, NULL);
	TEST_ERR(err);
	TEST_EQUALS(EADDRINUSE, ctl_listen(&b, dir, "x", cmdv, 1, NULL));
	TEST_EQUALS(0, access(path, F_OK));
 out:
	mem_deref(a);
	mem_deref(b);
	(void)unlink(path);
	(void)rmdir(dir);
	return err;
}


static int test_show(void)
{
	static const char json[] =
		"{\"a\":{\"pid\":1,\"uptime_s\":90,\"rss_bytes\":1572864},"
		"\"bc\":{\"pid\":22,\"uptime_s\":5,\"calls\":3,"
		"\"own\":\"x\"}}";
	static const char text[] =
		"role  pid  uptime  calls  rss\n"
		"a     1    1m30s          1.5 MB\n"
		"bc    22   5s      3      \n"
		"bc: own x\n";
	struct odict *od = NULL;
	char *s = NULL;
	int err;

	err = json_decode_odict(&od, 8, json, strlen(json), 4);
	TEST_ERR(err);
	err = re_sdprintf(&s, "%H", ctl_show_roles, od);
	TEST_ERR(err);
	TEST_STRCMP(text, s);
 out:
	mem_deref(s);
	mem_deref(od);
	return err;
}


int main(int argc, char *argv[])
{
	static const struct test_case cases[] = {
		TEST_CASE_RAW(test_commands),
		TEST_CASE_RAW(test_bad_clients),
		TEST_CASE_RAW(test_slow_client),
		TEST_CASE_RAW(test_listen_twice),
		TEST_CASE(test_show),
	};

	return test_main(argc, argv, cases, ARRAY_SIZE(cases));
}
