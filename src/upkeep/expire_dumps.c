/* Retention of dumps; see walship/upkeep/expire_dumps.h. */
#include "walship/upkeep/expire_dumps.h"

#include <inttypes.h>
#include <string.h>

#include "expire_steps.h"
#include "walship/archive/layout.h"
#include "walship/base/mem.h"

#define KIND "expire-dumps"

void
expire_dumps_release(ExpireDumps *expire)
{
	for (size_t i = 0; i < expire->dumps.count && expire->objections != NULL; i++)
		free(expire->objections[i]);
	for (size_t i = 0; i < expire->n_leftovers; i++)
		free(expire->leftovers[i].id);
	free(expire->objections);
	free(expire->items);
	free(expire->leftovers);
	expire_release(&expire->common); /* its plan names the items */
	dump_list_release(&expire->dumps);
}

/* What one dump's prefix holds. */
typedef struct Holding
{
	StrList names; /* ascending */
	uint64_t *sizes;
	size_t capacity;
	size_t depth; /* bytes of the prefix */
	TimeUs last_modified;
	uint64_t stored_size;
} Holding;

static void
holding_release(Holding *holding)
{
	strlist_release(&holding->names);
	free(holding->sizes);
}

#define AUTO_HOLDING __attribute__((cleanup(holding_release))) Holding

static Error *
add_object(void *context, const StoreEntry *entry)
{
	Holding *holding = context;

	GROW(holding->sizes, holding->names.count, holding->capacity);
	holding->sizes[holding->names.count] = entry->size;
	strlist_add(&holding->names, entry->key + holding->depth);
	holding->stored_size += entry->size;
	if (entry->modified > holding->last_modified)
		holding->last_modified = entry->modified;
	return NULL;
}

static Error *
look_at(const Expire *common, const char *id, Holding *ret_holding)
{
	AUTO_FREE char *prefix = layout_dump_prefix(common->system_identifier, id);

	ret_holding->depth = strlen(prefix);
	return store_list(common->store, prefix, LIST_ALL, NULL, add_object, ret_holding);
}

typedef struct MissingCount
{
	const Holding *holding;
	size_t missing;
} MissingCount;

static Error *
count_missing(void *context, const BackupObject *object)
{
	MissingCount *count = context;

	for (size_t i = 0; i < count->holding->names.count; i++)
		if (strcmp(count->holding->names.items[i], object->name) == 0)
		{
			count->missing += count->holding->sizes[i] != object->stored_size;
			return NULL;
		}
	count->missing++;
	return NULL;
}

/* A dump that lacks an object, or a part of one, counts for no rule. */
static Error *
read_item(ExpireDumps *expire, size_t i)
{
	const DumpRecord *record = expire->dumps.items[i];
	const char *zone = expire->common.zone == NULL ? "UTC" : expire->common.zone;
	AUTO_HOLDING holding = {0};
	MissingCount count = {.holding = &holding};

	TRY(look_at(&expire->common, record->id, &holding));
	TRY(dump_record_visit(record, count_missing, &count));
	if (count.missing > 0)
		expire->objections[i] =
			mem_printf("lacks %zu object%s", count.missing, count.missing == 1 ? "" : "s");
	expire->items[i] = (RetainRecord){.id = record->id,
	                                  .time = record->stop_time,
	                                  .base = RETAIN_NO_BASE,
	                                  .objection = expire->objections[i],
	                                  .stored_size = dump_record_stored_size(record)};
	return time_local(record->stop_time, zone, &expire->items[i].local_time);
}

static Error *
read_leftovers(ExpireDumps *expire)
{
	const StrList *ids = &expire->dumps.unfinished;

	expire->leftovers = NEW_ARRAY(DumpLeftover, ids->count + 1);
	for (size_t i = 0; i < ids->count; i++)
	{
		AUTO_HOLDING holding = {0};

		TRY(look_at(&expire->common, ids->items[i], &holding));
		expire->leftovers[expire->n_leftovers++] = (DumpLeftover){.id = mem_strdup(ids->items[i]),
		                                                          .last_modified = holding.last_modified,
		                                                          .stored_size = holding.stored_size};
	}
	return NULL;
}

static bool
is_leased(const Expire *common, const char *id)
{
	for (size_t i = 0; i < common->request.n_leases; i++)
		if (str_equal(common->request.leases[i].backup, id))
			return true;
	return false;
}

/* By the leases and pins as they were read last. */
static void
decide(ExpireDumps *expire)
{
	Expire *common = &expire->common;

	expire->request = (RetainRecordsRequest){.noun = "dump",
	                                         .policy = common->policy,
	                                         .now = common->now,
	                                         .records = expire->items,
	                                         .n_records = expire->dumps.count,
	                                         .pins = common->request.pins,
	                                         .n_pins = common->request.n_pins,
	                                         .leases = common->request.leases,
	                                         .n_leases = common->request.n_leases};
	retain_records_plan_free(common->records);
	common->records = plan_retain_records(&expire->request);
	for (size_t i = 0; i < expire->n_leftovers; i++)
	{
		DumpLeftover *leftover = &expire->leftovers[i];
		bool leased = is_leased(common, leftover->id);

		leftover->keep = leased || leftover->last_modified > common->now - RETAIN_GRACE_US;
		leftover->reason = leased           ? "in use"
		                   : leftover->keep ? "unfinished, of the last day"
		                                    : "unfinished, and no object came for a day";
	}
}

Error *
expire_dumps_plan(ExpireDumps *expire)
{
	Expire *common = &expire->common;

	common->kind = KIND;
	common->now = clock_now();
	common->policy_text = retention_text(&common->policy);
	TRY(lease_list_read(common->store, common->system_identifier, &common->leases));
	TRY(dump_list_read(common->store, common->system_identifier, common->jobs, &expire->dumps));
	expire->items = NEW_ARRAY(RetainRecord, expire->dumps.count + 1);
	expire->objections = NEW_ARRAY(char *, expire->dumps.count + 1);
	for (size_t i = 0; i < expire->dumps.count; i++)
		TRY(read_item(expire, i));
	TRY(read_leftovers(expire));
	TRY(expire_read_pins(common));
	expire_list_leases(common, NULL);
	common->guard = (RetainGuard){.store_now = TIME_NONE, .force = common->force};
	TRY(expire_runs_read_last(common));
	decide(expire);
	return NULL;
}

Error *
expire_dumps_refusal(ExpireDumps *expire)
{
	Error *error = expire_refuse_unreadable(&expire->common);

	if (error == NULL)
		error = retain_records_refusal(&expire->request, expire->common.records, &expire->common.guard);
	expire->common.refused = error != NULL;
	return error;
}

static Error *
remove_records(ExpireDumps *expire, StrList *ret_stuck_ids)
{
	Expire *common = &expire->common;
	AUTO_STRLIST keys = {0};
	AUTO_STRLIST stuck = {0};

	for (size_t i = 0; i < common->records->n_records; i++)
	{
		AUTO_FREE char *key =
			layout_dump_record_key(common->system_identifier, common->records->records[i].record->id);

		if (!common->records->records[i].keep)
			strlist_add(&keys, key);
	}
	TRY(expire_remove_keys(common, &keys, &stuck));
	for (size_t i = 0; i < expire->dumps.count; i++)
	{
		AUTO_FREE char *key = layout_dump_record_key(common->system_identifier, expire->dumps.items[i]->id);

		if (strlist_contains(&stuck, key))
			strlist_add(ret_stuck_ids, expire->dumps.items[i]->id);
	}
	return NULL;
}

static Error *
remove_dump(Expire *common, const char *id)
{
	AUTO_FREE char *prefix = layout_dump_prefix(common->system_identifier, id);
	AUTO_FREE char *key = layout_dump_record_key(common->system_identifier, id);

	return expire_remove_without_record(common, prefix, key);
}

static Error *
remove_objects(ExpireDumps *expire)
{
	Expire *common = &expire->common;

	for (size_t i = 0; i < common->records->n_records; i++)
		if (!common->records->records[i].keep)
			TRY(remove_dump(common, common->records->records[i].record->id));
	for (size_t i = 0; i < expire->n_leftovers; i++)
		if (!expire->leftovers[i].keep)
			TRY(remove_dump(common, expire->leftovers[i].id));
	return NULL;
}

Error *
expire_dumps_run(ExpireDumps *expire)
{
	Expire *common = &expire->common;
	AUTO_STRLIST stuck_ids = {0};
	AUTO(LeaseHold) hold =
		lease_hold(common->store, common->system_identifier, &(LeaseOn){.kind = "expire"}, &common->notices);

	common->guard.store_now = lease_hold_came(hold);
	TRY(expire_read_pins(common));
	decide(expire);
	TRY(expire_dumps_refusal(expire));
	TRY(expire_runs_begin(common));
	TRY(remove_records(expire, &stuck_ids));

	/* Who wrote a lease before it read a record that was there until now, goes on reading. */
	lease_list_release(&common->leases);
	TRY(lease_list_read(common->store, common->system_identifier, &common->leases));
	TRY(expire_refuse_unreadable(common));
	expire_list_leases(common, &stuck_ids);
	decide(expire);
	TRY(remove_objects(expire));
	TRY(expire_remove_ended_leases(common));
	return expire_runs_end(common);
}
