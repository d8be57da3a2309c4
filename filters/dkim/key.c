#include "filters/dkim/key.h"

#include <openssl/evp.h>

#include "filters/dkim/tags.h"

/* Other TXT records at the name (of SPF, say) are nobody's key. */
static bool looks_like_key(struct str txt)
{
	struct str rest = txt, spec;

	if (str_starts(str_trim_crlf(txt), "v=DKIM"))
		return true;
	while (str_cut(&rest, ';', &spec)) {
		size_t equals = str_chr(spec, '=');
		if (equals < spec.n && str_eq_c(str_trim_crlf(str_sub(spec, 0, equals)), "p"))
			return true;
	}
	return false;
}

static size_t put_header(uint8_t *out, uint8_t tag, size_t length)
{
	size_t n = 0;

	out[n++] = tag;
	if (length > 255)
		out[n++] = 0x82;
	else if (length > 127)
		out[n++] = 0x81;
	if (length > 255)
		out[n++] = (uint8_t)(length >> 8);
	out[n++] = (uint8_t)length;
	return n;
}

/*
 * 3.6.1 asks for an RSAPublicKey, the world publishes a SubjectPublicKeyInfo, and
 * the library reads only the latter. So the former is wrapped: both are a SEQUENCE,
 * which begins with an INTEGER in one and a SEQUENCE in the other.
 */
static struct str wrap_rsa(struct str p, struct arena *arena)
{
	static const uint8_t algorithm[] = { 0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7,
		0x0d, 0x01, 0x01, 0x01, 0x05, 0x00 };
	uint8_t header[32];

	if (p.n % 4 || p.n > DKIM_KEY_RECORD_MAX)
		return p;
	uint8_t *der = arena_alloc(arena, p.n);
	int n = EVP_DecodeBlock(der, (const uint8_t *)p.p, (int)p.n);
	if (n < 16)
		return p;
	/* EVP_DecodeBlock counts what the padding stands for. */
	size_t length = (size_t)n - str_ends(p, "=") - str_ends(p, "==");
	size_t inside = der[1] == 0x82 ? 4 : der[1] == 0x81 ? 3 : 2;
	if (der[0] != 0x30 || der[inside] != 0x02)
		return p;
	size_t h = put_header(header, 0x03, length + 1);
	header[h++] = 0; /* unused bits */
	uint8_t *out = arena_alloc(arena, length + 64);
	size_t at = put_header(out, 0x30, sizeof(algorithm) + h + length);
	memcpy(out + at, algorithm, sizeof(algorithm));
	memcpy(out + at + sizeof(algorithm), header, h);
	memcpy(out + at + sizeof(algorithm) + h, der, length);
	at += sizeof(algorithm) + h + length;
	char *text = arena_alloc(arena, at * 4 / 3 + 8);
	return str_from(text, (size_t)EVP_EncodeBlock((uint8_t *)text, out, (int)at));
}

static int compact(struct str txt, struct str algorithm, struct arena *arena, struct str *record_r,
	const char **reason_r)
{
	static const char *const known[] = { "v", "h", "k", "s", "t", "p" };
	struct dkim_tags tags;
	struct buf out = BUF_INIT;

	*reason_r = "the key record is malformed";
	if (dkim_tags_parse(txt, arena, &tags) < 0)
		return -1;
	/* 3.6.1: if v= is there, it is the first tag. */
	if (dkim_tags_get(&tags, "v").p && !str_eq_c(tags.list.v[0].name, "v"))
		return -1;
	struct str p = dkim_tags_get(&tags, "p");
	if (!p.p)
		return -1;
	*reason_r = "the key is revoked";
	if (p.n == 0)
		return -1;
	struct str k = dkim_tags_get(&tags, "k");
	bool rsa = !k.p || str_eq_c(k, "rsa");
	*reason_r = "the key is of another type than the signature";
	if (!str_eq(rsa ? STR("rsa") : k, str_sub(algorithm, 0, str_chr(algorithm, '-'))))
		return -1;
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		struct str value = dkim_tags_get(&tags, known[i]);
		if (!value.p)
			continue;
		value = dkim_tags_squeeze(value, arena);
		buf_printf(&out, "%s%s=", out.n ? ";" : "", known[i]);
		buf_str_add(&out, rsa && known[i][0] == 'p' ? wrap_rsa(value, arena) : value);
	}
	*record_r = arena_dup(arena, buf_str(&out));
	buf_free(&out);
	*reason_r = "the key is too large";
	return record_r->n <= DKIM_KEY_RECORD_MAX ? 0 : -1;
}

int dkim_key_select(const struct dns_answer *answer, struct str algorithm, struct arena *arena,
	struct str *record_r, const char **reason_r)
{
	struct str found = { NULL, 0 };

	for (size_t i = 0; i < answer->data.n; i++) {
		struct str txt = dns_txt(answer, i, arena);
		if (!looks_like_key(txt))
			continue;
		/* 3.6.2.2 leaves it open which of several to take: none, rather than a guess. */
		*reason_r = "there are several key records";
		if (found.p)
			return -1;
		found = txt;
	}
	*reason_r = "there is no key";
	return found.p ? compact(found, algorithm, arena, record_r, reason_r) : -1;
}
