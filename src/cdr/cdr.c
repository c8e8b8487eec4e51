/**
 * @file cdr/cdr.c  The CDR of one leg, on the worker of its call (ADR-007)
 *
 *   open -> [open] -> answer -> [open, answered] -> close -> [closed]
 */

#include <string.h>
#include <re.h>
#include "store/store.h"
#include "cdr/cdr.h"
#include "cdr/internal.h"


struct cdr {
	struct cdr_writer *w;		/**< borrowed                       */
	struct store_cdr *row;		/**< owned, one block               */
	struct list waitl;		/**< handlers that did not run yet  */
	bool closed;
};


/* The handlers' jobs are under way; they find nobody */
static void cdr_destructor(void *data)
{
	struct cdr *c = data;
	struct le *le;

	while ((le = list_head(&c->waitl))) {
		struct cdr_waiter *wt = le->data;

		wt->h = NULL;
		list_unlink(le);
	}

	mem_deref(c->row);
}


/* The row becomes what next says */
static int row_change(struct cdr *c, const struct store_cdr *next)
{
	struct store_cdr *row;
	int err;

	err = store_cdr_dup(&row, next);
	if (err)
		return err;

	mem_deref(c->row);
	c->row = row;

	return 0;
}


static int cdr_alloc(struct cdr **cp, struct cdr_writer *w,
		     const struct store_cdr *row)
{
	struct cdr *c;
	int err;

	if (!cp || !w || !row)
		return EINVAL;

	c = mem_zalloc(sizeof(*c), cdr_destructor);
	if (!c)
		return ENOMEM;

	c->w = w;
	err = row_change(c, row);
	if (err)
		mem_deref(c);
	else
		*cp = c;

	return err;
}


int cdr_open(struct cdr **cp, struct cdr_writer *w,
	     const struct store_cdr *row, cdr_done_h *h, void *arg)
{
	struct cdr *c;
	int err;

	err = cdr_alloc(&c, w, row);
	if (err)
		return err;

	err = cdr_writer_put(w, c->row, &c->waitl, h, arg);
	if (err)
		mem_deref(c);
	else
		*cp = c;

	return err;
}


int cdr_resume(struct cdr **cp, struct cdr_writer *w,
	       const struct store_cdr *row)
{
	return cdr_alloc(cp, w, row);
}


int cdr_set(struct cdr *c, const char *codec, const char *dst_ip)
{
	struct store_cdr next;

	if (!c)
		return EINVAL;

	next = *c->row;
	if (codec)
		next.codec = codec;
	if (dst_ip)
		next.dst_ip = dst_ip;

	return row_change(c, &next);
}


int cdr_answer(struct cdr *c, uint64_t answer_us)
{
	if (!c)
		return EINVAL;

	if (c->closed || c->row->answer_us)
		return EALREADY;

	c->row->answer_us = answer_us;

	return cdr_writer_put(c->w, c->row, NULL, NULL, NULL);
}


static const char *disposition_of(const struct store_cdr *row)
{
	if (row->answer_us)
		return "ANSWERED";

	switch (row->sip_code) {

	case 486:
	case 600:
		return "BUSY";

	case 408:
	case 480:
	case 487:
		return "NO ANSWER";

	default:
		return "FAILED";
	}
}


int cdr_close(struct cdr *c, uint64_t end_us, const char *disposition,
	      uint16_t sip_code, const char *hangup,
	      cdr_done_h *h, void *arg)
{
	struct store_cdr next;
	int err;

	if (!c || !end_us)
		return EINVAL;

	if (c->closed)
		return EALREADY;

	next = *c->row;
	next.end_us   = end_us;
	next.sip_code = sip_code;
	next.hangup   = hangup;
	next.disposition = disposition ? disposition : disposition_of(&next);

	err = row_change(c, &next);
	if (!err)
		err = cdr_writer_put(c->w, c->row, &c->waitl, h, arg);
	if (!err)
		c->closed = true;

	return err;
}


const struct store_cdr *cdr_row(const struct cdr *c)
{
	return c ? c->row : NULL;
}
