/**
 * @file test_deps.c  Every dependency is linked and does one thing
 */
#include <re.h>
#include <rem.h>
#include <yaml.h>
#include <sqlite3.h>
#include <opus/opus.h>
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


int main(int argc, char *argv[])
{
	static const struct test_case cases[] = {
		TEST_CASE(test_libre),
		TEST_CASE(test_librem),
		TEST_CASE(test_libyaml),
		TEST_CASE(test_sqlite),
		TEST_CASE(test_opus),
	};

	return test_main(argc, argv, cases, RE_ARRAY_SIZE(cases));
}
