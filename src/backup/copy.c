/* What the server sends, into the store: archives cut into parts, the manifest, and what is learnt in passing. */
#include <string.h>

#include "run.h"
#include "walship/archive/layout.h"
#include "walship/base/mem.h"
#include "walship/pg/backup_stream.h"

void
backup_run_progress(void *context)
{
	BackupRun *run = context;

	if (run->options->progress != NULL)
		run->options->progress(run->options->context, run->phase, run->received, run->expected);
}

/*
 * Asked while the backup is under way, so that what is said holds between its start and its stop.  No recovery
 * needs it, so that a role which may do nothing but replicate takes backups as before.
 */
static Error *
list_contents(BackupRun *run)
{
	BackupRecord *record = run->record;
	bool encrypted = run->options->recipients != NULL;
	AUTO(Error) error = server_databases(run->options->conninfo, record->system_identifier, &run->databases,
	                                     &run->n_databases);

	if (error == NULL)
		error = server_in_place_tablespaces(run->options->conninfo, record->system_identifier,
		                                    &record->in_place_tablespaces, &record->n_in_place_tablespaces);
	if (error_is(error, ERR_CANCELLED))
		return MOVE(error);
	if (error != NULL)
		notice(&run->options->notices, LOG_INFO, NULL,
		       "the backup does not say which databases there are: %s", error_message(error));
	record->databases = NEW_ARRAY(BackupDatabase, run->n_databases + 1);
	for (size_t i = 0; i < run->n_databases; i++)
	{
		const ServerDatabase *database = &run->databases[i];

		record->databases[record->n_databases++] =
			(BackupDatabase){.oid = database->oid,
		                     .tablespace = database->tablespace,
		                     .name = encrypted ? NULL : mem_strdup(database->name)};
	}
	return NULL;
}

/* BackupHandler.start */
static Error *
start_copy(void *context, const BackupStart *start)
{
	BackupRun *run = context;
	BackupRecord *record = run->record;

	/* After a failover a standby may still stand on a restartpoint of the timeline before. */
	if (start->timeline != run->identity.timeline)
		return error_hint(
			error_new(ERR_TRANSIENT, "backup would start on timeline %u, but the server is on timeline %u",
		              start->timeline, run->identity.timeline),
			"Wait for the standby's next restartpoint (or run CHECKPOINT there) and try again.");
	record->start_lsn = start->lsn;
	record->n_tablespaces = start->n_tablespaces;
	record->tablespaces = NEW_ARRAY(BackupTablespace, start->n_tablespaces + 1);
	for (size_t i = 0; i < start->n_tablespaces; i++)
		record->tablespaces[i] = (BackupTablespace){.oid = start->tablespaces[i].oid,
		                                            .path = mem_strdup(start->tablespaces[i].path)};
	backup_wal_started(run->wal, start->lsn);
	run->phase = BACKUP_COPY;
	run->expected = start->size;
	return list_contents(run);
}

/* BackupHandler.begin */
static Error *
begin_archive(void *context, const char *set)
{
	BackupRun *run = context;

	if (set != NULL)
	{
		bool is_base = strcmp(set, "base") == 0;

		run->tar =
			backup_tar_new(part_writer_new(&run->target, set, &run->parts), is_base ? &run->facts : NULL);
		return NULL;
	}
	run->record->manifest_name =
		layout_manifest_name(run->options->compression.codec, run->options->recipients != NULL);
	strlist_add(&run->parts.names, run->record->manifest_name);
	run->manifest_facts = manifest_new();
	run->manifest_reader = pipe_new();
	pipe_add(run->manifest_reader, manifest_sink_new(run->manifest_facts, SIZE_MAX));
	return backup_target_open(&run->target, run->record->manifest_name, &run->manifest);
}

/* BackupHandler.data */
static Error *
receive(void *context, const void *data, size_t size)
{
	BackupRun *run = context;

	run->received += size;
	backup_run_progress(run);
	if (run->tar != NULL)
		return backup_tar_write(run->tar, data, size);
	TRY(pipe_write(run->manifest_reader, data, size));
	return stored_object_write(run->manifest, data, size);
}

/* BackupHandler.end */
static Error *
end_archive(void *context)
{
	BackupRun *run = context;
	BackupRecord *record = run->record;
	Digest stored;

	if (run->tar != NULL)
	{
		TRY(backup_tar_finish(run->tar));
		backup_tar_free(MOVE(run->tar));
		return NULL;
	}
	TRY(pipe_finish(run->manifest_reader));
	TRY(stored_object_finish(run->manifest, &stored));
	record->manifest_raw_size = stored_object_raw_size(run->manifest);
	stored_object_free(MOVE(run->manifest));
	record->manifest_stored_size = stored.size;
	memcpy(record->manifest_sha256, stored.sha256, sizeof(record->manifest_sha256));
	record->files = manifest_count(run->manifest_facts);
	record->files_size = manifest_total_size(run->manifest_facts);
	return NULL;
}

/* Everything that passed must fit together. */
static Error *
check_facts(BackupRun *run)
{
	const BackupFacts *facts = &run->facts;
	BackupRecord *record = run->record;

	if (!facts->has_control)
		return error_new(ERR_CORRUPT, "the server sent a backup without global/pg_control");
	if (!facts->has_label || facts->label.start_lsn != record->start_lsn ||
	    facts->label.timeline != record->timeline)
		return error_new(ERR_CORRUPT, "the server sent a backup without a backup_label that fits it");
	if (run->manifest_facts == NULL || record->files == 0)
		return error_new(ERR_CORRUPT, "the server sent a backup without a manifest");
	if (facts->control.system_identifier != record->system_identifier ||
	    (facts->control.major != 0 && facts->control.segment_size != record->segment_size))
		return error_new(ERR_CORRUPT, "pg_control in the backup is another database system's");

	record->from_standby = facts->label.from_standby;
	if (facts->control.major != 0)
		record->full_page_writes =
			facts->control.full_page_writes ? FULL_PAGE_WRITES_ON : FULL_PAGE_WRITES_OFF;

	/* Of a version that is not known they are zero, "nobody knows": recover then leaves the server's own settings. */
	record->parameters =
		(BackupParameters){.max_connections = facts->control.max_connections,
	                       .max_worker_processes = facts->control.max_worker_processes,
	                       .max_wal_senders = facts->control.max_wal_senders,
	                       .max_prepared_transactions = facts->control.max_prepared_transactions,
	                       .max_locks_per_transaction = facts->control.max_locks_per_transaction};
	return NULL;
}

Error *
backup_run_copy(BackupRun *run)
{
	const BackupHandler handler = {.start = start_copy,
	                               .begin = begin_archive,
	                               .data = receive,
	                               .end = end_archive,
	                               .tick = {.call = backup_run_progress, .context = run}};
	BackupStreamOptions options = {.label = run->record->label,
	                               .fast_checkpoint = run->options->fast_checkpoint,
	                               .max_rate_kb = run->options->max_rate_kb};
	BackupRecord *record = run->record;
	BackupStop stop;

	TRY(backup_stream_run(run->server, &options, &handler, run, &stop));
	if (stop.timeline != record->timeline)
		return error_hint(error_new(ERR_TRANSIENT,
		                            "the server moved from timeline %u to %u during the backup",
		                            record->timeline, stop.timeline),
		                  "Take the backup again.");
	record->stop_lsn = stop.lsn;
	record->page_errors = stop.page_errors;
	return check_facts(run);
}
