#include "core/smtp/dot.h"

#include <sys/types.h>

void dot_init(struct dot *d)
{
	*d = (struct dot){.line_start = true};
}

static int refuse(struct dot *d)
{
	d->failed = true;
	return -1;
}

/* Octets are put out in runs of whole lines, cut only where a dot has to be doubled. */
static void put(struct buf *out, struct str octets, size_t from, size_t to)
{
	buf_add(out, octets.p + from, to - from);
}

/* The LF of a CR that ended the last octets. */
static int complete_crlf(struct dot *d, struct buf *out, struct str *octets)
{
	if (octets->p[0] != '\n')
		return refuse(d);
	buf_c(out, "\r\n");
	*octets = str_skip(*octets, 1);
	d->cr = false;
	d->line_start = true;
	return 0;
}

/*
 * The last line, as far as it is there. A CR at its very end is held back until
 * its LF is seen: a bare one is never sent. Returns what may be put out, or -1.
 */
static ssize_t partial_line(struct dot *d, struct str octets, size_t at)
{
	const char *cr = memchr(octets.p + at, '\r', octets.n - at);

	if (cr && cr != octets.p + octets.n - 1)
		return -1;
	d->cr = cr != NULL;
	d->line_start = false;
	return (ssize_t)(octets.n - d->cr);
}

int dot_write(struct dot *d, struct buf *out, struct str octets)
{
	size_t run = 0, at = 0;

	if (d->failed || (d->cr && octets.n && complete_crlf(d, out, &octets)))
		return -1;
	while (at < octets.n) {
		if (d->line_start && octets.p[at] == '.') {
			put(out, octets, run, at);
			buf_char(out, '.');
			run = at;
		}
		const char *line = octets.p + at;
		const char *lf = memchr(line, '\n', octets.n - at);
		if (!lf) {
			ssize_t end = partial_line(d, octets, at);
			put(out, octets, run, end < 0 ? at : (size_t)end);
			return end < 0 ? refuse(d) : 0;
		}
		if (lf == line || memchr(line, '\r', (size_t)(lf - line)) != lf - 1) {
			put(out, octets, run, at);
			return refuse(d);
		}
		at = (size_t)(lf - octets.p) + 1;
		d->line_start = true;
	}
	put(out, octets, run, at);
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
