/**
 * @file cfg/report.c  All that is wrong with a file, in order of position
 */
#include <errno.h>
#include <string.h>
#include <re.h>
#include "cfg.h"
#include "internal.h"


static void complaint_destructor(void *arg)
{
	struct cfg_complaint *c = arg;

	list_unlink(&c->le);
	mem_deref(c->text);
}


static void destructor(void *arg)
{
	struct cfg_report *rep = arg;

	list_flush(&rep->complaintl);
	mem_deref(rep->text);
	mem_deref(rep->file);
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
static void insert(struct cfg_report *rep, struct cfg_complaint *c)
{
	struct le *le = rep->complaintl.tail;

	while (le) {
		const struct cfg_complaint *o = le->data;

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
	struct cfg_complaint *c;

	if (!rep)
		return;

	/* counted first: out of memory must not make a bad file good */
	if (warning)
		++rep->warnings;
	else
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
	c->code = cfg_code_split(&fmt);
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
 * @param fmt  What is wrong, and what is allowed; begins with its code of
 *             code.c, "VS0202 %s: no such option"; without one it is VS0401
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


size_t cfg_report_warnings(const struct cfg_report *rep)
{
	return rep ? rep->warnings : 0;
}


/** 0 if there is no error, ENOMEM if one could not be kept, else EINVAL */
int cfg_report_verdict(const struct cfg_report *rep)
{
	if (rep->oom)
		return ENOMEM;

	return rep->errors ? EINVAL : 0;
}


/**
 * Keep the text, so that the offending lines can be shown
 *
 * @param rep   Report
 * @param file  The name that the positions in this text have
 * @param text  The text
 * @param len   Its length
 *
 * @return 0 if success, otherwise errorcode
 */
int cfg_report_source(struct cfg_report *rep, const char *file,
		      const char *text, size_t len)
{
	int err;

	if (!rep || !file || !text)
		return EINVAL;

	rep->file = mem_deref(rep->file);
	rep->text = mem_deref(rep->text);

	err = str_dup(&rep->file, file);
	if (err)
		return err;

	rep->text = mem_alloc(len + 1, NULL);
	if (!rep->text)
		return ENOMEM;

	memcpy(rep->text, text, len);
	rep->text[len] = '\0';
	rep->len = len;

	return 0;
}
