/* Refusals: what cannot be done, why, and what can be done instead. */
#include <inttypes.h>
#include <string.h>

#include "planner.h"
#include "walship/base/mem.h"
#include "walship/base/size.h"

#define TEXT_MAX (16 * 1024)

/* A tired reader needs the few newest reasons, not all of them. */
#define REASONS_MAX 5

/* "target time ..." or "the end of the WAL", as the subject of a sentence.  The caller frees. */
static char *
target_phrase(const Planner *planner)
{
	const RecoveryTarget *target = &planner->request->target;
	AUTO_FREE char *text = recovery_target_text(target);

	return target->kind >= TARGET_IMMEDIATE ? MOVE(text) : mem_printf("target %s", text);
}

void
explain_place(const WalPlace *place, Buf *into)
{
	char time[TIME_TEXT_SIZE];
	char lsn[LSN_TEXT_SIZE];

	if (place->time != TIME_NONE && place->lsn != InvalidXLogRecPtr)
		buf_printf(into, "%s (LSN %s)", time_format_postgres(place->time, time), lsn_format(place->lsn, lsn));
	else if (place->time != TIME_NONE)
		buf_puts(into, time_format_postgres(place->time, time));
	else if (place->lsn != InvalidXLogRecPtr)
		buf_printf(into, "LSN %s", lsn_format(place->lsn, lsn));
	else
		buf_puts(into, "an unknown place");
}

static void
append_end_of(const BackupRecord *backup, Buf *into)
{
	explain_place(&(WalPlace){.lsn = backup->stop_lsn, .time = backup->stop_time}, into);
}

Error *
explain_no_backups(const Planner *planner)
{
	Error *error = error_new(ERR_NOT_FOUND, "there is no backup of database system %" PRIu64 " in the store",
	                         planner->catalog->system_identifier);

	if (planner->catalog->damaged.count > 0)
		return error_hint(error, "There is something that cannot be read: %s.",
		                  planner->catalog->damaged.items[0]);
	if (planner->catalog->unfinished.count > 0)
		return error_hint(error, "Backup \"%s\" was begun, but never completed.",
		                  planner->catalog->unfinished.items[0]);
	return error_hint(error, "Take one with \"walship backup\".");
}

/* Names of one second are in no order. */
static const char *
newest_id(const Planner *planner)
{
	AUTO_FREE const BackupRecord **sorted = candidates_sorted(planner->catalog);

	return sorted[0]->id;
}

Error *
explain_unknown_backup(const Planner *planner)
{
	const Catalog *catalog = planner->catalog;
	const char *id = planner->request->backup_id;

	if (strlist_contains(&catalog->unfinished, id))
		return error_hint(error_new(ERR_NOT_FOUND, "backup \"%s\" was never completed", id),
		                  "The newest complete one is \"%s\".", newest_id(planner));
	for (size_t i = 0; i < catalog->damaged.count; i++)
		if (str_starts_with(catalog->damaged.items[i], id))
			return error_hint(error_new(ERR_NOT_FOUND, "record of backup %s", catalog->damaged.items[i]),
			                  "Choose another backup; \"walship list\" shows them.");
	return error_hint(error_new(ERR_NOT_FOUND, "backup \"%s\" does not exist", id),
	                  "The newest one is \"%s\"; \"walship list\" shows all.", newest_id(planner));
}

Error *
explain_unknown_timeline(const Planner *planner)
{
	AUTO_BUF(known, TEXT_MAX);

	for (size_t i = 0; i < planner->catalog->n_timelines; i++)
		buf_printf(&known, "%s%" PRIu32, i == 0 ? "" : ", ", planner->catalog->timelines[i].timeline);
	return error_hint(error_new(ERR_NOT_FOUND, "timeline %" PRIu32 " does not exist in the store",
	                            planner->request->timeline),
	                  "Known timelines: %s.", known.data);
}

Error *
explain_future(const Planner *planner)
{
	char target[TIME_TEXT_SIZE];
	char now[TIME_TEXT_SIZE];

	return error_hint(
		error_new(ERR_NOT_FOUND, "target time %s lies in the future",
	              time_format_postgres(planner->request->target.time, target)),
		"By this machine's clock it is %s. Is the time zone right? For the end of the WAL use --latest.",
		time_format_postgres(planner->request->now, now));
}

static void
append_reasons(const Candidate *candidate, Buf *into)
{
	for (size_t i = 0; i < candidate->n_rejected && i < REASONS_MAX; i++)
		buf_printf(into, " Backup %s %s%s.", candidate->rejected[i].id,
		           str_starts_with(candidate->rejected[i].reason, "WAL") ? "cannot be used: " : "",
		           candidate->rejected[i].reason);
	if (candidate->n_rejected > REASONS_MAX)
		buf_printf(into, " And %zu more.", candidate->n_rejected - REASONS_MAX);
}

/* The backup that was being taken at the target time, if there is one. */
static const BackupRecord *
backup_around(const Planner *planner)
{
	const RecoveryTarget *target = &planner->request->target;

	for (size_t i = 0; i < planner->catalog->n_backups && target->kind == TARGET_TIME; i++)
	{
		const BackupRecord *backup = planner->catalog->backups[i];

		if (backup->start_time <= target->time && backup->stop_time > target->time)
			return backup;
	}
	return NULL;
}

/* The oldest backup that any of these paths can begin from. */
static const BackupRecord *
oldest_usable(const Planner *planner, const Candidate *candidates, size_t n_candidates)
{
	const BackupRecord *oldest = NULL;

	for (size_t i = 0; i < n_candidates; i++)
	{
		const BackupRecord *backup = candidates_oldest(planner, candidates[i].path);

		if (backup != NULL && (oldest == NULL || backup->stop_lsn < oldest->stop_lsn))
			oldest = backup;
	}
	return oldest;
}

Error *
explain_no_backup(const Planner *planner, const Candidate *candidates, size_t n_candidates)
{
	AUTO_FREE char *target = target_phrase(planner);
	const BackupRecord *oldest = oldest_usable(planner, candidates, n_candidates);
	const BackupRecord *around = backup_around(planner);
	AUTO_BUF(hint, TEXT_MAX);

	if (oldest != NULL)
	{
		buf_puts(&hint, "The earliest place that can be recovered is the end of backup ");
		buf_printf(&hint, "%s: ", oldest->id);
		append_end_of(oldest, &hint);
		buf_puts(&hint, ".");
	}
	else
		buf_puts(&hint, "No backup can be used.");
	for (size_t i = 0; i < n_candidates && i < 1 + (oldest == NULL ? n_candidates : 0); i++)
		append_reasons(&candidates[i], &hint);

	Error *error = around != NULL && oldest != NULL
	                   ? error_new(ERR_NOT_FOUND, "%s lies inside backup %s, and no older one can be used",
	                               target, around->id)
	                   : error_new(ERR_NOT_FOUND, "no backup can be used that ended before %s", target);

	if (planner->request->target.kind >= TARGET_IMMEDIATE)
	{
		error_free(error);
		error = error_new(ERR_NOT_FOUND, "no backup can be recovered to %s", target);
	}
	return error_hint(error, "%s", hint.data);
}

static void
append_hole(const Planner *planner, const Hole *hole, Buf *into)
{
	uint32_t size = planner->catalog->segment_size;
	char first[WAL_NAME_SIZE];
	char last[WAL_NAME_SIZE];

	buf_printf(into, "WAL segment%s %s", hole->last > hole->first ? "s" : "",
	           wal_segment_name(hole->timeline, hole->first, size, first));
	if (hole->last > hole->first)
		buf_printf(into, " to %s", wal_segment_name(hole->timeline, hole->last, size, last));
	if (hole->minimal_at != InvalidXLogRecPtr)
	{
		char lsn[LSN_TEXT_SIZE];

		buf_printf(into, " was written with wal_level = minimal from %s on",
		           lsn_format(hole->minimal_at, lsn));
		return;
	}
	buf_puts(into, hole->damaged ? " is damaged" : hole->last > hole->first ? " are missing" : " is missing");
	if (hole->proof != NULL)
		buf_printf(into, ", and the timeline goes on behind it, for \"%s\" is there", hole->proof);
}

/* "It can be recovered up to ...": only what lies after the backup's end counts. */
static void
append_reach(const Planner *planner, const Candidate *candidate, Buf *into)
{
	WalPlace place = planner_reach(planner, candidate->path, candidate->target.last);
	char lsn[LSN_TEXT_SIZE];

	if (place.lsn == InvalidXLogRecPtr ||
	    (candidate->backup != NULL && place.lsn < candidate->backup->stop_lsn))
	{
		if (candidate->backup != NULL)
			buf_printf(into, "Recovery can go up to the end of backup %s: use --immediate --backup %s. ",
			           candidate->backup->id, candidate->backup->id);
		return;
	}
	buf_puts(into, "Recovery can go up to ");
	explain_place(&place, into);
	buf_printf(into, ": use --target-lsn %s. ", lsn_format(place.lsn, lsn));
}

Error *
explain_hole(const Planner *planner, const Candidate *candidate)
{
	AUTO_FREE char *target = target_phrase(planner);
	AUTO_BUF(what, TEXT_MAX);
	AUTO_BUF(hint, TEXT_MAX);

	append_hole(planner, &candidate->target.hole, &what);
	append_reach(planner, candidate, &hint);
	if (candidate->target.hole.minimal_at != InvalidXLogRecPtr)
		buf_puts(&hint,
		         "No backup from before it can be recovered to a place behind it, for the WAL does not hold "
		         "everything: take a new backup.");
	else if (candidate->target.hole.damaged)
		buf_puts(&hint, "A backup that was taken after the damaged WAL is not touched by it.");
	else
		buf_puts(&hint, "If a server still has the segment in its pg_wal, store it with \"walship push\"; "
		                "if it is just being uploaded, try again.");
	return error_hint(error_new(ERR_NOT_FOUND, "%s cannot be reached on timeline %" PRIu32 ": %s", target,
	                            candidate->path->timeline, what.data),
	                  "%s", hint.data);
}

Error *
explain_absent(const Planner *planner, const Candidate *candidates, size_t n_candidates)
{
	AUTO_FREE char *target = target_phrase(planner);
	AUTO_BUF(hint, TEXT_MAX);

	for (size_t i = 0; i < n_candidates; i++)
	{
		WalPlace place;
		XLogSegNo last;

		if (!wal_path_last(candidates[i].path, &last) || !branch_is_leaf(planner, candidates[i].path))
			continue;
		place = planner_reach(planner, candidates[i].path, last);
		buf_printf(&hint, "The last place on timeline %" PRIu32 " that can be reached is ",
		           candidates[i].path->timeline);
		explain_place(&place, &hint);
		buf_puts(&hint, ". ");
	}
	buf_puts(&hint, "Use --latest for the end of the WAL.");
	if (planner->request->target.kind == TARGET_LSN)
		return error_hint(error_new(ERR_NOT_FOUND, "no WAL record at or after %s is in the store", target),
		                  "%s", hint.data);
	return error_hint(
		error_new(ERR_NOT_FOUND, "%s is not in the WAL of the store after the oldest backup", target), "%s",
		hint.data);
}

/* Which of them does a server still write to? */
static void
append_age(const Planner *planner, const WalPath *path, Buf *into)
{
	TimeUs now = planner->request->now;
	XLogSegNo last;
	TimeUs time = wal_path_last(path, &last) ? planner_last_time(planner, path, last) : TIME_NONE;
	char age[SIZE_TEXT_SIZE];

	if (time != TIME_NONE && time <= now)
		buf_printf(into, " (its last commit is %s old)", duration_format((now - time) / 1000, age));
}

Error *
explain_branches(const Planner *planner, const Candidate *const *candidates, size_t n_candidates)
{
	AUTO_FREE char *target = target_phrase(planner);
	AUTO_BUF(hint, TEXT_MAX);

	/* The newest first: mostly it is the one that lives. */
	buf_puts(&hint, "Choose with --timeline, a number or latest:");
	for (size_t i = 0; i < n_candidates; i++)
	{
		const Candidate *candidate = candidates[n_candidates - 1 - i];
		WalPlace place = candidate->target.place;

		buf_printf(&hint, "%s timeline %" PRIu32, i == 0 ? "" : ";", candidate->path->timeline);
		if (candidate->kind == CANDIDATE_HOLE)
		{
			buf_puts(&hint, ", on which ");
			append_hole(planner, &candidate->target.hole, &hint);
			append_age(planner, candidate->path, &hint);
			continue;
		}
		if (candidate->kind == CANDIDATE_FOUND && place.lsn != InvalidXLogRecPtr)
			buf_puts(&hint,
			         planner->request->target.kind == TARGET_TIME ? ", stopping before " : ", stopping at ");
		else
		{
			place = planner_reach(planner, candidate->path, candidate->last);
			buf_puts(&hint, ", ending at ");
		}
		explain_place(&place, &hint);
		append_age(planner, candidate->path, &hint);
	}
	buf_puts(&hint, ".");
	return error_hint(error_new(ERR_NOT_FOUND, "%s lies on %zu timelines that differ", target, n_candidates),
	                  "%s", hint.data);
}

Error *
explain_names(const Planner *planner, const NamedPoints *points)
{
	AUTO_FREE char *target = target_phrase(planner);
	AUTO_BUF(hint, TEXT_MAX);

	buf_puts(&hint, "Choose one by --target-lsn and --timeline:");
	for (size_t i = 0; i < points->n_places; i++)
	{
		char lsn[LSN_TEXT_SIZE];
		char time[TIME_TEXT_SIZE];
		const WalPlace *place = &points->places[i];

		buf_printf(&hint, "%s LSN %s on timeline %" PRIu32, i == 0 ? "" : ";", lsn_format(place->lsn, lsn),
		           place->timeline);
		if (place->time != TIME_NONE)
			buf_printf(&hint, ", made at %s", time_format_postgres(place->time, time));
	}
	buf_puts(&hint, ".");
	return error_hint(error_new(ERR_NOT_FOUND, "%s exists %zu times", target, points->n_places), "%s",
	                  hint.data);
}

Error *
explain_standby(const Candidate *candidate, TimeLineID newest)
{
	return error_hint(
		error_new(ERR_NOT_FOUND,
	              "a standby from backup %s would follow timeline %" PRIu32 ", not timeline %" PRIu32,
	              candidate->backup->id, newest, candidate->path->timeline),
		"A standby follows the newest timeline whose history file is in the store. Take a new backup "
		"of the server that is to be followed.");
}

Error *
explain_orphan(const CatalogTimeline *timeline)
{
	return error_hint(error_new(ERR_NOT_FOUND,
	                            "timeline %" PRIu32 " has WAL in the store, but its history file is missing",
	                            timeline->timeline),
	                  "Nobody can tell where it begins. Store %08X.history from the pg_wal of a server with "
	                  "\"walship push\", or choose another timeline with --timeline.",
	                  timeline->timeline);
}

Error *
explain_damaged_history(const CatalogTimeline *timeline)
{
	return error_hint(
		error_new(ERR_CORRUPT, "the history of timeline %" PRIu32 " is not known: %s", timeline->timeline,
	              timeline->history_damage),
		"Which WAL leads to it, nobody can tell. Store %08" PRIX32
		".history anew from the pg_wal of a server that has it (remove the damaged object, then "
		"\"walship push\"), or choose another timeline with --timeline.",
		timeline->timeline);
}
