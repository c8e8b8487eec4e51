/**
 * @file cdr/row.c  A CDR as a line of JSON
 */

#include <string.h>
#include <re.h>
#include "store/store.h"
#include "cdr/cdr.h"
#include "cdr/internal.h"


static int add_str(struct odict *od, const char *key, const char *val)
{
	return str_isset(val) ? odict_entry_add(od, key, ODICT_STRING, val)
		: 0;
}


static int add_int(struct odict *od, const char *key, uint64_t val)
{
	return val ? odict_entry_add(od, key, ODICT_INT, (int64_t)val) : 0;
}


static const char *get_str(const struct odict *od, const char *key)
{
	const char *s = odict_string(od, key);

	return s ? s : "";
}


static uint64_t get_int(const struct odict *od, const char *key)
{
	uint64_t n = 0;

	(void)odict_get_number(od, &n, key);

	return n;
}


int cdr_row_encode(char **linep, const struct store_cdr *row)
{
	struct odict *od;
	int err;

	err = odict_alloc(&od, 16);
	if (err)
		return err;

	err |= add_int(od, "time", row->time_us);
	err |= add_str(od, "call_id", row->call_id);
	err |= add_str(od, "linked_id", row->linked_id);
	err |= add_str(od, "caller", row->caller);
	err |= add_str(od, "callee", row->callee);
	err |= add_int(od, "answer_time", row->answer_us);
	err |= add_int(od, "end_time", row->end_us);
	err |= add_str(od, "disposition", row->disposition);
	err |= add_int(od, "sip_code", row->sip_code);
	err |= add_str(od, "codec", row->codec);
	err |= add_str(od, "src_ip", row->src_ip);
	err |= add_str(od, "dst_ip", row->dst_ip);
	err |= add_str(od, "hangup", row->hangup);
	err |= add_str(od, "node", row->node);
	if (!err)
		err = re_sdprintf(linep, "%H", json_encode_odict, od);

	mem_deref(od);

	return err;
}


int cdr_row_decode(struct store_cdr **rowp, const char *line, size_t len)
{
	struct store_cdr row;
	struct odict *od;
	int err;

	err = json_decode_odict(&od, 16, line, len, 2);
	if (err)
		return err;

	memset(&row, 0, sizeof(row));
	row.time_us     = get_int(od, "time");
	row.call_id     = get_str(od, "call_id");
	row.linked_id   = get_str(od, "linked_id");
	row.caller      = get_str(od, "caller");
	row.callee      = get_str(od, "callee");
	row.answer_us   = get_int(od, "answer_time");
	row.end_us      = get_int(od, "end_time");
	row.disposition = get_str(od, "disposition");
	row.sip_code    = (uint16_t)get_int(od, "sip_code");
	row.codec       = get_str(od, "codec");
	row.src_ip      = get_str(od, "src_ip");
	row.dst_ip      = get_str(od, "dst_ip");
	row.hangup      = get_str(od, "hangup");
	row.node        = get_str(od, "node");

	err = row.time_us && str_isset(row.call_id)
		? store_cdr_dup(rowp, &row) : EBADMSG;

	mem_deref(od);

	return err;
}
