#include "gateway/judge/doctor.h"

#include <signal.h>
#include <stdio.h>

#include "core/json.h"
#include "core/limits.h"
#include "core/sandbox.h"

struct doctor_values {
	const char *conf;
	bool json;
	int64_t sts_port;
};

static const struct command_option options[] = {
	COMMAND_OPTION('c', "config", "CONF", OPTION_STRING, struct doctor_values, conf,
		CONFIG_DEFAULT_FILE, "The configuration file."),
	COMMAND_FLAG(0, "json", struct doctor_values, json, "Print the findings as JSON."),
	{ { "sts-port", OPTION_INT, offsetof(struct doctor_values, sts_port), "443", 1, 65535,
		.help = "Where https://mta-sts.DOMAIN is asked: for a server that is being tried "
			"out." }, 0, "PORT" },
	COMMAND_OPTIONS_END,
};

const char *const doctor_state_names[] = { "right", "advice", "wrong", NULL };

/* ---- what the checks use ---- */

void doctor_say(struct doctor *d, enum doctor_state state, const char *check, const char *fmt, ...)
{
	va_list ap;
	size_t n = d->findings.n;

	d->findings.v = arena_grow(d->arena, d->findings.v, n, n + 1, sizeof(*d->findings.v));
	va_start(ap, fmt);
	d->findings.v[n] = (struct doctor_finding){
		.check = check, .state = state, .text = arena_vprintf(d->arena, fmt, ap),
	};
	va_end(ap);
	d->findings.n = n + 1;
}

void doctor_record(struct doctor *d, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	d->findings.v[d->findings.n - 1].record = arena_vprintf(d->arena, fmt, ap);
	va_end(ap);
}

const struct dns_answer *doctor_ask(struct doctor *d, enum dns_type type, struct str name)
{
	static const struct dns_steps steps = { LIMIT_DNS_ALIASES, 0 };
	struct dns_question *q = ARENA_NEW(d->arena, struct dns_question);

	*q = (struct dns_question){ .type = type, .name = name };
	return resolve_wait(d->resolve, q, 1, &steps, d->arena);
}

const char *doctor_name(struct doctor *d, struct str name)
{
	struct buf b = BUF_INIT;
	char *text;

	if (name.n && name.p[name.n - 1] == '.')
		name.n--;
	text_safe(&b, name, 255);
	text = arena_cstr(d->arena, buf_str(&b));
	buf_free(&b);
	return text;
}

void doctor_add_address(struct doctor *d, const struct ip *ip)
{
	for (size_t i = 0; i < d->address_count; i++)
		if (ip_eq(&d->addresses[i], ip))
			return;
	if (d->address_count < DOCTOR_ADDRESSES)
		d->addresses[d->address_count++] = *ip;
}

/* ---- what is printed ---- */

static size_t count_of(const struct doctor *d, enum doctor_state state)
{
	size_t n = 0;

	for (size_t i = 0; i < d->findings.n; i++)
		n += d->findings.v[i].state == state;
	return n;
}

static void write_json(const struct doctor *d, struct str domain, struct buf *out)
{
	buf_c(out, "{\"domain\": ");
	if (domain.n)
		json_text(out, domain, JSON_NO_CAP);
	else
		buf_c(out, "null");
	buf_printf(out, ", \"right\": %s, \"checks\": [",
		count_of(d, DOCTOR_WRONG) ? "false" : "true");
	for (size_t i = 0; i < d->findings.n; i++) {
		const struct doctor_finding *f = &d->findings.v[i];

		buf_printf(out, "%s\n  {\"check\": \"%s\", \"state\": \"%s\", \"text\": ",
			i ? "," : "", f->check, doctor_state_names[f->state]);
		json_text(out, f->text, JSON_NO_CAP);
		buf_c(out, ", \"record\": ");
		if (f->record.n)
			json_text(out, f->record, JSON_NO_CAP);
		else
			buf_c(out, "null");
		buf_char(out, '}');
	}
	buf_c(out, "]}\n");
}

static void write_text(const struct doctor *d, struct buf *out)
{
	for (size_t i = 0; i < d->findings.n; i++) {
		const struct doctor_finding *f = &d->findings.v[i];

		buf_printf(out, "%-7s %-12s ", doctor_state_names[f->state], f->check);
		text_safe(out, f->text, JSON_NO_CAP);
		buf_char(out, '\n');
		for (struct str lines = f->record, line; f->record.n && str_cut(&lines, '\n', &line);) {
			buf_printf(out, "%-20s ", "");
			text_safe(out, line, JSON_NO_CAP);
			buf_char(out, '\n');
		}
	}
	buf_printf(out, "%zu right, %zu to change, %zu to consider\n", count_of(d, DOCTOR_RIGHT),
		count_of(d, DOCTOR_WRONG), count_of(d, DOCTOR_ADVICE));
}

static int print(const struct doctor *d, struct str domain, bool json)
{
	struct buf out = BUF_INIT;
	bool is_written;

	if (json)
		write_json(d, domain, &out);
	else
		write_text(d, &out);
	is_written = fwrite(out.p, 1, out.n, stdout) == out.n && fflush(stdout) == 0;
	buf_free(&out);
	if (!is_written)
		return judge_fail("doctor", "cannot write what was found");
	return count_of(d, DOCTOR_WRONG) ? COMMAND_FAILED : COMMAND_OK;
}

/* ---- the command ---- */

static int open_network(struct doctor *d)
{
	static const struct tls_client_options any = { .verify = TLS_VERIFY_NONE },
		strict = { .verify = TLS_VERIFY_NAME, .security_level = 2 };
	struct config_dns unvalidated = d->config->dns;
	struct err err;

	signal(SIGPIPE, SIG_IGN);
	unvalidated.dnssec = false;
	d->loop = loop_new();
	d->resolve = resolve_new(d->loop, &d->config->dns, &err);
	if (d->resolve)
		d->unvalidated = resolve_new(d->loop, &unvalidated, &err);
	if (d->unvalidated)
		d->tls = tls_client_new(&any, &err);
	if (d->tls)
		d->tls_verifying = tls_client_new(&strict, &err);
	if (!d->tls_verifying)
		return judge_fail("doctor", "%s", err.text);
	return judge_confine("doctor", SANDBOX_LOOP | SANDBOX_CONNECT);
}

static int examine(struct doctor *d, struct str domain, bool json)
{
	/* Who seals is nobody's domain, maybe, but this host's affair. */
	struct str signer = domain.n ? domain : str_c(d->config->arc.seal_as);
	int rc;

	doctor_host_addresses(d);
	doctor_certificates_read(d);
	if (signer.n)
		doctor_dkim_read(d, signer);
	if (!domain.n)
		doctor_host_check(d);
	rc = open_network(d);
	if (rc != COMMAND_OK)
		return rc;
	if (domain.n) {
		doctor_domain_check(d, domain);
		doctor_mail_check(d, domain);
	} else {
		doctor_net_check(d);
	}
	if (signer.n)
		doctor_dkim_check(d, signer);
	return print(d, domain, json);
}

static int run(const struct command *command, const void *values, int argc, char **argv)
{
	const struct doctor_values *o = values;
	struct judge_setup setup = { .arena = arena_new(SIZE_MAX) };
	struct doctor d = { .arena = setup.arena, .setup = &setup };
	struct str domain = STR("");
	int rc = COMMAND_OK;

	if (argc && mail_domain_canonical(setup.arena, str_c(argv[0]), &domain) < 0)
		rc = judge_usage("doctor", "\"%s\" is no domain", argv[0]);
	if (rc == COMMAND_OK)
		rc = judge_set_up("doctor", o->conf, &setup);
	if (rc == COMMAND_OK) {
		d.config = setup.config;
		d.hostname = setup.hostname;
		d.sts_port = o->sts_port;
		rc = examine(&d, domain, o->json);
	}
	doctor_certificates_free(&d);
	tls_context_free(&d.tls);
	tls_context_free(&d.tls_verifying);
	resolve_free(&d.resolve);
	resolve_free(&d.unvalidated);
	if (d.loop)
		loop_free(&d.loop);
	judge_tear_down(&setup);
	return rc;
}

const struct command doctor_command = {
	.name = "doctor",
	.summary = "Looks at this host, or at a domain's DNS, and says what to change.",
	.arguments = "[DOMAIN]",
	.max_args = 1,
	.description = "With DOMAIN, what the world sees of a protected domain: MX, this host's "
		"addresses and names, SPF, DKIM, DMARC, MTA-STS with its policy, TLS-RPT, CAA, TLSA; "
		"with records to copy. Without: name resolution, DNS lists, mailbox servers, certificates, virus "
		"signatures, clock, state folder, the key that seals (ARC). The exit code is 1 if something has to be "
		"changed.",
	.options = options,
	.size = sizeof(struct doctor_values),
	.run = run,
};
