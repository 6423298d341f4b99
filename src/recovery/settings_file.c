/* Writes into a restored data directory what makes the server recover as planned. */
#include "walship/recovery/settings_file.h"

#include <string.h>

#include "walship/base/file.h"
#include "walship/base/mem.h"
#include "walship/plan/recovery_conf.h"
#include "walship/wal/label.h"

#define AUTO_CONF       "postgresql.auto.conf"
#define RECOVERY_SIGNAL "recovery.signal"
#define STANDBY_SIGNAL  "standby.signal"
#define BACKUP_LABEL    "backup_label"
#define TABLESPACE_MAP  "tablespace_map"

#define AUTO_CONF_MAX      (8 * 1024 * 1024)
#define LABEL_MAX          (64 * 1024)
#define TABLESPACE_MAP_MAX (8 * 1024 * 1024)
#define LINES_MAX          (1024 * 1024)
#define CONFIG_MODE        0600

static Error *
read_label(const char *pgdata, BackupLabel *ret_label)
{
	AUTO_FREE char *path = path_join(pgdata, BACKUP_LABEL);
	AUTO_BUF(text, LABEL_MAX);

	TRY(file_read_all(path, &text));
	return error_context(backup_label_parse(text.data, text.size, ret_label), "file \"%s\"", path);
}

/* Without it the server would begin at the wrong checkpoint and corrupt the database silently. */
static Error *
check_label(const RecoverConfig *config)
{
	BackupLabel label;
	Error *error = read_label(config->pgdata, &label);

	if (error_is(error, ERR_NOT_FOUND))
	{
		error_free(error);
		error = error_new(ERR_CORRUPT, "directory \"%s\" has no backup_label", config->pgdata);
	}
	TRY(error);
	if (label.start_lsn != config->plan->backup->start_lsn)
		return error_new(ERR_CORRUPT, "backup_label in \"%s\" is not the one of backup \"%s\"",
		                 config->pgdata, config->plan->backup->id);
	return NULL;
}

static bool
has_moved(const RecoverConfig *config)
{
	const BackupRecord *record = config->plan->backup;

	for (size_t i = 0; i < config->n_tablespaces; i++)
		if (strcmp(record->tablespaces[i].path, config->tablespaces[i].path) != 0)
			return true;
	return false;
}

/* From it the server makes the links in pg_tblspc (PostgreSQL: xlogrecovery.c, read_tablespace_map). */
static Error *
write_tablespace_map(const RecoverConfig *config)
{
	AUTO_FREE char *path = path_join(config->pgdata, TABLESPACE_MAP);
	AUTO_BUF(map, TABLESPACE_MAP_MAX);

	if (!has_moved(config))
		return NULL;
	for (size_t i = 0; i < config->n_tablespaces; i++)
		tablespace_map_append(&map, config->tablespaces[i].oid, config->tablespaces[i].path);
	return file_replace(path, map.data, map.size, CONFIG_MODE);
}

/* Both come along when the backup was taken from a standby, or from a server in recovery. */
static Error *
remove_signals(const RecoverConfig *config)
{
	AUTO_FREE char *recovery = path_join(config->pgdata, RECOVERY_SIGNAL);
	AUTO_FREE char *standby = path_join(config->pgdata, STANDBY_SIGNAL);

	TRY(file_remove(recovery));
	return file_remove(standby);
}

/* NULL: it is too long. */
static char *
restore_command(const RecoverConfig *config)
{
	/* The server wants a command, also where there is nothing to fetch: one that says "not there". */
	if (config->plan->target.kind == TARGET_BACKUP_ONLY)
		return mem_strdup("false");
	return recovery_restore_command(config->program, config->flags, config->plan->plan_end);
}

static Error *
read_auto_conf(const char *path, Buf *text)
{
	Error *error = file_read_all(path, text);

	if (!error_is(error, ERR_NOT_FOUND))
		return error;
	error_free(error);
	return NULL;
}

Error *
recover_config_print(const RecoverConfig *config, Buf *into)
{
	AUTO_FREE char *command = restore_command(config);
	RecoveryConf conf = {.restore_command = command,
	                     .primary_conninfo = config->primary_conninfo,
	                     .primary_slot_name = config->primary_slot_name};
	AUTO_BUF(lines, LINES_MAX);

	if (command != NULL)
		recovery_conf_print(config->plan, &conf, &lines);
	if (command == NULL || lines.overflowed)
		return error_hint(error_new(ERR_USAGE, "%s is too long for a setting of the server",
		                            command == NULL ? "restore_command" : "--primary-conninfo"),
		                  "It may have %d bytes.", RECOVERY_CONF_VALUE_MAX);
	buf_append(into, lines.data, lines.size);
	return NULL;
}

static Error *
write_auto_conf(const RecoverConfig *config)
{
	AUTO_FREE char *path = path_join(config->pgdata, AUTO_CONF);
	AUTO_BUF(old, AUTO_CONF_MAX);
	AUTO_BUF(text, 2 * AUTO_CONF_MAX);

	TRY(read_auto_conf(path, &old));
	recovery_conf_comment_out(config->plan->purpose, old.data, old.size, &text);
	buf_printf(&text,
	           "\n# written by walship recover from backup %s; not needed once the recovery has ended\n",
	           config->plan->backup->id);
	TRY(recover_config_print(config, &text));
	if (text.overflowed)
		return error_new(ERR_CORRUPT, "file \"%s\" is too long", path);
	return file_replace(path, text.data, text.size, CONFIG_MODE);
}

static Error *
write_signal(const RecoverConfig *config)
{
	bool standby = config->plan->purpose == PURPOSE_STANDBY;
	AUTO_FREE char *path = path_join(config->pgdata, standby ? STANDBY_SIGNAL : RECOVERY_SIGNAL);

	return file_replace(path, "", 0, CONFIG_MODE);
}

Error *
recover_config_write(const RecoverConfig *config)
{
	TRY(check_label(config));
	TRY(remove_signals(config));
	TRY(write_tablespace_map(config));
	TRY(write_auto_conf(config));
	return write_signal(config);
}

static const BackupRecord *
find_backup(const Catalog *catalog, const BackupLabel *label)
{
	for (size_t i = catalog->n_backups; i-- > 0;)
	{
		const BackupRecord *record = catalog->backups[i];

		if (record->start_lsn == label->start_lsn && record->timeline == label->timeline)
			return record;
	}
	return NULL;
}

Error *
recover_config_find_backup(const char *pgdata, const Catalog *catalog, RecoveryRequest *request)
{
	BackupLabel label;
	char text[LSN_TEXT_SIZE];

	TRY(error_hint(read_label(pgdata, &label),
	               "Restore a backup of this store into \"%s\" first, with its backup_label.", pgdata));

	const BackupRecord *record = find_backup(catalog, &label);

	if (record == NULL)
		return error_hint(
			error_new(ERR_NOT_FOUND,
		              "no backup in the store starts at %s on timeline %u, as backup_label in \"%s\" says",
		              lsn_format(label.start_lsn, text), label.timeline, pgdata),
			"\"--config-only\" is for backups of this store that were restored by other means.");
	request->backup_id = record->id;
	return NULL;
}
