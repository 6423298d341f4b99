/* Reads segment objects back: index, then payload, everything checked on the way. */
#include <inttypes.h>
#include <string.h>

#include "walship/archive/layout.h"
#include "walship/archive/object_check.h"
#include "walship/archive/read_again.h"
#include "walship/archive/readable.h"
#include "walship/archive/self_sha256.h"
#include "walship/archive/wal_object.h"
#include "walship/base/mem.h"
#include "walship/pipe/codec.h"
#include "walship/pipe/stages.h"
#include "walship/pipe/tar.h"

/* What a reader knows while the archive passes. */
typedef struct Reader
{
	const WalArchive *archive;
	const WalName *name;
	const char *key;
	Sink *into;  /* the caller's */
	int members; /* begun so far */
	Buf index_text;
	WalIndex index;
	Pipe *payload; /* NULL outside the payload member */
	bool payload_done;
} Reader;

/* The end of the payload's pipe: checks header and length, and hands on what the caller wants. */
typedef struct SegmentSink
{
	Sink sink;
	const Reader *reader;
	uint8_t head[WAL_LONG_HEADER_SIZE];
	size_t head_size;
	uint64_t size;
} SegmentSink;

/* Nothing is handed on before the header was seen whole and is right. */
static Error *
segment_sink_write(Sink *sink, const void *data, size_t size)
{
	SegmentSink *segment = (SegmentSink *) sink;
	const Reader *reader = segment->reader;
	const uint8_t *next = data;

	segment->size += size;
	if (segment->head_size < sizeof(segment->head))
	{
		size_t part = sizeof(segment->head) - segment->head_size;
		WalPageHeader header;

		if (part > size)
			part = size;
		memcpy(segment->head + segment->head_size, next, part);
		segment->head_size += part;
		next += part;
		size -= part;
		if (segment->head_size < sizeof(segment->head))
			return NULL;

		TRY(wal_page_header_parse(segment->head, segment->head_size, &header));
		TRY(wal_page_header_matches(&header, reader->name));
		if (header.system_identifier != reader->index.system_identifier ||
		    header.segment_size != reader->index.segment_size)
			return error_new(ERR_CORRUPT, "page header and index disagree");
		TRY(sink_write(reader->into, segment->head, sizeof(segment->head)));
	}
	return sink_write(reader->into, next, size);
}

static Error *
segment_sink_finish(Sink *sink)
{
	const SegmentSink *segment = (const SegmentSink *) sink;

	if (segment->size == segment->reader->index.segment_size)
		return NULL;
	return error_new(ERR_CORRUPT, "segment has %" PRIu64 " bytes instead of %" PRIu32, segment->size,
	                 segment->reader->index.segment_size);
}

static Error *
pass_over(void *context, const void *data, size_t size)
{
	(void) context;
	(void) data;
	(void) size;
	return NULL;
}

static Error *
begin_payload(Reader *reader, const TarEntry *entry)
{
	static const SinkOps segment_ops = {.write = segment_sink_write, .finish = segment_sink_finish};
	const WalIndex *index = &reader->index;
	SegmentSink *segment;
	Digest stored = {.size = index->stored_size};
	Codec codec;

	if (!codec_from_name(index->codec, &codec))
		return error_hint(error_new(ERR_CORRUPT, "codec \"%s\" is not known", index->codec),
		                  "A newer walship may have written it.");
	if (strcmp(entry->name, index->member) != 0 || entry->size != index->stored_size)
		return error_new(ERR_CORRUPT, "member \"%s\" is not the one that the index names", entry->name);
	if (entry->size > codec_stored_most(index->segment_size))
		return error_new(ERR_CORRUPT,
		                 "member \"%s\" has %" PRIu64 " bytes: more than any codec makes of a segment",
		                 entry->name, entry->size);
	memcpy(stored.sha256, index->stored_sha256, SHA256_SIZE);
	reader->payload = pipe_new();
	pipe_add(reader->payload, verify_stage_new(&stored, reader->index.member));
	if (reader->archive->stored_only)
	{
		pipe_add(reader->payload, callback_stage_new(pass_over, NULL));
		return NULL;
	}
	TRY(readable_check(reader->archive->store, index->system_identifier, reader->archive->identities,
	                   &(ReadableClaim){.what = entry->name,
	                                    .recipients = index->recipients,
	                                    .timeline = index->timeline,
	                                    .start_lsn = index->start_lsn,
	                                    .segment_size = index->segment_size}));
	if (index->recipients[0] != '\0')
		pipe_add(reader->payload, age_decoder_new(reader->archive->identities, index->member));
	codec_add_decoder(reader->payload, codec, index->segment_size, reader->index.member);
	segment = NEW(SegmentSink);
	segment->sink.ops = &segment_ops;
	segment->reader = reader;
	pipe_add(reader->payload, &segment->sink);
	return NULL;
}

static Error *
member_begin(void *context, const TarEntry *entry)
{
	Reader *reader = context;

	if (entry->type != TAR_FILE || reader->members == 2)
		return error_new(ERR_CORRUPT, "unexpected member \"%s\"", entry->name);
	return ++reader->members == 1 ? NULL : begin_payload(reader, entry);
}

static Error *
member_data(void *context, const void *data, size_t size)
{
	Reader *reader = context;

	if (reader->payload != NULL)
		return pipe_write(reader->payload, data, size);
	buf_append(&reader->index_text, data, size);
	if (reader->index_text.overflowed)
		return error_new(ERR_CORRUPT, "index is longer than %zu bytes", (size_t) WAL_OBJECT_INDEX_MAX);
	return NULL;
}

static Error *
member_end(void *context)
{
	Reader *reader = context;
	char name[WAL_NAME_SIZE];

	if (reader->payload != NULL)
	{
		TRY(pipe_finish(reader->payload));
		reader->payload_done = true;
		return NULL;
	}
	TRY(self_sha256_check(reader->index_text.data, reader->index_text.size, "index"));
	TRY(wal_index_parse(reader->index_text.data, reader->index_text.size, "index", &reader->index));

	/* Does the index speak of the file that was asked for? */
	if (strcmp(reader->index.segment, wal_name_format(reader->name, name)) != 0)
		return error_new(ERR_CORRUPT, "object holds \"%s\"", reader->index.segment);
	if (reader->index.system_identifier != reader->archive->system_identifier)
		return error_new(ERR_CORRUPT, "object belongs to database system %" PRIu64,
		                 reader->index.system_identifier);
	return NULL;
}

/* An object of the largest segment: index, what no codec makes of it, headers. */
#define OBJECT_MAX ((size_t) codec_stored_most(WAL_SEGMENT_SIZE_MAX) + WAL_OBJECT_INDEX_MAX + 64 * 1024)

/* Where another copy is, nothing of a damaged one may have gone on: so all of it is checked first. */
static Error *
read_best_copy(const WalArchive *archive, const char *key, Pipe *into)
{
	AUTO_BUF(object, OBJECT_MAX);
	Error *error;
	int reads = 0;

	do
	{
		AUTO(Pipe) check = pipe_new();

		buf_clear(&object);
		pipe_add(check, object_check_segment(archive->system_identifier, key));
		pipe_add(check, buf_sink_new(&object));
		error = store_get(archive->store, key, 0, STORE_TO_END, pipe_as_sink(check));
		if (error == NULL)
			error = pipe_finish(check);
	} while (read_again(archive->store, key, &error, &reads));
	TRY(error);
	return pipe_write(into, object.data, object.size);
}

static Error *
read_object(const WalArchive *archive, Reader *reader)
{
	static const TarHandler handler = {.begin = member_begin, .data = member_data, .end = member_end};
	AUTO(Pipe) pipe = pipe_new();

	pipe_add(pipe, tar_reader_new(&handler, reader, true, "object"));
	if (store_has_copies(archive->store))
		TRY(read_best_copy(archive, reader->key, pipe));
	else
		TRY(store_get(archive->store, reader->key, 0, STORE_TO_END, pipe_as_sink(pipe)));
	TRY(pipe_finish(pipe));
	if (!reader->payload_done)
		return error_new(ERR_CORRUPT, "object has no payload");
	return NULL;
}

Error *
wal_object_get_key(const WalArchive *archive, const char *key, const WalName *name, Sink *into,
                   WalIndex *ret_index)
{
	Reader reader = {.archive = archive, .name = name, .key = key, .into = into};
	Error *error;

	buf_init(&reader.index_text, WAL_OBJECT_INDEX_MAX);
	error = read_object(archive, &reader);
	buf_release(&reader.index_text);
	pipe_free(reader.payload);
	if (error == NULL && ret_index != NULL)
		*ret_index = reader.index;
	return error_context(error, "could not read \"%s\" from store \"%s\"", key, store_url(archive->store));
}

Error *
wal_object_get(const WalArchive *archive, const WalName *name, Sink *into, WalIndex *ret_index)
{
	AUTO_FREE char *key = layout_wal_key(archive->system_identifier, name, NULL);

	return wal_object_get_key(archive, key, name, into, ret_index);
}
