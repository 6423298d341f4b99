/* Which of several database systems in one store is which? */
#include "systems.h"

#include <inttypes.h>

#include "walship/archive/catalog.h"
#include "walship/archive/wal_reader.h"
#include "walship/base/mem.h"
#include "walship/plan/clocks.h"
#include "walship/plan/windows.h"

#define SYSTEMS_DESCRIBED 8 /* each costs a few requests, and nobody reads more */
#define HINT_MAX          (64 * 1024)

static TimeUs
last_commit(const WindowList *windows)
{
	TimeUs last = TIME_NONE;

	for (size_t i = 0; i < windows->n_timelines; i++)
		if (windows->timelines[i].last_commit > last)
			last = windows->timelines[i].last_commit;
	return last;
}

/* "7713... (PostgreSQL 15, newest backup 20261120T023007Z-9f3c, last commit 2026-11-20 ...)" */
static Error *
describe(Store *store, const char *system, int jobs, Buf *into)
{
	AUTO(Catalog) catalog = NULL;
	WindowList windows = {0};
	const BackupRecord *newest;
	uint64_t number;
	char time[TIME_TEXT_SIZE];

	(void) str_to_uint64(system, &number);
	TRY(catalog_read(store, number, jobs, &catalog));

	AUTO(WalFacts) facts = wal_reader_facts(store, catalog, NULL, jobs);
	Error *error = plan_windows(catalog, facts, &windows);
	TimeUs last = last_commit(&windows);

	window_list_release(&windows);
	TRY(error);
	newest = clocks_newest_backup(catalog);
	buf_printf(into, "%s (", system);
	if (newest == NULL)
		buf_puts(into, "no backup");
	else
		buf_printf(into, "PostgreSQL %d, newest backup %s", newest->server_version / 10000, newest->id);
	buf_printf(into, ", %s%s)", last == TIME_NONE ? "no commit near the end of its WAL" : "last commit ",
	           last == TIME_NONE ? "" : time_format_postgres(last, time));
	return NULL;
}

Error *
systems_choose(Store *store, const StrList *systems, int jobs)
{
	AUTO_BUF(hint, HINT_MAX);

	buf_puts(&hint, "Choose one with --system:");
	for (size_t i = 0; i < systems->count; i++)
	{
		buf_puts(&hint, i == 0 ? " " : "; ");

		/* What cannot be read of one must not hide the others. */
		AUTO(Error) error = i < SYSTEMS_DESCRIBED ? describe(store, systems->items[i], jobs, &hint)
		                                          : error_new(ERR_USAGE, "many");

		if (error != NULL)
			buf_puts(&hint, systems->items[i]);
	}
	buf_puts(&hint, ". After a pg_upgrade the new system is the one whose PostgreSQL is newer.");
	return error_hint(
		error_new(ERR_USAGE, "store \"%s\" holds %zu database systems", store_url(store), systems->count),
		"%s", hint.data);
}
