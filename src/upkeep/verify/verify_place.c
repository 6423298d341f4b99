/*
 * How far a deep verify has come, in the state directory: one that is broken off goes on
 * there.  All is read in the order of the keys, so one key says it.  What was found is in
 * no note: from the first finding on the place stays, and the next run finds it again.
 */
#include <inttypes.h>
#include <string.h>

#include "verify_steps.h"
#include "walship/base/json_fields.h"
#include "walship/base/mem.h"
#include "walship/base/state_note.h"
#include "walship/wal/json.h"

#define VALID_MS   (INT64_C(8) * 86400 * 1000) /* a weekly run goes on where the last one's time was over */
#define CLOCKS_US  (INT64_C(3600) * 1000000)   /* so far the store's clock may be from ours */
#define BEHIND_ALL "~"                         /* comes after whatever a key may have */

typedef struct Place
{
	char *after;
	TimeUs since;
	VerifyReads reads;
} Place;

static const JsonField place_fields[] = {
	{"after", &json_string, JSON_AT(Place, after)},
	{"since", &json_time, JSON_AT(Place, since)},
	{"objects", &json_uint, JSON_AT(Place, reads.objects)},
	{"segments", &json_uint, JSON_AT(Place, reads.segments)},
	{"stored_size", &json_uint, JSON_AT(Place, reads.stored_size)},
	{"locked", &json_uint, JSON_AT(Place, reads.locked)},
};
static const JsonTable place_table = JSON_TABLE(Place, place_fields);

/* Of what is chosen anew each time, or is small, nothing is noted. */
static bool
has_place(const Verify *verify)
{
	const VerifyChoice *choice = &verify->choice;

	return verify->state_dir != NULL && verify->backup == NULL && choice->sample_ppm == 0 &&
	       choice->rotate == 0 && choice->newer_than == TIME_NONE;
}

/* With another key other things can be read. */
static StateNote
note_of(const Verify *verify)
{
	return (StateNote){.directory = verify->state_dir,
	                   .name = mem_printf("verify-%" PRIu64, verify->system_identifier),
	                   .binding = mem_printf("deep verify of system %" PRIu64 ", %s a key\n%s",
	                                         verify->system_identifier,
	                                         age_identities_any(verify->identities) ? "with" : "without",
	                                         store_identity(verify->store)),
	                   .valid_ms = VALID_MS};
}

void
verify_find_place(Verify *verify)
{
	AUTO_STATE_NOTE note = note_of(verify);
	AUTO_BUF(text, STATE_NOTE_SIZE_MAX);
	AUTO(Json) root = NULL;
	AUTO(Error) error = NULL;
	Place place = {0};
	char time[TIME_TEXT_SIZE];

	verify->choice.since = verify->now;
	if (!has_place(verify) || !state_note_read(&note, &text))
		return;
	error = json_parse(text.data, text.size, "place", &root);
	if (error == NULL)
		error = json_take(root, &place_table, &place);
	if (error != NULL || place.since > verify->now)
	{
		free(place.after);
		return;
	}
	verify->choice.since = place.since;
	verify->choice.after = verify->resumed_after = place.after;
	verify->reads = place.reads;
	verify_note(verify,
	            "goes on behind %s, where a run that began at %s was broken off: %" PRIu64
	            " objects and %" PRIu64 " segments of these were read then",
	            place.after, time_format_utc(place.since, time), place.reads.objects, place.reads.segments);
}

bool
verify_was_read(const VerifyChoice *choice, const char *key, TimeUs modified)
{
	return choice->after != NULL && strcmp(key, choice->after) <= 0 && modified < choice->since - CLOCKS_US;
}

void
deep_note_place(DeepVerify *deep, const char *key, bool all_below)
{
	const Verify *verify = deep->verify;
	AUTO_FREE char *after = mem_printf("%s%s", key, all_below ? BEHIND_ALL : "");
	AUTO(Json) root = json_new_object();
	AUTO_BUF(text, STATE_NOTE_SIZE_MAX);
	AUTO_STATE_NOTE note = note_of(verify);
	Place place = {.after = after, .since = verify->choice.since, .reads = verify->reads};

	if (!has_place(verify) || verify->findings.found > 0 ||
	    (verify->choice.after != NULL && strcmp(after, verify->choice.after) <= 0))
		return;
	json_put(root, &place_table, &place);
	json_print(root, false, &text);
	buf_puts(&text, "\n");

	/* Without it the next run begins at the beginning. */
	error_free(state_note_write(&note, text.data));
}

void
verify_forget_place(const Verify *verify)
{
	AUTO_STATE_NOTE note = note_of(verify);

	if (has_place(verify))
		error_free(state_note_remove(&note));
}
