#include "filters/dmarc/record.h"

/* *WSP "=" *WSP around the sign; false if there is none. */
static bool split_tag(struct str spec, struct str *name_r, struct str *value_r)
{
	size_t equals = str_chr(spec, '=');

	if (equals == spec.n)
		return false;
	*name_r = str_trim(str_sub(spec, 0, equals));
	*value_r = str_trim(str_skip(spec, equals + 1));
	return true;
}

bool dmarc_record_is(struct str txt)
{
	struct str rest = txt, spec, name, value;

	return str_cut(&rest, ';', &spec) && split_tag(spec, &name, &value) && spec.n &&
	       spec.p == name.p && str_ieq_c(name, "v") && str_eq_c(value, "DMARC1");
}

static int read_policy(struct str value, bool *broken)
{
	if (str_ieq_c(value, "none"))
		return DMARC_NONE;
	if (str_ieq_c(value, "quarantine"))
		return DMARC_QUARANTINE;
	if (str_ieq_c(value, "reject"))
		return DMARC_REJECT;
	*broken = true;
	return DMARC_ABSENT;
}

static enum dmarc_psd read_psd(struct str value)
{
	return str_ieq_c(value, "y")   ? DMARC_PSD_YES
	       : str_ieq_c(value, "n") ? DMARC_PSD_NO
				       : DMARC_PSD_UNKNOWN;
}

/* scheme ":" something (RFC 3986); the obsolete "!10m" behind it is part of the something. */
static bool is_uri(struct str s)
{
	size_t colon = str_chr(s, ':');

	if (colon == 0 || colon + 1 >= s.n || !char_is_alpha(s.p[0]))
		return false;
	for (size_t i = 1; i < colon; i++)
		if (!char_is_alnum(s.p[i]) && s.p[i] != '+' && s.p[i] != '-' && s.p[i] != '.')
			return false;
	for (size_t i = colon; i < s.n; i++)
		if (s.p[i] <= 0x20 || s.p[i] > 0x7e)
			return false;
	return !str_ieq_c(str_sub(s, 0, colon), "mailto") || str_chr(s, '@') < s.n;
}

static bool has_uri(struct str list)
{
	struct str uri;

	while (str_cut(&list, ',', &uri))
		if (is_uri(str_trim(uri)))
			return true;
	return false;
}

static bool is_fo(struct str value)
{
	static const char *const values[] = { "0", "1", "d", "s", "d:s", "s:d" };

	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
		if (str_ieq_c(value, values[i]))
			return true;
	/* RFC 7489 allowed any list of them, and such records are out there. */
	struct str item;
	while (str_cut(&value, ':', &item))
		if (item.n != 1 || !strchr("01dsDS", item.p[0]))
			return false;
	return true;
}

enum tag {
	TAG_P,
	TAG_SP,
	TAG_NP,
	TAG_ADKIM,
	TAG_ASPF,
	TAG_T,
	TAG_PSD,
	TAG_RUA,
	TAG_RUF,
	TAG_FO,
	TAG_COUNT
};

static void apply_tag(struct dmarc_record *r, enum tag tag, struct str value)
{
	switch (tag) {
	case TAG_P:
		r->p = read_policy(value, &r->broken);
		return;
	case TAG_SP:
		r->sp = read_policy(value, &r->broken);
		return;
	case TAG_NP:
		r->np = read_policy(value, &r->broken);
		return;
	case TAG_ADKIM:
		r->strict_dkim = str_ieq_c(value, "s");
		return;
	case TAG_ASPF:
		r->strict_spf = str_ieq_c(value, "s");
		return;
	case TAG_T:
		r->testing = str_ieq_c(value, "y");
		return;
	case TAG_PSD:
		r->psd = read_psd(value);
		return;
	case TAG_RUA:
		r->rua = value;
		r->has_report_uri = has_uri(value);
		return;
	case TAG_RUF:
		r->ruf = value;
		return;
	case TAG_FO:
		if (is_fo(value))
			r->fo = value;
		return;
	case TAG_COUNT:
		return;
	}
}

void dmarc_record_parse(struct str txt, struct dmarc_record *record_r)
{
	static const char *const names[TAG_COUNT] = { "p", "sp", "np", "adkim", "aspf", "t", "psd",
		"rua", "ruf", "fo" };
	struct str rest = txt, spec, name, value;
	bool seen[TAG_COUNT] = { false };

	*record_r = (struct dmarc_record){
		.p = DMARC_ABSENT, .sp = DMARC_ABSENT, .np = DMARC_ABSENT, .fo = STR("0")
	};
	while (str_cut(&rest, ';', &spec)) {
		if (!split_tag(spec, &name, &value))
			continue;
		for (enum tag tag = 0; tag < TAG_COUNT; tag++) {
			if (seen[tag] || !str_ieq_c(name, names[tag]))
				continue;
			seen[tag] = true;
			apply_tag(record_r, tag, value);
		}
	}
	if (record_r->broken)
		record_r->sp = record_r->np = record_r->p = DMARC_ABSENT;
	if (record_r->p == DMARC_ABSENT) /* 4.7: as if p=none */
		record_r->p = DMARC_NONE;
}

bool dmarc_record_applies(const struct dmarc_record *record)
{
	return !record->broken || record->has_report_uri;
}
