#include "rules/match.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#define STEPS_MAX	100000
#define DEPTH_MAX	5000
#define HEAP_MAX_KIB	4096
#define JIT_STACK_MIN	(64u << 10)
#define JIT_STACK_MAX	(1u << 20)
#define BUCKETS		4096

struct matcher {
	pcre2_compile_context *compile;
	pcre2_match_context *match;
	pcre2_match_data *data;
	pcre2_jit_stack *stack;
};

/* Expressions live as long as the process: their memory is its arena's. */
static void *take(PCRE2_SIZE size, void *arena)
{
	return arena_alloc(arena, size);
}

static void give_back(void *p, void *arena)
{
}

void match_close(struct matcher **m)
{
	if (*m)
		pcre2_jit_stack_free((*m)->stack);
	*m = NULL;
}

struct matcher *match_open(struct arena *arena, struct err *err)
{
	struct matcher *m = ARENA_NEW(arena, struct matcher);
	pcre2_general_context *general = pcre2_general_context_create(take, give_back, arena);

	m->compile = pcre2_compile_context_create(general);
	m->match = pcre2_match_context_create(general);
	m->data = pcre2_match_data_create(1, general);
	m->stack = pcre2_jit_stack_create(JIT_STACK_MIN, JIT_STACK_MAX, general);
	if (!m->stack) {
		err_set(err, "no memory for regular expressions");
		return NULL;
	}
	pcre2_set_max_pattern_length(m->compile, 32768);
	pcre2_set_parens_nest_limit(m->compile, 100);
	pcre2_set_match_limit(m->match, STEPS_MAX);
	pcre2_set_depth_limit(m->match, DEPTH_MAX);
	pcre2_set_heap_limit(m->match, HEAP_MAX_KIB);
	pcre2_jit_stack_assign(m->match, NULL, m->stack);
	return m;
}

/* ---- compiling ---- */

/* "\xe4" stands for an octet in rules that were written for undecoded mail. */
static bool writes_octets(struct str s)
{
	for (size_t i = 0; i + 2 < s.n; i++) {
		if (s.p[i] != '\\')
			continue;
		i++;
		if (s.p[i] == 'x' && char_hex(s.p[i + 1]) >= 8 && i + 2 < s.n &&
			char_hex(s.p[i + 2]) >= 0)
			return true;
	}
	return false;
}

static int read_flags(struct str flags, uint32_t *options_r, struct err *err)
{
	*options_r = PCRE2_NEVER_BACKSLASH_C | PCRE2_MULTILINE;
	for (size_t i = 0; i < flags.n; i++) {
		switch (flags.p[i]) {
		case 'i':
			*options_r |= PCRE2_CASELESS;
			break;
		case 's':
			*options_r |= PCRE2_DOTALL;
			break;
		case 'x':
			*options_r |= PCRE2_EXTENDED;
			break;
		case 'm':
		case 'g':
		case 'o':
		case 'u':
		case 'a':
			break;
		default:
			return err_set(err, "unknown flag '%c' of a regular expression", flags.p[i]);
		}
	}
	return 0;
}

int match_compile(const struct matcher *m, struct arena *arena, struct str expression,
	struct str flags, bool octets, struct match_pattern *pattern_r, struct err *err)
{
	uint32_t options;
	int code;
	size_t at;

	if (read_flags(flags, &options, err) < 0)
		return -1;
	if (!str_is_utf8(expression) || writes_octets(expression))
		octets = true;
	if (!octets)
		options |= PCRE2_UTF | PCRE2_MATCH_INVALID_UTF;
	struct match_pattern p = { .caseless = options & PCRE2_CASELESS };
	p.code = pcre2_compile((PCRE2_SPTR)expression.p, expression.n, options, &code, &at,
		m->compile);
	if (!p.code) {
		char text[200];
		pcre2_get_error_message(code, (PCRE2_UCHAR *)text, sizeof(text));
		return err_set(err, "%s, at character %zu of the regular expression", text, at + 1);
	}
	/* Without JIT (an unusual machine, or a hardened kernel) the interpreter does the work. */
	(void)pcre2_jit_compile(p.code, PCRE2_JIT_COMPLETE);
	if (!(options & PCRE2_EXTENDED))
		p.literals = literal_find(arena, expression, !octets && !p.caseless);
	*pattern_r = p;
	return 0;
}

void match_release(struct match_pattern *pattern)
{
	pcre2_code_free(pattern->code);
	pattern->code = NULL;
}

/* ---- matching ---- */

enum match_result match_try(const struct matcher *m, const struct match_pattern *pattern,
	struct str text)
{
	/* PCRE2 refuses a NULL pointer even for no octets. */
	const char *p = text.n ? text.p : "";
	int rc = pcre2_match(pattern->code, (PCRE2_SPTR)p, text.n, 0, 0, m->data, m->match);

	if (rc >= 0)
		return MATCH_YES;
	return rc == PCRE2_ERROR_NOMATCH || rc == PCRE2_ERROR_PARTIAL ? MATCH_NO : MATCH_LIMIT;
}

/* ---- sets ---- */

/* A literal of a pattern, found by its first three octets. */
struct needle {
	struct str literal;
	uint32_t head;
	uint16_t next; /* in the bucket; 0: the last */
	size_t pattern;
};

struct match_set {
	const struct match_pattern *const *patterns;
	size_t n;
	struct needle *needles; /* [0] is not used */
	size_t needle_count;
	uint16_t buckets[BUCKETS];
};

static size_t bucket_of(uint32_t head)
{
	return head * 0x9e3779b1u >> 20;
}

static uint32_t head_of(const char *p)
{
	return (uint32_t)(unsigned char)p[0] << 16 | (uint32_t)(unsigned char)p[1] << 8 |
		(unsigned char)p[2];
}

static void add_needle(struct match_set *set, struct str literal, size_t pattern)
{
	uint32_t head = head_of(literal.p);
	uint16_t *bucket = &set->buckets[bucket_of(head)];

	set->needles[set->needle_count] =
		(struct needle){ literal, head, *bucket, pattern };
	*bucket = (uint16_t)set->needle_count++;
}

struct match_set *match_set(struct arena *arena, const struct match_pattern *const *patterns,
	size_t n)
{
	struct match_set *set = ARENA_NEW(arena, struct match_set);
	size_t total = 1;

	set->patterns = patterns;
	set->n = n;
	for (size_t i = 0; i < n; i++)
		total += patterns[i]->literals.n;
	set->needles = ARENA_ARRAY(arena, total < UINT16_MAX ? total : UINT16_MAX, struct needle);
	set->needle_count = 1;
	/* What finds no place any more counts as a pattern without literals: see is_known(). */
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < patterns[i]->literals.n && total < UINT16_MAX; k++)
			add_needle(set, patterns[i]->literals.v[k], i);
	return set;
}

static bool is_known(const struct match_set *set, size_t i)
{
	return set->needle_count > 1 && set->patterns[i]->literals.n;
}

static void check_bucket(const struct match_set *set, size_t first, uint32_t head, struct str rest,
	bool *candidates)
{
	for (size_t k = first; k; k = set->needles[k].next) {
		const struct needle *needle = &set->needles[k];
		if (needle->head == head && !candidates[needle->pattern] &&
			rest.n >= needle->literal.n &&
			str_ieq(str_sub(rest, 0, needle->literal.n), needle->literal))
			candidates[needle->pattern] = true;
	}
}

/* The Kelvin sign and the long s are 'k' and 's' to an expression without case. */
static bool folds_oddly(struct str text)
{
	return str_find(text, STR("\xe2\x84\xaa")) < text.n ||
		str_find(text, STR("\xc5\xbf")) < text.n;
}

void match_candidates(const struct match_set *set, struct str text, bool *candidates)
{
	bool odd = folds_oddly(text);
	uint32_t head = 0;

	for (size_t i = 0; i < set->n; i++)
		if (!is_known(set, i) || (odd && set->patterns[i]->caseless))
			candidates[i] = true;
	for (size_t i = 0; i < text.n; i++) {
		head = (head << 8 | (unsigned char)char_lower(text.p[i])) & 0xffffff;
		size_t first = set->buckets[bucket_of(head)];
		if (first && i >= 2)
			check_bucket(set, first, head, str_skip(text, i - 2), candidates);
	}
}
