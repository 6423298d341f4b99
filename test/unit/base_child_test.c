/* Children: what they are given, what they leave, and how they end. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include "scratch.h"
#include "walship/base/child.h"
#include "walship/base/clock.h"

static Error *
run_shell(const char *script, const char *const *environment, Buf *output, int *ret_status)
{
	const char *argv[] = {"/bin/sh", "-c", script, NULL};

	return child_run(&(ChildOptions){.argv = argv, .environment = environment}, 10000, output, ret_status);
}

static void
test_output_and_status_are_the_childs(void **state)
{
	static const struct
	{
		const char *name;
		const char *script;
		const char *output;
		int status;
	} rows[] = {
		{"standard output", "echo out", "out\n", 0},
		{"standard error goes the same way", "echo bad >&2; exit 3", "bad\n", 3},
		{"killed by a signal", "kill -9 $$", "", 137},
		{"standard input is empty", "cat", "", 0},
		{"no environment but what was given", "echo $HOME-$GIVEN", "-yes\n", 0},
		{"no signal is blocked or ignored", "kill -PIPE $$", "", 128 + SIGPIPE},
	};
	static const char *const environment[] = {"GIVEN=yes", NULL};

	for (size_t i = 0; i < lengthof(rows); i++)
	{
		AUTO_BUF(output, 1024);
		int status = -1;

		buf_puts(&output, "");
		assert_ok(run_shell(rows[i].script, environment, &output, &status));
		assert_string_equal(output.data, rows[i].output);
		assert_int_equal(status, rows[i].status);
	}
	(void) state;
}

static void
test_input_is_what_it_is_given(void **state)
{
	static const char *const argv[] = {"/bin/cat", NULL};
	AUTO_BUF(output, 1024);
	AUTO_CLOSE int reader = -1;
	int ends[2];
	int status = -1;

	(void) state;
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	reader = ends[0];
	assert_int_equal(write(ends[1], "given", 5), 5);
	assert_int_equal(close(ends[1]), 0);
	assert_ok(child_run(&(ChildOptions){.argv = argv, .input = reader}, 10000, &output, &status));
	assert_string_equal(output.data, "given");
	assert_int_equal(status, 0);
}

static void
test_a_program_that_is_not_there_is_an_error_of_the_start(void **state)
{
	static const char *const argv[] = {"/nonexistent/program", NULL};
	pid_t pid = 0;
	AUTO(Error) error = child_start(&(ChildOptions){.argv = argv}, &pid);

	assert_non_null(error);
	assert_non_null(strstr(error_message(error), "/nonexistent/program"));
	assert_non_null(strstr(error_message(error), "No such file"));
	assert_int_equal(pid, 0);
	(void) state;
}

static void
test_one_that_takes_too_long_is_ended(void **state)
{
	AUTO_BUF(output, 1024);
	static const char *const argv[] = {"/bin/sleep", "60", NULL};
	int status = 0;
	int64_t begin = clock_monotonic_ms();
	AUTO(Error) error = child_run(&(ChildOptions){.argv = argv}, 200, &output, &status);

	assert_true(error_is(error, ERR_TRANSIENT));
	assert_true(clock_monotonic_ms() - begin < 10000);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	(void) state;
}

/* Its lock is held as long as the child lives, and no longer. */
static void
test_a_kept_descriptor_keeps_its_lock(void **state)
{
	char *scratch = scratch_make();
	static const char *const argv[] = {"/bin/sleep", "60", NULL};
	int held = open(scratch, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int other;
	int status = 0;
	pid_t pid = 0;

	assert_int_equal(flock(held, LOCK_EX | LOCK_NB), 0);
	assert_ok(child_start(&(ChildOptions){.argv = argv, .kept = held}, &pid));
	(void) close(held);
	other = open(scratch, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(flock(other, LOCK_EX | LOCK_NB), -1);
	assert_int_equal(errno, EWOULDBLOCK);
	assert_false(child_has_ended(pid, &status));
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_ok(child_wait(pid, 10000, &status));
	assert_int_equal(status, 137);
	assert_int_equal(flock(other, LOCK_EX | LOCK_NB), 0);
	(void) close(other);
	scratch_remove(scratch);
	(void) state;
}

/* However the parent ends: the pipe that only the grandchild still holds closes. */
static void
test_a_child_with_a_death_signal_ends_with_its_parent(void **state)
{
	static const char *const argv[] = {"/bin/sleep", "60", NULL};
	int ends[2];
	char byte;
	pid_t parent;

	assert_int_equal(pipe(ends), 0);
	parent = fork();
	if (parent == 0)
	{
		pid_t pid;
		Error *error =
			child_start(&(ChildOptions){.argv = argv, .kept = ends[1], .death_signal = SIGQUIT}, &pid);

		if (error != NULL)
			_exit(1);
		(void) raise(SIGKILL);
	}
	(void) close(ends[1]);
	assert_int_equal(read(ends[0], &byte, 1), 0);
	assert_int_equal(waitpid(parent, NULL, 0), parent);
	(void) close(ends[0]);
	(void) state;
}

static void
test_without_network_there_is_only_a_loopback(void **state)
{
	AUTO(Error) forbidden = child_check_no_network();
	AUTO_BUF(output, 4096);
	static const char *const argv[] = {"/bin/sh", "-c", "tail -n +3 /proc/self/net/dev | cut -d: -f1; id -u",
	                                   NULL};
	AUTO_FREE char *expected = mem_printf("    lo\n%u\n", geteuid());
	int status;

	if (forbidden != NULL)
	{
		print_message("NO NETWORK NAMESPACE here, so it is NOT TESTED: %s\n", error_message(forbidden));
		skip();
	}
	assert_ok(child_run(&(ChildOptions){.argv = argv, .no_network = true}, 10000, &output, &status));
	assert_string_equal(output.data, expected);
	(void) state;
}

static void
keep_line(void *context, bool is_error, const char *line)
{
	buf_printf(context, "%s%s|", is_error ? "!" : "", line);
}

static void
test_lines_come_one_by_one_and_whole(void **state)
{
	static const struct
	{
		const char *script;
		const char *expected;
		int status;
	} cases[] = {
		{"echo one; echo two", "one|two|", 0},
		{"echo one; sleep 0.1; echo two >&2; sleep 0.1; echo three; exit 3", "one|!two|three|", 3},
		{"printf 'no end'; exit 1", "no end|", 1},
		{"printf 'a\\n\\n\\nb\\n'", "a|||b|", 0},
		{"kill -9 $$", "", 137},
		{"exit 200", "", 200},
	};

	for (size_t i = 0; i < lengthof(cases); i++)
	{
		const char *const argv[] = {"/bin/sh", "-c", cases[i].script, NULL};
		AUTO_BUF(lines, 4096);
		int status = -1;

		buf_puts(&lines, "");
		assert_ok(child_run_lines(&(ChildOptions){.argv = argv}, keep_line, &lines, &status));
		assert_string_equal(lines.data, cases[i].expected);
		assert_int_equal(status, cases[i].status);
	}
	(void) state;
}

static void
count_bytes(void *context, bool is_error, const char *line)
{
	size_t *bytes = context;

	assert_false(is_error);
	assert_true(strlen(line) < 64 * 1024);
	*bytes += strlen(line);
}

static void
test_a_line_that_is_very_long_comes_in_pieces(void **state)
{
	static const char *const argv[] = {"/bin/sh", "-c", "head -c 300000 /dev/zero | tr '\\0' x", NULL};
	size_t bytes = 0;
	int status = -1;

	assert_ok(child_run_lines(&(ChildOptions){.argv = argv}, count_bytes, &bytes, &status));
	assert_int_equal(bytes, 300000);
	assert_int_equal(status, 0);
	(void) state;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_output_and_status_are_the_childs),
		cmocka_unit_test(test_input_is_what_it_is_given),
		cmocka_unit_test(test_a_program_that_is_not_there_is_an_error_of_the_start),
		cmocka_unit_test(test_one_that_takes_too_long_is_ended),
		cmocka_unit_test(test_a_kept_descriptor_keeps_its_lock),
		cmocka_unit_test(test_a_child_with_a_death_signal_ends_with_its_parent),
		cmocka_unit_test(test_without_network_there_is_only_a_loopback),
		cmocka_unit_test(test_lines_come_one_by_one_and_whole),
		cmocka_unit_test(test_a_line_that_is_very_long_comes_in_pieces),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
