/*
 * dns: questions, answers, and names, as facts hold them.
 *
 * A name is text without the final dot: labels joined by '.', any octet allowed
 * within a label; a '.' or '\' inside a label stands behind a '\'. It compares
 * without case. What peers put into names stays raw here and is hostile: show it
 * only through the escaper, and treat it as a host name only if dns_is_hostname().
 *
 * An answer is what the resolver said, CNAMEs already followed: `rcode` and the
 * records of the type that was asked. NXDOMAIN and NODATA are both "void".
 */
#ifndef CORE_DNS_H
#define CORE_DNS_H

#include "core/ip.h"
#include "core/record.h"

enum dns_type {
	DNS_A = 1,
	DNS_NS = 2,
	DNS_CNAME = 5,
	DNS_PTR = 12,
	DNS_MX = 15,
	DNS_TXT = 16,
	DNS_AAAA = 28,
	DNS_TLSA = 52,
	DNS_CAA = 257,
};

enum dns_rcode {
	DNS_NOERROR,  /* records, or none of this type */
	DNS_NXDOMAIN, /* no such name */
	DNS_SERVFAIL, /* broken, bogus (DNSSEC), refused, unavailable, malformed */
	DNS_TIMEOUT,  /* no answer before the deadline */
};
extern const char *const dns_rcode_names[];

struct dns_question {
	int64_t type; /* enum dns_type */
	struct str name;
	int64_t timeout_ms; /* answered TIMEOUT after this; 0: the resolver's default */
	bool reserved;	    /* draws upon dns_steps.reserved */
};

/*
 * How many more questions may go out for aliases, CNAMEs that are followed one by one, for all
 * questions of a batch together: a sender's zone decides how many there are.
 */
struct dns_steps {
	int64_t ordinary, reserved;
};

/*
 * data: A 4 octets, AAAA 16; TXT the character-strings as on the wire, each with
 * its length octet; PTR, CNAME, NS a name; MX two octets of preference and a name
 * (an empty name is the root: null MX, RFC 7505); TLSA and CAA as on the wire.
 */
struct dns_answer {
	int64_t type;
	struct str name;
	int rcode; /* enum dns_rcode */
	int64_t ttl;
	bool secure; /* validated by DNSSEC */
	int64_t steps; /* questions more than one that it took, for aliases */
	struct str_list data;
};

extern const struct record dns_question_record;
extern const struct record dns_answer_record;

/* "MX" and back; 0 for a type that is not known. */
const char *dns_type_name(int64_t type);
int64_t dns_type_parse(struct str name);

bool dns_name_eq(struct str a, struct str b);
/* Ends `name` in `zone`, at a label's edge (or are they equal)? */
bool dns_name_under(struct str name, struct str zone);
/* Presentation to wire, lower case kept as is. 0; -1 for an empty label, one over 63, or all over 255. */
int dns_name_to_wire(struct str name, uint8_t wire_r[256], size_t *length_r);
/* Wire (uncompressed) to presentation. */
int dns_name_from_wire(const uint8_t *wire, size_t n, struct arena *arena, struct str *name_r,
	size_t *used_r);
/* Letters, digits, hyphens and underscores, 1 to 63 a label, at most 253 in all. */
bool dns_is_hostname(struct str name);

bool dns_answer_is_void(const struct dns_answer *a);
/* Was there no answer that can be relied on (SERVFAIL, TIMEOUT)? */
bool dns_answer_is_error(const struct dns_answer *a);
/* TXT: all character-strings of record i joined (RFC 7208 3.3, RFC 6376 3.6.2.2). */
struct str dns_txt(const struct dns_answer *a, size_t i, struct arena *arena);
/* A, AAAA: address i. -1 if its length is wrong. */
int dns_address(const struct dns_answer *a, size_t i, struct ip *ip_r);
/* MX: name and preference of record i. -1 if it is too short. */
int dns_mx(const struct dns_answer *a, size_t i, uint16_t *preference_r, struct str *name_r);

/* What a packet said to this question, CNAME chain followed inside it (at most 16).
 * Returns 0 with *answer_r filled from the arena; a packet that is malformed gives SERVFAIL. */
void dns_parse_packet(struct arena *arena, const struct dns_question *q, const uint8_t *packet,
	size_t n, struct dns_answer *answer_r);

#endif
