/*
 * The order of a backup.  One connection copies, another brings the WAL along
 * (wal.c); the first one never waits for the second before the copy ends.
 */
#include "walship/backup/take.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "config_files.h"
#include "map.h"
#include "run.h"
#include "walship/archive/catalog.h"
#include "walship/archive/layout.h"
#include "walship/archive/self_sha256.h"
#include "walship/base/cancel.h"
#include "walship/base/clock.h"
#include "walship/base/crypto.h"
#include "walship/base/mem.h"
#include "walship/pg/wal_stream.h"
#include "walship/wal/majors.h"

#define STALE_AFTER_US (INT64_C(24) * 3600 * 1000000)

static void
backup_run_release(BackupRun *run)
{
	lease_hold_free(run->lease);
	backup_tar_free(run->tar);
	stored_object_free(run->manifest);
	pipe_free(run->manifest_reader);
	manifest_free(run->manifest_facts);
	server_databases_free(run->databases, run->n_databases);
	backup_wal_free(run->wal);
	part_list_release(&run->parts);
	free(run->target.prefix);
	backup_record_free(run->record);
	server_free(run->server);
}

#define AUTO_RUN __attribute__((cleanup(backup_run_release))) BackupRun

/*
 * Tablespaces that lie below pg_tblspc itself are left out of a base backup before
 * 17, without a word (PostgreSQL 15: basebackup.c, sendDir): their rows would be
 * missed after a recovery.  Only this setting, for developers, makes them.
 */
static Error *
check_in_place(BackupRun *run)
{
	AUTO_FREE char *allowed = NULL;

	if (pg_major_nearest(server_major(run->server))->backs_up_in_place)
		return NULL;

	Error *error = server_show(run->server, "allow_in_place_tablespaces", &allowed);

	/* Older minor releases do not know it. */
	if (error != NULL && !error_is(error, ERR_CANCELLED))
	{
		error_free(error);
		return NULL;
	}
	TRY(error);
	if (strcmp(allowed, "on") != 0)
		return NULL;
	return error_hint(
		error_new(
			ERR_USAGE,
			"the server has allow_in_place_tablespaces = on, and PostgreSQL %d leaves such tablespaces out of "
			"a backup",
			server_major(run->server)),
		"Drop them, or move them to a directory of their own, and turn the setting off. Since 17 they are backed up.");
}

static Error *
identify(BackupRun *run)
{
	const BackupOptions *options = run->options;
	BackupRecord *record = run->record;
	AUTO_FREE char *synchronous = NULL;
	AUTO_FREE char *checksums = NULL;

	TRY(server_connect(options->conninfo, &run->server));
	TRY(server_identify(run->server, &run->identity));
	if (options->system_identifier != 0 && options->system_identifier != run->identity.system_identifier)
		return error_hint(
			error_new(ERR_USAGE,
		              "server has the system identifier %" PRIu64
		              ", but \"system\" or \"pgdata\" says %" PRIu64,
		              run->identity.system_identifier, options->system_identifier),
			"Look at PGHOST, PGPORT, PGSERVICE and \"conninfo\": this is another database system.");
	if (!options->new_system)
		TRY(catalog_check_known_system(options->store, run->identity.system_identifier));
	TRY(server_in_recovery(run->server, &run->standby));
	TRY(server_segment_size(run->server, &record->segment_size));
	TRY(check_in_place(run));

	/*
	 * A stream that confirms what it took counts as a synchronous standby when
	 * the server's setting names it, and commits would wait for, and rely on, a
	 * backup.
	 */
	TRY(server_show(run->server, "synchronous_standby_names", &synchronous));
	run->slot_allowed = strchr(synchronous, '*') == NULL && strcasestr(synchronous, "walship") == NULL;

	TRY(server_show(run->server, "data_checksums", &checksums));
	record->data_checksums = strcmp(checksums, "on") == 0;
	TRY(wal_stream_clock(run->server, &record->start_time));
	record->system_identifier = run->identity.system_identifier;
	record->server_version = server_version(run->server);
	record->timeline = run->identity.timeline;
	return NULL;
}

static void
name_backup(BackupRun *run)
{
	const BackupOptions *options = run->options;
	BackupRecord *record = run->record;
	uint16_t random;

	random_bytes(&random, sizeof(random));
	record->id = layout_backup_id(record->start_time, random);
	record->label =
		options->label != NULL ? mem_strdup(options->label) : mem_printf("walship %s", record->id);
	record->note = mem_strdup(options->note);
	record->codec = mem_strdup(codec_name(options->compression.codec));
	if (options->recipients != NULL)
		(void) snprintf(record->recipients, sizeof(record->recipients), "%s",
		                age_recipients_fingerprints(options->recipients));
	record->walship_version = mem_strdup(options->walship_version);
	run->target = (BackupTarget){.store = options->store,
	                             .prefix = layout_backup_prefix(record->system_identifier, record->id),
	                             .compression = options->compression,
	                             .recipients = options->recipients,
	                             .part_size = options->part_size,
	                             .spool_directory = options->spool_directory};
}

/*
 * The time must not be earlier than that of the stop position, or a recovery to
 * a moment inside the backup would choose it.  Our own clock may be wrong, but
 * is better than no backup.
 */
static Error *
read_stop_time(BackupRun *run)
{
	BackupRecord *record = run->record;
	AUTO(Error) error = wal_stream_clock(run->server, &record->stop_time);

	if (error_is(error, ERR_CANCELLED))
		return MOVE(error);
	if (error != NULL)
	{
		notice(&run->options->notices, LOG_WARNING, NULL,
		       "the backup's stop time is by this machine's clock: %s", error_message(error));
		record->stop_time = clock_now();
	}
	if (record->stop_time < record->start_time)
		record->stop_time = record->start_time;
	return NULL;
}

static void
move_parts(BackupRecord *record, PartList *from)
{
	record->parts = mem_realloc(record->parts, (record->n_parts + from->count + 1) * sizeof(BackupPart));
	for (size_t i = 0; i < from->count; i++)
	{
		record->parts[record->n_parts++] = from->items[i];
		chunk_list_release(&from->maps[i].chunks);
	}
	from->count = 0;
}

static Error *
take_wal(BackupRun *run)
{
	BackupRecord *record = run->record;
	AUTO(Error) failure = NULL;
	char start[LSN_TEXT_SIZE];
	char stop[LSN_TEXT_SIZE];

	run->phase = BACKUP_WAL;
	backup_run_progress(run);
	TRY(backup_wal_finish(run->wal, record->stop_lsn, &failure));
	record->wal_inside = failure == NULL;
	if (failure == NULL)
		return NULL;

	/* Without its WAL inside it is a backup all the same, one that needs the archive. */
	notice(&run->options->notices, LOG_WARNING, error_get_hint(failure),
	       "the backup's own WAL is not inside it, so it needs the archive from %s to %s: %s",
	       lsn_format(record->start_lsn, start), lsn_format(record->stop_lsn, stop), error_message(failure));
	part_list_remove(&run->target, backup_wal_parts(run->wal), &run->options->notices);
	return NULL;
}

/* No recovery needs them; who may not see where they are takes backups without them. */
static Error *
write_config(BackupRun *run)
{
	const Notices *notices = &run->options->notices;
	AUTO_STRLIST files = {0};
	AUTO(Error) error = server_config_files(run->options->conninfo, run->record->system_identifier, &files);

	if (error_is(error, ERR_CANCELLED))
		return MOVE(error);
	if (error != NULL)
		notice(notices, LOG_DEBUG, NULL, "configuration outside the data directory was not looked for: %s",
		       error_message(error));
	return config_files_write(&run->target, &files, notices, &run->parts.names, &run->record->config);
}

/* Without a map it is a whole backup all the same, which takes longer to find one's way in. */
static Error *
write_map(BackupRun *run)
{
	PartList *wal = run->record->wal_inside ? backup_wal_parts(run->wal) : NULL;
	MapSource source = {.backup_id = run->record->id,
	                    .databases = run->databases,
	                    .n_databases = run->n_databases,
	                    .manifest = run->manifest_facts,
	                    .lists = {&run->parts, wal}};
	const Error *error = run->parts.members.error;

	if (run->target.spool_directory == NULL)
		return NULL;
	if (error == NULL && wal != NULL)
		error = wal->members.error;
	if (error == NULL)
		return map_write(&run->target, &source, &run->parts.names, &run->record->map);
	notice(&run->options->notices, LOG_WARNING, NULL, "the backup has no map of its files: %s",
	       error_message(error));
	return NULL;
}

static Error *
write_record(BackupRun *run)
{
	BackupRecord *record = run->record;
	AUTO_FREE char *key = layout_backup_record_key(record->system_identifier, record->id);
	AUTO_BUF(text, BACKUP_RECORD_MAX);

	move_parts(record, &run->parts);
	if (record->wal_inside)
		move_parts(record, backup_wal_parts(run->wal));
	record->duration_ms = clock_monotonic_ms() - run->began_ms;
	backup_record_print(record, &text);
	self_sha256_append(&text);
	if (text.overflowed)
		return error_new(ERR_SYSTEM, "record of backup \"%s\" is larger than %u bytes", record->id,
		                 BACKUP_RECORD_MAX);

	Slice slice = slice_of_memory(text.data, text.size);

	TRY(cancel_check());
	run->record_tried = true;
	return store_put(run->options->store, key, &slice, 1, PUT_IF_ABSENT);
}

static Error *
run_backup(BackupRun *run)
{
	TRY(identify(run));
	name_backup(run);
	run->lease = lease_hold(run->options->store, run->record->system_identifier,
	                        &(LeaseOn){.kind = "backup", .backup = run->record->id}, &run->options->notices);

	BackupWalOptions wal = {.target = &run->target,
	                        .conninfo = run->options->conninfo,
	                        .system_identifier = run->identity.system_identifier,
	                        .timeline = run->identity.timeline,
	                        .segment_size = run->record->segment_size,
	                        .from = run->standby ? InvalidXLogRecPtr : run->identity.position,
	                        .confirm = run->slot_allowed};

	TRY(backup_wal_new(&wal, &run->wal));
	TRY(backup_run_copy(run));
	TRY(read_stop_time(run));
	TRY(take_wal(run));
	TRY(write_config(run));
	TRY(write_map(run));
	return write_record(run);
}

/*
 * The record first, should it be there after all (its acknowledgement may have
 * been lost): a backup must never be visible without its parts.
 */
static void
remove_everything(BackupRun *run)
{
	const Notices *notices = &run->options->notices;

	if (run->target.prefix == NULL)
		return;
	if (run->record_tried)
	{
		AUTO_FREE char *key = layout_backup_record_key(run->record->system_identifier, run->record->id);
		AUTO(Error) error = store_remove(run->options->store, key);

		if (error != NULL)
		{
			notice(notices, LOG_WARNING, NULL, "could not remove \"%s\": %s; its parts were left alone", key,
			       error_message(error));
			return;
		}
	}
	backup_tar_free(MOVE(run->tar));
	stored_object_free(MOVE(run->manifest));
	part_list_remove(&run->target, &run->parts, notices);
	if (run->wal != NULL)
	{
		backup_wal_abandon(run->wal);
		part_list_remove(&run->target, backup_wal_parts(run->wal), notices);
	}
}

Error *
backup_take(const BackupOptions *options, BackupRecord **ret_record)
{
	/* What killed backups left; a backup that is still running began later than this. */
	AUTO(Error) untidy = store_tidy(options->store, "", clock_now() - STALE_AFTER_US);

	notice_of_error(&options->notices, LOG_WARNING, untidy);

	AUTO_RUN run = {.options = options, .began_ms = clock_monotonic_ms(), .record = backup_record_new()};
	Error *error = run_backup(&run);
	const StrList *said = run.server != NULL ? server_notices(run.server) : NULL;

	for (size_t i = 0; said != NULL && i < said->count; i++)
		notice(&options->notices, LOG_WARNING, NULL, "server says: %s", said->items[i]);
	if (error != NULL)
	{
		/* First of all the server gets rid of us: a spread checkpoint or a copy must not go on for nobody. */
		server_free(MOVE(run.server));
		remove_everything(&run);
		return error;
	}
	*ret_record = MOVE(run.record);
	return NULL;
}
