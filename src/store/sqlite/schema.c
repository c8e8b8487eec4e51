/**
 * @file sqlite/schema.c  The tables, version by version
 *
 * A database carries its version in user_version and what it is in
 * application_id.  A step is never changed once released: a change is a new
 * step at the end.
 */

#include <re.h>
#include "store/store.h"
#include "store/internal.h"
#include "store/sqlite/internal.h"


static const char *const sip_stepv[] = {

	"CREATE TABLE subscriber ("
	" user TEXT NOT NULL,"
	" domain TEXT NOT NULL,"
	" ha1_md5 TEXT NOT NULL,"
	" ha1_sha256 TEXT NOT NULL,"
	" disabled INTEGER NOT NULL,"
	" PRIMARY KEY (domain, user)) WITHOUT ROWID;"

	/* pos: place in the AOR's list, so that a refresh rewrites its row */
	"CREATE TABLE location ("
	" aor TEXT NOT NULL,"
	" pos INTEGER NOT NULL,"
	" contact TEXT NOT NULL,"
	" callid TEXT NOT NULL,"
	" cseq INTEGER NOT NULL,"
	" expires INTEGER NOT NULL,"
	" q INTEGER NOT NULL,"
	" received TEXT NOT NULL,"
	" path TEXT NOT NULL,"
	" instance TEXT NOT NULL,"
	" reg_id INTEGER NOT NULL,"
	" user_agent TEXT NOT NULL,"
	" PRIMARY KEY (aor, pos)) WITHOUT ROWID;",
};

static const char *const pbx_stepv[] = {

	"CREATE TABLE dialog ("
	" id TEXT NOT NULL PRIMARY KEY,"
	" linked_id TEXT NOT NULL,"
	" state BLOB NOT NULL,"
	" updated INTEGER NOT NULL) WITHOUT ROWID;",
};

static const char *const cdr_stepv[] = {

	/* ADR-007, and what ties legs, says why and where it ended.  time,
	   answer_time and end_time: microseconds since 1970, 0 is none */
	"CREATE TABLE cdr ("
	" time INTEGER NOT NULL,"
	" call_id TEXT NOT NULL,"
	" caller TEXT NOT NULL,"
	" callee TEXT NOT NULL,"
	" duration INTEGER NOT NULL,"
	" billsec INTEGER NOT NULL,"
	" disposition TEXT NOT NULL,"
	" codec TEXT NOT NULL,"
	" src_ip TEXT NOT NULL,"
	" dst_ip TEXT NOT NULL,"
	" cost NUMERIC,"
	" linked_id TEXT NOT NULL,"
	" answer_time INTEGER NOT NULL,"
	" end_time INTEGER NOT NULL,"
	" sip_code INTEGER NOT NULL,"
	" hangup TEXT NOT NULL,"
	" node TEXT NOT NULL,"
	" PRIMARY KEY (time, call_id)) WITHOUT ROWID;"

	"CREATE INDEX cdr_open ON cdr (time, call_id) WHERE end_time = 0;",
};

static const struct {
	int32_t appid;		/* "VSs", "VSp", "VSc" and a 1 */
	const char *const *stepv;
	size_t stepc;
} dbv[] = {
	[STORE_SIP] = {0x56537331, sip_stepv, ARRAY_SIZE(sip_stepv)},
	[STORE_PBX] = {0x56537031, pbx_stepv, ARRAY_SIZE(pbx_stepv)},
	[STORE_CDR] = {0x56536331, cdr_stepv, ARRAY_SIZE(cdr_stepv)},
};


int32_t schema_appid(enum store_db db)
{
	return dbv[db].appid;
}


/** The newest version that this program knows */
int schema_version(enum store_db db)
{
	return (int)dbv[db].stepc;
}


static int steps_run(sqlite3 *db, enum store_db which, int from)
{
	char sql[128];
	size_t i;
	int rc;

	for (i=(size_t)from; i<dbv[which].stepc; i++) {
		rc = sqlite3_exec(db, dbv[which].stepv[i], NULL, NULL, NULL);
		if (rc != SQLITE_OK)
			return rc;
	}

	if (re_snprintf(sql, sizeof(sql),
			"PRAGMA application_id=%d; PRAGMA user_version=%d;"
			"COMMIT", (int)dbv[which].appid,
			(int)dbv[which].stepc) < 0)
		return SQLITE_NOMEM;

	return sqlite3_exec(db, sql, NULL, NULL, NULL);
}


/** Bring a database from a version to the newest, all or nothing */
int schema_migrate(sqlite3 *db, enum store_db which, int from)
{
	int rc, err;

	if (from == schema_version(which))
		return 0;

	rc = sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL);
	if (rc == SQLITE_OK)
		rc = steps_run(db, which, from);
	if (rc == SQLITE_OK)
		return 0;

	err = conn_errno(db, rc);
	(void)sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);

	return err;
}
