/* See walship/plan/clocks.h. */
#include "walship/plan/clocks.h"

#include "walship/base/mem.h"
#include "walship/base/size.h"

#define AHEAD_ALLOWED_US (INT64_C(60) * 1000000) /* two clocks may differ so far */
#define PAIRS_MAX        3                       /* nobody reads more of them */

static bool
is_on_path(const Catalog *catalog, const BackupRecord *backup)
{
	TimeLineID latest = catalog_resolve_timeline(catalog, TIMELINE_LATEST);
	XLogRecPtr end;

	return timeline_history_end_of(catalog_timeline(catalog, latest)->history, backup->timeline, &end) &&
	       backup->stop_lsn <= end;
}

const BackupRecord *
clocks_newest_backup(const Catalog *catalog)
{
	const BackupRecord *newest = NULL;

	for (int pass = 0; pass < 2 && newest == NULL; pass++)
		for (size_t i = 0; i < catalog->n_backups; i++)
		{
			const BackupRecord *backup = catalog->backups[i];

			if ((pass > 0 || is_on_path(catalog, backup)) &&
			    (newest == NULL || backup->stop_lsn > newest->stop_lsn))
				newest = backup;
		}
	return newest;
}

const BackupRecord *
clocks_newest_by_time(const Catalog *catalog)
{
	const BackupRecord *newest = NULL;

	for (size_t i = 0; i < catalog->n_backups; i++)
		if (newest == NULL || catalog->backups[i]->stop_time > newest->stop_time)
			newest = catalog->backups[i];
	return newest;
}

static void
warn_of_future(const BackupRecord *backup, TimeUs now, StrList *warnings)
{
	char time[TIME_TEXT_SIZE];
	char ahead[SIZE_TEXT_SIZE];

	if (backup->stop_time <= now + AHEAD_ALLOWED_US)
		return;

	AUTO_FREE char *text = mem_printf(
		"Backup %s ended at %s, which is %s ahead of this machine's clock: one of the two clocks is wrong.",
		backup->id, time_format_postgres(backup->stop_time, time),
		duration_format((backup->stop_time - now) / 1000, ahead));

	strlist_add(warnings, text);
}

/* The one that ends next in the WAL of the same timeline; NULL: none does. */
static const BackupRecord *
next_in_wal(const Catalog *catalog, const BackupRecord *backup)
{
	const BackupRecord *next = NULL;

	for (size_t i = 0; i < catalog->n_backups; i++)
	{
		const BackupRecord *other = catalog->backups[i];

		if (other->timeline == backup->timeline && other->stop_lsn > backup->stop_lsn &&
		    (next == NULL || other->stop_lsn < next->stop_lsn))
			next = other;
	}
	return next;
}

void
clocks_warn(const Catalog *catalog, TimeUs now, StrList *warnings)
{
	size_t n_pairs = 0;

	for (size_t i = 0; i < catalog->n_backups; i++)
	{
		const BackupRecord *backup = catalog->backups[i];
		const BackupRecord *next = next_in_wal(catalog, backup);
		char back[SIZE_TEXT_SIZE];

		warn_of_future(backup, now, warnings);
		if (next == NULL || next->stop_time >= backup->stop_time || n_pairs++ >= PAIRS_MAX)
			continue;

		AUTO_FREE char *text = mem_printf(
			"The server's clock went back between backup %s and backup %s, which is the later one in the WAL, "
			"by at least %s: a time may stand for several places. \"walship find --commits\" shows the LSNs.",
			backup->id, next->id, duration_format((backup->stop_time - next->stop_time) / 1000, back));

		strlist_add(warnings, text);
	}
}
