/**
 * @file user/ctl.c  The command "subscriber" of a role that has sip.db open
 */

#include <string.h>
#include <re.h>
#include "ctl/ctl.h"
#include "store/store.h"
#include "user/user.h"
#include "user/internal.h"


static bool copy(char *dst, size_t size, const char *src)
{
	if (strlen(src) >= size)
		return false;

	str_ncpy(dst, src, size);

	return true;
}


static bool parse(struct user_change *ch, int argc, const char *const *argv)
{
	memset(ch, 0, sizeof(*ch));

	if (argc < 3 || !user_op_find(&ch->op, argv[0]) ||
	    !copy(ch->user, sizeof(ch->user), argv[1]) ||
	    !copy(ch->domain, sizeof(ch->domain), argv[2]))
		return false;

	if (ch->op != USER_ADD && ch->op != USER_PASSWD)
		return argc == 3;

	return argc == 5 &&
		copy(ch->ha1_md5, sizeof(ch->ha1_md5), argv[3]) &&
		copy(ch->ha1_sha256, sizeof(ch->ha1_sha256), argv[4]) &&
		!user_ha1_check(ch);
}


static void done_handler(int err, void *arg)
{
	struct ctl_req *req = arg;
	struct odict *od = NULL;

	if (!err)
		err = odict_alloc(&od, 8);
	if (!err)
		err = odict_entry_add(od, "result", ODICT_STRING, "done");

	if (err)
		ctl_fail(req, err, "%m", err);
	else
		ctl_reply(req, od);

	mem_deref(od);
}


void user_ctl(struct ctl_req *req, int argc, const char *const *argv,
	      struct store *st)
{
	struct user_change ch;
	char why[128];
	int err;

	if (!parse(&ch, argc, argv)) {
		ctl_fail(req, EINVAL, "usage: " USER_CTL_NAME " "
			 USER_CTL_ARGS);
		return;
	}

	if (user_names_check(&ch, why, sizeof(why))) {
		ctl_fail(req, EINVAL, "%s", why);
		return;
	}

	err = user_change(st, &ch, done_handler, req);
	if (err)
		ctl_fail(req, err, "%m", err);
}
