/**
 * @file user/password.c  Where a password comes from
 */

#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>
#include <re.h>
#include <mbedtls/platform_util.h>
#include "user/user.h"
#include "user/internal.h"


static int line_read(char *buf, size_t size)
{
	size_t n;

	if (!fgets(buf, (int)size, stdin))
		return ENODATA;

	n = strcspn(buf, "\r\n");
	if (!buf[n] && n == size - 1)
		return EMSGSIZE;
	buf[n] = '\0';

	return 0;
}


/* One line from the terminal, not shown */
static int hidden_read(char *buf, size_t size, const char *prompt)
{
	struct termios old, silent;
	int err;

	if (tcgetattr(STDIN_FILENO, &old))
		return ENOTTY;

	silent = old;
	silent.c_lflag &= ~(tcflag_t)ECHO;

	(void)re_fprintf(stderr, "%s", prompt);
	(void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent);
	err = line_read(buf, size);
	(void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &old);
	(void)re_fprintf(stderr, "\n");

	return err;
}


static int prompt(char *secret, size_t size)
{
	char again[USER_SECRET_MAX + 2];
	int err;

	err = hidden_read(secret, size, "Password: ");
	if (!err)
		err = hidden_read(again, sizeof(again), "Again: ");
	if (!err && strcmp(secret, again)) {
		(void)re_fprintf(stderr, "voipstack: the two passwords"
				 " differ; nothing was changed\n");
		err = EINVAL;
	}

	mbedtls_platform_zeroize(again, sizeof(again));

	return err;
}


/** Says why on error */
int user_secret_get(char *secret, size_t size, enum user_source source,
		    const char *given)
{
	char why[128];
	int err = 0;

	switch (source) {

	case USER_GENERATE:
		user_secret_make(secret, size);
		return 0;

	case USER_PROMPT:
		err = prompt(secret, size);
		break;

	case USER_STDIN:
		err = line_read(secret, size);
		break;

	case USER_ARGV:
		if (strlen(given) >= size)
			err = EMSGSIZE;
		else
			str_ncpy(secret, given, size);
		break;
	}

	if (err == EMSGSIZE)
		(void)re_fprintf(stderr, "voipstack: a password has at most"
				 " %d characters\n", USER_SECRET_MAX);
	else if (err == ENODATA)
		(void)re_fprintf(stderr, "voipstack: no password on standard"
				 " input\n");
	else if (err == ENOTTY)
		(void)re_fprintf(stderr, "voipstack: --prompt needs a"
				 " terminal; use --password-stdin\n");
	else if (!err && user_secret_check(secret, why, sizeof(why))) {
		(void)re_fprintf(stderr, "voipstack: %s; nothing was"
				 " changed\n", why);
		err = EINVAL;
	}

	return err;
}
