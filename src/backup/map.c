/* From the lists of parts and members to the map; see map.h. */
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
