/* Progress on stderr. */
#include "progress.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "walship/base/clock.h"
#include "walship/base/json.h"
#include "walship/base/log.h"
#include "walship/base/mem.h"
#include "walship/base/size.h"

#define QUIET_MS       2000 /* what is done sooner needs no progress */
#define LIVE_PERIOD_MS 200
#define LOG_PERIOD_MS  10000
#define JSON_PERIOD_MS 1000
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
	int64_t began_ms;
	_Atomic(int64_t) next_ms; /* not before then is anything shown */

	pthread_mutex_t mutex; /* over what follows */
	const char *phase;
	uint64_t done;
	uint64_t total;
	bool line_shown;
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

Error *
progress_new(const char *mode, const char *operation, Progress **ret_progress)
{
	ProgressMode parsed = PROGRESS_NONE;

	TRY(parse_mode(mode, &parsed));

	Progress *progress = NEW(Progress);

	progress->mode = parsed;
	progress->operation = operation;
	progress->began_ms = clock_monotonic_ms();
	progress->phase = "";
	atomic_init(&progress->next_ms, progress->began_ms + (parsed == PROGRESS_LIVE  ? QUIET_MS
	                                                      : parsed == PROGRESS_LOG ? LOG_PERIOD_MS
	                                                                               : 0));
	(void) pthread_mutex_init(&progress->mutex, NULL);
	*ret_progress = progress;
	return NULL;
}

/* "copying: 1.2 GiB of 3.4 GiB (35 %), 120.0 MiB/s, 12.3 s so far, about 22.8 s left" */
static void
format_text(const Progress *progress, int64_t elapsed_ms, Buf *text)
{
	char size[SIZE_TEXT_SIZE];

	/* The total is an estimate: more than all of it would look silly. */
	bool of_total = progress->done > 0 && progress->done < progress->total;

	buf_printf(text, "%s", progress->phase);
	if (progress->done > 0)
		buf_printf(text, ": %s", size_format(progress->done, size));
	if (of_total)
		buf_printf(text, " of %s (%u %%)", size_format(progress->total, size),
		           (unsigned) (progress->done * 100 / progress->total));
	if (progress->done > 0 && elapsed_ms >= 1000)
		buf_printf(text, ", %s/s", size_format(progress->done * 1000 / (uint64_t) elapsed_ms, size));
	buf_printf(text, ", %s so far", duration_format(elapsed_ms, size));
	if (of_total && elapsed_ms >= 1000)
		buf_printf(
			text, ", about %s left",
			duration_format((int64_t) ((double) elapsed_ms * (double) (progress->total - progress->done) /
		                               (double) progress->done),
		                    size));
}

static void
format_json(const Progress *progress, int64_t elapsed_ms, Buf *text)
{
	AUTO(Json) root = json_new_object();

	json_add_string(root, "operation", progress->operation);
	json_add_string(root, "phase", progress->phase);
	json_add_int(root, "bytes_done", (int64_t) progress->done);
	json_add_int(root, "bytes_total", (int64_t) progress->total);
	json_add_int(root, "elapsed_ms", elapsed_ms);
	json_print(root, true, text);
}

/* With the mutex held. */
static void
show(Progress *progress, int64_t now)
{
	static const int64_t periods_ms[] = {
		[PROGRESS_LIVE] = LIVE_PERIOD_MS,
		[PROGRESS_LOG] = LOG_PERIOD_MS,
		[PROGRESS_JSON] = JSON_PERIOD_MS,
		[PROGRESS_NONE] = JSON_PERIOD_MS,
	};
	int64_t elapsed_ms = now - progress->began_ms;
	AUTO_BUF(text, 4096);

	atomic_store(&progress->next_ms, now + periods_ms[progress->mode]);
	switch (progress->mode)
	{
		case PROGRESS_LIVE:
			format_text(progress, elapsed_ms, &text);
			(void) fprintf(stderr, "\r%.*s\033[K", LINE_MAX_SIZE, text.data);
			(void) fflush(stderr);
			progress->line_shown = true;
			break;
		case PROGRESS_LOG:
			format_text(progress, elapsed_ms, &text);
			log_info("%s", text.data);
			break;
		case PROGRESS_JSON:
			format_json(progress, elapsed_ms, &text);
			(void) fputs(text.data, stderr);
			(void) fflush(stderr);
			break;
		case PROGRESS_NONE:
			break;
	}
}

static bool
is_due(Progress *progress, int64_t now)
{
	return progress->mode != PROGRESS_NONE && now >= atomic_load(&progress->next_ms);
}

void
progress_set(Progress *progress, const char *phase, uint64_t done, uint64_t total)
{
	int64_t now = clock_monotonic_ms();

	(void) pthread_mutex_lock(&progress->mutex);
	progress->phase = phase;
	progress->done = done;
	progress->total = total;
	if (is_due(progress, now))
		show(progress, now);
	(void) pthread_mutex_unlock(&progress->mutex);
}

void
progress_add(Progress *progress, uint64_t done)
{
	int64_t now = clock_monotonic_ms();

	(void) pthread_mutex_lock(&progress->mutex);
	progress->done += done;
	if (is_due(progress, now))
		show(progress, now);
	(void) pthread_mutex_unlock(&progress->mutex);
}

void
progress_clear(Progress *progress)
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

static void
tell(void *progress, LogLevel level, const char *message, const char *hint)
{
	progress_clear(progress);
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
	progress_clear(progress);
	(void) pthread_mutex_destroy(&progress->mutex);
	free(progress);
}
