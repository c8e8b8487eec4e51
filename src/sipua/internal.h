/**
 * @file sipua/internal.h  What the files of sipua share
 */

enum {
	TAG_SIZE    = 17,
	CALLID_SIZE = 64,
	RETRY_MAX   = 8,	/* 491s before we give up */
	CSEQ_SKIP   = 1000,	/* after an import: never reuse one */
};

/** A dialog, RFC 3261 12 */
struct dlg {
	char *callid;
	char *ltag;
	char *rtag;		/**< NULL: UAC without a response yet     */
	char *luri;		/**< our name-addr                        */
	char *ruri;		/**< the peer's                           */
	char *target;		/**< remote target                        */
	char *routes;		/**< route set in order, comma-separated  */
	char *user;		/**< of our Contact                       */
	uint32_t lseq;
	uint32_t rseq;		/**< UINT32_MAX: none yet, 12.1.2         */
	unsigned maxfwd;	/**< 0: the default                       */
	struct sipcore_flow flow; /**< where the peer was heard last      */
};

enum sess_state {
	SESS_CALLING = 0,
	SESS_INCOMING,
	SESS_ANSWERED,		/**< 2xx, ACK not yet                     */
	SESS_CONFIRMED,
	SESS_CLOSING,		/**< application gone, or the peer's BYE  */
	SESS_CLOSED,		/**< not in the table any more            */
};

/** A server transaction that a session has to answer */
struct srv {
	struct sipua_sess *s;		/**< up */
	struct sipcore_strans *st;	/**< core's, until its end handler */
	bool pending;			/**< no final response yet */
	uint32_t cseq;
	/* 2xx to INVITE until its ACK */
	struct mbuf *resp;		/**< header lines and body */
	uint32_t wait;			/**< ms to the next copy */
	uint64_t until;
	struct tmr tmr;
};

struct sipua {
	struct sipcore *core;
	const struct sipcore_net *net;
	unsigned idx;
	struct sipua_limits lim;
	struct sipua_stats stats;
	struct hash *ht;		/**< sessions; owns one reference */
};

struct sipua_sess {
	struct le he;
	struct sipua *ua;		/**< up */
	struct dlg dlg;
	enum sess_state state;
	bool uac;
	bool initial;			/**< no INVITE completed yet */
	bool allow_update;
	bool bye_wanted;		/**< BYE as soon as the ACK is there */
	char *bye_hdrs;
	char sid[33];
	struct srv inv;			/**< INVITE or re-INVITE received */
	struct srv upd;			/**< UPDATE received */
	struct srv bye;			/**< BYE received */
	struct sipcore_ctrans *inv_ct;	/**< INVITE or re-INVITE sent */
	uint32_t inv_cseq;
	bool inv_pending;		/**< no final response yet */
	bool ack_due;			/**< 2xx came, sipua_ack() awaited */
	struct mbuf *ack;		/**< for repeated 2xx */
	struct sipcore_flow ack_flow;
	struct sipcore_ctrans *upd_ct;	/**< UPDATE sent */
	struct sipcore_ctrans *bye_ct;
	struct tmr tmr_end;		/**< CLOSING does not last for ever */
	struct {
		enum sipcore_method met;
		struct mbuf *body;
		bool on;
		unsigned n;
		struct tmr tmr;
	} retry;			/**< our modify, RFC 3261 14.1 */
	struct mbuf *lsdp, *rsdp;
	const struct sipua_handlers *h;	/**< NULL: silenced */
	void *arg;
};

/* dialog.c */
int  dlg_init_uas(struct dlg *d, const struct sipcore_msg *msg,
		  const char *tag, const char *user);
int  dlg_init_uac(struct dlg *d, const struct sipua_invite *inv);
int  dlg_update(struct dlg *d, const struct sipcore_msg *resp);
int  dlg_refresh(struct dlg *d, const struct sipcore_msg *msg);
int  dlg_fork(struct dlg *d, const struct dlg *src,
	      const struct sipcore_msg *resp);
void dlg_close(struct dlg *d);
bool dlg_match(const struct dlg *d, const struct sipcore_msg *msg);
int  dlg_encode(struct mbuf **mbp, struct sipcore_flow *flow,
		const struct dlg *d, struct sipcore *core,
		enum sipcore_method met, uint32_t cseq, const char *sid,
		const char *hdrs, const struct sipua_body *b);
int  dlg_contact(struct mbuf *mb, const struct dlg *d, struct sipcore *core,
		 const struct sipcore_flow *flow);

/* sess.c */
int  sess_alloc(struct sipua_sess **sp, struct sipua *ua,
		const struct sipua_handlers *h, void *arg);
void sess_link(struct sipua_sess *s);
struct sipua_sess *sess_find(struct sipua *ua, const struct pl *callid,
			     const struct pl *ltag);
void sess_finish(struct sipua_sess *s);
void sess_closed(struct sipua_sess *s, enum sipua_end end,
		 struct sipcore_msg *msg);
void sess_bye(struct sipua_sess *s);
void sess_bye_received(struct sipua_sess *s, struct sipcore_strans *st,
		       struct sipcore_msg *msg);
void sess_sdp(struct mbuf **mbp, const struct pl *ctype,
	      const struct pl *data);

/* uac.c */
void uac_cancel(struct sipua_sess *s, const char *hdrs);
int  uac_send(struct sipua_sess *s, const char *hdrs,
	      const struct sipua_body *b, sipcore_response_h *h);
void uac_2xx_again(struct sipua_sess *s, const struct sipcore_msg *msg);

/* uas.c */
void srv_attach(struct srv *v, struct sipua_sess *s, struct sipcore_strans *st,
		sipcore_cancel_h *cancelh);
void srv_close(struct srv *v);
int  srv_reply(struct srv *v, uint16_t code, const char *reason,
	       const char *hdrs, const struct sipua_body *b);
int  uas_2xx(struct srv *v, const char *hdrs, const struct sipua_body *b);
void uas_ack(struct sipua_sess *s, struct sipcore_msg *msg);

/* modify.c */
void modify_received(struct sipua_sess *s, struct sipcore_strans *st,
		     struct sipcore_msg *msg);
void modify_close(struct sipua_sess *s);
