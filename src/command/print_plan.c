/* Recovery plans on a page. */
#include "print_plan.h"

#include <inttypes.h>
#include <string.h>

#include "table.h"
#include "walship/base/mem.h"
#include "walship/base/size.h"

static const char *const purposes[] = {
	[PURPOSE_COPY] = "copy", [PURPOSE_REJOIN] = "rejoin", [PURPOSE_STANDBY] = "standby"};
static const char *const purpose_texts[] = {
	[PURPOSE_COPY] = "a copy to look at: it does not archive",
	[PURPOSE_REJOIN] = "the server that goes live: it archives on, by archive_command",
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

#define REJECTED_SHOWN 10 /* backups; nobody reads of thousands why they are not used */

static void
heading(FILE *into, const char *text)
{
	(void) fprintf(into, "  %-14s ", text);
}

#define HEADING_WIDTH 17 /* columns before what heading() is followed by */

static void line(FILE *into, const char *heading_text, const char *format, ...) PRINTF_LIKE(3, 4);

static void
line(FILE *into, const char *heading_text, const char *format, ...)
{
	va_list arguments;

	heading(into, heading_text);
	va_start(arguments, format);
	AUTO_FREE char *text = mem_vprintf(format, arguments);
	va_end(arguments);
	print_line(into, "%s", text);
}

/* A sentence under a heading, broken between words where the terminal ends. */
static void
sentence(const PlanReport *report, FILE *into, const char *heading_text, const char *text)
{
	size_t room = report->columns > 2 * HEADING_WIDTH ? (size_t) report->columns - HEADING_WIDTH : SIZE_MAX;

	for (;;)
	{
		size_t length = strlen(text);
		size_t end = length <= room ? length : room;

		while (end < length && end > 0 && text[end] != ' ')
			end--;
		if (end == 0)
			end = strcspn(text, " "); /* a word that is longer than a line */
		line(into, heading_text, "%.*s", (int) end, text);
		text += end + strspn(text + end, " ");
		if (*text == '\0')
			return;
		heading_text = "";
	}
}

/* In the reader's zone. */
static const char *
local_time(const PlanReport *report, TimeUs time, char text[TIME_TEXT_SIZE])
{
	AUTO(Error) error = time_format_zone(time, report->zone == NULL ? "local" : report->zone, text);

	return error == NULL ? text : time_format_postgres(time, text);
}

/* "xid 93408, 2026-11-20 14:01:58.110+02, LSN 3/9A0011C0"; nothing of one not known */
static void
print_place(const PlanReport *report, const char *heading_text, const WalPlace *place, FILE *into)
{
	char lsn[LSN_TEXT_SIZE];
	char time[TIME_TEXT_SIZE];

	if (place->xid == 0 && place->time == TIME_NONE && place->lsn == InvalidXLogRecPtr)
		return;
	heading(into, heading_text);
	if (place->xid != 0)
		(void) fprintf(into, "xid %" PRIu32 "%s, ", place->xid, place->aborted ? " (rolled back)" : "");
	if (place->time != TIME_NONE)
		(void) fputs(local_time(report, place->time, time), into);
	if (place->lsn != InvalidXLogRecPtr)
		(void) fprintf(into, "%sLSN %s", place->time != TIME_NONE ? ", " : "", lsn_format(place->lsn, lsn));
	(void) fputs("\n", into);
}

static void
print_target(const PlanReport *report, FILE *into)
{
	const RecoveryTarget *asked = &report->plan->asked;

	heading(into, "target");
	if (asked->kind == TARGET_TIME)
	{
		char local[TIME_TEXT_SIZE];
		char utc[TIME_TEXT_SIZE];

		/* Both, for a wrong zone is a wrong target; once when they are the same. */
		(void) local_time(report, asked->time, local);
		(void) time_format_postgres(asked->time, utc);
		(void) fprintf(into, "time %s", local);
		if (strcmp(local, utc) != 0)
			(void) fprintf(into, " (%s)", utc);
	}
	else
	{
		AUTO_FREE char *target = recovery_target_text(asked);

		(void) fputs(target, into);
	}
	(void) fputs(asked->inclusive || asked->kind > TARGET_XID ? "\n" : ", exclusive\n", into);
}

/* What is in and what is not, which is what the reader wants to know. */
static void
print_transactions(const PlanReport *report, FILE *into)
{
	const RecoveryPlan *plan = report->plan;
	char lsn[LSN_TEXT_SIZE];

	print_place(report, "last included", &plan->last, into);
	print_place(report, "first excluded", &plan->next, into);
	if (plan->target.kind == TARGET_LATEST)
		line(into, "goes to", "the end of the WAL in the store, LSN %s", lsn_format(plan->end_lsn, lsn));
	else if (plan->target.kind == TARGET_LSN)
		line(into, "stops", "%s LSN %s", plan->target.inclusive ? "after the record at" : "before",
		     lsn_format(plan->target.lsn, lsn));
}

static void
print_backup(const PlanReport *report, FILE *into)
{
	const RecoveryPlan *plan = report->plan;
	const BackupRecord *backup = plan->backup;
	char stored[SIZE_TEXT_SIZE];
	char raw[SIZE_TEXT_SIZE];
	char lsn[LSN_TEXT_SIZE];
	char time[TIME_TEXT_SIZE];

	line(into, "backup", "%s, PostgreSQL %d: %s to fetch, %s on disk in %" PRIu64 " files", backup->id,
	     backup->server_version / 10000, size_format(plan->stored_backup_size, stored),
	     size_format(backup->files_size, raw), backup->files);
	line(into, "ended", "%s, LSN %s", local_time(report, backup->stop_time, time),
	     lsn_format(backup->stop_lsn, lsn));
}

static void
print_wal(const PlanReport *report, FILE *into)
{
	const RecoveryPlan *plan = report->plan;
	uint64_t bytes = plan->segment_count * plan->segment_size;
	char stored[SIZE_TEXT_SIZE];
	char rate[SIZE_TEXT_SIZE];
	char time[SIZE_TEXT_SIZE];
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
	if (bytes > 0)
		line(into, "replay", "about %s: %s of WAL at an assumed %s/s",
		     duration_format(replay_estimate_ms(bytes), time), size_format(bytes, stored),
		     size_format(REPLAY_BYTES_PER_SECOND, rate));
}

static void
print_spaces(const PlanReport *report, FILE *into)
{
	char needed[SIZE_TEXT_SIZE];
	char available[SIZE_TEXT_SIZE];

	for (size_t i = 0; i < report->n_spaces; i++)
		line(into, i == 0 ? "disk" : "", "%s needed, %s free for \"%s\"",
		     size_format(report->spaces[i].needed, needed),
		     size_format(report->spaces[i].available, available), report->spaces[i].path);
}

/* What is written outside the data directory must not be overlooked: it may be somebody else's place. */
static void
print_tablespaces(const PlanReport *report, FILE *into)
{
	const BackupRecord *backup = report->plan->backup;
	char lsn[LSN_TEXT_SIZE];

	for (size_t i = 0; i < report->n_tablespaces; i++)
	{
		const RestoreTablespace *tablespace = &report->tablespaces[i];

		if (!tablespace->in_place)
			line(into, "WRITES ALSO", "\"%s\": tablespace %" PRIu32 " of \"%s\"", tablespace->path,
			     tablespace->oid, backup->tablespaces[i].path);
	}
	for (size_t i = 0; i < report->n_created; i++)
	{
		const CreatedTablespace *created = &report->created[i];
		AUTO_FREE char *place = created->place == NULL ? mem_strdup("a directory beside the copy")
		                                               : mem_printf("\"%s\"", created->place);

		line(into, "WRITES ALSO", "%s: tablespace %" PRIu32 " of \"%s\", made after the backup, at LSN %s",
		     place, created->oid, created->path, lsn_format(created->lsn, lsn));
	}
}

static void
print_sentences(const PlanReport *report, FILE *into)
{
	const RecoveryPlan *plan = report->plan;

	for (size_t i = 0; i < plan->n_rejected && i < REJECTED_SHOWN; i++)
	{
		AUTO_FREE char *text = mem_printf("%s: %s", plan->rejected[i].id, plan->rejected[i].reason);

		sentence(report, into, i == 0 ? "not used" : "", text);
	}
	if (plan->n_rejected > REJECTED_SHOWN)
		line(into, "", "and %zu more; --json lists them all", plan->n_rejected - REJECTED_SHOWN);
	for (size_t i = 0; i < plan->notes.count; i++)
		sentence(report, into, "note", plan->notes.items[i]);
	for (size_t i = 0; i < plan->warnings.count; i++)
		sentence(report, into, "WARNING", plan->warnings.items[i]);
}

static void
print_settings(const char *settings, FILE *into)
{
	if (settings == NULL)
		return;
	(void) fputs("Settings, in postgresql.auto.conf\n", into);
	while (*settings != '\0')
	{
		int length = (int) strcspn(settings, "\n");

		print_line(into, "  %.*s", length, settings);
		settings += length + (settings[length] == '\n' ? 1 : 0);
	}
}

/* "Brings back everything up to 2026-11-20 15:01:58+01 (xid 742), but not xid 743." */
static void
print_verdict(const PlanReport *report, FILE *into)
{
	const RecoveryPlan *plan = report->plan;
	const char *place = plan->target.kind == TARGET_LATEST ? "the end of the WAL in the store" : NULL;
	char time[TIME_TEXT_SIZE];
	char lsn[LSN_TEXT_SIZE];

	if (plan->target.kind == TARGET_IMMEDIATE || plan->target.kind == TARGET_BACKUP_ONLY)
		place = "the end of the backup";
	if (plan->purpose == PURPOSE_STANDBY)
	{
		(void) fprintf(into, "Makes a standby of backup %s.\n", plan->backup->id);
		return;
	}
	(void) fprintf(into, "Brings back everything up to %s", place == NULL ? "" : place);
	if (plan->last.time != TIME_NONE)
	{
		(void) fprintf(into, "%s%s (xid %" PRIu32 ")", place == NULL ? "" : ", ",
		               local_time(report, plan->last.time, time), plan->last.xid);
	}
	else if (place == NULL)
		(void) fprintf(into, "LSN %s", lsn_format(plan->stop.lsn, lsn));
	if (plan->next.xid != 0)
		(void) fprintf(into, ", but not xid %" PRIu32, plan->next.xid);
	(void) fputs(".\n", into);
}

void
print_plan_text(const PlanReport *report, FILE *into)
{
	const RecoveryPlan *plan = report->plan;

	print_verdict(report, into);
	print_target(report, into);
	print_transactions(report, into);
	print_backup(report, into);
	print_wal(report, into);
	print_spaces(report, into);
	print_tablespaces(report, into);
	if (report->waldir != NULL)
		line(into, "pg_wal", "in \"%s\"", report->waldir);
	line(into, "purpose", "%s", purpose_texts[plan->purpose]);
	if (plan->purpose != PURPOSE_STANDBY)
		line(into, "then", "%s", plan->target.kind == TARGET_LATEST ? "promote" : actions[plan->action]);
	print_sentences(report, into);
	if (report->verbose)
		print_settings(report->settings, into);
}

static const JsonField place_fields[] = {
	{"lsn", &json_lsn, JSON_AT(WalPlace, lsn)},
	{"time", &json_time, JSON_AT(WalPlace, time)},
	{"xid", &json_uint, JSON_AT(WalPlace, xid), .flags = JSON_OPTIONAL},
	{"aborted", &json_bool, JSON_AT(WalPlace, aborted), .with = "xid"},
};
static const JsonTable place_table = JSON_TABLE(WalPlace, place_fields);

static const JsonField space_fields[] = {
	{"path", &json_string, JSON_AT(DiskSpace, path)},
	{"needed", &json_uint, JSON_AT(DiskSpace, needed)},
	{"available", &json_uint, JSON_AT(DiskSpace, available)},
};
static const JsonTable space_table = JSON_TABLE(DiskSpace, space_fields);

static const JsonField rejected_fields[] = {
	{"id", &json_string, JSON_AT(RejectedBackup, id)},
	{"reason", &json_string, JSON_AT(RejectedBackup, reason)},
};
static const JsonTable rejected_table = JSON_TABLE(RejectedBackup, rejected_fields);

/* Of the backup, or made by the WAL at "lsn". */
typedef struct TablespaceRow
{
	uint32_t oid;
	const char *path;
	const char *place;
	XLogRecPtr lsn;
} TablespaceRow;

static const JsonField tablespace_fields[] = {
	{"oid", &json_uint, JSON_AT(TablespaceRow, oid)},
	{"path", &json_path, JSON_AT(TablespaceRow, path)},
	{"place", &json_path, JSON_AT(TablespaceRow, place), .flags = JSON_MAYBE},
	{"created_lsn", &json_lsn, JSON_AT(TablespaceRow, lsn), .flags = JSON_MAYBE},
};
static const JsonTable tablespace_table = JSON_TABLE(TablespaceRow, tablespace_fields);

static void
add_tablespaces(Json *object, const PlanReport *report)
{
	const BackupRecord *backup = report->plan->backup;
	size_t count = 0;
	AUTO_FREE TablespaceRow *rows = NEW_ARRAY(TablespaceRow, report->n_tablespaces + report->n_created);

	for (size_t i = 0; i < report->n_tablespaces; i++)
		rows[count++] = (TablespaceRow){.oid = report->tablespaces[i].oid,
		                                .path = backup->tablespaces[i].path,
		                                .place = report->tablespaces[i].path};
	for (size_t i = 0; i < report->n_created; i++)
		rows[count++] = (TablespaceRow){.oid = report->created[i].oid,
		                                .path = report->created[i].path,
		                                .place = report->created[i].place,
		                                .lsn = report->created[i].lsn};
	json_put_list(object, "tablespaces", &tablespace_table, rows, count);
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

void
print_plan_json(const PlanReport *report, FILE *into)
{
	const RecoveryPlan *plan = report->plan;
	const BackupRecord *backup = plan->backup;
	AUTO(Json) root = json_new_object();
	Json *item;

	json_add_string(root, "purpose", purposes[plan->purpose]);
	json_add_string(root, "action", actions[plan->action]);
	add_target(root, "asked", &plan->asked);
	add_target(root, "target", &plan->target);
	json_add_int(root, "timeline", plan->timeline);
	json_put(json_add_object(root, "stop"), &place_table, &plan->stop);
	json_put(json_add_object(root, "last_included"), &place_table, &plan->last);
	json_put(json_add_object(root, "first_excluded"), &place_table, &plan->next);
	json_add_lsn(root, "end_lsn", plan->end_lsn);
	item = json_add_object(root, "backup");
	backup_record_put(backup, "id timeline start_lsn stop_lsn stop_time", item);
	json_add_int(item, "stored_size", (int64_t) plan->stored_backup_size);
	json_add_int(item, "files", (int64_t) backup->files);
	json_add_int(item, "files_size", (int64_t) backup->files_size);
	json_add_bool(item, "own_wal_used", plan->uses_backup_wal);
	add_wal(root, plan);
	json_put_list(root, "disk", &space_table, report->spaces, report->n_spaces);
	add_tablespaces(root, report);
	json_put_list(root, "rejected", &rejected_table, plan->rejected, plan->n_rejected);
	json_put_list(root, "notes", &json_strings, plan->notes.items, plan->notes.count);
	json_put_list(root, "warnings", &json_strings, plan->warnings.items, plan->warnings.count);
	if (report->settings != NULL)
		json_add_string(root, "settings", report->settings);
	print_object(root, into);
}
