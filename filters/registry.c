#include "filters/evaluate.h"

#define FILTER(name) extern const struct filter filter_##name;
#include "filters/filters.def"
#undef FILTER

#define FILTER(name) &filter_##name,
const struct filter *const filters[] = {
#include "filters/filters.def"
	NULL
};
#undef FILTER

const size_t filter_count = sizeof(filters) / sizeof(filters[0]) - 1;

const struct filter *filter_find(const char *name)
{
	for (size_t i = 0; i < filter_count; i++)
		if (strcmp(filters[i]->name, name) == 0)
			return filters[i];
	return NULL;
}

void filter_common_options(const struct filter *filter, struct option rows_r[FILTER_COMMON_ROWS])
{
	static const char *const on_error[] = { "ignore", "tempfail", "quarantine", NULL };

	rows_r[0] = (struct option){
		.name = "enabled", .type = OPTION_BOOL,
		.offset = offsetof(struct filter_common, enabled),
		.def = filter->disabled_by_default ? "false" : "true",
		.help = "Whether the filter runs at all.",
	};
	rows_r[1] = (struct option){
		.name = "timeout", .type = OPTION_TIME,
		.offset = offsetof(struct filter_common, timeout),
		.def = filter->default_timeout ? filter->default_timeout : "20s",
		.min = 1, .max = 10 * 60 * 1000,
		.help = "How long the filter may wait for answers from outside.",
	};
	rows_r[2] = (struct option){
		.name = "on_error", .type = OPTION_ENUM,
		.offset = offsetof(struct filter_common, on_error),
		.def = filter->default_on_error ? filter->default_on_error : "ignore",
		.choices = on_error,
		.help = "What becomes of a message that the filter cannot judge: ignore (go on "
			"without it), tempfail (the sender tries again) or quarantine.",
	};
	rows_r[3] = (struct option)OPTION_ROWS_END;
}
