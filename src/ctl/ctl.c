/**
 * @file ctl/ctl.c  The control socket: listener, table of commands, requests
 *
 *   connect -> one line of JSON -> command -> ctl_reply() -> written -> close
 *
 * A connection is freed when it is closed and its command has answered, so a
 * role may answer a request whose client has gone.
 */
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <re.h>
#include "ctl.h"
#include "internal.h"


enum {
	CLIENTS_MAX  = 16,
	REQUEST_MAX  = 16384,		/* bytes                      */
	ARGS_MAX     = 32,
	READ_MS      = 5000,		/* for the request to arrive  */
	ANSWER_MS    = 30000,		/* for the command            */
	WRITE_MS     = 10000,		/* for the client to take it  */
	TABLES_MAX   = 4,
};

struct table {
	const struct ctl_cmd *cmdv;
	size_t cmdc;
	void *arg;
};

struct ctl {
	int fd;
	char path[CTL_PATH_MAX];
	struct table tablev[TABLES_MAX];
	size_t tablec;
	struct list reql;
};

struct ctl_req {
	struct le le;
	struct ctl *ctl;	/* NULL: the socket has been closed */
	int fd;
	struct tmr tmr;
	struct mbuf *mb;	/* request, then answer */
	struct odict *od;	/* decoded request */
	bool pending;		/* the command owes an answer */
};


static void req_destructor(void *arg)
{
	struct ctl_req *req = arg;

	list_unlink(&req->le);
	tmr_cancel(&req->tmr);
	if (req->fd >= 0) {
		fd_close(req->fd);
		(void)close(req->fd);
	}
	mem_deref(req->mb);
	mem_deref(req->od);
}


/* Hang up; the request itself goes when its command has answered */
static void req_close(struct ctl_req *req)
{
	tmr_cancel(&req->tmr);
	if (req->fd >= 0) {
		fd_close(req->fd);
		(void)close(req->fd);
		req->fd = -1;
	}

	if (!req->pending)
		mem_deref(req);
}


static void ctl_destructor(void *arg)
{
	struct ctl *c = arg;
	struct le *le = c->reql.head;

	while (le) {
		struct ctl_req *req = le->data;

		le = le->next;
		list_unlink(&req->le);
		req->ctl = NULL;
		req_close(req);
	}

	if (c->fd >= 0) {
		fd_close(c->fd);
		(void)close(c->fd);
		(void)unlink(c->path);
	}
}


static void write_timeout(void *arg)
{
	req_close(arg);
}


static void write_handler(int flags, void *arg)
{
	struct ctl_req *req = arg;
	struct mbuf *mb = req->mb;
	ssize_t n;
	(void)flags;

	n = send(req->fd, mbuf_buf(mb), mbuf_get_left(mb), MSG_NOSIGNAL);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;

	if (n > 0)
		mbuf_advance(mb, n);
	if (n <= 0 || !mbuf_get_left(mb))
		req_close(req);
}


static void send_answer(struct ctl_req *req)
{
	req->mb->pos = 0;
	tmr_start(&req->tmr, WRITE_MS, write_timeout, req);
	if (fd_listen(req->fd, FD_WRITE, write_handler, req))
		req_close(req);
}


static void answer(struct ctl_req *req, const struct odict *od)
{
	int err;

	req->pending = false;
	if (req->fd < 0) {
		mem_deref(req);
		return;
	}

	mbuf_rewind(req->mb);
	err = mbuf_printf(req->mb, "%H\n", json_encode_odict, od);
	if (err)
		req_close(req);
	else
		send_answer(req);
}


/**
 * Answer a request
 *
 * @param req  Request, gone afterwards
 * @param od   Answer, borrowed
 */
void ctl_reply(struct ctl_req *req, const struct odict *od)
{
	if (!req || !req->pending)
		return;

	answer(req, od);
}


static void fail(struct ctl_req *req, int err, const char *fmt, va_list ap)
{
	struct odict *od = NULL;
	char text[256];

	if (re_vsnprintf(text, sizeof(text), fmt, ap) < 0)
		text[sizeof(text) - 1] = '\0';

	if (odict_alloc(&od, 4) ||
	    odict_entry_add(od, "error", ODICT_STRING, text) ||
	    odict_entry_add(od, "errno", ODICT_INT, (int64_t)err)) {
		req->pending = false;
		req_close(req);
	}
	else {
		answer(req, od);
	}

	mem_deref(od);
}


/** Answer with an error; err tells programs, the text tells people */
void ctl_fail(struct ctl_req *req, int err, const char *fmt, ...)
{
	va_list ap;

	if (!req || !req->pending)
		return;

	va_start(ap, fmt);
	fail(req, err, fmt, ap);
	va_end(ap);
}


/* For what goes wrong before a command has the request */
static void refuse(struct ctl_req *req, int err, const char *text)
{
	req->pending = true;
	ctl_fail(req, err, "%s", text);
}


static void answer_timeout(void *arg)
{
	struct ctl_req *req = arg;

	/* the command still owes its answer, which then goes nowhere */
	req_close(req);
}


static const struct ctl_cmd *find(const struct ctl *c, const char *name,
				  void **argp)
{
	size_t i, j;

	for (i = 0; i < c->tablec; i++) {
		const struct table *t = &c->tablev[i];

		for (j = 0; j < t->cmdc; j++) {
			if (!strcmp(t->cmdv[j].name, name)) {
				*argp = t->arg;
				return &t->cmdv[j];
			}
		}
	}

	return NULL;
}


static int add_help(struct odict *arr, const struct ctl_cmd *cmd)
{
	struct odict *od = NULL;
	int err;

	err = odict_alloc(&od, 4);
	if (err)
		return err;

	err |= odict_entry_add(od, "command", ODICT_STRING, cmd->name);
	err |= odict_entry_add(od, "args", ODICT_STRING,
			       cmd->args ? cmd->args : "");
	err |= odict_entry_add(od, "help", ODICT_STRING,
			       cmd->help ? cmd->help : "");
	err |= odict_entry_add(arr, cmd->name, ODICT_OBJECT, od);
	mem_deref(od);

	return err;
}


static void help(struct ctl_req *req)
{
	struct odict *od = NULL, *arr = NULL;
	const struct ctl *c = req->ctl;
	size_t i, j;
	int err;

	err = odict_alloc(&od, 4);
	err |= odict_alloc(&arr, 16);
	for (i = 0; i < c->tablec && !err; i++) {
		for (j = 0; j < c->tablev[i].cmdc && !err; j++)
			err = add_help(arr, &c->tablev[i].cmdv[j]);
	}
	if (!err)
		err = odict_entry_add(od, "commands", ODICT_ARRAY, arr);

	if (err)
		ctl_fail(req, err, "%m", err);
	else
		ctl_reply(req, od);

	mem_deref(arr);
	mem_deref(od);
}


static void run(struct ctl_req *req, const char *name, int argc,
		const char *const *argv)
{
	const struct ctl_cmd *cmd;
	void *arg = NULL;

	req->pending = true;
	tmr_start(&req->tmr, ANSWER_MS, answer_timeout, req);

	if (!strcmp(name, "help")) {
		help(req);
		return;
	}

	cmd = find(req->ctl, name, &arg);
	if (cmd)
		cmd->h(req, argc, argv, arg);
	else
		ctl_fail(req, ENOSYS, "no such command; see \"help\"");
}


static void dispatch(struct ctl_req *req)
{
	const struct odict_entry *args;
	const char *argv[ARGS_MAX];
	const char *name;
	struct le *le;
	int argc = 0;

	if (json_decode_odict(&req->od, 16, (const char *)req->mb->buf,
			      req->mb->end, 4)) {
		refuse(req, EBADMSG, "the request is not JSON");
		return;
	}

	name = odict_string(req->od, "cmd");
	args = odict_lookup(req->od, "args");
	if (!name || (args && args->type != ODICT_ARRAY)) {
		refuse(req, EBADMSG, "the request has no \"cmd\"");
		return;
	}

	for (le = args ? args->u.odict->lst.head : NULL; le; le = le->next) {
		const struct odict_entry *e = le->data;

		if (e->type != ODICT_STRING || argc == ARGS_MAX) {
			refuse(req, EBADMSG, "args: at most 32 strings");
			return;
		}
		argv[argc++] = e->u.str;
	}

	run(req, name, argc, argv);
}


static void read_handler(int flags, void *arg)
{
	struct ctl_req *req = arg;
	struct mbuf *mb = req->mb;
	uint8_t buf[4096];
	ssize_t n;
	(void)flags;

	n = recv(req->fd, buf, sizeof(buf), 0);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;

	/* while the command works, all that may come is the hang-up */
	if (n <= 0 || req->pending) {
		req_close(req);
		return;
	}

	if (mbuf_write_mem(mb, buf, (size_t)n)) {
		req_close(req);
		return;
	}

	if (memchr(buf, '\n', (size_t)n))
		dispatch(req);
	else if (mb->end > REQUEST_MAX)
		refuse(req, EMSGSIZE, "the request is too long");
}


static void accept_handler(int flags, void *arg)
{
	struct ctl *c = arg;
	struct ctl_req *req;
	int fd;
	(void)flags;

	fd = accept4(c->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd < 0)
		return;

	req = list_count(&c->reql) < CLIENTS_MAX ?
		mem_zalloc(sizeof(*req), req_destructor) : NULL;
	if (!req) {
		(void)close(fd);
		return;
	}

	req->ctl = c;
	req->fd = fd;
	list_append(&c->reql, &req->le, req);
	req->mb = mbuf_alloc(512);
	if (!req->mb || fd_listen(fd, FD_READ, read_handler, req)) {
		mem_deref(req);
		return;
	}

	tmr_start(&req->tmr, READ_MS, write_timeout, req);
}


/* A socket that nobody listens on is left from a killed process */
static int remove_stale(const struct sockaddr_un *sun)
{
	int err = 0;
	int fd;

	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return errno;

	if (!connect(fd, (const struct sockaddr *)sun, sizeof(*sun)) ||
	    errno == EAGAIN)
		err = EADDRINUSE;
	else if (errno == ECONNREFUSED && unlink(sun->sun_path))
		err = errno;

	(void)close(fd);

	return err;
}


static int open_socket(struct ctl *c)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	int err;

	str_ncpy(sun.sun_path, c->path, sizeof(sun.sun_path));
	err = remove_stale(&sun);
	if (err)
		return err;

	c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
		       0);
	if (c->fd < 0)
		return errno;

	/* the state directory is 0750: nobody comes between the two */
	if (bind(c->fd, (struct sockaddr *)&sun, sizeof(sun)) ||
	    chmod(c->path, 0660) || listen(c->fd, CLIENTS_MAX))
		return errno;

	return fd_listen(c->fd, FD_READ, accept_handler, c);
}


/**
 * Listen on STATE/ctl-ROLE.sock
 *
 * @param cp         Set on success; dropping it closes and removes
 * @param state_dir  State directory
 * @param role       Role
 * @param cmdv       Commands
 * @param cmdc       How many
 * @param arg        Their argument
 *
 * @return 0 if success, EADDRINUSE if such a role runs already
 */
int ctl_listen(struct ctl **cp, const char *state_dir, const char *role,
	       const struct ctl_cmd *cmdv, size_t cmdc, void *arg)
{
	struct ctl *c;
	int err;

	if (!cp || !state_dir || !role)
		return EINVAL;

	c = mem_zalloc(sizeof(*c), ctl_destructor);
	if (!c)
		return ENOMEM;

	c->fd = -1;
	err = ctl_path(c->path, sizeof(c->path), state_dir, role);
	if (!err)
		err = ctl_add(c, cmdv, cmdc, arg);
	if (!err)
		err = open_socket(c);

	if (err)
		mem_deref(c);
	else
		*cp = c;

	return err;
}


/** One more table of commands, with its own argument */
int ctl_add(struct ctl *c, const struct ctl_cmd *cmdv, size_t cmdc, void *arg)
{
	if (!c || c->tablec == TABLES_MAX)
		return EINVAL;

	c->tablev[c->tablec].cmdv = cmdv;
	c->tablev[c->tablec].cmdc = cmdc;
	c->tablev[c->tablec].arg  = arg;
	++c->tablec;

	return 0;
}


int ctl_path(char *path, size_t size, const char *state_dir, const char *role)
{
	const int n = re_snprintf(path, size, "%s/ctl-%s.sock", state_dir,
				  role);

	return n < 0 || (size_t)n >= size - 1 ? ENAMETOOLONG : 0;
}
