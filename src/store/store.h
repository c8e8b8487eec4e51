/**
 * @file store.h  What must survive: subscribers, locations, CDRs, dialogs
 *
 * Every call is asynchronous: it takes a deadline in milliseconds, a handler
 * and its argument; the handler runs exactly once, on the loop of the calling
 * thread (which must be a worker), never from inside the call.  A write is
 * acknowledged (err 0) only after its commit is on disk (group commit).
 * A struct store_req can be dropped (mem_deref): then the handler is not run;
 * a write already handed over may still happen.  *reqp is set to NULL before
 * the last handler runs, so it must stay valid until then; reqp may be NULL.
 * A deadline of 0 is none.  Reads see the writes that were handed over before
 * them.  Requests of one thread are carried out in order.
 *
 * Errors: ETIMEDOUT deadline passed, ENOENT no such row, ENOSPC disk full,
 * EBADMSG damaged database, EPROTONOSUPPORT newer schema, EAGAIN queue full
 * (bounded), ECANCELED store closing.
 *
 * A worker's requests end before it: drop them, or the store.  Dropping the
 * store carries out what is queued and hands the answers to their loops.
 *
 * All strings are copied in and out; results are valid only inside the
 * handler.
 */

#ifndef VOIPSTACK_STORE_H
#define VOIPSTACK_STORE_H

struct store;
struct store_req;

/** The databases of ADR-006: each has one writing process */
enum store_db {
	STORE_SIP = 0,		/**< sip.db: subscribers, locations */
	STORE_PBX,		/**< pbx.db: dialogs                */
	STORE_CDR,		/**< cdr.db: CDRs                   */
};

/** A subscriber.  Digest secrets only as HA1 (RFC 7616 3.4.2), lower-case hex */
struct store_subscriber {
	const char *user;	/**< user part of the AOR            */
	const char *domain;	/**< realm                           */
	const char *ha1_md5;	/**< H(user:realm:password), 32 hex  */
	const char *ha1_sha256;	/**< the same, SHA-256, 64 hex       */
	bool disabled;
};

/** One binding (RFC 3261 10.3) of an AOR */
struct store_binding {
	const char *aor;	/**< user@domain                     */
	const char *contact;	/**< Contact URI with parameters     */
	const char *callid;
	uint32_t cseq;
	uint64_t expires;	/**< wall clock, seconds since 1970  */
	uint16_t q;		/**< 0..1000                         */
	const char *received;	/**< "udp:1.2.3.4:5060": source of the REGISTER */
	const char *path;	/**< Path header values, or ""       */
	const char *instance;	/**< +sip.instance, or ""            */
	uint32_t reg_id;
	const char *user_agent;
};

/** A CDR, ADR-007, one per leg.  Open (end_us 0) at INVITE, closed at the end */
struct store_cdr {
	uint64_t time_us;	/**< when the INVITE came, us since 1970; key */
	const char *call_id;	/**< Call-ID of this leg; key                 */
	const char *linked_id;	/**< Session-ID: ties the legs of one call    */
	const char *caller;
	const char *callee;
	uint64_t answer_us;	/**< 0 if never                               */
	uint64_t end_us;	/**< 0 while open                             */
	const char *disposition; /**< ANSWERED, NO ANSWER, BUSY, FAILED; "" open */
	uint16_t sip_code;	/**< final SIP status, 0 while open           */
	const char *codec;
	const char *src_ip;
	const char *dst_ip;
	const char *hangup;	/**< caller, callee, timeout, crash, ...      */
	const char *node;
};	/* duration and billsec (seconds) are computed by the store */

/** A confirmed dialog of the PBX, so that it can be taken up after a crash */
struct store_dialog {
	const char *id;		/**< key: call-id;local-tag;remote-tag        */
	const char *linked_id;
	const uint8_t *state;	/**< opaque to the store                      */
	size_t size;
	uint64_t updated_us;
};

typedef void (store_done_h)(int err, void *arg);
typedef void (store_subscriber_h)(int err, const struct store_subscriber *s,
				  void *arg);
/** Rows one by one, then done; return true to stop early */
typedef bool (store_subscriber_row_h)(const struct store_subscriber *s,
				      void *arg);
typedef bool (store_binding_row_h)(const struct store_binding *b, void *arg);
typedef bool (store_cdr_row_h)(const struct store_cdr *c, void *arg);
typedef bool (store_dialog_row_h)(const struct store_dialog *d, void *arg);

/**
 * Open one database, create or migrate its schema, take its writer's lock.
 * Blocks (start-up only).  why gets one line for a person on error.
 *
 * Errors: EBUSY another process writes it, EBADMSG damaged (left as it is),
 * EPROTONOSUPPORT newer than this program (left as it is), EACCES, ENOSPC...
 */
int store_open(struct store **stp, enum store_db db, const char *dir,
	       bool readonly, char *why, size_t whysz);

/* subscriber.c */
int store_subscriber_get(struct store *st, struct store_req **reqp,
			 uint32_t deadline, const char *user,
			 const char *domain, store_subscriber_h *h, void *arg);
int store_subscriber_put(struct store *st, struct store_req **reqp,
			 uint32_t deadline, const struct store_subscriber *s,
			 store_done_h *h, void *arg);
int store_subscriber_del(struct store *st, struct store_req **reqp,
			 uint32_t deadline, const char *user,
			 const char *domain, store_done_h *h, void *arg);
int store_subscriber_list(struct store *st, struct store_req **reqp,
			  uint32_t deadline, store_subscriber_row_h *rowh,
			  store_done_h *h, void *arg);

/* location.c: a whole AOR is replaced at once (RFC 3261 10.3 step 7: all or
   nothing); n 0 removes it */
int store_location_set(struct store *st, struct store_req **reqp,
		       uint32_t deadline, const char *aor,
		       const struct store_binding *bv, size_t n,
		       store_done_h *h, void *arg);
int store_location_list(struct store *st, struct store_req **reqp,
			uint32_t deadline, store_binding_row_h *rowh,
			store_done_h *h, void *arg);

/* cdr.c: put inserts or replaces by (time_us, call_id) */
int store_cdr_put(struct store *st, struct store_req **reqp,
		  uint32_t deadline, const struct store_cdr *c,
		  store_done_h *h, void *arg);
/** open_only: those with end_us 0; since_us: not older; limit 0: all; the
    newest first */
int store_cdr_list(struct store *st, struct store_req **reqp,
		   uint32_t deadline, bool open_only, uint64_t since_us,
		   unsigned limit, store_cdr_row_h *rowh,
		   store_done_h *h, void *arg);

/** A copy in one block, also of its strings: it may cross threads */
int store_cdr_dup(struct store_cdr **cp, const struct store_cdr *c);

/* dialog.c */
int store_dialog_put(struct store *st, struct store_req **reqp,
		     uint32_t deadline, const struct store_dialog *d,
		     store_done_h *h, void *arg);
int store_dialog_del(struct store *st, struct store_req **reqp,
		     uint32_t deadline, const char *id,
		     store_done_h *h, void *arg);
int store_dialog_list(struct store *st, struct store_req **reqp,
		      uint32_t deadline, store_dialog_row_h *rowh,
		      store_done_h *h, void *arg);

/* store.c: counters since the store was opened */
struct store_status {
	const char *backend;
	unsigned queue;			/**< requests waiting now            */
	unsigned queue_peak;
	unsigned long long reads;	/**< requests that read              */
	unsigned long long writes;	/**< requests that wrote, committed  */
	unsigned long long commits;
	unsigned long long retries;	/**< writes tried alone              */
	unsigned long long refused;	/**< EAGAIN: queue full              */
	unsigned long long expired;	/**< dropped before they began       */
	unsigned long long failed;	/**< writes that ended with an error */
	int last_err;
};

int store_status(const struct store *st, struct store_status *status);

/** The same as text for ctl */
int store_debug(struct re_printf *pf, const struct store *st);

/** Requests that may wait (0: the default, 10000); more are EAGAIN */
void store_queue_limit(struct store *st, unsigned max);

#endif
