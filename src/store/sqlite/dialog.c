/**
 * @file sqlite/dialog.c  Confirmed dialogs of the PBX
 */

#include <re.h>
#include "store/store.h"
#include "store/internal.h"
#include "store/sqlite/internal.h"


struct emit {
	store_emit_h *h;
	void *arg;
};


int sqlite_dialog_put(void *b, const struct store_dialog *d)
{
	struct conn *c = b;
	sqlite3_stmt *s;
	int err;

	err = stmt_get(&s, c, STMT_DLG_PUT);
	if (err)
		return err;

	stmt_text(s, 1, d->id);
	stmt_text(s, 2, d->linked_id);
	(void)sqlite3_bind_blob64(s, 3, d->size ? (const void *)d->state : "",
				  d->size, SQLITE_STATIC);
	(void)sqlite3_bind_int64(s, 4, (sqlite3_int64)d->updated_us);

	return stmt_exec(c, s);
}


int sqlite_dialog_del(void *b, const char *id)
{
	struct conn *c = b;
	sqlite3_stmt *s;
	int err;

	err = stmt_get(&s, c, STMT_DLG_DEL);
	if (err)
		return err;

	stmt_text(s, 1, id);
	err = stmt_exec(c, s);
	if (err)
		return err;

	return sqlite3_changes(c->db) ? 0 : ENOENT;
}


static bool dialog_row(sqlite3_stmt *s, void *arg)
{
	const struct emit *e = arg;
	struct store_dialog d;

	d.id         = stmt_str(s, 0);
	d.linked_id  = stmt_str(s, 1);
	d.state      = sqlite3_column_blob(s, 2);
	d.size       = (size_t)sqlite3_column_bytes(s, 2);
	d.updated_us = (uint64_t)sqlite3_column_int64(s, 3);

	return e->h(&d, e->arg);
}


int sqlite_dialog_list(void *b, store_emit_h *emit, void *arg)
{
	struct emit e = {emit, arg};
	struct conn *c = b;
	sqlite3_stmt *s;
	int err;

	err = stmt_get(&s, c, STMT_DLG_LIST);
	if (err)
		return err;

	return stmt_each(c, s, dialog_row, &e);
}
