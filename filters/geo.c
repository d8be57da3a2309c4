/*
 * geo: the client's country and network (autonomous system), by libmaxminddb.
 *
 * Without a database the filter is quiet. A client that no database knows, or whose record lacks what
 * it should have, is in an unknown place: never blocked, never scored.
 */
#include <maxminddb.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "core/conf.h"
#include "core/filter.h"
#include "core/ipc.h"

#define MAX_DATABASE_BYTES ((size_t)1 << 30)

/* A country's code, or a network's number as text, and its score. */
struct place {
	struct str name;
	double score;
};
struct places {
	struct place *v;
	size_t n;
};
struct geo_conf {
	const char *country_database, *asn_database;
	struct option_strings block_countries, allow_countries, block_asns;
	struct option_strings country_scores, asn_scores;
	int action;
	/* made at the start */
	MMDB_s *country_db, *asn_db;
	struct places blocked_countries, allowed_countries, blocked_asns;
	struct places scored_countries, scored_asns;
	const char *versions;
};

static const char *const block_actions[] = { "reject", "quarantine", NULL };

static const struct option options[] = {
	{ .name = "country_database", .type = OPTION_STRING,
		.offset = offsetof(struct geo_conf, country_database), .def = "\"\"",
		.help = "File with countries, as GeoLite2-Country.mmdb or a City database." },
	{ .name = "asn_database", .type = OPTION_STRING,
		.offset = offsetof(struct geo_conf, asn_database), .def = "\"\"",
		.help = "File with autonomous systems, as GeoLite2-ASN.mmdb." },
	{ .name = "block_countries", .type = OPTION_LIST,
		.offset = offsetof(struct geo_conf, block_countries),
		.help = "ISO codes of countries from which no mail is taken, as { \"XX\" }." },
	{ .name = "allow_countries", .type = OPTION_LIST,
		.offset = offsetof(struct geo_conf, allow_countries),
		.help = "If set, mail is taken from these countries only, and from unknown places." },
	{ .name = "block_asns", .type = OPTION_LIST, .offset = offsetof(struct geo_conf, block_asns),
		.help = "Networks from which no mail is taken, as { \"AS64500\" }." },
	{ .name = "country_scores", .type = OPTION_LIST,
		.offset = offsetof(struct geo_conf, country_scores),
		.help = "Scores by country, as { \"XX = 2\", \"YY = -0.5\" }." },
	{ .name = "asn_scores", .type = OPTION_LIST, .offset = offsetof(struct geo_conf, asn_scores),
		.help = "Scores by network, as { \"AS64500 = 3\" }." },
	{ .name = "action", .type = OPTION_ENUM, .offset = offsetof(struct geo_conf, action),
		.def = "reject", .choices = block_actions,
		.help = "What is done with mail from blocked places: reject, or quarantine." },
	OPTION_ROWS_END,
};

/* Beside these, GEO_COUNTRY_XX and GEO_ASN_64500 say where the client is. */
static const struct finding_def findings[] = {
	{ "GEO_COUNTRY_BLOCKED", 0, "The client is in a blocked country.", ACTION_FORWARD },
	{ "GEO_ASN_BLOCKED", 0, "The client is in a blocked network.", ACTION_FORWARD },
	{ NULL },
};

/* ------------------------------------------------------------------- start */

/* "XX", "AS64500" or "64500", with "= SCORE" behind it in lists of scores. */
static int parse_place(struct str text, bool is_asn, bool has_score, struct place *place_r,
	struct err *err)
{
	size_t equals = str_chr(text, '=');
	struct str name = str_trim(str_sub(text, 0, equals));
	uint64_t number;

	if (is_asn && str_istarts(name, "AS"))
		name = str_skip(name, 2);
	if (is_asn ? str_to_u64(name, 1, UINT32_MAX, &number) < 0 :
		     name.n != 2 || !char_is_alpha(name.p[0]) || !char_is_alpha(name.p[1]))
		return err_set(err, "\"%.*s\" is no %s", STR_ARG(text), is_asn ?
			"number of a network, as AS64500" : "country's ISO code of two letters");
	place_r->name = name;
	if (has_score != (equals < text.n))
		return err_set(err, "\"%.*s\": %s", STR_ARG(text),
			has_score ? "a score is missing, as in \"XX = 2\"" : "takes no score");
	if (has_score && str_to_double(str_trim(str_skip(text, equals + 1)), -100, 100,
		&place_r->score) < 0)
		return err_set(err, "\"%.*s\": a score lies between -100 and 100", STR_ARG(text));
	return 0;
}

static int parse_places(const struct option_strings *list, bool is_asn, bool has_score,
	struct arena *arena, struct places *places_r, struct err *err)
{
	places_r->v = ARENA_ARRAY(arena, list->n + 1, struct place);
	for (places_r->n = 0; places_r->n < list->n; places_r->n++)
		if (parse_place(str_c(list->v[places_r->n]), is_asn, has_score,
			&places_r->v[places_r->n], err) < 0)
			return -1;
	return 0;
}

/* The whole file as a sealed memfd, or -1. */
static int copy_file(const char *path, struct err *err)
{
	FILE *f = fopen(path, "rbe");
	struct buf b = BUF_INIT;
	size_t n = 0;
	int fd;

	if (!f)
		return err_sys(err, "%s", path);
	do {
		buf_commit(&b, n);
		n = fread(buf_reserve(&b, 1 << 20), 1, 1 << 20, f);
	} while (n && b.n < MAX_DATABASE_BYTES);
	if (ferror(f))
		fd = err_sys(err, "%s", path);
	else if (n)
		fd = err_set(err, "%s: larger than a database can be", path);
	else
		fd = memfd_sealed("geo", buf_str(&b), err);
	fclose(f);
	buf_free(&b);
	return fd;
}

/*
 * libmaxminddb maps the file, and a mapped file that is overwritten in place, against all advice,
 * ends whoever looks at it (SIGBUS). So it is given a copy that nobody can change.
 */
static int open_database(const char *path, struct arena *arena, MMDB_s **db_r, struct err *err)
{
	char copy[40];
	int fd, status;

	if (!path[0])
		return 0;
	fd = copy_file(path, err);
	if (fd < 0)
		return -1;
	snprintf(copy, sizeof(copy), "/proc/self/fd/%d", fd);
	*db_r = ARENA_NEW(arena, MMDB_s);
	status = MMDB_open(copy, MMDB_MODE_MMAP, *db_r);
	close(fd);
	if (status == MMDB_SUCCESS)
		return 0;
	*db_r = NULL;
	return err_set(err, "%s: %s", path, MMDB_strerror(status));
}

static void add_version(struct buf *b, const char *what, const MMDB_s *db)
{
	time_t built;
	struct tm tm;

	if (!db)
		return;
	built = (time_t)db->metadata.build_epoch;
	if (gmtime_r(&built, &tm))
		buf_printf(b, "%s%s:%04d-%02d-%02d", b->n ? "," : "", what, tm.tm_year + 1900,
			tm.tm_mon + 1, tm.tm_mday);
}

static int start(void *data, const struct env *env, struct err *err)
{
	struct geo_conf *conf = data;
	struct arena *arena = env->arena;
	struct buf b = BUF_INIT;

	if (parse_places(&conf->block_countries, false, false, arena, &conf->blocked_countries, err) ||
		parse_places(&conf->allow_countries, false, false, arena, &conf->allowed_countries,
			err) ||
		parse_places(&conf->block_asns, true, false, arena, &conf->blocked_asns, err) ||
		parse_places(&conf->country_scores, false, true, arena, &conf->scored_countries, err) ||
		parse_places(&conf->asn_scores, true, true, arena, &conf->scored_asns, err) ||
		open_database(conf->country_database, arena, &conf->country_db, err) ||
		open_database(conf->asn_database, arena, &conf->asn_db, err))
		return -1;
	if (!conf->country_db && (conf->blocked_countries.n || conf->allowed_countries.n ||
		conf->scored_countries.n))
		return err_set(err, "lists of countries need country_database");
	if (!conf->asn_db && (conf->blocked_asns.n || conf->scored_asns.n))
		return err_set(err, "lists of networks need asn_database");
	add_version(&b, "country", conf->country_db);
	add_version(&b, "asn", conf->asn_db);
	conf->versions = b.n ? arena_cstr(arena, buf_str(&b)) : NULL;
	buf_free(&b);
	return 0;
}

static void stop(void *data)
{
	struct geo_conf *conf = data;

	if (conf->country_db)
		MMDB_close(conf->country_db);
	if (conf->asn_db)
		MMDB_close(conf->asn_db);
	conf->country_db = conf->asn_db = NULL;
}

static const char *version(const void *data)
{
	const struct geo_conf *conf = data;

	return conf->versions;
}

/* --------------------------------------------------------------------- run */

static const struct place *find_place(const struct places *places, struct str name)
{
	for (size_t i = 0; i < places->n; i++)
		if (str_ieq(places->v[i].name, name))
			return &places->v[i];
	return NULL;
}

/* 1: known to the database; 0: not; -1: the database is broken here. */
static int look_up(MMDB_s *db, const struct ip *ip, MMDB_entry_s *entry_r)
{
	struct sockaddr_storage sa;
	MMDB_lookup_result_s found;
	int status = MMDB_SUCCESS;

	/* IPv4 needs no mapping: the library knows where it lies in an IPv6 database. */
	ip_to_sockaddr(ip, 0, &sa);
	found = MMDB_lookup_sockaddr(db, (const struct sockaddr *)&sa, &status);
	if (status == MMDB_IPV6_LOOKUP_IN_IPV4_DATABASE_ERROR)
		return 0;
	if (status != MMDB_SUCCESS)
		return -1;
	*entry_r = found.entry;
	return found.found_entry;
}

static bool get_string(MMDB_entry_s *entry, const char *const *path, struct str *value_r)
{
	MMDB_entry_data_s data;

	if (MMDB_aget_value(entry, &data, path) != MMDB_SUCCESS || !data.has_data ||
		data.type != MMDB_DATA_TYPE_UTF8_STRING)
		return false;
	*value_r = str_from(data.utf8_string, data.data_size);
	return true;
}

static int judge_country(struct filter_call *call, const struct geo_conf *conf, const struct ip *ip)
{
	static const char *const paths[][3] = {
		{ "country", "iso_code", NULL }, { "registered_country", "iso_code", NULL },
	};
	const struct place *scored;
	MMDB_entry_s entry;
	struct str code;
	int known = look_up(conf->country_db, ip, &entry);

	if (known <= 0)
		return known;
	if ((!get_string(&entry, paths[0], &code) && !get_string(&entry, paths[1], &code)) ||
		code.n != 2)
		return 0;
	code = arena_dup(call->arena, code);
	if (find_place(&conf->blocked_countries, code) ||
		(conf->allowed_countries.n && !find_place(&conf->allowed_countries, code)))
		report_named(call, STR("GEO_COUNTRY_BLOCKED"), 0,
			conf->action ? ACTION_QUARANTINE : ACTION_REJECT,
			"Mail from the country %.*s is not accepted here.", STR_ARG(code));
	scored = find_place(&conf->scored_countries, code);
	report_named(call, arena_printf(call->arena, "GEO_COUNTRY_%.*s", STR_ARG(code)),
		scored ? scored->score : 0, ACTION_FORWARD, "The client is in the country %.*s.",
		STR_ARG(code));
	return 0;
}

static int judge_asn(struct filter_call *call, const struct geo_conf *conf, const struct ip *ip)
{
	static const char *const number_path[] = { "autonomous_system_number", NULL };
	static const char *const name_path[] = { "autonomous_system_organization", NULL };
	const struct place *scored;
	MMDB_entry_data_s data;
	MMDB_entry_s entry;
	struct str number, name = STR("unnamed");
	int known = look_up(conf->asn_db, ip, &entry);

	if (known <= 0)
		return known;
	if (MMDB_aget_value(&entry, &data, number_path) != MMDB_SUCCESS || !data.has_data ||
		data.type != MMDB_DATA_TYPE_UINT32)
		return 0;
	number = arena_printf(call->arena, "%u", data.uint32);
	get_string(&entry, name_path, &name);
	if (find_place(&conf->blocked_asns, number))
		report_named(call, STR("GEO_ASN_BLOCKED"), 0,
			conf->action ? ACTION_QUARANTINE : ACTION_REJECT,
			"Mail from the network AS%.*s is not accepted here.", STR_ARG(number));
	scored = find_place(&conf->scored_asns, number);
	report_named(call, arena_printf(call->arena, "GEO_ASN_%.*s", STR_ARG(number)),
		scored ? scored->score : 0, ACTION_FORWARD,
		"The client is in the network AS%.*s (%.*s).", STR_ARG(number), STR_ARG(name));
	return 0;
}

static enum step run(struct filter_call *call)
{
	const struct geo_conf *conf = call->conf;
	struct ip ip;

	if (ip_parse(call->facts->client_ip, &ip) < 0)
		return STEP_DONE;
	if (conf->country_db && judge_country(call, conf, &ip) < 0)
		return filter_fail(call, "the country database is broken");
	if (conf->asn_db && judge_asn(call, conf, &ip) < 0)
		return filter_fail(call, "the database of networks is broken");
	return STEP_DONE;
}

const struct filter filter_geo = {
	.name = "geo",
	.summary = "where in the world, and in which network, is the client",
	.stages = STAGE_CONNECT,
	.findings = findings,
	.named_prefix = "GEO_",
	.options = options,
	.conf_size = sizeof(struct geo_conf),
	.start = start,
	.stop = stop,
	.version = version,
	.run = run,
};
