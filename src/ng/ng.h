/**
 * @file ng.h  The NG protocol of rtpengine: messages and a client
 *
 * A datagram is "COOKIE SP BODY"; the body is a dictionary in bencode or, if
 * it begins with '{', in JSON.  Keys and strings are rtpengine 12.5's, so
 * that the client drives a real rtpengine and the media role serves real
 * proxies.
 */

#ifndef VOIPSTACK_NG_H
#define VOIPSTACK_NG_H

struct ng_tree;
struct ng_client;
struct ng_req;

enum {
	NG_DEPTH_MAX    = 16,		/**< nesting of lists, dictionaries  */
	NG_NODES_MAX    = 16384,	/**< values in one tree              */
	NG_DATAGRAM_MAX = 65507,	/**< longest datagram                */
	NG_COOKIE_MAX   = 255,		/**< longest cookie                  */
	NG_NODE_MAX     = 16,		/**< media nodes of one client       */
};

enum ng_format { NG_BENCODE = 0, NG_JSON };
enum ng_type { NG_STR = 0, NG_INT, NG_LIST, NG_DICT };

/**
 * A value in a tree; read it, do not change it.
 *
 * JSON's true and false are the integers 1 and 0, null is the empty string,
 * a fraction stays the text that it was.
 */
struct ng_val {
	enum ng_type type;
	struct pl key;			/**< in a dictionary                 */
	struct pl str;			/**< NG_STR, owned by the tree       */
	int64_t num;			/**< NG_INT                          */
	uint32_t n;			/**< LIST, DICT: children            */
	struct ng_val *first, *last;	/**< LIST, DICT: children            */
	struct ng_val *next;
};

/* tree.c: values live in their tree's own memory and die with it.  An add to
   a tree that has run out (or to a NULL parent) does nothing and is kept as
   the tree's error, which ng_encode() returns: check once, at the end */

/** max: bytes that it may take.  The root is an empty dictionary */
int  ng_tree_alloc(struct ng_tree **tp, size_t max);
struct ng_val *ng_root(const struct ng_tree *t);
int  ng_tree_error(const struct ng_tree *t);

/** key is copied; NULL in a list */
void ng_add_str(struct ng_tree *t, struct ng_val *to, const char *key,
		const char *str);
void ng_add_pl(struct ng_tree *t, struct ng_val *to, const char *key,
	       const struct pl *pl);
void ng_add_int(struct ng_tree *t, struct ng_val *to, const char *key,
		int64_t num);
struct ng_val *ng_add_list(struct ng_tree *t, struct ng_val *to,
			   const char *key);
struct ng_val *ng_add_dict(struct ng_tree *t, struct ng_val *to,
			   const char *key);
/** As above, with a key from outside */
struct ng_val *ng_add_dict_pl(struct ng_tree *t, struct ng_val *to,
			      const struct pl *key);

/** First value with this key, NULL if none or if d is no dictionary */
const struct ng_val *ng_get(const struct ng_val *d, const char *key);
/** Its string; pl is unset and false returned if there is none */
bool ng_get_pl(const struct ng_val *d, const char *key, struct pl *pl);
/** Its integer (also as text, as some clients send it); def if none */
int64_t ng_get_int(const struct ng_val *d, const char *key, int64_t def);
/** Is the string in this list, or is it this one string?  Also found when
    the words are joined by '-' where str has spaces */
bool ng_has(const struct ng_val *list, const char *str);

/* codec.c: bencode is strict: keys are strings in any order, no leading
   zeros, nothing behind the end.  EBADMSG: malformed, EOVERFLOW: too deep or
   too large */
int ng_decode(struct ng_tree **tp, enum ng_format *fmt,
	      const uint8_t *p, size_t n);
int ng_encode(struct mbuf *mb, const struct ng_tree *t, enum ng_format fmt);

/** Split a datagram into cookie and body */
int ng_split(const uint8_t *p, size_t n, struct pl *cookie, struct pl *body);

/* client.c */

enum ng_op { NG_PING = 0, NG_OFFER, NG_ANSWER, NG_DELETE, NG_QUERY };

/** One command.  Everything unset (l = 0, NULL) is left out */
struct ng_cmd {
	enum ng_op op;
	struct pl call_id;		/**< all but ping: required          */
	struct pl from_tag;		/**< of the SIP dialog: the offerer's
					     in offer and answer alike       */
	struct pl to_tag;		/**< the answerer's; in an offer only
					     inside a dialog                 */
	struct pl via_branch;		/**< tells forks apart               */
	struct pl sdp;
	struct pl session_id;		/**< RFC 7989; travels as metadata
					     "session-id=..."                */
	const char *dir[2];		/**< interface towards the sender of
					     this SDP and towards its
					     receiver: "external","internal" */
	const struct sa *received_from;	/**< where the SIP message came from */
	const char *family;		/**< "IP4", "IP6" towards the
					     receiver; unset: as the sender  */
	const char *ice;		/**< "remove", "force", ...          */
	const char *transport;		/**< "RTP/AVP", "RTP/SAVP", ...      */
	const char *const *rtcp_mux;	/**< "offer", "demux", "accept", ... */
	const char *const *replace;	/**< "origin", "session connection"  */
	const char *const *flags;	/**< "trust address", "strict source",
					     ...; lists end with NULL        */
};

/** What to tell the caller's SIP side */
enum ng_status {
	NG_OK = 0,
	NG_TIMEOUT,			/**< no media node answered     (503) */
	NG_NO_PORTS,			/**< "Ran out of ports"         (503) */
	NG_OVERLOAD,			/**< session or load limit      (503) */
	NG_UNKNOWN_CALL,		/**< "Unknown call-id"          (481) */
	NG_BAD_SDP,			/**< the body was refused       (488) */
	NG_FAILED,			/**< anything else              (500) */
};

/** Valid during the handler only */
struct ng_result {
	enum ng_status status;
	struct pl sdp;			/**< rewritten body, if any          */
	struct pl reason;		/**< error-reason, warning, or text  */
	struct sa node;			/**< node that answered              */
	const struct ng_val *root;	/**< whole answer; NULL: timeout     */
};

/** Runs exactly once, never from inside ng_request(); not after mem_deref() of
    the request */
typedef void (ng_h)(const struct ng_result *res, void *arg);

/**
 * A client for the calling thread's loop.  A new call goes to the node that
 * rendezvous hashing over the Call-ID names among those alive, so that every
 * client that knows the same nodes finds it; a node that does not answer is
 * left out, and pinged until it does.  Calls that went elsewhere because of
 * that are remembered (bounded), and a later command that meets "Unknown
 * call-id" asks the other nodes too.
 *
 * @param cp     Pointer to allocated client
 * @param nodev  Addresses of the nodes' NG listeners, copied
 * @param nodec  1..NG_NODE_MAX
 */
int ng_client_alloc(struct ng_client **cp, const struct sa *nodev,
		    size_t nodec);

/**
 * Send a command; retransmitted after 200, 400, 800 ms.  A command that asks
 * for something new (an offer without to-tag) goes to the next node when one
 * is silent for a third of the deadline.
 *
 * @param rp        Pointer to request, or NULL if it is never cancelled;
 *                  set to NULL before the handler runs.  Dropping it (once)
 *                  cancels
 * @param cmd       Command, copied
 * @param deadline  Milliseconds for all attempts; 0: 2000
 * @param h         Result handler, or NULL
 *
 * @return 0 if success, otherwise errorcode (the handler will not run);
 *         EOVERFLOW when too many are under way
 */
int ng_request(struct ng_req **rp, struct ng_client *c,
	       const struct ng_cmd *cmd, uint32_t deadline,
	       ng_h *h, void *arg);

/** ng_request() with cmd->op given */
int ng_offer(struct ng_req **rp, struct ng_client *c,
	     const struct ng_cmd *cmd, uint32_t deadline, ng_h *h, void *arg);
int ng_answer(struct ng_req **rp, struct ng_client *c,
	      const struct ng_cmd *cmd, uint32_t deadline, ng_h *h,
	      void *arg);
/** Forget a session; from_tag set: only if it is a party of it */
int ng_delete(struct ng_req **rp, struct ng_client *c,
	      const struct ng_cmd *cmd, uint32_t deadline, ng_h *h,
	      void *arg);

/** Is this node of nodev answering, as far as we know? */
bool ng_client_alive(const struct ng_client *c, size_t idx);
/** For ctl: nodes, alive, requests, timeouts, under way */
int  ng_client_debug(struct re_printf *pf, const struct ng_client *c);

#endif
