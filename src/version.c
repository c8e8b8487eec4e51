/**
 * @file version.c  What this binary is, and the libraries that are in it
 *
 * Each library is asked itself, so that this tells what was linked and not
 * what the headers said.
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


/* A parsed reply is what hiredis has to tell: it knows no version of its own
   but its header's */
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
	/* librem tells no version; its packaged one is in
	   subprojects/sources.txt.  Silence in mu-law is 0xff (G.711) */
	(void)re_printf("  %-12s %s\n", "librem",
			g711_pcm2ulaw(0) == 0xff ? "1.0.0" : "does not work");
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
