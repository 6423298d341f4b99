/*
 * Small worlds for the planner's tests, written as text, one fact per line:
 *
 *	tli 1: 1-9			segments 1 to 9 of timeline 1 are in the store
 *	tli 1: 11			... and segment 11
 *	fork 2 1@7.5		timeline 2 left timeline 1 in segment 7, after 5 of 16 parts
 *	partial 1@7			a partial segment
 *	label 1@7			a .backup file
 *	backup A 1@2.1-2.6 20-26	of these places, in these seconds; words after it: inside, pages, standby, gone
 *	commit 1@3.2 32 700	at this place, in this second, by this transaction
 *	commit 1@3.2 32 700 5.1	... in a record that ends there, two segments further on
 *	hidden 1@3.f 32 700 4.1	likewise, but the index of segment 3 cannot tell what it is
 *	buried 1@3.d 32 700 4.1	likewise, but so long that it keeps no piece of it, and counts a commit of nobody
 *	point 1@3.4 34 name	a restore point
 *	parameters 1@3.4 500 9	the server was restarted with so many connections and workers
 *	minimal 1@3.4		wal_level became minimal
 *	torn 1@3.4		full_page_writes was switched off
 *	continues 1@6		the last record of segment 6 ends in the next one
 *	long 1@6 8.2		the last record of segment 6 ends there
 *	givenup 1@6		the last record of segment 6 was given up: the server crashed
 *	damaged 1@6.8		the record there fails its check
 *	unreadable 1@6		the object itself is damaged
 *	payload 1@6		... though its index is not
 *	runs			indexes carry runs of time_high; without this word each tells of its segment only
 *	quiet			... and runs of quiet segments
 *	break 1@6		a new run begins with segment 6: the state directory was lost
 *	old 1@6			the writer of segment 6 knew no quiet runs
 *
 * Segments have 16 MB; a place S.P is part P (a hexadecimal digit) of segment S.
 * Second N is N seconds after 2026-11-20 00:00:00 UTC.
 */
#pragma once

#include <inttypes.h>

#include "scratch.h"
#include "walship/archive/wal_facts.h"
#include "walship/archive/wal_path.h"
#include "walship/plan/recover.h"
#include "walship/plan/windows.h"

#define WORLD_SYSTEM    UINT64_C(7300000000000000001)
#define WORLD_SEGMENT   (16u * 1024 * 1024)
#define WORLD_PART      (WORLD_SEGMENT / 16)
#define WORLD_EPOCH     INT64_C(1795132800000000) /* 2026-11-20 00:00:00 UTC */
#define WORLD_TIMELINES 8                         /* that can have quiet runs */
#define WORLD_SIZE      1000                      /* stored bytes of a segment */

#define SECOND(n)   (WORLD_EPOCH + INT64_C(1000000) * (n))
#define PLACE(s, p) ((XLogRecPtr) (s) *WORLD_SEGMENT + (XLogRecPtr) (p) *WORLD_PART)

typedef struct WorldEvent
{
	TimeLineID timeline;
	bool hidden;
	bool buried;
	char name[64];
	WalEvent event;
} WorldEvent;

typedef struct WorldFlaw
{
	TimeLineID timeline;
	char
		kind; /* 'c'ontinues, 'l'ong, 'g'ivenup, 'd'amaged, 'u'nreadable, 'f'oreign, 'p'ayload, 'b'reak of a run, 'o'ld */
	XLogRecPtr lsn;
	XLogRecPtr end; /* of a record that goes on */
} WorldFlaw;

typedef struct World
{
	Catalog catalog;
	WorldEvent events[512];
	size_t n_events;
	WorldFlaw flaws[256];
	size_t n_flaws;
	bool runs;
	bool quiet_runs;
	XLogSegNo *quiet_first[WORLD_TIMELINES]; /* of each segment of a timeline; NULL: not looked yet */
	bool parameter_changes;
	int rounds;  /* of requests side by side */
	int indexes; /* that were read */
	int records; /* segments whose records were */
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
	SegmentRun run = {.first = first,
	                  .last = last,
	                  .stored_size = (last - first + 1) * WORLD_SIZE,
	                  .sizes = NEW_ARRAY(uint32_t, last - first + 1)};

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
	record->unusable = strstr(line, "gone") != NULL;
	record->missing = record->unusable ? mem_strdup("base-0001.tar.br") : NULL;
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
	(void) snprintf(event->name, sizeof(event->name), "%s", name);
	event->event = (WalEvent){.kind = kind,
	                          .lsn = lsn,
	                          .end = lsn + 64,
	                          .previous = lsn - 64,
	                          .xid = xid,
	                          .time = SECOND(second),
	                          .name = kind == WAL_EVENT_RESTORE_POINT ? event->name : NULL};
}

static inline void
world_add_long_commit(World *world, unsigned timeline, XLogRecPtr lsn, unsigned second, TransactionId xid,
                      XLogRecPtr end, bool hidden)
{
	world_add_event(world, WAL_EVENT_COMMIT, timeline, lsn, second, xid, "");
	world->events[world->n_events - 1].event.end = end;
	world->events[world->n_events - 1].hidden = hidden;
}

static inline void
world_add_flaw(World *world, WorldFlaw flaw)
{
	assert_true(world->n_flaws < lengthof(world->flaws));
	world->flaws[world->n_flaws++] = flaw;
}

static inline void
world_add_parameters(World *world, unsigned timeline, XLogRecPtr lsn, int connections, int workers)
{
	world_add_event(world, WAL_EVENT_PARAMETER_CHANGE, timeline, lsn, 0, 0, "");
	world->parameter_changes = true;
	world->events[world->n_events - 1].event.parameters = (WalParameters){connections, workers, 10, 0, 64};
	world->events[world->n_events - 1].event.wal_level = 1;
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
	unsigned timeline, parent, first, last, last_part, part, second, xid;
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
	else if (sscanf(line, "commit %u@%u.%x %u %u %u.%x", &timeline, &first, &part, &second, &xid, &last,
	                &last_part) == 7)
		world_add_long_commit(world, timeline, PLACE(first, part), second, xid, PLACE(last, last_part),
		                      false);
	else if (sscanf(line, "hidden %u@%u.%x %u %u %u.%x", &timeline, &first, &part, &second, &xid, &last,
	                &last_part) == 7)
		world_add_long_commit(world, timeline, PLACE(first, part), second, xid, PLACE(last, last_part), true);
	else if (sscanf(line, "buried %u@%u.%x %u %u %u.%x", &timeline, &first, &part, &second, &xid, &last,
	                &last_part) == 7)
	{
		world_add_long_commit(world, timeline, PLACE(first, part), second, xid, PLACE(last, last_part), true);
		world->events[world->n_events - 1].buried = true;
	}
	else if (sscanf(line, "long %u@%u %u.%x", &timeline, &first, &last, &last_part) == 4)
		world_add_flaw(world, (WorldFlaw){timeline, 'l', PLACE(first, 0), PLACE(last, last_part)});
	else if (sscanf(line, "commit %u@%u.%x %u %u", &timeline, &first, &part, &second, &xid) == 5)
		world_add_event(world, WAL_EVENT_COMMIT, timeline, PLACE(first, part), second, xid, "");
	else if (sscanf(line, "point %u@%u.%x %u %63s", &timeline, &first, &part, &second, name) == 5)
		world_add_event(world, WAL_EVENT_RESTORE_POINT, timeline, PLACE(first, part), second, 0, name);
	else if (sscanf(line, "parameters %u@%u.%x %u %u", &timeline, &first, &part, &second, &xid) == 5)
		world_add_parameters(world, timeline, PLACE(first, part), (int) second, (int) xid);
	else if (sscanf(line, "minimal %u@%u.%x", &timeline, &first, &part) == 3)
	{
		world_add_parameters(world, timeline, PLACE(first, part), 100, 8);
		world->events[world->n_events - 1].event.wal_level = 0;
	}
	else if (sscanf(line, "torn %u@%u.%x", &timeline, &first, &part) == 3)
		world_add_event(world, WAL_EVENT_FULL_PAGE_WRITES, timeline, PLACE(first, part), 0, 0, "");
	else if (strcmp(line, "runs") == 0)
		world->runs = true;
	else if (strcmp(line, "quiet") == 0)
		world->quiet_runs = true;
	else
	{
		part = 0;
		assert_true(sscanf(line, "%15s %u@%u.%x", kind, &timeline, &first, &part) >= 3);
		assert_non_null(strchr("cdubpgfo", kind[0]));
		world_add_flaw(world, (WorldFlaw){timeline, kind[0], PLACE(first, part), PLACE(first + 1, 0) + 128});
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

	for (size_t i = 0; i < WORLD_TIMELINES; i++)
		free(world->quiet_first[i]);
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
		    ((flaw->kind == 'd' && at == segno) || (flaw->kind == 'b' && at == segno + 1) ||
		     (flaw->kind == 'f' && (at == segno || at == segno + 1))))
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

/* The record that goes on behind this segment's end, if there is one: where it starts and ends. */
static inline bool
world_open_record(World *world, TimeLineID number, XLogSegNo segno, bool *ret_matters, XLogRecPtr *ret_start,
                  XLogRecPtr *ret_end)
{
	*ret_matters = false;
	for (size_t i = 0; i < world->n_events; i++)
	{
		const WorldEvent *event = &world->events[i];

		if (event->event.end < PLACE(segno + 1, 0) + 64 ||
		    !world_event_is_in(world, event, number, event->event.lsn / WORLD_SEGMENT) ||
		    event->event.lsn / WORLD_SEGMENT > segno)
			continue;
		*ret_matters = !event->buried;
		*ret_start = event->event.lsn;
		*ret_end = event->event.end;
		return true;
	}
	for (size_t i = 0; i < world->n_flaws; i++)
	{
		const WorldFlaw *flaw = &world->flaws[i];

		if (flaw->timeline != number || strchr("clg", flaw->kind) == NULL ||
		    flaw->end <= PLACE(segno + 1, 0) || flaw->lsn / WORLD_SEGMENT > segno)
			continue;
		*ret_start = segment_start(flaw->lsn / WORLD_SEGMENT + 1, WORLD_SEGMENT) - 256;
		*ret_end = flaw->end;
		return flaw->kind != 'g' || flaw->lsn / WORLD_SEGMENT == segno;
	}
	return false;
}

static inline bool
world_has_flaw(const World *world, TimeLineID number, XLogSegNo segno, char kind)
{
	for (size_t i = 0; i < world->n_flaws; i++)
		if (world->flaws[i].kind == kind && world->flaws[i].timeline == number &&
		    world->flaws[i].lsn / WORLD_SEGMENT == segno)
			return true;
	return false;
}

/* What the segment itself tells. */
static inline void
world_describe_segment(World *world, TimeLineID number, XLogSegNo segno, WalIndex *index)
{
	XLogRecPtr start = segment_start(segno, WORLD_SEGMENT);
	XLogRecPtr open_start;
	XLogRecPtr open_end;
	bool matters;

	*index = (WalIndex){.timeline = number,
	                    .major = 15,
	                    .segment_size = WORLD_SEGMENT,
	                    .start_lsn = start,
	                    .end_lsn = start + WORLD_SEGMENT,
	                    .walked = true,
	                    .tells_changes = true,
	                    .first_time = TIME_NONE,
	                    .last_time = TIME_NONE,
	                    .min_time = TIME_NONE,
	                    .max_time = TIME_NONE,
	                    .time_high = TIME_NONE};
	index->walk = (WalWalkResult){.first_record = start + 0x28,
	                              .last_record = start + WORLD_SEGMENT - 256,
	                              .wal_end = start + WORLD_SEGMENT};
	if (segno > 0 && world_open_record(world, number, segno - 1, &matters, &open_start, &open_end) &&
	    !world_has_flaw(world, number, segno - 1, 'g'))
		index->walk.head.length = 64;
	if (world_open_record(world, number, segno, &matters, &open_start, &open_end))
	{
		index->walk.continues = true;
		index->walk.last_record = open_start >= start ? open_start : InvalidXLogRecPtr;
		index->walk.tail.length = matters && open_start >= start ? 16 : 0;
	}
	for (size_t i = 0; i < world->n_flaws; i++)
		if (world->flaws[i].timeline == number && world->flaws[i].lsn / WORLD_SEGMENT == segno &&
		    world->flaws[i].kind == 'd')
			index->walk.damaged_at = world->flaws[i].lsn;
	for (size_t i = 0; i < world->n_events; i++)
	{
		const WorldEvent *event = &world->events[i];

		WalEvent told = event->event;

		told.xid = event->buried ? 0 : told.xid;
		if (world_event_is_in(world, event, number, segno) && (!event->hidden || event->buried))
			wal_index_add_event(index, &told);
	}
	if (!world_has_flaw(world, number, segno, 'f'))
		return;
	wal_index_init(index);
	index->timeline = number;
	index->segment_size = WORLD_SEGMENT;
	index->start_lsn = start;
	index->end_lsn = start + WORLD_SEGMENT;
}

/* Where the run begins that ends with this segment; segno + 1: something happens in it. */
static inline XLogSegNo
world_quiet_first(World *world, TimeLineID number, XLogSegNo segno)
{
	const CatalogTimeline *timeline = world_timeline(world, number);
	XLogSegNo last = timeline->runs[timeline->n_runs - 1].last;

	assert_true(number < WORLD_TIMELINES);
	if (world->quiet_first[number] == NULL)
	{
		world->quiet_first[number] = NEW_ARRAY(XLogSegNo, last + 1);
		for (XLogSegNo at = 0; at <= last; at++)
		{
			XLogSegNo before = at == 0 ? 1 : world->quiet_first[number][at - 1];
			bool joins = at > 0 && before < at && !world_has_flaw(world, number, at, 'b');
			WalIndex index;

			world_describe_segment(world, number, at, &index);
			if (!catalog_has_segment(&world->catalog, number, at) || !wal_index_is_quiet(&index) ||
			    world_has_flaw(world, number, at, 'o'))
				world->quiet_first[number][at] = at + 1;
			else
				world->quiet_first[number][at] = joins ? before : at;
		}
	}
	return world->quiet_first[number][segno];
}

/* What push would have put into the index of this segment. */
static inline void
world_describe(World *world, TimeLineID number, XLogSegNo segno, WalIndex *index)
{
	world_describe_segment(world, number, segno, index);
	if (!index->walked)
		return;
	if (world->runs)
		world_describe_run(world, number, segno, index);
	if (world->quiet_runs && world_quiet_first(world, number, segno) <= segno)
		index->quiet_since = segment_start(world_quiet_first(world, number, segno), WORLD_SEGMENT);
}

static inline bool
world_is_unreadable(const World *world, TimeLineID number, XLogSegNo segno)
{
	return world_has_flaw(world, number, segno, 'u');
}

/* The world as a source of facts. */
typedef struct WorldSource
{
	WalSource source;
	World *world;
} WorldSource;

static inline Error *
world_read_indexes(WalSource *source, SegmentIndex *const *items, size_t n_items)
{
	World *world = ((WorldSource *) source)->world;

	world->rounds++;
	for (size_t i = 0; i < n_items; i++)
	{
		WalIndex index;

		assert_true(catalog_has_segment(&world->catalog, items[i]->timeline, items[i]->segno));
		world->indexes++;
		world_describe(world, items[i]->timeline, items[i]->segno, &index);
		if (!world_is_unreadable(world, items[i]->timeline, items[i]->segno))
			segment_index_fill(items[i], &index);
	}
	return NULL;
}

static inline void
world_read_segment(World *world, const WalPath *path, WalKinds kinds, SegmentRecords *records)
{
	const WalPathPiece *piece = wal_path_piece(path, records->segno);
	XLogRecPtr start = segment_start(records->segno, WORLD_SEGMENT);
	XLogRecPtr open_start;
	XLogRecPtr open_end;
	bool matters;

	assert_false(world_has_flaw(world, piece->timeline, records->segno, 'f'));
	records->readable = !world_is_unreadable(world, piece->timeline, records->segno) &&
	                    !world_has_flaw(world, piece->timeline, records->segno, 'p');
	for (size_t i = 0; records->readable && i < world->n_events; i++)
	{
		WalEvent event = world->events[i].event;

		if (!world_event_is_in(world, &world->events[i], piece->timeline, records->segno) ||
		    event.lsn >= piece->until)
			continue;
		if (wal_path_first_missing(path, records->segno) <= (event.end - 1) / WORLD_SEGMENT)
			event.end = InvalidXLogRecPtr;
		segment_records_add(records, kinds, &event);
	}
	records->last_start = start + WORLD_SEGMENT - 256;
	records->last_end = start + WORLD_SEGMENT;
	if (world_open_record(world, piece->timeline, records->segno, &matters, &open_start, &open_end))
	{
		records->last_start = open_start;
		records->last_end = open_end;
	}
	records->last_previous = records->last_start - 256;
	if (world_has_flaw(world, piece->timeline, records->segno, 'g'))
		*records = (SegmentRecords){.segno = records->segno,
		                            .readable = records->readable,
		                            .events = records->events,
		                            .n_events = records->n_events,
		                            .capacity = records->capacity,
		                            .last_start = records->last_previous,
		                            .last_end = records->last_start,
		                            .last_previous = records->last_previous - 256};
}

static inline Error *
world_read_records(WalSource *source, const WalPath *path, WalKinds kinds, SegmentRecords *items,
                   size_t n_items)
{
	World *world = ((WorldSource *) source)->world;

	for (size_t i = 0; i < n_items; i++)
		world_read_segment(world, path, kinds, &items[i]);
	world->records += (int) n_items;
	world->rounds++;
	return NULL;
}

static inline void
world_source_free(WalSource *source)
{
	free(source);
}

static inline WalFacts *
world_facts(World *world)
{
	static const WalSourceOps ops = {world_read_indexes, world_read_records, world_source_free};
	WorldSource *source = NEW(WorldSource);

	*source = (WorldSource){.source.ops = &ops, .world = world};
	return wal_facts_new(&source->source);
}

static inline Error *
world_plan(World *world, const RecoveryRequest *request, RecoveryPlan **ret_plan)
{
	AUTO(WalFacts) facts = world_facts(world);

	return plan_recover(&world->catalog, request, facts, ret_plan);
}
