/**
 * @file sdpx.h  Reading and rewriting SDP (RFC 8866, RFC 3264)
 *
 * Reading makes a struct of views into the body; rewriting copies every line
 * that it was not asked to change byte for byte.  Nothing is allocated.
 */

#ifndef VOIPSTACK_SDPX_H
#define VOIPSTACK_SDPX_H

enum {
	SDPX_SIZE_MAX  = 32768,	/**< longest body                            */
	SDPX_MEDIA_MAX = 16,	/**< m= lines                                */
	SDPX_CODEC_MAX = 64,	/**< formats of one m= line                  */
};

/** Bits, so that RFC 3264 6.1 is an "and" of one side with the other's
    reverse */
enum sdpx_dir {
	SDPX_INACTIVE = 0,
	SDPX_SENDONLY = 1,
	SDPX_RECVONLY = 2,
	SDPX_SENDRECV = 3,
};

struct sdpx_media {
	struct pl block;	/**< from "m=" to the next "m=" or the end   */
	struct pl type;		/**< "audio", "video", "image", ...          */
	struct pl proto;	/**< "RTP/AVP", "udptl", ...                 */
	struct pl fmts;		/**< "0 8 101"                               */
	struct pl conn;		/**< own c= line's value, unset: session's   */
	struct pl mid;
	struct sa rtp;		/**< where it is to be sent; unset if the
				     address is a name; port 0: rejected     */
	struct sa rtcp;		/**< a=rtcp (RFC 3605), or port + 1          */
	enum sdpx_dir dir;	/**< own or session's, else sendrecv         */
	uint32_t ptime;		/**< ms, 0: not given                        */
	bool is_rtp;		/**< proto is an RTP profile                 */
	bool rejected;		/**< port 0 (and not bundled)                */
	bool hold;		/**< c= 0.0.0.0, or sendonly or inactive     */
	bool rtcp_mux;		/**< RFC 5761                                */
	bool rtcp_attr;		/**< has a=rtcp                              */
	bool ice;		/**< has candidates or own ufrag             */
	bool crypto;		/**< has a=crypto                            */
	bool fingerprint;	/**< has a=fingerprint, own or session's     */
};

struct sdpx {
	struct pl body;
	struct pl origin;	/**< value of o=                             */
	struct pl conn;		/**< value of the session's c=, or unset     */
	struct pl bundle;	/**< value of a=group:BUNDLE, or unset       */
	enum sdpx_dir dir;
	bool ice_lite;
	size_t mediac;
	struct sdpx_media mediav[SDPX_MEDIA_MAX];
};

/* read.c */

/**
 * Read a body.  CRLF and bare LF lines are taken; what is unknown is passed
 * over.
 *
 * @return 0, EBADMSG: no SDP (no v=, a bad m= or c= line), EOVERFLOW: a limit
 */
int sdpx_decode(struct sdpx *s, const char *p, size_t n);

/** Value of the attribute "a=name" or "a=name:value" in an m= block (m NULL:
    of the session part); the idx-th of them.  false if none */
bool sdpx_attr(const struct sdpx *s, const struct sdpx_media *m,
	       const char *name, size_t idx, struct pl *val);

/** What to call the direction; and the direction seen from the other end */
const char *sdpx_dir_name(enum sdpx_dir dir);
enum sdpx_dir sdpx_dir_reverse(enum sdpx_dir dir);

/** First m= line of this type that is not rejected, NULL if none */
const struct sdpx_media *sdpx_find(const struct sdpx *s, const char *type);

/* codec.c */

/** A format of an RTP m= line: from a=rtpmap or RFC 3551's static table */
struct sdpx_codec {
	uint8_t pt;
	struct pl name;		/**< "PCMU"                                  */
	uint32_t srate;
	uint8_t ch;
	struct pl fmtp;		/**< parameters, or unset                    */
};

/** Codecs of an m= line in order of preference; returns how many (<= max) */
size_t sdpx_codecs(const struct sdpx_media *m, struct sdpx_codec *codecv,
		   size_t max);
/** Same encoding: name without case, rate, channels */
bool sdpx_codec_same(const struct sdpx_codec *a, const struct sdpx_codec *b);

/* rewrite.c */

enum sdpx_mux {
	SDPX_MUX_KEEP = 0,
	SDPX_MUX_ON,		/**< a=rtcp-mux is there                     */
	SDPX_MUX_OFF,		/**< ... is not                              */
};

struct sdpx_media_edit {
	struct sa addr;		/**< new address and port of m= and c=; unset:
				     leave; port 0: rejected                 */
	uint16_t rtcp;		/**< new a=rtcp port; 0: remove a=rtcp       */
	enum sdpx_mux mux;
	const char *proto;	/**< new profile, or NULL                    */
};

struct sdpx_edit {
	struct sa conn;		/**< for the session's c=, if it has one;
				     unset: leave                            */
	struct sa origin;	/**< new address in o=; unset: leave         */
	bool ice_remove;	/**< candidates, ufrag, pwd, ice-lite, ...   */
	bool keep_hold;		/**< leave a c= of 0.0.0.0 (RFC 2543 hold)   */
	struct sdpx_media_edit mediav[SDPX_MEDIA_MAX];
};

/** Write the body with these edits */
int sdpx_rewrite(struct mbuf *mb, const struct sdpx *s,
		 const struct sdpx_edit *e);

/** Write the body with its origin's version raised by one and, for every m=
    line, this direction (a PBX that holds): nothing else changes */
int sdpx_set_dir(struct mbuf *mb, const struct sdpx *s, enum sdpx_dir dir);

/* make.c: a small offer and answer of our own, for audio */

struct sdpx_local {
	uint64_t sess_id;	/**< o= line: id and version                 */
	uint64_t sess_ver;
	struct sa addr;		/**< where we take RTP                       */
	enum sdpx_dir dir;	/**< what we want to do                      */
	uint32_t ptime;		/**< ms, 0: 20                               */
	const struct sdpx_codec *codecv; /**< what we can do, best first     */
	size_t codecc;
	int te_pt;		/**< telephone-event (RFC 4733): payload type
				     for an offer; <0: not offered           */
};

/** What an answer has settled */
struct sdpx_choice {
	bool ok;		/**< an audio m= line was accepted           */
	size_t idx;		/**< its index                               */
	struct sdpx_codec codec; /**< with the offer's payload type          */
	int te_pt;		/**< telephone-event, <0: none               */
	uint32_t ptime;
	enum sdpx_dir dir;	/**< ours: what we may do                    */
	struct sa rtp, rtcp;	/**< the peer's                              */
	bool rtcp_mux;
};

/** PCMU, PCMA */
extern const struct sdpx_codec sdpx_g711[2];

int sdpx_make_offer(struct mbuf *mb, const struct sdpx_local *l);

/**
 * Answer an offer: the first audio line with a codec in common is taken, all
 * other lines are rejected (RFC 3264 6).  Without any, ENOTSUP is returned
 * (488) and nothing written.
 */
int sdpx_make_answer(struct mbuf *mb, const struct sdpx *offer,
		     const struct sdpx_local *l, struct sdpx_choice *choice);

/** Read the answer to an offer of sdpx_make_offer() */
int sdpx_read_answer(const struct sdpx *answer, const struct sdpx_local *l,
		     struct sdpx_choice *choice);

#endif
