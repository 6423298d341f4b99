/* Facts of a status: the WAL in the store, and what can be recovered with it. */
#include "status_steps.h"
#include "walship/archive/layout.h"
#include "walship/archive/wal_reader.h"
#include "walship/base/mem.h"
#include "walship/plan/recover.h"
#include "walship/plan/windows.h"

static Error *
keep_modified(void *modified, const StoreEntry *entry)
{
	*(TimeUs *) modified = entry->modified;
	return NULL;
}

/* From the listing; TIME_NONE when it has no such object. */
Error *
status_find_modified(Store *store, const char *key, TimeUs *ret_modified)
{
	*ret_modified = TIME_NONE;
	return store_list(store, key, LIST_LEVEL, NULL, keep_modified, ret_modified);
}

static Error *
find_behind_gap(Store *store, uint64_t system, const CatalogTimeline *live, const WalRange *gap,
                uint32_t segment_size, TimeUs *ret_came)
{
	TimeLineID timelines[] = {gap->timeline, live->timeline};

	*ret_came = TIME_NONE;
	for (size_t i = 0; i < lengthof(timelines) && *ret_came == TIME_NONE; i++)
	{
		WalName name = wal_name_of_segment(timelines[i], gap->last + 1, segment_size);
		AUTO_FREE char *key = layout_wal_key(system, &name, NULL);

		TRY(status_find_modified(store, key, ret_came));
	}
	return NULL;
}

static Error *
note_gap(StatusFacts *facts, Store *store, const CatalogTimeline *live, const WalRange *gap,
         const RecoveryWindow *window, uint32_t segment_size)
{
	char first[WAL_NAME_SIZE];
	char last[WAL_NAME_SIZE];
	bool open = window == NULL || segment_start(gap->last + 1, segment_size) > window->newest->start_lsn;

	facts->window.gaps_open += open;
	facts->window.gaps += !open;
	free(facts->window.gap);
	facts->window.gap = mem_printf(
		"%s%s%s", wal_segment_name(gap->timeline, gap->first, segment_size, first),
		gap->last == gap->first ? "" : " to ",
		gap->last == gap->first ? "" : wal_segment_name(gap->timeline, gap->last, segment_size, last));
	return find_behind_gap(store, facts->system_identifier, live, gap, segment_size, &facts->window.gap_came);
}

static Error *
describe_window(StatusFacts *facts, Store *store, const Catalog *catalog, const CatalogTimeline *live,
                const TimelineWindows *windows)
{
	StatusWindow *window = &facts->window;
	const RecoveryWindow *last = windows->n_windows == 0 ? NULL : &windows->windows[windows->n_windows - 1];

	for (size_t i = 0; i < windows->n_gaps; i++)
		TRY(note_gap(facts, store, live, &windows->gaps[i], last, catalog->segment_size));
	if (last == NULL)
		return NULL;
	window->exists = true;
	window->from = last->from_time;
	window->to = last->to_time;
	window->to_lsn = last->to_lsn;
	if (last->to_lsn > last->newest->start_lsn)
		window->replay_ms = replay_estimate_ms(last->to_lsn - last->newest->start_lsn);

	/* The end of a segment that was switched early is not WAL: the segment in which the window ends is what counts. */
	window->ends_early =
		live->n_runs > 0 && window->gaps_open == 0 && window->to_lsn > 0 &&
		lsn_segment(window->to_lsn - 1, catalog->segment_size) < live->runs[live->n_runs - 1].last;
	return NULL;
}

static void
describe_wal(StatusWal *wal, const Catalog *catalog, const CatalogTimeline *live)
{
	for (size_t i = 0; i < catalog->n_timelines; i++)
		for (size_t j = 0; j < catalog->timelines[i].n_runs; j++)
			wal->size += catalog->timelines[i].runs[j].stored_size;
	wal->timeline = live->timeline;
	wal->came = live->last_modified == 0 ? TIME_NONE : live->last_modified;
	if (live->n_runs == 0)
		return;
	(void) wal_segment_name(live->timeline, live->runs[live->n_runs - 1].last, catalog->segment_size,
	                        wal->last);
	wal->end = segment_start(live->runs[live->n_runs - 1].last + 1, catalog->segment_size);
}

/* The server was asked first: what it had archived then must be there now. */
static bool
lost_what_was_archived(const StatusServer *server, const Catalog *catalog)
{
	WalName name;
	XLogSegNo segno;
	AUTO(Error) error = server->asked && server->error == NULL
	                        ? wal_name_parse(server->archiving.last_archived, &name)
	                        : error_new(ERR_NOT_FOUND, "nothing");

	if (error != NULL || name.kind != WAL_SEGMENT)
		return false;

	const CatalogTimeline *timeline = catalog_timeline(catalog, name.timeline);

	if (timeline == NULL || timeline->n_runs == 0 || catalog->segment_size == 0)
		return true;
	return wal_name_segno(&name, catalog->segment_size, &segno) &&
	       segno > timeline->runs[timeline->n_runs - 1].last;
}

Error *
status_describe_recoverable(StatusFacts *facts, Store *store, const Catalog *catalog, int jobs)
{
	AUTO(WalFacts) wal_facts = wal_reader_facts(store, catalog, NULL, jobs);
	WindowList windows = {0};
	Error *error = plan_windows(catalog, wal_facts, &windows);
	size_t live = error != NULL ? 0 : plan_live_timeline(catalog, &windows);

	if (error == NULL)
		status_draw_windows(&facts->picture, catalog, &windows);
	if (error == NULL && live < catalog->n_timelines)
	{
		describe_wal(&facts->wal, catalog, &catalog->timelines[live]);
		error = describe_window(facts, store, catalog, &catalog->timelines[live], &windows.timelines[live]);
	}
	facts->wal.archived_lost = error == NULL && lost_what_was_archived(&facts->server, catalog);
	window_list_release(&windows);
	return error;
}
