/**
 * @file cfg/value.c  Scalars: numbers, durations, sizes, addresses
 */
#include <string.h>
#include <strings.h>
#include <re.h>
#include "cfg.h"
#include "internal.h"


struct unit {
	const char *name;
	uint64_t factor;
};


int cfg_parse_bool(bool *b, const char *s)
{
	static const char *const yes[] = {"true", "yes", "on"};
	static const char *const no[] = {"false", "no", "off"};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(yes); i++) {

		if (!str_casecmp(s, yes[i]) || !str_casecmp(s, no[i])) {
			*b = !str_casecmp(s, yes[i]);
			return 0;
		}
	}

	return EINVAL;
}


/* Decimal digits up to the first other byte; no sign */
static int digits(uint64_t *n, const char **sp)
{
	const char *s = *sp;
	uint64_t v = 0;

	if (*s < '0' || *s > '9')
		return EINVAL;

	for (; *s >= '0' && *s <= '9'; s++) {
		const unsigned d = (unsigned)(*s - '0');

		if (v > (UINT64_MAX - d) / 10)
			return EINVAL;
		v = v * 10 + d;
	}

	*n = v;
	*sp = s;

	return 0;
}


int cfg_parse_int(int64_t *n, const char *s)
{
	const bool neg = *s == '-';
	uint64_t v;
	int err;

	if (neg)
		++s;

	err = digits(&v, &s);
	if (err || *s || v > INT64_MAX)
		return EINVAL;

	*n = neg ? -(int64_t)v : (int64_t)v;

	return 0;
}


static int with_unit(uint64_t *n, const char *s, const struct unit *unitv,
		     size_t unitc)
{
	uint64_t v;
	size_t i;
	int err;

	err = digits(&v, &s);
	if (err)
		return err;

	for (i = 0; i < unitc; i++) {

		if (strcmp(s, unitv[i].name))
			continue;

		if (v > INT64_MAX / unitv[i].factor)
			return EINVAL;
		*n = v * unitv[i].factor;
		return 0;
	}

	return EINVAL;
}


/** "250ms", "30s", "5m", "1h", "7d"; without a unit only 0 */
int cfg_parse_duration(uint64_t *ms, const char *s)
{
	static const struct unit unitv[] = {
		{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000},
		{"d", 86400000},
	};

	if (!strcmp(s, "0")) {
		*ms = 0;
		return 0;
	}

	return with_unit(ms, s, unitv, ARRAY_SIZE(unitv));
}


/** "512", "64k", "4M", "1G": powers of 1024 */
int cfg_parse_size(uint64_t *bytes, const char *s)
{
	static const struct unit unitv[] = {
		{"", 1}, {"k", 1 << 10}, {"K", 1 << 10}, {"M", 1 << 20},
		{"G", 1 << 30}, {"T", 1ULL << 40},
	};

	return with_unit(bytes, s, unitv, ARRAY_SIZE(unitv));
}


const char *cfg_proto_name(enum cfg_proto proto)
{
	switch (proto) {
	case CFG_PROTO_UDP: return "udp";
	case CFG_PROTO_TCP: return "tcp";
	case CFG_PROTO_TLS: return "tls";
	case CFG_PROTO_WS:  return "ws";
	case CFG_PROTO_WSS: return "wss";
	case CFG_PROTO_ANY: break;
	}

	return "";
}


static enum cfg_proto proto_prefix(const char **sp)
{
	int p;

	for (p = CFG_PROTO_UDP; p <= CFG_PROTO_WSS; p++) {
		const char *name = cfg_proto_name((enum cfg_proto)p);
		const size_t n = strlen(name);

		if (!strncasecmp(*sp, name, n) && (*sp)[n] == ':') {
			*sp += n + 1;
			return (enum cfg_proto)p;
		}
	}

	return CFG_PROTO_ANY;
}


/** "udp:192.0.2.1:5060", "tcp:[2001:db8::1]:5060", "192.0.2.1" */
int cfg_parse_addr(struct cfg_addr *a, const char *s)
{
	struct cfg_addr addr;
	uint64_t port = 0;
	struct pl host;
	const char *end;

	memset(&addr, 0, sizeof(addr));
	addr.proto = proto_prefix(&s);

	host.p = s;
	if (*s == '[') {
		++host.p;
		end = strchr(s, ']');
		if (!end)
			return EINVAL;
		host.l = (size_t)(end - host.p);
		++end;
	}
	else {
		host.l = strcspn(s, ":");
		end = s + host.l;
	}

	if (*end == ':') {
		++end;
		if (digits(&port, &end) || !port || port > 65535)
			return EINVAL;
	}
	if (*end)
		return EINVAL;

	if (sa_set(&addr.sa, &host, (uint16_t)port) ||
	    (*s == '[') != (sa_af(&addr.sa) == AF_INET6))
		return EINVAL;

	*a = addr;

	return 0;
}


static const uint8_t *addr_bytes(const struct sa *sa, unsigned *bits)
{
	if (sa_af(sa) == AF_INET) {
		*bits = 32;
		return (const uint8_t *)&sa->u.in.sin_addr;
	}

	*bits = 128;
	return (const uint8_t *)&sa->u.in6.sin6_addr;
}


static bool host_bits_are_zero(const struct cfg_cidr *c)
{
	unsigned bits, i;
	const uint8_t *p = addr_bytes(&c->net, &bits);

	for (i = c->bits; i < bits; i++) {
		if (p[i / 8] & (0x80 >> i % 8))
			return false;
	}

	return true;
}


/** "192.168.64.0/24", "2001:db8::/32", an address alone is itself */
int cfg_parse_cidr(struct cfg_cidr *c, const char *s)
{
	struct cfg_cidr cidr;
	const char *slash = strchr(s, '/');
	struct pl host;
	uint64_t bits;
	unsigned most;

	memset(&cidr, 0, sizeof(cidr));
	host.p = s;
	host.l = slash ? (size_t)(slash - s) : strlen(s);
	if (sa_set(&cidr.net, &host, 0))
		return EINVAL;

	(void)addr_bytes(&cidr.net, &most);
	bits = most;
	if (slash) {
		++slash;
		if (digits(&bits, &slash) || *slash || bits > most)
			return EINVAL;
	}

	cidr.bits = (unsigned)bits;
	if (!host_bits_are_zero(&cidr))
		return EINVAL;

	*c = cidr;

	return 0;
}


/** Is the address in the network? An IPv4-mapped address counts as IPv4 */
bool cfg_cidr_match(const struct cfg_cidr *c, const struct sa *sa)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	unsigned nbits, abits;
	const uint8_t *n = addr_bytes(&c->net, &nbits);
	const uint8_t *a;

	if (sa_af(sa) != AF_INET && sa_af(sa) != AF_INET6)
		return false;

	a = addr_bytes(sa, &abits);
	if (nbits == 32 && abits == 128 && !memcmp(a, mapped, 12)) {
		a += 12;
		abits = 32;
	}
	if (nbits != abits || memcmp(n, a, c->bits / 8))
		return false;

	return !(c->bits % 8) ||
		!((n[c->bits / 8] ^ a[c->bits / 8]) >> (8 - c->bits % 8));
}


/** "10000-20000" or one port */
int cfg_parse_ports(struct cfg_ports *p, const char *s)
{
	uint64_t lo, hi;

	if (digits(&lo, &s))
		return EINVAL;

	hi = lo;
	if (*s == '-') {
		++s;
		if (digits(&hi, &s))
			return EINVAL;
	}
	if (*s || !lo || hi < lo || hi > 65535)
		return EINVAL;

	p->min = (uint16_t)lo;
	p->max = (uint16_t)hi;

	return 0;
}
