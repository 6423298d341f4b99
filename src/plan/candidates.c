/* Chooses the backup with the least replay, and says why not another one. */
#include "planner.h"

#include <inttypes.h>
#include <string.h>

#include "walship/base/mem.h"

void
candidate_release(Candidate *candidate)
{
	for (size_t i = 0; i < candidate->n_rejected; i++)
	{
		free(candidate->rejected[i].id);
		free(candidate->rejected[i].reason);
	}
	free(candidate->rejected);
	*candidate = (Candidate){0};
}

/* Takes ownership of "reason". */
static void
reject(Candidate *candidate, const BackupRecord *backup, char *reason)
{
	GROW(candidate->rejected, candidate->n_rejected, candidate->capacity);
	candidate->rejected[candidate->n_rejected++] =
		(RejectedBackup){.id = mem_strdup(backup->id), .reason = reason};
}

static int
newest_first(const void *a, const void *b)
{
	const BackupRecord *left = *(const BackupRecord *const *) a;
	const BackupRecord *right = *(const BackupRecord *const *) b;

	if (left->start_lsn != right->start_lsn)
		return left->start_lsn > right->start_lsn ? -1 : 1;
	return strcmp(right->id, left->id);
}

const BackupRecord **
candidates_sorted(const Catalog *catalog)
{
	const BackupRecord **sorted = NEW_ARRAY(const BackupRecord *, catalog->n_backups);

	for (size_t i = 0; i < catalog->n_backups; i++)
		sorted[i] = catalog->backups[i];
	if (catalog->n_backups > 1)
		qsort(sorted, catalog->n_backups, sizeof(*sorted), newest_first);
	return sorted;
}

static bool
is_wanted(const Planner *planner, const BackupRecord *backup)
{
	return planner->request->backup_id == NULL || strcmp(backup->id, planner->request->backup_id) == 0;
}

static char *
hole_reason(const Planner *planner, const Hole *hole, const char *consequence)
{
	char name[WAL_NAME_SIZE];
	char lsn[LSN_TEXT_SIZE];

	(void) wal_segment_name(hole->timeline, hole->first, planner->catalog->segment_size, name);
	if (hole->minimal_at != InvalidXLogRecPtr)
		return mem_printf("WAL segment %s%s was written with wal_level = minimal from %s on", name,
		                  consequence, lsn_format(hole->minimal_at, lsn));
	return mem_printf("WAL segment %s%s is %s", name, consequence, hole->damaged ? "damaged" : "missing");
}

static char *
off_the_path(const WalPath *path, const BackupRecord *backup)
{
	char stop[LSN_TEXT_SIZE];
	char left[LSN_TEXT_SIZE];
	XLogRecPtr end;

	if (!timeline_history_end_of(path->history, backup->timeline, &end))
	{
		/* Every timeline but the first has an ancestor, in its history file. */
		if (path->timeline > 1 && path->history->n_ancestors == 0)
			return mem_printf("is on timeline %" PRIu32 ", and %08" PRIX32
			                  ".history, which says how timeline %" PRIu32 " began, is not in the store",
			                  backup->timeline, path->timeline, path->timeline);
		return mem_printf("is on timeline %" PRIu32 ", which does not lead to timeline %" PRIu32,
		                  backup->timeline, path->timeline);
	}
	if (backup->stop_lsn <= end)
		return NULL;
	return mem_printf(
		"ended at %s, after the way to timeline %" PRIu32 " had left timeline %" PRIu32 " at %s",
		lsn_format(backup->stop_lsn, stop), path->timeline, backup->timeline, lsn_format(end, left));
}

char *
candidate_objection(const Planner *planner, const WalPath *path, const BackupRecord *backup)
{
	uint32_t segment_size = planner->catalog->segment_size;
	char *reason = off_the_path(path, backup);
	Hole hole;

	if (reason != NULL)
		return reason;
	if (backup->system_identifier != planner->catalog->system_identifier)
		return mem_printf("is of database system %" PRIu64, backup->system_identifier);
	if (backup->segment_size != segment_size)
		return mem_printf("has WAL segments of %" PRIu32 " bytes, the store of %" PRIu32,
		                  backup->segment_size, segment_size);

	/* What was restored by other means is judged by the directory, where it is looked for: not here. */
	bool restored = planner->request->restored;
	bool needs_all = backup->unusable || planner->request->target.kind == TARGET_BACKUP_ONLY;

	if (backup->missing != NULL && needs_all && !restored)
		return mem_printf("is not all there: %s is missing in the store, or cut short", backup->missing);
	if (backup->page_errors && planner->request->backup_id == NULL)
		return mem_strdup("holds pages with wrong checksums; it is only used when it is named with --backup");
	if (planner->request->target.kind == TARGET_BACKUP_ONLY)
		return backup->wal_inside || restored ? NULL : mem_strdup("does not hold its own WAL");
	if (!planner_covers(planner, path, backup, lsn_segment(backup->start_lsn, segment_size),
	                    lsn_segment_before(backup->stop_lsn, segment_size), &hole))
		return hole_reason(planner, &hole, ", which the backup itself needs,");
	return NULL;
}

const BackupRecord *
candidates_oldest(const Planner *planner, const WalPath *path)
{
	AUTO_FREE const BackupRecord **sorted = candidates_sorted(planner->catalog);

	for (size_t i = planner->catalog->n_backups; i-- > 0;)
	{
		AUTO_FREE char *objection = NULL;

		if (!is_wanted(planner, sorted[i]))
			continue;
		objection = candidate_objection(planner, path, sorted[i]);
		if (objection == NULL)
			return sorted[i];
	}
	return NULL;
}

/* Nothing tells where the target is, so any backup may have ended after it: the older the better. */
static bool
is_unplaced(const TargetSearch *found)
{
	return found != NULL && found->by_server && found->place.lsn == InvalidXLogRecPtr;
}

/* Has the backup ended before the target? */
static char *
too_new(const RecoveryTarget *target, const BackupRecord *backup, const TargetSearch *found)
{
	char from[TIME_TEXT_SIZE];
	char to[TIME_TEXT_SIZE];
	char lsn[LSN_TEXT_SIZE];

	if (is_unplaced(found))
		return NULL;
	if (found != NULL && backup->stop_lsn > found->place.lsn)
		return mem_printf("ended at %s, after the target", lsn_format(backup->stop_lsn, lsn));
	if (target->kind != TARGET_TIME || backup->stop_time <= target->time)
		return NULL;
	if (backup->start_time <= target->time)
		return mem_printf("was being taken at that time, from %s to %s",
		                  time_format_postgres(backup->start_time, from),
		                  time_format_postgres(backup->stop_time, to));
	return mem_printf("ended at %s, after the target", time_format_postgres(backup->stop_time, to));
}

/* Where replay runs into a hole, the newest backup tells it best: older ones meet the same. */
static void
meet_hole(const Planner *planner, Candidate *candidate, const BackupRecord *backup, const TargetSearch *found)
{
	if (candidate->kind != CANDIDATE_HOLE)
	{
		candidate->kind = CANDIDATE_HOLE;
		candidate->backup = backup;
		candidate->target = *found;
	}
	reject(candidate, backup, hole_reason(planner, &found->hole, ", on the way to the target,"));
}

/* True when this backup decides the candidate. */
static bool
try_time(const Planner *planner, const BackupRecord *backup, Candidate *candidate)
{
	TargetSearch target = locate_time(planner, candidate->path, backup);
	char time[TIME_TEXT_SIZE];

	if (target.found == TARGET_BEHIND_HOLE)
	{
		meet_hole(planner, candidate, backup, &target);
		return false;
	}
	if (target.found == TARGET_FOUND && !target.by_server && target.place.lsn < backup->stop_lsn)
	{
		reject(candidate, backup,
		       mem_printf("holds a commit of %s, later than the target, from before its end",
		                  time_format_postgres(target.place.time, time)));
		return false;
	}
	candidate->target = target;
	candidate->backup = backup;
	candidate->last = target.last;
	candidate->kind = target.found == TARGET_FOUND ? CANDIDATE_FOUND : CANDIDATE_BEYOND;
	return true;
}

/* The last segment that is needed when the target does not depend on the backup. */
static XLogSegNo
last_needed(const Planner *planner, const WalPath *path, const BackupRecord *backup,
            const TargetSearch *found)
{
	XLogSegNo own = lsn_segment_before(backup->stop_lsn, planner->catalog->segment_size);
	XLogSegNo last;

	if (found != NULL)
		last = found->last;
	else if (planner->request->target.kind != TARGET_LATEST || !wal_path_last(path, &last))
		return own;
	return last > own ? last : own;
}

/* Can all be replayed that is needed?  Where the target is the end of the WAL, that must be one, too. */
static bool
is_covered(const Planner *planner, const WalPath *path, const BackupRecord *backup, XLogSegNo last,
           Hole *ret_hole)
{
	XLogSegNo first = lsn_segment(backup->start_lsn, path->segment_size);
	XLogSegNo barrier;

	if (!planner_covers(planner, path, backup, first, last, ret_hole))
		return false;
	if (planner->request->target.kind != TARGET_LATEST)
		return true;
	if (planner_find_barrier(planner, path, last, last, false, &barrier))
		return planner_stop_at(planner, path, barrier, ret_hole) != NEXT_IS_HOLE;
	return planner_next(planner, path, backup, last + 1, ret_hole) != NEXT_IS_HOLE;
}

static bool
try_range(const Planner *planner, const BackupRecord *backup, const TargetSearch *found, Candidate *candidate)
{
	const WalPath *path = candidate->path;
	XLogSegNo first = lsn_segment(backup->start_lsn, planner->catalog->segment_size);
	XLogSegNo last = last_needed(planner, path, backup, found);
	bool from_store = planner->request->target.kind != TARGET_BACKUP_ONLY;
	TargetSearch met = {.place = {.time = TIME_NONE}};

	if (from_store && !is_covered(planner, path, backup, last, &met.hole))
	{
		met.last = met.hole.damaged || met.hole.first == first ? met.hole.first : met.hole.first - 1;
		meet_hole(planner, candidate, backup, &met);
		return false;
	}
	candidate->kind = CANDIDATE_FOUND;
	candidate->backup = backup;
	candidate->last = last;
	candidate->target = met;
	if (found != NULL)
		candidate->target = *found;
	else if (planner->request->target.kind != TARGET_LATEST)
		candidate->target.place = (WalPlace){
			.timeline = backup->timeline, .segno = last, .lsn = backup->stop_lsn, .time = TIME_NONE};
	return true;
}

Candidate
candidates_choose(const Planner *planner, const WalPath *path, const TargetSearch *found)
{
	AUTO_FREE const BackupRecord **sorted = candidates_sorted(planner->catalog);
	const RecoveryTarget *target = &planner->request->target;
	Candidate candidate = {
		.kind = CANDIDATE_NO_BACKUP, .path = path, .target = {.place = {.time = TIME_NONE}}};

	for (size_t i = 0; i < planner->catalog->n_backups; i++)
	{
		size_t oldest_first = planner->catalog->n_backups - 1 - i;
		const BackupRecord *backup = sorted[is_unplaced(found) ? oldest_first : i];
		char *objection;
		bool decided;

		if (!is_wanted(planner, backup))
			continue;
		objection = candidate_objection(planner, path, backup);
		if (objection == NULL)
			objection = too_new(target, backup, found);
		if (objection != NULL)
		{
			reject(&candidate, backup, objection);
			continue;
		}
		decided = target->kind == TARGET_TIME ? try_time(planner, backup, &candidate)
		                                      : try_range(planner, backup, found, &candidate);
		if (decided)
			return candidate;
	}
	return candidate;
}
