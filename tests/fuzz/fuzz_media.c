/**
 * @file fuzz_media.c  NG commands, one after another, on a media worker
 *
 * An input is NG dictionaries with a 0xff byte between them.
 */
#include <string.h>
#include <re.h>
#include "log/log.h"
#include "media/media.h"
#include "fuzz.h"


enum { BASE = 27600, PORTS = 64 };

static struct media_conf conf = {
	.timeout = 60000, .held_timeout = 60000, .offer_timeout = 60000,
	.strict_source = true,
};
static struct media md;
static struct mworker wk;


static void setup(void)
{
	const struct cfg_ports range = {BASE, BASE + PORTS - 1};

	if (md.pool)
		return;

	(void)libre_init();
	log_init(LOG_ERROR, LOG_LOGFMT, "fuzz");

	md.conf = &conf;
	md.ifc = 2;
	str_ncpy(md.ifv[0].name, "internal", sizeof(md.ifv[0].name));
	str_ncpy(md.ifv[1].name, "external", sizeof(md.ifv[1].name));
	(void)sa_set_str(&md.ifv[0].addr, "127.0.0.1", 0);
	md.ifv[0].pub = md.ifv[1].addr = md.ifv[0].addr;
	(void)sa_set_str(&md.ifv[1].pub, "203.0.113.9", 0);
	md.workerc = 1;
	md.workerv[0] = &wk;
	wk.md = &md;
	wk.gen = 1;

	if (pool_alloc(&md.pool, md.ifv, md.ifc, range, 0) ||
	    directory_alloc(&md.dir) || hash_alloc(&wk.sessions, 16))
		__builtin_trap();

	wk.portv = mem_zalloc(pool_slots(md.pool) * sizeof(*wk.portv), NULL);
	if (!wk.portv)
		__builtin_trap();
}


static void command(const uint8_t *p, size_t n)
{
	static const struct {
		const char *name;
		media_cmd_h *h;
	} v[] = {
		{"offer", media_offer}, {"answer", media_answer},
		{"delete", media_delete}, {"query", media_query},
	};
	struct ng_tree *in = NULL, *out = NULL;
	struct pl name;
	size_t i;

	if (ng_decode(&in, NULL, p, n) || ng_tree_alloc(&out, 1 << 20))
		goto out;

	(void)ng_get_pl(ng_root(in), "command", &name);
	for (i = 0; i < ARRAY_SIZE(v); i++) {

		if (!pl_strcmp(&name, v[i].name))
			(void)v[i].h(&wk, ng_root(in), out);
	}
 out:
	mem_deref(in);
	mem_deref(out);
}


/* Every flow finds its way, or that there is none */
static void resolve_all(void)
{
	size_t i;

	for (i = 0; i < pool_slots(md.pool); i++) {

		if (!wk.portv[i])
			continue;

		flow_resolve(&wk, &wk.portv[i]->flow[0]);
		flow_resolve(&wk, &wk.portv[i]->flow[1]);
	}
}


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	unsigned n = 0;

	setup();

	while (size && n++ < 16) {

		const uint8_t *end = memchr(data, 0xff, size);
		const size_t len = end ? (size_t)(end - data) : size;

		if (len)
			command(data, len);
		resolve_all();
		data += end ? len + 1 : len;
		size -= end ? len + 1 : len;
	}

	session_flush(&wk);
	if (pool_used(md.pool))
		__builtin_trap();

	return 0;
}
