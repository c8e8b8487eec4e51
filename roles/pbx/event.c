/**
 * @file roles/pbx/event.c  What happens to channels, bridges and playbacks,
 *                          told on the worker's bus
 */
#include <string.h>
#include <re.h>
#include "worker/worker.h"
#include "cfg/cfg.h"
#include "bus/bus.h"
#include "bus/bus_event.h"
#include "role.h"
#include "store/store.h"
#include "cdr/cdr.h"
#include "sipcore/sipcore.h"
#include "sipua/sipua.h"
#include "internal.h"


static void publish(const struct call *call, enum bus_kind kind,
		    const char *id, const char *state)
{
	struct bus_object ev;

	if (!call->ag->bus)
		return;

	memset(&ev, 0, sizeof(ev));
	ev.time_us = worker_wallclock_us();
	ev.id = id;
	ev.state = state;
	ev.call = call->id;
	ev.linked_id = call->sid;
	ev.caller = call->dial.caller;
	ev.callee = call->dial.number;
	bus_publish(call->ag->bus, kind, &ev);
}


/** "new", "ringing", "up", "end" */
void event_channel(const struct channel *ch, const char *state)
{
	publish(ch->call, BUS_CHANNEL, ch->id, state);
}


/** "new", "up", "change", "end" */
void event_bridge(const struct call *call, const char *state)
{
	publish(call, BUS_BRIDGE, call->id, state);
}


/** "new", "change", "end" */
void event_play(const struct call *call, const char *state)
{
	publish(call, BUS_PLAYBACK, call->id, state);
}


/** A leg's CDR as an event */
void event_call(const struct channel *ch, enum bus_kind kind)
{
	const struct store_cdr *row;
	struct bus_call ev;

	if (!ch->cdr || !ch->call->ag->bus)
		return;

	row = cdr_row(ch->cdr);
	memset(&ev, 0, sizeof(ev));
	ev.time_us     = row->time_us;
	ev.call_id     = row->call_id;
	ev.linked_id   = row->linked_id;
	ev.caller      = row->caller;
	ev.callee      = row->callee;
	ev.answer_us   = row->answer_us;
	ev.end_us      = row->end_us;
	ev.disposition = row->disposition;
	ev.sip_code    = row->sip_code;
	ev.codec       = row->codec;
	ev.src_ip      = row->src_ip;
	ev.dst_ip      = row->dst_ip;
	ev.hangup      = row->hangup;
	ev.node        = row->node;
	bus_publish(ch->call->ag->bus, kind, &ev);
}
