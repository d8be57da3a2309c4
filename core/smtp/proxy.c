#include "core/smtp/proxy.h"

#include "core/limits.h"

static const struct str v1_start = {"PROXY ", 6};
static const struct str v2_signature = {"\r\n\r\n\0\r\nQUIT\n", 12};

#define V2_HEAD 16 /* signature, version and command, family, length */

/* Could what is there be, or become, something that starts so? */
static bool may_start(struct str in, struct str start)
{
	size_t n = in.n < start.n ? in.n : start.n;
	return !memcmp(in.p, start.p, n);
}

static int v1_address(struct str *rest, enum ip_family family, struct ip *ip_r)
{
	struct str word;

	if (!str_cut(rest, ' ', &word) || ip_parse(word, ip_r))
		return -1;
	/* ip_parse() unmaps: an IPv4 client that came over an IPv6 socket is TCP6 here. */
	return ip_r->family == family || (family == IP_V6 && str_chr(word, ':') < word.n) ? 0 : -1;
}

static int v1_port(struct str *rest, uint16_t *port_r)
{
	struct str word;
	uint64_t port;

	if (!str_cut(rest, ' ', &word) || str_to_u64(word, 0, 65535, &port))
		return -1;
	if (word.n > 1 && word.p[0] == '0')
		return -1;
	*port_r = (uint16_t)port;
	return 0;
}

static int v1_line(struct str line, struct proxy *p, struct err *err)
{
	struct str rest = str_skip(line, v1_start.n), word;
	enum ip_family family = IP_NONE;

	if (!str_cut(&rest, ' ', &word))
		return err_set(err, "PROXY header without a family");
	/* The specification, 2.1: the receiver ignores whatever follows UNKNOWN. */
	if (str_eq_c(word, "UNKNOWN"))
		return 0;
	if (str_eq_c(word, "TCP4"))
		family = IP_V4;
	else if (str_eq_c(word, "TCP6"))
		family = IP_V6;
	else
		return err_set(err, "PROXY header of an unknown family");
	if (v1_address(&rest, family, &p->source) || v1_address(&rest, family, &p->destination) ||
		v1_port(&rest, &p->source_port) || v1_port(&rest, &p->destination_port) || rest.p)
		return err_set(err, "PROXY header with a malformed address or port");
	p->kind = PROXY_CLIENT;
	return 0;
}

static int parse_v1(struct str in, size_t *used, struct proxy *p, struct err *err)
{
	size_t window = in.n < LIMIT_PROXY_V1_LINE ? in.n : LIMIT_PROXY_V1_LINE;
	const char *lf = memchr(in.p, '\n', window);

	if (!lf && window == LIMIT_PROXY_V1_LINE)
		return err_set(err, "PROXY header longer than %d octets", LIMIT_PROXY_V1_LINE);
	if (!lf)
		return 0;
	size_t n = (size_t)(lf - in.p);
	if (in.p[n - 1] != '\r')
		return err_set(err, "PROXY header that ends in LF without CR");
	if (v1_line(str_sub(in, 0, n - 1), p, err))
		return -1;
	*used = n + 1;
	return 1;
}

static unsigned u16(const char *p)
{
	return (unsigned)(unsigned char)p[0] << 8 | (unsigned char)p[1];
}

/* An address as struct ip, IPv4 in IPv6 unmapped. */
static struct ip v2_address(const char *p, enum ip_family family)
{
	static const char mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, (char)0xff, (char)0xff};
	struct ip ip = {.family = family};

	if (family == IP_V6 && !memcmp(p, mapped, sizeof(mapped))) {
		ip.family = IP_V4;
		p += sizeof(mapped);
	}
	memcpy(ip.octets, p, ip.family == IP_V4 ? 4 : 16);
	return ip;
}

static int v2_endpoints(struct str body, enum ip_family family, struct proxy *p, struct err *err)
{
	size_t width = family == IP_V4 ? 4 : 16;

	if (body.n < 2 * width + 4)
		return err_set(err, "PROXY header too short for its addresses");
	p->source = v2_address(body.p, family);
	p->destination = v2_address(body.p + width, family);
	p->source_port = (uint16_t)u16(body.p + 2 * width);
	p->destination_port = (uint16_t)u16(body.p + 2 * width + 2);
	p->kind = PROXY_CLIENT;
	/* Type, length, value: nothing in them is used, but they have to be what they say. */
	for (struct str tlv = str_skip(body, 2 * width + 4); tlv.n;) {
		if (tlv.n < 3 || tlv.n - 3 < u16(tlv.p + 1))
			return err_set(err, "PROXY header with a malformed TLV");
		tlv = str_skip(tlv, 3 + u16(tlv.p + 1));
	}
	return 0;
}

static int v2_body(
	unsigned command, unsigned family, struct str body, struct proxy *p, struct err *err)
{
	if (command == 0) /* LOCAL: whatever the family says */
		return 0;
	switch (family) {
	case 0x00: /* UNSPEC */
		return 0;
	case 0x11: /* TCP over IPv4 */
		return v2_endpoints(body, IP_V4, p, err);
	case 0x21: /* TCP over IPv6 */
		return v2_endpoints(body, IP_V6, p, err);
	default:
		return err_set(err, "PROXY header of family 0x%02x", family);
	}
}

static int parse_v2(struct str in, size_t *used, struct proxy *p, struct err *err)
{
	if (in.n < V2_HEAD)
		return 0;
	unsigned version = (unsigned char)in.p[12], family = (unsigned char)in.p[13];
	size_t length = u16(in.p + 14);
	if (version != 0x20 && version != 0x21)
		return err_set(err, "PROXY header of version and command 0x%02x", version);
	if (V2_HEAD + length > LIMIT_PROXY_V2_BYTES)
		return err_set(err, "PROXY header longer than %d octets", LIMIT_PROXY_V2_BYTES);
	if (in.n < V2_HEAD + length)
		return 0;
	if (v2_body(version & 0x0f, family, str_sub(in, V2_HEAD, length), p, err))
		return -1;
	*used = V2_HEAD + length;
	return 1;
}

int proxy_parse(struct str in, size_t *used_r, struct proxy *proxy_r, struct err *err)
{
	struct proxy p = {.kind = PROXY_LOCAL};
	size_t used = 0;
	int done = 0;

	if (!in.n)
		return 0;
	if (may_start(in, v2_signature))
		done = parse_v2(in, &used, &p, err);
	else if (!may_start(in, v1_start))
		return err_set(err, "no PROXY header where one is required");
	else if (in.n >= v1_start.n)
		done = parse_v1(in, &used, &p, err);
	if (done == 1) {
		*used_r = used;
		*proxy_r = p;
	}
	return done;
}
