/**
 * @file websock.c  WebSocket connections: libre's re_websock.h (RFC 6455)
 *
 * Replaced because libre's decoder lets a 64-bit frame length wrap its
 * bounds check: one frame writes outside the heap.  The frames are in
 * wsframe.c, the handshake's details in wshand.c; here is the life of a
 * connection, with keep-alive and closing (7):
 *
 *   CONNECTING -> OPEN -> CLOSING -> CLOSED
 *                   `----------------^
 *
 * What differs for the caller: the receive handler gets whole messages,
 * never fragments, and no control frames.  Dropping an open connection sends
 * Close and leaves the rest to wslinger.c.
 */
#include <string.h>
#include <re.h>
#include "compat/compat.h"
#include "compat/wsframe.h"


enum {
	TIMEOUT_CLOSE = 10000,  /**< For the peer's Close [ms]            */
};

enum state {
	CONNECTING,
	OPEN,
	CLOSING,
	CLOSED,
};

struct websock {
	struct list lingerl;            /**< Owned */
	websock_shutdown_h *shuth;
	void *arg;
	size_t msg_max;
	bool shutdown;
};

struct websock_conn {
	struct websock *sock;           /**< Reference */
	struct wsframe_dec *dec;        /**< Owned     */
	struct tcp_conn *tc;            /**< Owned     */
	struct tls_conn *sc;            /**< Owned     */
	struct http_req *req;           /**< Owned     */
	struct tmr tmr;
	struct sa peer;
	char key[WSHAND_KEY_STR];
	enum state state;
	bool active;                    /**< We are the client            */
	bool heard;                     /**< Since the last ping          */
	unsigned kaint;
	websock_estab_h *estabh;
	websock_recv_h *recvh;
	websock_close_h *closeh;
	void *arg;
};

/* ---- connections */

static void conn_destructor(void *arg)
{
	struct websock_conn *conn = arg;

	tmr_cancel(&conn->tmr);

	if (conn->state == OPEN)
		(void)websock_close(conn, WEBSOCK_GOING_AWAY, "Going Away");
	if (conn->state == CLOSING && conn->tc)
		wslinger_start(&conn->sock->lingerl, &conn->tc, &conn->sc);

	tmr_cancel(&conn->tmr);
	mem_deref(conn->req);
	mem_deref(conn->sc);
	mem_deref(conn->tc);
	mem_deref(conn->dec);
	mem_deref(conn->sock);
}


static void conn_close(struct websock_conn *conn, int err)
{
	if (conn->state == CLOSED)
		return;

	tmr_cancel(&conn->tmr);
	conn->state = CLOSED;
	conn->sc = mem_deref(conn->sc);
	conn->tc = mem_deref(conn->tc);

	conn->closeh(err, conn->arg);
}


static void close_timeout(void *arg)
{
	conn_close(arg, ETIMEDOUT);
}


static void keepalive_timeout(void *arg)
{
	struct websock_conn *conn = arg;
	int err;

	if (!conn->heard) {
		conn_close(conn, ETIMEDOUT);
		return;
	}

	conn->heard = false;
	tmr_start(&conn->tmr, conn->kaint, keepalive_timeout, conn);

	err = websock_send(conn, WEBSOCK_PING, NULL);
	if (err)
		conn_close(conn, err);
}


static void conn_open(struct websock_conn *conn)
{
	conn->state = OPEN;
	conn->heard = true;
	if (conn->kaint)
		tmr_start(&conn->tmr, conn->kaint, keepalive_timeout, conn);
}


static void recv_message(struct websock_conn *conn,
			 enum websock_opcode opcode, struct mbuf *mb)
{
	struct websock_hdr hdr;

	memset(&hdr, 0, sizeof(hdr));
	hdr.fin    = 1;
	hdr.opcode = opcode & 0xf;
	hdr.mask   = !conn->active;
	hdr.len    = mbuf_get_left(mb);

	conn->recvh(&hdr, mb, conn->arg);
}


/* 5.5.1: answer with the same code, then the connection goes */
static void recv_close(struct websock_conn *conn, struct mbuf *mb)
{
	if (conn->state == OPEN) {
		if (mbuf_get_left(mb) >= 2) {
			(void)websock_close(conn,
					    ntohs(mbuf_read_u16(mb)), NULL);
		}
		else {
			(void)websock_close(conn, 0, NULL);
		}
	}

	conn_close(conn, 0);
}


static bool frame_handler(enum websock_opcode opcode, struct mbuf *mb,
			  void *arg)
{
	struct websock_conn *conn = arg;
	int err;

	switch (opcode) {

	case WEBSOCK_CLOSE:
		recv_close(conn, mb);
		break;

	case WEBSOCK_PING:
		if (conn->state != OPEN)
			break;
		err = websock_send(conn, WEBSOCK_PONG, "%b",
				   mbuf_buf(mb), mbuf_get_left(mb));
		/* it does not read what it asks for */
		if (err)
			conn_close(conn, err);
		break;

	case WEBSOCK_PONG:
		break;

	default:
		/* 1.4: after Close, data is of no interest */
		if (conn->state == OPEN)
			recv_message(conn, opcode, mb);
		break;
	}

	/* the owner may have dropped the connection: ours is the last
	   reference, and the destructor will close it */
	return conn->state != CLOSED && mem_nrefs(conn) > 1;
}


static void conn_recv(struct websock_conn *conn, const struct mbuf *mb)
{
	int err;

	conn->heard = true;

	mem_ref(conn);
	err = wsframe_decode(conn->dec, mbuf_buf(mb), mbuf_get_left(mb),
			     frame_handler, conn);
	if (err && conn->state != CLOSED) {
		/* 7.1.7 */
		(void)websock_close(conn, wsframe_dec_scode(conn->dec), NULL);
		conn_close(conn, err);
	}
	mem_deref(conn);
}


static void tcp_recv_handler(struct mbuf *mb, void *arg)
{
	conn_recv(arg, mb);
}


static void tcp_close_handler(int err, void *arg)
{
	conn_close(arg, err ? err : ECONNRESET);
}


/* ---- the opening handshake */

static int conn_alloc(struct websock_conn **connp, struct websock *sock,
		      bool active, unsigned kaint, websock_recv_h *recvh,
		      websock_close_h *closeh, void *arg)
{
	struct websock_conn *conn;
	int err;

	conn = mem_zalloc(sizeof(*conn), conn_destructor);
	if (!conn)
		return ENOMEM;

	conn->sock   = mem_ref(sock);
	conn->active = active;
	conn->kaint  = kaint;
	conn->recvh  = recvh;
	conn->closeh = closeh;
	conn->arg    = arg;

	err = wsframe_dec_alloc(&conn->dec, !active, sock->msg_max);
	if (err)
		mem_deref(conn);
	else
		*connp = conn;

	return err;
}


static void http_resp_handler(int err, const struct http_msg *msg, void *arg)
{
	struct websock_conn *conn = arg;
	const struct pl key = {conn->key, sizeof(conn->key)};

	if (err || !wshand_response_valid(msg, &key) || !conn->tc) {
		conn_close(conn, err ? err : EPROTO);
		return;
	}

	(void)tcp_conn_peer_get(conn->tc, &conn->peer);
	conn_open(conn);

	mem_ref(conn);
	conn->estabh(conn->arg);

	/* frames that came along with the answer */
	if (conn->state == OPEN && mem_nrefs(conn) > 1 &&
	    mbuf_get_left(msg->_mb))
		conn_recv(conn, msg->_mb);
	mem_deref(conn);
}


static void http_conn_handler(struct tcp_conn *tc, struct tls_conn *sc,
			      void *arg)
{
	struct websock_conn *conn = arg;

	conn->tc = mem_ref(tc);
	conn->sc = mem_ref(sc);
	tcp_set_handlers(conn->tc, NULL, tcp_recv_handler, tcp_close_handler,
			 conn);
}


/**
 * Connect to a WebSocket server
 *
 * @param connp  The connection
 * @param sock   What it belongs to
 * @param cli    HTTP client
 * @param uri    http: or https: URI
 * @param kaint  Interval of pings [ms], 0 for none; a peer that is silent
 *               for one whole interval is given up
 * @param estabh Called when it is open
 * @param recvh  Called with each message
 * @param closeh Called once, when it is closed or failed
 * @param arg    Handler argument
 * @param fmt    Further headers, each with its CRLF
 *
 * @return 0 if success, otherwise errorcode
 */
int websock_connect(struct websock_conn **connp, struct websock *sock,
		    struct http_cli *cli, const char *uri, unsigned kaint,
		    websock_estab_h *estabh, websock_recv_h *recvh,
		    websock_close_h *closeh, void *arg,
		    const char *fmt, ...)
{
	struct websock_conn *conn;
	uint8_t raw[WSHAND_KEY];
	size_t len = WSHAND_KEY_STR;
	va_list ap;
	int err;

	if (!connp || !sock || !cli || !uri || !estabh || !recvh || !closeh)
		return EINVAL;

	err = conn_alloc(&conn, sock, true, kaint, recvh, closeh, arg);
	if (err)
		return err;

	conn->estabh = estabh;
	rand_bytes(raw, sizeof(raw));
	err = base64_encode(raw, sizeof(raw), conn->key, &len);
	if (err)
		goto out;

	va_start(ap, fmt);
	err = http_request(&conn->req, cli, "GET", uri, http_resp_handler,
			   NULL, conn,
			   "Upgrade: websocket\r\n"
			   "Connection: Upgrade\r\n"
			   "Sec-WebSocket-Key: %b\r\n"
			   "Sec-WebSocket-Version: 13\r\n"
			   "%v"
			   "\r\n",
			   conn->key, sizeof(conn->key), fmt, &ap);
	va_end(ap);
	if (err)
		goto out;

	http_req_set_conn_handler(conn->req, http_conn_handler);

 out:
	if (err)
		mem_deref(conn);
	else
		*connp = conn;

	return err;
}


/**
 * Accept a WebSocket, and a subprotocol
 *
 * @param connp  The connection
 * @param sock   What it belongs to
 * @param htconn The HTTP connection that asked; it is closed by this
 * @param msg    Its request
 * @param proto  Subprotocol for the answer (1.9), NULL for none; the caller
 *               has seen that the client offers it
 * @param kaint  Interval of pings [ms], 0 for none; a peer that is silent
 *               for one whole interval is given up
 * @param recvh  Called with each message
 * @param closeh Called once, when it is closed
 * @param arg    Handler argument
 *
 * @return 0 if success; EBADMSG if the request is not a good one: the
 *         caller answers 400, or 426 with Sec-WebSocket-Version: 13
 */
int websock_accept_sub(struct websock_conn **connp, struct websock *sock,
		       struct http_conn *htconn, const struct http_msg *msg,
		       const char *proto, unsigned kaint,
		       websock_recv_h *recvh, websock_close_h *closeh,
		       void *arg)
{
	const struct pl *key;
	struct websock_conn *conn;
	int err;

	if (!connp || !sock || !htconn || !msg || !recvh || !closeh)
		return EINVAL;

	key = wshand_request_key(msg);
	if (!key)
		return EBADMSG;

	err = conn_alloc(&conn, sock, false, kaint, recvh, closeh, arg);
	if (err)
		return err;

	err = http_reply(htconn, 101, "Switching Protocols",
			 "Upgrade: websocket\r\n"
			 "Connection: Upgrade\r\n"
			 "Sec-WebSocket-Accept: %H\r\n"
			 "%s%s%s"
			 "\r\n",
			 wshand_accept_print, key,
			 proto ? "Sec-WebSocket-Protocol: " : "",
			 proto ? proto : "", proto ? "\r\n" : "");
	if (err)
		goto out;

	sa_cpy(&conn->peer, http_conn_peer(htconn));
	conn->tc = mem_ref(http_conn_tcp(htconn));
	conn->sc = mem_ref(http_conn_tls(htconn));
	tcp_set_handlers(conn->tc, NULL, tcp_recv_handler, tcp_close_handler,
			 conn);
	http_conn_close(htconn);
	conn_open(conn);

 out:
	if (err)
		mem_deref(conn);
	else
		*connp = conn;

	return err;
}


/**
 * Accept a WebSocket without subprotocol, see websock_accept_sub()
 */
int websock_accept(struct websock_conn **connp, struct websock *sock,
		   struct http_conn *htconn, const struct http_msg *msg,
		   unsigned kaint, websock_recv_h *recvh,
		   websock_close_h *closeh, void *arg)
{
	return websock_accept_sub(connp, sock, htconn, msg, NULL, kaint,
				  recvh, closeh, arg);
}


/* ---- sending */

static int vsend(struct websock_conn *conn, enum websock_opcode opcode,
		 enum websock_scode scode, const char *fmt, va_list ap)
{
	struct mbuf *mb;
	int err;

	if (conn->state != OPEN || !conn->tc)
		return ENOTCONN;

	mb = mbuf_alloc(512);
	if (!mb)
		return ENOMEM;

	err = mbuf_fill(mb, 0, WSFRAME_HDR_MAX);
	if (scode)
		err |= mbuf_write_u16(mb, htons(scode));
	if (fmt)
		err |= mbuf_vprintf(mb, fmt, ap);
	if (err) {
		err = ENOMEM;
		goto out;
	}

	err = wsframe_encode(mb, opcode, conn->active);
	if (err)
		goto out;

	err = tcp_send(conn->tc, mb);

 out:
	mem_deref(mb);
	return err;
}


/**
 * Send a message or a control frame
 *
 * @param conn   The connection
 * @param opcode TEXT, BIN, PING or PONG
 * @param fmt    Payload, printed; NULL for none
 *
 * @return 0 if success, otherwise errorcode
 */
int websock_send(struct websock_conn *conn, enum websock_opcode opcode,
		 const char *fmt, ...)
{
	va_list ap;
	int err;

	if (!conn)
		return EINVAL;

	va_start(ap, fmt);
	err = vsend(conn, opcode, 0, fmt, ap);
	va_end(ap);

	return err;
}


/**
 * Begin to close: the close handler is called when the peer agrees, or after
 * ten seconds
 *
 * @param conn  The connection
 * @param scode Close code; 0 for none
 * @param fmt   Reason, printed; NULL for none
 *
 * @return 0 if success, otherwise errorcode
 */
int websock_close(struct websock_conn *conn, enum websock_scode scode,
		  const char *fmt, ...)
{
	va_list ap;
	int err;

	if (!conn || (scode && !wsframe_scode_valid(scode)))
		return EINVAL;

	va_start(ap, fmt);
	err = vsend(conn, WEBSOCK_CLOSE, scode, scode ? fmt : NULL, ap);
	va_end(ap);
	if (err)
		return err;

	conn->state = CLOSING;
	tmr_start(&conn->tmr, TIMEOUT_CLOSE, close_timeout, conn);

	return 0;
}


/**
 * Who is at the other end?
 *
 * @param conn The connection
 *
 * @return Its address
 */
const struct sa *websock_peer(const struct websock_conn *conn)
{
	return conn ? &conn->peer : NULL;
}


/**
 * The TCP connection below
 *
 * @param conn The connection
 *
 * @return TCP connection, NULL once it is closed
 */
struct tcp_conn *websock_tcp(const struct websock_conn *conn)
{
	return conn ? conn->tc : NULL;
}


/* ---- what connections belong to */

static void sock_destructor(void *arg)
{
	struct websock *sock = arg;

	if (sock->shutdown && sock->shuth) {
		/* the handler's owner drops it for good */
		sock->shutdown = false;
		mem_ref(sock);
		sock->shuth(sock->arg);
		return;
	}

	list_flush(&sock->lingerl);
}


/**
 * Make what connections belong to
 *
 * @param sockp The object
 * @param shuth Called after websock_shutdown(), when the last connection has
 *              gone; it drops the object
 * @param arg   Handler argument
 *
 * @return 0 if success, otherwise errorcode
 */
int websock_alloc(struct websock **sockp, websock_shutdown_h *shuth, void *arg)
{
	struct websock *sock;

	if (!sockp)
		return EINVAL;

	sock = mem_zalloc(sizeof(*sock), sock_destructor);
	if (!sock)
		return ENOMEM;

	sock->shuth   = shuth;
	sock->arg     = arg;
	sock->msg_max = WSFRAME_MSG_MAX;

	*sockp = sock;

	return 0;
}


/**
 * Limit the messages that new connections take; longer ones close them (1009)
 *
 * @param sock    What they belong to
 * @param msg_max Longest message [bytes]
 */
void websock_limit(struct websock *sock, size_t msg_max)
{
	if (sock)
		sock->msg_max = min(msg_max, (size_t)UINT32_MAX / 2);
}


/**
 * Drop the caller's reference, and hear of the end of the last connection
 *
 * @param sock The object
 */
void websock_shutdown(struct websock *sock)
{
	if (!sock || sock->shutdown)
		return;

	sock->shutdown = true;
	mem_deref(sock);
}
