/* `gatepost config`: what all roles read of the file, and what only filters can say of theirs. */
#include <stdio.h>

#include "core/tls.h"
#include "gateway/judge/judge.h"
#include "gateway/keyring.h"
#include "rules/policy.h"

struct config_values {
	const char *conf;
};

static const struct command_option options[] = {
	COMMAND_OPTION('c', "config", "CONF", OPTION_STRING, struct config_values, conf,
		CONFIG_DEFAULT_FILE, "The configuration file."),
	COMMAND_OPTIONS_END,
};
static const struct option no_rows[] = { OPTION_ROWS_END };

static const struct option *rows_of(const struct filter *f)
{
	return f->options ? f->options : no_rows;
}

static int print(struct buf *out)
{
	bool is_written = fwrite(out->p, 1, out->n, stdout) == out->n && fflush(stdout) == 0;
	buf_free(out);
	return is_written ? COMMAND_OK : COMMAND_FAILED;
}

/* What the roles will read: certificates and keys that belong together, the token, keys to sign with. */
static int check_files(struct judge_setup *setup)
{
	struct conf *conf = setup->conf;
	const struct option_strings *errors = conf_errors(conf);
	const struct conf_section *s = NULL;
	struct keyring keys = { .keys = { NULL, 0 } };
	const char *token;
	struct err err;

	for (size_t i = 0; (s = conf_next(conf_root(conf), "listen", s)) != NULL; i++) {
		const struct config_listener *l = &setup->config->listeners[i];
		struct tls_server_options tls = { .name = l->title,
			.certificate = l->tls_certificate, .key = l->tls_key, .security_level = 1 };
		if (l->tls == CONFIG_TLS_OFF || !l->tls_certificate[0])
			continue;
		struct tls_context *context = tls_server_new(&tls, &err);
		if (context == NULL)
			conf_error(conf, s, "tls_certificate", "%s", err.text);
		tls_context_free(&context);
	}
	if (config_token(setup->config, setup->arena, &token, &err) != 0)
		conf_error(conf, conf_next(conf_root(conf), "admin", NULL), "token_file", "%s",
			err.text);
	if (config_relay_password(setup->config, setup->arena, &token, &err) != 0)
		conf_error(conf, conf_next(conf_root(conf), "outbound", NULL), "relay_password_file",
			"%s", err.text);
	if (*setup->config->arc.seal_as) {
		if (keyring_load(setup->config->state_dir, setup->arena, &keys, &err) != 0)
			conf_error(conf, conf_next(conf_root(conf), "arc", NULL), "seal_as", "%s", err.text);
		else
			keyring_check(&keys, setup->config, conf);
	}
	keyring_free(&keys);
	for (size_t i = 0; i < errors->n; i++)
		fprintf(stderr, "%s\n", errors->v[i]);
	return errors->n ? COMMAND_FAILED : COMMAND_OK;
}

static int check(const struct command *command, const void *values, int argc, char **argv)
{
	const struct config_values *o = values;
	struct judge_setup setup = { .arena = arena_new(SIZE_MAX) };
	int rc = judge_set_up("config check", o->conf, &setup);

	if (rc == COMMAND_OK)
		rc = check_files(&setup);
	if (rc == COMMAND_OK)
		printf("%s: no errors\n", o->conf);
	judge_tear_down(&setup);
	return rc;
}

const struct command config_check_command = {
	.name = "config check",
	.summary = "Checks the configuration, filters and what they load included.",
	.options = options,
	.size = sizeof(struct config_values),
	.run = check,
};

/* ---- dump ---- */

static const struct conf_section *filter_section(const struct conf *conf, const char *name)
{
	const struct conf_section *s = NULL;

	while ((s = conf_next(conf_root(conf), "filter", s)))
		if (strcmp(conf_title(s), name) == 0)
			break;
	return s;
}

static void dump_filter(struct conf *conf, const struct filter *f, struct buf *out)
{
	const struct conf_section *s = filter_section(conf, f->name);
	struct option common_rows[FILTER_COMMON_ROWS];
	struct filter_common common;
	void *own = arena_alloc(conf_arena(conf), f->conf_size + 1);

	engine_common_options(f, common_rows);
	conf_read_some(conf, s, common_rows, &common);
	conf_read_some(conf, s, rows_of(f), own);
	buf_printf(out, "\nfilter \"%s\" {\n", f->name);
	conf_dump(conf, s, common_rows, &common, "\t", out);
	conf_dump(conf, s, rows_of(f), own, "\t", out);
	if (s)
		conf_dump_raw(conf, s, false, "\t", out);
	buf_c(out, "}\n");
}

static void dump_judgement(struct conf *conf, struct buf *out)
{
	const struct conf_section *policy = conf_next(conf_root(conf), "policy", NULL);
	const struct conf_section *scores = conf_next(conf_root(conf), "scores", NULL);
	struct policy values;

	conf_read_some(conf, policy, policy_options, &values);
	buf_c(out, "\npolicy {\n");
	conf_dump(conf, policy, policy_options, &values, "\t", out);
	buf_c(out, "}\n");
	if (scores) {
		buf_c(out, "\nscores {\n");
		conf_dump_raw(conf, scores, true, "\t", out);
		buf_c(out, "}\n");
	}
	for (size_t i = 0; i < filter_count; i++)
		dump_filter(conf, filters[i], out);
}

static int dump(const struct command *command, const void *values, int argc, char **argv)
{
	const struct config_values *o = values;
	struct judge_setup setup = { .arena = arena_new(SIZE_MAX) };
	struct buf out = BUF_INIT;
	int rc = judge_set_up("config dump", o->conf, &setup);

	if (rc == COMMAND_OK) {
		config_dump(setup.conf, setup.config, &out);
		dump_judgement(setup.conf, &out);
		rc = print(&out);
	}
	judge_tear_down(&setup);
	return rc;
}

const struct command config_dump_command = {
	.name = "config dump",
	.summary = "Prints every effective value, with the line that it came from.",
	.options = options,
	.size = sizeof(struct config_values),
	.run = dump,
};

/* ---- sample and manual ---- */

static int sample(const struct command *command, const void *values, int argc, char **argv)
{
	struct buf out = BUF_INIT;

	buf_c(&out, "# Every option with its default. hostname and one domain are enough.\n\n");
	config_sample(&out);
	buf_c(&out, "\n# What is done at which score; in a domain section for that domain.\n"
		"#policy {\n");
	option_sample(policy_options, "\t", &out);
	buf_c(&out, "#}\n\n# Other scores for findings: scores { DNSBL_ZEN = 4 }\n#scores {\n#}\n");
	for (size_t i = 0; i < filter_count; i++) {
		struct option common[FILTER_COMMON_ROWS];

		engine_common_options(filters[i], common);
		buf_printf(&out, "\n# %s\n#filter \"%s\" {\n", filters[i]->summary, filters[i]->name);
		option_sample(common, "\t", &out);
		option_sample(rows_of(filters[i]), "\t", &out);
		for (const struct filter_section *f = filters[i]->sections; f && f->name; f++) {
			buf_printf(&out, "\t#%s \"...\" {\n", f->name);
			option_sample(f->options, "\t\t", &out);
			buf_c(&out, "\t#}\n");
		}
		buf_c(&out, "#}\n");
	}
	return print(&out);
}

const struct command config_sample_command = {
	.name = "config sample",
	.summary = "Prints a configuration file with every option and its default.",
	.run = sample,
};

static void man_filter(const struct filter *f, struct buf *out)
{
	struct option common[FILTER_COMMON_ROWS];

	engine_common_options(f, common);
	buf_printf(out, ".Ss filter \\(dq%s\\(dq\n%s\n.Bl -tag -width Ds\n", f->name, f->summary);
	option_man(common, out);
	option_man(rows_of(f), out);
	buf_c(out, ".El\n");
	for (const struct filter_section *s = f->sections; s && s->name; s++) {
		buf_printf(out, "In it, sections %s \\(dq...\\(dq:\n.Bl -tag -width Ds\n", s->name);
		option_man(s->options, out);
		buf_c(out, ".El\n");
	}
	if (!f->findings || !f->findings[0].name)
		return;
	buf_c(out, "Findings and their scores:\n.Bl -tag -width Ds\n");
	for (const struct finding_def *d = f->findings; d->name; d++)
		buf_printf(out, ".It %s No ( %g )\n%s%s", d->name, d->score,
			d->sentence ? d->sentence : "", d->sentence ? "\n" : "");
	buf_c(out, ".El\n");
}

static int man(const struct command *command, const void *values, int argc, char **argv)
{
	struct buf out = BUF_INIT;

	buf_c(&out, ".Dd November 20, 2026\n.Dt GATEPOST.CONF 5\n.Os Gatepost " GATEPOST_VERSION "\n"
		".Sh NAME\n.Nm gatepost.conf\n.Nd configuration of the gateway\n"
		".Sh SYNOPSIS\n.Nm " CONFIG_DEFAULT_FILE "\n.Sh DESCRIPTION\n"
		"Lines of key = value, and sections with a title in quotes; # begins a comment.\n"
		"Strings stand in quotes, with \\e\" and \\e\\e; sizes and times have a unit (25MB, "
		"30s);\nlists stand in braces, and one string will do for a list of one.\n"
		"A key, or a section with the same title, that stands twice is an error.\n");
	config_man(&out);
	buf_c(&out, ".Ss policy\nWhat is done at which score; the same keys in a domain section hold "
		"for that domain.\n.Bl -tag -width Ds\n");
	option_man(policy_options, &out);
	buf_c(&out, ".El\n.Ss scores\nOther scores for findings, as DNSBL_ZEN = 4.\n");
	for (size_t i = 0; i < filter_count; i++)
		man_filter(filters[i], &out);
	buf_c(&out, ".Sh SEE ALSO\n.Xr gatepost 1 ,\n.Xr gatepost-config-check 1 ,\n"
		".Xr gatepost-config-dump 1\n");
	return print(&out);
}

const struct command config_man_command = {
	.name = "config man",
	.summary = "Prints gatepost.conf(5).",
	.hidden = true,
	.run = man,
};
