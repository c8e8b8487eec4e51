/**
 * @file sdpx/internal.h  Lines of a body
 */

/** A line: type, value without line end, and all of its bytes */
struct sdpx_line {
	char type;		/**< 'm', 'a', ...; 0: not of the form "x=" */
	struct pl val;
	struct pl raw;		/**< with line end                          */
};

/** Take the next line off rest; false at its end */
bool sdpx_line_next(struct pl *rest, struct sdpx_line *l);

/** Is this "a=name" or "a=name:..."? val gets what follows the colon */
bool sdpx_line_attr(const struct sdpx_line *l, const char *name,
		    struct pl *val);

/** Take the next word off rest; false when there is none */
bool sdpx_word(struct pl *rest, struct pl *word);

/** A direction attribute? */
bool sdpx_line_dir(const struct sdpx_line *l, enum sdpx_dir *dir);

/** Part of a body before its first m= line */
struct pl sdpx_session_part(const struct sdpx *s);

/** Is this c= line's address 0.0.0.0? */
bool sdpx_conn_hold(const struct pl *conn);

int sdpx_num(const struct pl *pl, uint32_t max, uint32_t *v);
