/**
 * @file cfg/suggest.c  "Did you mean": the nearest of the names allowed
 *
 * Optimal string alignment distance: one insertion, deletion, substitution
 * or exchange of neighbours costs 1.
 */
#include <ctype.h>
#include <re.h>
#include "cfg.h"
#include "internal.h"


enum { WORD_MAX = 48 };


static int lower(char c)
{
	/* "-" for "_" is the commonest slip of all */
	return c == '-' ? '_' : tolower((unsigned char)c);
}


static unsigned distance(const char *a, size_t an, const char *b, size_t bn)
{
	unsigned d[3][WORD_MAX + 1];
	size_t i, j;

	for (j = 0; j <= bn; j++)
		d[0][j] = (unsigned)j;

	for (i = 1; i <= an; i++) {
		unsigned *cur = d[i % 3];
		const unsigned *prev = d[(i + 2) % 3];
		const unsigned *pprev = d[(i + 1) % 3];

		cur[0] = (unsigned)i;
		for (j = 1; j <= bn; j++) {
			const int x = lower(a[i - 1]), y = lower(b[j - 1]);
			unsigned m = prev[j - 1] + (x != y);

			m = min(m, prev[j] + 1);
			m = min(m, cur[j - 1] + 1);
			if (i > 1 && j > 1 && x == lower(b[j - 2]) &&
			    lower(a[i - 2]) == y)
				m = min(m, pprev[j - 2] + 1);
			cur[j] = m;
		}
	}

	return d[an % 3][bn];
}


/**
 * Find the name that was probably meant
 *
 * @param word   What stands in the file
 * @param nameh  Gives the i-th allowed name, NULL past the end
 * @param arg    Handler argument
 *
 * @return A name, or NULL if none is near
 */
const char *cfg_suggest(const char *word, cfg_name_h *nameh, void *arg)
{
	const size_t n = str_len(word);
	const char *best = NULL, *name;
	unsigned best_d = WORD_MAX;
	size_t i;

	if (!n || n > WORD_MAX || !nameh)
		return NULL;

	for (i = 0; (name = nameh(i, arg)); i++) {
		const size_t len = str_len(name);
		unsigned d;

		if (!len || len > WORD_MAX)
			continue;

		d = distance(word, n, name, len);
		if (d < best_d) {
			best_d = d;
			best = name;
		}
	}

	/* a third of the letters, but one at least */
	return best && best_d <= max(max(n, str_len(best)) / 3, 1) ?
		best : NULL;
}
