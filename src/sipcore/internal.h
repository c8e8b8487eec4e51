/**
 * @file sipcore/internal.h  What the files of this folder share
 */

struct sipcore_lim {
	size_t size;		/* bytes of a message */
	unsigned hdrs;		/* header fields of a message */
};

/* name.c */
enum sipcore_hdrid sipcore_name_hdrid(const struct pl *name);
enum sipcore_method sipcore_name_method(const struct pl *name);
enum cfg_proto sipcore_name_proto(const struct pl *name);
const char *sipcore_proto_name(enum cfg_proto proto);

/* text.c: the grammar's small change */
bool sipcore_is_ws(char c);
bool sipcore_is_token(const struct pl *pl);
void sipcore_trim(struct pl *pl);
int  sipcore_u32(const struct pl *pl, uint32_t *v);

/* msg.c */

/** Position in a stream: reset (zeroed) after each message */
struct sipcore_frame {
	size_t scan;		/* bytes looked at already */
	size_t hlen;		/* header section with its blank line, or 0 */
	size_t total;		/* whole message, valid when hlen is set */
};

int sipcore_msg_read(struct sipcore_msg **msgp, const uint8_t *p, size_t n,
		     bool stream, const struct sipcore_lim *lim,
		     const struct sa *src);

/* frame.c */
int    sipcore_frame(struct sipcore_frame *fr, const uint8_t *p, size_t n);
size_t sipcore_leading_crlf(const uint8_t *p, size_t n);
size_t sipcore_header_len(const uint8_t *p, size_t n);
size_t sipcore_count_lines(const uint8_t *p, size_t n);
bool   sipcore_has_stray(const char *p, size_t n);
void   sipcore_sid(struct sipcore_msg *msg);
