/* The store, tried as push and recover use it. */
#include "check_store.h"

#include <inttypes.h>
#include <string.h>

#include "check_encryption.h"
#include "check_postgres.h"
#include "context.h"
#include "walship/archive/catalog.h"
#include "walship/base/clock.h"
#include "walship/base/crypto.h"
#include "walship/base/dir.h"
#include "walship/base/mem.h"
#include "walship/base/strs.h"
#include "walship/pipe/stages.h"

#define STORE_PATIENCE_MS 10000
#define FRESH_KEY_PREFIX  "walship-check-"
#define FRESH_KEY         FRESH_KEY_PREFIX "%016" PRIx64 ".json"
#define LEARNED_MAX       (256 * 1024)

static Error *
read_probe(Store *store, Buf *into)
{
	AUTO(Sink) sink = buf_sink_new(into);

	return store_get(store, STORE_PROBE_KEY, 0, STORE_TO_END, sink);
}

static Error *
keep_key(void *keys, const StoreEntry *entry)
{
	strlist_add(keys, entry->key);
	return NULL;
}

static Error *
note_found(void *found, const StoreEntry *entry)
{
	(void) entry;
	*(bool *) found = true;
	return NULL;
}

/* Who may not list is told "denied" of what is not there, and a recovery could not find the archive's end. */
static Error *
try_absence(Store *store)
{
	uint64_t number;
	StoreEntry entry;
	bool listed = false;

	random_bytes(&number, sizeof(number));

	AUTO_FREE char *key = mem_printf(FRESH_KEY, number);
	Error *error = store_stat(store, key, &entry);

	if (error == NULL)
		return error_new(ERR_CORRUPT, "store has object \"%s\", which never was", key);
	if (!error_is(error, ERR_NOT_FOUND))
		return error_hint(error_context(error, "could not learn that an object is absent"),
		                  "The role needs the right to list the bucket (s3:ListBucket).");
	error_free(error);
	TRY(error_context(store_list(store, STORE_PROBE_KEY, LIST_ALL, NULL, note_found, &listed),
	                  "could not list the store"));
	return listed ? NULL : error_new(ERR_CORRUPT, "object \"%s\" is not listed", STORE_PROBE_KEY);
}

/*
 * What push does with every segment: a key that never was is written, and then is
 * taken.  The one that stays does not prove that: it is found for ever, in a directory
 * on a file system that has neither links nor RENAME_NOREPLACE, and in a bucket whose
 * quota is full.
 *
 * Credentials may be allowed to add only.  Then the first such key stays, and no
 * second one is made: STORE_PROBE_KEY has to do.
 */
static Error *
try_fresh_key(Store *store)
{
	static const char text[] = STORE_PROBE_TEXT;
	Slice slice = slice_of_memory(text, sizeof(text) - 1);
	AUTO_STRLIST remains = {0};
	uint64_t number;

	TRY(error_context(store_list(store, FRESH_KEY_PREFIX, LIST_ALL, NULL, keep_key, &remains),
	                  "could not list the store"));
	for (size_t i = 0; i < remains.count; i++)
	{
		Error *error = store_remove(store, remains.items[i]);

		if (error_is(error, ERR_DENIED))
		{
			error_free(error);
			return NULL;
		}
		TRY(error);
	}
	random_bytes(&number, sizeof(number));

	AUTO_FREE char *key = mem_printf(FRESH_KEY, number);

	TRY(store_put(store, key, &slice, 1, PUT_IF_ABSENT));

	Error *error = store_put(store, key, &slice, 1, PUT_IF_ABSENT);
	AUTO(Error) not_removed = store_remove(store, key);

	if (error == NULL)
		return error_new(ERR_CORRUPT, "store lets object \"%s\" be overwritten", key);
	if (!error_is(error, ERR_EXISTS))
		return error;
	error_free(error);
	return error_is(not_removed, ERR_DENIED) ? NULL : MOVE(not_removed);
}

/* Writes, reads back, and proves that nothing is overwritten. */
static Error *
try_store(Store *store, Buf *report)
{
	static const char text[] = STORE_PROBE_TEXT;
	Slice slice = slice_of_memory(text, sizeof(text) - 1);
	AUTO_BUF(got, 64 * 1024);

	Error *error = store_put(store, STORE_PROBE_KEY, &slice, 1, PUT_IF_ABSENT);

	if (error != NULL && !error_is(error, ERR_EXISTS))
		return error;
	error_free(error);
	TRY(read_probe(store, &got));
	if (got.size != slice.size || memcmp(got.data, text, got.size) != 0)
		return error_new(ERR_CORRUPT, "object \"%s\" does not read back as it was written", STORE_PROBE_KEY);

	TRY(store_probe(store, report));

	error = store_put(store, STORE_PROBE_KEY, &slice, 1, PUT_IF_ABSENT);
	if (error == NULL)
		return error_new(ERR_CORRUPT, "store lets object \"%s\" be overwritten", STORE_PROBE_KEY);
	if (!error_is(error, ERR_EXISTS))
		return error;
	error_free(error);
	TRY(try_fresh_key(store));
	return try_absence(store);
}

static void
check_claims_of_encryption(const Settings *settings, Store *store, uint64_t system, CheckReport *report)
{
	char *detail = NULL;
	char *hint = NULL;
	AUTO(Error) error = check_stored_encryption(settings, store, system, &detail, &hint);

	if (error_is(error, ERR_UNTRUSTED))
		check_report_error(report, "stored objects", MOVE(error), NULL);
	else if (error != NULL)
		check_report_unknown(report, "stored objects", MOVE(error), NULL);
	else if (detail != NULL)
		check_report_add(report, "stored objects", hint != NULL ? CHECK_WARN : CHECK_OK, detail, hint);
}

static void
check_owner(Store *store, CheckReport *report)
{
	const char *owner = NULL;
	Error *error = context_other_owner(store, &owner);

	if (error != NULL)
		check_report_unknown(report, "stored objects", error, NULL);
	else if (owner != NULL)
		check_report_add(report, "stored objects", CHECK_WARN, mem_printf("backups of %s lie there", owner),
		                 mem_strdup("walship reads only what it wrote itself: give it a prefix of its own."));
}

/* A store may well let nobody list it; then "list" and "fetch" say what that means. */
static void
check_stored_wal(const Settings *settings, uint64_t system, Store *store, CheckReport *report)
{
	VersionNote version = {0};
	Error *error = NULL;

	if (system == 0)
		error = context_system_in_store(settings, store, &system);
	if (error == NULL)
		check_claims_of_encryption(settings, store, system, report);
	if (error == NULL)
		error = check_postgres_wal(store, system, (int) settings_integer(settings, SETTING_jobs), &version);
	if (error != NULL && error_is(error, ERR_NOT_FOUND))
		error_free(MOVE(error));
	if (error != NULL)
		check_report_unknown(report, "stored WAL", error, NULL);
	else if (version.detail != NULL)
		check_report_add(report, "stored WAL", version.hint != NULL ? CHECK_WARN : CHECK_OK, version.detail,
		                 version.hint);
}

/* Nothing is written there.  Without it recoveries stop at the end of the archive: nobody should learn that then. */
void
check_second_store(const Settings *settings, CheckReport *report)
{
	AUTO(Settings) second = NULL;
	AUTO(Store) store = NULL;
	AUTO_STRLIST systems = {0};
	Patience patience = {.retry_until_ms = clock_monotonic_ms() + STORE_PATIENCE_MS};
	Error *error = context_second_settings(settings, &second);

	if (error == NULL && second == NULL)
		return;
	if (error == NULL)
		error = context_open_store_within(second, &patience, &store);
	if (error == NULL)
		error = catalog_systems(store, &systems);
	if (error != NULL)
		check_report_unknown(
			report, "second store", error,
			"Until it can be read a recovery that comes to the end of the archive stops. When it is "
			"gone for good: second_store = none.");
	else if (systems.count == 0)
		check_report_add(report, "second store", CHECK_WARN, mem_printf("%s: it is empty", store_url(store)),
		                 mem_strdup("\"walship copy --to\" fills it; run it from a timer."));
	else
		check_report_add(report, "second store", CHECK_OK, mem_printf("%s: can be read", store_url(store)),
		                 NULL);
}

/* Of a store in a directory. */
static void
check_place(const Store *store, const char *data_directory, CheckReport *report)
{
	const char *directory = store_directory_path(store);
	AUTO(Error) error = NULL;
	bool within = false;

	if (directory != NULL && data_directory != NULL)
		error = dir_holds(data_directory, directory, &within);
	if (within)
		check_report_add(
			report, "store's place", CHECK_FAIL,
			mem_printf("%s lies in the data directory: what loses the server loses the archive, and each "
		               "backup holds all that came before",
		               store_url(store)),
			mem_strdup("Move it elsewhere, best to another machine, and set \"store\" to that."));
}

void
check_store(const Settings *settings, const char *data_directory, uint64_t system, CheckReport *report)
{
	AUTO(Store) store = NULL;
	AUTO_FREE char *url = NULL;
	AUTO_BUF(learned, LEARNED_MAX);
	int64_t began_ms = clock_monotonic_ms();
	Patience patience = {.retry_until_ms = began_ms + STORE_PATIENCE_MS};
	Error *error = context_open_store_within(settings, &patience, &store);

	if (error == NULL)
		error = try_store(store, &learned);
	if (error == NULL)
		url = mem_printf("%s: written, read back, not overwritten, in %" PRId64 " ms%s%s", store_url(store),
		                 clock_monotonic_ms() - began_ms, learned.size > 0 ? "; " : "",
		                 learned.size > 0 ? learned.data : "");

	bool works = error == NULL;

	check_report_error(report, "store", error, url);
	if (!works)
		return;
	check_place(store, data_directory, report);
	check_owner(store, report);
	check_stored_wal(settings, system, store, report);
}
