#include "gateway/cli/cli.h"

#include <stdio.h>
#include <time.h>

#include "core/json.h"
#include "gateway/control.h"

struct config *cli_config(const char *file, struct arena *arena)
{
	struct str text;
	struct err err;
	struct conf *conf;
	if (config_load(file, arena, &text, &err) != 0) {
		cli_fail("%s", err.text);
		return NULL;
	}
	struct config *config = config_read(text, file, arena, &conf);
	const struct option_strings *errors = conf_errors(conf);
	for (size_t i = 0; i < errors->n; i++)
		fprintf(stderr, "%s\n", errors->v[i]);
	return errors->n ? NULL : config;
}

int cli_fail(const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	fputs("gatepost: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
	return COMMAND_FAILED;
}

/* Characters, not octets; wide ones are rare enough. */
static size_t columns(struct str s)
{
	size_t n = 0;
	for (size_t i = 0; i < s.n; i++)
		n += ((unsigned char)s.p[i] & 0xc0) != 0x80;
	return n;
}

void cli_cell(struct buf *out, const char *text, size_t width)
{
	struct buf safe = BUF_INIT;
	text_safe(&safe, str_c(text), JSON_NO_CAP);
	struct str s = buf_str(&safe);
	if (width && columns(s) > width) {
		size_t n = 0, seen = 0;
		while (n < s.n && (((unsigned char)s.p[n] & 0xc0) == 0x80 || seen++ < width - 1))
			n++;
		buf_add(out, s.p, n);
		buf_c(out, "…");
	} else {
		buf_str_add(out, s);
		if (width)
			buf_printf(out, "%*s", (int)(width - columns(s)), "");
	}
	buf_free(&safe);
}

void cli_time(struct buf *out, int64_t time)
{
	time_t t = (time_t)time;
	struct tm tm;
	char text[32] = "?";
	if (gmtime_r(&t, &tm))
		strftime(text, sizeof(text), "%Y-%m-%d %H:%M", &tm);
	buf_c(out, text);
}

const char *cli_text(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));
	return text ? text : "";
}

int cli_print(struct buf *out)
{
	bool is_written = fwrite(out->p, 1, out->n, stdout) == out->n && fflush(stdout) == 0;
	buf_free(out);
	return is_written ? COMMAND_OK : cli_fail("standard output cannot be written");
}

int cli_print_json(const json_t *value)
{
	struct buf out = BUF_INIT;
	/* not as it came: what is printed is escaped anew */
	char *text = json_dumps(value, JSON_INDENT(2) | JSON_ENSURE_ASCII | JSON_ENCODE_ANY);
	buf_c(&out, text ? text : "null");
	buf_char(&out, '\n');
	free(text);
	return cli_print(&out);
}

json_t *cli_request(const char *state_dir, const char *method, const char *path, struct str body,
	int *code_r)
{
	struct control_reply reply;
	struct err err;
	json_t *json = NULL;
	*code_r = COMMAND_FAILED;
	if (control_request(state_dir, method, path, body, &reply, &err) != 1) {
		cli_fail("%s", err.text);
		return NULL;
	}
	if (reply.status / 100 == 2) {
		json = reply.json ? json_incref(reply.json) : json_null();
		*code_r = COMMAND_OK;
	} else {
		control_error(&reply, &err);
		cli_fail("%s", err.text);
	}
	control_reply_free(&reply);
	return json;
}
