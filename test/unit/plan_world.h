/*
 * Small worlds for the planner's tests, written as text, one fact per line:
 *
 *	tli 1: 1-9			segments 1 to 9 of timeline 1 are in the store
 *	tli 1: 11			... and segment 11
 *	fork 2 1@7.5		timeline 2 left timeline 1 in segment 7, after 5 of 16 parts
 *	partial 1@7			a partial segment
 *	label 1@7			a .backup file
 *	backup A 1@2.1-2.6 20-26	of these places, in these seconds; words after it: inside, pages, standby
 *	commit 1@3.2 32 700	at this place, in this second, by this transaction
 *	point 1@3.4 34 name	a restore point
 *	parameters 1@3.4 500 9	the server was restarted with so many connections and workers (0: in the next segment)
 *	continues 1@6		the last record of segment 6 ends in the next one
 *	damaged 1@6.8		the record there fails its check
 *	unreadable 1@6		the object itself is damaged
 *	runs			indexes carry runs of time_high; without this word each tells of its segment only
 *	break 1@6		a new run begins with segment 6: the state directory was lost
 *
 * Segments have 16 MB; a place S.P is part P (a hexadecimal digit) of segment S.
 * Second N is N seconds after 2026-11-20 00:00:00 UTC.
 */
#pragma once

#include <inttypes.h>

#include "scratch.h"
#include "walship/plan/recover.h"
#include "walship/plan/windows.h"

#define WORLD_SYSTEM  UINT64_C(7300000000000000001)
#define WORLD_SEGMENT (16u * 1024 * 1024)
#define WORLD_PART    (WORLD_SEGMENT / 16)
#define WORLD_EPOCH   INT64_C(1795132800000000) /* 2026-11-20 00:00:00 UTC */
#define WORLD_SIZE    1000                      /* stored bytes of a segment */

#define SECOND(n)   (WORLD_EPOCH + INT64_C(1000000) * (n))
#define PLACE(s, p) ((XLogRecPtr) (s) *WORLD_SEGMENT + (XLogRecPtr) (p) *WORLD_PART)

typedef struct WorldEvent
{
	TimeLineID timeline;
	WalEvent event;
} WorldEvent;

typedef struct WorldFlaw
{
	TimeLineID timeline;
	char kind; /* 'c'ontinues, 'd'amaged, 'u'nreadable, 'b'reak of a run */
	XLogRecPtr lsn;
} WorldFlaw;

typedef struct World
{
	Catalog catalog;
	WorldEvent events[512];
	size_t n_events;
	WorldFlaw flaws[16];
	size_t n_flaws;
	bool runs;
	bool parameter_changes;
	int rounds;  /* calls of the planner */
	int indexes; /* that were read */
	int details;
} World;

static inline CatalogTimeline *
world_timeline(World *world, TimeLineID number)
{
	Catalog *catalog = &world->catalog;

	for (size_t i = 0; i < catalog->n_timelines; i++)
		if (catalog->timelines[i].timeline == number)
			return &catalog->timelines[i];
	catalog->timelines =
		mem_realloc(catalog->timelines, (catalog->n_timelines + 1) * sizeof(CatalogTimeline));
	catalog->timelines[catalog->n_timelines] =
		(CatalogTimeline){.timeline = number, .history = timeline_history_root(number)};
	return &catalog->timelines[catalog->n_timelines++];
}

static inline void
world_add_run(World *world, TimeLineID number, XLogSegNo first, XLogSegNo last)
{
	CatalogTimeline *timeline = world_timeline(world, number);
	SegmentRun run = {first, last, (last - first + 1) * WORLD_SIZE, NEW_ARRAY(uint32_t, last - first + 1)};

	for (XLogSegNo i = 0; i <= last - first; i++)
		run.sizes[i] = WORLD_SIZE;
	timeline->runs = mem_realloc(timeline->runs, (timeline->n_runs + 1) * sizeof(run));
	timeline->runs[timeline->n_runs++] = run;
}

/* The new timeline's history is its parent's, cut where the new one begins, and one line more. */
static inline void
world_fork(World *world, TimeLineID number, TimeLineID parent, XLogRecPtr lsn)
{
	AUTO_BUF(text, 4096);
	char lsn_text[LSN_TEXT_SIZE];
	const TimelineHistory *above = world_timeline(world, parent)->history;
	CatalogTimeline *timeline = world_timeline(world, number);

	for (size_t i = 0; i < above->n_ancestors; i++)
		buf_printf(&text, "%u\t%s\tx\n", above->ancestors[i].timeline,
		           lsn_format(above->ancestors[i].switch_lsn, lsn_text));
	buf_printf(&text, "%u\t%s\tx\n", parent, lsn_format(lsn, lsn_text));
	timeline_history_free(timeline->history);
	assert_ok(timeline_history_parse(number, text.data, text.size, "history", &timeline->history));
	timeline->has_history_file = true;
}

static inline void
world_add_backup(World *world, const char *line)
{
	BackupRecord *record = backup_record_new();
	char id[32];
	unsigned timeline, start, start_part, stop, stop_part, from, to;

	assert_int_equal(sscanf(line, "backup %31s %u@%u.%x-%u.%x %u-%u", id, &timeline, &start, &start_part,
	                        &stop, &stop_part, &from, &to),
	                 8);
	record->id = mem_strdup(id);
	record->system_identifier = WORLD_SYSTEM;
	record->server_version = 150020;
	record->segment_size = WORLD_SEGMENT;
	record->timeline = timeline;
	record->start_lsn = PLACE(start, start_part);
	record->stop_lsn = PLACE(stop, stop_part);
	record->start_time = SECOND(from);
	record->stop_time = SECOND(to);
	record->parameters = (BackupParameters){100, 8, 10, 0, 64};
	record->wal_inside = strstr(line, "inside") != NULL;
	record->page_errors = strstr(line, "pages") != NULL;
	record->from_standby = strstr(line, "standby") != NULL;
	world->catalog.backups =
		mem_realloc(world->catalog.backups, (world->catalog.n_backups + 1) * sizeof(BackupRecord *));
	world->catalog.backups[world->catalog.n_backups++] = record;
	(void) world_timeline(world, timeline);
}

static inline void
world_add_event(World *world, WalEventKind kind, unsigned timeline, XLogRecPtr lsn, unsigned second,
                TransactionId xid, const char *name)
{
	WorldEvent *event = &world->events[world->n_events++];

	assert_true(world->n_events <= lengthof(world->events));
	event->timeline = timeline;
	event->event = (WalEvent){.kind = kind, .lsn = lsn, .end = lsn + 64, .xid = xid, .time = SECOND(second)};
	(void) snprintf(event->event.restore_point, sizeof(event->event.restore_point), "%s", name);
}

static inline void
world_add_parameters(World *world, unsigned timeline, XLogRecPtr lsn, int connections, int workers)
{
	world_add_event(world, WAL_EVENT_PARAMETER_CHANGE, timeline, lsn, 0, 0, "");
	world->parameter_changes = true;
	world->events[world->n_events - 1].event.parameters =
		(WalParameters){connections, workers, connections == 0 ? 0 : 10, 0, connections == 0 ? 0 : 64};
}

static inline void
world_add_file(CatalogFile **files, size_t *n_files, XLogSegNo segno, const char *key)
{
	*files = mem_realloc(*files, (*n_files + 1) * sizeof(CatalogFile));
	(*files)[(*n_files)++] = (CatalogFile){segno, mem_strdup(key), WORLD_SIZE};
}

static inline void
world_add_partial(World *world, TimeLineID number, XLogSegNo segno)
{
	CatalogTimeline *timeline = world_timeline(world, number);

	world_add_file(&timeline->partials, &timeline->n_partials, segno, "key.partial");
}

static inline void
world_add_label(World *world, TimeLineID number, XLogSegNo segno)
{
	CatalogTimeline *timeline = world_timeline(world, number);

	world_add_file(&timeline->backup_files, &timeline->n_backup_files, segno, "key.backup");
}

static inline void
world_add_line(World *world, const char *line)
{
	unsigned timeline, parent, first, last, part, second, xid;
	char name[64];
	char kind[16];

	if (sscanf(line, "tli %u: %u-%u", &timeline, &first, &last) == 3)
		world_add_run(world, timeline, first, last);
	else if (sscanf(line, "tli %u: %u", &timeline, &first) == 2)
		world_add_run(world, timeline, first, first);
	else if (sscanf(line, "fork %u %u@%u.%x", &timeline, &parent, &first, &part) == 4)
		world_fork(world, timeline, parent, PLACE(first, part));
	else if (sscanf(line, "partial %u@%u", &timeline, &first) == 2)
		world_add_partial(world, timeline, first);
	else if (sscanf(line, "label %u@%u", &timeline, &first) == 2)
		world_add_label(world, timeline, first);
	else if (strncmp(line, "backup ", 7) == 0)
		world_add_backup(world, line);
	else if (sscanf(line, "commit %u@%u.%x %u %u", &timeline, &first, &part, &second, &xid) == 5)
		world_add_event(world, WAL_EVENT_COMMIT, timeline, PLACE(first, part), second, xid, "");
	else if (sscanf(line, "point %u@%u.%x %u %63s", &timeline, &first, &part, &second, name) == 5)
		world_add_event(world, WAL_EVENT_RESTORE_POINT, timeline, PLACE(first, part), second, 0, name);
	else if (sscanf(line, "parameters %u@%u.%x %u %u", &timeline, &first, &part, &second, &xid) == 5)
		world_add_parameters(world, timeline, PLACE(first, part), (int) second, (int) xid);
	else if (strcmp(line, "runs") == 0)
		world->runs = true;
	else
	{
		part = 0;
		assert_true(sscanf(line, "%15s %u@%u.%x", kind, &timeline, &first, &part) >= 3);
		assert_non_null(strchr("cdub", kind[0]));
		assert_true(world->n_flaws < lengthof(world->flaws));
		world->flaws[world->n_flaws++] = (WorldFlaw){timeline, kind[0], PLACE(first, part)};
	}
}

static inline World *
world_new(const char *text)
{
	World *world = NEW(World);
	AUTO_FREE char *copy = mem_strdup(text);
	char *rest = NULL;

	world->catalog.system_identifier = WORLD_SYSTEM;
	world->catalog.segment_size = WORLD_SEGMENT;
	for (char *line = strtok_r(copy, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest))
		world_add_line(world, line);
	return world;
}

static inline void
world_free(World *world)
{
	Catalog *catalog = NEW(Catalog);

	*catalog = world->catalog;
	catalog_free(catalog);
	free(world);
}
AUTO_DEFINE(World, world_free);

static inline bool
world_event_is_in(World *world, const WorldEvent *event, TimeLineID number, XLogSegNo segno)
{
	const TimelineHistory *history = world_timeline(world, number)->history;

	return event->event.lsn / WORLD_SEGMENT == segno &&
	       (event->timeline == number || timeline_history_at(history, event->event.lsn) == event->timeline);
}

/* Does a run go on from this segment into the next? */
static inline bool
world_run_goes_on(World *world, TimeLineID number, XLogSegNo segno)
{
	if (!catalog_has_segment(&world->catalog, number, segno))
		return false;
	for (size_t i = 0; i < world->n_flaws; i++)
	{
		const WorldFlaw *flaw = &world->flaws[i];
		XLogSegNo at = flaw->lsn / WORLD_SEGMENT;

		if (flaw->timeline == number &&
		    ((flaw->kind == 'd' && at == segno) || (flaw->kind == 'b' && at == segno + 1)))
			return false;
	}
	for (size_t i = 0; i < world->n_events && world->parameter_changes; i++)
		if (world->events[i].event.kind == WAL_EVENT_PARAMETER_CHANGE &&
		    world_event_is_in(world, &world->events[i], number, segno))
			return false;
	return true;
}

static inline void
world_describe_run(World *world, TimeLineID number, XLogSegNo segno, WalIndex *index)
{
	XLogSegNo first = segno;

	while (first > 0 && world_run_goes_on(world, number, first - 1))
		first--;
	index->time_high_since = segment_start(first, WORLD_SEGMENT);
	for (size_t i = 0; i < world->n_events; i++)
	{
		const WorldEvent *event = &world->events[i];
		XLogSegNo at = event->event.lsn / WORLD_SEGMENT;

		if (event->event.kind == WAL_EVENT_COMMIT && at >= first && at <= segno &&
		    event->event.time > index->time_high && world_event_is_in(world, event, number, at))
			index->time_high = event->event.time;
	}
}

/* What push would have put into the index of this segment; "detail" gets the events, too. */
static inline void
world_describe(World *world, TimeLineID number, XLogSegNo segno, WalIndex *index, SegmentDetail *detail)
{
	XLogRecPtr start = segment_start(segno, WORLD_SEGMENT);

	*index = (WalIndex){.timeline = number,
	                    .segment_size = WORLD_SEGMENT,
	                    .start_lsn = start,
	                    .end_lsn = start + WORLD_SEGMENT,
	                    .walked = true,
	                    .first_time = TIME_NONE,
	                    .last_time = TIME_NONE,
	                    .min_time = TIME_NONE,
	                    .max_time = TIME_NONE,
	                    .time_high = TIME_NONE};
	index->walk = (WalWalkResult){.first_record = start + 0x28,
	                              .last_record = start + WORLD_SEGMENT - 256,
	                              .wal_end = start + WORLD_SEGMENT};
	detail->last_complete = index->walk.last_record;
	for (size_t i = 0; i < world->n_flaws; i++)
	{
		const WorldFlaw *flaw = &world->flaws[i];

		if (flaw->timeline != number || flaw->lsn / WORLD_SEGMENT != segno)
			continue;
		index->walk.continues = flaw->kind == 'c';
		if (flaw->kind == 'c')
			detail->last_complete = index->walk.last_record - 256;
		if (flaw->kind == 'd')
			index->walk.damaged_at = flaw->lsn;
	}
	for (size_t i = 0; i < world->n_events; i++)
	{
		const WorldEvent *event = &world->events[i];
		WalEvent before = {.kind = WAL_EVENT_OTHER,
		                   .lsn = event->event.lsn - 64,
		                   .end = event->event.lsn,
		                   .time = TIME_NONE};

		if (!world_event_is_in(world, event, number, segno))
			continue;
		wal_index_add_event(index, &event->event);
		segment_detail_add(detail, &before);
		segment_detail_add(detail, &event->event);
	}
	if (world->runs)
		world_describe_run(world, number, segno, index);
	if (detail->last_complete < index->walk.last_record - 256)
		detail->last_complete = index->walk.last_record - (index->walk.continues ? 256 : 0);
}

static inline bool
world_is_unreadable(const World *world, TimeLineID number, XLogSegNo segno)
{
	for (size_t i = 0; i < world->n_flaws; i++)
		if (world->flaws[i].kind == 'u' && world->flaws[i].timeline == number &&
		    world->flaws[i].lsn / WORLD_SEGMENT == segno)
			return true;
	return false;
}

static inline void
world_tell(World *world, const WalNeeds *needs, WalFacts *facts)
{
	const WalRange *lists[] = {needs->indexes, needs->details};
	size_t counts[] = {needs->n_indexes, needs->n_details};

	world->rounds++;
	assert_true(world->rounds < 100);
	for (int kind = 0; kind < 2; kind++)
		for (size_t i = 0; i < counts[kind]; i++)
			for (XLogSegNo segno = lists[kind][i].first; segno <= lists[kind][i].last; segno++)
			{
				TimeLineID timeline = lists[kind][i].timeline;
				AUTO(SegmentDetail) detail = segment_detail_new();
				WalIndex index;

				assert_true(catalog_has_segment(&world->catalog, timeline, segno));
				world_describe(world, timeline, segno, &index, detail);
				if (world_is_unreadable(world, timeline, segno))
					wal_facts_add_unreadable(facts, timeline, segno);
				else if (kind == 0)
					wal_facts_add(facts, segno, &index);
				else
					wal_facts_add_detail(facts, timeline, segno, MOVE(detail));
				world->indexes += kind == 0;
				world->details += kind == 1;
			}
}

static inline Error *
world_plan(World *world, const RecoveryRequest *request, RecoveryPlan **ret_plan)
{
	WalFacts facts = {0};
	WalNeeds needs = {0};
	Error *error;

	for (;;)
	{
		error = plan_recover(&world->catalog, request, &facts, &needs, ret_plan);
		if (error != NULL || wal_needs_nothing(&needs))
			break;
		world_tell(world, &needs, &facts);
	}
	wal_facts_release(&facts);
	wal_needs_release(&needs);
	return error;
}
