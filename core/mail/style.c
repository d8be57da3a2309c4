#include "core/mail/style.h"

#define VALUE_MAX 48

/* A declaration's value, without case, blanks, comments and "!important". */
struct value {
	char p[VALUE_MAX];
	size_t n;
};

/* What only the whole of the declarations can tell. */
struct seen {
	struct value text, ground;
	bool none;
};

static struct value squeeze(struct str s)
{
	struct value v = { .n = 0 };
	for (size_t i = 0; i < s.n && v.n < VALUE_MAX; i++) {
		if (s.p[i] == '!')
			break;
		if (s.p[i] == '/' && i + 1 < s.n && s.p[i + 1] == '*') {
			size_t end = str_find(str_skip(s, i + 2), STR("*/"));
			i += end + 3;
			continue;
		}
		if ((unsigned char)s.p[i] > ' ')
			v.p[v.n++] = char_lower(s.p[i]);
	}
	return v;
}

static struct str value_str(const struct value *v)
{
	return str_from(v->p, v->n);
}

/* "0", "0px", "0.0em", ".00": a number that is nothing, whatever its unit. */
static bool is_zero(struct str v)
{
	size_t i = 0, digits = 0;
	for (; i < v.n && (v.p[i] == '0' || v.p[i] == '.'); i++)
		digits += v.p[i] == '0';
	return digits && (i == v.n || !char_is_digit(v.p[i]));
}

/* A text of one pixel or point cannot be read either. */
static bool is_tiny(struct str v)
{
	return is_zero(v) || str_eq_c(v, "1px") || str_eq_c(v, "1pt") || str_eq_c(v, "0.1px") ||
		str_eq_c(v, "0.1em") || str_eq_c(v, "1%");
}

/* Far to the left of the page, or above it: "-9999px", "-99em". */
static bool is_far_off(struct str v)
{
	size_t digits = 0;
	if (!v.n || v.p[0] != '-')
		return false;
	while (1 + digits < v.n && char_is_digit(v.p[1 + digits]))
		digits++;
	return digits >= 4 || (digits >= 3 && v.p[1] >= '5');
}

/* White in its three usual spellings; other colours must be spelt alike. */
static struct str colour_of(const struct value *v)
{
	struct str s = value_str(v);
	if (str_eq_c(s, "#fff") || str_eq_c(s, "#ffffff") || str_eq_c(s, "rgb(255,255,255)"))
		return STR("white");
	if (str_eq_c(s, "#000") || str_eq_c(s, "#000000") || str_eq_c(s, "rgb(0,0,0)"))
		return STR("black");
	return s;
}

enum property {
	PROPERTY_DISPLAY,
	PROPERTY_VISIBILITY,
	PROPERTY_FONT_SIZE,
	PROPERTY_EXTENT, /* nothing of it: nothing to see */
	PROPERTY_OFFSET,
	PROPERTY_COLOUR,
	PROPERTY_GROUND,
	PROPERTY_OTHER,
};

static enum property property_of(struct str name)
{
	static const struct {
		struct str name;
		enum property property;
	} rows[] = {
		{ { "display", 7 }, PROPERTY_DISPLAY },
		{ { "visibility", 10 }, PROPERTY_VISIBILITY },
		{ { "font-size", 9 }, PROPERTY_FONT_SIZE },
		{ { "opacity", 7 }, PROPERTY_EXTENT },
		{ { "max-height", 10 }, PROPERTY_EXTENT },
		{ { "max-width", 9 }, PROPERTY_EXTENT },
		{ { "text-indent", 11 }, PROPERTY_OFFSET },
		{ { "left", 4 }, PROPERTY_OFFSET },
		{ { "top", 3 }, PROPERTY_OFFSET },
		{ { "margin-left", 11 }, PROPERTY_OFFSET },
		{ { "color", 5 }, PROPERTY_COLOUR },
		{ { "background-color", 16 }, PROPERTY_GROUND },
		{ { "background", 10 }, PROPERTY_GROUND },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (name.n == rows[i].name.n && str_ieq(name, rows[i].name))
			return rows[i].property;
	return PROPERTY_OTHER;
}

static void declare(enum property property, const struct value *value, struct seen *seen,
	unsigned *set, unsigned *clear)
{
	struct str v = value_str(value);

	switch (property) {
	case PROPERTY_DISPLAY:
		seen->none = str_eq_c(v, "none");
		break;
	case PROPERTY_VISIBILITY:
		*(str_eq_c(v, "hidden") || str_eq_c(v, "collapse") ? set : clear) |= STYLE_INVISIBLE;
		break;
	case PROPERTY_FONT_SIZE:
		*(is_tiny(v) ? set : clear) |= STYLE_ZERO;
		break;
	case PROPERTY_EXTENT:
		*set |= is_zero(v) ? STYLE_GONE : 0;
		break;
	case PROPERTY_OFFSET:
		*set |= is_far_off(v) ? STYLE_GONE : 0;
		break;
	case PROPERTY_COLOUR:
		seen->text = *value;
		*(str_eq_c(v, "transparent") ? set : clear) |= STYLE_CAMOUFLAGE;
		break;
	case PROPERTY_GROUND:
		seen->ground = *value;
		break;
	case PROPERTY_OTHER:
		break;
	}
}

void style_hides(struct str style, unsigned *set_r, unsigned *clear_r)
{
	struct seen seen = { .none = false };
	struct str item, name;

	*set_r = *clear_r = 0;
	while (str_cut(&style, ';', &item)) {
		if (!str_cut(&item, ':', &name) || !item.p)
			continue;
		enum property property = property_of(str_trim_crlf(name));
		if (property == PROPERTY_OTHER)
			continue;
		struct value value = squeeze(item);
		declare(property, &value, &seen, set_r, clear_r);
	}
	struct str text = colour_of(&seen.text);
	if (text.n && str_eq(text, colour_of(&seen.ground)))
		*set_r |= STYLE_CAMOUFLAGE;
	if (seen.none)
		*set_r |= STYLE_GONE;
	*clear_r &= ~*set_r;
}
