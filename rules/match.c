#include "rules/match.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#define STEPS_MAX	100000
#define DEPTH_MAX	5000
#define HEAP_MAX_KIB	4096
#define JIT_STACK_MIN	(64u << 10)
#define JIT_STACK_MAX	(1u << 20)
#define LITERAL_MIN	3  /* shorter ones are found everywhere */
#define LITERAL_MAX	64

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

/* ---- the literal ---- */

/* What can follow an item and make it optional or repeated. */
static bool is_optional(struct str rest)
{
	return rest.n && (rest.p[0] == '?' || rest.p[0] == '*' || rest.p[0] == '{');
}

/* Behind the bracket expression that begins at s.p[0]. */
static size_t class_end(struct str s)
{
	size_t i = 1;
	if (i < s.n && s.p[i] == '^')
		i++;
	if (i < s.n && s.p[i] == ']')
		i++;
	for (; i < s.n && s.p[i] != ']'; i++) {
		if (s.p[i] == '\\')
			i++;
		else if (s.p[i] == '[' && i + 1 < s.n && s.p[i + 1] == ':') {
			size_t close = str_find(str_skip(s, i), STR(":]"));
			if (i + close < s.n)
				i += close + 1;
		}
	}
	return i + 1;
}

/* Behind the group that begins at s.p[0]; s.n + 1 if it holds what changes the meaning outside. */
static size_t group_end(struct str s)
{
	unsigned depth = 0;
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '\\')
			i++;
		else if (s.p[i] == '[')
			i += class_end(str_skip(s, i)) - 1;
		else if (s.p[i] == '(')
			depth++;
		else if (s.p[i] == ')' && --depth == 0)
			return i + 1;
	}
	return s.n;
}

/* "(?i)", "(*UTF)", "\Q": this reader does not follow these, so it says nothing. */
static bool has_surprises(struct str s)
{
	for (size_t i = 0; i + 1 < s.n; i++) {
		if (s.p[i] == '\\') {
			if (s.p[i + 1] == 'Q' || s.p[i + 1] == 'K')
				return true;
			i++;
		} else if (s.p[i] == '(' && s.p[i + 1] == '*') {
			return true;
		} else if (s.p[i] == '(' && s.p[i + 1] == '?' && i + 2 < s.n &&
			   !strchr(":=!<", s.p[i + 2])) {
			return true;
		}
	}
	return false;
}

struct run {
	char p[LITERAL_MAX];
	size_t n;
};

static void keep_longest(struct run *best, struct run *current)
{
	if (current->n > best->n)
		*best = *current;
	current->n = 0;
}

static void append(struct run *best, struct run *current, char c)
{
	if (current->n == LITERAL_MAX)
		keep_longest(best, current);
	current->p[current->n++] = c;
}

struct str match_literal(struct arena *arena, struct str s, bool caseless, bool extended)
{
	struct run best = { .n = 0 }, current = { .n = 0 };

	if (extended || has_surprises(s))
		return STR("");
	for (size_t i = 0; i < s.n;) {
		char c = s.p[i];
		size_t used = 1;
		bool literal = true;

		if (c == '|')
			return STR("");
		if (c == '(' || c == '[') {
			struct str rest = str_skip(s, i);
			used = c == '(' ? group_end(rest) : class_end(rest);
			literal = false;
		} else if (c == '\\') {
			used = 2;
			c = i + 1 < s.n ? s.p[i + 1] : 0;
			literal = c > ' ' && c < 0x7f && !char_is_alnum(c);
			if (c == 'x' || c == 'p' || c == 'P' || c == 'N' || c == 'o' || c == 'g' ||
				c == 'k' || c == 'c' || char_is_digit(c)) {
				/* Escapes of several characters: whatever follows could be theirs. */
				keep_longest(&best, &current);
				break;
			}
		} else if (strchr(".^$?*+{})", c) || c == '\0' || (unsigned char)c >= 0x80) {
			literal = false;
			if (c == '{')
				used = str_chr(str_skip(s, i), '}') + 1;
		}
		i += used;
		if (!literal || is_optional(str_skip(s, i))) {
			keep_longest(&best, &current);
			continue;
		}
		append(&best, &current, caseless ? char_lower(c) : c);
		if (i < s.n && s.p[i] == '+')
			keep_longest(&best, &current);
	}
	keep_longest(&best, &current);
	return best.n >= LITERAL_MIN ? arena_dup(arena, str_from(best.p, best.n)) : STR("");
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
	struct match_pattern p = { .caseless = options & PCRE2_CASELESS, .octets = octets };
	p.code = pcre2_compile((PCRE2_SPTR)expression.p, expression.n, options, &code, &at,
		m->compile);
	if (!p.code) {
		char text[200];
		pcre2_get_error_message(code, (PCRE2_UCHAR *)text, sizeof(text));
		return err_set(err, "%s, at character %zu of the regular expression", text, at + 1);
	}
	/* Without JIT (an unusual machine, or a hardened kernel) the interpreter does the work. */
	(void)pcre2_jit_compile(p.code, PCRE2_JIT_COMPLETE);
	p.literal = match_literal(arena, expression, p.caseless, options & PCRE2_EXTENDED);
	*pattern_r = p;
	return 0;
}

void match_release(struct match_pattern *pattern)
{
	pcre2_code_free(pattern->code);
	pattern->code = NULL;
}

/* ---- matching ---- */

void match_text_init(struct arena *arena, struct str text, struct match_text *text_r)
{
	/* PCRE2 refuses a NULL pointer even for no octets. */
	*text_r = (struct match_text){ .text = text.n ? text : STR(""), .arena = arena };
}

static void make_lower(struct match_text *t)
{
	t->lower = arena_lower(t->arena, t->text);
	t->has_odd_folding = str_find(t->text, STR("\xe2\x84\xaa")) < t->text.n ||
		str_find(t->text, STR("\xc5\xbf")) < t->text.n;
}

static bool lacks_literal(const struct match_pattern *pattern, struct match_text *t)
{
	if (!pattern->literal.n || !t->text.n)
		return false;
	if (!pattern->caseless)
		return str_find(t->text, pattern->literal) == t->text.n;
	if (!t->lower.p)
		make_lower(t);
	return !t->has_odd_folding && str_find(t->lower, pattern->literal) == t->lower.n;
}

enum match_result match_try(const struct matcher *m, const struct match_pattern *pattern,
	struct match_text *text)
{
	if (lacks_literal(pattern, text))
		return MATCH_NO;
	int rc = pcre2_match(pattern->code, (PCRE2_SPTR)text->text.p, text->text.n, 0, 0, m->data,
		m->match);
	if (rc >= 0)
		return MATCH_YES;
	return rc == PCRE2_ERROR_NOMATCH || rc == PCRE2_ERROR_PARTIAL ? MATCH_NO : MATCH_LIMIT;
}
