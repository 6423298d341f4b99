/* A segment object's index alone: its first bytes, of which one read is nearly always enough. */
#include "walship/archive/read_again.h"
#include "walship/archive/self_sha256.h"
#include "walship/archive/wal_object.h"
#include "walship/pipe/stages.h"
#include "walship/pipe/tar.h"

/* Reads "size" bytes from the start, fewer at the object's end. */
static Error *
read_head(Store *store, const char *key, uint64_t size, Buf *head)
{
	AUTO(Sink) sink = NULL;

	buf_init(head, size);
	sink = buf_sink_new(head);
	return store_get(store, key, 0, size, sink);
}

static Error *
parse_head(Store *store, const char *key, Buf *head, WalIndex *ret_index)
{
	TarEntry entry;

	TRY(read_head(store, key, WAL_INDEX_READ_SIZE, head));
	if (head->size < TAR_BLOCK_SIZE)
		return error_new(ERR_CORRUPT, "object is cut off");
	TRY(tar_header_parse((const uint8_t *) head->data, &entry));
	if (entry.size > WAL_OBJECT_INDEX_MAX)
		return error_new(ERR_CORRUPT, "index is longer than %zu bytes", (size_t) WAL_OBJECT_INDEX_MAX);
	if (TAR_BLOCK_SIZE + entry.size > head->size)
	{
		buf_release(head);
		TRY(read_head(store, key, TAR_BLOCK_SIZE + entry.size, head));
	}
	if (TAR_BLOCK_SIZE + entry.size > head->size)
		return error_new(ERR_CORRUPT, "object is cut off");
	TRY(self_sha256_check(head->data + TAR_BLOCK_SIZE, entry.size, "index"));
	return wal_index_parse(head->data + TAR_BLOCK_SIZE, entry.size, "index", ret_index);
}

Error *
wal_object_index(Store *store, const char *key, WalIndex *ret_index)
{
	AUTO_BUF(head, 0);
	Error *error;
	int reads = 0;

	do
	{
		buf_release(&head);
		error = parse_head(store, key, &head, ret_index);
	} while (read_again(store, key, &error, &reads));
	return error_context(error, "could not read the index of \"%s\" in store \"%s\"", key, store_url(store));
}
