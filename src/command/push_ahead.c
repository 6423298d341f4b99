/* Pushes segments that the server has not asked for yet; see push_ahead.h. */
#include "push_ahead.h"

#include <pthread.h>
#include <stdatomic.h>

#include "push_segment.h"
#include "walship/archive/time_run.h"
#include "walship/base/cancel.h"
#include "walship/base/clock.h"
#include "walship/base/file.h"
#include "walship/base/log.h"
#include "walship/base/mem.h"
#include "walship/base/workers.h"
#include "walship/ship/pace.h"
#include "walship/ship/pushed.h"

/* May the others be stored? */
typedef enum Leave
{
	LEAVE_PENDING, /* not before the one that was asked for is */
	LEAVE_GIVEN,
	LEAVE_DENIED,
} Leave;

/* What the threads share. */
typedef struct Course
{
	const PushAhead *ahead;
	atomic_bool notes_fail; /* what cannot be noted would only be pushed twice */

	pthread_mutex_t mutex;  /* guards what follows */
	pthread_cond_t changed; /* "turn" or "leave" */
	Leave leave;
	size_t turn; /* number of the segment that may carry the run on */
	TimeRun run;
	bool run_is_new; /* not yet noted */
	Pace pace;
} Course;

/* One segment; the one that was asked for has number 0. */
typedef struct Item
{
	Course *course;
	size_t number;

	/* Of clock_monotonic_ms(). */
	int64_t begun_ms;
	int64_t made_ms;
	int64_t sent_from_ms;
} Item;

/*
 * Segments are read side by side, but each carries on the run of the one before
 * it.  Items begin in the order of their numbers, and each passes its turn on
 * when it has read its segment or ends without, so no one waits in vain.
 */
static void
wait_for_turn(Course *course, size_t number)
{
	while (course->turn < number)
		(void) pthread_cond_wait(&course->changed, &course->mutex);
}

static void
join_run(const Item *item, WalIndex *index)
{
	Course *course = item->course;

	if (!index->walked)
		return;
	(void) pthread_mutex_lock(&course->mutex);
	wait_for_turn(course, item->number);
	time_run_join(&course->run, index);
	course->run = time_run_after(index);
	course->run_is_new = true;
	course->turn = item->number + 1;
	(void) pthread_cond_broadcast(&course->changed);
	(void) pthread_mutex_unlock(&course->mutex);
}

/*
 * A clone that archives into the store of its original is refused where the two
 * differ.  Nothing that comes after such a segment may be stored: it would take
 * the names which the original has yet to come to, and the original would be
 * refused from then on.
 */
static Error *
wait_for_leave(Course *course)
{
	(void) pthread_mutex_lock(&course->mutex);
	while (course->leave == LEAVE_PENDING)
		(void) pthread_cond_wait(&course->changed, &course->mutex);

	bool given = course->leave == LEAVE_GIVEN;

	(void) pthread_mutex_unlock(&course->mutex);
	return given ? NULL : error_new(ERR_TRANSIENT, "a segment before it could not be stored");
}

/* What was denied once stays so. */
static void
give_leave(Course *course, bool given)
{
	(void) pthread_mutex_lock(&course->mutex);
	if (course->leave != LEAVE_DENIED)
		course->leave = given ? LEAVE_GIVEN : LEAVE_DENIED;
	(void) pthread_cond_broadcast(&course->changed);
	(void) pthread_mutex_unlock(&course->mutex);
}

static WalArchive
begin(Item *item, const WalArchive *archive)
{
	Course *course = item->course;
	WalArchive begun = *archive;

	item->begun_ms = clock_monotonic_ms();
	(void) pthread_mutex_lock(&course->mutex);
	if (course->ahead->may_hurry && pace_hurries(&course->pace))
		begun.compression.level = compression_for(begun.compression.codec, COMPRESS_BACKLOG).level;
	(void) pthread_mutex_unlock(&course->mutex);
	return begun;
}

static void
note_pace(const Item *item)
{
	Course *course = item->course;
	int64_t now_ms = clock_monotonic_ms();

	(void) pthread_mutex_lock(&course->mutex);
	pace_note(&course->pace, item->made_ms - item->begun_ms, now_ms - item->sent_from_ms);
	(void) pthread_mutex_unlock(&course->mutex);
}

static Error *
asked_is_read(void *context, WalIndex *index)
{
	Item *item = context;

	item->made_ms = clock_monotonic_ms();
	join_run(item, index);
	item->sent_from_ms = clock_monotonic_ms();
	return NULL;
}

static Error *
other_is_read(void *context, WalIndex *index)
{
	Item *item = context;

	item->made_ms = clock_monotonic_ms();
	join_run(item, index);
	TRY(wait_for_leave(item->course));
	item->sent_from_ms = clock_monotonic_ms();
	return NULL;
}

/* What was stored before may have a longer run; the next push carries on that one, unless another segment has gone on. */
static void
take_stored_run(const Item *item, const WalIndex *index)
{
	Course *course = item->course;

	(void) pthread_mutex_lock(&course->mutex);
	if (index->walked && course->turn == item->number + 1)
		course->run = time_run_after(index);
	(void) pthread_mutex_unlock(&course->mutex);
}

static void
pass_turn(const Item *item)
{
	Course *course = item->course;

	(void) pthread_mutex_lock(&course->mutex);
	wait_for_turn(course, item->number);
	if (course->turn == item->number)
		course->turn++;
	(void) pthread_cond_broadcast(&course->changed);
	(void) pthread_mutex_unlock(&course->mutex);
}

static Error *
push_asked(void *argument)
{
	Item *item = argument;
	const PushAhead *ahead = item->course->ahead;
	WalArchive archive = begin(item, ahead->archive);
	WalIndex index;
	Error *error =
		push_segment(&archive, ahead->histories, ahead->path, ahead->name, asked_is_read, item, &index);

	give_leave(item->course, error == NULL);
	if (error == NULL)
	{
		take_stored_run(item, &index);
		note_pace(item);
	}
	pass_turn(item);
	return error;
}

static bool
is_denied(Course *course)
{
	(void) pthread_mutex_lock(&course->mutex);
	bool denied = course->leave == LEAVE_DENIED;
	(void) pthread_mutex_unlock(&course->mutex);
	return denied;
}

static bool
may_begin(Course *course)
{
	return !is_denied(course) && !atomic_load(&course->notes_fail) && !cancel_requested() &&
	       clock_monotonic_ms() < course->ahead->last_start_ms;
}

static Error *
begin_note(Course *course, const char *path, const WalName *name, PushedNote **ret_note)
{
	const PushAhead *ahead = course->ahead;
	Error *error = pushed_begin(ahead->state_dir, ahead->archive_of_others, path, name, ret_note);

	/* Of this one file it may only be too early. */
	if (error != NULL && !error_is(error, ERR_TRANSIENT))
		atomic_store(&course->notes_fail, true);
	return error;
}

static Error *
push_other(Item *item)
{
	const PushAhead *ahead = item->course->ahead;
	const char *segment = ahead->segments->items[item->number - 1];
	AUTO_FREE char *path = path_join(ahead->wal_directory, segment);
	AUTO(PushedNote) note = NULL;
	WalArchive archive;
	WalName name;
	WalIndex index;

	TRY(wal_name_parse(segment, &name));
	if (pushed_is_noted(ahead->state_dir, ahead->archive_of_others, path, &name))
		return NULL;
	TRY(begin_note(item->course, path, &name, &note));
	archive = begin(item, ahead->archive_of_others);
	TRY(push_segment(&archive, ahead->histories, path, name, other_is_read, item, &index));
	take_stored_run(item, &index);
	note_pace(item);
	TRY(pushed_commit(note, index.sha256));
	log_debug("\"%s\" was pushed ahead", path);
	return NULL;
}

static Error *
run_other(void *argument)
{
	Item *item = argument;
	AUTO(Error) error = may_begin(item->course) ? push_other(item) : NULL;

	if (error != NULL)
		log_of_error(LOG_DEBUG, error);
	if (error_is(error, ERR_EXISTS))
		give_leave(item->course, false);
	pass_turn(item);
	return NULL;
}

static Error *
push_all(Course *course)
{
	const PushAhead *ahead = course->ahead;
	size_t n_items = ahead->segments->count + 1;
	AUTO_FREE Item *items = NEW_ARRAY(Item, n_items);
	AUTO(Workers) workers = NULL;

	pushed_sweep(ahead->state_dir);
	workers = workers_new(n_items < (size_t) ahead->threads ? (int) n_items : ahead->threads);
	for (size_t i = 0; i < n_items; i++)
	{
		/* Only the first can fail, and then those that have not begun do not begin (walship/base/workers.h). */
		items[i] = (Item){.course = course, .number = i};
		workers_submit(workers, i == 0 ? push_asked : run_other, &items[i], NULL);
	}
	return workers_wait(workers);
}

/* Without the note the next segment begins a run of its own: slower to search, and just as right. */
static void
note_run(const Course *course)
{
	const PushAhead *ahead = course->ahead;
	AUTO(Error) error = NULL;

	if (course->run_is_new)
		error = time_run_note(ahead->state_dir, ahead->archive, ahead->name.timeline, &course->run);
	if (error != NULL)
		log_of_error(LOG_DEBUG, error);
}

/* Without the note the next push finds out anew. */
static void
keep_pace(const Course *course)
{
	const PushAhead *ahead = course->ahead;
	AUTO(Error) error = pace_keep(ahead->state_dir, ahead->archive, ahead->name.timeline, &course->pace);

	if (error != NULL)
		log_of_error(LOG_DEBUG, error);
}

Error *
push_ahead(const PushAhead *ahead)
{
	Course course = {.ahead = ahead,
	                 .mutex = PTHREAD_MUTEX_INITIALIZER,
	                 .changed = PTHREAD_COND_INITIALIZER,
	                 .run = time_run_noted(ahead->state_dir, ahead->archive, ahead->name.timeline)};

	if (ahead->may_hurry)
		course.pace = pace_noted(ahead->state_dir, ahead->archive, ahead->name.timeline);

	Error *error = ahead->segments->count == 0 ? push_asked(&(Item){.course = &course}) : push_all(&course);

	/* Of a segment that failed the run is what it was: its next push carries that one on. */
	if (error == NULL)
		note_run(&course);
	if (error == NULL && ahead->may_hurry)
		keep_pace(&course);
	(void) pthread_cond_destroy(&course.changed);
	(void) pthread_mutex_destroy(&course.mutex);
	return error;
}
