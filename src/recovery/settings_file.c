/* Writes into a restored data directory what makes the server recover as planned. */
#include <string.h>

#include "steps.h"
#include "walship/base/file.h"
#include "walship/base/mem.h"
#include "walship/plan/recovery_conf.h"
#include "walship/wal/label.h"

#define AUTO_CONF_MAX      (8 * 1024 * 1024)
#define LABEL_MAX          (64 * 1024)
#define TABLESPACE_MAP_MAX (8 * 1024 * 1024)
#define LINES_MAX          (1024 * 1024)

Error *
settings_file_read_label(const char *pgdata, BackupLabel *ret_label)
{
	AUTO_FREE char *path = path_join(pgdata, "backup_label");
	AUTO_BUF(text, LABEL_MAX);

	TRY(file_read_all(path, &text));
	return error_context(backup_label_parse(text.data, text.size, ret_label), "file \"%s\"", path);
}

Error *
settings_file_find_backup(Recovery *recovery)
{
	const char *pgdata = recovery->pgdata;
	const Catalog *catalog = recovery->catalog;
	BackupLabel label;
	char text[LSN_TEXT_SIZE];

	TRY(error_hint(settings_file_read_label(pgdata, &label),
	               "Restore a backup of this store into \"%s\" first, with its backup_label.", pgdata));
	for (size_t i = catalog->n_backups; i-- > 0;)
	{
		const BackupRecord *record = catalog->backups[i];

		if (record->start_lsn == label.start_lsn && record->timeline == label.timeline)
		{
			recovery->request.backup_id = record->id;
			recovery->request.restored = true;
			return NULL;
		}
	}
	return error_hint(
		error_new(ERR_NOT_FOUND,
	              "no backup in the store starts at %s on timeline %u, as backup_label in \"%s\" says",
	              lsn_format(label.start_lsn, text), label.timeline, pgdata),
		"\"--config-only\" is for backups of this store that were restored by other means.");
}

/* "OLD=NEW", each '=' in them as "\=". */
static void
append_mapping(const TablespaceMapping *mapping, Buf *into)
{
	const char *const paths[] = {mapping->from, mapping->to};

	for (size_t i = 0; i < lengthof(paths); i++)
	{
		buf_puts(into, i == 0 ? "" : "=");
		for (const char *c = paths[i]; *c != '\0'; c++)
		{
			if (*c == '=')
				buf_putc(into, '\\');
			buf_putc(into, *c);
		}
	}
}

/* What "walship fetch" is told besides: where the server may create tablespaces.  The caller frees. */
static char *
fetch_flags(const Recovery *recovery)
{
	AUTO_MAPPINGS mappings = {0};
	AUTO_BUF(flags, RECOVERY_CONF_VALUE_MAX + 1);

	buf_puts(&flags, recovery->flags);
	buf_puts(&flags,
	         recovery->plan->purpose == PURPOSE_COPY ? " --tablespaces mapped" : " --tablespaces empty");
	if (recovery->plan->purpose == PURPOSE_COPY)
		created_mappings(recovery, &mappings);
	for (size_t i = 0; i < mappings.count; i++)
	{
		AUTO_BUF(mapping, RECOVERY_CONF_VALUE_MAX);

		append_mapping(&mappings.items[i], &mapping);

		AUTO_FREE char *text = buf_steal(&mapping);
		AUTO_FREE char *quoted = str_shell_quote(text);

		buf_printf(&flags, " --tablespace-map %s", quoted);
	}
	return flags.overflowed ? NULL : buf_steal(&flags);
}

Error *
settings_file_print(Recovery *recovery)
{
	const RecoveryPlan *plan = recovery->plan;
	AUTO_FREE char *flags = fetch_flags(recovery);

	/* The server wants a command, also where there is nothing to fetch: one that says "not there". */
	AUTO_FREE char *command = plan->target.kind == TARGET_BACKUP_ONLY ? mem_strdup("false")
	                          : flags == NULL
	                              ? NULL
	                              : recovery_restore_command(recovery->program, flags, plan->plan_end);
	AUTO_FREE char *archive_command = NULL;

	if (plan->purpose == PURPOSE_REJOIN && recovery->archive_library == NULL)
		archive_command = recovery_archive_command(recovery->program, recovery->flags);

	bool archive_too_long =
		plan->purpose == PURPOSE_REJOIN && recovery->archive_library == NULL && archive_command == NULL;
	RecoveryConf conf = {.restore_command = command,
	                     .archive_command = archive_command,
	                     .primary_conninfo = recovery->primary_conninfo,
	                     .primary_slot_name = recovery->primary_slot_name};
	AUTO_BUF(lines, LINES_MAX);

	if (command != NULL)
		recovery_conf_print(plan, &conf, &lines);
	if (command == NULL || archive_too_long || lines.overflowed)
		return error_hint(error_new(ERR_USAGE, "%s is too long for a setting of the server",
		                            command == NULL    ? "restore_command"
		                            : archive_too_long ? "archive_command"
		                                               : "--primary-conninfo"),
		                  "It may have %d bytes.", RECOVERY_CONF_VALUE_MAX);
	recovery->archives_itself = archive_command != NULL;
	free(recovery->settings);
	recovery->settings = buf_steal(&lines);
	return NULL;
}

Error *
settings_file_find(const char *pgdata, const char *file, const char *name, char **ret_value)
{
	AUTO_FREE char *path = path_join(pgdata, file);
	AUTO_BUF(text, AUTO_CONF_MAX);
	Error *error = file_read_all(path, &text);

	*ret_value = NULL;
	if (error_is(error, ERR_NOT_FOUND))
	{
		error_free(error);
		return NULL;
	}
	TRY(error);
	*ret_value = recovery_conf_find(text.data, text.size, name);
	return NULL;
}

Error *
settings_file_keep_library(Recovery *recovery)
{
	AUTO_FREE char *library = NULL;

	if (recovery->plan->purpose != PURPOSE_REJOIN)
		return NULL;
	TRY(settings_file_find(recovery->pgdata, "postgresql.auto.conf", "archive_library", &library));
	if (library == NULL)
		TRY(settings_file_find(recovery->pgdata, "postgresql.conf", "archive_library", &library));
	if (library == NULL || library[0] == '\0')
		return NULL;
	recovery->archive_library = MOVE(library);
	return settings_file_print(recovery);
}

/* As the server would make it, by the mode of its data directory (PostgreSQL: file_perm.h). */
static mode_t
config_mode(const Recovery *recovery)
{
	struct stat status;

	return stat(recovery->pgdata, &status) == 0 && (status.st_mode & 0040) != 0 ? 0640 : 0600;
}

/* Without it the server would begin at the wrong checkpoint and corrupt the database silently. */
static Error *
check_label(const Recovery *recovery)
{
	const BackupRecord *record = recovery->plan->backup;
	BackupLabel label;
	Error *error = settings_file_read_label(recovery->pgdata, &label);

	if (error_is(error, ERR_NOT_FOUND))
	{
		error_free(error);
		error = error_new(ERR_CORRUPT, "directory \"%s\" has no backup_label", recovery->pgdata);
	}
	TRY(error);
	if (label.start_lsn != record->start_lsn)
		return error_new(ERR_CORRUPT, "backup_label in \"%s\" is not the one of backup \"%s\"",
		                 recovery->pgdata, record->id);
	return NULL;
}

/* From it the server makes the links in pg_tblspc (PostgreSQL: xlogrecovery.c, read_tablespace_map). */
static Error *
write_tablespace_map(const Recovery *recovery)
{
	AUTO_FREE char *path = path_join(recovery->pgdata, "tablespace_map");
	AUTO_BUF(map, TABLESPACE_MAP_MAX);
	bool moved = false;

	for (size_t i = 0; i < recovery->n_tablespaces; i++)
	{
		const RestoreTablespace *tablespace = &recovery->tablespaces[i];

		if (tablespace->in_place)
		{
			moved = true; /* a link to itself, if the server put it there */
			continue;
		}
		moved = moved || strcmp(recovery->plan->backup->tablespaces[i].path, tablespace->path) != 0;
		tablespace_map_append(&map, tablespace->oid, tablespace->path);
	}
	return moved ? file_replace(path, map.data, map.size, config_mode(recovery)) : NULL;
}

static Error *
write_auto_conf(const Recovery *recovery)
{
	AUTO_FREE char *path = path_join(recovery->pgdata, "postgresql.auto.conf");
	AUTO_BUF(old, AUTO_CONF_MAX);
	AUTO_BUF(text, 2 * AUTO_CONF_MAX);
	Error *error = file_read_all(path, &old);

	if (error_is(error, ERR_NOT_FOUND))
	{
		error_free(error);
		error = NULL;
	}
	TRY(error);
	/* Of the values only which are set counts here: those of the settings that were printed. */
	recovery_conf_comment_out(
		recovery->plan->purpose,
		&(RecoveryConf){.archive_command = recovery->archives_itself ? recovery->program : NULL}, old.data,
		old.size, &text);
	buf_printf(
		&text, "\n# written by walship recover from backup %s; not needed once the recovery has ended%s\n%s",
		recovery->plan->backup->id,
		recovery->archives_itself ? ", but for archive_mode and archive_command" : "", recovery->settings);
	if (text.overflowed)
		return error_new(ERR_CORRUPT, "file \"%s\" is too long", path);
	return file_replace(path, text.data, text.size, config_mode(recovery));
}

Error *
settings_file_write(const Recovery *recovery)
{
	AUTO_FREE char *recovery_signal = path_join(recovery->pgdata, "recovery.signal");
	AUTO_FREE char *standby_signal = path_join(recovery->pgdata, "standby.signal");
	bool standby = recovery->plan->purpose == PURPOSE_STANDBY;

	TRY(check_label(recovery));

	/* Both come along when the backup was taken from a standby, or from a server in recovery. */
	TRY(file_remove(recovery_signal));
	TRY(file_remove(standby_signal));
	TRY(write_tablespace_map(recovery));
	TRY(write_auto_conf(recovery));
	return file_replace(standby ? standby_signal : recovery_signal, "", 0, config_mode(recovery));
}

Error *
settings_file_write_forward(const Recovery *recovery)
{
	return write_auto_conf(recovery);
}
