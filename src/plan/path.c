/* Paths through the WAL; see path.h. */
#include "path.h"

#include "walship/base/mem.h"

static void
add_piece(Path *path, PathPiece piece)
{
	GROW(path->pieces, path->n_pieces, path->capacity);
	path->pieces[path->n_pieces++] = piece;
}

/* What the store has of this timeline within [first, before). */
static void
add_runs(Path *path, const CatalogTimeline *timeline, XLogSegNo first, XLogSegNo before)
{
	for (size_t i = 0; timeline != NULL && i < timeline->n_runs; i++)
	{
		const SegmentRun *run = &timeline->runs[i];
		XLogSegNo from = run->first > first ? run->first : first;

		if (from > run->last || from >= before)
			continue;
		add_piece(path, (PathPiece){.timeline = timeline->timeline,
		                            .first = from,
		                            .last = run->last < before ? run->last : before - 1,
		                            .until = UINT64_MAX,
		                            .sizes = run->sizes + (from - run->first)});
	}
}

/*
 * The segment in which timeline number "next" of the path begins, when its own
 * copy is not there: an older timeline's copy holds the bytes before the switch.
 */
static void
add_old_copy(Path *path, const Catalog *catalog, size_t next, XLogSegNo segno)
{
	const TimelineHistory *history = path->history;

	for (size_t i = next; i-- > 0;)
	{
		const CatalogTimeline *older = catalog_timeline(catalog, history->ancestors[i].timeline);
		XLogRecPtr begin = i == 0 ? 0 : history->ancestors[i - 1].switch_lsn;
		size_t before = path->n_pieces;

		if (segno < lsn_segment(begin, path->segment_size))
			continue;
		add_runs(path, older, segno, segno + 1);
		if (path->n_pieces == before)
			continue;
		path->pieces[before].until = history->ancestors[i].switch_lsn;
		return;
	}
}

Path *
path_new(const Catalog *catalog, const CatalogTimeline *timeline)
{
	const TimelineHistory *history = timeline->history;
	Path *path = NEW(Path);
	XLogSegNo first = 0;

	path->timeline = timeline->timeline;
	path->history = history;
	path->segment_size = catalog->segment_size;
	if (catalog->segment_size == 0)
		return path;
	for (size_t i = 0; i < history->n_ancestors; i++)
	{
		XLogRecPtr switch_lsn = history->ancestors[i].switch_lsn;
		XLogSegNo before = lsn_segment(switch_lsn, catalog->segment_size);
		TimeLineID next =
			i + 1 < history->n_ancestors ? history->ancestors[i + 1].timeline : history->timeline;
		bool several = i + 1 < history->n_ancestors &&
		               lsn_segment(history->ancestors[i + 1].switch_lsn, catalog->segment_size) == before;

		add_runs(path, catalog_timeline(catalog, history->ancestors[i].timeline), first, before);
		if (!several && !catalog_has_segment(catalog, next, before) &&
		    switch_lsn > segment_start(before, catalog->segment_size))
			add_old_copy(path, catalog, i + 1, before);
		first = before;
	}
	add_runs(path, timeline, first, UINT64_MAX);
	return path;
}

void
path_free(Path *path)
{
	if (path == NULL)
		return;
	free(path->pieces);
	free(path);
}

const PathPiece *
path_piece(const Path *path, XLogSegNo segno)
{
	size_t low = 0;
	size_t high = path->n_pieces;

	while (low < high)
	{
		size_t middle = low + (high - low) / 2;
		const PathPiece *piece = &path->pieces[middle];

		if (segno < piece->first)
			high = middle;
		else if (segno > piece->last)
			low = middle + 1;
		else
			return piece;
	}
	return NULL;
}

const PathPiece *
path_piece_for(const Path *path, XLogSegNo segno, const BackupRecord *backup)
{
	const PathPiece *piece = path_piece(path, segno);

	return piece != NULL && piece->until < backup->stop_lsn ? NULL : piece;
}

bool
path_next(const Path *path, XLogSegNo from, XLogSegNo *ret_segno)
{
	for (size_t i = 0; i < path->n_pieces; i++)
	{
		if (path->pieces[i].last < from)
			continue;
		*ret_segno = path->pieces[i].first > from ? path->pieces[i].first : from;
		return true;
	}
	return false;
}

bool
path_last(const Path *path, XLogSegNo *ret_segno)
{
	if (path->n_pieces == 0)
		return false;
	*ret_segno = path->pieces[path->n_pieces - 1].last;
	return true;
}

XLogSegNo
path_first_missing(const Path *path, XLogSegNo from)
{
	for (const PathPiece *piece; (piece = path_piece(path, from)) != NULL;)
		from = piece->last + 1;
	return from;
}

/* Stretch number "i" of the path: its timeline and where it ends. */
static TimelineSwitch
stretch(const TimelineHistory *history, size_t i)
{
	if (i < history->n_ancestors)
		return history->ancestors[i];
	return (TimelineSwitch){history->timeline, UINT64_MAX};
}

XLogRecPtr
path_divergence(const Path *a, const Path *b)
{
	XLogRecPtr same_until = 0;

	for (size_t i = 0; i <= a->history->n_ancestors && i <= b->history->n_ancestors; i++)
	{
		TimelineSwitch left = stretch(a->history, i);
		TimelineSwitch right = stretch(b->history, i);

		if (left.timeline != right.timeline)
			return same_until;
		if (left.switch_lsn != right.switch_lsn)
			return left.switch_lsn < right.switch_lsn ? left.switch_lsn : right.switch_lsn;
		same_until = left.switch_lsn;
	}
	return same_until;
}

TimeLineID
path_parent_timeline(const Path *path, XLogRecPtr *ret_begin)
{
	XLogRecPtr begin = 0;

	(void) timeline_history_begin_of(path->history, path->timeline, &begin);
	*ret_begin = begin;
	return begin == 0 ? 0 : timeline_history_at(path->history, begin - 1);
}
