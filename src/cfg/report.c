/**
 * @file cfg/report.c  All that is wrong with a file, in order of position
 */
#include <errno.h>
#include <re.h>
#include "cfg.h"
#include "internal.h"


struct complaint {
	struct le le;
	struct cfg_pos pos;
	bool warning;
	char *text;
};

struct cfg_report {
	struct list complaintl;
	size_t kept;
	size_t errors;
	size_t dropped;
	bool oom;		/* a complaint has been lost */
};


static void complaint_destructor(void *arg)
{
	struct complaint *c = arg;

	list_unlink(&c->le);
	mem_deref(c->text);
}


static void destructor(void *arg)
{
	struct cfg_report *rep = arg;

	list_flush(&rep->complaintl);
}


int cfg_report_alloc(struct cfg_report **repp)
{
	struct cfg_report *rep;

	if (!repp)
		return EINVAL;

	rep = mem_zalloc(sizeof(*rep), destructor);
	if (!rep)
		return ENOMEM;

	*repp = rep;

	return 0;
}


static bool is_before(const struct cfg_pos *a, const struct cfg_pos *b)
{
	return a->line < b->line || (a->line == b->line && a->col < b->col);
}


/* From the end: what comes in order costs nothing */
static void insert(struct cfg_report *rep, struct complaint *c)
{
	struct le *le = rep->complaintl.tail;

	while (le) {
		const struct complaint *o = le->data;

		if (!is_before(&c->pos, &o->pos))
			break;
		le = le->prev;
	}

	if (le)
		list_insert_after(&rep->complaintl, le, &c->le, c);
	else
		list_prepend(&rep->complaintl, &c->le, c);
}


/** What comes now is only counted: no need to think about good advice */
bool cfg_report_is_full(const struct cfg_report *rep)
{
	return !rep || rep->kept >= CFG_ERRS_MAX;
}


void cfg_vreport(struct cfg_report *rep, bool warning,
		 const struct cfg_pos *pos, const char *fmt, va_list ap)
{
	struct complaint *c;

	if (!rep)
		return;

	/* counted first: out of memory must not make a bad file good */
	if (!warning)
		++rep->errors;

	if (cfg_report_is_full(rep)) {
		++rep->dropped;
		return;
	}

	c = mem_zalloc(sizeof(*c), complaint_destructor);
	if (!c) {
		rep->oom = true;
		return;
	}

	if (pos)
		c->pos = *pos;
	c->warning = warning;
	if (re_vsdprintf(&c->text, fmt, ap))
		rep->oom = true;
	insert(rep, c);
	++rep->kept;
}


/**
 * Add an error
 *
 * @param rep  Report
 * @param pos  Where; NULL if it has no place in the file.  The file's name
 *             must outlive the report
 * @param fmt  What is wrong, and what is allowed
 */
void cfg_error(struct cfg_report *rep, const struct cfg_pos *pos,
	       const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	cfg_vreport(rep, false, pos, fmt, ap);
	va_end(ap);
}


/** Add something that is allowed but probably not meant */
void cfg_warning(struct cfg_report *rep, const struct cfg_pos *pos,
		 const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	cfg_vreport(rep, true, pos, fmt, ap);
	va_end(ap);
}


size_t cfg_report_errors(const struct cfg_report *rep)
{
	return rep ? rep->errors : 0;
}


static int print_pos(struct re_printf *pf, const struct cfg_pos *pos)
{
	if (pos->file && pos->line)
		return re_hprintf(pf, "%s:%u:%u: ", pos->file, pos->line,
				  pos->col);
	if (pos->file)
		return re_hprintf(pf, "%s: ", pos->file);

	return 0;
}


/** 0 if there is no error, ENOMEM if one could not be kept, else EINVAL */
int cfg_report_verdict(const struct cfg_report *rep)
{
	if (rep->oom)
		return ENOMEM;

	return rep->errors ? EINVAL : 0;
}


/** One line each: "FILE:LINE:COL: MESSAGE" */
int cfg_report_print(struct re_printf *pf, const struct cfg_report *rep)
{
	const struct le *le;
	int err = 0;

	if (!rep)
		return 0;

	for (le = rep->complaintl.head; le; le = le->next) {
		const struct complaint *c = le->data;

		err |= print_pos(pf, &c->pos);
		err |= re_hprintf(pf, "%s%s\n", c->warning ? "warning: " : "",
				  c->text ? c->text : "out of memory");
	}

	if (rep->dropped)
		err |= re_hprintf(pf, "and %zu more\n", rep->dropped);

	return err;
}
