#include "bayes/features.h"

#include "bayes/fold.h"
#include "bayes/marks.h"
#include <endian.h>
#include <stdio.h>

#include "core/json.h"
#include "core/limits.h"

enum {
	/* The sets that keep features single: slots, powers of two, and many more than features
	 * since neighbours cost time. */
	GRAM_SET = 8192,
	TOKEN_SET = 8192,
	GRAMS_MOST = FEATURES_HEADER_BYTES + 2 * FEATURES_TEXT_BYTES,
	/* A pair is of words that are at most so far apart. Pairs of a text beyond neighbours made
	 * it worse, those of headers made it better. */
	HEADER_SPAN = 2,
	TEXT_SPAN = 1,
	WORD_MAX = 40, /* a longer word is cut: its start says enough */
	HOSTS_MAX = 60,
	PARTS_MAX = 30,
	NAME_MAX_BYTES = 60, /* of a header's name */
	NAME_ROUND = 64,     /* no less, and a round number: so many letters are lowered at once */
	FIELD_NAME_MAX = 40, /* of it, where it stands for its words' field */
	HEADER_WORD_BYTES = 200,
	HEADER_GRAM_BYTES = 150,
	TAG_MAX = 60,
	TEXT_MAX = 60, /* of each of what a token was made of, when it is explained */
	ASKED_BITS = 1024,
	SLACK = MARKS_SLACK, /* octets that may be read behind a padded text's end */
};

_Static_assert((int)GRAMS_MOST <= (int)FEATURES_GRAMS, "grams of all that is looked at have room");
_Static_assert((int)GRAMS_MOST < GRAM_SET / 2, "the set is never full");
_Static_assert((int)FEATURES_TOKENS < (int)TOKEN_SET, "the set is never full");
_Static_assert(FEATURES_WORD_BYTES + 3 <= MARKS_BYTES, "a folded text may end within a character");

struct extractor {
	struct mail *mail;
	uint64_t key[2];
	/* What was found; then sets of it: indices plus one into these, so that all is in the
	 * cache. */
	uint32_t grams[GRAMS_MOST + 1];
	uint64_t tokens[FEATURES_TOKENS + 2];
	size_t gram_count, token_count;
	uint32_t gram_set[GRAM_SET];
	uint16_t token_set[TOKEN_SET];
	uint64_t last[HEADER_SPAN]; /* hashes of the last words, newest first */
	struct str last_words[HEADER_SPAN];
	size_t last_count, span;
	uint64_t field;
	const char *field_name;
	enum features_side side; /* that is gone over */
	/* Those whose text is asked for; then nothing is collected. A clear bit: it is none of them. */
	const uint64_t *asked;
	size_t asked_count;
	uint64_t asked_bits[ASKED_BITS / 64];
	struct str *texts;
};

static inline uint64_t with_side(const struct extractor *x, uint64_t token)
{
	const uint64_t bit = (uint64_t)1 << FEATURES_TOKEN_SIDE;
	return (token & ~bit) | (uint64_t)x->side << FEATURES_TOKEN_SIDE;
}

/* Hashing: keyed, and cheap, since thousands are made of each message. */

static uint64_t mix(uint64_t h)
{
	h ^= h >> 32;
	h *= 0xd6e8feb86659fd93u;
	h ^= h >> 32;
	h *= 0xd6e8feb86659fd93u;
	return h ^ h >> 32;
}

/* The whole eights of s; what is left of it is for hash_end(). */
static inline uint64_t hash_eights(const struct extractor *x, uint64_t h, struct str *s)
{
	for (; s->n >= 8; *s = str_skip(*s, 8)) {
		uint64_t word;
		memcpy(&word, s->p, 8);
		h = mix(h ^ word) + x->key[1];
	}
	return h;
}

/* The last n < 8 octets, of eight that can be read. */
static inline uint64_t hash_end(const struct extractor *x, uint64_t h, const char *p, size_t n)
{
	uint64_t eight;
	memcpy(&eight, p, 8);
	uint64_t last = n << 8 * n | be64toh(eight) >> 1 >> (63 - 8 * n);
	return mix(h ^ last ^ x->key[1]);
}

/* Of a text that has SLACK octets behind it. */
static inline uint64_t hash_padded(const struct extractor *x, uint64_t seed, struct str s)
{
	uint64_t h = hash_eights(x, seed ^ x->key[0], &s);
	return hash_end(x, h, s.p, s.n);
}

static uint64_t hash_octets(const struct extractor *x, uint64_t seed, struct str s)
{
	char end[8] = {0};
	uint64_t h = hash_eights(x, seed ^ x->key[0], &s);
	if (s.n)
		memcpy(end, s.p, s.n);
	return hash_end(x, h, end, s.n);
}

static uint64_t field_of(const struct extractor *x, const char *name)
{
	return hash_octets(x, 1, str_c(name));
}

/*
 * Sets. What is new and what is not cannot be foreseen, so nothing branches on it: each feature is
 * written behind the last one, and then counted or not; and a product tells "neither free nor the
 * same" in one step. A gram of 0 is free space, so there is none; index 0 of tokens is nobody's.
 */

static inline size_t put_gram(struct extractor *x, size_t count, uint32_t h)
{
	size_t at = h % GRAM_SET;
	uint32_t other;
	while (other = x->gram_set[at], (uint64_t)other * (other ^ h))
		at = (at + 1) % GRAM_SET;
	x->gram_set[at] = h;
	x->grams[count] = h;
	return count + (other != h);
}

static inline size_t put_token(struct extractor *x, size_t count, uint64_t h)
{
	h = with_side(x, h);
	size_t at = h % TOKEN_SET, index;
	while (index = x->token_set[at], index * (x->tokens[index] != h))
		at = (at + 1) % TOKEN_SET;
	bool fresh = (index == 0) & (count < FEATURES_TOKENS);
	x->tokens[count + 1] = h;
	x->token_set[at] = (uint16_t)(fresh ? count + 1 : index);
	return count + fresh;
}

static void add_token(struct extractor *x, uint64_t h)
{
	x->token_count = put_token(x, x->token_count, h);
}

static void tell_asked(struct extractor *x, uint64_t h, const char *kind, struct str a, struct str b)
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

/* What a token was made of: one text, or two. */
static inline void tell(
	struct extractor *x, uint64_t h, const char *kind, struct str a, struct str b)
{
	h = with_side(x, h);
	if (x->asked_bits[h % ASKED_BITS / 64] >> h % 64 & 1)
		tell_asked(x, h, kind, a, b);
}

static inline void add_told(
	struct extractor *x, uint64_t h, const char *kind, struct str a, struct str b)
{
	if (x->asked_count)
		tell(x, h, kind, a, b);
	else
		add_token(x, h);
}

/* View A */

static void grams_of(struct extractor *x, struct str s)
{
	const uint32_t rest = ((uint32_t)1 << FEATURES_GRAM_SIDE) - 1;
	const uint32_t side = (uint32_t)x->side << FEATURES_GRAM_SIDE;
	/* Of a side of its own: the same octets are another gram there. */
	uint64_t add = (uint32_t)(x->key[0] >> 32 * x->side), times = x->key[1];
	size_t count = x->gram_count;
	if (x->asked_count)
		return;
	for (size_t i = 0; i + 4 <= s.n; i++) {
		uint32_t four;
		memcpy(&four, s.p + i, sizeof(four));
		uint32_t h = (uint32_t)((be32toh(four) + add) * times >> 32);
		count = put_gram(x, count, (h & rest) | side);
	}
	x->gram_count = count;
}

/* View B */

static void open_field(struct extractor *x, uint64_t field, const char *name, size_t span)
{
	x->field = field;
	x->field_name = name;
	x->last_count = 0;
	x->span = span;
}

static inline uint64_t pair_of(const struct extractor *x, size_t i, uint64_t h)
{
	return mix(x->last[i] * (2 * i + 3) + h);
}

static void tell_word(struct extractor *x, struct str word, uint64_t h)
{
	tell(x, h, x->field_name, word, STR(""));
	for (size_t i = 0; i < x->last_count; i++)
		tell(x, pair_of(x, i, h), x->field_name, x->last_words[i], word);
	x->last_words[1] = x->last_words[0];
	x->last_words[0] = word;
}

/* `word` is padded. */
static inline void add_word(struct extractor *x, struct str word)
{
	uint64_t h = hash_padded(x, x->field, str_sub(word, 0, WORD_MAX));
	if (x->asked_count) {
		tell_word(x, word, h);
	} else {
		size_t count = put_token(x, x->token_count, h);
		for (size_t i = 0; i < x->last_count; i++)
			count = put_token(x, count, pair_of(x, i, h));
		x->token_count = count;
	}
	x->last[1] = x->last[0];
	x->last[0] = h;
	x->last_count += x->last_count < x->span;
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
	return (word.p[0] & 0x80) && word.n > 6 && str_utf8(word, &code) == 3 && code >= 0x2e80;
}

/* `s` is padded. */
static void words_of(struct extractor *x, struct str s)
{
	uint16_t ends[MARKS_ENDS];
	size_t count = marks_words(s, ends);
	for (size_t i = 0; i < count; i += 2) {
		struct str word = str_from(s.p + ends[i], (size_t)(ends[i + 1] - ends[i]));
		while (word.n && (word.p[word.n - 1] == '.' || word.p[word.n - 1] == '-'))
			word.n--;
		if (word.n == 0)
			continue;
		if (is_wide(word))
			add_wide(x, word);
		else
			add_word(x, word);
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

enum {
	LEFT_OUT = sizeof(left_out) / sizeof(left_out[0]),
	LEFT_OUT_ROUND = (LEFT_OUT + 3) / 4 * 4, /* so that the compiler can compare four at once */
};

/* Nearly all names are told from all of these by the first four octets, which each of them has. */
static void note_left_out(uint32_t heads[LEFT_OUT_ROUND])
{
	memset(heads, 0, LEFT_OUT_ROUND * sizeof(heads[0]));
	for (size_t i = 0; i < LEFT_OUT; i++)
		memcpy(&heads[i], left_out[i], sizeof(heads[i]));
}

/* `name` is in lower case, and padded. */
static bool is_left_out(struct str name, const uint32_t heads[LEFT_OUT_ROUND])
{
	uint32_t head, found = 0;
	memcpy(&head, name.p, sizeof(head));
	for (size_t i = 0; i < LEFT_OUT_ROUND; i++)
		found |= heads[i] == head;
	for (size_t i = 0; found && i < LEFT_OUT; i++)
		if (heads[i] == head && str_starts(name, left_out[i]))
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

/* With octets behind it that can be read. */
static struct str padded(struct buf *text)
{
	buf_reserve(text, SLACK);
	return buf_str(text);
}

/* A header's name in lower case, behind "h:", which keeps headers and other fields apart. */
struct header_name {
	char text[2 + NAME_ROUND + SLACK];
	struct str name;
};

static void lower_name(struct str name, struct header_name *lower_r)
{
	char *p = lower_r->text + 2;
	memset(lower_r->text, 0, sizeof(lower_r->text));
	memcpy(lower_r->text, "h:", 2);
	lower_r->name = str_from(p, name.n < NAME_MAX_BYTES ? name.n : NAME_MAX_BYTES);
	memcpy(p, name.p, lower_r->name.n);
	for (size_t i = 0; i < NAME_ROUND; i++)
		p[i] = char_lower(p[i]);
}

static void header_words(
	struct extractor *x, struct header_name *lower, struct str value, struct buf *scratch)
{
	char *name = lower->text + 2;
	struct str field = {lower->text, 2 + strnlen(name, FIELD_NAME_MAX)};
	lower->text[field.n] = '\0';
	buf_clear(scratch);
	fold_text(value, HEADER_WORD_BYTES, scratch);
	open_field(x, hash_padded(x, 1, field), name, HEADER_SPAN);
	words_of(x, padded(scratch));
	/* That it is there, and where it stands among the others, is a trait of its sender's
	 * program. */
	add_told(x, hash_padded(x, 2, field), "header", str_skip(field, 2), STR(""));
}

/* What grams are made of, which has room for one more header. */
static void add_canonical(struct buf *canonical, struct str name, struct str value)
{
	buf_str_add(canonical, name);
	buf_c(canonical, ": ");
	buf_str_add(canonical, str_sub(value, 0, HEADER_GRAM_BYTES));
	buf_char(canonical, '\n');
}

static void headers_of(struct extractor *x)
{
	struct buf canonical = BUF_INIT, scratch = BUF_INIT;
	uint64_t order = 0;
	uint32_t heads[LEFT_OUT_ROUND];
	struct str before = STR("");
	size_t received = 0;
	note_left_out(heads);
	for (size_t i = 0; i < x->mail->headers.n && i < 100; i++) {
		const struct mail_header *h = &x->mail->headers.v[i];
		struct header_name lower;
		struct str value = h->value;
		lower_name(h->name, &lower);
		if (is_left_out(lower.name, heads) ||
			(str_eq(lower.name, STR("received")) && ++received > 3))
			continue;
		if (str_eq(lower.name, STR("subject")))
			value = without_tags(mail_decode_header(x->mail, value));
		uint64_t hash = hash_padded(x, 3, lower.name);
		header_words(x, &lower, value, &scratch);
		add_told(x, mix(order * 5 + hash), "header order", before, h->name);
		order = hash;
		before = h->name;
		if (canonical.n < FEATURES_HEADER_BYTES)
			add_canonical(&canonical, str_sub(h->name, 0, NAME_MAX_BYTES), value);
	}
	grams_of(x, str_sub(buf_str(&canonical), 0, FEATURES_HEADER_BYTES));
	buf_free(&canonical);
	buf_free(&scratch);
}

/* Body */

static void links_of(struct extractor *x)
{
	uint64_t field = field_of(x, "url");
	mail_urls(x->mail);
	for (size_t i = 0; i < x->mail->urls.n && i < HOSTS_MAX; i++) {
		struct str host = x->mail->urls.v[i].host;
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

/* Words as they were written, if not all in lower case: fold.h would hide the shouting. Padded. */
static void shouts_of(struct extractor *x, struct str s)
{
	struct marks marks, loud;
	uint64_t field = field_of(x, "case");
	marks_shouts(&marks, &loud, s);
	for (size_t at = 0; (at = marks_find(&loud, at, 0)) < s.n;) {
		struct str word = marks_run(&marks, s, at);
		at = (size_t)(word.p - s.p) + word.n;
		word.n = word.n < WORD_MAX ? word.n : WORD_MAX;
		add_told(x, hash_padded(x, field, word), "written", word, STR(""));
	}
}

/* A tag that stands at `at`, with each of its attributes so far; returns how long it is. */
static size_t add_tag(
	struct extractor *x, uint64_t field, struct str tag, const struct marks *stops, size_t at)
{
	struct str rest = tag;
	uint64_t h = field ^ x->key[0];
	size_t n = 1;
	for (bool more = true; more; more = more && n < tag.n) {
		size_t stop = marks_find(stops, at + n, 0) - at;
		more = stop < tag.n && tag.p[stop] == ' ';
		n = stop + more < tag.n ? stop + more : tag.n;
		rest.n = n - (size_t)(rest.p - tag.p);
		h = hash_eights(x, h, &rest);
		add_told(x, hash_end(x, h, rest.p, rest.n), "markup", str_sub(tag, 0, n), STR(""));
	}
	return n;
}

/* Tags of markup: how a body was made, not what it says. Padded. */
static void tags_of(struct extractor *x, struct str s)
{
	struct marks opens, stops;
	uint64_t field = field_of(x, "tag");
	if (str_chr(s, '<') == s.n)
		return;
	marks_tags(&opens, &stops, s);
	for (size_t at = 0; (at = marks_find(&opens, at, 0)) < s.n;)
		at += add_tag(x, field, str_sub(s, at, TAG_MAX), &stops, at);
}

/* All grams first, while their set is near. */
static void body_of(struct extractor *x)
{
	struct buf text = BUF_INIT;
	struct str raw = x->mail->body, plain = mail_text(x->mail);
	fold_text(plain, FEATURES_WORD_BYTES, &text);
	grams_of(x, str_sub(buf_str(&text), 0, FEATURES_TEXT_BYTES));
	/* The raw body too: markup and encodings are a trait of the sender's program. */
	grams_of(x, str_sub(raw, 0, FEATURES_TEXT_BYTES));
	open_field(x, field_of(x, "body"), "body", TEXT_SPAN);
	words_of(x, padded(&text));
	buf_clear(&text);
	buf_str_add(&text, str_sub(plain, 0, FEATURES_STYLE_BYTES));
	shouts_of(x, padded(&text));
	buf_clear(&text);
	buf_str_add(&text, str_sub(raw, 0, FEATURES_STYLE_BYTES));
	tags_of(x, padded(&text));
	buf_free(&text);
}

static void extract(struct extractor *x, struct mail *mail, const uint8_t salt[16])
{
	x->mail = mail;
	memcpy(x->key, salt, sizeof(x->key));
	x->key[1] |= 1;
	x->gram_count = x->token_count = 0;
	x->tokens[0] = 0;
	if (!x->asked_count) {
		memset(x->gram_set, 0, sizeof(x->gram_set));
		memset(x->token_set, 0, sizeof(x->token_set));
	}
	x->side = FEATURES_HEADERS;
	headers_of(x);
	x->side = FEATURES_BODY;
	body_of(x);
	links_of(x);
	structure_of(x);
}

void features_of(struct mail *mail, const uint8_t salt[16], struct features *features_r)
{
	struct extractor x;
	x.asked_count = 0;
	extract(&x, mail, salt);
	*features_r = (struct features){.gram_count = x.gram_count, .token_count = x.token_count};
	features_r->grams = ARENA_ARRAY(mail->arena, x.gram_count, uint32_t);
	features_r->tokens = ARENA_ARRAY(mail->arena, x.token_count, uint64_t);
	memcpy(features_r->grams, x.grams, x.gram_count * sizeof(x.grams[0]));
	memcpy(features_r->tokens, x.tokens + 1, x.token_count * sizeof(x.tokens[0]));
}

void features_explain(struct mail *mail, const uint8_t salt[16], const uint64_t *tokens, size_t n,
	struct str *texts_r)
{
	struct extractor x;
	memset(x.asked_bits, 0, sizeof(x.asked_bits));
	for (size_t i = 0; i < n; i++) {
		texts_r[i] = STR("");
		x.asked_bits[tokens[i] % ASKED_BITS / 64] |= (uint64_t)1 << tokens[i] % 64;
	}
	x.asked = tokens;
	x.asked_count = n;
	x.texts = texts_r;
	if (n)
		extract(&x, mail, salt);
}
