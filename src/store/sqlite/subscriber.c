/**
 * @file sqlite/subscriber.c  Subscribers
 */

#include <re.h>
#include "store/store.h"
#include "store/internal.h"
#include "store/sqlite/internal.h"


struct emit {
	store_emit_h *h;
	void *arg;
	size_t n;
};


static bool subscriber_row(sqlite3_stmt *s, void *arg)
{
	struct emit *e = arg;
	struct store_subscriber sub;

	sub.user       = stmt_str(s, 0);
	sub.domain     = stmt_str(s, 1);
	sub.ha1_md5    = stmt_str(s, 2);
	sub.ha1_sha256 = stmt_str(s, 3);
	sub.disabled   = sqlite3_column_int(s, 4) != 0;
	++e->n;

	return e->h(&sub, e->arg);
}


int sqlite_subscriber_get(void *b, const char *user, const char *domain,
			  store_emit_h *emit, void *arg)
{
	struct emit e = {emit, arg, 0};
	struct conn *c = b;
	sqlite3_stmt *s;
	int err;

	err = stmt_get(&s, c, STMT_SUB_GET);
	if (err)
		return err;

	stmt_text(s, 1, user);
	stmt_text(s, 2, domain);
	err = stmt_each(c, s, subscriber_row, &e);
	if (err)
		return err;

	return e.n ? 0 : ENOENT;
}


int sqlite_subscriber_put(void *b, const struct store_subscriber *sub)
{
	struct conn *c = b;
	sqlite3_stmt *s;
	int err;

	err = stmt_get(&s, c, STMT_SUB_PUT);
	if (err)
		return err;

	stmt_text(s, 1, sub->user);
	stmt_text(s, 2, sub->domain);
	stmt_text(s, 3, sub->ha1_md5);
	stmt_text(s, 4, sub->ha1_sha256);
	(void)sqlite3_bind_int(s, 5, sub->disabled);

	return stmt_exec(c, s);
}


int sqlite_subscriber_del(void *b, const char *user, const char *domain)
{
	struct conn *c = b;
	sqlite3_stmt *s;
	int err;

	err = stmt_get(&s, c, STMT_SUB_DEL);
	if (err)
		return err;

	stmt_text(s, 1, user);
	stmt_text(s, 2, domain);
	err = stmt_exec(c, s);
	if (err)
		return err;

	return sqlite3_changes(c->db) ? 0 : ENOENT;
}


int sqlite_subscriber_list(void *b, store_emit_h *emit, void *arg)
{
	struct emit e = {emit, arg, 0};
	struct conn *c = b;
	sqlite3_stmt *s;
	int err;

	err = stmt_get(&s, c, STMT_SUB_LIST);
	if (err)
		return err;

	return stmt_each(c, s, subscriber_row, &e);
}
