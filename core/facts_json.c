/* The JSON form of facts: what `gatepost check --facts` reads, and what is kept for replay. */
#include "core/facts.h"

#include <assert.h>
#include <jansson.h>
#include <stdio.h>
#include <time.h>

#include "core/json.h"
#include "core/limits.h"

enum { ALIAS_HOPS = 16 };

struct zone_set {
	int64_t type; /* 0: the rcode for every type that is not listed */
	int rcode;
	int64_t steps; /* of the aliases that led to it, where those are not recorded themselves */
	struct str_list data;
};
struct zone_name {
	struct str name;
	LIST(struct zone_set) sets;
};
struct facts_zone {
	LIST(struct zone_name) names;
};

struct reader {
	struct arena *arena;
	struct err *err;
	struct facts *facts;
	struct facts_zone *zone;
};

/* Text of a JSON string, each character one octet. */
static int octets(struct reader *r, const char *what, json_t *json, struct str *s_r)
{
	if (!json_is_string(json))
		return err_set(r->err, "%s: expected a string", what);
	struct str s = { json_string_value(json), json_string_length(json) };
	if (record_octets_from_utf8(r->arena, s, s_r) < 0)
		return err_set(r->err, "%s: a character beyond U+00FF, which is no octet", what);
	return 0;
}

/* Envelope text: people write addresses in UTF-8, so what is beyond U+00FF stays UTF-8. */
static int text(struct reader *r, const char *what, json_t *json, struct str *s_r)
{
	if (!json_is_string(json))
		return err_set(r->err, "\"%s\": expected a string", what);
	*s_r = arena_dup(r->arena, str_from(json_string_value(json), json_string_length(json)));
	return 0;
}

/* "now": RFC 3339 in UTC */

static int read_now(struct reader *r, json_t *json)
{
	struct tm tm = { 0 };
	int used = 0;
	const char *s = json_string_value(json);
	if (json_is_integer(json)) {
		r->facts->now = json_integer_value(json);
		return 0;
	}
	if (!s || sscanf(s, "%4d-%2d-%2d%*1[Tt ]%2d:%2d:%2d%n", &tm.tm_year, &tm.tm_mon, &tm.tm_mday,
			  &tm.tm_hour, &tm.tm_min, &tm.tm_sec, &used) != 6)
		return err_set(r->err, "\"now\": expected a time such as \"2026-11-20T12:00:00Z\"");
	if (s[used] == '.')
		used += 1 + (int)strspn(s + used + 1, "0123456789");
	int sign = 0, hours = 0, minutes = 0, end = 0;
	if (s[used] == '+' || s[used] == '-') {
		sign = s[used] == '+' ? 1 : -1;
		if (sscanf(s + used + 1, "%2d:%2d%n", &hours, &minutes, &end) != 2 || s[used + 1 + end])
			return err_set(r->err, "\"now\": bad offset from UTC");
	} else if ((s[used] != 'Z' && s[used] != 'z') || s[used + 1]) {
		return err_set(r->err, "\"now\": the time must end in Z or an offset");
	}
	if (tm.tm_mon < 1 || tm.tm_mon > 12 || tm.tm_mday < 1 || tm.tm_mday > 31 || tm.tm_hour > 23 ||
		tm.tm_min > 59 || tm.tm_sec > 60)
		return err_set(r->err, "\"now\": no such time");
	tm.tm_year -= 1900;
	tm.tm_mon--;
	r->facts->now = (int64_t)timegm(&tm) - sign * (hours * 3600 + minutes * 60);
	return 0;
}

static int read_client(struct reader *r, json_t *json)
{
	const char *key;
	json_t *value;
	if (!json_is_object(json))
		return err_set(r->err, "\"client\": expected an object");
	json_object_foreach(json, key, value) {
		if (strcmp(key, "port") == 0 && json_is_integer(value) &&
			json_integer_value(value) >= 0 && json_integer_value(value) < 65536) {
			r->facts->client_port = json_integer_value(value);
			continue;
		}
		if (strcmp(key, "ip") != 0)
			return err_set(r->err, "\"client\": unknown key \"%.60s\", or not its type", key);
		struct ip ip;
		if (text(r, "ip", value, &r->facts->client_ip) < 0)
			return -1;
		if (ip_parse(r->facts->client_ip, &ip) < 0)
			return err_set(r->err, "\"client\": \"ip\": \"%.*s\" is no IP address",
				STR_ARG(r->facts->client_ip));
		r->facts->client_ip = ip_str(r->arena, &ip);
	}
	return 0;
}

static int read_recipients(struct reader *r, json_t *json)
{
	if (!json_is_array(json))
		return err_set(r->err, "\"rcpt_to\": expected a list");
	r->facts->rcpt_to.n = json_array_size(json);
	r->facts->rcpt_to.v = ARENA_ARRAY(r->arena, json_array_size(json), struct str);
	for (size_t i = 0; i < r->facts->rcpt_to.n; i++)
		if (text(r, "rcpt_to", json_array_get(json, i), &r->facts->rcpt_to.v[i]) < 0)
			return -1;
	return 0;
}

/* "dns": a zone */

static int rcode_from(struct reader *r, const char *name, json_t *json)
{
	static const char *const allowed[] = { "NXDOMAIN", "SERVFAIL", "TIMEOUT" };
	for (size_t i = 0; json_is_string(json) && i < 3; i++)
		if (strcmp(json_string_value(json), allowed[i]) == 0)
			return DNS_NXDOMAIN + (int)i;
	return err_set(r->err, "\"dns\": \"%.100s\": rcode must be NXDOMAIN, SERVFAIL or TIMEOUT", name);
}

static int txt_data(struct reader *r, json_t *json, struct str *data_r)
{
	json_t *one = json_is_string(json) ? json_pack("[O]", json) : json_incref(json);
	struct buf wire = BUF_INIT;
	int rc = json_is_array(one) ? 0 : err_set(r->err, "TXT: expected a string or a list of strings");
	for (size_t i = 0; rc == 0 && i < json_array_size(one); i++) {
		struct str s;
		rc = octets(r, "TXT", json_array_get(one, i), &s);
		/* A string that is longer than DNS allows comes as several, as in a zone file. */
		do {
			struct str piece = rc == 0 ? str_sub(s, 0, 255) : STR("");
			buf_char(&wire, (char)piece.n);
			buf_str_add(&wire, piece);
			s = rc == 0 ? str_skip(s, piece.n) : STR("");
		} while (s.n);
	}
	*data_r = arena_dup(r->arena, buf_str(&wire));
	buf_free(&wire);
	json_decref(one);
	return rc;
}

static int address_data(struct reader *r, int64_t type, json_t *json, struct str *data_r)
{
	/* Not ip_parse(): AAAA may hold an IPv4-mapped address, and keeps its 16 octets. */
	struct ip ip;
	struct str s = str_c(json_string_value(json));
	if (!json_is_string(json) || ip_parse(s, &ip) < 0 || (type == DNS_A && ip.family != IP_V4))
		return err_set(r->err, "%s: expected an address", dns_type_name(type));
	if (type == DNS_AAAA && ip.family == IP_V4) {
		uint8_t mapped[16] = { [10] = 0xff, [11] = 0xff };
		if (str_chr(s, ':') == s.n)
			return err_set(r->err, "AAAA: expected an IPv6 address");
		memcpy(mapped + 12, ip.octets, 4);
		*data_r = arena_dup(r->arena, str_from((char *)mapped, 16));
		return 0;
	}
	*data_r = arena_dup(r->arena, str_from((char *)ip.octets, type == DNS_A ? 4 : 16));
	return 0;
}

static int mx_data(struct reader *r, json_t *json, struct str *data_r)
{
	json_t *preference = json_array_get(json, 0);
	struct str name;
	if (!json_is_array(json) || json_array_size(json) != 2 || !json_is_integer(preference) ||
		json_integer_value(preference) < 0 || json_integer_value(preference) > 65535)
		return err_set(r->err, "MX: expected [PREFERENCE, NAME]");
	if (octets(r, "MX", json_array_get(json, 1), &name) < 0)
		return -1;
	if (str_eq_c(name, "."))
		name.n = 0;
	char *p = arena_alloc(r->arena, name.n + 3);
	p[0] = (char)(json_integer_value(preference) >> 8);
	p[1] = (char)json_integer_value(preference);
	if (name.n)
		memcpy(p + 2, name.p, name.n);
	*data_r = (struct str){ p, name.n + 2 };
	return 0;
}

/* TLSA and CAA: "3 1 1 hex" is written as the hexadecimal digits of the whole record's data. */
static int hex_data(struct reader *r, int64_t type, json_t *json, struct str *data_r)
{
	struct str s;
	if (octets(r, dns_type_name(type), json, &s) < 0)
		return -1;
	char *p = arena_alloc(r->arena, s.n / 2 + 4);
	size_t n = 0;
	struct str word;
	/* Up to three small numbers in front, as in a zone file. */
	for (int i = 0; i < 3 && str_chr(s, ' ') < s.n; i++) {
		uint64_t v;
		str_word(&s, &word);
		if (str_to_u64(word, 0, 255, &v) < 0)
			return err_set(r->err, "%s: expected \"U S M HEX\"", dns_type_name(type));
		p[n++] = (char)v;
	}
	s = str_trim(s);
	for (size_t i = 0; i + 1 < s.n; i += 2) {
		int high = char_hex(s.p[i]), low = char_hex(s.p[i + 1]);
		if (high < 0 || low < 0)
			return err_set(r->err, "%s: expected hexadecimal digits", dns_type_name(type));
		p[n++] = (char)(high << 4 | low);
	}
	*data_r = (struct str){ p, n };
	return 0;
}

static int one_data(struct reader *r, int64_t type, json_t *json, struct str *data_r)
{
	switch (type) {
	case DNS_TXT:
		return txt_data(r, json, data_r);
	case DNS_A:
	case DNS_AAAA:
		return address_data(r, type, json, data_r);
	case DNS_MX:
		return mx_data(r, json, data_r);
	case DNS_TLSA:
	case DNS_CAA:
		return hex_data(r, type, json, data_r);
	default:
		return octets(r, dns_type_name(type), json, data_r);
	}
}

static int read_set(struct reader *r, const char *name, const char *type, json_t *json,
	struct zone_set *set_r)
{
	set_r->type = dns_type_parse(str_c(type));
	if (set_r->type == 0)
		return err_set(r->err, "\"dns\": \"%.100s\": unknown type \"%.30s\"", name, type);
	if (json_is_object(json)) {
		const char *key = json_object_iter_key(json_object_iter(json));
		if (json_object_size(json) != 1 || strcmp(key, "rcode") != 0)
			return err_set(r->err, "\"dns\": \"%.100s\": expected {\"rcode\": …} or a list", name);
		set_r->rcode = rcode_from(r, name, json_object_get(json, "rcode"));
		return set_r->rcode < 0 ? -1 : 0;
	}
	/* A single value will do for a list of one. */
	json_t *list = json_is_array(json) ? json_incref(json) : json_pack("[O]", json);
	size_t n = json_array_size(list);
	int rc = 0;
	set_r->data.v = ARENA_ARRAY(r->arena, n, struct str);
	set_r->data.n = n;
	for (size_t i = 0; rc == 0 && i < n; i++)
		rc = one_data(r, set_r->type, json_array_get(list, i), &set_r->data.v[i]);
	json_decref(list);
	return rc < 0 ? err_prefix(r->err, "\"dns\": \"%.100s\"", name) : 0;
}

/* How many aliases were followed for answers of this name, by type: in recorded facts. */
static int read_steps(struct reader *r, const char *name, json_t *json, struct zone_name *zone_name)
{
	const char *key = NULL;
	json_t *value;
	json_object_foreach(json, key, value) {
		int64_t type = dns_type_parse(str_c(key)), n = json_integer_value(value);
		if (!type || !json_is_integer(value) || n < 0 || n > ALIAS_HOPS)
			break;
		for (size_t i = 0; i < zone_name->sets.n; i++)
			if (zone_name->sets.v[i].type == type)
				zone_name->sets.v[i].steps = n;
	}
	if (json_is_object(json) && !key)
		return 0;
	return err_set(r->err, "\"dns\": \"%.100s\": \"aliases\": expected numbers by type", name);
}

static int read_name(struct reader *r, const char *name, size_t name_length, json_t *json,
	struct zone_name *name_r)
{
	const char *key;
	json_t *value;
	if (record_octets_from_utf8(r->arena, str_from(name, name_length), &name_r->name) < 0)
		return err_set(r->err, "\"dns\": a name has a character beyond U+00FF");
	if (!json_is_object(json))
		return err_set(r->err, "\"dns\": \"%.100s\": expected an object", name);
	name_r->sets.v = arena_array(r->arena, json_object_size(json), sizeof(struct zone_set));
	json_object_foreach(json, key, value) {
		if (strcmp(key, "aliases") == 0)
			continue;
		struct zone_set *set = &name_r->sets.v[name_r->sets.n++];
		if (strcmp(key, "rcode") == 0) {
			set->rcode = rcode_from(r, name, value);
			if (set->rcode < 0)
				return -1;
		} else if (read_set(r, name, key, value, set) < 0) {
			return -1;
		}
	}
	value = json_object_get(json, "aliases");
	return value ? read_steps(r, name, value, name_r) : 0;
}

static int read_dns(struct reader *r, json_t *json)
{
	const char *key;
	size_t length;
	json_t *value;
	if (!json_is_object(json))
		return err_set(r->err, "\"dns\": expected an object");
	r->zone->names.v = arena_array(r->arena, json_object_size(json), sizeof(struct zone_name));
	json_object_keylen_foreach(json, key, length, value)
		if (read_name(r, key, length, value, &r->zone->names.v[r->zone->names.n++]) < 0)
			return -1;
	return 0;
}

/* Keys with a form of their own; 1: it was one of them. */
static int read_apart(struct reader *r, const char *key, json_t *value)
{
	static const struct {
		const char *key;
		int (*read)(struct reader *r, json_t *value);
	} rows[] = {
		{ "now", read_now },
		{ "client", read_client },
		{ "rcpt_to", read_recipients },
		{ "dns", read_dns },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (strcmp(rows[i].key, key) == 0)
			return rows[i].read(r, value) < 0 ? -1 : 1;
	return 0;
}

static int read_facts(struct reader *r, json_t *root)
{
	if (!json_is_object(root))
		return err_set(r->err, "expected an object");
	json_t *rest = json_object();
	const char *key;
	json_t *value;
	int rc = 0;
	/* The table first (it clears the struct), then what it does not know. */
	json_object_foreach(root, key, value)
		if (strcmp(key, "now") && strcmp(key, "client") && strcmp(key, "rcpt_to") &&
			strcmp(key, "dns"))
			json_object_set(rest, key, value);
	for (const struct field *f = facts_record.fields; f->type != FIELD_TYPE_END; f++)
		if (f->hidden && json_object_get(rest, f->name))
			rc = err_set(r->err, "unknown key \"%s\"", f->name);
	if (rc == 0)
		rc = record_from_json_value(&facts_record, rest, r->arena, r->facts, r->err);
	r->facts->has_helo = json_object_get(root, "helo") != NULL;
	r->facts->has_mail_from = true;
	json_object_foreach(root, key, value)
		if (rc == 0)
			rc = read_apart(r, key, value) < 0 ? -1 : 0;
	json_decref(rest);
	return rc;
}

int facts_from_json(struct str json, struct arena *arena, struct facts *facts_r,
	struct facts_zone **zone_r, struct err *err)
{
	json_error_t where;
	struct reader r = { arena, err, facts_r, ARENA_NEW(arena, struct facts_zone) };
	if (json.n > LIMIT_FACTS_BYTES)
		return err_set(err, "larger than %u octets", LIMIT_FACTS_BYTES);
	json_t *root = json_loadb(json.p, json.n, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &where);
	if (!root)
		return err_set(err, "line %d, column %d: %s", where.line, where.column, where.text);
	int rc = read_facts(&r, root);
	json_decref(root);
	*zone_r = r.zone;
	return rc;
}

/* Answers */

static const struct zone_name *zone_find(const struct facts_zone *zone, struct str name)
{
	for (size_t i = 0; i < zone->names.n; i++)
		if (dns_name_eq(zone->names.v[i].name, name))
			return &zone->names.v[i];
	return NULL;
}

static const struct zone_set *set_find(const struct zone_name *name, int64_t type)
{
	for (size_t i = 0; i < name->sets.n; i++)
		if (name->sets.v[i].type == type)
			return &name->sets.v[i];
	return NULL;
}

static bool zone_has_below(const struct facts_zone *zone, struct str name)
{
	for (size_t i = 0; i < zone->names.n; i++)
		if (dns_name_under(zone->names.v[i].name, name))
			return true;
	return false;
}

void facts_zone_answer(const struct facts_zone *zone, struct arena *arena,
	const struct dns_question *q, struct dns_answer *answer_r)
{
	struct str owner = q->name;
	*answer_r = (struct dns_answer){ .type = q->type, .name = q->name, .ttl = 300 };
	for (int hops = 0; hops <= ALIAS_HOPS; hops++) {
		const struct zone_name *name = zone_find(zone, owner);
		if (!name) {
			answer_r->rcode = zone_has_below(zone, owner) ? DNS_NOERROR : DNS_NXDOMAIN;
			return;
		}
		const struct zone_set *set = set_find(name, q->type), *alias = NULL;
		if (!set && q->type != DNS_CNAME)
			alias = set_find(name, DNS_CNAME);
		if (alias && alias->data.n) {
			owner = alias->data.v[0];
			answer_r->steps++;
			continue;
		}
		if (!set)
			set = set_find(name, 0);
		if (set) {
			answer_r->rcode = set->rcode;
			answer_r->data = set->data;
			answer_r->steps += set->steps;
		}
		return;
	}
	answer_r->rcode = DNS_SERVFAIL;
}

/* Out */

static void txt_to_json(struct str wire, struct buf *out)
{
	buf_char(out, '[');
	for (bool first = true; wire.n; first = false) {
		size_t length = (unsigned char)wire.p[0];
		if (!first)
			buf_c(out, ", ");
		json_octets(out, str_sub(wire, 1, length));
		wire = str_skip(wire, 1 + length);
	}
	buf_char(out, ']');
}

static void data_to_json(const struct dns_answer *a, size_t i, struct buf *out)
{
	struct ip ip;
	char text_form[IP_TEXT_MAX];
	uint16_t preference;
	struct str name;
	switch (a->type) {
	case DNS_TXT:
		txt_to_json(a->data.v[i], out);
		break;
	case DNS_A:
	case DNS_AAAA:
		if (dns_address(a, i, &ip) == 0)
			ip_format(&ip, text_form);
		else
			text_form[0] = '\0';
		json_text(out, str_c(text_form), JSON_NO_CAP);
		break;
	case DNS_MX:
		if (dns_mx(a, i, &preference, &name) < 0)
			preference = 0, name = STR("");
		buf_printf(out, "[%u, ", preference);
		json_octets(out, name);
		buf_char(out, ']');
		break;
	case DNS_TLSA:
	case DNS_CAA:
		buf_char(out, '"');
		for (size_t k = 0; k < a->data.v[i].n; k++)
			buf_printf(out, "%02x", (unsigned char)a->data.v[i].p[k]);
		buf_char(out, '"');
		break;
	default:
		json_octets(out, a->data.v[i]);
	}
}

static void answer_to_json(const struct dns_answer *a, struct buf *out)
{
	json_text(out, str_c(dns_type_name(a->type)), JSON_NO_CAP);
	if (a->rcode != DNS_NOERROR) {
		buf_printf(out, ": {\"rcode\": \"%s\"}", dns_rcode_names[a->rcode]);
		return;
	}
	buf_c(out, ": [");
	for (size_t i = 0; i < a->data.n; i++) {
		if (i)
			buf_c(out, ", ");
		data_to_json(a, i, out);
	}
	buf_char(out, ']');
}

static void steps_to_json(const struct facts *facts, size_t i, struct buf *out)
{
	bool any = false;
	for (size_t k = i; k < facts->dns.n; k++) {
		const struct dns_answer *a = &facts->dns.v[k];
		if (!a->steps || !dns_name_eq(a->name, facts->dns.v[i].name))
			continue;
		buf_printf(out, "%s\"%s\": %lld", any ? ", " : ", \"aliases\": {",
			dns_type_name(a->type), (long long)a->steps);
		any = true;
	}
	if (any)
		buf_char(out, '}');
}

/* All answers for the name of answer i, unless an earlier one had the same name. */
static bool name_to_json(const struct facts *facts, size_t i, bool first, struct buf *out)
{
	for (size_t k = 0; k < i; k++)
		if (dns_name_eq(facts->dns.v[k].name, facts->dns.v[i].name))
			return false;
	if (!first)
		buf_c(out, ", ");
	json_octets(out, facts->dns.v[i].name);
	buf_c(out, ": {");
	for (size_t k = i, n = 0; k < facts->dns.n; k++) {
		if (!dns_name_eq(facts->dns.v[k].name, facts->dns.v[i].name))
			continue;
		if (n++)
			buf_c(out, ", ");
		answer_to_json(&facts->dns.v[k], out);
	}
	steps_to_json(facts, i, out);
	buf_char(out, '}');
	return true;
}

static void now_to_json(int64_t now, struct buf *out)
{
	time_t t = (time_t)now;
	struct tm tm;
	char stamp[32];
	gmtime_r(&t, &tm);
	strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%SZ", &tm);
	buf_printf(out, "{\"now\": \"%s\"", stamp);
}

void facts_to_json(const struct facts *facts, struct buf *out)
{
	now_to_json(facts->now, out);
	if (facts->client_ip.n) {
		buf_c(out, ", \"client\": {\"ip\": ");
		json_text(out, facts->client_ip, JSON_NO_CAP);
		buf_printf(out, ", \"port\": %lld}", (long long)facts->client_port);
	}
	buf_c(out, ", \"rcpt_to\": [");
	for (size_t i = 0; i < facts->rcpt_to.n; i++) {
		if (i)
			buf_c(out, ", ");
		json_text(out, facts->rcpt_to.v[i], JSON_NO_CAP);
	}
	buf_c(out, "], \"dns\": {");
	for (size_t i = 0, n = 0; i < facts->dns.n; i++)
		n += name_to_json(facts, i, n == 0, out);
	buf_c(out, "}, ");
	struct buf rest = BUF_INIT;
	record_to_json(&facts_record, facts, &rest);
	buf_str_add(out, str_skip(buf_str(&rest), 1));
	buf_free(&rest);
}
