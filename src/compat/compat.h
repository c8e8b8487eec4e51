/**
 * @file compat.h  What our replacements of libre's files offer beyond
 *                 libre's own headers; after <re.h>
 */


/* mem.c */

/**
 * Make one allocation of this thread fail
 *
 * @param n The n-th from now on fails (1: the next), once; 0: none
 */
void mem_fail_after(long n);

/** Has the allocation that was to fail been met? */
bool mem_fail_hit(void);


/* tmr.c */

/** A clock: monotonic time in [us] */
typedef uint64_t (compat_clock_h)(void);

/**
 * Take the time of all timers and of tmr_jiffies() from a test's clock
 *
 * @param clockh The clock, called from every thread that has timers; NULL:
 *               the real one.  Set it while no timers run.
 */
void compat_clock_set(compat_clock_h *clockh);


/* websock.c */
struct websock;
struct websock_conn;
struct http_conn;
struct http_msg;

void websock_limit(struct websock *sock, size_t msg_max);
int  websock_accept_sub(struct websock_conn **connp, struct websock *sock,
			struct http_conn *htconn, const struct http_msg *msg,
			const char *proto, unsigned kaint,
			websock_recv_h *recvh, websock_close_h *closeh,
			void *arg);
