/* Dumps and sets of files, mended by what their records say of each object; see heal.c. */
#include <stdlib.h>
#include <string.h>

#include "heal_steps.h"
#include "walship/archive/dump_record.h"
#include "walship/archive/layout.h"
#include "walship/archive/lease.h"
#include "walship/backup/files_record.h"
#include "walship/base/mem.h"

/* What a record says of the object with this key. */
typedef struct Wanted
{
	const char *key;
	Digest digest;
	bool found;
} Wanted;

static void
take_digest(Wanted *wanted, uint64_t size, const uint8_t *sha256)
{
	wanted->found = true;
	wanted->digest.size = size;
	memcpy(wanted->digest.sha256, sha256, SHA256_SIZE);
}

/* All objects of a dump lie beside its record. */
static Error *
look_at_dump_object(void *context, const BackupObject *object)
{
	Wanted *wanted = context;

	if (str_equal(object->name, strrchr(wanted->key, '/') + 1))
		take_digest(wanted, object->stored_size, object->stored_sha256);
	return NULL;
}

static Error *
look_into_dump(Store *store, uint64_t system, const char *id, Wanted *wanted)
{
	AUTO(DumpRecord) record = NULL;

	TRY(dump_record_read(store, system, id, &record));
	return dump_record_visit(record, look_at_dump_object, wanted);
}

static void
look_at_set_object(Wanted *wanted, const char *prefix, const char *name, uint64_t size, const uint8_t *sha256)
{
	size_t length = strlen(prefix);

	if (strncmp(wanted->key, prefix, length) == 0 && strcmp(wanted->key + length, name) == 0)
		take_digest(wanted, size, sha256);
}

/* Parts that earlier sets stored lie with those, which may have expired since. */
static Error *
look_into_set(Store *store, uint64_t system, const char *name, const char *id, Wanted *wanted)
{
	AUTO(FilesRecord) record = NULL;
	AUTO_FREE char *own = layout_files_set_prefix(system, name, id);

	TRY(files_record_read(store, system, name, id, &record));
	for (size_t i = 0; i < record->n_parts; i++)
	{
		const FilesPart *part = &record->parts[i];
		AUTO_FREE char *prefix = layout_files_set_prefix(system, name, part->set);

		look_at_set_object(wanted, prefix, part->name, part->stored_size, part->stored_sha256);
	}
	look_at_set_object(wanted, own, record->list.name, record->list.stored_size, record->list.stored_sha256);
	return NULL;
}

/* ERR_NOT_FOUND, ERR_CORRUPT: of the record. */
static Error *
look_into_record(const Heal *heal, Store *store, const Finding *finding, Wanted *wanted)
{
	const char *owner = finding->backup;

	if (finding->object == FINDING_OF_DUMP)
		return look_into_dump(store, heal->system_identifier, owner, wanted);

	const char *slash = strchr(owner, '/');
	AUTO_FREE char *name = mem_strndup(owner, (size_t) (slash - owner));

	return look_into_set(store, heal->system_identifier, name, slash + 1, wanted);
}

bool
heal_is_named_record(const Finding *finding)
{
	return (finding->object == FINDING_OF_DUMP && str_ends_with(finding->key, "/dump.json")) ||
	       (finding->object == FINDING_OF_FILES && str_ends_with(finding->key, "/files.json"));
}

/* The record of another dump has a seal that fits, too: so it is read as what it is to be, here and there. */
static Error *
heal_record(Heal *heal, const Finding *finding)
{
	CopyItem item = {.kind = STORE_COPY_RECORDS, .key = finding->key, .foreign = true};
	Wanted wanted = {.key = finding->key};
	Error *error = look_into_record(heal, heal->other, finding, &wanted);

	if (heal_has_none(heal, finding->key, "that is whole", &error))
		return NULL;
	TRY(error);
	return heal_bring(heal, &item, true);
}

/*
 * The lease, then the record.  When that is gone, an expire has removed the dump or set
 * since it was looked at, and nothing of it may come back.
 */
Error *
heal_named(Heal *heal, const Finding *finding)
{
	LeaseOn on = {.kind = "heal", .backup = finding->backup};
	AUTO(LeaseHold) hold = NULL;
	Wanted wanted = {.key = finding->key};
	Error *error;

	if (!heal->dry_run)
		hold = lease_hold(heal->store, heal->system_identifier, &on, &heal->notices);
	error = look_into_record(heal, heal->store, finding, &wanted);
	if (error_is(error, ERR_NOT_FOUND) || error_is(error, ERR_CORRUPT))
	{
		bool mend = error_is(error, ERR_CORRUPT) && heal_is_named_record(finding);

		error_free(error);
		return mend ? heal_record(heal, finding) : NULL;
	}
	TRY(error);
	if (!wanted.found)
		return NULL;
	return heal_bring(heal,
	                  &(CopyItem){.kind = STORE_COPY_PARTS, .key = finding->key, .digest = &wanted.digest},
	                  finding->kind != FINDING_MISSING);
}
