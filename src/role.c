/**
 * @file role.c  The table of roles
 */
#include <re.h>
#include "role.h"


static const struct role *const rolev[] = {
#ifdef HAVE_ROLE_MEDIA
	&role_media,
#endif
#ifdef HAVE_ROLE_PBX
	&role_pbx,
#endif
#ifdef HAVE_ROLE_SIP
	&role_sip,
#endif
	NULL
};


const struct role *role_get(size_t idx)
{
	return idx < ARRAY_SIZE(rolev) ? rolev[idx] : NULL;
}


const struct role *role_find(const char *name)
{
	size_t i;

	for (i = 0; rolev[i]; i++) {
		if (!str_cmp(rolev[i]->name, name))
			return rolev[i];
	}

	return NULL;
}
