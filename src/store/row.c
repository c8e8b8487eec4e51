/**
 * @file row.c  Rows packed into one block, so that they can cross threads
 */

#include <stddef.h>
#include <string.h>
#include <re.h>
#include "store/store.h"
#include "store/internal.h"


/** Where the pointers of a row are */
struct rowtype {
	size_t size;
	size_t strc;
	size_t strv[10];
	size_t blob;		/**< 0: none */
	size_t blobsz;
};

#define SUB(f) offsetof(struct store_subscriber, f)
#define BIN(f) offsetof(struct store_binding, f)
#define CDR(f) offsetof(struct store_cdr, f)
#define DLG(f) offsetof(struct store_dialog, f)

static const struct rowtype typev[] = {
	[STORE_SUBSCRIBER] = {
		sizeof(struct store_subscriber), 4,
		{SUB(user), SUB(domain), SUB(ha1_md5), SUB(ha1_sha256)}, 0, 0
	},
	[STORE_BINDING] = {
		sizeof(struct store_binding), 7,
		{BIN(aor), BIN(contact), BIN(callid), BIN(received),
		 BIN(path), BIN(instance), BIN(user_agent)}, 0, 0
	},
	[STORE_CDR_ROW] = {
		sizeof(struct store_cdr), 10,
		{CDR(call_id), CDR(linked_id), CDR(caller), CDR(callee),
		 CDR(disposition), CDR(codec), CDR(src_ip), CDR(dst_ip),
		 CDR(hangup), CDR(node)}, 0, 0
	},
	[STORE_DIALOG] = {
		sizeof(struct store_dialog), 2, {DLG(id), DLG(linked_id)},
		DLG(state), DLG(size)
	},
};

struct store_chunk {
	enum store_kind kind;
	size_t size;
	size_t used;
	_Alignas(16) uint8_t buf[];
};


static const char *str_at(const void *row, size_t off)
{
	const char *s;

	memcpy(&s, (const uint8_t *)row + off, sizeof(s));

	return s ? s : "";
}


static size_t blob_size(const struct rowtype *rt, const void *row)
{
	size_t n = 0;

	if (rt->blob)
		memcpy(&n, (const uint8_t *)row + rt->blobsz, sizeof(n));

	return n;
}


static size_t strings_size(const struct rowtype *rt, const void *row)
{
	size_t i, n = blob_size(rt, row);

	for (i=0; i<rt->strc; i++)
		n += strlen(str_at(row, rt->strv[i])) + 1;

	return n;
}


/* Copies what src points to behind p, and points dst there */
static uint8_t *pack_strings(const struct rowtype *rt, void *dst,
			     const void *src, uint8_t *p)
{
	size_t i, n;

	for (i=0; i<rt->strc; i++) {

		const char *s = str_at(src, rt->strv[i]);

		n = strlen(s) + 1;
		memcpy(p, s, n);
		memcpy((uint8_t *)dst + rt->strv[i], &p, sizeof(p));
		p += n;
	}

	n = blob_size(rt, src);
	if (rt->blob) {
		const uint8_t *b;

		memcpy(&b, (const uint8_t *)src + rt->blob, sizeof(b));
		if (n)
			memcpy(p, b, n);
		memcpy((uint8_t *)dst + rt->blob, &p, sizeof(p));
		p += n;
	}

	return p;
}


/** Bytes that a row takes in a chunk */
size_t store_row_size(enum store_kind kind, const void *row)
{
	const struct rowtype *rt = &typev[kind];

	return (sizeof(size_t) + rt->size + strings_size(rt, row) + 15)
		& ~(size_t)15;
}


/**
 * Copy an array of rows into one block; a NULL string becomes ""
 *
 * @param vp    Pointer to the block: an array again
 * @param kind  What kind of rows
 * @param rows  Array of rows
 * @param n     Number of rows
 *
 * @return 0 if success, EMSGSIZE if a row is too large, otherwise errorcode
 */
int store_rows_pack(void **vp, enum store_kind kind, const void *rows,
		    size_t n)
{
	const struct rowtype *rt = &typev[kind];
	const uint8_t *src = rows;
	size_t i, size = 0;
	uint8_t *block, *p;

	for (i=0; i<n; i++) {
		size_t sz = rt->size + strings_size(rt, src + i * rt->size);

		if (sz > STORE_ROW_MAX)
			return EMSGSIZE;
		size += sz;
	}

	block = mem_zalloc(size ? size : 1, NULL);
	if (!block)
		return ENOMEM;

	p = block + n * rt->size;
	for (i=0; i<n; i++) {
		memcpy(block + i * rt->size, src + i * rt->size, rt->size);
		p = pack_strings(rt, block + i * rt->size,
				 src + i * rt->size, p);
	}

	*vp = block;

	return 0;
}


int store_chunk_alloc(struct store_chunk **cp, enum store_kind kind,
		      size_t room)
{
	struct store_chunk *c;

	c = mem_alloc(sizeof(*c) + room, NULL);
	if (!c)
		return ENOMEM;

	c->kind = kind;
	c->size = room;
	c->used = 0;
	*cp = c;

	return 0;
}


int store_chunk_add(struct store_chunk *c, const void *row)
{
	const struct rowtype *rt = &typev[c->kind];
	const size_t len = store_row_size(c->kind, row);
	uint8_t *p = c->buf + c->used;

	if (len > c->size - c->used)
		return ENOBUFS;

	memcpy(p, &len, sizeof(len));
	memcpy(p + sizeof(len), row, rt->size);
	pack_strings(rt, p + sizeof(len), row, p + sizeof(len) + rt->size);
	c->used += len;

	return 0;
}


/** The row at *pos, which moves on; NULL at the end */
const void *store_chunk_next(const struct store_chunk *c, size_t *pos)
{
	const uint8_t *p;
	size_t len;

	if (!c || *pos >= c->used)
		return NULL;

	p = c->buf + *pos;
	memcpy(&len, p, sizeof(len));
	*pos += len;

	return p + sizeof(len);
}
