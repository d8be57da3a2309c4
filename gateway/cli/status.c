#include "gateway/cli/cli.h"

#include "core/json.h"
#include "core/limits.h"

struct status_values {
	struct cli_common common;
};
static const struct command_option status_options[] = {
	CLI_COMMON(struct status_values),
	COMMAND_OPTIONS_END,
};

static void print_value(struct buf *out, const json_t *value)
{
	if (json_is_string(value))
		cli_cell(out, json_string_value(value), 0);
	else if (json_is_integer(value))
		buf_printf(out, "%lld", (long long)json_integer_value(value));
	else if (json_is_real(value))
		json_double(out, json_real_value(value));
	else if (json_is_boolean(value))
		buf_c(out, json_is_true(value) ? "yes" : "no");
	else
		buf_c(out, "-");
}

/* Objects and arrays of them as an outline; depth is bounded by the server's own JSON. */
static void print_object(struct buf *out, const json_t *object, int depth)
{
	const char *key;
	json_t *value;
	json_object_foreach((json_t *)object, key, value) {
		buf_printf(out, "%*s", depth * 2, "");
		cli_cell(out, key, 0);
		buf_c(out, ":");
		if (json_is_object(value) && depth < 8) {
			buf_char(out, '\n');
			print_object(out, value, depth + 1);
			continue;
		}
		const json_t *item;
		size_t i;
		if (json_is_array(value) && depth < 8) {
			buf_char(out, '\n');
			json_array_foreach(value, i, item) {
				buf_printf(out, "%*s- ", depth * 2 + 2, "");
				if (json_is_object(item)) {
					buf_char(out, '\n');
					print_object(out, item, depth + 2);
				} else {
					print_value(out, item);
					buf_char(out, '\n');
				}
			}
			continue;
		}
		buf_char(out, ' ');
		print_value(out, value);
		buf_char(out, '\n');
	}
}

static int status(const struct command *command, const void *values, int argc, char **argv)
{
	const struct status_values *v = values;
	struct arena *arena = arena_new(LIMIT_CONNECTION_MEMORY);
	const struct config *config = cli_config(v->common.config, arena);
	json_t *json = NULL;
	int code = COMMAND_FAILED;
	if (config)
		json = cli_request(config->state_dir, "GET", "/api/v1/status", STR(""), &code);
	if (json && v->common.json) {
		code = cli_print_json(json);
	} else if (json) {
		struct buf out = BUF_INIT;
		print_object(&out, json, 0);
		code = cli_print(&out);
	}
	json_decref(json);
	arena_free(&arena);
	return code;
}

const struct command cli_status = {
	"status", "Shows what the running gateway does.", .options = status_options,
	.size = sizeof(struct status_values), .run = status,
};
