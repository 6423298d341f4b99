/* Stores WAL files: checks, index, compression, one object per file. */
#include "walship/archive/wal_object.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "walship/age/age.h"
#include "walship/archive/history_file.h"
#include "walship/archive/layout.h"
#include "walship/archive/self_sha256.h"
#include "walship/archive/time_run.h"
#include "walship/base/cancel.h"
#include "walship/base/clock.h"
#include "walship/base/file.h"
#include "walship/base/mem.h"
#include "walship/pipe/stages.h"
#include "walship/pipe/tar.h"
#include "walship/wal/history.h"
#include "walship/wal/pages.h"

_Static_assert(AGE_FINGERPRINTS_SIZE <= WAL_INDEX_RECIPIENTS_SIZE, "an index has room for all recipients");

#define READ_STEP   (1024 * 1024)
#define MEMBER_MODE 0640

/* History and backup files are some hundred bytes; a history file grows by a line per timeline. */
#define TEXT_FILE_MAX (1024 * 1024)

static Error *
feed_walker(void *walker, const void *data, size_t size)
{
	wal_walker_feed(walker, data, size);
	return NULL;
}

static Error *
feed_pages(void *pages, const void *data, size_t size)
{
	wal_pages_feed(pages, data, size);
	return NULL;
}

/* Reads the page header at the file's start, and checks it against the name, the size and whose WAL is expected. */
static Error *
read_header(const WalArchive *archive, int fd, const char *path, const WalName *name, uint64_t file_size,
            WalPageHeader *ret_header)
{
	uint8_t bytes[WAL_LONG_HEADER_SIZE];
	size_t size;

	TRY(file_read_at(fd, path, 0, bytes, sizeof(bytes), &size));
	TRY(wal_page_header_parse(bytes, size, ret_header));
	TRY(wal_page_header_matches(ret_header, name));
	if (ret_header->system_identifier != archive->system_identifier)
		return error_hint(error_new(ERR_CORRUPT,
		                            "WAL belongs to database system %" PRIu64 ", not to %" PRIu64,
		                            ret_header->system_identifier, archive->system_identifier),
		                  "The file comes from another cluster, or the setting \"system\" is wrong.");
	if (file_size != ret_header->segment_size)
		return error_hint(error_new(ERR_CORRUPT, "file has %" PRIu64 " bytes, but its header says %" PRIu32,
		                            file_size, ret_header->segment_size),
		                  "The file was cut or is still being written.");
	return NULL;
}

static Error *
pump(const WalArchive *archive, int fd, const char *path, uint64_t expected, Pipe *pipe)
{
	AUTO_FREE uint8_t *step = mem_alloc(READ_STEP);
	uint64_t offset = 0;
	size_t size = READ_STEP;

	while (size == READ_STEP)
	{
		TRY(patience_check(&archive->patience));
		TRY(file_read_at(fd, path, offset, step, READ_STEP, &size));
		TRY(pipe_write(pipe, step, size));
		offset += size;
	}
	if (offset != expected)
		return error_new(ERR_CORRUPT, "file changed its size while it was read");
	return pipe_finish(pipe);
}

static void
describe_segment(const WalName *name, const WalPageHeader *header, WalIndex *index)
{
	XLogSegNo segno = 0;

	wal_index_init(index);
	index->system_identifier = header->system_identifier;
	index->timeline = name->timeline;
	index->major = header->major;
	index->segment_size = header->segment_size;
	(void) wal_name_format(name, index->segment);
	(void) wal_name_segno(name, header->segment_size, &segno);
	index->start_lsn = segment_start(segno, header->segment_size);
	index->end_lsn = index->start_lsn + header->segment_size;
}

/* One chunk is the whole stream: no need to say where it begins. */
static void
describe_chunks(const ChunkList *chunks, WalIndex *index)
{
	if (chunks->count < 2)
		return;
	index->chunk_size = (uint32_t) chunks->chunk_size;
	index->n_chunks = (uint32_t) chunks->count;
	for (size_t i = 0; i < chunks->count; i++)
		index->chunks[i] = (WalChunk){.offset = chunks->places[i].offset, .crc32c = chunks->places[i].crc32c};
}

/*
 * What is read of a segment on its way: its records, or, where their version is
 * not known, its pages.
 */
typedef struct SegmentCheck
{
	WalWalker *walker;
	WalPages pages;
} SegmentCheck;

static void
segment_check_begin(SegmentCheck *check, const WalPageHeader *header, WalIndex *index, Pipe *pipe)
{
	if (header->major != 0)
	{
		check->walker = wal_walker_new(header, wal_index_add_event, index);
		pipe_add(pipe, callback_stage_new(feed_walker, check->walker));
		return;
	}
	wal_pages_begin(&check->pages, header);
	pipe_add(pipe, callback_stage_new(feed_pages, &check->pages));
}

static void
segment_check_finish(const SegmentCheck *check, WalIndex *index)
{
	const WalPages *pages = &check->pages;

	index->walked = check->walker != NULL;
	index->tells_changes = index->walked;
	if (index->walked)
	{
		wal_walker_finish(check->walker, &index->walk);
		return;
	}
	index->walk.wal_end = pages->end;
	index->walk.switched = pages->blank && pages->end < index->end_lsn;
	if (pages->is_damaged)
		index->walk.damaged_at = index->start_lsn;
}

static void
segment_check_release(SegmentCheck *check)
{
	wal_walker_free(check->walker);
}

#define AUTO_SEGMENT_CHECK __attribute__((cleanup(segment_check_release))) SegmentCheck

/*
 * Reads the file once, through the check and the given stages into "spool".
 * A partial's tail may be old WAL of a recycled file: only its header counts.
 */
static Error *
encode_file(const WalArchive *archive, const char *path, const WalName *name, Spool *spool, WalIndex *index)
{
	AUTO_CLOSE int fd = -1;
	AUTO_SEGMENT_CHECK check = {0};
	AUTO(Pipe) pipe = pipe_new();
	AUTO_CHUNK_LIST chunks = {0};
	struct stat status;
	WalPageHeader header;
	Digest plain;
	Digest stored;

	TRY(file_open_read(path, &fd, &status));
	TRY(read_header(archive, fd, path, name, (uint64_t) status.st_size, &header));
	describe_segment(name, &header, index);

	if (name->kind == WAL_SEGMENT)
		segment_check_begin(&check, &header, index, pipe);
	pipe_add(pipe, digest_stage_new(&plain));
	chunks = chunk_list_for(&archive->compression, header.segment_size, WAL_INDEX_CHUNKS_MAX);
	codec_add_encoder(pipe, &archive->compression, &chunks);
	age_add_encoder(pipe, archive->recipients);
	pipe_add(pipe, digest_stage_new(&stored));
	pipe_add(pipe, spool_sink_new(spool));
	TRY(pump(archive, fd, path, header.segment_size, pipe));

	if (name->kind == WAL_SEGMENT)
		segment_check_finish(&check, index);
	memcpy(index->sha256, plain.sha256, SHA256_SIZE);
	memcpy(index->stored_sha256, stored.sha256, SHA256_SIZE);
	index->stored_size = stored.size;
	describe_chunks(&chunks, index);
	if (archive->recipients != NULL)
		(void) snprintf(index->recipients, sizeof(index->recipients), "%s",
		                age_recipients_fingerprints(archive->recipients));
	return NULL;
}

static bool
is_damaged(const WalIndex *index)
{
	return index->walk.damaged_at != InvalidXLogRecPtr;
}

/*
 * A damaged record may be a fault of memory or of a cable that the next reading
 * does not have.  The kernel is asked to forget its copy, so that the disk is
 * read.
 */
static Error *
encode_checked(const WalArchive *archive, const char *path, const WalName *name, Spool *spool,
               WalIndex *index)
{
	char text[LSN_TEXT_SIZE];

	TRY(encode_file(archive, path, name, spool, index));
	if (!is_damaged(index))
		return NULL;
	spool_clear(spool);
	file_forget_cached(path);
	TRY(encode_file(archive, path, name, spool, index));
	if (!is_damaged(index) || !archive->refuse_damaged)
		return NULL;
	return error_hint(
		error_new(ERR_CORRUPT, "WAL record at %s is damaged", lsn_format(index->walk.damaged_at, text)),
		"Look for disk or memory faults and take a new base backup. The server keeps the segment "
		"and asks again until wal_check is \"warn\".");
}

Error *
wal_object_encode(const WalArchive *archive, const char *path, const WalName *name, Spool *spool,
                  WalIndex *ret_index)
{
	return error_context(encode_checked(archive, path, name, spool, ret_index), "could not archive \"%s\"",
	                     path);
}

/*
 * The server asks again for a file when it crashed after our success and before
 * it renamed .ready to .done.  Other bytes under the same name are another
 * matter: two clusters write into one prefix, or one timeline was used twice.
 */
static Error *
compare_with_stored(const WalArchive *archive, const char *key, WalIndex *index)
{
	WalIndex stored;

	TRY(error_context(store_said_there(wal_object_index(archive->store, key, &stored), key),
	                  "could not compare with what is stored"));
	if (memcmp(stored.sha256, index->sha256, SHA256_SIZE) == 0)
	{
		index->time_high = stored.time_high;
		index->time_high_since = stored.tells_changes ? stored.time_high_since : InvalidXLogRecPtr;
		if (stored.quiet_since != InvalidXLogRecPtr)
			index->quiet_since = stored.quiet_since;
		return NULL;
	}
	return error_hint(
		error_new(ERR_EXISTS, "object \"%s\" in store \"%s\" has other contents", key,
	              store_url(archive->store)),
		"Two servers archive into one store under one timeline, or the cluster was restored from a copy without a "
		"new timeline. Nothing was overwritten. Give this server a store prefix of its own and take a new backup.");
}

void
wal_object_expect(const WalArchive *archive, const WalName *name)
{
	AUTO_FREE char *key = layout_wal_key(archive->system_identifier, name, NULL);

	store_expect_put(archive->store, key);
}

static Error *
append_tar_header(Buf *head, const char *name, uint64_t size, const WalIndex *index)
{
	/* The time of the last commit in the segment: the archive's dates then say when its contents happened. */
	TarEntry entry = {.type = TAR_FILE,
	                  .size = size,
	                  .mode = MEMBER_MODE,
	                  .mtime = index->last_time == TIME_NONE ? 0 : index->last_time / 1000000};
	uint8_t block[TAR_BLOCK_SIZE];

	(void) snprintf(entry.name, sizeof(entry.name), "%s", name);
	TRY(tar_header_format(&entry, block));
	buf_append(head, block, sizeof(block));
	return NULL;
}

/* All before the payload: the member "<SEGMENT>.json", which is the index, and the header of "<SEGMENT>.br" or so. */
static Error *
format_head(WalIndex *index, Codec codec, Buf *head)
{
	static const uint8_t zeros[TAR_BLOCK_SIZE];
	char index_name[WAL_NAME_SIZE + 16];
	AUTO_BUF(text, WAL_OBJECT_INDEX_MAX);

	(void) snprintf(index_name, sizeof(index_name), "%s.json", index->segment);
	(void) snprintf(index->member, sizeof(index->member), "%s.%s%s", index->segment, codec_suffix(codec),
	                index->recipients[0] != '\0' ? AGE_SUFFIX : "");
	(void) snprintf(index->codec, sizeof(index->codec), "%s", codec_name(codec));

	wal_index_print(index, &text);
	self_sha256_append(&text);
	TRY(append_tar_header(head, index_name, text.size, index));
	buf_append(head, text.data, text.size);
	buf_append(head, zeros, tar_padding(text.size));
	return append_tar_header(head, index->member, index->stored_size, index);
}

Error *
wal_object_store(const WalArchive *archive, const char *path, const WalName *name, const Spool *spool,
                 WalIndex *index, PutResult *ret_result)
{
	AUTO_FREE char *key = layout_wal_key(archive->system_identifier, name, index->sha256);
	AUTO_BUF(head, WAL_OBJECT_INDEX_MAX + 3 * TAR_BLOCK_SIZE);
	static const uint8_t tail[TAR_BLOCK_SIZE + TAR_END_SIZE]; /* zeros: padding and the end of the archive */
	PutResult result = PUT_STORED;
	Error *error = format_head(index, archive->compression.codec, &head);
	Slice slices[] = {slice_of_memory(head.data, head.size), spool_slice(spool),
	                  slice_of_memory(tail, tar_padding(index->stored_size) + TAR_END_SIZE)};

	if (error == NULL)
		error = store_put(archive->store, key, slices, lengthof(slices), PUT_IF_ABSENT);
	if (error_is(error, ERR_EXISTS))
	{
		error_free(error);
		error = compare_with_stored(archive, key, index);
		result = PUT_WAS_THERE;
	}
	if (error == NULL)
		*ret_result = result;
	return error_context(error, "could not archive \"%s\"", path);
}

Error *
wal_object_put(const WalArchive *archive, const char *path, const WalName *name, PutResult *ret_result,
               WalIndex *ret_index)
{
	AUTO(Spool) spool = spool_new(archive->spool_directory);
	const TimeRun none = {.high = TIME_NONE};
	WalIndex index;

	TRY(wal_object_encode(archive, path, name, spool, &index));
	time_run_join(&none, &index);
	TRY(wal_object_store(archive, path, name, spool, &index, ret_result));
	if (ret_index != NULL)
		*ret_index = index;
	return NULL;
}

Error *
wal_object_inspect(const WalArchive *archive, const char *path, const WalName *name, WalIndex *ret_index)
{
	AUTO_SEGMENT_CHECK check = {0};
	AUTO_CLOSE int fd = -1;
	AUTO(Pipe) pipe = pipe_new();
	struct stat status;
	WalPageHeader header;
	WalIndex index;

	TRY(file_open_read(path, &fd, &status));
	TRY(read_header(archive, fd, path, name, (uint64_t) status.st_size, &header));
	describe_segment(name, &header, &index);
	segment_check_begin(&check, &header, &index, pipe);
	TRY(pump(archive, fd, path, header.segment_size, pipe));
	segment_check_finish(&check, &index);
	*ret_index = index;
	return NULL;
}

static Error *
compare_text(const WalArchive *archive, const char *key, const Buf *text)
{
	AUTO_BUF(stored, TEXT_FILE_MAX);
	AUTO(Sink) sink = NULL;

	sink = buf_sink_new(&stored);
	TRY(store_said_there(store_get(archive->store, key, 0, STORE_TO_END, sink), key));
	if (stored.size == text->size && (text->size == 0 || memcmp(stored.data, text->data, text->size) == 0))
		return NULL;
	return error_hint(
		error_new(ERR_EXISTS, "object \"%s\" in store \"%s\" has other contents", key,
	              store_url(archive->store)),
		"Two servers were promoted to the same timeline. Nothing was overwritten. Give one of them a store prefix of "
		"its own and take a new backup of it.");
}

static Error *
put_text(const WalArchive *archive, const char *path, const WalName *name, PutResult *ret_result)
{
	AUTO_FREE char *key = layout_wal_key(archive->system_identifier, name, NULL);
	AUTO_BUF(text, TEXT_FILE_MAX);

	TRY(file_read_all(path, &text));
	if (text.size == 0)
		return error_new(ERR_CORRUPT, "file is empty");

	/* Nothing stored is ever overwritten, so what is no history must not take the place of one. */
	if (name->kind == WAL_HISTORY)
	{
		AUTO(TimelineHistory) history = NULL;

		TRY(timeline_history_parse(name->timeline, text.data, text.size, "contents", &history));
		if (history->n_ancestors == 0)
			return error_new(ERR_CORRUPT, "history of timeline %" PRIu32 " names no timeline before it",
			                 name->timeline);
	}

	Slice slice = slice_of_memory(text.data, text.size);
	Error *error = store_put(archive->store, key, &slice, 1, PUT_IF_ABSENT);
	PutResult result = error == NULL ? PUT_STORED : PUT_WAS_THERE;

	if (error_is(error, ERR_EXISTS))
	{
		error_free(error);
		error = compare_text(archive, key, &text);
	}
	TRY(error);
	if (name->kind == WAL_HISTORY)
		TRY(history_digest_put(archive->store, archive->system_identifier, name->timeline, &text));
	*ret_result = result;
	return NULL;
}

Error *
wal_text_put(const WalArchive *archive, const char *path, const WalName *name, PutResult *ret_result)
{
	return error_context(put_text(archive, path, name, ret_result), "could not archive \"%s\"", path);
}
