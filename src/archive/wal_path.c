/* Paths through the WAL; see wal_path.h. */
#include "walship/archive/wal_path.h"

#include "walship/base/mem.h"

static void
add_piece(WalPath *path, WalPathPiece piece)
{
	GROW(path->pieces, path->n_pieces, path->capacity);
	path->pieces[path->n_pieces++] = piece;
}

/* What the store has of this timeline within [first, before). */
static void
add_runs(WalPath *path, const CatalogTimeline *timeline, XLogSegNo first, XLogSegNo before)
{
	for (size_t i = 0; timeline != NULL && i < timeline->n_runs; i++)
	{
		const SegmentRun *run = &timeline->runs[i];
		XLogSegNo from = run->first > first ? run->first : first;

		if (from > run->last || from >= before)
			continue;
		add_piece(path, (WalPathPiece){.timeline = timeline->timeline,
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
add_old_copy(WalPath *path, const Catalog *catalog, size_t next, XLogSegNo segno)
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

WalPath *
wal_path_new(const Catalog *catalog, const CatalogTimeline *timeline)
{
	const TimelineHistory *history = timeline->history;
	WalPath *path = NEW(WalPath);
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
wal_path_free(WalPath *path)
{
	if (path == NULL)
		return;
	free(path->pieces);
	free(path);
}

const WalPathPiece *
wal_path_piece(const WalPath *path, XLogSegNo segno)
{
	size_t low = 0;
	size_t high = path->n_pieces;

	while (low < high)
	{
		size_t middle = low + (high - low) / 2;
		const WalPathPiece *piece = &path->pieces[middle];

		if (segno < piece->first)
			high = middle;
		else if (segno > piece->last)
			low = middle + 1;
		else
			return piece;
	}
	return NULL;
}

const WalPathPiece *
wal_path_piece_for(const WalPath *path, XLogSegNo segno, const BackupRecord *backup)
{
	const WalPathPiece *piece = wal_path_piece(path, segno);

	return piece != NULL && piece->until < backup->stop_lsn ? NULL : piece;
}

bool
wal_path_next(const WalPath *path, XLogSegNo from, XLogSegNo *ret_segno)
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
wal_path_last(const WalPath *path, XLogSegNo *ret_segno)
{
	if (path->n_pieces == 0)
		return false;
	*ret_segno = path->pieces[path->n_pieces - 1].last;
	return true;
}

XLogSegNo
wal_path_first_missing(const WalPath *path, XLogSegNo from)
{
	for (const WalPathPiece *piece; (piece = wal_path_piece(path, from)) != NULL;)
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
wal_path_divergence(const WalPath *a, const WalPath *b)
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
wal_path_parent_timeline(const WalPath *path, XLogRecPtr *ret_begin)
{
	XLogRecPtr begin = 0;

	(void) timeline_history_begin_of(path->history, path->timeline, &begin);
	*ret_begin = begin;
	return begin == 0 ? 0 : timeline_history_at(path->history, begin - 1);
}
