/**
 * @file version.c  What this binary is, and the libraries that are in it
 *
 * A library that knows its version is asked, so that this tells what was
 * linked.  librem and hiredis do not: what they are built from is told, and a
 * call into each shows that it is there.
 */
#include <re.h>
#include <rem.h>
#include <hiredis/hiredis.h>
#include <libpq-fe.h>
#include <mbedtls/version.h>
#include <opus/opus.h>
#include <rabbitmq-c/amqp.h>
#include <sqlite3.h>
#include <srtp2/srtp.h>
#include <yaml.h>
#include "program.h"


static void sqlite_print(const char *name)
{
	(void)re_printf("  %-12s %s\n", name, sqlite3_libversion());
}


static void librem_print(const char *name)
{
	/* G.711: silence is 0xff in mu-law */
	(void)re_printf("  %-12s %s%s\n", name, LIBREM_VERSION,
			g711_pcm2ulaw(0) == 0xff ? "" : " (does not work)");
}


static void hiredis_print(const char *name)
{
	redisReader *rd = redisReaderCreate();
	void *reply = NULL;
	const bool works = rd &&
		redisReaderFeed(rd, "+OK\r\n", 5) == REDIS_OK &&
		redisReaderGetReply(rd, &reply) == REDIS_OK && reply;

	if (reply)
		freeReplyObject(reply);
	if (rd)
		redisReaderFree(rd);

	(void)re_printf("  %-12s %u.%u.%u%s\n", name, HIREDIS_MAJOR,
			HIREDIS_MINOR, HIREDIS_PATCH,
			works ? "" : " (does not work)");
}


static void pq_print(const char *name)
{
	const int v = PQlibVersion();	/* 17.11 is 170011 */

	(void)re_printf("  %-12s %d.%d\n", name, v / 10000, v % 10000);
}


static void mbedtls_print(const char *name)
{
	char buf[16];

	mbedtls_version_get_string(buf);
	(void)re_printf("  %-12s %s\n", name, buf);
}


/** The version, and the libraries below it */
int version_verb(void)
{
	(void)re_printf("voipstack %s\n", VOIPSTACK_VERSION);

	(void)re_printf("  %-12s %s\n", "libre", sys_libre_version_get());
	librem_print("librem");
	(void)re_printf("  %-12s %s\n", "libsrtp2",
			srtp_get_version_string());
	mbedtls_print("mbedTLS");
	pq_print("libpq");
	hiredis_print("hiredis");
	(void)re_printf("  %-12s %s\n", "librabbitmq", amqp_version());
	(void)re_printf("  %-12s %s\n", "libyaml", yaml_get_version_string());
	sqlite_print("SQLite");
	(void)re_printf("  %-12s %s\n", "Opus", opus_get_version_string());

	return EXIT_OK;
}
