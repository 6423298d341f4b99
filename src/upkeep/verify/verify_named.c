/* Dumps and sets of files: what their records name, against listings, and what it holds. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "verify_steps.h"
#include "walship/archive/dump_record.h"
#include "walship/archive/layout.h"
#include "walship/archive/lease.h"
#include "walship/backup/files_record.h"
#include "walship/base/mem.h"

/* As of backups: whose credentials cannot write a lease may still be at it. */
#define UNFINISHED_GRACE_US (INT64_C(3600) * 1000000)

#define BATCH 256 /* objects that wait at a time; then the place is noted */

/* An object that records name: of sets of files several may. */
typedef struct NamedObject
{
	char *key;
	uint64_t raw_size;
	uint64_t stored_size;
	uint8_t stored_sha256[SHA256_SIZE];
	size_t record; /* in the list of records */
} NamedObject;

typedef struct NamedRecord
{
	FindingObject object; /* FINDING_OF_DUMP, FINDING_OF_FILES */
	char *owner;          /* the dump's id; "<NAME>/<ID>" */
	char *prefix;         /* of its own objects */
	char *key;            /* its own */
	char *damage;         /* why it cannot be read; NULL: it can */
	char *recipients;
	Codec codec;
	bool knows_codec;
} NamedRecord;

typedef struct Named
{
	const Verify *verify;
	NamedRecord *records;
	size_t n_records;
	size_t records_capacity;
	NamedObject *objects; /* in the order of the records */
	size_t n_objects;
	size_t objects_capacity;
} Named;

static void
named_release(Named *named)
{
	for (size_t i = 0; i < named->n_records; i++)
	{
		NamedRecord *record = &named->records[i];

		free(record->owner);
		free(record->prefix);
		free(record->key);
		free(record->damage);
		free(record->recipients);
	}
	for (size_t i = 0; i < named->n_objects; i++)
		free(named->objects[i].key);
	free(named->records);
	free(named->objects);
}

#define AUTO_NAMED __attribute__((cleanup(named_release))) Named

/* ---- what records name ---- */

static void
add_record(Named *named, NamedRecord record)
{
	GROW(named->records, named->n_records, named->records_capacity);
	named->records[named->n_records++] = record;
}

static void
add_object(Named *named, char *key, uint64_t raw_size, uint64_t stored_size, const uint8_t *sha256)
{
	NamedObject object = {
		.key = key, .raw_size = raw_size, .stored_size = stored_size, .record = named->n_records - 1};

	memcpy(object.stored_sha256, sha256, SHA256_SIZE);
	GROW(named->objects, named->n_objects, named->objects_capacity);
	named->objects[named->n_objects++] = object;
}

static Error *
add_dump_object(void *context, const BackupObject *object)
{
	Named *named = context;
	const NamedRecord *record = &named->records[named->n_records - 1];

	if (object->name != NULL)
		add_object(named, mem_printf("%s%s", record->prefix, object->name), object->raw_size,
		           object->stored_size, object->stored_sha256);
	return NULL;
}

static NamedRecord
record_of_dump(const Verify *verify, const char *id)
{
	return (NamedRecord){.object = FINDING_OF_DUMP,
	                     .owner = mem_strdup(id),
	                     .prefix = layout_dump_prefix(verify->system_identifier, id),
	                     .key = layout_dump_record_key(verify->system_identifier, id)};
}

static Error *
read_dumps(Named *named)
{
	const Verify *verify = named->verify;
	AUTO_DUMPS dumps = {0};

	TRY(dump_list_read(verify->store, verify->system_identifier, verify->jobs, &dumps));
	for (size_t i = 0; i < dumps.count; i++)
	{
		NamedRecord record = record_of_dump(verify, dumps.items[i]->id);

		record.recipients = mem_strdup(dumps.items[i]->recipients);
		record.knows_codec = codec_from_name(dumps.items[i]->codec, &record.codec);
		add_record(named, record);
		TRY(dump_record_visit(dumps.items[i], add_dump_object, named));
	}
	for (size_t i = 0; i < dumps.damaged.count; i++)
	{
		const char *text = dumps.damaged.items[i];
		const char *colon = strchr(text, ':');
		AUTO_FREE char *id = mem_strndup(text, (size_t) (colon - text));
		NamedRecord record = record_of_dump(verify, id);

		record.damage = mem_strdup(colon + 2);
		add_record(named, record);
	}
	return NULL;
}

static Error *
read_set(Named *named, const char *name, const char *id)
{
	const Verify *verify = named->verify;
	uint64_t system = verify->system_identifier;
	AUTO(FilesRecord) record = NULL;
	AUTO(Error) error = files_record_read(verify->store, system, name, id, &record);
	NamedRecord item;

	if (error_is(error, ERR_NOT_FOUND))
		return NULL;
	if (error != NULL && !error_is(error, ERR_CORRUPT))
		return MOVE(error);
	item = (NamedRecord){.object = FINDING_OF_FILES,
	                     .owner = mem_printf("%s/%s", name, id),
	                     .prefix = layout_files_set_prefix(system, name, id),
	                     .key = layout_files_record_key(system, name, id)};
	if (error != NULL)
		item.damage = mem_strdup(error_message(error));
	else
	{
		item.recipients = mem_strdup(record->recipients);
		item.knows_codec = codec_from_name(record->codec, &item.codec);
	}
	add_record(named, item);
	if (error != NULL)
		return NULL;
	for (size_t i = 0; i < record->n_parts; i++)
	{
		const FilesPart *part = &record->parts[i];
		AUTO_FREE char *prefix = layout_files_set_prefix(system, name, part->set);

		add_object(named, mem_printf("%s%s", prefix, part->name), part->raw_size, part->stored_size,
		           part->stored_sha256);
	}
	add_object(named, mem_printf("%s%s", item.prefix, record->list.name), record->list.raw_size,
	           record->list.stored_size, record->list.stored_sha256);
	return NULL;
}

static Error *
read_files(Named *named)
{
	const Verify *verify = named->verify;
	AUTO_STRLIST names = {0};

	TRY(files_list_names(verify->store, verify->system_identifier, &names));
	for (size_t i = 0; i < names.count; i++)
	{
		AUTO_STRLIST ids = {0};

		TRY(files_list_ids(verify->store, verify->system_identifier, names.items[i], &ids));
		for (size_t j = 0; j < ids.count; j++)
			TRY(read_set(named, names.items[i], ids.items[j]));
	}
	return NULL;
}

static Error *
named_read(Named *named)
{
	TRY(read_dumps(named));
	return read_files(named);
}

/* ---- against what is listed ---- */

typedef struct Listed
{
	char *key;
	uint64_t size;
	TimeUs modified;
	bool named;
} Listed;

typedef struct ListedObjects
{
	Listed *items; /* ascending */
	size_t count;
	size_t capacity;
} ListedObjects;

static void
listed_release(ListedObjects *listed)
{
	for (size_t i = 0; i < listed->count; i++)
		free(listed->items[i].key);
	free(listed->items);
}

static Error *
add_listed(void *context, const StoreEntry *entry)
{
	ListedObjects *listed = context;

	GROW(listed->items, listed->count, listed->capacity);
	listed->items[listed->count++] = (Listed){mem_strdup(entry->key), entry->size, entry->modified, false};
	return NULL;
}

static int
compare_listed(const void *key, const void *item)
{
	return strcmp(key, ((const Listed *) item)->key);
}

static Listed *
find_listed(const ListedObjects *listed, const char *key)
{
	return listed->count == 0 ? NULL
	                          : bsearch(key, listed->items, listed->count, sizeof(Listed), compare_listed);
}

static void
add_finding(Verify *verify, FindingKind kind, const NamedRecord *record, const char *key, char *reason)
{
	verify_add(verify, (Finding){.kind = kind,
	                             .object = record->object,
	                             .key = mem_strdup(key),
	                             .backup = mem_strdup(record->owner),
	                             .reason = reason});
}

/* The record came first, then the listing: what is not listed may be removed with its record. */
static Error *
is_still_there(const Verify *verify, const NamedRecord *record, bool *ret_there)
{
	StoreEntry entry;
	AUTO(Error) error = store_stat(verify->store, record->key, &entry);

	*ret_there = error == NULL;
	return error_is(error, ERR_NOT_FOUND) ? NULL : MOVE(error);
}

static Error *
compare_object(Verify *verify, const Named *named, const NamedObject *object, const ListedObjects *listed)
{
	const NamedRecord *record = &named->records[object->record];
	Listed *found = find_listed(listed, object->key);
	bool there;

	if (found == NULL)
	{
		TRY(is_still_there(verify, record, &there));
		if (there)
			add_finding(verify, FINDING_MISSING, record, object->key,
			            mem_strdup("its record names it, and it is not in the store"));
		return NULL;
	}
	if (!found->named)
	{
		verify->counts.objects++;
		verify->counts.stored_size += found->size;
	}
	found->named = true;
	if (found->size != object->stored_size)
		add_finding(verify, found->size < object->stored_size ? FINDING_TRUNCATED : FINDING_CORRUPT, record,
		            object->key,
		            mem_printf("it has %" PRIu64 " bytes, and its record says %" PRIu64, found->size,
		                       object->stored_size));
	return NULL;
}

static void
look_at_record(Verify *verify, const NamedRecord *record, size_t *locked)
{
	verify->counts.dumps += record->object == FINDING_OF_DUMP && record->damage == NULL;
	verify->counts.file_sets += record->object == FINDING_OF_FILES && record->damage == NULL;
	if (record->damage != NULL)
	{
		add_finding(verify, FINDING_CORRUPT, record, record->key, mem_strdup(record->damage));
		return;
	}

	AUTO(Error) error = age_check_identities(verify->identities, record->recipients, record->owner);

	if (error != NULL && !age_identities_any(verify->identities))
		++*locked;
	else if (error != NULL)
		add_finding(verify, FINDING_UNREADABLE_KEY, record, record->prefix, mem_strdup(error_message(error)));
}

/* "<prefix>" of a dump or set: everything up to the last '/'. */
static size_t
prefix_length(const char *key)
{
	return (size_t) (strrchr(key, '/') + 1 - key);
}

static bool
has_record(const Named *named, const char *key)
{
	for (size_t i = 0; i < named->n_records; i++)
		if (strncmp(named->records[i].prefix, key, prefix_length(key)) == 0 &&
		    strlen(named->records[i].prefix) == prefix_length(key))
			return true;
	return false;
}

/* Objects from "first" on that lie in one place and that no record names: is somebody at it? */
static void
look_at_unfinished(Verify *verify, const LeaseList *leases, FindingObject object, size_t root_length,
                   const Listed *first, size_t count)
{
	size_t length = prefix_length(first->key);
	AUTO_FREE char *owner = mem_strndup(first->key + root_length, length - root_length - 1);
	TimeUs last = TIME_NONE;
	uint64_t size = 0;

	for (size_t i = 0; i < leases->count; i++)
		if (str_equal(leases->items[i].backup, owner) && leases->items[i].until > verify->now)
			return;
	for (size_t i = 0; i < count; i++)
	{
		size += first[i].size;
		if (first[i].modified > last)
			last = first[i].modified;
	}
	if (last > verify->now - UNFINISHED_GRACE_US)
		verify_note(verify, "%s %s has no record: it is being made, or was broken off within this hour",
		            finding_object_text(object), owner);
	else
		verify_add(verify, (Finding){.kind = FINDING_ORPHANED,
		                             .object = object,
		                             .key = mem_strndup(first->key, length),
		                             .backup = mem_strdup(owner),
		                             .reason = mem_printf("%zu objects with %" PRIu64
		                                                  " bytes, and no record that needs them",
		                                                  count, size)});
}

static void
look_at_rest(const Named *named, Verify *verify, const LeaseList *leases, const ListedObjects *listed)
{
	AUTO_FREE char *dumps = layout_dump_root(verify->system_identifier);
	AUTO_FREE char *files = layout_files_prefix(verify->system_identifier);

	for (size_t i = 0, next; i < listed->count; i = next)
	{
		const char *key = listed->items[i].key;
		size_t length = prefix_length(key);
		bool is_dump = str_starts_with(key, dumps);

		for (next = i + 1; next < listed->count && prefix_length(listed->items[next].key) == length &&
		                   strncmp(listed->items[next].key, key, length) == 0;)
			next++;
		if (length == strlen(is_dump ? dumps : files) || has_record(named, key))
			continue;

		/* Of a set whose record has expired those parts stay that a later one needs. */
		bool needed = false;

		for (size_t j = i; j < next && !needed; j++)
			needed = listed->items[j].named;
		if (!needed)
			look_at_unfinished(verify, leases, is_dump ? FINDING_OF_DUMP : FINDING_OF_FILES,
			                   strlen(is_dump ? dumps : files), &listed->items[i], next - i);
	}
}

Error *
verify_named(Verify *verify)
{
	AUTO_NAMED named = {.verify = verify};
	ListedObjects listed __attribute__((cleanup(listed_release))) = {0};
	AUTO_LEASES leases = {0};
	AUTO_FREE char *dumps = layout_dump_root(verify->system_identifier);
	AUTO_FREE char *files = layout_files_prefix(verify->system_identifier);
	size_t locked = 0;

	TRY(lease_list_read(verify->store, verify->system_identifier, &leases));
	TRY(named_read(&named));
	TRY(store_list(verify->store, dumps, LIST_ALL, NULL, add_listed, &listed));
	TRY(store_list(verify->store, files, LIST_ALL, NULL, add_listed, &listed));
	for (size_t i = 0; i < named.n_records; i++)
		look_at_record(verify, &named.records[i], &locked);
	for (size_t i = 0; i < named.n_objects; i++)
		TRY(compare_object(verify, &named, &named.objects[i], &listed));
	look_at_rest(&named, verify, &leases, &listed);
	if (locked > 0)
		verify_note(
			verify,
			"%zu dumps and sets of files are encrypted, and this host has no key: nobody looked whether "
			"a key is left that opens them",
			locked);
	return NULL;
}

/* ---- contents ---- */

static int
compare_objects(const void *left, const void *right)
{
	return strcmp(((const NamedObject *) left)->key, ((const NamedObject *) right)->key);
}

static void
submit(DeepVerify *deep, Workers *workers, const NamedRecord *record, const NamedObject *object)
{
	AUTO(Error) locked = age_check_identities(deep->verify->identities, record->recipients, "");
	StoredObjectLook look = {.deep = deep,
	                         .object = record->object,
	                         .key = object->key,
	                         .owner = record->owner,
	                         .codec = record->codec,
	                         .encrypted = record->recipients[0] != '\0',
	                         .locked = locked != NULL || !record->knows_codec,
	                         .raw_size = object->raw_size,
	                         .stored.size = object->stored_size};

	memcpy(look.stored.sha256, object->stored_sha256, SHA256_SIZE);
	deep_submit_stored(workers, &look);
}

/* Each object once, however many sets of files need it. */
static Error *
read_chosen(DeepVerify *deep, const Named *named, const ListedObjects *listed)
{
	AUTO(Workers) workers = workers_new(deep->verify->jobs);
	size_t waiting = 0;

	for (size_t i = 0; i < named->n_objects; i++)
	{
		const NamedObject *object = &named->objects[i];
		const Listed *found = find_listed(listed, object->key);

		if (found == NULL || (i > 0 && str_equal(named->objects[i - 1].key, object->key)) ||
		    !verify_chooses(&deep->verify->choice, object->key, found->modified))
			continue;
		submit(deep, workers, &named->records[object->record], object);
		if (++waiting % BATCH != 0)
			continue;
		TRY(workers_wait(workers));
		deep_note_place(deep, object->key, false);
	}
	return workers_wait(workers);
}

Error *
verify_deep_named(DeepVerify *deep)
{
	const Verify *verify = deep->verify;
	AUTO_NAMED named = {.verify = verify};
	ListedObjects listed __attribute__((cleanup(listed_release))) = {0};
	AUTO_FREE char *dumps = layout_dump_root(verify->system_identifier);
	AUTO_FREE char *files = layout_files_prefix(verify->system_identifier);

	TRY(named_read(&named));
	TRY(store_list(verify->store, dumps, LIST_ALL, NULL, add_listed, &listed));
	TRY(store_list(verify->store, files, LIST_ALL, NULL, add_listed, &listed));
	if (named.n_objects > 1)
		qsort(named.objects, named.n_objects, sizeof(NamedObject), compare_objects);
	return read_chosen(deep, &named, &listed);
}
