/* Whole sessions: any octets, cut anywhere, against a front whose surroundings are played. After
 * each, nothing of it may be left. */
#include "tests/fuzz/fuzz.h"

#include <assert.h>

#include "tests/unit/front/world.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct world *world;
	struct play play = { .stages = 15 };

	if (!world)
		world = world_new(&play);
	world_feed(world, str_from((const char *)data, size));
	assert(world_front(world)->ledger.octets == 0);
	assert(world_front(world)->session_count == 0);
	assert(world_pending(world) == 0);
	return 0;
}
