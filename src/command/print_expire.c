/* Retention plans as tables and as an object. */
#include "print_expire.h"

#include <inttypes.h>

#include "table.h"
#include "walship/base/mem.h"
#include "walship/base/size.h"

const char *
expire_mark(bool keep)
{
	return keep ? "keep" : "REMOVE";
}

static void
print_verdict(const ExpireBackups *expire, FILE *into)
{
	const RetainPlan *plan = expire->plan;
	char size[SIZE_TEXT_SIZE];

	if (plan->freed == 0 && plan->removed_backups == 0 && plan->removed_segments == 0)
		print_line(into, "Nothing goes: %zu backups, retention \"%s\".", plan->n_backups,
		           expire->common.policy_text);
	else
		print_line(into, "%zu of %zu backups and %" PRIu64 " WAL segments go, %s; retention \"%s\".",
		           plan->removed_backups, plan->n_backups, plan->removed_segments,
		           size_format(plan->freed, size), expire->common.policy_text);
	for (size_t i = 0; i < plan->n_branches; i++)
	{
		const RetainBranch *branch = &plan->branches[i];
		char from[TIME_TEXT_SIZE];

		if (branch->from == NULL)
			print_line(into, "Timeline %" PRIu32 ": no complete backup leads to it.", branch->timeline);
		else
			print_line(into,
			           "Timeline %" PRIu32
			           ": every moment from %s on, with backup %s, where its WAL has no gap.",
			           branch->timeline, time_format_postgres(branch->from_time, from), branch->from->id);
	}
}

static void
print_backups(const RetainPlan *plan, FILE *into)
{
	AUTO(Table) table = table_new("backup|ended|>stored||why");
	char size[SIZE_TEXT_SIZE];

	for (size_t i = 0; i < plan->n_backups; i++)
	{
		const RetainedBackup *item = &plan->backups[i];

		table_cell(table, "%s", item->backup->id);
		table_time(table, item->backup->stop_time);
		table_cell(table, "%s", size_format(backup_record_stored_size(item->backup), size));
		table_cell(table, "%s", expire_mark(item->keep));
		table_cell(table, "%s%s", item->reason,
		           item->keep && !item->in_window ? "; restores to its own end" : "");
	}
	for (size_t i = 0; i < plan->n_leftovers; i++)
	{
		const RetainedLeftover *leftover = &plan->leftovers[i];

		table_cell(table, "%s", leftover->unfinished->id);
		table_cell(table, "unfinished");
		table_cell(table, "%s", size_format(leftover->unfinished->stored_size, size));
		table_cell(table, "%s", expire_mark(leftover->keep));
		table_cell(table, "%s", leftover->reason);
	}
	if (table_rows(table) == 0)
		return;
	(void) fputs("\n", into);
	table_print(table, "", into);
}

static void
print_wal(const ExpireBackups *expire, FILE *into)
{
	const RetainPlan *plan = expire->plan;
	AUTO(Table) table = table_new("WAL from|to|>segments|>stored||why");
	char name[WAL_NAME_SIZE];
	char size[SIZE_TEXT_SIZE];

	for (size_t i = 0; i < plan->n_wal; i++)
	{
		const RetainedWal *wal = &plan->wal[i];
		uint32_t segment_size = expire->catalog->segment_size;

		table_cell(table, "%s", wal_segment_name(wal->range.timeline, wal->range.first, segment_size, name));
		table_cell(table, "%s", wal_segment_name(wal->range.timeline, wal->range.last, segment_size, name));
		table_cell(table, "%" PRIu64, wal->segments);
		table_cell(table, "%s", size_format(wal->stored_size, size));
		table_cell(table, "%s", expire_mark(wal->keep));
		table_cell(table, "%s", wal->reason);
	}
	if (table_rows(table) == 0)
		return;
	(void) fputs("\n", into);
	table_print(table, "", into);
}

static void
print_files(const RetainPlan *plan, FILE *into)
{
	for (size_t i = 0; i < plan->n_files; i++)
		if (!plan->files[i].keep)
			print_line(into, "REMOVE %s: with its segment", plan->files[i].file->key);
}

void
print_expire_plan(const Expire *common, FILE *into)
{
	const ExpireBackups *expire = (const ExpireBackups *) common;

	print_verdict(expire, into);
	print_backups(expire->plan, into);
	print_wal(expire, into);
	print_files(expire->plan, into);
	print_line(
		into,
		"\nA standby that has not yet replayed what goes cannot catch up from here: nothing in the store "
		"knows of it.");
}

static void
print_stuck(const ExpireStuck *stuck, FILE *into)
{
	char first[TIME_TEXT_SIZE];
	char last[TIME_TEXT_SIZE];
	AUTO_FREE char *locked = mem_strdup("");

	if (stuck->locked_until != TIME_NONE)
	{
		free(locked);
		locked = stuck->locked_longest == stuck->locked_until
		             ? mem_printf("; locked until %s", time_format_utc(stuck->locked_until, first))
		             : mem_printf("; locked until %s, the last one until %s",
		                          time_format_utc(stuck->locked_until, first),
		                          time_format_utc(stuck->locked_longest, last));
	}
	print_line(into, "not removed: %" PRIu64 " objects, such as %s: %s%s", stuck->objects, stuck->example,
	           stuck->reason, locked);
}

void
print_expire_done(const Expire *expire, FILE *into)
{
	char size[SIZE_TEXT_SIZE];

	print_line(into, "removed%s: %" PRIu64 " objects, %s",
	           expire->kind == &expire_of_files ? " of files" : "", expire->removed_objects,
	           size_format(expire->removed_bytes, size));
	for (size_t i = 0; i < expire->removed_uploads.count; i++)
		print_line(into, "removed: what was uploaded of %s, which never ended",
		           expire->removed_uploads.items[i]);
	for (size_t i = 0; i < expire->n_stuck; i++)
		print_stuck(&expire->stuck[i], into);
}

static void
add_segment(Json *into, const char *member, TimeLineID timeline, XLogSegNo segno, uint32_t segment_size)
{
	char name[WAL_NAME_SIZE];

	json_add_string(into, member, wal_segment_name(timeline, segno, segment_size, name));
}

static void
add_backups(const RetainPlan *plan, Json *root)
{
	Json *array = json_add_array(root, "backups");
	Json *leftovers = json_add_array(root, "unfinished");

	for (size_t i = 0; i < plan->n_backups; i++)
	{
		const RetainedBackup *backup = &plan->backups[i];
		Json *item = json_add_object(array, NULL);

		backup_record_put(backup->backup, "id timeline stop_time", item);
		json_add_int(item, "stored_size", (int64_t) backup_record_stored_size(backup->backup));
		json_add_bool(item, "keep", backup->keep);
		json_add_bool(item, "in_window", backup->in_window);
		json_add_string(item, "reason", backup->reason);
	}
	for (size_t i = 0; i < plan->n_leftovers; i++)
	{
		const RetainedLeftover *leftover = &plan->leftovers[i];
		Json *item = json_add_object(leftovers, NULL);

		json_add_string(item, "id", leftover->unfinished->id);
		json_add_int(item, "stored_size", (int64_t) leftover->unfinished->stored_size);
		json_add_bool(item, "keep", leftover->keep);
		json_add_string(item, "reason", leftover->reason);
	}
}

static void
add_wal(const ExpireBackups *expire, Json *root)
{
	const RetainPlan *plan = expire->plan;
	Json *array = json_add_array(root, "wal");
	Json *files = json_add_array(root, "files");

	for (size_t i = 0; i < plan->n_wal; i++)
	{
		const RetainedWal *wal = &plan->wal[i];
		Json *item = json_add_object(array, NULL);

		json_add_int(item, "timeline", wal->range.timeline);
		add_segment(item, "first", wal->range.timeline, wal->range.first, expire->catalog->segment_size);
		add_segment(item, "last", wal->range.timeline, wal->range.last, expire->catalog->segment_size);
		json_add_int(item, "segments", (int64_t) wal->segments);
		json_add_int(item, "stored_size", (int64_t) wal->stored_size);
		json_add_bool(item, "keep", wal->keep);
		json_add_string(item, "reason", wal->reason);
	}
	for (size_t i = 0; i < plan->n_files; i++)
	{
		Json *item = json_add_object(files, NULL);

		json_add_string(item, "key", plan->files[i].file->key);
		json_add_bool(item, "keep", plan->files[i].keep);
	}
}

void
expire_put_removed(const Expire *expire, Json *root)
{
	Json *removed = json_add_object(root, "removed");
	Json *stuck = json_add_array(root, "not_removed");

	json_add_int(removed, "objects", (int64_t) expire->removed_objects);
	json_add_int(removed, "stored_size", (int64_t) expire->removed_bytes);
	json_put_list(root, "removed_uploads", &json_strings, expire->removed_uploads.items,
	              expire->removed_uploads.count);
	for (size_t i = 0; i < expire->n_stuck; i++)
	{
		Json *item = json_add_object(stuck, NULL);

		json_add_int(item, "objects", (int64_t) expire->stuck[i].objects);
		json_add_string(item, "example", expire->stuck[i].example);
		json_add_string(item, "reason", expire->stuck[i].reason);
		json_add_time(item, "locked_until", expire->stuck[i].locked_until);
		json_add_time(item, "locked_longest", expire->stuck[i].locked_longest);
	}
}

void
expire_put(const Expire *common, bool dry_run, Json *root)
{
	const ExpireBackups *expire = (const ExpireBackups *) common;
	const RetainPlan *plan = expire->plan;
	AUTO_FREE char *system = mem_printf("%" PRIu64, common->system_identifier);
	Json *branches;

	json_add_string(root, "system", system);
	json_add_string(root, "retention", common->policy_text);
	json_add_time(root, "now", common->now);
	json_add_time(root, "window_begin", plan->window_begin);
	json_add_bool(root, "dry_run", dry_run);
	json_add_bool(root, "refused", common->refused);
	json_add_int(root, "freed_size", (int64_t) plan->freed);
	branches = json_add_array(root, "branches");
	for (size_t i = 0; i < plan->n_branches; i++)
	{
		Json *item = json_add_object(branches, NULL);

		json_add_int(item, "timeline", plan->branches[i].timeline);
		json_add_string(item, "backup", plan->branches[i].from == NULL ? NULL : plan->branches[i].from->id);
		json_add_time(item, "from_time", plan->branches[i].from_time);
	}
	add_backups(plan, root);
	add_wal(expire, root);
	if (!dry_run && !common->refused)
		expire_put_removed(common, root);
}
