/* The records of a segment that create a tablespace; see created_records.h. */
#include "created_records.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "walship/base/file.h"
#include "walship/base/mem.h"
#include "walship/wal/majors.h"
#include "walship/wal/record.h"

#define READ_STEP ((size_t) 1024 * 1024)

/* Of a record that goes on in the next segment, the rest lies here. */
#define NEXT_HEAD_MAX (WAL_LONG_HEADER_SIZE + WAL_TABLESPACE_RECORD_MAX)

static void
keep_created(void *context, const WalEvent *event)
{
	CreatedRecords *segment = context;

	if (event->kind != WAL_EVENT_TABLESPACE_CREATED)
		return;
	GROW(segment->records, segment->n_records, segment->capacity);
	segment->records[segment->n_records++] = event->lsn;
}

/*
 * Of a PostgreSQL that is not known it is taken for granted that a record still
 * looks as it has since 9.5; where it does not, no CRC is right, and nothing is found.
 */
static Error *
walk(CreatedRecords *segment)
{
	AUTO_FREE uint8_t *step = mem_alloc(READ_STEP);
	AUTO(WalWalker) walker = NULL;
	WalPageHeader header = segment->header;
	WalWalkResult result;
	size_t got = READ_STEP;

	header.major = pg_major_nearest(header.major != 0 ? header.major : INT_MAX)->major;
	walker = wal_walker_new(&header, keep_created, segment);
	for (uint64_t at = 0; got == READ_STEP; at += got)
	{
		TRY(file_read_at(segment->fd, segment->file->path, at, step, READ_STEP, &got));
		wal_walker_feed(walker, step, got);
	}
	wal_walker_finish(walker, &result);
	return NULL;
}

/* Bytes "from" to "until" of the record, into it or ("write") back. */
static Error *
transfer(CreatedRecords *segment, CreatedRecord *created, bool write)
{
	const char *path = segment->file->path;

	for (uint32_t at = created->from; at < created->until;)
	{
		XLogRecPtr place = wal_record_place(created->lsn, at, segment->header.segment_size);
		size_t size = XLOG_BLCKSZ - (size_t) (place % XLOG_BLCKSZ);
		off_t offset = (off_t) (place - segment->header.page_address);
		size_t got;

		if (size > created->until - at)
			size = created->until - at;
		if (write && pwrite(segment->fd, created->record + at, size, offset) != (ssize_t) size)
			return error_errno("could not write into file \"%s\"", path);
		if (!write)
			TRY(file_read_at(segment->fd, path, (uint64_t) offset, created->record + at, size, &got));
		at += (uint32_t) size;
	}
	return NULL;
}

/* What lies here of the record that begins at "lsn"; false: it is too long for one of these. */
static Error *
read_record(CreatedRecords *segment, XLogRecPtr lsn, CreatedRecord *created, bool *ret_fits)
{
	*created = (CreatedRecord){.lsn = lsn, .until = 4};
	TRY(transfer(segment, created, false));
	created->size = wal_record_length(created->record);
	*ret_fits = created->size <= WAL_TABLESPACE_RECORD_MAX;
	created->until = created->size;
	while (*ret_fits && created->until > 0 &&
	       wal_record_place(lsn, created->until - 1, segment->header.segment_size) >= segment->end)
		created->until--;
	return *ret_fits ? transfer(segment, created, false) : NULL;
}

/* ---- records that lie in two segments ---- */

/* What begins there with the rest of a record; "head" holds the page's header and what follows. */
static bool
take_rest(const Buf *head, const WalName *name, CreatedRecord *created)
{
	uint32_t rest = created->size - created->until;
	WalPageHeader header;
	AUTO(Error) error = wal_page_header_parse(head->data, head->size, &header);

	if (error == NULL)
		error = wal_page_header_matches(&header, name);
	if (error != NULL || (header.info & XLP_FIRST_IS_CONTRECORD) == 0 || header.remaining_length != rest ||
	    head->size < WAL_LONG_HEADER_SIZE + rest)
		return false;
	memcpy(created->record + created->until, head->data + WAL_LONG_HEADER_SIZE, rest);
	return true;
}

static Error *
keep_head(void *context, const void *data, size_t size)
{
	Buf *head = context;

	buf_append(head, data, head->size + size > NEXT_HEAD_MAX ? NEXT_HEAD_MAX - head->size : size);
	return NULL;
}

static Error *
read_next_of_store(const TablespaceSegment *file, const WalName *next, Buf *head)
{
	CallbackSink sink = callback_sink(keep_head, head);

	if (file->archive->store == NULL)
		TRY(store_opener_open(file->opener, &file->patience, &file->archive->store));
	return wal_object_get(file->archive, next, &sink.sink, NULL);
}

static Error *
read_next_of_pg_wal(const TablespaceSegment *file, const WalName *next, Buf *head)
{
	char text[WAL_NAME_SIZE];
	AUTO_FREE char *path = mem_printf("%s/pg_wal/%s", file->data_directory, wal_name_format(next, text));
	AUTO_CLOSE int fd = -1;
	uint8_t bytes[NEXT_HEAD_MAX];
	size_t size;

	TRY(file_open_read(path, &fd, NULL));
	TRY(file_read_at(fd, path, 0, bytes, sizeof(bytes), &size));
	buf_append(head, bytes, size);
	return NULL;
}

/* Where nobody has it, nobody can replay the record; when it comes, it is seen there (complete_from_before()). */
static Error *
complete_from_next(const CreatedRecords *segment, CreatedRecord *created, bool *ret_whole)
{
	const TablespaceSegment *file = segment->file;
	WalName next =
		wal_name_of_segment(file->name.timeline, lsn_segment(segment->end, segment->header.segment_size),
	                        segment->header.segment_size);
	AUTO_BUF(head, NEXT_HEAD_MAX);
	Error *error = read_next_of_store(file, &next, &head);

	if (error_is(error, ERR_NOT_FOUND))
	{
		error_free(error);
		buf_clear(&head);
		error = read_next_of_pg_wal(file, &next, &head);
	}
	if (error_is(error, ERR_NOT_FOUND))
	{
		error_free(error);
		return NULL;
	}
	TRY(error);
	*ret_whole = take_rest(&head, &next, created);
	return NULL;
}

/* The newest timeline's file of the segment before this one, as the server got it; NULL: it got none. */
static Error *
find_before(const CreatedRecords *segment, char **ret_path)
{
	AUTO_FREE char *directory = path_join(segment->file->data_directory, "pg_wal");
	XLogSegNo segno = lsn_segment(segment->header.page_address, segment->header.segment_size);
	WalName wanted =
		wal_name_of_segment(segment->file->name.timeline, segno - 1, segment->header.segment_size);
	AUTO_STRLIST names = {0};
	TimeLineID newest = 0;

	TRY(dir_list(directory, &names));
	for (size_t i = 0; i < names.count; i++)
	{
		WalName name;
		AUTO(Error) error = wal_name_parse(names.items[i], &name);

		if (error != NULL || name.kind != WAL_SEGMENT || name.log != wanted.log || name.seg != wanted.seg ||
		    name.timeline > wanted.timeline || name.timeline <= newest)
			continue;
		newest = name.timeline;
		free(*ret_path);
		*ret_path = path_join(directory, names.items[i]);
	}
	return NULL;
}

/*
 * The record whose rest lies here.  Its beginning is in pg_wal, if the server has
 * read it: the segment before was handed out first.  "record" may be changed there
 * already.
 */
static Error *
complete_from_before(const CreatedRecords *segment, CreatedRecord *created, bool *ret_found)
{
	const WalPageHeader *header = &segment->header;
	uint32_t rest = header->remaining_length;
	AUTO_FREE char *path = NULL;
	AUTO_CLOSE int fd = -1;
	uint8_t page[XLOG_BLCKSZ];
	struct stat status;
	WalPageHeader before;
	size_t size;

	*ret_found = false;
	if ((header->info & XLP_FIRST_IS_CONTRECORD) == 0 || rest == 0 || rest > WAL_TABLESPACE_RECORD_MAX)
		return NULL;
	TRY(find_before(segment, &path));
	if (path == NULL)
		return NULL;
	TRY(file_open_read(path, &fd, &status));
	if ((uint64_t) status.st_size != header->segment_size)
		return NULL;
	TRY(file_read_at(fd, path, 0, page, WAL_LONG_HEADER_SIZE, &size));

	AUTO(Error) stale = wal_page_header_parse(page, size, &before);

	/* A file that waits to be used anew holds old WAL. */
	if (stale != NULL || before.page_address + before.segment_size != header->page_address)
		return NULL;
	TRY(file_read_at(fd, path, header->segment_size - XLOG_BLCKSZ, page, XLOG_BLCKSZ, &size));

	uint32_t at = wal_page_open_record(page);
	uint32_t have = XLOG_BLCKSZ - at;

	if (at == 0 || have >= WAL_TABLESPACE_RECORD_MAX || wal_record_length(page + at) != have + rest ||
	    have + rest > WAL_TABLESPACE_RECORD_MAX)
		return NULL;
	*created = (CreatedRecord){
		.lsn = header->page_address - have, .size = have + rest, .from = have, .until = have + rest};
	memcpy(created->record, page + at, have);
	*ret_found = true;
	return NULL;
}

Error *
created_records_open(const TablespaceSegment *file, CreatedRecords *segment)
{
	uint8_t bytes[WAL_LONG_HEADER_SIZE];
	size_t size;

	*segment = (CreatedRecords){.file = file, .fd = open(file->path, O_RDWR | O_CLOEXEC | O_NOFOLLOW)};
	if (segment->fd < 0)
		return error_errno("could not open file \"%s\"", file->path);
	TRY(file_read_at(segment->fd, file->path, 0, bytes, sizeof(bytes), &size));
	TRY(wal_page_header_parse(bytes, size, &segment->header));
	TRY(wal_page_header_matches(&segment->header, &file->name));
	segment->end = segment->header.page_address + segment->header.segment_size;
	return NULL;
}

Error *
created_records_each(CreatedRecords *segment, Error *(*take)(void *context, CreatedRecord *created),
                     void *context)
{
	CreatedRecord created;
	bool found;

	TRY(walk(segment));
	TRY(complete_from_before(segment, &created, &found));
	if (found)
	{
		TRY(transfer(segment, &created, false));
		TRY(take(context, &created));
	}
	for (size_t i = 0; i < segment->n_records; i++)
	{
		TRY(read_record(segment, segment->records[i], &created, &found));
		if (found && created.until < created.size)
		{
			found = false;
			TRY(complete_from_next(segment, &created, &found));
		}
		if (found)
			TRY(take(context, &created));
	}
	return NULL;
}

Error *
created_records_write(CreatedRecords *segment, CreatedRecord *created)
{
	segment->changed = true;
	return transfer(segment, created, true);
}

Error *
created_records_sync(const CreatedRecords *segment)
{
	return segment->changed ? file_sync(segment->fd, segment->file->path) : NULL;
}

void
created_records_close(CreatedRecords *segment)
{
	if (segment->fd >= 0)
		(void) close(segment->fd);
	free(segment->records);
}
