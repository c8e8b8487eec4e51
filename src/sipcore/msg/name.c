/**
 * @file sipcore/msg/name.c  Names of headers, methods and transports, reason
 * phrases (RFC 3261 7.3.3, 21 and the IANA registry)
 */
#include <string.h>
#include <strings.h>
#include <re.h>
#include "cfg/cfg.h"
#include "sipcore/sipcore.h"
#include "sipcore/internal.h"


struct name {
	const char *str;
	int id;
};

#define H(s, i) {s, SIPCORE_HDR_##i}

/* One list per length of name: a look-up compares a handful at most */
static const struct name len1[] = {
	H("v", VIA), H("f", FROM), H("t", TO), H("i", CALL_ID),
	H("m", CONTACT), H("l", CONTENT_LENGTH), H("c", CONTENT_TYPE),
	H("k", SUPPORTED), H("x", SESSION_EXPIRES), H("r", REFER_TO),
	H("b", REFERRED_BY), H("o", EVENT), {NULL, 0},
};
static const struct name len2[] = { H("To", TO), {NULL, 0} };
static const struct name len3[] = { H("Via", VIA), {NULL, 0} };
static const struct name len4[] = {
	H("From", FROM), H("CSeq", CSEQ), H("Path", PATH), H("RSeq", RSEQ),
	H("RAck", RACK), {NULL, 0},
};
static const struct name len5[] = {
	H("Route", ROUTE), H("Allow", ALLOW), H("Event", EVENT), {NULL, 0},
};
static const struct name len6[] = {
	H("Server", SERVER), H("Reason", REASON), H("Min-SE", MIN_SE),
	{NULL, 0},
};
static const struct name len7[] = {
	H("Call-ID", CALL_ID), H("Contact", CONTACT), H("Expires", EXPIRES),
	H("Require", REQUIRE), H("Warning", WARNING), H("Privacy", PRIVACY),
	{NULL, 0},
};
static const struct name len8[] = {
	H("Refer-To", REFER_TO), H("Replaces", REPLACES), {NULL, 0},
};
static const struct name len9[] = { H("Supported", SUPPORTED), {NULL, 0} };
static const struct name len10[] = {
	H("User-Agent", USER_AGENT), H("Session-ID", SESSION_ID), {NULL, 0},
};
static const struct name len11[] = {
	H("Retry-After", RETRY_AFTER), H("Unsupported", UNSUPPORTED),
	H("Referred-By", REFERRED_BY), H("Min-Expires", MIN_EXPIRES),
	{NULL, 0},
};
static const struct name len12[] = {
	H("Max-Forwards", MAX_FORWARDS), H("Record-Route", RECORD_ROUTE),
	H("Content-Type", CONTENT_TYPE), {NULL, 0},
};
static const struct name len13[] = {
	H("Authorization", AUTHORIZATION), H("Proxy-Require", PROXY_REQUIRE),
	H("Service-Route", SERVICE_ROUTE), {NULL, 0},
};
static const struct name len14[] = {
	H("Content-Length", CONTENT_LENGTH), {NULL, 0},
};
static const struct name len15[] = {
	H("Session-Expires", SESSION_EXPIRES), {NULL, 0},
};
static const struct name len16[] = {
	H("WWW-Authenticate", WWW_AUTHENTICATE), {NULL, 0},
};
static const struct name len18[] = {
	H("Proxy-Authenticate", PROXY_AUTHENTICATE),
	H("Subscription-State", SUBSCRIPTION_STATE), {NULL, 0},
};
static const struct name len19[] = {
	H("Proxy-Authorization", PROXY_AUTHORIZATION),
	H("P-Asserted-Identity", P_ASSERTED_IDENTITY), {NULL, 0},
};

static const struct name *const hdr_by_len[] = {
	NULL, len1, len2, len3, len4, len5, len6, len7, len8, len9, len10,
	len11, len12, len13, len14, len15, len16, NULL, len18, len19,
};

#define M(m) [SIPCORE_##m] = #m

static const char *const methodv[] = {
	M(INVITE), M(ACK), M(BYE), M(CANCEL), M(REGISTER), M(OPTIONS),
	M(PRACK), M(SUBSCRIBE), M(NOTIFY), M(PUBLISH), M(INFO), M(REFER),
	M(MESSAGE), M(UPDATE),
};

static const char *const protov[] = {
	[CFG_PROTO_UDP] = "UDP", [CFG_PROTO_TCP] = "TCP",
	[CFG_PROTO_TLS] = "TLS", [CFG_PROTO_WS] = "WS",
	[CFG_PROTO_WSS] = "WSS",
};

static const struct name reasonv[] = {
	{"Trying", 100}, {"Ringing", 180}, {"Call Is Being Forwarded", 181},
	{"Queued", 182}, {"Session Progress", 183},
	{"Early Dialog Terminated", 199}, {"OK", 200}, {"Accepted", 202},
	{"No Notification", 204}, {"Multiple Choices", 300},
	{"Moved Permanently", 301}, {"Moved Temporarily", 302},
	{"Use Proxy", 305}, {"Alternative Service", 380},
	{"Bad Request", 400}, {"Unauthorized", 401},
	{"Payment Required", 402}, {"Forbidden", 403}, {"Not Found", 404},
	{"Method Not Allowed", 405}, {"Not Acceptable", 406},
	{"Proxy Authentication Required", 407}, {"Request Timeout", 408},
	{"Gone", 410}, {"Conditional Request Failed", 412},
	{"Request Entity Too Large", 413}, {"Request-URI Too Long", 414},
	{"Unsupported Media Type", 415}, {"Unsupported URI Scheme", 416},
	{"Bad Extension", 420}, {"Extension Required", 421},
	{"Session Interval Too Small", 422}, {"Interval Too Brief", 423},
	{"Use Identity Header", 428}, {"Provide Referrer Identity", 429},
	{"Flow Failed", 430}, {"Anonymity Disallowed", 433},
	{"First Hop Lacks Outbound Support", 439},
	{"Max-Breadth Exceeded", 440}, {"Bad Info Package", 469},
	{"Temporarily Unavailable", 480},
	{"Call/Transaction Does Not Exist", 481}, {"Loop Detected", 482},
	{"Too Many Hops", 483}, {"Address Incomplete", 484},
	{"Ambiguous", 485}, {"Busy Here", 486}, {"Request Terminated", 487},
	{"Not Acceptable Here", 488}, {"Bad Event", 489},
	{"Request Pending", 491}, {"Undecipherable", 493},
	{"Security Agreement Required", 494},
	{"Server Internal Error", 500}, {"Not Implemented", 501},
	{"Bad Gateway", 502}, {"Service Unavailable", 503},
	{"Server Time-out", 504}, {"Version Not Supported", 505},
	{"Message Too Large", 513}, {"Precondition Failure", 580},
	{"Busy Everywhere", 600}, {"Decline", 603},
	{"Does Not Exist Anywhere", 604}, {"Not Acceptable", 606},
	{"Unwanted", 607},
};


/**
 * Tell which header a field name means, long or short form, any case
 *
 * @param name  Field name without white space
 *
 * @return Header or SIPCORE_HDR_OTHER
 */
enum sipcore_hdrid sipcore_name_hdrid(const struct pl *name)
{
	const struct name *nm;
	char c;

	if (name->l >= ARRAY_SIZE(hdr_by_len) || !name->l)
		return SIPCORE_HDR_OTHER;

	c = name->p[0] | 0x20;

	for (nm = hdr_by_len[name->l]; nm && nm->str; nm++) {

		if ((nm->str[0] | 0x20) == c &&
		    !strncasecmp(nm->str, name->p, name->l))
			return (enum sipcore_hdrid)nm->id;
	}

	return SIPCORE_HDR_OTHER;
}


/* RFC 3261 7.1: methods are case-sensitive */
enum sipcore_method sipcore_name_method(const struct pl *name)
{
	for (size_t i=1; i<ARRAY_SIZE(methodv); i++) {

		if (!pl_strcmp(name, methodv[i]))
			return (enum sipcore_method)i;
	}

	return SIPCORE_OTHER;
}


enum cfg_proto sipcore_name_proto(const struct pl *name)
{
	for (size_t i=1; i<ARRAY_SIZE(protov); i++) {

		if (!pl_strcasecmp(name, protov[i]))
			return (enum cfg_proto)i;
	}

	return CFG_PROTO_ANY;
}


const char *sipcore_proto_name(enum cfg_proto proto)
{
	if (proto >= ARRAY_SIZE(protov) || !protov[proto])
		return "UDP";

	return protov[proto];
}


const char *sipcore_method_name(enum sipcore_method met)
{
	if (met >= ARRAY_SIZE(methodv) || !methodv[met])
		return "?";

	return methodv[met];
}


const char *sipcore_reason(uint16_t code)
{
	for (size_t i=0; i<ARRAY_SIZE(reasonv); i++) {

		if (reasonv[i].id == code)
			return reasonv[i].str;
	}

	return code < 200 ? "Session Progress" : code < 300 ? "OK" :
		code < 400 ? "Redirected" : code < 500 ? "Request Failed" :
		code < 600 ? "Server Failure" : "Global Failure";
}
