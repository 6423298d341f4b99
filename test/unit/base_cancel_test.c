/* Giving up, each case in a process of its own: it is not taken back. */
#include "walship/base/cancel.h"

#include <poll.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "scratch.h"
#include "walship/base/clock.h"
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

static void *
request(void *argument)
{
	(void) nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
	cancel_request("a test");
	return argument;
}

static void
request_soon(void)
{
	pthread_t thread;

	CHECK(pthread_create(&thread, NULL, request, NULL) == 0);
	CHECK(pthread_detach(thread) == 0);
}

static int
run_child(void (*body)(void))
{
	int status = 0;
	pid_t child = fork();

	assert_true(child >= 0);
	if (child == 0)
	{
		(void) alarm(PATIENCE_MS / 1000);
		CHECK(cancel_init() == NULL);
		body();
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	return status;
}

static void
sleeps(void)
{
	CHECK(!cancel_requested() && cancel_check() == NULL);
	request_soon();
	CHECK(is_kind(cancel_sleep_ms(INT64_MAX), ERR_CANCELLED));
	CHECK(cancel_requested());
	CHECK(is_kind(cancel_check(), ERR_CANCELLED));
	CHECK(is_kind(cancel_sleep_ms(60000), ERR_CANCELLED));
}

static void
polls_the_descriptor(void)
{
	struct pollfd fd;

	fd = (struct pollfd){.fd = cancel_fd(), .events = POLLIN};
	CHECK(fd.fd >= 0 && poll(&fd, 1, 0) == 0);
	request_soon();
	CHECK(poll(&fd, 1, PATIENCE_MS) == 1);
	CHECK(poll(&fd, 1, 0) == 1); /* it stays readable */
	CHECK(cancel_requested());
}

static void
waits_for_a_descriptor(void)
{
	int fds[2];

	CHECK(pipe(fds) == 0);
	request_soon();
	CHECK(is_kind(cancel_poll(fds[0], POLLIN, -1), ERR_CANCELLED));

	/* Cancelled wins over ready: what is under way must come to an end. */
	CHECK(write(fds[1], "x", 1) == 1);
	CHECK(is_kind(cancel_poll(fds[0], POLLIN, 1000), ERR_CANCELLED));
}

static void
waits_for_a_condition(void)
{
	pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
	pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
	pthread_cond_t other = PTHREAD_COND_INITIALIZER;
	CancelWaiter unused = {.mutex = &mutex, .condition = &other};
	CancelWaiter waiter = {.mutex = &mutex, .condition = &condition};

	cancel_wakes(&unused);
	cancel_wakes(&waiter);
	cancel_forgets(&unused);
	request_soon();
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
waits_for_workers(void)
{
	Workers *workers;

	workers = workers_new(4);
	for (int i = 0; i < 8; i++)
		workers_submit(workers, long_job, (void *) &workers, NULL);
	request_soon();
	CHECK(is_kind(workers_wait(workers), ERR_CANCELLED));
	workers_free(workers);
}

/* A part of a program that never made the descriptor: conditions are woken, and time passes. */
static void
has_no_descriptor(void)
{
	CHECK(cancel_fd() == -1 && !cancel_requested());
	CHECK(cancel_sleep_ms(1) == NULL);
	waits_for_a_condition();
	CHECK(is_kind(cancel_check(), ERR_CANCELLED));
}

static void
a_request_ends_every_kind_of_waiting(void **state)
{
	static const struct
	{
		const char *name;
		void (*body)(void);
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
		assert_int_equal(run_child(rows[i].body), 0);
	}
}

static void
without_the_descriptor_conditions_are_woken(void **state)
{
	int status = 0;
	pid_t child = fork();

	(void) state;
	assert_true(child >= 0);
	if (child == 0)
	{
		(void) alarm(PATIENCE_MS / 1000);
		has_no_descriptor();
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

static void
says_who_asked_first(void)
{
	cancel_request("the first");
	cancel_request("the second");

	AUTO(Error) error = cancel_check();

	CHECK(strcmp(error_message(error), "cancelled by the first") == 0);
}

static void
the_first_request_counts(void **state)
{
	(void) state;
	assert_int_equal(run_child(says_who_asked_first), 0);
}

static void
without_a_request_time_and_descriptors_decide(void **state)
{
	int fds[2];
	int64_t began = clock_monotonic_ms();

	(void) state;
	assert_int_equal(pipe(fds), 0);
	assert_ok(cancel_check());
	assert_error(cancel_poll(fds[0], POLLIN, 0), ERR_TRANSIENT, "timed out");
	assert_error(cancel_poll(fds[0], POLLIN, 30), ERR_TRANSIENT, "timed out");
	assert_true(clock_monotonic_ms() - began >= 30);
	assert_ok(cancel_poll(fds[1], POLLOUT, INT64_MAX));
	assert_ok(cancel_sleep_ms(0));
	(void) close(fds[1]);
	assert_ok(cancel_poll(fds[0], POLLIN, -1)); /* its end is something to read, too */
	(void) close(fds[0]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_request_ends_every_kind_of_waiting),
		cmocka_unit_test(without_the_descriptor_conditions_are_woken),
		cmocka_unit_test(the_first_request_counts),
		cmocka_unit_test(without_a_request_time_and_descriptors_decide),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
