/* Reads a stored segment for its records. */
#include "walship/archive/wal_object.h"

#include "walship/archive/layout.h"
#include "walship/base/mem.h"

typedef struct Walk
{
	WalEventCallback callback;
	void *context;
	WalWalker *walker; /* NULL before the first bytes */
} Walk;

/* Hands the segment to a walker; its first piece holds the whole page header. */
static Error *
feed_walker(void *context, const void *data, size_t size)
{
	Walk *walk = context;

	if (walk->walker == NULL)
	{
		WalPageHeader header;

		TRY(wal_page_header_parse(data, size, &header));
		walk->walker = wal_walker_new(&header, walk->callback, walk->context);
	}
	wal_walker_feed(walk->walker, data, size);
	return NULL;
}

static void
ignore_event(void *context, const WalEvent *event)
{
	(void) context;
	(void) event;
}

/* The index of an encrypted segment keeps nothing of its records: the segment itself is read. */
static Error *
read_head(const WalArchive *archive, const WalName *name, WalEdge *ret_head)
{
	Walk walk = {.callback = ignore_event};
	CallbackSink sink = callback_sink(feed_walker, &walk);
	WalWalkResult result;
	Error *error = wal_object_get(archive, name, &sink.sink, NULL);

	if (error == NULL)
	{
		wal_walker_finish(walk.walker, &result);
		*ret_head = result.head;
	}
	wal_walker_free(walk.walker);
	return error;
}

/*
 * A record that goes on in the next segment is told as far as that one's beginning is kept; not at all when there is
 * no such segment.
 */
static Error *
continue_walk(const WalArchive *archive, const WalName *name, const WalIndex *index, WalWalker *walker)
{
	XLogSegNo segno = lsn_segment(index->end_lsn, index->segment_size);
	WalName next_name = wal_name_of_segment(name->timeline, segno, index->segment_size);
	AUTO_FREE char *key = layout_wal_key(archive->system_identifier, &next_name, NULL);
	WalIndex next;
	Error *error;

	if (!wal_walker_is_open(walker))
		return NULL;
	error = wal_object_index(archive->store, key, &next);
	if (error_is(error, ERR_NOT_FOUND))
	{
		error_free(error);
		return NULL;
	}
	TRY(error);
	if (next.recipients[0] != '\0' && next.walk.head.length > 0)
		TRY(read_head(archive, &next_name, &next.walk.head));
	if (next.walk.head.size > 0)
		wal_walker_continue(walker, &next.walk.head);
	return NULL;
}

static Error *
walk_object(const WalArchive *archive, const WalName *name, Walk *walk, WalWalkResult *ret_result)
{
	CallbackSink sink = callback_sink(feed_walker, walk);
	WalIndex index;

	TRY(wal_object_get(archive, name, &sink.sink, &index));
	TRY(continue_walk(archive, name, &index, walk->walker));
	wal_walker_finish(walk->walker, ret_result);
	return NULL;
}

Error *
wal_object_walk(const WalArchive *archive, const WalName *name, WalEventCallback callback, void *context,
                WalWalkResult *ret_result)
{
	Walk walk = {.callback = callback, .context = context};
	Error *error = walk_object(archive, name, &walk, ret_result);

	wal_walker_free(walk.walker);
	return error;
}
