/**
 * @file sipcore/table.c  Keyed hash (SipHash-2-4) and slots with generations
 */
#include <string.h>
#include <re.h>
#include "cfg/cfg.h"
#include "sipcore.h"
#include "internal.h"


enum { NO_SLOT = 0xffffffff };


static inline uint64_t rotl(uint64_t x, int b)
{
	return x << b | x >> (64 - b);
}


static inline void sipround(uint64_t v[4])
{
	v[0] += v[1]; v[1] = rotl(v[1], 13); v[1] ^= v[0];
	v[0] = rotl(v[0], 32);
	v[2] += v[3]; v[3] = rotl(v[3], 16); v[3] ^= v[2];
	v[0] += v[3]; v[3] = rotl(v[3], 21); v[3] ^= v[0];
	v[2] += v[1]; v[1] = rotl(v[1], 17); v[1] ^= v[2];
	v[2] = rotl(v[2], 32);
}


/**
 * SipHash-2-4 (Aumasson, Bernstein 2012): a hash whose collisions cannot be
 * prepared without the key, and a MAC of 64 bits
 */
uint64_t sipcore_siphash(const uint8_t key[16], const void *p, size_t n)
{
	const uint8_t *c = p;
	uint64_t k[2], m, v[4];
	size_t i;

	memcpy(k, key, sizeof(k));
	v[0] = k[0] ^ 0x736f6d6570736575ULL;
	v[1] = k[1] ^ 0x646f72616e646f6dULL;
	v[2] = k[0] ^ 0x6c7967656e657261ULL;
	v[3] = k[1] ^ 0x7465646279746573ULL;

	for (i=0; i + 8 <= n; i += 8) {
		memcpy(&m, c + i, 8);
		v[3] ^= m;
		sipround(v);
		sipround(v);
		v[0] ^= m;
	}

	m = (uint64_t)n << 56;
	for (int shift=0; i < n; i++, shift += 8)
		m |= (uint64_t)c[i] << shift;

	v[3] ^= m;
	sipround(v);
	sipround(v);
	v[0] ^= m;

	v[2] ^= 0xff;
	for (i=0; i<4; i++)
		sipround(v);

	return v[0] ^ v[1] ^ v[2] ^ v[3];
}


void sipcore_slots_init(struct sipcore_slots *sl, uint32_t max)
{
	memset(sl, 0, sizeof(*sl));
	sl->max  = max < SIPCORE_SLOT_MAX ? max : SIPCORE_SLOT_MAX;
	sl->free = NO_SLOT;
}


static int grow(struct sipcore_slots *sl)
{
	uint32_t size = sl->size ? sl->size * 2 : 64;
	struct sipcore_slot *v;

	if (size > sl->max)
		size = sl->max;
	if (size <= sl->size)
		return ENOBUFS;

	v = mem_reallocarray(sl->v, size, sizeof(*v), NULL);
	if (!v)
		return ENOMEM;

	/* generations begin anywhere, so that a name from before a restart
	   means nothing */
	for (uint32_t i=sl->size; i<size; i++) {
		v[i].p    = NULL;
		v[i].gen  = rand_u32();
		v[i].next = i + 1 < size ? i + 1 : sl->free;
	}

	sl->free = sl->size;
	sl->v    = v;
	sl->size = size;

	return 0;
}


/**
 * @return 0, ENOBUFS at the limit, ENOMEM
 */
int sipcore_slots_add(struct sipcore_slots *sl, void *p, uint32_t *slot,
		      uint32_t *gen)
{
	int err;

	if (sl->free == NO_SLOT) {
		err = grow(sl);
		if (err)
			return err;
	}

	*slot = sl->free;
	sl->free = sl->v[*slot].next;
	sl->v[*slot].p = p;
	*gen = sl->v[*slot].gen;
	++sl->used;

	return 0;
}


void sipcore_slots_del(struct sipcore_slots *sl, uint32_t slot)
{
	if (slot >= sl->size || !sl->v[slot].p)
		return;

	sl->v[slot].p = NULL;
	++sl->v[slot].gen;
	sl->v[slot].next = sl->free;
	sl->free = slot;
	--sl->used;
}


void *sipcore_slots_get(const struct sipcore_slots *sl, uint32_t slot,
			uint32_t gen)
{
	if (slot >= sl->size || sl->v[slot].gen != gen)
		return NULL;

	return sl->v[slot].p;
}


struct sipcore_octets *sipcore_octets_dup(const void *p, size_t n)
{
	struct sipcore_octets *oc = mem_alloc(sizeof(*oc) + n, NULL);

	if (!oc)
		return NULL;

	oc->n = n;
	memcpy(oc->v, p, n);

	return oc;
}
