/* Facts of a status: the backups in the store. */
#include <stdlib.h>
#include <string.h>

#include "status_steps.h"
#include "walship/archive/layout.h"
#include "walship/base/mem.h"
#include "walship/plan/clocks.h"

#define MEDIAN_OF       10 /* backups, at most; */
#define MEDIAN_LEAST    3  /* of fewer there is none */
#define TAKEN_WITHIN_US (INT64_C(3600) * 1000000)
#define FAULTS_MAX      5 /* nobody reads more of them */

static int
by_value(const void *left, const void *right)
{
	uint64_t a = *(const uint64_t *) left;
	uint64_t b = *(const uint64_t *) right;

	return (a > b) - (a < b);
}

/* Of those that came before it. */
static uint64_t
median_size(const Catalog *catalog, const BackupRecord *newest)
{
	uint64_t sizes[MEDIAN_OF];
	size_t count = 0;

	for (size_t i = catalog->n_backups; i-- > 0 && count < MEDIAN_OF;)
		if (catalog->backups[i] != newest)
			sizes[count++] = catalog->backups[i]->files_size;
	if (count < MEDIAN_LEAST)
		return 0;
	qsort(sizes, count, sizeof(sizes[0]), by_value);
	return sizes[count / 2];
}

static void
list_faults(StatusBackups *backups, const Catalog *catalog)
{
	for (size_t i = catalog->n_backups; i-- > 0 && backups->faults.count < FAULTS_MAX;)
	{
		const BackupRecord *backup = catalog->backups[i];

		if (backup->missing == NULL)
			continue;

		AUTO_FREE char *text =
			mem_printf("of backup %s the store does not hold %s", backup->id, backup->missing);

		strlist_add(&backups->faults, text);
	}
	for (size_t i = catalog->damaged.count; i-- > 0 && backups->faults.count < FAULTS_MAX;)
	{
		AUTO_FREE char *text = mem_printf("damaged: %s", catalog->damaged.items[i]);

		strlist_add(&backups->faults, text);
	}
}

/* The newest on the way to the timeline that began last; where parts of that one are missing, the newest that is whole. */
static const BackupRecord *
newest_whole(const Catalog *catalog)
{
	const BackupRecord *newest = clocks_newest_backup(catalog);

	if (newest == NULL || !newest->unusable)
		return newest;
	newest = NULL;
	for (size_t i = 0; i < catalog->n_backups; i++)
		if (!catalog->backups[i]->unusable)
			newest = catalog->backups[i];
	return newest;
}

static Error *
keep_latest(void *latest, const StoreEntry *entry)
{
	if (entry->modified > *(TimeUs *) latest)
		*(TimeUs *) latest = entry->modified;
	return NULL;
}

/* One that somebody takes just now has a lease, or parts that came lately. */
static Error *
look_for_unfinished(StatusFacts *facts, Store *store, const Catalog *catalog, const char *newest)
{
	if (catalog->unfinished.count == 0)
		return NULL;

	const char *id = catalog->unfinished.items[catalog->unfinished.count - 1];
	TimeUs latest = TIME_NONE;

	for (size_t i = 0; i < facts->n_jobs; i++)
		if (strcmp(facts->jobs[i].kind, "backup") == 0)
			return NULL;
	if (newest != NULL && strcmp(id, newest) < 0)
		return NULL;

	AUTO_FREE char *prefix = layout_backup_prefix(facts->system_identifier, id);

	TRY(store_list(store, prefix, LIST_ALL, NULL, keep_latest, &latest));
	if (facts->now - latest > TAKEN_WITHIN_US)
		facts->backups.unfinished = mem_strdup(id);
	return NULL;
}

Error *
status_describe_backups(StatusFacts *facts, Store *store, Catalog *catalog)
{
	StatusBackups *backups = &facts->backups;
	const BackupRecord *newest;

	TRY(catalog_look_at_parts(store, facts->system_identifier, catalog->backups, catalog->n_backups));
	status_draw_backups(&facts->picture, catalog);
	newest = newest_whole(catalog);
	backups->count = catalog->n_backups;
	backups->stop_time = TIME_NONE;
	backups->came = TIME_NONE;
	for (size_t i = 0; i < catalog->n_backups; i++)
		backups->total_size += backup_record_stored_size(catalog->backups[i]);
	list_faults(backups, catalog);
	clocks_warn(catalog, facts->now, &facts->clocks);
	TRY(look_for_unfinished(facts, store, catalog, newest == NULL ? NULL : newest->id));
	if (newest == NULL)
		return NULL;

	AUTO_FREE char *key = layout_backup_record_key(facts->system_identifier, newest->id);

	backups->id = mem_strdup(newest->id);
	backups->stop_time = newest->stop_time;
	backups->duration_ms = newest->duration_ms;
	backups->files_size = newest->files_size;
	backups->stored_size = backup_record_stored_size(newest);
	backups->page_errors = newest->page_errors;
	backups->median_size = median_size(catalog, newest);
	return status_find_modified(store, key, &backups->came);
}
