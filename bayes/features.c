#include "bayes/features.h"

#include "bayes/fold.h"
#include <stdio.h>

#include "core/json.h"
#include "core/limits.h"

enum {
	GRAM_SET = 16384, /* slots of the sets that keep features single: powers of two, twice as
			     many */
	TOKEN_SET = 16384,
	WINDOW = 3,    /* words that a pair may span */
	WORD_MAX = 40, /* a longer word is cut: its start says enough */
	HOSTS_MAX = 60,
	PARTS_MAX = 30,
	TAG_MAX = 60,
	TEXT_MAX = 60, /* of each of what a token was made of, when it is explained */
};

struct extractor {
	struct mail *mail;
	uint64_t key[2];
	/* What was found; then sets of it: indices plus one into these, so that all is in the
	 * cache. */
	uint32_t grams[FEATURES_GRAMS];
	uint64_t tokens[FEATURES_TOKENS];
	size_t gram_count, token_count;
	uint16_t gram_set[GRAM_SET], token_set[TOKEN_SET];
	uint64_t window[WINDOW]; /* hashes of the last words, newest first */
	struct str window_words[WINDOW];
	size_t window_count;
	uint64_t field;
	const char *field_name;
	/* Those whose text is asked for. */
	const uint64_t *asked;
	size_t asked_count;
	struct str *texts;
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

/* Sets */

static void add_gram(struct extractor *x, uint32_t h)
{
	size_t at = h % GRAM_SET;
	for (; x->gram_set[at]; at = (at + 1) % GRAM_SET)
		if (x->grams[x->gram_set[at] - 1] == h)
			return;
	if (x->gram_count == FEATURES_GRAMS)
		return;
	x->grams[x->gram_count++] = h;
	x->gram_set[at] = (uint16_t)x->gram_count;
}

static void add_token(struct extractor *x, uint64_t h)
{
	size_t at = h % TOKEN_SET;
	for (; x->token_set[at]; at = (at + 1) % TOKEN_SET)
		if (x->tokens[x->token_set[at] - 1] == h)
			return;
	if (x->token_count == FEATURES_TOKENS)
		return;
	x->tokens[x->token_count++] = h;
	x->token_set[at] = (uint16_t)x->token_count;
}

/* The same, and what it was made of: one text, or two. */
static void tell(struct extractor *x, uint64_t h, const char *kind, struct str a, struct str b)
{
	for (size_t i = 0; i < x->asked_count; i++) {
		struct buf text = BUF_INIT;
		if (x->asked[i] != h || x->texts[i].n)
			continue;
		buf_printf(&text, "%s \"", kind);
		text_safe(&text, a, TEXT_MAX);
		if (b.n)
			buf_c(&text, " … ");
		text_safe(&text, b, TEXT_MAX);
		buf_char(&text, '"');
		x->texts[i] = arena_dup(x->mail->arena, buf_str(&text));
		buf_free(&text);
	}
}

static inline void add_told(
	struct extractor *x, uint64_t h, const char *kind, struct str a, struct str b)
{
	add_token(x, h);
	if (x->asked_count)
		tell(x, h, kind, a, b);
}

/* View A */

static void grams_of(struct extractor *x, struct str s, uint64_t field)
{
	uint32_t window = 0;
	for (size_t i = 0; i < s.n; i++) {
		window = window << 8 | (unsigned char)s.p[i];
		if (i >= 3)
			add_gram(x,
				(uint32_t)(((window ^ field) + (uint32_t)x->key[0]) * x->key[1] >>
					   32));
	}
}

/* View B */

static void open_field(struct extractor *x, const char *name)
{
	x->field = field_of(x, name);
	/* "h:" keeps headers and other fields apart. */
	x->field_name = str_starts(str_c(name), "h:") ? name + 2 : name;
	x->window_count = 0;
}

static void add_word(struct extractor *x, struct str word)
{
	uint64_t h = hash_octets(x, x->field, str_sub(word, 0, WORD_MAX));
	add_told(x, h, x->field_name, word, STR(""));
	for (size_t i = 0; i < x->window_count; i++)
		add_told(x, mix(x->window[i] * (2 * i + 3) + h), x->field_name, x->window_words[i],
			word);
	memmove(x->window + 1, x->window, sizeof(x->window) - sizeof(x->window[0]));
	memmove(x->window_words + 1, x->window_words,
		sizeof(x->window_words) - sizeof(x->window_words[0]));
	x->window[0] = h;
	x->window_words[0] = word;
	if (x->window_count < WINDOW - 1)
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
	fold_text(value, 500, scratch);
	open_field(x, field);
	words_of(x, buf_str(scratch));
	/* That it is there, and where it stands among the others, is a trait of its sender's
	 * program. */
	add_told(x, hash_octets(x, 2, str_c(field)), "header", str_c(x->field_name), STR(""));
}

static void headers_of(struct extractor *x)
{
	struct buf canonical = BUF_INIT, scratch = BUF_INIT;
	uint64_t order = 0;
	struct str before = STR("");
	size_t received = 0;
	for (size_t i = 0; i < x->mail->headers.n && i < 100; i++) {
		const struct mail_header *h = &x->mail->headers.v[i];
		if (is_left_out(h->name) || (str_ieq_c(h->name, "Received") && ++received > 3))
			continue;
		header_words(x, h, &scratch);
		uint64_t name =
			hash_octets(x, 3, arena_lower(x->mail->arena, str_sub(h->name, 0, 60)));
		add_told(x, mix(order * 5 + name), "header order", before, h->name);
		order = name;
		before = h->name;
		if (canonical.n >= FEATURES_HEADER_BYTES)
			continue;
		buf_str_add(&canonical, str_sub(h->name, 0, 60));
		buf_c(&canonical, ": ");
		struct str value = str_sub(h->value, 0, 400);
		if (str_ieq_c(h->name, "Subject"))
			value = without_tags(mail_decode_header(x->mail, h->value));
		buf_str_add(&canonical, str_sub(value, 0, 400));
		buf_char(&canonical, '\n');
	}
	grams_of(x, str_sub(buf_str(&canonical), 0, FEATURES_HEADER_BYTES), 0);
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
		add_told(x, hash_octets(x, field, host), "link", host, STR(""));
		for (size_t dot = str_chr(host, '.'); dot < host.n; dot = str_chr(host, '.')) {
			host = str_skip(host, dot + 1);
			add_told(x, hash_octets(x, field, host), "link", host, STR(""));
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
		add_told(x, hash_octets(x, 4, part), "part", part, STR(""));
		size_t dot = str_rchr(p->filename, '.');
		if (dot < p->filename.n)
			add_told(x, hash_octets(x, 5, str_sub(p->filename, dot, 10)), "attachment",
				str_sub(p->filename, dot, 10), STR(""));
	}
	for (int a = 0; a < MAIL_ANOMALY_COUNT; a++)
		if (mail_has(x->mail, (enum mail_anomaly)a))
			add_told(x, mix(0x616e6f6du + (uint64_t)a * 77 + x->key[0]), "anomaly",
				str_c(mail_anomaly_name((enum mail_anomaly)a)), STR(""));
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
			add_told(x, hash_octets(x, field, word), "written", word, STR(""));
		if (i == from)
			i++;
	}
}

static void add_tag(struct extractor *x, uint64_t field, struct str tag)
{
	add_told(x, hash_octets(x, field, tag), "markup", tag, STR(""));
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
	fold_text(plain, FEATURES_WORD_BYTES, &text);
	open_field(x, "body");
	words_of(x, buf_str(&text));
	shouts_of(x, str_sub(plain, 0, FEATURES_WORD_BYTES));
	tags_of(x, str_sub(raw, 0, FEATURES_WORD_BYTES));
	grams_of(x, str_sub(buf_str(&text), 0, FEATURES_TEXT_BYTES), 0);
	/* The raw body too: markup and encodings are a trait of the sender's program. */
	grams_of(x, str_sub(raw, 0, FEATURES_TEXT_BYTES), 0);
	buf_free(&text);
}

static void extract(struct extractor *x, struct mail *mail, const uint8_t salt[16])
{
	x->mail = mail;
	memcpy(x->key, salt, sizeof(x->key));
	x->key[1] |= 1;
	x->gram_count = x->token_count = 0;
	memset(x->gram_set, 0, sizeof(x->gram_set));
	memset(x->token_set, 0, sizeof(x->token_set));
	headers_of(x);
	body_of(x);
	links_of(x);
	structure_of(x);
}

void features_of(struct mail *mail, const uint8_t salt[16], struct features *features_r)
{
	struct extractor x;
	x.asked_count = 0;
	extract(&x, mail, salt);
	features_r->gram_count = x.gram_count;
	features_r->token_count = x.token_count;
	features_r->grams = ARENA_ARRAY(mail->arena, x.gram_count, uint32_t);
	features_r->tokens = ARENA_ARRAY(mail->arena, x.token_count, uint64_t);
	memcpy(features_r->grams, x.grams, x.gram_count * sizeof(x.grams[0]));
	memcpy(features_r->tokens, x.tokens, x.token_count * sizeof(x.tokens[0]));
}

void features_explain(struct mail *mail, const uint8_t salt[16], const uint64_t *tokens, size_t n,
	struct str *texts_r)
{
	struct extractor x;
	for (size_t i = 0; i < n; i++)
		texts_r[i] = STR("");
	x.asked = tokens;
	x.asked_count = n;
	x.texts = texts_r;
	extract(&x, mail, salt);
}
