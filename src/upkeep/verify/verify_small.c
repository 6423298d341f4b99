/*
 * The small objects: pins, gaps that are acknowledged, leases, evidence, and backup history
 * files.  Most of them nobody misses before the day on which they count: a pin that cannot
 * be read keeps its backup for ever, a gap's note that cannot be read does not count.
 */
#include <inttypes.h>
#include <string.h>

#include "verify_steps.h"
#include "walship/archive/layout.h"
#include "walship/archive/lease.h"
#include "walship/archive/pin.h"
#include "walship/archive/read_again.h"
#include "walship/archive/sealed_json.h"
#include "walship/base/mem.h"
#include "walship/wal/label.h"

#define BATCH 1024 /* objects that wait at a time */

static void
add(Verify *verify, FindingKind kind, FindingObject object, const char *key, const char *reason)
{
	verify_add(
		verify,
		(Finding){.kind = kind, .object = object, .key = mem_strdup(key), .reason = mem_strdup(reason)});
}

/* ---- pins ---- */

static bool
is_known(const Catalog *catalog, const char *id)
{
	AUTO_FREE char *damaged = mem_printf("%s: ", id);
	bool known = false;

	for (size_t i = 0; i < catalog->n_backups && !known; i++)
		known = strcmp(catalog->backups[i]->id, id) == 0;
	for (size_t i = 0; i < catalog->damaged.count && !known; i++)
		known = str_starts_with(catalog->damaged.items[i], damaged);
	return known;
}

/* It holds, and its backup is gone: no expire did that.  Unless it was unpinned, or came, meanwhile. */
static Error *
look_for_pinned(Verify *verify, const Pin *pin, const char *pin_key)
{
	AUTO_FREE char *key = layout_backup_record_key(verify->system_identifier, pin->backup);
	StoreEntry entry;
	Error *error;

	if ((pin->until != TIME_NONE && pin->until <= verify->now) || is_known(verify->catalog, pin->backup))
		return NULL;
	error = store_stat(verify->store, key, &entry);
	if (!error_is(error, ERR_NOT_FOUND))
		return error;
	error_free(error);
	error = store_stat(verify->store, pin_key, &entry);
	if (error == NULL)
		verify_add(verify,
		           (Finding){.kind = FINDING_MISSING,
		                     .object = FINDING_OF_RECORD,
		                     .key = MOVE(key),
		                     .backup = mem_strdup(pin->backup),
		                     .reason = mem_strdup("its backup is pinned, and it is not in the store")});
	if (!error_is(error, ERR_NOT_FOUND))
		return error;
	error_free(error);
	return NULL;
}

static Error *
look_at_pins(Verify *verify)
{
	AUTO_PINS pins = {0};

	TRY(pin_list_read(verify->store, verify->system_identifier, &pins));
	for (size_t i = 0; i < pins.count; i++)
	{
		const Pin *pin = &pins.items[i];
		AUTO_FREE char *key = layout_pin_key(verify->system_identifier, pin->backup);

		if (!layout_is_backup_id(pin->backup))
			add(verify, FINDING_FOREIGN, FINDING_OF_PIN, key, "its name is no backup's");
		else if (pin->damaged)
			add(verify, FINDING_CORRUPT, FINDING_OF_PIN, key, pin->note);
		else
			TRY(look_for_pinned(verify, pin, key));
	}
	return NULL;
}

/* ---- acknowledged gaps, leases ---- */

static Error *
look_at_known_gaps(Verify *verify)
{
	KnownGapList known __attribute__((cleanup(known_gap_list_release))) = {0};

	TRY(known_gap_list_read(verify->store, verify->system_identifier, &known));
	for (size_t i = 0; i < known.damaged.count; i += 2)
		add(verify, FINDING_CORRUPT, FINDING_OF_KNOWN_GAP, known.damaged.items[i],
		    known.damaged.items[i + 1]);
	return NULL;
}

static Error *
look_at_leases(Verify *verify)
{
	AUTO_LEASES leases = {0};

	TRY(lease_list_read(verify->store, verify->system_identifier, &leases));
	for (size_t i = 0; i < leases.count; i++)
	{
		const Lease *lease = &leases.items[i];
		AUTO_FREE char *key = layout_lease_key(verify->system_identifier, lease->id, lease->number);

		if (!lease->readable && lease->until > verify->now)
			add(verify, FINDING_CORRUPT, FINDING_OF_LEASE, key,
			    "it cannot be read: no expire runs meanwhile");
	}
	return NULL;
}

Error *
verify_small(Verify *verify)
{
	TRY(look_at_pins(verify));
	TRY(look_at_known_gaps(verify));
	return look_at_leases(verify);
}

/* ---- contents: evidence, backup history files ---- */

typedef struct SmallObject
{
	DeepVerify *deep;
	char *key;
	FindingObject object;
} SmallObject;

static void
small_object_free(void *argument)
{
	SmallObject *small = argument;

	free(small->key);
	free(small);
}

/* It begins where its name says. */
static Error *
check_backup_file(const SmallObject *small, const Buf *text)
{
	uint32_t segment_size = small->deep->verify->catalog->segment_size;
	XLogRecPtr start;
	XLogSegNo segno;
	WalName name;

	TRY(backup_file_parse(text->data, text->size, &start));
	if (!layout_parse_wal_key(small->key, &name) || !wal_name_segno(&name, segment_size, &segno) ||
	    segment_start(segno, segment_size) + name.offset != start)
		return error_new(ERR_CORRUPT, "it is of another backup than its name says");
	return NULL;
}

static Error *
read_backup_file(const SmallObject *small)
{
	Store *store = small->deep->verify->store;
	AUTO_BUF(text, BACKUP_FILE_MAX);
	Error *error;
	int reads = 0;

	do
	{
		AUTO(Sink) sink = buf_sink_new(&text);

		buf_clear(&text);
		error = store_get(store, small->key, 0, STORE_TO_END, sink);
		if (error == NULL)
			error = check_backup_file(small, &text);
	} while (read_again(store, small->key, &error, &reads));
	return error;
}

static Error *
read_small(void *argument)
{
	const SmallObject *small = argument;
	AUTO_BUF(text, SEALED_JSON_MAX);
	AUTO(Error) error = small->object == FINDING_OF_EVIDENCE
	                        ? sealed_text_get(small->deep->verify->store, small->key, &text)
	                        : read_backup_file(small);

	if (error_is(error, ERR_CORRUPT))
		deep_add(small->deep, (Finding){.kind = FINDING_CORRUPT,
		                                .object = small->object,
		                                .key = mem_strdup(small->key),
		                                .reason = mem_strdup(error_message(error))});
	return error_is(error, ERR_CORRUPT) || error_is(error, ERR_NOT_FOUND) ? NULL : MOVE(error);
}

typedef struct SmallListing
{
	const Verify *verify;
	StrList keys;
} SmallListing;

static Error *
add_evidence(void *context, const StoreEntry *entry)
{
	SmallListing *listing = context;

	if (!entry->is_prefix && str_ends_with(entry->key, ".json") &&
	    verify_chooses(&listing->verify->choice, entry->key, entry->modified))
		strlist_add(&listing->keys, entry->key);
	return NULL;
}

static Error *
read_all(DeepVerify *deep, const StrList *keys, FindingObject object)
{
	AUTO(Workers) workers = workers_new(deep->verify->jobs);

	for (size_t i = 0; i < keys->count; i++)
	{
		SmallObject *small = NEW(SmallObject);

		*small = (SmallObject){deep, mem_strdup(keys->items[i]), object};
		workers_submit(workers, read_small, small, small_object_free);
		if ((i + 1) % BATCH == 0)
			TRY(workers_wait(workers));
	}
	return workers_wait(workers);
}

static void
choose_backup_files(const Verify *verify, StrList *ret_keys)
{
	for (size_t i = 0; i < verify->catalog->n_timelines; i++)
	{
		const CatalogTimeline *timeline = &verify->catalog->timelines[i];

		/* When one of them came is not kept: they are small, and read whatever their age. */
		for (size_t j = 0; j < timeline->n_backup_files; j++)
			if (verify_chooses(&verify->choice, timeline->backup_files[j].key, INT64_MAX))
				strlist_add(ret_keys, timeline->backup_files[j].key);
	}
}

Error *
verify_deep_small(DeepVerify *deep)
{
	const Verify *verify = deep->verify;
	AUTO_FREE char *prefix = layout_proof_prefix(verify->system_identifier);
	SmallListing listing = {.verify = verify};
	AUTO_STRLIST backup_files = {0};
	Error *error = store_list(verify->store, prefix, LIST_LEVEL, NULL, add_evidence, &listing);

	if (error == NULL)
		error = read_all(deep, &listing.keys, FINDING_OF_EVIDENCE);
	strlist_release(&listing.keys);
	TRY(error);
	choose_backup_files(verify, &backup_files);
	return read_all(deep, &backup_files, FINDING_OF_BACKUP_FILE);
}
