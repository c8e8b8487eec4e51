/**
 * @file cfg/expect.c  What an option allows, in words
 */
#include <re.h>
#include "cfg.h"
#include "internal.h"


static int print_duration(struct re_printf *pf, uint64_t ms)
{
	static const struct {
		const char *name;
		uint64_t ms;
	} unitv[] = {
		{"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000},
	};
	size_t i;

	for (i = 0; ms && i < ARRAY_SIZE(unitv); i++) {
		if (ms % unitv[i].ms == 0)
			return re_hprintf(pf, "%llu%s", ms / unitv[i].ms,
					  unitv[i].name);
	}

	return ms ? re_hprintf(pf, "%llums", ms) : re_hprintf(pf, "0");
}


static int print_size(struct re_printf *pf, uint64_t n)
{
	static const char unitv[] = {'T', 'G', 'M', 'k'};
	unsigned i;

	for (i = 0; n && i < sizeof(unitv); i++) {
		const uint64_t f = 1ULL << (40 - 10 * i);

		if (n % f == 0)
			return re_hprintf(pf, "%llu%c", n / f, unitv[i]);
	}

	return re_hprintf(pf, "%llu", n);
}


static int print_range(struct re_printf *pf, const struct cfg_opt *opt,
		       int (*printh)(struct re_printf *pf, uint64_t n))
{
	int err = 0;

	if (!opt->min && !opt->max)
		return 0;

	err |= re_hprintf(pf, ", from ");
	err |= printh(pf, (uint64_t)opt->min);
	if (opt->max) {
		err |= re_hprintf(pf, " to ");
		err |= printh(pf, (uint64_t)opt->max);
	}

	return err;
}


static int print_names(struct re_printf *pf, const char *const *names)
{
	int err = re_hprintf(pf, "one of ");
	size_t i;

	for (i = 0; names[i]; i++)
		err |= re_hprintf(pf, "%s%s", i ? ", " : "", names[i]);

	return err;
}


static int print_int(struct re_printf *pf, const struct cfg_opt *opt)
{
	if (!opt->min && !opt->max)
		return re_hprintf(pf, "a whole number");
	if (!opt->max && opt->min > 0)
		return re_hprintf(pf, "a whole number from %lld", opt->min);

	return re_hprintf(pf, "a whole number from %lld to %lld",
			  opt->min, opt->max);
}


static int print_string(struct re_printf *pf, const struct cfg_opt *opt)
{
	if (!opt->max)
		return re_hprintf(pf, "a string%s",
				  opt->min ? " that is not empty" : "");

	return re_hprintf(pf, "a string of %lld to %lld bytes",
			  opt->min, opt->max);
}


/** Print the range alone, for a sentence that goes before: "; 1s to 1h" */
int cfg_range_print(struct re_printf *pf, const struct cfg_opt *opt)
{
	int err;
	size_t i;

	switch (opt->type) {

	case CFG_ENUM:
		err = re_hprintf(pf, "; ");
		for (i = 0; opt->names[i]; i++)
			err |= re_hprintf(pf, "%s%s", i ? " | " : "",
					  opt->names[i]);
		return err;

	case CFG_INT:
		if (!opt->min && !opt->max)
			return 0;
		return re_hprintf(pf, "; %lld to %lld", opt->min, opt->max);

	case CFG_DURATION:
	case CFG_SIZE:
		if (!opt->max)
			return 0;
		err = re_hprintf(pf, "; ");
		err |= opt->type == CFG_SIZE ?
			print_size(pf, (uint64_t)opt->min) :
			print_duration(pf, (uint64_t)opt->min);
		err |= re_hprintf(pf, " to ");
		return err | (opt->type == CFG_SIZE ?
			      print_size(pf, (uint64_t)opt->max) :
			      print_duration(pf, (uint64_t)opt->max));

	default:
		return 0;
	}
}


/** Print what is allowed: "a duration such as 30s, from 1s to 1h" */
int cfg_expect_print(struct re_printf *pf, const struct cfg_opt *opt)
{
	switch (opt->type) {

	case CFG_BOOL:
		return re_hprintf(pf, "true or false");
	case CFG_INT:
		return print_int(pf, opt);
	case CFG_DURATION:
		return re_hprintf(pf, "a duration with its unit (ms, s, m,"
				  " h, d) such as 30s")
			|| print_range(pf, opt, print_duration);
	case CFG_SIZE:
		return re_hprintf(pf, "a number of bytes such as 64k or 10M")
			|| print_range(pf, opt, print_size);
	case CFG_STRING:
		return print_string(pf, opt);
	case CFG_ENUM:
		return print_names(pf, opt->names);
	case CFG_LISTENERS:
		return re_hprintf(pf, "PROTOCOL:ADDRESS:PORT such as"
				  " udp:0.0.0.0:5060 or tcp:[::]:5060");
	case CFG_ADDRS:
		return re_hprintf(pf, "ADDRESS:PORT such as 192.0.2.1:5060,"
				  " udp:192.0.2.1:5060 or [2001:db8::1]:5060"
				  " (no names)");
	case CFG_CIDRS:
		return re_hprintf(pf, "a network such as 192.168.64.0/24,"
				  " host bits zero");
	case CFG_PORTS:
		return re_hprintf(pf, "a range of ports such as 10000-20000");
	case CFG_STRINGS:
		return re_hprintf(pf, "a list of strings such as [a, b]");
	case CFG_STRUCT:
		return re_hprintf(pf, "options, one a line, indented");
	case CFG_MAP:
		return re_hprintf(pf, "names, each with its options"
				  " indented below");
	case CFG_SEQ:
		return re_hprintf(pf, "a list (each item begins with \"- \")"
				  " of options");
	case CFG_LATER:
		return 0;
	}

	return 0;
}
