/* An expire as settings and options have it; see expire_settings.h. */
#include "expire_settings.h"

#include <stdio.h>

#include "context.h"
#include "print_expire.h"
#include "progress.h"
#include "table.h"
#include "walship/base/log.h"
#include "walship/base/retention.h"
#include "walship/upkeep/expire.h"
#include "walship/upkeep/expire_dumps.h"
#include "walship/upkeep/expire_files.h"

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

static void
add_progress(void *progress, uint64_t removed)
{
	progress_add(progress, removed);
}

/* A plan alone removes nothing, and is soon made. */
static Error *
begin_progress(const Invocation *invocation, bool dry_run, Progress **ret_progress)
{
	*ret_progress = NULL;
	if (dry_run)
		return NULL;
	TRY(progress_new(invocation, "expire", ret_progress));
	progress_counts_objects(*ret_progress);
	progress_set(*ret_progress, "removing", 0, 0);
	return NULL;
}

static void
end_progress(Progress *progress)
{
	if (progress != NULL)
		progress_end(progress);
}

static Error *
plan_and_run(const Invocation *invocation, Expire *expire, ExpireSays says, Json *into)
{
	bool dry_run = has_flag(invocation, says, "dry-run");
	AUTO(Progress) progress = NULL;

	TRY(expire_plan(expire));
	if (says == EXPIRE_SAYS_PLAN)
	{
		print_expire_plan(expire, stdout);
		TRY(print_flush());
	}

	TRY(begin_progress(invocation, dry_run, &progress));
	expire->on_objects = add_progress;
	expire->on_objects_context = progress;

	Error *error = dry_run ? expire_refusal(expire) : expire_run(expire);

	end_progress(progress);

	if (says == EXPIRE_SAYS_SUMMARY && expire->refused)
		print_expire_plan(expire, stdout);
	if (says == EXPIRE_SAYS_JSON && (error == NULL || expire->refused))
		expire_put(expire, dry_run, into);
	if (error == NULL && !dry_run && (says == EXPIRE_SAYS_PLAN || says == EXPIRE_SAYS_SUMMARY))
		print_expire_done(expire, stdout);
	return error;
}

Error *
expire_by_settings(Invocation *invocation, Store *store, uint64_t system_identifier, ExpireSays says,
                   Json *into)
{
	const Settings *settings = invocation_settings(invocation);
	AUTO_EXPIRE expire = {.store = store,
	                      .system_identifier = system_identifier,
	                      .zone = settings_text(settings, SETTING_timezone),
	                      .backup_max_age_ms = settings_ms(settings, SETTING_backup_max_age),
	                      .force = has_flag(invocation, says, "force"),
	                      .jobs = (int) settings_integer(settings, SETTING_jobs),
	                      .notices = log_notices()};

	TRY(retention_parse(settings_text(settings, SETTING_retention), &expire.policy));

	Error *error = plan_and_run(invocation, &expire, says, into);

	if (expire.refused)
		invocation_set_status(invocation, STATUS_REFUSED);
	return error_context(error, expire.refused ? "nothing was removed" : "could not expire");
}

static Error *
plan_and_run_dumps(const Invocation *invocation, ExpireDumps *expire, ExpireSays says, Json *into)
{
	bool dry_run = has_flag(invocation, says, "dry-run");
	Expire *common = &expire->common;
	AUTO(Progress) progress = NULL;

	TRY(expire_dumps_plan(expire));
	if (says == EXPIRE_SAYS_PLAN)
	{
		print_expire_dumps_plan(expire, stdout);
		TRY(print_flush());
	}

	TRY(begin_progress(invocation, dry_run, &progress));
	common->on_objects = add_progress;
	common->on_objects_context = progress;

	Error *error = dry_run ? expire_dumps_refusal(expire) : expire_dumps_run(expire);

	end_progress(progress);

	if (says == EXPIRE_SAYS_SUMMARY && common->refused)
		print_expire_dumps_plan(expire, stdout);
	if (says == EXPIRE_SAYS_JSON && (error == NULL || common->refused))
		expire_dumps_put(expire, dry_run, into);
	if (error == NULL && !dry_run && (says == EXPIRE_SAYS_PLAN || says == EXPIRE_SAYS_SUMMARY))
		print_expire_done(common, stdout);
	return error;
}

Error *
expire_dumps_by_settings(Invocation *invocation, Store *store, uint64_t system_identifier, ExpireSays says,
                         Json *into)
{
	const Settings *settings = invocation_settings(invocation);
	AUTO_EXPIRE_DUMPS expire = {.common = {.store = store,
	                                       .system_identifier = system_identifier,
	                                       .zone = settings_text(settings, SETTING_timezone),
	                                       .force = has_flag(invocation, says, "force"),
	                                       .jobs = (int) settings_integer(settings, SETTING_jobs),
	                                       .notices = log_notices()}};

	TRY(expire_check_dump_settings(settings));
	TRY(retention_parse(settings_text(settings, SETTING_dump_retention), &expire.common.policy));

	Error *error = plan_and_run_dumps(invocation, &expire, says, into);

	if (expire.common.refused)
		invocation_set_status(invocation, STATUS_REFUSED);
	return error_context(error, expire.common.refused ? "no dump was removed" : "could not expire dumps");
}

static Error *
plan_and_run_files(const Invocation *invocation, ExpireFiles *expire, ExpireSays says, Json *into)
{
	bool dry_run = has_flag(invocation, says, "dry-run");
	AUTO(Progress) progress = NULL;

	TRY(expire_files_plan(expire));
	if (says == EXPIRE_SAYS_PLAN)
	{
		print_expire_files_plan(expire, stdout);
		TRY(print_flush());
	}

	TRY(begin_progress(invocation, dry_run, &progress));
	expire->on_objects = add_progress;
	expire->on_objects_context = progress;

	Error *error = dry_run ? expire_files_refusal(expire) : expire_files_run(expire);

	end_progress(progress);

	if (says == EXPIRE_SAYS_SUMMARY && expire->refused)
		print_expire_files_plan(expire, stdout);
	if (says == EXPIRE_SAYS_JSON && (error == NULL || expire->refused))
		expire_files_put(expire, dry_run, into);
	if (error == NULL && !dry_run && (says == EXPIRE_SAYS_PLAN || says == EXPIRE_SAYS_SUMMARY))
		print_expire_files_done(expire, stdout);
	return error;
}

Error *
expire_files_by_settings(Invocation *invocation, Store *store, uint64_t system_identifier, ExpireSays says,
                         Json *into)
{
	const Settings *settings = invocation_settings(invocation);
	AUTO_EXPIRE_FILES expire = {.store = store,
	                            .system_identifier = system_identifier,
	                            .zone = settings_text(settings, SETTING_timezone),
	                            .force = has_flag(invocation, says, "force"),
	                            .notices = log_notices()};

	TRY(retention_parse(settings_text(settings, SETTING_files_retention), &expire.policy));

	Error *error = plan_and_run_files(invocation, &expire, says, into);

	if (expire.refused)
		invocation_set_status(invocation, STATUS_REFUSED);
	return error_context(error, expire.refused ? "no set of files was removed" : "could not expire files");
}
