#include "gateway/web/web.h"

#include <time.h>

#include "core/json.h"
#include "core/limits.h"

void web_healthz(void *context, struct http_request *r)
{
	struct web *web = context;
	bool well = web->keeper && !web->self->is_draining;
	http_reply(r, well ? 200 : 503, "text/plain", well ? STR("ok\n") : STR("not serving\n"));
}

struct store *web_index(struct web *web, struct http_request *r)
{
	struct err err = { "" };
	if (!web->index)
		web->index = store_open(web->self->config->state_dir, true, &err);
	if (!web->index)
		http_error(r, 503, "the quarantine's index cannot be read: %s", err.text);
	return web->index;
}

static void add_counter(struct buf *out, struct web *web, const char *name, enum shared_counter counter)
{
	buf_printf(out, ", \"%s\": %lld", name, (long long)shared_get(web->self->shared, counter));
}

static void add_quarantine(struct buf *out, struct web *web)
{
	struct store_counts counts;
	if (!web->index)
		web->index = store_open(web->self->config->state_dir, true, NULL);
	if (!web->index || store_count(web->index, &counts, NULL) != STORE_OK)
		buf_c(out, ", \"quarantine\": null");
	else
		buf_printf(out, ", \"quarantine\": {\"held\": %lld, \"pending\": %lld, \"octets\": %lld,"
				" \"release_jobs\": %lld}", (long long)counts.held, (long long)counts.pending,
			(long long)counts.octets, (long long)counts.jobs);
}

void web_status(void *context, struct http_request *r)
{
	struct web *web = context;
	struct buf out = BUF_INIT;
	buf_c(&out, "{\"version\": \"" GATEPOST_VERSION "\", \"hostname\": ");
	json_text(&out, str_c(web->self->config->hostname), 255);
	buf_printf(&out, ", \"uptime_s\": %lld, \"judged_by\": ", (long long)(time(NULL) - web->started));
	json_text(&out, web->self->judge.versions, 1000);
	buf_printf(&out, ", \"keeper\": %s, \"trainer\": %s", web->keeper ? "true" : "false",
		web->trainer ? "true" : "false");
	buf_printf(&out, ", \"open_connections\": %lld", (long long)shared_gauge_sum(web->self->shared,
							      ROLE_FRONT, SHARED_OPEN_CONNECTIONS));
	add_counter(&out, web, "connections", SHARED_CONNECTIONS);
	add_counter(&out, web, "auth_failures", SHARED_AUTH_FAILURES);
	add_counter(&out, web, "forwarded", SHARED_MESSAGES_FORWARD);
	add_counter(&out, web, "tagged", SHARED_MESSAGES_TAG);
	add_counter(&out, web, "quarantined", SHARED_MESSAGES_QUARANTINE);
	add_counter(&out, web, "refused", SHARED_MESSAGES_REJECT);
	add_counter(&out, web, "deferred", SHARED_MESSAGES_TEMPFAIL);
	add_counter(&out, web, "delivery_uncertain", SHARED_DELIVERY_UNCERTAIN);
	add_counter(&out, web, "role_deaths", SHARED_ROLE_DEATHS);
	add_counter(&out, web, "inspector_deaths", SHARED_INSPECTOR_DEATHS);
	add_quarantine(&out, web);
	buf_c(&out, "}\n");
	http_json(r, 200, buf_str(&out));
	buf_free(&out);
}

struct rows {
	struct buf out;
	size_t count;
};

static bool add_row(void *context, const struct collect_row *row)
{
	struct rows *rows = context;
	if (rows->count++)
		buf_c(&rows->out, ", ");
	record_to_json(&collect_row_record, row, &rows->out);
	return true;
}

void web_reports(void *context, struct http_request *r)
{
	struct web *web = context;
	struct rows rows = { .out = BUF_INIT };
	struct err err = { "" };
	uint64_t limit = 1000;
	struct str wanted = http_query(r, "limit");
	if (wanted.n && str_to_u64(wanted, 1, 10000, &limit) < 0) {
		http_error(r, 400, "limit must lie within 1 and 10000");
		return;
	}
	if (!web->reports)
		web->reports = collect_open(web->self->config->state_dir, true, &err);
	buf_c(&rows.out, "{\"rows\": [");
	if (!web->reports || collect_list(web->reports, http_query(r, "domain"), (int64_t)limit, web->arena,
				     add_row, &rows, &err) < 0) {
		http_error(r, 503, "the report rows cannot be read: %s", err.text);
	} else {
		buf_c(&rows.out, "]}\n");
		http_json(r, 200, buf_str(&rows.out));
	}
	buf_free(&rows.out);
}
