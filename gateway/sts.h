/*
 * sts: what a domain publishes for MTA-STS (RFC 8461): the record that announces a policy, and the
 * policy itself. Both are hostile, and read strictly; unknown fields are passed over, as the RFC
 * wants it.
 */
#ifndef GATEWAY_STS_H
#define GATEWAY_STS_H

#include "core/arena.h"
#include "core/err.h"
#include "core/record.h"

#define STS_POLICY_BYTES (64u << 10) /* 3.3 */
#define STS_MX_MAX	 100

enum sts_mode { STS_NONE, STS_TESTING, STS_ENFORCE };
extern const char *const sts_mode_names[];

struct sts_policy {
	enum sts_mode mode;
	struct str_list mx; /* "mx.example.net", "*.example.net" */
	uint64_t max_age_s;
};

/* A TXT record: is it one of MTA-STS (3.1)? */
bool sts_record_is(struct str txt);
/* Its id: 1 to 32 letters and digits. -1: it has none, or no valid one. */
int sts_record_id(struct str txt, struct str *id_r);

/* The body of https://mta-sts.DOMAIN/.well-known/mta-sts.txt (3.2). Its strings point into the
 * text. 0, or -1 and which line is wrong. */
int sts_policy_parse(struct str text, struct arena *arena, struct sts_policy *policy_r,
	struct err *err);
/* Does the policy allow this MX (4.1)? "*." stands for exactly one label. */
bool sts_policy_allows(const struct sts_policy *policy, struct str name);

#endif
