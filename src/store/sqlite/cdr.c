/**
 * @file sqlite/cdr.c  Call detail records (ADR-007)
 */

#include <re.h>
#include "store/store.h"
#include "store/internal.h"
#include "store/sqlite/internal.h"


struct emit {
	store_emit_h *h;
	void *arg;
};


/* Whole seconds from a to b; 0 if b is not known or the clock went back */
static sqlite3_int64 seconds(uint64_t a, uint64_t b)
{
	return a && b > a ? (sqlite3_int64)((b - a) / 1000000) : 0;
}


int sqlite_cdr_put(void *b, const struct store_cdr *r)
{
	struct conn *c = b;
	sqlite3_stmt *s;
	int err;

	err = stmt_get(&s, c, STMT_CDR_PUT);
	if (err)
		return err;

	(void)sqlite3_bind_int64(s, 1, (sqlite3_int64)r->time_us);
	stmt_text(s, 2, r->call_id);
	stmt_text(s, 3, r->caller);
	stmt_text(s, 4, r->callee);
	stmt_text(s, 5, r->disposition);
	stmt_text(s, 6, r->codec);
	stmt_text(s, 7, r->src_ip);
	stmt_text(s, 8, r->dst_ip);
	stmt_text(s, 9, r->linked_id);
	(void)sqlite3_bind_int64(s, 10, (sqlite3_int64)r->answer_us);
	(void)sqlite3_bind_int64(s, 11, (sqlite3_int64)r->end_us);
	(void)sqlite3_bind_int(s, 12, r->sip_code);
	stmt_text(s, 13, r->hangup);
	stmt_text(s, 14, r->node);
	(void)sqlite3_bind_int64(s, 15, seconds(r->time_us, r->end_us));
	(void)sqlite3_bind_int64(s, 16, seconds(r->answer_us, r->end_us));

	return stmt_exec(c, s);
}


static bool cdr_row(sqlite3_stmt *s, void *arg)
{
	const struct emit *e = arg;
	struct store_cdr r;

	r.time_us     = (uint64_t)sqlite3_column_int64(s, 0);
	r.call_id     = stmt_str(s, 1);
	r.caller      = stmt_str(s, 2);
	r.callee      = stmt_str(s, 3);
	r.disposition = stmt_str(s, 4);
	r.codec       = stmt_str(s, 5);
	r.src_ip      = stmt_str(s, 6);
	r.dst_ip      = stmt_str(s, 7);
	r.linked_id   = stmt_str(s, 8);
	r.answer_us   = (uint64_t)sqlite3_column_int64(s, 9);
	r.end_us      = (uint64_t)sqlite3_column_int64(s, 10);
	r.sip_code    = (uint16_t)sqlite3_column_int(s, 11);
	r.hangup      = stmt_str(s, 12);
	r.node        = stmt_str(s, 13);

	return e->h(&r, e->arg);
}


int sqlite_cdr_list(void *b, const struct store_cdr_query *q,
		    store_emit_h *emit, void *arg)
{
	struct emit e = {emit, arg};
	struct conn *c = b;
	sqlite3_stmt *s;
	int err;

	err = stmt_get(&s, c, q->open_only ? STMT_CDR_OPEN : STMT_CDR_LIST);
	if (err)
		return err;

	(void)sqlite3_bind_int64(s, 1, (sqlite3_int64)q->since_us);
	(void)sqlite3_bind_int64(s, 2, q->limit ? (int64_t)q->limit : -1);

	return stmt_each(c, s, cdr_row, &e);
}
