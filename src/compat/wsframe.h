/**
 * @file wsframe.h  What websock.c is made of: frames, handshake, farewell
 */

enum {
	WSFRAME_HDR_MAX  = 14,         /**< Longest frame header           */
	WSFRAME_CTL_MAX  = 125,        /**< Longest control frame, 5.5     */
	WSFRAME_MSG_MAX  = 131072,     /**< Longest message, by default    */
};

/* wsframe.c */
struct wsframe_dec;

/**
 * A whole message, or a control frame
 *
 * @param opcode TEXT, BIN, CLOSE, PING or PONG
 * @param mb     Its payload, unmasked; the handler may keep a reference
 * @param arg    Handler argument
 *
 * @return true to go on; false if the decoder must not be used any more
 */
typedef bool (wsframe_h)(enum websock_opcode opcode, struct mbuf *mb,
			 void *arg);

int  wsframe_dec_alloc(struct wsframe_dec **decp, bool masked,
		       size_t msg_max);
int  wsframe_decode(struct wsframe_dec *dec, const uint8_t *p, size_t len,
		    wsframe_h *h, void *arg);
enum websock_scode wsframe_dec_scode(const struct wsframe_dec *dec);
bool wsframe_scode_valid(unsigned scode);
int  wsframe_encode(struct mbuf *mb, enum websock_opcode opcode, bool mask);


/* wshand.c */
enum {
	WSHAND_KEY     = 16,    /**< Random bytes in a key */
	WSHAND_KEY_STR = 24,    /**< The same in base64    */
};

int  wshand_accept_print(struct re_printf *pf, const struct pl *key);
const struct pl *wshand_request_key(const struct http_msg *msg);
bool wshand_response_valid(const struct http_msg *msg, const struct pl *key);


/* wslinger.c */
void wslinger_start(struct list *list, struct tcp_conn **tcp,
		    struct tls_conn **scp);
