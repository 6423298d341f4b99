/*
 * walship backup: a base backup of a live server over the replication protocol.
 * How it is taken: walship/backup/take.h.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "commands.h"
#include "context.h"
#include "expire_settings.h"
#include "keys.h"
#include "progress.h"
#include "walship/backup/take.h"
#include "walship/base/log.h"
#include "walship/base/mem.h"
#include "walship/base/size.h"
#include "walship/base/workers.h"
#include "walship/pg/backup_stream.h"
#include "walship/pg/server.h"
#include "walship/upkeep/row_counting.h"
#include "walship/wal/majors.h"

#define EXIT_CHECKS_FAILED 8
#define NOTE_MAX           4096
#define CPU_THREADS_MAX    16 /* one connection cannot feed more, and each costs memory */

static const CommandOption options[] = {
	{"note", OPTION_VALUE, "TEXT", "a note that is kept with the backup"},
	{"label", OPTION_VALUE, "TEXT",
     "the server's label of the backup (default: walship and the backup's id)"},
	{"new-system", OPTION_FLAG, NULL, "the store may hold other database systems, and not this one"},
	{"fast", OPTION_FLAG, NULL, "ask the server for an immediate checkpoint instead of a spread one"},
	{"max-rate", OPTION_VALUE, "RATE", "bytes per second that the server may send, 32kB to 1GB"},
	{"require-wal", OPTION_FLAG, NULL, "exit 8 when the backup could not bring its own WAL along"},
	{"count", OPTION_VALUE, "TABLES",
     "then count the rows of all tables, or of these (TABLE,SCHEMA.TABLE,...), for \"walship drill --count\""},
	{"expire", OPTION_FLAG, NULL, "then remove what no rule of the setting \"retention\" keeps"},
	{"progress", OPTION_VALUE, "MODE", PROGRESS_OPTION_HELP},
	{"json", OPTION_FLAG, NULL, "print the backup's record instead of one line"},
};

static const OptionHeading headings[] = {
	{"note", "What"},
	{"fast", "How"},
	{"count", "Afterwards"},
	{"progress", "What is shown"},
};

static Error *
read_max_rate(const char *text, uint32_t *ret_max_rate_kb)
{
	uint64_t bytes;

	if (text == NULL)
		return NULL;
	if (!size_parse(text, &bytes) || bytes / 1024 < BACKUP_RATE_MIN_KB || bytes / 1024 > BACKUP_RATE_MAX_KB)
		return error_hint(
			error_new(ERR_USAGE, "--max-rate \"%s\" is no rate between 32kB and 1GB per second", text),
			"Write a size, for instance 50MB.");
	*ret_max_rate_kb = (uint32_t) (bytes / 1024);
	return NULL;
}

static Error *
read_options(const Invocation *invocation, BackupOptions *backup)
{
	const Settings *settings = invocation_settings(invocation);
	const char *system = settings_text(settings, SETTING_system);

	backup->walship_version = WALSHIP_VERSION;
	backup->conninfo = settings_text(settings, SETTING_conninfo);
	backup->new_system = invocation_flag(invocation, "new-system");
	backup->fast_checkpoint = invocation_flag(invocation, "fast");
	backup->label = invocation_value(invocation, "label");
	backup->note = invocation_value(invocation, "note");
	backup->spool_directory = settings_text(settings, SETTING_state_dir);
	backup->part_size = settings_bytes(settings, SETTING_part_size);
	TRY(read_max_rate(invocation_value(invocation, "max-rate"), &backup->max_rate_kb));
	if (backup->note != NULL && strlen(backup->note) > NOTE_MAX)
		return error_new(ERR_USAGE, "--note is longer than %d bytes", NOTE_MAX);
	TRY(context_compression(settings, COMPRESS_BASE, &backup->compression));

	/* The other value is "auto": that of "pgdata", else whatever the server says. */
	if (!str_to_uint64(system, &backup->system_identifier) && settings_text(settings, SETTING_pgdata) != NULL)
		TRY(context_system(settings, settings_text(settings, SETTING_pgdata), &backup->system_identifier));
	return NULL;
}

static void
show_progress(void *context, BackupPhase phase, uint64_t done, uint64_t total)
{
	static const char *const names[] = {
		[BACKUP_CHECKPOINT] = "waiting for the server's checkpoint",
		[BACKUP_COPY] = "copying",
		[BACKUP_WAL] = "waiting for the last WAL",
	};

	progress_set(context, names[phase], done, total);
}

/* "20261120T023007Z-9f3c: 1.2 GiB in 34.5 s, stored 310.0 MiB, WAL 0/2000028 to 0/2000100" */
static void
print_summary(const BackupRecord *record)
{
	char size[SIZE_TEXT_SIZE];
	char stored_size[SIZE_TEXT_SIZE];
	char duration[SIZE_TEXT_SIZE];
	char start[LSN_TEXT_SIZE];
	char stop[LSN_TEXT_SIZE];

	(void) printf("%s: %s in %s, stored %s, WAL %s to %s\n", record->id,
	              size_format(record->files_size, size), duration_format(record->duration_ms, duration),
	              size_format(backup_record_stored_size(record), stored_size),
	              lsn_format(record->start_lsn, start), lsn_format(record->stop_lsn, stop));
}

static void
summarize(Invocation *invocation, const BackupRecord *record)
{
	char size[SIZE_TEXT_SIZE];
	char duration[SIZE_TEXT_SIZE];

	invocation_set_summary(invocation, "backup \"%s\": %s in %s%s", record->id,
	                       size_format(record->files_size, size),
	                       duration_format(record->duration_ms, duration),
	                       record->page_errors ? ", and the server found pages with wrong checksums" : "");
}

static void
report(Invocation *invocation, const BackupRecord *record)
{
	AUTO_BUF(json, BACKUP_RECORD_MAX);

	if (record->server_version / 10000 > pg_major_newest()->major)
		log_line(
			LOG_WARNING,
			"Use a walship that knows it. Until then the WAL from here on is stored without being read: see "
			"\"Newer versions of PostgreSQL\" in docs/operations.md.",
			"PostgreSQL %d is newer than walship " WALSHIP_VERSION
			", which knows %d to %d; the backup is kept",
			record->server_version / 10000, pg_major_oldest()->major, pg_major_newest()->major);
	if (invocation_flag(invocation, "json"))
	{
		backup_record_print(record, &json);
		(void) fputs(json.data, stdout);
	}
	else
		print_summary(record);
	summarize(invocation, record);
	if (record->page_errors)
	{
		log_line(
			LOG_ERROR,
			"The server's log names the files. The backup is kept and marked; recover prefers any other one.",
			"the server found pages with wrong checksums during backup \"%s\"", record->id);
		invocation_set_status(invocation, EXIT_CHECKS_FAILED);
	}
	if (!record->wal_inside && invocation_flag(invocation, "require-wal"))
	{
		log_line(LOG_ERROR, "It is kept: with the archive's WAL it can be recovered.",
		         "backup \"%s\" does not hold its own WAL", record->id);
		invocation_set_status(invocation, EXIT_CHECKS_FAILED);
	}
}

/* After it, for a place within it cannot be recovered from it. */
static Error *
count_rows(const Invocation *invocation, Store *store, const StrList *names, const BackupRecord *record)
{
	const char *conninfo = settings_text(invocation_settings(invocation), SETTING_conninfo);
	AUTO_ROW_COUNTS counts = {0};
	RowCounting counting;
	char lsn[LSN_TEXT_SIZE];

	if (invocation_value(invocation, "count") == NULL)
		return NULL;
	TRY(error_context(row_counting_run(conninfo, record->system_identifier, names, true, &counts, &counting),
	                  "backup \"%s\" is complete, but its rows could not be counted", record->id));
	counts.backup = mem_strdup(record->id);
	TRY(row_counts_write(store, record->system_identifier, &counts));
	TRY(row_counting_end_segment(conninfo));

	AUTO_FREE char *how = row_counting_text(&counting);

	log_line(LOG_INFO, NULL, "counted the rows of %zu tables at %s; %s", counts.count,
	         lsn_format(counts.lsn, lsn), how);
	return NULL;
}

static Error *
run(Invocation *invocation)
{
	const char *count = invocation_value(invocation, "count");
	AUTO_STRLIST names = {0};
	AUTO(AgeRecipients) recipients = NULL;
	AUTO(Workers) cpu = workers_new(workers_cpu_count(CPU_THREADS_MAX));
	AUTO(Store) store = NULL;
	AUTO(Progress) progress = NULL;
	AUTO(BackupRecord) record = NULL;
	BackupOptions backup = {.progress = show_progress};

	TRY(read_options(invocation, &backup));
	if (count != NULL)
		TRY(table_names_parse(count, &names));
	if (invocation_flag(invocation, "expire"))
		TRY(expire_check_settings(invocation_settings(invocation)));
	TRY(keys_recipients(invocation_settings(invocation), &recipients));
	TRY(progress_new(invocation, "backup", &progress));
	TRY(context_open_store(invocation_settings(invocation), &store));
	backup.store = store;
	backup.recipients = recipients;
	backup.compression.cpu = cpu;
	backup.context = progress;
	backup.notices = progress_notices(progress);

	Error *error = backup_take(&backup, &record);

	progress_end(progress);
	TRY(error);
	report(invocation, record);
	TRY(count_rows(invocation, store, &names, record));
	if (!invocation_flag(invocation, "expire"))
		return NULL;
	return expire_by_settings(invocation, store, record->system_identifier, EXPIRE_BACKUPS,
	                          invocation_flag(invocation, "json") ? EXPIRE_SAYS_NOTHING : EXPIRE_SAYS_SUMMARY,
	                          NULL);
}

const Command command_backup = {
	.name = "backup",
	.summary = "takes a base backup of a running server",
	.arguments = "",
	.description =
		"Connects by \"conninfo\" and libpq's own means (PGHOST, PGPORT, PGUSER, PGSERVICE, ~/.pgpass) as a role with the attribute\n"
		"REPLICATION, on PostgreSQL 13 or later, primary or standby. The backup brings its own WAL along and waits\n"
		"for no archiver. Exit 8 means that the backup was taken, but the server found damaged pages in it, or, with --require-wal,\n"
		"that it has to do without its own WAL.",
	.examples = "  runuser -u postgres -- walship backup\n"
				"  walship backup --fast --note \"before the upgrade\"\n",
	.statuses = "0 2 4 5 6 7 8",
	.options = options,
	.n_options = lengthof(options),
	.headings = headings,
	.n_headings = lengthof(headings),
	.tells = TELLS_OUTCOME,
	.tells_more = "check",
	.run = run,
};
