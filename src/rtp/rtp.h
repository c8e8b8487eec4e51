/**
 * @file src/rtp/rtp.h  RTP packets, their statistics, the E-model
 *
 * Everything here is a value: no memory, no clock, no lock, so that a relay
 * can use it once per packet.
 */

#ifndef VOIPSTACK_RTP_H
#define VOIPSTACK_RTP_H

enum {
	RPKT_HDR = 12,		/**< fixed RTP header                     */
	RCTL_BLOCKS_MAX = 31,	/**< report blocks of one SR or RR        */
};

/* packet.c */

/** What a datagram on a media port is (RFC 7983 7, RFC 5761 4) */
enum rpkt_kind {
	RPKT_RTP = 0,
	RPKT_RTCP,
	RPKT_STUN,
	RPKT_ZRTP,
	RPKT_DTLS,
	RPKT_TURN,		/**< channel data                         */
	RPKT_UNKNOWN,
};

enum rpkt_kind rpkt_kind(const uint8_t *p, size_t n);
const char *rpkt_kind_name(enum rpkt_kind kind);

struct rpkt {
	uint8_t pt;
	bool marker;
	uint16_t seq;
	uint32_t ts;
	uint32_t ssrc;
	size_t hdr;		/**< offset of the payload                */
	size_t len;		/**< of the payload, without padding      */
};

/** RFC 3550 5.1, 5.3.1 and A.1.  EBADMSG: not RTP version 2, or short */
int rpkt_decode(struct rpkt *h, const uint8_t *p, size_t n);

struct rctl_block {
	uint32_t ssrc;
	uint8_t fraction;	/**< lost, of 256                         */
	int32_t lost;		/**< cumulative                           */
	uint32_t seq;		/**< extended highest                     */
	uint32_t jitter;	/**< in units of the clock rate           */
	uint32_t lsr;
	uint32_t dlsr;		/**< 1/65536 s                            */
};

struct rctl {
	bool sr;		/**< sender report, else receiver report  */
	uint32_t ssrc;
	uint32_t ntp_mid;	/**< SR: as it comes back in an LSR       */
	uint32_t packets, bytes; /**< SR: sender's counts                 */
	size_t blockc;
	struct rctl_block blockv[RCTL_BLOCKS_MAX];
};

/** Read the first packet of a compound RTCP datagram, whose every length is
    checked (RFC 3550 6.4, A.2).  ENOENT: sound, but neither SR nor RR */
int rctl_decode(struct rctl *r, const uint8_t *p, size_t n);

/** Round trip in microseconds from an LSR that was seen leaving at sent_us
    and came back at now_us (RFC 3550 6.4.1); 0 if it makes no sense */
uint32_t rctl_rtt(const struct rctl_block *b, uint64_t sent_us,
		  uint64_t now_us);

/* stat.c */

/** Statistics of one direction */
struct rstat {
	uint64_t packets;
	uint64_t bytes;		/**< whole datagrams                      */
	uint64_t dup;		/**< same sequence number again           */
	uint64_t reorder;	/**< came after a later one               */
	uint64_t lost_before;	/**< of earlier sources (SSRC changes)    */
	uint64_t expected_before;
	uint64_t dup_before;	/**< dup when this source began           */
	uint64_t source_packets; /**< of this source                      */
	uint32_t ssrc;
	uint32_t sources;	/**< SSRCs or restarts seen               */
	uint32_t base_seq;
	uint32_t cycles;	/**< shifted, as in RFC 3550 A.1          */
	uint32_t bad_seq;
	uint32_t transit;
	uint32_t jitter16;	/**< times 16, in units of the clock      */
	uint32_t srate;
	uint32_t last_ts;
	uint64_t window;	/**< bit i: max_seq - i was seen          */
	uint16_t max_seq;
	uint8_t pt;
	bool begun;
};

/** A packet came; srate: clock rate of its payload type, 0: 8000 */
void rstat_rtp(struct rstat *st, const struct rpkt *h, size_t bytes,
	       uint64_t now_us, uint32_t srate);
/** Datagrams that are not RTP: only counted */
void rstat_other(struct rstat *st, size_t bytes);

uint64_t rstat_expected(const struct rstat *st);
uint64_t rstat_lost(const struct rstat *st);	/**< 0 with duplicates */
double   rstat_loss_pct(const struct rstat *st);
uint32_t rstat_jitter_us(const struct rstat *st);

/* emodel.c: ITU-T G.107 (06/2015), G.113 appendix I */

/** A codec's equipment impairment and robustness */
struct emodel {
	double ie;
	double bpl;
};

/** By encoding name; PCMU's if it is not known */
struct emodel emodel_codec(const struct pl *name);
/** Rating R; loss in percent (random), delay: mouth to ear in ms */
double emodel_r(const struct emodel *m, double loss_pct, double delay_ms);
/** G.107 annex B: R to MOS, 1..4.5 */
double emodel_mos(double r);
/** MOS of a direction: delay is half the round trip (0: unknown), a jitter
    buffer of twice the jitter, and one packet of 20 ms.  0 without packets */
double emodel_stat(const struct rstat *st, const struct emodel *m,
		   uint32_t rtt_us);

#endif
