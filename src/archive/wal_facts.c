/* Facts that are remembered; see walship/archive/wal_facts.h. */
#include "walship/archive/wal_facts.h"

#include <string.h>

#include "walship/base/mem.h"
#include "walship/wal/tablespace_record.h"

#define AT_ONCE_MAX 4096 /* indexes that are read side by side */

/* Open addressing; full at three quarters. */
typedef struct IndexTable
{
	SegmentIndex **slots; /* NULL: free */
	size_t n_slots;       /* a power of two */
	size_t count;
} IndexTable;

typedef struct KnownRecords
{
	TimeLineID timeline;
	TimeLineID next_timeline; /* of the path's next segment; 0: it has none */
	SegmentRecords records;
} KnownRecords;

struct WalFacts
{
	WalSource *source;
	IndexTable indexes;
	KnownRecords **records; /* few */
	size_t n_records;
	size_t records_capacity;
	SegmentIndex *expected; /* only timeline and number */
	size_t n_expected;
	size_t expected_capacity;
	WalRange *damaged; /* of one segment each: only the records told of it */
	size_t n_damaged;
	size_t damaged_capacity;
	bool met_foreign;
	bool failed;
	Error *error;
};

void
segment_records_release(SegmentRecords *records)
{
	for (size_t i = 0; i < records->n_events; i++)
		free((char *) (uintptr_t) records->events[i].name);
	free(records->events);
	records->events = NULL;
	records->n_events = 0;
	records->capacity = 0;
	free(records->written);
	records->written = NULL;
	records->n_written = 0;
	records->written_capacity = 0;
}

/* A chain that does not hold what its last segment holds is none. */
static void
fill_chain(SegmentIndex *segment, const WalIndex *index)
{
	bool known = index->time_high_since != InvalidXLogRecPtr && index->time_high_since <= index->start_lsn &&
	             index->segment_size > 0 && index->time_high >= index->max_time;

	segment->time_high = known ? index->time_high : index->max_time;
	segment->chain_first = known ? lsn_segment(index->time_high_since, index->segment_size) : segment->segno;
}

/* What a run claims must hold at least for its last segment. */
static XLogSegNo
quiet_first(const WalIndex *index, XLogSegNo segno)
{
	bool known = index->quiet_since != InvalidXLogRecPtr && index->quiet_since <= index->start_lsn &&
	             index->segment_size > 0 && wal_index_is_quiet(index);

	return known ? lsn_segment(index->quiet_since, index->segment_size) : segno + 1;
}

/*
 * Of the record that goes on in the next segment its first 8 or 16 bytes may lie
 * here, which do not tell what it is; but every such record is short, and of a transaction.
 */
static bool
edge_may_create_tablespace(const WalEdge *tail)
{
	if (tail->length == 0 || tail->length >= WAL_RECORD_KIND_SIZE)
		return false;
	if (tail->size < WAL_RECORD_XID_END)
		return true;
	return wal_record_length(tail->bytes) <= WAL_TABLESPACE_RECORD_MAX && wal_record_xid(tail->bytes) != 0;
}

/* Old writers passed such records over. */
static bool
may_create_tablespace(const WalIndex *index)
{
	if (!index->tells_changes || index->n_tablespaces > WAL_INDEX_TABLESPACES_MAX)
		return true;
	for (size_t i = 0; i < index->n_tablespaces; i++)
		if (index->tablespaces[i].created)
			return true;
	return edge_may_create_tablespace(&index->walk.tail);
}

void
segment_index_fill(SegmentIndex *segment, const WalIndex *index)
{
	const WalWalkResult *walk = &index->walk;

	segment->readable = index->walked;
	segment->foreign = wal_index_is_foreign(index);
	segment->major = index->major;
	segment->transactions = index->commits + index->aborts;
	segment->commits = index->commits;
	segment->drops = index->n_drops;
	segment->files_created = index->n_files_created;
	segment->first_time = index->first_time;
	segment->last_time = index->last_time;
	segment->min_time = index->min_time;
	segment->max_time = index->max_time;
	segment->min_xid = index->min_xid;
	segment->max_xid = index->max_xid;
	fill_chain(segment, index);
	segment->quiet_first = quiet_first(index, segment->segno);
	segment->last_record = walk->last_record;
	segment->damaged = walk->damaged_at != InvalidXLogRecPtr;
	segment->valid_end = segment->foreign   ? index->end_lsn
	                     : segment->damaged ? walk->damaged_at
	                                        : walk->wal_end;
	segment->minimal_at = index->wal_level_minimal_at;
	if (segment->minimal_at != InvalidXLogRecPtr && segment->minimal_at < segment->valid_end)
		segment->valid_end = segment->minimal_at;
	segment->full_page_writes_off_at = index->full_page_writes_off_at;
	segment->known_full_xid = index->known_full_xid;
	segment->continues = walk->continues;
	segment->crosses = walk->tail.length > 0;
	segment->head_length = walk->head.length;
	segment->parameter_change = index->parameter_change;
	segment->may_create_tablespace = may_create_tablespace(index);
	segment->chain_tells_tablespaces = index->tells_changes;
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

/* Records of one transaction mostly follow each other. */
static void
count_written(SegmentRecords *records, const WalEvent *event)
{
	if (event->writer == 0 || event->end == InvalidXLogRecPtr)
		return;
	if (records->n_written == 0 || records->written[records->n_written - 1].xid != event->writer)
	{
		GROW(records->written, records->n_written, records->written_capacity);
		records->written[records->n_written++] = (WalWritten){.xid = event->writer};
	}
	records->written[records->n_written - 1].records++;
	records->written[records->n_written - 1].bytes += event->end - event->lsn;
}

void
segment_records_add(SegmentRecords *records, WalKinds kinds, const WalEvent *event)
{
	bool is_of_items = event->kind == WAL_EVENT_OTHER && records->n_events > 0 &&
	                   records->events[records->n_events - 1].lsn == event->lsn;

	if (!wal_event_is_item(event->kind))
	{
		records->last_start = event->lsn;
		records->last_previous = event->previous;
		records->last_end = event->end;
		if ((kinds & WAL_WRITTEN) != 0)
			count_written(records, event);
	}
	if ((kinds & WAL_KIND(event->kind)) == 0 && !is_of_items)
		return;
	GROW(records->events, records->n_events, records->capacity);

	WalEvent *kept = &records->events[records->n_events++];

	*kept = *event;
	kept->name = mem_strdup(event->name);
}

WalFacts *
wal_facts_new(WalSource *source)
{
	WalFacts *facts = NEW(WalFacts);

	facts->source = source;
	return facts;
}

static void
free_index(SegmentIndex *segment)
{
	if (segment == NULL)
		return;
	free(segment->restore_points);
	free(segment);
}

void
wal_facts_free(WalFacts *facts)
{
	if (facts == NULL)
		return;
	for (size_t i = 0; i < facts->indexes.n_slots; i++)
		free_index(facts->indexes.slots[i]);
	free(facts->indexes.slots);
	for (size_t i = 0; i < facts->n_records; i++)
	{
		segment_records_release(&facts->records[i]->records);
		free(facts->records[i]);
	}
	free(facts->records);
	free(facts->expected);
	free(facts->damaged);
	facts->source->ops->free(facts->source);
	error_free(facts->error);
	free(facts);
}

/* The segment's slot, or the free one where it belongs. */
static SegmentIndex **
slot_of(const IndexTable *table, TimeLineID timeline, XLogSegNo segno)
{
	uint64_t hash = (segno ^ (uint64_t) timeline << 40) * UINT64_C(0x9E3779B97F4A7C15);
	size_t at = (size_t) (hash >> 20) & (table->n_slots - 1);

	while (table->slots[at] != NULL &&
	       (table->slots[at]->segno != segno || table->slots[at]->timeline != timeline))
		at = (at + 1) & (table->n_slots - 1);
	return &table->slots[at];
}

static SegmentIndex *
find(const WalFacts *facts, TimeLineID timeline, XLogSegNo segno)
{
	return facts->indexes.n_slots == 0 ? NULL : *slot_of(&facts->indexes, timeline, segno);
}

static void
make_room(IndexTable *table)
{
	IndexTable wider = {.n_slots = table->n_slots == 0 ? 64 : 2 * table->n_slots, .count = table->count};

	if (table->count * 4 < table->n_slots * 3)
		return;
	wider.slots = NEW_ARRAY(SegmentIndex *, wider.n_slots);
	for (size_t i = 0; i < table->n_slots; i++)
		if (table->slots[i] != NULL)
			*slot_of(&wider, table->slots[i]->timeline, table->slots[i]->segno) = table->slots[i];
	free(table->slots);
	*table = wider;
}

/* A place for what is to be read, with nothing known of it; NULL when it is known already. */
static SegmentIndex *
add(WalFacts *facts, TimeLineID timeline, XLogSegNo segno)
{
	SegmentIndex *segment;

	if (find(facts, timeline, segno) != NULL)
		return NULL;
	make_room(&facts->indexes);
	facts->indexes.count++;
	segment = *slot_of(&facts->indexes, timeline, segno) = NEW(SegmentIndex);
	*segment = (SegmentIndex){.timeline = timeline,
	                          .segno = segno,
	                          .first_time = TIME_NONE,
	                          .last_time = TIME_NONE,
	                          .min_time = TIME_NONE,
	                          .max_time = TIME_NONE,
	                          .chain_first = segno,
	                          .time_high = TIME_NONE,
	                          .quiet_first = segno + 1,
	                          .recipients = ""};
	return segment;
}

static void
keep_error(WalFacts *facts, Error *error)
{
	facts->failed = true;
	facts->error = error;
}

/* As many as were asked for one after the other until here; then what is expected. */
static void
read_from(WalFacts *facts, TimeLineID timeline, XLogSegNo segno, XLogSegNo toward)
{
	bool down = toward < segno;
	XLogSegNo room = down ? segno - toward + 1 : toward - segno + 1;
	size_t known = 1;
	SegmentIndex **items;
	size_t n_items = 0;
	SegmentIndex *item;

	while (known < AT_ONCE_MAX && known < room && (down || known <= segno) &&
	       find(facts, timeline, down ? segno + known : segno - known) != NULL)
		known++;
	items = NEW_ARRAY(SegmentIndex *, known + facts->n_expected);
	for (size_t i = 0; i < known && i < room; i++)
	{
		item = add(facts, timeline, down ? segno - i : segno + i);
		if (item == NULL)
			break;
		items[n_items++] = item;
	}
	for (size_t i = 0; i < facts->n_expected; i++)
		if ((item = add(facts, facts->expected[i].timeline, facts->expected[i].segno)) != NULL)
			items[n_items++] = item;
	facts->n_expected = 0;
	if (!facts->failed)
	{
		Error *error = facts->source->ops->read_indexes(facts->source, items, n_items);

		if (error != NULL)
			keep_error(facts, error);
	}
	for (size_t i = 0; i < n_items; i++)
		facts->met_foreign = facts->met_foreign || items[i]->foreign;
	free(items);
}

const SegmentIndex *
wal_facts_index(WalFacts *facts, TimeLineID timeline, XLogSegNo segno, XLogSegNo toward)
{
	const SegmentIndex *segment = find(facts, timeline, segno);

	if (segment == NULL)
	{
		read_from(facts, timeline, segno, toward);
		segment = find(facts, timeline, segno);
	}
	return segment;
}

bool
wal_facts_met_foreign(const WalFacts *facts)
{
	return facts->met_foreign;
}

void
wal_facts_expect(WalFacts *facts, TimeLineID timeline, XLogSegNo segno)
{
	if (find(facts, timeline, segno) != NULL)
		return;
	GROW(facts->expected, facts->n_expected, facts->expected_capacity);
	facts->expected[facts->n_expected++] = (SegmentIndex){.timeline = timeline, .segno = segno};
}

/* The same segment may be followed by another one on another path. */
static const SegmentRecords *
find_records(const WalFacts *facts, TimeLineID timeline, TimeLineID next_timeline, XLogSegNo segno)
{
	for (size_t i = 0; i < facts->n_records; i++)
	{
		const KnownRecords *known = facts->records[i];

		if (known->records.segno == segno && known->timeline == timeline &&
		    known->next_timeline == next_timeline)
			return &known->records;
	}
	return NULL;
}

static void
note_barrier(WalFacts *facts, SegmentIndex *index)
{
	index->chain_first = index->segno;
	index->quiet_first = index->segno + 1;
	GROW(facts->damaged, facts->n_damaged, facts->damaged_capacity);
	facts->damaged[facts->n_damaged++] = (WalRange){index->timeline, index->segno, index->segno};
}

static void
note_damage(WalFacts *facts, TimeLineID timeline, XLogSegNo segno)
{
	SegmentIndex *index = find(facts, timeline, segno);

	if (index == NULL || !index->readable)
		return;
	index->readable = false;
	index->valid_end = InvalidXLogRecPtr;
	note_barrier(facts, index);
}

/* What comes after the change is not of any replay.  An index of walship 0.1.0 does not tell of it. */
static void
end_at_minimal(WalFacts *facts, TimeLineID timeline, SegmentRecords *records)
{
	SegmentIndex *index = find(facts, timeline, records->segno);
	size_t at = 0;

	while (at < records->n_events && !wal_event_is_minimal(&records->events[at]))
		at++;
	if (at == records->n_events)
		return;
	records->last_start = records->events[at].previous;
	records->last_previous = InvalidXLogRecPtr;
	records->last_end = records->events[at].lsn;
	while (records->n_events > at + 1)
		free((char *) (uintptr_t) records->events[--records->n_events].name);
	if (index == NULL || index->minimal_at != InvalidXLogRecPtr)
		return;
	index->minimal_at = records->last_end;
	index->valid_end = records->last_end;
	note_barrier(facts, index);
}

const SegmentRecords *
wal_facts_records(WalFacts *facts, const WalPath *path, XLogSegNo segno)
{
	const WalPathPiece *piece = wal_path_piece(path, segno);
	const WalPathPiece *next = wal_path_piece(path, segno + 1);
	TimeLineID next_timeline = next == NULL ? 0 : next->timeline;
	const SegmentRecords *records = find_records(facts, piece->timeline, next_timeline, segno);
	KnownRecords *known;

	if (records != NULL)
		return records;
	known = NEW(KnownRecords);
	*known = (KnownRecords){
		.timeline = piece->timeline, .next_timeline = next_timeline, .records = {.segno = segno}};
	GROW(facts->records, facts->n_records, facts->records_capacity);
	facts->records[facts->n_records++] = known;
	if (!facts->failed)
	{
		Error *error =
			facts->source->ops->read_records(facts->source, path, WAL_PLAN_KINDS, &known->records, 1);

		if (error != NULL)
			keep_error(facts, error);
		else if (!known->records.readable)
			note_damage(facts, piece->timeline, segno);
		end_at_minimal(facts, piece->timeline, &known->records);
	}
	return &known->records;
}

size_t
wal_facts_damaged_count(const WalFacts *facts)
{
	return facts->n_damaged;
}

bool
wal_facts_damaged_between(const WalFacts *facts, const WalRange *range, XLogSegNo *ret_segno)
{
	bool found = false;

	for (size_t i = 0; i < facts->n_damaged; i++)
	{
		XLogSegNo segno = facts->damaged[i].first;

		if (facts->damaged[i].timeline != range->timeline || segno < range->first || segno > range->last ||
		    (found && segno >= *ret_segno))
			continue;
		*ret_segno = segno;
		found = true;
	}
	return found;
}

Error *
wal_facts_read_records(WalFacts *facts, const WalPath *path, WalKinds kinds, SegmentRecords *items,
                       size_t n_items)
{
	return facts->source->ops->read_records(facts->source, path, kinds, items, n_items);
}

Error *
wal_facts_error(WalFacts *facts)
{
	return MOVE(facts->error);
}
