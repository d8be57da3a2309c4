/*
 * The structure of messages, and what is odd about them. In each row `tree` shows the parts,
 * and `odd` the anomalies without their prefix; a marker, "HIT", must lie in the decoded
 * octets of a leaf wherever some client would find it.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/limits.h"
#include "core/mail/mail.h"

struct row {
	const char *id, *raw, *tree, *odd;
	bool hit;
};

#define HEAD	 "From: a@b.example\r\n"
#define MIXED(b) HEAD "Content-Type: multipart/mixed; boundary=" b "\r\n\r\n"
#define TEXT	 "Content-Type: text/plain\r\n\r\n"

static const struct row rows[] = {
	/* plain */
	{"plain", HEAD "\r\nHIT\r\n", "text/plain", "", true},
	{"headers alone", HEAD, "text/plain", "NO_BLANK_LINE", false},
	{"empty", "", "text/plain", "NO_HEADERS NO_BLANK_LINE", false},
	{"no headers", "\r\nHIT\r\n", "text/plain", "NO_HEADERS", true},
	{"text at once", "Hello there\r\nHIT\r\n", "text/plain", "NO_HEADERS NO_BLANK_LINE", true},
	{"text in the headers", HEAD "HIT is text\r\n\r\nmore\r\n", "text/plain", "NO_BLANK_LINE",
		true},
	{"empty name", HEAD ": x\r\n\r\n", "text/plain", "HEADER_MALFORMED", false},
	{"8-bit name", HEAD "X\xc3\xa4: x\r\n\r\n", "text/plain", "HEADER_MALFORMED", false},
	{"blank fold", HEAD " \r\nX: y\r\n\r\n", "text/plain", "HEADER_SPACE", false},
	{"blank fold inside", HEAD " \r\n z\r\nX: y\r\n\r\n", "text/plain", "", false},
	{"octets", HEAD "X: \xe4\r\n\r\n", "text/plain", "HEADER_8BIT", false},
	{"bare LF", HEAD "\r\nx\nHIT\r\n", "text/plain", "BARE_LF", true},
	{"bare CR", HEAD "\r\nx\rHIT\r\n", "text/plain", "BARE_CR", true},
	{"CR CR LF", HEAD "\r\nHIT\r\r\n", "text/plain", "BARE_CR", true},
	{"LF alone", "From: a@b.example\n\nHIT\n", "text/plain", "BARE_LF", true},
	{"uuencode", HEAD "\r\nbegin 644 x.exe\r\n#0V%T\r\n`\r\nend\r\n", "text/plain", "UUENCODE",
		false},
	{"no uuencode", HEAD "\r\nbegin reading here\r\n", "text/plain", "", false},

	/* multipart */
	{"two parts", MIXED("x") "--x\r\n" TEXT "one\r\n--x\r\n" TEXT "HIT\r\n--x--\r\n",
		"multipart/mixed(text/plain,text/plain)", "", true},
	{"preamble and epilogue", MIXED("x") "This is MIME.\r\n--x\r\n\r\nHIT\r\n--x--\r\nbye\r\n",
		"multipart/mixed(text/plain)", "", true},
	{"empty part", MIXED("x") "--x\r\n\r\n--x--\r\n", "multipart/mixed(text/plain)", "", false},
	{"headers alone in a part", MIXED("x") "--x\r\nX: y\r\n--x--\r\n",
		"multipart/mixed(text/plain)", "", false},
	{"nested",
		MIXED("x") "--x\r\nContent-Type: multipart/alternative; boundary=\"y z\"\r\n\r\n"
			   "--y z\r\n\r\na\r\n--y z\r\nContent-Type: text/html\r\n\r\nHIT\r\n"
			   "--y z--\r\n--x\r\n\r\nb\r\n--x--\r\n",
		"multipart/mixed(multipart/alternative(text/plain,text/html),text/plain)",
		"BOUNDARY_ODD", true},
	{"message",
		MIXED("x") "--x\r\nContent-Type: message/rfc822\r\n\r\nSubject: in\r\n\r\nHIT\r\n"
			   "--x--\r\n",
		"multipart/mixed(message/rfc822(text/plain))", "", true},
	{"message in a message",
		HEAD "Content-Type: message/rfc822\r\n\r\nContent-Type: message/rfc822\r\n\r\n"
		     "Content-Type: text/html\r\n\r\nHIT\r\n",
		"message/rfc822(message/rfc822(text/html))", "", true},
	{"message without octets", HEAD "Content-Type: message/rfc822\r\n\r\n",
		"message/rfc822(text/plain)", "", false},
	{"digest",
		HEAD "Content-Type: multipart/digest; boundary=x\r\n\r\n--x\r\n\r\nSubject: a\r\n"
		     "\r\nHIT\r\n--x--\r\n",
		"multipart/digest(message/rfc822(text/plain))", "", true},
	{"headers of a message alone",
		MIXED("x") "--x\r\nContent-Type: message/rfc822\r\n\r\nSubject: a\r\n--x--\r\n",
		"multipart/mixed(message/rfc822(text/plain))", "", false},
	{"signature dashes", MIXED("x") "--x\r\n\r\n-- \r\nHIT\r\n--\r\n--x--\r\n",
		"multipart/mixed(text/plain)", "", true},

	/* boundaries */
	{"unclosed", MIXED("x") "--x\r\n\r\nHIT\r\n", "multipart/mixed(text/plain)",
		"BOUNDARY_UNCLOSED", true},
	{"inner unclosed",
		MIXED("x") "--x\r\nContent-Type: multipart/mixed; "
			   "boundary=y\r\n\r\n--y\r\n\r\nHIT\r\n"
			   "--x--\r\n",
		"multipart/mixed(multipart/mixed(text/plain))", "BOUNDARY_UNCLOSED", true},
	{"no boundary", HEAD "Content-Type: multipart/mixed\r\n\r\n--q\r\n" TEXT "HIT\r\n--q--\r\n",
		"multipart/mixed(text/plain)", "BOUNDARY_MISSING HIDDEN_CONTENT", true},
	{"empty boundary", MIXED("\"\"") "--q\r\n" TEXT "HIT\r\n--q--\r\n",
		"multipart/mixed(text/plain)", "BOUNDARY_MISSING HIDDEN_CONTENT", true},
	{"other boundary", MIXED("x") "--q\r\n" TEXT "HIT\r\n--q--\r\n",
		"multipart/mixed(text/plain)", "BOUNDARY_MISSING HIDDEN_CONTENT", true},
	{"no boundary, no headers",
		HEAD "Content-Type: multipart/mixed\r\n\r\n--q\r\n\r\nHIT\r\n--q--\r\n",
		"multipart/mixed(text/plain)", "BOUNDARY_MISSING", true},
	{"no boundary but hyphens", MIXED("") "--\r\n" TEXT "HIT\r\n----\r\n",
		"multipart/mixed(text/plain)", "BAD_CONTENT_TYPE BOUNDARY_MISSING HIDDEN_CONTENT",
		true},
	{"fold without a blank",
		HEAD
		"Content-Type: multipart/mixed;\r\nboundary=x\r\n\r\n--x\r\n\r\nHIT\r\n--x--\r\n",
		"multipart/mixed(text/plain)", "NO_BLANK_LINE BOUNDARY_MISSING", true},
	{"part in the preamble",
		MIXED("x") "--y\r\nContent-Type: text/html\r\n\r\nHIT\r\n--y--\r\n"
			   "--x\r\n\r\nb\r\n--x--\r\n",
		"multipart/mixed(text/plain,text/html)", "HIDDEN_CONTENT", true},
	{"part in the epilogue",
		MIXED("x") "--x\r\n\r\nb\r\n--x--\r\n"
			   "--y\r\nContent-Type: text/html\r\n\r\nHIT\r\n--y--\r\n",
		"multipart/mixed(text/plain,text/html)", "HIDDEN_CONTENT", true},
	{"NUL or blank in the type",
		HEAD "Content-Type: multi part/mixed; boundary=x\r\n\r\n"
		     "--x\r\n\r\nHIT\r\n--x--\r\n",
		"multi/(text/plain)", "BAD_CONTENT_TYPE", true},
	{"no type", HEAD "Content-Type: ; boundary=x\r\n\r\n--x\r\n\r\nHIT\r\n--x--\r\n",
		"text/plain(text/plain)", "BAD_CONTENT_TYPE", true},
	{"boundary never found", MIXED("x") "HIT\r\n", "multipart/mixed", "BOUNDARY_MISSING", true},
	{"only closed", MIXED("x") "--x--\r\nbye\r\n", "multipart/mixed", "BOUNDARY_MISSING",
		false},
	{"padding", MIXED("x") "--x \t\r\n\r\nHIT\r\n--x-- \r\n", "multipart/mixed(text/plain)",
		"BOUNDARY_ODD", true},
	{"indented delimiter", MIXED("x") "--x\r\n\r\nHIT\r\n --x--\r\n--x--\r\n",
		"multipart/mixed(text/plain)", "BOUNDARY_ODD", true},
	{"prefix of a delimiter", MIXED("x") "--x\r\n\r\n--xyz\r\nHIT\r\n--x--\r\n",
		"multipart/mixed(text/plain)", "BOUNDARY_ODD", true},
	{"trailing blank", MIXED("\"x \"") "--x\r\n\r\nHIT\r\n--x--\r\n",
		"multipart/mixed(text/plain)", "BOUNDARY_ODD", true},
	{"extended",
		HEAD "Content-Type: multipart/mixed; boundary*=us-ascii''%78\r\n\r\n"
		     "--x\r\n\r\nHIT\r\n--x--\r\n",
		"multipart/mixed(text/plain)", "BOUNDARY_ODD", true},
	{"sections",
		HEAD "Content-Type: multipart/mixed; boundary*0=x; boundary*1=y\r\n\r\n"
		     "--xy\r\n\r\nHIT\r\n--xy--\r\n",
		"multipart/mixed(text/plain)", "BOUNDARY_ODD", true},
	{"comment", MIXED("(c)x(d)") "--x\r\n\r\nHIT\r\n--x--\r\n", "multipart/mixed(text/plain)",
		"BOUNDARY_ODD", true},
	{"folded",
		HEAD "Content-Type: multipart/mixed;\r\n\tboundary=\"x\"\r\n\r\n"
		     "--x\r\n\r\nHIT\r\n--x--\r\n",
		"multipart/mixed(text/plain)", "", true},
	{"unquoted equals", MIXED("----=_x") "------=_x\r\n\r\nHIT\r\n------=_x--\r\n",
		"multipart/mixed(text/plain)", "", true},
	{"twice", MIXED("x; boundary=y") "--x\r\n\r\nHIT\r\n--x--\r\n",
		"multipart/mixed(text/plain)", "BAD_CONTENT_TYPE BOUNDARY_ODD", true},
	{"same inside",
		MIXED("x") "--x\r\nContent-Type: multipart/mixed; "
			   "boundary=x\r\n\r\n--x\r\n\r\nHIT\r\n"
			   "--x--\r\n--x--\r\n",
		"multipart/mixed(multipart/mixed(text/plain))", "BOUNDARY_REUSED", true},
	{"prefix inside",
		MIXED("xy") "--xy\r\nContent-Type: multipart/mixed; "
			    "boundary=x\r\n\r\n--x\r\n\r\nHIT\r\n"
			    "--x--\r\n--xy--\r\n",
		"multipart/mixed(multipart/mixed(text/plain))", "BOUNDARY_ODD BOUNDARY_REUSED",
		true},
	{"part behind the end", MIXED("x") "--x\r\n\r\na\r\n--x--\r\n--x\r\n\r\nHIT\r\n--x--\r\n",
		"multipart/mixed(text/plain,text/plain)", "HIDDEN_CONTENT", true},
	{"headers in the preamble", MIXED("x") TEXT "no\r\n--x\r\n\r\nHIT\r\n--x--\r\n",
		"multipart/mixed(text/plain)", "HIDDEN_CONTENT", true},
	{"headers in the epilogue", MIXED("x") "--x\r\n\r\nHIT\r\n--x--\r\n" TEXT "no\r\n",
		"multipart/mixed(text/plain)", "HIDDEN_CONTENT", true},
	{"no blank line before the first delimiter",
		HEAD "Content-Type: multipart/mixed; boundary=x\r\n--x\r\n" TEXT "HIT\r\n--x--\r\n",
		"multipart/mixed(text/plain)", "NO_BLANK_LINE DUP_CONTENT_TYPE", true},
	{"no blank line before a message",
		HEAD "Content-Type: message/rfc822\r\nno header\r\nSubject: x\r\n\r\nHIT\r\n",
		"message/rfc822(text/plain)", "NO_BLANK_LINE", true},

	/* Content-Type */
	{"first type counts",
		HEAD "Content-Type: text/html\r\nContent-Type: text/plain\r\n\r\nHIT\r\n",
		"text/html", "DUP_CONTENT_TYPE", true},
	{"multipart second",
		HEAD "Content-Type: text/plain\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n"
		     "--x\r\nContent-Type: text/html\r\n\r\nHIT\r\n--x--\r\n",
		"text/plain(text/html)", "DUP_CONTENT_TYPE", true},
	{"type alone", HEAD "Content-Type: text\r\n\r\nHIT\r\n", "text/", "BAD_CONTENT_TYPE", true},
	{"nonsense", HEAD "Content-Type: ???\r\n\r\nHIT\r\n", "text/plain", "BAD_CONTENT_TYPE",
		true},
	{"comma", HEAD "Content-Type: text/html, text/plain\r\n\r\nHIT\r\n", "text/html,",
		"BAD_CONTENT_TYPE", true},
	{"half a comment",
		HEAD
		"Content-Type: multipart/mixed; (boundary=x\r\n\r\n--x\r\n\r\nHIT\r\n--x--\r\n",
		"multipart/mixed(text/plain)", "BAD_CONTENT_TYPE BOUNDARY_ODD", true},
	{"no semicolon", HEAD "Content-Type: text/html charset=utf-8\r\n\r\nHIT\r\n", "text/html",
		"BAD_CONTENT_TYPE", true},
	{"partial", HEAD "Content-Type: message/partial; id=x; number=1\r\n\r\nHIT\r\n",
		"message/partial", "PARTIAL", true},
	{"blank before the colon",
		HEAD
		"Content-Type : multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\nHIT\r\n--x--\r\n",
		"multipart/mixed(text/plain)", "HEADER_SPACE", true},

	/* transfer encodings */
	{"base64", HEAD "Content-Transfer-Encoding: base64\r\n\r\nSElU\r\n", "text/plain", "",
		true},
	{"encoding with a comment",
		HEAD "Content-Transfer-Encoding: (x) base64 (y)\r\n\r\nSElU\r\n", "text/plain",
		"BAD_CTE", true},
	{"encoding in quotes", HEAD "Content-Transfer-Encoding: \"base64\"\r\n\r\nSElU\r\n",
		"text/plain", "BAD_CTE", true},
	{"encoding with a tail", HEAD "Content-Transfer-Encoding: base64; x\r\n\r\nSElU\r\n",
		"text/plain", "BAD_CTE", true},
	{"two encodings",
		HEAD "Content-Transfer-Encoding: base64\r\nContent-Transfer-Encoding: "
		     "7bit\r\n\r\nSElU\r\n",
		"text/plain", "DUP_CTE BAD_CTE", true},
	{"two encodings, the other way round",
		HEAD "Content-Transfer-Encoding: 8bit\r\nContent-Transfer-Encoding: "
		     "base64\r\n\r\nSElU\r\n",
		"text/plain", "DUP_CTE BAD_CTE", true},
	{"two encodings, in vain",
		HEAD "Content-Transfer-Encoding: base64\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
		     "HIT me.\r\n",
		"text/plain", "DUP_CTE BAD_CTE", true},
	{"mangled encoding", HEAD "Content-Transfer-Encoding: x-base64\r\n\r\nSElU\r\n",
		"text/plain", "BAD_CTE", true},
	{"unknown encoding", HEAD "Content-Transfer-Encoding: rot13\r\n\r\nHIT\r\n", "text/plain",
		"BAD_CTE", true},
	{"quoted-printable",
		HEAD "Content-Transfer-Encoding: Quoted-Printable\r\n\r\nH=49=\r\nT\r\n",
		"text/plain", "", true},
	{"encoded message",
		HEAD "Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\n"
		     "U3ViamVjdDogeA0KDQpISVQNCg==\r\n",
		"message/rfc822(text/plain)", "BAD_CTE", true},
	{"encoded multipart",
		HEAD "Content-Type: multipart/mixed; boundary=x\r\n"
		     "Content-Transfer-Encoding: base64\r\n\r\n"
		     "LS14DQpDb250ZW50LVR5cGU6IHRleHQvaHRtbA0KDQpISVQNCi0teC0tDQo=\r\n",
		"multipart/mixed(text/html)", "BAD_CTE BOUNDARY_MISSING", true},
	{"encoded multipart in place",
		HEAD "Content-Type: multipart/mixed; boundary=x\r\n"
		     "Content-Transfer-Encoding: quoted-printable\r\n\r\n"
		     "--x\r\nContent-Type: text/html\r\n\r\nHIT\r\n--x--\r\n",
		"multipart/mixed(text/html)", "BAD_CTE", true},
};

static void show(struct buf *b, const struct mail *m, size_t index)
{
	const struct mail_part *p = &m->parts.v[index];
	size_t children = 0;
	buf_printf(b, "%.*s/%.*s", STR_ARG(p->type), STR_ARG(p->subtype));
	for (size_t i = index + 1; i < m->parts.n; i++) {
		if (m->parts.v[i].parent != (int)index)
			continue;
		buf_char(b, children++ ? ',' : '(');
		show(b, m, i);
	}
	if (children)
		buf_char(b, ')');
	assert_int_equal(p->has_children, children > 0);
}

static bool is_hit(struct mail *m)
{
	bool hit = false;
	for (size_t i = 0; i < m->parts.n; i++) {
		struct str octets = mail_part_decoded(m, &m->parts.v[i]);
		hit |= str_find(octets, STR("HIT")) < octets.n;
	}
	return hit;
}

static void show_anomalies(struct buf *b, const struct mail *m)
{
	for (unsigned a = 0; a < MAIL_ANOMALY_COUNT; a++)
		if (mail_has(m, a))
			buf_printf(b, "%s%s", b->n ? " " : "", mail_anomaly_name(a) + 5);
}

static void test_structure(void **state)
{
	bool good = true;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		const struct row *row = &rows[i];
		struct arena *a = arena_new(1 << 20);
		struct buf tree = BUF_INIT, odd = BUF_INIT;
		struct mail *m = mail_parse(a, str_c(row->raw));
		bool hit = is_hit(m);
		show(&tree, m, 0);
		show_anomalies(&odd, m);
		bool same = str_eq_c(buf_str(&tree), row->tree) && hit == row->hit &&
			    str_eq_c(buf_str(&odd), row->odd);
		if (!same)
			print_error("%s: %.*s [%.*s] hit %d\n", row->id, STR_ARG(buf_str(&tree)),
				STR_ARG(buf_str(&odd)), hit);
		good &= same;
		buf_free(&tree);
		buf_free(&odd);
		arena_free(&a);
	}
	assert_true(good);
}

static void test_offsets(void **state)
{
	struct arena *a = arena_new(1 << 20);
	struct str raw =
		STR("Subject:  a\r\n b\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n"
		    "--x\r\nContent-ID: <c@d>\r\n\r\nbody\r\n\r\n--x--\r\n");
	struct mail *m = mail_parse(a, raw);
	assert_int_equal(m->headers.n, 2);
	assert_true(str_eq_c(m->headers.v[0].name, "Subject"));
	assert_true(str_eq_c(m->headers.v[0].value, " a\r\n b"));
	assert_true(str_eq_c(m->headers.v[0].line, "Subject:  a\r\n b\r\n"));
	assert_ptr_equal(m->headers.v[0].line.p, raw.p);
	assert_true(str_eq_c(mail_unfold(a, m->headers.v[0].value), "a b"));
	assert_ptr_equal(m->body.p, raw.p + m->header_bytes);
	assert_true(str_starts(m->body, "--x\r\n"));
	assert_true(str_eq_c(m->parts.v[1].body, "body\r\n"));
	assert_true(str_eq_c(m->parts.v[1].content_id, "c@d"));
	assert_true(str_eq(m->parts.v[0].body, m->body));
	arena_free(&a);
}

struct name {
	const char *headers, *filename, *odd;
};

static const struct name names[] = {
	{"Content-Disposition: attachment; filename=a.exe", "a.exe", ""},
	{"Content-Disposition: attachment; filename=\"a b.exe\"", "a b.exe", ""},
	{"Content-Disposition: attachment; filename=\"a\\\"b.exe\"", "a\"b.exe", ""},
	{"Content-Type: x/y; name=a.exe", "a.exe", ""},
	{"Content-Type: x/y; name=a.exe\r\nContent-Disposition: inline; filename=a.exe", "a.exe",
		""},
	{"Content-Type: x/y; name=b.exe\r\nContent-Disposition: inline; filename=a.exe", "a.exe",
		"PARAM_AMBIGUOUS"},
	{"Content-Disposition: attachment; filename*=utf-8'en'%c3%bc.exe", "\xc3\xbc.exe", ""},
	{"Content-Disposition: attachment; filename*=iso-8859-1''%fc.exe", "\xc3\xbc.exe", ""},
	{"Content-Disposition: attachment; filename*0=\"a.\"; filename*1=exe", "a.exe", ""},
	{"Content-Disposition: attachment; filename*1=exe; filename*0=a.", "a.exe", ""},
	{"Content-Disposition: attachment; filename*0*=utf-8''%c3; filename*1*=%bc; "
	 "filename*2=.exe",
		"\xc3\xbc.exe", ""},
	{"Content-Disposition: attachment; filename*0=a.; filename*2=exe", "a.", "PARAM_AMBIGUOUS"},
	{"Content-Disposition: attachment; filename=a.txt; filename*=utf-8''a.exe", "a.exe",
		"PARAM_AMBIGUOUS"},
	{"Content-Disposition: attachment; filename=\"=?utf-8?B?w7wuZXhl?=\"", "\xc3\xbc.exe", ""},
	{"Content-Disposition: attachment; filename=a.txt; filename=a.exe", "a.txt",
		"PARAM_AMBIGUOUS"},
	{"Content-Disposition: attachment; filename*=a.exe", "a.exe", ""},
	{"Content-Disposition: attachment; filename*=utf-8''%zz%4", "%zz%4", ""},
	{"Content-Disposition: attachment; filename=\"a.exe", "a.exe", ""},
	{"Content-Disposition: ATTACHMENT; FileName=a.exe", "a.exe", ""},
};

static void test_names(void **state)
{
	bool good = true;
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		struct arena *a = arena_new(1 << 20);
		struct buf odd = BUF_INIT;
		struct mail *m = mail_parse(a, arena_printf(a, "%s\r\n\r\n", names[i].headers));
		show_anomalies(&odd, m);
		bool same = str_eq_c(m->parts.v[0].filename, names[i].filename) &&
			    str_eq_c(buf_str(&odd), names[i].odd);
		if (!same)
			print_error("%s: '%.*s' [%.*s]\n", names[i].headers,
				STR_ARG(m->parts.v[0].filename), STR_ARG(buf_str(&odd)));
		good &= same;
		buf_free(&odd);
		arena_free(&a);
	}
	assert_true(good);
}

/* What a hostile sender repeats, and what must come of it. */
struct bomb {
	const char *id, *head, *unit;
	size_t times;
	enum mail_anomaly noted;
};

static const struct bomb bombs[] = {
	{"headers", "", "a:b\r\n", 300000, MAIL_HEADER_LIMIT},
	{"long header", "X: ", "abcdefgh\r\n ", 100000, MAIL_HEADER_LIMIT},
	{"parts", MIXED("x"), "--x\r\n\r\n", 100000, MAIL_PARTS_LIMIT},
	{"headers of parts", MIXED("x"),
		"--x\r\na:\r\na:\r\na:\r\na:\r\na:\r\na:\r\na:\r\na:\r\n"
		"a:\r\na:\r\na:\r\na:\r\na:\r\na:\r\n\r\n",
		5000, MAIL_HEADER_LIMIT},
	{"messages", HEAD, "Content-Type: message/rfc822\r\n\r\n", 100000, MAIL_DEPTH_LIMIT},
	{"multiparts", HEAD, "Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n", 100000,
		MAIL_DEPTH_LIMIT},
	{"messages without blank lines", HEAD, "Content-Type: message/rfc822\r\nx\r\n", 100000,
		MAIL_NO_BLANK_LINE},
	{"delimiters that fit nearly", MIXED("xxxxxxxxxxxxxxxxy"), "--xxxxxxxxxxxxxxxx\r\n", 100000,
		MAIL_BOUNDARY_MISSING},
	{"comments", HEAD "Content-Type: text/plain; ", "(", 200000, MAIL_BAD_CONTENT_TYPE},
	{"parameters", HEAD "Content-Type: text/plain", ";a=b", 50000, MAIL_BAD_CONTENT_TYPE},
	{"quotes", HEAD "Content-Type: text/plain; x=\"", "\\\"", 50000, MAIL_BAD_CONTENT_TYPE},
};

static void test_bombs(void **state)
{
	for (size_t i = 0; i < sizeof(bombs) / sizeof(*bombs); i++) {
		struct arena *a = arena_new(LIMIT_TRANSACTION_MEMORY);
		struct buf b = BUF_INIT;
		buf_c(&b, bombs[i].head);
		for (size_t n = 0; n < bombs[i].times; n++)
			buf_c(&b, bombs[i].unit);
		struct mail *m = mail_parse(a, buf_str(&b));
		if (!mail_has(m, bombs[i].noted) || arena_is_over(a))
			print_error("%s: not noted, or %zu octets left\n", bombs[i].id, arena_left(a));
		assert_true(mail_has(m, bombs[i].noted));
		assert_false(arena_is_over(a));
		assert_true(m->parts.n <= LIMIT_MIME_PARTS);
		for (size_t p = 0; p < m->parts.n; p++)
			assert_true(m->parts.v[p].depth <= LIMIT_MIME_DEPTH);
		buf_free(&b);
		arena_free(&a);
	}
}

static void test_nul(void **state)
{
	struct arena *a = arena_new(1 << 20);
	struct mail *m = mail_parse(a, STR("Subject: a\0b\r\n\r\nx\r\n"));
	assert_true(mail_has(m, MAIL_NUL) && mail_has(m, MAIL_HEADER_NUL));
	m = mail_parse(a, STR("Subject: a\r\n\r\nx\0\r\n"));
	assert_true(mail_has(m, MAIL_NUL) && !mail_has(m, MAIL_HEADER_NUL));
	struct buf b = BUF_INIT;
	buf_c(&b, "Subject: a\r\n\r\n");
	for (int i = 0; i < 999; i++)
		buf_char(&b, 'x');
	buf_c(&b, "\r\n");
	assert_true(mail_has(mail_parse(a, buf_str(&b)), MAIL_LONG_LINE));
	buf_free(&b);
	arena_free(&a);
}

/* Wherever it stands: behind each length of text, and with each length behind it. */
static void test_bare_cr(void **state)
{
	static const char xs[] = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";
	for (size_t before = 0; before < 40; before++) {
		for (size_t behind = 0; behind < 40; behind++) {
			struct arena *a = arena_new(1 << 20);
			struct buf b = BUF_INIT;
			size_t at = strlen("Subject: a\r\n\r\n") + before;
			buf_printf(&b, "Subject: a\r\n\r\n%.*s\r\n%.*s", (int)before, xs, (int)behind, xs);
			assert_false(mail_has(mail_parse(a, buf_str(&b)), MAIL_BARE_CR));
			b.p[at + 1] = 'x';
			assert_true(mail_has(mail_parse(a, buf_str(&b)), MAIL_BARE_CR));
			assert_true(mail_has(
				mail_parse(a, str_sub(buf_str(&b), 0, at + 1)), MAIL_BARE_CR));
			buf_free(&b);
			arena_free(&a);
		}
	}
}

static void test_anomaly_table(void **state)
{
	for (unsigned i = 0; i < MAIL_ANOMALY_COUNT; i++) {
		assert_true(str_starts(str_c(mail_anomaly_name(i)), "MIME_"));
		assert_true(str_ends(str_c(mail_anomaly_text(i)), "."));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_structure),
		cmocka_unit_test(test_offsets),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_bombs),
		cmocka_unit_test(test_nul),
		cmocka_unit_test(test_bare_cr),
		cmocka_unit_test(test_anomaly_table),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
