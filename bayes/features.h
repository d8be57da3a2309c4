/*
 * features: what the classifier sees of a message, as salted hashes, each once.
 *
 * Two views (grams and tokens), both of decoded text with look-alike characters
 * folded, and of selected headers; headers and subject tags that only say where a
 * message was collected (X-Spam-*, List-*, our own, …) are left out.
 *
 *   grams   every four octets of a canonical string: headers first, then the text
 *   tokens  words and pairs of words, of neighbours in the text and up to two apart in headers
 *           (orthogonal sparse bigrams), prefixed with the field that they stand in;
 *           hosts of links; structure
 *
 * Each tells which side it is of, the headers or the body: the model hears both apart, so that
 * headers that settle the matter leave the body something to learn, and the other way round.
 *
 * The salt is the model's secret: without it nobody can work out which words share
 * a slot. Nothing is allocated per feature.
 */
#ifndef BAYES_FEATURES_H
#define BAYES_FEATURES_H

#include "core/mail/mail.h"

enum {
	FEATURES_GRAMS = 8192, /* at most */
	FEATURES_TOKENS = 6000,
	FEATURES_FINDINGS = 64,
	/* More of each of these cost time and made nothing better. */
	FEATURES_HEADER_BYTES = 1000, /* grams of the headers */
	FEATURES_TEXT_BYTES = 600,    /* grams of the text, and of the body as it came */
	FEATURES_WORD_BYTES = 6000,   /* words of the text */
	FEATURES_STYLE_BYTES = 1000,  /* capitals and markup */
};

enum features_side { FEATURES_HEADERS, FEATURES_BODY, FEATURES_SIDES };

struct features {
	uint32_t *grams;
	size_t gram_count;
	uint64_t *tokens;
	size_t token_count;
	/* What other filters found, which is not the mail's: findings_add() (findings.h). */
	uint32_t *findings;
	size_t finding_count;
	const struct str *finding_names; /* NULL in a lesson that was decoded */
	uint64_t tenant; /* whose mail it is (tenant.h); 0: nobody's in particular */
};

/* A bit of each, which the table does not place it by. */
enum { FEATURES_GRAM_SIDE = 31, FEATURES_TOKEN_SIDE = 32 };
static inline enum features_side features_gram_side(uint32_t gram)
{
	return (enum features_side)(gram >> FEATURES_GRAM_SIDE & 1);
}
static inline enum features_side features_token_side(uint64_t token)
{
	return (enum features_side)(token >> FEATURES_TOKEN_SIDE & 1);
}

/* From the arena of the mail; without findings. */
void features_of(struct mail *mail, const uint8_t salt[16], struct features *features_r);
/*
 * What tokens of this message were made of, for people: `subject "cheap … offer"`. The message is
 * gone over again to find them; texts_r[i] is that of tokens[i], printable, in the mail's arena, or
 * empty if the message has no such token.
 */
void features_explain(struct mail *mail, const uint8_t salt[16], const uint64_t *tokens, size_t n,
	struct str *texts_r);

#endif
