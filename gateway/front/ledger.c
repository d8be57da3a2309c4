#include "gateway/front/ledger.h"

#include <assert.h>
#include <sys/resource.h>

/* For channels, log, loop, listening sockets, and descriptors in flight between processes. */
enum { OTHERS = 96 };

void ledger_init(struct ledger *ledger, uint64_t octets_max)
{
	struct rlimit limit = { 1024, 1024 };

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &limit);
		(void)getrlimit(RLIMIT_NOFILE, &limit);
	}
	if (limit.rlim_cur == RLIM_INFINITY || limit.rlim_cur > 1u << 20)
		limit.rlim_cur = 1u << 20;
	ledger->octets = 0;
	ledger->octets_max = octets_max;
	ledger->descriptors = 0;
	ledger->descriptors_max = limit.rlim_cur > 2 * OTHERS ? limit.rlim_cur - OTHERS : OTHERS;
}

bool ledger_take(struct ledger *ledger, uint64_t octets)
{
	if (octets > ledger->octets_max - ledger->octets)
		return false;
	ledger->octets += octets;
	return true;
}

void ledger_give(struct ledger *ledger, uint64_t octets)
{
	assert(octets <= ledger->octets);
	ledger->octets -= octets;
}

bool ledger_take_descriptors(struct ledger *ledger, unsigned n)
{
	if (n > ledger->descriptors_max - ledger->descriptors)
		return false;
	ledger->descriptors += n;
	return true;
}

void ledger_give_descriptors(struct ledger *ledger, unsigned n)
{
	assert(n <= ledger->descriptors);
	ledger->descriptors -= n;
}
