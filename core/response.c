#include "core/response.h"

#define CHUNK_DIGITS 7 /* of a length: 256 MB */

enum length { LENGTH_UNSAID, LENGTH_SAID, LENGTH_CHUNKED };

struct head {
	enum length length;
	uint64_t octets; /* LENGTH_SAID */
};

/* RFC 9110 5.6.2 */
static bool is_token(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!char_is_alnum(s.p[i]) && !memchr("!#$%&'*+-.^_`|~", s.p[i], 15))
			return false;
	return s.n > 0;
}

/* With its line end, which may be a bare LF (2.2). 1, or 0: there is no whole line. */
static int next_line(struct str *rest, struct str *line_r)
{
	size_t n = str_chr(*rest, '\n');

	if (n == rest->n)
		return 0;
	*line_r = str_sub(*rest, 0, n && rest->p[n - 1] == '\r' ? n - 1 : n);
	*rest = str_skip(*rest, n + 1);
	return 1;
}

static int read_status(struct str line, struct response *r)
{
	struct str word;
	uint64_t status;

	if (!str_starts(line, "HTTP/1.") || !str_word(&line, &word) || !str_word(&line, &word) ||
		word.n != 3 || str_to_u64(word, 100, 599, &status) < 0)
		return -1;
	r->status = (int)status;
	return 0;
}

static int read_header(struct str line, struct head *head, struct response *r)
{
	struct str name, value = line;

	if (!str_cut(&value, ':', &name) || !value.p || !is_token(name))
		return -1;
	value = str_trim(value);
	if (str_ieq_c(name, "content-type")) {
		r->type = value;
	} else if (str_ieq_c(name, "content-length")) {
		if (head->length != LENGTH_UNSAID ||
			str_to_u64(value, 0, UINT64_MAX, &head->octets) < 0)
			return -1;
		head->length = LENGTH_SAID;
	} else if (str_ieq_c(name, "transfer-encoding")) {
		if (head->length != LENGTH_UNSAID || !str_ieq_c(value, "chunked"))
			return -1;
		head->length = LENGTH_CHUNKED;
	}
	return 0;
}

/* 1, 0: more has to come, -1. */
static int read_head(struct str *rest, struct head *head, struct response *r)
{
	struct str line;

	*head = (struct head){ 0 };
	*r = (struct response){ 0 };
	if (!next_line(rest, &line))
		return 0;
	if (read_status(line, r) < 0)
		return -1;
	while (next_line(rest, &line)) {
		if (!line.n)
			return 1;
		if (read_header(line, head, r) < 0)
			return -1;
	}
	return 0;
}

/* 7.1. Extensions and trailers are passed over. */
static int read_chunks(struct str rest, struct buf *body)
{
	struct str line;

	for (;;) {
		size_t size = 0, digits = 0;

		if (!next_line(&rest, &line))
			return 0;
		while (digits < line.n && char_hex(line.p[digits]) >= 0)
			if (++digits > CHUNK_DIGITS)
				return -1;
			else
				size = size << 4 | (size_t)char_hex(line.p[digits - 1]);
		if (!digits || (digits < line.n && !memchr("; \t", line.p[digits], 3)))
			return -1;
		if (!size)
			break;
		if (rest.n <= size)
			return 0;
		buf_str_add(body, str_sub(rest, 0, size));
		rest = str_skip(rest, size);
		if (!next_line(&rest, &line))
			return rest.n > 1 ? -1 : 0;
		if (line.n)
			return -1;
	}
	while (next_line(&rest, &line))
		if (!line.n)
			return 1;
	return 0;
}

static int read_body(struct str rest, const struct head *head, bool has_ended,
	struct buf *unchunked, struct response *r)
{
	int result;

	switch (head->length) {
	case LENGTH_UNSAID:
		r->body = rest;
		return has_ended;
	case LENGTH_SAID:
		if (rest.n < head->octets)
			return 0;
		r->body = str_sub(rest, 0, head->octets);
		return 1;
	case LENGTH_CHUNKED:
		buf_clear(unchunked);
		result = read_chunks(rest, unchunked);
		r->body = buf_str(unchunked);
		return result;
	}
	return -1;
}

int response_parse(struct str octets, bool has_ended, struct buf *unchunked,
	struct response *response_r, struct err *err)
{
	struct head head;
	int result;

	do /* 103 and its like come before what was asked for */
		result = read_head(&octets, &head, response_r);
	while (result == 1 && response_r->status < 200);
	if (result == 1)
		result = read_body(octets, &head, has_ended, unchunked, response_r);
	if (result < 0)
		return err_set(err, "what answers does not speak HTTP as it should");
	if (result == 0 && has_ended)
		return err_set(err, "the answer is cut short");
	return result;
}
