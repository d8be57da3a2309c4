#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gateway/log.h"

static int saved, pipe_fds[2];

static int redirect(void **state)
{
	saved = dup(STDERR_FILENO);
	if (pipe2(pipe_fds, O_CLOEXEC | O_NONBLOCK) != 0)
		return -1;
	return dup2(pipe_fds[1], STDERR_FILENO) < 0 ? -1 : 0;
}

static int restore(void **state)
{
	dup2(saved, STDERR_FILENO);
	close(saved);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
	return 0;
}

/* One line as JSON; NULL if there is none. */
static json_t *take(void)
{
	char line[8192];
	size_t n = 0;

	while (n < sizeof(line) - 1 && read(pipe_fds[0], line + n, 1) == 1)
		if (line[n++] == '\n')
			break;
	line[n] = '\0';
	return n > 0 ? json_loads(line, JSON_REJECT_DUPLICATES, NULL) : NULL;
}

static const char *text(const json_t *line, const char *key)
{
	return json_string_value(json_object_get(line, key));
}

static void test_line(void **state)
{
	log_start("front", 3);
	struct log_line *line = log_line(LOG_LEVEL_WARNING, "odd-thing");
	log_str(line, "peer", str_from("a\"b\r\n\x1b[31m\xff", 11));
	log_int(line, "count", -5);
	log_bool(line, "yes", true);
	log_double(line, "score", 1.5);
	log_json(line, "list", STR("[1,2]"));
	log_end(line);
	json_t *j = take();
	assert_non_null(j);
	assert_string_equal(text(j, "event"), "odd-thing");
	assert_string_equal(text(j, "level"), "warning");
	assert_string_equal(text(j, "role"), "front");
	assert_int_equal(json_integer_value(json_object_get(j, "index")), 3);
	assert_int_equal(json_integer_value(json_object_get(j, "count")), -5);
	assert_int_equal(json_array_size(json_object_get(j, "list")), 2);
	assert_string_equal(text(j, "peer"), "a\"b\r\n\x1b[31m\xef\xbf\xbd");
	json_decref(j);
}

static void test_level(void **state)
{
	log_event(LOG_LEVEL_DEBUG, "hidden", "%d", 1);
	assert_null(take());
	log_set_level(LOG_LEVEL_DEBUG);
	log_event(LOG_LEVEL_DEBUG, "shown", "%d", 1);
	json_t *j = take();
	assert_string_equal(text(j, "text"), "1");
	json_decref(j);
	log_set_level(LOG_LEVEL_INFO);
}

/* Nobody reads: lines are dropped, nothing blocks, and it is told later. */
static void test_full(void **state)
{
	int dropped = 0;

	for (int i = 0; i < 2000; i++)
		log_event(LOG_LEVEL_INFO, "filler", "%0500d", i);
	json_t *j;
	while ((j = take()) != NULL)
		json_decref(j);
	log_event(LOG_LEVEL_INFO, "after", "x");
	j = take();
	dropped = (int)json_integer_value(json_object_get(j, "lines_dropped"));
	assert_true(dropped > 0 && dropped < 2000);
	json_decref(j);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_line, redirect, restore),
		cmocka_unit_test_setup_teardown(test_level, redirect, restore),
		cmocka_unit_test_setup_teardown(test_full, redirect, restore),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
