/**
 * @file node.c  Which media node a call belongs to: rendezvous hashing, and
 *               a memory of the calls that had to go elsewhere
 */
#include <string.h>
#include <re.h>
#include "ng/ng.h"
#include "ng/internal.h"


enum {
	STICKY_MAX = 16384,
	STICKY_BUCKETS = 1024,
};

struct sticky {
	struct le he;
	struct le le;		/**< oldest first */
	uint64_t hash;
	unsigned node;
};


/* FNV-1a and a final mix: the same on every machine, on purpose */
uint64_t ng_hash(uint64_t h, const char *p, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		h = (h ^ (uint8_t)p[i]) * 0x100000001b3ULL;

	return h;
}


static uint64_t mix(uint64_t x)
{
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;

	return x ^ (x >> 31);
}


/**
 * Order the nodes for a call: where it is remembered to be, then the living
 * by weight, then the dead by weight
 */
void ng_node_order(const struct ng_client *c, uint64_t call, uint8_t *orderv)
{
	uint64_t wv[NG_NODE_MAX];
	int stick = ng_sticky_get(c, call);
	unsigned i, k;

	for (i = 0; i < c->nodec; i++) {

		/* the top bits rank, the rest is the weight */
		wv[i] = mix(call ^ c->nodev[i].hash) >> 2;
		if (c->nodev[i].alive)
			wv[i] |= 1ULL << 62;
		if ((int)i == stick && c->nodev[i].alive)
			wv[i] |= 1ULL << 63;

		for (k = i; k > 0 && wv[orderv[k-1]] < wv[i]; k--)
			orderv[k] = orderv[k-1];
		orderv[k] = (uint8_t)i;
	}
}


/* Where the call would go if all were well */
unsigned ng_node_home(const struct ng_client *c, uint64_t call)
{
	unsigned i, best = 0;

	for (i = 1; i < c->nodec; i++) {

		if (mix(call ^ c->nodev[i].hash) >> 2 >
		    mix(call ^ c->nodev[best].hash) >> 2)
			best = i;
	}

	return best;
}


static struct sticky *find(const struct ng_client *c, uint64_t call)
{
	struct le *le = list_head(hash_list(c->sticky, (uint32_t)call));

	for (; le; le = le->next) {

		struct sticky *s = le->data;

		if (s->hash == call)
			return s;
	}

	return NULL;
}


int ng_sticky_get(const struct ng_client *c, uint64_t call)
{
	const struct sticky *s = find(c, call);

	return s ? (int)s->node : -1;
}


static void sticky_destructor(void *arg)
{
	struct sticky *s = arg;

	hash_unlink(&s->he);
	list_unlink(&s->le);
}


void ng_sticky_del(struct ng_client *c, uint64_t call)
{
	struct sticky *s = find(c, call);

	if (!s)
		return;

	--c->stickyc;
	mem_deref(s);
}


/* Without memory it is not remembered; the other nodes are asked then */
void ng_sticky_set(struct ng_client *c, uint64_t call, unsigned node)
{
	struct sticky *s = find(c, call);

	if (s) {
		s->node = node;
		return;
	}

	if (c->stickyc >= STICKY_MAX) {
		mem_deref(list_ledata(list_head(&c->stickyl)));
		--c->stickyc;
	}

	s = mem_zalloc(sizeof(*s), sticky_destructor);
	if (!s)
		return;

	s->hash = call;
	s->node = node;
	hash_append(c->sticky, (uint32_t)call, &s->he, s);
	list_append(&c->stickyl, &s->le, s);
	++c->stickyc;
}


int ng_sticky_init(struct ng_client *c)
{
	return hash_alloc(&c->sticky, STICKY_BUCKETS);
}


void ng_sticky_close(struct ng_client *c)
{
	list_flush(&c->stickyl);
	mem_deref(c->sticky);
}
