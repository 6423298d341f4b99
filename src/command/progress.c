/* Progress on stderr, and in a file for other processes. */
#include "progress.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "context.h"
#include "walship/base/clock.h"
#include "walship/base/json.h"
#include "walship/base/log.h"
#include "walship/base/mem.h"
#include "walship/upkeep/running.h"

#define QUIET_MS       2000 /* what is done sooner needs no progress */
#define LIVE_PERIOD_MS 200
#define LOG_PERIOD_MS  10000
#define JSON_PERIOD_MS 1000
#define FILE_PERIOD_MS 1000
#define LINE_MAX_SIZE  160

typedef enum ProgressMode
{
	PROGRESS_LIVE,
	PROGRESS_LOG,
	PROGRESS_JSON,
	PROGRESS_NONE,
} ProgressMode;

struct Progress
{
	ProgressMode mode;
	const char *operation;
	ProgressUnit unit;
	int64_t began_ms;

	pthread_mutex_t mutex; /* over what follows */
	int64_t next_ms;       /* not before then is anything shown */
	const char *phase;
	int64_t phase_ms; /* when it began */
	uint64_t done;
	uint64_t total;
	bool line_shown;

	_Atomic(int64_t) next_file_ms; /* likewise written */
	pthread_mutex_t file_mutex;    /* over "file": a disk that is slow must hold up one thread alone */
	RunningFile *file;             /* NULL: at its end */
};

static Error *
parse_mode(const char *text, ProgressMode *ret_mode)
{
	if (text == NULL || strcmp(text, "auto") == 0)
		*ret_mode = isatty(STDERR_FILENO) ? PROGRESS_LIVE : PROGRESS_LOG;
	else if (strcmp(text, "json") == 0)
		*ret_mode = PROGRESS_JSON;
	else if (strcmp(text, "none") == 0)
		*ret_mode = PROGRESS_NONE;
	else
		return error_hint(error_new(ERR_USAGE, "--progress knows no \"%s\"", text),
		                  "Choose auto, json or none.");
	return NULL;
}

static RunningFile *
file_for(const Settings *settings)
{
	AUTO_FREE char *store = context_store_identity(settings);

	return running_file_new(settings_text(settings, SETTING_state_dir), settings_cluster(settings), store);
}

Error *
progress_new(const Invocation *invocation, const char *operation, Progress **ret_progress)
{
	ProgressMode mode = PROGRESS_NONE;

	TRY(parse_mode(invocation_value(invocation, "progress"), &mode));

	Progress *progress = NEW(Progress);

	progress->mode = mode;
	progress->operation = operation;
	progress->began_ms = clock_monotonic_ms();
	progress->phase = "";
	progress->phase_ms = progress->began_ms;
	progress->next_ms = progress->began_ms + (mode == PROGRESS_LIVE  ? QUIET_MS
	                                          : mode == PROGRESS_LOG ? LOG_PERIOD_MS
	                                                                 : 0);
	(void) pthread_mutex_init(&progress->mutex, NULL);
	(void) pthread_mutex_init(&progress->file_mutex, NULL);
	progress->file = file_for(invocation_settings(invocation));
	*ret_progress = progress;
	return NULL;
}

void
progress_counts_objects(Progress *progress)
{
	progress->unit = PROGRESS_OBJECTS;
}

/* With the mutex held.  The texts stay constants. */
static JobProgress
snapshot(const Progress *progress, int64_t now)
{
	return (JobProgress){.operation = (char *) progress->operation,
	                     .phase = (char *) progress->phase,
	                     .unit = progress->unit,
	                     .done = progress->done,
	                     .total = progress->total,
	                     .elapsed_ms = now - progress->began_ms,
	                     .phase_ms = now - progress->phase_ms};
}

static void
format_json(const JobProgress *job, Buf *text)
{
	AUTO(Json) root = json_new_object();
	bool objects = job->unit == PROGRESS_OBJECTS;

	json_add_string(root, "operation", job->operation);
	json_add_string(root, "phase", job->phase);
	json_add_int(root, objects ? "objects_done" : "bytes_done", (int64_t) job->done);
	json_add_int(root, objects ? "objects_total" : "bytes_total", (int64_t) job->total);
	json_add_int(root, "elapsed_ms", job->elapsed_ms);
	json_print(root, true, text);
}

/* With the mutex held. */
static void
show(Progress *progress, const JobProgress *job, int64_t now)
{
	static const int64_t periods_ms[] = {
		[PROGRESS_LIVE] = LIVE_PERIOD_MS,
		[PROGRESS_LOG] = LOG_PERIOD_MS,
		[PROGRESS_JSON] = JSON_PERIOD_MS,
		[PROGRESS_NONE] = JSON_PERIOD_MS,
	};
	AUTO_BUF(text, 4096);

	if (progress->mode == PROGRESS_NONE || now < progress->next_ms)
		return;
	progress->next_ms = now + periods_ms[progress->mode];
	switch (progress->mode)
	{
		case PROGRESS_LIVE:
			job_progress_text(job, &text);
			(void) fprintf(stderr, "\r%.*s\033[K", LINE_MAX_SIZE, text.data);
			(void) fflush(stderr);
			progress->line_shown = true;
			break;
		case PROGRESS_LOG:
			job_progress_text(job, &text);
			log_info("%s", text.data);
			break;
		case PROGRESS_JSON:
			format_json(job, &text);
			(void) fputs(text.data, stderr);
			(void) fflush(stderr);
			break;
		case PROGRESS_NONE:
			break;
	}
}

/* One thread writes, and no other waits for it. */
static void
write_file(Progress *progress, const JobProgress *job, int64_t now)
{
	if (now < atomic_load(&progress->next_file_ms) || pthread_mutex_trylock(&progress->file_mutex) != 0)
		return;
	atomic_store(&progress->next_file_ms, now + FILE_PERIOD_MS);
	if (progress->file != NULL)
		running_file_write(progress->file, job);
	(void) pthread_mutex_unlock(&progress->file_mutex);
}

void
progress_set(Progress *progress, const char *phase, uint64_t done, uint64_t total)
{
	int64_t now = clock_monotonic_ms();
	JobProgress job;
	bool is_new;

	(void) pthread_mutex_lock(&progress->mutex);
	is_new = strcmp(progress->phase, phase) != 0;
	if (is_new)
		progress->phase_ms = now;
	progress->phase = phase;
	progress->done = done;
	progress->total = total;
	job = snapshot(progress, now);
	show(progress, &job, now);
	(void) pthread_mutex_unlock(&progress->mutex);
	if (is_new)
		atomic_store(&progress->next_file_ms, 0);
	write_file(progress, &job, now);
}

void
progress_add(Progress *progress, uint64_t done)
{
	int64_t now = clock_monotonic_ms();
	JobProgress job;

	(void) pthread_mutex_lock(&progress->mutex);
	progress->done += done;
	job = snapshot(progress, now);
	show(progress, &job, now);
	(void) pthread_mutex_unlock(&progress->mutex);
	write_file(progress, &job, now);
}

static void
clear_line(Progress *progress)
{
	(void) pthread_mutex_lock(&progress->mutex);
	if (progress->line_shown)
	{
		(void) fputs("\r\033[K", stderr);
		(void) fflush(stderr);
		progress->line_shown = false;
	}
	(void) pthread_mutex_unlock(&progress->mutex);
}

void
progress_end(Progress *progress)
{
	clear_line(progress);
	(void) pthread_mutex_lock(&progress->file_mutex);
	running_file_free(progress->file);
	progress->file = NULL;
	(void) pthread_mutex_unlock(&progress->file_mutex);
}

static void
tell(void *progress, LogLevel level, const char *message, const char *hint)
{
	clear_line(progress);
	log_line(level, hint, "%s", message);
}

Notices
progress_notices(Progress *progress)
{
	return (Notices){.tell = tell, .context = progress};
}

void
progress_free(Progress *progress)
{
	if (progress == NULL)
		return;
	progress_end(progress);
	(void) pthread_mutex_destroy(&progress->mutex);
	(void) pthread_mutex_destroy(&progress->file_mutex);
	free(progress);
}
