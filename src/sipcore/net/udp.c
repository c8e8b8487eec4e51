/**
 * @file sipcore/net/udp.c  Datagrams: one socket per listener and worker
 *
 * libre's own UDP socket allocates a buffer per packet; here all are received
 * into one.
 */
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>
#include <re.h>
#include "cfg/cfg.h"
#include "sipcore/sipcore.h"
#include "sipcore/internal.h"


enum {
	RX_BATCH = 64,			/* before others get a turn */
	SOCK_BUF = 4 * 1024 * 1024,	/* the kernel may give less */
	SIP_MIN  = 20,			/* less is a keep-alive */
};


/**
 * Open and bind a socket
 *
 * @param fdp    Descriptor
 * @param sa     Address
 * @param share  Others of this process bind the same address
 */
int sipcore_udp_bind(int *fdp, const struct sa *sa, bool share)
{
	const int on = 1, sz = SOCK_BUF;
	int fd, err = 0;

	fd = socket(sa_af(sa), SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return errno;

	if ((share && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on,
				 sizeof(on))) ||
	    (sa_af(sa) == AF_INET6 &&
	     setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on))) ||
	    bind(fd, &sa->u.sa, sa->len))
		err = errno;

	(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &sz, sizeof(sz));
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &sz, sizeof(sz));

	if (err)
		(void)close(fd);
	else
		*fdp = fd;

	return err;
}


static void readable(int flags, void *arg)
{
	struct sipcore_sock *sock = arg;
	struct sipcore *core = sock->core;
	struct sipcore_flow flow = {.proto = CFG_PROTO_UDP};
	(void)flags;

	flow.local = sock->l->sa;

	for (int i=0; i<RX_BATCH; i++) {
		ssize_t n;

		flow.remote.len = sizeof(flow.remote.u);
		n = recvfrom(sock->fd, core->rxbuf, SIPCORE_RXBUF, 0,
			     &flow.remote.u.sa, &flow.remote.len);
		if (n < 0) {
			/* an ICMP error of an earlier send is no reason to
			   stop */
			if (errno == ECONNREFUSED || errno == EINTR)
				continue;
			break;
		}

		if (n < SIP_MIN)
			continue;

		sipcore_rx(core, &flow, core->rxbuf, (size_t)n, 0);
	}
}


int sipcore_udp_start(struct sipcore_sock *sock)
{
	return fd_listen(sock->fd, FD_READ, readable, sock);
}


/* A full socket buffer is a lost datagram: timers mend it */
int sipcore_udp_send(struct sipcore_sock *sock, const struct sa *dst,
		     const uint8_t *p, size_t n)
{
	if (sendto(sock->fd, p, n, MSG_NOSIGNAL, &dst->u.sa, dst->len) >= 0)
		return 0;

	if (errno == EAGAIN || errno == ENOBUFS || errno == ECONNREFUSED ||
	    errno == EINTR)
		return 0;

	return errno;
}
