/* A DMARC record; its lines are also taken as domains for the walk. */
#include "tests/fuzz/fuzz.h"

#include <assert.h>

#include "core/limits.h"
#include "filters/dmarc/record.h"
#include "filters/dmarc/walk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str rest = str_from((const char *)data, size), line, names[DMARC_WALK_QUERIES];
	struct dmarc_record record;

	while (str_cut(&rest, '\n', &line)) {
		if (dmarc_record_is(line)) {
			dmarc_record_parse(line, &record);
			assert(record.p != DMARC_ABSENT);
			assert(!record.broken || record.p == DMARC_NONE);
			assert(!dmarc_record_applies(&record) == (record.broken && !record.has_report_uri));
		}
		size_t n = dmarc_walk_names(line, names);
		assert(n <= DMARC_WALK_QUERIES);
		for (size_t i = 1; i < n; i++)
			assert(names[i].n < names[i - 1].n &&
				names[i].p + names[i].n == line.p + line.n);
	}
	return 0;
}
