/*
 * The segment that the server has asked for, and beside it those that it has not
 * asked for yet.  What was stored of these is noted (walship/ship/pushed.h), and the
 * call for it is then done at once.  They cannot fail the push.
 *
 * Segments are read and sent side by side; two rules bind them together.
 * Run order: each carries on the run of times of the one before it, so they join it
 * in the order of their numbers, once they are read (walship/archive/time_run.h).
 * May store: none is stored unless the asked-for segment is.  A clone that archives
 * into the store of its original is refused where the two differ, and whatever comes
 * after such a segment would take the names which the original has yet to come to, so
 * that the original would be refused from then on.
 */
#include <pthread.h>
#include <stdatomic.h>

#include "push_private.h"
#include "walship/archive/time_run.h"
#include "walship/base/cancel.h"
#include "walship/base/clock.h"
#include "walship/base/file.h"
#include "walship/base/mem.h"
#include "walship/base/workers.h"
#include "walship/ship/backlog_rate.h"
#include "walship/ship/pushed.h"

/* Nothing is begun besides the segment in question when the push has lasted so long. */
#define AHEAD_STARTS_MS 3000

typedef enum MayStore
{
	MAY_STORE_PENDING, /* not before the one that was asked for is stored */
	MAY_STORE_YES,
	MAY_STORE_NO,
} MayStore;

/* What the threads share. */
typedef struct PushBatch
{
	const PushOptions *options;
	const char *wal_directory;
	const HistoryFiles *histories; /* of it */
	bool hurry;
	WalArchive ahead_archive; /* of those that were not asked for: gives up at the deadline */
	atomic_bool notes_fail;   /* what cannot be noted would only be pushed twice */

	pthread_mutex_t mutex;  /* guards what follows */
	pthread_cond_t changed; /* "may_store" or "run_order" */
	MayStore may_store;
	size_t run_order; /* number of the segment that may carry the run on */
	TimeRun run;
	bool run_is_new; /* not yet noted */
	BacklogRate rate;
} PushBatch;

/* One segment; the one that was asked for has number 0. */
typedef struct PushJob
{
	PushBatch *batch;
	size_t number;
	const char *segment;
} PushJob;

/* Jobs begin in the order of their numbers, and each ends with pass_run(), so no one waits in vain. */
static void
wait_for_run(PushBatch *batch, size_t number)
{
	while (batch->run_order < number)
		(void) pthread_cond_wait(&batch->changed, &batch->mutex);
}

static void
join_run(const PushJob *job, WalIndex *index)
{
	PushBatch *batch = job->batch;

	if (!index->walked)
		return;
	(void) pthread_mutex_lock(&batch->mutex);
	wait_for_run(batch, job->number);
	time_run_join(&batch->run, index);
	batch->run = time_run_after(index);
	batch->run_is_new = true;
	batch->run_order = job->number + 1;
	(void) pthread_cond_broadcast(&batch->changed);
	(void) pthread_mutex_unlock(&batch->mutex);
}

/* At a job's end: those behind it need not wait for a segment that could not be read. */
static void
pass_run(const PushJob *job)
{
	PushBatch *batch = job->batch;

	(void) pthread_mutex_lock(&batch->mutex);
	wait_for_run(batch, job->number);
	if (batch->run_order == job->number)
		batch->run_order++;
	(void) pthread_cond_broadcast(&batch->changed);
	(void) pthread_mutex_unlock(&batch->mutex);
}

static Error *
wait_until_may_store(PushBatch *batch)
{
	(void) pthread_mutex_lock(&batch->mutex);
	while (batch->may_store == MAY_STORE_PENDING)
		(void) pthread_cond_wait(&batch->changed, &batch->mutex);

	bool yes = batch->may_store == MAY_STORE_YES;

	(void) pthread_mutex_unlock(&batch->mutex);
	return yes ? NULL : error_new(ERR_TRANSIENT, "a segment before it could not be stored");
}

/* What was denied once stays so. */
static void
set_may_store(PushBatch *batch, bool yes)
{
	(void) pthread_mutex_lock(&batch->mutex);
	if (batch->may_store != MAY_STORE_NO)
		batch->may_store = yes ? MAY_STORE_YES : MAY_STORE_NO;
	(void) pthread_cond_broadcast(&batch->changed);
	(void) pthread_mutex_unlock(&batch->mutex);
}

/* Encode, join, store: as push_segment() in push.c, but in step with the others. */
static Error *
push_one(const PushJob *job, const WalArchive *into, const char *path, WalName name, WalIndex *index)
{
	PushBatch *batch = job->batch;
	AUTO(Spool) spool = spool_new(batch->options->state_dir);
	WalArchive archive = *into;
	PutResult result;

	(void) pthread_mutex_lock(&batch->mutex);

	bool hurries = batch->hurry && backlog_rate_hurries(&batch->rate);

	(void) pthread_mutex_unlock(&batch->mutex);
	if (hurries)
		archive.compression = batch->options->hurried;
	TRY(push_choose_name(batch->options, &archive, batch->histories, path, &name));

	int64_t begun_ms = clock_monotonic_ms();

	TRY(wal_object_encode(&archive, path, &name, spool, index));

	int64_t made_ms = clock_monotonic_ms();

	join_run(job, index);
	if (job->number > 0)
		TRY(wait_until_may_store(batch));

	int64_t sent_from_ms = clock_monotonic_ms();

	TRY(wal_object_store(&archive, path, &name, spool, index, &result));

	int64_t stored_ms = clock_monotonic_ms();

	push_tell(batch->options, path, index, result);
	push_tell_rate(batch->options, path, &archive.compression, made_ms - begun_ms, stored_ms - sent_from_ms);

	/* What was stored before may have a longer run: the next push carries on that one, unless another segment has gone on. */
	(void) pthread_mutex_lock(&batch->mutex);
	if (index->walked && batch->run_order == job->number + 1)
		batch->run = time_run_after(index);
	backlog_rate_add(&batch->rate, hurries, made_ms - begun_ms, stored_ms - sent_from_ms);
	(void) pthread_mutex_unlock(&batch->mutex);
	return NULL;
}

static Error *
push_asked(void *argument)
{
	const PushJob *job = argument;
	const PushOptions *options = job->batch->options;
	WalIndex index;
	Error *error = push_one(job, &options->archive, options->path, options->name, &index);

	set_may_store(job->batch, error == NULL);
	pass_run(job);
	return error;
}

static bool
may_begin(PushBatch *batch)
{
	(void) pthread_mutex_lock(&batch->mutex);
	bool denied = batch->may_store == MAY_STORE_NO;
	(void) pthread_mutex_unlock(&batch->mutex);

	return !denied && !atomic_load(&batch->notes_fail) && !cancel_requested() &&
	       clock_monotonic_ms() < batch->options->start_ms + AHEAD_STARTS_MS;
}

static Error *
push_ahead(const PushJob *job)
{
	PushBatch *batch = job->batch;
	const char *state_dir = batch->options->state_dir;
	AUTO_FREE char *path = path_join(batch->wal_directory, job->segment);
	AUTO(PushedNote) note = NULL;
	Error *error;
	WalName name;
	WalIndex index;

	TRY(wal_name_parse(job->segment, &name));
	if (pushed_is_noted(state_dir, &batch->ahead_archive, path, &name))
		return NULL;
	error = pushed_begin(state_dir, &batch->ahead_archive, path, &name, &note);

	/* Of this one file it may only be too early. */
	if (error != NULL && !error_is(error, ERR_TRANSIENT))
		atomic_store(&batch->notes_fail, true);
	TRY(error);
	TRY(push_one(job, &batch->ahead_archive, path, name, &index));
	TRY(pushed_commit(note, index.sha256));
	notice(&batch->options->notices, LOG_DEBUG, NULL, "\"%s\" was pushed ahead", path);
	return NULL;
}

static Error *
run_ahead(void *argument)
{
	const PushJob *job = argument;
	AUTO(Error) error = may_begin(job->batch) ? push_ahead(job) : NULL;

	notice_of_error(&job->batch->options->notices, LOG_DEBUG, error);
	if (error_is(error, ERR_EXISTS))
		set_may_store(job->batch, false);
	pass_run(job);
	return NULL;
}

static Error *
run_jobs(PushBatch *batch, const StrList *follows)
{
	int jobs = batch->options->jobs;
	size_t n_jobs = follows->count + 1;
	AUTO_FREE PushJob *queue = NEW_ARRAY(PushJob, n_jobs);
	AUTO(Workers) workers = workers_new(n_jobs < (size_t) jobs ? (int) n_jobs : jobs);

	/* Only the first can fail, and then those that have not begun do not begin (walship/base/workers.h). */
	queue[0] = (PushJob){.batch = batch};
	workers_submit(workers, push_asked, &queue[0], NULL);
	for (size_t i = 1; i < n_jobs; i++)
	{
		queue[i] = (PushJob){.batch = batch, .number = i, .segment = follows->items[i - 1]};
		workers_submit(workers, run_ahead, &queue[i], NULL);
	}
	return workers_wait(workers);
}

/* Of a segment that failed the run is what it was: its next push carries that one on. */
static void
keep_notes(const PushBatch *batch)
{
	const PushOptions *options = batch->options;
	TimeLineID timeline = options->name.timeline;
	AUTO(Error) run_error = NULL;
	AUTO(Error) rate_error = NULL;

	if (batch->run_is_new)
		run_error = time_run_note(options->state_dir, &options->archive, timeline, &batch->run);
	if (batch->hurry)
		rate_error = backlog_rate_note(options->state_dir, &options->archive, timeline, &batch->rate);
	notice_of_error(&options->notices, LOG_DEBUG, run_error);
	notice_of_error(&options->notices, LOG_DEBUG, rate_error);
}

Error *
push_batch(const PushOptions *options, const char *wal_directory, const HistoryFiles *histories,
           const StrList *follows, bool hurry)
{
	Patience patience = push_patience(options);
	AUTO(Store) store = NULL;
	PushBatch batch = {.options = options,
	                   .wal_directory = wal_directory,
	                   .histories = histories,
	                   .hurry = hurry,
	                   .ahead_archive = options->archive,
	                   .mutex = PTHREAD_MUTEX_INITIALIZER,
	                   .changed = PTHREAD_COND_INITIALIZER};

	patience.abort_at_ms = options->deadline_ms;
	patience.quiet = true;
	TRY(store_opener_open(&options->opener, &patience, &store));
	batch.ahead_archive.store = store;
	batch.ahead_archive.patience = patience;
	batch.run = time_run_noted(options->state_dir, &options->archive, options->name.timeline);
	if (hurry)
		batch.rate = backlog_rate_noted(options->state_dir, &options->archive, options->name.timeline);
	pushed_sweep(options->state_dir);

	Error *error = run_jobs(&batch, follows);

	if (error == NULL)
		keep_notes(&batch);
	(void) pthread_cond_destroy(&batch.changed);
	(void) pthread_mutex_destroy(&batch.mutex);
	return error;
}
