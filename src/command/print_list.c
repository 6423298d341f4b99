/* What "walship list" shows. */
#include "print_list.h"

#include <inttypes.h>

#include "table.h"
#include "walship/base/mem.h"
#include "walship/base/size.h"
#include "walship/wal/majors.h"

#define LIST_FORMAT 1

static uint64_t
wal_size(const CatalogTimeline *timeline)
{
	uint64_t size = 0;

	for (size_t i = 0; i < timeline->n_runs; i++)
		size += timeline->runs[i].stored_size;
	return size;
}

static uint64_t
segments(const CatalogTimeline *timeline)
{
	uint64_t count = 0;

	for (size_t i = 0; i < timeline->n_runs; i++)
		count += timeline->runs[i].last - timeline->runs[i].first + 1;
	return count;
}

/* From the window's newest backup to its end. */
static uint64_t
replay_size(const RecoveryWindow *window)
{
	return window->to_lsn > window->newest->start_lsn ? window->to_lsn - window->newest->start_lsn : 0;
}

/* Is there a key for it, if it is encrypted? */
static bool
can_open(const Listing *listing, const BackupRecord *backup)
{
	AUTO(Error) error = age_check_identities(listing->identities, backup->recipients, "");

	return error == NULL;
}

static bool
is_refused(const Listing *listing, size_t i)
{
	return listing->refused != NULL && listing->refused[i];
}

static void
print_backups(const Listing *listing, FILE *into)
{
	const Catalog *catalog = listing->catalog;
	AUTO(Table) table = table_new("backup|ended|>took|>on disk|>stored|>TLI|start LSN|stop LSN|");
	char text[SIZE_TEXT_SIZE];

	if (catalog->n_backups == 0)
	{
		(void) fputs("There is no backup.\n", into);
		return;
	}
	for (size_t i = 0; i < catalog->n_backups; i++)
	{
		const BackupRecord *backup = catalog->backups[i];

		table_cell(table, "%s", backup->id);
		table_time(table, backup->stop_time);
		table_cell(table, "%s", duration_format(backup->duration_ms, text));
		table_cell(table, "%s", size_format(backup->files_size, text));
		table_cell(table, "%s", size_format(backup_record_stored_size(backup), text));
		table_cell(table, "%" PRIu32, backup->timeline);
		table_lsn(table, backup->start_lsn);
		table_lsn(table, backup->stop_lsn);
		table_cell(
			table, "%s%s%s%s%s%s%s%s%s%s%s", is_refused(listing, i) ? "REFUSED: NOT ENCRYPTED  " : "",
			backup->missing == NULL ? "" : "PARTS MISSING: ", backup->missing == NULL ? "" : backup->missing,
			backup->missing == NULL ? "" : "  ", can_open(listing, backup) ? "" : "NO KEY HERE for ",
			can_open(listing, backup) ? "" : backup->recipients, backup->wal_inside ? "" : "WAL not inside  ",
			backup->page_errors ? "PAGE ERRORS  " : "", backup->from_standby ? "from standby  " : "",
			backup->note == NULL ? "" : "note: ", backup->note == NULL ? "" : backup->note);
	}
	table_print(table, "", into);
}

static void
print_timelines(const Listing *listing, FILE *into)
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
		table_cell(table, "%" PRIu64, segments(timeline));
		table_cell(table, "%s", size_format(wal_size(timeline), text));
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
	(void) fputs("\n", into);
	table_print(table, "", into);
}

static void
print_windows(const Listing *listing, FILE *into)
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
			table_cell(table, "about %s", duration_format(replay_estimate_ms(replay_size(window)), text));
			table_cell(table, "%s", window->backup->id);
		}
	if (table_rows(table) == 0)
	{
		(void) fputs("\nNothing can be recovered.\n", into);
		return;
	}
	(void) fputs(
		"\nRecoverable (every segment is there, and was whole when it was pushed; replay is estimated from the\n"
		"newest backup on, at an assumed 32 MiB/s):\n",
		into);
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

			remark(begun, into, "GAP on the way to timeline %" PRIu32 ": %" PRIu64 " %s missing, %s to %s",
			       listing->windows.timelines[i].timeline, gap->last - gap->first + 1,
			       gap->last == gap->first ? "segment is" : "segments are",
			       wal_segment_name(gap->timeline, gap->first, size, first),
			       wal_segment_name(gap->timeline, gap->last, size, last));
		}
}

static void
print_remains(const Listing *listing, bool *begun, FILE *into)
{
	const Catalog *catalog = listing->catalog;
	char text[SIZE_TEXT_SIZE];
	char name[WAL_NAME_SIZE];

	for (size_t i = 0; i < catalog->n_timelines; i++)
		for (size_t j = 0; j < catalog->timelines[i].n_partials; j++)
			remark(begun, into, "Partial segment: %s.partial, %s stored",
			       wal_segment_name(catalog->timelines[i].timeline, catalog->timelines[i].partials[j].segno,
			                        catalog->segment_size, name),
			       size_format(catalog->timelines[i].partials[j].stored_size, text));
	for (size_t i = 0; i < listing->n_leftovers; i++)
		remark(begun, into,
		       "Unfinished backup: %s, %s in %" PRIu64
		       " object%s. No command uses it; unless it is being taken now, it may be removed.",
		       listing->leftovers[i].id, size_format(listing->leftovers[i].size, text),
		       listing->leftovers[i].objects, listing->leftovers[i].objects == 1 ? "" : "s");
	for (size_t i = 0; i < catalog->damaged.count; i++)
		remark(begun, into, "DAMAGED %s", catalog->damaged.items[i]);
}

void
print_list_text(const Listing *listing, FILE *into)
{
	bool begun = false;

	(void) fprintf(into, "Database system %" PRIu64 "\n\n", listing->catalog->system_identifier);
	print_backups(listing, into);
	print_timelines(listing, into);
	print_windows(listing, into);
	print_foreign(listing, &begun, into);
	print_gaps(listing, &begun, into);
	print_remains(listing, &begun, into);
}

static const JsonField ancestor_fields[] = {
	{"timeline", &json_uint, JSON_AT(TimelineSwitch, timeline)},
	{"switch_lsn", &json_lsn, JSON_AT(TimelineSwitch, switch_lsn)},
};
static const JsonTable ancestor_table = JSON_TABLE(TimelineSwitch, ancestor_fields);

static const JsonField ends_fields[] = {
	{"first_lsn", &json_lsn, JSON_AT(TimelineWindows, first_lsn)},
	{"last_lsn", &json_lsn, JSON_AT(TimelineWindows, last_lsn)},
	{"first_commit", &json_time, JSON_AT(TimelineWindows, first_commit)},
	{"last_commit", &json_time, JSON_AT(TimelineWindows, last_commit)},
};
static const JsonTable ends_table = JSON_TABLE(TimelineWindows, ends_fields);

static const JsonField window_fields[] = {
	{"from_lsn", &json_lsn, JSON_AT(RecoveryWindow, from_lsn)},
	{"from_time", &json_time, JSON_AT(RecoveryWindow, from_time)},
	{"to_lsn", &json_lsn, JSON_AT(RecoveryWindow, to_lsn)},
	{"to_time", &json_time, JSON_AT(RecoveryWindow, to_time)},
};
static const JsonTable window_table = JSON_TABLE(RecoveryWindow, window_fields);

static const JsonField leftover_fields[] = {
	{"id", &json_string, JSON_AT(Leftover, id)},
	{"objects", &json_uint, JSON_AT(Leftover, objects)},
	{"stored_size", &json_uint, JSON_AT(Leftover, size)},
};
static const JsonTable leftover_table = JSON_TABLE(Leftover, leftover_fields);

static void
add_backups(const Listing *listing, Json *root)
{
	const Catalog *catalog = listing->catalog;
	Json *array = json_add_array(root, "backups");

	for (size_t i = 0; i < catalog->n_backups; i++)
	{
		const BackupRecord *backup = catalog->backups[i];
		Json *item = json_add_object(array, NULL);

		backup_record_put(
			backup, "id server_version timeline start_lsn stop_lsn start_time stop_time duration_ms", item);
		json_add_int(item, "files", (int64_t) backup->files);
		json_add_int(item, "files_size", (int64_t) backup->files_size);
		json_add_int(item, "raw_size", (int64_t) backup_record_raw_size(backup));
		json_add_int(item, "stored_size", (int64_t) backup_record_stored_size(backup));
		backup_record_put(backup, "wal_inside page_errors from_standby label note recipients", item);
		json_add_bool(item, "key_here", can_open(listing, backup));
		if (backup->missing != NULL)
			json_add_string(item, "missing", backup->missing);
		if (is_refused(listing, i))
			json_add_bool(item, "refused", true);
	}
}

static void
add_segment_name(Json *object, const char *name, TimeLineID timeline, XLogSegNo segno, uint32_t segment_size)
{
	char text[WAL_NAME_SIZE];

	json_add_string(object, name, wal_segment_name(timeline, segno, segment_size, text));
}

static void
add_timeline(const CatalogTimeline *timeline, const TimelineWindows *windows, uint32_t segment_size,
             Json *item)
{
	Json *array;

	json_add_int(item, "timeline", timeline->timeline);
	json_add_bool(item, "has_history_file", timeline->has_history_file);
	json_put_list(item, "ancestors", &ancestor_table, timeline->history->ancestors,
	              timeline->history->n_ancestors);
	json_add_int(item, "segments", (int64_t) segments(timeline));
	json_add_int(item, "stored_size", (int64_t) wal_size(timeline));
	json_put(item, &ends_table, windows);
	if (windows->n_foreign > 0)
	{
		Json *unread = json_add_object(item, "unread");

		json_add_int(unread, "segments", (int64_t) windows->n_foreign);
		add_segment_name(unread, "first", timeline->timeline, windows->first_foreign, segment_size);
		add_segment_name(unread, "last", timeline->timeline, windows->last_foreign, segment_size);
	}
	array = json_add_array(item, "partials");
	for (size_t i = 0; i < timeline->n_partials; i++)
	{
		Json *partial = json_add_object(array, NULL);

		add_segment_name(partial, "segment", timeline->timeline, timeline->partials[i].segno, segment_size);
		json_add_string(partial, "key", timeline->partials[i].key);
		json_add_int(partial, "stored_size", (int64_t) timeline->partials[i].stored_size);
	}
	array = json_add_array(item, "windows");
	for (size_t i = 0; i < windows->n_windows; i++)
	{
		const RecoveryWindow *window = &windows->windows[i];
		Json *member = json_add_object(array, NULL);

		json_add_string(member, "backup", window->backup->id);
		json_put(member, &window_table, window);
		json_add_string(member, "newest_backup", window->newest->id);
		json_add_int(member, "replay_size", (int64_t) replay_size(window));
		json_add_int(member, "replay_estimate_ms", replay_estimate_ms(replay_size(window)));
	}
	array = json_add_array(item, "gaps");
	for (size_t i = 0; i < windows->n_gaps; i++)
	{
		const WalRange *gap = &windows->gaps[i];
		Json *member = json_add_object(array, NULL);

		add_segment_name(member, "first", gap->timeline, gap->first, segment_size);
		add_segment_name(member, "last", gap->timeline, gap->last, segment_size);
		json_add_int(member, "segments", (int64_t) (gap->last - gap->first + 1));
	}
}

void
print_list_json(const Listing *listing, FILE *into)
{
	const Catalog *catalog = listing->catalog;
	AUTO(Json) root = json_new_object();
	AUTO_FREE char *system = mem_printf("%" PRIu64, catalog->system_identifier);
	Json *timelines;

	json_add_int(root, "format", LIST_FORMAT);
	json_add_string(root, "system", system);
	json_add_int(root, "segment_size", catalog->segment_size);
	add_backups(listing, root);
	timelines = json_add_array(root, "timelines");
	for (size_t i = 0; i < catalog->n_timelines; i++)
		add_timeline(&catalog->timelines[i], &listing->windows.timelines[i], catalog->segment_size,
		             json_add_object(timelines, NULL));
	json_put_list(root, "unfinished", &leftover_table, listing->leftovers, listing->n_leftovers);
	json_put_list(root, "damaged", &json_strings, catalog->damaged.items, catalog->damaged.count);
	print_object(root, into);
}
