/**
 * @file user/secret.c  Names, passwords and their HA1 (RFC 7616 3.4.2)
 */

#include <ctype.h>
#include <string.h>
#include <re.h>
#include <mbedtls/platform_util.h>
#include <mbedtls/sha256.h>
#include "user/user.h"
#include "user/internal.h"


/* A user that every telephone can dial: RFC 3261's unreserved characters
   without the brackets and quotes, and "+" */
static bool is_user_char(char c)
{
	return isalnum((unsigned char)c) || (c && strchr("-_.+*~", c));
}


static bool is_domain_char(char c)
{
	return isalnum((unsigned char)c) || (c && strchr("-.:[]", c));
}


static int name_check(const char *name, bool (*allowed)(char c),
		      const char *what, char *why, size_t whysz)
{
	const char *p;

	if (!name[0]) {
		(void)re_snprintf(why, whysz, "the %s is empty", what);
		return EINVAL;
	}

	for (p = name; *p; p++) {

		if (allowed(*p))
			continue;

		if (*p > ' ' && *p < 0x7f)
			(void)re_snprintf(why, whysz, "%c cannot stand in the"
					  " %s", *p, what);
		else
			(void)re_snprintf(why, whysz, "blanks, accents and"
					  " the like cannot stand in the %s",
					  what);
		return EINVAL;
	}

	return 0;
}


int user_names_check(const struct user_change *ch, char *why, size_t whysz)
{
	int err;

	err = name_check(ch->user, is_user_char, "extension", why, whysz);
	if (err)
		return err;

	return name_check(ch->domain, is_domain_char, "domain", why, whysz);
}


int user_secret_check(const char *secret, char *why, size_t whysz)
{
	const unsigned char *p = (const unsigned char *)secret;

	if (!*p) {
		(void)re_snprintf(why, whysz, "the password is empty");
		return EINVAL;
	}

	for (; *p; p++) {
		if (*p < ' ' || *p == 0x7f) {
			(void)re_snprintf(why, whysz, "the password has"
					  " control characters in it");
			return EINVAL;
		}
	}

	return 0;
}


/** A random password, nearly 5 bits a character, none like another */
void user_secret_make(char *secret, size_t size)
{
	static const char set[] = "abcdefghjkmnpqrstuvwxyz23456789";
	uint8_t rnd[USER_SECRET_MAX];
	size_t i, n = size - 1 < USER_SECRET_GEN ? size - 1 : USER_SECRET_GEN;

	rand_bytes(rnd, n);
	for (i=0; i<n; i++)
		secret[i] = set[rnd[i] % (sizeof(set) - 1)];
	secret[n] = '\0';
}


static void hex(char *out, const uint8_t *p, size_t n)
{
	static const char digits[] = "0123456789abcdef";
	size_t i;

	for (i=0; i<n; i++) {
		*out++ = digits[p[i] >> 4];
		*out++ = digits[p[i] & 15];
	}
	*out = '\0';
}


/** H(user:realm:password) with MD5 and SHA-256; the realm is the domain */
int user_ha1(struct user_change *ch, const char *secret)
{
	char a1[USER_NAME_MAX + USER_DOMAIN_MAX + USER_SECRET_MAX + 3];
	uint8_t md[MD5_SIZE], sha[32];
	size_t n;
	int err = 0;

	if (re_snprintf(a1, sizeof(a1), "%s:%s:%s", ch->user, ch->domain,
			secret) < 0)
		return EINVAL;

	n = strlen(a1);
	md5((const uint8_t *)a1, n, md);
	if (mbedtls_sha256((const uint8_t *)a1, n, sha, 0))
		err = ENOSYS;

	mbedtls_platform_zeroize(a1, sizeof(a1));
	if (err)
		return err;

	hex(ch->ha1_md5, md, sizeof(md));
	hex(ch->ha1_sha256, sha, sizeof(sha));

	return 0;
}


static bool is_hex(const char *s, size_t n)
{
	return strlen(s) == n && strspn(s, "0123456789abcdef") == n;
}


/** Are these what user_ha1() makes? */
int user_ha1_check(const struct user_change *ch)
{
	return is_hex(ch->ha1_md5, 32) && is_hex(ch->ha1_sha256, 64) ?
		0 : EINVAL;
}
