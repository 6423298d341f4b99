/* The order of a recovery; see walship/recovery/recover.h. */
#include "walship/recovery/recover.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "steps.h"
#include "walship/archive/lease.h"
#include "walship/archive/wal_reader.h"
#include "walship/base/cancel.h"
#include "walship/base/dir.h"
#include "walship/base/mem.h"
#include "walship/pg/pgdata.h"
#include "walship/recovery/planning.h"

Error *
recovery_check_user(const char *command)
{
	if (geteuid() != 0)
		return NULL;
	return error_hint(error_new(ERR_USAGE, "\"walship %s\" cannot be run as root", command),
	                  "Run it as the user that runs the server: runuser -u postgres -- walship %s ...",
	                  command);
}

static Error *
plan_to_target(Recovery *recovery)
{
	/* Before a restore every index is read, not remembered. */
	const char *state_dir = recovery->request.every_index ? NULL : recovery->state_dir;
	AUTO(WalFacts) facts = wal_reader_facts_kept(recovery->store, recovery->catalog, recovery->identities,
	                                             recovery->jobs, state_dir);
	DropFound found = {0};
	Error *error = NULL;

	if (recovery->drop.choice != DROP_NOT_ASKED)
		error = drop_find(recovery, facts, &found);
	if (error == NULL)
		error = planning_run(recovery->store, facts, recovery->catalog, recovery->identities,
		                     &recovery->request, &recovery->plan);
	if (error == NULL)
		error = created_find(recovery, facts);
	if (error == NULL)
		drop_explain(&found, recovery->plan);
	free(found.note);
	strlist_release(&found.warnings);
	return error;
}

/* A mapping of no tablespace is a mistake; of one that the WAL makes only a copy can have any. */
static Error *
check_mappings(const Recovery *recovery)
{
	const BackupRecord *record = recovery->plan->backup;

	for (size_t i = 0; i < recovery->mappings.count; i++)
	{
		const char *from = recovery->mappings.items[i].from;
		bool created = created_has_path(recovery, from);
		bool known = created && recovery->plan->purpose == PURPOSE_COPY;

		for (size_t j = 0; j < record->n_tablespaces; j++)
			known = known || strcmp(record->tablespaces[j].path, from) == 0;
		if (known)
			continue;
		if (created)
			return error_hint(error_new(ERR_USAGE,
			                            "the tablespace in \"%s\" was made after backup \"%s\", and only a "
			                            "copy can have it elsewhere",
			                            from, record->id),
			                  "The server makes it where the WAL says: in that very directory.");
		return error_hint(error_new(ERR_USAGE, "backup \"%s\" has no tablespace in \"%s\"", record->id, from),
		                  "The plan lists its tablespaces: walship recover ... --plan");
	}
	return NULL;
}

/* One that lies below pg_tblspc itself, since 17 (PostgreSQL: xlog.c, do_pg_backup_start). */
static bool
is_in_place(const BackupTablespace *tablespace)
{
	char path[32];

	(void) snprintf(path, sizeof(path), "pg_tblspc/%" PRIu32, tablespace->oid);
	return strcmp(tablespace->path, path) == 0;
}

static void
add_directory(Recovery *recovery, const char *path)
{
	if (path != NULL && !strlist_contains(&recovery->directories, path))
		strlist_add(&recovery->directories, path);
}

/* Each where it was, unless a mapping says otherwise. */
static Error *
place_tablespaces(Recovery *recovery)
{
	const BackupRecord *record = recovery->plan->backup;

	TRY(check_mappings(recovery));
	recovery->tablespaces = NEW_ARRAY(RestoreTablespace, record->n_tablespaces);
	recovery->n_tablespaces = record->n_tablespaces;
	for (size_t i = 0; i < record->n_tablespaces; i++)
	{
		const BackupTablespace *from = &record->tablespaces[i];
		const char *mapped = tablespace_mappings_find(&recovery->mappings, from->path);
		RestoreTablespace *tablespace = &recovery->tablespaces[i];

		*tablespace = (RestoreTablespace){.oid = from->oid, .path = mapped != NULL ? mapped : from->path};
		if (is_in_place(from))
		{
			AUTO_FREE char *path =
				recovery->pgdata == NULL ? mem_strdup(from->path) : path_join(recovery->pgdata, from->path);

			strlist_add(&recovery->places, path);
			tablespace->in_place = true;
			tablespace->path = recovery->places.items[recovery->places.count - 1];
			continue;
		}
		TRY(error_context(tablespace_path_check(from->path, mapped != NULL ? NULL : recovery->pgdata),
		                  "backup \"%s\"", record->id));
		add_directory(recovery, tablespace->path);
	}
	created_place(recovery);
	for (size_t i = 0; i < recovery->n_created; i++)
		add_directory(recovery, recovery->created[i].place);
	return wal_directory_add(recovery);
}

/* Of a directory that was restored by other means: is the backup's own WAL there, which nothing else has? */
static Error *
check_own_wal(const Recovery *recovery)
{
	const RecoveryPlan *plan = recovery->plan;
	const BackupRecord *backup = plan->backup;
	bool by_archive = plan->target.kind != TARGET_BACKUP_ONLY;
	XLogSegNo last = lsn_segment_before(backup->stop_lsn, plan->segment_size);

	for (XLogSegNo segno = lsn_segment(backup->start_lsn, plan->segment_size); segno <= last; segno++)
	{
		WalName name = wal_name_of_segment(backup->timeline, segno, plan->segment_size);
		char text[WAL_NAME_SIZE];

		if ((by_archive && catalog_has_segment(recovery->catalog, backup->timeline, segno)) ||
		    pgdata_has_segment(recovery->pgdata, &name, backup->system_identifier, plan->segment_size))
			continue;
		return error_hint(
			error_new(ERR_NOT_FOUND, "\"%s/pg_wal\" does not have WAL segment %s, which backup %s needs",
		              recovery->pgdata, wal_name_format(&name, text), backup->id),
			by_archive
				? "The store does not have it, either: unpack the wal parts of the backup into pg_wal."
				: "Unpack the wal parts of the backup into pg_wal; or recover by --immediate, which takes "
				  "WAL from the archive.");
	}
	return NULL;
}

Error *
recovery_make_plan(Recovery *recovery)
{
	if (recovery->config_only)
		TRY(settings_file_find_backup(recovery));
	recovery->request.timeline = catalog_resolve_timeline(recovery->catalog, recovery->request.timeline);

	Error *error = plan_to_target(recovery);

	if (error == NULL && recovery->config_only && recovery->plan->uses_backup_wal)
		error = check_own_wal(recovery);
	recovery->unreachable = error_is(error, ERR_NOT_FOUND);
	TRY(error);
	if (!recovery->config_only)
		TRY(restore_check_keys(recovery->store, recovery->plan->backup, recovery->identities));
	if (recovery->plan->purpose == PURPOSE_STANDBY && recovery->primary_conninfo[0] == '\0')
		strlist_add(
			&recovery->plan->notes,
			"Without --primary-conninfo the standby follows the archive alone: it is behind its primary by what is "
			"not archived yet, a segment or archive_timeout.");
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
	TRY(recovery_check_user("recover"));
	TRY(other_primary_check(recovery));
	if (recovery->config_only)
		return access_check(recovery);
	TRY(others_check(recovery));
	TRY(space_check(recovery));
	TRY(directories_check(recovery));
	return access_check(recovery);
}

/*
 * The server makes them from tablespace_map, but only after it has asked for the
 * first segment (PostgreSQL: xlogrecovery.c, InitWalRecovery), and by then it must be
 * known which directories are its own.
 */
static Error *
link_tablespaces(const Recovery *recovery)
{
	for (size_t i = 0; i < recovery->n_tablespaces; i++)
		if (!recovery->tablespaces[i].in_place)
			TRY(tablespace_link(recovery->pgdata, recovery->tablespaces[i].oid,
			                    recovery->tablespaces[i].path));
	return NULL;
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
	TRY(wal_directory_link(recovery));
	TRY(restore_backup(&options));
	TRY(link_tablespaces(recovery));
	TRY(created_prepare_own_wal(recovery));
	TRY(other_primary_check(recovery));
	TRY(settings_file_keep_library(recovery));
	TRY(standby_end_find(recovery));
	TRY(restored_conf_look(recovery));
	TRY(settings_file_write(recovery));
	TRY(cancel_check());
	TRY(restore_complete(recovery->pgdata));
	directories_finish(recovery);
	return NULL;
}

/* The lease first, then the record: an expire does it the other way round, and so one of both sees the other. */
static Error *
check_still_there(const Recovery *recovery)
{
	const BackupRecord *backup = recovery->plan->backup;
	AUTO(BackupRecord) record = NULL;
	Error *error = catalog_read_record(recovery->store, backup->system_identifier, backup->id, &record);

	if (!error_is(error, ERR_NOT_FOUND))
		return error;
	error_free(error);
	return error_hint(
		error_new(ERR_TRANSIENT, "backup \"%s\" was removed after the plan was made", backup->id),
		"An expire did that. Nothing was touched here: run recover again, for a new plan.");
}

static Error *
run_leased(Recovery *recovery)
{
	TimeUs now = recovery->request.now;
	char time[TIME_TEXT_SIZE];

	if (recovery->config_only)
	{
		TRY(created_prepare_own_wal(recovery));
		TRY(standby_end_find(recovery));
		TRY(restored_conf_look(recovery));
		return settings_file_write(recovery);
	}

	TRY(check_still_there(recovery));

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

Error *
recovery_run(Recovery *recovery)
{
	const BackupRecord *backup = recovery->plan->backup;

	TRY(recovery_check(recovery));
	if (recovery->leased)
		return run_leased(recovery);

	AUTO(LeaseHold) lease = lease_hold(recovery->store, backup->system_identifier,
	                                   &(LeaseOn){.kind = "recover",
	                                              .backup = backup->id,
	                                              .timeline = recovery->plan->timeline,
	                                              .start_lsn = backup->start_lsn},
	                                   &recovery->notices);

	TRY(run_leased(recovery));

	/* The server that is started now needs the WAL; how long it replays nobody knows. */
	lease_hold_linger(lease, LEASE_LINGER_S);
	return NULL;
}

void
recovery_release(Recovery *recovery)
{
	directories_unlock(recovery);
	strlist_release(&recovery->moved);
	strlist_release(&recovery->made);
	strlist_release(&recovery->places);
	strlist_release(&recovery->directories);
	for (size_t i = 0; i < recovery->n_created; i++)
	{
		free(recovery->created[i].path);
		free(recovery->created[i].place);
	}
	free(recovery->created);
	strlist_release(&recovery->start_warnings);
	free(recovery->start_options);
	free(recovery->suffix);
	free(recovery->settings);
	free(recovery->archive_library);
	free(recovery->spaces);
	free(recovery->tablespaces);
	recovery_plan_free(recovery->plan);
	tablespace_mappings_release(&recovery->mappings);
	free(recovery->pgdata);
	free(recovery->waldir);
	*recovery = (Recovery){0};
}
