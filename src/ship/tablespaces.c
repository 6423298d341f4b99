/* Tablespaces that a server creates while it replays; see walship/ship/tablespaces.h. */
#include "walship/ship/tablespaces.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "created_records.h"
#include "walship/base/dir.h"
#include "walship/base/mem.h"
#include "walship/pg/pgdata.h"

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

/* ---- what the rules do with a record ---- */

typedef struct Preparation
{
	CreatedRecords segment;
	const TablespaceRules *rules;
} Preparation;

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
prepare_mapped(Preparation *preparation, CreatedRecord *created, const WalTablespaceRecord *tablespace)
{
	const TablespaceSegment *file = preparation->segment.file;
	const TablespaceRules *rules = preparation->rules;
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
	return created_records_write(&preparation->segment, created);
}

static Error *
prepare_empty(const Preparation *preparation, const WalTablespaceRecord *tablespace)
{
	const char *data_directory = preparation->segment.file->data_directory;
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
will_count(const CreatedRecord *created, const WalTablespaceRecord *tablespace)
{
	CreatedRecord changed = *created;

	if (wal_record_is_whole(created->record, created->size))
		return true;
	if (created->from == 0)
		return false;
	wal_tablespace_record_clear_path(changed.record, changed.size, tablespace);
	return memcmp(changed.record, created->record, tablespace->path_at) == 0;
}

static Error *
prepare(void *context, CreatedRecord *created)
{
	Preparation *preparation = context;
	WalTablespaceRecord tablespace;
	char lsn[LSN_TEXT_SIZE];

	/* In place, or changed by an earlier call. */
	if (!wal_tablespace_record_parse(created->record, created->size, &tablespace) ||
	    !will_count(created, &tablespace) || tablespace.path[0] == '\0')
		return NULL;
	return error_context(preparation->rules->rule == TABLESPACES_MAPPED
	                         ? prepare_mapped(preparation, created, &tablespace)
	                         : prepare_empty(preparation, &tablespace),
	                     "WAL record at %s", lsn_format(created->lsn, lsn));
}

Error *
tablespaces_prepare(const TablespaceSegment *file, const TablespaceRules *rules)
{
	Preparation preparation = {.rules = rules};
	char name[WAL_NAME_SIZE];
	Error *error;

	if (rules->rule == TABLESPACES_AS_RECORDED)
		return NULL;
	error = created_records_open(file, &preparation.segment);
	if (error == NULL)
		error = created_records_each(&preparation.segment, prepare, &preparation);
	if (error == NULL)
		error = created_records_sync(&preparation.segment);
	created_records_close(&preparation.segment);

	/* A file that went missing meanwhile must not pass for the end of the archive. */
	if (error_is(error, ERR_NOT_FOUND))
	{
		Error *other = error_new(ERR_SYSTEM, "%s", error_message(error));

		error_free(error);
		error = other;
	}
	return error_context(error, "WAL segment \"%s\"", wal_name_format(&file->name, name));
}
