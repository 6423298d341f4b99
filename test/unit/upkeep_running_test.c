/* Jobs at work: what is said of one, which files are believed, and what is left of a dead one. */
#include "walship/upkeep/running.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "scratch.h"
#include "walship/base/strs.h"

#define NOW INT64_C(1795132800000000)
#define GB  (UINT64_C(1) << 30)
#define MB  (UINT64_C(1) << 20)

static void
test_a_job_is_told_by_what_its_phase_has_done(void **state)
{
	static const struct
	{
		JobProgress job;
		const char *text;
		int64_t rate;
		int64_t left_ms;
	} rows[] = {
		{{.phase = (char *) "waiting", .elapsed_ms = 2500}, "waiting, 2.5 s so far", -1, -1},
		{{.phase = (char *) "copying", .done = GB, .total = 4 * GB, .elapsed_ms = 20000, .phase_ms = 10000},
	     "copying: 1.0 GiB of 4.0 GiB (25 %), 102.4 MiB/s, 20.0 s so far, about 30.0 s left",
	     (int64_t) (GB / 10),
	     30000},
		{{.phase = (char *) "copying",
	      .done = 5 * GB,
	      .total = 4 * GB,
	      .elapsed_ms = 20000,
	      .phase_ms = 20000},
	     "copying: 5.0 GiB, 256.0 MiB/s, 20.0 s so far",
	     (int64_t) (GB / 4),
	     -1},
		{{.phase = (char *) "copying", .done = MB, .total = 2 * MB, .elapsed_ms = 9000, .phase_ms = 10},
	     "copying: 1.0 MiB of 2.0 MiB (50 %), 9.0 s so far",
	     -1,
	     -1},
		{{.phase = (char *) "removing",
	      .unit = PROGRESS_OBJECTS,
	      .done = 3000,
	      .elapsed_ms = 2000,
	      .phase_ms = 2000},
	     "removing: 3000 objects, 1500/s, 2.0 s so far",
	     1500,
	     -1},
		{{.phase = (char *) "removing",
	      .unit = PROGRESS_OBJECTS,
	      .done = 1,
	      .total = 4,
	      .elapsed_ms = 2000,
	      .phase_ms = 2000},
	     "removing: 1 of 4 objects (25 %), 0/s, 2.0 s so far, about 6.0 s left",
	     0,
	     6000},
	};

	(void) state;
	for (size_t i = 0; i < lengthof(rows); i++)
	{
		AUTO_BUF(text, 4096);

		job_progress_text(&rows[i].job, &text);
		assert_string_equal(text.data, rows[i].text);
		assert_int_equal(job_progress_rate(&rows[i].job), rows[i].rate);
		assert_int_equal(job_progress_left_ms(&rows[i].job), rows[i].left_ms);
	}
}

static JobProgress
copying(uint64_t done)
{
	return (JobProgress){.operation = (char *) "backup",
	                     .phase = (char *) "copying",
	                     .done = done,
	                     .total = GB,
	                     .elapsed_ms = 5000,
	                     .phase_ms = 4000};
}

/* The name of the only one in the directory that begins so; the caller frees. */
static char *
only_file(const char *directory)
{
	AUTO_STRLIST names = {0};

	assert_ok(dir_list(directory, &names));
	assert_int_equal(names.count, 1);
	assert_true(str_starts_with(names.items[0], "running-"));
	return path_join(directory, names.items[0]);
}

static size_t
count_files(const char *directory)
{
	AUTO_STRLIST names = {0};

	assert_ok(dir_list(directory, &names));
	return names.count;
}

static void
test_another_process_reads_how_far_it_is(void **state)
{
	char *directory = scratch_make();
	RunningFile *file = running_file_new(directory, "billing", "s3://bucket");
	JobProgress progress = copying(MB);

	(void) state;
	assert_int_equal(count_files(directory), 0);
	running_file_write(file, &progress);
	progress = copying(3 * MB);
	running_file_write(file, &progress);
	{
		AUTO_RUNNING_JOBS jobs = {0};
		const RunningJob *job;

		running_jobs_read(directory, clock_now() + 2000000, &jobs);
		assert_int_equal(jobs.count, 1);
		job = &jobs.items[0];
		assert_string_equal(job->progress.operation, "backup");
		assert_string_equal(job->progress.phase, "copying");
		assert_true(job->progress.done == 3 * MB && job->progress.total == GB);
		assert_true(job->progress.elapsed_ms >= 7000 && job->progress.elapsed_ms < 60000);
		assert_true(job->progress.phase_ms >= 6000 && job->progress.phase_ms < 60000);
		assert_int_equal(job->process, getpid());
		assert_string_equal(job->cluster, "billing");
		assert_string_equal(job->store, "s3://bucket");
	}
	{
		/* A clock that is behind the writer's: it has not gone on. */
		AUTO_RUNNING_JOBS jobs = {0};

		running_jobs_read(directory, NOW, &jobs);
		assert_int_equal(jobs.items[0].progress.elapsed_ms, 5000);
	}
	running_file_free(file);
	assert_int_equal(count_files(directory), 0);
	scratch_remove(directory);
}

static void
test_a_job_that_was_killed_is_not_believed_and_leaves_nothing(void **state)
{
	char *directory = scratch_make();
	AUTO_RUNNING_JOBS jobs = {0};
	int status;
	pid_t pid = fork();

	(void) state;
	assert_true(pid >= 0);
	if (pid == 0)
	{
		RunningFile *file = running_file_new(directory, NULL, NULL);
		JobProgress progress = copying(MB);

		running_file_write(file, &progress);
		_exit(0); /* as a kill: nothing is tidied up */
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(count_files(directory), 1);
	running_jobs_read(directory, NOW, &jobs);
	assert_int_equal(jobs.count, 0);
	assert_int_equal(count_files(directory), 0);
	scratch_remove(directory);
}

static void
test_what_is_damaged_or_no_file_is_no_job(void **state)
{
	char *directory = scratch_make();
	RunningFile *file = running_file_new(directory, NULL, NULL);
	JobProgress progress = copying(MB);
	AUTO_RUNNING_JOBS jobs = {0};

	(void) state;
	running_file_write(file, &progress);

	AUTO_FREE char *path = only_file(directory);
	AUTO_FREE char *link = path_join(directory, "running-link");
	AUTO_FREE char *fifo = path_join(directory, "running-fifo");
	AUTO_FREE char *folder = path_join(directory, "running-folder");
	AUTO_CLOSE int fd = open(path, O_RDWR | O_CLOEXEC);

	assert_int_equal(symlink(path, link), 0);
	assert_int_equal(mkfifo(fifo, 0600), 0);
	assert_int_equal(mkdir(folder, 0700), 0);
	assert_int_equal(pwrite(fd, "x", 1, 100), 1);
	running_jobs_read(directory, NOW, &jobs);
	assert_int_equal(jobs.count, 0);
	assert_int_equal(ftruncate(fd, 10), 0);
	running_jobs_read(directory, NOW, &jobs);
	assert_int_equal(jobs.count, 0);

	/* The next write makes it good; and what is too long for the file says nothing rather than half of it. */
	running_file_write(file, &progress);
	running_jobs_read(directory, NOW, &jobs);
	assert_int_equal(jobs.count, 1);
	running_file_free(file);

	AUTO_FREE char *nowhere = path_join(directory, "nowhere");

	running_jobs_read(nowhere, NOW, &jobs);
	file = running_file_new(nowhere, NULL, NULL);
	running_file_write(file, &progress);
	running_file_free(file);
	assert_int_equal(jobs.count, 1);
	scratch_remove(directory);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_job_is_told_by_what_its_phase_has_done),
		cmocka_unit_test(test_another_process_reads_how_far_it_is),
		cmocka_unit_test(test_a_job_that_was_killed_is_not_believed_and_leaves_nothing),
		cmocka_unit_test(test_what_is_damaged_or_no_file_is_no_job),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
