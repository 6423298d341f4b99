/* What keeps a retention plan from being carried out; see walship/plan/retain.h and retain_records.h. */
#include <inttypes.h>

#include "walship/base/mem.h"
#include "walship/plan/retain.h"
#include "walship/plan/retain_records.h"

/*
 * So many may go in a run without being a surprise: twice those that came since the last one, and some
 * more, a few and a part of all: a branch that was given up leaves the window with several of them at once.
 */
#define SURPRISE_BACKUPS 3
#define SURPRISE_PART    5 /* one in so many */

/* What a plan would do, in numbers. */
typedef struct Removal
{
	const char *noun;
	TimeUs now;
	const char *newest; /* the newest complete one; NULL: there is none */
	TimeUs newest_time;
	size_t count; /* of all there are */
	size_t removed;
	size_t came;       /* since the last run */
	uint64_t segments; /* that would go with them */
	bool has_segments;
} Removal;

static Error *
refuse_clock(const Removal *removal, const RetainGuard *guard)
{
	AUTO_FREE char *hint = mem_printf(
		"By a wrong clock the wrong %ss would go. Set it right, and run expire again.", removal->noun);
	char ours[TIME_TEXT_SIZE];
	char theirs[TIME_TEXT_SIZE];

	(void) time_format_utc(removal->now, ours);
	if (guard->store_now != TIME_NONE && (removal->now > guard->store_now + RETAIN_CLOCK_US ||
	                                      removal->now < guard->store_now - RETAIN_CLOCK_US))
		return error_hint(error_new(ERR_EXISTS, "this machine's clock says %s, the store's %s", ours,
		                            time_format_utc(guard->store_now, theirs)),
		                  "%s", hint);
	if (removal->newest != NULL && removal->newest_time > removal->now + RETAIN_CLOCK_US)
		return error_hint(
			error_new(ERR_EXISTS, "this machine's clock says %s, but %s \"%s\" ended at %s by the server's",
		              ours, removal->noun, removal->newest, time_format_utc(removal->newest_time, theirs)),
			"%s", hint);
	return NULL;
}

static Error *
refuse_without_newest(const Removal *removal, const RetainGuard *guard)
{
	AUTO_FREE char *most = NULL;

	if (removal->newest == NULL)
		return error_hint(error_new(ERR_EXISTS, "there is no complete %s", removal->noun),
		                  "Nothing is removed before there is one: walship %s. walship verify says what is "
		                  "wrong with those that are there.",
		                  removal->noun);
	if (guard->backup_max_age_ms == 0 ||
	    removal->newest_time >= removal->now - guard->backup_max_age_ms * 1000)
		return NULL;
	most = retention_duration_text(guard->backup_max_age_ms);
	return error_hint(
		error_new(ERR_EXISTS, "the newest complete %s, \"%s\", is older than %s", removal->noun,
	              removal->newest, most),
		"The job that takes %ss is dead, and these may be the last ones: nothing is removed before "
		"there is a new one. Where they are meant to be so rare, set backup_max_age.",
		removal->noun);
}

/* Those that came since the last run make place for as many; a first run has nothing to be measured by. */
static Error *
refuse_surprise(const Removal *removal, const RetainGuard *guard)
{
	AUTO_FREE char *segments = removal->has_segments
	                               ? mem_printf(" and %" PRIu64 " WAL segments", removal->segments)
	                               : mem_strdup("");

	if (!guard->has_last_run)
		return error_hint(
			error_new(ERR_EXISTS,
		              "this would be the first run under this retention: it would remove %zu %ss%s",
		              removal->removed, removal->noun, segments),
			"Look through the list. If it is right: walship expire --force. Later runs need no --force.");
	if (removal->removed <=
	    2 * removal->came + SURPRISE_BACKUPS + removal->count / SURPRISE_PART + guard->unfinished_removals)
		return NULL;
	return error_hint(error_new(ERR_EXISTS, "%zu %ss would be removed, but only %zu came since the last run",
	                            removal->removed, removal->noun, removal->came),
	                  "Something is not as it was at the last run. Look through the list; if it is right: "
	                  "walship expire --force");
}

static bool
removes_anything(const RetainPlan *plan)
{
	bool removes = plan->removed_backups > 0 || plan->removed_segments > 0;

	for (size_t i = 0; i < plan->n_files && !removes; i++)
		removes = !plan->files[i].keep;
	return removes;
}

/* WAL before every backup there is: nothing could ever be recovered by it.  A new archive always has some. */
static bool
is_of_no_use(const Catalog *catalog, const RetainPlan *plan)
{
	for (size_t i = 0; i < catalog->n_backups; i++)
		for (size_t j = 0; j < plan->n_wal; j++)
			if (!plan->wal[j].keep &&
			    plan->wal[j].range.last >= lsn_segment(catalog->backups[i]->start_lsn, catalog->segment_size))
				return false;
	return plan->removed_backups == 0;
}

Error *
retain_refusal(const Catalog *catalog, const RetainRequest *request, const RetainPlan *plan,
               const RetainGuard *guard)
{
	Removal removal = {.noun = "backup",
	                   .now = request->now,
	                   .newest = plan->newest == NULL ? NULL : plan->newest->id,
	                   .newest_time = plan->newest == NULL ? TIME_NONE : plan->newest->stop_time,
	                   .count = catalog->n_backups,
	                   .removed = plan->removed_backups,
	                   .segments = plan->removed_segments,
	                   .has_segments = true};

	for (size_t i = 0; i < catalog->n_backups; i++)
		if (catalog->backups[i]->stop_time > guard->last_run)
			removal.came++;
	TRY(refuse_clock(&removal, guard));
	if (!removes_anything(plan))
		return NULL;
	TRY(refuse_without_newest(&removal, guard));
	if (guard->force || is_of_no_use(catalog, plan))
		return NULL;
	return refuse_surprise(&removal, guard);
}

Error *
retain_records_refusal(const RetainRecordsRequest *request, const RetainRecordsPlan *plan,
                       const RetainGuard *guard)
{
	Removal removal = {.noun = request->noun,
	                   .now = request->now,
	                   .newest = plan->newest == NULL ? NULL : plan->newest->id,
	                   .newest_time = plan->newest == NULL ? TIME_NONE : plan->newest->time,
	                   .count = request->n_records,
	                   .removed = plan->removed};

	for (size_t i = 0; i < request->n_records; i++)
		if (request->records[i].time > guard->last_run)
			removal.came++;
	TRY(refuse_clock(&removal, guard));
	if (plan->removed == 0)
		return NULL;
	TRY(refuse_without_newest(&removal, guard));
	return guard->force ? NULL : refuse_surprise(&removal, guard);
}
