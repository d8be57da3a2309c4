#include "core/mail/mail.h"

#include <idn2.h>

#define LABEL_BYTES 63
#define NAME_BYTES  253
/* A U-label is never longer than this many octets an octet of its A-label. */
#define UNICODE_BYTES (4 * NAME_BYTES)

/* Letters, digits, hyphens (RFC 5890 2.3.1), lower case, 1 to 63 octets a label. */
static bool is_canonical(struct str domain)
{
	struct str rest = domain, label;
	if (!domain.n || domain.n > NAME_BYTES)
		return false;
	while (str_cut(&rest, '.', &label)) {
		if (!label.n || label.n > LABEL_BYTES)
			return false;
		if (label.p[0] == '-' || label.p[label.n - 1] == '-')
			return false;
		for (size_t i = 0; i < label.n; i++)
			if (!char_is_alnum(label.p[i]) && label.p[i] != '-')
				return false;
	}
	return true;
}

/* Has a label that begins with "xn--", or octets beyond ASCII? */
static bool is_international(struct str lower)
{
	return !str_is_ascii(lower) || str_starts(lower, "xn--") ||
	       str_find(lower, STR(".xn--")) < lower.n;
}

static int lookup(const char *in, char **ascii_r)
{
	uint8_t *out = NULL;
	int rc = idn2_lookup_u8((const uint8_t *)in, &out, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL);
	if (rc != IDN2_OK)
		return -1;
	*ascii_r = (char *)out;
	return 0;
}

/* Each A-label must be the one form of its U-label: decoded and encoded again, it is itself. */
static bool survives_round_trip(const char *ascii)
{
	char *unicode = NULL, *again = NULL;
	bool same = false;
	if (idn2_to_unicode_8z8z(ascii, &unicode, 0) == IDN2_OK && !lookup(unicode, &again))
		same = strcmp(ascii, again) == 0;
	idn2_free(again);
	idn2_free(unicode);
	return same;
}

static int canonical_idn(struct arena *arena, struct str lower, struct str *canonical_r)
{
	char *ascii = NULL;
	if (!str_is_utf8(lower) || lookup(arena_cstr(arena, lower), &ascii))
		return -1;
	struct str made = str_c(ascii);
	int rc = -1;
	if (is_canonical(made) && survives_round_trip(ascii)) {
		*canonical_r = arena_lower(arena, made);
		rc = 0;
	}
	idn2_free(ascii);
	return rc;
}

int mail_domain_canonical(struct arena *arena, struct str domain, struct str *canonical_r)
{
	if (domain.n && domain.p[domain.n - 1] == '.')
		domain.n--;
	if (!domain.n || domain.n > UNICODE_BYTES || str_chr(domain, '\0') < domain.n)
		return -1;
	/* libidn2 refuses capitals in an A-label. */
	struct str lower = arena_lower(arena, domain);
	if (is_international(lower))
		return canonical_idn(arena, lower, canonical_r);
	if (!is_canonical(lower))
		return -1;
	*canonical_r = lower;
	return 0;
}

bool mail_domain_key(struct str domain, char scratch[MAIL_DOMAIN_MAX], struct str *key_r)
{
	struct arena *arena = NULL;
	bool found;

	if (!str_is_ascii(domain)) {
		arena = arena_new(1 << 16);
		if (mail_domain_canonical(arena, domain, &domain) != 0)
			domain.n = 0;
	}
	if (domain.n && domain.p[domain.n - 1] == '.')
		domain.n--;
	found = domain.n && domain.n <= MAIL_DOMAIN_MAX;
	for (size_t i = 0; found && i < domain.n; i++)
		scratch[i] = char_lower(domain.p[i]);
	*key_r = str_from(scratch, found ? domain.n : 0);
	arena_free(&arena);
	return found;
}
