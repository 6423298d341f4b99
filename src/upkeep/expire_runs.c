/*
 * What runs did, in proof/<time>-expire.json: a run that would remove far more than
 * they let expect is refused.  One is written before anything is removed, for a run
 * may be killed, and one at its end.
 */
#include <string.h>
#include <unistd.h>

#include "expire_steps.h"
#include "walship/archive/layout.h"
#include "walship/archive/sealed_json.h"
#include "walship/base/mem.h"

#define KIND       "expire"
#define LOOKED_MAX 100 /* runs under other policies, the newest ones, that are passed over */

typedef struct ExpireEvidence
{
	char *retention; /* in its one form */
	TimeUs time;
	bool finished;
	uint64_t removed_backups;
	uint64_t removed_segments;
	uint64_t freed;
	uint64_t kept_backups;
} ExpireEvidence;

static const JsonField run_fields[] = {
	{"retention", &json_string, JSON_AT(ExpireEvidence, retention)},
	{"time", &json_time, JSON_AT(ExpireEvidence, time)},
	{"finished", &json_bool, JSON_AT(ExpireEvidence, finished)},
	{"removed_backups", &json_uint, JSON_AT(ExpireEvidence, removed_backups)},
	{"removed_segments", &json_uint, JSON_AT(ExpireEvidence, removed_segments)},
	{"freed_size", &json_uint, JSON_AT(ExpireEvidence, freed)},
	{"kept_backups", &json_uint, JSON_AT(ExpireEvidence, kept_backups)},
};
static const JsonTable run_table = JSON_TABLE(ExpireEvidence, run_fields);

typedef struct EvidenceSearch
{
	char *suffix;
	StrList *keys;
} EvidenceSearch;

static Error *
add_key(void *context, const StoreEntry *entry)
{
	const EvidenceSearch *search = context;

	if (str_ends_with(entry->key, search->suffix))
		strlist_add(search->keys, entry->key);
	return NULL;
}

/* Keys of the evidence of this kind, oldest first. */
static Error *
list_evidence(Store *store, uint64_t system_identifier, const char *kind, StrList *ret_keys)
{
	AUTO_FREE char *prefix = layout_proof_prefix(system_identifier);
	AUTO_FREE char *suffix = mem_printf("-%s.json", kind);
	EvidenceSearch search = {suffix, ret_keys};

	return store_list(store, prefix, LIST_LEVEL, NULL, add_key, &search);
}

static const char *
kind_of(const Expire *expire)
{
	return expire->kind != NULL ? expire->kind : KIND;
}

Error *
expire_runs_read_last(Expire *expire)
{
	AUTO_STRLIST keys = {0};
	size_t looked = 0;

	TRY(list_evidence(expire->store, expire->system_identifier, kind_of(expire), &keys));
	for (size_t i = keys.count; i-- > 0 && looked < LOOKED_MAX && !expire->guard.has_last_run; looked++)
	{
		ExpireEvidence run = {.time = TIME_NONE};
		Error *error = sealed_json_get(expire->store, keys.items[i], &run_table, &run);

		/* A damaged one says nothing, and the one before it is asked. */
		if (error == NULL && str_equal(run.retention, expire->policy_text))
		{
			expire->guard.has_last_run = true;
			expire->guard.last_run = run.time;
			expire->guard.unfinished_removals = run.finished ? 0 : run.removed_backups;
		}
		free(run.retention);
		if (error != NULL && !error_is(error, ERR_CORRUPT) && !error_is(error, ERR_NOT_FOUND))
			return error;
		error_free(error);
	}
	return NULL;
}

/* Of backups, or of what else has records. */
static size_t
removals(const Expire *expire)
{
	return expire->records != NULL ? expire->records->removed : expire->plan->removed_backups;
}

/* A key is a second: a run that began and ended in the same one has the next one's. */
static Error *
write_run(const Expire *expire, TimeUs time, bool finished)
{
	const RetainPlan *plan = expire->plan;
	const RetainRecordsPlan *records = expire->records;
	ExpireEvidence run = {.retention = expire->policy_text, .time = expire->now, .finished = finished};

	run.removed_backups = removals(expire);
	run.removed_segments = records != NULL ? 0 : plan->removed_segments;
	run.freed = records != NULL ? records->freed : plan->freed;
	run.kept_backups = (records != NULL ? records->n_records : plan->n_backups) - run.removed_backups;
	for (int tries = 0;; tries++)
	{
		AUTO_FREE char *key =
			layout_proof_key(expire->system_identifier, time + tries * INT64_C(1000000), kind_of(expire));
		Error *error = sealed_json_put(expire->store, key, &run_table, &run);

		if (!error_is(error, ERR_EXISTS) || tries == LOOKED_MAX)
			return error;
		error_free(error);
	}
}

Error *
expire_last_policy(Store *store, uint64_t system_identifier, RetentionPolicy *ret_policy, bool *ret_any)
{
	AUTO_STRLIST keys = {0};

	*ret_any = false;
	TRY(list_evidence(store, system_identifier, KIND, &keys));
	for (size_t i = keys.count; i-- > 0 && keys.count - i <= LOOKED_MAX && !*ret_any;)
	{
		ExpireEvidence run = {.time = TIME_NONE};
		AUTO(Error) error = sealed_json_get(store, keys.items[i], &run_table, &run);

		if (error == NULL)
			error = retention_parse(run.retention, ret_policy);
		free(run.retention);
		*ret_any = error == NULL;
		if (error != NULL && !error_is(error, ERR_CORRUPT) && !error_is(error, ERR_NOT_FOUND) &&
		    !error_is(error, ERR_USAGE))
			return MOVE(error);
	}
	return NULL;
}

/* What only a record will say at the end needs none at the beginning. */
Error *
expire_runs_begin(Expire *expire)
{
	if (removals(expire) == 0)
		return NULL;
	return write_run(expire, expire->now, false);
}

/* Nightly runs that remove nothing say nothing new. */
Error *
expire_runs_end(Expire *expire)
{
	if (expire->guard.has_last_run && expire->removed_objects == 0)
		return NULL;
	return write_run(expire, clock_now(), true);
}
