/**
 * @file wshand.c  The WebSocket opening handshake (RFC 6455 4)
 */
#include <re.h>
#include <re_sha.h>
#include "compat/wsframe.h"


/**
 * Print the answer to a key (4.2.2 step 5.4)
 *
 * @param pf  Print function
 * @param key Value of Sec-WebSocket-Key
 *
 * @return 0 if success, otherwise errorcode
 */
int wshand_accept_print(struct re_printf *pf, const struct pl *key)
{
	static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
	uint8_t digest[SHA_DIGEST_LENGTH];
	SHA_CTX ctx;

	SHA1_Init(&ctx);
	SHA1_Update(&ctx, key->p, (unsigned)key->l);
	SHA1_Update(&ctx, guid, sizeof(guid) - 1);
	SHA1_Final(digest, &ctx);

	return base64_print(pf, digest, sizeof(digest));
}


static bool is_upgrade(const struct http_msg *msg)
{
	return http_msg_hdr_has_value(msg, HTTP_HDR_UPGRADE, "websocket") &&
		http_msg_hdr_has_value(msg, HTTP_HDR_CONNECTION, "Upgrade");
}


/* Sixteen bytes in base64 */
static bool key_valid(const struct http_hdr *key)
{
	uint8_t raw[WSHAND_KEY_STR];
	size_t len = sizeof(raw);

	return key && key->val.l == WSHAND_KEY_STR &&
		!base64_decode(key->val.p, key->val.l, raw, &len) &&
		len == WSHAND_KEY;
}


/**
 * Is this a client's opening handshake? (4.2.1)
 *
 * @param msg HTTP request
 *
 * @return Its Sec-WebSocket-Key, or NULL
 */
const struct pl *wshand_request_key(const struct http_msg *msg)
{
	const struct http_hdr *key;

	key = http_msg_hdr(msg, HTTP_HDR_SEC_WEBSOCKET_KEY);

	if (pl_strcmp(&msg->met, "GET") || !is_upgrade(msg) ||
	    !http_msg_hdr_has_value(msg, HTTP_HDR_SEC_WEBSOCKET_VERSION,
				    "13") ||
	    !key_valid(key))
		return NULL;

	return &key->val;
}


/**
 * Is this the server's answer to our key? (4.1)
 *
 * @param msg HTTP response
 * @param key The key that we sent
 *
 * @return true if so
 */
bool wshand_response_valid(const struct http_msg *msg, const struct pl *key)
{
	const struct http_hdr *hdr;
	char buf[32];

	if (msg->scode != 101 || !is_upgrade(msg))
		return false;

	/* we offered none */
	if (http_msg_hdr(msg, HTTP_HDR_SEC_WEBSOCKET_EXTENSIONS))
		return false;

	hdr = http_msg_hdr(msg, HTTP_HDR_SEC_WEBSOCKET_ACCEPT);
	if (!hdr || re_snprintf(buf, sizeof(buf), "%H",
				wshand_accept_print, key) < 0)
		return false;

	return !pl_strcmp(&hdr->val, buf);
}
