/* The order of a verify; see walship/upkeep/verify.h. */
#include "walship/upkeep/verify.h"

#include "verify_steps.h"
#include "walship/archive/layout.h"
#include "walship/archive/sealed_json.h"
#include "walship/base/json_fields.h"
#include "walship/base/mem.h"

#define KIND      "verify"
#define TRIES_MAX 100 /* one a second: so many others may write theirs at the same time */

Error *
verify_run(Verify *verify)
{
	verify->now = clock_now();
	TRY(catalog_read(verify->store, verify->system_identifier, verify->jobs, &verify->catalog));
	TRY(verify_backups(verify));
	TRY(verify_forget_removed(verify));

	/* What planners go by: a backup that lacks parts is none. */
	TRY(catalog_look_at_parts(verify->store, verify->system_identifier, verify->catalog->backups,
	                          verify->catalog->n_backups));
	TRY(verify_histories(verify));
	verify_segment_sizes(verify);
	TRY(verify_windows(verify));
	verify_sort_findings(verify);
	return NULL;
}

/* Of each kind so many; the findings themselves are made anew by the next run. */
typedef struct VerifyEvidence
{
	TimeUs time;
	TimeUs ended;
	bool passed;
	const char *walship_version;
	VerifyCounts counts;
	uint64_t found;
	uint64_t kinds[N_FINDING_KINDS];
} VerifyEvidence;

static const JsonField evidence_fields[] = {
	{"kind", &json_constant, .text = "verify"},
	{"time", &json_time, JSON_AT(VerifyEvidence, time)},
	{"ended", &json_time, JSON_AT(VerifyEvidence, ended)},
	{"passed", &json_bool, JSON_AT(VerifyEvidence, passed)},
	{"walship", &json_string, JSON_AT(VerifyEvidence, walship_version)},
	{"backups", &json_uint, JSON_AT(VerifyEvidence, counts.backups)},
	{"objects", &json_uint, JSON_AT(VerifyEvidence, counts.objects)},
	{"segments", &json_uint, JSON_AT(VerifyEvidence, counts.segments)},
	{"histories", &json_uint, JSON_AT(VerifyEvidence, counts.histories)},
	{"stored_size", &json_uint, JSON_AT(VerifyEvidence, counts.stored_size)},
	{"found", &json_uint, JSON_AT(VerifyEvidence, found)},
	{"missing", &json_uint, JSON_AT(VerifyEvidence, kinds[FINDING_MISSING])},
	{"truncated", &json_uint, JSON_AT(VerifyEvidence, kinds[FINDING_TRUNCATED])},
	{"corrupt", &json_uint, JSON_AT(VerifyEvidence, kinds[FINDING_CORRUPT])},
	{"foreign", &json_uint, JSON_AT(VerifyEvidence, kinds[FINDING_FOREIGN])},
	{"orphaned", &json_uint, JSON_AT(VerifyEvidence, kinds[FINDING_ORPHANED])},
	{"unreadable_key", &json_uint, JSON_AT(VerifyEvidence, kinds[FINDING_UNREADABLE_KEY])},
	{"untrusted", &json_uint, JSON_AT(VerifyEvidence, kinds[FINDING_UNTRUSTED])},
	{"gaps", &json_uint, JSON_AT(VerifyEvidence, kinds[FINDING_GAP])},
};
static const JsonTable evidence_table = JSON_TABLE(VerifyEvidence, evidence_fields);

static Error *
store_under_free_key(const Verify *verify, const VerifyEvidence *evidence)
{
	for (int tries = 0;; tries++)
	{
		AUTO_FREE char *key =
			layout_proof_key(verify->system_identifier, verify->now + tries * INT64_C(1000000), KIND);
		Error *error = sealed_json_put(verify->store, key, &evidence_table, evidence);

		if (!error_is(error, ERR_EXISTS) || tries == TRIES_MAX)
			return error;
		error_free(error);
	}
}

Error *
verify_store_evidence(const Verify *verify)
{
	VerifyEvidence evidence = {.time = verify->now,
	                           .ended = clock_now(),
	                           .passed = verify_passed(verify),
	                           .walship_version = verify->walship_version,
	                           .counts = verify->counts,
	                           .found = verify->findings.found};

	for (int kind = 0; kind < N_FINDING_KINDS; kind++)
		evidence.kinds[kind] = verify_count(verify, (FindingKind) kind);

	AUTO(Error) error = store_under_free_key(verify, &evidence);

	if (!error_is(error, ERR_DENIED))
		return MOVE(error);
	notice(&verify->notices, LOG_WARNING,
	       "Let the credentials write below <system>/proof/, or nothing tells later that this was looked at.",
	       "could not store the evidence: %s", error_message(error));
	return NULL;
}
