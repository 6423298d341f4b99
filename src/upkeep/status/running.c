/* Jobs at work on this machine; see walship/upkeep/running.h. */
#include "walship/upkeep/running.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "walship/base/crc32c.h"
#include "walship/base/crypto.h"
#include "walship/base/file.h"
#include "walship/base/json_fields.h"
#include "walship/base/mem.h"
#include "walship/base/size.h"
#include "walship/base/strs.h"

#define KIND       "running-"
#define FORMAT     1
#define FILE_SIZE  4096 /* always: so a write leaves nothing behind it, and needs no truncation */
#define READS_MOST 3    /* of a file that is being written */

/* "crc32c 89abcdef\n" */
#define CHECKSUM_SIZE 16

struct RunningFile
{
	char *path;
	int fd; /* -1: could not be made yet */
	RunningJob job;
};

static const char *const units[] = {[PROGRESS_BYTES] = "bytes", [PROGRESS_OBJECTS] = "objects"};

static const JsonField job_fields[] = {
	{"operation", &json_string, JSON_AT(RunningJob, progress.operation)},
	{"phase", &json_string, JSON_AT(RunningJob, progress.phase)},
	{"unit", &json_enum, JSON_AT(RunningJob, progress.unit), .names = units, .n_names = lengthof(units)},
	{"done", &json_uint, JSON_AT(RunningJob, progress.done)},
	{"total", &json_uint, JSON_AT(RunningJob, progress.total)},
	{"elapsed_ms", &json_natural, JSON_AT(RunningJob, progress.elapsed_ms)},
	{"phase_ms", &json_natural, JSON_AT(RunningJob, progress.phase_ms)},
	{"host", &json_string, JSON_AT(RunningJob, host)},
	{"process", &json_natural, JSON_AT(RunningJob, process)},
	{"cluster", &json_string, JSON_AT(RunningJob, cluster), .flags = JSON_MAYBE},
	{"store", &json_string, JSON_AT(RunningJob, store), .flags = JSON_MAYBE},
	{"updated", &json_time, JSON_AT(RunningJob, updated)},
};
static const JsonTable job_table = JSON_TABLE(RunningJob, job_fields);

/* ---- as text ---- */

static const char *
amount(ProgressUnit unit, uint64_t count, char text[SIZE_TEXT_SIZE])
{
	if (unit == PROGRESS_BYTES)
		return size_format(count, text);
	(void) snprintf(text, SIZE_TEXT_SIZE, "%" PRIu64, count);
	return text;
}

int64_t
job_progress_rate(const JobProgress *progress)
{
	if (progress->done == 0 || progress->phase_ms < 1000)
		return -1;
	return (int64_t) ((double) progress->done * 1000 / (double) progress->phase_ms);
}

/* The total is an estimate: more than all of it would look silly. */
static bool
is_of_total(const JobProgress *progress)
{
	return progress->done > 0 && progress->done < progress->total;
}

int64_t
job_progress_left_ms(const JobProgress *progress)
{
	if (!is_of_total(progress) || progress->phase_ms < 1000)
		return -1;
	return (int64_t) ((double) progress->phase_ms * (double) (progress->total - progress->done) /
	                  (double) progress->done);
}

void
job_progress_text(const JobProgress *progress, Buf *into)
{
	const char *noun = progress->unit == PROGRESS_OBJECTS ? " objects" : "";
	char text[SIZE_TEXT_SIZE];

	buf_puts(into, progress->phase);
	if (progress->done > 0)
		buf_printf(into, ": %s", amount(progress->unit, progress->done, text));
	if (is_of_total(progress))
		buf_printf(into, " of %s%s (%u %%)", amount(progress->unit, progress->total, text), noun,
		           (unsigned) ((double) progress->done * 100 / (double) progress->total));
	else if (progress->done > 0)
		buf_puts(into, noun);
	if (job_progress_rate(progress) >= 0)
		buf_printf(into, ", %s/s", amount(progress->unit, (uint64_t) job_progress_rate(progress), text));
	buf_printf(into, ", %s so far", duration_format(progress->elapsed_ms, text));
	if (job_progress_left_ms(progress) >= 0)
		buf_printf(into, ", about %s left", duration_format(job_progress_left_ms(progress), text));
}

/* ---- of this process ---- */

static char *
host_name(void)
{
	char host[256] = "";

	return mem_strdup(gethostname(host, sizeof(host) - 1) == 0 && host[0] != '\0' ? host : "unknown");
}

RunningFile *
running_file_new(const char *state_dir, const char *cluster, const char *store)
{
	RunningFile *file = NEW(RunningFile);
	uint64_t random;

	/* Never the name of another one: whoever removes what a killed job left removes nothing else. */
	random_bytes(&random, sizeof(random));
	*file = (RunningFile){.path = mem_printf("%s/" KIND "%016" PRIx64, state_dir, random), .fd = -1};
	file->job.host = host_name();
	file->job.process = getpid();
	file->job.cluster = mem_strdup(cluster);
	file->job.store = mem_strdup(store);
	return file;
}

static void
put_checksum(const char *text, size_t size, char ret_line[CHECKSUM_SIZE + 1])
{
	(void) snprintf(ret_line, CHECKSUM_SIZE + 1, "crc32c %08" PRIx32 "\n", crc32c(0, text, size));
}

/* Of FILE_SIZE bytes; false when the texts are too long for that. */
static bool
print_job(const RunningJob *job, Buf *into)
{
	AUTO(Json) root = json_new_object();
	char checksum[CHECKSUM_SIZE + 1];

	json_add_int(root, "format", FORMAT);
	json_put(root, &job_table, job);
	json_print(root, true, into);
	if (into->overflowed || into->size > FILE_SIZE - CHECKSUM_SIZE - 1)
		return false;
	while (into->size < FILE_SIZE - CHECKSUM_SIZE - 1)
		buf_putc(into, ' ');
	buf_putc(into, '\n');
	put_checksum(into->data, into->size, checksum);
	buf_puts(into, checksum);
	return true;
}

void
running_file_write(RunningFile *file, const JobProgress *progress)
{
	RunningJob job = file->job;
	AUTO_BUF(text, FILE_SIZE);

	/* A reader that had it open just then, a directory that is made later: the next one perhaps works. */
	if (file->fd < 0)
	{
		AUTO(Error) error = file_open_temporary(file->path, 0644, &file->fd);

		if (error != NULL)
			return;
	}
	job.progress = *progress;
	job.updated = clock_now();
	if (print_job(&job, &text) && pwrite(file->fd, text.data, text.size, 0) != (ssize_t) text.size)
		(void) ftruncate(file->fd, 0); /* half of it says nothing */
}

void
running_file_free(RunningFile *file)
{
	if (file == NULL)
		return;
	if (file->fd >= 0)
	{
		(void) unlink(file->path);
		(void) close(file->fd);
	}
	free(file->path);
	free(file->job.host);
	free(file->job.cluster);
	free(file->job.store);
	free(file);
}

/* ---- of others ---- */

static void
job_release(RunningJob *job)
{
	free(job->progress.operation);
	free(job->progress.phase);
	free(job->host);
	free(job->cluster);
	free(job->store);
	*job = (RunningJob){0};
}

void
running_jobs_release(RunningJobs *jobs)
{
	for (size_t i = 0; i < jobs->count; i++)
		job_release(&jobs->items[i]);
	free(jobs->items);
	*jobs = (RunningJobs){0};
}

static bool
parse(const char *text, RunningJob *ret_job)
{
	size_t size = FILE_SIZE - CHECKSUM_SIZE;
	char checksum[CHECKSUM_SIZE + 1];
	AUTO(Json) root = NULL;
	AUTO(Error) error = NULL;

	put_checksum(text, size, checksum);
	if (memcmp(text + size, checksum, CHECKSUM_SIZE) != 0)
		return false;
	error = json_parse(text, size, "job", &root);
	if (error == NULL)
		error = json_take(root, &job_table, ret_job);
	if (error != NULL)
		job_release(ret_job);
	return error == NULL;
}

/* It has gone on since it wrote; a clock that was set meanwhile is no reason for nonsense. */
static void
bring_up_to(TimeUs now, RunningJob *job)
{
	int64_t since_ms = now > job->updated ? (now - job->updated) / 1000 : 0;

	job->progress.elapsed_ms += since_ms;
	job->progress.phase_ms += since_ms;
	job->began = now - job->progress.elapsed_ms * 1000;
}

/* True when a process holds the file's lock: then the job is alive. */
static bool
is_held(int fd)
{
	return flock(fd, LOCK_SH | LOCK_NB) != 0;
}

static bool
read_job(const char *path, RunningJob *ret_job)
{
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct stat status;
	char text[FILE_SIZE];

	if (fd < 0 || fstat(fd, &status) != 0 || !S_ISREG(status.st_mode))
		return false;
	if (!is_held(fd))
	{
		(void) unlink(path);
		return false;
	}
	for (int i = 0; i < READS_MOST; i++)
		if (pread(fd, text, sizeof(text), 0) == (ssize_t) sizeof(text) && parse(text, ret_job))
			return true;
	return false;
}

void
running_jobs_read(const char *state_dir, TimeUs now, RunningJobs *ret_jobs)
{
	AUTO_STRLIST names = {0};
	AUTO(Error) error = dir_list(state_dir, &names);

	for (size_t i = 0; error == NULL && i < names.count; i++)
	{
		AUTO_FREE char *path = path_join(state_dir, names.items[i]);
		RunningJob job = {0};

		if (!str_starts_with(names.items[i], KIND) || !read_job(path, &job))
			continue;
		bring_up_to(now, &job);
		GROW(ret_jobs->items, ret_jobs->count, ret_jobs->capacity);
		ret_jobs->items[ret_jobs->count++] = job;
	}
}
