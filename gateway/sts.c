#include "gateway/sts.h"

#include "core/dns.h"

#define ID_OCTETS     32
#define NAME_OCTETS   32
#define MAX_AGE_S     31557600 /* a year */
#define MAX_AGE_DIGITS 10

const char *const sts_mode_names[] = { "none", "testing", "enforce", NULL };

/* ---- the record ---- */

bool sts_record_is(struct str txt)
{
	struct str first;

	return str_cut(&txt, ';', &first) && str_eq_c(str_trim(first), "v=STSv1");
}

int sts_record_id(struct str txt, struct str *id_r)
{
	struct str field;

	while (str_cut(&txt, ';', &field)) {
		field = str_trim(field);
		if (!str_starts(field, "id="))
			continue;
		field = str_skip(field, 3);
		for (size_t i = 0; i < field.n; i++)
			if (!char_is_alnum(field.p[i]))
				return -1;
		*id_r = field;
		return field.n && field.n <= ID_OCTETS ? 0 : -1;
	}
	return -1;
}

/* ---- the policy ---- */

enum { SAW_VERSION = 1, SAW_MODE = 2, SAW_MAX_AGE = 4, SAW_MX = 8 };

struct reading {
	struct arena *arena;
	struct sts_policy *policy;
	unsigned saw;
};

static bool is_field_name(struct str name)
{
	for (size_t i = 0; i < name.n; i++)
		if (!char_is_alnum(name.p[i]) && (!i || !memchr("_-.", name.p[i], 3)))
			return false;
	return name.n && name.n <= NAME_OCTETS;
}

/* Of two fields of a name the first counts (3.2). */
static bool is_again(struct reading *r, unsigned field)
{
	bool again = r->saw & field;

	r->saw |= field;
	return again;
}

static int read_mode(struct reading *r, struct str value)
{
	if (is_again(r, SAW_MODE))
		return 0;
	for (int i = 0; sts_mode_names[i]; i++)
		if (str_eq_c(value, sts_mode_names[i])) {
			r->policy->mode = (enum sts_mode)i;
			return 0;
		}
	return -1;
}

static int read_mx(struct reading *r, struct str value)
{
	struct str_list *mx = &r->policy->mx;
	struct str name = str_skip(value, str_starts(value, "*.") ? 2 : 0);

	if (!dns_is_hostname(name) || mx->n == STS_MX_MAX)
		return -1;
	r->saw |= SAW_MX;
	mx->v = arena_grow(r->arena, mx->v, mx->n, mx->n + 1, sizeof(*mx->v));
	mx->v[mx->n++] = value;
	return 0;
}

static int read_field(struct reading *r, struct str name, struct str value)
{
	if (str_eq_c(name, "version"))
		return is_again(r, SAW_VERSION) || str_eq_c(value, "STSv1") ? 0 : -1;
	if (str_eq_c(name, "mode"))
		return read_mode(r, value);
	if (str_eq_c(name, "mx"))
		return read_mx(r, value);
	if (str_eq_c(name, "max_age"))
		return is_again(r, SAW_MAX_AGE) || (value.n <= MAX_AGE_DIGITS &&
			str_to_u64(value, 0, MAX_AGE_S, &r->policy->max_age_s) == 0) ? 0 : -1;
	return 0;
}

static int check_complete(const struct reading *r, struct err *err)
{
	if (!(r->saw & SAW_VERSION))
		return err_set(err, "it has no \"version: STSv1\"");
	if (!(r->saw & SAW_MODE))
		return err_set(err, "it has no \"mode\"");
	if (!(r->saw & SAW_MAX_AGE))
		return err_set(err, "it has no \"max_age\"");
	if (!(r->saw & SAW_MX) && r->policy->mode != STS_NONE)
		return err_set(err, "it has no \"mx\"");
	return 0;
}

int sts_policy_parse(struct str text, struct arena *arena, struct sts_policy *policy_r,
	struct err *err)
{
	struct reading r = { .arena = arena, .policy = policy_r };
	struct str line, name;

	*policy_r = (struct sts_policy){ 0 };
	for (unsigned number = 1; str_cut(&text, '\n', &line); number++) {
		if (line.n && line.p[line.n - 1] == '\r')
			line.n--;
		/* The last line may end or not. */
		if (!line.n && !text.p)
			break;
		if (!str_cut(&line, ':', &name) || !line.p || !is_field_name(name))
			return err_set(err, "line %u is not \"name: value\"", number);
		if (read_field(&r, name, str_trim(line)) < 0)
			return err_set(err, "line %u: no valid value for \"%.*s\"", number,
				STR_ARG(name));
	}
	return check_complete(&r, err);
}

bool sts_policy_allows(const struct sts_policy *policy, struct str name)
{
	for (size_t i = 0; i < policy->mx.n; i++) {
		struct str pattern = policy->mx.v[i];

		if (str_starts(pattern, "*.") &&
			dns_name_eq(str_skip(pattern, 2), str_skip(name, str_chr(name, '.') + 1)))
			return true;
		if (dns_name_eq(pattern, name))
			return true;
	}
	return false;
}
