/**
 * @file user/internal.h  A change of a subscriber, names and secrets
 */

#ifndef VOIPSTACK_USER_INTERNAL_H
#define VOIPSTACK_USER_INTERNAL_H

enum user_op {
	USER_ADD = 0,
	USER_PASSWD,
	USER_ENABLE,
	USER_DISABLE,
	USER_DEL,
	USER_OP_MAX
};

enum {
	USER_NAME_MAX   = 64,
	USER_DOMAIN_MAX = 255,
	USER_SECRET_MAX = 128,
	USER_SECRET_GEN = 16,	/**< characters of a generated password */
};

struct user_change {
	enum user_op op;
	char user[USER_NAME_MAX + 1];
	char domain[USER_DOMAIN_MAX + 1];
	char ha1_md5[33];	/**< ADD, PASSWD */
	char ha1_sha256[65];
};

/* change.c */
typedef void (user_done_h)(int err, void *arg);
int user_change(struct store *st, const struct user_change *ch,
		user_done_h *h, void *arg);
const char *user_op_name(enum user_op op);
const char *user_op_past(enum user_op op);
bool user_op_find(enum user_op *op, const char *name);

/* secret.c */
int  user_names_check(const struct user_change *ch, char *why, size_t whysz);
int  user_secret_check(const char *secret, char *why, size_t whysz);
void user_secret_make(char *secret, size_t size);
int  user_ha1(struct user_change *ch, const char *secret);
int  user_ha1_check(const struct user_change *ch);

/* password.c */
enum user_source {
	USER_GENERATE = 0,
	USER_PROMPT,
	USER_STDIN,
	USER_ARGV,
};
int  user_secret_get(char *secret, size_t size, enum user_source source,
		     const char *given);

#endif
