/* web: what the web role's files share: its peers, and the index that it reads. */
#ifndef GATEWAY_WEB_WEB_H
#define GATEWAY_WEB_WEB_H

#include "gateway/role.h"
#include "gateway/web/http.h"
#include "quarantine/store.h"
#include "reports/collect.h"

struct web {
	struct role_self *self;
	struct channel *keeper, *trainer, *resolver, *bench, *scanner; /* NULL while they are away */
	struct http_server *servers[2];
	struct store *index;	 /* read-only; NULL until the keeper has made it */
	struct collect *reports; /* the same */
	struct arena *arena;	 /* of one request */
	const char *token;
	int64_t started;
};

extern const struct http_route web_routes[];

/* gateway/web/quarantine.c */
void web_quarantine_list(void *context, struct http_request *r);
void web_quarantine_show(void *context, struct http_request *r);
void web_quarantine_message(void *context, struct http_request *r);
void web_quarantine_release(void *context, struct http_request *r);
void web_quarantine_delete(void *context, struct http_request *r);
void web_quarantine_learn(void *context, struct http_request *r);
void web_learn(void *context, struct http_request *r);

/* gateway/web/rspamd.c */
void web_ping(void *context, struct http_request *r);
void web_checkv2(void *context, struct http_request *r);
void web_learnspam(void *context, struct http_request *r);
void web_learnham(void *context, struct http_request *r);
void web_stat(void *context, struct http_request *r);

/* gateway/web/bayes.c */
void web_metrics(void *context, struct http_request *r);
void web_bayes(void *context, struct http_request *r);
void web_bayes_rebuild(void *context, struct http_request *r);
void web_bayes_undo(void *context, struct http_request *r);
void web_bayes_roll_back(void *context, struct http_request *r);
void web_bayes_review(void *context, struct http_request *r);
void web_bayes_accept(void *context, struct http_request *r);

/* gateway/web/status.c */
void web_healthz(void *context, struct http_request *r);
void web_status(void *context, struct http_request *r);
void web_reports(void *context, struct http_request *r);
/* The read-only index, opened when it is first there; NULL: r has been answered. */
struct store *web_index(struct web *web, struct http_request *r);

#endif
