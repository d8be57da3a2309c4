/* account: who may send outgoing mail by AUTH. */
#include "gateway/cli/cli.h"

#include <time.h>

#include "gateway/accounts.h"

struct account_values {
	struct cli_common common;
};
static const struct command_option account_options[] = {
	CLI_COMMON(struct account_values),
	COMMAND_OPTIONS_END,
};

static bool any_listener(const struct config *config)
{
	for (size_t i = 0; i < config->listener_count; i++)
		if (config->listeners[i].accounts)
			return true;
	return false;
}

static int show_new(const struct config *config, bool json, const char *address, struct str password)
{
	struct buf out = BUF_INIT;

	if (json) {
		json_t *row = json_pack("{s:s, s:s%}", "address", address, "password", password.p,
			password.n);
		int code = cli_print_json(row);
		json_decref(row);
		return code;
	}
	buf_printf(&out, "The password of %s, which is shown this once:\n\n\t%.*s\n\n"
		"Reload the gateway; then clients prove it by AUTH PLAIN or LOGIN, inside STARTTLS.\n",
		address, STR_ARG(password));
	if (!any_listener(config))
		buf_c(&out, "No listener takes accounts yet: listen \"0.0.0.0:587\" { outbound_from = "
			"\"accounts\" } would.\n");
	return cli_print(&out);
}

static int add(const struct config *config, const struct account_values *v, const char *address,
	struct arena *arena)
{
	struct str password, domain = str_skip(str_c(address), str_rchr(str_c(address), '@') + 1);
	struct err err = { "" };

	if (!config_find_domain(config, domain))
		return cli_fail("%s is in none of the domain sections: nothing could be sent as it",
			address);
	switch (accounts_add(config->state_dir, str_c(address), time(NULL), arena, &password, &err)) {
	case 1:
		return show_new(config, v->common.json, address, password);
	case 0:
		return cli_fail("%s is an account already; gatepost account remove %s, and add makes "
			"another password", address, address);
	default:
		return cli_fail("%s", err.text);
	}
}

static int print_list(const struct accounts *accounts, bool json)
{
	struct buf out = BUF_INIT;
	json_t *rows = json_array();

	for (size_t i = 0; i < accounts->list.n; i++) {
		const struct account *a = &accounts->list.v[i];
		json_array_append_new(rows, json_pack("{s:s%, s:I}", "address", a->address.p,
			a->address.n, "made", (json_int_t)a->made));
		cli_time(&out, a->made);
		buf_printf(&out, "  %.*s\n", STR_ARG(a->address));
	}
	if (!accounts->list.n)
		buf_c(&out, "There are no accounts: gatepost account add ADDRESS makes one.\n");
	int code = json ? cli_print_json(rows) : cli_print(&out);
	if (json)
		buf_free(&out);
	json_decref(rows);
	return code;
}

static int list(const struct config *config, const struct account_values *v, const char *unused,
	struct arena *arena)
{
	struct accounts accounts;
	struct err err = { "" };

	(void)unused;
	if (accounts_load(config->state_dir, arena, &accounts, &err) != 0)
		return cli_fail("%s", err.text);
	return print_list(&accounts, v->common.json);
}

static int take_away(const struct config *config, const struct account_values *v,
	const char *address, struct arena *arena)
{
	struct err err = { "" };
	struct buf out = BUF_INIT;

	(void)v;
	switch (accounts_remove(config->state_dir, str_c(address), arena, &err)) {
	case 1:
		buf_printf(&out, "%s is removed; reload the gateway.\n", address);
		return cli_print(&out);
	case 0:
		return cli_fail("there is no account %s", address);
	default:
		return cli_fail("%s", err.text);
	}
}

/* What each does, with the configuration read. */
static int with_config(const struct account_values *v, const char *argument,
	int (*does)(const struct config *, const struct account_values *, const char *, struct arena *))
{
	struct arena *arena = arena_new(SIZE_MAX);
	const struct config *config = cli_config(v->common.config, arena);
	int code = config ? does(config, v, argument, arena) : COMMAND_FAILED;

	arena_free(&arena);
	return code;
}

static int run_add(const struct command *command, const void *values, int argc, char **argv)
{
	(void)command, (void)argc;
	return with_config(values, argv[0], add);
}

static int run_list(const struct command *command, const void *values, int argc, char **argv)
{
	(void)command, (void)argc, (void)argv;
	return with_config(values, NULL, list);
}

static int run_remove(const struct command *command, const void *values, int argc, char **argv)
{
	(void)command, (void)argc;
	return with_config(values, argv[0], take_away);
}

const struct command cli_account_add = {
	"account add", "Makes an account that may send outgoing mail.", .arguments = "ADDRESS",
	.min_args = 1, .max_args = 1,
	.description = "The password is made here and printed once; only a hash of it is kept, in the "
		"state folder. The address must be in a domain of ours. Listeners with \"accounts\" in "
		"outbound_from take it, by AUTH inside TLS, from the next reload on.",
	.options = account_options, .size = sizeof(struct account_values), .run = run_add,
};
const struct command cli_account_list = {
	"account list", "Lists the accounts, and when they were made.", .options = account_options,
	.size = sizeof(struct account_values), .run = run_list,
};
const struct command cli_account_remove = {
	"account remove", "Removes an account; from the next reload on it sends nothing, in open sessions either.", .arguments = "ADDRESS",
	.min_args = 1, .max_args = 1, .options = account_options,
	.size = sizeof(struct account_values), .run = run_remove,
};
