#include "core/mail/entity.h"

struct entity {
	const char *name;
	unsigned char n;	/* octets of the name */
	unsigned char utf8_n;
	bool legacy;		/* also known without its semicolon */
	char utf8[ENTITY_MAX];
};

#define N(id, text) { #id, sizeof(#id) - 1, sizeof(text) - 1, false, text },
#define L(id, text) { #id, sizeof(#id) - 1, sizeof(text) - 1, true, text },
static const struct entity entities[] = {
#include "core/mail/entities.def"
};
#undef N
#undef L

#define ENTITY_COUNT	  (sizeof(entities) / sizeof(entities[0]))
#define ENTITY_NAME_MAX	  32 /* the longest of the standard has 31 */
#define ENTITY_LEGACY_MAX 6

/* What browsers make of the C1 controls: they meant Windows-1252. 0: stays as it is. */
static const uint16_t c1_controls[32] = {
	0x20ac, 0, 0x201a, 0x0192, 0x201e, 0x2026, 0x2020, 0x2021, 0x02c6, 0x2030, 0x0160, 0x2039,
	0x0152, 0, 0x017d, 0, 0, 0x2018, 0x2019, 0x201c, 0x201d, 0x2022, 0x2013, 0x2014, 0x02dc,
	0x2122, 0x0161, 0x203a, 0x0153, 0, 0x017e, 0x0178,
};

size_t entity_utf8(uint32_t code, char out_r[ENTITY_MAX])
{
	if (code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
		code = 0xfffd;
	if (code < 0x80) {
		out_r[0] = (char)code;
		return 1;
	}
	if (code < 0x800) {
		out_r[0] = (char)(0xc0 | code >> 6);
		out_r[1] = (char)(0x80 | (code & 0x3f));
		return 2;
	}
	if (code < 0x10000) {
		out_r[0] = (char)(0xe0 | code >> 12);
		out_r[1] = (char)(0x80 | (code >> 6 & 0x3f));
		out_r[2] = (char)(0x80 | (code & 0x3f));
		return 3;
	}
	out_r[0] = (char)(0xf0 | code >> 18);
	out_r[1] = (char)(0x80 | (code >> 12 & 0x3f));
	out_r[2] = (char)(0x80 | (code >> 6 & 0x3f));
	out_r[3] = (char)(0x80 | (code & 0x3f));
	return 4;
}

/* s begins with "&#". */
static size_t decode_number(struct str s, char *out, size_t *n_r)
{
	bool hex = s.n > 2 && (s.p[2] == 'x' || s.p[2] == 'X');
	size_t i = hex ? 3 : 2, digits = 0;
	uint32_t code = 0;

	for (; i < s.n; i++, digits++) {
		int digit = char_hex(s.p[i]);
		if (digit < 0 || (!hex && digit > 9))
			break;
		/* Saturates: any number of leading zeros is fine, any number of digits too. */
		if (code <= 0x10ffff)
			code = code * (hex ? 16 : 10) + (uint32_t)digit;
	}
	if (!digits)
		return 0;
	if (i < s.n && s.p[i] == ';')
		i++;
	if (code == 0)
		code = 0xfffd;
	else if (code >= 0x80 && code < 0xa0 && c1_controls[code - 0x80])
		code = c1_controls[code - 0x80];
	*n_r = entity_utf8(code, out);
	return i;
}

static const struct entity *find(struct str name)
{
	size_t low = 0, high = ENTITY_COUNT;
	while (low < high) {
		size_t mid = (low + high) / 2;
		const struct entity *e = &entities[mid];
		size_t n = name.n < e->n ? name.n : e->n;
		int cmp = memcmp(name.p, e->name, n);
		if (!cmp)
			cmp = (int)name.n - (int)e->n;
		if (!cmp)
			return e;
		if (cmp < 0)
			high = mid;
		else
			low = mid + 1;
	}
	return NULL;
}

static size_t give(const struct entity *e, size_t used, char *out, size_t *n_r)
{
	memcpy(out, e->utf8, e->utf8_n);
	*n_r = e->utf8_n;
	return used;
}

size_t entity_decode(struct str s, bool in_attribute, char out_r[ENTITY_MAX], size_t *n_r)
{
	if (s.n < 3)
		return 0;
	if (s.p[1] == '#')
		return decode_number(s, out_r, n_r);

	size_t n = 0;
	while (n < ENTITY_NAME_MAX && 1 + n < s.n && char_is_alnum(s.p[1 + n]))
		n++;
	struct str name = str_from(s.p + 1, n);
	if (1 + n < s.n && s.p[1 + n] == ';') {
		const struct entity *e = find(name);
		if (e)
			return give(e, n + 2, out_r, n_r);
	}
	/* The longest of the old names that stands at the start. */
	for (size_t k = n < ENTITY_LEGACY_MAX ? n : ENTITY_LEGACY_MAX; k >= 2; k--) {
		const struct entity *e = find(str_from(name.p, k));
		if (!e || !e->legacy)
			continue;
		char next = 1 + k < s.n ? s.p[1 + k] : 0;
		if (in_attribute && (next == '=' || char_is_alnum(next)))
			return 0;
		return give(e, 1 + k, out_r, n_r);
	}
	return 0;
}
