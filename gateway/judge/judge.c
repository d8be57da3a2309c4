#include "gateway/judge/judge.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#include "core/hash.h"
#include "core/mail/charset.h"
#include "core/sandbox.h"

static void __attribute__((format(printf, 2, 0))) tell(const char *command, const char *fmt, va_list ap)
{
	fflush(stdout);
	fprintf(stderr, "gatepost %s: ", command);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
}

int judge_fail(const char *command, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	tell(command, fmt, ap);
	va_end(ap);
	return COMMAND_FAILED;
}

int judge_usage(const char *command, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	tell(command, fmt, ap);
	va_end(ap);
	return COMMAND_USAGE;
}

void judge_tell_lost(const char *command, struct teacher *teacher)
{
	int64_t lost = teacher_lost(teacher);
	if (lost)
		judge_fail(command, TEACHER_SAYS_LOST, (long long)lost);
}

int judge_read_file(const char *path, size_t cap, struct arena *arena, struct str *text_r,
	struct err *err)
{
	FILE *f = strcmp(path, "-") == 0 ? stdin : fopen(path, "rbe");
	struct buf b = BUF_INIT;
	size_t n = 0;
	int rc = 0;

	if (!f)
		return err_sys(err, "%s", path);
	do {
		buf_commit(&b, n);
		n = fread(buf_reserve(&b, 65536), 1, 65536, f);
	} while (n && b.n + n <= cap);
	if (n)
		rc = err_set(err, "%s: larger than %zu octets", path, cap);
	else if (ferror(f))
		rc = err_sys(err, "%s", path);
	else
		*text_r = arena_dup(arena, buf_str(&b));
	buf_free(&b);
	if (f != stdin)
		fclose(f);
	return rc;
}

static int show_errors(struct conf *conf)
{
	const struct option_strings *errors = conf_errors(conf), *warnings = conf_warnings(conf);

	for (size_t i = 0; i < errors->n; i++)
		fprintf(stderr, "%s\n", errors->v[i]);
	for (size_t i = 0; i < warnings->n; i++)
		fprintf(stderr, "%s\n", warnings->v[i]);
	return errors->n ? COMMAND_FAILED : COMMAND_OK;
}

int judge_set_up(const char *command, const char *conf_file, struct judge_setup *setup)
{
	struct env env = {
		.arena = setup->arena, .state_dir = "", .offline = !conf_file[0]
	};
	struct str text;
	struct err err;

	setup->hostname = "localhost";
	if (!env.offline) {
		if (config_load(conf_file, setup->arena, &text, &err) < 0)
			return judge_fail(command, "%s", err.text);
		setup->config = config_read(text, conf_file, setup->arena, &setup->conf);
		setup->hostname = setup->config->hostname;
		env.state_dir = setup->config->state_dir;
	} else {
		setup->conf = conf_parse(STR(""), "built-in", setup->arena);
	}
	env.hostname = setup->hostname;
	env.conf = setup->conf;
	setup->engine = engine_start(setup->conf, &env, &err);
	if (!setup->engine)
		return judge_fail(command, "%s", err.text);
	return show_errors(setup->conf);
}

void judge_tear_down(struct judge_setup *setup)
{
	engine_stop(&setup->engine);
	arena_free(&setup->arena);
}

int judge_confine(const char *command, unsigned allow)
{
	const struct sandbox box = { .allow = allow };
	uint8_t digest[32];
	struct err err;

	/* What libraries open when they are first used, they open now. */
	if (mail_charset_preload(&err) < 0)
		fprintf(stderr, "gatepost %s: %s\n", command, err.text);
	hash_sha256(STR(""), digest);
	tzset();
	if (sandbox_enter(&box, NULL, &err) < 0)
		return judge_fail(command, "cannot confine itself: %s", err.text);
	return COMMAND_OK;
}

static bool ends_in_cr(struct str line)
{
	return line.n && line.p[line.n - 1] == '\r';
}

struct str judge_crlf(struct arena *arena, struct str text)
{
	struct str rest = text, line;
	size_t lone = 0, n = 0;

	while (str_cut(&rest, '\n', &line))
		lone += rest.p && !ends_in_cr(line);
	if (!lone)
		return text;
	char *p = arena_alloc(arena, text.n + lone);
	rest = text;
	while (str_cut(&rest, '\n', &line)) {
		memcpy(p + n, line.p, line.n);
		n += line.n;
		if (!rest.p)
			break;
		if (!ends_in_cr(line))
			p[n++] = '\r';
		p[n++] = '\n';
	}
	return str_from(p, n);
}

void judge_default_recipient(const struct judge_setup *setup, struct facts *facts)
{
	const char *domain = setup->hostname;

	if (facts->rcpt_to.n)
		return;
	if (setup->config && setup->config->domain_count)
		domain = setup->config->domains[0].name;
	facts->rcpt_to.v = ARENA_NEW(setup->arena, struct str);
	facts->rcpt_to.v[0] = arena_printf(setup->arena, "postmaster@%s", domain);
	facts->rcpt_to.n = 1;
}
