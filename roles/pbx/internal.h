/**
 * @file roles/pbx/internal.h  What the files of the role share
 *
 * Ownership: pbx -> agent (one per worker) -> call -> channel, bridge, play.
 * All of an agent lives on its worker.
 */

#include "bus/bus.h"	/* an enum and an array of structs of these */
#include "ctl/ctl.h"	/* stand in declarations below */

struct agent;
struct call;
struct play;

enum {
	NODES_MAX   = 32,	/* sip nodes                               */
	AUDIO_MAX   = 8,	/* audio workers                           */
	NUMBER_SIZE = 128,	/* user part that we take                  */
	CALLID_SIZE = 256,	/* longest Call-ID that we take            */
	KEY_SIZE    = 16,	/* sipcore's owner key                     */
	DEADLINE    = 5000,	/* ms, of a store request                  */
};

/* conf.c ------------------------------------------------------------------*/

enum ext_app { EXT_NONE = 0, EXT_ECHO, EXT_MILLIWATT };
enum ext_calls { EXT_CALLS_ALL = 0, EXT_CALLS_NONE };

/** extensions: one element */
struct ext {
	char *number;		/**< key of the map */
	char *name;
	int app;		/**< enum ext_app   */
	int calls;		/**< enum ext_calls: which it may make */
};

/** pbx: as the file has it */
struct pbx_section {
	struct cfg_list listen;		/**< struct cfg_addr */
	struct cfg_list proxy;		/**< struct cfg_addr */
	struct cfg_ports ports;
	char *rtp_address;
	uint64_t rtp_timeout;		/**< ms */
	uint64_t ring_timeout;		/**< ms */
	uint64_t max_duration;		/**< ms */
	int64_t max_calls;
	int64_t workers;
	int64_t audio_workers;
	uint64_t probe_interval;	/**< ms */
};

/** What a worker goes by; a value, replaced whole on reload */
struct conf {
	const struct cfg *cfg;
	const struct pbx_section *sec;
	const struct ext *extv;
	size_t extc;
	struct cfg_addr nodev[NODES_MAX];	/**< sip nodes */
	size_t nodec;
	struct sa rtp;
};

extern const struct cfg_section conf_pbx_section;
extern const struct cfg_section conf_extensions_section;

int  conf_init(struct conf *conf, const struct cfg *cfg,
	       char *why, size_t whysz);
size_t conf_listen(struct cfg_addr *v, size_t max, const struct cfg *cfg);
const struct cfg_addr *conf_node(const struct conf *conf,
				 const struct sipcore_flow *flow);

/* dialplan.c --------------------------------------------------------------*/

enum dial_verdict {
	DIAL_EXTENSION = 0,	/**< to the sip node                  */
	DIAL_ECHO,
	DIAL_MILLIWATT,
	DIAL_FORBIDDEN,		/**< the caller may make no calls     */
	DIAL_BAD,		/**< no number                        */
};

struct dial {
	enum dial_verdict verdict;
	char number[NUMBER_SIZE];	/**< unescaped                */
	char caller[NUMBER_SIZE];
	char *ruri;			/**< sip:user@domain          */
};

int  dialplan_find(struct dial *d, const struct conf *conf,
		   const struct sipcore_msg *msg);
const char *dialplan_verdict_name(enum dial_verdict v);

/* role.c ------------------------------------------------------------------*/

/** The process's own; constant after start, but for what is atomic */
struct pbx {
	const struct role_env *env;
	struct sipcore_net *net;
	struct store *dialogs;		/**< STORE_PBX */
	struct store *cdrs;		/**< STORE_CDR */
	struct cdr_writer *writer;
	struct agent **agentv;
	unsigned agentc;
	struct worker *audiov[AUDIO_MAX];
	unsigned audioc;
	bool served;			/**< workers have seen the agents */
	_Atomic unsigned calls;
	_Atomic bool draining;
	role_drained_h *drainedh;	/**< control loop's */
	void *drained_arg;
};

/** A call ended: drained perhaps.  Any worker */
void role_call_ended(struct pbx *pbx);
/** Control loop: false once the role is being stopped */
bool role_is_open(void);

/* agent.c -----------------------------------------------------------------*/

/** The PBX on one worker */
struct agent {
	struct pbx *pbx;		/**< up */
	unsigned idx;
	struct conf conf;
	struct sipcore *core;
	struct sipua *ua;
	struct bus *bus;
	struct list calls;
	uint64_t refused_jfs;		/**< when it was logged last */
	unsigned refused;		/**< since then */
};

int  agent_alloc(struct agent **agp, struct pbx *pbx, unsigned idx,
		 const struct conf *conf);
struct agent *agent_self(void);
int  agent_serve(struct agent *ag);
void agent_close(struct agent *ag);

/* channel.c ---------------------------------------------------------------*/

/** Why a channel ended, as the CDR says it */
struct chan_end {
	const char *hangup;	/**< "caller", "callee", "cancel", ... */
	uint16_t code;
};

/** One leg: its session, its CDR, its events */
struct channel {
	struct call *call;		/**< up */
	bool caller;			/**< the A leg */
	char id[CALLID_SIZE];		/**< Call-ID */
	struct sipua_sess *sess;
	struct cdr *cdr;
	uint64_t time_us;
	uint64_t answer_us;
	uint16_t code;			/**< final status, 0: none yet */
	bool late;			/**< its last INVITE had no offer */
	struct list fwdl;		/**< INFO and MESSAGE under way */
	struct sipcore_ctrans *probe;	/**< OPTIONS under way */
};

/** INFO or MESSAGE on its way through */
struct chan_fwd {
	struct le le;
	struct sipcore_strans *st;
	struct sipcore_ctrans *ct;
};

int  channel_cdr_open(struct channel *ch, const char *caller,
		      const char *callee, const char *src_ip,
		      const char *dst_ip, cdr_done_h *h, void *arg);
void channel_answered(struct channel *ch, const struct pl *sdp);
void channel_cdr_close(struct channel *ch, const struct chan_end *end,
		       cdr_done_h *h, void *arg);
void channel_forward(struct channel *from, struct channel *to,
		     struct sipcore_strans *st,
		     const struct sipcore_msg *msg);
void channel_close(struct channel *ch);

/* event.c -----------------------------------------------------------------*/

void event_channel(const struct channel *ch, const char *state);
void event_bridge(const struct call *call, const char *state);
void event_play(const struct call *call, const char *state);
void event_call(const struct channel *ch, enum bus_kind kind);

/* call.c ------------------------------------------------------------------*/

enum call_state {
	CALL_OPENING = 0,	/**< CDRs are being opened */
	CALL_RINGING,
	CALL_UP,
	CALL_ENDING,
};

struct call {
	struct le le;
	struct agent *ag;		/**< up */
	enum call_state state;
	char id[17];
	char sid[33];
	struct dial dial;
	struct channel a, b;
	bool bridged;			/**< has a B leg */
	bool modify_late;		/**< modify under way had no offer */
	struct sipcore_msg *invite;	/**< A's, until B's is out */
	struct play *play;
	struct tmr tmr;			/**< ring, then duration, then end */
	struct tmr tmr_probe;
	unsigned cdr_wait;		/**< opens or closes awaited */
	/* what A gets when its INVITE fails */
	uint16_t code;
	char *reason;
	char *hdrs;
	/* keep.c */
	char *keep_id;			/**< row in the store, or NULL */
	struct store_req *keep_req;
	bool keep_dirty;
	bool restored;
};

void call_incoming(struct agent *ag, struct sipcore_strans *st,
		   struct sipcore_msg *msg);
int  call_alloc(struct call **callp, struct agent *ag);
void call_up(struct call *call);
void call_max_duration(struct call *call);
void call_fail(struct call *call, uint16_t code, const char *reason,
	       const char *hdrs, const char *hangup);
void call_end(struct call *call, const struct chan_end *a,
	      const struct chan_end *b);
const char *call_state_name(enum call_state state);
uint64_t call_duration(const struct call *call);

/* bridge.c ----------------------------------------------------------------*/

extern const struct sipua_handlers bridge_a_handlers, bridge_b_handlers;

int  bridge_dial(struct call *call);
void bridge_closed(struct channel *ch, enum sipua_end end,
		   const struct sipcore_msg *msg);

/* play/play.c --------------------------------------------------------------*/

extern const struct sipua_handlers play_handlers;

int  play_start(struct call *call);
int  play_restore(struct call *call, uint16_t port);
uint16_t play_port(const struct play *p);

/* play/track.c: on the audio worker ----------------------------------------*/

/** What an endpoint sends, and where: a value */
struct track_conf {
	uint64_t id;
	struct worker *owner;	/**< gets dead(), on its thread  */
	worker_h *deadh;	/**< arg: uint64_t id, to be dropped */
	int fd;			/**< >= 0 with the first; owned  */
	bool tone;		/**< milliwatt; else echo        */
	bool send, recv;	/**< by the direction agreed     */
	uint8_t pt;
	bool alaw;
	struct sa remote;
	uint64_t timeout;	/**< ms without RTP; 0: none     */
};

int  track_init(void);
int  track_socket(int *fdp, uint16_t *portp, const struct sa *addr,
		  const struct cfg_ports *ports, uint16_t port);
int  track_set(struct worker *audio, const struct track_conf *tc);
void track_stop(struct worker *audio, uint64_t id);
int  track_worker_init(void *arg);
void track_worker_stop(void *arg);

/* keep/keep.c --------------------------------------------------------------*/

/* A row: u8 version, u8 flags, u8 verdict, u16 RTP port, then as u16 length
   and bytes: call, caller, number; A's session, B's if there is one */
enum {
	KEEP_V       = 1,
	KEEP_BRIDGED = 1 << 0,
};

void keep_put(struct call *call);
void keep_del(struct call *call);
void keep_close(struct call *call);
void keep_gone_handler(int err, void *arg);
int  keep_key(uint8_t key[KEY_SIZE], const char *dir,
	      char *why, size_t whysz);

/* keep/restore.c -----------------------------------------------------------*/

void restore_probe(struct call *call, bool soon);
int  restore_start(struct pbx *pbx, char *why, size_t whysz);

/* show.c ------------------------------------------------------------------*/

enum { SHOW_CMDC = 3 };
extern const struct ctl_cmd show_cmdv[SHOW_CMDC];

extern struct metric show_calls, show_calls_total, show_refused,
	show_restored, show_play;
int  show_status(void *state, struct odict *od);
void show_init(void);
