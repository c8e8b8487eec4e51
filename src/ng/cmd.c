/**
 * @file cmd.c  NG commands as rtpengine 12.5 reads them, and its answers
 */
#include <string.h>
#include <re.h>
#include "ng/ng.h"
#include "ng/internal.h"


enum {
	CMD_EXTRA = 32768,	/**< of a command, beside its SDP */
};


static const char *op_name(enum ng_op op)
{
	switch (op) {

	case NG_PING:   return "ping";
	case NG_OFFER:  return "offer";
	case NG_ANSWER: return "answer";
	case NG_DELETE: return "delete";
	case NG_QUERY:  return "query";
	}

	return "";
}


static void add_pl(struct ng_tree *t, const char *key, const struct pl *pl)
{
	if (pl_isset(pl))
		ng_add_pl(t, ng_root(t), key, pl);
}


static void add_str(struct ng_tree *t, const char *key, const char *str)
{
	if (str)
		ng_add_str(t, ng_root(t), key, str);
}


static void add_list(struct ng_tree *t, const char *key,
		     const char *const *v)
{
	struct ng_val *list;

	if (!v || !*v)
		return;

	list = ng_add_list(t, ng_root(t), key);
	for (; *v; v++)
		ng_add_str(t, list, NULL, *v);
}


static void add_received_from(struct ng_tree *t, const struct sa *sa)
{
	struct ng_val *list;
	char addr[64];

	if (!sa || !sa_isset(sa, SA_ADDR))
		return;

	if (re_snprintf(addr, sizeof(addr), "%j", sa) < 0)
		return;

	list = ng_add_list(t, ng_root(t), "received-from");
	ng_add_str(t, list, NULL, sa_af(sa) == AF_INET6 ? "IP6" : "IP4");
	ng_add_str(t, list, NULL, addr);
}


static void add_metadata(struct ng_tree *t, const struct pl *sid)
{
	char buf[256];

	if (!pl_isset(sid))
		return;

	if (re_snprintf(buf, sizeof(buf), "session-id=%r", sid) < 0)
		return;

	ng_add_str(t, ng_root(t), "metadata", buf);
}


static void add_media(struct ng_tree *t, const struct ng_cmd *cmd)
{
	add_str(t, "address family", cmd->family);
	add_str(t, "ICE", cmd->ice);
	add_str(t, "transport-protocol", cmd->transport);
	add_list(t, "rtcp-mux", cmd->rtcp_mux);
	add_list(t, "replace", cmd->replace);
	add_list(t, "flags", cmd->flags);
	add_received_from(t, cmd->received_from);
	add_metadata(t, &cmd->session_id);

	if (cmd->dir[0] && cmd->dir[1]) {

		struct ng_val *list = ng_add_list(t, ng_root(t), "direction");

		ng_add_str(t, list, NULL, cmd->dir[0]);
		ng_add_str(t, list, NULL, cmd->dir[1]);
	}

	add_pl(t, "sdp", &cmd->sdp);
}


int ng_cmd_encode(struct mbuf *mb, const struct ng_cmd *cmd)
{
	struct ng_tree *t;
	int err;

	err = ng_tree_alloc(&t, CMD_EXTRA + cmd->sdp.l);
	if (err)
		return err;

	ng_add_str(t, ng_root(t), "command", op_name(cmd->op));
	add_pl(t, "call-id", &cmd->call_id);
	add_pl(t, "from-tag", &cmd->from_tag);
	add_pl(t, "to-tag", &cmd->to_tag);
	add_pl(t, "via-branch", &cmd->via_branch);

	if (cmd->op == NG_OFFER || cmd->op == NG_ANSWER)
		add_media(t, cmd);

	err = ng_encode(mb, t, NG_BENCODE);

	mem_deref(t);

	return err;
}


static enum ng_status status_of(const struct pl *result,
				const struct pl *reason)
{
	static const struct {
		const char *text;
		enum ng_status status;
	} map[] = {
		{"Ran out of ports",               NG_NO_PORTS},
		{"Parallel session limit reached", NG_OVERLOAD},
		{"Unknown call-id",                NG_UNKNOWN_CALL},
		{"Unknown call-ID",                NG_UNKNOWN_CALL},
		{"Call-ID not found or tags didn't match", NG_UNKNOWN_CALL},
		{"No SDP body in message",         NG_BAD_SDP},
		{"Failed to parse SDP",            NG_BAD_SDP},
		{"Incomplete SDP specification",   NG_BAD_SDP},
		{"Unsupported SDP",                NG_BAD_SDP},
	};
	size_t i;

	if (!pl_strcmp(result, "load limit"))
		return NG_OVERLOAD;

	for (i = 0; i < ARRAY_SIZE(map); i++) {

		if (!pl_strcmp(reason, map[i].text))
			return map[i].status;
	}

	if (!pl_strcmp(result, "ok") || !pl_strcmp(result, "pong"))
		return NG_OK;

	return NG_FAILED;
}


void ng_result_read(struct ng_result *res, const struct ng_val *root)
{
	struct pl result;

	res->root = root;
	(void)ng_get_pl(root, "sdp", &res->sdp);
	(void)ng_get_pl(root, "result", &result);

	if (!ng_get_pl(root, "error-reason", &res->reason) &&
	    !ng_get_pl(root, "warning", &res->reason))
		(void)ng_get_pl(root, "message", &res->reason);

	res->status = status_of(&result, &res->reason);
}
