/* Ways through the WAL; see walship/plan/find_ways.h. */
#include "walship/plan/find_ways.h"

#include "path.h"
#include "walship/base/mem.h"

void
find_ways_release(FindWays *ways)
{
	for (size_t i = 0; i < ways->count; i++)
		free(ways->items[i].segments);
	free(ways->items);
	free(ways->gaps);
	*ways = (FindWays){0};
}

static void
add_piece(FindWay *way, const PathPiece *piece, XLogSegNo first, XLogSegNo last)
{
	for (XLogSegNo segno = first; segno <= last; segno++)
	{
		GROW(way->segments, way->n_segments, way->capacity);
		way->segments[way->n_segments++] =
			(FindSegment){.timeline = piece->timeline, .segno = segno, .until = piece->until};
	}
}

static void
add_gap(FindWays *ways, const Path *path, XLogSegNo first, XLogSegNo last)
{
	XLogRecPtr end = segment_start(first + 1, path->segment_size) - 1;

	GROW(ways->gaps, ways->n_gaps, ways->gaps_capacity);
	ways->gaps[ways->n_gaps++] =
		(WalRange){.timeline = timeline_history_at(path->history, end), .first = first, .last = last};
}

/* From "first" on, and what is needed before it. */
static void
add_path(FindWays *ways, const Path *path, XLogSegNo first)
{
	FindWay *way = &ways->items[ways->count++];
	XLogSegNo from = first > FIND_BEFORE_MAX ? first - FIND_BEFORE_MAX : 0;

	way->history = path->history;
	for (size_t i = 0; i < path->n_pieces; i++)
	{
		const PathPiece *piece = &path->pieces[i];

		if (piece->last < from)
			continue;
		if (way->n_segments > 0 && way->segments[way->n_segments - 1].segno >= first &&
		    piece->first > way->segments[way->n_segments - 1].segno + 1)
			add_gap(ways, path, way->segments[way->n_segments - 1].segno + 1, piece->first - 1);
		add_piece(way, piece, piece->first > from ? piece->first : from, piece->last);
	}
	while (way->first < way->n_segments && way->segments[way->first].segno < first)
		way->first++;
}

void
find_ways(const Catalog *catalog, TimeLineID timeline, FindWays *ret_ways)
{
	FindWays ways = {.items = NEW_ARRAY(FindWay, catalog->n_timelines)};

	for (size_t i = 0; i < catalog->n_timelines; i++)
	{
		const CatalogTimeline *one = &catalog->timelines[i];

		if (timeline != 0 ? one->timeline != timeline : one->n_runs == 0)
			continue;

		AUTO(Path) path = path_new(catalog, one);

		add_path(&ways, path, timeline != 0 ? 0 : one->runs[0].first);
	}
	*ret_ways = ways;
}
