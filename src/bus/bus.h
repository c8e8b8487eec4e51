/**
 * @file bus.h  Typed events inside a role
 *
 * An event is a value: a kind and named string or number fields, no
 * pointers into the publisher.  Subscribers run at once, in order, on the
 * publishing loop, and must not block.
 */

#ifndef VOIPSTACK_BUS_H
#define VOIPSTACK_BUS_H

struct bus;
struct bus_sub;

enum bus_kind {
	BUS_CALL_START = 0,	/**< an INVITE came (call_id, linked_id, ...) */
	BUS_CALL_ANSWER,
	BUS_CALL_END,
	BUS_REG_ADD,
	BUS_REG_DEL,
	BUS_MEDIA_START,
	BUS_MEDIA_END,
	BUS_CHANNEL,		/**< a leg: new, ringing, up, end            */
	BUS_BRIDGE,		/**< two legs: new, up, change, end          */
	BUS_PLAYBACK,		/**< own media of the PBX: new, change, end  */
	BUS_KIND_MAX
};

/** "call.start", "reg.add", ... */
const char *bus_kind_name(enum bus_kind kind);

typedef void (bus_h)(enum bus_kind kind, const void *ev, void *arg);

int  bus_alloc(struct bus **bp);
/** Dropping *subp ends the subscription, also from inside its handler */
int  bus_subscribe(struct bus_sub **subp, struct bus *b, enum bus_kind kind,
		   bus_h *h, void *arg);
/** ev: the kind's own struct (see bus_event.h), valid during the call */
void bus_publish(struct bus *b, enum bus_kind kind, const void *ev);

#endif
