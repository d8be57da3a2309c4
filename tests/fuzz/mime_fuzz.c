/* A whole message: the tree is one, bodies lie inside of the message, all parts can be decoded. */
#include "tests/fuzz/fuzz.h"

#include <assert.h>

#include "core/limits.h"
#include "core/mail/attached.h"
#include "core/mail/charset.h"
#include "core/mail/mail.h"

static void read_part(struct mail *m, size_t i)
{
	struct mail_part *p = &m->parts.v[i];
	assert(p->index == i && p->parent < (int)i && p->depth <= LIMIT_MIME_DEPTH);
	assert(i == 0 ? p->parent == -1 : p->parent >= 0);
	if (i > 0) {
		assert(p->depth == m->parts.v[p->parent].depth + 1);
		assert(m->parts.v[p->parent].has_children);
	}
	struct str octets = mail_part_decoded(m, p);
	assert(octets.n <= p->body.n);
	assert(str_is_utf8(mail_charset_to_utf8(m, octets, p->charset)));
	assert(str_is_utf8(p->filename));
}

static void read_attached(struct mail *m)
{
	struct mail_attached attached;
	mail_attached(m, 5, &attached);
	assert(attached.messages.n <= 5 && attached.count >= attached.messages.n);
	for (size_t i = 0; i < attached.messages.n; i++) {
		struct str message = attached.messages.v[i];
		assert(message.n > 2 && str_eq_c(str_skip(message, message.n - 2), "\r\n"));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *a = arena_new(LIMIT_TRANSACTION_MEMORY);
	struct mail *m = mail_parse(a, str_from((const char *)data, size));
	struct mail_addresses list;
	assert(m->parts.n >= 1 && m->parts.n <= LIMIT_MIME_PARTS);
	for (size_t i = 0; i < m->parts.n; i++)
		read_part(m, i);
	read_attached(m);
	for (const struct mail_header *h = NULL; (h = mail_header(m, "From", h));)
		mail_parse_addresses(m, h->value, &list);
	assert(m->anomalies >> MAIL_ANOMALY_COUNT == 0);
	arena_free(&a);
	return 0;
}
