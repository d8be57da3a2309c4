#include "core/mail/date.h"

/* Blanks and comments (RFC 5322 3.2.2; nested ones too). */
static struct str skip_cfws(struct str s)
{
	unsigned depth = 0;
	size_t i = 0;
	for (; i < s.n; i++) {
		char c = s.p[i];
		if (c == '\\' && depth)
			i++;
		else if (c == '(')
			depth++;
		else if (c == ')' && depth)
			depth--;
		else if (!depth && !char_is_fws(c))
			break;
	}
	return str_skip(s, i);
}

static struct str word(struct str *rest)
{
	size_t n = 0;
	*rest = skip_cfws(*rest);
	while (n < rest->n && char_is_alpha(rest->p[n]))
		n++;
	struct str w = str_sub(*rest, 0, n);
	*rest = skip_cfws(str_skip(*rest, n));
	return w;
}

/* `min` to `max` digits; *digits_r how many there were. */
static bool number(struct str *rest, size_t min, size_t max, unsigned *value_r, size_t *digits_r)
{
	size_t n = 0;
	unsigned value = 0;
	*rest = skip_cfws(*rest);
	while (n < rest->n && n < max && char_is_digit(rest->p[n]))
		value = value * 10 + (unsigned)(rest->p[n++] - '0');
	if (n < min || (n < rest->n && char_is_digit(rest->p[n])))
		return false;
	*rest = skip_cfws(str_skip(*rest, n));
	*value_r = value;
	if (digits_r)
		*digits_r = n;
	return true;
}

static bool literal(struct str *rest, char c)
{
	if (!rest->n || rest->p[0] != c)
		return false;
	*rest = skip_cfws(str_skip(*rest, 1));
	return true;
}

static bool month(struct str *rest, unsigned *month_r)
{
	static const char names[] = "janfebmaraprmayjunjulaugsepoctnovdec";
	struct str w = word(rest);
	if (w.n < 3)
		return false;
	size_t at = str_ifind(STR(names), str_sub(w, 0, 3));
	*month_r = (unsigned)(at / 3) + 1;
	return at < sizeof(names) - 1 && at % 3 == 0;
}

static bool year(struct str *rest, unsigned *year_r)
{
	size_t digits;
	if (!number(rest, 2, 4, year_r, &digits))
		return false;
	/* RFC 5322 4.3 */
	if (digits == 2)
		*year_r += *year_r < 50 ? 2000 : 1900;
	else if (digits == 3)
		*year_r += 1900;
	return true;
}

/* Minutes to the east of Greenwich. A zone that nobody knows is +0000 (RFC 5322 4.3). */
static bool zone(struct str *rest, int *minutes_r)
{
	static const struct {
		const char *name;
		int hours;
	} names[] = { { "EDT", -4 }, { "EST", -5 }, { "CDT", -5 }, { "CST", -6 }, { "MDT", -6 },
		{ "MST", -7 }, { "PDT", -7 }, { "PST", -8 } };
	unsigned value;

	*minutes_r = 0;
	if (rest->n && (rest->p[0] == '+' || rest->p[0] == '-')) {
		bool west = rest->p[0] == '-';
		*rest = str_skip(*rest, 1);
		if (!number(rest, 4, 4, &value, NULL) || value % 100 > 59)
			return false;
		*minutes_r = (int)(value / 100 * 60 + value % 100) * (west ? -1 : 1);
		return true;
	}
	struct str name = word(rest);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (str_ieq_c(name, names[i].name))
			*minutes_r = names[i].hours * 60;
	return true;
}

/* Days since 1970 of a date of the Gregorian calendar. */
static int64_t days(unsigned y, unsigned m, unsigned d)
{
	/* Years begin in March, so that the leap day is their last. */
	int64_t years = (int64_t)y - (m <= 2);
	int64_t era = years / 400, of_era = years % 400;
	int64_t of_year = (153 * ((int64_t)m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
	return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

bool date_parse(struct str value, int64_t *when_r)
{
	unsigned d, m, y, hour, minute, second = 0;
	int east;
	struct str rest = skip_cfws(value);

	if (rest.n && char_is_alpha(rest.p[0])) {
		word(&rest);
		literal(&rest, ',');
	}
	if (!number(&rest, 1, 2, &d, NULL) || !month(&rest, &m) || !year(&rest, &y))
		return false;
	if (!number(&rest, 1, 2, &hour, NULL) || !literal(&rest, ':') ||
		!number(&rest, 2, 2, &minute, NULL))
		return false;
	if (literal(&rest, ':') && !number(&rest, 2, 2, &second, NULL))
		return false;
	if (!zone(&rest, &east) || rest.n)
		return false;
	if (d < 1 || d > 31 || y < 1900 || hour > 23 || minute > 59 || second > 60)
		return false;
	*when_r = days(y, m, d) * 86400 + (int64_t)hour * 3600 + (int64_t)minute * 60 + second -
		(int64_t)east * 60;
	return true;
}
