/* From the lists of parts and members to the map, and from it to chunks; see map.h. */
#include "map.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "walship/archive/layout.h"
#include "walship/base/json_fields.h"
#include "walship/base/mem.h"

#define MAP_FORMAT   1
#define MAP_LINE_MAX (64u * 1024 * 1024) /* the longest: a part with very many chunks */

static Error *
write_line(StoredObject *object, const Json *line)
{
	AUTO_BUF(text, MAP_LINE_MAX);

	json_print(line, true, &text);
	if (text.overflowed)
		return error_new(ERR_SYSTEM, "a line of the backup's map is longer than %u bytes", MAP_LINE_MAX);
	return stored_object_write(object, text.data, text.size);
}

static void
put_databases(const MapSource *source, Json *into)
{
	AUTO_FREE BackupDatabase *databases = NEW_ARRAY(BackupDatabase, source->n_databases);

	for (size_t i = 0; i < source->n_databases; i++)
		databases[i] = (BackupDatabase){.oid = source->databases[i].oid,
		                                .tablespace = source->databases[i].tablespace,
		                                .name = source->databases[i].name};
	backup_databases_put(databases, source->n_databases, into);
}

static Error *
write_head(StoredObject *object, const MapSource *source)
{
	AUTO(Json) line = json_new_object();

	json_add_int(line, "format", MAP_FORMAT);
	json_add_string(line, "backup", source->backup_id);
	if (source->n_databases > 0)
		put_databases(source, line);
	return write_line(object, line);
}

static Error *
write_part(StoredObject *object, const BackupPart *part, const ChunkList *chunks)
{
	AUTO(Json) line = json_new_object();

	json_add_string(line, "part", part->name);
	if (chunks->count > 0)
	{
		json_add_int(line, "chunk_size", (int64_t) chunks->chunk_size);

		Json *places = json_add_array(line, "chunks");

		for (size_t i = 0; i < chunks->count; i++)
		{
			Json *place = json_add_array(places, NULL);

			json_add_int(place, NULL, (int64_t) chunks->places[i].offset);
			json_add_int(place, NULL, chunks->places[i].crc32c);
		}
	}
	return write_line(object, line);
}

/* The size stands there only where the reader cannot know it: it has the manifest, and a directory has none. */
static Error *
write_member(StoredObject *object, const Manifest *manifest, const char *path, uint64_t size)
{
	AUTO(Json) line = json_new_array();
	ManifestFile file;
	bool is_directory = path[0] != '\0' && path[strlen(path) - 1] == '/';
	bool is_known = is_directory ? size == 0 : manifest_find(manifest, path, &file) && file.size == size;

	json_put(line, &json_paths, &path);
	if (!is_known)
		json_add_int(line, NULL, (int64_t) size);
	return write_line(object, line);
}

static Error *
write_list(StoredObject *object, const Manifest *manifest, const PartList *parts)
{
	for (size_t i = 0; i < parts->count; i++)
	{
		const PartMap *map = &parts->maps[i];

		TRY(write_part(object, &parts->items[i], &map->chunks));
		for (uint64_t at = map->members_begin; at < map->members_end;)
		{
			char path[MEMBER_PATH_SIZE];
			uint64_t size;

			TRY(member_list_read(&parts->members, &at, path, &size));
			TRY(write_member(object, manifest, path, size));
		}
	}
	return NULL;
}

Error *
map_write(const BackupTarget *target, const MapSource *source, StrList *names, BackupObject *ret_map)
{
	AUTO_FREE char *name = layout_map_name(target->compression.codec, target->recipients != NULL);
	AUTO(StoredObject) object = NULL;
	Digest stored;

	strlist_add(names, name);
	TRY(backup_target_open(target, name, &object));
	TRY(write_head(object, source));
	for (size_t i = 0; i < lengthof(source->lists); i++)
		if (source->lists[i] != NULL)
			TRY(write_list(object, source->manifest, source->lists[i]));
	TRY(stored_object_finish(object, &stored));
	*ret_map = (BackupObject){
		.name = MOVE(name), .raw_size = stored_object_raw_size(object), .stored_size = stored.size};
	memcpy(ret_map->stored_sha256, stored.sha256, sizeof(ret_map->stored_sha256));
	return NULL;
}

/* Of a part of 700 GB.  The tree of a longer line would need more memory than decoding does. */
#define LINE_READ_MAX (4u * 1024 * 1024)

typedef struct MapChunksSink
{
	Sink sink;
	const BackupRecord *record;
	ChunkList *lists;
	Buf line;     /* so far; of parts alone, for a map has far more lines of members */
	bool skips;   /* this line */
	bool is_ours; /* by the first line */
	size_t next;  /* part that the next line may be of: they come in the record's order */
} MapChunksSink;

static Error *
read_places(const Json *line, uint64_t raw_size, ChunkList *list)
{
	uint64_t expected;

	TRY(json_get_uint(line, "chunk_size", &list->chunk_size));
	if (list->chunk_size == 0)
		return json_invalid("chunk_size", NULL);
	expected = raw_size / list->chunk_size + (raw_size % list->chunk_size != 0);
	for (const Json *pair = json_first(json_get(line, "chunks")); pair != NULL; pair = json_next(pair))
	{
		const Json *first = json_first(pair);
		const Json *second = first == NULL ? NULL : json_next(first);
		int64_t offset;
		int64_t crc32c;

		if (second == NULL || !json_int_value(first, &offset) || !json_int_value(second, &crc32c) ||
		    offset < 0 || crc32c < 0 || crc32c > UINT32_MAX || list->count == expected)
			return json_invalid("chunks", NULL);
		GROW(list->places, list->count, list->capacity);
		list->places[list->count++] = (ChunkPlace){.offset = (uint64_t) offset, .crc32c = (uint32_t) crc32c};
	}
	return NULL;
}

static Error *
read_head(MapChunksSink *self, const Json *line)
{
	const char *id;
	int64_t format;

	TRY(json_get_int(line, "format", &format));
	TRY(json_get_string(line, "backup", &id));
	if (format != MAP_FORMAT || strcmp(id, self->record->id) != 0)
		return error_new(ERR_CORRUPT, "map of backup \"%s\" is another one's", self->record->id);
	self->is_ours = true;
	return NULL;
}

static Error *
read_object_line(MapChunksSink *self)
{
	const BackupRecord *record = self->record;
	AUTO(Json) line = NULL;
	const char *name;

	TRY(json_parse(self->line.data, self->line.size, "map", &line));
	if (!self->is_ours)
		return read_head(self, line);
	if (!json_has(line, "chunks"))
		return NULL;
	TRY(json_get_string(line, "part", &name));
	for (size_t i = 0; i < record->n_parts; i++)
	{
		size_t number = (self->next + i) % record->n_parts;

		if (strcmp(record->parts[number].name, name) != 0)
			continue;
		self->next = number + 1;
		if (self->lists[number].count > 0)
			return json_invalid("part", name);
		return read_places(line, record->parts[number].raw_size, &self->lists[number]);
	}
	return NULL;
}

static Error *
map_chunks_write(Sink *sink, const void *data, size_t size)
{
	MapChunksSink *self = (MapChunksSink *) sink;
	const char *next = data;
	const char *end = next + size;

	while (next < end)
	{
		const char *newline = memchr(next, '\n', (size_t) (end - next));
		size_t piece = (size_t) ((newline == NULL ? end : newline) - next);

		if (self->line.size == 0 && piece > 0 && !self->skips)
			self->skips = *next != '{';
		if (!self->skips)
			buf_append(&self->line, next, piece);
		if (self->line.overflowed)
			self->skips = true;
		next += piece;
		if (newline == NULL)
			break;
		next++;
		if (self->line.size > 0 && !self->skips)
			TRY(read_object_line(self));
		buf_clear(&self->line);
		self->skips = false;
	}
	return NULL;
}

static void
map_chunks_free(Sink *sink)
{
	MapChunksSink *self = (MapChunksSink *) sink;

	buf_release(&self->line);
	free(self);
}

Sink *
map_chunks_sink_new(const BackupRecord *record, ChunkList *ret_lists)
{
	static const SinkOps ops = {.write = map_chunks_write, .free = map_chunks_free};
	MapChunksSink *self = NEW(MapChunksSink);

	self->sink.ops = &ops;
	self->record = record;
	self->lists = ret_lists;
	buf_init(&self->line, LINE_READ_MAX);
	return &self->sink;
}
