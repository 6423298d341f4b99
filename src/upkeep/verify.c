/* The order of a verify; see walship/upkeep/verify.h. */
#include "walship/upkeep/verify.h"

#include "verify_steps.h"
#include "walship/archive/layout.h"
#include "walship/archive/sealed_json.h"
#include "walship/base/json_fields.h"
#include "walship/base/mem.h"

#define KIND      "verify"
#define TRIES_MAX 100 /* one a second: so many others may write theirs at the same time */

static Error *
read_catalog(Verify *verify)
{
	catalog_free(verify->catalog);
	verify->catalog = NULL;
	return catalog_read(verify->store, verify->system_identifier, verify->jobs, &verify->catalog);
}

static const BackupRecord *
asked_backup(const Verify *verify)
{
	for (size_t i = 0; i < verify->catalog->n_backups; i++)
		if (str_equal(verify->catalog->backups[i]->id, verify->backup))
			return verify->catalog->backups[i];
	return NULL;
}

/* One whose record is damaged or missing has its findings, too. */
static Error *
check_backup_exists(const Verify *verify)
{
	AUTO_FREE char *damaged = mem_printf("%s: ", verify->backup == NULL ? "" : verify->backup);
	const Catalog *catalog = verify->catalog;

	if (verify->backup == NULL || asked_backup(verify) != NULL ||
	    strlist_contains(&catalog->unfinished, verify->backup))
		return NULL;
	for (size_t i = 0; i < catalog->damaged.count; i++)
		if (str_starts_with(catalog->damaged.items[i], damaged))
			return NULL;
	return error_hint(error_new(ERR_NOT_FOUND, "there is no backup \"%s\"", verify->backup),
	                  "\"walship list\" shows them.");
}

/* Of WAL, one backup alone needs its own, where it does not bring it along. */
static bool
is_of_others(void *context, const Finding *finding)
{
	const Verify *verify = context;
	const BackupRecord *backup = asked_backup(verify);
	uint32_t size = verify->catalog->segment_size;

	if (finding->wal.timeline == 0)
		return !str_equal(finding->backup, verify->backup);
	return backup == NULL || backup->wal_inside || finding->object != FINDING_OF_SEGMENT ||
	       finding->wal.timeline != backup->timeline ||
	       finding->wal.last < lsn_segment(backup->start_lsn, size) ||
	       finding->wal.first > lsn_segment_before(backup->stop_lsn, size);
}

static Error *
look_at_lists(Verify *verify)
{
	TRY(verify_backups(verify));
	TRY(verify_forget_removed(verify));

	/* What planners go by: a backup that lacks parts is none. */
	TRY(catalog_look_at_parts(verify->store, verify->system_identifier, verify->catalog->backups,
	                          verify->catalog->n_backups));
	if (verify->backup == NULL)
		TRY(verify_histories(verify));
	verify_segment_sizes(verify);
	return verify_windows(verify);
}

/* The lists come last: what was removed while contents were read is not missing there. */
Error *
verify_run(Verify *verify)
{
	verify->now = clock_now();
	TRY(read_catalog(verify));
	TRY(check_backup_exists(verify));
	if (verify->deep)
	{
		TRY(verify_deep(verify));
		TRY(read_catalog(verify));
	}
	TRY(look_at_lists(verify));
	if (verify->backup != NULL)
	{
		verify_drop_findings(verify, is_of_others, verify);
		window_list_release(&verify->windows);
	}
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
	char *backup;
	bool deep;
	uint64_t sample_ppm;
	TimeUs newer_than;
	VerifyReads reads;
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
	{"backup", &json_string, JSON_AT(VerifyEvidence, backup), .flags = JSON_OPTIONAL},
	{"deep", &json_bool, JSON_AT(VerifyEvidence, deep)},
	{"sample_ppm", &json_uint, JSON_AT(VerifyEvidence, sample_ppm), .flags = JSON_OPTIONAL},
	{"newer_than", &json_time, JSON_AT(VerifyEvidence, newer_than), .flags = JSON_OPTIONAL},
	{"read_objects", &json_uint, JSON_AT(VerifyEvidence, reads.objects)},
	{"read_segments", &json_uint, JSON_AT(VerifyEvidence, reads.segments)},
	{"read_size", &json_uint, JSON_AT(VerifyEvidence, reads.stored_size)},
	{"locked", &json_uint, JSON_AT(VerifyEvidence, reads.locked)},
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
	                           .backup = (char *) verify->backup,
	                           .deep = verify->deep,
	                           .sample_ppm = verify->choice.sample_ppm,
	                           .newer_than = verify->deep ? verify->choice.newer_than : TIME_NONE,
	                           .reads = verify->reads,
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
