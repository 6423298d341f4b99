/*
 * What runs did, in proof/<time>-<kind>.json: a run that would remove far more than
 * they let expect is refused.  One is written before anything is removed, for a run
 * may be killed, and one at its end.
 */
#include <string.h>
#include <unistd.h>

#include "expire_steps.h"
#include "walship/archive/evidence.h"
#include "walship/archive/sealed_json.h"
#include "walship/base/mem.h"
#include "walship/upkeep/expire_backups.h"

#define LOOKED_MAX 100 /* runs under other policies, the newest ones, that are passed over */

static const JsonField evidence_fields[] = {
	{"retention", &json_string, JSON_AT(ExpireEvidence, retention)},
	{"time", &json_time, JSON_AT(ExpireEvidence, time)},
	{"finished", &json_bool, JSON_AT(ExpireEvidence, finished)},
	{"removed_backups", &json_uint, JSON_AT(ExpireEvidence, removed)},
	{"removed_segments", &json_uint, JSON_AT(ExpireEvidence, removed_segments)},
	{"freed_size", &json_uint, JSON_AT(ExpireEvidence, freed)},
	{"kept_backups", &json_uint, JSON_AT(ExpireEvidence, kept)},
};
const JsonTable expire_evidence_table = JSON_TABLE(ExpireEvidence, evidence_fields);

Error *
expire_runs_read_last(Expire *expire)
{
	AUTO_STRLIST keys = {0};
	size_t looked = 0;

	TRY(evidence_keys(expire->store, expire->system_identifier, expire->kind->evidence, &keys));
	for (size_t i = keys.count; i-- > 0 && looked < LOOKED_MAX && !expire->guard.has_last_run; looked++)
	{
		ExpireEvidence run = {.time = TIME_NONE};
		Error *error = sealed_json_get(expire->store, keys.items[i], expire->kind->evidence_table, &run);

		/* A damaged one says nothing, and the one before it is asked. */
		if (error == NULL && str_equal(run.retention, expire->policy_text))
		{
			expire->guard.has_last_run = true;
			expire->guard.last_run = run.time;
			expire->guard.unfinished_removals = run.finished ? 0 : run.removed;
		}
		free(run.retention);
		if (error != NULL && !error_is(error, ERR_CORRUPT) && !error_is(error, ERR_NOT_FOUND))
			return error;
		error_free(error);
	}
	return NULL;
}

static Error *
write_run(const Expire *expire, TimeUs time, ExpireEvidence *run)
{
	run->retention = expire->policy_text;
	run->time = expire->now;
	return evidence_put(expire->store, expire->system_identifier, time, expire->kind->evidence,
	                    expire->kind->evidence_table, run);
}

Error *
expire_last_policy(Store *store, uint64_t system_identifier, RetentionPolicy *ret_policy, bool *ret_any)
{
	AUTO_STRLIST keys = {0};

	*ret_any = false;
	TRY(evidence_keys(store, system_identifier, expire_of_backups.evidence, &keys));
	for (size_t i = keys.count; i-- > 0 && keys.count - i <= LOOKED_MAX && !*ret_any;)
	{
		ExpireEvidence run = {.time = TIME_NONE};
		AUTO(Error) error = sealed_json_get(store, keys.items[i], &expire_evidence_table, &run);

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

/*
 * What only a record will say at the end needs none at the beginning.  A store that is full
 * takes none: that is when an expire is needed most, and it is only a guard.
 */
Error *
expire_runs_begin(Expire *expire)
{
	ExpireEvidence run = {.finished = false};

	expire->kind->sum(expire, &run);
	if (run.removed == 0)
		return NULL;

	Error *error = write_run(expire, expire->now, &run);

	if (!error_is(error, ERR_SYSTEM))
		return error;
	notice(&expire->notices, LOG_WARNING, "It removes all the same: what is full is emptied so.",
	       "that this run begins could not be noted: %s", error_message(error));
	error_free(error);
	return NULL;
}

/* Nightly runs that remove nothing say nothing new. */
Error *
expire_runs_end(Expire *expire)
{
	ExpireEvidence run = {.finished = true};

	if (expire->guard.has_last_run && expire->removed_objects == 0)
		return NULL;
	expire->kind->sum(expire, &run);
	return write_run(expire, clock_now(), &run);
}
