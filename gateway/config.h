/*
 * config: the one configuration file, as what the gateway's roles use of it.
 *
 * Every role is handed the file's text (ROLE_FD_CONFIG) and reads it here by the
 * same rows, so that nothing is serialised and all agree. What judges mail (the
 * sections `filter`, `scores`, `policy`, and policy keys in `domain` sections) is
 * read by the inspector's engine; here it is only known by name.
 *
 *	struct conf *conf;
 *	struct config *config = config_read(text, "gatepost.conf", arena, &conf);
 *	if (conf_errors(conf)->n) ... show them; config must not be used
 *
 * All is the arena's and read-only after config_read(). Times are milliseconds,
 * sizes octets. A new option is one field here and one row in config.c.
 */
#ifndef GATEWAY_CONFIG_H
#define GATEWAY_CONFIG_H

#include "core/conf.h"
#include "core/ip.h"
#include "rules/policy.h"

#define CONFIG_DEFAULT_FILE "/etc/gatepost/gatepost.conf"

/* An address to listen on; port 0 lets the kernel choose (tests). */
struct config_address {
	struct ip ip;
	uint16_t port;
};

enum config_tls { CONFIG_TLS_OFFER, CONFIG_TLS_OFF, CONFIG_TLS_IMPLICIT };
enum config_backend_tls { CONFIG_BACKEND_TLS_MAY, CONFIG_BACKEND_TLS_REQUIRE, CONFIG_BACKEND_TLS_OFF };
enum config_bare_lf { CONFIG_BARE_LF_NORMALIZE, CONFIG_BARE_LF_REFUSE };

struct config_listener {
	const char *title; /* as written: "0.0.0.0:25" */
	struct config_address address;
	bool optional;	      /* one of the built-in two: a machine without IPv6 is no error */
	int tls;	      /* enum config_tls */
	const char *tls_certificate, *tls_key; /* "": the self-signed pair in state_dir */
	struct option_strings proxy_protocol_from; /* as written */
	const struct ip_net *proxy_nets;	   /* PROXY header expected from these, and only these */
	size_t proxy_net_count;
	struct option_strings outbound_from; /* as written; none: mail comes in here */
	bool outbound;			     /* mail of our own goes out here, and none comes in */
	const struct ip_net *outbound_nets;  /* clients that may send */
	size_t outbound_net_count;
	bool accounts;		   /* and so may who proves an account */
};

enum config_backend_kind { BACKEND_SMTP, BACKEND_LMTP, BACKEND_LMTP_UNIX };

struct config_backend {
	const char *text; /* as written: "smtp://10.0.0.5:25" */
	enum config_backend_kind kind;
	const char *host; /* name or address, without brackets; "" for BACKEND_LMTP_UNIX */
	struct ip ip;	  /* IP_NONE if host is a name, which is then resolved */
	uint16_t port;
	const char *path; /* BACKEND_LMTP_UNIX */
	size_t index;	  /* unique over all domains; equal texts share one */
};

struct config_domain {
	const char *name; /* lower case, A-label form; "" for the relay */
	struct option_strings backend;
	const struct config_backend *backends; /* in the order in which they are tried */
	size_t backend_count;
	int backend_tls;    /* enum config_backend_tls */
	bool verify_recipients; /* ask the backend at RCPT */
	bool arc_seal;	    /* what goes there is sealed, if config_arc names a sealer */
	size_t policy_class; /* equal for domains whose policy keys say the same: one message,
				judged once, can serve recipients in both */
};

/* The way out, of whatever outbound listeners take. */
struct config_outbound {
	bool enabled; /* is there an `outbound` section? */
	struct option_strings relay; /* as written */
	int relay_tls;		     /* enum config_backend_tls */
	const char *relay_login;     /* "": none */
	const char *relay_password_file;
	bool sign;		     /* with the keys of From's domain */
	struct policy_outbound policy;
	struct config_domain route; /* all outgoing mail goes to its backends, the relay */
};

struct config_dns {
	struct option_strings forward; /* "127.0.0.1@5353"; none: own recursion */
	const struct config_address *forwarders;
	size_t forwarder_count;
	bool dnssec; /* default: true for own recursion or a trust anchor, false with forwarders */
	const char *trust_anchor; /* "": the root's */
	int64_t timeout; /* of one look-up, all retries included */
	int64_t cache_size;
};

struct config_limits {
	int64_t message_size;
	int64_t recipients;	     /* of a transaction */
	int64_t messages_per_session;
	int64_t connections;	     /* all clients, all fronts */
	int64_t connections_per_client;
	int64_t connection_rate;     /* new ones of a client in a minute; 0: any */
	int64_t message_rate;	     /* of a client in a minute; 0: any */
	int64_t recipient_rate;	     /* of a client in a minute; 0: any */
	int64_t auth_failures;	     /* of a client in ten minutes, then no more are heard */
	int64_t backend_connections; /* to one backend, all fronts */
	int64_t front_memory;	     /* the ledger: message bytes in one front */
	int64_t command_timeout;     /* waiting for a client's command (RFC 5321 4.5.3.2.7) */
	int64_t data_timeout;	     /* waiting for the next piece of a message */
	int64_t session_timeout;     /* of a whole session */
	int64_t evaluate_timeout;    /* a message's look-ups; then an unanswered need is TIMEOUT */
	int64_t inspector_timeout;   /* one that computes longer without a word is killed */
	int64_t scanner_timeout;
	int64_t backend_connect_timeout;
	int64_t backend_timeout;      /* a backend's reply to a command */
	int64_t backend_data_timeout; /* a backend's reply after the dot (RFC 5321 4.5.3.2.6) */
	int64_t backend_idle;	      /* a pooled session is closed after this */
	int64_t release_retry;	      /* of a release that could not be delivered */
	int64_t drain_timeout;	      /* an old generation is ended after this */
};

struct config_admin {
	bool enabled;	       /* is there an `admin` section? */
	const char *listen;    /* as written */
	struct config_address address;
	const char *token_file; /* "": the API is only on the control socket */
};

/* Addresses that learn what is forwarded to them as an attachment, and what teaches by itself. */
struct config_learn {
	const char *spam_address, *ham_address; /* "": none */
	struct option_strings from;		/* as written */
	const struct ip_net *nets;
	size_t net_count;
	/* Lessons within 24 hours; 0: as many as come. */
	int64_t user_quota, user_ham_quota, sender_quota, tenant_quota;
	bool automatic;			    /* rules/evidence.h */
	struct option_strings auto_domains; /* canonical */
	int64_t auto_quota;		    /* of each kind of evidence */
	int64_t kept_lessons;		    /* 0: all */
	int64_t half_life;		    /* days */
};

struct config_arc {
	const char *seal_as; /* the domain whose key seals; "": nothing is sealed */
};

/* Index by name, so that 20,000 domains cost no more than two. */
struct config_name {
	const char *name;
	size_t index;
};
struct config_names {
	struct config_name *v;
	size_t n, cap;
};

struct config {
	const char *hostname;
	const char *state_dir; /* no slash at the end */
	int bare_lf;	       /* enum config_bare_lf */
	int64_t fronts;	       /* processes; 0 in the file: one a core, resolved here */
	int64_t inspectors_per_front;
	int64_t scanners;
	struct config_listener *listeners;
	size_t listener_count;
	struct config_domain *domains;
	size_t domain_count;
	struct config_names domain_names, backend_names;
	struct config_outbound outbound;
	size_t backend_count; /* distinct ones: config_backend.index is below it */
	struct config_dns dns;
	struct config_limits limits;
	struct config_admin admin;
	struct config_learn learn;
	struct config_arc arc;
};

/* Never NULL; if conf_errors(*conf_r)->n is not 0 the result must not be used. */
struct config *config_read(struct str text, const char *file, struct arena *arena,
	struct conf **conf_r);
/* Reads the whole file (at most LIMIT_CONFIG_BYTES) into the arena. */
int config_load(const char *file, struct arena *arena, struct str *text_r, struct err *err);
/* From an open descriptor, as ROLE_FD_CONFIG is. */
int config_load_fd(int fd, struct arena *arena, struct str *text_r, struct err *err);
/* Exact, without case, in Unicode or A-labels; NULL if the domain is not ours. */
const struct config_domain *config_find_domain(const struct config *config, struct str domain);
/* Does mail for both go to the same mailbox servers, in the same order? */
bool config_same_backends(const struct config_domain *a, const struct config_domain *b);
/* Every route that mail can take: the domains, then the relay. `previous` NULL for the first;
 * NULL behind the last. */
const struct config_domain *config_next_route(const struct config *config,
	const struct config_domain *previous);
/* The admin API's token: the first line of token_file, or NULL where there is none. -1 for a
 * file that cannot be read, or a token that is too short or too long. */
int config_token(const struct config *config, struct arena *arena, const char **token_r,
	struct err *err);
/* The relay's password: the first line of relay_password_file, or NULL where there is none. -1 as
 * above. */
int config_relay_password(const struct config *config, struct arena *arena, const char **password_r,
	struct err *err);
/* "state_dir/name" in the arena. */
const char *config_path(const struct config *config, struct arena *arena, const char *name);
/* Appends every effective value of the sections read here, with where it came from. */
void config_dump(struct conf *conf, const struct config *config, struct buf *out);
/* Appends a commented sample file: every row with its default. */
void config_sample(struct buf *out);
/* Appends the rows as the sections of gatepost.conf(5), in mdoc. */
void config_man(struct buf *out);

#endif
