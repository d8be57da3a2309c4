/* quarantine: over the control socket; list and show also on the state folder of a gateway
 * that does not run. */
#include "gateway/cli/cli.h"

#include <stdio.h>

#include "core/json.h"
#include "core/limits.h"
#include "gateway/control.h"
#include "quarantine/store.h"

struct list_values {
	struct cli_common common;
	const char *recipient, *text;
	int64_t limit;
};
struct show_values {
	struct cli_common common;
	bool message;
};
struct order_values {
	struct cli_common common;
	struct option_strings recipients;
};

static const struct command_option list_options[] = {
	CLI_COMMON(struct list_values),
	COMMAND_OPTION('r', "recipient", "ADDRESS", OPTION_STRING, struct list_values, recipient,
		NULL, "Only what is held for this address."),
	COMMAND_OPTION('t', "text", "TEXT", OPTION_STRING, struct list_values, text, NULL,
		"Only with this in subject, From or sender."),
	{ { "limit", OPTION_INT, offsetof(struct list_values, limit), "100", 1, STORE_LIST_MAX,
		  .help = "At most this many, newest first." }, 'n', "N" },
	COMMAND_OPTIONS_END,
};
static const struct command_option show_options[] = {
	CLI_COMMON(struct show_values),
	COMMAND_FLAG('m', "message", struct show_values, message,
		"Print the held message itself, as it was received."),
	COMMAND_OPTIONS_END,
};
static const struct command_option order_options[] = {
	CLI_COMMON(struct order_values),
	COMMAND_OPTIONS_END,
};
static const struct command_option release_options[] = {
	CLI_COMMON(struct order_values),
	COMMAND_OPTION('r', "recipient", "ADDRESS", OPTION_LIST, struct order_values, recipients,
		NULL, "Release to this recipient only; may be repeated."),
	COMMAND_OPTIONS_END,
};

/* ---- without a running gateway ---- */

static json_t *found_json(const struct store_found *found)
{
	struct buf b = BUF_INIT;
	record_to_json(&store_found_record, found, &b);
	json_t *json = json_loadb(b.p, b.n, JSON_ALLOW_NUL, NULL);
	buf_free(&b);
	return json ? json : json_null();
}

/* The same form as the admin API's list. */
static bool add_found(void *context, const struct store_found *found)
{
	static const char *const keys[] = { "id", "time", "mail_from", "from", "subject", "rcpt_to",
		"score", "reason", "virus", "size" };
	json_t *all = found_json(found), *entry = json_object_get(all, "entry"), *row = json_object();
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		json_object_set(row, keys[i], json_object_get(entry, keys[i]));
	json_object_set(row, "state", json_object_get(all, "state"));
	json_object_set(row, "label", json_object_get(all, "label"));
	json_array_append_new(context, row);
	json_decref(all);
	return true;
}

static struct store *open_store(const char *state_dir)
{
	struct err err;
	struct store *store = store_open(state_dir, true, &err);
	if (!store)
		cli_fail("%s", err.text);
	return store;
}

static json_t *list_offline(const char *state_dir, const struct list_values *v)
{
	struct store_query query = { .recipient = str_c(v->recipient), .text = str_c(v->text),
		.limit = v->limit };
	struct err err;
	struct store *store = open_store(state_dir);
	if (!store)
		return NULL;
	struct arena *arena = arena_new(LIMIT_TRANSACTION_MEMORY);
	json_t *list = json_array();
	if (store_list(store, &query, arena, add_found, list, &err) != STORE_OK) {
		cli_fail("%s", err.text);
		json_decref(list);
		list = NULL;
	}
	arena_free(&arena);
	store_close(&store);
	return list;
}

static int fail_store(enum store_result result, const char *id, const struct err *err)
{
	if (result == STORE_NOT_FOUND)
		return cli_fail("nothing is held under %s", id);
	return cli_fail("%s", err->text);
}

static json_t *show_offline(const char *state_dir, const char *id, struct arena *arena)
{
	struct store_found found;
	struct err err;
	struct store *store = open_store(state_dir);
	if (!store)
		return NULL;
	enum store_result result = store_get(store, str_c(id), arena, &found, &err);
	json_t *json = NULL;
	if (result == STORE_OK)
		json = found_json(&found);
	else
		fail_store(result, id, &err);
	store_close(&store);
	return json;
}

static int message_offline(const char *state_dir, const char *id, struct buf *out)
{
	struct err err;
	struct store *store = open_store(state_dir);
	if (!store)
		return COMMAND_FAILED;
	enum store_result result = store_read(store, str_c(id), out, &err);
	store_close(&store);
	return result == STORE_OK ? COMMAND_OK : fail_store(result, id, &err);
}

/* 1: asked the running gateway. 0: none runs. -1: failed, shown. */
static int ask(const char *state_dir, const char *path, json_t **json_r, struct buf *raw_r)
{
	struct control_reply reply;
	struct err err;
	int result = control_request(state_dir, "GET", path, STR(""), &reply, &err);
	if (result == 1 && reply.status / 100 != 2) {
		control_error(&reply, &err);
		control_reply_free(&reply);
		result = -1;
	}
	if (result < 0)
		cli_fail("%s", err.text);
	if (result != 1)
		return result;
	if (json_r)
		*json_r = reply.json ? json_incref(reply.json) : json_null();
	if (raw_r)
		buf_str_add(raw_r, reply.body);
	control_reply_free(&reply);
	return 1;
}

/* ---- list ---- */

static void print_row(struct buf *out, const json_t *entry)
{
	const json_t *rcpt_to = json_object_get(entry, "rcpt_to");
	struct buf to = BUF_INIT;
	const char *first = json_string_value(json_array_get(rcpt_to, 0));
	buf_c(&to, first ? first : "");
	if (json_array_size(rcpt_to) > 1)
		buf_printf(&to, " +%zu", json_array_size(rcpt_to) - 1);
	buf_char(&to, '\0');
	cli_cell(out, cli_text(entry, "id"), 26);
	buf_c(out, "  ");
	cli_time(out, json_integer_value(json_object_get(entry, "time")));
	buf_printf(out, "  %6.1f  ", json_number_value(json_object_get(entry, "score")));
	cli_cell(out, cli_text(entry, "state"), 9);
	buf_c(out, "  ");
	cli_cell(out, *cli_text(entry, "mail_from") ? cli_text(entry, "mail_from") : "<>", 28);
	buf_c(out, "  ");
	cli_cell(out, to.p, 28);
	buf_c(out, "  ");
	cli_cell(out, cli_text(entry, "subject"), 40);
	buf_char(out, '\n');
	buf_free(&to);
}

/* An array, or an object that holds it. */
static const json_t *rows_of(const json_t *json)
{
	return json_is_array(json) ? json : json_object_get(json, "entries");
}

static void list_path(struct buf *path, const struct list_values *v)
{
	buf_printf(path, "/api/v1/quarantine?limit=%lld", (long long)v->limit);
	if (*v->recipient) {
		buf_c(path, "&recipient=");
		control_escape(path, v->recipient);
	}
	if (*v->text) {
		buf_c(path, "&text=");
		control_escape(path, v->text);
	}
	buf_char(path, '\0');
}

static int print_list(const json_t *json, bool as_json)
{
	struct buf out = BUF_INIT;
	const json_t *rows = rows_of(json), *row;
	size_t i;
	if (as_json)
		return cli_print_json(rows);
	if (!json_array_size(rows)) {
		buf_c(&out, "Nothing is held.\n");
		return cli_print(&out);
	}
	buf_printf(&out, "%-26s  %-16s  %6s  %-9s  %-28s  %-28s  %s\n", "ID", "TIME (UTC)", "SCORE",
		"STATE", "FROM", "TO", "SUBJECT");
	json_array_foreach(rows, i, row)
		print_row(&out, row);
	return cli_print(&out);
}

static int list(const struct command *command, const void *values, int argc, char **argv)
{
	const struct list_values *v = values;
	struct arena *arena = arena_new(LIMIT_TRANSACTION_MEMORY);
	const struct config *config = cli_config(v->common.config, arena);
	struct buf path = BUF_INIT;
	json_t *json = NULL;
	int code = COMMAND_FAILED;
	if (config) {
		list_path(&path, v);
		int asked = ask(config->state_dir, path.p, &json, NULL);
		if (asked == 0)
			json = list_offline(config->state_dir, v);
		if (json)
			code = print_list(json, v->common.json);
	}
	json_decref(json);
	buf_free(&path);
	arena_free(&arena);
	return code;
}

const struct command cli_quarantine_list = {
	"quarantine list", "Lists what is held, newest first.", .options = list_options,
	.size = sizeof(struct list_values), .run = list,
};

/* ---- show ---- */

static void print_recipients(struct buf *out, const json_t *found)
{
	const json_t *row;
	size_t i;
	json_array_foreach(json_object_get(found, "recipients"), i, row) {
		buf_c(out, "Recipient:  ");
		cli_cell(out, cli_text(row, "address"), 0);
		buf_c(out, " (");
		cli_cell(out, cli_text(row, "state"), 0);
		if (*cli_text(row, "who")) {
			buf_c(out, ", by ");
			cli_cell(out, cli_text(row, "who"), 0);
		}
		buf_c(out, ")\n");
	}
}

static void print_bayes(struct buf *out, const json_t *bayes)
{
	const json_t *reason;
	size_t i;
	if (!json_is_object(bayes))
		return;
	buf_printf(out, "Classifier: log-odds of spam %.2f\n",
		json_number_value(json_object_get(bayes, "log_odds")));
	json_array_foreach(json_object_get(bayes, "strongest"), i, reason) {
		buf_c(out, "  ");
		cli_cell(out, json_is_string(reason) ? json_string_value(reason) : "", 0);
		buf_char(out, '\n');
	}
}

/* The verdict is JSON in a string: what the inspector found, for the record. */
static void print_findings(struct buf *out, const json_t *entry)
{
	const char *text = cli_text(entry, "verdict");
	json_t *verdict = json_loads(text, 0, NULL);
	const json_t *finding;
	size_t i;
	json_array_foreach(json_object_get(verdict, "findings"), i, finding) {
		buf_printf(out, "  %6.1f  ", json_number_value(json_object_get(finding, "score")));
		cli_cell(out, cli_text(finding, "name"), 24);
		buf_c(out, "  ");
		cli_cell(out, cli_text(finding, "text"), 0);
		buf_char(out, '\n');
	}
	print_bayes(out, json_object_get(verdict, "bayes"));
	json_decref(verdict);
}

static int print_entry(const json_t *found)
{
	static const struct {
		const char *label, *key;
	} lines[] = { { "Client", "client_ip" }, { "HELO", "helo" }, { "Sender", "mail_from" },
		{ "From", "from" }, { "Subject", "subject" }, { "Message-ID", "message_id" },
		{ "Virus", "virus" }, { "Reason", "reason" } };
	const json_t *entry = json_object_get(found, "entry");
	struct buf out = BUF_INIT;
	buf_c(&out, "Id:         ");
	cli_cell(&out, cli_text(entry, "id"), 0);
	buf_c(&out, "\nTime:       ");
	cli_time(&out, json_integer_value(json_object_get(entry, "time")));
	buf_c(&out, " UTC\nState:      ");
	cli_cell(&out, cli_text(found, "state"), 0);
	if (*cli_text(found, "label")) {
		buf_c(&out, ", learned as ");
		cli_cell(&out, cli_text(found, "label"), 0);
	}
	buf_char(&out, '\n');
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		if (!*cli_text(entry, lines[i].key))
			continue;
		buf_printf(&out, "%s:%*s", lines[i].label, (int)(11 - strlen(lines[i].label)), "");
		cli_cell(&out, cli_text(entry, lines[i].key), 0);
		buf_char(&out, '\n');
	}
	print_recipients(&out, found);
	buf_printf(&out, "Size:       %lld octets\nScore:      %.1f\n",
		(long long)json_integer_value(json_object_get(entry, "size")),
		json_number_value(json_object_get(entry, "score")));
	print_findings(&out, entry);
	return cli_print(&out);
}

static int show_message(const char *state_dir, const char *id, struct buf *path)
{
	struct buf out = BUF_INIT;
	int asked, code = COMMAND_OK;
	buf_c(path, "/message");
	buf_char(path, '\0');
	asked = ask(state_dir, path->p, NULL, &out);
	if (asked == 0)
		code = message_offline(state_dir, id, &out);
	if (asked < 0 || code != COMMAND_OK) {
		buf_free(&out);
		return COMMAND_FAILED;
	}
	return cli_print(&out);
}

static int show_entry(const char *state_dir, const char *id, struct buf *path, bool as_json,
	struct arena *arena)
{
	json_t *json = NULL;
	int code = COMMAND_FAILED;
	buf_char(path, '\0');
	if (ask(state_dir, path->p, &json, NULL) == 0)
		json = show_offline(state_dir, id, arena);
	if (json)
		code = as_json ? cli_print_json(json) : print_entry(json);
	json_decref(json);
	return code;
}

static int show(const struct command *command, const void *values, int argc, char **argv)
{
	const struct show_values *v = values;
	struct arena *arena = arena_new(LIMIT_TRANSACTION_MEMORY);
	const struct config *config = cli_config(v->common.config, arena);
	struct buf path = BUF_INIT;
	int code = COMMAND_FAILED;
	buf_c(&path, "/api/v1/quarantine/");
	control_escape(&path, argv[0]);
	if (config && v->message)
		code = show_message(config->state_dir, argv[0], &path);
	else if (config)
		code = show_entry(config->state_dir, argv[0], &path, v->common.json, arena);
	buf_free(&path);
	arena_free(&arena);
	return code;
}

const struct command cli_quarantine_show = {
	"quarantine show", "Shows all that is known of a held message.", "ID", 1, 1,
	.options = show_options, .size = sizeof(struct show_values), .run = show,
};

/* ---- release, delete, learn ---- */

/* One order for each id; the rest go on when one fails. */
static int order(const struct order_values *v, const char *verb, const char *done, struct str body,
	int argc, char **argv)
{
	struct arena *arena = arena_new(LIMIT_CONNECTION_MEMORY);
	const struct config *config = cli_config(v->common.config, arena);
	int worst = config ? COMMAND_OK : COMMAND_FAILED;
	for (int i = 0; config && i < argc; i++) {
		struct buf path = BUF_INIT;
		int code;
		buf_c(&path, "/api/v1/quarantine/");
		control_escape(&path, argv[i]);
		buf_printf(&path, "/%s", verb);
		buf_char(&path, '\0');
		json_t *json = cli_request(config->state_dir, "POST", path.p, body, &code);
		if (json && v->common.json)
			cli_print_json(json);
		else if (json)
			printf("%s %s\n", argv[i], done);
		else
			worst = code;
		json_decref(json);
		buf_free(&path);
	}
	arena_free(&arena);
	return worst;
}

static int release(const struct command *command, const void *values, int argc, char **argv)
{
	const struct order_values *v = values;
	struct buf body = BUF_INIT;
	buf_c(&body, "{\"recipients\": [");
	for (size_t i = 0; i < v->recipients.n; i++) {
		buf_c(&body, i ? ", " : "");
		json_text(&body, str_c(v->recipients.v[i]), JSON_NO_CAP);
	}
	buf_c(&body, "]}");
	int code = order(v, "release", "will be delivered", buf_str(&body), argc, argv);
	buf_free(&body);
	return code;
}

static int delete(const struct command *command, const void *values, int argc, char **argv)
{
	return order(values, "delete", "is deleted", STR("{}"), argc, argv);
}

static int learn(const struct command *command, const void *values, int argc, char **argv)
{
	bool is_spam = strcmp(argv[0], "spam") == 0;
	if (!is_spam && strcmp(argv[0], "ham") != 0) {
		fprintf(stderr, "gatepost quarantine learn: \"%s\" is neither spam nor ham\n", argv[0]);
		return COMMAND_USAGE;
	}
	return order(values, is_spam ? "learn?label=spam" : "learn?label=ham",
		is_spam ? "is learned as spam" : "is learned as ham", STR("{}"), argc - 1, argv + 1);
}

const struct command cli_quarantine_release = {
	"quarantine release", "Delivers held messages to their recipients, each once.", "ID...", 1, -1,
	.options = release_options, .size = sizeof(struct order_values), .run = release,
};
const struct command cli_quarantine_delete = {
	"quarantine delete", "Deletes held messages for good.", "ID...", 1, -1,
	.options = order_options, .size = sizeof(struct order_values), .run = delete,
};
const struct command cli_quarantine_learn = {
	"quarantine learn", "Teaches the classifier what held messages are.", "spam|ham ID...", 2, -1,
	.options = order_options, .size = sizeof(struct order_values), .run = learn,
};
