/**
 * @file sipcore/net/conn.h  A connection, for the files that serve it
 */

struct sipcore_conn {
	struct le he;		/* by address */
	struct sipcore *core;
	struct sa remote;
	struct sa local;	/* our listener of this kind */
	uint64_t id;
	uint32_t slot;
	int fd;
	bool connecting;
	bool closing;		/* when all is sent; input is thrown away */
	bool shut;		/* our half is closed */
	uint64_t shut_at;	/* closing: when it will be */
	bool gone;		/* cannot be found any more */
	int err;
	struct mbuf *rx;	/* incomplete message, or NULL */
	struct sipcore_frame fr;
	struct list txl;
	size_t txn;
	struct tmr tmr;
	uint64_t last;		/* last byte either way */
	uint64_t msg_start;	/* incomplete message since, or 0 */
	uint64_t tx_start;	/* waiting to be sent since, or 0 */
};

/* conn.c */
int  sipcore_conn_write(struct sipcore_conn *c, const uint8_t *p, size_t n,
			uint64_t ct);
void sipcore_conn_fail(struct sipcore_conn *c, int err);
void sipcore_conn_closing(struct sipcore_conn *c);
void sipcore_conn_arm(struct sipcore_conn *c);

/* stream.c */
void sipcore_conn_readable(struct sipcore_conn *c);
