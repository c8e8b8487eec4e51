/**
 * @file test_sip_stamp.c  The signed parameter of our Record-Route
 */
#include <string.h>
#include <unistd.h>
#include "sip/internal.h"
#include "test.h"


static const uint8_t key[32] = {1, 2, 3};
static const uint8_t other_key[32] = {9, 2, 3};


static struct sipcore_msg *msg_make(const char *callid, const char *from,
				    const char *to)
{
	struct sipcore_msg *msg = NULL;
	char text[512];

	if (re_snprintf(text, sizeof(text),
			"BYE sip:a@192.0.2.1 SIP/2.0\r\n"
			"Via: SIP/2.0/UDP 192.0.2.2;branch=z9hG4bK1\r\n"
			"From: <sip:a@b>;tag=%s\r\nTo: <sip:c@d>;tag=%s\r\n"
			"Call-ID: %s\r\nCSeq: 1 BYE\r\n"
			"Max-Forwards: 70\r\nContent-Length: 0\r\n\r\n",
			from, to, callid) < 0)
		return NULL;
	if (sipcore_msg_decode(&msg, (const uint8_t *)text, strlen(text),
			       NULL))
		return mem_deref(msg);

	return msg;
}


static void stamp_make(struct stamp *st)
{
	memset(st, 0, sizeof(*st));
	st->anchored = true;
	st->outside[CALLEE] = true;
	st->flow[CALLER].proto = CFG_PROTO_TCP;
	st->flow[CALLER].conn  = 0x123456789abcdefull;
	(void)sa_set_str(&st->flow[CALLER].remote, "2001:db8::7", 5070);
	st->flow[CALLEE].proto = CFG_PROTO_UDP;
	(void)sa_set_str(&st->flow[CALLEE].remote, "192.0.2.9", 5061);
}


static int test_roundtrip(void)
{
	struct sipcore_msg *there = NULL, *back = NULL;
	struct stamper *s = NULL;
	struct stamp st, got;
	char text[STAMP_TEXT_SIZE];
	enum side from;
	struct pl pl;
	int err;

	err = stamper_alloc(&s, key);
	TEST_ERR(err);
	there = msg_make("id1", "caller", "callee");
	back  = msg_make("id1", "callee", "caller");
	if (!there || !back) {
		err = ENOMEM;
		goto out;
	}

	stamp_make(&st);
	err = stamp_encode(s, text, sizeof(text), &st, &there->callid,
			   &there->from.tag);
	TEST_ERR(err);
	TEST(!strpbrk(text, "+/=;,<> \""));

	pl_set_str(&pl, text);
	err = stamp_decode(s, &got, &from, &pl, there);
	TEST_ERR(err);
	TEST_EQUALS(CALLER, from);
	err = stamp_decode(s, &got, &from, &pl, back);
	TEST_ERR(err);
	TEST_EQUALS(CALLEE, from);
	TEST(got.anchored && got.outside[CALLEE] && !got.outside[CALLER]);
	for (unsigned i = 0; i < 2; i++) {
		TEST_EQUALS(st.flow[i].proto, got.flow[i].proto);
		TEST(st.flow[i].conn == got.flow[i].conn);
		TEST(sa_cmp(&st.flow[i].remote, &got.flow[i].remote,
			    SA_ALL));
	}

 out:
	mem_deref(there);
	mem_deref(back);
	mem_deref(s);
	return err;
}


static int test_forged(void)
{
	struct sipcore_msg *msg = NULL, *moved = NULL;
	struct stamper *s = NULL, *s2 = NULL;
	struct stamp st, got;
	char text[STAMP_TEXT_SIZE];
	enum side from;
	struct pl pl;
	int err;

	err  = stamper_alloc(&s, key);
	err |= stamper_alloc(&s2, other_key);
	msg   = msg_make("id1", "caller", "callee");
	moved = msg_make("id2", "caller", "callee");
	if (err || !msg || !moved) {
		err = ENOMEM;
		goto out;
	}

	stamp_make(&st);
	err = stamp_encode(s, text, sizeof(text), &st, &msg->callid,
			   &msg->from.tag);
	TEST_ERR(err);
	pl_set_str(&pl, text);

	/* another call, another key, another bit, a piece only */
	TEST_EQUALS(EACCES, stamp_decode(s, &got, &from, &pl, moved));
	TEST_EQUALS(EACCES, stamp_decode(s2, &got, &from, &pl, msg));
	for (size_t i = 0; i < pl.l; i++) {
		struct pl part = {text, i};
		const char c = text[i];

		TEST(stamp_decode(s, &got, &from, &part, msg));
		text[i] = c == 'x' ? 'y' : 'x';
		/* the last character may have bits that carry nothing */
		TEST(i + 1 == pl.l ||
		     stamp_decode(s, &got, &from, &pl, msg));
		text[i] = c;
	}

 out:
	mem_deref(msg);
	mem_deref(moved);
	mem_deref(s);
	mem_deref(s2);
	return err;
}


static int test_key_file(void)
{
	char path[64], why[128] = "";
	uint8_t a[32], b[32];
	FILE *f;
	int err;

	(void)re_snprintf(path, sizeof(path), "/tmp/test-stamp-%d", getpid());
	(void)unlink(path);

	err = stamp_key_load(a, path, why, sizeof(why));
	TEST_ERR(err);
	err = stamp_key_load(b, path, why, sizeof(why));
	TEST_ERR(err);
	TEST_MEMCMP(a, sizeof(a), b, sizeof(b));

	f = fopen(path, "w");
	TEST(f);
	(void)fclose(f);
	TEST_EQUALS(EBADMSG, stamp_key_load(b, path, why, sizeof(why)));
	TEST(strstr(why, path));

 out:
	(void)unlink(path);
	return err;
}


int main(int argc, char *argv[])
{
	static const struct test_case cases[] = {
		TEST_CASE(test_roundtrip),
		TEST_CASE(test_forged),
		TEST_CASE_ONCE(test_key_file),
	};

	return test_main(argc, argv, cases, ARRAY_SIZE(cases));
}
