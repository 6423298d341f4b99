/* See search_path.h. */
#include "search_path.h"

#include <stdarg.h>
#include <string.h>

#include "walship/base/mem.h"
#include "written.h"

/*
 * Transactions that began so many segments before the ones that are looked
 * through are still seen whole: to tell a drop from a rewrite, what they did before counts.
 */
#define BEFORE_MAX 64

/* For what a transaction wrote before its commit's segment fewer do: whoever wrote much is seen all the same. */
#define BEFORE_COMMIT_MAX 16

/* So many segments are read before what they hold is taken, for each of the threads. */
#define SEGMENTS_PER_JOB 2

/* So many segments, in which nothing happened, are passed over rather than looked at. */
#define QUIET_MIN 256

/* Whose records are read, ascending. */
typedef struct Wanted
{
	XLogSegNo *segnos; /* owned */
	size_t count;
	size_t capacity;
} Wanted;

void
search_warn(const Search *search, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	AUTO_FREE char *text = mem_vprintf(format, arguments);
	va_end(arguments);
	if (!strlist_contains(&search->findings->warnings, text))
		strlist_add(&search->findings->warnings, text);
}

static bool
looks_for_drops(const Search *search)
{
	return search->request->kind <= SEARCH_DROPS_AND_REWRITES;
}

static bool
is_in_range(const SearchRequest *request, TimeUs time)
{
	if (time == TIME_NONE)
		return true;
	return (request->since == TIME_NONE || time >= request->since) &&
	       (request->until == TIME_NONE || time <= request->until);
}

/* ---- indexes ---- */

/* Are all commits and aborts of the segment out of range? */
static bool
is_out_of_range(const SearchRequest *request, const SegmentIndex *segment)
{
	if (segment->max_time == TIME_NONE)
		return false;
	return (request->since != TIME_NONE && segment->max_time < request->since) ||
	       (request->until != TIME_NONE && segment->min_time > request->until);
}

static bool
has_something(const Search *search, const SegmentIndex *segment)
{
	if (segment->crosses)
		return true;
	switch (search->request->kind)
	{
		case SEARCH_DROPS:
		case SEARCH_REWRITES:
		case SEARCH_DROPS_AND_REWRITES:
			return segment->drops > 0 || segment->files_created > 0;
		case SEARCH_COMMITS:
			return segment->commits > 0;
		case SEARCH_RESTORE_POINTS:
			return segment->n_restore_points > 0;
	}
	return false;
}

/* Is everything from here down to the chain's beginning too old?  Its last index tells. */
static bool
is_quiet_chain(const Search *search, const SegmentIndex *segment)
{
	TimeUs since = search->request->since;

	return since != TIME_NONE && search->request->kind != SEARCH_RESTORE_POINTS && segment->readable &&
	       (segment->time_high == TIME_NONE || segment->time_high < since);
}

/*
 * Where the search goes on below this segment: what nothing happened in is passed over.
 * Short runs are not: there it reads one index after the other, more and more of them at once.
 */
static XLogSegNo
below(const Search *search, const SegmentIndex *segment, XLogSegNo lowest)
{
	XLogSegNo quiet = segment_index_quiet_from(segment, lowest);

	if (is_quiet_chain(search, segment) && segment->chain_first < segment->segno)
		return segment->chain_first;
	return segment->segno - quiet < QUIET_MIN ? segment->segno : quiet;
}

static void
warn_of_damage(const Search *search, const SegmentIndex *segment)
{
	char name[WAL_NAME_SIZE];

	(void) wal_segment_name(segment->timeline, segment->segno, search->catalog->segment_size, name);
	if (segment->foreign)
		return;
	if (!segment->readable)
		search_warn(search, "WAL segment %s cannot be read: what happened in it is not listed.", name);
	else if (segment->damaged)
		search_warn(search, "A record in WAL segment %s is damaged: what comes after it is not listed.",
		            name);
}

/* Those one after the other, down to "segno", of a timeline: "count" is taken back to 0. */
static void
warn_of_foreign(const Search *search, TimeLineID timeline, XLogSegNo segno, uint64_t *count)
{
	uint32_t size = search->catalog->segment_size;
	char first[WAL_NAME_SIZE];
	char last[WAL_NAME_SIZE];

	if (*count > 0)
		search_warn(
			search,
			"WAL segments %s to %s are of a PostgreSQL that this walship does not know: what happened in "
			"them is not listed.",
			wal_segment_name(timeline, segno, size, first),
			wal_segment_name(timeline, segno + *count - 1, size, last));
	*count = 0;
}

static void
want(Wanted *wanted, XLogSegNo segno)
{
	GROW(wanted->segnos, wanted->count, wanted->capacity);
	wanted->segnos[wanted->count++] = segno;
}

/* From the newest down to "first"; the segments that hold something come out in this order, too. */
static void
look_at_indexes(const Search *search, const WalPath *path, XLogSegNo first, Wanted *wanted)
{
	for (size_t i = path->n_pieces; i-- > 0 && path->pieces[i].last >= first;)
	{
		const WalPathPiece *piece = &path->pieces[i];
		XLogSegNo lowest = piece->first > first ? piece->first : first;
		uint64_t foreign = 0; /* right above "next" */

		for (XLogSegNo next = piece->last + 1; next > lowest;)
		{
			const SegmentIndex *segment = wal_facts_index(search->facts, piece->timeline, --next, lowest);

			if (segment->foreign)
				foreign++;
			else
				warn_of_foreign(search, piece->timeline, next + 1, &foreign);
			warn_of_damage(search, segment);
			if (segment->readable && has_something(search, segment) &&
			    !is_out_of_range(search->request, segment))
				want(wanted, segment->segno);
			next = below(search, segment, lowest);
		}
		warn_of_foreign(search, piece->timeline, lowest, &foreign);
	}
}

static void
reverse(Wanted *wanted)
{
	for (size_t i = 0; i < wanted->count / 2; i++)
	{
		XLogSegNo swapped = wanted->segnos[i];

		wanted->segnos[i] = wanted->segnos[wanted->count - 1 - i];
		wanted->segnos[wanted->count - 1 - i] = swapped;
	}
}

static bool
made_or_dropped_files(const SegmentIndex *segment)
{
	return segment->readable && (segment->files_created > 0 || segment->drops > 0 || segment->crosses);
}

static bool
matters_before(const Search *search, const SegmentIndex *segment)
{
	return looks_for_drops(search) ? made_or_dropped_files(segment) : segment->readable;
}

/*
 * What transactions did before the segments that are looked through: a drop is
 * told from a rewrite by the files that were made, maybe long before the commit,
 * a database's files go before its commit, and how much was written counts.  So
 * before each of them some more are read, also where they lie between two.
 */
static void
look_before(const Search *search, const WalPath *path, Wanted *wanted)
{
	XLogSegNo before = looks_for_drops(search) ? BEFORE_MAX : BEFORE_COMMIT_MAX;
	Wanted more = {0};

	for (size_t i = 0; i < wanted->count; i++)
	{
		XLogSegNo segno = wanted->segnos[i];
		XLogSegNo lowest = segno > before ? segno - before : 0;

		if (i + 1 < wanted->count && lowest <= wanted->segnos[i + 1])
			lowest = wanted->segnos[i + 1] + 1;
		want(&more, segno);
		while (segno-- > lowest)
		{
			const WalPathPiece *piece = wal_path_piece(path, segno);

			if (piece != NULL &&
			    matters_before(search, wal_facts_index(search->facts, piece->timeline, segno,
			                                           piece->first > lowest ? piece->first : lowest)))
				want(&more, segno);
		}
	}
	free(wanted->segnos);
	*wanted = more;
}

/* ---- records ---- */

/* What goes on from segment to segment. */
typedef struct Taken
{
	XLogRecPtr begin; /* of the path's own part; what lies before it is looked at for others */
	DropDetector *detector;
	Written written;
} Taken;

static WalKinds
kinds_of(SearchKind kind)
{
	switch (kind)
	{
		case SEARCH_COMMITS:
			return WAL_KIND(WAL_EVENT_COMMIT) | WAL_KIND(WAL_EVENT_SUBXACT) | WAL_WRITTEN;
		case SEARCH_RESTORE_POINTS:
			return WAL_KIND(WAL_EVENT_RESTORE_POINT);
		case SEARCH_DROPS:
		case SEARCH_REWRITES:
		case SEARCH_DROPS_AND_REWRITES:
			break;
	}
	return WAL_KIND(WAL_EVENT_COMMIT) | WAL_KIND(WAL_EVENT_ABORT) | WAL_KIND(WAL_EVENT_FILE_CREATED) |
	       WAL_KIND(WAL_EVENT_DATABASE_DROPPED) | WAL_KIND(WAL_EVENT_SUBXACT) |
	       WAL_KIND(WAL_EVENT_DROPPED_FILE) | WAL_KIND(WAL_EVENT_DROPPED_STATS) | WAL_KIND(WAL_EVENT_LOCK);
}

/* "finding" is the list's from here on, also when it is full. */
static Error *
add_finding(const Search *search, const WalPath *path, Finding finding)
{
	Findings *findings = search->findings;

	GROW(findings->items, findings->count, findings->capacity);
	finding.timeline = timeline_history_at(path->history, finding.lsn);
	findings->items[findings->count++] = finding;
	if (findings->count <= FINDINGS_MAX)
		return NULL;
	return error_hint(error_new(ERR_USAGE, "more than %d were found", FINDINGS_MAX),
	                  "Narrow the search with --since, --until or --timeline.");
}

/* All its restore points, by the index alone. */
static bool
lists_its_points(const SegmentIndex *segment)
{
	return !segment->crosses && segment->n_restore_points == segment->n_listed_points;
}

static Error *
add_listed_points(const Search *search, const WalPath *path, const SegmentIndex *segment)
{
	XLogRecPtr until = wal_path_piece(path, segment->segno)->until;

	for (size_t i = 0; i < segment->n_listed_points; i++)
	{
		const WalRestorePoint *point = &segment->restore_points[i];

		if (point->lsn < until && is_in_range(search->request, point->time))
			TRY(add_finding(
				search, path,
				(Finding){.lsn = point->lsn, .time = point->time, .name = str_printable(point->name)}));
	}
	return NULL;
}

/* All that a transaction wrote comes before its commit, whose subtransactions come just before it. */
static Error *
take_commits(const Search *search, const WalPath *path, const SegmentRecords *records, Taken *taken)
{
	WalWritten sum = {0};

	for (size_t i = 0; i < records->n_written; i++)
		written_add(&taken->written, &records->written[i]);
	for (size_t i = 0; i < records->n_events; i++)
	{
		const WalEvent *event = &records->events[i];

		if (i == 0 || event->lsn != records->events[i - 1].lsn)
			sum = (WalWritten){0};
		if (event->xid != 0)
			written_sum(&taken->written, event->xid, &sum);
		if (event->kind == WAL_EVENT_COMMIT && event->lsn >= taken->begin &&
		    is_in_range(search->request, event->time))
			TRY(add_finding(search, path,
			                (Finding){.lsn = event->lsn,
			                          .xid = event->xid,
			                          .time = event->time,
			                          .written = {event->xid, sum.records, sum.bytes}}));
	}
	return NULL;
}

/* Of commits and restore points each event is a finding; drops are told by the detector. */
static Error *
take_records(const Search *search, const WalPath *path, const SegmentRecords *records, Taken *taken)
{
	if (search->request->kind == SEARCH_COMMITS)
		return take_commits(search, path, records, taken);
	for (size_t i = 0; i < records->n_events; i++)
	{
		const WalEvent *event = &records->events[i];

		if (looks_for_drops(search))
			drop_detector_add(taken->detector, event);
		else if (is_in_range(search->request, event->time))
			TRY(add_finding(search, path,
			                (Finding){.lsn = event->lsn,
			                          .time = event->time,
			                          .name = event->name == NULL ? NULL : str_printable(event->name)}));
	}
	return NULL;
}

/* Side by side. */
static Error *
read_batch(const Search *search, const WalPath *path, SegmentRecords *items, size_t n_items, Taken *taken)
{
	Error *error =
		wal_facts_read_records(search->facts, path, kinds_of(search->request->kind), items, n_items);

	for (size_t i = 0; i < n_items; i++)
	{
		const WalPathPiece *piece = wal_path_piece(path, items[i].segno);

		if (error == NULL && !items[i].readable)
			warn_of_damage(search, &(SegmentIndex){.timeline = piece->timeline, .segno = items[i].segno});
		if (error == NULL)
			error = take_records(search, path, &items[i], taken);
		segment_records_release(&items[i]);
	}
	return error;
}

/* In the order of the WAL. */
static Error *
look_into_segments(const Search *search, const WalPath *path, const Wanted *wanted, Taken *taken)
{
	size_t at_once = (size_t) search->request->jobs * SEGMENTS_PER_JOB;
	AUTO_FREE SegmentRecords *items = NEW_ARRAY(SegmentRecords, at_once);
	size_t n_items = 0;

	for (size_t i = 0; i < wanted->count; i++)
	{
		XLogSegNo segno = wanted->segnos[i];
		const SegmentIndex *segment =
			wal_facts_index(search->facts, wal_path_piece(path, segno)->timeline, segno, segno);

		if (search->request->kind == SEARCH_RESTORE_POINTS && lists_its_points(segment))
			TRY(add_listed_points(search, path, segment));
		else
			items[n_items++] = (SegmentRecords){.segno = segno};
		if (n_items == at_once || (i + 1 == wanted->count && n_items > 0))
		{
			TRY(read_batch(search, path, items, n_items, taken));
			n_items = 0;
		}
	}
	return NULL;
}

/* ---- the path as a whole ---- */

static bool
is_asked_for(const Search *search, const DroppedObjects *dropped)
{
	return search->request->kind == SEARCH_DROPS_AND_REWRITES ||
	       (dropped->kind == DROPPED_BY_REWRITE) == (search->request->kind == SEARCH_REWRITES);
}

/* Those that happened in the path's own part, in time. */
static Error *
add_all_dropped(const Search *search, const WalPath *path, XLogSegNo first, DroppedList *drops)
{
	XLogRecPtr begin = segment_start(first, search->catalog->segment_size);

	for (size_t i = 0; i < drops->count; i++)
	{
		DroppedObjects dropped = drops->items[i];

		if (dropped.lsn < begin || !is_in_range(search->request, dropped.time))
			continue;
		if (!is_asked_for(search, &dropped))
		{
			search->findings->rewrites += dropped.kind == DROPPED_BY_REWRITE;
			continue;
		}
		drops->items[i].named_files = NULL;
		drops->items[i].named_objects = NULL;
		TRY(add_finding(
			search, path,
			(Finding){.lsn = dropped.lsn, .xid = dropped.xid, .time = dropped.time, .dropped = dropped}));
	}
	return NULL;
}

/* Of the newest segment that is looked into. */
static int
major_of(const Search *search, const WalPath *path, const Wanted *wanted)
{
	XLogSegNo segno;

	if (wanted->count == 0)
		return 0;
	segno = wanted->segnos[0];
	return wal_facts_index(search->facts, wal_path_piece(path, segno)->timeline, segno, segno)->major;
}

Error *
search_path(const Search *search, const WalPath *path, XLogSegNo first)
{
	DroppedList drops = {0};
	Wanted wanted = {0};
	Error *error;

	look_at_indexes(search, path, first, &wanted);
	if (search->request->kind != SEARCH_RESTORE_POINTS)
		look_before(search, path, &wanted);
	error = wal_facts_error(search->facts);
	if (error == NULL)
	{
		AUTO(DropDetector) detector = drop_detector_new(major_of(search, path, &wanted), &drops);
		Taken taken = {.begin = segment_start(first, search->catalog->segment_size), .detector = detector};

		reverse(&wanted);
		error = look_into_segments(search, path, &wanted, &taken);
		drop_detector_finish(detector);
		written_release(&taken.written);
	}
	if (error == NULL)
		error = add_all_dropped(search, path, first, &drops);
	dropped_list_release(&drops);
	free(wanted.segnos);
	return error;
}
