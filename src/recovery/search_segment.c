/* See search_segment.h. */
#include "search_segment.h"

#include <string.h>

#include "walship/archive/layout.h"
#include "walship/archive/wal_object.h"
#include "walship/base/cancel.h"
#include "walship/base/mem.h"
#include "walship/base/strs.h"

static WalName
name_of(const SearchSource *source, const FindSegment *segment)
{
	return wal_name_of_segment(segment->timeline, segment->segno, source->segment_size);
}

static Error *
read_index(const SearchSource *source, const FindSegment *segment, WalIndex *ret_index)
{
	WalName name = name_of(source, segment);
	AUTO_FREE char *key = layout_wal_key(source->system_identifier, &name, NULL);

	return wal_object_index(source->store, key, ret_index);
}

static Error *
unreadable(SegmentRead *read, Error *error)
{
	if (!error_is(error, ERR_CORRUPT) && !error_is(error, ERR_NOT_FOUND))
		return error;
	error_free(error);
	read->digest.readable = false;
	return NULL;
}

static WalRestorePoint *
copy_points(const WalIndex *index)
{
	size_t size = (size_t) index->n_restore_points * sizeof(WalRestorePoint);
	WalRestorePoint *points;

	if (index->n_restore_points == 0 || index->n_restore_points > WAL_INDEX_RESTORE_POINTS_MAX)
		return NULL;
	points = mem_alloc(size);
	memcpy(points, index->restore_points, size);
	return points;
}

static void
set_run(SegmentRead *read, const WalIndex *index)
{
	bool known = index->time_high_since != InvalidXLogRecPtr && index->time_high_since <= index->start_lsn;

	read->digest.run_first =
		known ? lsn_segment(index->time_high_since, index->segment_size) : read->where->segno;
	read->digest.time_high = known ? index->time_high : index->max_time;
}

Error *
segment_read_index(void *argument)
{
	SegmentRead *read = argument;
	SegmentDigest *digest = &read->digest;
	WalIndex index;
	Error *error = cancel_check();

	if (error == NULL)
		error = read_index(read->source, read->where, &index);
	digest->known = true;
	if (error != NULL)
		return unreadable(read, error);
	digest->readable = index.walked;
	digest->damaged = index.walk.damaged_at != InvalidXLogRecPtr;
	digest->major = index.major;
	digest->commits = index.commits;
	digest->drops = index.n_drops;
	digest->files_created = index.n_files_created;
	digest->restore_points = index.n_restore_points;
	digest->listed_points = copy_points(&index);
	digest->crosses = index.walk.tail.length > 0;
	digest->min_time = index.min_time;
	digest->max_time = index.max_time;
	set_run(read, &index);
	return NULL;
}

/* A record of no interest counts where its items do. */
static bool
is_kept(const SegmentRead *read, const WalEvent *event)
{
	if (event->lsn >= read->where->until)
		return false;
	if (event->kind == WAL_EVENT_OTHER)
		return read->n_events > 0 && read->events[read->n_events - 1].lsn == event->lsn;
	return read->source->wants(event->kind);
}

static void
keep_event(void *argument, const WalEvent *event)
{
	SegmentRead *read = argument;
	bool named = event->kind == WAL_EVENT_RESTORE_POINT;

	if (!is_kept(read, event))
		return;
	GROW(read->events, read->n_events, read->capacity);
	read->events[read->n_events++] = (SeenEvent){.kind = event->kind,
	                                             .xid = event->xid,
	                                             .lsn = event->lsn,
	                                             .time = event->time,
	                                             .relation = event->relation,
	                                             .statistics_kind = event->statistics_kind,
	                                             .cut = event->end == InvalidXLogRecPtr,
	                                             .name = named ? str_printable(event->restore_point) : NULL};
}

Error *
segment_read_events(void *argument)
{
	SegmentRead *read = argument;
	WalName name = name_of(read->source, read->where);
	WalArchive archive = {.store = read->source->store,
	                      .system_identifier = read->source->system_identifier,
	                      .identities = read->source->identities};
	WalWalkResult result;
	Error *error = cancel_check();

	if (error == NULL)
		error = wal_object_walk(&archive, &name, keep_event, read, &result);
	if (error != NULL)
		return unreadable(read, error);
	return NULL;
}

void
segment_read_drop_events(SegmentRead *read)
{
	while (read->n_events > 0)
		free(read->events[--read->n_events].name);
	free(read->events);
	read->events = NULL;
	read->capacity = 0;
}

void
segment_read_release(SegmentRead *read)
{
	segment_read_drop_events(read);
	free(read->digest.listed_points);
}
