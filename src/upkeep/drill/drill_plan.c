/* What a drill recovers, and where to; see walship/upkeep/drill.h. */
#include <inttypes.h>
#include <string.h>

#include "walship/archive/wal_reader.h"
#include "walship/base/mem.h"
#include "walship/plan/windows.h"
#include "walship/upkeep/drill.h"

static const BackupRecord *
find_backup(const Catalog *catalog, const char *id)
{
	for (size_t i = 0; id != NULL && i < catalog->n_backups; i++)
		if (strcmp(catalog->backups[i]->id, id) == 0)
			return catalog->backups[i];
	return NULL;
}

/* Does the way to that timeline pass the end of this backup, within the window? */
static bool
begins_in(const Catalog *catalog, TimeLineID timeline, const RecoveryWindow *window,
          const BackupRecord *backup)
{
	const CatalogTimeline *known = catalog_timeline(catalog, timeline);
	XLogRecPtr end;

	return known != NULL && timeline_history_end_of(known->history, backup->timeline, &end) &&
	       backup->stop_lsn <= end && backup->stop_lsn >= window->from_lsn &&
	       backup->stop_lsn <= window->to_lsn;
}

/*
 * The newest window of the request's timeline, or of the last one that has any, in
 * which the backup ends (NULL: any); NULL: there is none.
 */
static const RecoveryWindow *
newest_window(const Catalog *catalog, const WindowList *windows, const BackupRecord *backup,
              TimeLineID timeline, TimeLineID *ret_timeline)
{
	const RecoveryWindow *newest = NULL;

	for (size_t i = 0; i < windows->n_timelines; i++)
	{
		const TimelineWindows *of = &windows->timelines[i];

		for (size_t j = 0; j < of->n_windows; j++)
			if ((timeline == 0 || timeline == of->timeline) &&
			    (backup == NULL || begins_in(catalog, of->timeline, &of->windows[j], backup)))
			{
				newest = &of->windows[j];
				*ret_timeline = of->timeline;
			}
	}
	return newest;
}

/* Vigna: splitmix64. */
static uint64_t
mix(uint64_t seed)
{
	uint64_t mixed = seed + UINT64_C(0x9E3779B97F4A7C15);

	mixed = (mixed ^ (mixed >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
	mixed = (mixed ^ (mixed >> 27)) * UINT64_C(0x94D049BB133111EB);
	return mixed ^ (mixed >> 31);
}

/* Up to the last segment, in which a record begins: from any place before there is one to stop at. */
static XLogRecPtr
place_in(const RecoveryWindow *window, const BackupRecord *backup, uint32_t segment_size, uint64_t seed)
{
	XLogRecPtr from = backup == NULL ? window->from_lsn : backup->stop_lsn;
	XLogRecPtr last = segment_start(lsn_segment_before(window->to_lsn, segment_size), segment_size);
	uint64_t span = last > from ? last - from : 1;

	return from + mix(seed) % span;
}

static Error *
no_target(const Recovery *recovery)
{
	AUTO_FREE char *on = recovery->request.timeline == 0
	                         ? mem_strdup("")
	                         : mem_printf(" on timeline %u", recovery->request.timeline);

	return error_hint(
		error_new(ERR_NOT_FOUND, "nothing can be recovered%s from store \"%s\"", on,
	              store_url(recovery->store)),
		"\"walship list\" shows what is there and why it is not enough; \"walship backup\" takes a base backup.");
}

Error *
drill_choose_target(Recovery *recovery, uint64_t seed)
{
	AUTO(WalFacts) facts =
		wal_reader_facts(recovery->store, recovery->catalog, recovery->identities, recovery->jobs);
	RecoveryRequest *request = &recovery->request;
	WindowList windows = {0};
	Error *error = plan_windows(recovery->catalog, facts, &windows);
	const BackupRecord *backup = find_backup(recovery->catalog, request->backup_id);
	const RecoveryWindow *window = error == NULL ? newest_window(recovery->catalog, &windows, backup,
	                                                             request->timeline, &request->timeline)
	                                             : NULL;

	if (window != NULL)
		request->target =
			(RecoveryTarget){.kind = TARGET_LSN,
		                     .inclusive = true,
		                     .lsn = place_in(window, backup, recovery->catalog->segment_size, seed)};
	window_list_release(&windows);
	TRY(error);
	recovery->unreachable = window == NULL;
	return window == NULL ? no_target(recovery) : NULL;
}

Error *
drill_choose_backup(Recovery *recovery, const char *which, uint64_t seed)
{
	const Catalog *catalog = recovery->catalog;
	size_t index = 0;

	if (str_equal(which, "newest"))
		index = catalog->n_backups - 1;
	else if (str_equal(which, "random"))
		index = catalog->n_backups == 0 ? 0 : (size_t) (mix(~seed) % catalog->n_backups);
	else if (!str_equal(which, "oldest"))
		return NULL;
	recovery->unreachable = catalog->n_backups == 0;
	if (recovery->unreachable)
		return no_target(recovery);
	recovery->request.backup_id = catalog->backups[index]->id;
	return NULL;
}

Error *
drill_plan(Recovery *recovery, const char *directory)
{
	AUTO_STRLIST paths = {0};

	TRY(recovery_make_plan(recovery));
	for (size_t i = 0; i < recovery->directories.count; i++)
		if (!strlist_contains(&paths, recovery->directories.items[i]))
			strlist_add(&paths, recovery->directories.items[i]);
	if (directory == NULL || paths.count == 0)
		return NULL;

	Recovery mapped = {.store = recovery->store,
	                   .catalog = recovery->catalog,
	                   .identities = recovery->identities,
	                   .request = recovery->request,
	                   .pgdata = mem_strdup(recovery->pgdata),
	                   .program = recovery->program,
	                   .flags = recovery->flags,
	                   .primary_conninfo = "",
	                   .primary_slot_name = "",
	                   .jobs = recovery->jobs};

	for (size_t i = 0; i < recovery->plan->backup->n_tablespaces; i++)
	{
		AUTO_FREE char *to =
			mem_printf("%s/tablespaces/%" PRIu32, directory, recovery->plan->backup->tablespaces[i].oid);

		if (recovery->plan->backup->tablespaces[i].path[0] == '/')
			tablespace_mappings_add(&mapped.mappings, recovery->plan->backup->tablespaces[i].path, to);
	}
	for (size_t i = 0; i < recovery->n_created; i++)
	{
		AUTO_FREE char *to = mem_printf("%s/tablespaces/%" PRIu32, directory, recovery->created[i].oid);

		if (tablespace_mappings_find(&mapped.mappings, recovery->created[i].path) == NULL)
			tablespace_mappings_add(&mapped.mappings, recovery->created[i].path, to);
	}
	recovery_release(recovery);
	*recovery = mapped;
	return recovery_make_plan(recovery);
}
