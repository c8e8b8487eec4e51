/**
 * @file cfg/view/reference.c  The tables of options as a page: docs/CONFIG.md
 */
#include <string.h>
#include <re.h>
#include "cfg/cfg.h"
#include "cfg/internal.h"


struct page {
	struct re_printf *pf;
	char path[CFG_PATH_MAX];
};

static int page_rows(struct page *p, const struct cfg_opt *optv);


/* In a cell a bar would end it */
static int print_cell(struct re_printf *pf, const char *s)
{
	int err = 0;

	for (; *s && !err; s++)
		err = *s == '|' ? re_hprintf(pf, "\\|") :
			pf->vph(s, 1, pf->arg);

	return err;
}


static int page_row(struct page *p, const struct cfg_opt *opt)
{
	struct re_printf *pf = p->pf;
	int err;

	err = re_hprintf(pf, "| `%s` | ", p->path);
	if (opt->def)
		err |= re_hprintf(pf, "`%H`", print_cell, opt->def);
	else if (opt->required)
		err |= re_hprintf(pf, "needed");
	err |= re_hprintf(pf, " | ");

	if (opt->type == CFG_LATER)
		err |= re_hprintf(pf, "not supported yet");
	else
		err |= re_hprintf(pf, "%H", cfg_expect_print, opt);

	return err | re_hprintf(pf, " | %H |\n", print_cell,
				opt->help ? opt->help : "");
}


static int page_opt(struct page *p, const struct cfg_opt *opt)
{
	const size_t n = strlen(p->path);
	const char *elem = opt->type == CFG_MAP ? ".NAME" :
		opt->type == CFG_SEQ ? ".-" : "";
	int err;

	(void)re_snprintf(&p->path[n], sizeof(p->path) - n, "%s%s",
			  n && *opt->name ? "." : "", opt->name);
	err = opt->type == CFG_STRUCT ? 0 : page_row(p, opt);

	if (opt->sub) {
		const size_t m = strlen(p->path);

		(void)re_snprintf(&p->path[m], sizeof(p->path) - m, "%s",
				  elem);
		err |= page_rows(p, opt->sub);
	}
	p->path[n] = '\0';

	return err;
}


static int page_rows(struct page *p, const struct cfg_opt *optv)
{
	const struct cfg_opt *opt;
	int err = 0;

	for (opt = optv; opt->name && !err; opt++)
		err = page_opt(p, opt);

	return err;
}


static int print_section(struct re_printf *pf, const struct cfg_section *sec)
{
	struct page p = {.pf = pf};
	int err;

	err = re_hprintf(pf, "\n## %s\n\n%s.\n\n"
			 "| option | default | allowed | what |\n"
			 "|---|---|---|---|\n", sec->name,
			 sec->help ? sec->help : "");
	(void)re_snprintf(p.path, sizeof(p.path), "%s", sec->name);

	return err | page_rows(&p, sec->optv);
}


static int print_codes(struct re_printf *pf)
{
	const struct cfg_code *c;
	size_t i;
	int err;

	err = re_hprintf(pf, "\n## Codes of messages\n\n"
			 "`voipstack explain VS0202` says the same.\n\n"
			 "| code | what | what to do |\n|---|---|---|\n");
	for (i = 0; (c = cfg_code_get(i)); i++)
		err |= re_hprintf(pf, "| VS%04u | %s | %s |\n", c->code,
				  c->title, c->help);

	return err;
}


/** Print all sections, the ground's first, and the codes */
int cfg_reference_print(struct re_printf *pf,
			const struct cfg_section *const *secv)
{
	size_t i;
	int err = 0;

	for (i = 0; cfg_ground_sections[i]; i++)
		err |= print_section(pf, cfg_ground_sections[i]);
	for (i = 0; secv && secv[i]; i++)
		err |= print_section(pf, secv[i]);

	return err | print_codes(pf);
}
