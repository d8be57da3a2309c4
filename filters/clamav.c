/*
 * clamav: viruses. Asks for a scan (the scanner role has libclamav; this file
 * does not) and says what it found. A limit that was hit is "unscannable", never
 * clean; what libclamav calls heuristics is a matter of policy, not a virus.
 */
#include "core/filter.h"
#include "filters/clamav/conf.h"

static const struct finding_def clamav_findings[] = {
	{ "CLAMAV_VIRUS", 0, "The message carries a virus." },
	{ "CLAMAV_UNSCANNABLE", 3, "The message could not be scanned to its end." },
	{ "CLAMAV_ENCRYPTED", 1, "The message holds an encrypted archive or document." },
	{ "CLAMAV_MACROS", 2, "The message holds an office document with macros." },
	{ "CLAMAV_PHISHING", 3, "A link claims to lead elsewhere than it does." },
	{ "CLAMAV_BROKEN", 1, "The message holds a damaged executable or media file." },
	{ "CLAMAV_HEURISTIC", 2, "The virus scanner is suspicious of the message." },
	{ NULL },
};

/* libclamav's heuristics, by the start of their names. */
static const struct {
	const char *prefix, *finding;
} heuristics[] = {
	{ "Heuristics.Encrypted", "CLAMAV_ENCRYPTED" },
	{ "Heuristics.OLE2.ContainsMacros", "CLAMAV_MACROS" },
	{ "Heuristics.Phishing", "CLAMAV_PHISHING" },
	{ "Heuristics.Broken", "CLAMAV_BROKEN" },
	{ "Heuristics.", "CLAMAV_HEURISTIC" },
};

static void report_names(struct filter_call *call, const struct facts_scan *scan)
{
	for (size_t i = 0; i < scan->names.n; i++) {
		struct str name = scan->names.v[i];
		for (size_t k = 0; k < sizeof(heuristics) / sizeof(heuristics[0]); k++) {
			if (!str_starts(name, heuristics[k].prefix))
				continue;
			report(call, heuristics[k].finding, "The virus scanner reports %.*s.", STR_ARG(name));
			break;
		}
	}
}

static enum step clamav_run(struct filter_call *call)
{
	const struct facts_scan *scan;
	if (!ask_scan(call, &scan))
		return STEP_WAIT;
	switch ((enum scan_result)scan->result) {
	case SCAN_CLEAN:
		report_names(call, scan);
		return STEP_DONE;
	case SCAN_VIRUS:
		call->verdict->virus = scan->names.n ? scan->names.v[0] : STR("unnamed");
		report(call, "CLAMAV_VIRUS", "The message carries a virus: %.*s.",
			STR_ARG(call->verdict->virus));
		return STEP_DONE;
	case SCAN_UNSCANNABLE:
		report_names(call, scan);
		report(call, "CLAMAV_UNSCANNABLE", "The message could not be scanned to its end: %.*s.",
			STR_ARG(scan->reason));
		return STEP_DONE;
	case SCAN_UNAVAILABLE:
		return filter_fail(call, "the virus scanner is unavailable: %.*s", STR_ARG(scan->reason));
	case SCAN_TIMEOUT:
		return filter_fail(call, "the virus scanner did not answer in time");
	}
	return filter_fail(call, "the virus scanner's answer makes no sense");
}

const struct filter filter_clamav = {
	.name = "clamav",
	.summary = "viruses, by libclamav in the scanner",
	.stages = STAGE_MESSAGE,
	.traffic = TRAFFIC_INBOUND | TRAFFIC_OUTBOUND,
	.findings = clamav_findings,
	.options = clamav_options,
	.conf_size = sizeof(struct clamav_conf),
	.default_timeout = "30s",
	.default_on_error = "tempfail",
	.run = clamav_run,
};
