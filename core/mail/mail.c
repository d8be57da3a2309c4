#include "core/mail/mail.h"

static const struct mail_header *find(
	const struct mail_header *v, size_t n, const char *name, const struct mail_header *after)
{
	size_t length = strlen(name);
	for (size_t i = after ? (size_t)(after - v) + 1 : 0; i < n; i++)
		if (v[i].name.n == length && str_ieq(v[i].name, str_from(name, length)))
			return &v[i];
	return NULL;
}

const struct mail_header *mail_header(
	const struct mail *m, const char *name, const struct mail_header *after)
{
	return find(m->headers.v, m->headers.n, name, after);
}

const struct mail_header *mail_part_header(
	const struct mail_part *p, const char *name, const struct mail_header *after)
{
	return find(p->headers, p->header_count, name, after);
}

size_t mail_header_count(const struct mail *m, const char *name)
{
	size_t count = 0;
	for (const struct mail_header *h = NULL; (h = mail_header(m, name, h));)
		count++;
	return count;
}
