/**
 * @file media.h  The media role: what its files share
 *
 * The control loop owns the NG sockets and the cookie cache.  A session, its
 * parties and their sockets live on one worker.  Two tables are seen by all
 * threads, each behind a lock that no packet ever meets: the ports
 * (pool.c), and which worker has which call (directory.c).
 */

#ifndef ROLE_MEDIA_H
#define ROLE_MEDIA_H

#include "cfg/cfg.h"
#include "metric/metric.h"
#include "ng/ng.h"
#include "rtp/rtp.h"
#include "sdpx/sdpx.h"

struct media;
struct mworker;
struct session;
struct party;
struct medium;
struct port;
struct pool;
struct directory;

enum {
	MEDIA_WORKER_MAX = 64,
	MEDIA_IF_MAX     = 8,
	MEDIA_IF_NAME    = 31,
	MEDIA_NG_MAX     = 8,	/**< sockets for NG                   */
	PARTY_MAX        = 16,	/**< parties of a session             */
	ALIAS_MAX        = 8,	/**< tags of a forked answerer        */
	HOP_MAX          = 8,	/**< sessions joined in a row         */
	CALLID_MAX       = 255,
	TAG_MAX          = 255,
	RECV_SIZE        = 2048, /**< longer datagrams are dropped    */
};

/* config.c */

struct media_if_conf {
	char *name;
	char *address;
	char *advertised;
	char *address6;
	char *advertised6;
};

struct media_conf {
	struct cfg_list ng;		/**< struct cfg_addr              */
	struct cfg_list allow;		/**< struct cfg_cidr              */
	struct cfg_ports ports;
	struct cfg_list interfaces;	/**< struct media_if_conf         */
	uint64_t timeout;		/**< ms                           */
	uint64_t held_timeout;
	uint64_t offer_timeout;
	uint64_t port_reuse;
	int64_t workers;
	int64_t max_sessions;
	bool strict_source;
};

extern const struct cfg_section media_section;

/** An interface: where we bind, and what SDP says instead.  A name may have
    one of each address family */
struct media_if {
	char name[MEDIA_IF_NAME + 1];
	struct sa addr;
	struct sa pub;
};

int media_interfaces(struct media_if *ifv, unsigned *ifc,
		     const struct cfg *cfg, char *why, size_t whysz);

struct media;
unsigned media_if_find(const struct media *md, const struct pl *name, int af);

/* role.c */

struct media {
	const struct cfg *cfg;
	const struct media_conf *conf;
	struct worker *control;
	struct media_if ifv[2 * MEDIA_IF_MAX];
	unsigned ifc;
	struct pool *pool;
	struct directory *dir;
	struct mworker *workerv[MEDIA_WORKER_MAX];
	unsigned workerc;
	struct ng_server *ng;
	struct tmr tmr_drain;
	void (*drained)(void *arg);
	void *drained_arg;
	bool draining;
};

/** One worker's world; touched by its thread only */
struct mworker {
	struct media *md;
	struct worker *w;
	unsigned idx;
	struct hash *sessions;		/**< by call-id                   */
	struct list sessionl;		/**< the same, owned              */
	struct port **portv;		/**< its open ports, by pool slot */
	struct tmr tmr;			/**< every second: the dead; runs
					     while there are sessions     */
	uint64_t gen;			/**< raised when any flow may have
					     to go another way            */
	uint64_t now_us;		/**< monotonic, of this wakeup    */
	uint8_t buf[RECV_SIZE];
};

extern struct metric media_m_sessions;
extern struct metric media_m_started;
extern struct metric media_m_timeout;
extern struct metric media_m_noports;
extern struct metric media_m_limit;
extern struct metric media_m_moved;
extern struct metric media_m_packets;
extern struct metric media_m_bytes;
extern struct metric media_m_dropped;

/* directory.c: which worker has which call */

int  directory_alloc(struct directory **dp);
/** Worker of a call, -1 if there is none */
int  directory_find(struct directory *d, const struct pl *callid);
/** Enter or change; EOVERFLOW if it is new and there are max already */
int  directory_set(struct directory *d, const struct pl *callid,
		   unsigned worker, uint64_t max);
/** Run post(arg) and, if it succeeds, change the entry, at one go */
int  directory_move(struct directory *d, const struct pl *callid,
		    unsigned worker, int (*post)(void *arg), void *arg);
void directory_del(struct directory *d, const struct pl *callid,
		   unsigned worker);
uint64_t directory_count(struct directory *d);
/** Call-ids, up to max, into a list */
void directory_list(struct directory *d, struct ng_tree *t,
		    struct ng_val *list, unsigned max);

/* pool.c: local ports, of all interfaces */

int  pool_alloc(struct pool **pp, const struct media_if *ifv, unsigned ifc,
		struct cfg_ports range, uint64_t reuse_ms);
size_t pool_slots(const struct pool *p);
/**
 * Take a free port, even; with its odd neighbour if pair.  One that was not
 * in use for the reuse time, else the one that has rested longest.  ENOSPC:
 * all are in use
 */
int  pool_take(struct pool *p, unsigned ifidx, bool pair, unsigned worker,
	       uint16_t *port);
/** Give one port back; it rests for the reuse time if others are free */
void pool_give(struct pool *p, unsigned ifidx, uint16_t port);
void pool_owner_set(struct pool *p, unsigned ifidx, uint16_t port,
		    unsigned worker);
/** Slot of a local address (bound or advertised) in use, -1 if it is none of
    ours; worker gets its owner */
int  pool_find(struct pool *p, const struct sa *sa, unsigned *worker);
/** Slot by address alone, without looking whether it is in use: no lock */
int  pool_slot(const struct pool *p, const struct sa *sa);
int  pool_slot_if(const struct pool *p, unsigned ifidx, uint16_t port);
uint64_t pool_used(struct pool *p);

/* flow.c: the path of a packet */

/** What goes from one medium's port to whoever hears it, RTP or RTCP */
struct flow {
	struct port *in;
	uint64_t gen;			/**< worker's, when it was resolved */
	int fd;				/**< -1: goes nowhere, see why      */
	const char *why;
	struct sa dst;
	struct flow *viav[HOP_MAX];	/**< joined: flows on the way       */
	struct port *outv[HOP_MAX + 1];	/**< ports on the way               */
	unsigned viac;
	struct rstat st;
	uint64_t dropped;
	uint64_t errors;
};

/** A local socket, towards one party */
struct port {
	struct medium *m;
	bool rtcp;
	int fd;
	unsigned ifidx;
	uint16_t num;
	struct sa pub;			/**< as SDP says it               */
	struct sa sdp;			/**< the far side's, as signalled */
	struct sa remote;		/**< the far side's, as learnt    */
	bool latched;
	uint64_t heard_us;		/**< last packet from remote      */
	uint64_t latch_us;
	uint64_t last_us;		/**< last packet in               */
	uint64_t out_packets, out_bytes;
	uint64_t foreign;		/**< from a source not taken      */
	struct flow flow[2];		/**< media, RTCP                  */
};

int  port_open(struct port **pp, struct medium *m, bool rtcp,
	       unsigned ifidx, uint16_t num);
/** Stop and start to listen on the calling worker (moving) */
void port_detach(struct port *p);
int  port_attach(struct port *p, struct mworker *w);
/** The far side was signalled: learn again */
void port_remote(struct port *p, const struct sa *sa);
/** What this side offered was answered: a likelier source may still come */
void port_answered(struct port *p);
void flow_resolve(struct mworker *w, struct flow *f);
uint64_t media_now_us(void);

/* session.c */

/** An m= line of a party */
struct medium {
	struct party *p;
	unsigned idx;
	char type[16];
	char proto[32];
	char codec[32];
	struct port *rtp;		/**< owned; NULL: rejected        */
	struct port *rtcp;		/**< owned; NULL: not RTP         */
	bool is_rtp;
	bool mux;			/**< RTCP on the RTP port         */
	bool mux_offered;		/**< by this party                */
	bool mux_asked;			/**< of this party                */
	bool hold;
	bool off;			/**< an answer refused this line  */
	bool strict, asymmetric, handover;
	enum sdpx_dir dir;
	struct emodel em;
	uint16_t rate[128];		/**< clock rates / 100            */
	uint32_t sr_mid;		/**< SR that went to this party   */
	uint64_t sr_us;
	uint32_t rtt_us;
};

struct party {
	struct le le;
	struct session *s;
	struct party *peer;		/**< its edge out: who hears it   */
	char *tag;			/**< "" until answered            */
	char *aliasv[ALIAS_MAX];	/**< earlier tags of this leg     */
	unsigned aliasc;
	char *branch;			/**< via-branch or NULL           */
	unsigned ifidx;
	uint64_t created;		/**< s since 1970                 */
	struct medium *mediav[SDPX_MEDIA_MAX]; /**< owned             */
};

struct session {
	struct le he;
	struct le le;
	struct mworker *w;
	char *callid;
	char *sid;			/**< Session-ID or NULL           */
	struct list partyl;
	unsigned partyc;
	uint64_t created_us;		/**< wall clock                   */
	uint64_t signal_us;		/**< monotonic                    */
	uint64_t signal;		/**< s since 1970                 */
	bool answered;
};

struct session *session_find(struct mworker *w, const struct pl *callid);
int  session_alloc(struct session **sp, struct mworker *w,
		   const struct pl *callid);
/** Log, count, free.  why: "delete", "timeout", "stop" */
void session_end(struct session *s, const char *why);
/** Join what is here, fetch or follow what is on another worker */
void session_regroup(struct session *s);
void session_move(struct session *s, unsigned target);
void session_flush(struct mworker *w);
/** After its m= lines or addresses changed */
void session_touch(struct session *s);

struct party *party_find(const struct session *s, const struct pl *tag);
int  party_alloc(struct party **pp, struct session *s, const struct pl *tag,
		 const struct pl *branch);
int  party_tag(struct party *p, const struct pl *tag);
/** Ports for an m= line, if it has none yet.  ENOSPC: none left */
int  medium_open(struct party *p, unsigned idx, bool is_rtp);
void medium_close(struct party *p, unsigned idx);
struct medium *medium_peer(const struct medium *m);

/* offer.c, report.c: NG commands on a worker; the error-reason, or NULL */

typedef const char *(media_cmd_h)(struct mworker *w,
				  const struct ng_val *in,
				  struct ng_tree *out);

media_cmd_h media_offer;
media_cmd_h media_answer;
media_cmd_h media_delete;
media_cmd_h media_query;

/* report.c */
void session_report(const struct session *s, struct ng_tree *t);

/* rows.c */
void session_log(const struct session *s, const char *why);
struct ctl_req;
void media_ctl_sessions(struct ctl_req *req, int argc,
			const char *const *argv, void *arg);

/* ng_server.c */
struct ng_server;
int  ng_server_alloc(struct ng_server **np, struct media *md,
		     char *why, size_t whysz);

#endif
