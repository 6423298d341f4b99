/* What "walship list" shows. */
#include "print_list.h"

#include <inttypes.h>
#include <string.h>

#include "print_pin.h"
#include "table.h"
#include "walship/base/mem.h"
#include "walship/base/size.h"
#include "walship/wal/majors.h"

#define BACKUPS_SHOWN      10 /* the newest; the others are of little use without --verbose */
#define REMARKS_SHOWN      10
#define TIMELINES_TEXT_MAX 256

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

bool
listing_is_refused(const Listing *listing, size_t i)
{
	return listing->refused != NULL && listing->refused[i];
}

static void
print_window_sentence(const Listing *listing, FILE *into)
{
	size_t live = plan_live_timeline(listing->catalog, &listing->windows);
	const TimelineWindows *windows =
		live < listing->windows.n_timelines ? &listing->windows.timelines[live] : NULL;
	char from[TIME_TEXT_SIZE];
	char to[TIME_TEXT_SIZE];
	char age[AGE_TEXT_SIZE];
	char lsn[LSN_TEXT_SIZE];

	if (listing->catalog->n_backups == 0)
	{
		(void) fputs("Nothing can be recovered. There is no backup.\n", into);
		return;
	}
	if (windows == NULL || windows->n_windows == 0)
	{
		(void) fputs("Nothing can be recovered.", into);
		if (windows != NULL)
			(void) fprintf(into, " On timeline %" PRIu32 " parts of each backup or WAL after it are missing.",
			               windows->timeline);
		(void) fputs("\n", into);
		return;
	}

	const RecoveryWindow *window = &windows->windows[windows->n_windows - 1];

	time_format_span(window->from_time, window->to_time, from, to);
	if (window->from_time == window->to_time)
		(void) fputs("Only the moment ", into);
	else
		(void) fprintf(into, "Any moment from %s to ", from);
	if (window->to_time == TIME_NONE)
		(void) fprintf(into, "LSN %s", lsn_format(window->to_lsn, lsn));
	else
		(void) fprintf(into, "%s (%s)", to, age_format(window->to_time, listing->now, age));
	(void) fprintf(into, ", timeline %" PRIu32 ".\n", windows->timeline);
}

static bool
is_same_range(const WalRange *a, const WalRange *b)
{
	return a->timeline == b->timeline && a->first == b->first && a->last == b->last;
}

/* A gap lies on the way to every timeline that branched off after it.  Is this its first mention? */
static bool
is_first_mention(const Listing *listing, size_t timeline, size_t n)
{
	const WalRange *gap = &listing->windows.timelines[timeline].gaps[n];

	for (size_t i = 0; i < timeline; i++)
		for (size_t j = 0; j < listing->windows.timelines[i].n_gaps; j++)
			if (is_same_range(gap, &listing->windows.timelines[i].gaps[j]))
				return false;
	return true;
}

static size_t
count_gaps(const Listing *listing)
{
	size_t count = 0;

	for (size_t i = 0; i < listing->windows.n_timelines; i++)
		for (size_t j = 0; j < listing->windows.timelines[i].n_gaps; j++)
			count += is_first_mention(listing, i, j);
	return count;
}

/* From when, how fresh, how many gaps: what is asked first, in two lines. */
static void
print_verdict(const Listing *listing, FILE *into)
{
	const Catalog *catalog = listing->catalog;
	size_t live = plan_live_timeline(listing->catalog, &listing->windows);
	size_t gaps = count_gaps(listing);
	char age[AGE_TEXT_SIZE];
	char text[SIZE_TEXT_SIZE];

	print_window_sentence(listing, into);
	if (catalog->n_backups > 0)
		(void) fprintf(into, "Newest backup %s; ",
		               age_format(catalog->backups[catalog->n_backups - 1]->stop_time, listing->now, age));
	if (live < listing->windows.n_timelines && listing->windows.timelines[live].n_windows > 0)
	{
		const TimelineWindows *windows = &listing->windows.timelines[live];
		const RecoveryWindow *window = &windows->windows[windows->n_windows - 1];

		(void) fprintf(into, "replay from there to the end takes about %s; ",
		               duration_format(replay_estimate_ms(listing_replay_size(window)), text));
	}
	if (gaps == 0)
		(void) fputs(catalog->n_backups == 0 ? "No gaps.\n" : "no gaps.\n", into);
	else
		(void) fprintf(into, "%zu GAP%s.\n", gaps, gaps == 1 ? "" : "s");
}

/* What is not as it should be, in words; nothing of a backup that is as it should be. */
static void
print_backup_remarks(const Listing *listing, size_t n, FILE *into)
{
	const BackupRecord *backup = listing->catalog->backups[n];

	if (listing_is_refused(listing, n))
		print_line(into, "    REFUSED: NOT ENCRYPTED");
	if (backup->missing != NULL)
		print_line(into, "    PARTS MISSING: %s", backup->missing);
	if (!listing_can_open(listing, backup))
		print_line(into, "    NO KEY HERE for %s", backup->recipients);
	if (!backup->wal_inside)
		print_line(into, "    WAL not inside: it needs the archive");
	if (backup->page_errors)
		print_line(into, "    PAGE ERRORS: the server found damaged pages");
	if (backup->from_standby)
		print_line(into, "    from standby");
	print_pin(&listing->pins, backup->id, into);
	if (backup->note != NULL)
		print_line(into, "    note: %s", backup->note);
}

static void
print_backups(const Listing *listing, FILE *into)
{
	const Catalog *catalog = listing->catalog;
	size_t first =
		listing->verbose || catalog->n_backups <= BACKUPS_SHOWN ? 0 : catalog->n_backups - BACKUPS_SHOWN;
	char text[SIZE_TEXT_SIZE];
	char time[TIME_TEXT_SIZE];
	char age[AGE_TEXT_SIZE];
	char lsn[LSN_TEXT_SIZE];

	if (catalog->n_backups == 0)
		return;
	(void) fprintf(into, "\n%-21s  %-22s  %-11s %9s  %9s  %3s  %s\n", "backup", "ended", "", "on disk",
	               "stored", "TLI", "stop LSN");
	for (size_t i = first; i < catalog->n_backups; i++)
	{
		const BackupRecord *backup = catalog->backups[i];

		(void) fprintf(into, "%-21s  %-22s  %-11s", backup->id,
		               time_format_second(backup->stop_time, true, time),
		               age_format(backup->stop_time, listing->now, age));
		(void) fprintf(into, " %9s", size_format(backup->files_size, text));
		(void) fprintf(into, "  %9s  %3" PRIu32 "  %s\n",
		               size_format(backup_record_stored_size(backup), text), backup->timeline,
		               lsn_format(backup->stop_lsn, lsn));
		print_backup_remarks(listing, i, into);
	}
	if (first > 0)
		(void) fprintf(into, "and %zu older ones: --verbose\n", first);
}

static void
print_timelines(const Listing *listing, FILE *into)
{
	AUTO(Table) table = table_new(">timeline|from LSN|to LSN|>segments|>stored|last commit|");
	size_t live = plan_live_timeline(listing->catalog, &listing->windows);
	char text[SIZE_TEXT_SIZE];
	char lsn[LSN_TEXT_SIZE];
	char time[TIME_TEXT_SIZE];

	for (size_t i = 0; i < listing->catalog->n_timelines; i++)
	{
		const CatalogTimeline *timeline = &listing->catalog->timelines[i];
		const TimelineWindows *windows = &listing->windows.timelines[i];
		const TimelineHistory *history = timeline->history;
		const char *mark = i == live ? "live" : "";

		table_cell(table, "%" PRIu32, timeline->timeline);
		table_lsn(table, windows->first_lsn);
		table_lsn(table, windows->last_lsn);
		table_cell(table, "%" PRIu64, listing_segments(timeline));
		table_cell(table, "%s", size_format(listing_wal_size(timeline), text));
		table_cell(table, "%s",
		           windows->last_commit == TIME_NONE ? "-"
		                                             : time_format_second(windows->last_commit, false, time));
		if (history->n_ancestors == 0)
			table_cell(table, "%s%s", mark,
			           timeline->timeline > 1 && !timeline->has_history_file ? "  NO HISTORY FILE" : "");
		else
			table_cell(table, "%s%sleft %" PRIu32 " at %s", mark, i == live ? ", " : "",
			           history->ancestors[history->n_ancestors - 1].timeline,
			           lsn_format(history->ancestors[history->n_ancestors - 1].switch_lsn, lsn));
	}
	if (table_rows(table) == 0)
		return;
	(void) fputs("\n", into);
	table_print(table, "", into);
}

/* Up to where a timeline is the same as its parent, its windows are the parent's, too: shown once. */
static bool
is_shown_before(const Listing *listing, size_t timeline, const RecoveryWindow *window)
{
	for (size_t i = 0; i < timeline; i++)
		for (size_t j = 0; j < listing->windows.timelines[i].n_windows; j++)
		{
			const RecoveryWindow *other = &listing->windows.timelines[i].windows[j];

			if (other->backup == window->backup && other->to_lsn == window->to_lsn &&
			    other->to_time == window->to_time)
				return true;
		}
	return false;
}

static void
print_windows(const Listing *listing, FILE *into)
{
	AUTO(Table) table = table_new(">timeline|from|to (latest commit)|to LSN|first backup");

	for (size_t i = 0; i < listing->windows.n_timelines; i++)
		for (size_t j = 0; j < listing->windows.timelines[i].n_windows; j++)
		{
			const RecoveryWindow *window = &listing->windows.timelines[i].windows[j];

			if (is_shown_before(listing, i, window))
				continue;
			table_cell(table, "%" PRIu32, listing->windows.timelines[i].timeline);
			table_time(table, window->from_time);
			table_time(table, window->to_time);
			table_lsn(table, window->to_lsn);
			table_cell(table, "%s", window->backup->id);
		}
	if (table_rows(table) == 0)
		return;
	(void) fputs("\nRecoverable (every segment is there, and was whole when it was pushed):\n", into);
	table_print(table, "", into);
}

/* A line apart from the tables, and before the first one an empty line. */
static void remark(bool *begun, FILE *into, const char *format, ...) PRINTF_LIKE(3, 4);

static void
remark(bool *begun, FILE *into, const char *format, ...)
{
	va_list arguments;

	if (!*begun)
		(void) fputs("\n", into);
	*begun = true;
	va_start(arguments, format);
	AUTO_FREE char *text = mem_vprintf(format, arguments);
	va_end(arguments);
	print_line(into, "%s", text);
}

static void
print_foreign(const Listing *listing, bool *begun, FILE *into)
{
	uint32_t size = listing->catalog->segment_size;
	char first[WAL_NAME_SIZE];
	char last[WAL_NAME_SIZE];

	for (size_t i = 0; i < listing->windows.n_timelines; i++)
	{
		const TimelineWindows *windows = &listing->windows.timelines[i];

		if (windows->n_foreign > 0)
			remark(
				begun, into,
				"NOT READ: %" PRIu64 " %s, %s to %s, %s of a PostgreSQL that walship " WALSHIP_VERSION
				" (%d to %d) does not know. A recovery can replay them, to the end, an LSN, a time or a name; "
				"their commits, drops and restore points are known only to the server.\n",
				windows->n_foreign, windows->n_foreign == 1 ? "segment" : "segments",
				wal_segment_name(windows->timeline, windows->first_foreign, size, first),
				wal_segment_name(windows->timeline, windows->last_foreign, size, last),
				windows->n_foreign == 1 ? "is" : "are", pg_major_oldest()->major, pg_major_newest()->major);
	}
}

/* "2" or "2, 3 and 5": the timelines whose way leads over it. */
static void
name_descendants(const Listing *listing, const WalRange *gap, Buf *into)
{
	for (size_t i = 0; i < listing->windows.n_timelines; i++)
		for (size_t j = 0; j < listing->windows.timelines[i].n_gaps; j++)
			if (is_same_range(gap, &listing->windows.timelines[i].gaps[j]))
				buf_printf(into, "%s%" PRIu32, into->size > 0 ? ", " : "",
				           listing->windows.timelines[i].timeline);
}

static void
print_gaps(const Listing *listing, bool *begun, FILE *into)
{
	uint32_t size = listing->catalog->segment_size;
	char first[WAL_NAME_SIZE];
	char last[WAL_NAME_SIZE];

	for (size_t i = 0; i < listing->windows.n_timelines; i++)
		for (size_t j = 0; j < listing->windows.timelines[i].n_gaps; j++)
		{
			const WalRange *gap = &listing->windows.timelines[i].gaps[j];
			AUTO_BUF(timelines, TIMELINES_TEXT_MAX);

			if (!is_first_mention(listing, i, j))
				continue;
			name_descendants(listing, gap, &timelines);
			remark(begun, into, "GAP on the way to timeline %s: %" PRIu64 " %s missing, %s%s%s",
			       timelines.overflowed ? "..." : timelines.data, gap->last - gap->first + 1,
			       gap->last == gap->first ? "segment is" : "segments are",
			       wal_segment_name(gap->timeline, gap->first, size, first),
			       gap->last == gap->first ? "" : " to ",
			       gap->last == gap->first ? "" : wal_segment_name(gap->timeline, gap->last, size, last));
		}
}

/* Nobody reads thousands of them. */
static size_t
remarks_shown(const Listing *listing, size_t count)
{
	return listing->verbose || count <= REMARKS_SHOWN ? count : REMARKS_SHOWN;
}

static void
remark_rest(size_t shown, size_t count, bool *begun, FILE *into)
{
	if (shown < count)
		remark(begun, into, "    and %zu more: --verbose", count - shown);
}

static void
print_partials(const Listing *listing, const CatalogTimeline *timeline, bool *begun, FILE *into)
{
	size_t shown = remarks_shown(listing, timeline->n_partials);
	char text[SIZE_TEXT_SIZE];
	char name[WAL_NAME_SIZE];

	for (size_t i = 0; i < shown; i++)
		remark(begun, into, "Partial segment: %s.partial, %s stored",
		       wal_segment_name(timeline->timeline, timeline->partials[i].segno,
		                        listing->catalog->segment_size, name),
		       size_format(timeline->partials[i].stored_size, text));
	remark_rest(shown, timeline->n_partials, begun, into);
}

static void
print_remains(const Listing *listing, bool *begun, FILE *into)
{
	const Catalog *catalog = listing->catalog;
	size_t leftovers = remarks_shown(listing, listing->n_leftovers);
	size_t damaged = remarks_shown(listing, catalog->damaged.count);
	char text[SIZE_TEXT_SIZE];

	for (size_t i = 0; i < catalog->n_timelines; i++)
		print_partials(listing, &catalog->timelines[i], begun, into);
	for (size_t i = 0; i < leftovers; i++)
		remark(begun, into,
		       "Unfinished backup: %s, %s in %" PRIu64
		       " object%s. Unless it is being taken now, it may be removed.",
		       listing->leftovers[i].id, size_format(listing->leftovers[i].size, text),
		       listing->leftovers[i].objects, listing->leftovers[i].objects == 1 ? "" : "s");
	remark_rest(leftovers, listing->n_leftovers, begun, into);
	for (size_t i = 0; i < damaged; i++)
		remark(begun, into, "DAMAGED %s", catalog->damaged.items[i]);
	remark_rest(damaged, catalog->damaged.count, begun, into);
	for (size_t i = 0; i < listing->warnings.count; i++)
		remark(begun, into, "WARNING: %s", listing->warnings.items[i]);
}

static void
print_totals(const Listing *listing, FILE *into)
{
	const Catalog *catalog = listing->catalog;
	uint64_t backups = 0;
	uint64_t wal = 0;
	char backups_size[SIZE_TEXT_SIZE];
	char wal_text[SIZE_TEXT_SIZE];

	for (size_t i = 0; i < catalog->n_backups; i++)
		backups += backup_record_stored_size(catalog->backups[i]);
	for (size_t i = 0; i < catalog->n_timelines; i++)
		wal += listing_wal_size(&catalog->timelines[i]);
	(void) fprintf(into, "Database system %" PRIu64 ": %zu backup%s (%s), WAL (%s).\n",
	               catalog->system_identifier, catalog->n_backups, catalog->n_backups == 1 ? "" : "s",
	               size_format(backups, backups_size), size_format(wal, wal_text));
}

void
print_list_text(const Listing *listing, FILE *into)
{
	bool begun = false;

	print_verdict(listing, into);
	print_totals(listing, into);
	print_backups(listing, into);
	print_timelines(listing, into);
	print_windows(listing, into);
	print_foreign(listing, &begun, into);
	print_gaps(listing, &begun, into);
	print_remains(listing, &begun, into);
}
