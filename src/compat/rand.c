/**
 * @file rand.c  Random numbers from the kernel: libre's rand_*()
 *
 * Replaced because libre without OpenSSL takes rand() seeded with the time:
 * tags, nonces and ICE passwords could be guessed.
 *
 * Each thread draws from a pool of its own that getrandom(2) fills, so that
 * a number costs a copy, and a system call only every POOL bytes.  What was
 * drawn is wiped from the pool.  After fork(2) the child throws away what it
 * inherited.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <re.h>
#include "compat/compat.h"


enum {
	POOL = 512,
};

struct pool {
	uint8_t buf[POOL];
	size_t left;            /**< At the end of buf             */
	unsigned generation;    /**< Of the process that filled it */
};

static __thread struct pool pool;
static atomic_uint generation;      /**< One more in every child          */
static pthread_once_t fork_once = PTHREAD_ONCE_INIT;


static void child_handler(void)
{
	atomic_fetch_add_explicit(&generation, 1, memory_order_relaxed);
}


static void fork_init(void)
{
	(void)pthread_atfork(NULL, NULL, child_handler);
}


/* There is no second best: without random numbers the program stops */
static void fill(uint8_t *p, size_t size)
{
	while (size) {
		const ssize_t n = getrandom(p, size, 0);

		if (n > 0) {
			p    += n;
			size -= (size_t)n;
		}
		else if (n < 0 && errno != EINTR) {
			(void)re_fprintf(stderr, "getrandom: %m\n", errno);
			abort();
		}
	}
}


/** Make the library ready; it also becomes so by itself */
void rand_init(void)
{
	(void)pthread_once(&fork_once, fork_init);
}


/**
 * Random bytes
 *
 * @param p    Where to put them
 * @param size How many
 */
void rand_bytes(uint8_t *p, size_t size)
{
	const unsigned gen = atomic_load_explicit(&generation,
						  memory_order_relaxed);
	uint8_t *src;

	if (!p || !size)
		return;

	if (size > POOL / 4) {
		fill(p, size);
		return;
	}

	if (pool.left < size || pool.generation != gen) {
		rand_init();
		fill(pool.buf, POOL);
		pool.left = POOL;
		pool.generation = gen;
	}

	src = pool.buf + POOL - pool.left;
	memcpy(p, src, size);
	explicit_bzero(src, size);
	pool.left -= size;
}


/**
 * A random number
 *
 * @return 16 random bits
 */
uint16_t rand_u16(void)
{
	uint16_t v;

	rand_bytes((uint8_t *)&v, sizeof(v));

	return v;
}


/**
 * A random number
 *
 * @return 32 random bits
 */
uint32_t rand_u32(void)
{
	uint32_t v;

	rand_bytes((uint8_t *)&v, sizeof(v));

	return v;
}


/**
 * A random number
 *
 * @return 64 random bits
 */
uint64_t rand_u64(void)
{
	uint64_t v;

	rand_bytes((uint8_t *)&v, sizeof(v));

	return v;
}


/**
 * A random letter or digit, each as likely as the other
 *
 * @return The character
 */
char rand_char(void)
{
	static const char set[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
		"abcdefghijklmnopqrstuvwxyz" "0123456789";
	uint8_t v;

	do {
		rand_bytes(&v, 1);
		v &= 63;
	} while (v >= sizeof(set) - 1);

	return set[v];
}


/**
 * A string of random letters and digits
 *
 * @param str  The string
 * @param size Its size, the final zero included
 */
void rand_str(char *str, size_t size)
{
	size_t i;

	if (!str || !size)
		return;

	for (i=0; i<size-1; i++)
		str[i] = rand_char();
	str[size-1] = '\0';
}
