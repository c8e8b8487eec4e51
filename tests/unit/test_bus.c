/**
 * @file test_bus.c  Events: order, kinds, subscriptions dropped in handlers
 */
#include <string.h>
#include <re.h>
#include "test.h"
#include "bus/bus.h"
#include "bus/bus_event.h"


struct log {
	char text[64];
	struct bus *bus;
	struct bus_sub *a;
	struct bus_sub *b;
	struct bus_sub *c;
};


static void add(struct log *l, const char *who, const void *ev)
{
	const struct bus_call *call = ev;
	const size_t n = strlen(l->text);

	(void)re_snprintf(l->text + n, sizeof(l->text) - n, "%s:%s ", who,
			  call->call_id);
}


static void a_handler(enum bus_kind kind, const void *ev, void *arg)
{
	struct log *l = arg;
	const struct bus_call inner = {.call_id = "2"};

	(void)kind;
	add(l, "a", ev);

	/* itself and its successor, while an outer publication waits */
	if (!strcmp(((const struct bus_call *)ev)->call_id, "1")) {
		bus_publish(l->bus, BUS_CALL_START, &inner);
		l->a = mem_deref(l->a);
		l->b = mem_deref(l->b);
	}
}


static void b_handler(enum bus_kind kind, const void *ev, void *arg)
{
	(void)kind;
	add(arg, "b", ev);
}


static void c_handler(enum bus_kind kind, const void *ev, void *arg)
{
	(void)kind;
	add(arg, "c", ev);
}


static int test_bus(void)
{
	const struct bus_call one = {.call_id = "1"}, end = {.call_id = "3"};
	struct log l;
	int err;

	memset(&l, 0, sizeof(l));
	err = bus_alloc(&l.bus);
	TEST_ERR(err);
	err  = bus_subscribe(&l.a, l.bus, BUS_CALL_START, a_handler, &l);
	err |= bus_subscribe(&l.b, l.bus, BUS_CALL_START, b_handler, &l);
	err |= bus_subscribe(&l.c, l.bus, BUS_CALL_START, c_handler, &l);
	TEST_ERR(err);

	bus_publish(l.bus, BUS_CALL_END, &end);
	TEST_STRCMP("", l.text);
	bus_publish(l.bus, BUS_CALL_START, &one);
	TEST_STRCMP("a:1 a:2 b:2 c:2 c:1 ", l.text);

	TEST_EQUALS(EINVAL, bus_subscribe(&l.a, l.bus, BUS_KIND_MAX,
					  a_handler, &l));
	TEST_STRCMP("call.end", bus_kind_name(BUS_CALL_END));

	/* the bus may go first */
	l.bus = mem_deref(l.bus);

 out:
	mem_deref(l.a);
	mem_deref(l.b);
	mem_deref(l.c);
	mem_deref(l.bus);
	return err;
}


int main(int argc, char *argv[])
{
	static const struct test_case cases[] = {
		TEST_CASE(test_bus),
	};

	return test_main(argc, argv, cases, RE_ARRAY_SIZE(cases));
}
