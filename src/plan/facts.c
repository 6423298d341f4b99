/* Facts about segments, sorted; see walship/plan/facts.h. */
#include "walship/plan/facts.h"

#include <string.h>

#include "walship/base/mem.h"

/* Position of the segment, or where it would have to be inserted. */
static size_t
position_of(const WalFacts *facts, TimeLineID timeline, XLogSegNo segno)
{
	size_t low = 0;
	size_t high = facts->n_segments;

	while (low < high)
	{
		size_t middle = low + (high - low) / 2;
		const SegmentFacts *segment = facts->segments[middle];

		if (segment->timeline < timeline || (segment->timeline == timeline && segment->segno < segno))
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static SegmentFacts *
find(const WalFacts *facts, TimeLineID timeline, XLogSegNo segno)
{
	size_t position = position_of(facts, timeline, segno);

	if (position == facts->n_segments)
		return NULL;

	SegmentFacts *segment = facts->segments[position];

	return segment->timeline == timeline && segment->segno == segno ? segment : NULL;
}

const SegmentFacts *
wal_facts_find(const WalFacts *facts, TimeLineID timeline, XLogSegNo segno)
{
	return find(facts, timeline, segno);
}

/* The segment's place, emptied; a fact that is told twice counts once. */
static SegmentFacts *
place_for(WalFacts *facts, TimeLineID timeline, XLogSegNo segno)
{
	size_t position = position_of(facts, timeline, segno);
	SegmentFacts *segment = find(facts, timeline, segno);

	if (segment != NULL)
	{
		free(segment->restore_points);
		segment_detail_free(segment->detail);
	}
	else
	{
		GROW(facts->segments, facts->n_segments, facts->capacity);
		memmove(&facts->segments[position + 1], &facts->segments[position],
		        (facts->n_segments - position) * sizeof(facts->segments[0]));
		facts->n_segments++;
		segment = facts->segments[position] = NEW(SegmentFacts);
	}
	*segment = (SegmentFacts){.timeline = timeline,
	                          .segno = segno,
	                          .first_time = TIME_NONE,
	                          .last_time = TIME_NONE,
	                          .max_time = TIME_NONE,
	                          .run_first = segno,
	                          .time_high = TIME_NONE};
	return segment;
}

/* A run that does not hold what its last segment holds is none. */
static void
set_run(SegmentFacts *segment, const WalIndex *index)
{
	bool known = index->time_high_since != InvalidXLogRecPtr && index->time_high_since <= index->start_lsn &&
	             index->segment_size > 0 && index->time_high >= index->max_time;

	segment->time_high = known ? index->time_high : index->max_time;
	if (known)
		segment->run_first = lsn_segment(index->time_high_since, index->segment_size);
}

void
wal_facts_add(WalFacts *facts, XLogSegNo segno, const WalIndex *index)
{
	SegmentFacts *segment = place_for(facts, index->timeline, segno);
	const WalWalkResult *walk = &index->walk;

	segment->readable = index->walked;
	segment->transactions = index->commits + index->aborts;
	segment->first_time = index->first_time;
	segment->last_time = index->last_time;
	segment->max_time = index->max_time;
	set_run(segment, index);
	segment->min_xid = index->min_xid;
	segment->max_xid = index->max_xid;
	segment->first_record = walk->first_record;
	segment->last_record = walk->last_record;
	segment->damaged = walk->damaged_at != InvalidXLogRecPtr;
	segment->valid_end = segment->damaged ? walk->damaged_at : walk->wal_end;
	segment->continues = walk->continues;
	segment->parameter_change = index->parameter_change;
	segment->n_restore_points = index->n_restore_points;
	segment->n_listed_points = index->n_restore_points < WAL_INDEX_RESTORE_POINTS_MAX
	                               ? (size_t) index->n_restore_points
	                               : WAL_INDEX_RESTORE_POINTS_MAX;
	if (segment->n_listed_points > 0)
	{
		size_t size = segment->n_listed_points * sizeof(WalRestorePoint);

		segment->restore_points = mem_alloc(size);
		memcpy(segment->restore_points, index->restore_points, size);
	}
}

void
wal_facts_add_unreadable(WalFacts *facts, TimeLineID timeline, XLogSegNo segno)
{
	(void) place_for(facts, timeline, segno);
}

void
wal_facts_add_detail(WalFacts *facts, TimeLineID timeline, XLogSegNo segno, SegmentDetail *detail)
{
	SegmentFacts *segment = find(facts, timeline, segno);

	if (segment == NULL)
		segment = place_for(facts, timeline, segno);
	segment_detail_free(segment->detail);
	segment->detail = detail;
}

void
wal_facts_release(WalFacts *facts)
{
	for (size_t i = 0; i < facts->n_segments; i++)
	{
		free(facts->segments[i]->restore_points);
		segment_detail_free(facts->segments[i]->detail);
		free(facts->segments[i]);
	}
	free(facts->segments);
	*facts = (WalFacts){0};
}

SegmentDetail *
segment_detail_new(void)
{
	return NEW(SegmentDetail);
}

static void
raise_to(int32_t *into, int32_t from)
{
	if (*into < from)
		*into = from;
}

void
wal_parameters_raise(WalParameters *into, const WalParameters *from)
{
	raise_to(&into->max_connections, from->max_connections);
	raise_to(&into->max_worker_processes, from->max_worker_processes);
	raise_to(&into->max_wal_senders, from->max_wal_senders);
	raise_to(&into->max_prepared_transactions, from->max_prepared_transactions);
	raise_to(&into->max_locks_per_transaction, from->max_locks_per_transaction);
}

/* No server has max_connections of zero. */
static void
add_parameters(SegmentDetail *detail, const WalEvent *event)
{
	if (event->parameters.max_connections == 0)
		detail->parameters_hidden = true;
	else
		wal_parameters_raise(&detail->parameters, &event->parameters);
}

static bool
is_landmark(WalEventKind kind)
{
	return kind == WAL_EVENT_COMMIT || kind == WAL_EVENT_ABORT || kind == WAL_EVENT_RESTORE_POINT;
}

/* What a commit's record holds is told before the commit itself. */
static bool
is_part(WalEventKind kind)
{
	return kind == WAL_EVENT_SUBXACT || kind == WAL_EVENT_DROPPED_FILE || kind == WAL_EVENT_DROPPED_STATS;
}

void
segment_detail_add(void *context, const WalEvent *event)
{
	SegmentDetail *detail = context;
	bool continues = event->end == InvalidXLogRecPtr;

	if (is_part(event->kind))
		return;
	if (event->lsn != detail->last_start)
	{
		detail->previous = detail->last_start;
		detail->last_start = event->lsn;
	}
	if (!continues)
		detail->last_complete = event->lsn;
	if (event->kind == WAL_EVENT_PARAMETER_CHANGE)
		add_parameters(detail, event);
	if (!is_landmark(event->kind))
		return;
	GROW(detail->landmarks, detail->n_landmarks, detail->capacity);
	detail->landmarks[detail->n_landmarks++] = (WalLandmark){
		.kind = event->kind,
		.lsn = event->lsn,
		.previous = detail->previous,
		.continues = continues,
		.xid = event->xid,
		.time = event->time,
		.name = event->kind == WAL_EVENT_RESTORE_POINT
	                ? mem_strndup(event->restore_point, sizeof(event->restore_point))
	                : NULL,
	};
}

/* It takes the place of what this segment alone told of it. */
void
segment_detail_join(void *context, const WalEvent *event)
{
	SegmentDetail *detail = context;
	WalEvent whole = *event;

	if (is_part(event->kind))
		return;
	detail->joined = true;
	whole.end = InvalidXLogRecPtr;
	if (detail->n_landmarks > 0 && detail->landmarks[detail->n_landmarks - 1].lsn == event->lsn)
		free(detail->landmarks[--detail->n_landmarks].name);
	segment_detail_add(detail, &whole);
}

void
segment_detail_free(SegmentDetail *detail)
{
	if (detail == NULL)
		return;
	for (size_t i = 0; i < detail->n_landmarks; i++)
		free(detail->landmarks[i].name);
	free(detail->landmarks);
	free(detail);
}

void
wal_needs_index(WalNeeds *needs, TimeLineID timeline, XLogSegNo first, XLogSegNo last)
{
	for (size_t i = 0; i < needs->n_indexes; i++)
	{
		WalRange *range = &needs->indexes[i];

		if (range->timeline != timeline || first > range->last + 1 || last + 1 < range->first)
			continue;
		range->first = first < range->first ? first : range->first;
		range->last = last > range->last ? last : range->last;
		return;
	}
	GROW(needs->indexes, needs->n_indexes, needs->indexes_capacity);
	needs->indexes[needs->n_indexes++] = (WalRange){timeline, first, last};
}

void
wal_needs_detail(WalNeeds *needs, TimeLineID timeline, XLogSegNo segno)
{
	for (size_t i = 0; i < needs->n_details; i++)
		if (needs->details[i].timeline == timeline && needs->details[i].first == segno)
			return;
	GROW(needs->details, needs->n_details, needs->details_capacity);
	needs->details[needs->n_details++] = (WalRange){timeline, segno, segno};
}

bool
wal_needs_nothing(const WalNeeds *needs)
{
	return needs->n_indexes == 0 && needs->n_details == 0;
}

void
wal_needs_clear(WalNeeds *needs)
{
	needs->n_indexes = 0;
	needs->n_details = 0;
}

void
wal_needs_release(WalNeeds *needs)
{
	free(needs->indexes);
	free(needs->details);
	*needs = (WalNeeds){0};
}
