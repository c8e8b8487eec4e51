/**
 * @file sqlite/internal.h  A connection and its prepared statements
 */

#ifndef VOIPSTACK_STORE_SQLITE_H
#define VOIPSTACK_STORE_SQLITE_H

#include <sqlite3.h>

enum stmt {
	STMT_BEGIN = 0,
	STMT_COMMIT,
	STMT_ROLLBACK,
	STMT_SUB_GET,
	STMT_SUB_PUT,
	STMT_SUB_DEL,
	STMT_SUB_LIST,
	STMT_LOC_PUT,
	STMT_LOC_TRIM,
	STMT_LOC_LIST,
	STMT_CDR_PUT,
	STMT_CDR_LIST,
	STMT_CDR_OPEN,
	STMT_DLG_PUT,
	STMT_DLG_DEL,
	STMT_DLG_LIST,
	STMT_MAX
};

struct conn {
	sqlite3 *db;
	sqlite3_stmt *stmtv[STMT_MAX];
};

/* schema.c */
int32_t schema_appid(enum store_db db);
int  schema_version(enum store_db db);
int  schema_migrate(sqlite3 *db, enum store_db which, int from);

/* stmt.c */
int  stmt_get(sqlite3_stmt **sp, struct conn *c, enum stmt id);
int  stmt_exec(struct conn *c, sqlite3_stmt *s);
int  stmt_each(struct conn *c, sqlite3_stmt *s,
	       bool (*rowh)(sqlite3_stmt *s, void *arg), void *arg);
void stmt_text(sqlite3_stmt *s, int i, const char *str);
const char *stmt_str(sqlite3_stmt *s, int col);
int  conn_errno(sqlite3 *db, int rc);

/* subscriber.c, location.c, cdr.c, dialog.c */
int sqlite_subscriber_get(void *b, const char *user, const char *domain,
			  store_emit_h *emit, void *arg);
int sqlite_subscriber_put(void *b, const struct store_subscriber *s);
int sqlite_subscriber_del(void *b, const char *user, const char *domain);
int sqlite_subscriber_list(void *b, store_emit_h *emit, void *arg);
int sqlite_location_set(void *b, const char *aor,
			const struct store_binding *bv, size_t n);
int sqlite_location_list(void *b, store_emit_h *emit, void *arg);
int sqlite_cdr_put(void *b, const struct store_cdr *c);
int sqlite_cdr_list(void *b, const struct store_cdr_query *q,
		    store_emit_h *emit, void *arg);
int sqlite_dialog_put(void *b, const struct store_dialog *d);
int sqlite_dialog_del(void *b, const char *id);
int sqlite_dialog_list(void *b, store_emit_h *emit, void *arg);

#endif
