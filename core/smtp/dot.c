#include "core/smtp/dot.h"

void dot_init(struct dot *d)
{
	*d = (struct dot){.line_start = true};
}

static int refuse(struct dot *d)
{
	d->failed = true;
	return -1;
}

/*
 * One line or the part of one that is there, beginning wherever the last part
 * ended. Returns its length, or 0 if it holds a CR or LF alone. A CR at the very
 * end of the octets is held back until its LF is seen: a bare one is never sent.
 */
static size_t write_line(struct dot *d, struct buf *out, struct str rest)
{
	const char *lf = memchr(rest.p, '\n', rest.n);
	size_t n = lf ? (size_t)(lf - rest.p) + 1 : rest.n;
	size_t text = lf ? n - 1 : n;
	bool held = d->cr;

	if (held && (!lf || text))
		return 0;
	const char *cr = memchr(rest.p, '\r', text);
	if (cr && cr != rest.p + text - 1)
		return 0;
	if (lf && !cr && !held)
		return 0;
	if (d->line_start && rest.p[0] == '.')
		buf_char(out, '.');
	if (held)
		buf_char(out, '\r');
	d->cr = cr && !lf;
	buf_add(out, rest.p, d->cr ? n - 1 : n);
	d->line_start = lf != NULL;
	return n;
}

int dot_write(struct dot *d, struct buf *out, struct str octets)
{
	if (d->failed)
		return -1;
	if (octets.n)
		buf_reserve(out, octets.n + 1);
	while (octets.n) {
		size_t n = write_line(d, out, octets);
		if (!n)
			return refuse(d);
		octets = str_skip(octets, n);
	}
	return 0;
}

int dot_end(struct dot *d, struct buf *out)
{
	if (d->failed || d->cr)
		return refuse(d);
	if (!d->line_start)
		buf_c(out, "\r\n");
	buf_c(out, ".\r\n");
	d->line_start = true;
	return 0;
}
