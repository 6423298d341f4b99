/* walship copy: a second store for the objects of the first; walship/upkeep/copy.h has the order. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "commands.h"
#include "context.h"
#include "keys.h"
#include "print_copy.h"
#include "progress.h"
#include "table.h"
#include "walship/base/mem.h"
#include "walship/base/size.h"
#include "walship/store/store.h"
#include "walship/upkeep/copy.h"
#include "walship/upkeep/heal.h"

#define STATUS_DAMAGED 8

static const CommandOption options[] = {
	{"to", OPTION_VALUE, "STORE", "copy into this store: a URL, or the name of a section [store NAME]"},
	{"from", OPTION_VALUE, "STORE", "copy from this store into the one of the settings"},
	{"backup", OPTION_VALUE, "ID", "only this backup, and the WAL that it needs and does not bring along"},
	{"window", OPTION_MAYBE, "TIME",
     "only what makes every moment of the last TIME recoverable (default: the window of \"retention\")"},
	{"heal", OPTION_FLAG, NULL,
     "with --from: bring back only what \"walship verify\" finds missing or damaged in the store of the settings"},
	{"deep", OPTION_FLAG, NULL, "with --heal: read everything there, as \"walship verify --deep\" does"},
	{"dry-run", OPTION_FLAG, NULL, "only print what would be copied, with the exit code of the run"},
	{"json", OPTION_FLAG, NULL, "print one JSON object"},
	{"progress", OPTION_VALUE, "MODE", PROGRESS_OPTION_HELP},
};

static const OptionHeading headings[] = {
	{"to", "To where, or from where"},
	{"backup", "What"},
	{"dry-run", "What is shown"},
};

/* What the target's own rules keep. */
typedef struct TargetRules
{
	RetentionPolicy dumps;
	RetentionPolicy files;
} TargetRules;

static Error *
parse_rules(const Settings *target, SettingId id, RetentionPolicy *rules, bool *ret_set)
{
	const char *text = target == NULL ? NULL : settings_text(target, id);

	*ret_set = text != NULL;
	return text == NULL ? NULL : retention_parse(text, rules);
}

/* "target": NULL is a URL, which says nothing of what is to be kept there. */
static Error *
choose_by_target(const Settings *target, StoreCopy *copy, TargetRules *rules)
{
	bool set;

	TRY(parse_rules(target, SETTING_retention, &copy->policy, &copy->has_policy));
	TRY(parse_rules(target, SETTING_dump_retention, &rules->dumps, &set));
	copy->dump_policy = set ? &rules->dumps : NULL;
	TRY(parse_rules(target, SETTING_files_retention, &rules->files, &set));
	copy->files_policy = set ? &rules->files : NULL;
	return NULL;
}

/* "--window 7d", or as long as the window of the setting "retention". */
static Error *
choose_window(const Invocation *invocation, StoreCopy *copy)
{
	const char *window = invocation_value(invocation, "window");
	bool set;

	if (window == NULL)
		TRY(parse_rules(invocation_settings(invocation), SETTING_retention, &copy->policy, &set));
	else if (!duration_parse(window, &copy->policy.window_ms) || copy->policy.window_ms <= 0)
		return error_hint(error_new(ERR_USAGE, "\"%s\" is no length of a window", window),
		                  "Write a time such as 36h or 7d.");
	if (copy->policy.window_ms == 0)
		return error_hint(error_new(ERR_USAGE, "setting \"retention\" has no window"),
		                  "Say how long it is: --window 7d.");
	copy->policy = (RetentionPolicy){.window_ms = copy->policy.window_ms};
	copy->has_policy = true;
	copy->dump_policy = copy->files_policy = &copy->policy;
	return NULL;
}

static Error *
choose_what(const Invocation *invocation, const Settings *target, StoreCopy *copy, TargetRules *rules)
{
	copy->backup = invocation_value(invocation, "backup");
	if (copy->backup != NULL && invocation_flag(invocation, "window"))
		return error_new(ERR_USAGE, "options \"--backup\" and \"--window\" exclude each other");
	return invocation_flag(invocation, "window") ? choose_window(invocation, copy)
	                                             : choose_by_target(target, copy, rules);
}

static void
add_progress(void *progress, uint64_t bytes)
{
	progress_add(progress, bytes);
}

static Error *
copy_with_progress(const Invocation *invocation, StoreCopy *copy)
{
	AUTO(Progress) progress = NULL;
	uint64_t total = 0;

	TRY(progress_new(invocation, "copy", &progress));
	progress_set(progress, "comparing", 0, 0);
	copy->notices = progress_notices(progress);
	TRY(store_copy_plan(copy));
	if (!invocation_flag(invocation, "dry-run"))
	{
		for (int kind = 0; kind < N_STORE_COPY_KINDS; kind++)
			total += copy->lacking[kind].size;
		progress_set(progress, "copying", 0, total);
		copy->on_bytes = add_progress;
		copy->on_bytes_context = progress;
		TRY(store_copy_run(copy));
	}
	copy->notices = (Notices){0};
	return NULL;
}

static void
summarize(Invocation *invocation, const StoreCopy *copy)
{
	uint64_t objects = 0;

	for (int kind = 0; kind < N_STORE_COPY_KINDS; kind++)
		objects += copy->sent[kind].objects;
	if (copy->n_findings == 0)
		invocation_set_summary(invocation, "%" PRIu64 " objects copied to \"%s\"", objects,
		                       store_url(copy->target));
	else
		invocation_set_summary(
			invocation, "%" PRIu64 " objects copied to \"%s\", and %zu not; the first: %s: %s", objects,
			store_url(copy->target), copy->n_findings, copy->findings[0].key, copy->findings[0].reason);
}

static Error *
heal_with_progress(const Invocation *invocation, Heal *heal)
{
	AUTO(Progress) progress = NULL;

	TRY(progress_new(invocation, "heal", &progress));
	progress_set(progress, heal->deep ? "reading" : "listing", 0, 0);
	heal->notices = progress_notices(progress);
	heal->on_bytes = add_progress;
	heal->on_bytes_context = progress;
	return heal_run(heal);
}

static Error *
heal_store(Invocation *invocation, Store *store, Store *other)
{
	const Settings *settings = invocation_settings(invocation);
	const char *retention = settings_text(settings, SETTING_retention);
	AUTO(AgeIdentities) identities = NULL;
	AUTO_HEAL heal = {.store = store,
	                  .other = other,
	                  .zone = settings_text(settings, SETTING_timezone),
	                  .jobs = (int) settings_integer(settings, SETTING_jobs),
	                  .deep = invocation_flag(invocation, "deep"),
	                  .dry_run = invocation_flag(invocation, "dry-run"),
	                  .spool_directory = settings_text(settings, SETTING_state_dir)};
	RetentionPolicy policy;

	if (retention != NULL)
	{
		TRY(retention_parse(retention, &policy));
		heal.retention = &policy;
	}
	TRY(keys_identities(settings, &identities));
	heal.identities = identities;
	TRY(context_system_in_store(settings, store, &heal.system_identifier));
	TRY(heal_with_progress(invocation, &heal));
	if (invocation_flag(invocation, "json"))
		print_heal_json(&heal, stdout);
	else
		print_heal_text(&heal, stdout);
	if (heal.n_failures > 0 || heal.verify.findings.count > 0)
		invocation_set_status(invocation, STATUS_DAMAGED);
	return NULL;
}

static Error *
check_heal_options(const Invocation *invocation, bool to)
{
	bool heals = invocation_flag(invocation, "heal");

	if (heals && to)
		return error_hint(error_new(ERR_USAGE, "\"--heal\" goes with \"--from\""),
		                  "What is healed is the store of the settings: choose it with --store.");
	if (!heals && invocation_flag(invocation, "deep"))
		return error_new(ERR_USAGE, "\"--deep\" goes with \"--heal\"");
	if (heals && (invocation_flag(invocation, "window") || invocation_value(invocation, "backup") != NULL))
		return error_new(ERR_USAGE, "\"--heal\" goes with neither \"--backup\" nor \"--window\"");
	return NULL;
}

static Error *
run(Invocation *invocation)
{
	static const char *const directions[] = {"to", "from"};
	const Settings *settings = invocation_settings(invocation);
	bool dry_run = invocation_flag(invocation, "dry-run");
	AUTO(Settings) other = NULL;
	AUTO(Store) ours = NULL;
	AUTO(Store) theirs = NULL;
	AUTO_STORE_COPY copy = {.zone = settings_text(settings, SETTING_timezone),
	                        .jobs = (int) settings_integer(settings, SETTING_jobs),
	                        .spool_directory = settings_text(settings, SETTING_state_dir)};
	TargetRules rules;
	const Settings *target = settings;
	int direction;

	TRY(invocation_choice(invocation, directions, lengthof(directions), &direction));
	if (direction < 0)
		return error_hint(error_new(ERR_USAGE, "\"copy\" needs \"--to STORE\" or \"--from STORE\""),
		                  "The other one is the store of the settings.");
	TRY(check_heal_options(invocation, direction == 0));
	TRY(error_context(
		settings_of_store(settings, invocation_value(invocation, directions[direction]), &other),
		"option --%s", directions[direction]));
	if (direction == 0)
		target = strstr(invocation_value(invocation, "to"), "://") != NULL ? NULL : other;
	TRY(choose_what(invocation, target, &copy, &rules));
	TRY(context_open_store(settings, &ours));
	TRY(error_context(context_open_store(other, &theirs), "option --%s", directions[direction]));
	if (context_is_same_store(ours, theirs))
		return error_new(ERR_USAGE, "both are the same store, \"%s\"", store_url(ours));
	if (invocation_flag(invocation, "heal"))
		return heal_store(invocation, ours, theirs);
	copy.source = direction == 0 ? ours : theirs;
	copy.target = direction == 0 ? theirs : ours;
	TRY(context_system_in_store(settings, copy.source, &copy.system_identifier));
	TRY(copy_with_progress(invocation, &copy));
	if (invocation_flag(invocation, "json"))
		print_copy_json(&copy, dry_run, stdout);
	else
		print_copy_text(&copy, dry_run, stdout);
	summarize(invocation, &copy);
	if (store_copy_found(&copy, STORE_COPY_DAMAGED) || store_copy_found(&copy, STORE_COPY_LACKING))
		invocation_set_status(invocation, STATUS_DAMAGED);
	else if (store_copy_found(&copy, STORE_COPY_DIFFERS))
		return error_hint(
			error_new(ERR_EXISTS, "store \"%s\" has other objects under the same keys",
		              store_url(copy.target)),
			"They were left as they are: one of the two stores is damaged, or is another database system's.");
	return NULL;
}

const Command command_copy = {
	.name = "copy",
	.summary = "copies backups and WAL into another store, or from there",
	.arguments = "",
	.description =
		"Lists both stores and sends what the target lacks: WAL, the oldest first, then backups, their records last.\n"
		"Run it again, from a timer, and it sends what is new; killed, the next run goes on. Nothing in the target is\n"
		"overwritten or removed. It needs no key: what passes is checked by the digests beside it. Of a store that has\n"
		"a section [store NAME] with a \"retention\" only what that keeps is copied; without, everything. Exit 8:\n"
		"something is damaged at the source, and was not copied; exit 3: the target has another object of that name.\n"
		"With --heal it mends the store of the settings: what a verify finds missing or damaged comes from the other\n"
		"one, and nothing else. Exit 8 then: something is still missing or damaged.",
	.examples = "  walship copy --to offsite\n"
				"  walship copy --from file:///mnt/disk --dry-run\n"
				"  walship copy --heal --from offsite\n",
	.statuses = "0 1 2 3 4 5 7 8",
	.options = options,
	.n_options = lengthof(options),
	.headings = headings,
	.n_headings = lengthof(headings),
	.tells = TELLS_OUTCOME,
	.tells_more = "check",
	.tells_apart = "to from backup window",
	.run = run,
};
