/**
 * @file frame/notify.c  sd_notify(3) without libsystemd: a datagram a message
 *
 * A role under the supervisor speaks the same words to it, over a socket
 * that it has inherited.
 */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>
#include <re.h>
#include "program.h"


enum {
	HEARTBEAT_MS = 2000,	/* a role to its supervisor */
};

static struct {
	int fd;
	uint64_t interval;	/* ms between WATCHDOG=1; 0: not wanted */
	uint64_t restarts;
	bool is_child;
} n = {.fd = -1};


static uint64_t env_u64(const char *name)
{
	const char *s = getenv(name);
	struct pl pl;

	if (!s)
		return 0;

	pl_set_str(&pl, s);

	return pl_u64(&pl);
}


/* NOTIFY_SOCKET: a path, or with @ a name in the abstract space */
static int dial(const char *path)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	const size_t len = strlen(path);
	int fd;

	if (len < 2 || len >= sizeof(sun.sun_path) ||
	    (path[0] != '/' && path[0] != '@'))
		return -1;

	memcpy(sun.sun_path, path, len);
	if (path[0] == '@')
		sun.sun_path[0] = '\0';

	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -1;

	if (connect(fd, (struct sockaddr *)&sun,
		    (socklen_t)(offsetof(struct sockaddr_un, sun_path) +
				len))) {
		(void)close(fd);
		return -1;
	}

	return fd;
}


/** Find out who wants to know; the environment is then cleared of it */
void notify_init(void)
{
	const char *fd = getenv("VOIPSTACK_NOTIFY_FD");
	const char *path = getenv("NOTIFY_SOCKET");

	if (fd) {
		n.fd = (int)env_u64("VOIPSTACK_NOTIFY_FD");
		n.interval = HEARTBEAT_MS;
		n.is_child = true;
		n.restarts = env_u64("VOIPSTACK_RESTARTS");
		(void)fcntl(n.fd, F_SETFD, FD_CLOEXEC);
	}
	else if (path) {
		const uint64_t pid = env_u64("WATCHDOG_PID");

		n.fd = dial(path);
		if (!pid || pid == (uint64_t)getpid())
			n.interval = env_u64("WATCHDOG_USEC") / 2000;
	}

	(void)unsetenv("VOIPSTACK_NOTIFY_FD");
	(void)unsetenv("VOIPSTACK_RESTARTS");
	(void)unsetenv("NOTIFY_SOCKET");
	(void)unsetenv("WATCHDOG_USEC");
	(void)unsetenv("WATCHDOG_PID");
}


void notify_close(void)
{
	if (n.fd >= 0)
		(void)close(n.fd);
	n.fd = -1;
}


/** Has our supervisor started us? */
bool notify_is_child(void)
{
	return n.is_child;
}


/** How often the supervisor has started this role again */
uint64_t notify_restarts(void)
{
	return n.restarts;
}


/** How often WATCHDOG=1 is wanted [ms], 0: never */
uint64_t notify_interval(void)
{
	return n.fd >= 0 ? n.interval : 0;
}


/** Send "READY=1\nSTATUS=..." and the like; nobody listening is no error */
int notify_printf(const char *fmt, ...)
{
	char buf[512];
	va_list ap;
	int len;

	if (n.fd < 0)
		return 0;

	va_start(ap, fmt);
	len = re_vsnprintf(buf, sizeof(buf), fmt, ap);
	va_end(ap);
	if (len < 0)
		return EMSGSIZE;

	return send(n.fd, buf, (size_t)len, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ?
		errno : 0;
}


/** systemd wants to know when a reload began, on its clock */
void notify_reloading(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	(void)notify_printf("RELOADING=1\nMONOTONIC_USEC=%llu",
			    (uint64_t)ts.tv_sec * 1000000 +
			    (uint64_t)ts.tv_nsec / 1000);
}
