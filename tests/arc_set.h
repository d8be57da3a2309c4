/*
 * arc_set: a whole ARC set at once, for tests that have message and key in one place.
 *
 *	if (arc_set_add(mail, &chain, STR("mx.example.net; spf=pass"), &sealer, key, &headers)) ...
 */
#ifndef TESTS_ARC_SET_H
#define TESTS_ARC_SET_H

#include "core/mail/signkey.h"
#include "filters/arc/seal.h"

static inline void arc_set_sign(const struct signkey *key, const struct sign_draft *draft,
	struct buf *out)
{
	struct buf signature = BUF_INIT;

	signkey_sign(key, draft->digest, &signature);
	sign_finish(draft, buf_str(&signature), false, out);
	buf_free(&signature);
}

/* Appends the three lines; 0 and nothing where none may be added. -1: never. */
static inline int arc_set_add(const struct mail *m, const struct arc_chain *chain, struct str results,
	const struct arc_sealer *sealer, const struct signkey *key, struct buf *out)
{
	struct buf set = BUF_INIT;
	struct sign_draft draft;
	struct str aar;
	int result = arc_seal_message(m, chain, results, sealer, &aar, &draft);

	if (result == 1) {
		arc_set_sign(key, &draft, &set);
		buf_str_add(&set, aar);
		result = arc_seal_chain(m, chain, buf_str(&set), sealer, &draft, NULL) < 0 ? -1 : 1;
	}
	if (result == 1) {
		arc_set_sign(key, &draft, out);
		buf_str_add(out, buf_str(&set));
	}
	buf_free(&set);
	return result;
}

#endif
