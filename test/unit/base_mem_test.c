/* What happens when there is no memory: the program decides, and whoever embeds us is not ended. */
#include "walship/base/mem.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "scratch.h"

/* Of the sanitizer's allocator, too, NULL is wanted. */
const char *__asan_default_options(void);
const char *__tsan_default_options(void);

const char *
__asan_default_options(void)
{
	return "allocator_may_return_null=1";
}

const char *
__tsan_default_options(void)
{
	return "allocator_may_return_null=1";
}

#define TIMES_ASKED 3
#define STATUS      42

/* No allocator has so much. */
static volatile size_t too_much = PTRDIFF_MAX - 4096;

static void
end_at_once(void)
{
	_exit(STATUS);
}

static void
end_at_the_third_time(void)
{
	static int asked;

	if (++asked == TIMES_ASKED)
		_exit(STATUS);
}

static void
allocate(void)
{
	free(mem_alloc(too_much));
}

static void
allocate_zeroed(void)
{
	free(mem_zalloc(too_much));
}

static void
reallocate(void)
{
	free(mem_realloc(mem_alloc(1), too_much));
}

static void
do_without(void)
{
	mem_must(true);
	mem_must(false);
}

static pid_t
start(void (*exhausted)(void), void (*body)(void))
{
	pid_t child = fork();

	assert_true(child >= 0);
	if (child == 0)
	{
		(void) alarm(20);
		mem_on_exhausted(exhausted);
		body();
		_exit(1);
	}
	return child;
}

static const struct
{
	const char *name;
	void (*body)(void);
} rows[] = {
	{"alloc", allocate},
	{"zalloc", allocate_zeroed},
	{"realloc", reallocate},
	{"must", do_without},
};

static void
the_program_says_what_happens(void **state)
{
	static void (*const hooks[])(void) = {end_at_once, end_at_the_third_time};

	(void) state;
	for (size_t i = 0; i < lengthof(rows) * lengthof(hooks); i++)
	{
		int status = 0;
		pid_t child = start(hooks[i % lengthof(hooks)], rows[i / lengthof(hooks)].body);

		print_message("  %s\n", rows[i / lengthof(hooks)].name);
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_true(WIFEXITED(status));
		assert_int_equal(WEXITSTATUS(status), STATUS);
	}
}

static void
where_it_says_nothing_the_thread_waits_and_the_process_lives(void **state)
{
	(void) state;
	for (size_t i = 0; i < lengthof(rows); i++)
	{
		int status = 0;
		pid_t child = start(NULL, rows[i].body);

		assert_int_equal(usleep(300 * 1000), 0);
		assert_int_equal(waitpid(child, &status, WNOHANG), 0);
		assert_int_equal(kill(child, SIGKILL), 0);
		assert_int_equal(waitpid(child, &status, 0), child);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_program_says_what_happens),
		cmocka_unit_test(where_it_says_nothing_the_thread_waits_and_the_process_lives),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
