/* When several timelines could be meant. */
#include "planner.h"

/* A commit, abort or restore point at or after "lsn" in this segment of the timeline's own WAL? */
static bool
has_event_from(const Planner *planner, const WalPath *path, XLogSegNo segno, XLogRecPtr lsn)
{
	const SegmentIndex *segment = planner_index(planner, path, segno);
	const SegmentRecords *records;

	if (!segment->readable)
		return true;
	if (segment->last_record < lsn)
		return false;
	records = planner_records(planner, path, segno);
	for (size_t i = 0; i < records->n_events; i++)
		if (records->events[i].kind != WAL_EVENT_PARAMETER_CHANGE && records->events[i].lsn >= lsn)
			return true;
	return !records->readable;
}

/*
 * Has this timeline anything to lose at or after "lsn", where another one left
 * it?  After a clean failover it has not: its last segment is at most the one
 * with the switch, and no transaction ended in it after the switch.
 */
static bool
has_wal_from(const Planner *planner, const WalPath *path, XLogRecPtr lsn)
{
	const CatalogTimeline *timeline = catalog_timeline(planner->catalog, path->timeline);
	XLogSegNo switch_segno = lsn_segment(lsn, path->segment_size);

	for (size_t i = 0; i < planner->catalog->n_backups; i++)
		if (planner->catalog->backups[i]->timeline == path->timeline &&
		    planner->catalog->backups[i]->stop_lsn > lsn)
			return true;
	if (timeline->n_runs == 0 || timeline->runs[timeline->n_runs - 1].last < switch_segno)
		return false;
	if (timeline->runs[timeline->n_runs - 1].last > switch_segno)
		return true;
	return has_event_from(planner, path, switch_segno, lsn);
}

static const WalPath *
path_of(const Planner *planner, TimeLineID timeline)
{
	for (size_t i = 0; i < planner->n_paths; i++)
		if (planner->paths[i]->timeline == timeline)
			return planner->paths[i];
	return NULL;
}

static bool
has_own_contents(const Planner *planner, const WalPath *path)
{
	if (catalog_timeline(planner->catalog, path->timeline)->n_runs > 0)
		return true;
	for (size_t i = 0; i < planner->catalog->n_backups; i++)
		if (planner->catalog->backups[i]->timeline == path->timeline)
			return true;
	return false;
}

/* A timeline of which there is nothing but its history file adds nothing to a parent that went on. */
static bool
is_empty_branch(const Planner *planner, const WalPath *path)
{
	XLogRecPtr begin;
	TimeLineID parent = wal_path_parent_timeline(path, &begin);
	const WalPath *parent_path = path_of(planner, parent);

	return !has_own_contents(planner, path) && parent_path != NULL &&
	       has_wal_from(planner, parent_path, begin);
}

bool
branch_is_leaf(const Planner *planner, const WalPath *path)
{
	if (is_empty_branch(planner, path))
		return false;
	for (size_t i = 0; i < planner->n_paths; i++)
	{
		XLogRecPtr begin;

		if (wal_path_parent_timeline(planner->paths[i], &begin) == path->timeline &&
		    !has_wal_from(planner, path, begin))
			return false;
	}
	return true;
}

/* Does this candidate include a transaction that ended at or after "lsn"? */
static bool
includes_from(const Planner *planner, const Candidate *candidate, XLogRecPtr lsn)
{
	const WalPath *path = candidate->path;
	const WalPlace *place = &candidate->target.place;
	XLogSegNo first = lsn_segment(lsn, path->segment_size);

	if (lsn >= place->lsn)
		return false;
	if (candidate->backup->stop_lsn > lsn)
		return true;
	for (XLogSegNo segno = first; segno <= place->segno; segno++)
	{
		const SegmentIndex *segment;
		const SegmentRecords *records;

		if (wal_path_piece(path, segno) == NULL)
			return true;
		segment = planner_index_up(planner, path, segno, place->segno);
		if (segment->foreign)
			return true;
		if (segment->transactions == 0)
			continue;
		if (segno != first && segno != place->segno)
			return true;
		records = planner_records(planner, path, segno);
		for (size_t i = 0; i < records->n_events; i++)
		{
			const WalEvent *event = &records->events[i];

			if ((event->kind == WAL_EVENT_COMMIT || event->kind == WAL_EVENT_ABORT) && event->lsn >= lsn &&
			    event->lsn < place->lsn)
				return true;
		}
	}
	return false;
}

bool
branch_same_place(const Planner *planner, const Candidate *a, const Candidate *b)
{
	XLogRecPtr divergence = wal_path_divergence(a->path, b->path);

	/* Where the server has to find the place, nobody knows whether it is one. */
	if (a->target.place.lsn == InvalidXLogRecPtr && a->target.by_server)
		return false;
	if (b->target.place.lsn == InvalidXLogRecPtr && b->target.by_server)
		return false;
	switch (planner->request->target.kind)
	{
		case TARGET_IMMEDIATE:
		case TARGET_BACKUP_ONLY:
			return a->backup == b->backup;
		case TARGET_LATEST:
			return a->path == b->path;
		case TARGET_LSN:
		case TARGET_XID:
		case TARGET_NAME:
		case TARGET_BEFORE:
			return a->target.place.lsn == b->target.place.lsn && a->target.place.lsn < divergence;
		case TARGET_TIME:
			break;
	}
	return !includes_from(planner, a, divergence) && !includes_from(planner, b, divergence);
}
