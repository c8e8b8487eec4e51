/**
 * @file sipcore/internal.h  What the files of this folder share
 */

#include <pthread.h>

struct sipcore_lim {
	size_t size;		/* bytes of a message */
	unsigned hdrs;		/* header fields of a message */
};

/* msg/name.c */
enum sipcore_hdrid sipcore_name_hdrid(const struct pl *name);
enum sipcore_method sipcore_name_method(const struct pl *name);
enum cfg_proto sipcore_name_proto(const struct pl *name);
const char *sipcore_proto_name(enum cfg_proto proto);

/* msg/text.c: the grammar's small change */
bool sipcore_is_ws(char c);
bool sipcore_is_token(const struct pl *pl);
void sipcore_trim(struct pl *pl);
int  sipcore_u32(const struct pl *pl, uint32_t *v);

/* msg/msg.c */

/** Position in a stream: reset (zeroed) after each message */
struct sipcore_frame {
	size_t scan;		/* bytes looked at already */
	size_t hlen;		/* header section with its blank line, or 0 */
	size_t total;		/* whole message, valid when hlen is set */
};

enum {
	SIPCORE_STREAM = 1 << 0,	/* Content-Length is needed */
	SIPCORE_LARGE  = 1 << 1,	/* only the headers: answer 513 */
};

int sipcore_msg_read(struct sipcore_msg **msgp, const uint8_t *p, size_t n,
		     unsigned flags, const struct sipcore_lim *lim,
		     const struct sa *src);

/* msg/uri.c */
int sipcore_host_take(struct pl *pl, struct pl *host, int *af);
int sipcore_port_take(struct pl *pl, uint16_t *port);

/* msg/startline.c */
int  sipcore_startline(struct sipcore_msg *msg);
void sipcore_malformed(struct sipcore_msg *msg, uint16_t code,
		       const char *what);

/* msg/frame.c */
int    sipcore_frame(struct sipcore_frame *fr, const uint8_t *p, size_t n);
size_t sipcore_leading_crlf(const uint8_t *p, size_t n);
size_t sipcore_header_len(const uint8_t *p, size_t n);
size_t sipcore_count_lines(const uint8_t *p, size_t n);
bool   sipcore_has_stray(const char *p, size_t n);
void   sipcore_sid(struct sipcore_msg *msg);
bool   sipcore_scan(const uint8_t *p, size_t n, enum sipcore_hdrid id,
		    struct pl *val);

/* table.c: keyed hash; slots that are known by number and generation */
struct sipcore_slots {
	struct sipcore_slot {
		void *p;
		uint32_t gen;
		uint32_t next;		/* free list */
	} *v;
	uint32_t size, used, max, free;
};

uint64_t sipcore_siphash(const uint8_t key[16], const void *p, size_t n);
void  sipcore_slots_init(struct sipcore_slots *sl, uint32_t max);
int   sipcore_slots_add(struct sipcore_slots *sl, void *p, uint32_t *slot,
			uint32_t *gen);
void  sipcore_slots_del(struct sipcore_slots *sl, uint32_t slot);
void *sipcore_slots_get(const struct sipcore_slots *sl, uint32_t slot,
			uint32_t gen);

/* A name of a transaction or connection: worker, slot, generation */
enum { SIPCORE_SLOT_MAX = 0xffffff };

static inline uint64_t sipcore_id(unsigned worker, uint32_t slot, uint32_t gen)
{
	return (uint64_t)(worker + 1) << 56 | (uint64_t)slot << 32 | gen;
}

static inline unsigned sipcore_id_worker(uint64_t id)
{
	return (unsigned)(id >> 56) - 1;
}

static inline uint32_t sipcore_id_slot(uint64_t id)
{
	return id >> 32 & SIPCORE_SLOT_MAX;
}

/* Bytes that are kept: one small block */
struct sipcore_octets {
	size_t n;
	uint8_t v[];
};

struct sipcore_octets *sipcore_octets_dup(const void *p, size_t n);

/* net/net.c */
struct sipcore_listener {
	enum cfg_proto proto;
	struct sa sa;
	bool any;		/* wildcard address */
	int *fdv;		/* one socket per worker */
};

/* Shared by all workers: constant, but for seat[] */
struct sipcore_net {
	struct sipcore_listener *lv;
	size_t lc;
	struct sa *ifv;		/* addresses of this machine */
	size_t ifc;
	char *software;
	struct sipcore_limits lim;
	struct sipcore_lim msglim;
	uint8_t key[16];	/* of all hashes and MACs */
	uint8_t owner_key[16];	/* of sipcore_owner() */
	unsigned workers;
	struct sipcore_seat {
		struct worker *w;	/* under lock */
		struct sipcore *core;	/* that worker's own */
		unsigned queued;	/* atomic: values on their way to it */
	} *seatv;
	pthread_mutex_t lock;
};

enum sipcore_cross_kind {
	SIPCORE_CROSS_RX = 0,	/* a message for the worker that owns it */
	SIPCORE_CROSS_TX,	/* bytes for a connection of that worker */
	SIPCORE_CROSS_ERR,	/* a transaction's bytes were not sent */
};

/* What crosses between workers: a plain block */
struct sipcore_cross {
	struct sipcore_net *net;
	unsigned idx;
	enum sipcore_cross_kind kind;
	unsigned flags;
	struct sipcore_flow flow;
	struct sa fallback;
	uint64_t ct;
	int err;
	size_t n;
	uint8_t v[];
};

int sipcore_cross(struct sipcore_net *net, unsigned idx,
		  const struct sipcore_cross *head, const uint8_t *p,
		  size_t n);

/* core.c */
typedef bool (sipcore_drop_h)(bool tx, const uint8_t *p, size_t n, void *arg);

enum {
	SIPCORE_RXBUF   = 65536,
	SIPCORE_SRCS    = 64,
	SIPCORE_VIA_MAX = 192,
};

struct sipcore {
	struct sipcore_net *net;	/* borrowed, lives longer */
	unsigned idx;
	sipcore_request_h *reqh;
	sipcore_stray_h *strayh;
	void *arg;
	sipcore_trace_h *traceh;
	void *trace_arg;
	sipcore_drop_h *droph;		/* tests lose messages with it */
	void *drop_arg;
	bool drain;
	uint8_t *rxbuf;
	struct sipcore_sock {
		struct sipcore *core;
		const struct sipcore_listener *l;
		struct tmr tmr;		/* accept again */
		int fd;
	} *sockv;
	struct hash *ht_strans;
	struct hash *ht_conns;		/* by address */
	struct list dyingl;		/* connections that have failed */
	struct sipcore_slots ctrans;
	struct sipcore_slots conns;
	uint32_t stateless;
	struct sipcore_src {		/* our address towards another */
		struct sa dst, src;
		uint64_t expires;
	} srcv[SIPCORE_SRCS];
	struct sipcore_stats stats;
	struct sipcore_stats published;
	struct tmr tmr_stats;
};

void sipcore_rx(struct sipcore *core, const struct sipcore_flow *flow,
		const uint8_t *p, size_t n, unsigned flags);
int  sipcore_process(struct sipcore *core, const struct sipcore_flow *flow,
		     const uint8_t *p, size_t n, unsigned flags);
void sipcore_cross_here(struct sipcore *core, struct sipcore_cross *cr);

/* net/send.c */
int  sipcore_tx(struct sipcore *core, struct sipcore_flow *flow,
		const struct sa *fallback, const uint8_t *p, size_t n,
		uint64_t ct);
int  sipcore_pick(struct sipcore *core, const struct sipcore_flow *to);
int  sipcore_with_via(struct sipcore_octets **ocp, struct sipcore *core,
		      const struct sipcore_flow *to, uint64_t id,
		      const uint8_t *p, size_t n);
bool sipcore_branch_id(const struct sipcore_net *net, const struct pl *branch,
		       uint64_t *id);
void sipcore_reply_flow(const struct sipcore_msg *msg,
			struct sipcore_flow *flow, struct sa *fallback);

/* net/udp.c */
int sipcore_udp_bind(int *fdp, const struct sa *sa, bool share);
int sipcore_udp_start(struct sipcore_sock *sock);
int sipcore_udp_send(struct sipcore_sock *sock, const struct sa *dst,
		     const uint8_t *p, size_t n);

/* net/tcp.c, net/conn.c */
struct sipcore_conn;

int  sipcore_tcp_bind(int *fdp, const struct sa *sa, bool share);
int  sipcore_tcp_start(struct sipcore_sock *sock);
int  sipcore_tcp_send(struct sipcore *core, struct sipcore_flow *flow,
		      const struct sa *fallback, const uint8_t *p, size_t n,
		      uint64_t ct);
int  sipcore_conn_accepted(struct sipcore *core, int fd,
			   const struct sipcore_listener *l,
			   const struct sa *peer);
void sipcore_conn_flush(struct sipcore *core);

/* stats.c */
void sipcore_stats_register(void);
void sipcore_stats_start(struct sipcore *core);
void sipcore_stats_stop(struct sipcore *core);

/* reply.c */
int  sipcore_reply_print(struct mbuf *mb, const struct sipcore_msg *req,
			 const struct sipcore_net *net, uint16_t code,
			 const char *reason, const char *tag,
			 const char *fmt, va_list ap);
void sipcore_reply_stateless(struct sipcore *core,
			     const struct sipcore_msg *msg, uint16_t code,
			     const char *reason, const char *fmt, ...);
void sipcore_tag(const struct sipcore_net *net, const struct sipcore_msg *req,
		 char tag[17]);

/* strans.c */
int  sipcore_strans_start(struct sipcore *core);
void sipcore_strans_flush(struct sipcore *core);
void sipcore_strans_request(struct sipcore *core, struct sipcore_msg *msg);

/* ctrans.c */
bool sipcore_ctrans_response(struct sipcore *core, struct sipcore_msg *msg);
void sipcore_ctrans_error(struct sipcore *core, uint64_t id, int err);
void sipcore_ctrans_flush(struct sipcore *core);
