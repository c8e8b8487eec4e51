/**
 * @file bus_event.h  What an event of each kind says
 *
 * All strings are borrowed for the time of bus_publish() and never NULL for
 * a subscriber's sake: use "" for what is not known.  Times are wall clock,
 * microseconds since 1970, 0 for never.
 */

#ifndef VOIPSTACK_BUS_EVENT_H
#define VOIPSTACK_BUS_EVENT_H

/** BUS_CALL_START, BUS_CALL_ANSWER, BUS_CALL_END: a leg, as ADR-007's CDR */
struct bus_call {
	uint64_t time_us;	/**< when the INVITE came               */
	const char *call_id;	/**< Call-ID of the leg                 */
	const char *linked_id;	/**< Session-ID (RFC 7989) of the call  */
	const char *caller;
	const char *callee;
	uint64_t answer_us;
	uint64_t end_us;	/**< 0 but in BUS_CALL_END              */
	const char *disposition; /**< ANSWERED, NO ANSWER, BUSY, FAILED */
	uint16_t sip_code;	/**< final status, 0 while open         */
	const char *codec;
	const char *src_ip;
	const char *dst_ip;
	const char *hangup;	/**< "caller", "callee", "timeout", ... */
	const char *node;
};

/** BUS_REG_ADD, BUS_REG_DEL: a binding came, was refreshed, or went */
struct bus_reg {
	const char *aor;	/**< user@domain                        */
	const char *contact;	/**< Contact URI                        */
	const char *received;	/**< "udp:192.0.2.1:5060"               */
	const char *user_agent;
	uint64_t expires;	/**< seconds since 1970                 */
	const char *why;	/**< of BUS_REG_DEL: "expired", "removed" */
};

/** BUS_MEDIA_START, BUS_MEDIA_END: a session of the media role */
struct bus_media {
	uint64_t time_us;
	const char *call_id;	/**< NG call-id                         */
	const char *linked_id;	/**< Session-ID                         */
	uint64_t packets;	/**< relayed; of BUS_MEDIA_END          */
	uint64_t bytes;
	const char *why;	/**< of BUS_MEDIA_END: "delete", "timeout" */
};

/** BUS_CHANNEL, BUS_BRIDGE, BUS_PLAYBACK: an object of the PBX changed */
struct bus_object {
	uint64_t time_us;
	const char *id;		/**< channel: Call-ID; else as call     */
	const char *state;	/**< what it is now: see enum bus_kind  */
	const char *call;	/**< the call that it belongs to        */
	const char *linked_id;	/**< Session-ID                         */
	const char *caller;
	const char *callee;
};

#endif
