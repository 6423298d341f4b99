/* Backups: what their records name, against one listing of base/. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "verify_steps.h"
#include "walship/archive/layout.h"
#include "walship/archive/lease.h"
#include "walship/archive/self_sha256.h"
#include "walship/backup/restore.h"
#include "walship/base/mem.h"
#include "walship/pipe/stages.h"

/* Whose credentials cannot write a lease may still be at it: so long after the last object came it is no finding. */
#define UNFINISHED_GRACE_US (INT64_C(3600) * 1000000)

/* An object that a record names. */
typedef struct Named
{
	const char *name; /* the record's */
	uint64_t size;
	FindingObject object;
} Named;

/* An object that is there. */
typedef struct Listed
{
	char *name;
	uint64_t size;
	TimeUs modified;
} Listed;

/* The listing tells of one backup after the other: what is there of one is kept until the next one begins. */
typedef struct BaseListing
{
	Verify *verify;
	const LeaseList *leases;
	size_t next; /* in the catalog's backups: the first that was not met */
	char *id;
	Listed *items; /* ascending by name */
	size_t count;
	size_t capacity;
} BaseListing;

static void
clear(BaseListing *listing)
{
	for (size_t i = 0; i < listing->count; i++)
		free(listing->items[i].name);
	listing->count = 0;
	free(listing->id);
	listing->id = NULL;
}

static void
add(const BaseListing *listing, FindingKind kind, FindingObject object, const char *name, char *reason)
{
	const char *id = listing->id;
	AUTO_FREE char *prefix = layout_backup_prefix(listing->verify->system_identifier, id);

	verify_add(listing->verify, (Finding){.kind = kind,
	                                      .object = object,
	                                      .key = mem_printf("%s%s", prefix, name),
	                                      .backup = mem_strdup(id),
	                                      .reason = reason});
}

static int
compare_names(const void *left, const void *right)
{
	return strcmp(((const Named *) left)->name, ((const Named *) right)->name);
}

/* All objects of a record but itself, ascending by name. */
static Named *
list_named(const BackupRecord *record, size_t *ret_count)
{
	Named *named = NEW_ARRAY(Named, record->n_parts + 3);
	size_t count = 0;

	for (size_t i = 0; i < record->n_parts; i++)
		named[count++] = (Named){record->parts[i].name, record->parts[i].stored_size, FINDING_OF_PART};
	named[count++] = (Named){record->manifest_name, record->manifest_stored_size, FINDING_OF_MANIFEST};
	if (record->config.name != NULL)
		named[count++] = (Named){record->config.name, record->config.stored_size, FINDING_OF_CONFIG};
	if (record->map.name != NULL)
		named[count++] = (Named){record->map.name, record->map.stored_size, FINDING_OF_MAP};
	qsort(named, count, sizeof(*named), compare_names);
	*ret_count = count;
	return named;
}

/* Objects of kinds that only a newer version knows are passed over: these are of the kinds that a record names. */
static bool
is_of_known_kind(const char *name)
{
	return (strchr(name, '-') != NULL && strstr(name, ".tar") != NULL) ||
	       strncmp(name, "manifest", strlen("manifest")) == 0 || strncmp(name, "map.", strlen("map.")) == 0 ||
	       strncmp(name, "config.tar", strlen("config.tar")) == 0;
}

static void
compare_size(BaseListing *listing, const Named *named, const Listed *listed)
{
	Verify *verify = listing->verify;

	verify->counts.objects++;
	verify->counts.stored_size += listed->size;
	if (listed->size != named->size)
		add(listing, listed->size < named->size ? FINDING_TRUNCATED : FINDING_CORRUPT, named->object,
		    named->name,
		    mem_printf("it has %" PRIu64 " bytes, and its record says %" PRIu64, listed->size, named->size));
}

/* Two sorted lists are compared. */
static void
compare_with_record(BaseListing *listing, const BackupRecord *record)
{
	size_t n_named;
	AUTO_FREE Named *named = list_named(record, &n_named);
	size_t i = 0;
	size_t j = 0;

	while (i < n_named || j < listing->count)
	{
		int order = i == n_named          ? 1
		            : j == listing->count ? -1
		                                  : strcmp(named[i].name, listing->items[j].name);

		if (order < 0)
			add(listing, FINDING_MISSING, named[i].object, named[i].name,
			    mem_strdup("its record names it, and it is not in the store"));
		else if (order == 0)
			compare_size(listing, &named[i], &listing->items[j]);
		else if (is_of_known_kind(listing->items[j].name))
			add(listing, FINDING_ORPHANED, FINDING_OF_PART, listing->items[j].name,
			    mem_strdup("the record of its backup does not name it"));
		i += order <= 0;
		j += order >= 0;
	}
}

static bool
is_asked_for(const Verify *verify, const char *id)
{
	return verify->backup == NULL || str_equal(verify->backup, id);
}

/* A lease, or an object that came a while ago, tells that somebody works on it. */
static void
look_at_unfinished(BaseListing *listing)
{
	TimeUs last = TIME_NONE;
	uint64_t size = 0;

	for (size_t i = 0; i < listing->leases->count; i++)
	{
		const Lease *lease = &listing->leases->items[i];

		if (str_equal(lease->backup, listing->id) && lease->until > listing->verify->now)
			return;
	}
	for (size_t i = 0; i < listing->count; i++)
	{
		size += listing->items[i].size;
		if (listing->items[i].modified > last)
			last = listing->items[i].modified;
	}
	if (last > listing->verify->now - UNFINISHED_GRACE_US)
		verify_note(listing->verify,
		            "backup %s has no record: it is being taken, or was broken off within this hour",
		            listing->id);
	else
		add(listing, FINDING_ORPHANED, FINDING_OF_BACKUP, "",
		    mem_printf("%zu objects with %" PRIu64
		               " bytes, and no record: it was never finished, or the record was "
		               "removed",
		               listing->count, size));
}

/* Whose is the record that lies there, if it is one? */
static Error *
is_of_another(const Verify *verify, const char *id, bool *ret_other)
{
	AUTO_FREE char *key = layout_backup_record_key(verify->system_identifier, id);
	AUTO_BUF(text, BACKUP_RECORD_MAX);
	AUTO(Sink) sink = buf_sink_new(&text);
	AUTO(BackupRecord) record = NULL;
	Error *error = store_get(verify->store, key, 0, STORE_TO_END, sink);

	if (error == NULL)
		error = self_sha256_check(text.data == NULL ? "" : text.data, text.size, "record");
	if (error == NULL)
		error = backup_record_parse(text.data, text.size, "record", &record);
	*ret_other = error == NULL &&
	             (!str_equal(record->id, id) || record->system_identifier != verify->system_identifier);
	if (!error_is(error, ERR_CORRUPT) && !error_is(error, ERR_NOT_FOUND))
		return error;
	error_free(error);
	return NULL;
}

/* "<id>: <why>" of the catalog's list, which also has history files. */
static Error *
look_at_damaged_records(Verify *verify)
{
	for (size_t i = 0; i < verify->catalog->damaged.count; i++)
	{
		const char *colon = strchr(verify->catalog->damaged.items[i], ':');
		AUTO_FREE char *id = mem_strndup(verify->catalog->damaged.items[i],
		                                 (size_t) (colon - verify->catalog->damaged.items[i]));
		bool other;

		if (!layout_is_backup_id(id) || !is_asked_for(verify, id))
			continue;
		TRY(is_of_another(verify, id, &other));
		verify_add(verify, (Finding){.kind = other ? FINDING_FOREIGN : FINDING_CORRUPT,
		                             .object = FINDING_OF_RECORD,
		                             .key = layout_backup_record_key(verify->system_identifier, id),
		                             .backup = mem_strdup(id),
		                             .reason = mem_strdup(colon + 2)});
	}
	return NULL;
}

static void
close_backup(BaseListing *listing)
{
	const Catalog *catalog = listing->verify->catalog;

	if (listing->id == NULL)
		return;
	while (listing->next < catalog->n_backups && strcmp(catalog->backups[listing->next]->id, listing->id) < 0)
		listing->next++;
	if (!is_asked_for(listing->verify, listing->id))
		;
	else if (listing->next < catalog->n_backups &&
	         str_equal(catalog->backups[listing->next]->id, listing->id))
		compare_with_record(listing, catalog->backups[listing->next++]);
	else if (strlist_contains(&catalog->unfinished, listing->id))
		look_at_unfinished(listing);
	clear(listing);
}

/* "<ID>" and name, out of "<system-id>/base/<ID>/<name>". */
static Error *
add_object(void *context, const StoreEntry *entry)
{
	BaseListing *listing = context;
	const char *name = strrchr(entry->key, '/') + 1;
	const char *id = name - 1;

	while (id > entry->key && id[-1] != '/')
		id--;

	AUTO_FREE char *text = mem_strndup(id, (size_t) (name - 1 - id));

	if (!layout_is_backup_id(text))
		return NULL;
	if (!str_equal(listing->id, text))
	{
		close_backup(listing);
		listing->id = MOVE(text);
	}
	GROW(listing->items, listing->count, listing->capacity);
	listing->items[listing->count++] = (Listed){mem_strdup(name), entry->size, entry->modified};
	return NULL;
}

static Error *
look_at_objects(Verify *verify)
{
	AUTO_FREE char *prefix = layout_base_prefix(verify->system_identifier);
	AUTO_LEASES leases = {0};
	BaseListing listing = {.verify = verify, .leases = &leases};
	Error *error = lease_list_read(verify->store, verify->system_identifier, &leases);

	if (error == NULL)
		error = store_list(verify->store, prefix, LIST_ALL, NULL, add_object, &listing);
	if (error == NULL)
		close_backup(&listing);
	clear(&listing);
	free(listing.items);
	return error;
}

/* May this host read it?  Without any key it only stores: that it cannot read is no fault then. */
static Error *
look_at_key(Verify *verify, const BackupRecord *record, size_t *locked)
{
	AUTO(Error) error = restore_check_keys(verify->store, record, verify->identities);
	bool denied = error_is(error, ERR_DENIED);

	if (error == NULL)
		return NULL;
	if (!denied && !error_is(error, ERR_UNTRUSTED))
		return MOVE(error);
	if (denied && !age_identities_any(verify->identities))
		++*locked;
	else
		verify_add(verify, (Finding){.kind = denied ? FINDING_UNREADABLE_KEY : FINDING_UNTRUSTED,
		                             .object = FINDING_OF_BACKUP,
		                             .key = layout_backup_prefix(verify->system_identifier, record->id),
		                             .backup = mem_strdup(record->id),
		                             .reason = mem_strdup(error_message(error))});
	return NULL;
}

static Error *
look_at_keys(Verify *verify)
{
	const Catalog *catalog = verify->catalog;
	size_t locked = 0;

	for (size_t i = 0; i < catalog->n_backups; i++)
	{
		if (!is_asked_for(verify, catalog->backups[i]->id))
			continue;
		verify->counts.backups++;
		TRY(look_at_key(verify, catalog->backups[i], &locked));
		if (catalog->backups[i]->page_errors)
			verify_note(verify,
			            "backup %s holds pages with wrong checksums: the server that was backed up had them",
			            catalog->backups[i]->id);
	}
	if (locked > 0)
		verify_note(verify,
		            "%zu backups are encrypted, and this host has no key: nobody looked whether a key is "
		            "left that opens them",
		            locked);
	return NULL;
}

Error *
verify_backups(Verify *verify)
{
	TRY(look_at_damaged_records(verify));
	TRY(look_at_objects(verify));
	TRY(look_at_keys(verify));
	return NULL;
}

/* Who keeps dumps or files alone has no use for one. */
void
verify_expect_backup(Verify *verify)
{
	const VerifyCounts *counts = &verify->counts;

	if (verify->catalog->n_backups > 0 || (counts->segments == 0 && counts->dumps + counts->file_sets > 0))
		return;
	verify_add(
		verify,
		(Finding){.kind = FINDING_MISSING,
	              .object = FINDING_OF_BACKUP,
	              .key = layout_base_prefix(verify->system_identifier),
	              .reason = mem_strdup(
					  "there is no backup with a record that can be read, so nothing can be recovered")});
}

static bool
is_of_removed(void *context, const Finding *finding)
{
	return finding->backup != NULL && finding->object <= FINDING_OF_BACKUP &&
	       strlist_contains(context, finding->backup);
}

Error *
verify_forget_removed(Verify *verify)
{
	AUTO_STRLIST asked = {0};
	AUTO_STRLIST removed = {0};

	for (size_t i = 0; i < verify->findings.count; i++)
	{
		const Finding *finding = &verify->findings.items[i];

		/* Of an unfinished one nothing but its leftovers is told; dumps and files have no record here. */
		if (finding->backup == NULL || finding->object >= FINDING_OF_BACKUP ||
		    strlist_contains(&asked, finding->backup))
			continue;

		AUTO_FREE char *key = layout_backup_record_key(verify->system_identifier, finding->backup);
		StoreEntry entry;
		AUTO(Error) error = store_stat(verify->store, key, &entry);

		strlist_add(&asked, finding->backup);
		if (error_is(error, ERR_NOT_FOUND))
			strlist_add(&removed, finding->backup);
		else if (error != NULL)
			return MOVE(error);
	}
	verify_drop_findings(verify, is_of_removed, &removed);
	return NULL;
}
