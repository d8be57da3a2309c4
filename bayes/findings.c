#include "bayes/findings.h"

#include <math.h>

#include "bayes/math.h"
#include "core/hash.h"

/*
 * Chosen on what rules and headers find in the SpamAssassin corpus, in order of arrival and
 * shuffled, with and without wrong labels; confirmed on CSDMC2010 and on modern list mail.
 */
#define RATE   1.0
#define EFFORT 1.0
#define SHARE  0.5

void findings_add(struct features *f, const uint8_t salt[16], const struct str *names, size_t n,
	struct arena *arena)
{
	uint32_t *hashes = ARENA_ARRAY(arena, FEATURES_FINDINGS, uint32_t);
	struct str *texts = ARENA_ARRAY(arena, FEATURES_FINDINGS, struct str);
	f->findings = hashes;
	f->finding_names = texts;
	f->finding_count = 0;
	for (size_t i = 0; i < n && f->finding_count < FEATURES_FINDINGS; i++) {
		uint32_t hash = (uint32_t)hash_sip(salt, names[i]);
		size_t at = 0;
		while (at < f->finding_count && hashes[at] != hash)
			at++;
		if (at < f->finding_count)
			continue;
		hashes[at] = hash;
		texts[at] = names[i];
		f->finding_count++;
	}
}

double findings_view(const struct table *t, const struct features *f)
{
	double sum = 0;
	for (size_t i = 0; i < f->finding_count; i++)
		sum += table_finding(t, f->findings[i]).value;
	return sum;
}

double findings_heard(double view)
{
	double heard = SHARE * view;
	return heard > FINDINGS_HEARD ? FINDINGS_HEARD : heard < -FINDINGS_HEARD ? -FINDINGS_HEARD : heard;
}

void findings_weigh(const struct table *t, const struct features *f, double *weights_r)
{
	double view = findings_view(t, f), share = view != 0 ? findings_heard(view) / view : 0;
	for (size_t i = 0; i < f->finding_count; i++)
		weights_r[i] = share * table_finding(t, f->findings[i]).value;
}

void findings_learn(struct table *t, const struct features *f, double error)
{
	for (size_t i = 0; i < f->finding_count; i++) {
		struct table_weight w = table_finding(t, f->findings[i]);
		w.value += RATE * error / math_sqrt(EFFORT + w.effort + fabs(error));
		w.effort += fabs(error);
		table_set_finding(t, f->findings[i], w);
	}
}
