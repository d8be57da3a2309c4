#include "rules/meta.h"

#include <assert.h>

enum op {
	OP_NUMBER,
	OP_NAME,
	OP_NOT,
	OP_MINUS,
	OP_MULTIPLY,
	OP_DIVIDE,
	OP_ADD,
	OP_SUBTRACT,
	OP_LESS,
	OP_LESS_EQUAL,
	OP_GREATER,
	OP_GREATER_EQUAL,
	OP_EQUAL,
	OP_NOT_EQUAL,
	OP_AND,
	OP_OR,
};

struct step {
	enum op op;
	double number;
	size_t name;
};

struct meta {
	struct step *steps;
	size_t n;
	struct str *names;
	size_t name_count;
};

struct parser {
	struct str text;
	size_t at;
	struct arena *arena;
	struct meta *meta;
	unsigned depth;
	struct err *err;
};

static void skip_blanks(struct parser *p)
{
	while (p->at < p->text.n && char_is_wsp(p->text.p[p->at]))
		p->at++;
}

static int fail(struct parser *p, const char *what)
{
	return err_set(p->err, "%s at character %zu of the expression", what, p->at + 1);
}

static int emit(struct parser *p, struct step step)
{
	if (p->meta->n == META_TOKENS_MAX)
		return fail(p, "too long");
	p->meta->steps[p->meta->n++] = step;
	return 0;
}

static bool is_name_char(char c)
{
	return char_is_alnum(c) || c == '_';
}

static int parse_name(struct parser *p)
{
	size_t start = p->at;
	while (p->at < p->text.n && is_name_char(p->text.p[p->at]))
		p->at++;
	struct step step = { .op = OP_NAME, .name = p->meta->name_count };
	p->meta->names[p->meta->name_count] = str_sub(p->text, start, p->at - start);
	if (emit(p, step) < 0)
		return -1;
	p->meta->name_count++;
	return 0;
}

static int parse_number(struct parser *p)
{
	struct step step = { .op = OP_NUMBER };
	size_t start = p->at;
	while (p->at < p->text.n && (char_is_digit(p->text.p[p->at]) || p->text.p[p->at] == '.'))
		p->at++;
	if (str_to_double(str_sub(p->text, start, p->at - start), -1e6, 1e6, &step.number) < 0)
		return fail(p, "no number");
	return emit(p, step);
}

/* Operators between two operands; the longer spelling first. */
static const struct {
	const char *text;
	enum op op;
	int precedence;
} operators[] = {
	{ "||", OP_OR, 1 }, { "&&", OP_AND, 2 }, { "==", OP_EQUAL, 3 }, { "!=", OP_NOT_EQUAL, 3 },
	{ "<=", OP_LESS_EQUAL, 4 }, { ">=", OP_GREATER_EQUAL, 4 }, { "<", OP_LESS, 4 },
	{ ">", OP_GREATER, 4 }, { "+", OP_ADD, 5 }, { "-", OP_SUBTRACT, 5 },
	{ "*", OP_MULTIPLY, 6 }, { "/", OP_DIVIDE, 6 }, { "|", OP_OR, 1 }, { "&", OP_AND, 2 },
};

static int parse_binary(struct parser *p, int lowest);

static int parse_operand(struct parser *p)
{
	skip_blanks(p);
	if (p->at == p->text.n)
		return fail(p, "an operand is missing");
	if (p->depth == META_DEPTH_MAX)
		return fail(p, "nested too deep");
	char c = p->text.p[p->at];
	if (char_is_digit(c))
		return parse_number(p);
	if (is_name_char(c))
		return parse_name(p);
	if (c != '(' && c != '!' && c != '-')
		return fail(p, "an operand is missing");
	p->at++;
	p->depth++;
	if (c != '(') {
		struct step step = { .op = c == '!' ? OP_NOT : OP_MINUS };
		if (parse_operand(p) < 0 || emit(p, step) < 0)
			return -1;
	} else {
		if (parse_binary(p, 1) < 0)
			return -1;
		if (p->at == p->text.n || p->text.p[p->at] != ')')
			return fail(p, "a ')' is missing");
		p->at++;
	}
	p->depth--;
	return 0;
}

/* Precedence climbing: all operators bind to the left. */
static int parse_binary(struct parser *p, int lowest)
{
	if (parse_operand(p) < 0)
		return -1;
	for (;;) {
		skip_blanks(p);
		struct str rest = str_skip(p->text, p->at);
		size_t i = 0, count = sizeof(operators) / sizeof(operators[0]);
		while (i < count && !str_starts(rest, operators[i].text))
			i++;
		if (i == count || operators[i].precedence < lowest)
			return 0;
		p->at += strlen(operators[i].text);
		struct step step = { .op = operators[i].op };
		if (parse_binary(p, operators[i].precedence + 1) < 0 || emit(p, step) < 0)
			return -1;
	}
}

struct meta *meta_parse(struct arena *arena, struct str text, struct err *err)
{
	size_t most = text.n < META_TOKENS_MAX ? text.n : META_TOKENS_MAX;
	struct meta *meta = ARENA_NEW(arena, struct meta);
	struct parser p = { .text = text, .arena = arena, .meta = meta, .err = err };

	/* Every step and name comes from an octet of its own. */
	meta->steps = ARENA_ARRAY(arena, most + 1, struct step);
	meta->names = ARENA_ARRAY(arena, most + 1, struct str);
	if (parse_binary(&p, 1) < 0)
		return NULL;
	if (p.at < text.n) {
		fail(&p, "not understood");
		return NULL;
	}
	return meta;
}

size_t meta_name_count(const struct meta *meta)
{
	return meta->name_count;
}

struct str meta_name(const struct meta *meta, size_t i)
{
	assert(i < meta->name_count);
	return meta->names[i];
}

static double apply(enum op op, double a, double b)
{
	switch (op) {
	case OP_MULTIPLY:
		return a * b;
	case OP_DIVIDE:
		return b == 0 ? 0 : a / b;
	case OP_ADD:
		return a + b;
	case OP_SUBTRACT:
		return a - b;
	case OP_LESS:
		return a < b;
	case OP_LESS_EQUAL:
		return a <= b;
	case OP_GREATER:
		return a > b;
	case OP_GREATER_EQUAL:
		return a >= b;
	case OP_EQUAL:
		return a == b;
	case OP_NOT_EQUAL:
		return a != b;
	case OP_AND:
		return a != 0 && b != 0;
	case OP_OR:
		return a != 0 || b != 0;
	case OP_NUMBER:
	case OP_NAME:
	case OP_NOT:
	case OP_MINUS:
		break;
	}
	assert(!"an operator between two operands");
	return 0;
}

double meta_eval(const struct meta *meta, bool (*found)(void *context, size_t i), void *context)
{
	double stack[META_TOKENS_MAX + 1];
	size_t n = 0;

	for (size_t i = 0; i < meta->n; i++) {
		const struct step *s = &meta->steps[i];
		switch (s->op) {
		case OP_NUMBER:
			stack[n++] = s->number;
			break;
		case OP_NAME:
			stack[n++] = found(context, s->name);
			break;
		case OP_NOT:
			stack[n - 1] = stack[n - 1] == 0;
			break;
		case OP_MINUS:
			stack[n - 1] = -stack[n - 1];
			break;
		default:
			n--;
			stack[n - 1] = apply(s->op, stack[n - 1], stack[n]);
			break;
		}
	}
	assert(n == 1);
	return stack[0];
}
