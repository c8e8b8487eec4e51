/**
 * @file sipcore/net/net.c  Listeners, and values between workers
 *
 * Each listener has one socket per worker; the kernel spreads what arrives
 * over them, and a worker hands on what another one owns.
 */
#include <pthread.h>
#include <string.h>
#include <unistd.h>
#include <re.h>
#include "cfg/cfg.h"
#include "worker/worker.h"
#include "sipcore/sipcore.h"
#include "sipcore/internal.h"


enum {
	CROSS_MAX = 10000,	/* values on their way to one worker */
	IF_MAX    = 256,
};


static void listener_close(struct sipcore_listener *l, unsigned workers)
{
	for (unsigned i=0; l->fdv && i<workers; i++) {
		if (l->fdv[i] >= 0)
			(void)close(l->fdv[i]);
	}

	l->fdv = mem_deref(l->fdv);
}


static void net_destructor(void *arg)
{
	struct sipcore_net *net = arg;

	for (size_t i=0; net->lv && i<net->lc; i++)
		listener_close(&net->lv[i], net->workers);

	mem_deref(net->lv);
	mem_deref(net->ifv);
	mem_deref(net->seatv);
	mem_deref(net->software);
	(void)pthread_mutex_destroy(&net->lock);
}


static int bind_one(int *fdp, const struct sipcore_listener *l, bool share)
{
	return l->proto == CFG_PROTO_TCP ? sipcore_tcp_bind(fdp, &l->sa, share)
					 : sipcore_udp_bind(fdp, &l->sa,
							    share);
}


/* Sockets that share a port do not notice another program of the same user
   on it; so one that does not share tries first */
static int listener_open(struct sipcore_listener *l, unsigned workers)
{
	int fd, err = 0;

	l->fdv = mem_alloc(workers * sizeof(int), NULL);
	if (!l->fdv)
		return ENOMEM;

	for (unsigned i=0; i<workers; i++)
		l->fdv[i] = -1;

	if (workers > 1) {
		socklen_t len = sizeof(l->sa.u);

		err = bind_one(&fd, l, false);
		if (err)
			return err;

		/* port 0: all workers get the port that the first one got */
		if (!sa_port(&l->sa) &&
		    getsockname(fd, &l->sa.u.sa, &len))
			err = errno;
		(void)close(fd);
	}

	for (unsigned i=0; i<workers && !err; i++)
		err = bind_one(&l->fdv[i], l, workers > 1);

	if (!err && !sa_port(&l->sa)) {
		socklen_t len = sizeof(l->sa.u);

		if (getsockname(l->fdv[0], &l->sa.u.sa, &len))
			err = errno;
	}

	return err;
}


static int listeners_open(struct sipcore_net *net,
			  const struct sipcore_net_prm *prm,
			  char *why, size_t whysz)
{
	net->lv = mem_zalloc((prm->lc + !prm->lc) * sizeof(*net->lv), NULL);
	if (!net->lv)
		return ENOMEM;

	for (size_t i=0; i<prm->lc; i++) {
		struct sipcore_listener *l = &net->lv[i];
		const struct cfg_addr *addr = &prm->lv[i];
		int err;

		l->proto = addr->proto ? addr->proto : CFG_PROTO_UDP;
		l->sa    = addr->sa;
		l->any   = sa_is_any(&l->sa);
		++net->lc;

		err = l->proto == CFG_PROTO_UDP || l->proto == CFG_PROTO_TCP ?
			listener_open(l, net->workers) : EPROTONOSUPPORT;
		if (err) {
			const char *name = l->proto == CFG_PROTO_TCP ? "tcp" :
				l->proto == CFG_PROTO_UDP ? "udp" :
				sipcore_proto_name(l->proto);

			(void)re_snprintf(why, whysz, "%s:%J: %m", name,
					  &l->sa, err);
			return err;
		}
	}

	return 0;
}


static bool if_handler(const char *ifname, const struct sa *sa, void *arg)
{
	struct sipcore_net *net = arg;
	(void)ifname;

	net->ifv[net->ifc++] = *sa;

	return net->ifc >= IF_MAX;
}


static void limits_default(struct sipcore_limits *lim)
{
#define DEFAULT(field, value) if (!lim->field) lim->field = (value)
	DEFAULT(msg_size, 65535);
	DEFAULT(hdrs, 256);
	DEFAULT(strans, 100000);
	DEFAULT(ctrans, 100000);
	DEFAULT(conns, 10000);
	DEFAULT(conns_addr, 100);
	DEFAULT(conn_idle, 600000);
	DEFAULT(msg_time, 10000);
	DEFAULT(conn_queue, 262144);
	DEFAULT(t1, 500);
	DEFAULT(t2, 4000);
	DEFAULT(t4, 5000);
#undef DEFAULT
}


static int net_fill(struct sipcore_net *net, const struct sipcore_net_prm *prm)
{
	net->workers = prm->workers ? prm->workers : 1;
	net->lim     = prm->limits;
	limits_default(&net->lim);
	net->msglim.size = net->lim.msg_size;
	net->msglim.hdrs = net->lim.hdrs;
	rand_bytes(net->key, sizeof(net->key));
	rand_bytes(net->owner_key, sizeof(net->owner_key));
	if (prm->owner_key)
		memcpy(net->owner_key, prm->owner_key,
		       sizeof(net->owner_key));

	net->seatv = mem_zalloc(net->workers * sizeof(*net->seatv), NULL);
	net->ifv   = mem_zalloc(IF_MAX * sizeof(*net->ifv), NULL);
	if (!net->seatv || !net->ifv)
		return ENOMEM;

	(void)net_if_apply(if_handler, net);

	return prm->software ? str_dup(&net->software, prm->software) : 0;
}


int sipcore_net_alloc(struct sipcore_net **netp,
		      const struct sipcore_net_prm *prm,
		      char *why, size_t whysz)
{
	struct sipcore_net *net;
	int err;

	if (!netp || !prm || (prm->lc && !prm->lv) || prm->workers > 255)
		return EINVAL;

	if (why && whysz)
		why[0] = '\0';

	net = mem_zalloc(sizeof(*net), net_destructor);
	if (!net)
		return ENOMEM;

	(void)pthread_mutex_init(&net->lock, NULL);
	sipcore_stats_register();

	err = net_fill(net, prm);
	if (err)
		goto out;

	err = listeners_open(net, prm, why, whysz);

 out:
	if (err)
		mem_deref(net);
	else
		*netp = net;

	return err;
}


unsigned sipcore_owner(const struct sipcore_net *net, const struct pl *callid)
{
	if (!net || !callid || net->workers < 2)
		return 0;

	return (unsigned)(sipcore_siphash(net->owner_key, callid->p,
					  callid->l) % net->workers);
}


bool sipcore_is_self(const struct sipcore_net *net, const struct uri *uri)
{
	uint16_t port;
	struct sa sa;

	if (!net || !uri)
		return false;

	port = uri->port ? uri->port : 5060;
	if (sa_set(&sa, &uri->host, port))
		return false;

	for (size_t i=0; i<net->lc; i++) {
		const struct sipcore_listener *l = &net->lv[i];

		if (sa_port(&l->sa) != port || sa_af(&l->sa) != sa_af(&sa))
			continue;

		if (sa_cmp(&l->sa, &sa, SA_ADDR))
			return true;

		for (size_t k=0; l->any && k<net->ifc; k++) {
			if (sa_cmp(&net->ifv[k], &sa, SA_ADDR))
				return true;
		}
	}

	return false;
}


static void cross_handler(void *arg)
{
	struct sipcore_cross *cr = arg;
	struct sipcore_seat *seat = &cr->net->seatv[cr->idx];

	(void)__atomic_sub_fetch(&seat->queued, 1, __ATOMIC_RELAXED);

	if (seat->core)
		sipcore_cross_here(seat->core, cr);

	mem_deref(cr);
}


/**
 * Hand a value to another worker
 *
 * @param net   Network
 * @param idx   Worker
 * @param head  What it is; copied
 * @param p,n   Bytes that go with it
 *
 * @return 0, ENOBUFS too many on their way, ESHUTDOWN no such worker now
 */
int sipcore_cross(struct sipcore_net *net, unsigned idx,
		  const struct sipcore_cross *head, const uint8_t *p, size_t n)
{
	struct sipcore_seat *seat;
	struct sipcore_cross *cr;
	int err;

	if (idx >= net->workers)
		return EINVAL;

	seat = &net->seatv[idx];
	if (__atomic_load_n(&seat->queued, __ATOMIC_RELAXED) >= CROSS_MAX)
		return ENOBUFS;

	cr = mem_alloc(sizeof(*cr) + n, NULL);
	if (!cr)
		return ENOMEM;

	*cr = *head;
	cr->net = net;
	cr->idx = idx;
	cr->n   = n;
	if (n)
		memcpy(cr->v, p, n);

	(void)__atomic_add_fetch(&seat->queued, 1, __ATOMIC_RELAXED);

	(void)pthread_mutex_lock(&net->lock);
	err = seat->w ? worker_post(seat->w, cross_handler, cr) : ESHUTDOWN;
	(void)pthread_mutex_unlock(&net->lock);

	if (err) {
		(void)__atomic_sub_fetch(&seat->queued, 1, __ATOMIC_RELAXED);
		mem_deref(cr);
	}

	return err;
}
