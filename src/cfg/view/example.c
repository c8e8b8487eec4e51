/**
 * @file cfg/view/example.c  The tables of options as an example file
 *
 * What has a default stands there with it; what has none stands there as a
 * comment.  So the file says all that can be said, and changes nothing.
 */
#include <errno.h>
#include <string.h>
#include <re.h>
#include "cfg/cfg.h"
#include "cfg/internal.h"


enum {
	WIDTH      = 79,
	INDENT_MAX = 32,
	TEXT_MAX   = 512,
};

/** Where a line begins: spaces, and if it is commented out "# ", spaces */
struct margin {
	unsigned indent;
	bool comment;
	unsigned more;
};

static int print_rows(struct re_printf *pf, const struct cfg_opt *optv,
		      struct margin m);


static int print_margin(struct re_printf *pf, struct margin m)
{
	static const char spaces[INDENT_MAX + 1] =
		"                                ";

	return re_hprintf(pf, "%b%s%b",
			  spaces, (size_t)min(m.indent, (unsigned)INDENT_MAX),
			  m.comment ? "# " : "",
			  spaces, (size_t)min(m.more, (unsigned)INDENT_MAX));
}


static struct margin deeper(struct margin m)
{
	if (m.comment)
		m.more += 2;
	else
		m.indent += 2;

	return m;
}


/* Words of a comment, broken before the margin */
static int print_comment(struct re_printf *pf, struct margin m,
			 const char *text)
{
	size_t col = 0;
	int err = 0;

	while (*text) {
		const size_t n = strcspn(text, " ");

		if (col && col + 1 + n > WIDTH) {
			err |= re_hprintf(pf, "\n");
			col = 0;
		}
		if (!col) {
			err |= print_margin(pf, m);
			err |= re_hprintf(pf, "#");
			col = m.indent + m.more + (m.comment ? 3 : 1);
		}
		err |= re_hprintf(pf, " %b", text, n);
		col += 1 + n;
		text += n;
		text += strspn(text, " ");
	}

	return col ? err | re_hprintf(pf, "\n") : err;
}


static int print_help(struct re_printf *pf, const struct cfg_opt *opt,
		      struct margin m)
{
	char text[TEXT_MAX];
	int n;

	n = re_snprintf(text, sizeof(text), "%s%H%s",
			opt->help ? opt->help : "",
			cfg_range_print, opt,
			opt->required ? "; needed" : "");

	return n < 0 ? ENOMEM : print_comment(pf, m, text);
}


/* Of what has no default: how a value looks */
static const char *sample(const struct cfg_opt *opt)
{
	switch (opt->type) {

	case CFG_BOOL:      return "false";
	case CFG_INT:       return "0";
	case CFG_DURATION:  return "0";
	case CFG_SIZE:      return "0";
	case CFG_ENUM:      return opt->names[0];
	case CFG_LISTENERS: return "[\"udp:192.0.2.1:5060\"]";
	case CFG_ADDRS:     return "[\"udp:192.0.2.1:5060\"]";
	case CFG_CIDRS:     return "[192.168.64.0/24]";
	case CFG_PORTS:     return "10000-20000";
	case CFG_STRINGS:   return "[one, two]";
	default:            return "...";
	}
}


static int print_key(struct re_printf *pf, const struct cfg_opt *opt,
		     const char *name, struct margin m)
{
	int err;

	err = print_margin(pf, m);

	switch (opt->type) {

	case CFG_STRUCT:
		err |= re_hprintf(pf, "%s:\n", name);
		return err | print_rows(pf, opt->sub, deeper(m));

	case CFG_MAP:
	case CFG_SEQ:
		err |= re_hprintf(pf, "%s:\n", name);
		err |= print_margin(pf, deeper(m));
		err |= re_hprintf(pf, "%s\n", opt->type == CFG_MAP ?
				  "NAME:" : "-");
		return err | print_rows(pf, opt->sub, deeper(deeper(m)));

	default:
		return err | re_hprintf(pf, "%s: %s\n", name,
					opt->def ? opt->def : sample(opt));
	}
}


static int print_opt(struct re_printf *pf, const struct cfg_opt *opt,
		     const char *name, struct margin m)
{
	int err;

	if (opt->type == CFG_LATER)
		return 0;

	err = print_help(pf, opt, m);
	if (!opt->def && opt->type != CFG_STRUCT)
		m.comment = true;

	return err | print_key(pf, opt, name, m);
}


static int print_rows(struct re_printf *pf, const struct cfg_opt *optv,
		      struct margin m)
{
	const struct cfg_opt *opt;
	int err = 0;

	for (opt = optv; opt->name; opt++)
		err |= print_opt(pf, opt, opt->name, m);

	return err;
}


static int print_section(struct re_printf *pf, const struct cfg_section *sec)
{
	const struct margin top = {.indent = 0}, in = {.indent = 2};
	int err;

	err = re_hprintf(pf, "\n");
	err |= print_comment(pf, top, sec->help ? sec->help : "");

	if (!sec->optv[0].name[0])
		return err | print_opt(pf, &sec->optv[0], sec->name, top);

	err |= re_hprintf(pf, "%s:\n", sec->name);

	return err | print_rows(pf, sec->optv, in);
}


/** Print all sections, the ground's first; secv ends with NULL */
int cfg_example_print(struct re_printf *pf,
		      const struct cfg_section *const *secv)
{
	size_t i;
	int err = 0;

	for (i = 0; cfg_ground_sections[i]; i++)
		err |= print_section(pf, cfg_ground_sections[i]);
	for (i = 0; secv && secv[i]; i++)
		err |= print_section(pf, secv[i]);

	return err;
}
