/* Reads the members of a segment object; see wal_object_members.h. */
#include "wal_object_members.h"

#include <inttypes.h>
#include <string.h>

#include "walship/archive/layout.h"
#include "walship/archive/self_sha256.h"
#include "walship/archive/wal_object.h"
#include "walship/base/mem.h"
#include "walship/pipe/codec.h"
#include "walship/pipe/stages.h"
#include "walship/pipe/tar.h"

typedef struct Members
{
	Sink sink;
	uint64_t system_identifier;
	char *key;
	WalPayloadBegin begin;
	void *context;
	WalIndex *ret_index;

	Pipe *tar; /* reads what passes */
	int begun; /* members so far */
	Buf index_text;
	WalIndex index;
	Pipe *payload; /* NULL before the second member */
	bool payload_done;
} Members;

static Error *
member_begin(void *context, const TarEntry *entry)
{
	Members *members = context;
	const WalIndex *index = &members->index;
	Digest stored = {.size = index->stored_size};

	if (entry->type != TAR_FILE || members->begun == 2)
		return error_new(ERR_CORRUPT, "unexpected member \"%s\"", entry->name);
	if (++members->begun == 1)
		return NULL;
	if (strcmp(entry->name, index->member) != 0 || entry->size != index->stored_size)
		return error_new(ERR_CORRUPT, "member \"%s\" is not the one that the index names", entry->name);
	if (entry->size > codec_stored_most(index->segment_size))
		return error_new(ERR_CORRUPT,
		                 "member \"%s\" has %" PRIu64 " bytes: more than any codec makes of a segment",
		                 entry->name, entry->size);
	memcpy(stored.sha256, index->stored_sha256, SHA256_SIZE);
	members->payload = pipe_new();
	pipe_add(members->payload, verify_stage_new(&stored, index->member));
	if (members->begin != NULL)
		return members->begin(members->context, index, members->payload);
	pipe_add(members->payload, null_sink_new());
	return NULL;
}

static Error *
member_data(void *context, const void *data, size_t size)
{
	Members *members = context;

	if (members->payload != NULL)
		return pipe_write(members->payload, data, size);
	buf_append(&members->index_text, data, size);
	if (members->index_text.overflowed)
		return error_new(ERR_CORRUPT, "index is longer than %zu bytes", (size_t) WAL_OBJECT_INDEX_MAX);
	return NULL;
}

/* Name and, of a partial, digest are in the key: an index that is whole and belongs elsewhere is no better. */
static Error *
check_index(Members *members)
{
	const Buf *text = &members->index_text;
	WalIndex *index = &members->index;
	AUTO_FREE char *key = NULL;
	WalName name;

	TRY(self_sha256_check(text->data == NULL ? "" : text->data, text->size, "index"));
	TRY(wal_index_parse(text->data, text->size, "index", index));
	TRY(wal_name_parse(index->segment, &name));
	if (index->system_identifier != members->system_identifier)
		return error_new(ERR_CORRUPT, "object belongs to database system %" PRIu64, index->system_identifier);
	key = layout_wal_key(members->system_identifier, &name, index->sha256);
	if (strcmp(key, members->key) != 0)
		return error_new(ERR_CORRUPT, "object holds \"%s\"", index->segment);
	return NULL;
}

static Error *
member_end(void *context)
{
	Members *members = context;

	if (members->payload == NULL)
		return check_index(members);
	TRY(pipe_finish(members->payload));
	members->payload_done = true;
	return NULL;
}

static Error *
members_write(Sink *sink, const void *data, size_t size)
{
	TRY(pipe_write(((Members *) sink)->tar, data, size));
	return sink->next == NULL ? NULL : sink_write(sink->next, data, size);
}

static Error *
members_finish(Sink *sink)
{
	Members *members = (Members *) sink;

	TRY(pipe_finish(members->tar));
	if (!members->payload_done)
		return error_new(ERR_CORRUPT, "object has no payload");
	if (members->ret_index != NULL)
		*members->ret_index = members->index;
	return NULL;
}

static void
members_free(Sink *sink)
{
	Members *members = (Members *) sink;

	pipe_free(members->tar);
	pipe_free(members->payload);
	buf_release(&members->index_text);
	free(members->key);
	free(members);
}

Sink *
wal_object_members_new(uint64_t system_identifier, const char *key, WalPayloadBegin begin, void *context,
                       WalIndex *ret_index)
{
	static const SinkOps ops = {.write = members_write, .finish = members_finish, .free = members_free};
	static const TarHandler handler = {.begin = member_begin, .data = member_data, .end = member_end};
	Members *members = NEW(Members);

	members->sink.ops = &ops;
	members->system_identifier = system_identifier;
	members->key = mem_strdup(key);
	members->begin = begin;
	members->context = context;
	members->ret_index = ret_index;
	buf_init(&members->index_text, WAL_OBJECT_INDEX_MAX);
	members->tar = pipe_new();
	pipe_add(members->tar, tar_reader_new(&handler, members, true, "object"));
	return &members->sink;
}
