/* `gatepost check`: evaluates one message, or an envelope alone (design: "The command line"). */
#include <stdio.h>
#include <time.h>

#include "core/json.h"
#include "core/limits.h"
#include "core/sandbox.h"
#include "gateway/judge/judge.h"

struct check_values {
	const char *facts, *conf;
	bool json, wire, list;
};

static const struct command_option options[] = {
	COMMAND_OPTION(0, "facts", "FILE", OPTION_STRING, struct check_values, facts, NULL,
		"Client, envelope, time and DNS as JSON; nothing outside the file is asked."),
	COMMAND_FLAG(0, "json", struct check_values, json, "Print the verdict as JSON."),
	COMMAND_FLAG(0, "wire", struct check_values, wire,
		"The message is as on the wire: a lone LF is not taken for a line's end."),
	COMMAND_OPTION('c', "config", "CONF", OPTION_STRING, struct check_values, conf, NULL,
		"Judge by this configuration; without it by the built-in defaults."),
	COMMAND_FLAG(0, "list-filters", struct check_values, list,
		"Print name, stages, traffic, state and summary of every filter."),
	COMMAND_OPTIONS_END,
};

/* Facts from the file, and the zone that answers for DNS. COMMAND_OK, or the exit code. */
static int read_facts(const struct check_values *o, struct arena *arena, struct facts *facts,
	struct facts_zone **zone_r)
{
	struct str json;
	struct err err;

	*zone_r = NULL;
	if (!o->facts[0]) {
		facts->has_mail_from = true;
	} else {
		if (judge_read_file(o->facts, LIMIT_FACTS_BYTES, arena, &json, &err) < 0)
			return judge_fail("check", "%s", err.text);
		if (facts_from_json(json, arena, facts, zone_r, &err) < 0)
			return judge_usage("check", "%s: %s", o->facts, err.text);
	}
	if (!facts->now)
		facts->now = time(NULL);
	return COMMAND_OK;
}

static void print_safe(const char *label, struct str text)
{
	struct buf b = BUF_INIT;

	text_safe(&b, text, JSON_NO_CAP);
	printf("%-12s %.*s\n", label, (int)b.n, b.n ? b.p : "");
	buf_free(&b);
}

static void print_bayes(const struct verdict_bayes *bayes)
{
	printf("%-12s log-odds %.2f\n", "bayes", bayes->log_odds);
	for (size_t i = 0; i < bayes->strongest.n; i++)
		print_safe("", bayes->strongest.v[i]);
}

static void print_text(const struct verdict *v)
{
	print_safe("action", str_c(action_names[v->action]));
	printf("%-12s %.1f\n", "score", v->score);
	print_safe("reason", v->reason);
	print_safe("reply", v->reply);
	for (size_t i = 0; i < v->recipients.n; i++) {
		const struct recipient_verdict *r = &v->recipients.v[i];
		struct buf b = BUF_INIT;

		buf_str_add(&b, r->address);
		buf_printf(&b, ": %s. ", action_names[r->action]);
		buf_str_add(&b, r->reason);
		print_safe(i ? "" : "recipients", buf_str(&b));
		buf_free(&b);
	}
	print_safe("results", v->authentication_results);
	if (v->bayes)
		print_bayes(v->bayes);
	if (v->virus.n)
		print_safe("virus", v->virus);
	for (size_t i = 0; i < v->findings.n; i++) {
		const struct finding *f = &v->findings.v[i];

		printf("%s%6.1f %-28.*s %.*s\n", i ? "" : "findings\n", f->score,
			STR_ARG(f->name), STR_ARG(f->text));
	}
}

static int print_verdict(const struct verdict *v, bool json)
{
	struct buf b = BUF_INIT;

	if (json) {
		verdict_to_json(v, &b);
		buf_char(&b, '\n');
		fwrite(b.p, 1, b.n, stdout);
		buf_free(&b);
	} else {
		print_text(v);
	}
	if (fflush(stdout) != 0 || ferror(stdout))
		return judge_fail("check", "cannot write the verdict");
	return COMMAND_OK;
}

int judge_list_filters(void)
{
	struct buf b = BUF_INIT;

	engine_list(&b);
	fwrite(b.p, 1, b.n, stdout);
	buf_free(&b);
	return COMMAND_OK;
}

/* Without facts the real DNS is asked: as configured, or by recursion from the root. */
static int open_resolver(struct judge_setup *setup, struct loop **loop_r,
	struct resolve **resolve_r)
{
	const struct config *config = setup->config;
	struct conf *defaults;
	struct err err;

	if (!config)
		config = config_read(STR(""), "built-in", setup->arena, &defaults);
	*loop_r = loop_new();
	*resolve_r = resolve_new(*loop_r, &config->dns, &err);
	return *resolve_r ? COMMAND_OK : judge_fail("check", "%s", err.text);
}

static int judge_and_print(const struct check_values *o, struct judge_setup *setup,
	struct facts *facts, const struct answers *answers, bool is_message)
{
	struct evaluation *ev;
	struct verdict verdict;
	int rc;

	judge_default_recipient(setup, facts);
	facts->message_size = (int64_t)answers->message.n;
	judge_evaluate(setup->engine, answers, facts, is_message, &ev, &verdict);
	evaluation_explain(ev);
	rc = print_verdict(&verdict, o->json);
	evaluation_free(&ev);
	return rc;
}

/* NULL: there is none to be had, or the configuration wants none. */
static const struct facts_scan *scan(const struct check_values *o, const struct judge_setup *setup,
	struct str message)
{
	const struct facts_scan *found;
	struct err err;

	if (!o->conf[0] || !engine_conf(setup->engine, "clamav"))
		return NULL;
	found = judge_scan(o->conf, message, setup->arena, &err);
	if (!found)
		fprintf(stderr, "gatepost check: looked for no viruses but EICAR's test file, since the "
			"scanner could not be asked: %s\n", err.text);
	return found;
}

static int check(const struct check_values *o, const char *message_file, struct judge_setup *setup)
{
	struct answers answers = { .arena = setup->arena };
	struct facts facts = { 0 };
	struct facts_zone *zone;
	struct loop *loop = NULL;
	struct err err;
	int rc = read_facts(o, setup->arena, &facts, &zone);

	if (rc)
		return rc;
	answers.zone = zone;
	if (message_file && judge_read_file(message_file, LIMIT_MESSAGE_BYTES, setup->arena,
		&answers.message, &err) < 0)
		return judge_fail("check", "%s", err.text);
	rc = judge_set_up("check", o->conf, setup);
	if (rc == COMMAND_OK && !zone)
		rc = open_resolver(setup, &loop, &answers.resolve);
	if (!o->wire)
		answers.message = judge_crlf(setup->arena, answers.message);
	if (rc == COMMAND_OK && message_file && !o->facts[0])
		answers.scan = scan(o, setup, answers.message);
	if (rc == COMMAND_OK)
		rc = judge_confine("check", zone ? 0 : SANDBOX_LOOP | SANDBOX_CONNECT);
	if (rc == COMMAND_OK)
		rc = judge_and_print(o, setup, &facts, &answers, message_file != NULL);
	if (answers.resolve)
		resolve_free(&answers.resolve);
	if (loop)
		loop_free(&loop);
	return rc;
}

static int run(const struct command *command, const void *values, int argc, char **argv)
{
	const struct check_values *o = values;
	struct judge_setup setup = { .arena = arena_new(SIZE_MAX) };
	int rc = o->list ? judge_list_filters() : check(o, argc ? argv[0] : NULL, &setup);

	judge_tear_down(&setup);
	return rc;
}

const struct command check_command = {
	.name = "check",
	.summary = "Evaluates one message, or an envelope alone.",
	.arguments = "[MESSAGE]",
	.max_args = 1,
	.description = "Without MESSAGE the envelope alone is judged; \"-\" is standard input. Without "
		"a configuration no file is read, any recipient domain is accepted, and of "
		"viruses only EICAR's signature is known. With one that enables clamav the scanner "
		"is started for the message, but not with --facts. The exit code is 0 whatever the verdict.",
	.options = options,
	.size = sizeof(struct check_values),
	.run = run,
};
