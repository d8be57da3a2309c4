#include <unistd.h>

#include "core/ipc.h"
#include "gateway/log.h"
#include "gateway/supervisor/supervisor.h"

static void log_lines(enum log_level level, const char *event, const struct option_strings *lines)
{
	for (size_t i = 0; i < lines->n; i++)
		log_event(level, event, "%s", lines->v[i]);
}

static int load(struct settings *settings, const char *file, struct err *err)
{
	if (config_load(file, settings->arena, &settings->text, err) != 0)
		return -1;
	settings->file = arena_cstr(settings->arena, str_c(file));
	settings->config = config_read(settings->text, file, settings->arena, &settings->conf);
	const struct option_strings *errors = conf_errors(settings->conf);
	log_lines(LOG_LEVEL_WARNING, "config-warning", conf_warnings(settings->conf));
	if (errors->n > 0) {
		log_lines(LOG_LEVEL_ERROR, "config-error", errors);
		return err_set(err, "%s", errors->v[0]);
	}
	settings->admin_title =
		arena_printf(settings->arena, "admin %s", settings->config->admin.listen).p;
	settings->fd = memfd_sealed("gatepost-config", settings->text, err);
	return settings->fd < 0 ? -1 : 0;
}

struct settings *settings_load(const char *file, struct err *err)
{
	struct arena *arena = arena_new(SIZE_MAX);
	struct settings *settings = ARENA_NEW(arena, struct settings);

	*settings = (struct settings){ .references = 1, .arena = arena, .fd = -1 };
	if (load(settings, file, err) != 0) {
		settings_unref(&settings);
		return NULL;
	}
	return settings;
}

struct settings *settings_ref(struct settings *settings)
{
	settings->references++;
	return settings;
}

void settings_unref(struct settings **pointer)
{
	struct settings *settings = *pointer;

	*pointer = NULL;
	if (settings == NULL || --settings->references > 0)
		return;
	if (settings->fd >= 0)
		close(settings->fd);
	struct arena *arena = settings->arena;
	arena_free(&arena);
}
