/**
 * @file metric.h  Counters and gauges
 *
 * A metric is a static struct of its module; adding to it is one atomic
 * operation from any thread, before and after it is registered.  ctl (and
 * later Prometheus) enumerate what is registered.
 */

#ifndef VOIPSTACK_METRIC_H
#define VOIPSTACK_METRIC_H

#include <stdatomic.h>

enum metric_type {
	METRIC_COUNTER = 0,	/**< only grows; name ends with _total */
	METRIC_GAUGE,
};

struct metric {
	const char *name;	/**< "sip_requests_total", Prometheus' rules */
	const char *help;
	enum metric_type type;
	_Atomic int64_t val;
	struct metric *next;	/**< metric.c */
	bool registered;	/**< metric.c */
};

/** static struct metric reqs = METRIC_INIT(COUNTER, "sip_...", "..."); */
#define METRIC_INIT(_type, _name, _help) \
	{.name = (_name), .help = (_help), .type = METRIC_ ## _type}

typedef bool (metric_h)(const struct metric *m, void *arg);

/** Make a static metric known; again is harmless */
void metric_register(struct metric *m);
/** Walk all in order of registration; return true from h to stop */
void metric_apply(metric_h *h, void *arg);

static inline void metric_add(struct metric *m, int64_t n)
{
	atomic_fetch_add_explicit(&m->val, n, memory_order_relaxed);
}

static inline void metric_inc(struct metric *m)
{
	metric_add(m, 1);
}

static inline void metric_set(struct metric *m, int64_t v)
{
	atomic_store_explicit(&m->val, v, memory_order_relaxed);
}

static inline int64_t metric_get(const struct metric *m)
{
	return atomic_load_explicit(&m->val, memory_order_relaxed);
}

#endif
