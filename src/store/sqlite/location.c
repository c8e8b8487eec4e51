/**
 * @file sqlite/location.c  Bindings of the location service, RFC 3261 10.3
 */

#include <re.h>
#include "store/store.h"
#include "store/internal.h"
#include "store/sqlite/internal.h"


struct emit {
	store_emit_h *h;
	void *arg;
};


static int binding_put(struct conn *c, const char *aor, size_t pos,
		       const struct store_binding *b)
{
	sqlite3_stmt *s;
	int err;

	err = stmt_get(&s, c, STMT_LOC_PUT);
	if (err)
		return err;

	(void)sqlite3_bind_int64(s, 1, (sqlite3_int64)pos);
	stmt_text(s, 2, aor);
	stmt_text(s, 3, b->contact);
	stmt_text(s, 4, b->callid);
	(void)sqlite3_bind_int64(s, 5, b->cseq);
	(void)sqlite3_bind_int64(s, 6, (sqlite3_int64)b->expires);
	(void)sqlite3_bind_int(s, 7, b->q);
	stmt_text(s, 8, b->received);
	stmt_text(s, 9, b->path);
	stmt_text(s, 10, b->instance);
	(void)sqlite3_bind_int64(s, 11, b->reg_id);
	stmt_text(s, 12, b->user_agent);

	return stmt_exec(c, s);
}


/** Replace all bindings of an AOR; the caller's transaction makes it whole */
int sqlite_location_set(void *b, const char *aor,
			const struct store_binding *bv, size_t n)
{
	struct conn *c = b;
	sqlite3_stmt *s;
	size_t i;
	int err;

	for (i=0; i<n; i++) {
		err = binding_put(c, aor, i, &bv[i]);
		if (err)
			return err;
	}

	err = stmt_get(&s, c, STMT_LOC_TRIM);
	if (err)
		return err;

	stmt_text(s, 1, aor);
	(void)sqlite3_bind_int64(s, 2, (sqlite3_int64)n);

	return stmt_exec(c, s);
}


static bool binding_row(sqlite3_stmt *s, void *arg)
{
	const struct emit *e = arg;
	struct store_binding b;

	b.aor        = stmt_str(s, 0);
	b.contact    = stmt_str(s, 1);
	b.callid     = stmt_str(s, 2);
	b.cseq       = (uint32_t)sqlite3_column_int64(s, 3);
	b.expires    = (uint64_t)sqlite3_column_int64(s, 4);
	b.q          = (uint16_t)sqlite3_column_int(s, 5);
	b.received   = stmt_str(s, 6);
	b.path       = stmt_str(s, 7);
	b.instance   = stmt_str(s, 8);
	b.reg_id     = (uint32_t)sqlite3_column_int64(s, 9);
	b.user_agent = stmt_str(s, 10);

	return e->h(&b, e->arg);
}


int sqlite_location_list(void *b, store_emit_h *emit, void *arg)
{
	struct emit e = {emit, arg};
	struct conn *c = b;
	sqlite3_stmt *s;
	int err;

	err = stmt_get(&s, c, STMT_LOC_LIST);
	if (err)
		return err;

	return stmt_each(c, s, binding_row, &e);
}
