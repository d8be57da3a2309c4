/* The text of html_scan() against a full HTML5 parser's, over the HTML of real mail. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <gumbo.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/mail/charset.h"
#include "core/mail/html.h"
#include "core/mail/style.h"

static const char corpora[] = SOURCE_DIR "/../shared/corpora";
static const char *const sets[] = { "csdmc", "modern" };

struct totals {
	size_t parts, exact, octets;
	double ratio;
	double seconds;
};

/* ---- what the oracle sees ---- */

static bool is_inline(GumboTag tag)
{
	static const GumboTag tags[] = { GUMBO_TAG_A, GUMBO_TAG_ABBR, GUMBO_TAG_B, GUMBO_TAG_BIG,
		GUMBO_TAG_CITE, GUMBO_TAG_CODE, GUMBO_TAG_DEL, GUMBO_TAG_EM, GUMBO_TAG_FONT,
		GUMBO_TAG_I, GUMBO_TAG_IMG, GUMBO_TAG_INPUT, GUMBO_TAG_INS, GUMBO_TAG_KBD,
		GUMBO_TAG_LABEL, GUMBO_TAG_MARK, GUMBO_TAG_Q, GUMBO_TAG_S, GUMBO_TAG_SMALL,
		GUMBO_TAG_SPAN, GUMBO_TAG_STRIKE, GUMBO_TAG_STRONG, GUMBO_TAG_STYLE, GUMBO_TAG_SUB,
		GUMBO_TAG_SUP, GUMBO_TAG_TT, GUMBO_TAG_U, GUMBO_TAG_VAR, GUMBO_TAG_UNKNOWN,
		GUMBO_TAG_NOBR, GUMBO_TAG_WBR, GUMBO_TAG_SCRIPT, GUMBO_TAG_TITLE, GUMBO_TAG_META,
		GUMBO_TAG_LINK, GUMBO_TAG_BASE, GUMBO_TAG_TIME, GUMBO_TAG_MAP, GUMBO_TAG_AREA,
		GUMBO_TAG_OBJECT, GUMBO_TAG_BUTTON, GUMBO_TAG_IFRAME, GUMBO_TAG_NOSCRIPT,
		GUMBO_TAG_SVG, GUMBO_TAG_MATH, GUMBO_TAG_PARAM, GUMBO_TAG_EMBED };
	for (size_t i = 0; i < sizeof(tags) / sizeof(tags[0]); i++)
		if (tags[i] == tag)
			return true;
	return false;
}

static bool is_unseen(GumboTag tag)
{
	return tag == GUMBO_TAG_SCRIPT || tag == GUMBO_TAG_STYLE || tag == GUMBO_TAG_TITLE ||
		tag == GUMBO_TAG_IFRAME || tag == GUMBO_TAG_NOEMBED || tag == GUMBO_TAG_NOFRAMES ||
		tag == GUMBO_TAG_TEMPLATE || tag == GUMBO_TAG_DATALIST;
}

static unsigned hiding_of(const GumboElement *e, unsigned inherited)
{
	const GumboAttribute *style = gumbo_get_attribute(&e->attributes, "style");
	unsigned set = 0, clear = 0;
	if (style)
		style_hides(str_c(style->value), &set, &clear);
	if (gumbo_get_attribute(&e->attributes, "hidden"))
		set |= STYLE_GONE;
	return (inherited & ~clear) | set;
}

static void oracle_text(const GumboNode *node, unsigned hiding, unsigned depth, struct buf *out)
{
	if (node->type == GUMBO_NODE_TEXT || node->type == GUMBO_NODE_CDATA ||
		node->type == GUMBO_NODE_WHITESPACE) {
		if (!hiding)
			buf_c(out, node->v.text.text);
		return;
	}
	const GumboVector *children = &node->v.element.children;
	if (node->type == GUMBO_NODE_DOCUMENT)
		children = &node->v.document.children;
	else if (node->type != GUMBO_NODE_ELEMENT)
		return;
	bool block = false;
	if (node->type == GUMBO_NODE_ELEMENT) {
		const GumboElement *e = &node->v.element;
		if (is_unseen(e->tag) && e->tag_namespace == GUMBO_NAMESPACE_HTML)
			return;
		hiding = hiding_of(e, hiding);
		block = !is_inline(e->tag);
	}
	if (block)
		buf_char(out, ' ');
	for (unsigned i = 0; i < children->length && depth < 2000; i++)
		oracle_text(children->data[i], hiding, depth + 1, out);
	if (block)
		buf_char(out, ' ');
}

/* ---- comparison ---- */

struct words {
	struct str *v;
	size_t n;
};

static int compare_words(const void *a, const void *b)
{
	return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\f';
}

static struct words words_of(struct arena *a, struct str text)
{
	struct words w = { ARENA_ARRAY(a, text.n / 2 + 1, struct str), 0 };
	for (size_t i = 0; i < text.n;) {
		size_t start = i;
		while (i < text.n && !is_blank(text.p[i]))
			i++;
		if (i > start)
			w.v[w.n++] = str_sub(text, start, i - start);
		i += i == start;
	}
	return w;
}

/* Twice the words in common over all words; exact_r: they also stand in the same order. */
static double agreement(struct arena *a, struct str ours, struct str theirs, bool *exact_r)
{
	struct words x = words_of(a, ours), y = words_of(a, theirs);
	size_t common = 0;

	*exact_r = x.n == y.n;
	for (size_t i = 0; i < x.n && *exact_r; i++)
		*exact_r = str_eq(x.v[i], y.v[i]);
	if (*exact_r)
		return 1;
	qsort(x.v, x.n, sizeof(*x.v), compare_words);
	qsort(y.v, y.n, sizeof(*y.v), compare_words);
	for (size_t i = 0, k = 0; i < x.n && k < y.n;) {
		int cmp = compare_words(&x.v[i], &y.v[k]);
		common += cmp == 0;
		i += cmp <= 0;
		k += cmp >= 0;
	}
	return 2.0 * (double)common / (double)(x.n + y.n);
}

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void compare_part(struct mail *m, struct mail_part *p, const char *path, struct totals *t)
{
	struct str octets = mail_part_decoded(m, p);
	struct str charset = p->charset.n ? p->charset : html_meta_charset(octets);
	struct str html = mail_charset_to_utf8(m, octets, charset);
	struct html_doc doc;
	bool exact;

	if (str_chr(html, '\0') < html.n || html.n > 1 << 20)
		return;
	double start = now();
	html_scan(m->arena, html, &doc);
	t->seconds += now() - start;
	GumboOutput *output =
		gumbo_parse_with_options(&kGumboDefaultOptions, html.n ? html.p : "", html.n);
	struct buf theirs = BUF_INIT;
	oracle_text(output->document, 0, 0, &theirs);
	double ratio = agreement(m->arena, doc.text, buf_str(&theirs), &exact);
	if (ratio < 0.9 && getenv("HTML_GUMBO_SHOW"))
		printf("%.3f %s\n--- ours\n%.*s\n--- theirs\n%.*s\n", ratio, path,
			STR_ARG(str_sub(doc.text, 0, 600)), STR_ARG(str_sub(buf_str(&theirs), 0, 600)));
	gumbo_destroy_output(&kGumboDefaultOptions, output);
	buf_free(&theirs);
	t->parts++;
	t->exact += exact;
	t->octets += html.n;
	t->ratio += ratio;
}

static void compare_file(const char *path, struct totals *t)
{
	FILE *f = fopen(path, "rb");
	struct buf b = BUF_INIT;
	char chunk[65536];
	if (!f)
		fail_msg("%s: cannot be read", path);
	for (size_t n; (n = fread(chunk, 1, sizeof(chunk), f)) > 0;) {
		for (size_t i = 0; i < n; i++) {
			if (chunk[i] == '\n' && (!b.n || b.p[b.n - 1] != '\r'))
				buf_char(&b, '\r');
			buf_char(&b, chunk[i]);
		}
	}
	fclose(f);
	struct arena *a = arena_new(64 << 20);
	struct mail *m = mail_parse(a, buf_str(&b));
	for (size_t i = 0; i < m->parts.n; i++)
		if (str_eq_c(m->parts.v[i].type, "text") && str_eq_c(m->parts.v[i].subtype, "html"))
			compare_part(m, &m->parts.v[i], path, t);
	arena_free(&a);
	buf_free(&b);
}

static void compare_set(const char *dir, const char *set, struct totals *t)
{
	char path[4096], line[1024], name[1024];
	snprintf(path, sizeof(path), "%s/%s/index", dir, set);
	FILE *f = fopen(path, "r");
	if (!f)
		fail_msg("%s: cannot be read", path);
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%*s %1000[^\n]", name) != 1)
			continue;
		snprintf(path, sizeof(path), "%s/%s/%s", dir, set, name);
		compare_file(path, t);
	}
	fclose(f);
}

static void test_agreement(void **state)
{
	struct stat st;
	char dir[] = "/tmp/gatepost-html-XXXXXX", command[4096];
	struct totals t = { .parts = 0 };

	if (stat(corpora, &st) < 0) {
		printf("no ../shared/corpora here: skipped\n");
		skip();
	}
	assert_non_null(mkdtemp(dir));
	snprintf(command, sizeof(command), "'%s/unpack' %s %s %s", corpora, dir, sets[0], sets[1]);
	assert_int_equal(system(command), 0);
	for (size_t i = 0; i < sizeof(sets) / sizeof(sets[0]); i++)
		compare_set(dir, sets[i], &t);
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	assert_int_equal(system(command), 0);

	printf("%zu HTML parts: %.2f%% with the same words in the same order, agreement %.5f; "
	       "%.1f us for 19 kB\n",
		t.parts, 100.0 * (double)t.exact / (double)t.parts, t.ratio / (double)t.parts,
		t.seconds * 19000e6 / (double)t.octets);
	assert_true(t.parts > 1000);
	assert_true((double)t.exact / (double)t.parts > 0.97);
	assert_true(t.ratio / (double)t.parts > 0.998);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_agreement) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
