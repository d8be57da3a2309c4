/*
 * auth: the typed slots that the authentication filters fill (RFC 8601 names).
 *
 * Each slot is written by one filter and read by those that name it in `after`.
 * Their JSON is that of `gatepost check` (design: "The command line").
 */
#ifndef CORE_AUTH_H
#define CORE_AUTH_H

#include "core/record.h"

enum auth_result {
	AUTH_NONE,
	AUTH_PASS,
	AUTH_FAIL,
	AUTH_SOFTFAIL,
	AUTH_NEUTRAL,
	AUTH_POLICY,
	AUTH_TEMPERROR,
	AUTH_PERMERROR,
};
extern const char *const auth_result_names[];

struct auth_spf {
	int result; /* enum auth_result */
	struct str domain;
	struct str scope; /* "mfrom" or "helo" */
	struct str explanation;
};
struct auth_dkim {
	int result;
	struct str domain;   /* d=, canonical A-labels */
	struct str selector; /* s= */
	struct str algorithm;
	struct str reason;
	struct str identity;  /* i=, hidden from JSON */
	struct str signature; /* first characters of b=, for header.b; hidden */
};
struct auth_dkim_list {
	struct auth_dkim *v;
	size_t n;
};
struct auth_arc {
	int result; /* none, pass, fail */
	struct str_list sealers; /* newest first; of a chain that passes */
	struct str reason;
	/* Hidden from JSON: what trusted sealers saw when the message reached them. Empty if the chain
	 * does not pass or its newest sealer is not trusted. */
	bool saw_dmarc;		  /* dmarc=pass */
	struct str saw_dmarc_from; /* of which author domain, or empty: they did not say */
	struct str_list saw_dkim; /* domains of dkim=pass */
};

enum dmarc_policy { DMARC_NONE, DMARC_QUARANTINE, DMARC_REJECT, DMARC_ABSENT };
extern const char *const dmarc_policy_names[];
enum dmarc_disposition { DISPOSITION_NONE, DISPOSITION_PASS, DISPOSITION_QUARANTINE, DISPOSITION_REJECT };
extern const char *const dmarc_disposition_names[];
enum dmarc_discovery { DISCOVERY_TREEWALK, DISCOVERY_PSL };
extern const char *const dmarc_discovery_names[];

struct auth_dmarc {
	int result; /* none, pass, fail, temperror, permerror */
	struct str author_domain;
	struct str policy_domain;
	int policy; /* enum dmarc_policy: the one that holds for this message, after t= */
	int disposition;
	int discovery;
	struct str override; /* RFC 9990 reason type, or empty */
	/* Hidden from check's JSON, needed for the aggregate row (RFC 9990). */
	struct str rua;
	int published_p, published_sp, published_np;
	struct str adkim, aspf, fo;
	bool testing;
	bool dkim_aligned, spf_aligned;
	struct str comment;
};
struct auth_iprev {
	int result; /* none, pass, fail, temperror, permerror */
	struct str name; /* host name that maps forth and back, LDH, or empty */
};

struct auth {
	struct auth_spf *spf;
	struct auth_spf *spf_helo; /* the HELO identity beside MAIL FROM; hidden from JSON */
	struct auth_dkim_list *dkim; /* NULL: not computed */
	struct auth_arc *arc;
	struct auth_dmarc *dmarc;
	struct auth_iprev *iprev; /* hidden from JSON */
};
extern const struct record auth_spf_record, auth_dkim_record, auth_dkim_list_record, auth_arc_record,
	auth_dmarc_record, auth_iprev_record, auth_record;

#endif
