/* An expire as settings and options have it; see expire_settings.h. */
#include "expire_settings.h"

#include <stdio.h>

#include "context.h"
#include "print_expire.h"
#include "progress.h"
#include "table.h"
#include "walship/base/log.h"
#include "walship/base/retention.h"

#define STATUS_REFUSED 8

Error *
expire_check_settings(const Settings *settings)
{
	if (settings_text(settings, SETTING_retention) != NULL)
		return NULL;
	return error_hint(error_new(ERR_USAGE, "setting \"retention\" is not set, so nothing may be removed"),
	                  "Write what is to be kept into the settings file, for instance: "
	                  "retention = window 7d, daily 7, weekly 4, monthly 12");
}

Error *
expire_check_dump_settings(const Settings *settings)
{
	if (settings_text(settings, SETTING_dump_retention) != NULL)
		return NULL;
	return error_hint(
		error_new(ERR_USAGE, "setting \"dump_retention\" is not set, so no dump may be removed"),
		"Write what is to be kept into the settings file, for instance: "
		"dump_retention = last 3, daily 7, weekly 4");
}

static bool
has_flag(const Invocation *invocation, ExpireSays says, const char *flag)
{
	return (says == EXPIRE_SAYS_PLAN || says == EXPIRE_SAYS_JSON) && invocation_flag(invocation, flag);
}

typedef struct Kind
{
	const ExpireKind *kind;
	SettingId retention;
	void (*print_plan)(const Expire *expire, FILE *into);
	void (*put)(const Expire *expire, bool dry_run, Json *into);
	const char *refused;
	const char *failed;
} Kind;

static const Kind kinds[EXPIRE_KINDS] = {
	[EXPIRE_BACKUPS] = {&expire_of_backups, SETTING_retention, print_expire_plan, expire_put,
                        "nothing was removed", "could not expire"},
	[EXPIRE_DUMPS] = {&expire_of_dumps, SETTING_dump_retention, print_expire_records_plan, expire_records_put,
                      "no dump was removed", "could not expire dumps"},
	[EXPIRE_FILES] = {&expire_of_files, SETTING_files_retention, print_expire_records_plan,
                      expire_records_put, "no set of files was removed", "could not expire files"},
};

bool
expire_has_retention(const Settings *settings, ExpireOf of)
{
	return settings_text(settings, kinds[of].retention) != NULL;
}

static void
add_progress(void *progress, uint64_t removed)
{
	progress_add(progress, removed);
}

static Error *
run_with_progress(const Invocation *invocation, Expire *expire)
{
	AUTO(Progress) progress = NULL;

	TRY(progress_new(invocation, "expire", &progress));
	progress_counts_objects(progress);
	progress_set(progress, "removing", 0, 0);
	expire->on_objects = add_progress;
	expire->on_objects_context = progress;

	Error *error = expire_run(expire);

	progress_end(progress);
	return error;
}

static Error *
plan_and_run(const Invocation *invocation, const Kind *kind, Expire *expire, ExpireSays says, Json *into)
{
	bool dry_run = has_flag(invocation, says, "dry-run");

	TRY(expire_plan(expire));
	if (says == EXPIRE_SAYS_PLAN)
	{
		kind->print_plan(expire, stdout);
		TRY(print_flush());
	}

	Error *error = dry_run ? expire_refusal(expire) : run_with_progress(invocation, expire);

	if (says == EXPIRE_SAYS_SUMMARY && expire->refused)
		kind->print_plan(expire, stdout);
	if (says == EXPIRE_SAYS_JSON && (error == NULL || expire->refused))
		kind->put(expire, dry_run, into);
	if (error == NULL && !dry_run && (says == EXPIRE_SAYS_PLAN || says == EXPIRE_SAYS_SUMMARY))
		print_expire_done(expire, stdout);
	return error;
}

Error *
expire_by_settings(Invocation *invocation, Store *store, uint64_t system_identifier, ExpireOf of,
                   ExpireSays says, Json *into)
{
	const Settings *settings = invocation_settings(invocation);
	const Kind *kind = &kinds[of];
	AUTO_EXPIRE_BACKUPS backups = {0};
	AUTO_EXPIRE_RECORDS records = {0};
	Expire *expire = of == EXPIRE_BACKUPS ? &backups.common : &records.common;

	*expire = (Expire){.kind = kind->kind,
	                   .store = store,
	                   .system_identifier = system_identifier,
	                   .zone = settings_text(settings, SETTING_timezone),
	                   .force = has_flag(invocation, says, "force"),
	                   .jobs = (int) settings_integer(settings, SETTING_jobs),
	                   .notices = log_notices()};
	if (of == EXPIRE_BACKUPS)
		expire->backup_max_age_ms = settings_ms(settings, SETTING_backup_max_age);
	TRY(retention_parse(settings_text(settings, kind->retention), &expire->policy));

	Error *error = plan_and_run(invocation, kind, expire, says, into);

	if (expire->refused)
		invocation_set_status(invocation, STATUS_REFUSED);
	return error_context(error, "%s", expire->refused ? kind->refused : kind->failed);
}
