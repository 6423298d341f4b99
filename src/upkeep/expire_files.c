/* See walship/upkeep/expire_files.h. */
#include "walship/upkeep/expire_files.h"

#include <inttypes.h>
#include <string.h>

#include "walship/archive/layout.h"
#include "walship/archive/lease.h"
#include "walship/archive/sealed_json.h"
#include "walship/base/cancel.h"
#include "walship/base/mem.h"

#define KIND       "expire-files"
#define SUFFIX     "-" KIND ".json"
#define LOOKED_MAX 100  /* runs under other policies that are passed over */
#define BATCH      1000 /* keys: what S3 takes in one request */

static void
tree_release(ExpireTree *tree)
{
	for (size_t i = 0; i < tree->n_records; i++)
	{
		files_record_free(tree->records[i]);
		free(tree->objections[i]);
	}
	for (size_t i = 0; i < tree->n_leftovers; i++)
		free(tree->leftovers[i].id);
	retain_records_plan_free(tree->plan);
	free(tree->records);
	free(tree->items);
	free(tree->objections);
	free(tree->leftovers);
	free(tree->untouched);
	free(tree->name);
}

void
expire_files_release(ExpireFiles *expire)
{
	for (size_t i = 0; i < expire->n_trees; i++)
		tree_release(&expire->trees[i]);
	free(expire->trees);
	free(expire->policy_text);
	free(expire->stuck_reason);
	*expire = (ExpireFiles){0};
}

/* The objects below a name, as a listing tells them. */
typedef struct Looking
{
	const ExpireFiles *expire;
	ExpireTree *tree;
	size_t prefix_length;
	uint64_t *there; /* of each record, how many of its parts are there in full */
} Looking;

static ExpireLeftover *
leftover_of(ExpireTree *tree, const char *id, size_t length)
{
	for (size_t i = 0; i < tree->n_leftovers; i++)
		if (strncmp(tree->leftovers[i].id, id, length) == 0 && tree->leftovers[i].id[length] == '\0')
			return &tree->leftovers[i];
	return NULL;
}

static Error *
see_object(void *context, const StoreEntry *entry)
{
	Looking *looking = context;
	ExpireTree *tree = looking->tree;
	const char *id = entry->key + looking->prefix_length;
	size_t length = strcspn(id, "/");
	const char *name = id[length] == '/' ? id + length + 1 : "";
	ExpireLeftover *leftover = leftover_of(tree, id, length);

	if (leftover != NULL)
	{
		leftover->stored_size += entry->size;
		if (entry->modified > leftover->last_modified)
			leftover->last_modified = entry->modified;
	}
	for (size_t i = 0; i < tree->n_records; i++)
	{
		const FilesRecord *record = tree->records[i];
		bool own = strncmp(record->id, id, length) == 0 && record->id[length] == '\0';

		if (own)
			tree->items[i].stored_size += entry->size;
		if (own && strcmp(name, record->list.name) == 0 && entry->size == record->list.stored_size)
			looking->there[i]++;
		for (size_t j = 0; j < record->n_parts; j++)
			if (strncmp(record->parts[j].set, id, length) == 0 && record->parts[j].set[length] == '\0' &&
			    strcmp(record->parts[j].name, name) == 0 && record->parts[j].stored_size == entry->size)
				looking->there[i]++;
	}
	return NULL;
}

static Error *
look_at_objects(const ExpireFiles *expire, ExpireTree *tree)
{
	AUTO_FREE char *prefix = layout_files_name_prefix(expire->system_identifier, tree->name);
	AUTO_FREE uint64_t *there = NEW_ARRAY(uint64_t, tree->n_records + 1);
	Looking looking = {expire, tree, strlen(prefix), there};

	TRY(store_list(expire->store, prefix, LIST_ALL, NULL, see_object, &looking));
	for (size_t i = 0; i < tree->n_records; i++)
	{
		uint64_t lacks = tree->records[i]->n_parts + 1 - there[i];

		if (lacks == 0)
			continue;
		tree->objections[i] = mem_printf("lacks %" PRIu64 " object%s", lacks, lacks == 1 ? "" : "s");
		tree->items[i].objection = tree->objections[i];
	}
	return NULL;
}

static Error *
read_record(ExpireFiles *expire, ExpireTree *tree, const char *id)
{
	FilesRecord *record = NULL;
	AUTO(Error)
	error = files_record_read(expire->store, expire->system_identifier, tree->name, id, &record);

	if (error == NULL)
		tree->records[tree->n_records++] = record;
	else if (error_is(error, ERR_NOT_FOUND))
		tree->leftovers[tree->n_leftovers++] =
			(ExpireLeftover){.id = mem_strdup(id), .last_modified = TIME_NONE};
	else if (error_is(error, ERR_CORRUPT))
	{
		/* It may need parts of any other one. */
		free(tree->untouched);
		tree->untouched = mem_printf("the record of set \"%s\" cannot be read", id);
		notice_of_error(&expire->notices, LOG_WARNING, error);
	}
	else
		return MOVE(error);
	return NULL;
}

static size_t
number_of(const ExpireTree *tree, const char *id)
{
	for (size_t i = 0; id != NULL && i < tree->n_records; i++)
		if (strcmp(tree->records[i]->id, id) == 0)
			return i;
	return RETAIN_NO_BASE;
}

static Error *
read_tree(ExpireFiles *expire, const char *name, ExpireTree *tree)
{
	AUTO_STRLIST ids = {0};

	tree->name = mem_strdup(name);
	TRY(files_list_ids(expire->store, expire->system_identifier, name, &ids));
	tree->records = NEW_ARRAY(FilesRecord *, ids.count + 1);
	tree->leftovers = NEW_ARRAY(ExpireLeftover, ids.count + 1);
	tree->items = NEW_ARRAY(RetainRecord, ids.count + 1);
	tree->objections = NEW_ARRAY(char *, ids.count + 1);
	for (size_t i = 0; i < ids.count; i++)
		TRY(read_record(expire, tree, ids.items[i]));
	for (size_t i = 0; i < tree->n_records; i++)
	{
		const FilesRecord *record = tree->records[i];

		tree->items[i] = (RetainRecord){
			.id = record->id, .time = record->stop_time, .base = number_of(tree, record->since)};
		TRY(time_local(record->stop_time, expire->zone == NULL ? "UTC" : expire->zone,
		               &tree->items[i].local_time));
	}
	return look_at_objects(expire, tree);
}

/* Of a set that is kept, or of one whose record could not be read. */
static bool
is_needed(const ExpireTree *tree, const char *id)
{
	for (size_t i = 0; i < tree->n_records; i++)
		for (size_t j = 0; tree->plan->records[i].keep && j < tree->records[i]->n_parts; j++)
			if (strcmp(tree->records[i]->parts[j].set, id) == 0)
				return true;
	return false;
}

static void
decide_leftovers(const ExpireFiles *expire, ExpireTree *tree)
{
	for (size_t i = 0; i < tree->n_leftovers; i++)
	{
		ExpireLeftover *leftover = &tree->leftovers[i];

		leftover->keep = true;
		if (tree->untouched != NULL)
			leftover->reason = tree->untouched;
		else if (is_needed(tree, leftover->id))
			leftover->reason = "a set that is kept has parts there";
		else if (leftover->last_modified > expire->now - RETAIN_GRACE_US)
			leftover->reason = "unfinished for less than a day";
		else
		{
			leftover->keep = false;
			leftover->reason = "unfinished";
		}
	}
}

static RetainRecordsRequest
request_of(const ExpireFiles *expire, const ExpireTree *tree)
{
	return (RetainRecordsRequest){.noun = "set of files",
	                              .policy = expire->policy,
	                              .now = expire->now,
	                              .records = tree->items,
	                              .n_records = tree->n_records};
}

/* Live leases say which names are in use: "<NAME>/<ID>". */
static Error *
look_at_leases(ExpireFiles *expire)
{
	AUTO_LEASES leases = {0};

	TRY(lease_list_read(expire->store, expire->system_identifier, &leases));
	for (size_t i = 0; i < expire->n_trees; i++)
	{
		ExpireTree *tree = &expire->trees[i];
		size_t length = strlen(tree->name);

		for (size_t j = 0; j < leases.count && tree->untouched == NULL; j++)
		{
			const Lease *lease = &leases.items[j];
			bool names_it = lease->readable && lease->backup != NULL &&
			                strncmp(lease->backup, tree->name, length) == 0 && lease->backup[length] == '/';

			if (lease->until > expire->now && (names_it || !lease->readable))
				tree->untouched = lease->readable
				                      ? mem_printf("it is in use by %s (%s)", lease->kind, lease->holder)
				                      : mem_printf("lease \"%s\" cannot be read", lease->id);
		}
	}
	return NULL;
}

static void
decide(ExpireFiles *expire)
{
	for (size_t i = 0; i < expire->n_trees; i++)
	{
		ExpireTree *tree = &expire->trees[i];
		RetainRecordsRequest request = request_of(expire, tree);

		retain_records_plan_free(tree->plan);
		tree->plan = plan_retain_records(&request);
		for (size_t j = 0; j < tree->n_records && tree->untouched != NULL; j++)
		{
			RetainedRecord *retained = &tree->plan->records[j];

			if (retained->keep)
				continue;
			retained->keep = true;
			free(retained->reason);
			retained->reason = mem_strdup(tree->untouched);
			tree->plan->removed--;
			tree->plan->freed -= retained->record->stored_size;
		}
		decide_leftovers(expire, tree);
	}
}

/* What runs under the same policy did: one before anything is removed, and one at the end. */
typedef struct Evidence
{
	char *retention;
	TimeUs time;
	bool finished;
	uint64_t removed_sets;
	uint64_t kept_sets;
	uint64_t freed;
} Evidence;

static const JsonField evidence_fields[] = {
	{"retention", &json_string, JSON_AT(Evidence, retention)},
	{"time", &json_time, JSON_AT(Evidence, time)},
	{"finished", &json_bool, JSON_AT(Evidence, finished)},
	{"removed_sets", &json_uint, JSON_AT(Evidence, removed_sets)},
	{"kept_sets", &json_uint, JSON_AT(Evidence, kept_sets)},
	{"freed_size", &json_uint, JSON_AT(Evidence, freed)},
};
static const JsonTable evidence_table = JSON_TABLE(Evidence, evidence_fields);

static Error *
add_key(void *keys, const StoreEntry *entry)
{
	if (str_ends_with(entry->key, SUFFIX))
		strlist_add(keys, entry->key);
	return NULL;
}

static Error *
read_last_run(ExpireFiles *expire)
{
	AUTO_FREE char *prefix = layout_proof_prefix(expire->system_identifier);
	AUTO_STRLIST keys = {0};

	expire->guard = (RetainGuard){.store_now = TIME_NONE, .force = expire->force};
	TRY(store_list(expire->store, prefix, LIST_LEVEL, NULL, add_key, &keys));
	for (size_t i = keys.count; i-- > 0 && keys.count - i <= LOOKED_MAX && !expire->guard.has_last_run;)
	{
		Evidence run = {.time = TIME_NONE};
		AUTO(Error) error = sealed_json_get(expire->store, keys.items[i], &evidence_table, &run);

		if (error == NULL && str_equal(run.retention, expire->policy_text))
		{
			expire->guard.has_last_run = true;
			expire->guard.last_run = run.time;
			expire->guard.unfinished_removals = run.finished ? 0 : run.removed_sets;
		}
		free(run.retention);
		if (error != NULL && !error_is(error, ERR_CORRUPT) && !error_is(error, ERR_NOT_FOUND))
			return MOVE(error);
	}
	return NULL;
}

static Error *
write_run(const ExpireFiles *expire, bool finished)
{
	Evidence run = {.retention = expire->policy_text, .time = expire->now, .finished = finished};

	for (size_t i = 0; i < expire->n_trees; i++)
	{
		const RetainRecordsPlan *plan = expire->trees[i].plan;

		run.removed_sets += plan->removed;
		run.kept_sets += plan->n_records - plan->removed;
		run.freed += plan->freed;
	}
	for (int tries = 0;; tries++)
	{
		TimeUs time = (finished ? clock_now() : expire->now) + tries * INT64_C(1000000);
		AUTO_FREE char *key = layout_proof_key(expire->system_identifier, time, KIND);
		Error *error = sealed_json_put(expire->store, key, &evidence_table, &run);

		if (!error_is(error, ERR_EXISTS) || tries == LOOKED_MAX)
			return error;
		error_free(error);
	}
}

Error *
expire_files_plan(ExpireFiles *expire)
{
	AUTO_STRLIST names = {0};

	expire->now = clock_now();
	expire->policy_text = retention_text(&expire->policy);
	TRY(files_list_names(expire->store, expire->system_identifier, &names));
	expire->trees = NEW_ARRAY(ExpireTree, names.count + 1);
	for (size_t i = 0; i < names.count; i++)
		TRY(read_tree(expire, names.items[i], &expire->trees[expire->n_trees++]));
	TRY(read_last_run(expire));
	TRY(look_at_leases(expire));
	decide(expire);
	return NULL;
}

Error *
expire_files_refusal(ExpireFiles *expire)
{
	Error *error = NULL;

	for (size_t i = 0; i < expire->n_trees && error == NULL; i++)
	{
		const ExpireTree *tree = &expire->trees[i];
		RetainRecordsRequest request = request_of(expire, tree);

		if (tree->plan->removed > 0 && tree->plan->newest == NULL)
			error = error_hint(error_new(ERR_EXISTS, "there is no complete set of them"),
			                   "Nothing is removed before there is one: walship files %s --full DIRECTORY...",
			                   tree->name);
		else
			error = retain_records_refusal(&request, tree->plan, &expire->guard);
		error = error_context(error, "files \"%s\"", tree->name);
	}
	expire->refused = error != NULL;
	return error;
}

static void
note_stuck(void *context, const char *key, const Error *error)
{
	ExpireFiles *expire = context;

	(void) key;
	expire->stuck_objects++;
	if (expire->stuck_reason == NULL)
		expire->stuck_reason = mem_strdup(error_message(error));
}

static Error *
remove_keys(ExpireFiles *expire, StrList *keys)
{
	uint64_t stuck = expire->stuck_objects;

	if (keys->count == 0)
		return NULL;
	TRY(cancel_check());
	TRY(store_remove_many(expire->store, (const char *const *) keys->items, keys->count, note_stuck, expire));
	expire->removed_objects += keys->count - (expire->stuck_objects - stuck);
	if (expire->on_objects != NULL)
		expire->on_objects(expire->on_objects_context, keys->count);
	strlist_release(keys);
	return NULL;
}

static Error *
remove_records(ExpireFiles *expire)
{
	AUTO_STRLIST keys = {0};

	for (size_t i = 0; i < expire->n_trees; i++)
		for (size_t j = 0; j < expire->trees[i].n_records; j++)
		{
			const ExpireTree *tree = &expire->trees[i];
			AUTO_FREE char *key =
				layout_files_record_key(expire->system_identifier, tree->name, tree->records[j]->id);

			if (!tree->plan->records[j].keep)
				strlist_add(&keys, key);
			if (keys.count == BATCH)
				TRY(remove_keys(expire, &keys));
		}
	return remove_keys(expire, &keys);
}

/* Keys of a set's objects, to be removed. */
typedef struct Removing
{
	ExpireFiles *expire;
	StrList keys;
	uint64_t bytes;
} Removing;

static Error *
add_object(void *context, const StoreEntry *entry)
{
	Removing *removing = context;

	strlist_add(&removing->keys, entry->key);
	removing->bytes += entry->size;
	return NULL;
}

/* The record must be gone: the store may have kept it, or it came back. */
static Error *
remove_objects(ExpireFiles *expire, const char *name, const char *id)
{
	AUTO_FREE char *record = layout_files_record_key(expire->system_identifier, name, id);
	AUTO_FREE char *prefix = layout_files_set_prefix(expire->system_identifier, name, id);
	Removing removing = {.expire = expire};
	StoreEntry entry;
	AUTO(Error) there = store_stat(expire->store, record, &entry);
	uint64_t stuck = expire->stuck_objects;

	if (!error_is(there, ERR_NOT_FOUND))
		return MOVE(there);

	Error *error = store_list(expire->store, prefix, LIST_ALL, NULL, add_object, &removing);

	if (error == NULL)
		error = remove_keys(expire, &removing.keys);
	strlist_release(&removing.keys);
	if (error == NULL && stuck == expire->stuck_objects)
		expire->removed_bytes += removing.bytes;
	return error;
}

static Error *
remove_tree_objects(ExpireFiles *expire, const ExpireTree *tree)
{
	for (size_t i = 0; i < tree->n_records; i++)
		if (!tree->plan->records[i].keep && !is_needed(tree, tree->records[i]->id))
			TRY(remove_objects(expire, tree->name, tree->records[i]->id));
	for (size_t i = 0; i < tree->n_leftovers; i++)
		if (!tree->leftovers[i].keep)
			TRY(remove_objects(expire, tree->name, tree->leftovers[i].id));
	return NULL;
}

static bool
has_anything_to_do(const ExpireFiles *expire)
{
	bool has = false;

	for (size_t i = 0; i < expire->n_trees && !has; i++)
	{
		has = expire->trees[i].plan->removed > 0;
		for (size_t j = 0; j < expire->trees[i].n_leftovers; j++)
			has |= !expire->trees[i].leftovers[j].keep;
	}
	return has;
}

static Error *
carry_out(ExpireFiles *expire)
{
	if (has_anything_to_do(expire))
	{
		TRY(write_run(expire, false));
		TRY(remove_records(expire));

		/* Who wrote a lease before it read a record that was there until now, goes on reading. */
		TRY(look_at_leases(expire));
		for (size_t i = 0; i < expire->n_trees; i++)
			if (expire->trees[i].untouched == NULL)
				TRY(remove_tree_objects(expire, &expire->trees[i]));
	}
	return expire->guard.has_last_run && expire->removed_objects == 0 ? NULL : write_run(expire, true);
}

Error *
expire_files_run(ExpireFiles *expire)
{
	AUTO(LeaseHold)
	hold =
		lease_hold(expire->store, expire->system_identifier, &(LeaseOn){.kind = "expire"}, &expire->notices);

	/* By the store's clock sets in use are known, by ours the old ones: they must agree. */
	expire->guard.store_now = lease_hold_came(hold);
	TRY(expire_files_refusal(expire));
	return carry_out(expire);
}
