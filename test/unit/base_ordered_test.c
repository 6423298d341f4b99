/* The ring over a pool: order, depth, which error is told, and that every job is freed once. */
#include "walship/base/ordered.h"

#include <stdatomic.h>
#include <stdint.h>
#include <time.h>

#include "scratch.h"

#define JOBS 3000

/* What the jobs of one test share. */
typedef struct Shared
{
	atomic_int begun;
	atomic_int ran;
	atomic_int freed;
	atomic_int alive;
	atomic_int most_alive;
	atomic_bool gate; /* jobs that look at it wait until it is open */
} Shared;

typedef struct Job
{
	Shared *shared;
	int number;
	bool waits;      /* for the gate */
	int awaits;      /* until so many have begun */
	bool until_stop; /* runs until it is told to stop */
	bool fails;
	int spin; /* rounds of work */
} Job;

static void
nap(void)
{
	(void) nanosleep(&(struct timespec){.tv_nsec = 500000}, NULL);
}

static Error *
run_job(void *pointer, const atomic_bool *stop)
{
	Job *job = pointer;
	volatile int sum = 0;

	atomic_fetch_add(&job->shared->begun, 1);
	while (job->waits && !atomic_load(&job->shared->gate))
		nap();
	while (atomic_load(&job->shared->begun) < job->awaits)
		nap();
	while (job->until_stop && !atomic_load(stop))
		nap();
	for (int i = 0; i < job->spin; i++)
		sum = sum + i;
	atomic_fetch_add(&job->shared->ran, 1);
	if (job->until_stop)
		return error_new(ERR_CANCELLED, "job %d was stopped", job->number);
	return job->fails ? error_new(ERR_SYSTEM, "job %d failed", job->number) : NULL;
}

static void
free_job(void *pointer)
{
	Job *job = pointer;

	atomic_fetch_add(&job->shared->freed, 1);
	atomic_fetch_sub(&job->shared->alive, 1);
	free(job);
}

static const OrderedOps ops = {.run = run_job, .free = free_job};

static void
submit(Ordered *ring, Shared *shared, Job job)
{
	Job *copy = NEW(Job);
	int alive = atomic_fetch_add(&shared->alive, 1) + 1;

	if (alive > atomic_load(&shared->most_alive))
		atomic_store(&shared->most_alive, alive);
	*copy = job;
	copy->shared = shared;
	ordered_submit(ring, copy);
}

static void
take(Ordered *ring, int expected)
{
	void *taken = NULL;

	assert_ok(ordered_take(ring, &taken));
	assert_int_equal(((Job *) taken)->number, expected);
	free_job(taken);
}

static void
await_begun(Shared *shared, int jobs)
{
	while (atomic_load(&shared->begun) < jobs)
		nap();
}

static void
jobs_are_taken_in_order_however_long_each_takes_and_never_more_than_the_depth_are_alive(void **state)
{
	(void) state;
	for (int threads = 1; threads <= 9; threads += 4)
	{
		for (int depth = 1; depth <= 13; depth += 3)
		{
			AUTO(Workers) workers = workers_new(threads);
			AUTO(Ordered) ring = ordered_new(workers, depth, &ops);
			Shared shared = {0};
			int next = 0;

			assert_true(ordered_is_empty(ring));
			for (int i = 0; i < JOBS / 10; i++)
			{
				if (ordered_is_full(ring))
					take(ring, next++);
				submit(ring, &shared, (Job){.number = i, .spin = (i * 7919) % 20000});
			}
			while (!ordered_is_empty(ring))
				take(ring, next++);
			assert_int_equal(next, JOBS / 10);
			assert_int_equal(atomic_load(&shared.most_alive), depth);
			assert_int_equal(atomic_load(&shared.freed), JOBS / 10);
		}
	}
}

static void
the_failure_with_the_lowest_number_is_told_also_when_it_comes_last(void **state)
{
	AUTO(Workers) workers = workers_new(4);

	(void) state;
	for (int round = 0; round < 50; round++)
	{
		Ordered *ring = ordered_new(workers, 8, &ops);
		Shared shared = {0};
		void *taken = NULL;

		submit(ring, &shared, (Job){.number = 0});
		submit(ring, &shared, (Job){.number = 1, .waits = true, .fails = true}); /* fails last */
		submit(ring, &shared, (Job){.number = 2, .awaits = 4, .fails = true});
		submit(ring, &shared, (Job){.number = 3, .until_stop = true});
		while (atomic_load(&shared.ran) < 3)
			nap();
		atomic_store(&shared.gate, true);
		take(ring, 0);
		assert_error(ordered_take(ring, &taken), ERR_SYSTEM, "job 1 failed");
		assert_null(taken);
		ordered_free(ring);
		assert_int_equal(atomic_load(&shared.freed), 4);
	}
}

static void
after_a_failure_later_jobs_are_skipped_and_earlier_ones_are_still_taken(void **state)
{
	AUTO(Workers) workers = workers_new(1);
	AUTO(Ordered) ring = ordered_new(workers, 6, &ops);
	Shared shared = {.gate = true};
	void *taken = NULL;

	(void) state;
	submit(ring, &shared, (Job){.number = 0});
	submit(ring, &shared, (Job){.number = 1, .fails = true});
	submit(ring, &shared, (Job){.number = 2});
	take(ring, 0);
	while (atomic_load(&shared.ran) < 2)
		nap();

	/* Whether it was submitted before or after the failure: it does not run any more. */
	submit(ring, &shared, (Job){.number = 3});
	assert_error(ordered_take(ring, &taken), ERR_SYSTEM, "job 1 failed");
	assert_error(ordered_take(ring, &taken), ERR_CANCELLED, "given up");
	assert_error(ordered_take(ring, &taken), ERR_CANCELLED, "given up");
	assert_true(ordered_is_empty(ring));
	assert_int_equal(atomic_load(&shared.ran), 2);
	assert_int_equal(atomic_load(&shared.freed), 4);
}

static void
freeing_stops_what_runs_skips_what_has_not_begun_and_waits(void **state)
{
	AUTO(Workers) workers = workers_new(2);
	Ordered *ring = ordered_new(workers, 100, &ops);
	Shared shared = {0};

	(void) state;
	for (int i = 0; i < 100; i++)
		submit(ring, &shared, (Job){.number = i, .until_stop = true});
	await_begun(&shared, 2);
	ordered_free(ring);
	assert_int_equal(atomic_load(&shared.ran), 2);
	assert_int_equal(atomic_load(&shared.freed), 100);
	ordered_free(NULL);
}

static void
a_failure_in_one_ring_is_not_seen_by_another_one_of_the_same_pool(void **state)
{
	AUTO(Workers) workers = workers_new(2);
	AUTO(Ordered) broken = ordered_new(workers, 4, &ops);
	AUTO(Ordered) sound = ordered_new(workers, 4, &ops);
	Shared shared = {.gate = true};
	void *taken = NULL;

	(void) state;
	for (int i = 0; i < 4; i++)
	{
		submit(broken, &shared, (Job){.number = i, .fails = true});
		submit(sound, &shared, (Job){.number = i});
	}
	for (int i = 0; i < 4; i++)
		take(sound, i);
	assert_error(ordered_take(broken, &taken), ERR_SYSTEM, "job 0 failed");
	assert_false(workers_failed(workers));
}

/* A job that the pool never ran, for the pool is ending, was not done. */
static Error *
end_pool(void *pointer)
{
	Workers *workers = pointer;

	workers_free(workers);
	return NULL;
}

static void
jobs_that_an_ending_pool_skips_count_as_given_up(void **state)
{
	Workers *workers = workers_new(1);
	Workers *ender = workers_new(1);
	AUTO(Ordered) ring = ordered_new(workers, 2, &ops);
	Shared shared = {0};
	void *taken = NULL;

	(void) state;
	submit(ring, &shared, (Job){.number = 0, .waits = true});
	submit(ring, &shared, (Job){.number = 1});
	await_begun(&shared, 1);
	workers_submit(ender, end_pool, workers, NULL);
	while (!workers_failed(workers))
		nap();
	atomic_store(&shared.gate, true);
	take(ring, 0);
	assert_error(ordered_take(ring, &taken), ERR_CANCELLED, "given up");
	workers_free(ender);
	assert_int_equal(atomic_load(&shared.freed), 2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			jobs_are_taken_in_order_however_long_each_takes_and_never_more_than_the_depth_are_alive),
		cmocka_unit_test(the_failure_with_the_lowest_number_is_told_also_when_it_comes_last),
		cmocka_unit_test(after_a_failure_later_jobs_are_skipped_and_earlier_ones_are_still_taken),
		cmocka_unit_test(freeing_stops_what_runs_skips_what_has_not_begun_and_waits),
		cmocka_unit_test(a_failure_in_one_ring_is_not_seen_by_another_one_of_the_same_pool),
		cmocka_unit_test(jobs_that_an_ending_pool_skips_count_as_given_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
