#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "core/buf.h"
#include "core/limits.h"
#include "core/mail/entity.h"
#include "core/mail/html.h"
#include "core/mail/html_token.h"

struct text_case {
	const char *html, *text;
	size_t hidden;
};

static const struct text_case text_cases[] = {
	/* blocks, blanks */
	{ "plain", "plain", 0 },
	{ "<p>See <a href='x'>here</a>", "See here", 0 },
	{ "  a \r\n\t b  ", "a b", 0 },
	{ "<div>one</div><div>two</div>", "one\ntwo", 0 },
	{ "one<br>two<br/>three</br>four", "one\ntwo\nthree\nfour", 0 },
	{ "in<b>ter</b>na<span>l</span>", "internal", 0 },
	{ "<table><tr><td>a<td>b<tr><td>c</table>d", "a b\nc\nd", 0 },
	{ "<ul><li>a<li>b</ul>", "a\nb", 0 },
	{ "<pre>a\nb  c</pre>d", "a\nb c\nd", 0 },
	/* references */
	{ "&lt;&amp;&gt;&quot;&eacute;&#233;&#xE9;&#x1F600;", "<&>\"\xc3\xa9\xc3\xa9\xc3\xa9\xf0\x9f\x98\x80", 0 },
	{ "&notit; &notin; &not", "\xc2\xacit; \xe2\x88\x89 \xc2\xac", 0 },
	{ "&#128;&#0;&#xD800;&#99999999999;", "\xe2\x82\xac\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd", 0 },
	{ "&nosuch; & &; &# &#x;", "&nosuch; & &; &# &#x;", 0 },
	{ "a&Tab;&NewLine;b", "a b", 0 },
	/* comments */
	{ "a<!-- x > y -->b<!-->c<!--->d<!--x--!>e<!---->f", "abcdef", 0 },
	{ "a<!-- b", "a", 0 },
	{ "a<!x>b<?y>c</ z>d</>e<![CDATA[x]]>f", "abcdef", 0 },
	{ "a<!--[if mso]>x<![endif]-->b<![if !mso]>c<![endif]>", "abc", 0 },
	/* what is no tag */
	{ "1 < 2 <3 a<", "1 < 2 <3 a<", 0 },
	{ "a<b", "a", 0 },
	{ "a<b class=\"x>b", "a", 0 },
	{ "a<x y='>'>b<x y=z'>c<x/y>d<x =>>e", "abcd>e", 0 },
	{ "<DIV\nSTYLE=display:none>x</DIV\n>y", "y", 1 },
	/* without markup inside */
	{ "a<script>x</scrip></SCRIPT >b", "ab", 0 },
	{ "a<script><!--<script>x</script>y--></script>b", "ab", 0 },
	{ "a<script>'<!--'</script>b", "ab", 0 },
	{ "a<style>p{}</style>b<title>t<b></title>c<iframe>x<p></iframe>d", "abcd", 0 },
	{ "a<textarea>x <b>&amp;</textarea>b", "a\nx <b>&\nb", 0 },
	{ "a<xmp>&amp;<b></xmp>b<plaintext></plaintext>&lt;", "a\n&amp;<b>\nb\n</plaintext>&lt;", 0 },
	{ "<svg><style>shown</style><title>t</title></svg><style>x</style>", "shownt", 0 },
	{ "<svg><style><p>out<style>x</style>", "out", 0 },
	{ "<math><![CDATA[<p>]]></math>", "<p>", 0 },
	/* hidden */
	{ "a<div style='display:none'>xyz<div>z</div>z</div>b", "a\nb", 5 },
	{ "a<span style='DISPLAY : none !important;'>x</span>b", "ab", 1 },
	{ "a<span style='display:/**/none'>x</span>b<i hidden>y</i>c<template>z</template>d", "abcd", 3 },
	{ "a<p style=display:none>x<p>b", "a\nb", 1 },
	{ "a<td style=display:none>x<td>b<table><tr><td hidden>y<tr><td>c</table>", "a b\nc", 2 },
	{ "<td style='font-size:0'>x<div style='font-size:14px'>a</div>x</td>", "a", 2 },
	{ "<div style='visibility:hidden'>x<b style='visibility:visible'>a</b></div>", "a", 1 },
	{ "<div style='font-size:0px;display:none'>x<b style='font-size:9px'>y</b></div>", "", 2 },
	{ "<i style='color:#fff;background:#FFFFFF'>x</i>a", "a", 1 },
	{ "<i style='color:#fff;background:red'>a</i>", "a", 0 },
	{ "<i style='opacity:0.0'>x</i><i style='opacity:0.5'>a</i>", "a", 1 },
	{ "<i style='text-indent:-9999px'>x</i><i style='text-indent:-20px'>a</i>", "a", 1 },
	{ "<i style='max-height:0;overflow:hidden'>x</i><i style='display:none;display:block'>a</i>", "a", 1 },
	/* end tags that do not end it, and such that do */
	{ "<span style=display:none>x<div>y</span>z</div></span>a", "a", 3 },
	{ "<font style=display:none>x<div></font>a</div>", "a", 1 },
	{ "<div style=display:none>x<span></div>a", "a", 1 },
	{ "<x-y style=display:none>x<x-z></x-y>y</x-z></x-y>a", "ya", 1 },
};

static void test_text(void **state)
{
	for (size_t i = 0; i < sizeof(text_cases) / sizeof(text_cases[0]); i++) {
		const struct text_case *c = &text_cases[i];
		struct arena *a = arena_new(1 << 20);
		struct html_doc doc;
		html_scan(a, str_c(c->html), &doc);
		if (!str_eq_c(doc.text, c->text) || doc.facts.hidden_octets != c->hidden)
			fail_msg("%s: \"%.*s\" (%zu hidden), expected \"%s\" (%zu)", c->html,
				STR_ARG(doc.text), doc.facts.hidden_octets, c->text, c->hidden);
		arena_free(&a);
	}
}

struct link_case {
	const char *html, *url, *text;
	enum mail_url_source source;
};

static const struct link_case link_cases[] = {
	{ "<a href=http://a.example/>x <b>y</b></a>z", "http://a.example/", "x y", MAIL_URL_HREF },
	{ "<a href='http://a.example/?a=1&amp;b=2&copy=3'> x", "http://a.example/?a=1&b=2&copy=3", "x",
		MAIL_URL_HREF },
	{ "<a href=\" ht\ntp://a.exa\tmple/ \">", "http://a.example/", "", MAIL_URL_HREF },
	{ "<a href=\"&#104;ttp&colon;//a.example\">", "http://a.example", "", MAIL_URL_HREF },
	{ "<a href=1 href=2>", "1", "", MAIL_URL_HREF },
	{ "<a/href=x>t</a>", "x", "t", MAIL_URL_HREF },
	{ "<a href=x>t<a name=y>u", "x", "t", MAIL_URL_HREF },
	{ "<a href=x", "x", "", MAIL_URL_HREF },
	{ "<area href=x>", "x", "", MAIL_URL_HREF },
	{ "<img src=http://a.example/x.png>", "http://a.example/x.png", "", MAIL_URL_SRC },
	{ "<td background=//a.example/x.png>", "//a.example/x.png", "", MAIL_URL_SRC },
	{ "<form action=//a.example/x>", "//a.example/x", "", MAIL_URL_FORM },
	{ "<meta http-equiv=Refresh content=\"0; URL='//a.example/'\">", "//a.example/", "",
		MAIL_URL_OTHER },
	{ "<base href=http://a.example/b/c><base href=http://no.example><a href=d>", "http://a.example/b/d",
		"", MAIL_URL_HREF },
	{ "<base href=https://a.example><a href=/d>", "https://a.example/d", "", MAIL_URL_HREF },
	{ "<base href=https://a.example><a href=//b.example/d>", "https://b.example/d", "",
		MAIL_URL_HREF },
	{ "<base href=https://a.example><a href=mailto:x@b.example>", "mailto:x@b.example", "",
		MAIL_URL_HREF },
	{ "<iframe src=x></iframe>", "x", "", MAIL_URL_SRC },
	{ "<a href=x><span style=display:none>no</span>yes</a>", "x", "yes", MAIL_URL_HREF },
};

static void test_links(void **state)
{
	for (size_t i = 0; i < sizeof(link_cases) / sizeof(link_cases[0]); i++) {
		const struct link_case *c = &link_cases[i];
		struct arena *a = arena_new(1 << 20);
		struct html_doc doc;
		html_scan(a, str_c(c->html), &doc);
		if (doc.links.n != 1 || !str_eq_c(doc.links.v[0].url, c->url) ||
			!str_eq_c(doc.links.v[0].text, c->text) ||
			doc.links.v[0].source != c->source)
			fail_msg("%s: %zu links, \"%.*s\" \"%.*s\"", c->html, doc.links.n,
				STR_ARG(doc.links.n ? doc.links.v[0].url : STR("")),
				STR_ARG(doc.links.n ? doc.links.v[0].text : STR("")));
		arena_free(&a);
	}
}

static void test_facts(void **state)
{
	struct arena *a = arena_new(1 << 20);
	struct html_doc doc;
	html_scan(a,
		STR("<a href=x>1</a><a>2</a><area href=y><img src=cid:1><img src=https://a.example/>"
		    "<img><form><script></script><!-- -->"),
		&doc);
	assert_true(doc.facts.present);
	assert_int_equal(doc.facts.links, 2);
	assert_int_equal(doc.facts.images, 3);
	assert_int_equal(doc.facts.remote_images, 1);
	assert_int_equal(doc.facts.forms, 1);
	assert_int_equal(doc.facts.scripts, 1);
	assert_int_equal(doc.facts.comments, 1);
	assert_int_equal(doc.facts.tags, 8);
	arena_free(&a);
}

/* Far over every limit: text, links and depth stop at theirs, and nothing else does. */
static void test_limits(void **state)
{
	struct arena *a = arena_new(256 << 20);
	struct buf b = BUF_INIT;
	struct html_doc doc;

	for (int i = 0; i < 100000; i++)
		buf_c(&b, "<div><a href=http://a.example/>aaaaaaaaaaaaaaa</a>");
	html_scan(a, buf_str(&b), &doc);
	assert_int_equal(doc.links.n, LIMIT_URLS);
	assert_int_equal(doc.facts.links, 100000);
	assert_in_range(doc.text.n, LIMIT_TEXT_BYTES - 32, LIMIT_TEXT_BYTES);

	buf_clear(&b);
	for (int i = 0; i < 200000; i++)
		buf_c(&b, "&nGt;");
	html_scan(a, buf_str(&b), &doc);
	assert_in_range(doc.text.n, LIMIT_TEXT_BYTES - 32, LIMIT_TEXT_BYTES);
	buf_free(&b);
	arena_free(&a);
}

static void test_meta_charset(void **state)
{
	static const struct {
		const char *html, *charset;
	} cases[] = {
		{ "<html><meta charset=\"iso-8859-2\">", "iso-8859-2" },
		{ "<META name=x><meta HTTP-EQUIV='Content-Type' content='text/html; charset=koi8-r;x'>",
			"koi8-r" },
		{ "<meta name=x content='charset=y'>", "" },
		{ "<p>", "" },
		{ "<meta", "" },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct str charset = html_meta_charset(str_c(cases[i].html));
		if (!str_eq_c(charset, cases[i].charset))
			fail_msg("%s: %.*s", cases[i].html, STR_ARG(charset));
	}
}

static void test_entities(void **state)
{
	char utf8[ENTITY_MAX];
	size_t n;
	/* The first, the last, the longest and one of each kind. */
	assert_int_equal(entity_decode(STR("&AElig;"), false, utf8, &n), 7);
	assert_int_equal(entity_decode(STR("&zwnj;"), false, utf8, &n), 6);
	assert_int_equal(n, 3);
	assert_int_equal(
		entity_decode(STR("&CounterClockwiseContourIntegral;"), false, utf8, &n), 33);
	assert_int_equal(entity_decode(STR("&nGt;"), false, utf8, &n), 5);
	assert_int_equal(n, 6);
	assert_int_equal(entity_decode(STR("&ampx"), false, utf8, &n), 4);
	assert_int_equal(entity_decode(STR("&ampx"), true, utf8, &n), 0);
	assert_int_equal(entity_decode(STR("&amp="), true, utf8, &n), 0);
	assert_int_equal(entity_decode(STR("&amp"), true, utf8, &n), 4);
	assert_int_equal(entity_decode(STR("&hearts"), false, utf8, &n), 0);
	assert_int_equal(entity_decode(STR("&"), false, utf8, &n), 0);
	assert_int_equal(entity_decode(STR("&#00000000000000000065"), false, utf8, &n), 22);
	assert_int_equal(utf8[0], 'A');
}

/* Each element of the table, however it is written and wherever the input ends. */
static void test_tags(void **state)
{
#define TAG(name, classes) { #name, TAG_##name },
	static const struct {
		const char *name;
		enum html_tag tag;
	} rows[] = {
#include "core/mail/html_tags.def"
		{ "aa", TAG_OTHER }, { "zzz", TAG_OTHER }, { "tdd", TAG_OTHER }, { "blockquot", TAG_OTHER },
		{ "blockquotes", TAG_OTHER }, { "sixteen-octets--", TAG_OTHER },
		{ "a-name-of-more-than-sixteen", TAG_OTHER },
	};
#undef TAG
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		static const char *const behind[] = { "", ">", " href='x' border=0 >text" };
		for (size_t k = 0; k < 6; k++) {
			struct buf b = BUF_INIT;
			struct html_token token;
			buf_c(&b, rows[i].name);
			for (size_t at = 0; k % 2 && at < b.n; at += 2)
				if (b.p[at] >= 'a' && b.p[at] <= 'z')
					b.p[at] = (char)(b.p[at] - 32);
			buf_c(&b, behind[k / 2]);
			char *exact = malloc(b.n);
			memcpy(exact, b.p, b.n);
			html_token_read(str_from(exact, b.n), 0, &token);
			assert_int_equal(token.tag, rows[i].tag);
			assert_int_equal(token.name.n, strlen(rows[i].name));
			free(exact);
			buf_free(&b);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text),	 cmocka_unit_test(test_links),
		cmocka_unit_test(test_facts),	 cmocka_unit_test(test_limits),
		cmocka_unit_test(test_meta_charset), cmocka_unit_test(test_entities),
		cmocka_unit_test(test_tags),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
