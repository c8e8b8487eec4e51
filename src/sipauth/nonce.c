/**
 * @file sipauth/nonce.c  Nonces, and which counts of them were used (RFC 7616
 * 3.3, 5.4, 5.5)
 *
 * A nonce is time, a serial number and a MAC: giving one out costs no memory.
 * Only a nonce with which somebody has proved a password is remembered, with
 * a window of its last 64 counts.  The table is bounded; where an entry had to
 * make room, its row remembers how old it was, and unknown nonces up to that
 * age are answered with a new one.  So nothing can be replayed, whatever the
 * load.
 *
 * One table per process: a nonce of one worker is good at all.
 */
#include <pthread.h>
#include <string.h>
#include <re.h>
#include "cfg/cfg.h"
#include "sipcore/sipcore.h"
#include "sipauth.h"
#include "internal.h"


enum {
	ROWS = 8192,
	WAYS = 4,
	WINDOW = 64,
	KEY_SIZE = 20,
};

struct entry {
	uint64_t time;		/* of the nonce; 0: free */
	uint32_t serial;
	uint32_t max;		/* highest count seen */
	uint64_t seen;		/* bit n: max - n was used */
};

struct row {
	struct entry v[WAYS];
	uint64_t lost;		/* nonces up to this time are not known */
};

/* Process-wide on purpose: the workers share it under the lock */
static struct {
	pthread_once_t once;
	pthread_mutex_t lock;
	uint8_t key[KEY_SIZE];
	uint32_t serial;
	struct row rowv[ROWS];
} table = {
	.once = PTHREAD_ONCE_INIT,
	.lock = PTHREAD_MUTEX_INITIALIZER,
};


static void table_init(void)
{
	rand_bytes(table.key, sizeof(table.key));
	table.serial = rand_u32();
}


static uint64_t mac(const void *p, size_t n)
{
	uint8_t md[20];
	uint64_t v;

	hmac_sha1(table.key, sizeof(table.key), p, n, md, sizeof(md));
	memcpy(&v, md, sizeof(v));

	return v;
}


static uint64_t nonce_mac(uint64_t time, uint32_t serial)
{
	const uint64_t v[2] = {time, serial};

	return mac(v, sizeof(v));
}


/**
 * @param nonce  Gets the text
 * @param now    tmr_jiffies()
 */
void sipauth_nonce_make(char nonce[SIPAUTH_NONCE], uint64_t now)
{
	uint32_t serial;

	(void)pthread_once(&table.once, table_init);

	serial = __atomic_add_fetch(&table.serial, 1, __ATOMIC_RELAXED);

	(void)re_snprintf(nonce, SIPAUTH_NONCE, "%016llx%08x%016llx",
			  (unsigned long long)now, serial,
			  (unsigned long long)nonce_mac(now, serial));
}


static bool hex_read(const char *p, size_t n, uint64_t *v)
{
	*v = 0;

	for (size_t i=0; i<n; i++) {
		const char c = p[i];

		if (c >= '0' && c <= '9')
			*v = *v << 4 | (uint64_t)(c - '0');
		else if (c >= 'a' && c <= 'f')
			*v = *v << 4 | (uint64_t)(c - 'a' + 10);
		else
			return false;
	}

	return true;
}


static bool nonce_read(const struct pl *nonce, uint64_t *time,
		       uint32_t *serial)
{
	uint64_t ser, m, own;

	if (nonce->l != SIPAUTH_NONCE - 1 ||
	    !hex_read(nonce->p, 16, time) ||
	    !hex_read(nonce->p + 16, 8, &ser) ||
	    !hex_read(nonce->p + 24, 16, &m))
		return false;

	*serial = (uint32_t)ser;
	own = nonce_mac(*time, *serial);

	return !mem_seccmp((const uint8_t *)&m, (const uint8_t *)&own,
			   sizeof(m));
}


static enum sipauth_fresh count_use(struct entry *e, uint32_t nc)
{
	if (nc > e->max) {
		const uint32_t step = nc - e->max;

		e->seen = step < WINDOW ? e->seen << step | 1 : 1;
		e->max  = nc;
		return SIPAUTH_FRESH;
	}

	if (e->max - nc >= WINDOW || e->seen & 1ULL << (e->max - nc))
		return SIPAUTH_REPLAYED;

	e->seen |= 1ULL << (e->max - nc);

	return SIPAUTH_FRESH;
}


static enum sipauth_fresh row_use(struct row *row, uint64_t time,
				  uint32_t serial, uint32_t nc)
{
	struct entry *e, *oldest = &row->v[0];

	for (e = row->v; e < row->v + WAYS; e++) {

		if (e->time == time && e->serial == serial)
			return count_use(e, nc);
		if (e->time < oldest->time)
			oldest = e;
	}

	if (time <= row->lost)
		return SIPAUTH_OLD;

	/* a free entry has time 0, so it is the oldest */
	if (oldest->time > row->lost)
		row->lost = oldest->time;

	/* no older than what made room: it would be the next to go */
	if (time <= row->lost)
		return SIPAUTH_OLD;

	oldest->time   = time;
	oldest->serial = serial;
	oldest->max    = nc;
	oldest->seen   = 1;

	return SIPAUTH_FRESH;
}


/**
 * Use a nonce once more.  To be called only when the response was right, so
 * that no stranger can fill the table.
 *
 * @param nonce  As the client sent it
 * @param nc     Its count; 1 if it sent none
 * @param now    tmr_jiffies()
 * @param life   [ms]
 */
enum sipauth_fresh sipauth_nonce_use(const struct pl *nonce, uint32_t nc,
				     uint64_t now, uint32_t life)
{
	enum sipauth_fresh fresh;
	uint32_t serial;
	uint64_t time;

	(void)pthread_once(&table.once, table_init);

	if (!nonce_read(nonce, &time, &serial) || time > now ||
	    now - time > life)
		return SIPAUTH_OLD;

	(void)pthread_mutex_lock(&table.lock);
	fresh = row_use(&table.rowv[serial % ROWS], time + 1, serial, nc);
	(void)pthread_mutex_unlock(&table.lock);

	return fresh;
}


/* The work for an unknown user is the same as for a known one */
void sipauth_dummy_ha1(enum sipauth_alg alg, char hex[SIPAUTH_HEX],
		       const struct pl *user)
{
	uint64_t v[4];

	(void)pthread_once(&table.once, table_init);

	v[0] = mac(user->p, user->l);
	for (unsigned i=1; i<4; i++)
		v[i] = mac(v, i * sizeof(v[0]));

	(void)re_snprintf(hex, SIPAUTH_HEX, "%w", v,
			  (size_t)(alg == SIPAUTH_MD5 ? 16 : 32));
}
