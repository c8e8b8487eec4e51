/**
 * @file cfg/view/schema.c  The tables as JSON Schema (draft 7), for editors
 */
#include <string.h>
#include <re.h>
#include "cfg/cfg.h"
#include "cfg/internal.h"


static int print_object(struct re_printf *pf, const struct cfg_opt *optv);


static int print_strings(struct re_printf *pf)
{
	return re_hprintf(pf, "\"anyOf\":[{\"type\":\"string\"},{\"type\":"
			  "\"array\",\"items\":{\"type\":\"string\"}}]");
}


static int print_enum(struct re_printf *pf, const struct cfg_opt *opt)
{
	size_t i;
	int err = re_hprintf(pf, "\"enum\":[");

	for (i = 0; opt->names[i]; i++)
		err |= re_hprintf(pf, "%s\"%s\"", i ? "," : "",
				  opt->names[i]);

	return err | re_hprintf(pf, "]");
}


static int print_bounds(struct re_printf *pf, const struct cfg_opt *opt,
			const char *min, const char *max)
{
	int err = 0;

	if (opt->min)
		err |= re_hprintf(pf, ",\"%s\":%lld", min, opt->min);
	if (opt->max)
		err |= re_hprintf(pf, ",\"%s\":%lld", max, opt->max);

	return err;
}


static int print_type(struct re_printf *pf, const struct cfg_opt *opt)
{
	switch (opt->type) {

	case CFG_BOOL:
		return re_hprintf(pf, "\"type\":\"boolean\"");
	case CFG_INT:
		return re_hprintf(pf, "\"type\":\"integer\"") |
			print_bounds(pf, opt, "minimum", "maximum");
	case CFG_DURATION:
		return re_hprintf(pf, "\"type\":[\"string\",\"integer\"],"
				  "\"pattern\":\"^([0-9]+(ms|s|m|h|d)|0)$\","
				  "\"maximum\":0");
	case CFG_SIZE:
		return re_hprintf(pf, "\"type\":[\"string\",\"integer\"],"
				  "\"pattern\":\"^[0-9]+[kMGT]?$\"");
	case CFG_STRING:
		return re_hprintf(pf, "\"type\":\"string\"") |
			print_bounds(pf, opt, "minLength", "maxLength");
	case CFG_ENUM:
		return print_enum(pf, opt);
	case CFG_PORTS:
		return re_hprintf(pf, "\"type\":\"string\",\"pattern\":"
				  "\"^[0-9]+-[0-9]+$\"");
	case CFG_LISTENERS:
	case CFG_ADDRS:
	case CFG_CIDRS:
	case CFG_STRINGS:
		return print_strings(pf);
	case CFG_STRUCT:
		return print_object(pf, opt->sub);
	case CFG_MAP:
		return re_hprintf(pf, "\"type\":\"object\","
				  "\"additionalProperties\":{%H}",
				  print_object, opt->sub);
	case CFG_SEQ:
		return re_hprintf(pf, "\"type\":\"array\",\"items\":{%H}",
				  print_object, opt->sub);
	case CFG_LATER:
		return re_hprintf(pf, "\"not\":{}");
	}

	return 0;
}


static int print_opt(struct re_printf *pf, const struct cfg_opt *opt)
{
	int err;

	err = re_hprintf(pf, "\"description\":\"%H", utf8_encode,
			 opt->help ? opt->help : "");
	if (opt->type == CFG_LATER)
		err |= re_hprintf(pf, " (not supported yet)");
	else if (opt->def)
		err |= re_hprintf(pf, " (default: %H)", utf8_encode,
				  opt->def);

	return err | re_hprintf(pf, "\",%H", print_type, opt);
}


static int print_object(struct re_printf *pf, const struct cfg_opt *optv)
{
	const struct cfg_opt *opt;
	bool any = false;
	int err;

	err = re_hprintf(pf, "\"type\":[\"object\",\"null\"],"
			 "\"additionalProperties\":false,\"properties\":{");
	for (opt = optv; opt->name; opt++)
		err |= re_hprintf(pf, "%s\n\"%s\":{%H}",
				  opt == optv ? "" : ",", opt->name,
				  print_opt, opt);
	err |= re_hprintf(pf, "}");

	for (opt = optv; opt->name; opt++) {
		if (!opt->required)
			continue;
		err |= re_hprintf(pf, "%s\"%s\"", any ? "," :
				  ",\"required\":[", opt->name);
		any = true;
	}

	return err | re_hprintf(pf, any ? "]" : "");
}


static int print_section(struct re_printf *pf, const struct cfg_section *sec)
{
	int err;

	err = re_hprintf(pf, "\n\"%s\":{", sec->name);
	if (sec->optv[0].name && !sec->optv[0].name[0])
		err |= print_opt(pf, &sec->optv[0]);
	else
		err |= re_hprintf(pf, "\"description\":\"%H\",%H",
				  utf8_encode, sec->help ? sec->help : "",
				  print_object, sec->optv);

	return err | re_hprintf(pf, "}");
}


/** Print one schema of all sections */
int cfg_schema_print(struct re_printf *pf,
		     const struct cfg_section *const *secv)
{
	size_t i;
	int err;

	err = re_hprintf(pf, "{\"$schema\":"
			 "\"http://json-schema.org/draft-07/schema#\",\n"
			 "\"title\":\"voipstack.yaml\","
			 "\"type\":[\"object\",\"null\"],"
			 "\"additionalProperties\":false,\"properties\":{");

	for (i = 0; cfg_ground_sections[i]; i++)
		err |= re_hprintf(pf, "%s%H", i ? "," : "", print_section,
				  cfg_ground_sections[i]);
	for (i = 0; secv && secv[i]; i++)
		err |= re_hprintf(pf, ",%H", print_section, secv[i]);

	return err | re_hprintf(pf, "}}\n");
}
