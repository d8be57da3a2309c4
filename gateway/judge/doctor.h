/*
 * doctor: `gatepost doctor`: looks at this host, or at a protected domain as the world sees it, and
 * says what is right and what to change.
 *
 * Each check is a function that says one thing or several:
 *
 *	doctor_say(d, DOCTOR_WRONG, "mx", "%s has no MX record.", domain);
 *	doctor_record(d, "%s. IN MX 10 %s.", domain, hostname);
 *
 * What is on disk is looked at first, then the process confines itself, then it asks the network:
 * what comes from there is hostile, and is escaped where it is printed.
 */
#ifndef GATEWAY_JUDGE_DOCTOR_H
#define GATEWAY_JUDGE_DOCTOR_H

#include "core/tls.h"
#include "gateway/judge/judge.h"

enum doctor_state {
	DOCTOR_RIGHT,
	DOCTOR_ADVICE, /* works, but could be better */
	DOCTOR_WRONG,  /* has to be changed: the exit code is 1 */
};
extern const char *const doctor_state_names[];

#define DOCTOR_ADDRESSES 64
#define DOCTOR_NAMES_MAX 20 /* MX or PTR records that are looked at */

struct doctor_finding {
	const char *check; /* "mx", "spf", …: one word */
	enum doctor_state state;
	struct str text;
	struct str record; /* for a zone file, or a command; may be empty */
};

/* A DKIM key of the domain, without its private half. */
struct doctor_key {
	struct str name; /* under which it is published */
	struct str algorithm, record, signature;
	bool signs; /* the newest of its kind */
};

/* What listeners show, read before the sandbox. */
struct doctor_certificate {
	const char *path, *key, *listener;
	bool is_ours; /* made by the gateway, for want of another */
	bool is_public; /* strangers who bring mail see it: not on outbound listeners alone */
	struct x509_st *x509; /* NULL: `trouble` says why, or it is yet to be made */
	struct stack_st_X509 *chain; /* behind it in the file */
	const char *trouble;
	const char *distrust; /* why the system's authorities do not vouch for it; NULL: they do */
	bool is_self_signed;
	struct str issuer; /* organization, safe to show */
	struct str_list issuer_hosts; /* where the issuer has what it says about itself */
};

struct doctor {
	struct arena *arena;
	struct judge_setup *setup;
	const struct config *config;
	const char *hostname;
	struct loop *loop;
	struct resolve *resolve, *unvalidated; /* the latter: to tell what of a failure is DNSSEC's */
	struct tls_context *tls; /* for backends: any certificate will do */
	struct tls_context *tls_verifying;
	int64_t sts_port; /* of https://mta-sts.DOMAIN */
	struct ip addresses[DOCTOR_ADDRESSES]; /* this host's */
	size_t address_count;
	LIST(struct doctor_finding) findings;
	LIST(struct doctor_key) keys;
	bool keys_are_hidden; /* they could not be read */
	LIST(struct doctor_certificate) certificates;
};

void doctor_say(struct doctor *d, enum doctor_state state, const char *check, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
/* What to copy, for what was said last; may have lines. */
void doctor_record(struct doctor *d, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Never NULL. */
const struct dns_answer *doctor_ask(struct doctor *d, enum dns_type type, struct str name);
/* A domain of the DNS's answer, safe to print, without its final dot. */
const char *doctor_name(struct doctor *d, struct str name);
/* This host has the address too. */
void doctor_add_address(struct doctor *d, const struct ip *ip);

/* Is it for this name? x509 is not NULL. */
bool doctor_certificate_names(const struct doctor_certificate *c, const char *name);

/* The MX records' names that are host names. */
void doctor_exchanges(struct doctor *d, struct str domain, struct str_list *names_r);
/* The addresses of a name, A before AAAA: calls for each, and returns how many there are. */
size_t doctor_each_address(struct doctor *d, struct str name,
	void (*each)(struct doctor *d, const struct ip *ip, void *context), void *context);
/* Is it this host's, by name or by one of its addresses? */
bool doctor_leads_here(struct doctor *d, struct str name, bool *has_address_r);
/*
 * The TXT records for which is() holds, one of which is wanted: how many there are, and the first.
 * -1, and told, if the DNS does not answer.
 */
int doctor_find_txt(struct doctor *d, const char *check, struct str name, bool (*is)(struct str),
	struct str *txt_r);
/* -1, and told if there are several: there is no single one. */
int doctor_no_single(struct doctor *d, const char *check, int n, struct str name,
	const char *what);

/* In the files of the same names. Those of doctor_host, and the two that read, look at files,
 * before the sandbox. */
void doctor_host_check(struct doctor *d);
void doctor_host_addresses(struct doctor *d);
void doctor_certificates_read(struct doctor *d);
void doctor_certificates_free(struct doctor *d);
void doctor_certificates_check(struct doctor *d);
void doctor_net_check(struct doctor *d);
void doctor_caa_check(struct doctor *d, struct str domain);
void doctor_tlsa_check(struct doctor *d, struct str domain);
void doctor_domain_check(struct doctor *d, struct str domain);
void doctor_mail_check(struct doctor *d, struct str domain);
void doctor_sts_check(struct doctor *d, struct str domain);
void doctor_dkim_read(struct doctor *d, struct str domain);
void doctor_dkim_check(struct doctor *d, struct str domain);

#endif
