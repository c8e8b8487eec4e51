/**
 * @file roles/pbx/play/track.c  An RTP endpoint on an audio worker (RFC 3550)
 *
 *   signalling worker: track_set(), track_stop() --values--> audio worker
 *   audio worker: RTP in -> echo: RTP out; every 20 ms: tone out;
 *                 nothing in for timeout -> dead() on the owner's worker
 *
 * Echo sends back what it gets, payload, type and marker untouched, with an
 * SSRC of its own; sequence and timestamp are the peer's, shifted, so that
 * loss, order and events (RFC 4733) stay what they are.
 */
#include <errno.h>
#include <math.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <re.h>
#include <rem.h>
#include "log/log.h"
#include "metric/metric.h"
#include "worker/worker.h"
#include "cfg/cfg.h"
#include "role.h"
#include "store/store.h"
#include "cdr/cdr.h"
#include "sipcore/sipcore.h"
#include "sipua/sipua.h"
#include "pbx/internal.h"


enum {
	PTIME       = 20,	/* ms */
	SAMPLES     = 160,
	RTP_HEAD    = 12,
	PACKET_MAX  = 1500,
	BURST       = 32,	/* packets read at once */
	TONE_PERIOD = 2000,	/* 251 waves of 1004 Hz at 8000 Hz */
	TONE_FREQ   = 1004,
	SEQ_JUMP    = 3000,	/* RFC 3550 A.1, MAX_DROPOUT */
	LATE_MAX    = 10,	/* ticks that are made up for */
};

/** One endpoint */
struct track {
	struct le le;
	struct track_conf c;
	struct re_fhs *fhs;
	uint32_t ssrc;
	uint16_t seq;			/* next of ours */
	uint32_t ts;
	unsigned phase;			/* in the tone table */
	bool talking;			/* a tone packet went before */
	/* echo: how the peer's numbers become ours */
	bool synced;
	uint32_t rx_ssrc;
	uint16_t rx_seq, seq_off;
	uint32_t ts_off;
	uint64_t rx_jfs;
};

/** What an audio worker has; one per thread */
struct desk {
	struct list tracks;
	struct tmr tmr;
	uint64_t next;			/* ms, when the next tick is due */
};

static __thread struct desk *desk;
static uint8_t tone_ulaw[TONE_PERIOD + SAMPLES];
static uint8_t tone_alaw[TONE_PERIOD + SAMPLES];


/** The tone, once per process: 0 dBm0, G.711 tables: a full-scale sine is
    +3.17 dBm0 in u-law and +3.14 dBm0 in A-law */
int track_init(void)
{
	const double ua = 32124.0 * pow(10.0, -3.17 / 20.0);
	const double aa = 32256.0 * pow(10.0, -3.14 / 20.0);
	unsigned i;

	for (i = 0; i < TONE_PERIOD + SAMPLES; i++) {
		const double x = sin(2 * M_PI * TONE_FREQ * i / 8000.0);

		tone_ulaw[i] = g711_pcm2ulaw((int16_t)lrint(ua * x));
		tone_alaw[i] = g711_pcm2alaw((int16_t)lrint(aa * x));
	}

	return 0;
}


static int socket_bind(int *fdp, const struct sa *addr, uint16_t port)
{
	struct sa sa = *addr;
	int fd, err = 0;

	sa_set_port(&sa, port);
	fd = socket(sa_af(&sa), SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return errno;

	if (bind(fd, &sa.u.sa, sa.len)) {
		err = errno;
		(void)close(fd);
		return err;
	}

	*fdp = fd;
	return 0;
}


/**
 * A socket for RTP: an even port of the range (RFC 3550 11), chosen at
 * random; or this very port.
 *
 * @return 0; EADDRINUSE: none is free
 */
int track_socket(int *fdp, uint16_t *portp, const struct sa *addr,
		 const struct cfg_ports *ports, uint16_t port)
{
	const unsigned min = (ports->min + 1u) & ~1u;
	const unsigned n = (ports->max - min + 1u) / 2;
	unsigned i, start;

	if (port) {
		*portp = port;
		return socket_bind(fdp, addr, port);
	}
	if (!n)
		return EADDRINUSE;

	start = rand_u32() % n;
	for (i = 0; i < n; i++) {
		const uint16_t p = (uint16_t)(min + 2 * ((start + i) % n));
		const int err = socket_bind(fdp, addr, p);

		if (!err) {
			*portp = p;
			return 0;
		}
		if (err != EADDRINUSE)
			return err;
	}

	return EADDRINUSE;
}


static void track_destructor(void *arg)
{
	struct track *t = arg;

	list_unlink(&t->le);
	if (t->c.fd >= 0) {
		fd_close(t->c.fd);
		(void)close(t->c.fd);
	}
	metric_add(&show_play, -1);
}


static void head_write(uint8_t *p, bool marker, uint8_t pt, uint16_t seq,
		       uint32_t ts, uint32_t ssrc)
{
	const uint16_t nseq = htons(seq);
	const uint32_t nts = htonl(ts), nssrc = htonl(ssrc);

	p[0] = 0x80;
	p[1] = (uint8_t)((marker ? 0x80 : 0) | pt);
	memcpy(&p[2], &nseq, 2);
	memcpy(&p[4], &nts, 4);
	memcpy(&p[8], &nssrc, 4);
}


static void send_to(const struct track *t, const uint8_t *p, size_t n)
{
	if (sa_isset(&t->c.remote, SA_ALL))
		(void)sendto(t->c.fd, p, n, MSG_DONTWAIT,
			     &t->c.remote.u.sa, t->c.remote.len);
}


/* A new source, or a jump: what we send goes on where it was */
static void echo_sync(struct track *t, uint16_t seq, uint32_t ts,
		      uint32_t ssrc)
{
	t->seq_off = (uint16_t)(t->seq - seq);
	t->ts_off = t->ts + SAMPLES - ts;
	t->rx_ssrc = ssrc;
	t->rx_seq = seq;
	t->synced = true;
}


static void echo(struct track *t, uint8_t *p, size_t n)
{
	uint16_t seq;
	uint32_t ts, ssrc;

	memcpy(&seq, &p[2], 2);
	memcpy(&ts, &p[4], 4);
	memcpy(&ssrc, &p[8], 4);
	seq = ntohs(seq);
	ts = ntohl(ts);
	ssrc = ntohl(ssrc);

	if (!t->synced || ssrc != t->rx_ssrc
	    || (uint16_t)(seq - t->rx_seq + SEQ_JUMP) > 2 * SEQ_JUMP)
		echo_sync(t, seq, ts, ssrc);

	if ((int16_t)(seq - t->rx_seq) >= 0) {
		t->rx_seq = seq;
		t->seq = (uint16_t)(seq + t->seq_off + 1);
		t->ts = ts + t->ts_off;
	}

	/* CSRCs and extensions stay: first byte as it came */
	seq = htons((uint16_t)(seq + t->seq_off));
	ts = htonl(ts + t->ts_off);
	ssrc = htonl(t->ssrc);
	memcpy(&p[2], &seq, 2);
	memcpy(&p[4], &ts, 4);
	memcpy(&p[8], &ssrc, 4);
	send_to(t, p, n);
}


static void packet(struct track *t, uint8_t *p, size_t n,
		   const struct sa *src)
{
	/* not RTP (RFC 7983), or not from where the SDP says the peer is */
	if (n < RTP_HEAD || (p[0] & 0xc0) != 0x80
	    || !sa_cmp(src, &t->c.remote, SA_ADDR))
		return;

	t->rx_jfs = tmr_jiffies();
	if (!t->c.tone && t->c.send)
		echo(t, p, n);
}


static void read_handler(int flags, void *arg)
{
	struct track *t = arg;
	uint8_t buf[PACKET_MAX];
	struct sa src;
	unsigned i;
	ssize_t n;
	(void)flags;

	for (i = 0; i < BURST; i++) {
		src.len = sizeof(src.u);
		n = recvfrom(t->c.fd, buf, sizeof(buf), MSG_DONTWAIT,
			     &src.u.sa, &src.len);
		if (n < 0)
			break;
		packet(t, buf, (size_t)n, &src);
	}
}


static void tone(struct track *t)
{
	uint8_t buf[RTP_HEAD + SAMPLES];

	t->ts += SAMPLES;
	if (!t->c.send) {
		t->talking = false;
		return;
	}

	head_write(buf, !t->talking, t->c.pt, t->seq++, t->ts, t->ssrc);
	memcpy(&buf[RTP_HEAD], (t->c.alaw ? tone_alaw : tone_ulaw)
	       + t->phase, SAMPLES);
	t->phase = (t->phase + SAMPLES) % TONE_PERIOD;
	t->talking = true;
	send_to(t, buf, sizeof(buf));
}


static void dead(struct track *t)
{
	uint64_t *id;

	t->rx_jfs = tmr_jiffies();	/* told once per timeout */
	id = mem_alloc(sizeof(*id), NULL);
	if (!id)
		return;

	*id = t->c.id;
	if (worker_post(t->c.owner, t->c.deadh, id))
		mem_deref(id);
}


static void tick(struct track *t, uint64_t now)
{
	if (t->c.tone)
		tone(t);

	if (t->c.timeout && t->c.recv && now > t->rx_jfs + t->c.timeout)
		dead(t);
}


static void tick_timeout(void *arg)
{
	struct desk *d = arg;
	const uint64_t now = tmr_jiffies();
	unsigned n;
	struct le *le;

	for (n = 0; d->next <= now && n < LATE_MAX; n++) {
		for (le = d->tracks.head; le; le = le->next)
			tick(le->data, now);
		d->next += PTIME;
	}
	if (d->next <= now)
		d->next = now + PTIME;

	if (d->tracks.head)
		tmr_start(&d->tmr, d->next - now, tick_timeout, d);
}


static struct track *track_find(uint64_t id)
{
	struct le *le;

	for (le = desk->tracks.head; le; le = le->next) {
		struct track *t = le->data;

		if (t->c.id == id)
			return t;
	}

	return NULL;
}


static int track_alloc(const struct track_conf *tc)
{
	struct track *t;
	int err;

	t = mem_zalloc(sizeof(*t), track_destructor);
	if (!t)
		return ENOMEM;

	metric_inc(&show_play);
	t->c = *tc;
	t->ssrc = rand_u32();
	t->seq = rand_u16() & 0x7fff;
	t->ts = rand_u32();
	t->rx_jfs = tmr_jiffies();

	err = fd_listen(t->c.fd, FD_READ, read_handler, t);
	if (err) {
		mem_deref(t);
		return err;
	}

	list_append(&desk->tracks, &t->le, t);
	if (!tmr_isrunning(&desk->tmr)) {
		desk->next = tmr_jiffies() + PTIME;
		tmr_start(&desk->tmr, PTIME, tick_timeout, desk);
	}

	return 0;
}


static void set_handler(void *arg)
{
	struct track_conf *tc = arg;
	struct track *t = track_find(tc->id);

	if (t) {
		const int fd = t->c.fd;

		t->c = *tc;
		t->c.fd = fd;
		t->rx_jfs = tmr_jiffies();
	}
	else if (tc->fd >= 0) {
		const int err = track_alloc(tc);

		if (err)
			log_warn(NULL, "RTP endpoint failed", "err=%m", err);
	}

	mem_deref(tc);
}


/** Make or change an endpoint; fd is the audio worker's from now on */
int track_set(struct worker *audio, const struct track_conf *tc)
{
	struct track_conf *copy;
	int err;

	copy = mem_alloc(sizeof(*copy), NULL);
	if (!copy)
		return ENOMEM;

	*copy = *tc;
	err = worker_post(audio, set_handler, copy);
	if (err)
		mem_deref(copy);

	return err;
}


static void stop_handler(void *arg)
{
	uint64_t *id = arg;

	mem_deref(track_find(*id));
	mem_deref(id);
}


void track_stop(struct worker *audio, uint64_t id)
{
	uint64_t *copy;

	copy = mem_alloc(sizeof(*copy), NULL);
	if (!copy)
		return;

	*copy = id;
	if (worker_post(audio, stop_handler, copy))
		mem_deref(copy);
}


static void desk_destructor(void *arg)
{
	struct desk *d = arg;

	tmr_cancel(&d->tmr);
	list_flush(&d->tracks);
}


/** First and last on an audio worker */
int track_worker_init(void *arg)
{
	(void)arg;

	desk = mem_zalloc(sizeof(*desk), desk_destructor);
	return desk ? 0 : ENOMEM;
}


void track_worker_stop(void *arg)
{
	(void)arg;
	desk = mem_deref(desk);
}
