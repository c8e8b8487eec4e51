/**
 * @file sipua.h  INVITE sessions, their dialogs (RFC 3261 12-15, 3264, 3311)
 *
 * One struct sipua per worker, over that worker's sipcore.  A struct
 * sipua_sess is one leg: its dialog, its INVITE session, its offer/answer
 * state.  The application owns one reference to a session and gives it back
 * with sipua_hangup(), whatever the state is; what the protocol still owes
 * the peer then (ACK, BYE, CANCEL, retransmissions) is done without it.
 *
 * Bodies are passed as they are; that the one of an INVITE is an offer and
 * where its answer travels (RFC 3264, RFC 3261 13.2.1) is kept in order here.
 */

#ifndef VOIPSTACK_SIPUA_H
#define VOIPSTACK_SIPUA_H

struct sipua;
struct sipua_sess;

/** A message body; empty when data.l is 0.  Borrowed */
struct sipua_body {
	struct pl ctype;	/**< "application/sdp"                    */
	struct pl data;
};

/** Why a session ended */
enum sipua_end {
	SIPUA_END_BYE = 0,	/**< the peer's BYE (msg); its 200 goes out
				     with sipua_hangup()                  */
	SIPUA_END_CANCEL,	/**< UAS: the peer's CANCEL (msg)         */
	SIPUA_END_REJECT,	/**< UAC: a final response 3xx-6xx (msg)  */
	SIPUA_END_TIMEOUT,	/**< no response                          */
	SIPUA_END_NOACK,	/**< UAS: no ACK to our 2xx: BYE was sent */
	SIPUA_END_GONE,		/**< 481 or 408 inside the dialog         */
	SIPUA_END_TRANSPORT,	/**< the request could not be sent        */
};

/** What happens to a session.  Any may be NULL.  msg is valid during the call;
    mem_ref() keeps it */
struct sipua_handlers {
	/** UAC: a provisional response other than 100 */
	void (*progress)(struct sipua_sess *s, struct sipcore_msg *msg,
			 void *arg);
	/** UAC: the first 2xx.  sipua_ack() must follow, at once, or when the
	    answer to an offer in it is known */
	void (*answer)(struct sipua_sess *s, struct sipcore_msg *msg,
		       void *arg);
	/** UAS: the ACK to our 2xx (first INVITE or re-INVITE), perhaps with
	    the answer to a late offer */
	void (*ack)(struct sipua_sess *s, struct sipcore_msg *msg, void *arg);
	/** A re-INVITE, or an UPDATE with a body: sipua_modify_reply() */
	void (*modify)(struct sipua_sess *s, struct sipcore_msg *msg,
		       void *arg);
	/** The peer cancelled its re-INVITE; 487 is sent already */
	void (*modify_cancel)(struct sipua_sess *s, void *arg);
	/** Final response to sipua_modify(); msg NULL: none came.  After a 2xx
	    to INVITE sipua_ack() must follow */
	void (*modified)(struct sipua_sess *s, struct sipcore_msg *msg,
			 void *arg);
	/** INFO or MESSAGE in the dialog: sipcore_reply(st) must follow */
	void (*request)(struct sipua_sess *s, struct sipcore_strans *st,
			struct sipcore_msg *msg, void *arg);
	/** Ended.  Last call; sipua_hangup() is still the application's */
	void (*closed)(struct sipua_sess *s, enum sipua_end end,
		       struct sipcore_msg *msg, void *arg);
};

struct sipua_limits {
	unsigned sessions;	/**< per worker [100000]                  */
	uint32_t t1, t2;	/**< ms [500, 4000]                       */
};

struct sipua_stats {
	uint64_t sessions;	/**< now, those that are ending included  */
	uint64_t retrans_2xx;
	uint64_t no_ack;
	uint64_t glare;		/**< 491 sent                             */
	uint64_t unknown;	/**< 481 sent                             */
	uint64_t forked;	/**< 2xx of another fork, ended at once   */
	uint64_t limit_hits;
};

/** What an INVITE carries */
struct sipua_invite {
	const char *ruri;	/**< Request-URI                          */
	const char *from;	/**< name-addr without tag                */
	const char *to;		/**< name-addr                            */
	const char *route;	/**< Route values, or NULL                */
	const char *user;	/**< user part of our Contact             */
	const char *callid;	/**< from sipua_callid()                  */
	const char *sid;	/**< Session-ID                           */
	const char *hdrs;	/**< further header lines with CRLF, or NULL */
	unsigned maxfwd;	/**< Max-Forwards, 0: 70                  */
	struct sipua_body body;	/**< empty: late offer                    */
	struct sipcore_flow flow; /**< where to                           */
};

/* ua.c --------------------------------------------------------------------*/

int  sipua_alloc(struct sipua **uap, struct sipcore *core,
		 const struct sipcore_net *net, unsigned idx,
		 const struct sipua_limits *lim);
/**
 * Offer a request to the dialogs: to be called first for each request.
 *
 * @return true if it was taken: it belongs to a dialog, or to one that is
 *         unknown (481 sent); false: outside any dialog
 */
bool sipua_receive(struct sipua *ua, struct sipcore_strans *st,
		   struct sipcore_msg *msg);
/** A new Call-ID that this worker owns; at most 64 bytes with the end */
int  sipua_callid(const struct sipua *ua, char *buf, size_t size);
void sipua_stats(const struct sipua *ua, struct sipua_stats *st);
/** Value of Allow: what sessions understand */
const char *sipua_allow(void);

/* uac.c -------------------------------------------------------------------*/

/** Send an INVITE */
int sipua_connect(struct sipua_sess **sp, struct sipua *ua,
		  const struct sipua_invite *inv,
		  const struct sipua_handlers *h, void *arg);
/** ACK the 2xx to INVITE or re-INVITE; b: the answer to a late offer, or
    NULL */
int sipua_ack(struct sipua_sess *s, const struct sipua_body *b);

/* uas.c -------------------------------------------------------------------*/

/**
 * Take an INVITE outside a dialog.  100 is sent.  What cannot be served at all
 * (a Require that we do not know: 420; no Contact: 400; too many sessions:
 * 503) is answered here.
 *
 * @param user  User part of our Contact
 *
 * @return 0; EBADMSG, EPROTONOSUPPORT, EAGAIN or ENOMEM: answered
 */
int sipua_accept(struct sipua_sess **sp, struct sipua *ua,
		 struct sipcore_strans *st, struct sipcore_msg *msg,
		 const char *user, const struct sipua_handlers *h, void *arg);
/** 101..199; hdrs and b may be NULL */
int sipua_progress(struct sipua_sess *s, uint16_t code, const char *reason,
		   const char *hdrs, const struct sipua_body *b);
/** 200, repeated until the ACK */
int sipua_answer(struct sipua_sess *s, const char *hdrs,
		 const struct sipua_body *b);

/* modify.c ----------------------------------------------------------------*/

/**
 * Send a re-INVITE or UPDATE.
 *
 * @param b      Offer; empty or NULL: late offer (INVITE only)
 * @param retry  Try again by RFC 3261 14.1 on 491; else it is reported
 *
 * @return 0; EBUSY: an offer is under way in either direction
 */
int sipua_modify(struct sipua_sess *s, enum sipcore_method met,
		 const struct sipua_body *b, bool retry);
/** CANCEL the re-INVITE under way */
void sipua_modify_cancel(struct sipua_sess *s);
/** Answer the re-INVITE or UPDATE that the modify handler brought */
int sipua_modify_reply(struct sipua_sess *s, uint16_t code,
		       const char *reason, const char *hdrs,
		       const struct sipua_body *b);
/** true if the peer's Allow has UPDATE */
bool sipua_has_update(const struct sipua_sess *s);

/* sess.c ------------------------------------------------------------------*/

/** A request in the dialog (INFO, MESSAGE, OPTIONS); ctp may be NULL */
int sipua_request(struct sipua_sess *s, struct sipcore_ctrans **ctp,
		  enum sipcore_method met, const char *hdrs,
		  const struct sipua_body *b, sipcore_response_h *resph,
		  void *arg);
/**
 * End the session, whatever its state: final response (code, or 487), CANCEL,
 * BYE, or the 200 to the peer's BYE.  No handler runs any more; the
 * application's reference is gone.
 *
 * @param code  UAS that has not answered: final response; 0: 480
 * @param hdrs  Header lines for it, such as Reason; may be NULL
 *
 * @return NULL
 */
void *sipua_hangup(struct sipua_sess *s, uint16_t code, const char *reason,
		   const char *hdrs);
bool  sipua_is_confirmed(const struct sipua_sess *s);
/** true once the closed handler ran (or there is no session) */
bool  sipua_is_ended(const struct sipua_sess *s);
/** true if a modify of ours or of the peer is not finished */
bool  sipua_is_busy(const struct sipua_sess *s);
const char *sipua_sess_callid(const struct sipua_sess *s);
/** "call-id;local-tag;remote-tag" */
int   sipua_sess_id(const struct sipua_sess *s, char *buf, size_t size);
/** The last body of ours (local) or of the peer that was an SDP, or NULL */
const struct mbuf *sipua_sess_sdp(const struct sipua_sess *s, bool local);
/** Where the peer's messages come from */
const struct sipcore_flow *sipua_sess_flow(const struct sipua_sess *s);

/* export.c ----------------------------------------------------------------*/

/** Append what is needed to go on elsewhere with a session that is confirmed,
    or (UAS) answered; ENOTCONN in another state */
int sipua_export(struct mbuf *mb, const struct sipua_sess *s);
/**
 * Go on with an exported session.
 *
 * @param mb  Position at the export; moved behind it
 *
 * @return 0; EBADMSG: damaged; EALREADY: the dialog is there;
 *         EXDEV: its Call-ID belongs to another worker
 */
int sipua_import(struct sipua_sess **sp, struct sipua *ua, struct mbuf *mb,
		 const struct sipua_handlers *h, void *arg);
/** Move mb behind an export without reading it in */
int sipua_export_skip(struct mbuf *mb);
/** The Call-ID of an export, without moving mb's position */
int sipua_export_callid(const struct mbuf *mb, struct pl *callid);

#endif
