/* The order of a copy from store to store; see walship/upkeep/copy.h. */
#include "walship/upkeep/copy.h"

#include <inttypes.h>
#include <string.h>

#include "copy_steps.h"
#include "walship/archive/layout.h"
#include "walship/archive/lease.h"
#include "walship/archive/wal_reader.h"
#include "walship/base/cancel.h"
#include "walship/base/mem.h"
#include "walship/store/cursor.h"

#define RECORD_NAME  "backup.json"
#define DIFFERS_MOST 1000 /* objects: then it is no accident */

/* Through both stores' listings, prefix by prefix, side by side. */
typedef struct Walk
{
	StoreCopy *copy;
	CopySender *sender; /* NULL: it is only looked what is missing */
} Walk;

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

static bool
wants_backup(const StoreCopy *copy, const char *id)
{
	if (copy->backup != NULL)
		return strcmp(copy->backup, id) == 0;
	for (size_t i = 0; copy->plan != NULL && i < copy->plan->n_backups; i++)
		if (strcmp(copy->plan->backups[i].backup->id, id) == 0)
			return copy->plan->backups[i].keep;
	return copy->plan == NULL;
}

static const BackupRecord *
record_of(const StoreCopy *copy, const char *id)
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
static bool
wants_wal(const StoreCopy *copy, const char *key)
{
	bool all = copy->backup == NULL && copy->plan == NULL;
	XLogSegNo segno;
	WalName name;

	if (all || str_ends_with(key, ".history") || str_ends_with(key, ".history.sha256"))
		return true;
	if (!layout_parse_wal_key(key, &name) || !wal_name_segno(&name, copy->catalog->segment_size, &segno))
		return false;
	if (copy->backup != NULL)
		return is_of_backup(record_of(copy, copy->backup), &name, segno);
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

/* ---- the walk ---- */

/* Over counts and findings. */
static void
lock(const Walk *walk)
{
	if (walk->sender != NULL)
		(void) pthread_mutex_lock(&walk->sender->mutex);
}

static void
unlock(const Walk *walk)
{
	if (walk->sender != NULL)
		(void) pthread_mutex_unlock(&walk->sender->mutex);
}

/* True in *ret_lacking: the target has none of this key.  Another one there is a finding. */
static Error *
compare(Walk *walk, const StoreEntry *entry, StoreCursor *target, bool *ret_lacking)
{
	StoreCopy *copy = walk->copy;
	AUTO_FREE char *difference = NULL;
	StoreCopyProblem problem;
	const StoreEntry *there;

	TRY(store_cursor_seek(target, entry->key, &there));
	*ret_lacking = there == NULL;
	if (there == NULL)
		return NULL;
	TRY(copy_compare(copy, entry->key, entry->size, there->size, &problem, &difference));
	lock(walk);
	if (difference != NULL)
		copy_add_finding(copy, problem, entry->key, MOVE(difference));
	if (walk->sender == NULL)
	{
		copy->present.objects++;
		copy->present.size += entry->size;
	}
	unlock(walk);
	if (copy->n_findings < DIFFERS_MOST)
		return NULL;
	return error_hint(
		error_new(ERR_EXISTS, "%d objects in store \"%s\" differ from those in \"%s\"", DIFFERS_MOST,
	              store_url(copy->target), store_url(copy->source)),
		"Two database systems with one identifier, such as a clone and its origin, need a store each.");
}

static void
lack(Walk *walk, const CopyItem *item)
{
	StoreCopyCount *count = &walk->copy->lacking[item->kind];

	if (walk->sender != NULL)
	{
		copy_sender_submit(walk->sender, item);
		return;
	}
	count->objects++;
	count->size += item->size;
}

/* Those under way must have come before what relies on them. */
static Error *
wait_for_sent(Walk *walk)
{
	return walk->sender == NULL ? NULL : copy_sender_wait(walk->sender);
}

static Error *
check_going_on(Walk *walk)
{
	TRY(cancel_check());
	if (walk->sender != NULL && workers_failed(walk->sender->workers))
		return copy_sender_wait(walk->sender);
	return NULL;
}

/* The order of the keys is that of time on a timeline, and a history file comes before its timeline. */
static Error *
walk_wal(Walk *walk)
{
	StoreCopy *copy = walk->copy;
	AUTO_FREE char *prefix = layout_wal_prefix(copy->system_identifier);
	AUTO(StoreCursor) source = store_cursor_new(copy->source, prefix, LIST_ALL, NULL);
	AUTO(StoreCursor) target = store_cursor_new(copy->target, prefix, LIST_ALL, NULL);

	for (;;)
	{
		const StoreEntry *entry;
		bool lacking;

		TRY(check_going_on(walk));
		TRY(store_cursor_next(source, &entry));
		if (entry == NULL)
			return wait_for_sent(walk);
		if (!wants_wal(copy, entry->key))
			continue;
		TRY(compare(walk, entry, target, &lacking));

		/* A digest that comes before its file would keep another one from being stored (docs/format.md). */
		if (lacking && str_ends_with(entry->key, ".history.sha256"))
			TRY(wait_for_sent(walk));
		if (lacking)
			lack(walk, &(CopyItem){.kind = STORE_COPY_WAL, .key = entry->key, .size = entry->size});
	}
}

/* The target's own pin of a backup stands, whatever it says. */
static Error *
walk_pins(Walk *walk)
{
	StoreCopy *copy = walk->copy;
	AUTO_FREE char *prefix = layout_pin_prefix(copy->system_identifier);
	AUTO(StoreCursor) source = store_cursor_new(copy->source, prefix, LIST_ALL, NULL);
	AUTO(StoreCursor) target = store_cursor_new(copy->target, prefix, LIST_ALL, NULL);

	for (;;)
	{
		const StoreEntry *entry;
		const StoreEntry *there;

		TRY(check_going_on(walk));
		TRY(store_cursor_next(source, &entry));
		if (entry == NULL)
			return wait_for_sent(walk);

		const char *name = entry->key + strlen(prefix);
		AUTO_FREE char *id = mem_strndup(name, strcspn(name, "."));

		if (!wants_backup(copy, id) || record_of(copy, id) == NULL)
			continue;
		TRY(store_cursor_seek(target, entry->key, &there));
		if (there == NULL)
			lack(walk, &(CopyItem){.kind = STORE_COPY_PINS, .key = entry->key, .size = entry->size});
	}
}

/* ---- backups ---- */

/* The objects of one backup, as the listing comes to them. */
typedef struct Group
{
	char *id;                   /* NULL: none is open */
	const BackupRecord *listed; /* as the catalog has it; NULL: it has none, or is not wanted */
	uint64_t record_size;       /* bytes of backup.json; 0: it has not been listed */
	bool record_lacks;          /* the target has none */
	bool left_out;              /* removed meanwhile, or it cannot be restored */

	/* Once something of it is sent. */
	LeaseHold *at_source;
	LeaseHold *at_target;
	BackupRecord *record; /* as it was read under the lease */
	Digest *digests;      /* of the record's parts, then manifest, configuration, map */
	bool incomplete;      /* an object without which it cannot be restored was not sent */
	bool unneeded;        /* another one */
} Group;

static void
group_release(Group *group)
{
	lease_hold_free(group->at_source);
	lease_hold_free(group->at_target);
	backup_record_free(group->record);
	free(group->digests);
	free(group->id);
	*group = (Group){0};
}

/* What the source lacks of it, the catalog knows.  That is nobody's business where the target has it all. */
static Error *
check_source(Walk *walk, Group *group)
{
	StoreCopy *copy = walk->copy;
	AUTO_FREE char *key = layout_backup_record_key(copy->system_identifier, group->id);
	StoreEntry there;
	Error *error = store_stat(copy->target, key, &there);

	if (!error_is(error, ERR_NOT_FOUND))
		return error;
	error_free(error);
	group->left_out = group->listed->unusable;
	lock(walk);
	copy_add_finding(copy, STORE_COPY_LACKING, key,
	                 mem_printf("the source has not, or not in full, %s%s", group->listed->missing,
	                            group->left_out ? "; so the backup is not copied" : ""));
	unlock(walk);
	return NULL;
}

static Error *
group_open(Walk *walk, Group *group, const char *id, size_t length)
{
	StoreCopy *copy = walk->copy;

	group->id = mem_strndup(id, length);
	group->listed = record_of(copy, group->id);
	if (group->listed == NULL && walk->sender == NULL &&
	    strlist_contains(&copy->catalog->unfinished, group->id))
		copy->unfinished++;
	if (group->listed != NULL && !wants_backup(copy, group->id))
		group->listed = NULL;
	return group->listed == NULL || group->listed->missing == NULL ? NULL : check_source(walk, group);
}

static void
copy_digest(Digest *into, const uint8_t *sha256, uint64_t size)
{
	memcpy(into->sha256, sha256, SHA256_SIZE);
	into->size = size;
}

/* The lease, then the record: an expire that has not seen the one has removed the other. */
static Error *
group_begin_sending(Walk *walk, Group *group)
{
	StoreCopy *copy = walk->copy;
	const BackupRecord *listed = group->listed;
	LeaseOn on = {
		.kind = "copy", .backup = group->id, .timeline = listed->timeline, .start_lsn = listed->start_lsn};
	Error *error;

	group->at_source = lease_hold(copy->source, copy->system_identifier, &on, &copy->notices);
	group->at_target = lease_hold(copy->target, copy->system_identifier, &on, &copy->notices);
	error = catalog_read_record(copy->source, copy->system_identifier, group->id, &group->record);
	if (error_is(error, ERR_NOT_FOUND))
	{
		error_free(error);
		copy->gone++;
		group->left_out = true;
		return NULL;
	}
	TRY(error);

	const BackupRecord *record = group->record;

	group->digests = NEW_ARRAY(Digest, record->n_parts + 3);
	for (size_t i = 0; i < record->n_parts; i++)
		copy_digest(&group->digests[i], record->parts[i].stored_sha256, record->parts[i].stored_size);
	copy_digest(&group->digests[record->n_parts], record->manifest_sha256, record->manifest_stored_size);
	copy_digest(&group->digests[record->n_parts + 1], record->config.stored_sha256,
	            record->config.stored_size);
	copy_digest(&group->digests[record->n_parts + 2], record->map.stored_sha256, record->map.stored_size);
	return NULL;
}

/* What the record says of an object; *ret_needed: no recovery from the backup's own objects is possible without it. */
static const Digest *
group_digest(const Group *group, const char *name, bool *ret_needed)
{
	const BackupRecord *record = group->record;
	const Digest *others = &group->digests[record->n_parts];

	*ret_needed = false;
	for (size_t i = 0; i < record->n_parts; i++)
		if (strcmp(record->parts[i].name, name) == 0)
		{
			*ret_needed = strcmp(record->parts[i].set, "wal") != 0;
			return &group->digests[i];
		}
	if (strcmp(record->manifest_name, name) == 0)
	{
		*ret_needed = true;
		return &others[0];
	}
	if (str_equal(record->config.name, name))
		return &others[1];
	return str_equal(record->map.name, name) ? &others[2] : NULL;
}

/* At its end: when all of it has come, the record, which makes it a backup. */
static Error *
group_close(Walk *walk, Group *group)
{
	StoreCopy *copy = walk->copy;

	if (group->id == NULL || group->listed == NULL)
		return NULL;
	TRY(wait_for_sent(walk));
	if (!group->record_lacks || group->left_out || group->incomplete)
		return NULL;
	if (walk->sender != NULL && group->record == NULL)
		TRY(group_begin_sending(walk, group));
	if (group->left_out)
		return NULL;
	if (walk->sender == NULL && (copy->timeline == 0 || group->listed->start_lsn < copy->start_lsn))
		copy->start_lsn = group->listed->start_lsn;
	if (walk->sender == NULL && group->listed->timeline > copy->timeline)
		copy->timeline = group->listed->timeline;

	AUTO_FREE char *key = layout_backup_record_key(copy->system_identifier, group->id);

	lack(walk, &(CopyItem){.kind = STORE_COPY_RECORDS, .key = key, .size = group->record_size});
	return wait_for_sent(walk);
}

static Error *
group_add(Walk *walk, Group *group, const StoreEntry *entry, const char *name, StoreCursor *target)
{
	CopyItem item = {.kind = STORE_COPY_PARTS, .key = entry->key, .size = entry->size};
	bool lacking;
	bool needed;

	TRY(compare(walk, entry, target, &lacking));
	if (strcmp(name, RECORD_NAME) == 0)
	{
		group->record_size = entry->size;
		group->record_lacks = lacking;
		return NULL;
	}
	if (!lacking)
		return NULL;
	if (walk->sender != NULL && group->record == NULL && !group->left_out)
		TRY(group_begin_sending(walk, group));
	if (group->left_out)
		return NULL;
	if (walk->sender != NULL)
	{
		item.digest = group_digest(group, name, &needed);
		item.ret_failed = needed ? &group->incomplete : &group->unneeded;
	}
	lack(walk, &item);
	return NULL;
}

static Error *
walk_groups(Walk *walk, Group *group)
{
	StoreCopy *copy = walk->copy;
	AUTO_FREE char *prefix = copy->backup == NULL
	                             ? layout_base_prefix(copy->system_identifier)
	                             : layout_backup_prefix(copy->system_identifier, copy->backup);
	AUTO_FREE char *base = layout_base_prefix(copy->system_identifier);
	AUTO(StoreCursor) source = store_cursor_new(copy->source, prefix, LIST_ALL, NULL);
	AUTO(StoreCursor) target = store_cursor_new(copy->target, prefix, LIST_ALL, NULL);
	for (;;)
	{
		const StoreEntry *entry;

		TRY(check_going_on(walk));
		TRY(store_cursor_next(source, &entry));
		if (entry == NULL)
			return group_close(walk, group);

		const char *id = entry->key + strlen(base);
		const char *slash = strchr(id, '/');

		if (slash == NULL)
			continue;
		if (group->id == NULL || strncmp(group->id, id, (size_t) (slash - id)) != 0 ||
		    group->id[slash - id] != '\0')
		{
			TRY(group_close(walk, group));
			group_release(group);
			TRY(group_open(walk, group, id, (size_t) (slash - id)));
		}
		if (group->listed != NULL)
			TRY(group_add(walk, group, entry, slash + 1, target));
	}
}

/* What is under way looks into the group. */
static Error *
walk_backups(Walk *walk)
{
	Group group = {0};
	Error *error = walk_groups(walk, &group);

	if (error != NULL && walk->sender != NULL)
		copy_sender_stop(walk->sender);
	group_release(&group);
	return error;
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
	Walk walk = {.copy = copy, .sender = sender};

	for (size_t i = 0; i < copy->n_findings; i++)
	{
		free(copy->findings[i].key);
		free(copy->findings[i].reason);
	}
	copy->n_findings = 0;
	name_damaged_records(copy);
	TRY(walk_wal(&walk));
	TRY(walk_pins(&walk));
	return walk_backups(&walk);
}

Error *
store_copy_plan(StoreCopy *copy)
{
	TRY(catalog_read(copy->source, copy->system_identifier, copy->jobs, &copy->catalog));
	TRY(catalog_look_at_parts(copy->source, copy->system_identifier, copy->catalog->backups,
	                          copy->catalog->n_backups));
	if (copy->backup != NULL && record_of(copy, copy->backup) == NULL)
		return error_new(ERR_NOT_FOUND, "backup \"%s\" is not in store \"%s\"", copy->backup,
		                 store_url(copy->source));
	if (copy->backup == NULL && copy->has_policy)
		TRY(choose_by_policy(copy));
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
