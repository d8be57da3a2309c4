/*
 * inspector: runs the filters, rules and the classifier over facts and a message.
 *
 * The loader starts the engine once, with all files that filters want; its children
 * can open nothing any more. What a child keeps between the rounds of a transaction is
 * a cache of a few evaluations, which may be dropped at any moment: facts live in the
 * front.
 */
#include <errno.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/hash.h"
#include "core/limits.h"
#include "core/mail/attached.h"
#include "core/mail/charset.h"
#include "bayes/model.h"
#include "filters/bayes.h"
#include "filters/evaluate.h"
#include "gateway/fault.h"
#include "gateway/identity.h"
#include "gateway/inspector/draft.h"
#include "gateway/loader.h"
#include "gateway/log.h"
#include "rules/verdict.h"

/* A front has one message in an inspector at a time, and others that wait for answers. */
#define CACHE_ENTRIES 8
#define CHILD_MEMORY  (UINT64_C(2) << 30)

struct cached {
	struct evaluation *evaluation; /* NULL: free */
	char *transaction;
	bool has_message;
	struct str message;
	uint64_t last_used;
};

struct inspector {
	struct engine *engine;
	struct arena *arena; /* of one request */
	struct cached cache[CACHE_ENTRIES];
	uint64_t uses;
};

/* The cache */

static void cached_drop(struct cached *entry)
{
	evaluation_free(&entry->evaluation);
	memfd_unmap(entry->message);
	free(entry->transaction);
	*entry = (struct cached){ 0 };
}

static struct cached *cached_find(struct inspector *inspector, struct str transaction,
	bool has_message)
{
	for (size_t i = 0; i < CACHE_ENTRIES; i++) {
		struct cached *entry = &inspector->cache[i];
		if (entry->evaluation != NULL && entry->has_message == has_message &&
			str_eq_c(transaction, entry->transaction))
			return entry;
	}
	return NULL;
}

static struct cached *cached_oldest(struct inspector *inspector)
{
	struct cached *oldest = &inspector->cache[0];

	for (size_t i = 0; i < CACHE_ENTRIES; i++)
		if (inspector->cache[i].last_used < oldest->last_used)
			oldest = &inspector->cache[i];
	return oldest;
}

static struct cached *cached_make(struct loader_child *child, struct inspector *inspector,
	const struct ipc_packet *request, struct str transaction, bool has_message, struct err *err)
{
	struct str message = STR("");

	if (has_message && request->fd_count != 1)
		return err_set(err, "a message is to be judged, but did not come"), NULL;
	if (has_message && memfd_map(request->fds[0], LIMIT_MESSAGE_BYTES, &message, err) != 0)
		return NULL;
	struct cached *entry = cached_oldest(inspector);
	cached_drop(entry);
	entry->transaction = strndup(transaction.n > 0 ? transaction.p : "", transaction.n);
	if (entry->transaction == NULL)
		abort();
	entry->has_message = has_message;
	entry->message = message;
	entry->evaluation = evaluation_new(inspector->engine, message, child->running);
	return entry;
}

/* EVALUATE */

static int reply(const struct loader_child *child, const struct ipc_packet *request, uint16_t type,
	const struct record *record, const void *object, struct err *err)
{
	struct buf buf = BUF_INIT;

	record_encode(record, object, &buf);
	struct ipc_packet packet = { .type = type, .id = request->id, .payload = buf_str(&buf) };
	int result = ipc_send(child->fd, &packet, err);
	buf_free(&buf);
	return result;
}

/* Why a message was forwarded as it is, nobody asks. */
static bool is_questioned(const struct verdict *verdict)
{
	for (size_t i = 0; i < verdict->recipients.n; i++)
		if (verdict->recipients.v[i].action != ACTION_FORWARD)
			return true;
	return verdict->action != ACTION_FORWARD;
}

static int answer_evaluate(struct loader_child *child, const struct ipc_packet *request,
	struct err *err)
{
	struct inspector *inspector = child->self->context;
	struct evaluate_request r;
	struct verdict verdict;
	struct needs needs;

	struct arena *arena = inspector->arena;
	if (record_decode(&evaluate_request_record, request->payload, arena, &r, err) != 0)
		return -1;
	if (r.stage <= 0 || (r.stage & ~(int64_t)STAGE_ALL) != 0)
		return err_set(err, "there is no stage %lld", (long long)r.stage);
	bool has_message = (r.stage & STAGE_MESSAGE) != 0;
	struct cached *entry = cached_find(inspector, r.facts.transaction_id, has_message);
	if (entry != NULL && r.fresh) {
		cached_drop(entry);
		entry = NULL;
	}
	if (entry == NULL)
		entry = cached_make(child, inspector, request, r.facts.transaction_id, has_message,
			err);
	if (entry == NULL)
		return -1;
	entry->last_used = ++inspector->uses;
	if (!evaluate(entry->evaluation, &r.facts, (unsigned)r.stage, &needs, &verdict))
		return reply(child, request, EVALUATE_NEEDS, &needs_record, &needs, err);
	if (is_questioned(&verdict))
		evaluation_explain(entry->evaluation);
	int result = reply(child, request, EVALUATE_VERDICT, &verdict_record, &verdict, err);
	/* Each stage begins afresh, and what is over must not push out what still waits. */
	cached_drop(entry);
	return result;
}

/* EVALUATE_TOKENS: the features of a message for the trainer, who sees no message itself. */

static struct mail *find_attached(struct mail *mail, int64_t number, struct tokens_reply *r)
{
	struct mail_attached attached;

	mail_attached(mail, LIMIT_ATTACHED_LESSONS, &attached);
	r->attached = (int64_t)attached.count;
	r->feedback = attached.feedback;
	if (number < 1 || (uint64_t)number > attached.messages.n)
		return NULL;
	return mail_parse(mail->arena, attached.messages.v[number - 1]);
}

/* Of the first author, for quotas: it may well be forged. */
static struct str sender_domain(struct mail *mail)
{
	const struct mail_header *from = mail_header(mail, "From", NULL);
	struct mail_addresses authors;

	if (from == NULL)
		return STR("");
	mail_parse_addresses(mail, from->value, &authors);
	return authors.list.n > 0 ? authors.list.v[0].domain : STR("");
}

/*
 * What filters found in the message when it came: as the order says, or as our own header lines do.
 * Only what they can find before the classifier runs, since it is all that it will know when it judges.
 */
static void gather_findings(const struct loader_child *child, const struct tokens_request *asked,
	struct mail *mail, struct str_list *findings_r)
{
	const struct inspector *inspector = child->self->context;
	struct str names = asked->findings;

	if (names.n == 0 && asked->believes_headers)
		names = verdict_headers_findings(mail, child->self->config->hostname);
	engine_pick_findings(inspector->engine, names, FEATURES_FINDINGS, mail->arena, findings_r);
}

static int answer_tokens(struct loader_child *child, const struct ipc_packet *request,
	struct err *err)
{
	struct inspector *inspector = child->self->context;
	const void *conf = engine_conf(inspector->engine, "bayes");
	struct tokens_request asked;
	struct tokens_reply r = { .tokens = STR("") };
	struct buf lesson = BUF_INIT;
	struct str_list findings;
	struct str message;
	char hash[IDENTITY_SIZE] = "", octets[65];

	if (record_decode(&tokens_request_record, request->payload, inspector->arena, &asked, err) != 0)
		return -1;
	if (request->fd_count != 1 ||
		memfd_map(request->fds[0], LIMIT_MESSAGE_BYTES, &message, err) != 0)
		return err_set(err, "a message is to be learned, but did not come");
	struct arena *arena = arena_new(LIMIT_TRANSACTION_MEMORY);
	struct mail *mail = mail_parse(arena, message);
	if (asked.attached != 0)
		mail = find_attached(mail, asked.attached, &r);
	if (mail != NULL && conf != NULL) {
		gather_findings(child, &asked, mail, &findings);
		if (bayes_lesson(conf, mail, &findings, &lesson) == 0)
			r.tokens = buf_str(&lesson);
	}
	r.sender = mail != NULL ? sender_domain(mail) : STR("");
	if (mail != NULL)
		identity_of(mail, child->self->config->hostname, hash);
	hash_sha256_hex(mail != NULL ? mail->raw : STR(""), octets);
	r.hash = str_c(hash);
	r.octets = str_c(octets);
	int result = reply(child, request, EVALUATE_TOKENS, &tokens_reply_record, &r, err);
	arena_free(&arena);
	buf_free(&lesson);
	memfd_unmap(message);
	return result;
}

/* EVALUATE_DRAFT: what the front signs, which has the keys and reads no message. */

static int answer_draft(struct loader_child *child, const struct ipc_packet *request,
	struct err *err)
{
	struct arena *arena = arena_new(LIMIT_TRANSACTION_MEMORY);
	struct draft_reply r;

	(void)fault_point("inspector.before-draft");
	int result = draft_answer(request, arena, &r, err);
	if (result == 0)
		result = reply(child, request, EVALUATE_DRAFT, &draft_reply_record, &r, err);
	arena_free(&arena);
	return result;
}

/* Requests: a row each. */
static const struct {
	uint16_t type;
	int (*answer)(struct loader_child *child, const struct ipc_packet *request,
		struct err *err);
} requests[] = {
	{ EVALUATE, answer_evaluate },
	{ EVALUATE_TOKENS, answer_tokens },
	{ EVALUATE_DRAFT, answer_draft },
};

static int work(struct loader_child *child, struct ipc_packet *request, struct err *err)
{
	struct inspector *inspector = child->self->context;
	const size_t count = sizeof(requests) / sizeof(*requests);
	size_t i = 0;

	while (i < count && requests[i].type != request->type)
		i++;
	int result = i < count ? requests[i].answer(child, request, err) :
				 err_set(err, "there is no request of type %u", request->type);
	ipc_close_fds(request);
	arena_reset(inspector->arena);
	return result;
}

/* The loader */

static int show_errors(struct role_self *self, struct err *err)
{
	const struct option_strings *errors = conf_errors(self->conf);

	for (size_t i = 0; i < errors->n; i++)
		log_event(LOG_LEVEL_ERROR, "config-error", "%s", errors->v[i]);
	return errors->n > 0 ? err_set(err, "%s", errors->v[0]) : 0;
}

/* What libraries open or fetch when they are first used, they do now. */
static int warm_up(struct err *err)
{
	uint8_t digest[32];

	tzset();
	hash_sha256(STR(""), digest);
	return mail_charset_preload(err);
}

/* The model must be there to be mapped, also when nothing has been learned yet: the trainer writes
 * into the same file later. */
static int make_model(struct role_self *self, struct err *err)
{
	const char *folder = config_path(self->config, self->arena, "bayes");

	if (mkdir(folder, 0750) != 0 && errno != EEXIST)
		return err_sys(err, "%s cannot be made", folder);
	return model_ensure(config_path(self->config, self->arena, "bayes/model"), err);
}

static int load(struct role_self *self, struct ctl_ready *ready_r, struct err *err)
{
	struct inspector *inspector = ARENA_NEW(self->arena, struct inspector);
	struct env env = {
		.state_dir = self->config->state_dir,
		.hostname = self->config->hostname,
		.arena = self->arena,
		.conf = self->conf,
	};

	self->context = inspector;
	inspector->arena = arena_new(LIMIT_FACTS_BYTES);
	if (make_model(self, err) != 0)
		return -1;
	inspector->engine = engine_start(self->conf, &env, err);
	if (inspector->engine == NULL || show_errors(self, err) != 0)
		return -1;
	if (warm_up(err) != 0) {
		/* Text in that charset is read as well as it can be without. */
		log_event(LOG_LEVEL_WARNING, "charset-missing", "%s", err->text);
	}
	ready_r->stages = engine_stages(inspector->engine, TRAFFIC_INBOUND);
	ready_r->stages_outbound = engine_stages(inspector->engine, TRAFFIC_OUTBOUND);
	ready_r->ahead = engine_ahead(inspector->engine, TRAFFIC_INBOUND);
	ready_r->ahead_outbound = engine_ahead(inspector->engine, TRAFFIC_OUTBOUND);
	ready_r->versions = str_c(engine_versions(inspector->engine));
	return 0;
}

static const char *const *names(size_t *count_r)
{
	static const char *list[64];
	size_t n = filter_count < 64 ? filter_count : 64;

	for (size_t i = 0; i < n; i++)
		list[i] = filters[i]->name;
	*count_r = n;
	return list;
}

/* Does every charset that the loader opened convert in here? */
static int probe(struct role_self *self, const char *deed)
{
	int missing = 0;

	if (strcmp(deed, "charsets") != 0)
		return -1;
	for (const char *const *name = mail_charset_names(); *name != NULL; name++) {
		struct mail *mail = mail_parse(self->arena, STR("\r\n"));
		mail_charset_to_utf8(mail, STR("caf\xe9 \x82\xa0"), str_c(*name));
		if (mail_has(mail, MAIL_CHARSET_UNKNOWN)) {
			printf("%s: cannot be converted\n", *name);
			missing++;
		}
	}
	return missing == 0 ? 0 : 1;
}

static const struct loader_def inspector_def = {
	.role = ROLE_INSPECTOR,
	/* A reply that is too large for a packet: what it holds is partly a sender's to choose. */
	.allow = SANDBOX_MEMFD,
	.load = load,
	.work = work,
	.names = names,
	.probe = probe,
	.memory_bytes = CHILD_MEMORY,
};

int main(int argc, char **argv)
{
	return loader_main(&inspector_def, argc, argv);
}
