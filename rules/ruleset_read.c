/* The files' language: lines to rules. */
#include "rules/rule.h"

#include "core/limits.h"

#define BLOCKS_MAX 50 /* if blocks inside each other */
#define ERRORS_MAX 20

enum block { BLOCK_TAKEN, BLOCK_LEFT_OUT, BLOCK_INSIDE_LEFT_OUT };

struct reader {
	struct ruleset *rs;
	const char *file;
	size_t line;
	enum block blocks[BLOCKS_MAX];
	size_t depth;
	struct buf errors;
	size_t error_count;
};

static void complain(struct reader *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void complain(struct reader *r, const char *fmt, ...)
{
	va_list ap;

	if (r->error_count++ >= ERRORS_MAX)
		return;
	buf_printf(&r->errors, "%s%s:%zu: ", r->errors.n ? "\n" : "", r->file, r->line);
	va_start(ap, fmt);
	buf_vprintf(&r->errors, fmt, ap);
	va_end(ap);
}

/* ---- rules' parts ---- */

static bool is_name(struct str s)
{
	if (!s.n || s.n > 64 || char_is_digit(s.p[0]))
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (!char_is_alnum(s.p[i]) && s.p[i] != '_')
			return false;
	return true;
}

static struct rule *rule_named(struct reader *r, struct str *rest)
{
	struct str name;

	if (!str_word(rest, &name) || !is_name(name)) {
		complain(r, "the name of a rule is missing, or is not made of letters, digits and '_'");
		return NULL;
	}
	*rest = str_trim(*rest);
	struct rule *rule = ruleset_intern(r->rs, name);
	if (!rule)
		complain(r, "more than %d rules", LIMIT_RULES);
	return rule;
}

/* Forgets what an earlier definition of the rule said, but for its score and sentence. */
static void define(struct reader *r, struct rule *rule, enum rule_type type)
{
	match_release(&rule->pattern);
	rule->type = type;
	rule->file = r->file;
	rule->line = r->line;
	rule->negated = rule->has_unset = false;
}

/* "/re/flags", "m{re}flags", "m!re!flags": what is between, and the letters behind it. */
static int read_expression(struct reader *r, struct str *rest, struct str *expression_r,
	struct str *flags_r)
{
	struct str s = str_trim(*rest);
	static const char pairs[] = "{}()[]<>";

	if (s.n > 1 && s.p[0] == 'm' && !char_is_alnum(s.p[1]) && s.p[1] != ' ')
		s = str_skip(s, 1);
	else if (!s.n || s.p[0] != '/') {
		complain(r, "an expression is missing: write it as /.../ or m{...}");
		return -1;
	}
	char open = s.p[0];
	const char *pair = open ? strchr(pairs, open) : NULL;
	char close = pair && (pair - pairs) % 2 == 0 ? pair[1] : open;
	unsigned depth = 1;
	size_t i = 1;
	for (; i < s.n; i++) {
		if (s.p[i] == '\\')
			i++;
		else if (s.p[i] == close && --depth == 0)
			break;
		else if (s.p[i] == open)
			depth++;
	}
	if (i >= s.n) {
		complain(r, "the expression has no end: a '%c' is missing", close);
		return -1;
	}
	*expression_r = str_sub(s, 1, i - 1);
	s = str_skip(s, i + 1);
	size_t n = 0;
	while (n < s.n && char_is_alpha(s.p[n]))
		n++;
	*flags_r = str_sub(s, 0, n);
	*rest = str_trim(str_skip(s, n));
	return 0;
}

static int read_pattern(struct reader *r, struct rule *rule, struct str *rest,
	const struct target *target)
{
	struct str expression, flags;
	struct match_pattern pattern;
	struct err err;

	if (str_istarts(*rest, "eval:")) {
		complain(r, "eval tests are not known here; `header NAME MESSAGE =~ /.../` sees what "
			"most of them are for");
		return -1;
	}
	if (read_expression(r, rest, &expression, &flags) < 0)
		return -1;
	if (match_compile(r->rs->matcher, r->rs->arena, expression, flags, target_is_octets(target),
		&pattern, &err) < 0) {
		complain(r, "%s", err.text);
		return -1;
	}
	define(r, rule, RULE_PATTERN);
	rule->pattern = pattern;
	rule->target = ruleset_target(r->rs, target);
	return 0;
}

static void expect_end(struct reader *r, struct str rest)
{
	if (rest.n)
		complain(r, "\"%.*s\" is too much", STR_ARG(rest));
}

/* ---- directives ---- */

static void read_text_rule(struct reader *r, struct str rest, enum target_kind kind)
{
	struct target target = { .kind = kind };
	struct rule *rule = rule_named(r, &rest);

	if (rule && read_pattern(r, rule, &rest, &target) == 0)
		expect_end(r, rest);
}

static void read_body(struct reader *r, struct str rest)
{
	read_text_rule(r, rest, TARGET_BODY);
}

static void read_rawbody(struct reader *r, struct str rest)
{
	read_text_rule(r, rest, TARGET_RAWBODY);
}

static void read_full(struct reader *r, struct str rest)
{
	read_text_rule(r, rest, TARGET_FULL);
}

static void read_uri(struct reader *r, struct str rest)
{
	read_text_rule(r, rest, TARGET_URI);
}

/* "From:addr": the name and the forms behind it. */
static int read_header_name(struct reader *r, struct str word, struct target *target)
{
	static const struct {
		const char *name;
		enum target_kind kind;
	} pseudo[] = {
		{ "ALL", TARGET_ALL }, { "ToCc", TARGET_TOCC },
		{ "EnvelopeFrom", TARGET_ENVELOPE_FROM }, { "MESSAGEID", TARGET_MESSAGEID },
		{ "MESSAGE", TARGET_MESSAGE },
	};
	struct str name, form, forms = word;

	str_cut(&forms, ':', &name);
	while (str_cut(&forms, ':', &form)) {
		if (str_eq_c(form, "raw"))
			target->form = TARGET_RAW;
		else if (str_eq_c(form, "addr"))
			target->form = TARGET_ADDRESS;
		else if (str_eq_c(form, "name"))
			target->form = TARGET_NAME;
		else {
			complain(r, "unknown form \":%.*s\" of a header: raw, addr and name are known",
				STR_ARG(form));
			return -1;
		}
	}
	if (!name.n) {
		complain(r, "the name of a header is missing");
		return -1;
	}
	for (size_t i = 0; target->kind == TARGET_HEADER && i < sizeof(pseudo) / sizeof(pseudo[0]);
		i++) {
		if (str_eq_c(name, pseudo[i].name))
			target->kind = pseudo[i].kind;
	}
	target->header = arena_cstr(r->rs->arena, arena_lower(r->rs->arena, name));
	return 0;
}

/* "[if-unset: text]" */
static void read_unset(struct reader *r, struct rule *rule, struct str rest)
{
	static const char begin[] = "[if-unset:";

	if (!rest.n)
		return;
	if (!str_istarts(rest, begin) || rest.p[rest.n - 1] != ']') {
		expect_end(r, rest);
		return;
	}
	rest = str_skip(rest, sizeof(begin) - 1);
	rest.n--;
	rule->has_unset = true;
	rule->unset = arena_dup(r->rs->arena, str_trim(rest));
}

static void read_header_rule(struct reader *r, struct str rest, enum target_kind kind)
{
	struct target target = { .kind = kind };
	struct str word, op;
	struct rule *rule = rule_named(r, &rest);

	if (!rule)
		return;
	if (str_istarts(rest, "eval:")) {
		read_pattern(r, rule, &rest, &target);
		return;
	}
	if (str_istarts(rest, "exists:")) {
		rest = str_skip(rest, 7);
		if (!str_word(&rest, &word) || read_header_name(r, word, &target) < 0)
			return;
		define(r, rule, RULE_EXISTS);
		rule->target = ruleset_target(r->rs, &target);
		expect_end(r, str_trim(rest));
		return;
	}
	if (!str_word(&rest, &word) || read_header_name(r, word, &target) < 0)
		return;
	if (!str_word(&rest, &op) || (!str_eq_c(op, "=~") && !str_eq_c(op, "!~"))) {
		complain(r, "=~ or !~ must follow the header's name");
		return;
	}
	if (read_pattern(r, rule, &rest, &target) < 0)
		return;
	rule->negated = op.p[0] == '!';
	read_unset(r, rule, rest);
}

static void read_header(struct reader *r, struct str rest)
{
	read_header_rule(r, rest, TARGET_HEADER);
}

static void read_mimeheader(struct reader *r, struct str rest)
{
	read_header_rule(r, rest, TARGET_MIMEHEADER);
}

static void read_meta(struct reader *r, struct str rest)
{
	struct rule *rule = rule_named(r, &rest);
	struct err err;

	if (!rule)
		return;
	struct str expression = arena_dup(r->rs->arena, rest);
	struct meta *meta = meta_parse(r->rs->arena, expression, &err);
	if (!meta) {
		complain(r, "%s", err.text);
		return;
	}
	define(r, rule, RULE_META);
	rule->expression = expression;
	rule->meta = meta;
}

static void read_describe(struct reader *r, struct str rest)
{
	struct rule *rule = rule_named(r, &rest);
	if (rule)
		rule->text = arena_dup(r->rs->arena, str_sub(rest, 0, 300));
}

/* One value, or four: without and with network tests and classifier; all are there here. */
static void read_score(struct reader *r, struct str rest)
{
	struct rule *rule = rule_named(r, &rest);
	struct str word;
	double value = 0;
	size_t n = 0;

	if (!rule)
		return;
	while (str_word(&rest, &word)) {
		if (word.n && word.p[0] == '+')
			word = str_skip(word, 1);
		if (str_to_double(word, -10000, 10000, &value) < 0) {
			complain(r, "\"%.*s\" is no score", STR_ARG(word));
			return;
		}
		n++;
	}
	if (n != 1 && n != 4) {
		complain(r, "one score is wanted, or four");
		return;
	}
	rule->score = value;
	rule->has_score = true;
}

static void read_tflags(struct reader *r, struct str rest)
{
	struct rule *rule = rule_named(r, &rest);
	struct str word;

	if (!rule)
		return;
	while (str_word(&rest, &word)) {
		if (str_eq_c(word, "nice"))
			rule->nice = true;
		else if (str_eq_c(word, "multiple"))
			ruleset_warn(r->rs, r->file, r->line,
				"\"multiple\" has no effect: a rule counts once a message");
	}
}

static void read_nothing(struct reader *r, struct str rest)
{
}

static const struct {
	const char *name;
	void (*read)(struct reader *r, struct str rest);
} directives[] = {
	{ "header", read_header },
	{ "body", read_body },
	{ "rawbody", read_rawbody },
	{ "full", read_full },
	{ "uri", read_uri },
	{ "mimeheader", read_mimeheader },
	{ "meta", read_meta },
	{ "describe", read_describe },
	{ "score", read_score },
	{ "tflags", read_tflags },
	/* Of other languages, order, self-tests: without effect here. */
	{ "lang", read_nothing },
	{ "priority", read_nothing },
	{ "test", read_nothing },
};

/* ---- lines ---- */

/* A '#' begins a comment unless a backslash stands before it; that is then taken off. */
static struct str without_comment(struct arena *arena, struct str line)
{
	size_t hash = str_chr(line, '#');
	if (hash == line.n)
		return line;
	char *p = arena_alloc(arena, line.n + 1);
	size_t n = 0;
	for (size_t i = 0; i < line.n; i++) {
		if (line.p[i] == '\\' && i + 1 < line.n && line.p[i + 1] == '#')
			continue;
		if (line.p[i] == '#' && !(i && line.p[i - 1] == '\\'))
			break;
		p[n++] = line.p[i];
	}
	return str_from(p, n);
}

/* The one plugin whose rules are known without it. */
static bool has_plugin(struct str name)
{
	return str_eq_c(name, "Mail::SpamAssassin::Plugin::MIMEHeader");
}

/* True if the line was one of if, ifplugin, else, endif. */
static bool read_block(struct reader *r, struct str word, struct str rest)
{
	enum block *top = r->depth ? &r->blocks[r->depth - 1] : NULL;

	if (str_eq_c(word, "if") || str_eq_c(word, "ifplugin")) {
		bool taken = str_eq_c(word, "ifplugin") && has_plugin(str_trim(rest));
		enum block block = taken ? BLOCK_TAKEN : BLOCK_LEFT_OUT;
		if (top && *top != BLOCK_TAKEN)
			block = BLOCK_INSIDE_LEFT_OUT;
		if (r->depth == BLOCKS_MAX)
			complain(r, "blocks are nested too deep");
		else
			r->blocks[r->depth++] = block;
		return true;
	}
	if (!str_eq_c(word, "else") && !str_eq_c(word, "endif"))
		return false;
	if (!top)
		complain(r, "%.*s without if", STR_ARG(word));
	else if (str_eq_c(word, "endif"))
		r->depth--;
	else if (*top != BLOCK_INSIDE_LEFT_OUT)
		*top = *top == BLOCK_TAKEN ? BLOCK_LEFT_OUT : BLOCK_TAKEN;
	return true;
}

static void read_line(struct reader *r, struct str line)
{
	struct str word, rest = str_trim_crlf(without_comment(r->rs->arena, line));

	if (!str_word(&rest, &word))
		return;
	rest = str_trim(rest);
	if (read_block(r, word, rest))
		return;
	if (r->depth && r->blocks[r->depth - 1] != BLOCK_TAKEN)
		return;
	for (size_t i = 0; i < sizeof(directives) / sizeof(directives[0]); i++) {
		if (str_eq_c(word, directives[i].name)) {
			directives[i].read(r, rest);
			return;
		}
	}
	complain(r, "\"%.*s\" is not known; known are header, body, rawbody, full, uri, mimeheader, meta, "
		"describe, score, tflags", STR_ARG(str_sub(word, 0, 60)));
}

int ruleset_read(struct ruleset *rs, const char *file, struct str text, struct err *err)
{
	struct reader r = { .rs = rs, .file = arena_cstr(rs->arena, str_c(file)),
		.errors = BUF_INIT };
	struct str line, rest = arena_dup(rs->arena, text);

	rs->version_hash = rs->version_hash * 31 + str_hash(text);
	while (str_cut(&rest, '\n', &line)) {
		r.line++;
		read_line(&r, line);
	}
	if (r.depth && !r.error_count)
		complain(&r, "an endif is missing");
	if (r.error_count > ERRORS_MAX)
		buf_printf(&r.errors, "\nand %zu more", r.error_count - ERRORS_MAX);
	int rc = r.error_count ? err_set(err, "%.*s", STR_ARG(buf_str(&r.errors))) : 0;
	buf_free(&r.errors);
	return rc;
}
