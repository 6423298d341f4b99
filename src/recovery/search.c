/* See search.h. */
#include "walship/recovery/search.h"

#include <stdlib.h>

#include "search_path.h"
#include "walship/base/mem.h"

#define QUIET_SEGMENTS_MAX 64 /* so many indexes without a commit are passed over in search of the last one */

static int
in_order(const void *left, const void *right)
{
	const Finding *a = left;
	const Finding *b = right;

	if (a->timeline != b->timeline)
		return a->timeline < b->timeline ? -1 : 1;
	if (a->lsn != b->lsn)
		return a->lsn < b->lsn ? -1 : 1;
	return 0;
}

static void
finding_release(Finding *finding)
{
	free(finding->name);
	free(finding->dropped.named_files);
	free(finding->dropped.named_objects);
}

/* The copies that timelines have of the segment in which one left the other tell the same. */
static void
sort_findings(Findings *findings)
{
	size_t kept = 0;

	if (findings->count > 1)
		qsort(findings->items, findings->count, sizeof(*findings->items), in_order);
	for (size_t i = 0; i < findings->count; i++)
		if (kept > 0 && in_order(&findings->items[kept - 1], &findings->items[i]) == 0)
			finding_release(&findings->items[i]);
		else
			findings->items[kept++] = findings->items[i];
	findings->count = kept;
}

void
findings_release(Findings *findings)
{
	for (size_t i = 0; i < findings->count; i++)
		finding_release(&findings->items[i]);
	free(findings->items);
	free(findings->ends);
	strlist_release(&findings->warnings);
	*findings = (Findings){0};
}

/* Missing segments between two that are looked through. */
static void
warn_of_gaps(const Search *search, const WalPath *path, XLogSegNo first)
{
	XLogSegNo from = first;
	XLogSegNo next;

	if (!wal_path_next(path, first, &from))
		return;
	for (from = wal_path_first_missing(path, from); wal_path_next(path, from, &next);
	     from = wal_path_first_missing(path, next))
	{
		TimeLineID timeline =
			timeline_history_at(path->history, segment_start(from + 1, path->segment_size) - 1);
		char lowest[WAL_NAME_SIZE];
		char highest[WAL_NAME_SIZE];

		(void) wal_segment_name(timeline, from, path->segment_size, lowest);
		(void) wal_segment_name(timeline, next - 1, path->segment_size, highest);
		if (next - 1 == from)
			search_warn(search, "WAL segment %s is missing: what happened in it is not listed.", lowest);
		else
			search_warn(search, "WAL segments %s to %s are missing: what happened in them is not listed.",
			            lowest, highest);
	}
}

/* By the path's last segments; a long quiet is passed over where runs tell of it, and not read through where not. */
static void
note_end(const Search *search, const WalPath *path)
{
	Findings *findings = search->findings;
	WalEnd end = {.timeline = path->timeline, .time = TIME_NONE};
	XLogSegNo last;

	if (!wal_path_last(path, &last))
		return;
	XLogSegNo next = last + 1;

	for (int tried = 0; tried < QUIET_SEGMENTS_MAX && next > 0 && end.time == TIME_NONE; tried++)
	{
		XLogSegNo segno = next - 1;
		const WalPathPiece *piece = wal_path_piece(path, segno);
		const SegmentIndex *segment;

		if (piece == NULL)
			break;
		segment = wal_facts_index(search->facts, piece->timeline, segno, piece->first);
		if (segno == last)
			end.lsn = segment->valid_end != InvalidXLogRecPtr ? segment->valid_end
			                                                  : segment_start(segno + 1, path->segment_size);
		if (segment->readable && segment->transactions > 0)
			end.time = segment->last_time;
		next = segment_index_quiet_from(segment, piece->first);
	}
	GROW(findings->ends, findings->n_ends, findings->ends_capacity);
	findings->ends[findings->n_ends++] = end;
}

/* The path to the timeline that was asked for, or, without one, every timeline's own WAL. */
Error *
search_run(WalFacts *facts, const Catalog *catalog, const SearchRequest *request, Findings *findings)
{
	const Search search = {.facts = facts, .catalog = catalog, .request = request, .findings = findings};
	Error *error = NULL;

	for (size_t i = 0; i < catalog->n_timelines && error == NULL; i++)
	{
		const CatalogTimeline *timeline = &catalog->timelines[i];
		XLogSegNo first;

		if (request->timeline != 0 ? timeline->timeline != request->timeline : timeline->n_runs == 0)
			continue;

		AUTO(WalPath) path = wal_path_new(catalog, timeline);

		first = request->timeline != 0 ? 0 : timeline->runs[0].first;
		error = search_path(&search, path, first);
		note_end(&search, path);
		warn_of_gaps(&search, path, first);
	}
	sort_findings(findings);
	return error;
}
