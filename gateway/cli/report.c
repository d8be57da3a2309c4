#include "gateway/cli/cli.h"

#include "core/limits.h"
#include "gateway/control.h"

struct list_values {
	struct cli_common common;
	const char *domain;
	int64_t limit;
};
static const struct command_option list_options[] = {
	CLI_COMMON(struct list_values),
	COMMAND_OPTION('d', "domain", "DOMAIN", OPTION_STRING, struct list_values, domain, NULL,
		"Only rows of this policy domain."),
	{ { "limit", OPTION_INT, offsetof(struct list_values, limit), "200", 1, 100000,
		  .help = "At most this many rows, newest day first." }, 'n', "N" },
	COMMAND_OPTIONS_END,
};

static void print_row(struct buf *out, const json_t *found)
{
	const json_t *row = json_object_get(found, "row");
	cli_cell(out, cli_text(found, "day"), 10);
	buf_c(out, "  ");
	cli_cell(out, cli_text(found, "domain"), 28);
	buf_printf(out, "  %6lld  ", (long long)json_integer_value(json_object_get(found, "count")));
	cli_cell(out, cli_text(row, "source_ip"), 24);
	buf_c(out, "  ");
	cli_cell(out, cli_text(row, "disposition"), 11);
	buf_printf(out, "  %-4s  %-4s  ",
		json_is_true(json_object_get(row, "dkim_aligned")) ? "pass" : "fail",
		json_is_true(json_object_get(row, "spf_aligned")) ? "pass" : "fail");
	cli_cell(out, cli_text(row, "header_from"), 0);
	buf_char(out, '\n');
}

static int print_rows(const json_t *rows)
{
	struct buf out = BUF_INIT;
	const json_t *row;
	size_t i;
	if (!json_array_size(rows)) {
		buf_c(&out, "No DMARC results are counted yet.\n");
		return cli_print(&out);
	}
	buf_printf(&out, "%-10s  %-28s  %6s  %-24s  %-11s  %-4s  %-4s  %s\n", "DAY", "POLICY DOMAIN",
		"COUNT", "SOURCE", "DISPOSITION", "DKIM", "SPF", "FROM");
	json_array_foreach(rows, i, row)
		print_row(&out, row);
	return cli_print(&out);
}

static int list(const struct command *command, const void *values, int argc, char **argv)
{
	const struct list_values *v = values;
	struct arena *arena = arena_new(LIMIT_CONNECTION_MEMORY);
	const struct config *config = cli_config(v->common.config, arena);
	struct buf path = BUF_INIT;
	json_t *json = NULL;
	int code = COMMAND_FAILED;
	buf_printf(&path, "/api/v1/reports?limit=%lld", (long long)v->limit);
	if (*v->domain) {
		buf_c(&path, "&domain=");
		control_escape(&path, v->domain);
	}
	buf_char(&path, '\0');
	if (config)
		json = cli_request(config->state_dir, "GET", path.p, STR(""), &code);
	if (json) {
		const json_t *rows = json_is_array(json) ? json : json_object_get(json, "rows");
		code = v->common.json ? cli_print_json(rows) : print_rows(rows);
	}
	json_decref(json);
	buf_free(&path);
	arena_free(&arena);
	return code;
}

const struct command cli_report_list = {
	"report list", "Shows the DMARC results counted for each policy domain.",
	.options = list_options, .size = sizeof(struct list_values), .run = list,
};
