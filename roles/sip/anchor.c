/**
 * @file anchor.c  Media through a media node: NG offer, answer, delete
 *
 * Outside and inside are the media role's interfaces "external" and
 * "internal".  Nothing here waits: NG's answer comes to a handler.
 */
#include <string.h>
#include "internal.h"


static struct metric m_failed = METRIC_INIT(COUNTER,
	"sip_anchor_failed_total", "offers and answers without media");


void anchor_metrics(void)
{
	metric_register(&m_failed);
}


static const char *interface_name(bool outside)
{
	return outside ? "external" : "internal";
}


static void cmd_fill(struct ng_cmd *cmd, char *branch, size_t size,
		     const struct anchor_prm *prm)
{
	static const char *const replacev[] = {
		"origin", "session connection", NULL
	};

	memset(cmd, 0, sizeof(*cmd));
	cmd->call_id  = prm->msg->callid;
	cmd->from_tag = prm->from_tag;
	cmd->to_tag   = prm->to_tag;
	cmd->sdp      = prm->sdp;
	pl_set_str(&cmd->session_id, prm->msg->sid);
	cmd->dir[0]   = interface_name(prm->outside_from);
	cmd->dir[1]   = interface_name(prm->outside_to);
	cmd->received_from = &prm->msg->flow.remote;
	if (prm->af)
		cmd->family = prm->af == AF_INET6 ? "IP6" : "IP4";
	cmd->ice      = "remove";
	cmd->replace  = replacev;

	if (prm->branch && re_snprintf(branch, size, "b%u", prm->branch) > 0)
		pl_set_str(&cmd->via_branch, branch);
}


int anchor_offer(struct ng_req **rp, struct lane *w,
		 const struct anchor_prm *prm, ng_h *h, void *arg)
{
	struct ng_cmd cmd;
	char branch[16];

	cmd_fill(&cmd, branch, sizeof(branch), prm);

	return ng_offer(rp, w->ng, &cmd, NG_DEADLINE, h, arg);
}


int anchor_answer(struct ng_req **rp, struct lane *w,
		  const struct anchor_prm *prm, ng_h *h, void *arg)
{
	struct ng_cmd cmd;
	char branch[16];

	cmd_fill(&cmd, branch, sizeof(branch), prm);

	return ng_answer(rp, w->ng, &cmd, NG_DEADLINE, h, arg);
}


static void deleted_handler(const struct ng_result *res, void *arg)
{
	(void)arg;

	if (res->status != NG_OK && res->status != NG_UNKNOWN_CALL)
		log_warn(NULL, "media session not deleted", "why=\"%r\"",
			 &res->reason);
}


/** The call has ended: so has its media */
void anchor_delete(struct lane *w, const struct sipcore_msg *msg)
{
	struct ng_cmd cmd;
	int err;

	memset(&cmd, 0, sizeof(cmd));
	cmd.call_id = msg->callid;
	err = ng_delete(NULL, w->ng, &cmd, NG_DEADLINE, deleted_handler,
			NULL);
	if (err)
		log_warn(msg->sid, "media session not deleted", "err=\"%m\"",
			 err);
}


uint16_t anchor_code(const struct ng_result *res, const char **why)
{
	if (res->status == NG_OK && pl_isset(&res->sdp))
		return 0;

	metric_inc(&m_failed);

	switch (res->status) {

	case NG_TIMEOUT:
		*why = "no media node answers";
		return 503;

	case NG_NO_PORTS:
		*why = "the media node has no ports left";
		return 503;

	case NG_OVERLOAD:
		*why = "the media node is overloaded";
		return 503;

	case NG_BAD_SDP:
		*why = "the media node refuses this session description";
		return 488;

	default:
		*why = "the media node failed";
		return 500;
	}
}
