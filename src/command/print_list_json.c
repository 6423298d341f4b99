/* What "walship list" shows to programs. */
#include "print_list.h"

#include <inttypes.h>

#include "print_pin.h"
#include "table.h"
#include "walship/base/mem.h"
#include "walship/plan/clocks.h"

#define LIST_FORMAT 1

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
		json_add_bool(item, "key_here", listing_can_open(listing, backup));
		if (backup->missing != NULL)
			json_add_string(item, "missing", backup->missing);
		if (listing_is_refused(listing, i))
			json_add_bool(item, "refused", true);
		put_pin(&listing->pins, backup->id, item);
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
	json_add_int(item, "segments", (int64_t) listing_segments(timeline));
	json_add_int(item, "stored_size", (int64_t) listing_wal_size(timeline));
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
		json_add_int(member, "replay_size", (int64_t) listing_replay_size(window));
		json_add_int(member, "replay_estimate_ms", replay_estimate_ms(listing_replay_size(window)));
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

static void
add_newest(const Catalog *catalog, Json *root)
{
	const BackupRecord *newest = clocks_newest_backup(catalog);

	if (newest == NULL)
		return;
	backup_record_put(newest, "id timeline stop_lsn stop_time", json_add_object(root, "newest_backup"));
	json_add_string(root, "newest_backup_by_time", clocks_newest_by_time(catalog)->id);
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
	add_newest(catalog, root);
	timelines = json_add_array(root, "timelines");
	for (size_t i = 0; i < catalog->n_timelines; i++)
		add_timeline(&catalog->timelines[i], &listing->windows.timelines[i], catalog->segment_size,
		             json_add_object(timelines, NULL));
	json_put_list(root, "unfinished", &leftover_table, listing->leftovers, listing->n_leftovers);
	json_put_list(root, "damaged", &json_strings, catalog->damaged.items, catalog->damaged.count);
	json_put_list(root, "warnings", &json_strings, listing->warnings.items, listing->warnings.count);
	print_object(root, into);
}
