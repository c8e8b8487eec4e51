/**
 * @file metric/metric.c  The list of all counters and gauges of the process
 */
#include <pthread.h>
#include <re.h>
#include "metric.h"


static struct {
	pthread_mutex_t lock;
	struct metric *head;
	struct metric **tail;
} reg = {PTHREAD_MUTEX_INITIALIZER, NULL, &reg.head};


void metric_register(struct metric *m)
{
	if (!m)
		return;

	(void)pthread_mutex_lock(&reg.lock);
	if (!m->registered) {
		m->registered = true;
		m->next = NULL;
		*reg.tail = m;
		reg.tail = &m->next;
	}
	(void)pthread_mutex_unlock(&reg.lock);
}


void metric_apply(metric_h *h, void *arg)
{
	const struct metric *m;

	if (!h)
		return;

	(void)pthread_mutex_lock(&reg.lock);
	for (m = reg.head; m; m = m->next) {
		if (h(m, arg))
			break;
	}
	(void)pthread_mutex_unlock(&reg.lock);
}
