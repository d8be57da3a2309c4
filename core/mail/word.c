#include "core/mail/mail.h"

#include "core/mail/anomaly.h"
#include "core/mail/charset.h"
#include "core/mail/decode.h"

/* An encoded word, RFC 2047 2: =?charset?encoding?text?= */
struct word {
	struct str charset, text;
	bool base64;
	size_t length; /* of the whole */
};

/* Reads the word at the front of s. Linear over a whole header: each piece ends at the first
 * '?', and no word can begin before that. */
static bool read_word(struct str s, struct word *word_r)
{
	if (!str_starts(s, "=?"))
		return false;
	struct str rest = str_skip(s, 2), charset, encoding, text;
	if (!str_cut(&rest, '?', &charset) || !str_cut(&rest, '?', &encoding) ||
		!str_cut(&rest, '?', &text) || !rest.n || rest.p[0] != '=')
		return false;
	if (encoding.n != 1 || !charset.n || str_trim(charset).n != charset.n)
		return false;
	char e = char_lower(encoding.p[0]);
	if (e != 'b' && e != 'q')
		return false;
	size_t language = str_chr(charset, '*'); /* RFC 2231 5 */
	word_r->charset = str_sub(charset, 0, language);
	word_r->text = text;
	word_r->base64 = e == 'b';
	word_r->length = (size_t)(rest.p + 1 - s.p);
	return true;
}

/* RFC 2047 4.2. White space inside is not allowed, and taken as it stands. */
static struct str decode_q(struct arena *arena, struct str in, bool *odd_r)
{
	char *out = arena_alloc(arena, in.n + 1);
	size_t n = 0;
	for (size_t i = 0; i < in.n; i++) {
		int high = in.p[i] == '=' && i + 2 < in.n ? char_hex(in.p[i + 1]) : -1;
		int low = high >= 0 ? char_hex(in.p[i + 2]) : -1;
		if (low >= 0) {
			out[n++] = (char)(high << 4 | low);
			i += 2;
			continue;
		}
		*odd_r |= in.p[i] == '=' || (unsigned char)in.p[i] <= ' ';
		out[n++] = in.p[i] == '_' ? ' ' : in.p[i];
	}
	return str_from(out, n);
}

static struct str decode_word(struct mail *m, const struct word *w)
{
	bool odd = false;
	struct str octets = w->base64 ? mail_decode_base64(m->arena, w->text, &odd)
				      : decode_q(m->arena, w->text, &odd);
	mail_note_if(m, odd, MAIL_ENCODED_WORD_ODD);
	return octets;
}

struct output {
	struct mail *m;
	struct buf text;    /* UTF-8 */
	struct buf octets;  /* of words of one charset, not converted yet */
	struct str charset; /* theirs */
};

/*
 * Words that stand side by side are joined before they are converted: RFC 2047 5 forbids to
 * split a character over two words, and many do.
 */
static void flush(struct output *o)
{
	if (!o->octets.n)
		return;
	/* The arena's copy outlives the buffer: good UTF-8 comes back as it lies. */
	struct str octets = arena_dup(o->m->arena, buf_str(&o->octets));
	buf_str_add(&o->text, mail_charset_to_utf8(o->m, octets, o->charset));
	buf_clear(&o->octets);
}

static void add_plain(struct output *o, struct str s)
{
	flush(o);
	buf_str_add(&o->text, str_is_utf8(s) ? s : mail_charset_to_utf8(o->m, s, STR("")));
}

static void add_word(struct output *o, const struct word *w)
{
	if (!str_ieq(o->charset, w->charset))
		flush(o);
	o->charset = w->charset;
	buf_str_add(&o->octets, decode_word(o->m, w));
}

static bool is_white(struct str s)
{
	return str_trim_crlf(s).n == 0;
}

/* RFC 2047 5: a word stands alone between white space; in a comment, also parentheses. */
static bool is_edge(struct str s, size_t at)
{
	return at >= s.n || strchr(" \t\r\n()\",", s.p[at]);
}

static void decode_all(struct output *o, struct str s)
{
	size_t plain = 0, at = 0; /* where plain text began, where to look */
	bool after_word = false;
	struct word w;
	for (;;) {
		at += str_find(str_skip(s, at), STR("=?"));
		if (at >= s.n)
			break;
		if (!read_word(str_skip(s, at), &w)) {
			at += 2;
			mail_note(o->m, MAIL_ENCODED_WORD_ODD);
			continue;
		}
		struct str between = str_sub(s, plain, at - plain);
		/* White space between two words is not shown (RFC 2047 6.2). */
		if (!after_word || !is_white(between))
			add_plain(o, between);
		bool alone = (at == 0 || is_edge(s, at - 1) || (after_word && !between.n)) &&
			     (is_edge(s, at + w.length) || s.p[at + w.length] == '=');
		mail_note_if(o->m, !alone || (after_word && !between.n), MAIL_ENCODED_WORD_ODD);
		add_word(o, &w);
		plain = at += w.length;
		after_word = true;
	}
	add_plain(o, str_skip(s, plain));
}

struct str mail_decode_header(struct mail *m, struct str value)
{
	struct str s = mail_unfold(m->arena, value);
	if (str_find(s, STR("=?")) == s.n)
		return str_is_utf8(s) ? s : mail_charset_to_utf8(m, s, STR(""));
	struct output o = {.m = m, .text = BUF_INIT, .octets = BUF_INIT};
	decode_all(&o, s);
	struct str made = arena_dup(m->arena, buf_str(&o.text));
	buf_free(&o.text);
	buf_free(&o.octets);
	return made;
}
