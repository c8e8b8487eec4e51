/**
 * @file stamp.c  The signed parameter of our Record-Route
 *
 * A request inside a dialog comes back with the Route that we put into the
 * dialog's first request (RFC 3261 16.12).  Its parameter holds what any sip
 * node needs to serve it, and a MAC over that, the Call-ID and the caller's
 * tag, so that nobody can make or move one:
 *
 *     base64url( version flags flow(caller) flow(callee) mac )
 *     flow = kind [ address port [ connection ] ]
 */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <mbedtls/md.h>
#include "internal.h"


enum {
	STAMP_VERSION = 1,
	MAC_SIZE   = 12,
	FLOW_SIZE  = 1 + 16 + 2 + 8,
	DATA_SIZE  = 2 + 2 * FLOW_SIZE + MAC_SIZE,

	FLAG_ANCHORED = 1 << 0,
	FLAG_OUTSIDE  = 1 << 1,		/* caller; callee: the next bit */

	KIND_V6 = 0x80,
};

struct stamper {
	mbedtls_md_context_t md;
};


static void destructor(void *arg)
{
	struct stamper *s = arg;

	mbedtls_md_free(&s->md);
}


int stamper_alloc(struct stamper **sp, const uint8_t key[32])
{
	struct stamper *s;

	if (!sp || !key)
		return EINVAL;

	s = mem_zalloc(sizeof(*s), destructor);
	if (!s)
		return ENOMEM;

	mbedtls_md_init(&s->md);
	if (mbedtls_md_setup(&s->md,
			     mbedtls_md_info_from_type(MBEDTLS_MD_SHA256),
			     1) ||
	    mbedtls_md_hmac_starts(&s->md, key, 32)) {
		mem_deref(s);
		return ENOMEM;
	}

	*sp = s;

	return 0;
}


static int mac_make(struct stamper *s, uint8_t mac[MAC_SIZE],
		    const uint8_t *data, size_t n,
		    const struct pl *callid, const struct pl *tag)
{
	uint8_t out[32];
	int bad;

	/* NUL cannot be part of either: no two inputs look alike */
	bad  = mbedtls_md_hmac_reset(&s->md);
	bad |= mbedtls_md_hmac_update(&s->md, (const void *)callid->p,
				      callid->l);
	bad |= mbedtls_md_hmac_update(&s->md, (const void *)"", 1);
	bad |= mbedtls_md_hmac_update(&s->md, (const void *)tag->p, tag->l);
	bad |= mbedtls_md_hmac_update(&s->md, (const void *)"", 1);
	bad |= mbedtls_md_hmac_update(&s->md, data, n);
	bad |= mbedtls_md_hmac_finish(&s->md, out);
	if (bad)
		return EIO;

	memcpy(mac, out, MAC_SIZE);

	return 0;
}


static void flow_write(struct mbuf *mb, const struct sipcore_flow *flow)
{
	const bool v6 = sa_af(&flow->remote) == AF_INET6;
	uint8_t a6[16];

	if (flow->proto == CFG_PROTO_ANY) {
		(void)mbuf_write_u8(mb, 0);
		return;
	}

	(void)mbuf_write_u8(mb, (v6 ? KIND_V6 : 0) | (uint8_t)flow->proto);
	if (v6) {
		sa_in6(&flow->remote, a6);
		(void)mbuf_write_mem(mb, a6, sizeof(a6));
	}
	else {
		(void)mbuf_write_u32(mb, htonl(sa_in(&flow->remote)));
	}
	(void)mbuf_write_u16(mb, htons(sa_port(&flow->remote)));

	if (flow->proto == CFG_PROTO_TCP)
		(void)mbuf_write_u64(mb, sys_htonll(flow->conn));
}


static int flow_read(struct mbuf *mb, struct sipcore_flow *flow)
{
	uint8_t kind, a6[16];
	uint32_t a4 = 0;
	int err = 0;

	memset(flow, 0, sizeof(*flow));
	if (mbuf_get_left(mb) < 1)
		return EBADMSG;
	kind = mbuf_read_u8(mb);
	if (!kind)
		return 0;

	flow->proto = kind & 0x7f;
	if (mbuf_get_left(mb) < ((kind & KIND_V6) ? 18u : 6u))
		return EBADMSG;
	if (kind & KIND_V6)
		err = mbuf_read_mem(mb, a6, sizeof(a6));
	else
		a4 = ntohl(mbuf_read_u32(mb));
	if (err)
		return EBADMSG;
	if (kind & KIND_V6)
		sa_set_in6(&flow->remote, a6, ntohs(mbuf_read_u16(mb)));
	else
		sa_set_in(&flow->remote, a4, ntohs(mbuf_read_u16(mb)));

	if (flow->proto == CFG_PROTO_TCP) {
		if (mbuf_get_left(mb) < 8)
			return EBADMSG;
		flow->conn = sys_ntohll(mbuf_read_u64(mb));
	}

	return 0;
}


static int text_encode(char *buf, size_t size, const uint8_t *p, size_t n)
{
	size_t olen = size - 1;
	size_t i;

	if (base64_encode(p, n, buf, &olen))
		return EOVERFLOW;

	/* RFC 4648 5, without padding: nothing to escape in a URI */
	for (i = 0; i < olen && buf[i] != '='; i++) {
		if (buf[i] == '+')
			buf[i] = '-';
		else if (buf[i] == '/')
			buf[i] = '_';
	}
	buf[i] = '\0';

	return 0;
}


static int text_decode(uint8_t *p, size_t *n, const struct pl *text)
{
	char buf[STAMP_TEXT_SIZE + 4];
	size_t i;

	if (text->l >= STAMP_TEXT_SIZE)
		return EBADMSG;

	for (i = 0; i < text->l; i++) {
		const char c = text->p[i];

		buf[i] = c == '-' ? '+' : c == '_' ? '/' : c;
	}
	while (i & 3)
		buf[i++] = '=';

	return base64_decode(buf, i, p, n) ? EBADMSG : 0;
}


int stamp_encode(struct stamper *s, char *buf, size_t size,
		 const struct stamp *st, const struct pl *callid,
		 const struct pl *tag)
{
	uint8_t data[DATA_SIZE];
	struct mbuf mb = {.buf = data, .size = sizeof(data)};
	uint8_t flags = 0;
	int err;

	if (!s || !buf || size < STAMP_TEXT_SIZE || !st || !callid || !tag)
		return EINVAL;

	if (st->anchored)
		flags |= FLAG_ANCHORED;
	if (st->outside[CALLER])
		flags |= FLAG_OUTSIDE;
	if (st->outside[CALLEE])
		flags |= FLAG_OUTSIDE << 1;

	(void)mbuf_write_u8(&mb, STAMP_VERSION);
	(void)mbuf_write_u8(&mb, flags);
	flow_write(&mb, &st->flow[CALLER]);
	flow_write(&mb, &st->flow[CALLEE]);

	err = mac_make(s, data + mb.end, data, mb.end, callid, tag);
	if (err)
		return err;

	return text_encode(buf, size, data, mb.end + MAC_SIZE);
}


static bool mac_same(const uint8_t *a, const uint8_t *b)
{
	uint8_t diff = 0;

	for (size_t i = 0; i < MAC_SIZE; i++)
		diff |= a[i] ^ b[i];

	return !diff;
}


/* Whose tag was signed tells who wrote this request */
static int signer_find(struct stamper *s, enum side *from,
		       const uint8_t *data, size_t n,
		       const struct sipcore_msg *msg)
{
	const struct pl *tagv[2] = {&msg->from.tag, &msg->to.tag};
	uint8_t mac[MAC_SIZE];

	for (unsigned i = 0; i < 2; i++) {
		if (!pl_isset(tagv[i]))
			continue;
		if (mac_make(s, mac, data, n, &msg->callid, tagv[i]))
			return EIO;
		if (mac_same(mac, data + n)) {
			*from = i ? CALLEE : CALLER;
			return 0;
		}
	}

	return EACCES;
}


int stamp_decode(struct stamper *s, struct stamp *st, enum side *from,
		 const struct pl *text, const struct sipcore_msg *msg)
{
	uint8_t data[STAMP_TEXT_SIZE];
	size_t n = sizeof(data);
	struct mbuf mb = {.buf = data, .size = sizeof(data)};
	uint8_t flags;
	int err;

	if (!s || !st || !from || !text || !msg)
		return EINVAL;

	memset(st, 0, sizeof(*st));
	err = text_decode(data, &n, text);
	if (err)
		return err;
	if (n < 4 + MAC_SIZE || data[0] != STAMP_VERSION)
		return EBADMSG;

	err = signer_find(s, from, data, n - MAC_SIZE, msg);
	if (err)
		return err;

	mb.pos = 1;
	mb.end = n - MAC_SIZE;
	flags = mbuf_read_u8(&mb);
	st->anchored = flags & FLAG_ANCHORED;
	st->outside[CALLER] = flags & FLAG_OUTSIDE;
	st->outside[CALLEE] = flags & (FLAG_OUTSIDE << 1);

	err  = flow_read(&mb, &st->flow[CALLER]);
	err |= flow_read(&mb, &st->flow[CALLEE]);

	return err;
}


static int key_read(uint8_t key[32], const char *path)
{
	ssize_t n;
	int fd;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno;

	n = read(fd, key, 32);
	(void)close(fd);

	return n == 32 ? 0 : EBADMSG;
}


static int key_write(const uint8_t key[32], const char *path)
{
	char tmp[512];
	int fd, err = 0;

	if (re_snprintf(tmp, sizeof(tmp), "%s.tmp", path) < 0)
		return ENAMETOOLONG;
	(void)unlink(tmp);
	fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return errno;

	if (write(fd, key, 32) != 32 || fsync(fd))
		err = errno ? errno : EIO;
	(void)close(fd);

	/* link() does not replace: of two that start, one key wins */
	if (!err && link(tmp, path) && errno != EEXIST)
		err = errno;
	(void)unlink(tmp);

	return err;
}


int stamp_key_load(uint8_t key[32], const char *path, char *why,
		   size_t whysz)
{
	int err;

	err = key_read(key, path);
	if (err == ENOENT) {
		rand_bytes(key, 32);
		err = key_write(key, path);
		if (!err)
			err = key_read(key, path);
	}

	if (err == EBADMSG)
		(void)re_snprintf(why, whysz, "sip.route_key %s: not a key of"
				  " 32 bytes; remove it (calls under way then"
				  " cannot be ended from outside)", path);
	else if (err)
		(void)re_snprintf(why, whysz, "sip.route_key %s: %m", path,
				  err);

	return err;
}
