/**
 * @file sipcore/net/conn.c  Connections (RFC 3261 18)
 *
 * A connection lives on the worker that accepted or opened it.  What arrives
 * is read into the worker's one buffer; only an incomplete message is copied,
 * so an idle connection holds no memory but its struct.
 *
 *   accepted / connecting -> open -> closing (last bytes go out) -> gone
 *
 * What a peer could make grow: connections (in all, per address), bytes of an
 * incomplete message, time for one, bytes waiting to be sent, time without
 * any being taken.
 */
#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <re.h>
#include "cfg/cfg.h"
#include "sipcore/sipcore.h"
#include "sipcore/internal.h"
#include "conn.h"


enum {
	GRACE_MS   = 200,	/* for answers under way before closing */
};

struct txitem {
	struct le le;
	uint64_t ct;		/* client transaction to tell, or 0 */
	size_t off, n;
	uint8_t v[];
};

static void conn_timeout(void *arg);
static void conn_shut(struct sipcore_conn *c);


static uint32_t addr_hash(const struct sipcore *core, const struct sa *sa)
{
	uint8_t v[16];

	if (sa_af(sa) == AF_INET6) {
		sa_in6(sa, v);
		return (uint32_t)sipcore_siphash(core->net->key, v, 16);
	}

	return (uint32_t)sipcore_siphash(core->net->key,
					 &sa->u.in.sin_addr, 4);
}


/* Take it out of all tables; its queue is still there to be told */
static void conn_detach(struct sipcore_conn *c)
{
	if (c->gone)
		return;

	c->gone = true;
	list_unlink(&c->he);
	sipcore_slots_del(&c->core->conns, c->slot);
	--c->core->stats.conns;

	if (c->fd >= 0) {
		fd_close(c->fd);
		(void)close(c->fd);
		c->fd = -1;
	}
}


static void conn_destructor(void *arg)
{
	struct sipcore_conn *c = arg;

	tmr_cancel(&c->tmr);
	conn_detach(c);
	list_unlink(&c->he);
	list_flush(&c->txl);
	mem_deref(c->rx);
}


/* End it and tell the transactions whose bytes did not go out */
static void conn_end(struct sipcore_conn *c, int err)
{
	struct sipcore *core = c->core;
	struct le *le;

	conn_detach(c);
	tmr_cancel(&c->tmr);

	while ((le = c->txl.head)) {
		struct txitem *it = le->data;
		const uint64_t ct = it->ct;

		list_unlink(le);
		mem_deref(it);
		if (ct)
			sipcore_ctrans_error(core, ct, err);
	}

	mem_deref(c);
}


static void ended(void *arg)
{
	struct sipcore_conn *c = arg;

	conn_end(c, c->err);
}


/* End it from the loop: who called may be in the middle of something */
void sipcore_conn_fail(struct sipcore_conn *c, int err)
{
	if (c->gone)
		return;

	c->err = err;
	conn_detach(c);
	list_append(&c->core->dyingl, &c->he, c);
	tmr_start(&c->tmr, 0, ended, c);
}


static uint64_t conn_deadline(const struct sipcore_conn *c)
{
	const struct sipcore_limits *lim = &c->core->net->lim;
	uint64_t t = c->last + lim->conn_idle;

	if (c->msg_start && c->msg_start + lim->msg_time < t)
		t = c->msg_start + lim->msg_time;
	if (c->tx_start && c->tx_start + lim->msg_time < t)
		t = c->tx_start + lim->msg_time;
	if (c->shut_at && !c->shut && !c->txl.head && c->shut_at < t)
		t = c->shut_at;

	return t;
}


void sipcore_conn_arm(struct sipcore_conn *c)
{
	const uint64_t now = tmr_jiffies(), t = conn_deadline(c);

	if (!c->gone)
		tmr_start(&c->tmr, t > now ? t - now : 0, conn_timeout, c);
}


/* The timer is not moved with each byte: when it comes it looks again */
static void conn_timeout(void *arg)
{
	struct sipcore_conn *c = arg;

	if (conn_deadline(c) > tmr_jiffies()) {
		sipcore_conn_arm(c);
		return;
	}

	if (c->shut_at && !c->shut && !c->txl.head) {
		conn_shut(c);
		return;
	}

	if (c->msg_start || c->tx_start)
		++c->core->stats.limit_hits;

	conn_end(c, ETIMEDOUT);
}


/* Input has come to an end that nobody can mend.  Answers to what came before
   may still be made by another worker; then our half is closed, and the peer's
   waited for: closing at once would send a reset, which can overtake them */
void sipcore_conn_closing(struct sipcore_conn *c)
{
	if (!c->shut_at)
		c->shut_at = tmr_jiffies() + GRACE_MS;

	if (!c->shut)
		sipcore_conn_arm(c);
}


static void conn_shut(struct sipcore_conn *c)
{
	c->shut = true;
	(void)shutdown(c->fd, SHUT_WR);
	c->msg_start = tmr_jiffies();
	sipcore_conn_arm(c);
}


static void conn_writable(struct sipcore_conn *c)
{
	struct le *le;

	while ((le = c->txl.head)) {
		struct txitem *it = le->data;
		ssize_t n = send(c->fd, it->v + it->off, it->n - it->off,
				 MSG_NOSIGNAL);

		if (n < 0) {
			if (errno != EAGAIN && errno != EINTR)
				sipcore_conn_fail(c, errno);
			return;
		}

		c->last = tmr_jiffies();
		c->tx_start = c->last;
		c->txn -= (size_t)n;
		it->off += (size_t)n;
		if (it->off < it->n)
			return;

		list_unlink(le);
		mem_deref(it);
	}

	c->tx_start = 0;
	if (c->closing)
		sipcore_conn_closing(c);
}


static int enqueue(struct sipcore_conn *c, const uint8_t *p, size_t n,
		   uint64_t ct)
{
	struct sipcore *core = c->core;
	struct txitem *it;

	if (c->txn + n > core->net->lim.conn_queue) {
		++core->stats.limit_hits;
		sipcore_conn_fail(c, ENOBUFS);
		return ENOBUFS;
	}

	it = mem_alloc(sizeof(*it) + n, NULL);
	if (!it)
		return ENOMEM;

	memset(it, 0, sizeof(*it));
	it->ct = ct;
	it->n  = n;
	memcpy(it->v, p, n);
	list_append(&c->txl, &it->le, it);
	c->txn += n;

	if (!c->tx_start) {
		c->tx_start = tmr_jiffies();
		sipcore_conn_arm(c);
	}

	return 0;
}


static int conn_listen(struct sipcore_conn *c);


int sipcore_conn_write(struct sipcore_conn *c, const uint8_t *p, size_t n,
		      uint64_t ct)
{
	ssize_t done = 0;
	int err;

	if (!c->connecting && !c->txl.head) {

		done = send(c->fd, p, n, MSG_NOSIGNAL);
		if (done < 0) {
			if (errno != EAGAIN && errno != EINTR) {
				err = errno;
				sipcore_conn_fail(c, err);
				return err;
			}
			done = 0;
		}
		c->last = tmr_jiffies();
		if ((size_t)done == n)
			return 0;
	}

	err = enqueue(c, p + done, n - (size_t)done, ct);
	if (!err)
		err = conn_listen(c);
	/* half a message must not be followed by another one */
	if (err && done)
		sipcore_conn_fail(c, err);

	return err;
}


static void conn_event(int flags, void *arg)
{
	struct sipcore_conn *c = mem_ref(arg);

	if (c->connecting && (flags & (FD_WRITE | FD_EXCEPT))) {
		int soerr = 0;
		socklen_t len = sizeof(soerr);

		if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &soerr, &len))
			soerr = errno;
		if (soerr) {
			sipcore_conn_fail(c, soerr);
			goto out;
		}
		c->connecting = false;
	}

	if (flags & FD_WRITE)
		conn_writable(c);
	if (!c->gone && !c->connecting && (flags & (FD_READ | FD_EXCEPT)))
		sipcore_conn_readable(c);
	if (!c->gone && (flags & FD_WRITE) && !c->txl.head &&
	    conn_listen(c))
		sipcore_conn_fail(c, ENOMEM);

 out:
	mem_deref(c);
}


static int conn_listen(struct sipcore_conn *c)
{
	int flags = FD_READ;

	if (c->connecting || c->txl.head)
		flags |= FD_WRITE;

	return fd_listen(c->fd, flags, conn_event, c);
}


static bool has_room(struct sipcore *core, const struct sa *peer)
{
	struct le *le = list_head(hash_list(core->ht_conns,
					    addr_hash(core, peer)));
	unsigned n = 0;

	for (; le; le = le->next) {
		const struct sipcore_conn *c = le->data;

		n += sa_cmp(&c->remote, peer, SA_ADDR);
	}

	if (n < core->net->lim.conns_addr &&
	    core->conns.used < core->net->lim.conns)
		return true;

	++core->stats.limit_hits;

	return false;
}


/* Takes fd over only when 0 is returned */
static int conn_alloc(struct sipcore_conn **cp, struct sipcore *core, int fd,
		      const struct sipcore_listener *l, const struct sa *peer,
		      bool connecting)
{
	const int on = 1, sndbuf = (int)core->net->lim.conn_queue;
	struct sipcore_conn *c;
	uint32_t slot, gen;
	int err;

	c = mem_zalloc(sizeof(*c), conn_destructor);
	if (!c)
		return ENOMEM;

	c->core   = core;
	c->fd     = -1;
	c->gone   = true;
	c->remote = *peer;
	c->local  = l->sa;
	c->connecting = connecting;

	err = sipcore_slots_add(&core->conns, c, &slot, &gen);
	if (err)
		goto out;

	c->slot = slot;
	c->id   = sipcore_id(core->idx, slot, gen);
	c->gone = false;
	hash_append(core->ht_conns, addr_hash(core, peer), &c->he, c);
	++core->stats.conns;

	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	/* what the kernel queues is bounded as well */
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &sndbuf, sizeof(sndbuf));
	c->fd = fd;
	err = conn_listen(c);
	if (err) {
		fd_close(fd);
		c->fd = -1;
		goto out;
	}

	c->last = tmr_jiffies();
	sipcore_conn_arm(c);

 out:
	if (err)
		mem_deref(c);
	else if (cp)
		*cp = c;

	return err;
}


int sipcore_conn_accepted(struct sipcore *core, int fd,
			  const struct sipcore_listener *l,
			  const struct sa *peer)
{
	if (!has_room(core, peer))
		return ENOBUFS;

	return conn_alloc(NULL, core, fd, l, peer, false);
}


static struct sipcore_conn *conn_find(const struct sipcore *core,
				      const struct sa *remote)
{
	struct le *le = list_head(hash_list(core->ht_conns,
					    addr_hash(core, remote)));

	for (; le; le = le->next) {
		struct sipcore_conn *c = le->data;

		if (!c->closing && sa_cmp(&c->remote, remote, SA_ALL))
			return c;
	}

	return NULL;
}


static int conn_open(struct sipcore_conn **cp, struct sipcore *core,
		     const struct sipcore_flow *flow)
{
	const struct sipcore_listener *l;
	const int i = sipcore_pick(core, flow);
	struct sa src;
	int fd, err;

	if (i < 0)
		return EAFNOSUPPORT;
	if (!has_room(core, &flow->remote))
		return ENOBUFS;

	l  = &core->net->lv[i];
	fd = socket(sa_af(&flow->remote),
		    SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return errno;

	/* from the listener's address, where it has one of its own; whether
	   that can reach the peer, connect() tells */
	src = l->sa;
	sa_set_port(&src, 0);
	if (!l->any && bind(fd, &src.u.sa, src.len)) {
		err = errno;
		goto out;
	}

	if (connect(fd, &flow->remote.u.sa, flow->remote.len) &&
	    errno != EINPROGRESS) {
		err = errno;
		goto out;
	}

	err = conn_alloc(cp, core, fd, l, &flow->remote, true);

 out:
	if (err)
		(void)close(fd);

	return err;
}


static int send_elsewhere(struct sipcore *core, unsigned idx,
			  const struct sipcore_flow *flow,
			  const struct sa *fallback, const uint8_t *p,
			  size_t n, uint64_t ct)
{
	struct sipcore_cross head = {
		.kind = SIPCORE_CROSS_TX, .flow = *flow, .ct = ct,
	};

	if (fallback)
		head.fallback = *fallback;

	return sipcore_cross(core->net, idx, &head, p, n);
}


/**
 * Send by a connection
 *
 * @param flow      conn: by that one only; else one to remote, opened if need
 *                  be; conn is set to the one taken
 * @param fallback  Response: where to connect to when conn is gone (RFC 3261
 *                  18.2.2), or NULL
 * @param ct        Client transaction to tell when it fails later, or 0
 */
int sipcore_tcp_send(struct sipcore *core, struct sipcore_flow *flow,
		     const struct sa *fallback, const uint8_t *p, size_t n,
		     uint64_t ct)
{
	struct sipcore_conn *c = NULL;
	int err = 0;

	if (flow->conn) {
		const unsigned idx = sipcore_id_worker(flow->conn);

		if (idx != core->idx)
			return send_elsewhere(core, idx, flow, fallback, p, n,
					      ct);

		c = sipcore_slots_get(&core->conns,
				      sipcore_id_slot(flow->conn),
				      (uint32_t)flow->conn);
		if (c && c->shut)
			c = NULL;
		if (!c && !(fallback && sa_isset(fallback, SA_ALL)))
			return ENOTCONN;
		if (!c)
			flow->remote = *fallback;
	}

	if (!c)
		c = conn_find(core, &flow->remote);
	if (!c)
		err = conn_open(&c, core, flow);
	if (err)
		return err;

	flow->conn = c->id;

	return sipcore_conn_write(c, p, n, ct);
}


static bool flush_handler(struct le *le, void *arg)
{
	(void)arg;
	mem_deref(le->data);

	return false;
}


void sipcore_conn_flush(struct sipcore *core)
{
	(void)hash_apply(core->ht_conns, flush_handler, NULL);
	list_flush(&core->dyingl);
}
