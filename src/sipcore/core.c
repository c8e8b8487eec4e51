/**
 * @file sipcore/core.c  One worker's part: what arrives is given to its owner
 *
 *   socket -> owner? -> decode -> response: client transaction | stray
 *                              -> request: transaction, 4xx/5xx, or handler
 */
#include <pthread.h>
#include <string.h>
#include <re.h>
#include "cfg/cfg.h"
#include "worker/worker.h"
#include "sipcore.h"
#include "internal.h"


enum { HASH_CONNS = 1024 };


/* A response belongs to the worker that its branch names, everything else to
   the one that the Call-ID hashes to */
static unsigned owner_of(const struct sipcore *core, const uint8_t *p,
			 size_t n)
{
	struct pl rest, val;
	struct sipcore_via via;
	uint64_t id;

	if (n > 4 && !memcmp(p, "SIP/", 4) &&
	    sipcore_scan(p, n, SIPCORE_HDR_VIA, &rest) &&
	    sipcore_val_next(&rest, &val) &&
	    !sipcore_via_decode(&via, &val) &&
	    sipcore_branch_id(core->net, &via.branch, &id))
		return sipcore_id_worker(id);

	if (sipcore_scan(p, n, SIPCORE_HDR_CALL_ID, &val))
		return sipcore_owner(core->net, &val);

	return core->idx;
}


/**
 * Bytes of one message have arrived on this worker
 *
 * @param flow   How
 * @param p,n    One message (or datagram)
 * @param flags  SIPCORE_STREAM, SIPCORE_LARGE
 */
void sipcore_rx(struct sipcore *core, const struct sipcore_flow *flow,
		const uint8_t *p, size_t n, unsigned flags)
{
	unsigned owner;

	if (core->net->workers > 1) {

		owner = owner_of(core, p, n);
		if (owner != core->idx) {
			const struct sipcore_cross head = {
				.kind = SIPCORE_CROSS_RX, .flags = flags,
				.flow = *flow,
			};

			if (sipcore_cross(core->net, owner, &head, p, n))
				++core->stats.rx_dropped;
			return;
		}
	}

	(void)sipcore_process(core, flow, p, n, flags);
}


/* RFC 3261 8.2, 16.3, 21.4.1: say what is wrong, keep nothing */
static void reject(struct sipcore *core, const struct sipcore_msg *msg)
{
	char reason[128];

	if (msg->method == SIPCORE_ACK)
		return;

	if (msg->malformed_code == 400)
		(void)re_snprintf(reason, sizeof(reason), "Bad Request (%s)",
				  msg->malformed);
	else
		str_ncpy(reason, sipcore_reason(msg->malformed_code),
			 sizeof(reason));

	sipcore_reply_stateless(core, msg, msg->malformed_code, reason, NULL);
}


/**
 * Handle a message on the worker that owns it
 *
 * @return 0, or what sipcore_msg_decode() said
 */
int sipcore_process(struct sipcore *core, const struct sipcore_flow *flow,
		    const uint8_t *p, size_t n, unsigned flags)
{
	struct sipcore_msg *msg = NULL;
	int err;

	++core->stats.rx;

	if (core->traceh)
		core->traceh(false, flow, p, n, core->trace_arg);

	if (core->droph && core->droph(false, p, n, core->drop_arg))
		return 0;

	err = sipcore_msg_read(&msg, p, n, flags, &core->net->msglim,
			       &flow->remote);
	if (err == ENOMEM)
		++core->stats.rx_dropped;
	else if (err)
		++core->stats.rx_bad;

	if (!msg)
		return err;

	msg->flow   = *flow;
	msg->rx_jfs = tmr_jiffies();

	if (err)
		reject(core, msg);
	else if (msg->req)
		sipcore_strans_request(core, msg);
	else if (!sipcore_ctrans_response(core, msg) && core->strayh &&
		 msg->method != SIPCORE_CANCEL)
		core->strayh(core, msg, core->arg);

	mem_deref(msg);

	return err;
}


/* A value from another worker */
void sipcore_cross_here(struct sipcore *core, struct sipcore_cross *cr)
{
	int err;

	switch (cr->kind) {

	case SIPCORE_CROSS_RX:
		(void)sipcore_process(core, &cr->flow, cr->v, cr->n,
				      cr->flags);
		break;

	case SIPCORE_CROSS_TX:
		err = sipcore_tcp_send(core, &cr->flow, &cr->fallback, cr->v,
				       cr->n, cr->ct);
		if (err && cr->ct)
			sipcore_ctrans_error(core, cr->ct, err);
		break;

	case SIPCORE_CROSS_ERR:
		sipcore_ctrans_error(core, cr->ct, cr->err);
		break;
	}
}


static void core_destructor(void *arg)
{
	struct sipcore *core = arg;
	struct sipcore_seat *seat = &core->net->seatv[core->idx];

	if (seat->core == core) {
		(void)pthread_mutex_lock(&core->net->lock);
		seat->w = NULL;
		(void)pthread_mutex_unlock(&core->net->lock);
		seat->core = NULL;
	}

	for (size_t i=0; core->sockv && i<core->net->lc; i++) {

		tmr_cancel(&core->sockv[i].tmr);
		if (core->sockv[i].core)
			fd_close(core->sockv[i].fd);
	}

	sipcore_stats_stop(core);
	sipcore_ctrans_flush(core);
	if (core->ht_strans)
		sipcore_strans_flush(core);
	if (core->ht_conns)
		sipcore_conn_flush(core);

	mem_deref(core->ctrans.v);
	mem_deref(core->conns.v);
	mem_deref(core->ht_strans);
	mem_deref(core->ht_conns);
	mem_deref(core->sockv);
	mem_deref(core->rxbuf);
}


static int socks_start(struct sipcore *core)
{
	const struct sipcore_net *net = core->net;
	int err = 0;

	core->sockv = mem_zalloc((net->lc + !net->lc) * sizeof(*core->sockv),
				 NULL);
	if (!core->sockv)
		return ENOMEM;

	for (size_t i=0; i<net->lc && !err; i++) {
		struct sipcore_sock *sock = &core->sockv[i];

		sock->core = core;
		sock->l    = &net->lv[i];
		sock->fd   = sock->l->fdv[core->idx];

		err = sock->l->proto == CFG_PROTO_TCP ?
			sipcore_tcp_start(sock) : sipcore_udp_start(sock);
	}

	return err;
}


int sipcore_alloc(struct sipcore **corep, struct sipcore_net *net,
		  unsigned idx, sipcore_request_h *reqh,
		  sipcore_stray_h *strayh, void *arg)
{
	struct sipcore *core;
	int err;

	if (!corep || !net || idx >= net->workers || !reqh)
		return EINVAL;

	core = mem_zalloc(sizeof(*core), core_destructor);
	if (!core)
		return ENOMEM;

	core->net    = net;
	core->idx    = idx;
	core->reqh   = reqh;
	core->strayh = strayh;
	core->arg    = arg;
	sipcore_slots_init(&core->ctrans, net->lim.ctrans);
	sipcore_slots_init(&core->conns, net->lim.conns);

	core->rxbuf = mem_alloc(SIPCORE_RXBUF, NULL);
	if (!core->rxbuf) {
		err = ENOMEM;
		goto out;
	}

	err = hash_alloc(&core->ht_conns, HASH_CONNS);
	if (err)
		goto out;

	err = sipcore_strans_start(core);
	if (err)
		goto out;

	err = socks_start(core);
	if (err)
		goto out;

	sipcore_stats_start(core);
	net->seatv[idx].core = core;
	(void)pthread_mutex_lock(&net->lock);
	net->seatv[idx].w = worker_self();
	(void)pthread_mutex_unlock(&net->lock);

 out:
	if (err)
		mem_deref(core);
	else
		*corep = core;

	return err;
}


void sipcore_set_trace(struct sipcore *core, sipcore_trace_h *h, void *arg)
{
	if (!core)
		return;

	core->traceh    = h;
	core->trace_arg = arg;
}


void sipcore_drain(struct sipcore *core, bool on)
{
	if (core)
		core->drain = on;
}
