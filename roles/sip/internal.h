/**
 * @file roles/sip/internal.h  What the files of the sip role share
 *
 * One struct edge per process, one struct lane per worker, one struct
 * request per request that is not yet answered (or, for an INVITE, whose
 * 2xx may still be repeated), one struct branch per place it was sent to.
 */

#ifndef ROLE_SIP_INTERNAL_H
#define ROLE_SIP_INTERNAL_H

#include <stdatomic.h>
#include <re.h>
#include "log/log.h"
#include "metric/metric.h"
#include "cfg/cfg.h"
#include "worker/worker.h"
#include "store/store.h"
#include "sipcore/sipcore.h"
#include "sipauth/sipauth.h"
#include "sdpx/sdpx.h"
#include "ng/ng.h"
#include "ctl/ctl.h"
#include "role.h"

struct lane;
struct location;
struct dispatch;
struct stamper;
struct calls;

enum {
	AOR_SIZE       = 256,	/**< user@domain with its NUL             */
	ROUTE_MAX      = 16,	/**< Route values of one request          */
	BRANCH_MAX     = 32,	/**< branches of one request              */
	RESP_QUEUE_MAX = 16,	/**< responses that wait for the media    */
	STORE_DEADLINE = 3000,	/**< ms                                   */
	NG_DEADLINE    = 2000,	/**< ms                                   */
};

/* sip_cfg.c: the section "sip" */
enum edge_digest { EDGE_DIGEST_MD5 = 0, EDGE_DIGEST_BOTH };
struct edge_cfg {
	struct cfg_list listen;		/**< struct cfg_addr              */
	struct {
		uint64_t min_expires;	/**< ms, as all durations         */
		uint64_t max_expires;
		uint64_t default_expires;
		int64_t max_contacts;	/**< of one AOR                   */
		int64_t max_aors;
	} registrar;
	struct {
		struct cfg_list nodes;	/**< struct cfg_addr              */
		uint64_t ping;
		uint64_t timeout;	/**< silence before the next node */
	} dispatcher;
	struct cfg_list media;		/**< struct cfg_addr              */
	int digest;			/**< enum edge_digest             */
	bool anchor;
	struct cfg_list peers;		/**< struct cfg_addr              */
	char *route_key;		/**< file; "": STATE/route.key    */
	int64_t workers;
	struct {
		int64_t calls;
		int64_t requests;	/**< transactions per worker      */
		int64_t connections;
		int64_t connections_per_address;
		uint64_t message;	/**< bytes                        */
	} limits;
	struct {
		uint64_t t1, t2, t4, c, nonce, idle;
	} timers;
};
extern const struct cfg_section edge_section;
/** PBX and media nodes: from the section or else from the file's nodes */
size_t edge_cfg_pbx(const struct cfg *cfg, struct cfg_addr *v, size_t max);
size_t edge_cfg_media(const struct cfg *cfg, struct sa *v, size_t max);

/** The role: what workers share.  Written at start only, or atomic */
struct edge {
	const struct role_env *env;
	struct sipcore_net *net;
	struct store *store;
	struct location *loc;
	struct dispatch *disp;
	struct lane **lanev;
	unsigned lanec;
	uint8_t key[32];		/**< signs Route parameters       */
	const struct cfg *cfg;		/**< the control loop's           */
	struct tmr tmr;
	size_t expire_pos;		/**< restore.c                    */
	struct list expiryl;		/**< being written                */
	role_drained_h *drained;
	void *drained_arg;
	_Atomic bool draining;
	_Atomic int active;		/**< requests not yet answered    */
	_Atomic int calls;
	_Atomic uint64_t media_up;	/**< bit mask of media nodes      */
	unsigned mediac;
	struct sa mediav[NG_NODE_MAX];
};

/** A worker's part of the role */
struct lane {
	struct edge *e;
	unsigned idx;
	const struct cfg *cfg;		/**< as of the last reload        */
	const struct edge_cfg *conf;
	struct sipcore *core;
	struct sipauth *auth;
	struct ng_client *ng;
	struct stamper *stamper;
	struct calls *calls;
	struct list requestl;		/**< struct request, owned        */
	struct tmr tmr;			/**< housekeeping                 */
};

/* Who sent it */
enum origin {
	ORIGIN_PHONE = 0,		/**< anybody: is challenged       */
	ORIGIN_PBX,
	ORIGIN_PEER,
};

/* stamp.c: the signed parameter of our Record-Route */
enum { STAMP_TEXT_SIZE = 128 };
enum side { CALLER = 0, CALLEE };
struct stamp {
	bool anchored;
	bool outside[2];		/**< by side: its network         */
	struct sipcore_flow flow[2];	/**< where to reach the side; proto
					     ANY: by its Contact (the PBX) */
};
int stamper_alloc(struct stamper **sp, const uint8_t key[32]);
int stamp_encode(struct stamper *s, char *buf, size_t size,
		 const struct stamp *st, const struct pl *callid,
		 const struct pl *tag);
/** EBADMSG: not ours; EACCES: forged.  *from: the side that wrote this
    request, found out by which of the two tags was signed */
int stamp_decode(struct stamper *s, struct stamp *st, enum side *from,
		 const struct pl *text, const struct sipcore_msg *msg);
int stamp_key_load(uint8_t key[32], const char *path, char *why,
		   size_t whysz);

/** The Route values of a request, ours at the top counted */
struct routes {
	struct {
		const struct sipcore_hdr *h;
		struct sipcore_naddr na;
	} v[ROUTE_MAX];
	size_t n;
	size_t own;			/**< the first so many are ours   */
	struct pl stamp;		/**< parameter of the first       */
};

/** A request and its response context (RFC 3261 16.7) */
struct request {
	struct le le;
	struct lane *w;
	struct sipcore_strans *st;	/**< NULL: an ACK                 */
	struct sipcore_msg *msg;
	enum origin origin;
	bool outside;			/**< not from networks.internal   */
	bool dialog;			/**< inside a dialog (To tag)     */
	bool known;			/**< its sender is who he says    */
	char *user;			/**< authenticated, or NULL       */
	char *realm;			/**< its own: a reload may come    */
	struct sipauth_req *auth;
	struct store_req *sreq;
	struct tmr tmr;
	void *reg;			/**< registrar.c                  */

	struct routes routes;
	struct stamp stamp;
	enum side from;			/**< dialog: who wrote it         */
	char aor[AOR_SIZE];		/**< called AOR                   */
	struct list branchl;
	unsigned branchc;		/**< ever made: names for NG      */
	uint32_t pbx_tried;		/**< bit mask of PBX nodes        */
	bool anchor;			/**< its media goes through NG    */
	bool offered;			/**< NG knows this call           */
	bool answered;			/**< a final response was sent    */
	bool cancelled;
	bool begun;
	bool trying;			/**< 100 was sent                 */
	bool body_is_answer;		/**< ACK; PRACK to a late offer   */
};

/** Where a request was sent.  Owned by its request */
struct branch {
	struct le le;
	struct request *req;
	struct sipcore_ctrans *ct;
	struct sipcore_flow flow;
	struct sa alt;			/**< if its connection is gone    */
	char *ruri;			/**< NULL: as it came             */
	char *path;			/**< Route values, or NULL        */
	int node;			/**< PBX node, or -1              */
	unsigned id;
	struct tmr tmr;			/**< silence, then timer C        */
	struct ng_req *ng;
	struct list heldl;		/**< responses waiting for NG     */
	struct sipcore_msg *final;	/**< a final that is not 2xx      */
	uint16_t code;			/**< final status; 0: pending     */
	const char *why;		/**< of an own failure: constant  */
	bool media;			/**< ... which the media role made */
	bool own;			/**< ... or the request itself     */
	bool superseded;		/**< another node was tried       */
	bool started;
	bool sent;
	bool provisional;
	bool cancelled;
	struct sipcore_msg *waiting;	/**< response that is with NG     */
	char *sdp_in;			/**< last body with NG, its text  */
	char *sdp_out;			/**< and what came of it          */
};

/* ingress.c */
void ingress_request(struct sipcore *core, struct sipcore_strans *st,
		     struct sipcore_msg *msg, void *arg);
enum origin ingress_origin(const struct lane *w,
			   const struct sipcore_flow *flow);
/** Lines that no phone may send */
int ingress_clean(struct sipcore_edit *ed, const struct sipcore_msg *msg);
/** NULL, or why this SDP breaks the network's encryption policy */
const char *ingress_plain_media(const struct request *req);
void ingress_metrics(void);

/* request.c: life and end of a request */
int  request_alloc(struct request **rp, struct lane *w,
		   struct sipcore_strans *st, struct sipcore_msg *msg);
void request_close(struct request *req);
/** Own final response: logged, then the request is closed.  why also goes
    into a Warning header; hdrs: more lines, each with CRLF, or NULL */
void request_refuse(struct request *req, uint16_t code, const char *why,
		    const char *hdrs);
/** A final response has been sent: what is left is for repeated 2xx only */
void request_answered(struct request *req, uint16_t code);
bool request_has_sdp(const struct sipcore_msg *msg);
bool request_forms_dialog(const struct sipcore_msg *msg);

/* nat.c: flows as text, and which address of a contact is the true one */
int nat_flow_print(struct re_printf *pf, const struct sipcore_flow *flow);
int nat_flow_decode(struct sipcore_flow *flow, const char *str);
int nat_contact_flow(struct sipcore_flow *flow, struct sa *alt,
		     const struct uri *contact,
		     const struct sipcore_flow *src, bool outside);

/* location.c: who is where; shared by the workers */
struct binding {
	const char *contact, *callid, *received, *path, *instance, *agent;
	struct sipcore_flow flow;	/**< received, with its connection */
	uint64_t expires;		/**< s since 1970                 */
	uint32_t cseq, reg_id;
	uint16_t q;
};
struct bindings {			/**< immutable                    */
	_Atomic unsigned refs;
	size_t n;
	struct binding v[];		/**< strings follow in the block  */
};
int  location_alloc(struct location **lp, size_t max_aors);
struct bindings *location_get(struct location *l, const char *aor);
struct bindings *bindings_make(const struct binding *v, size_t n);
struct bindings *bindings_ref(struct bindings *b);
void bindings_drop(struct bindings *b);
/** Claim an AOR for a change.  EBUSY: claimed already, EOVERFLOW: too many.
    *bp: its bindings now (a reference), NULL if none */
int  location_claim(struct location *l, const char *aor,
		    struct bindings **bp);
/** End the claim; b (taken over) replaces the set, NULL removes it */
void location_swap(struct location *l, const char *aor, struct bindings *b);
/** End the claim without a change */
void location_release(struct location *l, const char *aor);
size_t location_count(const struct location *l);
size_t location_contacts(const struct location *l);
/** b is borrowed, under a lock: be brief.  Return true to stop */
typedef bool (location_h)(const char *aor, const struct bindings *b,
			  void *arg);
void location_apply(struct location *l, location_h *h, void *arg);
/** AORs with an expired binding, from bucket *pos on: at most max */
size_t location_expired(struct location *l, size_t *pos, uint64_t now,
			char (*aorv)[AOR_SIZE], size_t max);
uint64_t location_now(void);

/* registrar.c, binding.c, restore.c */
void registrar_request(struct request *req);
void registrar_metrics(void);
/** The request has gone away: the write, if under way, ends alone */
void registrar_leave(struct request *req);
struct contact {			/**< of a REGISTER                */
	struct sipcore_naddr na;
	uint32_t expires;		/**< s; 0 removes                 */
	uint16_t q;
};
struct reg_change {
	const struct request *req;
	const struct edge_cfg *conf;
	const char *received;
	const char *path;
	const struct contact *contactv;
	size_t contactc;
	bool star;
	uint64_t now;
};
/** New set from the old one, all or nothing (RFC 3261 10.3 step 7).
    Returns 0, or the status to refuse it with and *why */
uint16_t binding_merge(struct bindings **newp, const struct bindings *old,
		       const struct reg_change *ch, const char **why);
int  binding_store(struct store *st, struct store_req **reqp,
		   const char *aor, const struct bindings *b,
		   store_done_h *h, void *arg);
int  restore_locations(struct edge *e, char *why, size_t whysz);
void expire_locations(struct edge *e);

/* route.c */
void route_request(struct request *req);
/** Where a Path leads: its first value.  ENOENT: to a name */
int  route_path_flow(struct sipcore_flow *flow, const char *path);
int  route_scan(struct routes *rs, const struct lane *w,
		const struct sipcore_msg *msg);
/** Is this host one of our domains or addresses? */
bool route_is_ours(const struct lane *w, const struct uri *uri);
/** Canonical domain of a host: ours as configured, or the first one */
const char *route_domain(const struct lane *w, const struct pl *host);
int  route_aor(char *aor, size_t size, const struct lane *w,
	       const struct uri *uri);

/* dispatch.c: the PBX nodes */
int  dispatch_alloc(struct dispatch **dp, const struct cfg_addr *v, size_t n);
size_t dispatch_count(const struct dispatch *d);
/** Next node for this Call-ID that is not in tried; -1: none left */
int  dispatch_next(const struct dispatch *d, const struct pl *callid,
		   uint32_t tried);
void dispatch_flow(const struct dispatch *d, int node,
		   struct sipcore_flow *flow);
void dispatch_failed(struct dispatch *d, int node, const char *why);
void dispatch_works(struct dispatch *d, int node);
bool dispatch_alive(const struct dispatch *d, int node);
bool dispatch_is_node(const struct dispatch *d,
		      const struct sipcore_flow *flow);
/** Lane 0, once a second */
void dispatch_tick(struct lane *w);
/** Lane 0 ends: its transactions go */
void dispatch_stop(struct dispatch *d);

/* proxy.c */
struct target {
	struct sipcore_flow flow;
	struct sa alt;			/**< if its connection is gone    */
	const char *ruri;		/**< NULL: as it came             */
	const char *path;		/**< Route values, or NULL        */
	int node;			/**< PBX node, or -1              */
};
int  proxy_target(struct request *req, const struct target *t);
void proxy_start(struct request *req);
/** To a PBX node, the next one if some failed; false: none left */
bool proxy_next_node(struct request *req);
void proxy_send(struct branch *br, const struct pl *sdp);
void proxy_cancel(struct request *req, const char *hdrs);
void proxy_timer_c(struct branch *br);

/* build.c: the bytes of a forwarded request (RFC 3261 16.6) */
int  build_request(struct mbuf *mb, struct branch *br, const struct pl *sdp);
uint32_t build_loop_hash(const struct sipcore_msg *msg);
int  build_sdp(struct sipcore_edit *ed, const struct sipcore_msg *msg,
	       const struct pl *sdp);

/* response.c */
void response_handler(int err, struct sipcore_msg *resp, void *arg);
/** This branch has failed without a response of its own */
void response_local(struct branch *br, uint16_t code, const char *why);
void response_held(struct branch *br);

/* dialog.c */
void dialog_request(struct request *req);
void dialog_ack(struct lane *w, struct sipcore_msg *msg);
void dialog_ended(struct request *req);
void dialog_metrics(void);

/* calls.c: what ctl shows, and the state that one offer leaves */
struct call {
	struct le he;
	struct calls *owner;
	char *callid, *from, *to;
	char sid[33];
	uint64_t start;			/**< s since 1970                 */
	uint64_t answer;		/**< 0: not yet                   */
	struct sa src;
	bool anchored;
	bool late;			/**< a reliable 1xx had the offer: the
					     next PRACK's is its answer   */
	bool confirmed;
};
/** gauge: counts those of all workers */
int  calls_alloc(struct calls **cp, size_t max, _Atomic int *gauge);
struct call *calls_find(const struct calls *c, const struct pl *callid);
int  calls_add(struct call **cp, struct calls *c,
	       const struct sipcore_msg *invite);
size_t calls_count(const struct calls *c);
void calls_apply(const struct calls *c,
		 bool (*h)(const struct call *call, void *arg), void *arg);
/** Drop those that began before */
void calls_expire(struct calls *c, uint64_t before);

/* anchor.c */
struct anchor_prm {
	const struct sipcore_msg *msg;	/**< Call-ID, Session-ID, source  */
	struct pl from_tag, to_tag;	/**< offerer, answerer            */
	struct pl sdp;
	unsigned branch;		/**< 0: no via-branch             */
	bool outside_from, outside_to;	/**< of the SDP's sender, receiver */
	int af;				/**< offers: of the receiver       */
};
int  anchor_offer(struct ng_req **rp, struct lane *w,
		  const struct anchor_prm *prm, ng_h *h, void *arg);
int  anchor_answer(struct ng_req **rp, struct lane *w,
		   const struct anchor_prm *prm, ng_h *h, void *arg);
void anchor_delete(struct lane *w, const struct sipcore_msg *msg);
/** What an NG failure means to the SIP side; *why for a person */
uint16_t anchor_code(const struct ng_result *res, const char **why);
void anchor_metrics(void);

/* sip_ctl.c */
enum { EDGE_CTL_CMDC = 4 };
extern const struct ctl_cmd edge_ctl_cmdv[EDGE_CTL_CMDC];
int edge_ctl_status(void *state, struct odict *od);

#endif
