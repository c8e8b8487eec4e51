/**
 * @file ctl/show.c  Answers for people: "key  value" lines and tables
 *
 * An object of scalars is lines; an array of objects is a table, its columns
 * the scalars of all rows. Names that end in _s are seconds, in _bytes
 * bytes: both are shown as people read them.  The table of roles has the
 * figures that several roles share; what one role alone says follows in a
 * line of its own.
 */
#include <string.h>
#include <re.h>
#include "ctl.h"
#include "internal.h"


enum {
	COLS_MAX = 32,
	CELL_MAX = 64,
};

struct table {
	const char *namev[COLS_MAX];
	size_t widthv[COLS_MAX];
	size_t n;
	size_t first;		/* width of the rows' own names, 0: none */
};


static bool ends_with(const char *s, const char *end, size_t *n)
{
	const size_t sl = strlen(s), el = strlen(end);

	if (sl <= el || strcmp(s + sl - el, end))
		return false;

	*n = sl - el;

	return true;
}


/* A column's name without the unit that its cells show */
static size_t shown_len(const char *name)
{
	size_t n = strlen(name);

	if (!ends_with(name, "_s", &n))
		(void)ends_with(name, "_bytes", &n);

	return n;
}


static void format_seconds(char *buf, size_t size, uint64_t s)
{
	if (s < 60)
		(void)re_snprintf(buf, size, "%llus", s);
	else if (s < 3600)
		(void)re_snprintf(buf, size, "%llum%02llus", s / 60, s % 60);
	else if (s < 86400)
		(void)re_snprintf(buf, size, "%lluh%02llum", s / 3600,
				  s / 60 % 60);
	else
		(void)re_snprintf(buf, size, "%llud%02lluh", s / 86400,
				  s / 3600 % 24);
}


static void format_bytes(char *buf, size_t size, uint64_t n)
{
	static const char unitv[] = " kMGT";
	unsigned i = 0;
	uint64_t tenths = n * 10;

	while (tenths >= 10240 && i < 4) {
		tenths /= 1024;
		++i;
	}

	if (!i)
		(void)re_snprintf(buf, size, "%llu", n);
	else
		(void)re_snprintf(buf, size, "%llu.%llu %cB", tenths / 10,
				  tenths % 10, unitv[i]);
}


/* What a peer sent must not steer the terminal */
static void sanitize(char *s)
{
	for (; *s; s++) {
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			*s = '?';
	}
}


static void format_cell(char *buf, size_t size, const struct odict_entry *e)
{
	size_t n;

	buf[0] = '\0';
	switch (e ? e->type : ODICT_NULL) {

	case ODICT_STRING:
		str_ncpy(buf, e->u.str, size);
		break;
	case ODICT_INT:
		if (e->u.integer >= 0 && ends_with(e->key, "_s", &n))
			format_seconds(buf, size, (uint64_t)e->u.integer);
		else if (e->u.integer >= 0 && ends_with(e->key, "_bytes", &n))
			format_bytes(buf, size, (uint64_t)e->u.integer);
		else
			(void)re_snprintf(buf, size, "%lld", e->u.integer);
		break;
	case ODICT_DOUBLE:
		(void)re_snprintf(buf, size, "%.2f", e->u.dbl);
		break;
	case ODICT_BOOL:
		str_ncpy(buf, e->u.boolean ? "yes" : "no", size);
		break;
	default:
		break;
	}

	sanitize(buf);
}


/* Columns of the table of roles, in this order */
static const char *const shared[] = {
	"state", "pid", "uptime_s", "calls", "registrations", "sessions",
	"backends", "restarts", "rss_bytes", "node",
};


static bool is_shared(const char *name)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(shared); i++) {
		if (!strcmp(shared[i], name))
			return true;
	}

	return false;
}


static void table_add(struct table *t, const struct odict_entry *e)
{
	char cell[CELL_MAX];
	size_t i;

	for (i = 0; i < t->n && strcmp(t->namev[i], e->key); i++)
		;
	if (i == t->n) {
		if (t->n == COLS_MAX)
			return;
		t->namev[t->n] = e->key;
		t->widthv[t->n++] = shown_len(e->key);
	}

	format_cell(cell, sizeof(cell), e);
	t->widthv[i] = max(t->widthv[i], strlen(cell));
}


/* Columns stand in the order of shared[], where any role has them */
static void table_order(struct table *t, const struct odict *rows)
{
	const struct le *le;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(shared); i++) {

		for (le = rows->lst.head; le; le = le->next) {
			const struct odict_entry *row = le->data;
			const struct odict_entry *e;

			e = odict_lookup(row->u.odict, shared[i]);
			if (e) {
				table_add(t, e);
				break;
			}
		}
	}
}


static void table_measure(struct table *t, const struct odict *rows,
			  bool named)
{
	const struct le *le, *ce;

	memset(t, 0, sizeof(*t));
	t->first = named ? strlen("role") : 0;
	if (named)
		table_order(t, rows);

	for (le = rows->lst.head; le; le = le->next) {
		const struct odict_entry *row = le->data;

		if (!odict_type_iscontainer(row->type))
			continue;
		if (named)
			t->first = max(t->first, strlen(row->key));
		for (ce = row->u.odict->lst.head; ce; ce = ce->next) {
			const struct odict_entry *e = ce->data;

			if (!odict_type_iscontainer(e->type) &&
			    (!named || is_shared(e->key)))
				table_add(t, e);
		}
	}
}


/* A cell and two spaces; width 0: the last of its line */
static int pad(struct re_printf *pf, const char *s, size_t len, size_t width)
{
	int err = re_hprintf(pf, "%b", s, len);

	while (width && len++ < width + 2)
		err |= re_hprintf(pf, " ");

	return err;
}


static int print_row(struct re_printf *pf, const struct table *t,
		     const struct odict_entry *row)
{
	int err = 0;
	size_t i;

	if (t->first)
		err |= pad(pf, row->key, strlen(row->key), t->first);

	for (i = 0; i < t->n; i++) {
		char cell[CELL_MAX];

		format_cell(cell, sizeof(cell),
			    odict_lookup(row->u.odict, t->namev[i]));
		err |= pad(pf, cell, strlen(cell),
			   i + 1 < t->n ? t->widthv[i] : 0);
	}

	return err | re_hprintf(pf, "\n");
}


static int print_table(struct re_printf *pf, const struct odict *rows,
		       bool named)
{
	const struct le *le;
	struct table t;
	size_t i;
	int err = 0;

	table_measure(&t, rows, named);

	if (t.first)
		err |= pad(pf, "role", 4, t.first);
	for (i = 0; i < t.n; i++)
		err |= pad(pf, t.namev[i], shown_len(t.namev[i]),
			   i + 1 < t.n ? t.widthv[i] : 0);
	err |= re_hprintf(pf, "\n");

	for (le = rows->lst.head; le; le = le->next) {
		const struct odict_entry *row = le->data;

		if (odict_type_iscontainer(row->type))
			err |= print_row(pf, &t, row);
	}

	return err;
}


static bool is_table(const struct odict_entry *e)
{
	const struct odict_entry *first;

	if (e->type != ODICT_ARRAY)
		return false;

	first = list_ledata(e->u.odict->lst.head);

	return first && odict_type_iscontainer(first->type);
}


static int print_scalars(struct re_printf *pf, const struct odict *od)
{
	const struct le *le;
	size_t width = 0;
	int err = 0;

	for (le = od->lst.head; le; le = le->next) {
		const struct odict_entry *e = le->data;

		if (!odict_type_iscontainer(e->type))
			width = max(width, shown_len(e->key));
	}

	for (le = od->lst.head; le; le = le->next) {
		const struct odict_entry *e = le->data;
		char cell[1024];

		if (odict_type_iscontainer(e->type))
			continue;
		format_cell(cell, sizeof(cell), e);
		err |= pad(pf, e->key, shown_len(e->key), width);
		err |= re_hprintf(pf, "%s\n", cell);
	}

	return err;
}


/** An object: its scalars as lines, then what it contains, with headings */
int ctl_show(struct re_printf *pf, const struct odict *od)
{
	const struct le *le;
	int err;

	err = print_scalars(pf, od);

	for (le = od->lst.head; le && !err; le = le->next) {
		const struct odict_entry *e = le->data;

		if (!odict_type_iscontainer(e->type))
			continue;

		err |= re_hprintf(pf, "%s%s (%zu)\n",
				  le->prev ? "\n" : "", e->key,
				  odict_count(e->u.odict, false));
		if (is_table(e))
			err |= print_table(pf, e->u.odict, false);
		else
			err |= ctl_show(pf, e->u.odict);
	}

	return err;
}


/* "sip: requests 5, pbx_nodes 1": what has no column */
static int print_rest(struct re_printf *pf, const struct odict_entry *role)
{
	const struct le *le;
	bool first = true;
	int err = 0;

	for (le = role->u.odict->lst.head; le; le = le->next) {
		const struct odict_entry *e = le->data;
		char cell[CELL_MAX];

		if (odict_type_iscontainer(e->type) || is_shared(e->key))
			continue;
		format_cell(cell, sizeof(cell), e);
		if (first)
			err |= re_hprintf(pf, "%s: ", role->key);
		err |= re_hprintf(pf, "%s%b %s", first ? "" : ", ", e->key,
				  shown_len(e->key), cell);
		first = false;
	}

	return first ? err : err | re_hprintf(pf, "\n");
}


/** "status" of several roles: one table, a role a row, then their lists */
int ctl_show_roles(struct re_printf *pf, const struct odict *roles)
{
	const struct le *le, *ce;
	int err;

	err = print_table(pf, roles, true);

	for (le = roles->lst.head; le; le = le->next)
		err |= print_rest(pf, le->data);

	for (le = roles->lst.head; le; le = le->next) {
		const struct odict_entry *role = le->data;

		for (ce = role->u.odict->lst.head; ce; ce = ce->next) {
			const struct odict_entry *e = ce->data;

			if (!is_table(e))
				continue;
			err |= re_hprintf(pf, "\n%s %s\n", role->key, e->key);
			err |= print_table(pf, e->u.odict, false);
		}
	}

	return err;
}
