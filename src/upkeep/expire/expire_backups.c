/* Backups and WAL, and which of them an expire removes. */
#include "walship/upkeep/expire_backups.h"

#include <string.h>

#include "expire_steps.h"
#include "walship/archive/layout.h"
#include "walship/archive/wal_reader.h"
#include "walship/base/mem.h"

void
expire_backups_release(ExpireBackups *expire)
{
	retain_plan_free(expire->plan);
	catalog_free(expire->catalog);
	free(expire->unfinished);
	free(expire->local_times);
	expire_release(&expire->common);
	*expire = (ExpireBackups){0};
}

static Error *
measure_object(void *context, const StoreEntry *entry)
{
	RetainUnfinished *unfinished = context;

	unfinished->objects++;
	unfinished->stored_size += entry->size;
	if (entry->modified > unfinished->last_modified)
		unfinished->last_modified = entry->modified;
	return NULL;
}

static Error *
measure_unfinished(ExpireBackups *expire)
{
	const StrList *ids = &expire->catalog->unfinished;

	expire->unfinished = NEW_ARRAY(RetainUnfinished, ids->count);
	for (size_t i = 0; i < ids->count; i++)
	{
		AUTO_FREE char *prefix = layout_backup_prefix(expire->common.system_identifier, ids->items[i]);

		expire->unfinished[i].id = ids->items[i];
		TRY(store_list(expire->common.store, prefix, LIST_ALL, NULL, measure_object, &expire->unfinished[i]));
	}
	return NULL;
}

static Error *
read_backups(Expire *common)
{
	ExpireBackups *expire = (ExpireBackups *) common;
	Catalog *catalog;

	TRY(catalog_read(common->store, common->system_identifier, common->jobs, &catalog));
	expire->catalog = catalog;
	TRY(catalog_look_at_parts(common->store, common->system_identifier, catalog->backups,
	                          catalog->n_backups));
	TRY(measure_unfinished(expire));
	expire->local_times = NEW_ARRAY(int64_t, catalog->n_backups);
	for (size_t i = 0; i < catalog->n_backups; i++)
		TRY(time_local(catalog->backups[i]->stop_time, expire_zone(common), &expire->local_times[i]));
	return NULL;
}

static Error *
decide(Expire *common)
{
	ExpireBackups *expire = (ExpireBackups *) common;
	AUTO(WalFacts) facts = wal_reader_facts(common->store, expire->catalog, NULL, common->jobs);
	RetainPlan *plan;

	expire->request = (RetainRequest){.policy = common->policy,
	                                  .now = common->now,
	                                  .local_times = expire->local_times,
	                                  .pins = common->retain_pins,
	                                  .n_pins = common->pins.count,
	                                  .leases = common->live,
	                                  .n_leases = common->n_live,
	                                  .unfinished = expire->unfinished,
	                                  .n_unfinished = expire->catalog->unfinished.count};
	TRY(plan_retain(expire->catalog, &expire->request, facts, &plan));
	retain_plan_free(expire->plan);
	expire->plan = plan;
	return NULL;
}

static Error *
refusal(const Expire *common)
{
	const ExpireBackups *expire = (const ExpireBackups *) common;

	return retain_refusal(expire->catalog, &expire->request, expire->plan, &common->guard);
}

static void
sum(const Expire *common, ExpireEvidence *evidence)
{
	const RetainPlan *plan = ((const ExpireBackups *) common)->plan;

	evidence->removed = plan->removed_backups;
	evidence->removed_segments = plan->removed_segments;
	evidence->kept = plan->n_backups - plan->removed_backups;
	evidence->freed = plan->freed;
}

static void
removals(const Expire *common, StrList *ret_ids, StrList *ret_keys)
{
	const RetainPlan *plan = ((const ExpireBackups *) common)->plan;

	for (size_t i = 0; i < plan->n_backups; i++)
	{
		const char *id = plan->backups[i].backup->id;
		AUTO_FREE char *key = layout_backup_record_key(common->system_identifier, id);

		if (plan->backups[i].keep)
			continue;
		strlist_add(ret_ids, id);
		strlist_add(ret_keys, key);
	}
}

static Error *
remove_backup(Expire *common, const char *id)
{
	AUTO_FREE char *key = layout_backup_record_key(common->system_identifier, id);
	AUTO_FREE char *prefix = layout_backup_prefix(common->system_identifier, id);

	return expire_remove_without_record(common, prefix, key);
}

static void
note_upload(void *context, const char *key, TimeUs began)
{
	Expire *expire = context;

	(void) began;
	strlist_add(&expire->removed_uploads, key);
}

/* Multipart uploads that never ended, unless one of them may be of somebody who is at it. */
static Error *
tidy_uploads(Expire *common)
{
	AUTO_FREE char *prefix = layout_system_prefix(common->system_identifier);

	for (size_t i = 0; i < common->leases.count; i++)
	{
		const Lease *lease = &common->leases.items[i];

		if (lease->until > common->now &&
		    (str_equal(lease->kind, "backup") || str_equal(lease->kind, "files")))
			return NULL;
	}
	return store_tidy_and_tell(common->store, prefix, common->now - RETAIN_GRACE_US, note_upload, common);
}

/* ---- WAL ---- */

/* Of one timeline: which of its files go. */
typedef struct WalRemoval
{
	const ExpireBackups *expire;
	XLogSegNo first; /* of what goes */
	XLogSegNo last;
} WalRemoval;

/* The plan's WAL is in the order of timelines and positions. */
static bool
wal_goes(const RetainPlan *plan, TimeLineID timeline, XLogSegNo segno)
{
	size_t low = 0;
	size_t high = plan->n_wal;

	while (low < high)
	{
		size_t middle = low + (high - low) / 2;
		const WalRange *range = &plan->wal[middle].range;

		if (range->timeline < timeline || (range->timeline == timeline && range->last < segno))
			low = middle + 1;
		else
			high = middle;
	}
	return low < plan->n_wal && plan->wal[low].range.timeline == timeline &&
	       plan->wal[low].range.first <= segno && !plan->wal[low].keep;
}

static bool
file_goes(const RetainPlan *plan, const char *key)
{
	for (size_t i = 0; i < plan->n_files; i++)
		if (strcmp(plan->files[i].file->key, key) == 0)
			return !plan->files[i].keep;
	return false;
}

/* Segments, and what belongs to one: a partial, a backup file.  History files stay, and so does what is none of ours. */
static bool
wal_object_goes(const void *context, const StoreEntry *entry, bool *ret_enough)
{
	const WalRemoval *removal = context;
	const RetainPlan *plan = removal->expire->plan;
	WalName name;
	XLogSegNo segno;

	if (entry->is_prefix || !layout_parse_wal_key(entry->key, &name) || name.kind == WAL_HISTORY ||
	    !wal_name_segno(&name, removal->expire->catalog->segment_size, &segno))
		return false;
	*ret_enough = segno > removal->last;
	return name.kind == WAL_SEGMENT ? wal_goes(plan, name.timeline, segno) : file_goes(plan, entry->key);
}

static void
reach(WalRemoval *removal, XLogSegNo first, XLogSegNo last)
{
	removal->first = first < removal->first ? first : removal->first;
	removal->last = last > removal->last ? last : removal->last;
}

/* From the first that goes to the last: nothing behind the cut is listed. */
static Error *
remove_timeline_wal(ExpireBackups *expire, TimeLineID timeline)
{
	const RetainPlan *plan = expire->plan;
	AUTO_FREE char *prefix = layout_timeline_prefix(expire->common.system_identifier, timeline);
	char name[WAL_NAME_SIZE];
	WalRemoval removal = {.expire = expire, .first = UINT64_MAX};

	for (size_t i = 0; i < plan->n_wal; i++)
		if (!plan->wal[i].keep && plan->wal[i].range.timeline == timeline)
			reach(&removal, plan->wal[i].range.first, plan->wal[i].range.last);
	for (size_t i = 0; i < plan->n_files; i++)
		if (!plan->files[i].keep && plan->files[i].timeline == timeline)
			reach(&removal, plan->files[i].file->segno, plan->files[i].file->segno);
	if (removal.first == UINT64_MAX)
		return NULL;

	/* A name without its ending comes before all keys of its segment. */
	AUTO_FREE char *before = mem_printf(
		"%s%s", prefix, wal_segment_name(timeline, removal.first, expire->catalog->segment_size, name));

	return expire_remove_listed(&expire->common, prefix, before, wal_object_goes, &removal);
}

static Error *
remove_objects(Expire *common)
{
	ExpireBackups *expire = (ExpireBackups *) common;
	const RetainPlan *plan = expire->plan;

	for (size_t i = 0; i < plan->n_backups; i++)
		if (!plan->backups[i].keep)
			TRY(remove_backup(common, plan->backups[i].backup->id));
	for (size_t i = 0; i < plan->n_leftovers; i++)
		if (!plan->leftovers[i].keep)
			TRY(remove_backup(common, plan->leftovers[i].unfinished->id));
	TRY(tidy_uploads(common));
	for (size_t i = 0; i < expire->catalog->n_timelines; i++)
		TRY(remove_timeline_wal(expire, expire->catalog->timelines[i].timeline));
	return NULL;
}

const ExpireKind expire_of_backups = {
	.evidence = "expire",
	.evidence_table = &expire_evidence_table,
	.read = read_backups,
	.decide = decide,
	.refusal = refusal,
	.sum = sum,
	.removals = removals,
	.remove_objects = remove_objects,
};
