/* What the inspector proposed is looked at here before it leaves: it takes hostile content apart,
 * and must not be able to make one message into two, or into another one. */
#include "gateway/front/deliver.h"

#include "core/limits.h"

static bool is_name(struct str name)
{
	if (!name.n)
		return false;
	for (size_t i = 0; i < name.n; i++)
		if (name.p[i] <= ' ' || name.p[i] > '~')
			return false;
	return true;
}

/* Whole header fields, folded or not, each line ended by CRLF and none of them empty. */
static bool are_headers(struct str headers)
{
	bool first = true;

	if (headers.n > LIMIT_ADDED_HEADER_BYTES)
		return false;
	while (headers.n) {
		size_t n = str_find(headers, STR("\r\n"));
		struct str line = str_sub(headers, 0, n);

		if (n == headers.n || !n || str_chr(line, '\r') < n || str_chr(line, '\n') < n ||
			str_chr(line, '\0') < n)
			return false;
		if (char_is_wsp(line.p[0])) {
			if (first || !str_trim(line).n)
				return false;
		} else {
			size_t colon = str_chr(line, ':');

			if (colon == n || !is_name(str_sub(line, 0, colon)))
				return false;
		}
		first = false;
		headers = str_skip(headers, n + 2);
	}
	return true;
}

static bool ends_line(struct str content, size_t at)
{
	return at == 0 || (at >= 2 && content.p[at - 2] == '\r' && content.p[at - 1] == '\n');
}

size_t deliver_spans(struct arena *arena, struct str headers, struct str content,
	const struct cut *cuts, size_t cut_count, struct str **spans_r)
{
	struct str *spans = ARENA_ARRAY(arena, cut_count + 2, struct str);
	size_t blank = str_find(content, STR("\r\n\r\n")), n = 0, at = 0;
	size_t header_end = blank < content.n ? blank + 2 : content.n;

	if (!are_headers(headers))
		return 0;
	spans[n++] = headers;
	for (size_t i = 0; i < cut_count; i++) {
		uint64_t from = (uint64_t)cuts[i].offset, length = (uint64_t)cuts[i].length;

		if (from < at || from > header_end || length > header_end - from ||
			!ends_line(content, from) || !ends_line(content, from + length))
			return 0;
		if (from > at)
			spans[n++] = str_sub(content, at, from - at);
		at = from + length;
	}
	if (at < content.n)
		spans[n++] = str_skip(content, at);
	*spans_r = spans;
	return n;
}
