/**
 * @file test_cfg.c  Reader, walk, messages and nodes of the configuration
 */
#include <stddef.h>
#include <string.h>
#include <re.h>
#include "cfg/cfg.h"
#include "test.h"


struct sub {
	char *name;
	int64_t weight;
};

struct sec {
	bool flag;
	int64_t num;
	uint64_t dur;
	uint64_t size;
	char *str;
	int mode;
	struct cfg_list listen;
	struct cfg_list addrs;
	struct cfg_list cidrs;
	struct cfg_ports ports;
	struct cfg_list strs;
	struct {
		int64_t a;
	} in;
	struct cfg_list map;
	struct cfg_list seq;
};

static const char *const modes[] = {"strict", "loose", NULL};

static const struct cfg_opt in_optv[] = {
	{"a", CFG_INT, 0, .def = "7"},
	{.name = NULL}
};

static const struct cfg_opt sub_optv[] = {
	{"weight", CFG_INT, offsetof(struct sub, weight), .min = 1,
	 .max = 10, .def = "5", .required = true},
	{.name = NULL}
};

static const struct cfg_opt optv[] = {
	{"flag", CFG_BOOL, offsetof(struct sec, flag), .def = "true"},
	{"num", CFG_INT, offsetof(struct sec, num), .min = -5, .max = 100,
	 .def = "42"},
	{"dur", CFG_DURATION, offsetof(struct sec, dur), .min = 1000,
	 .max = 3600000, .def = "30s"},
	{"size", CFG_SIZE, offsetof(struct sec, size), .def = "64k"},
	{"str", CFG_STRING, offsetof(struct sec, str), .min = 1, .max = 8,
	 .def = "abc"},
	{"mode", CFG_ENUM, offsetof(struct sec, mode), .def = "loose",
	 .names = modes},
	{"listen", CFG_LISTENERS, offsetof(struct sec, listen),
	 .def = "[udp:0.0.0.0:5060, \"tcp:[::]:5060\"]"},
	{"addrs", CFG_ADDRS, offsetof(struct sec, addrs)},
	{"cidrs", CFG_CIDRS, offsetof(struct sec, cidrs), .max = 2},
	{"ports", CFG_PORTS, offsetof(struct sec, ports),
	 .def = "10000-20000"},
	{"strs", CFG_STRINGS, offsetof(struct sec, strs), .def = "x"},
	{"in", CFG_STRUCT, offsetof(struct sec, in), .sub = in_optv},
	{"map", CFG_MAP, offsetof(struct sec, map), .sub = sub_optv,
	 .sub_size = sizeof(struct sub)},
	{"seq", CFG_SEQ, offsetof(struct sec, seq), .sub = sub_optv,
	 .sub_size = sizeof(struct sub)},
	{"someday", CFG_LATER, 0},
	{.name = NULL}
};

static const struct cfg_section section = {
	"test", optv, sizeof(struct sec), NULL, NULL
};

static const struct cfg_section *const sections[] = {&section, NULL};


/* 0 and no errors, or EINVAL and the report's text */
static int load(struct cfg **cfgp, char **textp, const char *yaml,
		const char *node)
{
	struct cfg_report *rep = NULL;
	int err, e;

	err = cfg_report_alloc(&rep);
	if (err)
		return err;

	err = cfg_load_text(cfgp, "f", yaml, strlen(yaml), node, -1,
			    sections, rep);
	if (textp) {
		e = re_sdprintf(textp, "%H", cfg_report_print, rep);
		if (e)
			err = e;
	}
	else if (err == EINVAL) {
		(void)re_fprintf(stderr, "%H", cfg_report_print, rep);
	}

	mem_deref(rep);

	return err;
}


static int complain(const char *yaml, const char *expected)
{
	struct cfg *cfg = NULL;
	char *text = NULL;
	int err;

	err = load(&cfg, &text, yaml, NULL);
	if (err == ENOMEM)
		goto out;

	TEST_EQUALS(EINVAL, err);
	err = 0;
	TEST_STRCMP(expected, text);
 out:
	mem_deref(text);
	mem_deref(cfg);
	return err;
}


static int test_defaults(void)
{
	const struct cfg_addr *a;
	const struct sec *s;
	struct cfg *cfg = NULL;
	int err;

	err = load(&cfg, NULL, "", NULL);
	TEST_ERR(err);

	s = cfg_get(cfg, "test");
	TEST(s->flag);
	TEST_EQUALS(42, s->num);
	TEST_EQUALS(30000, s->dur);
	TEST_EQUALS(65536, s->size);
	TEST_STRCMP("abc", s->str);
	TEST_EQUALS(1, s->mode);
	TEST_EQUALS(2, s->listen.n);
	a = s->listen.v;
	TEST_EQUALS(CFG_PROTO_TCP, a[1].proto);
	TEST_EQUALS(AF_INET6, sa_af(&a[1].sa));
	TEST_EQUALS(5060, sa_port(&a[1].sa));
	TEST_EQUALS(10000, s->ports.min);
	TEST_EQUALS(20000, s->ports.max);
	TEST_EQUALS(1, s->strs.n);
	TEST_EQUALS(7, s->in.a);
	TEST_EQUALS(0, s->map.n);
	TEST_STRCMP("sip.local", cfg_domain(cfg, 0));
	TEST(!cfg_domain(cfg, 1));
	TEST_EQUALS(CFG_ROLE_ALL, cfg_self(cfg)->role);
	TEST_EQUALS(30000, cfg_self(cfg)->drain);
 out:
	mem_deref(cfg);
	return err;
}


static int test_values(void)
{
	static const char yaml[] =
		"test:\n"
		"  flag: no\n"
		"  num: -5\n"
		"  dur: 2m\n"
		"  size: 3M\n"
		"  str: \"x y\"\n"
		"  mode: strict\n"
		"  listen: tls:192.0.2.1:5061\n"
		"  addrs: [192.0.2.1, 'udp:[2001:db8::1]:99']\n"
		"  cidrs:\n"
		"    - 192.168.64.0/24\n"
		"    - 2001:db8::/32\n"
		"  ports: 99\n"
		"  strs: [a, 'b']\n"
		"  in: {a: 9}\n"
		"  map:\n"
		"    one: {weight: 1}\n"
		"    two:\n"
		"      weight: 10\n"
		"  seq:\n"
		"    - weight: 3\n";
	const struct sec *s;
	const struct sub *sub;
	struct cfg *cfg = NULL;
	struct cfg_pos pos;
	int err;

	err = load(&cfg, NULL, yaml, NULL);
	TEST_ERR(err);

	s = cfg_get(cfg, "test");
	TEST(!s->flag);
	TEST_EQUALS(-5, s->num);
	TEST_EQUALS(120000, s->dur);
	TEST_EQUALS(3 << 20, s->size);
	TEST_STRCMP("x y", s->str);
	TEST_EQUALS(0, s->mode);
	TEST_EQUALS(1, s->listen.n);
	TEST_EQUALS(2, s->addrs.n);
	TEST_EQUALS(99, sa_port(&((struct cfg_addr *)s->addrs.v)[1].sa));
	TEST_EQUALS(2, s->cidrs.n);
	TEST_EQUALS(99, s->ports.max);
	TEST_STRCMP("b", ((char **)s->strs.v)[1]);
	TEST_EQUALS(9, s->in.a);
	TEST_EQUALS(2, s->map.n);
	sub = s->map.v;
	TEST_STRCMP("two", sub[1].name);
	TEST_EQUALS(10, sub[1].weight);
	TEST_EQUALS(3, ((struct sub *)s->seq.v)->weight);

	pos = cfg_pos(cfg, "test", "map.two.weight");
	TEST_EQUALS(19, pos.line);
	TEST_EQUALS(15, pos.col);
	pos = cfg_pos(cfg, "test", "addrs.1");
	TEST_EQUALS(9, pos.line);
	pos = cfg_pos(cfg, "nothing", "x");
	TEST_EQUALS(0, pos.line);
 out:
	mem_deref(cfg);
	return err;
}


static int test_messages(void)
{
	int err = 0;

	TEST_ERR(complain("test: {nmu: 1}\n",
		"f:1:8: test.nmu: no such option; did you mean \"num\"?"
		" [VS0202]\n"));
	TEST_ERR(complain("tset: {}\n",
		"f:1:1: tset: no such section; did you mean \"test\"?"
		" [VS0201]\n"));
	TEST_ERR(complain("test:\n  num: 101\n  dur: 5\n  flag: maybe\n",
		"f:2:8: test.num: \"101\", expected a whole number from -5"
		" to 100 [VS0206]\n"
		"f:3:8: test.dur: \"5\", expected a duration with its unit"
		" (ms, s, m, h, d) such as 30s, from 1s to 1h [VS0206]\n"
		"f:4:9: test.flag: \"maybe\", expected true or false"
		" [VS0206]\n"));
	TEST_ERR(complain("test:\n  num: 1\n  num: 2\n",
		"f:3:3: num: given twice, first in line 2; remove one"
		" [VS0109]\n"));
	TEST_ERR(complain("vault: {}\ntest: {someday: 1}\n",
		"f:1:1: vault: not supported yet by this version;"
		" remove it [VS0203]\n"
		"f:2:8: test.someday: not supported yet by this version;"
		" remove it [VS0203]\n"));
	TEST_ERR(complain("test: {mode: strikt}\n",
		"f:1:14: test.mode: \"strikt\", did you mean \"strict\"?"
		" Expected one of strict, loose [VS0206]\n"));
	TEST_ERR(complain("test: {map: {a: {}}}\n",
		"f:1:17: test.map.a.weight: is missing: a whole number from"
		" 1 to 10 [VS0208]\n"));
	TEST_ERR(complain("test: {num: }\n",
		"f:1:13: test.num: no value, expected a whole number from -5"
		" to 100; for the default leave the line out [VS0205]\n"));
	TEST_ERR(complain("test: {num: [1]}\n",
		"f:1:13: test.num: a list, expected a whole number from -5"
		" to 100 [VS0204]\n"));
	TEST_ERR(complain("test: {cidrs: [10.0.0.1, 10.0.0.2, 10.0.0.3]}\n",
		"f:1:15: test.cidrs: 3 entries, expected 0 to 2 [VS0207]\n"));
	TEST_ERR(complain("test: [1]\n",
		"f:1:7: test: a list, expected options, one a line,"
		" indented [VS0204]\n"));
	TEST_ERR(complain("- 1\n",
		"f:1:1: expected sections such as \"sip:\" with options"
		" indented below [VS0209]\n"));
 out:
	return err;
}


static int test_yaml(void)
{
	int err = 0;

	TEST_ERR(complain("a: &x [1]\nb: *x\n",
		"f:1:4: anchors are not supported; write the value out"
		" [VS0105]\n"));
	TEST_ERR(complain("a: *x\n",
		"f:1:4: aliases are not supported; write the value out"
		" [VS0105]\n"));
	TEST_ERR(complain("a: !!str x\n",
		"f:1:4: tags are not supported; write the value out"
		" [VS0105]\n"));
	TEST_ERR(complain("--- {}\n--- {}\n",
		"f:2:1: a second document is not supported; write the value"
		" out [VS0105]\n"));
	TEST_ERR(complain("test:\n\tnum: 1\n",
		"f:2:1: not YAML: a tab cannot indent; use spaces"
		" [VS0104]\n"));
	TEST_ERR(complain("test: {a: [[[[[[[[[[[[[[[[[[[[[[[[[[[[[]\n",
		"f:1:25: nested deeper than 16 [VS0107]\n"));
	TEST_ERR(complain("test: {str: \"a\xff\"}\n",
		"f:1:15: not text in UTF-8: invalid leading UTF-8 octet"
		" [VS0103]\n"));
	TEST_ERR(complain("test: {str: \"a\\0b\"}\n",
		"f:1:13: a value must not contain \\0 [VS0110]\n"));
	TEST_ERR(complain("[a]: 1\n", "f:1:1: a key must be a word"
		" [VS0108]\n"));
 out:
	return err;
}


static int test_nul(void)
{
	static const char yaml[] = "test:\n  num: \0 1\n";
	struct cfg_report *rep = NULL;
	struct cfg *cfg = NULL;
	char *text = NULL;
	int err;

	err = cfg_report_alloc(&rep);
	if (err)
		goto out;

	err = cfg_load_text(&cfg, "f", yaml, sizeof(yaml) - 1, NULL, -1,
			    sections, rep);
	if (err == ENOMEM)
		goto out;
	TEST_EQUALS(EINVAL, err);
	err = re_sdprintf(&text, "%H", cfg_report_print, rep);
	if (err)
		goto out;
	TEST_STRCMP("f:2:8: not text in UTF-8: a NUL byte [VS0103]\n", text);
 out:
	mem_deref(text);
	mem_deref(cfg);
	mem_deref(rep);
	return err;
}


static int test_lines(void)
{
	static const char yaml[] = "test: {str: \xc3\xa4\xc3\xa4\xc3\xa4,"
		" num: x}\n";
	struct cfg_report *rep = NULL;
	struct cfg *cfg = NULL;
	char *lines = NULL, *json = NULL;
	int err;

	err = cfg_report_alloc(&rep);
	if (err)
		goto out;
	err = cfg_report_source(rep, "f", yaml, sizeof(yaml) - 1);
	if (err)
		goto out;

	err = cfg_load_text(&cfg, "f", yaml, sizeof(yaml) - 1, NULL, -1,
			    sections, rep);
	if (err == ENOMEM)
		goto out;
	TEST_EQUALS(EINVAL, err);
	TEST_EQUALS(1, cfg_report_errors(rep));
	TEST_EQUALS(0, cfg_report_warnings(rep));

	err = re_sdprintf(&lines, "%H", cfg_report_print_lines, rep);
	if (err)
		goto out;
	err = re_sdprintf(&json, "%H", cfg_report_print_json, rep);
	if (err)
		goto out;
	TEST_STRCMP("f:1:23: test.num: \"x\", expected a whole number from -5"
		    " to 100 [VS0206]\n"
		    "     1 | test: {str: \xc3\xa4\xc3\xa4\xc3\xa4, num: x}\n"
		    "       |                       ^\n", lines);
	TEST_STRCMP("{\"errors\":1,\"warnings\":0,\"left_out\":0,"
		    "\"messages\":[\n"
		    "{\"code\":\"VS0206\",\"severity\":\"error\","
		    "\"file\":\"f\",\"line\":1,\"column\":23,"
		    "\"message\":\"test.num: \\\"x\\\", expected a whole"
		    " number from -5 to 100\"}\n]}\n", json);
 out:
	mem_deref(json);
	mem_deref(lines);
	mem_deref(cfg);
	mem_deref(rep);
	return err;
}


static int test_explain(void)
{
	struct cfg_explain x = {.path = "test.in"};
	struct cfg *cfg = NULL;
	char *text = NULL, *json = NULL;
	int err;

	err = load(&cfg, NULL, "test: {in: {a: 9}, strs: [\"x y\"]}\n", NULL);
	if (err)
		goto out;

	x.cfg = cfg;
	err = re_sdprintf(&text, "%H", cfg_explain_print, &x);
	if (err)
		goto out;
	TEST_EQUALS(1, x.found);
	TEST_STRCMP("test.in.a: 9                                 # f:1:16\n",
		    text);

	x.path = "test.strs";
	x.json = true;
	err = re_sdprintf(&json, "%H", cfg_explain_print, &x);
	if (err)
		goto out;
	TEST_STRCMP("[\n{\"path\":\"test.strs\",\"value\":\"[\\\"x y\\\"]\","
		    "\"origin\":\"file\",\"file\":\"f\",\"line\":1,"
		    "\"column\":26}\n]\n", json);
	TEST_EQUALS(1, x.found);
 out:
	mem_deref(json);
	mem_deref(text);
	mem_deref(cfg);
	return err;
}


static int test_nodes(void)
{
	static const char yaml[] =
		"nodes:\n"
		"  sip-1: {role: sip, internal: 192.168.64.10}\n"
		"  pbx-1: {role: pbx, internal: 192.168.64.30, drain: 5s}\n"
		"  both: {internal: 192.168.64.40}\n";
	const struct cfg_node *n;
	struct cfg *cfg = NULL;
	char *text = NULL;
	int err;

	err = load(&cfg, NULL, yaml, "pbx-1");
	TEST_ERR(err);

	n = cfg_self(cfg);
	TEST_STRCMP("pbx-1", n->name);
	TEST_EQUALS(CFG_ROLE_PBX, n->role);
	TEST_EQUALS(5000, n->drain);
	n = cfg_node_role(cfg, CFG_ROLE_SIP, 0);
	TEST(n);
	TEST_STRCMP("sip-1", n->name);
	n = cfg_node_role(cfg, CFG_ROLE_SIP, 1);
	TEST(n);
	TEST_STRCMP("both", n->name);
	TEST(!cfg_node_role(cfg, CFG_ROLE_SIP, 2));
	cfg = mem_deref(cfg);

	err = load(&cfg, &text, yaml, "x");
	if (err == ENOMEM)
		goto out;
	TEST_EQUALS(EINVAL, err);
	err = 0;
	TEST_STRCMP("f:2:3: nodes: none is called \"x\" (--node); name one"
		    " with --node: sip-1, pbx-1, both [VS0302]\n", text);
 out:
	mem_deref(text);
	mem_deref(cfg);
	return err;
}


static int test_networks(void)
{
	static const char yaml[] =
		"networks:\n"
		"  internal: [192.168.64.0/22, 10.1.2.3, 'fd00::/8']\n"
		"  external: {encryption: optional}\n";
	static const struct {
		const char *addr;
		bool internal;
	} testv[] = {
		{"127.0.0.1", true},   {"::1", true},
		{"192.168.64.1", true}, {"192.168.67.255", true},
		{"192.168.68.0", false}, {"10.1.2.3", true},
		{"10.1.2.4", false},   {"fd12::1", true},
		{"fe80::1", false},    {"::ffff:192.168.64.1", true},
		{"::ffff:8.8.8.8", false}, {"8.8.8.8", false},
	};
	struct cfg *cfg = NULL;
	size_t i;
	int err;

	err = load(&cfg, NULL, yaml, NULL);
	TEST_ERR(err);

	for (i = 0; i < ARRAY_SIZE(testv); i++) {
		struct sa sa;

		TEST_ERR(sa_set_str(&sa, testv[i].addr, 1));
		TEST_EQUALS(testv[i].internal, cfg_is_internal(cfg, &sa));
		TEST_EQUALS(testv[i].internal ? CFG_ENC_OFF :
			    CFG_ENC_OPTIONAL, cfg_encryption(cfg, &sa));
	}
 out:
	mem_deref(cfg);
	return err;
}


int main(int argc, char *argv[])
{
	static const struct test_case cases[] = {
		TEST_CASE(test_defaults),
		TEST_CASE(test_values),
		TEST_CASE(test_messages),
		TEST_CASE(test_yaml),
		TEST_CASE(test_nul),
		TEST_CASE(test_lines),
		TEST_CASE(test_explain),
		TEST_CASE(test_nodes),
		TEST_CASE(test_networks),
	};

	return test_main(argc, argv, cases, ARRAY_SIZE(cases));
}
