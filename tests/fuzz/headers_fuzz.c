/* A header block: what is found lies inside of it, and every value can be read in each way. */
#include "tests/fuzz/fuzz.h"

#include <assert.h>

#include "core/limits.h"
#include "core/mail/mail.h"
#include "core/mail/param.h"

static void read_value(struct mail *m, struct str value)
{
	struct mail_addresses list;
	struct mail_params params;
	struct mail_param_value v;
	assert(str_is_utf8(mail_decode_header(m, value)));
	mail_parse_addresses(m, value, &list);
	assert(list.list.n <= LIMIT_ADDRESSES);
	for (size_t i = 0; i < list.list.n; i++) {
		struct str domain = list.list.v[i].domain, again;
		assert(!domain.n || !mail_domain_canonical(m->arena, domain, &again));
		assert(!domain.n || str_eq(domain, again));
	}
	mail_params_parse(m->arena, value, &params);
	for (size_t i = 0; i < params.n; i++) {
		char *name = arena_cstr(m->arena, params.v[i].name);
		if (mail_params_get(m, &params, name, &v))
			assert(str_is_utf8(v.text));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *a = arena_new(LIMIT_TRANSACTION_MEMORY);
	struct str raw = { (const char *)data, size };
	struct mail *m = mail_parse(a, raw);
	size_t from = 0;
	for (size_t i = 0; i < m->headers.n; i++) {
		const struct mail_header *h = &m->headers.v[i];
		assert(h->line.p >= raw.p && h->line.p + h->line.n <= raw.p + raw.n);
		assert(h->name.p >= h->line.p && h->value.p + h->value.n <= h->line.p + h->line.n);
		from += str_ieq_c(h->name, "From");
		read_value(m, h->value);
	}
	assert(from == mail_header_count(m, "From"));
	assert(m->body.p == raw.p + m->header_bytes || !size);
	arena_free(&a);
	return 0;
}
