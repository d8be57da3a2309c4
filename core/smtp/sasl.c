#include "core/smtp/sasl.h"

#include <openssl/evp.h>
#include <string.h>

#include "core/limits.h"
#include "core/mail/decode.h"

/* RFC 4648 4 to the letter: what is decoded leniently here may have been meant otherwise. */
static bool decode(struct arena *arena, struct str line, struct str *plain_r)
{
	bool odd = line.n % 4 != 0;

	for (size_t i = 0; i < line.n; i++)
		odd |= char_is_wsp(line.p[i]);
	*plain_r = mail_decode_base64(arena, line, &odd);
	return !odd;
}

static enum sasl_step finish(struct sasl *s, struct str name, struct str password)
{
	s->name = name;
	s->password = password;
	if (name.n > LIMIT_PATH || password.n > SASL_PASSWORD_MAX || str_chr(name, '\0') < name.n ||
		str_chr(password, '\0') < password.n)
		return SASL_SYNTAX;
	return SASL_CREDENTIALS;
}

/* RFC 4616 2: [authzid] NUL authcid NUL passwd. Nobody acts for another here. */
static enum sasl_step take_plain(struct sasl *s, struct str message)
{
	struct str acts_for, name;

	if (!str_cut(&message, '\0', &acts_for) || !str_cut(&message, '\0', &name) || !message.p ||
		(acts_for.n && !str_eq(acts_for, name)))
		return SASL_SYNTAX;
	return finish(s, name, message);
}

static enum sasl_step take(struct sasl *s, struct str message)
{
	if (s->plain)
		return take_plain(s, message);
	if (s->named)
		return finish(s, s->name, message);
	s->name = message;
	s->named = true;
	s->challenge = "UGFzc3dvcmQ6"; /* Password: */
	return SASL_CHALLENGE;
}

enum sasl_step sasl_next(struct sasl *s, struct str line)
{
	struct str message;

	if (str_eq_c(line, "*"))
		return SASL_CANCELLED;
	return decode(s->arena, line, &message) ? take(s, message) : SASL_SYNTAX;
}

enum sasl_step sasl_begin(struct sasl *s, struct arena *arena, struct str mechanism,
	struct str initial)
{
	*s = (struct sasl){ .arena = arena, .plain = str_ieq_c(mechanism, "PLAIN") };
	if (!s->plain && !str_ieq_c(mechanism, "LOGIN"))
		return SASL_UNKNOWN;
	s->challenge = s->plain ? "" : "VXNlcm5hbWU6"; /* Username: */
	if (!initial.p)
		return SASL_CHALLENGE;
	/* RFC 4954 4: "=" is the empty response. */
	return sasl_next(s, str_eq_c(initial, "=") ? STR("") : initial);
}

void sasl_encode(struct str octets, struct buf *out)
{
	char *place = buf_reserve(out, octets.n / 3 * 4 + 5);

	buf_commit(out, (size_t)EVP_EncodeBlock((uint8_t *)place, (const uint8_t *)octets.p,
		(int)octets.n));
}

static void wipe(struct str *s)
{
	if (s->n)
		explicit_bzero((char *)s->p, s->n);
	*s = STR("");
}

void sasl_end(struct sasl *s)
{
	wipe(&s->name);
	wipe(&s->password);
}
