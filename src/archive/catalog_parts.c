/* Are the objects of backups there that their records name?  By listings alone: names and sizes. */
#include <stdlib.h>
#include <string.h>

#include "walship/archive/catalog.h"
#include "walship/archive/layout.h"
#include "walship/base/mem.h"

#define SET_WAL "wal"

typedef struct Expected
{
	const char *name; /* the record's */
	uint64_t size;
	bool is_wal;
} Expected;

/* A listing tells of one backup after the other, each in the order of the names: two sorted lists are compared. */
typedef struct PartsLook
{
	BackupRecord **records; /* ascending by id */
	size_t n_records;
	size_t at;          /* whose objects are being listed */
	Expected *expected; /* of that one, ascending; owned */
	size_t n_expected;
	size_t next; /* the first that is not decided */
	const char *first_missing;
	size_t n_missing;
} PartsLook;

static int
by_name(const void *left, const void *right)
{
	return strcmp(((const Expected *) left)->name, ((const Expected *) right)->name);
}

static void
open_record(PartsLook *look)
{
	BackupRecord *record = look->records[look->at];
	bool has_wal = false;

	look->expected = NEW_ARRAY(Expected, record->n_parts + 1);
	for (size_t i = 0; i < record->n_parts; i++)
	{
		bool is_wal = strcmp(record->parts[i].set, SET_WAL) == 0;

		look->expected[i] = (Expected){record->parts[i].name, record->parts[i].stored_size, is_wal};
		has_wal = has_wal || is_wal;
	}

	/* A record that says so and names no part of it. */
	record->wal_inside = record->wal_inside && has_wal;
	look->expected[record->n_parts] = (Expected){record->manifest_name, record->manifest_stored_size, false};
	look->n_expected = record->n_parts + 1;
	qsort(look->expected, look->n_expected, sizeof(Expected), by_name);
	look->next = 0;
	look->n_missing = 0;
}

/* Without its WAL a backup is still one, of the archive's WAL. */
static void
miss(PartsLook *look, const Expected *expected)
{
	BackupRecord *record = look->records[look->at];

	if (look->n_missing++ == 0)
		look->first_missing = expected->name;
	record->unusable = record->unusable || !expected->is_wal;
	record->wal_inside = record->wal_inside && !expected->is_wal;
}

static void
close_record(PartsLook *look)
{
	BackupRecord *record = look->records[look->at];

	while (look->next < look->n_expected)
		miss(look, &look->expected[look->next++]);
	if (look->n_missing > 0)
	{
		free(record->missing);
		record->missing = look->n_missing == 1
		                      ? mem_strdup(look->first_missing)
		                      : mem_printf("%s and %zu more", look->first_missing, look->n_missing - 1);
	}
	free(MOVE(look->expected));
	look->at++;
	if (look->at < look->n_records)
		open_record(look);
}

/* "<ID>" and name, out of "<system-id>/base/<ID>/<name>". */
static Error *
look_at_object(void *context, const StoreEntry *entry)
{
	PartsLook *look = context;
	const char *name = strrchr(entry->key, '/') + 1;
	const char *id = name - 1;

	while (id > entry->key && id[-1] != '/')
		id--;

	AUTO_FREE char *text = mem_strndup(id, (size_t) (name - 1 - id));

	while (look->at < look->n_records && strcmp(look->records[look->at]->id, text) < 0)
		close_record(look);
	if (look->at == look->n_records || strcmp(look->records[look->at]->id, text) != 0)
		return NULL;
	while (look->next < look->n_expected && strcmp(look->expected[look->next].name, name) < 0)
		miss(look, &look->expected[look->next++]);
	if (look->next < look->n_expected && strcmp(look->expected[look->next].name, name) == 0)
	{
		if (look->expected[look->next].size != entry->size)
			miss(look, &look->expected[look->next]);
		look->next++;
	}
	return NULL;
}

Error *
catalog_look_at_parts(Store *store, uint64_t system_identifier, BackupRecord **records, size_t n_records)
{
	PartsLook look = {.records = records, .n_records = n_records};
	AUTO_FREE char *prefix = n_records == 1 ? layout_backup_prefix(system_identifier, records[0]->id)
	                                        : layout_base_prefix(system_identifier);
	Error *error;

	if (n_records == 0)
		return NULL;
	open_record(&look);
	error = store_list(store, prefix, LIST_ALL, NULL, look_at_object, &look);
	while (error == NULL && look.at < n_records)
		close_record(&look);
	free(look.expected);
	return error;
}
