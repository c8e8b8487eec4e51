/**
 * @file sipcore/net/tcp.c  Stream listeners (RFC 3261 18)
 */
#include <errno.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>
#include <re.h>
#include "cfg/cfg.h"
#include "sipcore/sipcore.h"
#include "sipcore/internal.h"


enum {
	ACCEPT_BATCH = 16,
	BACKLOG      = 1024,
	RETRY_MS     = 1000,	/* out of descriptors */
};


int sipcore_tcp_bind(int *fdp, const struct sa *sa, bool share)
{
	const int on = 1;
	int fd, err = 0;

	fd = socket(sa_af(sa), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return errno;

	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) ||
	    (share && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on,
				 sizeof(on))) ||
	    (sa_af(sa) == AF_INET6 &&
	     setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on))) ||
	    bind(fd, &sa->u.sa, sa->len) || listen(fd, BACKLOG))
		err = errno;

	if (err)
		(void)close(fd);
	else
		*fdp = fd;

	return err;
}


static void retry(void *arg)
{
	struct sipcore_sock *sock = arg;

	if (sipcore_tcp_start(sock))
		tmr_start(&sock->tmr, RETRY_MS, retry, sock);
}


static void acceptable(int flags, void *arg)
{
	struct sipcore_sock *sock = arg;
	(void)flags;

	for (int i=0; i<ACCEPT_BATCH; i++) {
		struct sa peer;
		int fd;

		peer.len = sizeof(peer.u);
		fd = accept4(sock->fd, &peer.u.sa, &peer.len,
			     SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (fd >= 0) {
			if (sipcore_conn_accepted(sock->core, fd, sock->l,
						  &peer))
				(void)close(fd);
			continue;
		}

		/* a listener that stays readable would spin the loop */
		if (errno == EMFILE || errno == ENFILE || errno == ENOMEM ||
		    errno == ENOBUFS) {
			++sock->core->stats.limit_hits;
			fd_close(sock->fd);
			tmr_start(&sock->tmr, RETRY_MS, retry, sock);
		}
		if (errno != ECONNABORTED && errno != EINTR)
			break;
	}
}


int sipcore_tcp_start(struct sipcore_sock *sock)
{
	return fd_listen(sock->fd, FD_READ, acceptable, sock);
}
