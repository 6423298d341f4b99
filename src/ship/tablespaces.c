/* Tablespaces that a server creates while it replays; see walship/ship/tablespaces.h. */
#include "walship/ship/tablespaces.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "walship/base/file.h"
#include "walship/base/mem.h"
#include "walship/pg/pgdata.h"
#include "walship/wal/majors.h"
#include "walship/wal/record.h"
#include "walship/wal/tablespace_record.h"

#define READ_STEP ((size_t) 1024 * 1024)

/* Of a record that goes on in the next segment, the rest lies here. */
#define NEXT_HEAD_MAX (WAL_LONG_HEADER_SIZE + WAL_TABLESPACE_RECORD_MAX)

#define DIRECTORY_MODE 0700
#define LOST_AND_FOUND "lost+found"

void
tablespace_mappings_add(TablespaceMappings *mappings, const char *from, const char *to)
{
	GROW(mappings->items, mappings->count, mappings->capacity);
	mappings->items[mappings->count++] = (TablespaceMapping){mem_strdup(from), mem_strdup(to)};
}

void
tablespace_mappings_release(TablespaceMappings *mappings)
{
	for (size_t i = 0; i < mappings->count; i++)
	{
		free(mappings->items[i].from);
		free(mappings->items[i].to);
	}
	free(mappings->items);
	*mappings = (TablespaceMappings){0};
}

const char *
tablespace_mappings_find(const TablespaceMappings *mappings, const char *from)
{
	for (size_t i = 0; i < mappings->count; i++)
		if (strcmp(mappings->items[i].from, from) == 0)
			return mappings->items[i].to;
	return NULL;
}

static bool
is_plain_path(const char *path)
{
	size_t length = strlen(path);

	for (const char *c = path; *c != '\0'; c++)
		if ((unsigned char) *c < 0x20 || *c == 0x7f)
			return false;
	return path[0] == '/' && length > 1 && path[length - 1] != '/' && strstr(path, "//") == NULL &&
	       strstr(path, "/./") == NULL && strstr(path, "/../") == NULL && !str_ends_with(path, "/.") &&
	       !str_ends_with(path, "/..");
}

Error *
tablespace_path_check(const char *path, const char *data_directory)
{
	size_t length = data_directory == NULL ? 0 : strlen(data_directory);

	if (!is_plain_path(path))
		return error_new(ERR_CORRUPT,
		                 "\"%s\" is no directory for a tablespace: it is not a plain absolute path", path);
	if (length > 0 && strncmp(path, data_directory, length) == 0 &&
	    (path[length] == '\0' || path[length] == '/'))
		return error_new(ERR_CORRUPT, "tablespace directory \"%s\" lies in the data directory \"%s\"", path,
		                 data_directory);
	return NULL;
}

Error *
tablespace_directory_is_empty(const char *path, bool *ret_empty)
{
	AUTO_STRLIST names = {0};
	Error *error = dir_list(path, &names);

	if (error_is(error, ERR_NOT_FOUND))
	{
		error_free(error);
		error = NULL;
	}
	TRY(error);
	*ret_empty = names.count == 0 || (names.count == 1 && strcmp(names.items[0], LOST_AND_FOUND) == 0);
	return NULL;
}

Error *
tablespace_link(const char *data_directory, uint32_t oid, const char *path)
{
	AUTO_FREE char *parent = path_join(data_directory, "pg_tblspc");
	AUTO_FREE char *link = mem_printf("%s/%" PRIu32, parent, oid);

	if (symlink(path, link) != 0)
		return error_errno("could not make the link \"%s\" to \"%s\"", link, path);
	return dir_sync(parent);
}

/* ---- finding the records ---- */

/* A record that creates a tablespace, or might: its first byte lies in this segment, or its last one, or both. */
typedef struct Created
{
	XLogRecPtr lsn;
	uint8_t record[WAL_TABLESPACE_RECORD_MAX];
	uint32_t size; /* of the record */
	uint32_t from; /* which of its bytes lie in this segment */
	uint32_t until;
} Created;

typedef struct Segment
{
	const TablespaceSegment *file;
	const TablespaceRules *rules;
	int fd;
	WalPageHeader header;
	XLogRecPtr end;
	XLogRecPtr *records; /* that begin here, by the walker */
	size_t n_records;
	size_t capacity;
	bool changed;
} Segment;

static void
keep_created(void *context, const WalEvent *event)
{
	Segment *segment = context;

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
walk(Segment *segment)
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

/* Bytes "from" to "until" of the record, into it or ("write") back, as far as they lie in this segment. */
static Error *
transfer(Segment *segment, Created *created, bool write)
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
read_record(Segment *segment, XLogRecPtr lsn, Created *created, bool *ret_fits)
{
	*created = (Created){.lsn = lsn, .until = 4};
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
take_rest(const Buf *head, const WalName *name, Created *created)
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
complete_from_next(const Segment *segment, Created *created, bool *ret_whole)
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
find_before(const Segment *segment, char **ret_path)
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
complete_from_before(const Segment *segment, Created *created, bool *ret_found)
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
	*created = (Created){
		.lsn = header->page_address - have, .size = have + rest, .from = have, .until = have + rest};
	memcpy(created->record, page + at, have);
	*ret_found = true;
	return NULL;
}

/* ---- what is done with them ---- */

/* This server's: another tablespace is there, whose end is still to be replayed, or this one, from an earlier replay. */
static Error *
is_empty_or_own(const char *data_directory, const char *path, bool *ret_is)
{
	TRY(tablespace_directory_is_empty(path, ret_is));
	return *ret_is ? NULL : pgdata_has_tablespace(data_directory, path, ret_is);
}

/* pg_tblspc/<OID>: what the link there says; NULL: there is none.  ERR_EXISTS: it is no link. */
static Error *
read_link(const char *data_directory, const char *oid, char **ret_target)
{
	AUTO_FREE char *link = mem_printf("%s/pg_tblspc/%s", data_directory, oid);
	char target[PATH_MAX];
	ssize_t size = readlink(link, target, sizeof(target) - 1);

	if (size < 0 && errno == EINVAL)
		return error_new(ERR_EXISTS, "\"%s\" is no link to the directory of a tablespace", link);
	if (size < 0 && errno != ENOENT)
		return error_errno("could not read the link \"%s\"", link);
	*ret_target = size < 0 ? NULL : mem_strndup(target, (size_t) size);
	return NULL;
}

/* Another recovery, or whoever has made the link, may have chosen another directory; only the recorded one is taboo. */
static Error *
link_mapped(const char *data_directory, uint32_t oid, const char *from, const char *to)
{
	AUTO_FREE char *name = mem_printf("%" PRIu32, oid);
	AUTO_FREE char *target = NULL;
	bool usable;

	TRY(read_link(data_directory, name, &target));
	if (target != NULL && strcmp(target, from) == 0 && strcmp(from, to) != 0)
		return error_new(ERR_EXISTS,
		                 "tablespace %s of this copy is in \"%s\", the place of the server that it came from",
		                 name, from);
	if (target != NULL)
		return NULL;
	TRY(is_empty_or_own(data_directory, to, &usable));
	if (!usable)
		return error_hint(
			error_new(ERR_EXISTS, "directory \"%s\", for tablespace %s, is not empty", to, name),
			"Empty it, or map \"%s\" to another directory, and start the server again.", from);
	TRY(dir_make(to, DIRECTORY_MODE));
	return tablespace_link(data_directory, oid, to);
}

static Error *
prepare_mapped(Segment *segment, Created *created, const WalTablespaceRecord *tablespace)
{
	const TablespaceSegment *file = segment->file;
	const TablespaceRules *rules = segment->rules;
	AUTO_FREE char *from = mem_strdup(tablespace->path);
	AUTO_FREE char *other =
		rules->others == NULL ? NULL : mem_printf("%s/%" PRIu32, rules->others, tablespace->oid);
	const char *to = tablespace_mappings_find(rules->mappings, from);
	bool starts_here = created->from == 0;
	uint8_t before[WAL_RECORD_KIND_SIZE + 6]; /* its header */

	if (to == NULL)
		to = other;
	if (to == NULL)
		return error_hint(
			error_new(ERR_EXISTS,
		              "tablespace %" PRIu32
		              " is created in \"%s\", and no --tablespace-map says where it goes in this copy",
		              tablespace->oid, from),
			"There it would take the files of the server that the copy came from. Add --tablespace-map "
			"'%s=DIR', with an empty directory, to restore_command in postgresql.auto.conf, and start the "
			"server again.",
			from);
	TRY(link_mapped(file->data_directory, tablespace->oid, from, to));
	memcpy(before, created->record, sizeof(before));
	wal_tablespace_record_clear_path(created->record, created->size, tablespace);

	/* Of a record that begins in the segment before, the server has the header already. */
	if (!starts_here && created->from >= sizeof(before) &&
	    memcmp(before, created->record, sizeof(before)) != 0)
		return error_hint(
			error_new(ERR_TRANSIENT,
		              "the server has the beginning of this record from when its end was missing"),
			"Start the server again: it then gets both.");
	segment->changed = true;
	return transfer(segment, created, true);
}

static Error *
prepare_empty(const Segment *segment, const WalTablespaceRecord *tablespace)
{
	const char *data_directory = segment->file->data_directory;
	bool usable;

	TRY(tablespace_path_check(tablespace->path, data_directory));
	TRY(is_empty_or_own(data_directory, tablespace->path, &usable));
	if (usable)
		return NULL;
	return error_hint(
		error_new(ERR_EXISTS,
	              "tablespace %" PRIu32 " is created in \"%s\", which is not empty and not this server's",
	              tablespace->oid, tablespace->path),
		"The files there may be another server's, and would be lost. Move them elsewhere if they are not, "
		"and start the server again.");
}

/*
 * A record counts when its CRC is right, for no server replays another one; of one
 * whose beginning was changed, when that is the CRC which the change makes.
 */
static bool
will_count(const Created *created, const WalTablespaceRecord *tablespace)
{
	Created changed = *created;

	if (wal_record_is_whole(created->record, created->size))
		return true;
	if (created->from == 0)
		return false;
	wal_tablespace_record_clear_path(changed.record, changed.size, tablespace);
	return memcmp(changed.record, created->record, tablespace->path_at) == 0;
}

static Error *
prepare(Segment *segment, Created *created)
{
	WalTablespaceRecord tablespace;
	char lsn[LSN_TEXT_SIZE];

	/* In place, or changed by an earlier call. */
	if (!wal_tablespace_record_parse(created->record, created->size, &tablespace) ||
	    !will_count(created, &tablespace) || tablespace.path[0] == '\0')
		return NULL;
	return error_context(segment->rules->rule == TABLESPACES_MAPPED
	                         ? prepare_mapped(segment, created, &tablespace)
	                         : prepare_empty(segment, &tablespace),
	                     "WAL record at %s", lsn_format(created->lsn, lsn));
}

static Error *
prepare_all(Segment *segment)
{
	Created created;
	bool found;

	TRY(walk(segment));
	TRY(complete_from_before(segment, &created, &found));
	if (found)
	{
		TRY(transfer(segment, &created, false));
		TRY(prepare(segment, &created));
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
			TRY(prepare(segment, &created));
	}
	return segment->changed ? file_sync(segment->fd, segment->file->path) : NULL;
}

static Error *
open_segment(Segment *segment)
{
	const TablespaceSegment *file = segment->file;
	uint8_t bytes[WAL_LONG_HEADER_SIZE];
	size_t size;

	segment->fd = open(file->path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (segment->fd < 0)
		return error_errno("could not open file \"%s\"", file->path);
	TRY(file_read_at(segment->fd, file->path, 0, bytes, sizeof(bytes), &size));
	TRY(wal_page_header_parse(bytes, size, &segment->header));
	TRY(wal_page_header_matches(&segment->header, &file->name));
	segment->end = segment->header.page_address + segment->header.segment_size;
	return NULL;
}

Error *
tablespaces_prepare(const TablespaceSegment *file, const TablespaceRules *rules)
{
	Segment segment = {.file = file, .rules = rules, .fd = -1};
	char name[WAL_NAME_SIZE];
	Error *error;

	if (rules->rule == TABLESPACES_AS_RECORDED)
		return NULL;
	error = open_segment(&segment);
	if (error == NULL)
		error = prepare_all(&segment);
	if (segment.fd >= 0)
		(void) close(segment.fd);
	free(segment.records);

	/* A file that went missing meanwhile must not pass for the end of the archive. */
	if (error_is(error, ERR_NOT_FOUND))
	{
		Error *other = error_new(ERR_SYSTEM, "%s", error_message(error));

		error_free(error);
		error = other;
	}
	return error_context(error, "WAL segment \"%s\"", wal_name_format(&file->name, name));
}
