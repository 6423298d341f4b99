/* walship verify: is everything in the store that must be there?  walship/upkeep/verify.h has what that is. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "context.h"
#include "keys.h"
#include "print_verify.h"
#include "progress.h"
#include "table.h"
#include "walship/archive/layout.h"
#include "walship/base/crypto.h"
#include "walship/base/log.h"
#include "walship/base/mem.h"
#include "walship/base/size.h"
#include "walship/upkeep/verify.h"

#define STATUS_CHECKS_FAILED 8
#define STATUS_NO_BACKUP     9

#define ROTATE_MAX 1000

static const CommandOption options[] = {
	{"deep", OPTION_FLAG, NULL, "read everything, decrypt it where there is a key, and check what it holds"},
	{"sample", OPTION_VALUE, "PERCENT", "read only so much of it, chosen anew each time: 5%"},
	{"newer", OPTION_VALUE, "AGE", "read only what came since: 7d"},
	{"rotate", OPTION_VALUE, "N", "read one of N parts, each time the next one: everything in N runs"},
	{"backup", OPTION_VALUE, "ID", "look at this backup alone"},
	{"acknowledge", OPTION_VALUE, "GAP",
     "this gap is known: FIRST or FIRST-LAST, names of segments; it counts no more, as long as nothing needs it"},
	{"note", OPTION_VALUE, "TEXT", "with --acknowledge: why"},
	{"json", OPTION_FLAG, NULL, "print one JSON object"},
	{"progress", OPTION_VALUE, "MODE", PROGRESS_OPTION_HELP},
};

static const OptionHeading headings[] = {
	{"deep", "What is read"},
	{"acknowledge", "A gap that is lost for good"},
	{"json", "What is shown"},
};

static Error *
read_sample(const char *text, uint32_t *ret_ppm)
{
	char *end = NULL;
	double percent = text[0] >= '0' && text[0] <= '9' ? strtod(text, &end) : 0;

	if (end == NULL || strcmp(end, "%") != 0 || percent <= 0 || percent > 100)
		return error_hint(error_new(ERR_USAGE, "\"%s\" is no sample", text),
		                  "Say how much of it: --sample 5%%");
	*ret_ppm = (uint32_t) (percent * 10000);
	if (*ret_ppm == 0)
		*ret_ppm = 1;
	return NULL;
}

/* What chooses from that which is read says that it is to be read. */
static Error *
read_choice(const Invocation *invocation, Verify *verify)
{
	const char *sample = invocation_value(invocation, "sample");
	const char *newer = invocation_value(invocation, "newer");
	const char *rotate = invocation_value(invocation, "rotate");
	uint64_t parts;
	int64_t age_ms;

	verify->deep = invocation_flag(invocation, "deep") || sample != NULL || newer != NULL || rotate != NULL;
	verify->choice.newer_than = TIME_NONE;
	random_bytes(&verify->choice.seed, sizeof(verify->choice.seed));
	if (sample != NULL)
		TRY(read_sample(sample, &verify->choice.sample_ppm));
	if (newer != NULL && (!duration_parse(newer, &age_ms) || age_ms == 0))
		return error_hint(error_new(ERR_USAGE, "\"%s\" is no age", newer), "Say how old at most: --newer 7d");
	if (newer != NULL)
		verify->choice.newer_than = clock_now() - age_ms * 1000;
	if (rotate != NULL && (!str_to_uint64(rotate, &parts) || parts < 2 || parts > ROTATE_MAX))
		return error_hint(error_new(ERR_USAGE, "\"%s\" is no number of parts", rotate),
		                  "From a nightly timer, everything in a month: --rotate 30");
	if (rotate != NULL)
		verify->choice.rotate = (int) parts;
	verify->backup = invocation_value(invocation, "backup");
	if (verify->backup != NULL && !layout_is_backup_id(verify->backup))
		return error_hint(error_new(ERR_USAGE, "\"%s\" is no id of a backup", verify->backup),
		                  "\"walship list\" shows them.");
	return NULL;
}

static Error *
acknowledge(Invocation *invocation, Verify *verify)
{
	const char *value = invocation_value(invocation, "acknowledge");
	const char *note = invocation_value(invocation, "note");
	const char *dash = value == NULL ? NULL : strchr(value, '-');

	if (value == NULL)
		return note == NULL ? NULL : error_new(ERR_USAGE, "--note is for --acknowledge");
	if (note != NULL && strlen(note) > KNOWN_GAP_NOTE_MAX)
		return error_new(ERR_USAGE, "--note is longer than %d bytes", KNOWN_GAP_NOTE_MAX);
	if (verify->backup != NULL)
		return error_new(ERR_USAGE, "--acknowledge looks at everything: leave --backup out");

	AUTO_FREE char *first = dash == NULL ? mem_strdup(value) : mem_strndup(value, (size_t) (dash - value));
	AUTO_FREE char *last = mem_strdup(dash == NULL ? value : dash + 1);
	Error *error =
		verify_acknowledge(verify, &(KnownGap){.first = first, .last = last, .note = (char *) note});

	if (error_is(error, ERR_EXISTS))
		invocation_set_status(invocation, STATUS_CHECKS_FAILED);
	return error;
}

static void
add_progress(void *progress, uint64_t bytes)
{
	progress_add(progress, bytes);
}

static Error *
verify_by_options(const Invocation *invocation, Verify *verify)
{
	AUTO(Progress) progress = NULL;

	TRY(progress_new(invocation, "verify", &progress));
	progress_set(progress, verify->deep ? "reading" : "listing", 0, 0);
	verify->on_bytes = add_progress;
	verify->on_bytes_context = progress;
	verify->notices = progress_notices(progress);

	Error *error = verify_run(verify);

	progress_end(progress);
	verify->notices = log_notices();
	return error_context(error, "could not verify");
}

static void
summarize(Invocation *invocation, const Verify *verify)
{
	const Finding *first = verify->findings.items;

	if (verify->findings.count == 0)
		invocation_set_summary(invocation,
		                       "nothing is missing of %" PRIu64 " backups and %" PRIu64 " WAL segments",
		                       verify->counts.backups, verify->counts.segments);
	else
		invocation_set_summary(invocation, "%" PRIu64 " finding%s; the first: %s %s %s: %s",
		                       verify->findings.found, verify->findings.found == 1 ? "" : "s",
		                       finding_kind_text(first->kind), finding_object_text(first->object),
		                       first->key == NULL ? "" : first->key, first->reason);
}

static Error *
run(Invocation *invocation)
{
	const Settings *settings = invocation_settings(invocation);
	const char *retention = settings_text(settings, SETTING_retention);
	AUTO(AgeIdentities) identities = NULL;
	AUTO(Store) store = NULL;
	AUTO_VERIFY verify = {.walship_version = WALSHIP_VERSION,
	                      .zone = settings_text(settings, SETTING_timezone),
	                      .state_dir = settings_text(settings, SETTING_state_dir),
	                      .jobs = (int) settings_integer(settings, SETTING_jobs)};
	RetentionPolicy policy;

	TRY(read_choice(invocation, &verify));
	if (retention != NULL)
		TRY(retention_parse(retention, &policy));
	TRY(keys_identities(settings, &identities));
	TRY(context_open_store(settings, &store));
	TRY(context_system_in_store(settings, store, &verify.system_identifier));
	verify.store = store;
	verify.identities = identities;
	verify.retention = retention == NULL ? NULL : &policy;

	Error *error = verify_by_options(invocation, &verify);

	if (error_is(error, ERR_NOT_FOUND))
		invocation_set_status(invocation, STATUS_NO_BACKUP);
	TRY(error);
	TRY(acknowledge(invocation, &verify));
	if (invocation_flag(invocation, "json"))
		print_verify_json(&verify, stdout);
	else
		print_verify_text(&verify, stdout);
	summarize(invocation, &verify);
	if (!verify_passed(&verify))
		invocation_set_status(invocation, STATUS_CHECKS_FAILED);
	TRY(print_flush());
	return verify_store_evidence(&verify);
}

const Command command_verify = {
	.name = "verify",
	.summary = "looks whether everything is in the store that must be there",
	.arguments = "",
	.description =
		"By listings and the small objects: every WAL segment from the oldest that is needed to the newest, history\n"
		"files with their digests, and every object of every backup with its size; records by their seals. One line\n"
		"for each finding, with the remedy; then what can be recovered, with the holes in it. What is needed follows\n"
		"from the setting \"retention\" or, without it, from what the last expire went by: what that removed is not\n"
		"missing. With --deep contents, too: decrypted where there is a key, decompressed, hashed; files of backups are\n"
		"checked against the manifest, records of WAL are walked. What is read meanwhile is protected by leases. What\n"
		"was looked at, and what came of it, is evidence in the store: proof/<time>-verify.json.",
	.examples = "  walship verify\n"
				"  walship verify --rotate 30\n"
				"  walship verify --json | jq -r '.findings[].key'\n",
	.statuses = "0 2 4 5 7 8 9",
	.options = options,
	.n_options = lengthof(options),
	.headings = headings,
	.n_headings = lengthof(headings),
	.tells = TELLS_OUTCOME,
	.tells_more = "verify",
	.tells_apart = "deep sample newer backup",
	.run = run,
};
