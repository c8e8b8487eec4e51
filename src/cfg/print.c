/**
 * @file cfg/print.c  A report for people (lines, carets, colours) and programs
 */
#include <string.h>
#include <re.h>
#include "cfg.h"
#include "internal.h"


enum {
	VIEW  = 100,		/* characters of a line that are shown */
	AHEAD = 60,		/* ... of them before the caret        */
};

/** Escape sequences, or nothing */
struct style {
	const char *bold;
	const char *error;
	const char *warning;
	const char *caret;
	const char *off;
};

static const struct style plain = {"", "", "", "", ""};
static const struct style colour = {
	"\033[1m", "\033[1;31m", "\033[1;35m", "\033[1;32m", "\033[0m"
};


static int print_pos(struct re_printf *pf, const struct cfg_pos *pos)
{
	if (pos->file && pos->line)
		return re_hprintf(pf, "%s:%u:%u: ", pos->file, pos->line,
				  pos->col);
	if (pos->file)
		return re_hprintf(pf, "%s: ", pos->file);

	return 0;
}


static const char *text_of(const struct cfg_complaint *c)
{
	return c->text ? c->text : "out of memory";
}


static int print_complaint(struct re_printf *pf,
			   const struct cfg_complaint *c,
			   const struct style *s)
{
	int err = re_hprintf(pf, "%s", s->bold);

	err |= print_pos(pf, &c->pos);
	err |= re_hprintf(pf, "%s", s->off);
	if (c->warning)
		err |= re_hprintf(pf, "%swarning:%s ", s->warning, s->off);

	return err | re_hprintf(pf, "%s%s%s [VS%04u]\n",
				c->warning ? "" : s->error, text_of(c),
				c->warning ? "" : s->off, c->code);
}


static bool find_line(struct pl *line, const struct cfg_report *rep,
		      unsigned nr)
{
	const char *p = rep->text, *end = p + rep->len, *nl;

	while (--nr && p < end) {
		nl = memchr(p, '\n', (size_t)(end - p));
		if (!nl)
			return false;
		p = nl + 1;
	}

	nl = memchr(p, '\n', (size_t)(end - p));
	line->p = p;
	line->l = (size_t)((nl ? nl : end) - p);
	if (line->l && line->p[line->l - 1] == '\r')
		--line->l;

	return line->l > 0;
}


static bool is_continuation(char c)
{
	return ((unsigned char)c & 0xc0) == 0x80;
}


/* Cut the first n characters off; a character of UTF-8 is many bytes */
static void advance(struct pl *pl, size_t n)
{
	while (n-- && pl->l) {
		do {
			pl_advance(pl, 1);
		} while (pl->l && is_continuation(*pl->p));
	}
}


/* What must not reach a terminal: a file may hold anything */
static char harmless(char c, bool ascii)
{
	if ((unsigned char)c < ' ' || c == 0x7f)
		return c == '\t' ? ' ' : '?';

	return ascii && (c & 0x80) ? '?' : c;
}


static int print_view(struct re_printf *pf, struct pl view, bool ascii)
{
	size_t i;
	int err = 0;

	for (i = 0; i < view.l && !err; i++) {
		const char c = harmless(view.p[i], ascii);

		err = pf->vph(&c, 1, pf->arg);
	}

	return err;
}


/* The line, or as much as stands near the column, and a caret below */
static int print_source(struct re_printf *pf, const struct cfg_report *rep,
			const struct cfg_complaint *c, const struct style *s)
{
	const size_t col = c->pos.col ? c->pos.col - 1 : 0;
	const size_t skip = col > AHEAD ? col - AHEAD : 0;
	struct pl line, rest;
	size_t i;
	int err;

	if (!rep->text || !c->pos.line || !c->pos.file ||
	    strcmp(c->pos.file, rep->file) ||
	    !find_line(&line, rep, c->pos.line) ||
	    cfg_is_secret(&line))
		return 0;

	advance(&line, skip);
	rest = line;
	advance(&rest, VIEW);
	line.l -= rest.l;

	/* not UTF-8: columns are bytes */
	err  = re_hprintf(pf, "%6u | ", c->pos.line);
	err |= print_view(pf, line, c->code == 103);
	err |= re_hprintf(pf, "%s\n       | ", rest.l ? "..." : "");
	for (i = skip; i < col; i++)
		err |= re_hprintf(pf, " ");

	return err | re_hprintf(pf, "%s^%s\n", s->caret, s->off);
}


static int print_all(struct re_printf *pf, const struct cfg_report *rep,
		     const struct style *s, bool source)
{
	const struct le *le;
	int err = 0;

	if (!rep)
		return 0;

	for (le = rep->complaintl.head; le; le = le->next) {
		const struct cfg_complaint *c = le->data;

		err |= print_complaint(pf, c, s);
		if (source)
			err |= print_source(pf, rep, c, s);
	}

	if (rep->dropped)
		err |= re_hprintf(pf, "and %zu more\n", rep->dropped);

	return err;
}


int cfg_report_print(struct re_printf *pf, const struct cfg_report *rep)
{
	return print_all(pf, rep, &plain, false);
}


int cfg_report_print_lines(struct re_printf *pf,
			   const struct cfg_report *rep)
{
	return print_all(pf, rep, &plain, true);
}


int cfg_report_print_colour(struct re_printf *pf,
			    const struct cfg_report *rep)
{
	return print_all(pf, rep, &colour, true);
}


static int print_json(struct re_printf *pf, const struct cfg_complaint *c)
{
	int err;

	err = re_hprintf(pf, "{\"code\":\"VS%04u\",\"severity\":\"%s\"",
			 c->code, c->warning ? "warning" : "error");
	if (c->pos.file)
		err |= re_hprintf(pf, ",\"file\":\"%H\"", utf8_encode,
				  c->pos.file);
	if (c->pos.line)
		err |= re_hprintf(pf, ",\"line\":%u,\"column\":%u",
				  c->pos.line, c->pos.col);

	return err | re_hprintf(pf, ",\"message\":\"%H\"}", utf8_encode,
				text_of(c));
}


int cfg_report_print_json(struct re_printf *pf, const struct cfg_report *rep)
{
	const struct le *le;
	int err;

	if (!rep)
		return 0;

	err = re_hprintf(pf, "{\"errors\":%zu,\"warnings\":%zu,\"left_out\":"
			 "%zu,\"messages\":[", rep->errors, rep->warnings,
			 rep->dropped);
	for (le = rep->complaintl.head; le; le = le->next)
		err |= re_hprintf(pf, "%s\n%H",
				  le == rep->complaintl.head ? "" : ",",
				  print_json, le->data);

	return err | re_hprintf(pf, "%s]}\n", rep->kept ? "\n" : "");
}
