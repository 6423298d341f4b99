/* A small backup made by hand, restored: whole, or refused with nothing written elsewhere. */
#include "walship/backup/restore.h"

#include <inttypes.h>
#include <unistd.h>

#include "archive_fixture.h"
#include "walship/base/strs.h"

#define ID       "20261120T023007Z-9f3c"
#define PREFIX   "7300000000000000001/base/" ID "/"
#define SEGMENT  "000000010000000300000000"
#define OID      16385
#define TABLE    "PG_15_202209061/5/16386"
#define CONTENTS "contents of a table"

typedef struct Member
{
	const char *name; /* NULL: none */
	const char *contents;
	TarType type;
} Member;

/* A line of the manifest; size and checksum are those of "contents". */
typedef struct Listed
{
	const char *path; /* NULL: none */
	const char *contents;
} Listed;

static const Member base_members[] = {
	{"backup_label", "START WAL LOCATION\n", TAR_FILE},
	{"PG_VERSION", "15\n", TAR_FILE},
	{"base", "", TAR_DIRECTORY},
	{"base/1", "", TAR_DIRECTORY},
	{"base/1/1249", CONTENTS, TAR_FILE},
	{"global/pg_control", "control", TAR_FILE}, /* comes before its directory */
	{"global", "", TAR_DIRECTORY},
	{"pg_stat", "", TAR_DIRECTORY},
	{"empty", "", TAR_FILE},
};

static const Member tablespace_members[] = {{TABLE, CONTENTS, TAR_FILE}};
static const Member wal_members[] = {{SEGMENT, "segment", TAR_FILE},
                                     {"00000002.history", "1\t3/0\t\n", TAR_FILE}};

static const Listed listed[] = {
	{"backup_label", "START WAL LOCATION\n"}, {"PG_VERSION", "15\n"}, {"base/1/1249", CONTENTS},
	{"global/pg_control", "control"},         {"empty", ""},          {"pg_tblspc/16385/" TABLE, CONTENTS},
};

/* What differs from the good backup. */
typedef struct Changes
{
	const char *set; /* into which the extra member goes; NULL: "base" */
	Member extra;
	Listed extra_listed;
	const char *replaced; /* this member gets other contents; NULL: none */
	const char *replacement;
	const char *left_out; /* this member is not there */
	int64_t more_files;   /* than the manifest has, says the record; likewise bytes */
	int64_t more_bytes;
} Changes;

typedef struct World
{
	Place *place;
	BackupRecord *record;
	char *pgdata;
	char *tablespace_path;
	RestoreTablespace tablespace;
} World;

static void
add_member(Buf *archive, const Member *member)
{
	static const char zeros[TAR_BLOCK_SIZE];
	size_t size = member->type == TAR_FILE ? strlen(member->contents) : 0;
	TarEntry entry = {.type = member->type, .size = size, .mode = 0600};
	uint8_t header[TAR_BLOCK_SIZE];

	(void) snprintf(entry.name, sizeof(entry.name), "%s", member->name);
	if (member->type == TAR_SYMLINK)
		(void) snprintf(entry.link_target, sizeof(entry.link_target), "%s", member->contents);
	assert_ok(tar_header_format(&entry, header));
	buf_append(archive, header, sizeof(header));
	buf_append(archive, member->contents, size);
	buf_append(archive, zeros, tar_padding(size));
}

/* Compressed as the record says, with the digest that it will tell. */
static void
put_object(const World *world, const char *name, const Buf *raw, ChunkList *ret_list, uint64_t *ret_size,
           uint8_t *ret_sha256)
{
	AUTO_FREE char *key = mem_printf("%s%s", PREFIX, name);
	const Compression compression = {
		.codec = CODEC_BROTLI, .level = 1, .chunk_size = ret_list == NULL ? 0 : ret_list->chunk_size};
	AUTO_BUF(stored, OBJECT_MAX);
	AUTO(Pipe) pipe = pipe_new();

	codec_add_encoder(pipe, &compression, ret_list);
	pipe_add(pipe, buf_sink_new(&stored));
	assert_ok(pipe_write(pipe, raw->data, raw->size));
	assert_ok(pipe_finish(pipe));
	put_raw(world->place, key, stored.data, stored.size);
	*ret_size = stored.size;
	sha256_of(stored.data, stored.size, ret_sha256);
}

static void
put_part(World *world, const char *set, const Member *members, size_t count, const Changes *changes,
         ChunkList *ret_list)
{
	static const char zeros[TAR_END_SIZE];
	BackupPart *part = &world->record->parts[world->record->n_parts++];
	AUTO_BUF(archive, OBJECT_MAX);

	for (size_t i = 0; i < count; i++)
	{
		Member member = members[i];

		if (str_equal(changes->left_out, member.name))
			continue;
		if (str_equal(changes->replaced, member.name))
			member.contents = changes->replacement;
		add_member(&archive, &member);
	}
	if (changes->extra.name != NULL && strcmp(changes->set == NULL ? "base" : changes->set, set) == 0)
		add_member(&archive, &changes->extra);
	buf_append(&archive, zeros, sizeof(zeros));
	part->name = layout_part_name(set, 1, CODEC_BROTLI, false);
	part->set = mem_strdup(set);
	part->raw_size = archive.size;
	put_object(world, part->name, &archive, ret_list, &part->stored_size, part->stored_sha256);
}

/* The checksum as the server prints it: the bytes of the number in memory. */
static void
add_line(Buf *manifest, const Listed *file, const char *separator)
{
	uint8_t bytes[4];
	char checksum[9];

	builder_le(bytes, crc32c(0, file->contents, strlen(file->contents)), 4);
	hex_encode(bytes, sizeof(bytes), checksum);
	buf_printf(manifest,
	           "%s{ \"Path\": \"%s\", \"Size\": %zu, \"Last-Modified\": \"2026-11-21 03:00:00 GMT\", "
	           "\"Checksum-Algorithm\": \"CRC32C\", \"Checksum\": \"%s\" }",
	           separator, file->path, strlen(file->contents), checksum);
}

static void
count_file(BackupRecord *record, const Listed *file)
{
	record->files++;
	record->files_size += strlen(file->contents);
}

static void
put_manifest(World *world, const Changes *changes)
{
	BackupRecord *record = world->record;
	uint8_t digest[SHA256_SIZE];
	char text[SHA256_TEXT_SIZE];
	AUTO_BUF(manifest, OBJECT_MAX);

	buf_puts(&manifest, "{ \"PostgreSQL-Backup-Manifest-Version\": 1,\n\"Files\": [\n");
	for (size_t i = 0; i < lengthof(listed); i++)
	{
		add_line(&manifest, &listed[i], i == 0 ? "" : ",\n");
		count_file(record, &listed[i]);
	}
	if (changes->extra_listed.path != NULL)
	{
		add_line(&manifest, &changes->extra_listed, ",\n");
		count_file(record, &changes->extra_listed);
	}
	record->files += (uint64_t) changes->more_files;
	record->files_size += (uint64_t) changes->more_bytes;
	buf_puts(&manifest, "\n],\n\"WAL-Ranges\": [\n{ \"Timeline\": 1, \"Start-LSN\": \"3/28\", "
	                    "\"End-LSN\": \"3/100\" }\n],\n");
	sha256_of(manifest.data, manifest.size, digest);
	hex_encode(digest, sizeof(digest), text);
	buf_printf(&manifest, "\"Manifest-Checksum\": \"%s\"}\n", text);
	record->manifest_name = mem_strdup("manifest.br");
	record->manifest_raw_size = manifest.size;
	put_object(world, record->manifest_name, &manifest, NULL, &record->manifest_stored_size,
	           record->manifest_sha256);
}

/* "ret_list": of the chunks of the base's part; NULL: it has none. */
static World
world_make_in_chunks(Place *place, const Changes *changes, ChunkList *ret_list)
{
	World world = {.place = place, .record = backup_record_new()};

	world.record->id = mem_strdup(ID);
	world.record->system_identifier = BUILDER_SYSTEM;
	world.record->codec = mem_strdup("brotli");
	world.record->segment_size = (uint32_t) strlen("segment");
	world.record->parts = NEW_ARRAY(BackupPart, 3);
	world.pgdata = path_join(place->scratch, "pgdata");
	world.tablespace_path = path_join(place->scratch, "space");
	world.tablespace = (RestoreTablespace){.oid = OID, .path = world.tablespace_path};
	assert_ok(dir_make(world.pgdata, 0700));
	assert_ok(dir_make(world.tablespace_path, 0700));
	put_part(&world, "base", base_members, lengthof(base_members), changes, ret_list);
	put_part(&world, "16385", tablespace_members, lengthof(tablespace_members), changes, NULL);
	put_part(&world, "wal", wal_members, lengthof(wal_members), changes, NULL);
	put_manifest(&world, changes);
	return world;
}

static World
world_make(Place *place, const Changes *changes)
{
	return world_make_in_chunks(place, changes, NULL);
}

static void
world_destroy(World *world)
{
	assert_ok(dir_remove_tree(world->pgdata, false));
	assert_ok(dir_remove_tree(world->tablespace_path, false));
	backup_record_free(world->record);
	free(world->pgdata);
	free(world->tablespace_path);
}

static Error *
restore(const World *world, bool with_wal, int jobs)
{
	RestoreOptions options = {
		.store = world->place->store,
		.record = world->record,
		.pgdata = world->pgdata,
		.tablespaces = &world->tablespace,
		.n_tablespaces = 1,
		.with_wal = with_wal,
		.jobs = jobs,
	};

	return restore_backup(&options);
}

static void
count_bytes(void *total, uint64_t bytes)
{
	*(uint64_t *) total += bytes;
}

static Error *
restore_into_nothing(const World *world, uint64_t *ret_bytes)
{
	const RestoreTablespace nowhere = {.oid = world->tablespace.oid};
	RestoreOptions options = {
		.store = world->place->store,
		.record = world->record,
		.tablespaces = &nowhere,
		.n_tablespaces = 1,
		.with_wal = true,
		.jobs = 1,
		.on_bytes = count_bytes,
		.on_bytes_context = ret_bytes,
	};

	*ret_bytes = 0;
	return restore_backup(&options);
}

static void
assert_holds(const char *directory, const char *name, const char *contents)
{
	AUTO_FREE char *path = path_join(directory, name);
	AUTO_BUF(text, 4096);

	assert_ok(file_read_all(path, &text));
	assert_string_equal(text.size == 0 ? "" : text.data, contents);
}

static bool
has(const char *directory, const char *name)
{
	AUTO_FREE char *path = path_join(directory, name);

	return file_exists(path);
}

/* Beside what was there before: pg_wal of the fixture, pgdata, space, store. */
static void
assert_nothing_elsewhere(const World *world)
{
	AUTO_STRLIST names = {0};

	assert_ok(dir_list(world->place->scratch, &names));
	assert_int_equal(names.count, 4);
	assert_false(has(world->pgdata, "global/pg_control"));
}

static void
every_file_comes_back_and_pg_control_last(void **state)
{
	static const Changes none = {0};

	for (int i = 0; i < 4; i++)
	{
		World world = world_make(*state, &none);
		bool with_wal = i % 2 == 1;

		assert_ok(restore(&world, with_wal, i < 2 ? 1 : 4));
		assert_holds(world.pgdata, "PG_VERSION", "15\n");
		assert_holds(world.pgdata, "base/1/1249", CONTENTS);
		assert_holds(world.pgdata, "empty", "");
		assert_true(has(world.pgdata, "pg_stat"));
		assert_holds(world.tablespace_path, TABLE, CONTENTS);
		assert_int_equal(has(world.pgdata, "pg_wal/" SEGMENT), with_wal);
		assert_int_equal(has(world.pgdata, "pg_wal/00000002.history"), with_wal);
		assert_holds(world.pgdata, RESTORE_CONTROL_WAITING, "control");
		assert_nothing_elsewhere(&world);

		assert_ok(restore_complete(world.pgdata));
		assert_holds(world.pgdata, "global/pg_control", "control");
		assert_false(has(world.pgdata, RESTORE_CONTROL_WAITING));
		world_destroy(&world);
	}
}

typedef struct Bad
{
	const char *name;
	Changes changes;
	const char *message;
} Bad;

static const Bad bad[] = {
	{"a file that is not in the manifest",
     {.extra = {"base/1/9999", "x", TAR_FILE}},
     "\"base/1/9999\" is not in the manifest"},
	{"a file under the manifest's name of a tablespace, in the base",
     {.extra = {"pg_tblspc/16385/" TABLE, "x", TAR_FILE}},
     "belongs into a tablespace"},
	{"a file that is missing",
     {.left_out = "PG_VERSION"},
     "lacks 1 files of its manifest, among them \"PG_VERSION\""},
	{"a file that only the manifest has", {.extra_listed = {"base/1/2", ""}}, "among them \"base/1/2\""},
	{"a file of a tablespace that is missing", {.left_out = TABLE}, "pg_tblspc/16385/" TABLE},
	{"a longer file", {.replaced = "PG_VERSION", .replacement = "15\n\n"}, "has 4 bytes instead of 3"},
	{"a shorter file", {.replaced = "base/1/1249", .replacement = ""}, "has 0 bytes instead of 19"},
	{"other contents",
     {.replaced = "PG_VERSION", .replacement = "16\n"},
     "\"PG_VERSION\" fails its checksum"},
	{"other contents in a tablespace",
     {.replaced = TABLE, .replacement = "Contents of a table"},
     "fails its checksum"},
	{"a file twice", {.extra = {"PG_VERSION", "15\n", TAR_FILE}}, "\"PG_VERSION\" is there twice"},
	{"a symbolic link", {.extra = {"link", "/etc", TAR_SYMLINK}}, "symbolic link \"link\""},
	{"a symbolic link in a tablespace",
     {.set = "16385", .extra = {"link", "/etc", TAR_SYMLINK}},
     "symbolic link \"link\""},
	{"a name that leaves the directory",
     {.extra = {"../outside", "x", TAR_FILE}, .extra_listed = {"../outside", "x"}},
     "outside"},
	{"a name that leaves it later",
     {.extra = {"base/../../outside", "x", TAR_FILE}, .extra_listed = {"base/../../outside", "x"}},
     "outside"},
	{"an absolute name", {.extra = {"/tmp/walship-outside", "x", TAR_FILE}}, "outside"},
	{"a directory that leaves the directory", {.extra = {"../outside", "", TAR_DIRECTORY}}, "outside"},
	{"something else among the WAL",
     {.set = "wal", .extra = {"postgresql.conf", "x", TAR_FILE}},
     "\"postgresql.conf\" is no WAL file"},
	{"WAL in a directory of its own",
     {.set = "wal", .extra = {"x/" SEGMENT, "x", TAR_FILE}},
     "is no WAL file"},
	{"a segment that is too long",
     {.replaced = SEGMENT, .replacement = "segment and more"},
     "\"" SEGMENT "\" cannot have 16 bytes"},
	{"a segment that is too short", {.replaced = SEGMENT, .replacement = "seg"}, "cannot have 3 bytes"},
	{"more files than the record says", {.more_files = -1}, "backup manifest lists more than 5 files"},
	{"fewer files than the record says", {.more_files = 1}, "has 6 files with"},
	{"more bytes than the record says", {.more_bytes = -1}, "but its record says 6 with"},
	{"the name under which pg_control waits",
     {.extra = {RESTORE_CONTROL_WAITING, "x", TAR_FILE}},
     "is not in the manifest"},
};

static void
what_the_manifest_does_not_say_is_corrupt_and_nothing_lands_elsewhere(void **state)
{
	for (size_t i = 0; i < lengthof(bad); i++)
	{
		World world = world_make(*state, &bad[i].changes);
		uint64_t bytes;

		print_message("  %s\n", bad[i].name);
		assert_error(restore(&world, true, 3), ERR_CORRUPT, bad[i].message);
		assert_error(restore_into_nothing(&world, &bytes), ERR_CORRUPT, bad[i].message);
		assert_nothing_elsewhere(&world);
		assert_false(has("/tmp", "walship-outside"));
		world_destroy(&world);
	}
}

static void
a_restore_into_nothing_reads_every_file_and_writes_none(void **state)
{
	static const Changes none = {0};
	World world = world_make(*state, &none);
	uint64_t expected = strlen("segment") + strlen("1\t3/0\t\n");
	uint64_t bytes;
	AUTO_STRLIST names = {0};

	for (size_t i = 0; i < lengthof(listed); i++)
		expected += strlen(listed[i].contents);
	assert_ok(restore_into_nothing(&world, &bytes));
	assert_int_equal(bytes, expected);
	assert_ok(dir_list(world.pgdata, &names));
	assert_ok(dir_list(world.tablespace_path, &names));
	assert_int_equal(names.count, 0);
	assert_nothing_elsewhere(&world);
	world_destroy(&world);
}

typedef struct Told
{
	StrList names;
	char *last;
	const char *only; /* the one part that is wanted; NULL: all */
} Told;

static void
note_fault(void *context, const char *name, const Error *error)
{
	Told *told = context;

	assert_true(error_is(error, ERR_CORRUPT));
	free(told->last);
	told->last = mem_strdup(error_message(error));
	strlist_add(&told->names, name == NULL ? "-" : name);
}

static bool
is_wanted(void *context, const char *name)
{
	return str_equal(((Told *) context)->only, name);
}

static void
into_nothing_a_fault_of_one_part_ends_nothing_and_is_told(void **state)
{
	for (size_t i = 0; i < lengthof(bad); i++)
	{
		World world = world_make(*state, &bad[i].changes);
		const RestoreTablespace nowhere = {.oid = world.tablespace.oid};
		Told told = {0};
		RestoreOptions options = {.store = world.place->store,
		                          .record = world.record,
		                          .tablespaces = &nowhere,
		                          .n_tablespaces = 1,
		                          .with_wal = true,
		                          .jobs = 1,
		                          .on_fault = note_fault,
		                          .context = &told};

		print_message("  %s\n", bad[i].name);
		assert_ok(restore_backup(&options));
		assert_int_equal(told.names.count, 1);
		assert_non_null(strstr(told.last, bad[i].message));

		/* Asked for that one alone, it is told again; asked for another one, nothing is. */
		told.only = told.names.items[0];
		options.wanted = is_wanted;
		if (told.only[0] != '-')
		{
			assert_ok(restore_backup(&options));
			assert_int_equal(told.names.count, 2);
		}
		strlist_release(&told.names);
		free(told.last);
		world_destroy(&world);
	}
}

static void
a_segment_twice_is_not_written_over(void **state)
{
	static const Changes twice = {.set = "wal", .extra = {SEGMENT, "another", TAR_FILE}};
	World world = world_make(*state, &twice);

	assert_error(restore(&world, true, 1), ERR_SYSTEM, "File exists");
	world_destroy(&world);
}

static void
what_is_there_already_is_not_written_over(void **state)
{
	static const Changes none = {0};
	World world = world_make(*state, &none);
	AUTO_FREE char *mine = path_join(world.pgdata, "PG_VERSION");
	AUTO_FREE char *link = path_join(world.pgdata, "empty");
	AUTO_FREE char *outside = path_join(world.place->wal, "outside");

	assert_ok(file_replace(mine, "mine", 4, 0600));
	assert_error(restore(&world, false, 1), ERR_SYSTEM, "File exists");
	assert_holds(world.pgdata, "PG_VERSION", "mine");
	assert_ok(dir_remove_tree(world.pgdata, true));
	assert_int_equal(symlink(outside, link), 0);
	assert_error(restore(&world, false, 1), ERR_SYSTEM, "File exists");
	assert_false(file_exists(outside));
	world_destroy(&world);
}

typedef enum Harm
{
	HARM_PART_MISSING,
	HARM_PART_FLIPPED,
	HARM_PART_CUT,
	HARM_PART_EMPTY,
	HARM_PART_SWAPPED,
	HARM_RAW_SIZE_TOO_SMALL,
	HARM_STORED_SIZE_WRONG,
	HARM_UNKNOWN_SET,
	HARM_UNKNOWN_CODEC,
	HARM_MANIFEST_MISSING,
	HARM_MANIFEST_FLIPPED,
} Harm;

static void
do_harm(World *world, Harm harm)
{
	BackupRecord *record = world->record;
	bool manifest = harm == HARM_MANIFEST_MISSING || harm == HARM_MANIFEST_FLIPPED;
	AUTO_FREE char *key = mem_printf("%s%s", PREFIX, manifest ? "manifest.br" : "base-0001.tar.br");
	AUTO_BUF(bytes, 0);

	read_raw(world->place, key, &bytes);
	switch (harm)
	{
		case HARM_PART_MISSING:
		case HARM_MANIFEST_MISSING:
			assert_ok(store_remove(world->place->store, key));
			break;
		case HARM_PART_FLIPPED:
		case HARM_MANIFEST_FLIPPED:
			bytes.data[bytes.size / 2] ^= 4;
			put_raw(world->place, key, bytes.data, bytes.size);
			break;
		case HARM_PART_CUT:
			put_raw(world->place, key, bytes.data, bytes.size - 1);
			break;
		case HARM_PART_EMPTY:
			put_raw(world->place, key, "", 0);
			break;
		case HARM_PART_SWAPPED:
			put_raw(world->place, PREFIX "wal-0001.tar.br", bytes.data, bytes.size);
			break;
		case HARM_RAW_SIZE_TOO_SMALL:
			record->parts[0].raw_size--;
			break;
		case HARM_STORED_SIZE_WRONG:
			record->parts[0].stored_size++;
			break;
		case HARM_UNKNOWN_SET:
			free(record->parts[1].set);
			record->parts[1].set = mem_strdup("16999");
			break;
		case HARM_UNKNOWN_CODEC:
			free(record->codec);
			record->codec = mem_strdup("lzma");
			break;
	}
}

static void
damaged_objects_are_named(void **state)
{
	static const struct
	{
		const char *name;
		Harm harm;
		const char *message;
	} rows[] = {
		{"part missing", HARM_PART_MISSING, "base-0001.tar.br\" from store"},
		{"part with a flipped bit", HARM_PART_FLIPPED, "base-0001.tar.br"},
		{"part cut", HARM_PART_CUT, "base-0001.tar.br"},
		{"part empty", HARM_PART_EMPTY, "base-0001.tar.br"},
		{"another part in its place", HARM_PART_SWAPPED, "wal-0001.tar.br"},
		{"more than the record says", HARM_RAW_SIZE_TOO_SMALL, "base-0001.tar.br"},
		{"another size than the record says", HARM_STORED_SIZE_WRONG, "base-0001.tar.br"},
		{"a part of no tablespace", HARM_UNKNOWN_SET, "belongs to no tablespace"},
		{"codec that is not known", HARM_UNKNOWN_CODEC, "codec \"lzma\""},
		{"manifest missing", HARM_MANIFEST_MISSING, "manifest.br\" from store"},
		{"manifest with a flipped bit", HARM_MANIFEST_FLIPPED, "manifest.br"},
	};
	static const Changes none = {0};

	for (size_t i = 0; i < lengthof(rows); i++)
	{
		World world = world_make(*state, &none);
		uint64_t bytes;

		print_message("  %s\n", rows[i].name);
		do_harm(&world, rows[i].harm);
		assert_error(restore(&world, true, 2), ERR_CORRUPT, rows[i].message);
		assert_error(restore_into_nothing(&world, &bytes), ERR_CORRUPT, rows[i].message);
		assert_nothing_elsewhere(&world);
		world_destroy(&world);
	}
}

#define LARGE       "base/1/16390"
#define LARGE_SIZE  (28u * 1024 * 1024)
#define LARGE_CHUNK (4u * 1024 * 1024)

/* Printable, so that it is a member's contents, and of six bits each, so that it is stored in more than the map needs. */
static char *
large_contents(void)
{
	char *text = (char *) scratch_bytes(LARGE_SIZE + 1, 5);

	for (size_t i = 0; i < LARGE_SIZE; i++)
		text[i] = (char) ('0' + ((uint8_t) text[i] & 63));
	text[LARGE_SIZE] = '\0';
	return text;
}

typedef struct Lie
{
	const char *name;
	size_t at; /* of the list; this one and all that follow it are changed */
	uint32_t crc32c;
	int64_t offset;
	int64_t chunk_size;
	bool in_files;        /* and not into nothing */
	size_t chunks_before; /* that are decoded before it is found out */
} Lie;

static const Lie lies[] = {
	{.name = "the truth", .in_files = true},
	{"a checksum", .at = 3, .crc32c = 1, .in_files = true, .chunks_before = 3},
	{"the first checksum", .at = 0, .crc32c = 1},
	{"a place", .at = 2, .offset = -1, .chunks_before = 1},
	{"a place behind the end", .at = 6, .offset = 1 << 30},
	{"larger chunks", .chunk_size = 1},
	{"no size of chunks", .chunk_size = -(int64_t) LARGE_CHUNK},
};

/* Into the store, and where it is into the record. */
static void
put_map(World *world, const ChunkList *list, const Lie *lie)
{
	BackupObject *map = &world->record->map;
	AUTO_BUF(text, OBJECT_MAX);

	buf_printf(&text,
	           "{\"format\":1,\"backup\":\"%s\"}\n{\"part\":\"base-0001.tar.br\",\"chunk_size\":%" PRId64, ID,
	           (int64_t) list->chunk_size + lie->chunk_size);
	for (size_t i = 0; i < list->count; i++)
		buf_printf(&text, "%s[%" PRId64 ",%" PRIu32 "]", i == 0 ? ",\"chunks\":[" : ",",
		           (int64_t) list->places[i].offset + (i >= lie->at ? lie->offset : 0),
		           list->places[i].crc32c ^ (i >= lie->at ? lie->crc32c : 0));
	buf_puts(&text, "]}\n[\"PG_VERSION\"]\n");
	if (map->name == NULL)
		map->name = mem_strdup("map.br");
	map->raw_size = text.size;
	put_object(world, map->name, &text, NULL, &map->stored_size, map->stored_sha256);
}

/* How many bytes of files came: more than there are when the part was read twice. */
static uint64_t
restore_large(const World *world, const char *contents)
{
	uint64_t bytes = 0;
	AUTO_FREE char *path = path_join(world->pgdata, LARGE);
	AUTO_BUF(found, LARGE_SIZE + 1);
	RestoreOptions options = {.store = world->place->store,
	                          .record = world->record,
	                          .pgdata = world->pgdata,
	                          .tablespaces = &world->tablespace,
	                          .n_tablespaces = 1,
	                          .with_wal = true,
	                          .jobs = 1,
	                          .on_bytes = count_bytes,
	                          .on_bytes_context = &bytes};

	assert_ok(restore_backup(&options));
	assert_ok(file_read_all(path, &found));
	assert_int_equal(found.size, LARGE_SIZE);
	assert_memory_equal(found.data, contents, LARGE_SIZE);
	assert_ok(dir_remove_tree(world->pgdata, true));
	assert_ok(dir_remove_tree(world->tablespace_path, true));
	return bytes;
}

static void
a_large_part_comes_back_whatever_the_map_says(void **state)
{
	AUTO_FREE char *contents = large_contents();
	const Changes changes = {.extra = {LARGE, contents, TAR_FILE}, .extra_listed = {LARGE, contents}};
	AUTO_CHUNK_LIST list = {.chunk_size = LARGE_CHUNK};
	bool in_chunks = workers_cpu_count(2) > 1;
	World world = world_make_in_chunks(*state, &changes, &list);
	AUTO_FREE char *key = mem_printf("%smap.br", PREFIX);
	uint64_t whole = 0;
	uint64_t bytes;

	assert_int_equal(list.count, 8);
	assert_true(world.record->parts[0].stored_size > 17u * 1024 * 1024);
	assert_ok(restore_into_nothing(&world, &whole));
	for (size_t i = 0; i < lengthof(lies); i++)
	{
		print_message("  %s\n", lies[i].name);
		put_map(&world, &list, &lies[i]);
		if (lies[i].in_files)
			bytes = restore_large(&world, contents);
		else
			assert_ok(restore_into_nothing(&world, &bytes));
		if (in_chunks && lies[i].chunks_before > 0)
			assert_true(bytes > whole + lies[i].chunks_before * LARGE_CHUNK - LARGE_CHUNK / 2);
		else
			assert_int_equal(bytes, whole);
	}

	/* A map that is damaged, or not there. */
	put_map(&world, &list, &lies[0]);
	world.record->map.stored_sha256[0] ^= 1;
	assert_ok(restore_into_nothing(&world, &bytes));
	assert_int_equal(bytes, whole);
	assert_ok(store_remove(world.place->store, key));
	assert_ok(restore_into_nothing(&world, &bytes));
	assert_int_equal(bytes, whole);

	/* What is wrong with the part itself is told, whoever decodes it. */
	put_map(&world, &list, &lies[0]);
	do_harm(&world, HARM_PART_FLIPPED);
	assert_error(restore_into_nothing(&world, &bytes), ERR_CORRUPT, "base-0001.tar.br");
	world_destroy(&world);
}

static void
a_backup_without_pg_control_cannot_be_completed(void **state)
{
	static const Changes none = {0};
	World world = world_make(*state, &none);

	assert_error(restore_complete(world.pgdata), ERR_SYSTEM, "pg_control");
	world_destroy(&world);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		PLACE_TEST(every_file_comes_back_and_pg_control_last),
		PLACE_TEST(what_the_manifest_does_not_say_is_corrupt_and_nothing_lands_elsewhere),
		PLACE_TEST(a_restore_into_nothing_reads_every_file_and_writes_none),
		PLACE_TEST(into_nothing_a_fault_of_one_part_ends_nothing_and_is_told),
		PLACE_TEST(a_segment_twice_is_not_written_over),
		PLACE_TEST(what_is_there_already_is_not_written_over),
		PLACE_TEST(damaged_objects_are_named),
		PLACE_TEST(a_large_part_comes_back_whatever_the_map_says),
		PLACE_TEST(a_backup_without_pg_control_cannot_be_completed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
