/**
 * @file ng_server.c  NG over UDP: cookies, and commands to workers
 *
 *	datagram -> allowed? -> cookie: answered already? -> worker of the
 *	call-id -> command -> control loop -> answer, kept for its cookie
 */
#include <string.h>
#include <re.h>
#include "log/log.h"
#include "worker/worker.h"
#include "media/media.h"


enum {
	COOKIE_MS   = 10000,	/**< how long an answer is kept      */
	COOKIE_NUM  = 8192,	/**< answers kept                    */
	COOKIE_SIZE = 16 << 20,	/**< bytes kept                      */
	BUCKETS     = 1024,
	TREE_SIZE   = 512 << 10,
	LIST_NUM    = 1000,
	HOPS        = 8,	/**< times a command is sent on      */
};

/** What a socket's handler gets */
struct listener {
	struct ng_server *ns;
	unsigned idx;
};

struct ng_server {
	struct media *md;
	struct listener lv[MEDIA_NG_MAX];
	struct udp_sock *usv[MEDIA_NG_MAX];
	size_t usc;
	struct hash *cookies;
	struct list cookiel;	/**< oldest first                    */
	size_t cookien;
	size_t cookiesz;
};

/** A cookie that was seen; without answer while a worker has it */
struct cookie {
	struct le he;
	struct le le;
	struct ng_server *ns;
	struct sa src;
	uint64_t at;
	struct mbuf *mb;	/**< the datagram that answered it   */
	size_t n;
	char str[];
};

/** A command on its way to a worker and back; owned by who has it */
struct job {
	struct media *md;
	struct mworker *w;
	struct ng_tree *in;
	media_cmd_h *h;
	enum ng_format fmt;
	unsigned hops;
	bool offer;
	unsigned listener;
	struct sa src;
	struct mbuf *mb;
	size_t cookien;
	char cookie[NG_COOKIE_MAX + 1];
};

static struct metric m_cmds = METRIC_INIT(COUNTER,
	"media_ng_commands_total", "NG commands taken");
static struct metric m_errors = METRIC_INIT(COUNTER,
	"media_ng_errors_total", "NG commands refused");
static struct metric m_repeat = METRIC_INIT(COUNTER,
	"media_ng_repeats_total", "NG commands repeated");
static struct metric m_foreign = METRIC_INIT(COUNTER,
	"media_ng_foreign_total", "NG datagrams from hosts not allowed");
static struct metric m_bad = METRIC_INIT(COUNTER,
	"media_ng_malformed_total", "NG datagrams without cookie");
static struct metric *const metricv[] = {
	&m_cmds, &m_errors, &m_repeat, &m_foreign, &m_bad,
};


static void work(void *arg);


/* ---- cookies */

static void cookie_destructor(void *arg)
{
	struct cookie *c = arg;

	hash_unlink(&c->he);
	list_unlink(&c->le);
	--c->ns->cookien;
	c->ns->cookiesz -= c->mb ? c->mb->end : 0;
	mem_deref(c->mb);
}


static void cookie_expire(struct ng_server *ns)
{
	const uint64_t now = tmr_jiffies();

	while (ns->cookiel.head) {

		struct cookie *c = ns->cookiel.head->data;

		if (now - c->at < COOKIE_MS && ns->cookien < COOKIE_NUM &&
		    ns->cookiesz < COOKIE_SIZE)
			break;

		mem_deref(c);
	}
}


static uint32_t cookie_key(const char *p, size_t n)
{
	return hash_joaat((const uint8_t *)p, n);
}


static struct cookie *cookie_find(const struct ng_server *ns,
				  const struct sa *src, const char *p,
				  size_t n)
{
	struct le *le = list_head(hash_list(ns->cookies, cookie_key(p, n)));

	for (; le; le = le->next) {

		struct cookie *c = le->data;

		if (c->n == n && !memcmp(c->str, p, n) &&
		    sa_cmp(&c->src, src, SA_ALL))
			return c;
	}

	return NULL;
}


static int cookie_add(struct ng_server *ns, const struct sa *src,
		      const struct pl *str)
{
	struct cookie *c;

	cookie_expire(ns);

	c = mem_zalloc(sizeof(*c) + str->l, cookie_destructor);
	if (!c)
		return ENOMEM;

	c->ns = ns;
	c->src = *src;
	c->at = tmr_jiffies();
	c->n = str->l;
	memcpy(c->str, str->p, str->l);
	hash_append(ns->cookies, cookie_key(c->str, c->n), &c->he, c);
	list_append(&ns->cookiel, &c->le, c);
	++ns->cookien;

	return 0;
}


/* ---- answers */

static void answer_send(struct ng_server *ns, const struct job *j)
{
	struct cookie *c;

	j->mb->pos = 0;
	(void)udp_send(ns->usv[j->listener], &j->src, j->mb);

	c = cookie_find(ns, &j->src, j->cookie, j->cookien);
	if (c && !c->mb) {
		c->mb = mem_ref(j->mb);
		ns->cookiesz += c->mb->end;
	}
}


static int answer_encode(struct job *j, struct ng_tree *out,
			 const char *result, const char *reason)
{
	if (reason) {
		ng_add_str(out, ng_root(out), "result", "error");
		ng_add_str(out, ng_root(out), "error-reason", reason);
	}
	else {
		ng_add_str(out, ng_root(out), "result", result);
	}

	mbuf_rewind(j->mb);

	return mbuf_write_mem(j->mb, (uint8_t *)j->cookie, j->cookien) ||
		mbuf_write_u8(j->mb, ' ') || ng_encode(j->mb, out, j->fmt) ||
		j->mb->end > NG_DATAGRAM_MAX ? EOVERFLOW : 0;
}


/* The answer, or if that cannot be had, why not.  out may be NULL */
static void answer_make(struct job *j, struct ng_tree *out,
			const char *result, const char *reason)
{
	struct ng_tree *t = NULL;

	if (!reason && out && !answer_encode(j, out, result, NULL))
		return;

	if (!ng_tree_alloc(&t, 4096))
		(void)answer_encode(j, t, NULL, reason ? reason
						: "Answer is too large");
	mem_deref(t);
}


/* A refusal that needs no worker */
static void refuse(struct ng_server *ns, struct job *j, const char *reason)
{
	metric_inc(&m_errors);
	answer_make(j, NULL, NULL, reason);
	answer_send(ns, j);
}


static void job_destructor(void *arg)
{
	struct job *j = arg;

	mem_deref(j->in);
	mem_deref(j->mb);
}


/* Control loop: the worker is done */
static void done(void *arg)
{
	struct job *j = arg;

	if (j->md->ng)
		answer_send(j->md->ng, j);
	mem_deref(j);
}


/* Worker: the call may have moved since the command was sent here */
static bool sent_on(struct job *j)
{
	struct pl callid;
	int idx;

	(void)ng_get_pl(ng_root(j->in), "call-id", &callid);
	if (session_find(j->w, &callid))
		return false;

	idx = directory_find(j->md->dir, &callid);
	if (idx < 0 && j->offer) {
		(void)directory_set(j->md->dir, &callid, j->w->idx,
				    UINT64_MAX);
		return false;
	}
	if (idx < 0 || (unsigned)idx == j->w->idx || ++j->hops > HOPS)
		return false;

	j->w = j->md->workerv[idx];

	return !worker_post(j->w->w, work, j);
}


static void work(void *arg)
{
	struct job *j = arg;
	struct ng_tree *out = NULL;
	const char *reason = "Out of memory";
	struct pl callid;

	if (sent_on(j))
		return;

	if (!ng_tree_alloc(&out, TREE_SIZE))
		reason = j->h(j->w, ng_root(j->in), out);

	/* an offer that failed before there was a session */
	(void)ng_get_pl(ng_root(j->in), "call-id", &callid);
	if (reason && !session_find(j->w, &callid))
		directory_del(j->md->dir, &callid, j->w->idx);

	if (reason) {
		metric_inc(&m_errors);
		log_warn(NULL, "NG command refused",
			 "call_id=\"%r\" from=%J reason=\"%s\"", &callid,
			 &j->src, reason);
	}

	answer_make(j, out, "ok", reason);
	mem_deref(out);

	if (worker_post(j->md->control, done, j))
		mem_deref(j);
}


/* ---- commands */

static const struct command {
	const char *name;
	media_cmd_h *h;		/**< on a worker */
} commandv[] = {
	{"ping",   NULL},
	{"list",   NULL},
	{"offer",  media_offer},
	{"answer", media_answer},
	{"delete", media_delete},
	{"query",  media_query},
};


/* A new call: by its Session-ID, so that both sessions of a call meet on one
   worker, else by its call-id */
static unsigned place(const struct media *md, const struct ng_val *in,
		      const struct pl *callid)
{
	struct pl key;

	if (!ng_get_pl(in, "metadata", &key) || !key.l)
		key = *callid;

	return hash_joaat((const uint8_t *)key.p, key.l) % md->workerc;
}


static const char *to_worker(struct ng_server *ns, struct job *j)
{
	struct media *md = ns->md;
	struct pl callid;
	int idx, err;

	if (!ng_get_pl(ng_root(j->in), "call-id", &callid) || !callid.l)
		return "No call-id in message";
	if (callid.l > CALLID_MAX)
		return "Call-id or tag is too long";

	idx = directory_find(md->dir, &callid);
	if (idx < 0) {

		idx = (int)place(md, ng_root(j->in), &callid);
		if (j->offer) {
			err = md->draining ? EOVERFLOW
				: directory_set(md->dir, &callid,
						(unsigned)idx,
						(uint64_t)
						md->conf->max_sessions);
			if (err == EOVERFLOW) {
				metric_inc(&media_m_limit);
				return "Parallel session limit reached";
			}
			if (err)
				return "Out of memory";
		}
	}

	j->w = md->workerv[idx];

	return worker_post(j->w->w, work, mem_ref(j)) ? "Shutting down"
						      : NULL;
}


static void answer_here(struct ng_server *ns, struct job *j,
			const char *result, bool list)
{
	struct ng_tree *out;

	if (ng_tree_alloc(&out, TREE_SIZE))
		return;

	if (list)
		directory_list(ns->md->dir, out,
			       ng_add_list(out, ng_root(out), "calls"),
			       LIST_NUM);

	answer_make(j, out, result, NULL);
	answer_send(ns, j);
	mem_deref(out);
}


static void command(struct ng_server *ns, struct job *j)
{
	const char *reason = "Unrecognized command";
	struct pl name;
	size_t i;

	if (!ng_get_pl(ng_root(j->in), "command", &name)) {
		refuse(ns, j, "Dictionary contains no key \"command\"");
		return;
	}

	for (i = 0; i < ARRAY_SIZE(commandv); i++) {

		if (pl_strcmp(&name, commandv[i].name))
			continue;

		if (!commandv[i].h) {
			answer_here(ns, j, i ? "ok" : "pong", i == 1);
			return;
		}

		j->h = commandv[i].h;
		j->offer = j->h == media_offer;
		reason = to_worker(ns, j);
		break;
	}

	if (reason) {
		log_warn(NULL, "NG command refused",
			 "command=\"%r\" from=%J reason=\"%s\"", &name,
			 &j->src, reason);
		refuse(ns, j, reason);
	}
}


/* ---- datagrams */

static bool allowed(const struct media *md, const struct sa *src)
{
	const struct cfg_cidr *v = md->conf->allow.v;
	size_t i;

	if (cfg_is_internal(md->cfg, src))
		return true;

	for (i = 0; i < md->conf->allow.n; i++) {

		if (cfg_cidr_match(&v[i], src))
			return true;
	}

	return false;
}


static int job_alloc(struct job **jp, struct ng_server *ns,
		     const struct sa *src, const struct pl *cookie)
{
	struct job *j;

	j = mem_zalloc(sizeof(*j), job_destructor);
	if (!j)
		return ENOMEM;

	j->mb = mbuf_alloc(1024);
	if (!j->mb) {
		mem_deref(j);
		return ENOMEM;
	}

	j->md = ns->md;
	j->src = *src;
	j->cookien = cookie->l;
	memcpy(j->cookie, cookie->p, cookie->l);
	*jp = j;

	return 0;
}


static void datagram(struct ng_server *ns, unsigned listener,
		     const struct sa *src, const uint8_t *p, size_t n)
{
	struct pl cookie, body;
	struct cookie *c;
	struct job *j;

	if (!allowed(ns->md, src)) {
		metric_inc(&m_foreign);
		return;
	}

	if (ng_split(p, n, &cookie, &body)) {
		metric_inc(&m_bad);
		return;
	}

	metric_inc(&m_cmds);
	c = cookie_find(ns, src, cookie.p, cookie.l);
	if (c) {
		metric_inc(&m_repeat);
		if (c->mb) {
			c->mb->pos = 0;
			(void)udp_send(ns->usv[listener], src, c->mb);
		}
		return;
	}

	if (cookie_add(ns, src, &cookie) || job_alloc(&j, ns, src, &cookie))
		return;

	j->listener = listener;
	if (ng_decode(&j->in, &j->fmt, (const uint8_t *)body.p, body.l)) {
		j->fmt = *body.p == '{' ? NG_JSON : NG_BENCODE;
		refuse(ns, j, j->fmt == NG_JSON
		       ? "Failed to parse JSON document"
		       : "Could not decode bencode dictionary");
	}
	else {
		command(ns, j);
	}

	mem_deref(j);
}


static void on_packet(const struct sa *src, struct mbuf *mb, void *arg)
{
	const struct listener *l = arg;

	datagram(l->ns, l->idx, src, mbuf_buf(mb), mbuf_get_left(mb));
}


static void destructor(void *arg)
{
	struct ng_server *ns = arg;
	size_t i;

	for (i = 0; i < ns->usc; i++)
		mem_deref(ns->usv[i]);
	list_flush(&ns->cookiel);
	mem_deref(ns->cookies);
}


static int listen_on(struct ng_server *ns, const struct cfg_addr *addr,
		     char *why, size_t whysz)
{
	struct listener *l;
	int err;

	if (addr->proto != CFG_PROTO_UDP && addr->proto != CFG_PROTO_ANY) {
		(void)re_snprintf(why, whysz, "media.ng %J: only udp",
				  &addr->sa);
		return EINVAL;
	}

	l = &ns->lv[ns->usc];
	l->ns = ns;
	l->idx = (unsigned)ns->usc;

	err = udp_listen(&ns->usv[ns->usc], &addr->sa, on_packet, l);
	if (err) {
		(void)re_snprintf(why, whysz, "media.ng udp:%J: %m; is"
				  " another media role or rtpengine running?",
				  &addr->sa, err);
		return err;
	}

	udp_rxsz_set(ns->usv[ns->usc], NG_DATAGRAM_MAX + 1);
	(void)udp_sockbuf_set(ns->usv[ns->usc], 1 << 20);
	++ns->usc;

	return 0;
}


int ng_server_alloc(struct ng_server **np, struct media *md,
		    char *why, size_t whysz)
{
	const struct cfg_addr *v = md->conf->ng.v;
	struct ng_server *ns;
	size_t i;
	int err;

	for (i = 0; i < ARRAY_SIZE(metricv); i++)
		metric_register(metricv[i]);

	ns = mem_zalloc(sizeof(*ns), destructor);
	if (!ns)
		return ENOMEM;

	ns->md = md;
	err = hash_alloc(&ns->cookies, BUCKETS);

	for (i = 0; i < md->conf->ng.n && i < ARRAY_SIZE(ns->usv) && !err;
	     i++)
		err = listen_on(ns, &v[i], why, whysz);

	if (err)
		mem_deref(ns);
	else
		*np = ns;

	return err;
}
