/**
 * @file roles/pbx/keep/keep.c  Confirmed calls in the store
 *
 *   confirmed, changed --keep_put--> pbx.db --restore.c--> call, both legs
 *   CDRs closed        --keep_del--> (row gone)
 *
 * A row is a whole call, so that its legs come back together or not at all.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <re.h>
#include "log/log.h"
#include "worker/worker.h"
#include "cfg/cfg.h"
#include "role.h"
#include "store/store.h"
#include "cdr/cdr.h"
#include "sipcore/sipcore.h"
#include "sipua/sipua.h"
#include "pbx/internal.h"


/* Writing ------------------------------------------------------------------*/

static int str_write(struct mbuf *mb, const char *str)
{
	const size_t n = str_len(str);
	int err;

	err = mbuf_write_u16(mb, htons((uint16_t)n));
	if (n)
		err |= mbuf_write_mem(mb, (const uint8_t *)str, n);

	return err;
}


static int call_write(struct mbuf *mb, const struct call *call)
{
	int err;

	err  = mbuf_write_u8(mb, KEEP_V);
	err |= mbuf_write_u8(mb, call->bridged ? KEEP_BRIDGED : 0);
	err |= mbuf_write_u8(mb, (uint8_t)call->dial.verdict);
	err |= mbuf_write_u16(mb, htons(play_port(call->play)));
	err |= str_write(mb, call->id);
	err |= str_write(mb, call->dial.caller);
	err |= str_write(mb, call->dial.number);
	if (err)
		return err;

	err = sipua_export(mb, call->a.sess);
	if (!err && call->bridged)
		err = sipua_export(mb, call->b.sess);

	return err;
}


static void put_handler(int err, void *arg)
{
	struct call *call = arg;

	call->keep_req = NULL;
	if (err)
		log_warn(call->sid, "call is not stored", "call=%s err=%m",
			 call->id, err);

	if (call->keep_dirty)
		keep_put(call);
}


static int put(struct call *call, struct mbuf *mb)
{
	struct store_dialog d;
	char id[512];
	int err;

	err = call_write(mb, call);
	if (!err && !call->keep_id) {
		err = sipua_sess_id(call->a.sess, id, sizeof(id));
		if (!err)
			err = str_dup(&call->keep_id, id);
	}
	if (err)
		return err;

	memset(&d, 0, sizeof(d));
	d.id = call->keep_id;
	d.linked_id = call->sid;
	d.state = mb->buf;
	d.size = mb->end;
	d.updated_us = worker_wallclock_us();

	return store_dialog_put(call->ag->pbx->dialogs, &call->keep_req,
				DEADLINE, &d, put_handler, call);
}


/** Put an answered call into the store, or what it has become.  One whose
    late offer is not answered yet is put with its ACK */
void keep_put(struct call *call)
{
	struct mbuf *mb;
	int err;

	if (call->state != CALL_UP
	    || (call->bridged && !sipua_is_confirmed(call->b.sess)))
		return;

	if (call->keep_req) {
		call->keep_dirty = true;
		return;
	}

	call->keep_dirty = false;
	mb = mbuf_alloc(4096);
	if (!mb)
		return;

	err = put(call, mb);
	if (err && err != ENOTCONN)
		log_warn(call->sid, "call is not stored", "call=%s err=%m",
			 call->id, err);
	mem_deref(mb);
}


void keep_gone_handler(int err, void *arg)
{
	(void)arg;

	if (err && err != ENOENT)
		log_warn(NULL, "stored call is not removed", "err=%m", err);
}


/** Its CDRs are closed: the row goes, behind what was put */
void keep_del(struct call *call)
{
	if (!call->keep_id)
		return;

	(void)store_dialog_del(call->ag->pbx->dialogs, NULL, DEADLINE,
			       call->keep_id, keep_gone_handler, NULL);
}


/** The row stays, the call goes */
void keep_close(struct call *call)
{
	call->keep_req = mem_deref(call->keep_req);
	call->keep_id = mem_deref(call->keep_id);
}


/* The owner key ------------------------------------------------------------*/

static int key_read(uint8_t key[KEY_SIZE], const char *path)
{
	ssize_t n;
	int fd;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno;

	n = read(fd, key, KEY_SIZE);
	(void)close(fd);

	return n == KEY_SIZE ? 0 : ENOENT;
}


static int key_write(const uint8_t key[KEY_SIZE], const char *path)
{
	char tmp[512];
	int fd, err = 0;

	if (re_snprintf(tmp, sizeof(tmp), "%s.new", path) < 0)
		return ENAMETOOLONG;

	fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return errno;

	if (write(fd, key, KEY_SIZE) != KEY_SIZE || fsync(fd))
		err = errno ? errno : EIO;
	(void)close(fd);
	if (!err && rename(tmp, path))
		err = errno;

	return err;
}


/** STATE/pbx.key: which worker owns a Call-ID, in each process the same.
    Blocks */
int keep_key(uint8_t key[KEY_SIZE], const char *dir, char *why, size_t whysz)
{
	char path[500];
	int err;

	if (re_snprintf(path, sizeof(path), "%s/pbx.key", dir) < 0)
		return ENAMETOOLONG;

	err = key_read(key, path);
	if (err == ENOENT) {
		rand_bytes(key, KEY_SIZE);
		err = key_write(key, path);
	}
	if (err)
		(void)re_snprintf(why, whysz, "%s: %m; check the "
				  "directory's rights and space", path, err);

	return err;
}
