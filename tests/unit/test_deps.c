/**
 * @file test_deps.c  Every dependency is linked and does one thing
 */
#include <re.h>
#include <rem.h>
#include <yaml.h>
#include <sqlite3.h>
#include <opus/opus.h>
#include <mbedtls/md.h>
#include <mbedtls/ssl.h>
#include <psa/crypto.h>
#include <srtp2/srtp.h>
#include <hiredis/hiredis.h>
#include <rabbitmq-c/amqp.h>
#include <rabbitmq-c/tcp_socket.h>
#include <libpq-fe.h>
#include "test.h"


static int test_libre(void)
{
	struct mbuf *mb;
	int err;

	mb = mbuf_alloc(8);
	if (!mb)
		return ENOMEM;

	err = mbuf_printf(mb, "%s %u", "answer", 42);
	TEST_ERR(err);
	TEST_MEMCMP("answer 42", 9, mb->buf, mb->end);

 out:
	mem_deref(mb);
	return err;
}


static int test_librem(void)
{
	int err = 0;

	TEST_EQUALS(0xff, g711_pcm2ulaw(0));
	TEST_EQUALS(0xd5, g711_pcm2alaw(0));
 out:
	return err;
}


static int test_libyaml(void)
{
	static const unsigned char text[] = "role: [sip, pbx]\n";
	yaml_parser_t parser;
	yaml_event_t ev;
	unsigned scalars = 0;
	bool done = false;
	int err = 0;

	if (!yaml_parser_initialize(&parser))
		return ENOMEM;

	yaml_parser_set_input_string(&parser, text, sizeof(text) - 1);
	while (!done) {
		TEST(yaml_parser_parse(&parser, &ev));
		scalars += ev.type == YAML_SCALAR_EVENT;
		done = ev.type == YAML_STREAM_END_EVENT;
		yaml_event_delete(&ev);
	}
	TEST_EQUALS(3, scalars);
 out:
	yaml_parser_delete(&parser);
	return err;
}


static int test_sqlite(void)
{
	sqlite3_stmt *st = NULL;
	sqlite3 *db = NULL;
	int err = 0;

	TEST_EQUALS(SQLITE_OK, sqlite3_open(":memory:", &db));
	TEST_EQUALS(SQLITE_OK, sqlite3_prepare_v2(db, "SELECT 6*7", -1, &st,
						  NULL));
	TEST_EQUALS(SQLITE_ROW, sqlite3_step(st));
	TEST_EQUALS(42, sqlite3_column_int(st, 0));
 out:
	sqlite3_finalize(st);
	sqlite3_close(db);
	return err;
}


static int test_opus(void)
{
	OpusEncoder *enc = NULL;
	OpusDecoder *dec = NULL;
	uint8_t pkt[400];
	int16_t pcm[960];
	int err = 0, n, i;

	for (i=0; i<960; i++)
		pcm[i] = (int16_t)(i % 48 * 200);

	enc = opus_encoder_create(48000, 1, OPUS_APPLICATION_VOIP, &n);
	TEST_EQUALS(OPUS_OK, n);
	dec = opus_decoder_create(48000, 1, &n);
	TEST_EQUALS(OPUS_OK, n);

	n = opus_encode(enc, pcm, 960, pkt, sizeof(pkt));
	TEST(n > 0);
	TEST_EQUALS(960, opus_decode(dec, pkt, n, pcm, 960, 0));
 out:
	opus_encoder_destroy(enc);
	opus_decoder_destroy(dec);
	return err;
}


/* FIPS 180-2 appendix B.1 */
static int test_mbedtls(void)
{
	static const uint8_t sum[4] = {0xba, 0x78, 0x16, 0xbf};
	uint8_t out[32];
	mbedtls_ssl_config conf;
	int err = 0;

	mbedtls_ssl_config_init(&conf);

	TEST_EQUALS(PSA_SUCCESS, psa_crypto_init());
	TEST_EQUALS(0, mbedtls_md(mbedtls_md_info_from_type(MBEDTLS_MD_SHA256),
				  (const uint8_t *)"abc", 3, out));
	TEST_MEMCMP(sum, 4, out, 4);
	TEST_EQUALS(0, mbedtls_ssl_config_defaults(&conf,
					MBEDTLS_SSL_IS_SERVER,
					MBEDTLS_SSL_TRANSPORT_DATAGRAM,
					MBEDTLS_SSL_PRESET_DEFAULT));
 out:
	mbedtls_ssl_config_free(&conf);
	mbedtls_psa_crypto_free();
	return err;
}


static int test_srtp_profile(void (*profile)(srtp_crypto_policy_t *))
{
	static const uint8_t clear[16] = {0x80, 0, 0, 1, 0, 0, 0, 1,
					  0, 0, 0, 1, 'b', 'o', 'd', 'y'};
	uint8_t pkt[16 + SRTP_MAX_TRAILER_LEN];
	uint8_t key[SRTP_MAX_KEY_LEN];
	srtp_t tx = NULL, rx = NULL;
	srtp_policy_t policy;
	int err = 0, len = sizeof(clear);

	memset(&policy, 0, sizeof(policy));
	profile(&policy.rtp);
	profile(&policy.rtcp);
	policy.key       = key;
	policy.ssrc.type = ssrc_any_outbound;
	memset(key, 0x17, sizeof(key));
	memcpy(pkt, clear, sizeof(clear));

	TEST_EQUALS(srtp_err_status_ok, srtp_create(&tx, &policy));
	policy.ssrc.type = ssrc_any_inbound;
	TEST_EQUALS(srtp_err_status_ok, srtp_create(&rx, &policy));

	TEST_EQUALS(srtp_err_status_ok, srtp_protect(tx, pkt, &len));
	TEST(len > (int)sizeof(clear));
	TEST(memcmp(pkt + 12, "body", 4));
	TEST_EQUALS(srtp_err_status_ok, srtp_unprotect(rx, pkt, &len));
	TEST_MEMCMP(clear, sizeof(clear), pkt, (size_t)len);
 out:
	if (tx)
		srtp_dealloc(tx);
	if (rx)
		srtp_dealloc(rx);
	return err;
}


static int test_srtp(void)
{
	int err = 0;

	TEST_EQUALS(srtp_err_status_ok, srtp_init());
	err = test_srtp_profile(
			srtp_crypto_policy_set_rtp_default);
	TEST_ERR(err);
	err = test_srtp_profile(srtp_crypto_policy_set_aes_gcm_256_16_auth);
	TEST_ERR(err);
 out:
	srtp_shutdown();
	return err;
}


static int test_hiredis(void)
{
	static const char reply[] = "*2\r\n$3\r\nfoo\r\n:42\r\n";
	redisReader *reader = redisReaderCreate();
	void *v = NULL;
	const redisReply *r;
	int err = 0;

	if (!reader)
		return ENOMEM;

	TEST_EQUALS(REDIS_OK, redisReaderFeed(reader, reply,
					      sizeof(reply) - 1));
	TEST_EQUALS(REDIS_OK, redisReaderGetReply(reader, &v));
	r = v;
	TEST(r);
	TEST_EQUALS(2, r->elements);
	TEST_EQUALS(42, r->element[1]->integer);
 out:
	freeReplyObject(v);
	redisReaderFree(reader);
	return err;
}


static int test_rabbitmq(void)
{
	amqp_connection_state_t conn = amqp_new_connection();
	int err = 0;

	TEST(conn);
	TEST(amqp_tcp_socket_new(conn));
	TEST_STRCMP("0.15.0", amqp_version());
 out:
	if (conn)
		(void)amqp_destroy_connection(conn);
	return err;
}


/* A port where nobody listens: it fails, but through all of libpq */
static int test_libpq(void)
{
	PGconn *conn;
	int err = 0;

	conn = PQconnectdb("hostaddr=127.0.0.1 port=1 user=u dbname=d"
			   " connect_timeout=2");
	TEST(conn);
	TEST_EQUALS(CONNECTION_BAD, PQstatus(conn));
	TEST(strstr(PQerrorMessage(conn), "refused"));
 out:
	PQfinish(conn);
	return err;
}


int main(int argc, char *argv[])
{
	static const struct test_case cases[] = {
		TEST_CASE(test_libre),
		TEST_CASE(test_librem),
		TEST_CASE(test_libyaml),
		TEST_CASE(test_sqlite),
		TEST_CASE(test_opus),
		TEST_CASE(test_mbedtls),
		TEST_CASE(test_srtp),
		TEST_CASE(test_hiredis),
		TEST_CASE(test_rabbitmq),
		TEST_CASE(test_libpq),
	};

	return test_main(argc, argv, cases, RE_ARRAY_SIZE(cases));
}
