/* The order of a copy from store to store; see walship/upkeep/copy.h. */
#include "walship/upkeep/copy.h"

#include <string.h>

#include "copy_steps.h"
#include "walship/archive/layout.h"
#include "walship/archive/lease.h"
#include "walship/archive/wal_reader.h"
#include "walship/base/mem.h"
#include "walship/upkeep/expire_records.h"

void
store_copy_release(StoreCopy *copy)
{
	for (size_t i = 0; i < copy->n_findings; i++)
	{
		free(copy->findings[i].key);
		free(copy->findings[i].reason);
	}
	free(copy->findings);
	retain_plan_free(copy->plan);
	catalog_free(copy->catalog);
	pin_list_release(&copy->pin_list);
	strlist_release(&copy->unwanted);
	free(copy->local_times);
	free(copy->pins);
	*copy = (StoreCopy){0};
}

bool
store_copy_found(const StoreCopy *copy, StoreCopyProblem problem)
{
	for (size_t i = 0; i < copy->n_findings; i++)
		if (copy->findings[i].problem == problem)
			return true;
	return false;
}

/* ---- what is to be copied ---- */

bool
copy_wants_backup(const StoreCopy *copy, const char *id)
{
	if (copy->backup != NULL)
		return strcmp(copy->backup, id) == 0;
	for (size_t i = 0; copy->plan != NULL && i < copy->plan->n_backups; i++)
		if (strcmp(copy->plan->backups[i].backup->id, id) == 0)
			return copy->plan->backups[i].keep;
	return copy->plan == NULL;
}

const BackupRecord *
copy_record_of(const StoreCopy *copy, const char *id)
{
	for (size_t i = 0; i < copy->catalog->n_backups; i++)
		if (strcmp(copy->catalog->backups[i]->id, id) == 0)
			return copy->catalog->backups[i];
	return NULL;
}

/* Of a single backup: what it does not bring along, from start to stop; both lie on its timeline. */
static bool
is_of_backup(const BackupRecord *backup, const WalName *name, XLogSegNo segno)
{
	return !backup->wal_inside && name->timeline == backup->timeline &&
	       segno >= lsn_segment(backup->start_lsn, backup->segment_size) &&
	       segno <= lsn_segment_before(backup->stop_lsn, backup->segment_size);
}

/* What came after the catalog was read is in no range that goes. */
static bool
range_goes(const RetainPlan *plan, TimeLineID timeline, XLogSegNo segno)
{
	for (size_t i = 0; i < plan->n_wal; i++)
	{
		const RetainedWal *wal = &plan->wal[i];

		if (!wal->keep && wal->range.timeline == timeline && wal->range.first <= segno &&
		    segno <= wal->range.last)
			return true;
	}
	return false;
}

/* History files always: a timeline without its own is not understood.  Of the rest below wal/ nobody knows. */
bool
copy_wants_wal(const StoreCopy *copy, const char *key)
{
	bool all = copy->backup == NULL && copy->plan == NULL;
	XLogSegNo segno;
	WalName name;

	if (all || str_ends_with(key, ".history") || str_ends_with(key, ".history.sha256"))
		return true;
	if (!layout_parse_wal_key(key, &name) || !wal_name_segno(&name, copy->catalog->segment_size, &segno))
		return false;
	if (copy->backup != NULL)
		return is_of_backup(copy_record_of(copy, copy->backup), &name, segno);
	for (size_t i = 0; name.kind != WAL_SEGMENT && i < copy->plan->n_files; i++)
		if (strcmp(copy->plan->files[i].file->key, key) == 0)
			return copy->plan->files[i].keep;
	return !range_goes(copy->plan, name.timeline, segno);
}

static Error *
choose_by_policy(StoreCopy *copy)
{
	const Catalog *catalog = copy->catalog;
	AUTO(WalFacts) facts = wal_reader_facts(copy->source, catalog, NULL, copy->jobs);
	RetainRequest request = {.policy = copy->policy, .now = clock_now()};

	copy->local_times = NEW_ARRAY(int64_t, catalog->n_backups);
	for (size_t i = 0; i < catalog->n_backups; i++)
		TRY(time_local(catalog->backups[i]->stop_time, copy->zone == NULL ? "UTC" : copy->zone,
		               &copy->local_times[i]));
	TRY(pin_list_read(copy->source, copy->system_identifier, &copy->pin_list));
	copy->pins = NEW_ARRAY(RetainPin, copy->pin_list.count);
	for (size_t i = 0; i < copy->pin_list.count; i++)
		copy->pins[i] = (RetainPin){copy->pin_list.items[i].backup, copy->pin_list.items[i].until,
		                            copy->pin_list.items[i].note};
	request.local_times = copy->local_times;
	request.pins = copy->pins;
	request.n_pins = copy->pin_list.count;
	return plan_retain(catalog, &request, facts, &copy->plan);
}

/* What an expire with the target's rules would remove at the source is not sent: else the target's removes it each time. */
static Error *
choose_records(StoreCopy *copy, const ExpireKind *kind, const RetentionPolicy *policy)
{
	AUTO_EXPIRE_RECORDS expire = {.common = {.kind = kind,
	                                         .store = copy->source,
	                                         .system_identifier = copy->system_identifier,
	                                         .policy = *policy,
	                                         .zone = copy->zone,
	                                         .jobs = copy->jobs,
	                                         .notices = copy->notices}};

	TRY(expire_plan(&expire.common));
	for (size_t i = 0; i < expire.n_groups; i++)
	{
		const ExpireGroup *group = &expire.groups[i];
		size_t system = strcspn(group->prefix, "/") + 1;

		for (size_t j = 0; j < group->n_records; j++)
		{
			AUTO_FREE char *folder = mem_printf("%s%s/", group->prefix + system, group->records[j].id);

			if (!group->plan->records[j].keep)
				strlist_add(&copy->unwanted, folder);
		}
	}
	return NULL;
}

/* Records that cannot be read are damage at the source: what they are of is not copied. */
static void
name_damaged_records(StoreCopy *copy)
{
	for (size_t i = 0; i < copy->catalog->damaged.count; i++)
	{
		const char *text = copy->catalog->damaged.items[i];
		const char *colon = strstr(text, ": ");
		AUTO_FREE char *id = mem_strndup(text, colon == NULL ? strlen(text) : (size_t) (colon - text));

		if (!layout_is_backup_id(id) || (copy->backup != NULL && strcmp(id, copy->backup) != 0))
			continue;

		AUTO_FREE char *key = layout_backup_record_key(copy->system_identifier, id);

		copy_add_finding(copy, STORE_COPY_DAMAGED, key, mem_strdup(colon == NULL ? text : colon + 2));
	}
}

static Error *
walk_stores(StoreCopy *copy, CopySender *sender)
{
	CopyWalk walk = {.copy = copy, .sender = sender};

	for (size_t i = 0; i < copy->n_findings; i++)
	{
		free(copy->findings[i].key);
		free(copy->findings[i].reason);
	}
	copy->n_findings = 0;
	name_damaged_records(copy);
	TRY(copy_walk_wal(&walk));
	TRY(copy_walk_pins(&walk));
	TRY(copy_walk_sets(&walk, COPY_BACKUPS));
	if (copy->backup != NULL)
		return NULL;
	TRY(copy_walk_sets(&walk, COPY_DUMPS));
	return copy_walk_sets(&walk, COPY_FILES);
}

Error *
store_copy_plan(StoreCopy *copy)
{
	TRY(catalog_read(copy->source, copy->system_identifier, copy->jobs, &copy->catalog));
	TRY(catalog_look_at_parts(copy->source, copy->system_identifier, copy->catalog->backups,
	                          copy->catalog->n_backups));
	if (copy->backup != NULL && copy_record_of(copy, copy->backup) == NULL)
		return error_new(ERR_NOT_FOUND, "backup \"%s\" is not in store \"%s\"", copy->backup,
		                 store_url(copy->source));
	if (copy->backup == NULL && copy->has_policy)
		TRY(choose_by_policy(copy));
	if (copy->backup == NULL && copy->dump_policy != NULL)
		TRY(choose_records(copy, &expire_of_dumps, copy->dump_policy));
	if (copy->backup == NULL && copy->files_policy != NULL)
		TRY(choose_records(copy, &expire_of_files, copy->files_policy));
	return walk_stores(copy, NULL);
}

Error *
store_copy_run(StoreCopy *copy)
{
	LeaseOn on = {.kind = "copy", .timeline = copy->timeline, .start_lsn = copy->start_lsn};
	AUTO(LeaseHold) at_source = NULL;
	AUTO(LeaseHold) at_target = NULL;
	CopySender sender;

	/* The WAL of a backup comes long before its record does: until then nothing else keeps it. */
	if (copy->timeline != 0)
	{
		at_source = lease_hold(copy->source, copy->system_identifier, &on, &copy->notices);
		at_target = lease_hold(copy->target, copy->system_identifier, &on, &copy->notices);
	}
	copy_sender_init(&sender, copy);

	Error *error = walk_stores(copy, &sender);

	copy_sender_release(&sender);
	return error;
}
