/* "walship list --json"; the object is described in docs/json.md. */
#include <inttypes.h>

#include "listing.h"
#include "report.h"
#include "walship/base/mem.h"

#define LIST_FORMAT 1

static void
add_backups(const Listing *listing, Json *root)
{
	const Catalog *catalog = listing->catalog;
	Json *array = json_add_array(root, "backups");

	for (size_t i = 0; i < catalog->n_backups; i++)
	{
		const BackupRecord *backup = catalog->backups[i];
		Json *item = json_add_object(array, NULL);

		json_add_string(item, "id", backup->id);
		json_add_int(item, "server_version", backup->server_version);
		json_add_int(item, "timeline", backup->timeline);
		json_add_lsn(item, "start_lsn", backup->start_lsn);
		json_add_lsn(item, "stop_lsn", backup->stop_lsn);
		json_add_time(item, "start_time", backup->start_time);
		json_add_time(item, "stop_time", backup->stop_time);
		json_add_int(item, "duration_ms", backup->duration_ms);
		json_add_int(item, "files", (int64_t) backup->files);
		json_add_int(item, "files_size", (int64_t) backup->files_size);
		json_add_int(item, "raw_size", (int64_t) listing_raw_size(backup));
		json_add_int(item, "stored_size", (int64_t) listing_backup_size(backup));
		json_add_bool(item, "wal_inside", backup->wal_inside);
		json_add_bool(item, "page_errors", backup->page_errors);
		json_add_bool(item, "from_standby", backup->from_standby);
		json_add_string(item, "label", backup->label);
		json_add_string(item, "note", backup->note);
		backup_record_put(backup, "recipients", item);
		json_add_bool(item, "key_here", listing_can_open(listing, backup));
	}
}

static void
add_segment_name(Json *object, const char *name, TimeLineID timeline, XLogSegNo segno, uint32_t segment_size)
{
	char text[WAL_NAME_SIZE];

	json_add_string(object, name, wal_segment_name(timeline, segno, segment_size, text));
}

static void
add_windows(const TimelineWindows *windows, uint32_t segment_size, Json *object)
{
	Json *array = json_add_array(object, "windows");
	Json *gaps = json_add_array(object, "gaps");

	for (size_t i = 0; i < windows->n_windows; i++)
	{
		const RecoveryWindow *window = &windows->windows[i];
		Json *item = json_add_object(array, NULL);

		json_add_string(item, "backup", window->backup->id);
		json_add_lsn(item, "from_lsn", window->from_lsn);
		json_add_time(item, "from_time", window->from_time);
		json_add_lsn(item, "to_lsn", window->to_lsn);
		json_add_time(item, "to_time", window->to_time);
		json_add_string(item, "newest_backup", window->newest->id);
		json_add_int(item, "replay_size", (int64_t) listing_replay_size(window));
		json_add_int(item, "replay_estimate_ms", replay_estimate_ms(listing_replay_size(window)));
	}
	for (size_t i = 0; i < windows->n_gaps; i++)
	{
		const WalRange *gap = &windows->gaps[i];
		Json *item = json_add_object(gaps, NULL);

		add_segment_name(item, "first", gap->timeline, gap->first, segment_size);
		add_segment_name(item, "last", gap->timeline, gap->last, segment_size);
		json_add_int(item, "segments", (int64_t) (gap->last - gap->first + 1));
	}
}

static void
add_timeline(const CatalogTimeline *timeline, const TimelineWindows *windows, uint32_t segment_size,
             Json *item)
{
	Json *ancestors;
	Json *partials;

	json_add_int(item, "timeline", timeline->timeline);
	json_add_bool(item, "has_history_file", timeline->has_history_file);
	ancestors = json_add_array(item, "ancestors");
	for (size_t i = 0; i < timeline->history->n_ancestors; i++)
	{
		Json *ancestor = json_add_object(ancestors, NULL);

		json_add_int(ancestor, "timeline", timeline->history->ancestors[i].timeline);
		json_add_lsn(ancestor, "switch_lsn", timeline->history->ancestors[i].switch_lsn);
	}
	json_add_int(item, "segments", (int64_t) listing_segments(timeline));
	json_add_int(item, "stored_size", (int64_t) listing_wal_size(timeline));
	json_add_lsn(item, "first_lsn", windows->first_lsn);
	json_add_lsn(item, "last_lsn", windows->last_lsn);
	json_add_time(item, "first_commit", windows->first_commit);
	json_add_time(item, "last_commit", windows->last_commit);
	partials = json_add_array(item, "partials");
	for (size_t i = 0; i < timeline->n_partials; i++)
	{
		Json *partial = json_add_object(partials, NULL);

		add_segment_name(partial, "segment", timeline->timeline, timeline->partials[i].segno, segment_size);
		json_add_string(partial, "key", timeline->partials[i].key);
		json_add_int(partial, "stored_size", (int64_t) timeline->partials[i].stored_size);
	}
	add_windows(windows, segment_size, item);
}

void
listing_print_json(const Listing *listing, Buf *into)
{
	AUTO(Json) root = json_new_object();
	AUTO_FREE char *system = mem_printf("%" PRIu64, listing->catalog->system_identifier);
	Json *timelines;
	Json *unfinished;
	Json *damaged;

	json_add_int(root, "format", LIST_FORMAT);
	json_add_string(root, "system", system);
	json_add_int(root, "segment_size", listing->catalog->segment_size);
	add_backups(listing, root);
	timelines = json_add_array(root, "timelines");
	for (size_t i = 0; i < listing->catalog->n_timelines; i++)
		add_timeline(&listing->catalog->timelines[i], &listing->windows.timelines[i],
		             listing->catalog->segment_size, json_add_object(timelines, NULL));
	unfinished = json_add_array(root, "unfinished");
	for (size_t i = 0; i < listing->n_leftovers; i++)
	{
		Json *item = json_add_object(unfinished, NULL);

		json_add_string(item, "id", listing->leftovers[i].id);
		json_add_int(item, "objects", (int64_t) listing->leftovers[i].objects);
		json_add_int(item, "stored_size", (int64_t) listing->leftovers[i].size);
	}
	damaged = json_add_array(root, "damaged");
	for (size_t i = 0; i < listing->catalog->damaged.count; i++)
		json_add_string(damaged, NULL, listing->catalog->damaged.items[i]);
	json_print(root, false, into);
}
