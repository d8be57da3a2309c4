#include "bayes/status.h"

static const struct field label_noise_fields[] = {
	FIELD_DOUBLE(struct bayes_label_noise, spam),
	FIELD_DOUBLE(struct bayes_label_noise, ham),
	FIELD_END,
};
static const struct record label_noise_record =
	RECORD("label_noise", struct bayes_label_noise, label_noise_fields);
static const struct field status_fields[] = {
	FIELD_INT(struct bayes_status, spam),
	FIELD_INT(struct bayes_status, ham),
	FIELD_BOOL(struct bayes_status, counts),
	FIELD_STR(struct bayes_status, needs),
	FIELD_INT(struct bayes_status, min_learned),
	FIELD_DOUBLE(struct bayes_status, error),
	FIELD_DOUBLE(struct bayes_status, disagreement),
	FIELD_RECORD(struct bayes_status, label_noise, &label_noise_record),
	FIELD_BOOL(struct bayes_status, rebuilding),
	FIELD_STR(struct bayes_status, trouble),
	FIELD_INT(struct bayes_status, logged),
	FIELD_INT(struct bayes_status, trimmed),
	FIELD_INT(struct bayes_status, refused),
	FIELD_INT(struct bayes_status, checkpoint),
	FIELD_STR(struct bayes_status, fingerprint),
	FIELD_END,
};
const struct record bayes_status_record = RECORD("bayes_status", struct bayes_status, status_fields);

void bayes_status_configure(struct conf *conf, struct bayes_status_conf *conf_r)
{
	static const struct option rows[] = {
		{ "enabled", OPTION_BOOL, offsetof(struct bayes_status_conf, enabled), "true" },
		{ "min_learned", OPTION_INT, offsetof(struct bayes_status_conf, min_learned),
			BAYES_MIN_LEARNED, 1, 1e9 },
		OPTION_ROWS_END,
	};
	const struct conf_section *s = NULL;
	while ((s = conf_next(conf_root(conf), "filter", s)) && strcmp(conf_title(s), "bayes") != 0)
		continue;
	conf_read_some(conf, s, rows, conf_r);
}

/* Empty if there is enough of both. */
static struct str say_needs(const struct bayes_status *s, struct arena *arena)
{
	int64_t spam = s->min_learned - s->spam, ham = s->min_learned - s->ham;
	if (spam > 0 && ham > 0)
		return arena_printf(arena, "%lld more spam and %lld more ham", (long long)spam,
			(long long)ham);
	if (spam > 0 || ham > 0)
		return arena_printf(arena, "%lld more %s", (long long)(spam > 0 ? spam : ham),
			spam > 0 ? "spam" : "ham");
	return STR("");
}

void bayes_status_of(const struct model *model, const struct bayes_status_conf *conf,
	struct arena *arena, struct bayes_status *s)
{
	struct model_progress progress;
	*s = (struct bayes_status){ .min_learned = conf->min_learned };
	model_learned(model, &s->spam, &s->ham);
	model_progress(model, &progress);
	s->error = progress.error;
	s->disagreement = progress.disagreement;
	s->label_noise = (struct bayes_label_noise){ progress.noise[1], progress.noise[0] };
	s->needs = conf->enabled ? say_needs(s, arena) :
				   STR("filter \"bayes\" { enabled = true } in the configuration");
	s->counts = s->needs.n == 0;
}

int bayes_status_more(const struct model *model, struct journal *journal, struct arena *arena,
	struct bayes_status *s, struct err *err)
{
	const struct journal_which all = { .since = 0 };
	uint8_t digest[32];
	struct buf text = BUF_INIT;
	struct journal_checkpoint newest = { .time = 0 };
	if (journal_count(journal, &all, &s->logged, err) < 0 ||
		journal_count_trimmed(journal, &s->trimmed, err) < 0 ||
		journal_count_refused(journal, &s->refused, err) < 0 ||
		journal_checkpoint(journal, 0, &newest, err) < 0)
		return -1;
	s->checkpoint = newest.time;
	model_digest(model, digest);
	for (size_t i = 0; i < 8; i++)
		buf_printf(&text, "%02x", digest[i]);
	s->fingerprint = arena_dup(arena, buf_str(&text));
	buf_free(&text);
	return 0;
}

static void add_metric(struct buf *out, const char *name, const char *type, const char *help)
{
	buf_printf(out, "# HELP gatepost_bayes_%s %s\n# TYPE gatepost_bayes_%s %s\n", name, help, name,
		type);
}

static void add_figure(struct buf *out, const char *name, const char *help, double value)
{
	add_metric(out, name, "gauge", help);
	buf_printf(out, "gatepost_bayes_%s %.6g\n", name, value);
}

void bayes_status_metrics(const struct bayes_status *s, struct buf *out)
{
	add_metric(out, "learned_total", "counter", "messages that the model has learned and that hold");
	buf_printf(out, "gatepost_bayes_learned_total{label=\"spam\"} %lld\n", (long long)s->spam);
	buf_printf(out, "gatepost_bayes_learned_total{label=\"ham\"} %lld\n", (long long)s->ham);
	add_figure(out, "error_ratio", "share of lessons of late that were misjudged before they were learned",
		s->error);
	add_figure(out, "disagreement_ratio", "share of lessons of late in which a view contradicted the sum",
		s->disagreement);
	add_metric(out, "label_noise_ratio", "gauge", "share of labels that are taken for wrong");
	buf_printf(out, "gatepost_bayes_label_noise_ratio{label=\"spam\"} %.6g\n", s->label_noise.spam);
	buf_printf(out, "gatepost_bayes_label_noise_ratio{label=\"ham\"} %.6g\n", s->label_noise.ham);
	add_figure(out, "counts", "1 if the classifier's judgements count, 0 until it has learned enough",
		s->counts);
	add_figure(out, "rebuilding", "1 while the model is made again from the training log", s->rebuilding);
}
