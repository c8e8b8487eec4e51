/**
 * @file sipcore.h  Messages, transports, transactions (RFC 3261, 3581, 6026)
 *
 * What proxy and user agent both stand on.  One struct sipcore_net per
 * process holds listeners and limits; one struct sipcore per worker holds
 * that worker's transactions and connections.  A message is handed to the
 * worker that its Call-ID hashes to.
 *
 * A message is bytes and views into them.  What is not understood stays byte
 * for byte and in order.  Header names are compared exactly (case-insensitive,
 * short and long form); nothing is known by a hash alone.
 */

#ifndef VOIPSTACK_SIPCORE_H
#define VOIPSTACK_SIPCORE_H

struct sipcore_net;
struct sipcore;
struct sipcore_strans;		/* server transaction */
struct sipcore_ctrans;		/* client transaction */
struct worker;

enum sipcore_method {
	SIPCORE_OTHER = 0,
	SIPCORE_INVITE, SIPCORE_ACK, SIPCORE_BYE, SIPCORE_CANCEL,
	SIPCORE_REGISTER, SIPCORE_OPTIONS, SIPCORE_PRACK, SIPCORE_SUBSCRIBE,
	SIPCORE_NOTIFY, SIPCORE_PUBLISH, SIPCORE_INFO, SIPCORE_REFER,
	SIPCORE_MESSAGE, SIPCORE_UPDATE,
};

enum sipcore_hdrid {
	SIPCORE_HDR_OTHER = 0,
	SIPCORE_HDR_VIA, SIPCORE_HDR_FROM, SIPCORE_HDR_TO,
	SIPCORE_HDR_CALL_ID, SIPCORE_HDR_CSEQ, SIPCORE_HDR_MAX_FORWARDS,
	SIPCORE_HDR_CONTACT, SIPCORE_HDR_ROUTE, SIPCORE_HDR_RECORD_ROUTE,
	SIPCORE_HDR_CONTENT_LENGTH, SIPCORE_HDR_CONTENT_TYPE,
	SIPCORE_HDR_EXPIRES, SIPCORE_HDR_MIN_EXPIRES,
	SIPCORE_HDR_AUTHORIZATION, SIPCORE_HDR_PROXY_AUTHORIZATION,
	SIPCORE_HDR_WWW_AUTHENTICATE, SIPCORE_HDR_PROXY_AUTHENTICATE,
	SIPCORE_HDR_REQUIRE, SIPCORE_HDR_PROXY_REQUIRE,
	SIPCORE_HDR_SUPPORTED, SIPCORE_HDR_UNSUPPORTED, SIPCORE_HDR_ALLOW,
	SIPCORE_HDR_PATH, SIPCORE_HDR_SERVICE_ROUTE, SIPCORE_HDR_SESSION_ID,
	SIPCORE_HDR_USER_AGENT, SIPCORE_HDR_SERVER, SIPCORE_HDR_REASON,
	SIPCORE_HDR_RETRY_AFTER, SIPCORE_HDR_WARNING, SIPCORE_HDR_RSEQ,
	SIPCORE_HDR_RACK, SIPCORE_HDR_SESSION_EXPIRES, SIPCORE_HDR_MIN_SE,
	SIPCORE_HDR_REFER_TO, SIPCORE_HDR_REFERRED_BY, SIPCORE_HDR_REPLACES,
	SIPCORE_HDR_EVENT, SIPCORE_HDR_SUBSCRIPTION_STATE,
	SIPCORE_HDR_P_ASSERTED_IDENTITY, SIPCORE_HDR_PRIVACY,
	SIPCORE_HDR_MAX
};

/** How a message came, or where one goes: a value, may cross threads */
struct sipcore_flow {
	enum cfg_proto proto;	/**< UDP or TCP                            */
	struct sa local;	/**< listener; unset: core chooses         */
	struct sa remote;
	uint64_t conn;		/**< connection (TCP), 0: none yet         */
};

/** One header field: views into the message */
struct sipcore_hdr {
	enum sipcore_hdrid id;
	struct pl name;
	struct pl val;		/**< trimmed; folding still inside         */
	struct pl line;		/**< whole field with its CRLF             */
};

struct sipcore_via {
	struct pl val;		/**< this one via-parm                     */
	enum cfg_proto proto;
	struct pl host;
	uint16_t port;		/**< 0: none                               */
	struct pl params;
	struct pl branch;
	bool rport;		/**< rport parameter present               */
	bool cookie;		/**< branch begins z9hG4bK                 */
};

/** name-addr or addr-spec with parameters */
struct sipcore_naddr {
	struct pl val;		/**< all of it                             */
	struct pl dname;
	struct pl auri;		/**< URI text                              */
	struct uri uri;		/**< libre's views; scheme empty if opaque */
	struct pl params;
	struct pl tag;
};

/** A message.  Reference-counted, lives on one worker.  One block: keep it
    (and any view into it) with mem_ref(msg), never with mem_ref(msg->mb) */
struct sipcore_msg {
	struct sipcore_flow flow;	/**< how it came                   */
	uint64_t rx_jfs;		/**< tmr_jiffies() at receive      */
	const struct mbuf *mb;		/**< its bytes; a request's top Via has
					     received, rport (RFC 3581)    */
	bool req;
	enum sipcore_method method;	/**< of the CSeq, for responses    */
	struct pl met;
	struct pl ruri;			/**< requests: Request-URI text    */
	struct uri uri;			/**< requests: decoded, if it was  */
	bool uri_ok;			/**< false: scheme not sip(s): 416 */
	uint16_t scode;			/**< responses                     */
	struct pl reason;
	struct pl startline;		/**< without CRLF                  */
	struct sipcore_hdr *hdrv;
	size_t hdrc;
	struct sipcore_via via;		/**< topmost                       */
	struct sipcore_naddr from;
	struct sipcore_naddr to;
	struct pl callid;
	uint32_t cseq;
	int maxfwd;			/**< -1: absent                    */
	struct pl body;
	struct pl ctype;		/**< Content-Type value            */
	const char *malformed;		/**< what is wrong, or NULL        */
	uint16_t malformed_code;	/**< ... and its status            */
	char sid[33];			/**< Session-ID (RFC 7989): received, or
					     derived from the Call-ID      */
};

/* msg.c -------------------------------------------------------------------*/

/**
 * Decode one message.
 *
 * @param msgp  Pointer to allocated message (copies the bytes)
 * @param p,n   Bytes
 * @param used  Stream: bytes that belong to this message; datagram: NULL
 *
 * @return 0; ENODATA stream needs more; EBADMSG not SIP at all (nothing can be
 *         answered); EPROTO malformed but answerable: *msgp is set, with
 *         malformed telling what (answer 400); EMSGSIZE over the limit
 */
int sipcore_msg_decode(struct sipcore_msg **msgp, const uint8_t *p, size_t n,
		       size_t *used);
/** SIP or SIPS URI -> libre's struct (params begin with ';', headers with '?',
    an IPv6 host has no brackets).  EBADMSG; ENOTSUP another scheme */
int sipcore_uri_decode(struct uri *uri, const struct pl *pl);
/** n-th header with this id (0 first) or NULL */
const struct sipcore_hdr *sipcore_hdr(const struct sipcore_msg *msg,
				      enum sipcore_hdrid id, size_t n);
const struct sipcore_hdr *sipcore_hdr_name(const struct sipcore_msg *msg,
					   const char *name, size_t n);
/** The next comma-separated value of a header value, quotes and <> respected;
    *rest begins as the value and is moved on.  false at the end */
bool sipcore_val_next(struct pl *rest, struct pl *val);
/** true if the comma-separated tokens of all headers id contain token */
bool sipcore_hdr_has_token(const struct sipcore_msg *msg,
			   enum sipcore_hdrid id, const char *token);
int  sipcore_naddr_decode(struct sipcore_naddr *na, const struct pl *val);
int  sipcore_via_decode(struct sipcore_via *via, const struct pl *val);
/** ;name=value of a parameter list, exact name, any case; quotes stripped */
bool sipcore_param(const struct pl *params, const char *name, struct pl *val);
bool sipcore_param_exists(const struct pl *params, const char *name);
const char *sipcore_method_name(enum sipcore_method met);
/** The RFC's reason phrase for a status code */
const char *sipcore_reason(uint16_t code);
/** true if both URIs are equal by RFC 3261 19.1.4 */
bool sipcore_uri_cmp(const struct uri *a, const struct uri *b);

/* edit.c: a message changed by pieces, the rest byte for byte -------------*/

enum { SIPCORE_EDIT_MAX = 48 };

/** Fixed size, lives on the stack; its fields belong to edit.c */
struct sipcore_edit {
	const struct sipcore_msg *msg;	/**< borrowed                      */
	struct mbuf *mb;		/**< new text of all pieces        */
	struct sipcore_piece {
		size_t pos;		/**< where in the message          */
		size_t del;		/**< bytes left out there          */
		size_t off, len;	/**< text put there, in mb         */
	} piecev[SIPCORE_EDIT_MAX];
	size_t piecec;
	const struct pl *body;		/**< borrowed until written; or NULL */
};

void sipcore_edit_init(struct sipcore_edit *ed, const struct sipcore_msg *m);
void sipcore_edit_close(struct sipcore_edit *ed);
int  sipcore_edit_ruri(struct sipcore_edit *ed, const struct pl *ruri);
int  sipcore_edit_drop(struct sipcore_edit *ed, const struct sipcore_hdr *h);
/** One value of a comma-separated header (a Via, Route): the header is left
    out when it was the only one */
int  sipcore_edit_drop_val(struct sipcore_edit *ed,
			   const struct sipcore_hdr *h, const struct pl *val);
int  sipcore_edit_replace(struct sipcore_edit *ed,
			  const struct sipcore_hdr *h, const char *fmt, ...);
/** "Name: value" without CRLF; before h, or first of all when h is NULL */
int  sipcore_edit_before(struct sipcore_edit *ed, const struct sipcore_hdr *h,
			 const char *fmt, ...);
int  sipcore_edit_append(struct sipcore_edit *ed, const char *fmt, ...);
/** Content-Length follows; ctype NULL: unchanged.  body (and its bytes) is
    borrowed until sipcore_edit_write().  Once per edit */
int  sipcore_edit_body(struct sipcore_edit *ed, const char *ctype,
		       const struct pl *body);
/** Append the changed message to mb */
int  sipcore_edit_write(struct mbuf *mb, const struct sipcore_edit *ed);

/* net.c, core.c -----------------------------------------------------------*/

/** Everything that a peer could make grow.  0: the default in brackets */
struct sipcore_limits {
	size_t msg_size;	/**< bytes of a message [65535]            */
	unsigned hdrs;		/**< headers of a message [256]            */
	unsigned strans;	/**< server transactions per worker [100000] */
	unsigned ctrans;	/**< client transactions per worker [100000] */
	unsigned conns;		/**< TCP connections per worker [10000]    */
	unsigned conns_addr;	/**< ... from one address [100]            */
	uint32_t conn_idle;	/**< ms without a byte [600000]            */
	uint32_t msg_time;	/**< ms to complete a message [10000]      */
	size_t conn_queue;	/**< bytes waiting to be sent [262144]     */
	uint32_t t1, t2, t4;	/**< ms [500, 4000, 5000]                  */
};

struct sipcore_net_prm {
	const struct cfg_addr *lv;	/**< listeners                     */
	size_t lc;
	unsigned workers;
	const char *software;		/**< Server/User-Agent value       */
	/** 16 random bytes that sipcore_owner() goes by, for who must find a
	    Call-ID's owner again in the next process; NULL: new ones   */
	const uint8_t *owner_key;
	struct sipcore_limits limits;
};

/**
 * Bind the listeners (control thread, at start).
 *
 * @param why  One line for a person on error ("udp:0.0.0.0:5060: Address
 *             already in use")
 */
int sipcore_net_alloc(struct sipcore_net **netp,
		      const struct sipcore_net_prm *prm,
		      char *why, size_t whysz);

/**
 * A new request.  st lives until its end handler has run; who keeps it longer
 * takes a reference (calls then return ENOTCONN).  For ACK (to a 2xx) st is
 * NULL.  CANCEL is answered by the core and goes to the transaction's cancel
 * handler.
 * Malformed requests never come here: the core answers 400 (RFC 3261 16.3,
 * 8.2), 505 for another version, 513 for too large.
 * The handler (or what it starts) must answer st; msg may be kept by mem_ref.
 */
typedef void (sipcore_request_h)(struct sipcore *core,
				 struct sipcore_strans *st,
				 struct sipcore_msg *msg, void *arg);
/** A response that belongs to no client transaction */
typedef void (sipcore_stray_h)(struct sipcore *core,
			       struct sipcore_msg *msg, void *arg);
/** Every message received or sent; for HEP and traces */
typedef void (sipcore_trace_h)(bool tx, const struct sipcore_flow *flow,
			       const uint8_t *p, size_t n, void *arg);

/** On the worker's own thread; idx is its index 0..workers-1 */
int sipcore_alloc(struct sipcore **corep, struct sipcore_net *net,
		  unsigned idx, sipcore_request_h *reqh,
		  sipcore_stray_h *strayh, void *arg);
void sipcore_set_trace(struct sipcore *core, sipcore_trace_h *h, void *arg);
/** Which worker owns this Call-ID */
unsigned sipcore_owner(const struct sipcore_net *net, const struct pl *callid);
/** From now on new dialog-forming requests and REGISTER get 503 + Retry-After
    (drain); transactions under way go on */
void sipcore_drain(struct sipcore *core, bool on);

struct sipcore_stats {
	uint64_t rx, tx, rx_bad, rx_dropped, retrans_rx, retrans_tx;
	uint64_t strans, ctrans, conns;	/* now */
	uint64_t limit_hits;
};
void sipcore_stats(const struct sipcore *core, struct sipcore_stats *st);

/** The listener that would be used towards this flow: for Contact, Record-
    Route ("host:port" text with %J) */
int sipcore_laddr(const struct sipcore *core, const struct sipcore_flow *to,
		  struct sa *local);
/** true if host:port of the URI is one of our listeners */
bool sipcore_is_self(const struct sipcore_net *net, const struct uri *uri);
/** URI with a numeric host -> where to send (RFC 3263 for addresses):
    transport parameter, default port.  ENOENT: a name (needs resolving) */
int sipcore_uri_flow(struct sipcore_flow *flow, const struct uri *uri);

/* strans.c ----------------------------------------------------------------*/

/** The request was cancelled (RFC 3261 9.2): answer 487 */
typedef void (sipcore_cancel_h)(struct sipcore_strans *st,
				struct sipcore_msg *cancel, void *arg);
/** The transaction ended: err 0; ETIMEDOUT no ACK (timer H), no answer */
typedef void (sipcore_end_h)(int err, void *arg);

void sipcore_strans_handlers(struct sipcore_strans *st,
			     sipcore_cancel_h *cancelh, sipcore_end_h *endh,
			     void *arg);
/** The request.  NULL after a final response, but for a 2xx to INVITE made by
    sipcore_reply(): take a reference if it is needed longer */
struct sipcore_msg *sipcore_strans_req(const struct sipcore_strans *st);
/** The To tag that our own responses carry */
const char *sipcore_strans_tag(const struct sipcore_strans *st);
/** Own response: Via, From, To (+tag), Call-ID, CSeq, Server, then fmt's
    header lines (each with CRLF; with body: fmt ends with CRLF CRLF body and
    gives Content-Length itself, else the core adds it).  May be called again
    for 2xx retransmission (RFC 6026 Accepted) */
int sipcore_reply(struct sipcore_strans *st, uint16_t code,
		  const char *reason, const char *fmt, ...);
/** After the final response: it is not repeated, and nothing of the request is
    kept (RFC 3261 26.3.2.4).  For requests of which nobody knows whether the
    sender is who he says: repeated answers and full tables are what a forger
    wants.  The request's own repetition is a new request */
void sipcore_strans_forget(struct sipcore_strans *st);
/** A response made elsewhere (forwarded): all bytes, the client's Via on
    top */
int sipcore_respond(struct sipcore_strans *st, uint16_t code,
		    struct mbuf *mb);

/* ctrans.c ----------------------------------------------------------------*/

/**
 * A response, or err: ETIMEDOUT (timer B/F), or the transport's error.
 * INVITE: each provisional, each 2xx (also repeated and forked ones, RFC
 * 6026), one other final.  After a final (non-2xx) or err it is not called again.
 */
typedef void (sipcore_response_h)(int err, struct sipcore_msg *resp,
				  void *arg);

/**
 * Send a request in a client transaction.
 *
 * @param ctp   Pointer to transaction; may be NULL (nobody cancels).  Dropping
 *              it silences the handler; the transaction itself ends by its
 *              timers
 * @param to    Where to.  to->conn set: only by that connection.  Otherwise
 *              TCP takes a connection of this worker to to->remote or opens
 *              one
 * @param mb    The request from its position on, without our Via: the core
 *              adds Via (with branch and rport) behind the start line, and
 *              keeps the bytes.  Borrowed
 *
 * @return 0; ENOBUFS limit of transactions; ENOTCONN to->conn is gone;
 *         EAFNOSUPPORT no listener of this kind; or errno of the socket
 */
int sipcore_request(struct sipcore_ctrans **ctp, struct sipcore *core,
		    const struct sipcore_flow *to, struct mbuf *mb,
		    sipcore_response_h *resph, void *arg);
/** RFC 3261 9.1: sent after a provisional came; extra header lines (each with
    CRLF) or NULL.  0 also when a final has come already.  The INVITE's
    handler then gets its final (487), or ETIMEDOUT after 64*T1 */
int sipcore_ctrans_cancel(struct sipcore_ctrans *ct, const char *hdrs);
/** The flow that it went by */
const struct sipcore_flow *sipcore_ctrans_flow(const struct sipcore_ctrans *c);
/** Without a transaction: ACK to 2xx, forwarded stray responses (response:
    sent as is, to the flow that its top Via names) */
int sipcore_send(struct sipcore *core, const struct sipcore_flow *to,
		 struct mbuf *mb, bool add_via);

#endif
