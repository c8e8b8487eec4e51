/**
 * @file cdr/spool.c  Rows that the store did not take, in a file
 *
 * A record is a line: crc32 in hex, sequence number, the row as JSON.  The
 * file is allocated beforehand, so that a full disk still leaves room for
 * it, and used from its beginning each time it has been emptied: what an
 * earlier use left behind is told by its sequence number, which must follow
 * the one before it.  The file's time says when its process was last alive.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <re.h>
#include "worker/worker.h"
#include "store/store.h"
#include "cdr/cdr.h"
#include "cdr/internal.h"


struct cdr_spool {
	int fd;
	size_t size;		/**< limit                            */
	size_t used;
	unsigned count;		/**< records in it                    */
	uint64_t seq;		/**< of the last record               */
	char buf[CDR_RECORD_MAX + 64];
};


static void destructor(void *data)
{
	struct cdr_spool *sp = data;

	if (sp->fd >= 0)
		(void)close(sp->fd);
}


/* One record: its line's parts, if it is whole */
static bool record_parse(const struct pl *line, uint64_t *seq,
			 struct pl *json)
{
	struct pl crc, num, body;

	if (line->l < 12 || line->p[8] != ' ')
		return false;

	pl_set_str(&crc, "");
	crc.p  = line->p;
	crc.l  = 8;
	body.p = line->p + 9;
	body.l = line->l - 9;
	if (pl_x32(&crc) != crc32(0, body.p, (uint32_t)body.l))
		return false;

	if (re_regex(body.p, body.l, "[0-9]+ [^]+", &num, json))
		return false;

	*seq = pl_u64(&num);

	return true;
}


/* The record at pos; len is what it takes in the file */
static int record_read(struct cdr_spool *sp, size_t pos, uint64_t *seq,
		       struct pl *json, size_t *len)
{
	struct pl line;
	const char *end;
	ssize_t n;

	n = pread(sp->fd, sp->buf, sizeof(sp->buf), (off_t)pos);
	if (n < 0)
		return errno;

	end = memchr(sp->buf, '\n', (size_t)n);
	if (!end)
		return ENOENT;

	line.p = sp->buf;
	line.l = (size_t)(end - sp->buf);
	if (!record_parse(&line, seq, json))
		return ENOENT;

	*len = line.l + 1;

	return 0;
}


/* What a process before us left, up to a record that does not follow */
static void load(struct cdr_spool *sp)
{
	uint64_t seq = 0;
	struct pl json;
	size_t len = 0;

	while (!record_read(sp, sp->used, &seq, &json, &len)) {

		if (sp->used && seq != sp->seq + 1)
			break;

		sp->seq = seq;
		sp->used += len;
		++sp->count;
	}

	if (!sp->count)
		sp->seq = worker_wallclock_us();
}


/**
 * Open the spool, or make it
 *
 * @param spp      Pointer to allocated spool
 * @param path     Its file
 * @param size     Its limit in bytes, allocated now if the disk allows
 * @param alive_us When its last process was alive, 0 if there was none
 */
int cdr_spool_open(struct cdr_spool **spp, const char *path, size_t size,
		   uint64_t *alive_us)
{
	struct cdr_spool *sp;
	struct stat sb;
	int err = 0;

	sp = mem_zalloc(sizeof(*sp), destructor);
	if (!sp)
		return ENOMEM;

	*alive_us = 0;
	sp->size = size;
	sp->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (sp->fd < 0 || fstat(sp->fd, &sb)) {
		err = errno;
		goto out;
	}

	if (sb.st_size)
		*alive_us = (uint64_t)sb.st_mtim.tv_sec * 1000000
			+ (uint64_t)sb.st_mtim.tv_nsec / 1000;

	/* a full disk: then it grows once there is room */
	if (posix_fallocate(sp->fd, 0, (off_t)size))
		(void)posix_fallocate(sp->fd, 0, 4096);

	load(sp);

 out:
	if (err)
		mem_deref(sp);
	else
		*spp = sp;

	return err;
}


static int write_all(int fd, const char *p, size_t len, size_t pos)
{
	while (len) {
		const ssize_t n = pwrite(fd, p, len, (off_t)pos);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? errno : EIO;

		p   += n;
		pos += (size_t)n;
		len -= (size_t)n;
	}

	return 0;
}


/** Write a row behind the others; on disk after cdr_spool_sync() */
int cdr_spool_append(struct cdr_spool *sp, const struct store_cdr *row)
{
	char *json = NULL, *body = NULL, *line = NULL;
	size_t len;
	int err;

	err = cdr_row_encode(&json, row);
	if (!err)
		err = re_sdprintf(&body, "%llu %s", sp->seq + 1, json);
	if (!err)
		err = re_sdprintf(&line, "%08x %s\n",
				  crc32(0, body, (uint32_t)strlen(body)),
				  body);
	if (err)
		goto out;

	len = strlen(line);
	if (len > CDR_RECORD_MAX) {
		err = EMSGSIZE;
		goto out;
	}
	if (len > sp->size - sp->used) {
		err = ENOSPC;
		goto out;
	}

	err = write_all(sp->fd, line, len, sp->used);
	if (err)
		goto out;

	sp->used += len;
	++sp->seq;
	++sp->count;

 out:
	mem_deref(json);
	mem_deref(body);
	mem_deref(line);

	return err;
}


int cdr_spool_sync(struct cdr_spool *sp)
{
	return fdatasync(sp->fd) ? errno : 0;
}


/**
 * Read a record
 *
 * @param pos   Where it is, 0 at the beginning; moves to the next
 * @param rowp  Pointer to the row, one block
 *
 * @return 0 if success, ENOENT after the last, otherwise errorcode
 */
int cdr_spool_next(struct cdr_spool *sp, size_t *pos, struct store_cdr **rowp)
{
	struct pl json;
	uint64_t seq;
	size_t len;
	int err;

	if (*pos >= sp->used)
		return ENOENT;

	err = record_read(sp, *pos, &seq, &json, &len);
	if (err == ENOENT) {
		/* damaged since: where the next one begins nobody knows */
		*pos = sp->used;
		return EBADMSG;
	}
	if (err)
		return err;

	err = cdr_row_decode(rowp, json.p, json.l);
	if (err != ENOMEM)
		*pos += len;

	return err;
}


/** Everything in it has been taken over: begin at the front again */
int cdr_spool_reset(struct cdr_spool *sp)
{
	int err;

	if (!sp->used)
		return 0;

	err = write_all(sp->fd, "\0", 1, 0);
	if (!err)
		err = cdr_spool_sync(sp);
	if (err)
		return err;

	sp->used  = 0;
	sp->count = 0;

	return 0;
}


void cdr_spool_alive(struct cdr_spool *sp)
{
	(void)futimens(sp->fd, NULL);
}


unsigned cdr_spool_count(const struct cdr_spool *sp)
{
	return sp ? sp->count : 0;
}
