/* Reads segment objects back: index, then payload, everything checked on the way. */
#include <inttypes.h>
#include <string.h>

#include "wal_object_members.h"
#include "walship/archive/layout.h"
#include "walship/archive/object_check.h"
#include "walship/archive/read_again.h"
#include "walship/archive/readable.h"
#include "walship/archive/wal_object.h"
#include "walship/base/mem.h"
#include "walship/pipe/codec.h"
#include "walship/pipe/stages.h"

/* What the caller wants. */
typedef struct Reader
{
	const WalArchive *archive;
	const WalName *name;
	Sink *into;
	ChunkList chunks; /* of the payload; read by it until its pipe is freed */
} Reader;

/* The end of the payload's pipe: checks header and length, and hands on what the caller wants. */
typedef struct SegmentSink
{
	Sink sink;
	const Reader *reader;
	const WalIndex *index;
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
		if (header.system_identifier != segment->index->system_identifier ||
		    header.segment_size != segment->index->segment_size)
			return error_new(ERR_CORRUPT, "page header and index disagree");
		TRY(sink_write(reader->into, segment->head, sizeof(segment->head)));
	}
	return sink_write(reader->into, next, size);
}

static Error *
segment_sink_finish(Sink *sink)
{
	const SegmentSink *segment = (const SegmentSink *) sink;

	if (segment->size == segment->index->segment_size)
		return NULL;
	return error_new(ERR_CORRUPT, "segment has %" PRIu64 " bytes instead of %" PRIu32, segment->size,
	                 segment->index->segment_size);
}

static void
add_decoder(Reader *reader, const WalIndex *index, Codec codec, Pipe *payload)
{
	ChunkList *chunks = &reader->chunks;
	const ChunkedStream stream = {.codec = codec,
	                              .list = chunks,
	                              .raw_size = index->segment_size,
	                              .size = index->stored_size,
	                              .what = index->member};
	Workers *cpu = reader->archive->decoding;

	*chunks = (ChunkList){.chunk_size = index->chunk_size, .places = NEW_ARRAY(ChunkPlace, index->n_chunks)};
	for (; chunks->count < index->n_chunks; chunks->count++)
		chunks->places[chunks->count] = (ChunkPlace){.offset = index->chunks[chunks->count].offset,
		                                             .crc32c = index->chunks[chunks->count].crc32c};
	if (cpu != NULL && !codec_chunks_pay(&stream, workers_size(cpu)))
		cpu = NULL;
	codec_add_parallel_decoder(payload, &stream, cpu, cpu == NULL ? 0 : workers_size(cpu) + 1);
}

/* A WalPayloadBegin. */
static Error *
begin_payload(void *context, const WalIndex *index, Pipe *payload)
{
	static const SinkOps segment_ops = {.write = segment_sink_write, .finish = segment_sink_finish};
	Reader *reader = context;
	SegmentSink *segment;
	Codec codec;

	if (!codec_from_name(index->codec, &codec))
		return error_hint(error_new(ERR_CORRUPT, "codec \"%s\" is not known", index->codec),
		                  "A newer walship may have written it.");
	if (reader->archive->stored_only)
	{
		pipe_add(payload, null_sink_new());
		return NULL;
	}
	TRY(readable_check(reader->archive->store, index->system_identifier, reader->archive->identities,
	                   &(ReadableClaim){.what = index->member,
	                                    .recipients = index->recipients,
	                                    .timeline = index->timeline,
	                                    .start_lsn = index->start_lsn,
	                                    .segment_size = index->segment_size}));
	if (index->recipients[0] != '\0')
		pipe_add(payload, age_decoder_new(reader->archive->identities, index->member));
	add_decoder(reader, index, codec, payload);
	segment = NEW(SegmentSink);
	segment->sink.ops = &segment_ops;
	segment->reader = reader;
	segment->index = index;
	pipe_add(payload, &segment->sink);
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
read_object(const WalArchive *archive, const char *key, Reader *reader, WalIndex *ret_index)
{
	AUTO(Pipe) pipe = pipe_new();

	pipe_add(pipe, wal_object_members_new(archive->system_identifier, key, begin_payload, reader, ret_index));
	if (store_has_copies(archive->store))
		TRY(read_best_copy(archive, key, pipe));
	else
		TRY(store_get(archive->store, key, 0, STORE_TO_END, pipe_as_sink(pipe)));
	return pipe_finish(pipe);
}

Error *
wal_object_get_key(const WalArchive *archive, const char *key, const WalName *name, Sink *into,
                   WalIndex *ret_index)
{
	Reader reader = {.archive = archive, .name = name, .into = into};
	Error *error = read_object(archive, key, &reader, ret_index);

	chunk_list_release(&reader.chunks);
	return error_context(error, "could not read \"%s\" from store \"%s\"", key, store_url(archive->store));
}

Error *
wal_object_get(const WalArchive *archive, const WalName *name, Sink *into, WalIndex *ret_index)
{
	AUTO_FREE char *key = layout_wal_key(archive->system_identifier, name, NULL);

	return wal_object_get_key(archive, key, name, into, ret_index);
}
