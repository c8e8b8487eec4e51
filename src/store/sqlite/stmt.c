/**
 * @file sqlite/stmt.c  Statements: prepared once, and SQLite's errors as errno
 */

#include <errno.h>
#include <re.h>
#include "store/store.h"
#include "store/internal.h"
#include "store/sqlite/internal.h"


#define BINDING_COLS "aor, contact, callid, cseq, expires, q, received, path,"\
	" instance, reg_id, user_agent"

#define CDR_COLS "time, call_id, caller, callee, disposition, codec, src_ip,"\
	" dst_ip, linked_id, answer_time, end_time, sip_code, hangup, node"

static const char *const sqlv[STMT_MAX] = {

	[STMT_BEGIN]    = "BEGIN IMMEDIATE",
	[STMT_COMMIT]   = "COMMIT",
	[STMT_ROLLBACK] = "ROLLBACK",

	[STMT_SUB_GET]  = "SELECT user, domain, ha1_md5, ha1_sha256, disabled"
			  " FROM subscriber WHERE domain = ?2 AND user = ?1",
	[STMT_SUB_PUT]  = "INSERT OR REPLACE INTO subscriber (user, domain,"
			  " ha1_md5, ha1_sha256, disabled)"
			  " VALUES (?1, ?2, ?3, ?4, ?5)",
	[STMT_SUB_DEL]  = "DELETE FROM subscriber"
			  " WHERE domain = ?2 AND user = ?1",
	[STMT_SUB_LIST] = "SELECT user, domain, ha1_md5, ha1_sha256, disabled"
			  " FROM subscriber ORDER BY domain, user",

	[STMT_LOC_PUT]  = "INSERT OR REPLACE INTO location (pos, "
			  BINDING_COLS ") VALUES"
			  " (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12)",
	[STMT_LOC_TRIM] = "DELETE FROM location WHERE aor = ?1 AND pos >= ?2",
	[STMT_LOC_LIST] = "SELECT " BINDING_COLS " FROM location"
			  " ORDER BY aor, pos",

	[STMT_CDR_PUT]  = "INSERT OR REPLACE INTO cdr (" CDR_COLS
			  ", duration, billsec) VALUES (?1,?2,?3,?4,?5,?6,?7,"
			  "?8,?9,?10,?11,?12,?13,?14,?15,?16)",
	[STMT_CDR_LIST] = "SELECT " CDR_COLS " FROM cdr WHERE time >= ?1"
			  " ORDER BY time DESC, call_id DESC LIMIT ?2",
	[STMT_CDR_OPEN] = "SELECT " CDR_COLS " FROM cdr WHERE end_time = 0"
			  " AND time >= ?1"
			  " ORDER BY time DESC, call_id DESC LIMIT ?2",

	[STMT_DLG_PUT]  = "INSERT OR REPLACE INTO dialog (id, linked_id,"
			  " state, updated) VALUES (?1, ?2, ?3, ?4)",
	[STMT_DLG_DEL]  = "DELETE FROM dialog WHERE id = ?1",
	[STMT_DLG_LIST] = "SELECT id, linked_id, state, updated FROM dialog"
			  " ORDER BY id",
};


/* What the operating system said, for the errors that have several causes */
static int io_errno(sqlite3 *db, int dflt)
{
	const int err = sqlite3_system_errno(db);

	switch (err) {

	case 0:
		return dflt;

	case EDQUOT:
	case EFBIG:
		return ENOSPC;

	default:
		return err;
	}
}


int conn_errno(sqlite3 *db, int rc)
{
	switch (rc & 0xff) {

	case SQLITE_OK:
	case SQLITE_ROW:
	case SQLITE_DONE:
		return 0;

	case SQLITE_FULL:     return ENOSPC;
	case SQLITE_IOERR:    return io_errno(db, EIO);
	case SQLITE_CANTOPEN: return io_errno(db, EIO);
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:   return EBADMSG;
	case SQLITE_NOMEM:    return ENOMEM;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:   return EBUSY;
	case SQLITE_READONLY: return EROFS;
	case SQLITE_PERM:
	case SQLITE_AUTH:     return EACCES;
	case SQLITE_TOOBIG:   return EMSGSIZE;
	default:              return EINVAL;
	}
}


/** A statement, ready to be bound; prepared at its first use */
int stmt_get(sqlite3_stmt **sp, struct conn *c, enum stmt id)
{
	int rc;

	if (!c->stmtv[id]) {
		rc = sqlite3_prepare_v3(c->db, sqlv[id], -1,
					SQLITE_PREPARE_PERSISTENT,
					&c->stmtv[id], NULL);
		if (rc != SQLITE_OK)
			return conn_errno(c->db, rc);
	}

	*sp = c->stmtv[id];

	return 0;
}


/** Bind a string that outlives the next step; NULL is "" */
void stmt_text(sqlite3_stmt *s, int i, const char *str)
{
	(void)sqlite3_bind_text(s, i, str ? str : "", -1, SQLITE_STATIC);
}


const char *stmt_str(sqlite3_stmt *s, int col)
{
	const char *str = (const char *)sqlite3_column_text(s, col);

	return str ? str : "";
}


/** Run a statement that gives no rows, and make it ready for the next time */
int stmt_exec(struct conn *c, sqlite3_stmt *s)
{
	int err, rc = sqlite3_step(s);

	err = conn_errno(c->db, rc);
	(void)sqlite3_reset(s);
	(void)sqlite3_clear_bindings(s);

	return err;
}


/** Run a statement row by row, until rowh returns true */
int stmt_each(struct conn *c, sqlite3_stmt *s,
	      bool (*rowh)(sqlite3_stmt *s, void *arg), void *arg)
{
	int err, rc;

	while ((rc = sqlite3_step(s)) == SQLITE_ROW) {
		if (rowh(s, arg))
			break;
	}

	err = conn_errno(c->db, rc);
	(void)sqlite3_reset(s);
	(void)sqlite3_clear_bindings(s);

	return err;
}
