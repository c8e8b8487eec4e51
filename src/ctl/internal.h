/**
 * @file ctl/internal.h  What the files of src/ctl share
 */

#ifndef VOIPSTACK_CTL_INTERNAL_H
#define VOIPSTACK_CTL_INTERNAL_H

enum { CTL_PATH_MAX = 108 };	/* sockaddr_un.sun_path, unix(7) */

/* ctl.c */
int ctl_path(char *path, size_t size, const char *state_dir,
	     const char *role);

/* show.c */
int ctl_show(struct re_printf *pf, const struct odict *od);
int ctl_show_roles(struct re_printf *pf, const struct odict *roles);

#endif
