/*
 * What bayes/features.c makes of a message, in the plainest way: the oracle of its fast paths. No
 * sets, no look-ahead, an octet at a time. Where the features are to change, change both.
 */
#ifndef TESTS_UNIT_BAYES_REFERENCE_H
#define TESTS_UNIT_BAYES_REFERENCE_H

#include <stdio.h>
#include <string.h>

#include "bayes/features.h"
#include "core/buf.h"

enum {
	WINDOW = 2, /* words that pairs are made with */
	WORD_MAX = 40,
	HOSTS_MAX = 60,
	PARTS_MAX = 30,
	TAG_MAX = 60,
};

/* Letters of other scripts that are drawn like Latin ones. Sorted by code. */
static const struct {
	uint32_t code;
	char as;
} look_alikes[] = {
	{0x391, 'a'},
	{0x392, 'b'},
	{0x395, 'e'},
	{0x396, 'z'},
	{0x397, 'h'},
	{0x399, 'i'},
	{0x39a, 'k'},
	{0x39c, 'm'},
	{0x39d, 'n'},
	{0x39f, 'o'},
	{0x3a1, 'p'},
	{0x3a4, 't'},
	{0x3a5, 'y'},
	{0x3a7, 'x'},
	{0x3b1, 'a'},
	{0x3b9, 'i'},
	{0x3bd, 'v'},
	{0x3bf, 'o'},
	{0x3c1, 'p'},
	{0x3c5, 'u'},
	{0x405, 's'},
	{0x406, 'i'},
	{0x408, 'j'},
	{0x410, 'a'},
	{0x412, 'b'},
	{0x415, 'e'},
	{0x41a, 'k'},
	{0x41c, 'm'},
	{0x41d, 'h'},
	{0x41e, 'o'},
	{0x420, 'p'},
	{0x421, 'c'},
	{0x422, 't'},
	{0x423, 'y'},
	{0x425, 'x'},
	{0x430, 'a'},
	{0x435, 'e'},
	{0x43e, 'o'},
	{0x440, 'p'},
	{0x441, 'c'},
	{0x443, 'y'},
	{0x445, 'x'},
	{0x455, 's'},
	{0x456, 'i'},
	{0x458, 'j'},
	{0x4bb, 'h'},
	{0x501, 'd'},
	{0x51b, 'q'},
	{0x51d, 'w'},
};

static uint32_t look_alike(uint32_t code)
{
	size_t low = 0, high = sizeof(look_alikes) / sizeof(look_alikes[0]);
	while (low < high) {
		size_t mid = (low + high) / 2;
		if (look_alikes[mid].code < code)
			low = mid + 1;
		else
			high = mid;
	}
	if (low < sizeof(look_alikes) / sizeof(look_alikes[0]) && look_alikes[low].code == code)
		return (uint32_t)look_alikes[low].as;
	return code;
}

/* 0 for what is not seen. */
static uint32_t fold_code(uint32_t code)
{
	if (code >= 0xff01 && code <= 0xff5e)
		code -= 0xfee0; /* full width */
	if (code >= 'A' && code <= 'Z')
		return code + 32;
	if (code < 0x80)
		return code;
	if (code == 0xad || (code >= 0x200b && code <= 0x200f) ||
		(code >= 0x202a && code <= 0x202e) || (code >= 0x2060 && code <= 0x206f) ||
		code == 0xfeff || (code >= 0xfe00 && code <= 0xfe0f))
		return 0;
	if (code == 0xa0 || (code >= 0x2000 && code <= 0x200a) || code == 0x3000)
		return ' ';
	/* Mathematical letters: bold, italic, … alphabets of 52. */
	if (code >= 0x1d400 && code <= 0x1d6a3)
		return 'a' + (code - 0x1d400) % 26;
	/* Capitals of Latin-1, Greek and Cyrillic. */
	if ((code >= 0xc0 && code <= 0xde && code != 0xd7) || (code >= 0x410 && code <= 0x42f))
		return look_alike(code) != code ? look_alike(code) : code + 32;
	return look_alike(code);
}

static void put(struct buf *out, uint32_t code)
{
	if (code < 0x80) {
		buf_char(out, (char)code);
	} else if (code < 0x800) {
		buf_char(out, (char)(0xc0 | code >> 6));
		buf_char(out, (char)(0x80 | (code & 0x3f)));
	} else if (code < 0x10000) {
		buf_char(out, (char)(0xe0 | code >> 12));
		buf_char(out, (char)(0x80 | (code >> 6 & 0x3f)));
		buf_char(out, (char)(0x80 | (code & 0x3f)));
	} else {
		buf_char(out, (char)(0xf0 | code >> 18));
		buf_char(out, (char)(0x80 | (code >> 12 & 0x3f)));
		buf_char(out, (char)(0x80 | (code >> 6 & 0x3f)));
		buf_char(out, (char)(0x80 | (code & 0x3f)));
	}
}

static void ref_fold(struct str text, size_t cap, struct buf *out)
{
	size_t start = out->n;
	bool blank = true;
	while (text.n && out->n - start < cap) {
		uint32_t code = (unsigned char)text.p[0];
		size_t len = code < 0x80 ? 1 : str_utf8(text, &code);
		if (len == 0) {
			buf_char(out, text.p[0]);
			text = str_skip(text, 1);
			blank = false;
			continue;
		}
		text = str_skip(text, len);
		code = fold_code(code);
		if (code == 0)
			continue;
		if (code <= ' ') {
			if (!blank)
				buf_char(out, ' ');
			blank = true;
			continue;
		}
		blank = false;
		put(out, code);
	}
}

struct extractor {
	struct mail *mail;
	uint64_t key[2];
	uint32_t grams[FEATURES_GRAMS];
	uint64_t tokens[FEATURES_TOKENS];
	size_t gram_count, token_count;
	uint64_t window[WINDOW]; /* hashes of the last words, newest first */
	size_t window_count, span;
	uint64_t field;
	bool is_body;
};

/* Hashing: keyed, and cheap, since thousands are made of each message. */

static uint64_t mix(uint64_t h)
{
	h ^= h >> 32;
	h *= 0xd6e8feb86659fd93u;
	h ^= h >> 32;
	h *= 0xd6e8feb86659fd93u;
	return h ^ h >> 32;
}

static uint64_t hash_octets(const struct extractor *x, uint64_t seed, struct str s)
{
	uint64_t h = seed ^ x->key[0];
	while (s.n >= 8) {
		uint64_t word;
		memcpy(&word, s.p, 8);
		h = mix(h ^ word) + x->key[1];
		s = str_skip(s, 8);
	}
	uint64_t last = s.n;
	for (size_t i = 0; i < s.n; i++)
		last = last << 8 | (unsigned char)s.p[i];
	return mix(h ^ last ^ x->key[1]);
}

static uint64_t field_of(const struct extractor *x, const char *name)
{
	return hash_octets(x, 1, str_c(name));
}

static void add_gram(struct extractor *x, uint32_t h)
{
	h = h % 0x80000000u + (x->is_body ? 0x80000000u : 0);
	for (size_t i = 0; i < x->gram_count; i++)
		if (x->grams[i] == h)
			return;
	if (x->gram_count < FEATURES_GRAMS)
		x->grams[x->gram_count++] = h;
}

static void add_token(struct extractor *x, uint64_t h)
{
	h &= ~0x100000000u;
	if (x->is_body)
		h |= 0x100000000u;
	for (size_t i = 0; i < x->token_count; i++)
		if (x->tokens[i] == h)
			return;
	if (x->token_count < FEATURES_TOKENS)
		x->tokens[x->token_count++] = h;
}

/* View A */

static void grams_of(struct extractor *x, struct str s)
{
	uint32_t window = 0, key = (uint32_t)(x->is_body ? x->key[0] >> 32 : x->key[0]);
	for (size_t i = 0; i < s.n; i++) {
		window = window << 8 | (unsigned char)s.p[i];
		if (i >= 3)
			add_gram(x, (uint32_t)(((uint64_t)window + key) * x->key[1] >> 32));
	}
}

/* View B */

static void open_field(struct extractor *x, const char *name, size_t span)
{
	x->field = field_of(x, name);
	x->window_count = 0;
	x->span = span;
}

static void add_word(struct extractor *x, struct str word)
{
	uint64_t h = hash_octets(x, x->field, str_sub(word, 0, WORD_MAX));
	add_token(x, h);
	for (size_t i = 0; i < x->window_count; i++)
		add_token(x, mix(x->window[i] * (2 * i + 3) + h));
	memmove(x->window + 1, x->window, sizeof(x->window) - sizeof(x->window[0]));
	x->window[0] = h;
	if (x->window_count < x->span)
		x->window_count++;
}

static bool is_word(char c)
{
	return char_is_alnum(c) || (c & 0x80) || c == '\'' || c == '-' || c == '_' || c == '$' ||
	       c == '!' || c == '%' || c == '.' || c == '@';
}

/* Scripts without blanks between words give pairs of characters instead. */
static void add_wide(struct extractor *x, struct str run)
{
	struct str previous = {NULL, 0};
	uint32_t code;
	size_t len;
	while ((len = str_utf8(run, &code)) > 0) {
		struct str one = str_sub(run, 0, len);
		if (previous.n)
			add_word(x, str_from(previous.p, previous.n + len));
		previous = one;
		run = str_skip(run, len);
	}
}

static bool is_wide(struct str word)
{
	uint32_t code;
	return word.n > 6 && str_utf8(word, &code) == 3 && code >= 0x2e80;
}

static void words_of(struct extractor *x, struct str s)
{
	for (size_t i = 0; i < s.n;) {
		size_t from = i;
		while (i < s.n && is_word(s.p[i]))
			i++;
		struct str word = str_sub(s, from, i - from);
		while (word.n && (word.p[word.n - 1] == '.' || word.p[word.n - 1] == '-'))
			word.n--;
		if (is_wide(word))
			add_wide(x, word);
		else if (word.n)
			add_word(x, word);
		if (i == from)
			i++;
	}
}

/* Headers */

/* They say where a message was collected or how others judged it, not what it is. */
static const char *const left_out[] = {"x-spam", "x-virus", "list-", "x-mailman", "x-beenthere",
	"x-gatepost", "authentication-results", "arc-", "x-rspamd", "x-spamd", "x-spamtest",
	"status", "x-status", "x-uid", "x-keywords", "content-length", "lines", "delivered-to",
	"x-original-to", "return-path", "errors-to", "mailing-list", "archived-at", "x-loop",
	"received-spf", "x-bogosity", "x-dspam", "x-crm114", "x-evolution", "x-mozilla", "x-gmane",
	"x-list", "x-topics", "x-content-filtered", "precedence", "sender", "message-id-hash",
	"x-message-id-hash", "x-mailfrom", "x-hyperkitty", "x-egroups", "x-apparently-to", "xref",
	"newsgroups", "path", "lines", "x-google-group", "x-original-sender",
	"x-original-authentication"};

static bool is_left_out(struct str name)
{
	for (size_t i = 0; i < sizeof(left_out) / sizeof(left_out[0]); i++)
		if (str_istarts(name, left_out[i]))
			return true;
	return false;
}

/* "[list-name] Re: subject": the tag is the list's, not the author's. */
static struct str without_tags(struct str subject)
{
	for (;;) {
		subject = str_trim(subject);
		if (str_istarts(subject, "re:") || str_istarts(subject, "fw:")) {
			struct str rest = without_tags(str_skip(subject, 3));
			return rest;
		}
		size_t end = str_chr(subject, ']');
		if (subject.n == 0 || subject.p[0] != '[' || end == subject.n)
			return subject;
		subject = str_skip(subject, end + 1);
	}
}

static void header_words(struct extractor *x, const struct mail_header *h, struct buf *scratch)
{
	char field[48];
	struct str value =
		str_ieq_c(h->name, "Subject") ? mail_decode_header(x->mail, h->value) : h->value;
	if (str_ieq_c(h->name, "Subject"))
		value = without_tags(value);
	snprintf(field, sizeof(field), "h:%.*s", (int)(h->name.n > 40 ? 40 : h->name.n), h->name.p);
	for (char *p = field; *p; p++)
		*p = char_lower(*p);
	buf_clear(scratch);
	ref_fold(value, 200, scratch);
	open_field(x, field, 2);
	words_of(x, buf_str(scratch));
	/* That it is there, and where it stands among the others, is a trait of its sender's
	 * program. */
	add_token(x, hash_octets(x, 2, str_c(field)));
}

static void headers_of(struct extractor *x)
{
	struct buf canonical = BUF_INIT, scratch = BUF_INIT;
	uint64_t order = 0;
	size_t received = 0;
	for (size_t i = 0; i < x->mail->headers.n && i < 100; i++) {
		const struct mail_header *h = &x->mail->headers.v[i];
		if (is_left_out(h->name) || (str_ieq_c(h->name, "Received") && ++received > 3))
			continue;
		header_words(x, h, &scratch);
		uint64_t name =
			hash_octets(x, 3, arena_lower(x->mail->arena, str_sub(h->name, 0, 60)));
		add_token(x, mix(order * 5 + name));
		order = name;
		if (canonical.n >= FEATURES_HEADER_BYTES)
			continue;
		buf_str_add(&canonical, str_sub(h->name, 0, 60));
		buf_c(&canonical, ": ");
		struct str value = str_sub(h->value, 0, 150);
		if (str_ieq_c(h->name, "Subject"))
			value = without_tags(mail_decode_header(x->mail, h->value));
		buf_str_add(&canonical, str_sub(value, 0, 150));
		buf_char(&canonical, '\n');
	}
	grams_of(x, str_sub(buf_str(&canonical), 0, FEATURES_HEADER_BYTES));
	buf_free(&canonical);
	buf_free(&scratch);
}

/* Body */

static void links_of(struct extractor *x)
{
	mail_urls(x->mail);
	for (size_t i = 0; i < x->mail->urls.n && i < HOSTS_MAX; i++) {
		struct str host = x->mail->urls.v[i].host;
		uint64_t field = field_of(x, "url");
		add_token(x, hash_octets(x, field, host));
		for (size_t dot = str_chr(host, '.'); dot < host.n; dot = str_chr(host, '.')) {
			host = str_skip(host, dot + 1);
			add_token(x, hash_octets(x, field, host));
		}
	}
}

static void structure_of(struct extractor *x)
{
	char text[200];
	for (size_t i = 0; i < x->mail->parts.n && i < PARTS_MAX; i++) {
		const struct mail_part *p = &x->mail->parts.v[i];
		int n = snprintf(text, sizeof(text), "%u %.*s/%.*s %.*s %d", p->depth,
			(int)(p->type.n % 40), p->type.p, (int)(p->subtype.n % 40), p->subtype.p,
			(int)(p->charset.n % 40), p->charset.n ? p->charset.p : "",
			(int)p->encoding);
		struct str part = str_from(text, (size_t)n);
		add_token(x, hash_octets(x, 4, part));
		size_t dot = str_rchr(p->filename, '.');
		if (dot < p->filename.n)
			add_token(x, hash_octets(x, 5, str_sub(p->filename, dot, 10)));
	}
	for (int a = 0; a < MAIL_ANOMALY_COUNT; a++)
		if (mail_has(x->mail, (enum mail_anomaly)a))
			add_token(x, mix(0x616e6f6du + (uint64_t)a * 77 + x->key[0]));
}

/* Words as they were written, if not all in lower case: fold.h would hide the shouting. */
static void shouts_of(struct extractor *x, struct str s)
{
	uint64_t field = field_of(x, "case");
	for (size_t i = 0; i < s.n;) {
		size_t from = i;
		bool loud = false;
		for (; i < s.n && (char_is_alnum(s.p[i]) || s.p[i] == '!' || s.p[i] == '$'); i++)
			loud |= s.p[i] <= 'Z';
		struct str word = str_sub(s, from, i - from < WORD_MAX ? i - from : WORD_MAX);
		if (loud)
			add_token(x, hash_octets(x, field, word));
		if (i == from)
			i++;
	}
}

static void add_tag(struct extractor *x, uint64_t field, struct str tag)
{
	add_token(x, hash_octets(x, field, tag));
}

/* Tags of markup, with each of their attributes so far: how a body was made, not what it says. */
static void tags_of(struct extractor *x, struct str s)
{
	uint64_t field = field_of(x, "tag");
	for (size_t i = str_chr(s, '<'); i < s.n; i++) {
		if (s.p[i] != '<')
			continue;
		size_t end = i + 1;
		while (end < s.n && end - i < TAG_MAX && s.p[end] != '>' && s.p[end] != '<')
			if (s.p[end++] == ' ')
				add_tag(x, field, str_sub(s, i, end - i));
		add_tag(x, field, str_sub(s, i, end - i));
		i = end - 1;
	}
}

static void body_of(struct extractor *x)
{
	struct buf text = BUF_INIT;
	struct str raw = x->mail->body, plain = mail_text(x->mail);
	ref_fold(plain, FEATURES_WORD_BYTES, &text);
	open_field(x, "body", 1);
	words_of(x, buf_str(&text));
	shouts_of(x, str_sub(plain, 0, FEATURES_STYLE_BYTES));
	tags_of(x, str_sub(raw, 0, FEATURES_STYLE_BYTES));
	grams_of(x, str_sub(buf_str(&text), 0, FEATURES_TEXT_BYTES));
	/* The raw body too: markup and encodings are a trait of the sender's program. */
	grams_of(x, str_sub(raw, 0, FEATURES_TEXT_BYTES));
	buf_free(&text);
}

static void ref_extract(struct extractor *x, struct mail *mail, const uint8_t salt[16])
{
	x->mail = mail;
	memcpy(x->key, salt, sizeof(x->key));
	x->key[1] |= 1;
	x->gram_count = x->token_count = 0;
	x->is_body = false;
	headers_of(x);
	x->is_body = true;
	body_of(x);
	links_of(x);
	structure_of(x);
}

#endif
