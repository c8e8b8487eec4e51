/**
 * @file binding.c  A new set of bindings from the old one and a REGISTER
 *                  (RFC 3261 10.3 steps 6 and 7): all or nothing
 */
#include <string.h>
#include "internal.h"


/** A set being made; texts that are not in the old set are owned here */
struct draft {
	struct binding v[BRANCH_MAX * 2];
	size_t n;
	char *textv[BRANCH_MAX * 2 * 4];
	size_t textc;
};


static int draft_text(struct draft *d, const char **sp, const struct pl *pl)
{
	char *s = NULL;
	int err;

	*sp = "";
	if (!pl || !pl_isset(pl))
		return 0;
	if (d->textc >= ARRAY_SIZE(d->textv))
		return EOVERFLOW;

	err = pl_strdup(&s, pl);
	if (err)
		return err;

	d->textv[d->textc++] = s;
	*sp = s;

	return 0;
}


static void draft_reset(struct draft *d)
{
	for (size_t i = 0; i < d->textc; i++)
		mem_deref(d->textv[i]);
}


/* Expired ones are left behind */
static void draft_start(struct draft *d, const struct bindings *old,
			uint64_t now)
{
	const size_t n = old ? old->n : 0;

	for (size_t i = 0; i < n && d->n < BRANCH_MAX; i++) {
		if (old->v[i].expires > now)
			d->v[d->n++] = old->v[i];
	}
}


static struct binding *draft_find(struct draft *d, const struct uri *uri)
{
	for (size_t i = 0; i < d->n; i++) {
		struct uri have;
		struct pl pl;

		pl_set_str(&pl, d->v[i].contact);
		if (!sipcore_uri_decode(&have, &pl) &&
		    sipcore_uri_cmp(&have, uri))
			return &d->v[i];
	}

	return NULL;
}


static void draft_remove(struct draft *d, struct binding *b)
{
	const size_t i = b - d->v;

	memmove(b, b + 1, (d->n - i - 1) * sizeof(*b));
	--d->n;
}


/* RFC 3261 10.3 step 7: within one Call-ID, only a higher CSeq counts */
static bool is_out_of_order(const struct binding *b,
			    const struct sipcore_msg *msg)
{
	return !pl_strcmp(&msg->callid, b->callid) && msg->cseq <= b->cseq;
}


static int binding_fill(struct draft *d, struct binding *b,
			const struct reg_change *ch, const struct contact *c)
{
	const struct sipcore_msg *msg = ch->req->msg;
	const struct sipcore_hdr *ua;
	struct pl pl;
	int err;

	memset(b, 0, sizeof(*b));
	b->expires  = ch->now + c->expires;
	b->cseq     = msg->cseq;
	b->q        = c->q;
	b->flow     = msg->flow;
	b->received = ch->received;
	b->path     = ch->path;

	err  = draft_text(d, &b->contact, &c->na.auri);
	err |= draft_text(d, &b->callid, &msg->callid);

	pl = pl_null;
	(void)sipcore_param(&c->na.params, "+sip.instance", &pl);
	err |= draft_text(d, &b->instance, &pl);
	if (sipcore_param(&c->na.params, "reg-id", &pl))
		b->reg_id = pl_u32(&pl);

	ua = sipcore_hdr(msg, SIPCORE_HDR_USER_AGENT, 0);
	if (ua) {
		pl = ua->val;
		pl.l = min(pl.l, 128);
		err |= draft_text(d, &b->agent, &pl);
	}

	return err ? ENOMEM : 0;
}


static uint16_t draft_apply(struct draft *d, const struct reg_change *ch,
			    const struct contact *c, const char **why)
{
	struct binding *b = draft_find(d, &c->na.uri);

	if (b && is_out_of_order(b, ch->req->msg)) {
		*why = "CSeq is not higher than in the last REGISTER";
		return 500;
	}

	if (!c->expires) {
		if (b)
			draft_remove(d, b);
		return 0;
	}

	if (!b) {
		if (d->n >= (size_t)ch->conf->registrar.max_contacts) {
			*why = "too many contacts";
			return 403;
		}
		b = &d->v[d->n++];
	}

	if (binding_fill(d, b, ch, c)) {
		*why = "no memory";
		return 500;
	}

	return 0;
}


static uint16_t draft_star(struct draft *d, const struct reg_change *ch,
			   const char **why)
{
	for (size_t i = 0; i < d->n; i++) {
		if (is_out_of_order(&d->v[i], ch->req->msg)) {
			*why = "CSeq is not higher than in the last REGISTER";
			return 500;
		}
	}
	d->n = 0;

	return 0;
}


uint16_t binding_merge(struct bindings **newp, const struct bindings *old,
		       const struct reg_change *ch, const char **why)
{
	struct draft d = {.n = 0};
	uint16_t code = 0;

	draft_start(&d, old, ch->now);

	if (ch->star)
		code = draft_star(&d, ch, why);

	for (size_t i = 0; i < ch->contactc && !code; i++)
		code = draft_apply(&d, ch, &ch->contactv[i], why);

	if (!code) {
		*newp = bindings_make(d.v, d.n);
		if (!*newp) {
			*why = "no memory";
			code = 500;
		}
	}

	draft_reset(&d);

	return code;
}


/** Hand a set to the store; an empty one removes the AOR */
int binding_store(struct store *st, struct store_req **reqp,
		  const char *aor, const struct bindings *b,
		  store_done_h *h, void *arg)
{
	struct store_binding rowv[BRANCH_MAX];
	size_t n = b ? min(b->n, ARRAY_SIZE(rowv)) : 0;

	memset(rowv, 0, sizeof(rowv));
	for (size_t i = 0; i < n; i++) {
		const struct binding *s = &b->v[i];
		struct store_binding *row = &rowv[i];

		row->aor        = aor;
		row->contact    = s->contact;
		row->callid     = s->callid;
		row->cseq       = s->cseq;
		row->expires    = s->expires;
		row->q          = s->q;
		row->received   = s->received;
		row->path       = s->path;
		row->instance   = s->instance;
		row->reg_id     = s->reg_id;
		row->user_agent = s->agent;
	}

	return store_location_set(st, reqp, STORE_DEADLINE, aor, rowv, n,
				  h, arg);
}
