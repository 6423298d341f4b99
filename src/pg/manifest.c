/*
 * backup_manifest is JSON with one object per line, and that is how the server
 * has always written it (PostgreSQL: backup_manifest.c, AddFileToBackupManifest).
 * Reading it as one document would take a gigabyte for a million files.
 */
#include "walship/pg/manifest.h"

#include <inttypes.h>
#include <string.h>

#include "walship/base/buf.h"
#include "walship/base/crypto.h"
#include "walship/base/json.h"
#include "walship/base/mem.h"
#include "walship/base/strs.h"

#define MANIFEST_SIZE_MAX (UINT64_C(1) << 60) /* a sum that wrapped around would pass for a small one */

typedef struct PackedFile
{
	uint32_t path; /* offset in the arena */
	uint32_t crc32c;
	uint64_t size;
} PackedFile;

struct Manifest
{
	char *arena; /* the paths, each with its NUL */
	size_t arena_size;
	size_t arena_capacity;
	PackedFile *files; /* sorted by path once all are there */
	size_t n_files;
	size_t files_capacity;
	ManifestRange *ranges;
	size_t n_ranges;
	size_t ranges_capacity;
	uint64_t total_size;
	uint64_t system_identifier;
};

typedef enum ManifestPart
{
	AT_VERSION,
	AT_FILES_HEAD, /* "System-Identifier" or "Files": [ */
	AT_FILES,
	AT_RANGES_HEAD,
	AT_RANGES,
	AT_CHECKSUM,
	AT_END,
} ManifestPart;

typedef struct ManifestSink
{
	Sink sink;
	Manifest *manifest; /* the caller's */
	uint64_t most;      /* files */
	ManifestPart part;
	int version;
	Buf line;
	Sha256 *sha;
} ManifestSink;

Manifest *
manifest_new(void)
{
	return NEW(Manifest);
}

void
manifest_free(Manifest *manifest)
{
	if (manifest == NULL)
		return;
	free(manifest->arena);
	free(manifest->files);
	free(manifest->ranges);
	free(manifest);
}

static Error *
add_path(Manifest *manifest, const char *path, size_t size, uint32_t *ret_offset)
{
	if (size == 0 || memchr(path, '\0', size) != NULL)
		return error_new(ERR_CORRUPT, "backup manifest lists a file without a proper name");
	if (manifest->arena_size + size + 1 > MANIFEST_PATHS_MAX)
		return error_new(ERR_CORRUPT, "backup manifest lists more names than walship can hold");
	if (manifest->arena_size + size + 1 > manifest->arena_capacity)
	{
		size_t capacity = manifest->arena_capacity == 0 ? 65536 : manifest->arena_capacity * 3 / 2;

		manifest->arena_capacity = capacity > size + 1 ? capacity : size + 1;
		manifest->arena = mem_realloc(manifest->arena, manifest->arena_capacity);
	}
	memcpy(manifest->arena + manifest->arena_size, path, size);
	manifest->arena[manifest->arena_size + size] = '\0';
	*ret_offset = (uint32_t) manifest->arena_size;
	manifest->arena_size += size + 1;
	return NULL;
}

/* A name that is not valid UTF-8 comes in hexadecimal. */
static Error *
read_path(Manifest *manifest, const Json *object, uint32_t *ret_offset)
{
	const char *text;

	if (json_has(object, "Path"))
	{
		TRY(json_get_string(object, "Path", &text));
		return add_path(manifest, text, strlen(text), ret_offset);
	}
	TRY(json_get_string(object, "Encoded-Path", &text));

	size_t size = strlen(text) / 2;
	AUTO_FREE char *path = mem_alloc(size + 1);

	if (strlen(text) % 2 != 0 || !hex_decode(text, path, size))
		return error_new(ERR_CORRUPT, "backup manifest has the malformed Encoded-Path \"%s\"", text);
	return add_path(manifest, path, size, ret_offset);
}

static Error *
take_file(Manifest *manifest, const Json *object)
{
	PackedFile file;
	const char *algorithm;
	const char *checksum;
	uint8_t bytes[4];

	TRY(json_get_uint(object, "Size", &file.size));
	if (file.size > MANIFEST_SIZE_MAX - manifest->total_size)
		return error_new(ERR_CORRUPT, "backup manifest lists more bytes than any disk has");
	TRY(json_get_string(object, "Checksum-Algorithm", &algorithm));
	TRY(json_get_string(object, "Checksum", &checksum));
	if (strcmp(algorithm, "CRC32C") != 0)
		return error_new(ERR_CORRUPT, "backup manifest uses the checksum algorithm \"%s\" instead of CRC32C",
		                 algorithm);
	if (strlen(checksum) != 8 || !hex_decode(checksum, bytes, sizeof(bytes)))
		return error_new(ERR_CORRUPT, "backup manifest has the malformed checksum \"%s\"", checksum);
	TRY(read_path(manifest, object, &file.path));

	/* Printed byte by byte as it lies in the server's memory: little-endian. */
	file.crc32c = (uint32_t) bytes[0] | (uint32_t) bytes[1] << 8 | (uint32_t) bytes[2] << 16 |
	              (uint32_t) bytes[3] << 24;
	GROW(manifest->files, manifest->n_files, manifest->files_capacity);
	manifest->files[manifest->n_files++] = file;
	manifest->total_size += file.size;
	return NULL;
}

static Error *
take_range(Manifest *manifest, const Json *object)
{
	ManifestRange range;
	uint64_t timeline;
	const char *start;
	const char *end;

	TRY(json_get_uint(object, "Timeline", &timeline));
	TRY(json_get_string(object, "Start-LSN", &start));
	TRY(json_get_string(object, "End-LSN", &end));
	if (timeline == 0 || timeline > UINT32_MAX || !lsn_parse(start, &range.start_lsn) ||
	    !lsn_parse(end, &range.end_lsn) || manifest->n_ranges == MANIFEST_RANGES_MAX)
		return error_new(ERR_CORRUPT, "backup manifest has a malformed WAL range");
	range.timeline = (TimeLineID) timeline;
	GROW(manifest->ranges, manifest->n_ranges, manifest->ranges_capacity);
	manifest->ranges[manifest->n_ranges++] = range;
	return NULL;
}

static Error *
unexpected_line(const char *line)
{
	return error_new(ERR_CORRUPT, "backup manifest has the unexpected line \"%.80s\"", line);
}

/* A line of one of the lists: "{ ... }," or "{ ... }" or, at the end, "],". */
static Error *
take_item(ManifestSink *self, Error *(*take)(Manifest *, const Json *), ManifestPart next)
{
	AUTO(Json) object = NULL;
	size_t size = self->line.size;

	if (strcmp(self->line.data, "],") == 0)
	{
		self->part = next;
		return NULL;
	}
	if (size == 0)
		return NULL;
	if (self->line.data[size - 1] == ',')
		size--;
	if (self->part == AT_FILES && self->manifest->n_files == self->most)
		return error_new(ERR_CORRUPT, "backup manifest lists more than %" PRIu64 " files", self->most);
	TRY(json_parse(self->line.data, size, "backup manifest", &object));
	return error_context(take(self->manifest, object), "backup manifest");
}

static Error *
take_version(ManifestSink *self)
{
	static const char *const versions[] = {"{ \"PostgreSQL-Backup-Manifest-Version\": 1,",
	                                       "{ \"PostgreSQL-Backup-Manifest-Version\": 2,"};

	for (size_t i = 0; i < lengthof(versions); i++)
	{
		if (strcmp(self->line.data, versions[i]) == 0)
		{
			self->version = (int) i + 1;
			self->part = AT_FILES_HEAD;
			return NULL;
		}
	}
	return unexpected_line(self->line.data);
}

static Error *
take_files_head(ManifestSink *self)
{
	static const char identifier[] = "\"System-Identifier\": ";
	char *line = self->line.data;

	if (strcmp(line, "\"Files\": [") == 0)
	{
		self->part = AT_FILES;
		return NULL;
	}

	/* By hand: as a JSON number it would lose its last digits. */
	if (self->version >= 2 && str_starts_with(line, identifier) && str_ends_with(line, ","))
	{
		line[self->line.size - 1] = '\0';
		if (str_to_uint64(line + sizeof(identifier) - 1, &self->manifest->system_identifier))
			return NULL;
	}
	return unexpected_line(line);
}

/* The digest covers every byte before the line that tells it. */
static Error *
take_checksum(ManifestSink *self)
{
	static const char head[] = "\"Manifest-Checksum\": \"";
	uint8_t digest[SHA256_SIZE];
	char hex[SHA256_TEXT_SIZE];

	if (!str_starts_with(self->line.data, head))
		return unexpected_line(self->line.data);
	sha256_final(self->sha, digest);
	hex_encode(digest, sizeof(digest), hex);

	AUTO_FREE char *expected = mem_printf("%s%s\"}", head, hex);

	if (strcmp(self->line.data, expected) != 0)
		return error_new(ERR_CORRUPT, "backup manifest does not match its own checksum");
	self->part = AT_END;
	return NULL;
}

static Error *
take_line(ManifestSink *self)
{
	if (self->line.overflowed)
		return error_new(ERR_CORRUPT, "backup manifest has a line of more than %d bytes", MANIFEST_LINE_MAX);
	if (self->line.size == 0)
		buf_puts(&self->line, "");
	if (self->part < AT_CHECKSUM)
	{
		sha256_update(self->sha, self->line.data, self->line.size);
		sha256_update(self->sha, "\n", 1);
	}
	switch (self->part)
	{
		case AT_VERSION:
			return take_version(self);
		case AT_FILES_HEAD:
			return take_files_head(self);
		case AT_FILES:
			return take_item(self, take_file, AT_RANGES_HEAD);
		case AT_RANGES_HEAD:
			self->part = AT_RANGES;
			return strcmp(self->line.data, "\"WAL-Ranges\": [") == 0 ? NULL
			                                                         : unexpected_line(self->line.data);
		case AT_RANGES:
			return take_item(self, take_range, AT_CHECKSUM);
		case AT_CHECKSUM:
			return take_checksum(self);
		case AT_END:
			break;
	}
	return error_new(ERR_CORRUPT, "backup manifest goes on after its checksum");
}

static Error *
manifest_sink_write(Sink *sink, const void *data, size_t size)
{
	ManifestSink *self = (ManifestSink *) sink;
	const char *at = data;
	const char *end = at + size;

	while (at < end)
	{
		const char *newline = memchr(at, '\n', (size_t) (end - at));

		buf_append(&self->line, at, (size_t) ((newline != NULL ? newline : end) - at));
		if (newline == NULL)
			return NULL;
		TRY(take_line(self));
		buf_clear(&self->line);
		at = newline + 1;
	}
	return NULL;
}

static int
compare_files(const void *a, const void *b, void *arena)
{
	return strcmp((const char *) arena + ((const PackedFile *) a)->path,
	              (const char *) arena + ((const PackedFile *) b)->path);
}

static Error *
manifest_sink_finish(Sink *sink)
{
	ManifestSink *self = (ManifestSink *) sink;
	Manifest *manifest = self->manifest;

	if (self->part != AT_END || self->line.size > 0)
		return error_new(ERR_CORRUPT, "backup manifest is cut short");
	if (manifest->n_files > 1)
		qsort_r(manifest->files, manifest->n_files, sizeof(PackedFile), compare_files, manifest->arena);
	for (size_t i = 1; i < manifest->n_files; i++)
	{
		if (compare_files(&manifest->files[i - 1], &manifest->files[i], manifest->arena) == 0)
			return error_new(ERR_CORRUPT, "backup manifest lists file \"%s\" twice",
			                 manifest->arena + manifest->files[i].path);
	}
	return NULL;
}

static void
manifest_sink_free(Sink *sink)
{
	ManifestSink *self = (ManifestSink *) sink;

	buf_release(&self->line);
	sha256_free(self->sha);
	free(self);
}

Sink *
manifest_sink_new(Manifest *manifest, uint64_t most)
{
	static const SinkOps ops = {manifest_sink_write, manifest_sink_finish, manifest_sink_free};
	ManifestSink *self = NEW(ManifestSink);

	self->sink.ops = &ops;
	self->manifest = manifest;
	self->most = most;
	self->sha = sha256_new();
	buf_init(&self->line, MANIFEST_LINE_MAX);
	return &self->sink;
}

size_t
manifest_count(const Manifest *manifest)
{
	return manifest->n_files;
}

uint64_t
manifest_total_size(const Manifest *manifest)
{
	return manifest->total_size;
}

ManifestFile
manifest_nth(const Manifest *manifest, size_t n)
{
	const PackedFile *file = &manifest->files[n];

	return (ManifestFile){.path = manifest->arena + file->path, .size = file->size, .crc32c = file->crc32c};
}

size_t
manifest_index_of(const Manifest *manifest, const char *path)
{
	size_t low = 0;
	size_t high = manifest->n_files;

	while (low < high)
	{
		size_t middle = low + (high - low) / 2;
		int order = strcmp(path, manifest->arena + manifest->files[middle].path);

		if (order == 0)
			return middle;
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return SIZE_MAX;
}

bool
manifest_find(const Manifest *manifest, const char *path, ManifestFile *ret_file)
{
	size_t n = manifest_index_of(manifest, path);

	if (n == SIZE_MAX)
		return false;
	*ret_file = manifest_nth(manifest, n);
	return true;
}

uint64_t
manifest_system_identifier(const Manifest *manifest)
{
	return manifest->system_identifier;
}

size_t
manifest_range_count(const Manifest *manifest)
{
	return manifest->n_ranges;
}

const ManifestRange *
manifest_range(const Manifest *manifest, size_t n)
{
	return &manifest->ranges[n];
}
