/* The order of a recovery; see walship/recovery/recover.h. */
#include "walship/recovery/recover.h"

#include <string.h>
#include <unistd.h>

#include "steps.h"
#include "walship/archive/wal_reader.h"
#include "walship/base/cancel.h"
#include "walship/base/mem.h"
#include "walship/recovery/planning.h"

Error *
recovery_check_user(void)
{
	if (geteuid() != 0)
		return NULL;
	return error_hint(
		error_new(ERR_USAGE, "a recovery cannot be run as root"),
		"Run it as the user that will run the server: runuser -u postgres -- walship recover ...");
}

static Error *
plan_to_target(Recovery *recovery)
{
	AUTO(WalFacts) facts =
		wal_reader_facts(recovery->store, recovery->catalog, recovery->identities, recovery->jobs);
	DropFound found = {0};
	Error *error = NULL;

	if (recovery->drop.choice != DROP_NOT_ASKED)
		error = drop_find(recovery, facts, &found);
	if (error == NULL)
		error = planning_run(recovery->store, facts, recovery->catalog, recovery->identities,
		                     &recovery->request, &recovery->plan);
	if (error == NULL)
		drop_explain(&found, recovery->plan);
	free(found.note);
	strlist_release(&found.warnings);
	return error;
}

/* Each where it was, unless a mapping says otherwise; a mapping of none of them is a mistake. */
static Error *
place_tablespaces(Recovery *recovery)
{
	const BackupRecord *record = recovery->plan->backup;

	recovery->tablespaces = NEW_ARRAY(RestoreTablespace, record->n_tablespaces);
	recovery->n_tablespaces = record->n_tablespaces;
	for (size_t i = 0; i < record->n_tablespaces; i++)
		recovery->tablespaces[i] =
			(RestoreTablespace){record->tablespaces[i].oid, record->tablespaces[i].path};
	for (size_t i = 0; i < recovery->n_mappings; i++)
	{
		const TablespaceMapping *mapping = &recovery->mappings[i];
		bool known = false;

		for (size_t j = 0; j < record->n_tablespaces; j++)
			if (strcmp(record->tablespaces[j].path, mapping->from) == 0)
			{
				recovery->tablespaces[j].path = mapping->to;
				known = true;
			}
		if (!known)
			return error_hint(
				error_new(ERR_USAGE, "backup \"%s\" has no tablespace in \"%s\"", record->id, mapping->from),
				"The plan lists its tablespaces: walship recover ... --plan");
	}
	return NULL;
}

Error *
recovery_make_plan(Recovery *recovery)
{
	if (recovery->config_only)
		TRY(settings_file_find_backup(recovery));

	Error *error = plan_to_target(recovery);

	recovery->unreachable = error_is(error, ERR_NOT_FOUND);
	TRY(error);
	if (!recovery->config_only)
		TRY(restore_check_keys(recovery->store, recovery->plan->backup, recovery->identities));
	TRY(place_tablespaces(recovery));
	TRY(space_look(recovery));
	TRY(settings_file_print(recovery));
	return recovery->config_only ? settings_file_keep_library(recovery) : NULL;
}

Error *
recovery_check(const Recovery *recovery)
{
	if (recovery->pgdata == NULL)
		return NULL;
	TRY(recovery_check_user());
	TRY(other_primary_check(recovery));
	if (recovery->config_only)
		return access_check(recovery);
	TRY(space_check(recovery));
	TRY(directories_check(recovery));
	return access_check(recovery);
}

static Error *
restore_and_configure(Recovery *recovery)
{
	RestoreOptions options = {.store = recovery->store,
	                          .record = recovery->plan->backup,
	                          .identities = recovery->identities,
	                          .pgdata = recovery->pgdata,
	                          .tablespaces = recovery->tablespaces,
	                          .n_tablespaces = recovery->n_tablespaces,
	                          .with_wal = recovery->plan->uses_backup_wal,
	                          .jobs = recovery->jobs,
	                          .on_bytes = recovery->on_bytes,
	                          .on_bytes_context = recovery->on_bytes_context};

	TRY(directories_prepare(recovery));
	TRY(restore_backup(&options));
	TRY(other_primary_check(recovery));
	TRY(settings_file_keep_library(recovery));
	TRY(standby_end_find(recovery));
	TRY(settings_file_write(recovery));
	TRY(cancel_check());
	TRY(restore_complete(recovery->pgdata));
	directories_finish(recovery);
	return NULL;
}

Error *
recovery_run(Recovery *recovery)
{
	TimeUs now = recovery->request.now;
	char time[TIME_TEXT_SIZE];

	TRY(recovery_check(recovery));
	if (recovery->config_only)
	{
		TRY(standby_end_find(recovery));
		return settings_file_write(recovery);
	}

	/* Milliseconds, for two within a second must not meet. */
	recovery->suffix =
		mem_printf(".before-%.15s.%03dZ", time_format_compact(now, time), (int) (now / 1000 % 1000));

	Error *error = restore_and_configure(recovery);

	if (error != NULL)
	{
		AUTO(Error) left = directories_undo(recovery);

		if (left != NULL)
			notice(&recovery->notices, LOG_WARNING, "The next \"walship recover\" into it clears it first.",
			       "directory \"%s\" is left unfinished: %s", recovery->pgdata, error_message(left));
	}
	directories_unlock(recovery);
	return error;
}

void
recovery_release(Recovery *recovery)
{
	directories_unlock(recovery);
	strlist_release(&recovery->moved);
	strlist_release(&recovery->made);
	free(recovery->suffix);
	free(recovery->settings);
	free(recovery->archive_library);
	free(recovery->spaces);
	free(recovery->tablespaces);
	recovery_plan_free(recovery->plan);
	for (size_t i = 0; i < recovery->n_mappings; i++)
	{
		free(recovery->mappings[i].from);
		free(recovery->mappings[i].to);
	}
	free(recovery->mappings);
	free(recovery->pgdata);
	*recovery = (Recovery){0};
}
