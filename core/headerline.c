#include "core/headerline.h"

#define FOLD_AT	  78
#define VALUE_MAX 4000
#define WORD_MAX  700 /* lines stay below 998 octets, whatever stands in them */

/*
 * A piece is a run of blanks and the word behind it; the blanks become the fold's own, so that
 * unfolding gives back the value octet for octet. A quoted string belongs to its word: a fold within
 * one is allowed, but not every reader knows that.
 */
static size_t next_piece(struct str s)
{
	size_t i = 0, start;
	bool quoted = false;

	while (i < s.n && char_is_wsp(s.p[i]))
		i++;
	start = i;
	while (i < s.n && (quoted || !char_is_wsp(s.p[i]))) {
		if (s.p[i] == '\\' && quoted && i + 1 < s.n)
			i++;
		else if (s.p[i] == '"')
			quoted = !quoted;
		i++;
	}
	if (i <= WORD_MAX && !quoted)
		return i;
	/* Too long, or a quote that never ends: fold where there is a blank, cut where there is none. */
	for (i = start; i < s.n && i < WORD_MAX && !char_is_wsp(s.p[i]); i++)
		;
	return i;
}

static void add_printable(struct buf *out, struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];

		buf_char(out, (c >= ' ' && c <= '~') || c == '\t' ? c : '?');
	}
}

void headerline_add(struct buf *out, const char *name, struct str value)
{
	struct str rest = str_trim(str_sub(value, 0, VALUE_MAX));
	size_t column = strlen(name) + 2;
	bool first = true;

	buf_printf(out, "%s: ", name);
	while (rest.n) {
		struct str piece = str_sub(rest, 0, next_piece(rest));

		if (!first && column + piece.n > FOLD_AT) {
			buf_c(out, char_is_wsp(piece.p[0]) ? "\r\n" : "\r\n ");
			column = 0;
		}
		add_printable(out, piece);
		column += piece.n;
		rest = str_skip(rest, piece.n);
		first = false;
	}
	buf_c(out, "\r\n");
}
