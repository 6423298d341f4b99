/* Reads a stored segment for its records. */
#include "walship/archive/wal_object.h"

#include "walship/base/mem.h"

/* Hands the segment to a walker; its first piece holds the whole page header. */
typedef struct WalkSink
{
	Sink sink;
	WalEventCallback callback;
	void *context;
	WalWalker *walker; /* NULL before the first bytes */
} WalkSink;

static Error *
walk_sink_write(Sink *sink, const void *data, size_t size)
{
	WalkSink *walk = (WalkSink *) sink;

	if (walk->walker == NULL)
	{
		WalPageHeader header;

		TRY(wal_page_header_parse(data, size, &header));
		walk->walker = wal_walker_new(&header, walk->callback, walk->context);
	}
	wal_walker_feed(walk->walker, data, size);
	return NULL;
}

Error *
wal_object_walk(const WalArchive *archive, const WalName *name, WalEventCallback callback, void *context,
                WalWalkResult *ret_result)
{
	static const SinkOps ops = {.write = walk_sink_write};
	WalkSink walk = {.sink.ops = &ops, .callback = callback, .context = context};
	Error *error = wal_object_get(archive, name, &walk.sink, NULL);

	if (error == NULL)
		wal_walker_finish(walk.walker, ret_result);
	wal_walker_free(walk.walker);
	return error;
}
