/* DNS packets as the resolver library hands them over. */
#include "tests/fuzz/fuzz.h"

#include "core/dns.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const int64_t types[] = { DNS_A, DNS_TXT, DNS_MX, DNS_PTR, DNS_AAAA, DNS_TLSA };
	struct arena *arena = arena_new(1 << 20);
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		struct dns_question q = { .type = types[i], .name = STR("example.org") };
		struct dns_answer a;
		struct ip ip;
		struct str name;
		uint16_t preference;
		dns_parse_packet(arena, &q, data, size, &a);
		for (size_t k = 0; k < a.data.n; k++) {
			if (a.type == DNS_TXT)
				dns_txt(&a, k, arena);
			if (a.type == DNS_A || a.type == DNS_AAAA)
				dns_address(&a, k, &ip);
			if (a.type == DNS_MX)
				dns_mx(&a, k, &preference, &name);
		}
	}
	arena_free(&arena);
	return 0;
}
