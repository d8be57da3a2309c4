#include "gateway/front/poison.h"

#include <stdlib.h>

#include "core/hash.h"

enum { ENTRIES = 256, DIGEST = 32 };

struct poison {
	size_t count, next;
	uint8_t digests[ENTRIES][DIGEST];
};

struct poison *poison_new(void)
{
	struct poison *poison = calloc(1, sizeof(*poison));

	if (!poison)
		abort();
	return poison;
}

void poison_free(struct poison **poison)
{
	free(*poison);
	*poison = NULL;
}

void poison_remember(struct poison *poison, struct str content)
{
	if (poison_knows(poison, content))
		return;
	hash_sha256(content, poison->digests[poison->next]);
	poison->next = (poison->next + 1) % ENTRIES;
	if (poison->count < ENTRIES)
		poison->count++;
}

bool poison_knows(const struct poison *poison, struct str content)
{
	uint8_t digest[DIGEST];

	if (!poison->count)
		return false;
	hash_sha256(content, digest);
	for (size_t i = 0; i < poison->count; i++)
		if (memcmp(poison->digests[i], digest, DIGEST) == 0)
			return true;
	return false;
}
