/* Groups of records, and which of them an expire removes; see walship/upkeep/expire_records.h. */
#include "walship/upkeep/expire_records.h"

#include <inttypes.h>
#include <string.h>

#include "expire_steps.h"
#include "walship/base/mem.h"

static void
group_release(ExpireGroup *group)
{
	for (size_t i = 0; i < group->n_records; i++)
	{
		free((char *) group->records[i].id);
		free((char *) group->records[i].objection);
	}
	for (size_t i = 0; i < group->n_needs; i++)
	{
		free(group->needs[i].id);
		free(group->needs[i].name);
	}
	for (size_t i = 0; i < group->n_leftovers; i++)
		free(group->leftovers[i].id);
	retain_records_plan_free(group->plan);
	free(group->records);
	free(group->needs);
	free(group->leftovers);
	free(group->untouched);
	free(group->name);
	free(group->prefix);
}

void
expire_records_release(ExpireRecords *expire)
{
	for (size_t i = 0; i < expire->n_groups; i++)
		group_release(&expire->groups[i]);
	free(expire->groups);
	strlist_release(&expire->damaged);
	expire_release(&expire->common);
	*expire = (ExpireRecords){0};
}

/* ---- what is read ---- */

ExpireGroup *
expire_add_group(ExpireRecords *expire, const char *name, char *prefix)
{
	GROW(expire->groups, expire->n_groups, expire->groups_capacity);
	expire->groups[expire->n_groups] = (ExpireGroup){.name = mem_strdup(name), .prefix = prefix};
	return &expire->groups[expire->n_groups++];
}

Error *
expire_add_record(ExpireRecords *expire, ExpireGroup *group, const char *id, TimeUs stop_time,
                  uint64_t stored_size)
{
	RetainRecord *record;

	GROW(group->records, group->n_records, group->records_capacity);
	record = &group->records[group->n_records++];
	*record = (RetainRecord){
		.id = mem_strdup(id), .time = stop_time, .base = RETAIN_NO_BASE, .stored_size = stored_size};
	return time_local(stop_time, expire_zone(&expire->common), &record->local_time);
}

void
expire_add_need(ExpireGroup *group, const char *id, const char *name, uint64_t stored_size)
{
	GROW(group->needs, group->n_needs, group->needs_capacity);
	group->needs[group->n_needs++] = (ExpireNeed){.record = group->n_records - 1,
	                                              .id = mem_strdup(id),
	                                              .name = mem_strdup(name),
	                                              .stored_size = stored_size};
}

static int
compare_needs(const void *a, const void *b)
{
	const ExpireNeed *left = a;
	const ExpireNeed *right = b;
	int ids = strcmp(left->id, right->id);

	return ids != 0 ? ids : strcmp(left->name, right->name);
}

/* Of the needs, which are sorted, those of this object. */
static void
see_needed(ExpireGroup *group, const ExpireNeed *object)
{
	size_t low = 0;
	size_t high = group->n_needs;

	while (low < high)
	{
		size_t middle = low + (high - low) / 2;

		if (compare_needs(&group->needs[middle], object) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	for (; low < group->n_needs && compare_needs(&group->needs[low], object) == 0; low++)
		group->needs[low].there = group->needs[low].stored_size == object->stored_size;
}

static Error *
see_object(void *context, const StoreEntry *entry)
{
	ExpireGroup *group = context;
	const char *path = entry->key + strlen(group->prefix);
	const char *slash = strchr(path, '/');

	if (slash == NULL)
		return NULL;

	AUTO_FREE char *id = mem_strndup(path, (size_t) (slash - path));
	AUTO_FREE char *name = mem_strdup(slash + 1);

	for (size_t i = 0; i < group->n_leftovers; i++)
	{
		ExpireLeftover *leftover = &group->leftovers[i];

		if (strcmp(leftover->id, id) != 0)
			continue;
		leftover->stored_size += entry->size;
		if (entry->modified > leftover->last_modified)
			leftover->last_modified = entry->modified;
	}
	see_needed(group, &(ExpireNeed){.id = id, .name = name, .stored_size = entry->size});
	return NULL;
}

Error *
expire_look_at_objects(ExpireRecords *expire, ExpireGroup *group, const StrList *unfinished)
{
	AUTO_FREE size_t *missing = NEW_ARRAY(size_t, group->n_records);

	for (size_t i = 0; i < unfinished->count; i++)
	{
		GROW(group->leftovers, group->n_leftovers, group->leftovers_capacity);
		group->leftovers[group->n_leftovers++] =
			(ExpireLeftover){.id = mem_strdup(unfinished->items[i]), .last_modified = TIME_NONE};
	}
	if (group->n_needs > 0)
		qsort(group->needs, group->n_needs, sizeof(ExpireNeed), compare_needs);
	TRY(store_list(expire->common.store, group->prefix, LIST_ALL, NULL, see_object, group));
	for (size_t i = 0; i < group->n_needs; i++)
		missing[group->needs[i].record] += !group->needs[i].there;
	for (size_t i = 0; i < group->n_records; i++)
		if (missing[i] > 0)
			group->records[i].objection =
				mem_printf("lacks %zu object%s", missing[i], missing[i] == 1 ? "" : "s");
	return NULL;
}

/* ---- what is decided ---- */

/* A lease of a name says "<NAME>/<ID>"; what it keeps once stays kept, for the records that went were chosen without it. */
static void
look_at_name(const Expire *common, ExpireGroup *group)
{
	size_t length = strlen(group->name);

	for (size_t i = 0; i < common->leases.count && group->untouched == NULL; i++)
	{
		const Lease *lease = &common->leases.items[i];

		if (lease->until <= common->now)
			continue;
		if (!lease->readable)
			group->untouched = mem_printf("lease \"%s\" cannot be read", lease->id);
		else if (lease->backup != NULL && strncmp(lease->backup, group->name, length) == 0 &&
		         lease->backup[length] == '/')
			group->untouched = mem_printf("it is in use by %s (%s)", lease->kind, lease->holder);
	}
}

static void
keep_all(ExpireGroup *group)
{
	RetainRecordsPlan *plan = group->plan;

	for (size_t i = 0; i < plan->n_records; i++)
	{
		RetainedRecord *retained = &plan->records[i];

		if (retained->keep)
			continue;
		retained->keep = true;
		free(retained->reason);
		retained->reason = mem_strdup(group->untouched);
		plan->removed--;
		plan->freed -= retained->record->stored_size;
	}
}

/* By a record that is kept; of one whose record could not be read nothing is known. */
static bool
is_needed(const ExpireGroup *group, const char *id)
{
	for (size_t i = 0; i < group->n_needs; i++)
		if (group->plan->records[group->needs[i].record].keep && strcmp(group->needs[i].id, id) == 0)
			return true;
	return false;
}

static bool
is_leased(const Expire *common, const char *id)
{
	for (size_t i = 0; i < common->n_live; i++)
		if (str_equal(common->live[i].backup, id))
			return true;
	return false;
}

static void
decide_leftovers(const Expire *common, ExpireGroup *group)
{
	for (size_t i = 0; i < group->n_leftovers; i++)
	{
		ExpireLeftover *leftover = &group->leftovers[i];

		leftover->keep = true;
		if (group->untouched != NULL)
			leftover->reason = group->untouched;
		else if (is_leased(common, leftover->id))
			leftover->reason = "in use";
		else if (is_needed(group, leftover->id))
			leftover->reason = "a set that is kept has parts there";
		else if (leftover->last_modified > common->now - RETAIN_GRACE_US)
			leftover->reason = common->kind->unfinished_today;
		else
		{
			leftover->keep = false;
			leftover->reason = common->kind->unfinished;
		}
	}
}

static RetainRecordsRequest
request_of(const Expire *common, const ExpireGroup *group)
{
	return (RetainRecordsRequest){.noun = common->kind->noun,
	                              .policy = common->policy,
	                              .now = common->now,
	                              .records = group->records,
	                              .n_records = group->n_records,
	                              .pins = common->retain_pins,
	                              .n_pins = common->pins.count,
	                              .leases = common->live,
	                              .n_leases = common->n_live};
}

Error *
expire_records_decide(Expire *common)
{
	ExpireRecords *expire = (ExpireRecords *) common;

	for (size_t i = 0; i < expire->n_groups; i++)
	{
		ExpireGroup *group = &expire->groups[i];
		RetainRecordsRequest request = request_of(common, group);

		retain_records_plan_free(group->plan);
		group->plan = plan_retain_records(&request);
		if (group->name != NULL)
			look_at_name(common, group);
		if (group->untouched != NULL)
			keep_all(group);
		decide_leftovers(common, group);
	}
	return NULL;
}

Error *
expire_records_refusal(const Expire *common)
{
	const ExpireRecords *expire = (const ExpireRecords *) common;

	for (size_t i = 0; i < expire->n_groups; i++)
	{
		const ExpireGroup *group = &expire->groups[i];
		RetainRecordsRequest request = request_of(common, group);
		Error *error = NULL;

		if (group->name != NULL && group->plan->removed > 0 && group->plan->newest == NULL)
			error = error_hint(error_new(ERR_EXISTS, "there is no complete set of them"),
			                   "Nothing is removed before there is one: walship files %s --full DIRECTORY...",
			                   group->name);
		if (error == NULL)
			error = retain_records_refusal(&request, group->plan, &common->guard);
		if (error != NULL)
			return group->name == NULL ? error : error_context(error, "files \"%s\"", group->name);
	}
	return NULL;
}

/* ---- what is removed ---- */

void
expire_records_sum(const Expire *common, ExpireEvidence *evidence)
{
	const ExpireRecords *expire = (const ExpireRecords *) common;

	for (size_t i = 0; i < expire->n_groups; i++)
	{
		const RetainRecordsPlan *plan = expire->groups[i].plan;

		evidence->removed += plan->removed;
		evidence->kept += plan->n_records - plan->removed;
		evidence->freed += plan->freed;
	}
}

static char *
record_key(const Expire *common, const ExpireGroup *group, const char *id)
{
	return mem_printf("%s%s/%s", group->prefix, id, common->kind->record);
}

void
expire_records_removals(const Expire *common, StrList *ret_ids, StrList *ret_keys)
{
	const ExpireRecords *expire = (const ExpireRecords *) common;

	for (size_t i = 0; i < expire->n_groups; i++)
		for (size_t j = 0; j < expire->groups[i].n_records; j++)
		{
			const char *id = expire->groups[i].records[j].id;
			AUTO_FREE char *key = record_key(common, &expire->groups[i], id);

			if (expire->groups[i].plan->records[j].keep)
				continue;
			strlist_add(ret_ids, id);
			strlist_add(ret_keys, key);
		}
}

static Error *
remove_below(Expire *common, const ExpireGroup *group, const char *id)
{
	AUTO_FREE char *prefix = mem_printf("%s%s/", group->prefix, id);
	AUTO_FREE char *key = record_key(common, group, id);

	return expire_remove_without_record(common, prefix, key);
}

Error *
expire_records_remove_objects(Expire *common)
{
	const ExpireRecords *expire = (const ExpireRecords *) common;

	for (size_t i = 0; i < expire->n_groups; i++)
	{
		const ExpireGroup *group = &expire->groups[i];

		for (size_t j = 0; j < group->n_records; j++)
			if (!group->plan->records[j].keep && !is_needed(group, group->records[j].id))
				TRY(remove_below(common, group, group->records[j].id));
		for (size_t j = 0; j < group->n_leftovers; j++)
			if (!group->leftovers[j].keep)
				TRY(remove_below(common, group, group->leftovers[j].id));
	}
	return NULL;
}
