/* Whole sessions: any octets, cut anywhere, against a front whose surroundings are played, at the MX and
 * at a listener for outgoing mail by account. After each, nothing of it may be left. */
#include "tests/fuzz/fuzz.h"

#include <assert.h>

#include "tests/unit/front/world.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct play plays[] = { { .stages = 15 }, { .accounts = true } };
	static struct world *worlds[2];

	for (size_t i = 0; i < 2; i++) {
		if (!worlds[i])
			worlds[i] = world_new(&plays[i]);
		world_feed(worlds[i], str_from((const char *)data, size));
		assert(world_front(worlds[i])->ledger.octets == 0);
		assert(world_front(worlds[i])->session_count == 0);
		assert(world_pending(worlds[i]) == 0);
	}
	return 0;
}
