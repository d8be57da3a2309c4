#include "bayes/tenant.h"

#include <math.h>

#include "core/hash.h"

/*
 * How far one lesson of a tenant moves the log-odds of its own message for that tenant: after
 * half a dozen his opinion outweighs a confident common one.
 */
#define STEP	    5.0
#define LEAST_ERROR 0.1 /* less is left as it is: it would take slots for nothing */

uint64_t tenant_key(const uint8_t salt[16], struct str domain)
{
	return domain.n ? hash_sip(salt, domain) | 1 : 0;
}

static _Atomic uint8_t *cell_of(const struct table *t, uint64_t tenant)
{
	return &t->header->tenants[(tenant >> 32) % TABLE_TENANTS];
}

static uint64_t own(uint64_t token, uint64_t tenant)
{
	uint64_t h = (token ^ tenant) * 0x9e3779b97f4a7c15u;
	return (h ^ h >> 32) * 0xd6e8feb86659fd93u;
}

double tenant_view(const struct table *t, const struct features *f)
{
	double sum = 0;
	if (!f->tenant || atomic_load_explicit(cell_of(t, f->tenant), memory_order_relaxed) == 0)
		return 0;
	for (size_t i = 0; i < f->token_count; i++) {
		ptrdiff_t slot = table_find(t, own(f->tokens[i], f->tenant));
		if (slot >= 0)
			sum += table_token(t, (size_t)slot).weight.value;
	}
	return sum;
}

void tenant_learn(struct table *t, const struct features *f, double error)
{
	if (!f->tenant || f->token_count == 0 || fabs(error) < LEAST_ERROR)
		return;
	atomic_store_explicit(cell_of(t, f->tenant), 1, memory_order_relaxed);
	for (size_t i = 0; i < f->token_count; i++) {
		size_t slot = table_take(t, own(f->tokens[i], f->tenant));
		struct table_token token = table_token(t, slot);
		token.weight.value += STEP * error / (double)f->token_count;
		table_set_token(t, slot, &token);
	}
}
