/* The configuration: any text parses into errors or values; what is dumped reads back clean. */
#include "tests/fuzz/fuzz.h"

#include <assert.h>

#include "gateway/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *arena = arena_new(64 << 20);
	struct conf *conf, *again;
	struct buf dump = BUF_INIT;
	struct config *config = config_read(str_from((const char *)data, size), "f.conf", arena, &conf);

	if (conf_errors(conf)->n == 0) {
		config_dump(conf, config, &dump);
		config_read(buf_str(&dump), "dump.conf", arena, &again);
		assert(conf_errors(again)->n == 0);
	}
	buf_free(&dump);
	arena_free(&arena);
	return 0;
}
