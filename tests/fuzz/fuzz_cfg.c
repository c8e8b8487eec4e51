/**
 * @file fuzz_cfg.c  The configuration's reader and walk, over every type
 */
#include <stddef.h>
#include <string.h>
#include <re.h>
#include "cfg/cfg.h"
#include "fuzz.h"


struct elem {
	char *name;
	int64_t a;
	struct cfg_list strs;
};

struct sec {
	bool flag;
	int64_t num;
	uint64_t dur, size;
	char *str;
	int mode;
	struct cfg_list listen, addrs, cidrs, strs, map, seq;
	struct cfg_ports ports;
};

static const char *const modes[] = {"strict", "loose", NULL};

static const struct cfg_opt elem_optv[] = {
	{"a", CFG_INT, offsetof(struct elem, a), 1, 9, "3", .required = true},
	{"s", CFG_STRINGS, offsetof(struct elem, strs), 1, 8},
	{.name = NULL}
};

static const struct cfg_opt optv[] = {
	{"b", CFG_BOOL, offsetof(struct sec, flag)},
	{"i", CFG_INT, offsetof(struct sec, num), -5, 5},
	{"d", CFG_DURATION, offsetof(struct sec, dur), 1, 99999},
	{"z", CFG_SIZE, offsetof(struct sec, size)},
	{"s", CFG_STRING, offsetof(struct sec, str), 1, 9},
	{"e", CFG_ENUM, offsetof(struct sec, mode), .names = modes},
	{"l", CFG_LISTENERS, offsetof(struct sec, listen)},
	{"a", CFG_ADDRS, offsetof(struct sec, addrs)},
	{"c", CFG_CIDRS, offsetof(struct sec, cidrs)},
	{"t", CFG_STRINGS, offsetof(struct sec, strs)},
	{"p", CFG_PORTS, offsetof(struct sec, ports)},
	{"m", CFG_MAP, offsetof(struct sec, map), .sub = elem_optv,
	 .sub_size = sizeof(struct elem)},
	{"q", CFG_SEQ, offsetof(struct sec, seq), .sub = elem_optv,
	 .sub_size = sizeof(struct elem)},
	{"later", CFG_LATER, 0},
	{.name = NULL}
};

static const struct cfg_section section = {
	"x", optv, sizeof(struct sec), NULL, NULL
};

static const struct cfg_section *const sections[] = {&section, NULL};


static int sink(const char *p, size_t size, void *arg)
{
	(void)p;
	(void)size;
	(void)arg;

	return 0;
}


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cfg_report *rep = NULL;
	struct re_printf pf = {sink, NULL};
	struct cfg_explain x = {.cfg = NULL};
	struct cfg *cfg = NULL;
	struct sa sa;

	if (cfg_report_alloc(&rep))
		return 0;

	(void)cfg_report_source(rep, "f", (const char *)data, size);
	if (!cfg_load_text(&cfg, "f", (const char *)data, size, NULL, -1,
			   sections, rep)) {
		(void)sa_set_str(&sa, "192.0.2.1", 5060);
		(void)cfg_encryption(cfg, &sa);
		(void)cfg_pos(cfg, "x", "m.a.0.b");
		x.cfg = cfg;
		(void)cfg_explain_print(&pf, &x);
	}
	(void)cfg_report_print_colour(&pf, rep);
	(void)cfg_report_print_json(&pf, rep);

	mem_deref(cfg);
	mem_deref(rep);

	return 0;
}
