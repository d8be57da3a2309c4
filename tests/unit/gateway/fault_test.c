#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gateway/fault.h"

/* In a process of its own: what the environment says is read once. Exit status: what the last of
 * the passes gave; -SIGKILL if it was killed. */
static int pass(const char *armed, const char *name, int passes)
{
	int status, error = 0;

	fflush(NULL);
	pid_t pid = fork();
	if (pid == 0) {
		setenv("GATEPOST_FAULT", armed, 1);
		for (int i = 0; i < passes; i++)
			error = fault_point(name);
		_exit(error);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

static void test_faults(void **state)
{
#ifndef GATEPOST_FAULTS
	assert_int_equal(pass("a=kill", "a", 1), 0);
	skip();
#else
	static const struct {
		const char *armed, *name;
		int passes, expect;
	} rows[] = {
		{ "", "a", 1, 0 },
		{ "a=enospc", "a", 1, ENOSPC },
		{ "a=eio", "a", 3, EIO },
		{ "a=eio", "b", 1, 0 },
		{ "a=eio:2", "a", 1, 0 },
		{ "a=eio:2", "a", 2, EIO },
		{ "a=eio:2", "a", 3, 0 },
		{ "a=kill", "a", 1, -SIGKILL },
		{ "a=kill:2", "a", 1, 0 },
		{ "a=kill:2", "a", 2, -SIGKILL },
		{ "a=eio:2,b=enospc", "b", 1, ENOSPC },
		{ "a=nonsense", "a", 1, 0 },
		{ "a=eio:x", "a", 1, 0 },
		{ "=,,:", "a", 1, 0 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		assert_int_equal(pass(rows[i].armed, rows[i].name, rows[i].passes), rows[i].expect);
#endif
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_faults) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
