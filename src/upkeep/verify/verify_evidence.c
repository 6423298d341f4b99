/* proof/<time>-verify.json: what verifies found, and which part of the archive each of them read. */
#include <stdlib.h>

#include "verify_steps.h"
#include "walship/archive/evidence.h"
#include "walship/archive/sealed_json.h"
#include "walship/base/json_fields.h"
#include "walship/base/mem.h"

#define KIND       "verify"
#define LOOKED_MAX 400 /* the newest ones: a month of hourly runs without --rotate lies between two with it */

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
	{"rotate", &json_uint, JSON_AT(VerifyEvidence, rotate), .flags = JSON_OPTIONAL},
	{"slice", &json_uint, JSON_AT(VerifyEvidence, slice), .flags = JSON_OPTIONAL},
	{"read_since", &json_time, JSON_AT(VerifyEvidence, read_since), .flags = JSON_OPTIONAL},
	{"read_objects", &json_uint, JSON_AT(VerifyEvidence, reads.objects)},
	{"read_segments", &json_uint, JSON_AT(VerifyEvidence, reads.segments)},
	{"read_size", &json_uint, JSON_AT(VerifyEvidence, reads.stored_size)},
	{"locked", &json_uint, JSON_AT(VerifyEvidence, reads.locked)},
	{"backups", &json_uint, JSON_AT(VerifyEvidence, counts.backups)},
	{"dumps", &json_uint, JSON_AT(VerifyEvidence, counts.dumps), .flags = JSON_OPTIONAL},
	{"file_sets", &json_uint, JSON_AT(VerifyEvidence, counts.file_sets), .flags = JSON_OPTIONAL},
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

Error *
verify_store_evidence(const Verify *verify)
{
	VerifyEvidence evidence = {.time = verify->now,
	                           .ended = clock_now(),
	                           .passed = verify_passed(verify),
	                           .walship_version = (char *) verify->walship_version,
	                           .backup = (char *) verify->backup,
	                           .deep = verify->deep,
	                           .sample_ppm = verify->choice.sample_ppm,
	                           .newer_than = verify->deep ? verify->choice.newer_than : TIME_NONE,
	                           .rotate = verify->choice.rotate,
	                           .slice = verify->choice.slice,
	                           .read_since = verify->resumed_after == NULL ? TIME_NONE : verify->choice.since,
	                           .reads = verify->reads,
	                           .counts = verify->counts,
	                           .found = verify->findings.found};

	for (int kind = 0; kind < N_FINDING_KINDS; kind++)
		evidence.kinds[kind] = verify_count(verify, (FindingKind) kind);

	AUTO(Error) error =
		evidence_put(verify->store, verify->system_identifier, verify->now, KIND, &evidence_table, &evidence);

	if (!error_is(error, ERR_DENIED))
		return MOVE(error);
	notice(&verify->notices, LOG_WARNING,
	       "Let the credentials write below <system>/proof/, or nothing tells later that this was looked at.",
	       "could not store the evidence: %s", error_message(error));
	return NULL;
}

void
verify_evidence_release(VerifyEvidence *evidence)
{
	free(evidence->walship_version);
	free(evidence->backup);
	*evidence = (VerifyEvidence){0};
}

/* A damaged one says nothing, and the one before it is asked. */
static Error *
find_newest(Store *store, uint64_t system_identifier, bool (*fits)(const VerifyEvidence *, int), int rotate,
            VerifyEvidence *ret_evidence, bool *ret_found)
{
	AUTO_STRLIST keys = {0};

	*ret_found = false;
	TRY(evidence_keys(store, system_identifier, KIND, &keys));
	for (size_t i = keys.count; i-- > 0 && keys.count - i <= LOOKED_MAX && !*ret_found;)
	{
		VerifyEvidence evidence = {.newer_than = TIME_NONE, .read_since = TIME_NONE};
		AUTO(Error) error = sealed_json_get(store, keys.items[i], &evidence_table, &evidence);

		*ret_found = error == NULL && fits(&evidence, rotate);
		if (*ret_found)
			*ret_evidence = evidence;
		else
			verify_evidence_release(&evidence);
		if (error != NULL && !error_is(error, ERR_CORRUPT) && !error_is(error, ERR_NOT_FOUND))
			return MOVE(error);
	}
	return NULL;
}

static bool
is_of_everything(const VerifyEvidence *evidence, int rotate)
{
	(void) rotate;
	return evidence->backup == NULL;
}

static bool
is_of_rotation(const VerifyEvidence *evidence, int rotate)
{
	return evidence->deep && evidence->rotate == (uint64_t) rotate && evidence->backup == NULL &&
	       evidence->sample_ppm == 0 && evidence->newer_than == TIME_NONE;
}

Error *
verify_evidence_newest(Store *store, uint64_t system_identifier, VerifyEvidence *ret_evidence,
                       bool *ret_found)
{
	return find_newest(store, system_identifier, is_of_everything, 0, ret_evidence, ret_found);
}

int
verify_slice_after(const VerifyEvidence *last, int rotate)
{
	return last == NULL ? 0 : (int) ((last->slice + 1) % (uint64_t) rotate);
}

/* Evidence is written at the end: a run that was broken off had no turn, and its part comes again. */
Error *
verify_choose_slice(Verify *verify)
{
	VerifyEvidence last;
	bool found;

	if (verify->choice.rotate == 0)
		return NULL;
	TRY(find_newest(verify->store, verify->system_identifier, is_of_rotation, verify->choice.rotate, &last,
	                &found));
	verify->choice.slice = verify_slice_after(found ? &last : NULL, verify->choice.rotate);
	if (found)
		verify_evidence_release(&last);
	return NULL;
}
