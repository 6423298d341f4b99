/*
 * Jobs at work on this machine, and how far they are.  The job itself prints that, and writes it
 * into a file of state_dir, where another process finds it: a status, a second terminal.  The
 * file is locked as long as its job lives, so one that was killed is not believed; it is never
 * fsynced, and trouble with it is no trouble of the job.
 *
 *     {"format": 1, "operation": "backup", "phase": "copying", "done": 1288490188, ...}
 *     crc32c <of all that comes before>
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "walship/base/buf.h"
#include "walship/base/clock.h"
#include "walship/base/error.h"

typedef enum ProgressUnit
{
	PROGRESS_BYTES,
	PROGRESS_OBJECTS,
} ProgressUnit;

/* How far a job is.  What is done, and its rate, are those of the phase: "copying" begins anew after "comparing". */
typedef struct JobProgress
{
	char *operation; /* the command: "backup" */
	char *phase;     /* for people: "copying" */
	ProgressUnit unit;
	uint64_t done;
	uint64_t total; /* an estimate; 0: not known */
	int64_t elapsed_ms;
	int64_t phase_ms; /* of that since the phase began */
} JobProgress;

/* "copying: 1.2 GiB of 3.4 GiB (35 %), 120.0 MiB/s, 12.3 s so far, about 22.8 s left" */
void job_progress_text(const JobProgress *progress, Buf *into);

/* Units in a second, and what is left at that rate; -1: not known. */
int64_t job_progress_rate(const JobProgress *progress);
int64_t job_progress_left_ms(const JobProgress *progress);

/* ---- of this process ---- */

typedef struct RunningFile RunningFile;

/* Writes nothing yet.  The texts are copied, and may be NULL. */
RunningFile *running_file_new(const char *state_dir, const char *cluster, const char *store);

/* What is there is replaced.  By one thread at a time. */
void running_file_write(RunningFile *file, const JobProgress *progress);

void running_file_free(RunningFile *file); /* removes it; NULL is nothing */
AUTO_DEFINE(RunningFile, running_file_free);

/* ---- of others ---- */

typedef struct RunningJob
{
	JobProgress progress; /* as it is now, by this machine's clock */
	char *host;
	int64_t process;
	char *cluster; /* the section of its settings; NULL: none */
	char *store;   /* its identity; NULL: not known */
	TimeUs began;
	TimeUs updated; /* when it last wrote */
} RunningJob;

typedef struct RunningJobs
{
	RunningJob *items;
	size_t count;
	size_t capacity;
} RunningJobs;

/* All that are alive, in no order.  What killed ones left is removed; a directory that cannot be read has none. */
void running_jobs_read(const char *state_dir, TimeUs now, RunningJobs *ret_jobs);
void running_jobs_release(RunningJobs *jobs);
#define AUTO_RUNNING_JOBS __attribute__((cleanup(running_jobs_release))) RunningJobs
