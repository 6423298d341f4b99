/* Keys in the store; see docs/format.md. */
#include "walship/archive/layout.h"

#include <inttypes.h>
#include <string.h>

#include "walship/age/age.h"
#include "walship/base/clock.h"
#include "walship/base/mem.h"
#include "walship/base/strs.h"

/* Of a partial's digest, so many bytes stand in its key. */
#define PARTIAL_DIGEST_BYTES 8

char *
layout_system_prefix(uint64_t system_identifier)
{
	return mem_printf("%" PRIu64 "/", system_identifier);
}

char *
layout_wal_prefix(uint64_t system_identifier)
{
	return mem_printf("%" PRIu64 "/wal/", system_identifier);
}

char *
layout_timeline_prefix(uint64_t system_identifier, TimeLineID timeline)
{
	return mem_printf("%" PRIu64 "/wal/%08X/", system_identifier, timeline);
}

char *
layout_base_prefix(uint64_t system_identifier)
{
	return mem_printf("%" PRIu64 "/base/", system_identifier);
}

char *
layout_backup_prefix(uint64_t system_identifier, const char *backup_id)
{
	return mem_printf("%" PRIu64 "/base/%s/", system_identifier, backup_id);
}

char *
layout_backup_record_key(uint64_t system_identifier, const char *backup_id)
{
	return mem_printf("%" PRIu64 "/base/%s/backup.json", system_identifier, backup_id);
}

char *
layout_pin_prefix(uint64_t system_identifier)
{
	return mem_printf("%" PRIu64 "/pin/", system_identifier);
}

char *
layout_pin_key(uint64_t system_identifier, const char *backup_id)
{
	return mem_printf("%" PRIu64 "/pin/%s.json", system_identifier, backup_id);
}

char *
layout_known_gap_prefix(uint64_t system_identifier)
{
	return mem_printf("%" PRIu64 "/gap/", system_identifier);
}

char *
layout_known_gap_key(uint64_t system_identifier, const char *first, const char *last)
{
	return mem_printf("%" PRIu64 "/gap/%s-%s.json", system_identifier, first, last);
}

char *
layout_lease_prefix(uint64_t system_identifier)
{
	return mem_printf("%" PRIu64 "/lease/", system_identifier);
}

char *
layout_lease_key(uint64_t system_identifier, const char *id, int number)
{
	return mem_printf("%" PRIu64 "/lease/%s-%d.json", system_identifier, id, number);
}

char *
layout_proof_prefix(uint64_t system_identifier)
{
	return mem_printf("%" PRIu64 "/proof/", system_identifier);
}

char *
layout_proof_key(uint64_t system_identifier, int64_t time_us, const char *kind)
{
	char text[TIME_TEXT_SIZE];

	return mem_printf("%" PRIu64 "/proof/%s-%s.json", system_identifier, time_format_compact(time_us, text),
	                  kind);
}

char *
layout_wal_key(uint64_t system_identifier, const WalName *name, const uint8_t *sha256)
{
	AUTO_FREE char *directory = layout_timeline_prefix(system_identifier, name->timeline);
	char text[WAL_NAME_SIZE];
	char digest[2 * PARTIAL_DIGEST_BYTES + 1];

	(void) wal_name_format(name, text);
	switch (name->kind)
	{
		case WAL_HISTORY:
			return mem_printf("%" PRIu64 "/wal/%s", system_identifier, text);
		case WAL_BACKUP:
			return mem_printf("%s%s", directory, text);
		case WAL_PARTIAL:
			hex_encode(sha256, PARTIAL_DIGEST_BYTES, digest);
			return mem_printf("%s%s-%s.tar", directory, text, digest);
		case WAL_SEGMENT:
			break;
	}
	return mem_printf("%s%s.tar", directory, text);
}

char *
layout_history_digest_key(uint64_t system_identifier, TimeLineID timeline)
{
	return mem_printf("%" PRIu64 "/wal/%08" PRIX32 ".history.sha256", system_identifier, timeline);
}

/* ".br.age": what was done to the bytes, in its order. */
static char *
with_suffixes(const char *name, Codec codec, bool encrypted)
{
	return mem_printf("%s%s%s%s", name, codec == CODEC_NONE ? "" : ".",
	                  codec == CODEC_NONE ? "" : codec_suffix(codec), encrypted ? AGE_SUFFIX : "");
}

char *
layout_part_name(const char *set, int number, Codec codec, bool encrypted)
{
	AUTO_FREE char *name = mem_printf("%s-%04d.tar", set, number);

	return with_suffixes(name, codec, encrypted);
}

char *
layout_manifest_name(Codec codec, bool encrypted)
{
	return with_suffixes("manifest", codec, encrypted);
}

char *
layout_config_name(Codec codec, bool encrypted)
{
	return with_suffixes("config.tar", codec, encrypted);
}

char *
layout_map_name(Codec codec, bool encrypted)
{
	return with_suffixes("map", codec, encrypted);
}

char *
layout_files_prefix(uint64_t system_identifier)
{
	return mem_printf("%" PRIu64 "/files/", system_identifier);
}

char *
layout_files_name_prefix(uint64_t system_identifier, const char *name)
{
	return mem_printf("%" PRIu64 "/files/%s/", system_identifier, name);
}

char *
layout_files_set_prefix(uint64_t system_identifier, const char *name, const char *id)
{
	return mem_printf("%" PRIu64 "/files/%s/%s/", system_identifier, name, id);
}

char *
layout_files_record_key(uint64_t system_identifier, const char *name, const char *id)
{
	return mem_printf("%" PRIu64 "/files/%s/%s/files.json", system_identifier, name, id);
}

char *
layout_files_list_name(Codec codec, bool encrypted)
{
	return with_suffixes("list", codec, encrypted);
}

char *
layout_dump_root(uint64_t system_identifier)
{
	return mem_printf("%" PRIu64 "/dump/", system_identifier);
}

char *
layout_dump_prefix(uint64_t system_identifier, const char *dump_id)
{
	return mem_printf("%" PRIu64 "/dump/%s/", system_identifier, dump_id);
}

char *
layout_dump_record_key(uint64_t system_identifier, const char *dump_id)
{
	return mem_printf("%" PRIu64 "/dump/%s/dump.json", system_identifier, dump_id);
}

char *
layout_globals_name(Codec codec, bool encrypted)
{
	return with_suffixes("globals.sql", codec, encrypted);
}

char *
layout_schema_name(uint32_t database, Codec codec, bool encrypted)
{
	AUTO_FREE char *name = mem_printf("schema-%" PRIu32 ".sql", database);

	return with_suffixes(name, codec, encrypted);
}

char *
layout_archive_name(uint32_t database, Codec codec, bool encrypted)
{
	AUTO_FREE char *name = mem_printf("%" PRIu32 ".dump", database);

	return with_suffixes(name, codec, encrypted);
}

char *
layout_table_data_name(uint32_t database, uint32_t table, Codec codec, bool encrypted)
{
	AUTO_FREE char *name = mem_printf("%" PRIu32 "-%" PRIu32 ".dump", database, table);

	return with_suffixes(name, codec, encrypted);
}

char *
layout_contents_name(Codec codec, bool encrypted)
{
	return with_suffixes("contents.json", codec, encrypted);
}

char *
layout_backup_id(int64_t start_time_us, uint16_t random)
{
	char text[TIME_TEXT_SIZE];

	return mem_printf("%s-%04x", time_format_compact(start_time_us, text), random);
}

bool
layout_is_backup_id(const char *text)
{
	static const char form[] = "ddddddddTddddddZ-xxxx";

	if (strlen(text) != strlen(form))
		return false;
	for (size_t i = 0; form[i] != '\0'; i++)
	{
		bool digit = text[i] >= '0' && text[i] <= '9';
		bool fits = form[i] == 'd'   ? digit
		            : form[i] == 'x' ? digit || (text[i] >= 'a' && text[i] <= 'f')
		                             : text[i] == form[i];

		if (!fits)
			return false;
	}
	return true;
}

/* Cuts ".tar" and "-<digest>" off; *ret_digest says whether there was one.  False when that is malformed. */
static bool
strip_object_suffix(char *leaf, bool *ret_digest)
{
	uint8_t digest[PARTIAL_DIGEST_BYTES];

	leaf[strlen(leaf) - strlen(".tar")] = '\0';

	char *dash = strchr(leaf, '-');

	*ret_digest = dash != NULL;
	if (dash != NULL && !hex_decode(dash + 1, digest, sizeof(digest)))
		return false;
	if (dash != NULL)
		*dash = '\0';
	return true;
}

/* "<SEGMENT>.tar", "<SEGMENT>.partial-<hex>.tar", "<SEGMENT>.<OFFSET>.backup" or "<TLI>.history" */
bool
layout_parse_wal_key(const char *key, WalName *ret_name)
{
	const char *slash = strrchr(key, '/');
	AUTO_FREE char *leaf = mem_strdup(slash == NULL ? key : slash + 1);
	bool is_object = str_ends_with(leaf, ".tar");
	bool has_digest = false;
	WalName name;

	if (is_object && !strip_object_suffix(leaf, &has_digest))
		return false;

	AUTO(Error) error = wal_name_parse(leaf, &name);

	if (error != NULL || is_object != (name.kind == WAL_SEGMENT || name.kind == WAL_PARTIAL) ||
	    has_digest != (name.kind == WAL_PARTIAL))
		return false;
	*ret_name = name;
	return true;
}
