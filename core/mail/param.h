/*
 * param: a value with parameters, as Content-Type and Content-Disposition have
 * (RFC 2045 5.1), with the continuations and charsets of RFC 2231.
 *
 * Reads what any client would read, and says where clients would differ.
 *
 *	struct mail_params params;
 *	struct mail_param_value name;
 *	mail_params_parse(m->arena, value, &params);
 *	if (mail_params_get(m, &params, "filename", &name))
 *		use(name.text);
 */
#ifndef CORE_MAIL_PARAM_H
#define CORE_MAIL_PARAM_H

#include "core/limits.h"
#include "core/mail/mail.h"

struct mail_param {
	struct str name;  /* as it stands, without "*0*" */
	struct str value; /* quotes and escapes removed; percent escapes still there */
	int section;	  /* of a continuation, or -1 */
	bool extended;	  /* name ended in '*': percent escapes */
	bool quoted;
};

struct mail_params {
	struct str value; /* what stands before the first ';' */
	struct mail_param v[LIMIT_PARAM_COUNT];
	size_t n;
	bool malformed; /* syntax, or a parameter twice, or more than LIMIT_PARAM_COUNT */
	bool comments;
};

struct mail_param_value {
	struct str text; /* UTF-8 */
	bool odd;	 /* written by RFC 2231, or by encoded words */
	bool ambiguous;	 /* several forms stand there and differ, or a section is missing */
};

/* `value` is raw: it is unfolded here. */
void mail_params_parse(struct arena *arena, struct str value, struct mail_params *params_r);
/* false if there is none of this name (without case). */
bool mail_params_get(struct mail *m, const struct mail_params *params, const char *name,
	struct mail_param_value *value_r);

#endif
