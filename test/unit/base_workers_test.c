/* The pool of threads: which error is told, and that nothing is lost or run twice. */
#include "walship/base/workers.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <time.h>

#include "scratch.h"

#define JOBS 2000

/* What the jobs of one test do and leave behind. */
typedef struct Shared
{
	atomic_int begun;
	atomic_int ran;
	atomic_int freed;
	atomic_bool gate; /* closed: jobs that look at it wait */
	Workers *workers;
} Shared;

typedef struct Argument
{
	Shared *shared;
	int number;
	bool waits;      /* for the gate, or for a failure of another job */
	bool until_fail; /* leaves once another job has failed */
	bool fails;
	ErrorKind kind;
} Argument;

static void
nap(void)
{
	(void) nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

static Error *
job(void *pointer)
{
	const Argument *argument = pointer;
	Shared *shared = argument->shared;

	atomic_fetch_add(&shared->begun, 1);
	while (argument->waits && !atomic_load(&shared->gate))
		nap();
	while (argument->until_fail && !workers_failed(shared->workers))
		nap();
	atomic_fetch_add(&shared->ran, 1);
	return argument->fails ? error_new(argument->kind, "job %d", argument->number) : NULL;
}

static void
free_argument(void *pointer)
{
	Argument *argument = pointer;

	atomic_fetch_add(&argument->shared->freed, 1);
	free(argument);
}

static void
submit(Shared *shared, Argument argument)
{
	Argument *copy = NEW(Argument);

	*copy = argument;
	copy->shared = shared;
	workers_submit(shared->workers, job, copy, free_argument);
}

/* A job that has not begun when another one fails would be skipped. */
static void
await_begun(Shared *shared, int jobs)
{
	while (atomic_load(&shared->begun) < jobs)
		nap();
	atomic_store(&shared->begun, 0);
}

static void
every_job_runs_once_and_its_argument_is_freed_once(void **state)
{
	(void) state;
	for (int threads = 1; threads <= 64; threads *= 4)
	{
		Shared shared = {.workers = workers_new(threads)};

		for (int i = 0; i < JOBS; i++)
			submit(&shared, (Argument){.number = i});
		assert_ok(workers_wait(shared.workers));
		assert_int_equal(atomic_load(&shared.ran), JOBS);
		assert_int_equal(atomic_load(&shared.freed), JOBS);
		workers_free(shared.workers);
	}
}

static void
of_several_errors_the_first_submitted_is_told(void **state)
{
	Shared shared = {.workers = workers_new(4)};

	(void) state;
	for (int round = 0; round < 20; round++)
	{
		/* Job 1 fails last: it waits for another one's failure. */
		atomic_store(&shared.gate, false);
		submit(&shared, (Argument){.number = 0, .waits = true});
		submit(&shared, (Argument){.number = 1, .until_fail = true, .fails = true, .kind = ERR_CORRUPT});
		submit(&shared, (Argument){.number = 2, .waits = true, .fails = true, .kind = ERR_DENIED});
		submit(&shared, (Argument){.number = 3, .waits = true, .fails = true, .kind = ERR_SYSTEM});
		await_begun(&shared, 4);
		atomic_store(&shared.gate, true);
		assert_error(workers_wait(shared.workers), ERR_CORRUPT, "job 1");
	}
	workers_free(shared.workers);
}

static void
a_cancelled_job_never_masks_a_real_error(void **state)
{
	static const struct
	{
		const char *name;
		bool first_is_late; /* the first one ends after the second */
		ErrorKind first;
		ErrorKind second;
		ErrorKind expected;
		const char *part;
	} rows[] = {
		{"cancelled after the real one, submitted before", true, ERR_CANCELLED, ERR_CORRUPT, ERR_CORRUPT,
	     "1"},
		{"cancelled before the real one", false, ERR_CANCELLED, ERR_CORRUPT, ERR_CORRUPT, "1"},
		{"real before cancelled", false, ERR_CORRUPT, ERR_CANCELLED, ERR_CORRUPT, "0"},
		{"both cancelled", true, ERR_CANCELLED, ERR_CANCELLED, ERR_CANCELLED, "0"},
	};

	(void) state;
	for (size_t i = 0; i < lengthof(rows); i++)
	{
		Shared shared = {.workers = workers_new(2)};
		bool late = rows[i].first_is_late;

		print_message("  %s\n", rows[i].name);
		submit(
			&shared,
			(Argument){.number = 0, .waits = true, .until_fail = late, .fails = true, .kind = rows[i].first});
		submit(&shared,
		       (Argument){
				   .number = 1, .waits = true, .until_fail = !late, .fails = true, .kind = rows[i].second});
		await_begun(&shared, 2);
		atomic_store(&shared.gate, true);

		Error *error = workers_wait(shared.workers);

		assert_int_equal(atomic_load(&shared.ran), 2);
		assert_error(error, rows[i].expected, rows[i].part);
		workers_free(shared.workers);
	}
}

static void
after_a_failure_the_rest_is_skipped_and_freed_and_the_pool_goes_on(void **state)
{
	Shared shared = {.workers = workers_new(1)};

	(void) state;
	submit(&shared, (Argument){.number = 0, .waits = true, .fails = true, .kind = ERR_DENIED});
	for (int i = 1; i <= JOBS; i++)
		submit(&shared, (Argument){.number = i, .fails = true, .kind = ERR_SYSTEM});
	atomic_store(&shared.gate, true);
	assert_error(workers_wait(shared.workers), ERR_DENIED, "job 0");
	assert_int_equal(atomic_load(&shared.ran), 1);
	assert_int_equal(atomic_load(&shared.freed), JOBS + 1);

	assert_false(workers_failed(shared.workers));
	submit(&shared, (Argument){.number = 7});
	assert_ok(workers_wait(shared.workers));
	assert_int_equal(atomic_load(&shared.ran), 2);
	submit(&shared, (Argument){.number = 8, .fails = true, .kind = ERR_SYSTEM});
	assert_error(workers_wait(shared.workers), ERR_SYSTEM, "job 8");
	workers_free(shared.workers);
}

static void
freeing_skips_what_has_not_begun_and_waits_for_what_runs(void **state)
{
	Shared shared = {.workers = workers_new(2)};

	(void) state;
	submit(&shared, (Argument){.number = 0, .until_fail = true, .fails = true, .kind = ERR_SYSTEM});
	submit(&shared, (Argument){.number = 1, .until_fail = true});
	for (int i = 2; i < JOBS; i++)
		submit(&shared, (Argument){.number = i, .until_fail = true});
	await_begun(&shared, 2);

	/* They run until the pool is ending, which workers_failed() tells them. */
	workers_free(shared.workers);
	assert_int_equal(atomic_load(&shared.ran), 2);
	assert_int_equal(atomic_load(&shared.freed), JOBS);
}

static void
waiting_for_nothing_returns_at_once(void **state)
{
	AUTO(Workers) workers = workers_new(3);

	(void) state;
	assert_ok(workers_wait(workers));
	assert_ok(workers_wait(workers));
	workers_free(NULL);
	assert_in_range(workers_cpu_count(100000), 1, 100000);
	assert_int_equal(workers_cpu_count(1), 1);
}

static Error *
count(void *pointer)
{
	atomic_fetch_add((atomic_int *) pointer, 1);
	return NULL;
}

static void *
submit_many(void *pointer)
{
	Shared *shared = pointer;

	for (int i = 0; i < JOBS; i++)
		workers_submit(shared->workers, count, &shared->ran, NULL);
	return NULL;
}

static void
several_threads_may_submit(void **state)
{
	Shared shared = {.workers = workers_new(8)};
	pthread_t threads[4];

	(void) state;
	for (size_t i = 0; i < lengthof(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, submit_many, &shared), 0);
	for (size_t i = 0; i < lengthof(threads); i++)
		(void) pthread_join(threads[i], NULL);
	assert_ok(workers_wait(shared.workers));
	assert_int_equal(atomic_load(&shared.ran), lengthof(threads) * JOBS);
	workers_free(shared.workers);
}

static atomic_int threads_left = 1000000;

/* In the place of libc's: as where a user may have no more processes. */
int
pthread_create(pthread_t *ret_thread, const pthread_attr_t *attributes, void *(*body)(void *), void *argument)
{
	int (*create)(pthread_t *, const pthread_attr_t *, void *(*) (void *), void *);

	if (atomic_fetch_sub(&threads_left, 1) <= 0)
		return EAGAIN;
	*(void **) &create = dlsym(RTLD_NEXT, "pthread_create");
	return create(ret_thread, attributes, body, argument);
}

static Error *
note_thread(void *pointer)
{
	*(pthread_t *) pointer = pthread_self();
	return NULL;
}

static void
where_no_thread_can_be_made_jobs_run_in_the_submitters(void **state)
{
	AUTO(Workers) workers = workers_new(4);
	Shared shared = {.workers = workers};
	pthread_t ran_in = 0;

	(void) state;
	atomic_store(&threads_left, 0);
	workers_submit(workers, note_thread, &ran_in, NULL);
	assert_true(pthread_equal(ran_in, pthread_self()));
	submit(&shared, (Argument){.number = 1});
	submit(&shared, (Argument){.number = 2, .fails = true, .kind = ERR_CORRUPT});
	submit(&shared, (Argument){.number = 3});
	assert_int_equal(atomic_load(&shared.ran), 2);
	assert_int_equal(atomic_load(&shared.freed), 3);
	assert_error(workers_wait(workers), ERR_CORRUPT, "job 2");

	/* One is better than none, and enough. */
	atomic_store(&threads_left, 1);
	for (int i = 0; i < JOBS; i++)
		submit(&shared, (Argument){.number = i});
	workers_submit(workers, note_thread, &ran_in, NULL);
	assert_ok(workers_wait(workers));
	assert_false(pthread_equal(ran_in, pthread_self()));
	assert_int_equal(atomic_load(&shared.ran), 2 + JOBS);
	atomic_store(&threads_left, 1000000);
}

static Error *
note_signals(void *pointer)
{
	return pthread_sigmask(SIG_SETMASK, NULL, pointer) == 0 ? NULL : error_errno("could not ask");
}

static void
in_a_thread_all_signals_are_blocked_and_in_its_maker_as_before(void **state)
{
	static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGALRM, SIGCHLD, SIGPIPE, SIGQUIT};
	AUTO(Workers) workers = workers_new(1);
	sigset_t before;
	sigset_t inside;
	sigset_t after;

	(void) state;
	assert_int_equal(pthread_sigmask(SIG_SETMASK, NULL, &before), 0);
	(void) sigemptyset(&inside);
	workers_submit(workers, note_signals, &inside, NULL);
	assert_ok(workers_wait(workers));
	assert_int_equal(pthread_sigmask(SIG_SETMASK, NULL, &after), 0);
	for (size_t i = 0; i < lengthof(signals); i++)
	{
		assert_int_equal(sigismember(&inside, signals[i]), 1);
		assert_int_equal(sigismember(&after, signals[i]), sigismember(&before, signals[i]));
	}
}

static void *
measure_stack(void *argument)
{
	pthread_attr_t attributes;

	(void) pthread_getattr_np(pthread_self(), &attributes);
	(void) pthread_attr_getstacksize(&attributes, argument);
	(void) pthread_attr_destroy(&attributes);
	return NULL;
}

/* Of 64 that wait each MiB counts. */
static void
a_thread_takes_little_address_space(void **state)
{
	pthread_t thread;
	size_t size = 0;

	(void) state;
	assert_null(thread_start(measure_stack, &size, &thread));
	(void) pthread_join(thread, NULL);
	assert_in_range(size, 512 * 1024, 2 * 1024 * 1024);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_job_runs_once_and_its_argument_is_freed_once),
		cmocka_unit_test(of_several_errors_the_first_submitted_is_told),
		cmocka_unit_test(a_cancelled_job_never_masks_a_real_error),
		cmocka_unit_test(after_a_failure_the_rest_is_skipped_and_freed_and_the_pool_goes_on),
		cmocka_unit_test(freeing_skips_what_has_not_begun_and_waits_for_what_runs),
		cmocka_unit_test(waiting_for_nothing_returns_at_once),
		cmocka_unit_test(several_threads_may_submit),
		cmocka_unit_test(where_no_thread_can_be_made_jobs_run_in_the_submitters),
		cmocka_unit_test(in_a_thread_all_signals_are_blocked_and_in_its_maker_as_before),
		cmocka_unit_test(a_thread_takes_little_address_space),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
