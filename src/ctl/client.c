/**
 * @file ctl/client.c  The client: ask one or each role, print what they say
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <re.h>
#include "ctl.h"
#include "internal.h"


enum {
	TIMEOUT_S   = 35,		/* longer than the server's */
	ANSWER_MAX  = 64 * 1024 * 1024,	/* bytes                    */
	EX_FAILED   = 1,
	EX_NOBODY   = 69,		/* EX_UNAVAILABLE           */
};


static int dial(int *fdp, const char *state_dir, const char *role)
{
	const struct timeval tv = {.tv_sec = TIMEOUT_S};
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	int err, fd;

	err = ctl_path(sun.sun_path, sizeof(sun.sun_path), state_dir, role);
	if (err)
		return err;

	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return errno;

	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv));

	if (connect(fd, (struct sockaddr *)&sun, sizeof(sun))) {
		err = errno;
		(void)close(fd);
		return err;
	}

	*fdp = fd;

	return 0;
}


static int encode(struct mbuf *mb, const char *cmd, int argc,
		  char *const argv[])
{
	int err, i;

	err = mbuf_printf(mb, "{\"cmd\":\"%H\",\"args\":[", utf8_encode, cmd);
	for (i = 0; i < argc; i++)
		err |= mbuf_printf(mb, "%s\"%H\"", i ? "," : "",
				   utf8_encode, argv[i]);
	err |= mbuf_write_str(mb, "]}\n");

	return err;
}


static int exchange(struct mbuf *mb, int fd)
{
	uint8_t buf[16384];
	ssize_t n;
	int err = 0;

	n = send(fd, mb->buf, mb->end, MSG_NOSIGNAL);
	if (n < 0)
		return errno;
	if ((size_t)n != mb->end)
		return EMSGSIZE;

	mbuf_rewind(mb);
	while (!err) {
		n = recv(fd, buf, sizeof(buf), 0);
		if (n < 0)
			err = errno == EAGAIN ? ETIMEDOUT : errno;
		if (n <= 0)
			break;
		err = mb->end + (size_t)n > ANSWER_MAX ? EMSGSIZE :
			mbuf_write_mem(mb, buf, (size_t)n);
	}

	return err;
}


/**
 * Ask one role
 *
 * @param odp        Its answer
 * @param state_dir  State directory
 * @param role       Role
 * @param cmd        Command
 * @param argc       Number of arguments
 * @param argv       Arguments
 *
 * @return 0, ENOENT or ECONNREFUSED if that role does not run, ...
 */
int ctl_ask(struct odict **odp, const char *state_dir, const char *role,
	    const char *cmd, int argc, char *const argv[])
{
	struct mbuf *mb;
	int err, fd = -1;

	mb = mbuf_alloc(1024);
	if (!mb)
		return ENOMEM;

	err = encode(mb, cmd, argc, argv);
	if (!err)
		err = dial(&fd, state_dir, role);
	if (!err)
		err = exchange(mb, fd);
	if (!err)
		err = json_decode_odict(odp, 64, (const char *)mb->buf,
					mb->end, 8);
	if (fd >= 0)
		(void)close(fd);
	mem_deref(mb);

	return err;
}


/* Its socket is there, but it is not: it was killed */
static int add_down(struct odict *all, const char *role)
{
	struct odict *od = NULL;
	int err;

	err = odict_alloc(&od, 4);
	if (err)
		return err;

	err = odict_entry_add(od, "state", ODICT_STRING, "down");
	if (!err)
		err = odict_entry_add(all, role, ODICT_OBJECT, od);
	mem_deref(od);

	return err;
}


/* What each role says, by role; *known: how many know the command */
static int ask_all(struct odict *all, unsigned *running, unsigned *known,
		   const char *state_dir, const char *const *rolev,
		   const char *cmd, int argc, char *const argv[])
{
	int err = 0;

	for (; *rolev && !err; rolev++) {
		struct odict *od = NULL;
		uint64_t num = 0;

		err = ctl_ask(&od, state_dir, *rolev, cmd, argc, argv);
		if (err == ENOENT || err == ECONNREFUSED) {
			err = err == ENOENT || strcmp(cmd, "status") ? 0 :
				add_down(all, *rolev);
			continue;
		}
		if (err) {
			(void)re_fprintf(stderr, "voipstack: %s/ctl-%s.sock:"
					 " %m\n", state_dir, *rolev, err);
			break;
		}

		++*running;
		(void)odict_get_number(od, &num, "errno");
		if (num != ENOSYS) {
			++*known;
			err = odict_entry_add(all, *rolev, ODICT_OBJECT, od);
		}
		mem_deref(od);
	}

	return err;
}


static int complain(const struct odict *all)
{
	const struct le *le;
	int code = 0;

	for (le = all->lst.head; le; le = le->next) {
		const struct odict_entry *e = le->data;
		const char *text = odict_string(e->u.odict, "error");

		if (!text)
			continue;
		(void)re_fprintf(stderr, "voipstack: %s: %s\n", e->key, text);
		code = EX_FAILED;
	}

	return code;
}


static void print(const struct odict *all, const char *cmd, bool bare,
		  bool json)
{
	const struct odict_entry *first = list_ledata(all->lst.head);
	const struct odict *od = bare ? first->u.odict : all;

	if (json)
		(void)re_printf("%H\n", json_encode_odict, od);
	else if (bare)
		(void)re_printf("%H", ctl_show, od);
	else if (!strcmp(cmd, "status"))
		(void)re_printf("%H", ctl_show_roles, all);
	else if (list_count(&all->lst) == 1)
		(void)re_printf("%H", ctl_show, first->u.odict);
	else
		(void)re_printf("%H", ctl_show, all);
}


int ctl_client(const char *state_dir, const char *const *rolev, bool bare,
	       bool json, int argc, char *const argv[])
{
	const char *cmd = argc > 0 ? argv[0] : "status";
	unsigned running = 0, known = 0;
	struct odict *all = NULL;
	int err, code = EX_FAILED;

	err = odict_alloc(&all, 8);
	if (err)
		return EX_FAILED;

	err = ask_all(all, &running, &known, state_dir, rolev, cmd,
		      argc > 1 ? argc - 1 : 0, argv + 1);
	if (err)
		goto out;

	if (!running) {
		(void)re_fprintf(stderr, "voipstack: no role runs with the"
				 " state directory %s; name another with"
				 " --state\n", state_dir);
		code = EX_NOBODY;
		goto out;
	}
	if (!known) {
		(void)re_fprintf(stderr, "voipstack: no role knows the"
				 " command \"%s\"; see voipstack ctl help\n",
				 cmd);
		goto out;
	}

	code = complain(all);
	if (!code || json)
		print(all, cmd, bare, json);
 out:
	mem_deref(all);
	return code;
}
