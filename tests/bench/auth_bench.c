/*
 * What sender authentication costs: SPF, DKIM (RSA-2048, a message of 30 kB) and DMARC, with all
 * DNS answers there already. Prints one line; figures are CPU time of one thread.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "core/limits.h"
#include "core/mail/sign.h"
#include "core/mail/signkey.h"
#include "filters/evaluate.h"

#define ROUNDS	   400
#define BODY_BYTES 30000
#define NOW	   1795176000 /* 2026-11-20T12:00:00Z */

static const char headers[] =
	"From: Bob <bob@example.org>\r\nTo: alice@example.net\r\nSubject: measured\r\n"
	"Date: Fri, 20 Nov 2026 12:00:00 +0000\r\nMessage-ID: <1@example.org>\r\n"
	"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=us-ascii\r\n";

static void die(const char *what)
{
	fprintf(stderr, "auth_bench: %s\n", what);
	exit(1);
}

static int64_t cpu_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

/* A signed message, and the record by which it is verified. */
static struct str make_message(struct arena *arena, struct buf *record)
{
	struct buf text = BUF_INIT, signature = BUF_INIT, whole = BUF_INIT;
	struct sign_how how = { .domain = STR("example.org"), .selector = STR("s"),
		.relaxed_header = true, .relaxed_body = true, .now = NOW };
	struct sign_draft draft;
	struct signkey *key;
	struct err err;

	buf_c(&text, headers);
	buf_c(&text, "\r\n");
	for (int line = 0; text.n < BODY_BYTES; line++)
		buf_printf(&text, "%d: the quick brown fox jumps over the lazy dog, once more.\r\n",
			line);
	if (signkey_generate(false, &key, &err) < 0)
		die(err.text);
	how.algorithm = signkey_algorithm(key);
	sign_draft(mail_parse(arena, buf_str(&text)), &how, &draft);
	signkey_sign(key, draft.digest, &signature);
	sign_finish(&draft, buf_str(&signature), true, &whole);
	buf_str_add(&whole, buf_str(&text));
	signkey_record(key, record);
	signkey_free(&key);
	struct str message = arena_dup(arena, buf_str(&whole));
	buf_free(&text);
	buf_free(&signature);
	buf_free(&whole);
	return message;
}

/* Only what `keep` names is enabled. */
static struct engine *start_engine(struct arena *arena, const char *keep)
{
	struct buf text = BUF_INIT;
	struct err err = { "" };

	for (size_t i = 0; i < filter_count; i++)
		if (!strstr(keep, filters[i]->name))
			buf_printf(&text, "filter \"%s\" { enabled = false }\n", filters[i]->name);
	struct conf *conf = conf_parse(arena_dup(arena, buf_str(&text)), "bench", arena);
	struct env env = { .state_dir = "", .hostname = "mx.example.net", .arena = arena,
		.conf = conf, .offline = true };
	struct engine *engine = engine_start(conf, &env, &err);
	buf_free(&text);
	if (!engine || conf_errors(conf)->n)
		die(err.text[0] ? err.text : conf_errors(conf)->v[0]);
	return engine;
}

/* Answers what is asked, for as long as something is. */
static void judge(struct engine *engine, struct str message, const struct facts_zone *zone,
	struct arena *arena, struct facts *facts, bool *pass_r)
{
	struct evaluation *ev = evaluation_new(engine, message, NULL);
	struct verdict verdict;
	struct needs needs;

	while (!evaluate(ev, facts, STAGE_MESSAGE, &needs, &verdict)) {
		size_t n = facts->dns.n, more = needs.dns.n;

		facts->dns.v = arena_grow(arena, facts->dns.v, n, n + more, sizeof(*facts->dns.v));
		for (size_t i = 0; i < more; i++) {
			struct dns_question q = needs.dns.v[i];

			q.name = arena_dup(arena, q.name);
			facts_zone_answer(zone, arena, &q, &facts->dns.v[n + i]);
		}
		facts->dns.n = n + more;
	}
	const struct auth *a = &verdict.auth;
	*pass_r = a->spf && a->spf->result == AUTH_PASS && a->dkim && a->dkim->n == 1 &&
		a->dkim->v[0].result == AUTH_PASS && a->dmarc && a->dmarc->result == AUTH_PASS;
	evaluation_free(&ev);
}

/* Microseconds a message, once all answers are known. */
static double measure(struct arena *arena, const char *keep, struct str message,
	const struct facts_zone *zone, struct facts *facts, bool must_pass)
{
	struct engine *engine = start_engine(arena, keep);
	bool pass;

	judge(engine, message, zone, arena, facts, &pass);
	if (must_pass && !pass)
		die("the message does not pass");
	int64_t begin = cpu_ns();
	for (int i = 0; i < ROUNDS; i++)
		judge(engine, message, zone, arena, facts, &pass);
	int64_t spent = cpu_ns() - begin;
	engine_stop(&engine);
	return (double)spent / 1000 / ROUNDS;
}

int main(void)
{
	struct arena *arena = arena_new(SIZE_MAX);
	struct buf record = BUF_INIT, json = BUF_INIT;
	struct str message = make_message(arena, &record);
	struct facts facts;
	struct facts_zone *zone;
	struct err err;

	buf_printf(&json, "{\"now\": \"2026-11-20T12:00:00Z\", \"client\": {\"ip\": \"192.0.2.1\"},"
		"\"helo\": \"mail.example.org\", \"mail_from\": \"bob@example.org\","
		"\"rcpt_to\": [\"alice@example.net\"], \"dns\": {\"example.org\": {\"TXT\": "
		"[\"v=spf1 include:spf.example.org -all\"]}, \"spf.example.org\": {\"TXT\": "
		"[\"v=spf1 ip4:192.0.2.0/24 -all\"]}, \"_dmarc.example.org\": {\"TXT\": "
		"[\"v=DMARC1; p=reject\"]}, \"s._domainkey.example.org\": "
		"{\"TXT\": [[\"%.*s\"]]}}}",
		STR_ARG(buf_str(&record)));
	if (facts_from_json(buf_str(&json), arena, &facts, &zone, &err) < 0)
		die(err.text);
	double all = measure(arena, "spf dkim dmarc", message, zone, &facts, true);
	double none = measure(arena, "", message, zone, &facts, false);
	printf("authentication: SPF + DKIM (RSA-2048, %zu kB) + DMARC %.0f us CPU a message "
		"(goal 350), and %.0f us to read and judge it\n", message.n / 1000, all - none,
		none);
	buf_free(&record);
	buf_free(&json);
	arena_free(&arena);
	return 0;
}
