#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "gateway/keeper/peer.h"

/* A front that was taken over must not read, release or delete what is held. */
static void each_role_may_ask_for_its_own(void **state)
{
	static const struct {
		uint16_t type;
		enum role role;
	} rows[] = {
		{ KEEP_STORE, ROLE_FRONT },    { KEEP_COMMIT, ROLE_FRONT }, { KEEP_DROP, ROLE_FRONT },
		{ KEEP_RECORD, ROLE_FRONT },   { KEEP_PULL, ROLE_FRONT },   { KEEP_JOB_DONE, ROLE_FRONT },
		{ KEEP_RELEASE, ROLE_WEB },    { KEEP_DELETE, ROLE_WEB },   { KEEP_READ, ROLE_WEB },
		{ KEEP_LABEL, ROLE_WEB },
	};
	static const enum role roles[] = { ROLE_FRONT, ROLE_WEB, ROLE_TRAINER, ROLE_INSPECTOR };
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		for (size_t k = 0; k < sizeof(roles) / sizeof(roles[0]); k++) {
			struct peer peer = { .role = roles[k] };
			assert_int_equal(peer_may(&peer, rows[i].type), roles[k] == rows[i].role);
		}
	struct peer front = { .role = ROLE_FRONT };
	assert_false(peer_may(&front, EVALUATE));
}

static void jobs_are_whose_they_were_handed_to(void **state)
{
	struct peer *all = NULL, *one = peer_new(&all), *two = peer_new(&all);
	for (int64_t job = 1; job <= 40; job++)
		peer_add_job(job % 2 ? one : two, job);
	assert_true(peer_has_job(one, 39) && !peer_has_job(two, 39));
	peer_remove_job(one, 39);
	assert_false(peer_has_job(one, 39));
	assert_true(peer_has_job(one, 37) && peer_has_job(two, 40));
	peer_free(&all, two);
	peer_free(&all, one);
	assert_null(all);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_role_may_ask_for_its_own),
		cmocka_unit_test(jobs_are_whose_they_were_handed_to),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
