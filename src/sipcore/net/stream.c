/**
 * @file sipcore/net/stream.c  What arrives by a connection (RFC 3261 18.3, RFC
 * 5626 3.5.1 keep-alive)
 *
 * What arrives is read into the worker's one buffer; only an incomplete
 * message is copied, so an idle connection holds no memory but its struct.
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


enum { READ_BATCH = 4 };


/* CRLF CRLF asks for CRLF.  Returns bytes taken */
static size_t keepalive(struct sipcore_conn *c, const uint8_t *p, size_t n)
{
	static const uint8_t pong[] = "\r\n";
	const size_t k = sipcore_leading_crlf(p, n);

	if (k >= 4)
		(void)sipcore_conn_write(c, pong, 2, 0);

	return k;
}


/* One that ends the connection is answered here, not by the worker that would
   own it: its answer could come too late */
static void conn_process(struct sipcore_conn *c, const uint8_t *p, size_t n,
			 unsigned flags)
{
	struct sipcore_flow flow = {
		.proto = CFG_PROTO_TCP, .local = c->local,
		.remote = c->remote, .conn = c->id,
	};

	flags |= SIPCORE_STREAM;
	if (c->closing)
		sipcore_process(c->core, &flow, p, n, flags);
	else
		sipcore_rx(c->core, &flow, p, n, flags);
}


/* RFC 3261 18.3: after these nobody knows where the next message begins */
static bool is_lost(const uint8_t *p, size_t hlen)
{
	const uint8_t *nl = memchr(p, '\n', hlen);
	struct pl val;
	uint32_t v;

	if (!nl || !memmem(p, (size_t)(nl - p), "SIP/", 4) ||
	    !sipcore_scan(p, hlen, SIPCORE_HDR_CONTENT_LENGTH, &val) ||
	    sipcore_u32(&val, &v) || sipcore_has_stray((const char *)p, hlen))
		return true;

	/* a second length: which one did the sender mean? */
	nl = memchr(val.p, '\n', hlen - (size_t)(val.p - (const char *)p));

	return nl && sipcore_scan(nl + 1, hlen - (size_t)(nl + 1 - p),
				  SIPCORE_HDR_CONTENT_LENGTH, &val);
}


/* Take whole messages off the front.  Returns bytes taken */
static size_t conn_parse(struct sipcore_conn *c, const uint8_t *p, size_t n)
{
	const size_t max = c->core->net->lim.msg_size;
	size_t pos = 0;

	while (pos < n && !c->gone && !c->closing) {
		if (!c->fr.scan && !c->fr.hlen) {
			pos += keepalive(c, p + pos, n - pos);
			if (pos >= n)
				break;
		}

		if (sipcore_frame(&c->fr, p + pos, n - pos) &&
		    !(c->fr.hlen && c->fr.total > max)) {

			if (n - pos > max) {
				++c->core->stats.limit_hits;
				sipcore_conn_fail(c, EMSGSIZE);
			}
			break;
		}

		if (c->fr.total > max) {
			++c->core->stats.limit_hits;
			c->closing = true;
			conn_process(c, p + pos, c->fr.hlen, SIPCORE_LARGE);
			break;
		}

		c->closing = is_lost(p + pos, c->fr.hlen);
		conn_process(c, p + pos, c->fr.total, 0);
		pos += c->fr.total;
		memset(&c->fr, 0, sizeof(c->fr));
	}

	return pos;
}


/* Keep what is left for the next read */
static int conn_keep(struct sipcore_conn *c, const uint8_t *p, size_t n)
{
	int err;

	if (!n) {
		c->rx = mem_deref(c->rx);
		c->msg_start = 0;
		return 0;
	}

	if (!c->msg_start) {
		c->msg_start = tmr_jiffies();
		sipcore_conn_arm(c);
	}

	if (c->rx) {
		memmove(c->rx->buf, p, n);
		c->rx->pos = c->rx->end = n;
		return 0;
	}

	c->rx = mbuf_alloc(n < 1024 ? 2048 : 2 * n);
	if (!c->rx)
		return ENOMEM;

	err = mbuf_write_mem(c->rx, p, n);

	return err;
}


static int conn_input(struct sipcore_conn *c, const uint8_t *p, size_t n)
{
	size_t used;
	int err;

	if (c->rx) {
		err = mbuf_write_mem(c->rx, p, n);
		if (err)
			return err;
		p = c->rx->buf;
		n = c->rx->end;
	}

	used = conn_parse(c, p, n);
	if (used)
		c->msg_start = 0;
	if (c->gone || c->closing)
		return 0;

	return used || !c->rx ? conn_keep(c, p + used, n - used) : 0;
}


void sipcore_conn_readable(struct sipcore_conn *c)
{
	struct sipcore *core = c->core;

	for (int i=0; i<READ_BATCH && !c->gone; i++) {
		ssize_t n = recv(c->fd, core->rxbuf, SIPCORE_RXBUF, 0);
		int err;

		if (n < 0) {
			if (errno != EAGAIN && errno != EINTR)
				sipcore_conn_fail(c, errno);
			return;
		}
		if (!n) {
			sipcore_conn_fail(c, ECONNRESET);
			return;
		}

		c->last = tmr_jiffies();
		err = c->closing ? 0 : conn_input(c, core->rxbuf, (size_t)n);
		if (err) {
			sipcore_conn_fail(c, err);
			return;
		}
		if (n < SIPCORE_RXBUF)
			break;
	}

	if (c->closing && !c->txl.head)
		sipcore_conn_closing(c);
}
