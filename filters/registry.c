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
