#include "core/dns.h"

#include "core/limits.h"

const char *const dns_rcode_names[] = { "NOERROR", "NXDOMAIN", "SERVFAIL", "TIMEOUT", NULL };

static const struct {
	int64_t type;
	const char *name;
} types[] = {
	{ DNS_A, "A" },	    { DNS_AAAA, "AAAA" }, { DNS_MX, "MX" },	{ DNS_TXT, "TXT" }, { DNS_PTR, "PTR" },
	{ DNS_CNAME, "CNAME" }, { DNS_NS, "NS" },	  { DNS_TLSA, "TLSA" }, { DNS_CAA, "CAA" },
};
enum { TYPE_COUNT = sizeof(types) / sizeof(types[0]) };

static const struct field question_fields[] = {
	FIELD_INT(struct dns_question, type),
	FIELD_OCTETS(struct dns_question, name),
	FIELD_INT(struct dns_question, timeout_ms),
	FIELD_BOOL(struct dns_question, reserved),
	FIELD_END,
};
const struct record dns_question_record = RECORD("dns question", struct dns_question, question_fields);

static const struct field answer_fields[] = {
	FIELD_INT(struct dns_answer, type),
	FIELD_OCTETS(struct dns_answer, name),
	FIELD_ENUM(struct dns_answer, rcode, dns_rcode_names),
	FIELD_INT(struct dns_answer, ttl),
	FIELD_BOOL(struct dns_answer, secure),
	FIELD_INT(struct dns_answer, steps),
	FIELD_STRS(struct dns_answer, data),
	FIELD_END,
};
const struct record dns_answer_record = RECORD("dns answer", struct dns_answer, answer_fields);

const char *dns_type_name(int64_t type)
{
	for (size_t i = 0; i < TYPE_COUNT; i++)
		if (types[i].type == type)
			return types[i].name;
	return "?";
}

int64_t dns_type_parse(struct str name)
{
	for (size_t i = 0; i < TYPE_COUNT; i++)
		if (str_ieq_c(name, types[i].name))
			return types[i].type;
	return 0;
}

static struct str without_root(struct str name)
{
	if (name.n && name.p[name.n - 1] == '.' && !(name.n > 1 && name.p[name.n - 2] == '\\'))
		name.n--;
	return name;
}

bool dns_name_eq(struct str a, struct str b)
{
	return str_ieq(without_root(a), without_root(b));
}

bool dns_name_under(struct str name, struct str zone)
{
	name = without_root(name);
	zone = without_root(zone);
	if (zone.n == 0)
		return true;
	if (name.n < zone.n || !str_ieq(str_skip(name, name.n - zone.n), zone))
		return false;
	if (name.n == zone.n)
		return true;
	size_t dot = name.n - zone.n - 1;
	return name.p[dot] == '.' && !(dot > 0 && name.p[dot - 1] == '\\');
}

int dns_name_to_wire(struct str name, uint8_t wire_r[256], size_t *length_r)
{
	size_t at = 0, label = 0, n = 1;
	name = without_root(name);
	for (size_t i = 0; i < name.n; i++) {
		char c = name.p[i];
		if (c == '.') {
			if (label == 0)
				return -1;
			wire_r[at] = (uint8_t)label;
			at = n++;
			label = 0;
		} else {
			if (c == '\\' && i + 1 < name.n)
				c = name.p[++i];
			if (++label > 63 || n >= 254)
				return -1;
			wire_r[n++] = (uint8_t)c;
		}
		if (n > 254)
			return -1;
	}
	if (name.n && label == 0)
		return -1;
	wire_r[at] = (uint8_t)label;
	if (label)
		wire_r[n++] = 0;
	*length_r = n;
	return 0;
}

static size_t put_label(char *text, const uint8_t *label, size_t n)
{
	size_t used = 0;
	for (size_t i = 0; i < n; i++) {
		if (label[i] == '.' || label[i] == '\\')
			text[used++] = '\\';
		text[used++] = (char)label[i];
	}
	return used;
}

/* A name at `at` in a packet, compression followed; *next_r is behind it. Each pointer must go
 * back, so that the walk ends. */
static int read_name(const uint8_t *packet, size_t n, size_t at, struct arena *arena,
	struct str *name_r, size_t *next_r)
{
	char text[520];
	size_t used = 0, octets = 0, lowest = at;
	bool jumped = false;
	for (;;) {
		if (at >= n)
			return -1;
		uint8_t length = packet[at];
		if ((length & 0xc0) == 0xc0) {
			if (at + 1 >= n)
				return -1;
			size_t target = (size_t)(length & 0x3f) << 8 | packet[at + 1];
			if (!jumped)
				*next_r = at + 2;
			jumped = true;
			if (target >= lowest)
				return -1;
			at = lowest = target;
			continue;
		}
		if (length & 0xc0 || at + 1 + length > n || (octets += length + 1u) > 255)
			return -1;
		at++;
		if (length == 0)
			break;
		if (used)
			text[used++] = '.';
		used += put_label(text + used, packet + at, length);
		at += length;
	}
	if (!jumped)
		*next_r = at;
	*name_r = arena_dup(arena, str_from(text, used));
	return 0;
}

int dns_name_from_wire(const uint8_t *wire, size_t n, struct arena *arena, struct str *name_r,
	size_t *used_r)
{
	return read_name(wire, n, 0, arena, name_r, used_r);
}

bool dns_is_hostname(struct str name)
{
	struct str label;
	name = without_root(name);
	if (name.n == 0 || name.n > 253)
		return false;
	while (str_cut(&name, '.', &label)) {
		if (label.n == 0 || label.n > 63 || label.p[0] == '-' || label.p[label.n - 1] == '-')
			return false;
		for (size_t i = 0; i < label.n; i++)
			if (!char_is_alnum(label.p[i]) && label.p[i] != '-' && label.p[i] != '_')
				return false;
	}
	return true;
}

bool dns_answer_is_void(const struct dns_answer *a)
{
	return a->rcode == DNS_NXDOMAIN || (a->rcode == DNS_NOERROR && a->data.n == 0);
}

bool dns_answer_is_error(const struct dns_answer *a)
{
	return a->rcode == DNS_SERVFAIL || a->rcode == DNS_TIMEOUT;
}

struct str dns_txt(const struct dns_answer *a, size_t i, struct arena *arena)
{
	struct str wire = a->data.v[i];
	char *text = arena_alloc(arena, wire.n + 1);
	size_t used = 0;
	while (wire.n) {
		size_t length = (unsigned char)wire.p[0];
		struct str piece = str_sub(wire, 1, length);
		if (piece.n)
			memcpy(text + used, piece.p, piece.n);
		used += piece.n;
		wire = str_skip(wire, 1 + length);
	}
	return (struct str){ text, used };
}

int dns_address(const struct dns_answer *a, size_t i, struct ip *ip_r)
{
	struct str data = a->data.v[i];
	struct ip ip = { .family = a->type == DNS_A ? IP_V4 : IP_V6 };
	if (data.n != (a->type == DNS_A ? 4u : 16u))
		return -1;
	memcpy(ip.octets, data.p, data.n);
	*ip_r = ip;
	return 0;
}

int dns_mx(const struct dns_answer *a, size_t i, uint16_t *preference_r, struct str *name_r)
{
	struct str data = a->data.v[i];
	if (data.n < 2)
		return -1;
	*preference_r = (uint16_t)((unsigned char)data.p[0] << 8 | (unsigned char)data.p[1]);
	*name_r = str_skip(data, 2);
	return 0;
}

/* Packets */

struct packet {
	const uint8_t *p;
	size_t n, at;
	struct arena *arena;
};
struct resource {
	struct str name;
	unsigned type, class;
	int64_t ttl;
	size_t data, length;
};

static unsigned get16(const uint8_t *p)
{
	return (unsigned)p[0] << 8 | p[1];
}

static int read_resource(struct packet *in, struct resource *rr)
{
	if (read_name(in->p, in->n, in->at, in->arena, &rr->name, &in->at) < 0 || in->n - in->at < 10)
		return -1;
	const uint8_t *p = in->p + in->at;
	rr->type = get16(p);
	rr->class = get16(p + 2);
	rr->ttl = (int64_t)((uint32_t)get16(p + 4) << 16 | get16(p + 6));
	rr->length = get16(p + 8);
	rr->data = in->at + 10;
	if (rr->length > in->n - rr->data)
		return -1;
	in->at = rr->data + rr->length;
	return 0;
}

static struct str mx_data(struct arena *arena, struct str preference, struct str name)
{
	char *p = arena_alloc(arena, name.n + 3);
	memcpy(p, preference.p, 2);
	if (name.n)
		memcpy(p + 2, name.p, name.n);
	return (struct str){ p, name.n + 2 };
}

/* The record's data in the form of struct dns_answer; -1 if it is malformed. */
static int convert(const struct packet *in, const struct resource *rr, struct str *data_r)
{
	struct str raw = { (const char *)in->p + rr->data, rr->length }, name;
	size_t skip = rr->type == DNS_MX ? 2 : 0, next;
	switch (rr->type) {
	case DNS_MX:
	case DNS_PTR:
	case DNS_CNAME:
	case DNS_NS:
		if (rr->length <= skip || read_name(in->p, rr->data + rr->length, rr->data + skip,
						  in->arena, &name, &next) < 0)
			return -1;
		*data_r = name;
		if (rr->type == DNS_MX)
			*data_r = mx_data(in->arena, raw, name);
		return 0;
	case DNS_A:
	case DNS_AAAA:
		if (rr->length != (rr->type == DNS_A ? 4u : 16u))
			return -1;
		break;
	case DNS_TXT:
		/* Character-strings must fill the data exactly (RFC 1035 3.3.14). */
		for (size_t at = 0; at < raw.n; at += 1u + (unsigned char)raw.p[at])
			if (at + 1 + (unsigned char)raw.p[at] > raw.n)
				return -1;
		break;
	default:
		break;
	}
	*data_r = arena_dup(in->arena, raw);
	return 0;
}

static int skip_questions(struct packet *in, unsigned count)
{
	struct str name;
	while (count--) {
		if (read_name(in->p, in->n, in->at, in->arena, &name, &in->at) < 0 || in->n - in->at < 4)
			return -1;
		in->at += 4;
	}
	return 0;
}

/* One pass over the answer section for `owner`: CNAME gives a new owner, others are gathered. */
static int gather(struct packet in, unsigned count, struct str *owner, struct dns_answer *answer,
	bool *alias_r)
{
	struct resource rr;
	*alias_r = false;
	while (count--) {
		struct str data;
		if (read_resource(&in, &rr) < 0)
			return -1;
		if (rr.class != 1 || !dns_name_eq(rr.name, *owner))
			continue;
		if (rr.type != answer->type && rr.type != DNS_CNAME)
			continue;
		if (convert(&in, &rr, &data) < 0)
			return -1;
		if (rr.ttl < answer->ttl)
			answer->ttl = rr.ttl;
		if (rr.type != answer->type) {
			*owner = data;
			*alias_r = true;
			return 0;
		}
		if (answer->data.n < LIMIT_DNS_RECORDS)
			answer->data.v[answer->data.n++] = data;
	}
	return 0;
}

static int parse(struct packet *in, struct dns_answer *answer)
{
	if (in->n < 12)
		return -1;
	unsigned rcode = in->p[3] & 15, questions = get16(in->p + 4), answers = get16(in->p + 6);
	bool alias = true;
	struct str owner = answer->name;
	in->at = 12;
	if ((rcode != 0 && rcode != 3) || skip_questions(in, questions) < 0)
		return -1;
	answer->rcode = rcode == 3 ? DNS_NXDOMAIN : DNS_NOERROR;
	answer->data.v = ARENA_ARRAY(in->arena, answers < LIMIT_DNS_RECORDS ? answers : LIMIT_DNS_RECORDS,
		struct str);
	for (int hops = 0; alias; hops++)
		if (hops > 16 || gather(*in, answers, &owner, answer, &alias) < 0)
			return -1;
	return 0;
}

void dns_parse_packet(struct arena *arena, const struct dns_question *q, const uint8_t *packet,
	size_t n, struct dns_answer *answer_r)
{
	struct packet in = { packet, n, 0, arena };
	*answer_r = (struct dns_answer){ .type = q->type, .name = q->name, .ttl = 86400 };
	if (parse(&in, answer_r) == 0)
		return;
	*answer_r = (struct dns_answer){ .type = q->type, .name = q->name, .rcode = DNS_SERVFAIL };
}
