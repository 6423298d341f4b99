/* See walship/recovery/server_settings.h. */
#include "walship/recovery/server_settings.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "walship/base/mem.h"
#include "walship/wal/majors.h"

#define WAL_USUAL_MB 512

typedef struct FixedSetting
{
	const char *name;
	const char *value;
	bool (*known)(const PgMajor *major); /* NULL: by all */
} FixedSetting;

static bool
has_archive_library(const PgMajor *major)
{
	return major->has_archive_library;
}

static bool
has_slot_sync(const PgMajor *major)
{
	return major->has_slot_sync;
}

static bool
has_io_method(const PgMajor *major)
{
	return major->has_io_method;
}

static bool
has_stats_directory(const PgMajor *major)
{
	return major->has_stats_directory;
}

static bool
has_promote_trigger_file(const PgMajor *major)
{
	return major->has_promote_trigger_file;
}

static const FixedSetting fixed_settings[] = {
	/* It does not archive, nor run a command of the server that it is a copy of. */
	{"archive_mode", "off", NULL},
	{"archive_command", "", NULL},
	{"archive_library", "", has_archive_library},
	{"recovery_end_command", "", NULL},
	{"archive_cleanup_command", "", NULL},
	{"promote_trigger_file", "", has_promote_trigger_file},

	/* It connects to nobody: as a standby, for its slots, for its subscriptions, which begin with a promotion. */
	{"primary_conninfo", "", NULL},
	{"primary_slot_name", "", NULL},
	{"sync_replication_slots", "off", has_slot_sync},
	{"max_logical_replication_workers", "0", NULL},
	{"bonjour", "off", NULL},

	/* Nobody's commits wait for standbys that do not follow it. */
	{"synchronous_standby_names", "", NULL},
	{"synchronized_standby_slots", "", has_slot_sync},
	{"summarize_wal", "off", has_slot_sync},

	/* Libraries start workers, which connect and write: schedulers, extensions of networks. */
	{"session_preload_libraries", "", NULL},
	{"local_preload_libraries", "", NULL},
	{"event_triggers", "off", has_slot_sync},

	/* Nothing changes by itself, and nothing that is damaged is passed over. */
	{"autovacuum", "off", NULL},
	{"zero_damaged_pages", "off", NULL},
	{"ignore_checksum_failure", "off", NULL},
	{"restart_after_crash", "off", NULL},

	/* It can be asked as soon as it is consistent, and answers are not cut off by replay. */
	{"hot_standby", "on", NULL},
	{"hot_standby_feedback", "off", NULL},
	{"recovery_min_apply_delay", "0", NULL},
	{"max_standby_archive_delay", "-1", NULL},
	{"max_standby_streaming_delay", "-1", NULL},

	/* Files, users, certificates and languages of another machine. */
	{"ssl", "off", NULL},
	{"external_pid_file", "", NULL},
	{"unix_socket_group", "", NULL},
	{"unix_socket_permissions", "0700", NULL},
	{"stats_temp_directory", "pg_stat_tmp", has_stats_directory},
	{"temp_tablespaces", "", NULL},
	{"lc_messages", "C", NULL},
	{"lc_monetary", "C", NULL},
	{"lc_numeric", "C", NULL},
	{"lc_time", "C", NULL},
	{"log_timezone", "UTC", NULL},
	{"cluster_name", "walship", NULL},

	/* Its log is ours to read. */
	{"logging_collector", "off", NULL},
	{"log_destination", "stderr", NULL},
	{"log_line_prefix", "%m [%p] ", NULL},
	{"log_min_messages", "warning", NULL},
	{"log_statement", "none", NULL},
	{"log_min_duration_statement", "-1", NULL},

	/* It is a guest on this machine. */
	{"shared_buffers", "64MB", NULL},
	{"huge_pages", "off", NULL},

	/* Files in its own directory: killed, it leaves none in /dev/shm. */
	{"dynamic_shared_memory_type", "mmap", NULL},

	{"work_mem", "16MB", NULL},
	{"maintenance_work_mem", "64MB", NULL},
	{"max_parallel_workers_per_gather", "0", NULL},
	{"max_parallel_maintenance_workers", "0", NULL},
	{"io_method", "sync", has_io_method},
	{"jit", "off", NULL},
	{"track_activities", "off", NULL},
	{"track_counts", "off", NULL},
	{"track_functions", "none", NULL},
	{"track_io_timing", "off", NULL},
};

static void
add(StrList *words, const char *name, const char *value)
{
	AUTO_FREE char *word = mem_printf("%s=%s", name, value);

	strlist_add(words, "-c");
	strlist_add(words, word);
}

static void
add_megabytes(StrList *words, const char *name, uint64_t megabytes, uint64_t least)
{
	AUTO_FREE char *value = mem_printf("%" PRIu64 "MB", megabytes < least ? least : megabytes);

	add(words, name, value);
}

/* PostgreSQL (xlog.c, ReadControlFile): each is at least twice the size of a segment. */
static void
add_wal_sizes(const ServerSettings *settings, StrList *words)
{
	uint64_t segment = settings->segment_size >> 20;
	uint64_t most = settings->wal_max == 0 || settings->wal_max >> 20 > WAL_USUAL_MB
	                    ? WAL_USUAL_MB
	                    : settings->wal_max >> 20;

	add_megabytes(words, "min_wal_size", most < 80 ? most : 80, 2 * segment);
	add_megabytes(words, "max_wal_size", most, 4 * segment);

	/* What is thrown away removes replayed WAL at once, and under no other name does it lie in pg_wal. */
	if (settings->kept)
		return;
	add(words, "checkpoint_completion_target", "0");
	add(words, "wal_recycle", "off");
}

void
server_settings_list(const ServerSettings *settings, StrList *words)
{
	static const struct
	{
		const char *name;
		const char *file;
	} files[] = {
		/* Its own settings may include files that are not here, which would keep it from starting. */
		{"config_file", "postgresql.conf"},
		{"hba_file", "pg_hba.conf"},
		{"ident_file", "pg_ident.conf"},
	};
	const PgMajor *major = pg_major_nearest(settings->major);
	AUTO_FREE char *port = mem_printf("%d", settings->port);

	for (size_t i = 0; i < lengthof(files); i++)
	{
		AUTO_FREE char *path = mem_printf("%s/%s", settings->directory, files[i].file);

		add(words, files[i].name, path);
	}
	for (size_t i = 0; i < lengthof(fixed_settings); i++)
		if (fixed_settings[i].known == NULL || fixed_settings[i].known(major))
			add(words, fixed_settings[i].name, fixed_settings[i].value);
	add_wal_sizes(settings, words);
	add(words, "listen_addresses", settings->listens ? "localhost" : "");
	add(words, "port", port);
	add(words, "unix_socket_directories", settings->sockets);
	add(words, "restore_command", settings->restore_command);
	add(words, "shared_preload_libraries", settings->libraries);
	add(words, "default_transaction_read_only", settings->kept ? "off" : "on");
	add(words, "fsync", settings->kept ? "on" : "off");
	add(words, "full_page_writes", settings->kept ? "on" : "off");
}
