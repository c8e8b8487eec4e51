/**
 * @file sip_ctl.c  What the control socket shows: status, calls,
 *                  registrations, backends
 */
#include <string.h>
#include "user/user.h"
#include "internal.h"


enum {
	ROWS_MAX  = 1000,	/* of one answer */
	TEXT_SIZE = 132,
};

/** A call as ctl shows it: a value, crosses threads */
struct call_row {
	char callid[TEXT_SIZE], from[TEXT_SIZE], to[TEXT_SIZE];
	char sid[33];
	struct sa src;
	uint64_t start, answer;
	bool anchored, confirmed;
};

/** Gathers rows from every lane, one after the other */
struct gather {
	struct edge *e;
	struct ctl_req *req;
	unsigned lane;
	size_t total, n;
	struct call_row rowv[ROWS_MAX];
};

static void gather_next(struct gather *g);


/* ---- calls */

static bool call_handler(const struct call *call, void *arg)
{
	struct gather *g = arg;
	struct call_row *row;

	if (g->n >= ROWS_MAX)
		return true;

	row = &g->rowv[g->n++];
	str_ncpy(row->callid, call->callid, sizeof(row->callid));
	str_ncpy(row->from, call->from, sizeof(row->from));
	str_ncpy(row->to, call->to, sizeof(row->to));
	str_ncpy(row->sid, call->sid, sizeof(row->sid));
	row->src = call->src;
	row->start = call->start;
	row->answer = call->answer;
	row->anchored = call->anchored;
	row->confirmed = call->confirmed;

	return false;
}


static int row_add(struct odict *arr, const struct call_row *row, size_t idx,
		   uint64_t now)
{
	struct odict *od;
	char key[16], src[64];
	int err;

	err = odict_alloc(&od, 16);
	if (err)
		return err;

	(void)re_snprintf(key, sizeof(key), "%zu", idx);
	(void)re_snprintf(src, sizeof(src), "%J", &row->src);
	err  = odict_entry_add(od, "call_id", ODICT_STRING, row->callid);
	err |= odict_entry_add(od, "from", ODICT_STRING, row->from);
	err |= odict_entry_add(od, "to", ODICT_STRING, row->to);
	err |= odict_entry_add(od, "state", ODICT_STRING,
			       row->confirmed ? "up" : "setup");
	err |= odict_entry_add(od, "seconds", ODICT_INT,
			       (int64_t)(now - row->start));
	err |= odict_entry_add(od, "source", ODICT_STRING, src);
	err |= odict_entry_add(od, "anchored", ODICT_BOOL, row->anchored);
	err |= odict_entry_add(od, "session_id", ODICT_STRING, row->sid);
	if (!err)
		err = odict_entry_add(arr, key, ODICT_OBJECT, od);
	mem_deref(od);

	return err;
}


static void gather_reply(struct gather *g)
{
	struct odict *od = NULL, *arr = NULL;
	int err;

	err  = odict_alloc(&od, 8);
	err |= odict_alloc(&arr, 64);
	for (size_t i = 0; i < g->n && !err; i++)
		err = row_add(arr, &g->rowv[i], i, location_now());
	if (!err)
		err = odict_entry_add(od, "total", ODICT_INT,
				      (int64_t)g->total);
	if (!err)
		err = odict_entry_add(od, "calls", ODICT_ARRAY, arr);

	if (err)
		ctl_fail(g->req, err, "no memory");
	else
		ctl_reply(g->req, od);
	mem_deref(arr);
	mem_deref(od);
	mem_deref(g);
}


static void gather_back(void *arg)
{
	struct gather *g = arg;

	++g->lane;
	gather_next(g);
}


static void gather_run(void *arg)
{
	struct gather *g = arg;
	struct lane *w = g->e->lanev[g->lane];

	if (w->calls) {
		g->total += calls_count(w->calls);
		calls_apply(w->calls, call_handler, g);
	}
	if (worker_post(g->e->env->control, gather_back, g))
		mem_deref(g);
}


static void gather_next(struct gather *g)
{
	if (g->lane >= g->e->lanec) {
		gather_reply(g);
		return;
	}
	if (worker_post(g->e->env->workerv[g->lane], gather_run, g)) {
		ctl_fail(g->req, ECANCELED, "the role is stopping");
		mem_deref(g);
	}
}


static void cmd_calls(struct ctl_req *req, int argc, const char *const *argv,
		      void *arg)
{
	struct gather *g;
	(void)argc;
	(void)argv;

	g = mem_zalloc(sizeof(*g), NULL);
	if (!g) {
		ctl_fail(req, ENOMEM, "no memory");
		return;
	}
	g->e   = arg;
	g->req = req;
	gather_next(g);
}


/* ---- registrations */

struct regs {
	struct odict *arr;
	const char *match;
	uint64_t now;
	size_t n;
	int err;
};


static int binding_add(struct regs *r, const char *aor,
		       const struct binding *b)
{
	struct odict *od;
	char key[16];
	int err;

	err = odict_alloc(&od, 16);
	if (err)
		return err;

	(void)re_snprintf(key, sizeof(key), "%zu", r->n++);
	err  = odict_entry_add(od, "aor", ODICT_STRING, aor);
	err |= odict_entry_add(od, "contact", ODICT_STRING, b->contact);
	err |= odict_entry_add(od, "expires", ODICT_INT,
			       (int64_t)(b->expires - r->now));
	err |= odict_entry_add(od, "source", ODICT_STRING, b->received);
	err |= odict_entry_add(od, "user_agent", ODICT_STRING, b->agent);
	if (!err)
		err = odict_entry_add(r->arr, key, ODICT_OBJECT, od);
	mem_deref(od);

	return err;
}


static bool regs_handler(const char *aor, const struct bindings *b, void *arg)
{
	struct regs *r = arg;

	if (r->match && !strstr(aor, r->match))
		return false;

	for (size_t i = 0; i < b->n && !r->err && r->n < ROWS_MAX; i++) {
		if (b->v[i].expires > r->now)
			r->err = binding_add(r, aor, &b->v[i]);
	}

	return r->err || r->n >= ROWS_MAX;
}


static void cmd_registrations(struct ctl_req *req, int argc,
			      const char *const *argv, void *arg)
{
	struct edge *e = arg;
	struct regs r = {.match = argc > 0 ? argv[0] : NULL,
			 .now = location_now()};
	struct odict *od = NULL;
	int err;

	err  = odict_alloc(&od, 8);
	err |= odict_alloc(&r.arr, 64);
	if (!err)
		location_apply(e->loc, regs_handler, &r);
	err = err ? err : r.err;
	err = err ? err : odict_entry_add(od, "aors", ODICT_INT, (int64_t)
					  location_count(e->loc));
	err = err ? err : odict_entry_add(od, "contacts", ODICT_INT, (int64_t)
					  location_contacts(e->loc));
	err = err ? err : odict_entry_add(od, "registrations", ODICT_ARRAY,
					  r.arr);
	if (err)
		ctl_fail(req, err, "%m", err);
	else
		ctl_reply(req, od);
	mem_deref(r.arr);
	mem_deref(od);
}


/* ---- backends */

static int backend_add(struct odict *arr, size_t idx, const char *kind,
		       const struct sa *sa, bool up)
{
	struct odict *od;
	char key[16], addr[64];
	int err;

	err = odict_alloc(&od, 8);
	if (err)
		return err;

	(void)re_snprintf(key, sizeof(key), "%zu", idx);
	(void)re_snprintf(addr, sizeof(addr), "%J", sa);
	err  = odict_entry_add(od, "kind", ODICT_STRING, kind);
	err |= odict_entry_add(od, "address", ODICT_STRING, addr);
	err |= odict_entry_add(od, "state", ODICT_STRING,
			       up ? "up" : "down");
	if (!err)
		err = odict_entry_add(arr, key, ODICT_OBJECT, od);
	mem_deref(od);

	return err;
}


static int backends_add(struct odict *arr, const struct edge *e)
{
	const uint64_t up = atomic_load(&e->media_up);
	size_t idx = 0;
	int err = 0;

	for (size_t i = 0; i < dispatch_count(e->disp) && !err; i++) {
		struct sipcore_flow flow;

		dispatch_flow(e->disp, (int)i, &flow);
		err = backend_add(arr, idx++, "pbx", &flow.remote,
				  dispatch_alive(e->disp, (int)i));
	}
	for (unsigned i = 0; i < e->mediac && !err; i++)
		err = backend_add(arr, idx++, "media", &e->mediav[i],
				  up >> i & 1);

	return err;
}


static void cmd_backends(struct ctl_req *req, int argc,
			 const char *const *argv, void *arg)
{
	struct odict *od = NULL, *arr = NULL;
	int err;
	(void)argc;
	(void)argv;

	err  = odict_alloc(&od, 8);
	err |= odict_alloc(&arr, 16);
	err = err ? err : backends_add(arr, arg);
	err = err ? err : odict_entry_add(od, "backends", ODICT_ARRAY, arr);
	if (err)
		ctl_fail(req, err, "%m", err);
	else
		ctl_reply(req, od);
	mem_deref(arr);
	mem_deref(od);
}


/* ---- status */

static int count_up(const struct edge *e)
{
	int n = 0;

	for (size_t i = 0; i < dispatch_count(e->disp); i++)
		n += dispatch_alive(e->disp, (int)i);

	return n;
}


int edge_ctl_status(void *state, struct odict *od)
{
	const struct edge *e = state;
	const unsigned media_up = (unsigned)__builtin_popcountll(
					atomic_load(&e->media_up));
	struct store_status st;
	char backends[32];
	int err;

	(void)re_snprintf(backends, sizeof(backends), "%u/%u up",
			  (unsigned)count_up(e) + media_up,
			  (unsigned)dispatch_count(e->disp) + e->mediac);

	err  = odict_entry_add(od, "calls", ODICT_INT,
			       (int64_t)atomic_load(&e->calls));
	err |= odict_entry_add(od, "requests", ODICT_INT,
			       (int64_t)atomic_load(&e->active));
	err |= odict_entry_add(od, "registered_aors", ODICT_INT, (int64_t)
			       location_count(e->loc));
	err |= odict_entry_add(od, "registrations", ODICT_INT, (int64_t)
			       location_contacts(e->loc));
	err |= odict_entry_add(od, "backends", ODICT_STRING, backends);
	err |= odict_entry_add(od, "pbx_nodes", ODICT_INT, (int64_t)
			       dispatch_count(e->disp));
	err |= odict_entry_add(od, "pbx_nodes_up", ODICT_INT,
			       (int64_t)count_up(e));
	err |= odict_entry_add(od, "media_nodes", ODICT_INT,
			       (int64_t)e->mediac);
	err |= odict_entry_add(od, "media_nodes_up", ODICT_INT,
			       (int64_t)media_up);
	if (!store_status(e->store, &st))
		err |= odict_entry_add(od, "store_queue", ODICT_INT,
				       (int64_t)st.queue);

	return err;
}


/* "voipstack user" beside a running role */
static void cmd_subscriber(struct ctl_req *req, int argc,
			   const char *const *argv, void *arg)
{
	const struct edge *e = arg;

	user_ctl(req, argc, argv, e->store);
}


const struct ctl_cmd edge_ctl_cmdv[EDGE_CTL_CMDC] = {
	{"calls", NULL, "calls that this node has seen begin", cmd_calls},
	{"registrations", "[AOR]", "contacts, of AORs that contain AOR",
	 cmd_registrations},
	{"backends", NULL, "PBX and media nodes", cmd_backends},
	{USER_CTL_NAME, USER_CTL_ARGS, USER_CTL_HELP, cmd_subscriber},
};
