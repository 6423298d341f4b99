/* "walship list" for people. */
#include <inttypes.h>

#include "listing.h"
#include "report.h"
#include "walship/base/mem.h"
#include "walship/base/size.h"

uint64_t
listing_backup_size(const BackupRecord *backup)
{
	uint64_t size = backup->manifest_stored_size;

	for (size_t i = 0; i < backup->n_parts; i++)
		size += backup->parts[i].stored_size;
	return size;
}

uint64_t
listing_raw_size(const BackupRecord *backup)
{
	uint64_t size = 0;

	for (size_t i = 0; i < backup->n_parts; i++)
		size += backup->parts[i].raw_size;
	return size;
}

uint64_t
listing_wal_size(const CatalogTimeline *timeline)
{
	uint64_t size = 0;

	for (size_t i = 0; i < timeline->n_runs; i++)
		size += timeline->runs[i].stored_size;
	return size;
}

uint64_t
listing_segments(const CatalogTimeline *timeline)
{
	uint64_t count = 0;

	for (size_t i = 0; i < timeline->n_runs; i++)
		count += timeline->runs[i].last - timeline->runs[i].first + 1;
	return count;
}

uint64_t
listing_replay_size(const RecoveryWindow *window)
{
	return window->to_lsn > window->newest->start_lsn ? window->to_lsn - window->newest->start_lsn : 0;
}

bool
listing_can_open(const Listing *listing, const BackupRecord *backup)
{
	AUTO(Error) error = age_check_identities(listing->identities, backup->recipients, "");

	return error == NULL;
}

static void
print_backups(const Listing *listing, Buf *into)
{
	const Catalog *catalog = listing->catalog;
	AUTO(Table) table = table_new("backup|ended|>took|>on disk|>stored|>TLI|start LSN|stop LSN|");
	char text[SIZE_TEXT_SIZE];

	if (catalog->n_backups == 0)
	{
		buf_puts(into, "There is no backup.\n");
		return;
	}
	for (size_t i = 0; i < catalog->n_backups; i++)
	{
		const BackupRecord *backup = catalog->backups[i];

		table_cell(table, "%s", backup->id);
		table_time(table, backup->stop_time);
		table_cell(table, "%s", duration_format(backup->duration_ms, text));
		table_cell(table, "%s", size_format(backup->files_size, text));
		table_cell(table, "%s", size_format(listing_backup_size(backup), text));
		table_cell(table, "%" PRIu32, backup->timeline);
		table_lsn(table, backup->start_lsn);
		table_lsn(table, backup->stop_lsn);
		table_cell(table, "%s%s%s%s%s%s%s", listing_can_open(listing, backup) ? "" : "NO KEY HERE for ",
		           listing_can_open(listing, backup) ? "" : backup->recipients,
		           backup->wal_inside ? "" : "WAL not inside  ", backup->page_errors ? "PAGE ERRORS  " : "",
		           backup->from_standby ? "from standby  " : "",
		           backup->note == NULL ? "" : "note: ", backup->note == NULL ? "" : backup->note);
	}
	table_print(table, "", into);
}

static void
print_timelines(const Listing *listing, Buf *into)
{
	AUTO(Table) table = table_new(">timeline|from LSN|to LSN|>segments|>stored|first commit|last commit|");
	char text[SIZE_TEXT_SIZE];
	char lsn[LSN_TEXT_SIZE];

	for (size_t i = 0; i < listing->catalog->n_timelines; i++)
	{
		const CatalogTimeline *timeline = &listing->catalog->timelines[i];
		const TimelineWindows *windows = &listing->windows.timelines[i];
		const TimelineHistory *history = timeline->history;

		table_cell(table, "%" PRIu32, timeline->timeline);
		table_lsn(table, windows->first_lsn);
		table_lsn(table, windows->last_lsn);
		table_cell(table, "%" PRIu64, listing_segments(timeline));
		table_cell(table, "%s", size_format(listing_wal_size(timeline), text));
		table_time(table, windows->first_commit);
		table_time(table, windows->last_commit);
		if (history->n_ancestors == 0)
			table_cell(table, "%s",
			           timeline->timeline > 1 && !timeline->has_history_file ? "no history file" : "");
		else
			table_cell(table, "left timeline %" PRIu32 " at %s",
			           history->ancestors[history->n_ancestors - 1].timeline,
			           lsn_format(history->ancestors[history->n_ancestors - 1].switch_lsn, lsn));
	}
	if (table_rows(table) == 0)
		return;
	buf_puts(into, "\n");
	table_print(table, "", into);
}

static void
print_windows(const Listing *listing, Buf *into)
{
	AUTO(Table) table = table_new(">timeline|from|LSN|to (latest commit)|LSN|>replay to the end|backup");
	char text[SIZE_TEXT_SIZE];

	for (size_t i = 0; i < listing->windows.n_timelines; i++)
		for (size_t j = 0; j < listing->windows.timelines[i].n_windows; j++)
		{
			const RecoveryWindow *window = &listing->windows.timelines[i].windows[j];

			table_cell(table, "%" PRIu32, listing->windows.timelines[i].timeline);
			table_time(table, window->from_time);
			table_lsn(table, window->from_lsn);
			table_time(table, window->to_time);
			table_lsn(table, window->to_lsn);
			table_cell(table, "about %s",
			           duration_format(replay_estimate_ms(listing_replay_size(window)), text));
			table_cell(table, "%s", window->backup->id);
		}
	if (table_rows(table) == 0)
	{
		buf_puts(into, "\nNothing can be recovered.\n");
		return;
	}
	buf_puts(
		into,
		"\nRecoverable (every segment is there, and was whole when it was pushed; replay is estimated from the\n"
		"newest backup on, at an assumed 32 MiB/s):\n");
	table_print(table, "", into);
}

static void
print_gaps(const Listing *listing, Buf *into)
{
	uint32_t size = listing->catalog->segment_size;
	char first[WAL_NAME_SIZE];
	char last[WAL_NAME_SIZE];

	for (size_t i = 0; i < listing->windows.n_timelines; i++)
		for (size_t j = 0; j < listing->windows.timelines[i].n_gaps; j++)
		{
			const WalRange *gap = &listing->windows.timelines[i].gaps[j];

			buf_printf(into, "GAP on the way to timeline %" PRIu32 ": %" PRIu64 " %s missing, %s to %s\n",
			           listing->windows.timelines[i].timeline, gap->last - gap->first + 1,
			           gap->last == gap->first ? "segment is" : "segments are",
			           wal_segment_name(gap->timeline, gap->first, size, first),
			           wal_segment_name(gap->timeline, gap->last, size, last));
		}
}

static void
print_remains(const Listing *listing, Buf *into)
{
	const Catalog *catalog = listing->catalog;
	char text[SIZE_TEXT_SIZE];
	char name[WAL_NAME_SIZE];

	for (size_t i = 0; i < catalog->n_timelines; i++)
		for (size_t j = 0; j < catalog->timelines[i].n_partials; j++)
			buf_printf(into, "Partial segment: %s.partial, %s stored\n",
			           wal_segment_name(catalog->timelines[i].timeline,
			                            catalog->timelines[i].partials[j].segno, catalog->segment_size, name),
			           size_format(catalog->timelines[i].partials[j].stored_size, text));
	for (size_t i = 0; i < listing->n_leftovers; i++)
		buf_printf(into,
		           "Unfinished backup: %s, %s in %" PRIu64
		           " object%s. No command uses it; unless it is being taken now, it may be removed.\n",
		           listing->leftovers[i].id, size_format(listing->leftovers[i].size, text),
		           listing->leftovers[i].objects, listing->leftovers[i].objects == 1 ? "" : "s");
	for (size_t i = 0; i < catalog->damaged.count; i++)
		buf_printf(into, "DAMAGED %s\n", catalog->damaged.items[i]);
}

void
listing_print_text(const Listing *listing, Buf *into)
{
	buf_printf(into, "Database system %" PRIu64 "\n\n", listing->catalog->system_identifier);
	print_backups(listing, into);
	print_timelines(listing, into);
	print_windows(listing, into);
	buf_puts(into, "\n");
	print_gaps(listing, into);
	print_remains(listing, into);
	while (into->size > 1 && into->data[into->size - 1] == '\n' && into->data[into->size - 2] == '\n')
		into->data[--into->size] = '\0';
}
