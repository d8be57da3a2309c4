/*
 * cli: what the subcommands of `gatepost` share. Each is one file here, with its
 * option table, and one row in main.c.
 */
#ifndef GATEWAY_CLI_CLI_H
#define GATEWAY_CLI_CLI_H

#include <jansson.h>

#include "gateway/command.h"
#include "gateway/config.h"

/* Every command that looks at a gateway's state begins its options with these. */
struct cli_common {
	const char *config;
	bool json;
};
#define CLI_COMMON(type)                                                                      \
	COMMAND_OPTION('c', "config", "FILE", OPTION_STRING, type, common.config,             \
		CONFIG_DEFAULT_FILE, "The configuration file."),                              \
	COMMAND_FLAG('j', "json", type, common.json, "Print JSON.")

/* Reads the configuration; shows its errors. NULL if there are any. */
struct config *cli_config(const char *file, struct arena *arena);
/* "gatepost: …" to standard error; returns COMMAND_FAILED. */
int cli_fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Escaped for a terminal and cut to `width` columns, then blanks up to it; 0: as it is. */
void cli_cell(struct buf *out, const char *text, size_t width);
/* "2026-11-20 12:00" in UTC. */
void cli_time(struct buf *out, int64_t time);
/* A member as text, "" if it is none. */
const char *cli_text(const json_t *object, const char *key);
/* Writes it out and frees it. */
int cli_print(struct buf *out);
/* The whole value, and a newline. */
int cli_print_json(const json_t *value);

/* Of a running gateway: GET or POST; shows what is wrong. NULL then, else to be decref'd. */
json_t *cli_request(const char *state_dir, const char *method, const char *path, struct str body,
	int *code_r);

extern const struct command cli_quarantine_list, cli_quarantine_show, cli_quarantine_release,
	cli_quarantine_delete, cli_quarantine_learn, cli_report_list, cli_status, cli_setup,
	cli_demo, cli_demo_dns, cli_dkim_keygen, cli_dkim_list, cli_account_add, cli_account_list,
	cli_account_remove;

#endif
