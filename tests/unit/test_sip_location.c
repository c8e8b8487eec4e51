/**
 * @file test_sip_location.c  The location table, sets of bindings, and the
 *                            address by which a contact is reached
 */
#include <pthread.h>
#include <string.h>
#include "sip/internal.h"
#include "test.h"


static struct bindings *set_make(const char *contact, uint64_t expires)
{
	struct binding b = {.contact = contact, .callid = "c", .expires =
			    expires, .q = 1000};

	return bindings_make(&b, 1);
}


static int put(struct location *l, const char *aor, const char *contact,
	       uint64_t expires)
{
	struct bindings *old = NULL, *b;
	int err;

	b = set_make(contact, expires);
	if (!b)
		return ENOMEM;
	err = location_claim(l, aor, &old);
	if (err)
		bindings_drop(b);
	else
		location_swap(l, aor, b);
	bindings_drop(old);

	return err;
}


static int test_swap(void)
{
	struct location *l = NULL;
	struct bindings *a = NULL, *b = NULL, *c = NULL;
	int err;

	err = location_alloc(&l, 2);
	TEST_ERR(err);
	err = put(l, "a@x", "sip:1", 10);
	TEST_ERR(err);
	a = location_get(l, "a@x");
	TEST(a);
	err = put(l, "a@x", "sip:2", 10);
	TEST_ERR(err);
	b = location_get(l, "a@x");
	TEST(b);

	/* who reads keeps what he had */
	TEST_STRCMP("sip:1", a->v[0].contact);
	TEST_STRCMP("sip:2", b->v[0].contact);
	TEST_STRCMP("", b->v[0].path);
	TEST_EQUALS(1, location_count(l));
	TEST_EQUALS(1, location_contacts(l));

	err = location_claim(l, "a@x", &c);
	TEST_ERR(err);
	TEST_EQUALS(EBUSY, location_claim(l, "a@x", &c));
	location_release(l, "a@x");
	err = put(l, "b@x", "sip:3", 10);
	TEST_ERR(err);
	err = put(l, "c@x", "sip:4", 10);
	if (err != ENOMEM) {
		TEST_EQUALS(EOVERFLOW, err);
		err = 0;
	}

 out:
	bindings_drop(a);
	bindings_drop(b);
	bindings_drop(c);
	mem_deref(l);
	return err;
}


/* A claim of an AOR that then gets nothing leaves nothing */
static int test_release(void)
{
	struct location *l = NULL;
	struct bindings *b = NULL;
	int err;

	err = location_alloc(&l, 10);
	TEST_ERR(err);
	err = location_claim(l, "a@x", &b);
	TEST_ERR(err);
	TEST(!b);
	location_release(l, "a@x");
	TEST_EQUALS(0, location_count(l));
	err = put(l, "a@x", "sip:1", 5);
	TEST_ERR(err);
	err = location_claim(l, "a@x", &b);
	TEST_ERR(err);
	location_swap(l, "a@x", NULL);
	TEST_EQUALS(0, location_count(l));
	TEST_EQUALS(0, location_contacts(l));
	TEST(!location_get(l, "a@x"));

 out:
	bindings_drop(b);
	mem_deref(l);
	return err;
}


static int test_expired(void)
{
	char aorv[4][AOR_SIZE];
	struct location *l = NULL;
	size_t pos = 0, n = 0;
	int err;

	err = location_alloc(&l, 100);
	TEST_ERR(err);
	err  = put(l, "old@x", "sip:1", 10);
	err |= put(l, "new@x", "sip:2", 100);
	TEST_ERR(err);

	for (unsigned i = 0; i < 64; i++)
		n += location_expired(l, &pos, 50, aorv + n, 4 - n);
	TEST_EQUALS(1, n);
	TEST_STRCMP("old@x", aorv[0]);

 out:
	mem_deref(l);
	return err;
}


enum { ROUNDS = 20000 };


static void *reader(void *arg)
{
	struct location *l = arg;
	size_t bad = 0;

	for (unsigned i = 0; i < ROUNDS; i++) {
		struct bindings *b = location_get(l, "a@x");

		if (b && strncmp(b->v[0].contact, "sip:", 4))
			++bad;
		bindings_drop(b);
	}

	return (void *)bad;
}


static int test_threads(void)
{
	struct location *l = NULL;
	pthread_t tidv[2];
	void *bad;
	int err;

	err = location_alloc(&l, 10);
	TEST_ERR(err);
	for (unsigned i = 0; i < 2; i++) {
		err = pthread_create(&tidv[i], NULL, reader, l);
		TEST_ERR(err);
	}
	for (unsigned i = 0; i < ROUNDS; i++)
		err |= put(l, "a@x", i & 1 ? "sip:1" : "sip:22", 10);
	for (unsigned i = 0; i < 2; i++) {
		(void)pthread_join(tidv[i], &bad);
		TEST_EQUALS(0, (size_t)bad);
	}
	TEST_ERR(err);
	TEST_EQUALS(1, location_contacts(l));

 out:
	mem_deref(l);
	return err;
}


static int reached(char *buf, size_t size, const char *contact,
		   const char *received, bool outside)
{
	struct sipcore_flow flow, src;
	struct uri uri;
	struct sa alt;
	struct pl pl;
	int err;

	pl_set_str(&pl, contact);
	err = sipcore_uri_decode(&uri, &pl);
	if (err)
		return err;
	err = nat_flow_decode(&src, received);
	if (err)
		return err;
	err = nat_contact_flow(&flow, &alt, &uri, &src, outside);
	if (err)
		return err;

	return re_snprintf(buf, size, "%H", nat_flow_print, &flow) < 0
		? ENOMEM : 0;
}


static int test_nat(void)
{
	static const struct {
		const char *contact, *received, *used;
		bool outside;
	} v[] = {
		/* behind a NAT */
		{"sip:a@10.0.0.5:5060", "udp:192.0.2.1:40001",
		 "udp:192.0.2.1:40001", true},
		/* its STUN told it a port that is not the one for us */
		{"sip:a@192.0.2.1:5060", "udp:192.0.2.1:40001",
		 "udp:192.0.2.1:40001", true},
		/* inside: it sends from another port than it listens on */
		{"sip:a@192.168.1.5:5060", "udp:192.168.1.5:40001",
		 "udp:192.168.1.5:5060", false},
		{"sip:a@192.168.1.6", "udp:192.168.1.5:40001",
		 "udp:192.168.1.5:40001", false},
		/* a name, another transport */
		{"sip:a@phone.example", "udp:192.168.1.5:40001",
		 "udp:192.168.1.5:40001", false},
		{"sip:a@192.168.1.5;transport=tcp", "udp:192.168.1.5:40001",
		 "udp:192.168.1.5:40001", false},
		{"sip:a@[2001:db8::1]", "tcp:[2001:db8::1]:40001",
		 "tcp:[2001:db8::1]:40001", false},
	};
	char buf[80];
	int err = 0;

	for (size_t i = 0; i < ARRAY_SIZE(v); i++) {
		err = reached(buf, sizeof(buf), v[i].contact, v[i].received,
			      v[i].outside);
		TEST_ERR(err);
		TEST_STRCMP(v[i].used, buf);
	}

 out:
	return err;
}


int main(int argc, char *argv[])
{
	static const struct test_case cases[] = {
		TEST_CASE(test_swap),
		TEST_CASE(test_release),
		TEST_CASE(test_expired),
		TEST_CASE_ONCE(test_threads),
		TEST_CASE(test_nat),
	};

	return test_main(argc, argv, cases, ARRAY_SIZE(cases));
}
