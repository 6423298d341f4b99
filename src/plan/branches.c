/* When several timelines could be meant. */
#include "planner.h"

/* A commit, abort or restore point at or after "lsn" in this segment of the timeline's own WAL? */
static Answer
has_landmark_from(const Planner *planner, const Path *path, XLogSegNo segno, XLogRecPtr lsn)
{
	const SegmentFacts *segment = planner_segment(planner, path, segno);
	const SegmentDetail *detail;

	if (segment == NULL)
		return ANSWER_UNKNOWN;
	if (!segment->readable)
		return ANSWER_YES;
	if (segment->last_record < lsn)
		return ANSWER_NO;
	detail = planner_detail(planner, path, segno);
	if (detail == NULL)
		return ANSWER_UNKNOWN;
	for (size_t i = 0; i < detail->n_landmarks; i++)
		if (detail->landmarks[i].lsn >= lsn)
			return ANSWER_YES;
	return ANSWER_NO;
}

/*
 * Has this timeline anything to lose at or after "lsn", where another one left
 * it?  After a clean failover it has not: its last segment is at most the one
 * with the switch, and no transaction ended in it after the switch.
 */
static Answer
has_wal_from(const Planner *planner, const Path *path, XLogRecPtr lsn)
{
	const CatalogTimeline *timeline = catalog_timeline(planner->catalog, path->timeline);
	XLogSegNo switch_segno = lsn_segment(lsn, path->segment_size);

	for (size_t i = 0; i < planner->catalog->n_backups; i++)
		if (planner->catalog->backups[i]->timeline == path->timeline &&
		    planner->catalog->backups[i]->stop_lsn > lsn)
			return ANSWER_YES;
	if (timeline->n_runs == 0 || timeline->runs[timeline->n_runs - 1].last < switch_segno)
		return ANSWER_NO;
	if (timeline->runs[timeline->n_runs - 1].last > switch_segno)
		return ANSWER_YES;
	return has_landmark_from(planner, path, switch_segno, lsn);
}

static const Path *
path_of(const Planner *planner, TimeLineID timeline)
{
	for (size_t i = 0; i < planner->n_paths; i++)
		if (planner->paths[i]->timeline == timeline)
			return planner->paths[i];
	return NULL;
}

static bool
has_own_contents(const Planner *planner, const Path *path)
{
	if (catalog_timeline(planner->catalog, path->timeline)->n_runs > 0)
		return true;
	for (size_t i = 0; i < planner->catalog->n_backups; i++)
		if (planner->catalog->backups[i]->timeline == path->timeline)
			return true;
	return false;
}

/* A timeline of which there is nothing but its history file adds nothing to a parent that went on. */
static Answer
is_empty_branch(const Planner *planner, const Path *path)
{
	XLogRecPtr begin;
	TimeLineID parent = path_parent_timeline(path, &begin);
	const Path *parent_path = path_of(planner, parent);

	if (has_own_contents(planner, path) || parent_path == NULL)
		return ANSWER_NO;
	return has_wal_from(planner, parent_path, begin);
}

Answer
branch_is_leaf(const Planner *planner, const Path *path)
{
	Answer answer = is_empty_branch(planner, path);

	if (answer == ANSWER_UNKNOWN)
		return answer;
	if (answer == ANSWER_YES)
		return ANSWER_NO;
	answer = ANSWER_YES;
	for (size_t i = 0; i < planner->n_paths; i++)
	{
		XLogRecPtr begin;

		if (path_parent_timeline(planner->paths[i], &begin) != path->timeline)
			continue;
		switch (has_wal_from(planner, path, begin))
		{
			case ANSWER_NO:
				return ANSWER_NO;
			case ANSWER_UNKNOWN:
				answer = ANSWER_UNKNOWN;
				break;
			case ANSWER_YES:
				break;
		}
	}
	return answer;
}

/* Does this outcome include a transaction that ended at or after "lsn"? */
static Answer
includes_from(const Planner *planner, const Outcome *outcome, XLogRecPtr lsn)
{
	const Path *path = outcome->path;
	const WalPlace *place = &outcome->location.place;
	XLogSegNo first = lsn_segment(lsn, path->segment_size);

	if (lsn >= place->lsn)
		return ANSWER_NO;
	if (outcome->backup->stop_lsn > lsn)
		return ANSWER_YES;
	for (XLogSegNo segno = first; segno <= place->segno; segno++)
	{
		const SegmentFacts *segment = path_piece(path, segno) == NULL
		                                  ? NULL
		                                  : planner_segment_above(planner, path, segno, place->segno);
		const SegmentDetail *detail;

		if (segment == NULL)
			return path_piece(path, segno) == NULL ? ANSWER_YES : ANSWER_UNKNOWN;
		if (segment->transactions == 0)
			continue;
		if (segno != first && segno != place->segno)
			return ANSWER_YES;
		detail = planner_detail(planner, path, segno);
		if (detail == NULL)
			return ANSWER_UNKNOWN;
		for (size_t i = 0; i < detail->n_landmarks; i++)
			if (detail->landmarks[i].kind != WAL_EVENT_RESTORE_POINT && detail->landmarks[i].lsn >= lsn &&
			    detail->landmarks[i].lsn < place->lsn)
				return ANSWER_YES;
	}
	return ANSWER_NO;
}

Answer
branch_same_place(const Planner *planner, const Outcome *a, const Outcome *b)
{
	XLogRecPtr divergence = path_divergence(a->path, b->path);
	Answer left;
	Answer right;

	switch (planner->request->target.kind)
	{
		case TARGET_IMMEDIATE:
		case TARGET_BACKUP_ONLY:
			return a->backup == b->backup ? ANSWER_YES : ANSWER_NO;
		case TARGET_LATEST:
			return a->path == b->path ? ANSWER_YES : ANSWER_NO;
		case TARGET_LSN:
		case TARGET_XID:
		case TARGET_NAME:
		case TARGET_BEFORE:
			return a->location.place.lsn == b->location.place.lsn && a->location.place.lsn < divergence
			           ? ANSWER_YES
			           : ANSWER_NO;
		case TARGET_TIME:
			break;
	}
	left = includes_from(planner, a, divergence);
	right = includes_from(planner, b, divergence);
	if (left == ANSWER_UNKNOWN || right == ANSWER_UNKNOWN)
		return ANSWER_UNKNOWN;
	return left == ANSWER_NO && right == ANSWER_NO ? ANSWER_YES : ANSWER_NO;
}
