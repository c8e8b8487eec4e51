/**
 * @file bus/bus.c  Typed events inside a role
 */

#include <re.h>
#include "bus/bus.h"


/** Where a publication under way goes on; a subscription that is dropped
    meanwhile moves it along */
struct cursor {
	struct le *next;
	struct cursor *outer;
};

struct bus {
	struct list subv[BUS_KIND_MAX];
	struct cursor *cursor;		/**< innermost, on the stack */
};

struct bus_sub {
	struct le le;
	struct bus *bus;		/**< NULL once the bus is gone */
	bus_h *h;
	void *arg;
};

static const char *const namev[BUS_KIND_MAX] = {
	[BUS_CALL_START]  = "call.start",
	[BUS_CALL_ANSWER] = "call.answer",
	[BUS_CALL_END]    = "call.end",
	[BUS_REG_ADD]     = "reg.add",
	[BUS_REG_DEL]     = "reg.del",
	[BUS_MEDIA_START] = "media.start",
	[BUS_MEDIA_END]   = "media.end",
	[BUS_CHANNEL]     = "channel",
	[BUS_BRIDGE]      = "bridge",
	[BUS_PLAYBACK]    = "playback",
};


const char *bus_kind_name(enum bus_kind kind)
{
	return kind < BUS_KIND_MAX ? namev[kind] : "unknown";
}


/* Subscriptions belong to their owners and may outlive the bus */
static void bus_destructor(void *data)
{
	struct bus *b = data;
	unsigned i;

	for (i=0; i<BUS_KIND_MAX; i++) {

		struct le *le;

		while ((le = list_head(&b->subv[i]))) {
			struct bus_sub *sub = le->data;

			list_unlink(le);
			sub->bus = NULL;
		}
	}
}


static void sub_destructor(void *data)
{
	struct bus_sub *sub = data;
	struct cursor *c;

	if (!sub->bus)
		return;

	for (c = sub->bus->cursor; c; c = c->outer) {
		if (c->next == &sub->le)
			c->next = sub->le.next;
	}

	list_unlink(&sub->le);
}


int bus_alloc(struct bus **bp)
{
	struct bus *b;

	if (!bp)
		return EINVAL;

	b = mem_zalloc(sizeof(*b), bus_destructor);
	if (!b)
		return ENOMEM;

	*bp = b;

	return 0;
}


int bus_subscribe(struct bus_sub **subp, struct bus *b, enum bus_kind kind,
		  bus_h *h, void *arg)
{
	struct bus_sub *sub;

	if (!subp || !b || kind >= BUS_KIND_MAX || !h)
		return EINVAL;

	sub = mem_zalloc(sizeof(*sub), sub_destructor);
	if (!sub)
		return ENOMEM;

	sub->bus = b;
	sub->h   = h;
	sub->arg = arg;
	list_append(&b->subv[kind], &sub->le, sub);
	*subp = sub;

	return 0;
}


void bus_publish(struct bus *b, enum bus_kind kind, const void *ev)
{
	struct cursor c;

	if (!b || kind >= BUS_KIND_MAX)
		return;

	c.next  = list_head(&b->subv[kind]);
	c.outer = b->cursor;
	b->cursor = &c;

	while (c.next) {
		const struct bus_sub *sub = c.next->data;

		c.next = c.next->next;
		sub->h(kind, ev, sub->arg);
	}

	b->cursor = c.outer;
}
