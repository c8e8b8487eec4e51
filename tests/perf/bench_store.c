/**
 * @file bench_store.c  The store: registrations per second and their latency,
 *                      CDRs per second, restoring 100,000 contacts
 *
 * Prints one line a figure.  Exit 1 if restoring takes a second or more.
 * Argument: a folder on the disk to be measured (default /tmp).
 */
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <re.h>
#include "worker/worker.h"
#include "store/store.h"


enum {
	CONTACTS = 100000,
	RUN_MS   = 4000,
	LOAD     = 5000,	/* requests under way while filling */
};

/** Writes that are kept under way */
struct load {
	struct store *st;
	bool cdr;
	unsigned n;		/**< handed over                       */
	unsigned done;
	unsigned max;		/**< stop after so many (0: after RUN_MS) */
	uint64_t end;
	unsigned left;		/**< under way                         */
	uint32_t *usv;		/**< latency of each                   */
	int err;
};

struct one {
	struct load *ld;
	uint64_t began;
};

static unsigned rows;


static void next(struct load *ld);


static void done_handler(int err, void *arg)
{
	struct one *one = arg;
	struct load *ld = one->ld;

	if (err)
		ld->err = err;
	if (ld->usv && ld->done < 1000000)
		ld->usv[ld->done] = (uint32_t)(tmr_jiffies_usec() -
					       one->began);
	++ld->done;
	--ld->left;
	mem_deref(one);

	if (!ld->err && (ld->max ? ld->n < ld->max :
			 tmr_jiffies() < ld->end))
		next(ld);
	else if (!ld->left)
		re_cancel();
}


static int put(struct load *ld, struct one *one)
{
	char aor[64], contact[96], callid[64];

	(void)re_snprintf(callid, sizeof(callid),
			  "%08x-3f2a-4c51-9d2b@192.168.64.%u", ld->n,
			  ld->n % 250);
	if (ld->cdr) {
		const struct store_cdr c = {
			.time_us = 1700000000000000u + ld->n,
			.call_id = callid, .linked_id = callid,
			.caller = "1001", .callee = "1002",
			.src_ip = "192.168.64.10", .dst_ip = "192.168.64.20",
			.node = "pbx-1"
		};

		return store_cdr_put(ld->st, NULL, 10000, &c, done_handler,
				     one);
	}

	/* refreshes come in no order */
	(void)re_snprintf(aor, sizeof(aor), "%06u@sip.local",
			  ld->max ? ld->n : (unsigned)rand_u32() % CONTACTS);
	(void)re_snprintf(contact, sizeof(contact),
			  "sip:%s:5060;transport=udp", aor);
	const struct store_binding b = {
		.contact = contact, .callid = callid, .cseq = ld->n,
		.expires = 1900000000, .q = 1000,
		.received = "udp:192.168.64.100:5060",
		.user_agent = "Yealink SIP-T46U 108.86.0.20"
	};

	return store_location_set(ld->st, NULL, 10000, aor, &b, 1,
				  done_handler, one);
}


static void next(struct load *ld)
{
	struct one *one = mem_zalloc(sizeof(*one), NULL);

	if (!one)
		exit(2);

	one->ld = ld;
	one->began = tmr_jiffies_usec();
	ld->err = put(ld, one);
	if (ld->err)
		exit(2);
	++ld->n;
	++ld->left;
}


static int cmp(const void *a, const void *b)
{
	const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}


static void run(struct store *st, const char *name, bool cdr, unsigned under)
{
	struct load ld = {.st = st, .cdr = cdr};
	struct store_status before, after;
	uint64_t t = tmr_jiffies();
	unsigned i;

	ld.usv = mem_zalloc(1000000 * sizeof(*ld.usv), NULL);
	if (!ld.usv)
		exit(2);
	ld.end = t + RUN_MS;
	(void)store_status(st, &before);
	for (i=0; i<under; i++)
		next(&ld);
	(void)re_main(NULL);
	t = tmr_jiffies() - t;
	(void)store_status(st, &after);

	qsort(ld.usv, ld.done, sizeof(*ld.usv), cmp);
	(void)re_printf("%s, %u under way: %u/s, %u a commit,"
			" p50 %u us, p99 %u us, max %u us\n", name, under,
			(unsigned)(ld.done * 1000ull / t),
			(unsigned)(ld.done / (after.commits -
					      before.commits)),
			ld.usv[ld.done / 2], ld.usv[ld.done * 99ull / 100],
			ld.usv[ld.done - 1]);
	mem_deref(ld.usv);
}


static void fill(struct store *st)
{
	struct load ld = {.st = st, .max = CONTACTS};
	uint64_t t = tmr_jiffies();
	unsigned i;

	for (i=0; i<LOAD; i++)
		next(&ld);
	(void)re_main(NULL);
	t = tmr_jiffies() - t;
	(void)re_printf("%u new contacts, %u under way: %u/s\n", ld.done, LOAD,
			(unsigned)(ld.done * 1000ull / t));
}


static bool row_handler(const struct store_binding *b, void *arg)
{
	(void)b;
	(void)arg;
	++rows;

	return false;
}


static void list_handler(int err, void *arg)
{
	*(int *)arg = err;
	re_cancel();
}


static bool restore(const char *dir)
{
	struct store *st;
	uint64_t t0 = tmr_jiffies(), t1, t2;
	char why[256];
	int err = 0;

	if (store_open(&st, STORE_SIP, dir, false, why, sizeof(why)))
		exit(2);
	t1 = tmr_jiffies();
	if (store_location_list(st, NULL, 0, row_handler, list_handler, &err))
		exit(2);
	(void)re_main(NULL);
	t2 = tmr_jiffies();
	mem_deref(st);

	(void)re_printf("%u contacts restored: opened and checked in %llu ms,"
			" read in %llu ms\n", rows, t1 - t0, t2 - t1);

	return !err && rows == CONTACTS && t2 - t0 < 1000;
}


static int rm_entry(const char *path, const struct stat *sb, int flag,
		    struct FTW *ftw)
{
	(void)sb;
	(void)flag;
	(void)ftw;

	return remove(path);
}


int main(int argc, char *argv[])
{
	char dir[512], why[256];
	struct worker *w = NULL;
	struct store *sip, *cdr;
	bool good;

	(void)re_snprintf(dir, sizeof(dir), "%s/voipstack-bench-XXXXXX",
			  argc > 1 ? argv[1] : "/tmp");
	if (libre_init() || !mkdtemp(dir) || worker_adopt(&w, "bench"))
		return 2;

	if (store_open(&sip, STORE_SIP, dir, false, why, sizeof(why)) ||
	    store_open(&cdr, STORE_CDR, dir, false, why, sizeof(why)))
		return 2;

	fill(sip);
	run(sip, "registrations", false, 1);
	run(sip, "registrations", false, 16);
	run(sip, "registrations", false, 256);
	run(sip, "registrations", false, 2000);
	run(cdr, "CDRs", true, 1);
	run(cdr, "CDRs", true, 256);
	mem_deref(sip);
	mem_deref(cdr);
	good = restore(dir);

	mem_deref(w);
	libre_close();
	(void)nftw(dir, rm_entry, 8, FTW_DEPTH | FTW_PHYS);

	return good ? 0 : 1;
}
