/* SIGTERM and SIGINT, each case in a process of its own: a signal can be had only once. */
#include "signals.h"

#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "scratch.h"
#include "walship/base/cancel.h"
#include "walship/base/workers.h"

#define PATIENCE_MS 8000

/* A child says what it finds wrong, and its status tells the parent. */
#define CHECK(condition)                              \
	do                                                \
	{                                                 \
		if (!(condition))                             \
		{                                             \
			fprintf(stderr, "not: %s\n", #condition); \
			_exit(1);                                 \
		}                                             \
	} while (0)

static bool
is_kind(Error *error, ErrorKind kind)
{
	bool is = error_is(error, kind);

	error_free(error);
	return is;
}

/* The parent sends the signal once the child has said that it is ready. */
typedef void (*ChildBody)(int ready_fd);

static void
say_ready(int ready_fd)
{
	CHECK(write(ready_fd, "r", 1) == 1);
}

static int
run_child(ChildBody body, int signal_number)
{
	int fds[2];
	int status = 0;
	char byte;

	assert_int_equal(pipe(fds), 0);

	pid_t child = fork();

	assert_true(child >= 0);
	if (child == 0)
	{
		(void) alarm(PATIENCE_MS / 1000);
		(void) close(fds[0]);
		body(fds[1]);
		_exit(0);
	}
	(void) close(fds[1]);
	if (read(fds[0], &byte, 1) == 1 && signal_number != 0)
		(void) kill(child, signal_number);
	(void) close(fds[0]);
	assert_int_equal(waitpid(child, &status, 0), child);
	return status;
}

static void
init(void)
{
	/* As the archiver starts its command. */
	(void) signal(SIGINT, SIG_IGN);
	CHECK(signals_init() == NULL);
	(void) alarm(PATIENCE_MS / 1000);
}

static void
sleeps(int ready_fd)
{
	init();
	CHECK(!cancel_requested() && cancel_check() == NULL);
	say_ready(ready_fd);
	CHECK(is_kind(cancel_sleep_ms(INT64_MAX), ERR_CANCELLED));
	CHECK(cancel_requested());
	CHECK(is_kind(cancel_check(), ERR_CANCELLED));
	CHECK(is_kind(cancel_sleep_ms(60000), ERR_CANCELLED));
}

static void
polls_the_descriptor(int ready_fd)
{
	struct pollfd fd;

	init();
	fd = (struct pollfd){.fd = cancel_fd(), .events = POLLIN};
	CHECK(fd.fd >= 0 && poll(&fd, 1, 0) == 0);
	say_ready(ready_fd);
	CHECK(poll(&fd, 1, PATIENCE_MS) == 1);
	CHECK(poll(&fd, 1, 0) == 1); /* it stays readable */
	CHECK(cancel_requested());
}

static void
waits_for_a_descriptor(int ready_fd)
{
	int fds[2];

	init();
	CHECK(pipe(fds) == 0);
	say_ready(ready_fd);
	CHECK(is_kind(cancel_poll(fds[0], POLLIN, -1), ERR_CANCELLED));

	/* Cancelled wins over ready: what is under way must come to an end. */
	CHECK(write(fds[1], "x", 1) == 1);
	CHECK(is_kind(cancel_poll(fds[0], POLLIN, 1000), ERR_CANCELLED));
}

static void
waits_for_a_condition(int ready_fd)
{
	pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
	pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
	pthread_cond_t other = PTHREAD_COND_INITIALIZER;
	CancelWaiter unused = {.mutex = &mutex, .condition = &other};
	CancelWaiter waiter = {.mutex = &mutex, .condition = &condition};

	init();
	cancel_wakes(&unused);
	cancel_wakes(&waiter);
	cancel_forgets(&unused);
	say_ready(ready_fd);
	(void) pthread_mutex_lock(&mutex);
	while (!cancel_requested())
		(void) pthread_cond_wait(&condition, &mutex);
	(void) pthread_mutex_unlock(&mutex);
	cancel_forgets(&waiter);
	cancel_forgets(&waiter);
}

static Error *
long_job(void *argument)
{
	Workers *const *workers = argument;

	while (!workers_failed(*workers))
		TRY(cancel_sleep_ms(60000));
	return cancel_check();
}

static void
waits_for_workers(int ready_fd)
{
	Workers *workers;

	init();
	workers = workers_new(4);
	for (int i = 0; i < 8; i++)
		workers_submit(workers, long_job, (void *) &workers, NULL);
	say_ready(ready_fd);
	CHECK(is_kind(workers_wait(workers), ERR_CANCELLED));
	workers_free(workers);
}

static void
is_not_initialised(int ready_fd)
{
	CHECK(cancel_fd() == -1 && !cancel_requested());
	CHECK(cancel_sleep_ms(1) == NULL);
	say_ready(ready_fd);
	for (;;)
		(void) pause();
}

static void
a_signal_ends_every_kind_of_waiting(void **state)
{
	static const struct
	{
		const char *name;
		ChildBody body;
	} rows[] = {
		{"sleep", sleeps},
		{"the descriptor", polls_the_descriptor},
		{"poll", waits_for_a_descriptor},
		{"condition", waits_for_a_condition},
		{"workers", waits_for_workers},
	};

	(void) state;
	for (size_t i = 0; i < lengthof(rows); i++)
	{
		print_message("  %s\n", rows[i].name);
		assert_int_equal(run_child(rows[i].body, SIGTERM), 0);
		assert_int_equal(run_child(rows[i].body, SIGINT), 0);
	}
}

static void
before_the_beginning_signals_kill(void **state)
{
	int status = run_child(is_not_initialised, SIGTERM);

	(void) state;
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGTERM);
}

static void
dies(int ready_fd)
{
	init();
	signals_die(); /* of what?  Nothing has come */
	say_ready(ready_fd);
	CHECK(is_kind(cancel_sleep_ms(60000), ERR_CANCELLED));
	signals_die();
}

static void
whoever_sent_it_sees_that_the_process_died_of_it(void **state)
{
	static const int signals[] = {SIGTERM, SIGINT};

	(void) state;
	for (size_t i = 0; i < lengthof(signals); i++)
	{
		int status = run_child(dies, signals[i]);

		assert_true(WIFSIGNALED(status));
		assert_int_equal(WTERMSIG(status), signals[i]);
	}
}

static void
is_told_by_whom(int ready_fd)
{
	init();
	say_ready(ready_fd);
	error_free(cancel_sleep_ms(60000));

	AUTO(Error) error = cancel_check();

	CHECK(strcmp(error_message(error), "cancelled by SIGTERM") == 0);
	cancel_request("another");
	error_free(MOVE(error));
	error = cancel_check();
	CHECK(strcmp(error_message(error), "cancelled by SIGTERM") == 0);
}

static void
the_error_names_the_signal(void **state)
{
	(void) state;
	assert_int_equal(run_child(is_told_by_whom, SIGTERM), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_signal_ends_every_kind_of_waiting),
		cmocka_unit_test(before_the_beginning_signals_kill),
		cmocka_unit_test(whoever_sent_it_sees_that_the_process_died_of_it),
		cmocka_unit_test(the_error_names_the_signal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
