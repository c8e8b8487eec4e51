/**
 * @file sqlite/open.c  A database file: check, open, migrate, transactions
 *
 * A file that is damaged, foreign or newer than this program is looked at
 * through a read-only connection and left as it is.
 *
 *   check (read-only) -> open -> WAL, synchronous=FULL -> migrate
 */

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <re.h>
#include "store/store.h"
#include "store/internal.h"
#include "store/sqlite/internal.h"


enum {
	BUSY_MS    = 1000,		/* somebody else's tool writes       */
	CHECK_SIZE = 64*1024*1024,	/* whole check up to here: it reads
					   every page, and start-up waits    */
};


struct check {
	enum store_db db;
	const char *path;
	bool whole;		/**< every page */
	char *why;
	size_t whysz;
};


static void sqlite_close(void *b)
{
	struct conn *c = b;
	size_t i;

	for (i=0; i<STMT_MAX; i++)
		(void)sqlite3_finalize(c->stmtv[i]);

	(void)sqlite3_close(c->db);
	mem_deref(c);
}


static int conn_open(sqlite3 **dbp, const char *path, int flags)
{
	sqlite3 *db = NULL;
	int rc, err;

	rc = sqlite3_open_v2(path, &db, flags | SQLITE_OPEN_NOMUTEX, NULL);
	if (rc != SQLITE_OK) {
		err = db ? conn_errno(db, rc) : ENOMEM;
		(void)sqlite3_close(db);
		return err;
	}

	(void)sqlite3_extended_result_codes(db, 1);
	(void)sqlite3_busy_timeout(db, BUSY_MS);
	*dbp = db;

	return 0;
}


static int pragma_int(sqlite3 *db, const char *sql, int *val)
{
	sqlite3_stmt *s = NULL;
	int rc, err = 0;

	rc = sqlite3_prepare_v2(db, sql, -1, &s, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_step(s);

	if (rc == SQLITE_ROW)
		*val = sqlite3_column_int(s, 0);
	else
		err = rc == SQLITE_DONE ? EBADMSG : conn_errno(db, rc);

	(void)sqlite3_finalize(s);

	return err;
}


static int quick_check(sqlite3 *db, char *why, size_t whysz)
{
	sqlite3_stmt *s = NULL;
	int rc, err = 0;

	rc = sqlite3_prepare_v2(db, "PRAGMA quick_check(1)", -1, &s, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_step(s);

	if (rc != SQLITE_ROW)
		err = rc == SQLITE_DONE ? EBADMSG : conn_errno(db, rc);
	else if (strcmp(stmt_str(s, 0), "ok")) {
		err = EBADMSG;
		(void)re_snprintf(why, whysz, "%s", stmt_str(s, 0));
		why[strcspn(why, "\n")] = '\0';
	}

	(void)sqlite3_finalize(s);

	return err;
}


/* What the file says of itself: version -1 if it is somebody else's */
static int db_identify(sqlite3 *db, enum store_db which, int *version)
{
	int appid = 0, tables = 0, err;

	err  = pragma_int(db, "PRAGMA application_id", &appid);
	err |= pragma_int(db, "PRAGMA user_version", version);
	err |= pragma_int(db, "SELECT count(*) FROM sqlite_schema", &tables);
	if (err)
		return EBADMSG;

	if (appid != schema_appid(which) &&
	    (appid || *version || tables))
		*version = -1;

	return 0;
}


static int db_check(sqlite3 *db, const struct check *ck, int *version)
{
	char detail[128] = "";
	int err;

	err = db_identify(db, ck->db, version);
	if (!err && *version < 0) {
		(void)re_snprintf(ck->why, ck->whysz, "%s is not a voipstack"
				  " database of this kind: it is left as it"
				  " is; move it away", ck->path);
		return EBADMSG;
	}

	if (!err && *version > schema_version(ck->db)) {
		(void)re_snprintf(ck->why, ck->whysz, "%s was written by a"
				  " newer voipstack (schema %d, this one knows"
				  " %d): it is left as it is; use that version",
				  ck->path, *version, schema_version(ck->db));
		return EPROTONOSUPPORT;
	}

	if (!err && ck->whole)
		err = quick_check(db, detail, sizeof(detail));

	if (err == EBADMSG)
		(void)re_snprintf(ck->why, ck->whysz, "%s is damaged (%s): it"
				  " is left as it is; restore a backup or move"
				  " it away", ck->path,
				  detail[0] ? detail : sqlite3_errmsg(db));

	return err;
}


static int file_check(enum store_db which, const char *path, int *version,
		      char *why, size_t whysz)
{
	struct check ck = {which, path, true, why, whysz};
	struct stat sb;
	sqlite3 *db;
	int err;

	*version = 0;
	if (stat(path, &sb))
		return errno == ENOENT ? 0 : errno;

	if (sb.st_size == 0)
		return 0;

	err = conn_open(&db, path, SQLITE_OPEN_READONLY);
	if (err)
		return err;

	ck.whole = sb.st_size <= CHECK_SIZE;
	err = db_check(db, &ck, version);
	(void)sqlite3_close(db);

	return err;
}


/* SQLite gives its -wal and -shm files the mode of this one: it holds
   secrets (RFC 7616 5.1) */
static int file_create(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0)
		return errno;

	(void)close(fd);

	return 0;
}


static int conn_prepare(struct conn *c, enum store_db which, int version)
{
	int rc;

	rc = sqlite3_exec(c->db,
			  "PRAGMA journal_mode=WAL;"
			  "PRAGMA synchronous=FULL;"
			  "PRAGMA cache_size=-4096;"
			  "PRAGMA journal_size_limit=16777216;",
			  NULL, NULL, NULL);
	if (rc != SQLITE_OK)
		return conn_errno(c->db, rc);

	return schema_migrate(c->db, which, version);
}


static int sqlite_open(void **bp, enum store_db db, const char *path,
		       bool readonly, char *why, size_t whysz)
{
	struct conn *c;
	int version, err;

	err = file_check(db, path, &version, why, whysz);
	if (err)
		return err;

	if (!readonly) {
		err = file_create(path);
		if (err)
			return err;
	}

	c = mem_zalloc(sizeof(*c), NULL);
	if (!c)
		return ENOMEM;

	err = conn_open(&c->db, path, readonly ? SQLITE_OPEN_READONLY
			: SQLITE_OPEN_READWRITE);
	if (!err && !readonly)
		err = conn_prepare(c, db, version);
	else if (!err && version < schema_version(db)) {
		(void)re_snprintf(why, whysz, "%s has an older schema: start"
				  " voipstack once, it brings it up to date",
				  path);
		err = EPROTONOSUPPORT;
	}

	if (err)
		sqlite_close(c);
	else
		*bp = c;

	return err;
}


static int run(struct conn *c, enum stmt id)
{
	sqlite3_stmt *s;
	int err;

	err = stmt_get(&s, c, id);

	return err ? err : stmt_exec(c, s);
}


static int sqlite_begin(void *b)
{
	return run(b, STMT_BEGIN);
}


static int sqlite_commit(void *b)
{
	return run(b, STMT_COMMIT);
}


/* A full disk may have ended the transaction already */
static void sqlite_rollback(void *b)
{
	struct conn *c = b;

	if (!sqlite3_get_autocommit(c->db))
		(void)run(c, STMT_ROLLBACK);
}


const struct store_backend store_sqlite = {
	.name            = "sqlite",
	.open            = sqlite_open,
	.close           = sqlite_close,
	.begin           = sqlite_begin,
	.commit          = sqlite_commit,
	.rollback        = sqlite_rollback,
	.subscriber_get  = sqlite_subscriber_get,
	.subscriber_put  = sqlite_subscriber_put,
	.subscriber_del  = sqlite_subscriber_del,
	.subscriber_list = sqlite_subscriber_list,
	.location_set    = sqlite_location_set,
	.location_list   = sqlite_location_list,
	.cdr_put         = sqlite_cdr_put,
	.cdr_list        = sqlite_cdr_list,
	.dialog_put      = sqlite_dialog_put,
	.dialog_del      = sqlite_dialog_del,
	.dialog_list     = sqlite_dialog_list,
};
