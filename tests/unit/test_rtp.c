/**
 * @file test_rtp.c  Headers, statistics and the E-model
 */
#include <math.h>
#include <string.h>
#include <re.h>
#include "rtp/rtp.h"
#include "test.h"


static int test_kind(void)
{
	static const struct {
		uint8_t p[2];
		enum rpkt_kind kind;
	} v[] = {
		{{0x80, 0},   RPKT_RTP},  {{0x80, 0xe0}, RPKT_RTP},
		{{0xbf, 127}, RPKT_RTP},  {{0x80, 200},  RPKT_RTCP},
		{{0x81, 201}, RPKT_RTCP}, {{0x80, 191},  RPKT_RTP},
		{{0x80, 224}, RPKT_RTP},  {{0, 1},       RPKT_STUN},
		{{16, 0},     RPKT_ZRTP}, {{22, 254},    RPKT_DTLS},
		{{64, 0},     RPKT_TURN}, {{4, 0},       RPKT_UNKNOWN},
		{{192, 0},    RPKT_UNKNOWN},
	};
	size_t i;
	int err = 0;

	for (i = 0; i < RE_ARRAY_SIZE(v); i++)
		TEST_EQUALS(v[i].kind, rpkt_kind(v[i].p, 2));
	TEST_EQUALS(RPKT_UNKNOWN, rpkt_kind(v[0].p, 1));
 out:
	return err;
}


static int test_packet(void)
{
	uint8_t p[32] = {0x80, 0x88, 1, 2, 0, 0, 0, 160, 1, 2, 3, 4};
	struct rpkt h;
	int err;

	err = rpkt_decode(&h, p, 20);
	TEST_ERR(err);
	TEST_EQUALS(8, h.pt);
	TEST(h.marker);
	TEST_EQUALS(0x102, h.seq);
	TEST_EQUALS(160, h.ts);
	TEST_EQUALS(0x01020304, h.ssrc);
	TEST_EQUALS(12, h.hdr);
	TEST_EQUALS(8, h.len);

	p[0] = 0x91;		/* one CSRC, an extension of one word */
	p[19] = 1;
	err = rpkt_decode(&h, p, 26);
	TEST_ERR(err);
	TEST_EQUALS(24, h.hdr);
	TEST_EQUALS(2, h.len);
	TEST_EQUALS(EBADMSG, rpkt_decode(&h, p, 23));
	TEST_EQUALS(EBADMSG, rpkt_decode(&h, p, 19));

	p[0] = 0xa0;		/* padding */
	p[19] = 8;
	err = rpkt_decode(&h, p, 20);
	TEST_ERR(err);
	TEST_EQUALS(0, h.len);
	p[19] = 9;
	TEST_EQUALS(EBADMSG, rpkt_decode(&h, p, 20));
	TEST_EQUALS(EBADMSG, rpkt_decode(&h, p, 12));
	p[0] = 0x40;
	TEST_EQUALS(EBADMSG, rpkt_decode(&h, p, 20));
	TEST_EQUALS(EBADMSG, rpkt_decode(&h, p, 11));
 out:
	return err;
}


static int test_rtcp(void)
{
	uint8_t p[64] = {
		0x81, 200, 0, 12, 0, 0, 0, 7,
		0, 0, 0x11, 0x22, 0x33, 0x44, 0, 0, 0, 0, 0, 1,
		0, 0, 0, 50, 0, 0, 0x1f, 0x40,
		0, 0, 0, 9, 64, 0xff, 0xff, 0xfe, 0, 1, 0, 2,
		0, 0, 0, 80, 1, 2, 3, 4, 0, 1, 0, 0,
	};
	struct rctl r;
	int err;

	err = rctl_decode(&r, p, 52);
	TEST_ERR(err);
	TEST(r.sr);
	TEST_EQUALS(7, r.ssrc);
	TEST_EQUALS(0x11223344, r.ntp_mid);
	TEST_EQUALS(50, r.packets);
	TEST_EQUALS(1, r.blockc);
	TEST_EQUALS(64, r.blockv[0].fraction);
	TEST_EQUALS(-2, r.blockv[0].lost);
	TEST_EQUALS(0x10002, r.blockv[0].seq);
	TEST_EQUALS(0x01020304, r.blockv[0].lsr);

	/* one second at the peer, 1.05 s here */
	TEST_EQUALS(50000, rctl_rtt(&r.blockv[0], 1000000, 2050000));
	TEST_EQUALS(0, rctl_rtt(&r.blockv[0], 1000000, 1900000));

	TEST_EQUALS(EBADMSG, rctl_decode(&r, p, 48));
	p[0] = 0x82;
	TEST_EQUALS(EBADMSG, rctl_decode(&r, p, 52));
	p[1] = 202;
	TEST_EQUALS(ENOENT, rctl_decode(&r, p, 52));
 out:
	return err;
}


static void feed(struct rstat *st, uint16_t seq, uint32_t ssrc,
		 uint64_t now_us)
{
	struct rpkt h;

	memset(&h, 0, sizeof(h));
	h.seq = seq;
	h.ts = (uint32_t)seq * 160;
	h.ssrc = ssrc;
	rstat_rtp(st, &h, 172, now_us, 8000);
}


static int test_stat(void)
{
	struct rstat st;
	unsigned i;
	int err = 0;

	/* across the wrap, every tenth lost */
	memset(&st, 0, sizeof(st));
	for (i = 0; i < 1001; i++) {
		if (i % 10 != 5)
			feed(&st, (uint16_t)(65000 + i), 1, i * 20000ULL);
	}
	TEST_EQUALS(1001, rstat_expected(&st));
	TEST_EQUALS(100, rstat_lost(&st));
	TEST_EQUALS(901, st.packets);
	TEST_EQUALS(0, st.dup);
	TEST_EQUALS(0, st.reorder);

	/* a late one heals, the same again is a duplicate */
	memset(&st, 0, sizeof(st));
	feed(&st, 1, 1, 0);
	feed(&st, 3, 1, 0);
	TEST_EQUALS(1, rstat_lost(&st));
	feed(&st, 2, 1, 0);
	TEST_EQUALS(0, rstat_lost(&st));
	TEST_EQUALS(1, st.reorder);
	feed(&st, 2, 1, 0);
	feed(&st, 3, 1, 0);
	TEST_EQUALS(2, st.dup);
	TEST_EQUALS(0, rstat_lost(&st));

	/* another source: what was lost before stays */
	feed(&st, 5, 1, 0);
	feed(&st, 40000, 2, 0);
	feed(&st, 40002, 2, 0);
	TEST_EQUALS(2, rstat_lost(&st));
	TEST_EQUALS(8, rstat_expected(&st));
	TEST_EQUALS(2, st.sources);

	/* the same source jumps: one stray does nothing, two restart */
	feed(&st, 20000, 2, 0);
	TEST_EQUALS(2, st.sources);
	feed(&st, 20001, 2, 0);
	TEST_EQUALS(3, st.sources);
 out:
	return err;
}


static int test_jitter(void)
{
	struct rstat st;
	unsigned i;
	int err = 0;

	memset(&st, 0, sizeof(st));
	for (i = 0; i < 500; i++)
		feed(&st, (uint16_t)i, 1, i * 20000ULL);
	TEST_EQUALS(0, rstat_jitter_us(&st));

	/* 10 ms late every second packet: D is 10 ms each time */
	memset(&st, 0, sizeof(st));
	for (i = 0; i < 1000; i++)
		feed(&st, (uint16_t)i, 1, i * 20000ULL + i % 2 * 10000);
	TEST(rstat_jitter_us(&st) > 9500 && rstat_jitter_us(&st) < 10500);
 out:
	return err;
}


static bool near_to(double a, double b, double by)
{
	return fabs(a - b) <= by;
}


static int test_emodel(void)
{
	const struct pl pcmu = PL("pcmu"), g729 = PL("G729");
	struct emodel m = emodel_codec(&pcmu), g = emodel_codec(&g729);
	struct rstat st;
	int err = 0;

	/* G.107 annex B, table B.1; and its default rating */
	TEST(near_to(emodel_mos(90), 4.34, 0.01));
	TEST(near_to(emodel_mos(80), 4.03, 0.01));
	TEST(near_to(emodel_mos(70), 3.60, 0.01));
	TEST(near_to(emodel_mos(60), 3.10, 0.01));
	TEST(near_to(emodel_mos(50), 2.58, 0.01));
	TEST(near_to(emodel_mos(93.2), 4.41, 0.01));
	TEST(near_to(emodel_mos(-5), 1.0, 0.0));
	TEST(near_to(emodel_mos(100), 4.5, 0.0));
	TEST(near_to(emodel_r(&m, 0, 0), 93.2, 0.001));
	TEST(near_to(emodel_r(&g, 0, 0), 82.2, 0.001));

	/* delay impairment by hand: X = 1 at 200 ms, X = 2 at 400 ms */
	TEST(near_to(emodel_r(&m, 0, 100), 93.2, 0.001));
	TEST(near_to(emodel_r(&m, 0, 200), 93.2 - 3.04, 0.02));
	TEST(near_to(emodel_r(&m, 0, 400), 93.2 - 24.05, 0.4));

	/* 1 % with Bpl 25.1: 95/26.1 */
	TEST(near_to(emodel_r(&m, 1, 0), 93.2 - 95 / 26.1, 0.001));

	memset(&st, 0, sizeof(st));
	TEST(near_to(emodel_stat(&st, &m, 0), 0, 0));
	feed(&st, 1, 1, 0);
	TEST(near_to(emodel_stat(&st, &m, 0), 4.41, 0.01));
 out:
	return err;
}


int main(int argc, char *argv[])
{
	static const struct test_case cases[] = {
		TEST_CASE(test_kind),
		TEST_CASE(test_packet),
		TEST_CASE(test_rtcp),
		TEST_CASE(test_stat),
		TEST_CASE(test_jitter),
		TEST_CASE(test_emodel),
	};

	return test_main(argc, argv, cases, RE_ARRAY_SIZE(cases));
}
