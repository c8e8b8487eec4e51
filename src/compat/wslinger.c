/**
 * @file wslinger.c  A WebSocket whose owner has gone after sending Close
 *
 * It waits for the peer's Close, or TIMEOUT, so that what was sent is not
 * lost to a reset (RFC 6455 7.1.1).
 */
#include <re.h>
#include "compat/wsframe.h"


enum {
	TIMEOUT = 2000,  /**< [ms] */
};

struct wslinger {
	struct le le;           /**< The list owns it */
	struct tcp_conn *tc;    /**< Owned            */
	struct tls_conn *sc;    /**< Owned            */
	struct tmr tmr;
};


static void destructor(void *arg)
{
	struct wslinger *wl = arg;

	tmr_cancel(&wl->tmr);
	list_unlink(&wl->le);
	mem_deref(wl->sc);
	mem_deref(wl->tc);
}


static void timeout_handler(void *arg)
{
	mem_deref(arg);
}


static void recv_handler(struct mbuf *mb, void *arg)
{
	(void)mb;
	(void)arg;
}


static void close_handler(int err, void *arg)
{
	(void)err;
	mem_deref(arg);
}


/**
 * Leave a connection to itself.  Without memory it just closes.
 *
 * @param list Where to keep it; flushing the list ends it
 * @param tcp  The connection, taken over and set to NULL
 * @param scp  The same of TLS, or NULL in it
 */
void wslinger_start(struct list *list, struct tcp_conn **tcp,
		    struct tls_conn **scp)
{
	struct wslinger *wl;

	wl = mem_zalloc(sizeof(*wl), destructor);
	if (!wl)
		return;

	list_append(list, &wl->le, wl);
	wl->tc = *tcp;
	wl->sc = *scp;
	*tcp = NULL;
	*scp = NULL;
	tcp_set_handlers(wl->tc, NULL, recv_handler, close_handler, wl);
	tmr_start(&wl->tmr, TIMEOUT, timeout_handler, wl);
}
