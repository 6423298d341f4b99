/* Objects checked as they pass; see walship/archive/object_check.h. */
#include "walship/archive/object_check.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "walship/archive/layout.h"
#include "walship/archive/self_sha256.h"
#include "walship/archive/wal_object.h"
#include "walship/base/mem.h"
#include "walship/pipe/codec.h"
#include "walship/pipe/stages.h"
#include "walship/pipe/tar.h"

typedef struct SegmentCheck
{
	Sink sink;
	uint64_t system_identifier;
	char *key;
	Pipe *tar; /* reads what passes */
	int members;
	Buf index_text;
	WalIndex index;
	Pipe *payload; /* NULL before the second member */
	bool payload_done;
} SegmentCheck;

static Error *
swallow(void *context, const void *data, size_t size)
{
	(void) context;
	(void) data;
	(void) size;
	return NULL;
}

static Error *
member_begin(void *context, const TarEntry *entry)
{
	SegmentCheck *check = context;
	const WalIndex *index = &check->index;
	Digest stored = {.size = index->stored_size};

	if (entry->type != TAR_FILE || check->members == 2)
		return error_new(ERR_CORRUPT, "unexpected member \"%s\"", entry->name);
	if (++check->members == 1)
		return NULL;
	if (strcmp(entry->name, index->member) != 0 || entry->size != index->stored_size)
		return error_new(ERR_CORRUPT, "member \"%s\" is not the one that the index names", entry->name);
	if (entry->size > codec_stored_most(index->segment_size))
		return error_new(ERR_CORRUPT,
		                 "member \"%s\" has %" PRIu64 " bytes: more than any codec makes of a segment",
		                 entry->name, entry->size);
	memcpy(stored.sha256, index->stored_sha256, SHA256_SIZE);
	check->payload = pipe_new();
	pipe_add(check->payload, verify_stage_new(&stored, index->member));
	pipe_add(check->payload, callback_stage_new(swallow, NULL));
	return NULL;
}

static Error *
member_data(void *context, const void *data, size_t size)
{
	SegmentCheck *check = context;

	if (check->payload != NULL)
		return pipe_write(check->payload, data, size);
	buf_append(&check->index_text, data, size);
	if (check->index_text.overflowed)
		return error_new(ERR_CORRUPT, "index is longer than %zu bytes", (size_t) WAL_OBJECT_INDEX_MAX);
	return NULL;
}

/* Name and, of a partial, digest are in the key: an index that is whole and belongs elsewhere is no better. */
static Error *
check_index(SegmentCheck *check)
{
	WalIndex *index = &check->index;
	AUTO_FREE char *key = NULL;
	WalName name;

	TRY(self_sha256_check(check->index_text.data == NULL ? "" : check->index_text.data,
	                      check->index_text.size, "index"));
	TRY(wal_index_parse(check->index_text.data, check->index_text.size, "index", index));
	TRY(wal_name_parse(index->segment, &name));
	if (index->system_identifier != check->system_identifier)
		return error_new(ERR_CORRUPT, "object belongs to database system %" PRIu64, index->system_identifier);
	key = layout_wal_key(check->system_identifier, &name, index->sha256);
	if (strcmp(key, check->key) != 0)
		return error_new(ERR_CORRUPT, "object holds \"%s\"", index->segment);
	return NULL;
}

static Error *
member_end(void *context)
{
	SegmentCheck *check = context;

	if (check->payload == NULL)
		return check_index(check);
	TRY(pipe_finish(check->payload));
	check->payload_done = true;
	return NULL;
}

static Error *
segment_write(Sink *sink, const void *data, size_t size)
{
	TRY(pipe_write(((SegmentCheck *) sink)->tar, data, size));
	return sink_write(sink->next, data, size);
}

static Error *
segment_finish(Sink *sink)
{
	SegmentCheck *check = (SegmentCheck *) sink;

	TRY(pipe_finish(check->tar));
	if (!check->payload_done)
		return error_new(ERR_CORRUPT, "object has no payload");
	return NULL;
}

static void
segment_free(Sink *sink)
{
	SegmentCheck *check = (SegmentCheck *) sink;

	pipe_free(check->tar);
	pipe_free(check->payload);
	buf_release(&check->index_text);
	free(check->key);
	free(check);
}

Sink *
object_check_segment(uint64_t system_identifier, const char *key)
{
	static const SinkOps ops = {.write = segment_write, .finish = segment_finish, .free = segment_free};
	static const TarHandler handler = {.begin = member_begin, .data = member_data, .end = member_end};
	SegmentCheck *check = NEW(SegmentCheck);

	check->sink.ops = &ops;
	check->system_identifier = system_identifier;
	check->key = mem_strdup(key);
	buf_init(&check->index_text, WAL_OBJECT_INDEX_MAX);
	check->tar = pipe_new();
	pipe_add(check->tar, tar_reader_new(&handler, check, true, "object"));
	return &check->sink;
}

typedef struct SealedCheck
{
	Sink sink;
	Buf text;
} SealedCheck;

static Error *
sealed_write(Sink *sink, const void *data, size_t size)
{
	SealedCheck *check = (SealedCheck *) sink;

	buf_append(&check->text, data, size);
	if (check->text.overflowed)
		return error_new(ERR_CORRUPT, "object is longer than %zu bytes", check->text.cap);
	return sink_write(sink->next, data, size);
}

static Error *
sealed_finish(Sink *sink)
{
	SealedCheck *check = (SealedCheck *) sink;

	return self_sha256_check(check->text.data == NULL ? "" : check->text.data, check->text.size, "object");
}

static void
sealed_free(Sink *sink)
{
	SealedCheck *check = (SealedCheck *) sink;

	buf_release(&check->text);
	free(check);
}

Sink *
object_check_sealed(size_t most)
{
	static const SinkOps ops = {.write = sealed_write, .finish = sealed_finish, .free = sealed_free};
	SealedCheck *check = NEW(SealedCheck);

	check->sink.ops = &ops;
	buf_init(&check->text, most);
	return &check->sink;
}
