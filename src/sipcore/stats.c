/**
 * @file sipcore/stats.c  What was counted, as metrics of the process
 *
 * The path of a message counts in its worker's own struct; once a second what
 * has been added there is added to the shared metrics.
 */
#include <stddef.h>
#include <re.h>
#include "cfg/cfg.h"
#include "metric/metric.h"
#include "sipcore.h"
#include "internal.h"


enum { PUBLISH_MS = 1000 };

static struct row {
	struct metric m;
	size_t offset;
} rowv[] = {
#define ROW(type, name, field, help) \
	{METRIC_INIT(type, "sipcore_" name, help), \
	 offsetof(struct sipcore_stats, field)}
	ROW(COUNTER, "received_total", rx, "SIP messages received"),
	ROW(COUNTER, "sent_total", tx, "SIP messages sent"),
	ROW(COUNTER, "malformed_total", rx_bad,
	    "SIP messages that could not be read, answered or not"),
	ROW(COUNTER, "dropped_total", rx_dropped,
	    "SIP messages lost for want of memory or of a worker"),
	ROW(COUNTER, "retransmissions_received_total", retrans_rx,
	    "Requests that came again"),
	ROW(COUNTER, "retransmissions_sent_total", retrans_tx,
	    "Requests and responses sent again"),
	ROW(COUNTER, "limit_hits_total", limit_hits,
	    "What was refused at a limit: transactions, connections, bytes,"
	    " time"),
	ROW(GAUGE, "server_transactions", strans, "Server transactions"),
	ROW(GAUGE, "client_transactions", ctrans, "Client transactions"),
	ROW(GAUGE, "connections", conns, "TCP connections"),
#undef ROW
};


void sipcore_stats_register(void)
{
	for (size_t i=0; i<ARRAY_SIZE(rowv); i++)
		metric_register(&rowv[i].m);
}


static int64_t field(const struct sipcore_stats *st, size_t offset)
{
	const uint8_t *p = (const uint8_t *)st + offset;

	return (int64_t)*(const uint64_t *)(const void *)p;
}


/* A gauge of all workers is the sum of theirs: its changes are added too */
static void publish(struct sipcore *core, const struct sipcore_stats *now)
{
	for (size_t i=0; i<ARRAY_SIZE(rowv); i++) {
		const size_t off = rowv[i].offset;

		metric_add(&rowv[i].m,
			   field(now, off) - field(&core->published, off));
	}

	core->published = *now;
}


static void timer(void *arg)
{
	struct sipcore *core = arg;
	struct sipcore_stats now;

	sipcore_stats(core, &now);
	publish(core, &now);
	tmr_start(&core->tmr_stats, PUBLISH_MS, timer, core);
}


void sipcore_stats_start(struct sipcore *core)
{
	tmr_start(&core->tmr_stats, PUBLISH_MS, timer, core);
}


/* The worker ends: what it counted stays, what it had is gone */
void sipcore_stats_stop(struct sipcore *core)
{
	struct sipcore_stats now;

	tmr_cancel(&core->tmr_stats);
	sipcore_stats(core, &now);
	now.strans = now.ctrans = now.conns = 0;
	publish(core, &now);
}


void sipcore_stats(const struct sipcore *core, struct sipcore_stats *st)
{
	if (!core || !st)
		return;

	*st = core->stats;
	st->ctrans = core->ctrans.used;
}
