/* Recovery plans on a page. */
#include "report_plan.h"

#include <inttypes.h>
#include <string.h>

#include "report.h"
#include "walship/base/mem.h"
#include "walship/base/size.h"

static const char *const purposes[] = {
	[PURPOSE_COPY] = "copy", [PURPOSE_REJOIN] = "rejoin", [PURPOSE_STANDBY] = "standby"};
static const char *const purpose_texts[] = {
	[PURPOSE_COPY] = "a copy to look at: it does not archive",
	[PURPOSE_REJOIN] = "the server that goes live: it archives on",
	[PURPOSE_STANDBY] = "a standby: it follows its primary",
};
static const char *const actions[] = {
	[ACTION_PAUSE] = "pause", [ACTION_PROMOTE] = "promote", [ACTION_SHUTDOWN] = "shutdown"};
static const char *const kinds[] = {
	[TARGET_TIME] = "time",     [TARGET_LSN] = "lsn",
	[TARGET_XID] = "xid",       [TARGET_NAME] = "name",
	[TARGET_BEFORE] = "before", [TARGET_IMMEDIATE] = "immediate",
	[TARGET_LATEST] = "latest", [TARGET_BACKUP_ONLY] = "backup",
};

static void line(Buf *into, const char *heading, const char *format, ...) PRINTF_LIKE(3, 4);

static void
line(Buf *into, const char *heading, const char *format, ...)
{
	va_list arguments;

	buf_printf(into, "  %-14s ", heading);
	va_start(arguments, format);
	buf_vprintf(into, format, arguments);
	va_end(arguments);
	buf_putc(into, '\n');
}

/* "2026-11-20 15:01:58+01 (2026-11-20 14:01:58+00)": once when they are the same. */
static void
both_times(const PlanReport *report, TimeUs time, Buf *into)
{
	char local[TIME_TEXT_SIZE];
	char utc[TIME_TEXT_SIZE];
	AUTO(Error) error = time_format_zone(time, report->zone == NULL ? "local" : report->zone, local);

	(void) time_format_postgres(time, utc);
	if (error != NULL || strcmp(local, utc) == 0)
		buf_puts(into, utc);
	else
		buf_printf(into, "%s (%s)", local, utc);
}

/* "xid 93408, 2026-11-20 14:01:58.110+02 (2026-11-20 12:01:58.110+00), LSN 3/9A0011C0" */
static void
place_text(const PlanReport *report, const WalPlace *place, Buf *into)
{
	char lsn[LSN_TEXT_SIZE];

	if (place->xid != 0)
		buf_printf(into, "xid %" PRIu32 "%s, ", place->xid, place->aborted ? " (rolled back)" : "");
	if (place->time != TIME_NONE)
		both_times(report, place->time, into);
	if (place->lsn != InvalidXLogRecPtr)
		buf_printf(into, "%sLSN %s", place->time != TIME_NONE ? ", " : "", lsn_format(place->lsn, lsn));
}

static void
print_target(const PlanReport *report, Buf *into)
{
	const RecoveryTarget *asked = &report->plan->asked;
	AUTO_BUF(text, 1024);

	if (asked->kind == TARGET_TIME)
	{
		buf_puts(&text, "time ");
		both_times(report, asked->time, &text);
	}
	else
	{
		AUTO_FREE char *target = recovery_target_text(asked);

		buf_puts(&text, target);
	}
	line(into, "target", "%s%s", text.data,
	     asked->inclusive || asked->kind > TARGET_XID ? "" : ", exclusive");
}

/* What is in and what is not, which is what the reader wants to know. */
static void
print_transactions(const PlanReport *report, Buf *into)
{
	const RecoveryPlan *plan = report->plan;
	AUTO_BUF(last, 1024);
	AUTO_BUF(next, 1024);
	char lsn[LSN_TEXT_SIZE];

	place_text(report, &plan->last, &last);
	place_text(report, &plan->next, &next);
	if (last.size > 0)
		line(into, "last included", "%s", last.data);
	if (next.size > 0)
		line(into, "first excluded", "%s", next.data);
	if (plan->target.kind == TARGET_LATEST)
		line(into, "goes to", "the end of the WAL in the store, LSN %s", lsn_format(plan->end_lsn, lsn));
	else if (plan->target.kind == TARGET_LSN)
		line(into, "stops", "%s LSN %s", plan->target.inclusive ? "after the record at" : "before",
		     lsn_format(plan->target.lsn, lsn));
}

static void
print_backup(const PlanReport *report, Buf *into)
{
	const RecoveryPlan *plan = report->plan;
	const BackupRecord *backup = plan->backup;
	char stored[SIZE_TEXT_SIZE];
	char raw[SIZE_TEXT_SIZE];
	char lsn[LSN_TEXT_SIZE];
	AUTO_BUF(ended, 256);

	both_times(report, backup->stop_time, &ended);
	line(into, "backup", "%s, PostgreSQL %d, ended %s, LSN %s", backup->id, backup->server_version / 10000,
	     ended.data, lsn_format(backup->stop_lsn, lsn));
	line(into, "size", "%s to fetch, %s on disk in %" PRIu64 " files",
	     size_format(plan->stored_backup_size, stored), size_format(backup->files_size, raw), backup->files);
}

static void
print_wal(const PlanReport *report, Buf *into)
{
	const RecoveryPlan *plan = report->plan;
	char stored[SIZE_TEXT_SIZE];
	char first[WAL_NAME_SIZE];
	char last[WAL_NAME_SIZE];

	line(into, "timeline", "%" PRIu32, plan->timeline);
	line(into, "WAL", "%" PRIu64 " %s, %s to fetch%s", plan->segment_count,
	     plan->segment_count == 1 ? "segment" : "segments", size_format(plan->stored_wal_size, stored),
	     plan->uses_backup_wal ? ", and the backup's own" : "");
	for (size_t i = 0; i < plan->n_segments; i++)
	{
		const PlanSegments *range = &plan->segments[i];

		(void) wal_segment_name(range->timeline, range->first, plan->segment_size, first);
		(void) wal_segment_name(range->timeline, range->last, plan->segment_size, last);
		line(into, "", "%s%s%s", first, range->first == range->last ? "" : " to ",
		     range->first == range->last ? "" : last);
	}
}

static void
print_replay(const RecoveryPlan *plan, Buf *into)
{
	uint64_t bytes = plan->segment_count * plan->segment_size;
	char size[SIZE_TEXT_SIZE];
	char rate[SIZE_TEXT_SIZE];
	char time[SIZE_TEXT_SIZE];

	if (bytes > 0)
		line(into, "replay", "about %s: %s of WAL at an assumed %s/s",
		     duration_format(replay_estimate_ms(bytes), time), size_format(bytes, size),
		     size_format(REPLAY_BYTES_PER_SECOND, rate));
}

static void
print_spaces(const PlanReport *report, Buf *into)
{
	char needed[SIZE_TEXT_SIZE];
	char available[SIZE_TEXT_SIZE];

	for (size_t i = 0; i < report->n_spaces; i++)
		line(into, i == 0 ? "disk" : "", "%s needed, %s free for \"%s\"",
		     size_format(report->spaces[i].needed, needed),
		     size_format(report->spaces[i].available, available), report->spaces[i].path);
}

static void
print_sentences(const PlanReport *report, Buf *into)
{
	const RecoveryPlan *plan = report->plan;

	for (size_t i = 0; i < plan->n_rejected; i++)
		line(into, i == 0 ? "not used" : "", "%s: %s", plan->rejected[i].id, plan->rejected[i].reason);
	for (size_t i = 0; i < plan->notes.count; i++)
		line(into, "note", "%s", plan->notes.items[i]);
	for (size_t i = 0; i < plan->warnings.count; i++)
		line(into, "WARNING", "%s", plan->warnings.items[i]);
}

static void
print_settings(const char *settings, Buf *into)
{
	if (settings == NULL)
		return;
	buf_puts(into, "Settings, in postgresql.auto.conf\n");
	while (*settings != '\0')
	{
		int length = (int) strcspn(settings, "\n");

		buf_printf(into, "  %.*s\n", length, settings);
		settings += length + (settings[length] == '\n' ? 1 : 0);
	}
}

void
report_plan_text(const PlanReport *report, Buf *into)
{
	const RecoveryPlan *plan = report->plan;

	buf_puts(into, "Recovery plan\n");
	print_target(report, into);
	print_transactions(report, into);
	print_backup(report, into);
	print_wal(report, into);
	print_replay(plan, into);
	print_spaces(report, into);
	line(into, "purpose", "%s", purpose_texts[plan->purpose]);
	if (plan->purpose != PURPOSE_STANDBY)
		line(into, "then", "%s", plan->target.kind == TARGET_LATEST ? "promote" : actions[plan->action]);
	print_sentences(report, into);
	print_settings(report->settings, into);
}

static void
add_place(Json *object, const char *name, const WalPlace *place)
{
	Json *item = json_add_object(object, name);

	json_add_lsn(item, "lsn", place->lsn);
	json_add_time(item, "time", place->time);
	if (place->xid == 0)
		return;
	json_add_int(item, "xid", place->xid);
	json_add_bool(item, "aborted", place->aborted);
}

static void
add_target(Json *object, const char *name, const RecoveryTarget *target)
{
	Json *item = json_add_object(object, name);

	json_add_string(item, "kind", kinds[target->kind]);
	json_add_bool(item, "inclusive", target->inclusive);
	if (target->kind == TARGET_TIME)
		json_add_time(item, "time", target->time);
	if (target->kind == TARGET_LSN || target->kind == TARGET_BEFORE)
		json_add_lsn(item, "lsn", target->lsn);
	if (target->kind == TARGET_XID || target->kind == TARGET_BEFORE)
		json_add_int(item, "xid", target->xid);
	if (target->kind == TARGET_NAME)
		json_add_string(item, "name", target->name);
}

static void
add_backup(Json *object, const RecoveryPlan *plan)
{
	const BackupRecord *backup = plan->backup;
	Json *item = json_add_object(object, "backup");

	json_add_string(item, "id", backup->id);
	json_add_int(item, "timeline", backup->timeline);
	json_add_lsn(item, "start_lsn", backup->start_lsn);
	json_add_lsn(item, "stop_lsn", backup->stop_lsn);
	json_add_time(item, "stop_time", backup->stop_time);
	json_add_int(item, "stored_size", (int64_t) plan->stored_backup_size);
	json_add_int(item, "files", (int64_t) backup->files);
	json_add_int(item, "files_size", (int64_t) backup->files_size);
	json_add_bool(item, "own_wal_used", plan->uses_backup_wal);
}

static void
add_wal(Json *object, const RecoveryPlan *plan)
{
	Json *wal = json_add_object(object, "wal");
	Json *ranges = json_add_array(wal, "ranges");
	char name[WAL_NAME_SIZE];

	json_add_int(wal, "segments", (int64_t) plan->segment_count);
	json_add_int(wal, "stored_size", (int64_t) plan->stored_wal_size);
	json_add_int(wal, "raw_size", (int64_t) (plan->segment_count * plan->segment_size));
	json_add_int(wal, "replay_estimate_ms", replay_estimate_ms(plan->segment_count * plan->segment_size));
	json_add_string(wal, "plan_end", plan->plan_end[0] == '\0' ? NULL : plan->plan_end);
	for (size_t i = 0; i < plan->n_segments; i++)
	{
		const PlanSegments *range = &plan->segments[i];
		Json *item = json_add_object(ranges, NULL);

		json_add_int(item, "timeline", range->timeline);
		json_add_string(item, "first",
		                wal_segment_name(range->timeline, range->first, plan->segment_size, name));
		json_add_string(item, "last",
		                wal_segment_name(range->timeline, range->last, plan->segment_size, name));
		json_add_int(item, "stored_size", (int64_t) range->stored_size);
	}
}

static void
add_strings(Json *object, const char *name, const StrList *strings)
{
	Json *array = json_add_array(object, name);

	for (size_t i = 0; i < strings->count; i++)
		json_add_string(array, NULL, strings->items[i]);
}

static void
add_spaces(const PlanReport *report, Json *object)
{
	Json *array = json_add_array(object, "disk");

	for (size_t i = 0; i < report->n_spaces; i++)
	{
		Json *item = json_add_object(array, NULL);

		json_add_string(item, "path", report->spaces[i].path);
		json_add_int(item, "needed", (int64_t) report->spaces[i].needed);
		json_add_int(item, "available", (int64_t) report->spaces[i].available);
	}
}

void
report_plan_json(const PlanReport *report, Json *object)
{
	const RecoveryPlan *plan = report->plan;

	json_add_string(object, "purpose", purposes[plan->purpose]);
	json_add_string(object, "action", actions[plan->action]);
	add_target(object, "asked", &plan->asked);
	add_target(object, "target", &plan->target);
	json_add_int(object, "timeline", plan->timeline);
	add_place(object, "stop", &plan->stop);
	add_place(object, "last_included", &plan->last);
	add_place(object, "first_excluded", &plan->next);
	json_add_lsn(object, "end_lsn", plan->end_lsn);
	add_backup(object, plan);
	add_wal(object, plan);
	add_spaces(report, object);

	Json *rejected = json_add_array(object, "rejected");

	for (size_t i = 0; i < plan->n_rejected; i++)
	{
		Json *item = json_add_object(rejected, NULL);

		json_add_string(item, "id", plan->rejected[i].id);
		json_add_string(item, "reason", plan->rejected[i].reason);
	}
	add_strings(object, "notes", &plan->notes);
	add_strings(object, "warnings", &plan->warnings);
	if (report->settings != NULL)
		json_add_string(object, "settings", report->settings);
}
