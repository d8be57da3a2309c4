/* dkim: keys that mail is signed with, and the records to publish for them. */
#include "gateway/cli/cli.h"

#include <stdio.h>
#include <time.h>

#include "core/dns.h"
#include "core/limits.h"
#include "core/mail/mail.h"
#include "gateway/keyring.h"

struct keygen_values {
	struct cli_common common;
	bool ed25519, next;
	const char *selector;
};
static const struct command_option keygen_options[] = {
	CLI_COMMON(struct keygen_values),
	COMMAND_FLAG('e', "ed25519", struct keygen_values, ed25519,
		"An Ed25519 key (RFC 8463), to stand beside an RSA one: not every verifier knows it."),
	COMMAND_FLAG('n', "next", struct keygen_values, next,
		"The key does not sign while the domain has another of its kind: it can be published first."),
	COMMAND_OPTION('s', "selector", "NAME", OPTION_STRING, struct keygen_values, selector, NULL,
		"The key's selector; by default a new one, from the date."),
	COMMAND_OPTIONS_END,
};

struct list_values {
	struct cli_common common;
};
static const struct command_option list_options[] = {
	CLI_COMMON(struct list_values),
	COMMAND_OPTIONS_END,
};

/* As a zone file has it: strings of at most 255 octets (RFC 1035 3.3.14). */
static void add_zone_line(struct buf *out, struct str name, struct str value)
{
	buf_str_add(out, name);
	buf_c(out, ". IN TXT (");
	for (size_t at = 0; at < value.n; at += 255) {
		buf_c(out, at ? "\n\t\"" : " \"");
		buf_str_add(out, str_sub(value, at, 255));
		buf_char(out, '"');
	}
	buf_c(out, " )\n");
}

static json_t *to_json(const struct keyring_key *key, const char *file)
{
	struct buf value = BUF_INIT;

	signkey_record(key->key, &value);
	json_t *json = json_pack("{s:s%, s:s%, s:s, s:o, s:s, s:s%}", "domain", key->domain.p,
		key->domain.n, "selector", key->selector.p, key->selector.n, "algorithm",
		signkey_algorithm(key->key), "name", json_sprintf("%.*s._domainkey.%.*s",
		STR_ARG(key->selector), STR_ARG(key->domain)), "type", "TXT", "value", value.p, value.n);
	if (file)
		json_object_set_new(json, "file", json_string(file));
	buf_free(&value);
	return json;
}

static void add_record(struct buf *out, const struct keyring_key *key, struct arena *arena)
{
	struct buf value = BUF_INIT;

	signkey_record(key->key, &value);
	add_zone_line(out, arena_printf(arena, "%.*s._domainkey.%.*s", STR_ARG(key->selector),
		STR_ARG(key->domain)), buf_str(&value));
	buf_free(&value);
}

static int show_new(const struct keygen_values *v, const struct keyring_key *key, const char *file,
	struct arena *arena)
{
	if (v->common.json) {
		json_t *json = to_json(key, file);
		int code = cli_print_json(json);
		json_decref(json);
		return code;
	}
	struct buf out = BUF_INIT;
	buf_printf(&out, "The key is in %s. Publish its public half:\n\n", file);
	add_record(&out, key, arena);
	if (v->next)
		buf_printf(&out, "\nOnce that can be looked up, touch %s and reload the gateway: what it "
			"sends for the domain is then signed by it.\n", file);
	else
		buf_c(&out, "\nOnce that can be looked up, reload the gateway: what it sends for the domain "
			"is then signed.\n");
	return cli_print(&out);
}

/* "g20261120", with an "e" for Ed25519: a key made another day is another selector. */
static struct str default_selector(bool ed25519, struct arena *arena)
{
	time_t now = time(NULL);
	struct tm tm;

	gmtime_r(&now, &tm);
	return arena_printf(arena, "g%04d%02d%02d%s", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday,
		ed25519 ? "e" : "");
}

static int generate(const struct keygen_values *v, const struct config *config, const char *domain,
	struct arena *arena)
{
	struct keyring_key key = { .selector = *v->selector ? str_c(v->selector) :
		default_selector(v->ed25519, arena) };
	struct err err = { "" };
	const char *file;

	if (mail_domain_canonical(arena, str_c(domain), &key.domain) < 0 ||
		!dns_is_hostname(key.domain) || str_chr(key.domain, '.') == key.domain.n)
		return cli_fail("%s is no domain", domain), COMMAND_USAGE;
	if (!dns_is_hostname(key.selector) || key.selector.n + key.domain.n > 200)
		return cli_fail("%.*s is no selector: letters, digits, hyphens and dots",
			STR_ARG(key.selector)), COMMAND_USAGE;
	if (signkey_generate(v->ed25519, &key.key, &err) < 0)
		return cli_fail("%s", err.text);
	struct keyring_order order = { key.domain, key.selector, key.key, v->next };
	int code = keyring_store(config->state_dir, &order, arena, &file, &err) < 0 ?
		cli_fail("%s", err.text) : show_new(v, &key, file, arena);
	signkey_free(&key.key);
	return code;
}

static int keygen(const struct command *command, const void *values, int argc, char **argv)
{
	const struct keygen_values *v = values;
	struct arena *arena = arena_new(LIMIT_CONNECTION_MEMORY);
	const struct config *config = cli_config(v->common.config, arena);
	int code = config ? generate(v, config, argv[0], arena) : COMMAND_FAILED;

	(void)command, (void)argc;
	arena_free(&arena);
	return code;
}

static int print_list(const struct keyring *ring, bool json, struct arena *arena)
{
	struct buf out = BUF_INIT;
	json_t *rows = json_array();
	int code = COMMAND_OK;

	for (size_t i = 0; i < ring->keys.n; i++)
		if (json)
			json_array_append_new(rows, to_json(&ring->keys.v[i], NULL));
		else
			add_record(&out, &ring->keys.v[i], arena);
	if (!json && ring->keys.n == 0)
		buf_c(&out, "There are no keys: gatepost dkim keygen DOMAIN makes one.\n");
	code = json ? cli_print_json(rows) : cli_print(&out);
	json_decref(rows);
	return code;
}

static int list(const struct command *command, const void *values, int argc, char **argv)
{
	const struct list_values *v = values;
	struct arena *arena = arena_new(LIMIT_CONNECTION_MEMORY);
	const struct config *config = cli_config(v->common.config, arena);
	struct err err = { "" };
	struct keyring ring;
	int code = COMMAND_FAILED;

	(void)command, (void)argc, (void)argv;
	if (config && keyring_load(config->state_dir, arena, &ring, &err) < 0) {
		cli_fail("%s", err.text);
	} else if (config) {
		code = print_list(&ring, v->common.json, arena);
		keyring_free(&ring);
	}
	arena_free(&arena);
	return code;
}

const struct command cli_dkim_keygen = {
	"dkim keygen", "Makes a key to sign a domain's mail with.", .arguments = "DOMAIN",
	.min_args = 1, .max_args = 1,
	.description = "The private key is kept in the state folder, for its owner alone; the record to "
		"publish is printed. Of several keys of a domain the newest RSA and the newest Ed25519 one "
		"sign, by the time of their files, as they were at the last start or reload. To change a "
		"key: make one with --next and another selector, and publish it; when its record can be "
		"looked up everywhere (gatepost doctor DOMAIN shows it, and the negative TTL of the zone has "
		"passed), touch its file and reload; a week later, when no mail that the old one signed is on "
		"its way any more, remove the old file, reload, and withdraw its record.",
	.options = keygen_options, .size = sizeof(struct keygen_values), .run = keygen,
};
const struct command cli_dkim_list = {
	"dkim list", "Prints the records of all keys.", .options = list_options,
	.size = sizeof(struct list_values), .run = list,
};
