/* Recovery settings; see walship/plan/recovery_conf.h. */
#include "walship/plan/recovery_conf.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "walship/base/mem.h"
#include "walship/base/strs.h"
#include "walship/wal/majors.h"

#define NUMBER_SIZE 16

/* What the settings are for: lines for a server of this major version, or the names alone, of all versions. */
typedef struct Conf
{
	const PgMajor *major;
	Buf *lines;
	StrList *names; /* NULL: lines are wanted */
} Conf;

static void
append_percent_doubled(const char *text, Buf *into)
{
	for (const char *c = text; *c != '\0'; c++)
	{
		if (*c == '%')
			buf_putc(into, '%');
		buf_putc(into, *c);
	}
}

char *
recovery_archive_command(const char *program, const char *flags)
{
	AUTO_FREE char *quoted = str_shell_quote(program);
	AUTO_BUF(command, RECOVERY_CONF_VALUE_MAX);

	append_percent_doubled(quoted, &command);
	buf_puts(&command, " push");
	append_percent_doubled(flags, &command);
	buf_puts(&command, " %p");
	return command.overflowed ? NULL : buf_steal(&command);
}

char *
recovery_restore_command(const char *program, const char *flags, const char *plan_end)
{
	AUTO_FREE char *quoted = str_shell_quote(program);
	AUTO_BUF(command, RECOVERY_CONF_VALUE_MAX);

	append_percent_doubled(quoted, &command);
	buf_puts(&command, " fetch");
	if (plan_end[0] != '\0')
		buf_printf(&command, " --plan-end %s", plan_end);
	append_percent_doubled(flags, &command);
	buf_puts(&command, " %f %p");
	return command.overflowed ? NULL : buf_steal(&command);
}

void
recovery_conf_append(Buf *into, const char *name, const char *value)
{
	buf_printf(into, "%s = '", name);
	for (const char *c = value; *c != '\0'; c++)
	{
		if (*c == '\n')
			buf_puts(into, "\\n");
		else
		{
			if (*c == '\'' || *c == '\\')
				buf_putc(into, *c);
			buf_putc(into, *c);
		}
	}
	buf_puts(into, "'\n");
}

/* "known": by the server's version; it refuses to start with one that it does not know.  NULL as value: no line. */
static void
conf_set_if(Conf *conf, bool known, const char *name, const char *value)
{
	if (conf->names != NULL)
		strlist_add(conf->names, name);
	else if (value != NULL && known)
	{
		recovery_conf_append(conf->lines, name, value);
		conf->lines->overflowed = conf->lines->overflowed || strlen(value) > RECOVERY_CONF_VALUE_MAX;
	}
}

static void
conf_set(Conf *conf, const char *name, const char *value)
{
	conf_set_if(conf, true, name, value);
}

/* Below "least" it means that nobody knows: the server's own setting stays. */
static void
conf_set_parameter(Conf *conf, const char *name, int32_t value, int32_t least)
{
	char text[NUMBER_SIZE];

	(void) snprintf(text, sizeof(text), "%" PRId32, value);
	conf_set(conf, name, value >= least ? text : NULL);
}

/*
 * Every target but the plan's own is written empty.  The server accepts an
 * empty one only while no other is set, and the one that is set only then
 * (PostgreSQL: xlogrecovery.c, assign_recovery_target and neighbours): so the
 * one with a value comes last.
 */
static void
set_targets(Conf *conf, const RecoveryTarget *target, XLogRecPtr end_record)
{
	static const char *const names[] = {"recovery_target", "recovery_target_time", "recovery_target_lsn",
	                                    "recovery_target_xid", "recovery_target_name"};
	const char *own = NULL; /* to the end of the WAL: none */
	const char *value = "";
	char time[TIME_TEXT_SIZE];
	char lsn[LSN_TEXT_SIZE];
	char xid[NUMBER_SIZE];

	switch (target->kind)
	{
		case TARGET_IMMEDIATE:
		case TARGET_BACKUP_ONLY:
			own = end_record == InvalidXLogRecPtr ? "recovery_target" : "recovery_target_lsn";
			value = end_record == InvalidXLogRecPtr ? "immediate" : lsn_format(end_record, lsn);
			break;
		case TARGET_TIME:
			own = "recovery_target_time";
			value = time_format_postgres(target->time, time);
			break;
		case TARGET_LSN:
			own = "recovery_target_lsn";
			value = lsn_format(target->lsn, lsn);
			break;
		case TARGET_XID:
			own = "recovery_target_xid";
			(void) snprintf(xid, sizeof(xid), "%" PRIu32, target->xid);
			value = xid;
			break;
		case TARGET_NAME:
			own = "recovery_target_name";
			value = target->name;
			break;
		case TARGET_BEFORE: /* a plan has made an LSN of it */
		case TARGET_LATEST:
			break;
	}
	for (size_t i = 0; i < lengthof(names); i++)
		if (!str_equal(names[i], own))
			conf_set(conf, names[i], "");
	if (own != NULL)
		conf_set(conf, own, value);
}

/* In the order of the file. */
static void
set_everything(Conf *conf, const RecoveryPlan *plan, const RecoveryConf *values)
{
	static const char *const actions[] = {
		[ACTION_PAUSE] = "pause", [ACTION_PROMOTE] = "promote", [ACTION_SHUTDOWN] = "shutdown"};
	const RecoveryTarget *target = &plan->target;
	const BackupParameters *parameters = &plan->parameters;
	bool standby = plan->purpose == PURPOSE_STANDBY;

	conf_set(conf, "restore_command", values->restore_command);

	/* Where it does not matter it is "on", the server's default: a named point is always included. */
	bool exclusive = !target->inclusive && (target->kind == TARGET_TIME || target->kind == TARGET_LSN ||
	                                        target->kind == TARGET_XID);

	conf_set(conf, "recovery_target_inclusive", exclusive ? "off" : "on");

	/*
	 * A number makes the server look for that timeline's history file
	 * (PostgreSQL: xlogrecovery.c, "recovery target timeline %u does not
	 * exist"), which there is none of for a timeline known by its backup only:
	 * that backup's own timeline is "current".
	 */
	bool without_file =
		plan->timeline > 1 && (!plan->timeline_has_file || target->kind == TARGET_BACKUP_ONLY);
	char timeline[NUMBER_SIZE];

	(void) snprintf(timeline, sizeof(timeline), "%" PRIu32, plan->timeline);
	conf_set(conf, "recovery_target_timeline",
	         standby                                                    ? "latest"
	         : without_file && plan->backup->timeline == plan->timeline ? "current"
	                                                                    : timeline);
	conf_set(conf, "recovery_target_action", actions[plan->action]);

	/* What the backup's server had here was meant for that server: a delayed standby, its clean-up, its primary. */
	conf_set(conf, "recovery_min_apply_delay", "0");
	conf_set(conf, "archive_cleanup_command", "");
	conf_set(conf, "recovery_end_command", "");
	conf_set(conf, "primary_conninfo",
	         standby && values->primary_conninfo != NULL ? values->primary_conninfo : "");
	conf_set(conf, "primary_slot_name",
	         standby && values->primary_slot_name != NULL ? values->primary_slot_name : "");
	conf_set_if(conf, conf->major->has_promote_trigger_file, "promote_trigger_file", "");

	/* Its standbys do not follow this one: commits would wait for them for ever. */
	conf_set(conf, "synchronous_standby_names", "");

	/*
	 * Promoted, a copy would go on with the subscriptions of the server that it came
	 * from: by the same slots of the same publishers, whose changes that server then
	 * never gets.
	 */
	if (plan->purpose == PURPOSE_COPY)
		conf_set(conf, "max_logical_replication_workers", "0");

	/*
	 * A paused recovery is looked at through hot standby, and that refuses
	 * settings lower than those which the WAL was written with (PostgreSQL:
	 * xlogrecovery.c, RecoveryRequiresIntParameter).  Zero is a legal value of
	 * max_prepared_transactions only.
	 */
	conf_set(conf, "hot_standby", "on");
	conf_set_parameter(conf, "max_connections", parameters->max_connections, 1);
	conf_set_parameter(conf, "max_worker_processes", parameters->max_worker_processes, 1);
	conf_set_parameter(conf, "max_wal_senders", parameters->max_wal_senders, 1);
	conf_set_parameter(conf, "max_prepared_transactions", parameters->max_prepared_transactions, 0);
	conf_set_parameter(conf, "max_locks_per_transaction", parameters->max_locks_per_transaction, 1);

	/*
	 * A copy must not archive into what it came from; a server that goes live
	 * must, and the settings that said so may have died with its machine.  A
	 * library beside a command is an error (PostgreSQL 16: pgarch.c,
	 * LoadArchiveLibrary).  Elsewhere the server's own settings stay.
	 */
	if (plan->purpose == PURPOSE_COPY || values->archive_command != NULL)
	{
		conf_set(conf, "archive_mode", plan->purpose == PURPOSE_COPY ? "off" : "on");
		conf_set(conf, "archive_command", plan->purpose == PURPOSE_COPY ? "" : values->archive_command);
		conf_set_if(conf, conf->major->has_archive_library, "archive_library", "");
	}
	set_targets(conf, target, plan->end_record);
}

void
recovery_conf_print(const RecoveryPlan *plan, const RecoveryConf *conf, Buf *into)
{
	const PgMajor *major = pg_major_nearest(plan->backup->server_version / 10000);

	set_everything(&(Conf){.major = major, .lines = into}, plan, conf);
}

static bool
is_name_character(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
	       c == '.' || c == '$';
}

/* Does this line, without its newline, set one of these?  Names are compared as the server does: without case. */
static bool
line_sets_any(const StrList *names, const char *line, size_t size)
{
	size_t start = 0;
	size_t end;

	while (start < size && strchr(" \t\r\f\v", line[start]) != NULL && line[start] != '\0')
		start++;
	for (end = start; end < size && is_name_character(line[end]); end++)
		;
	for (size_t i = 0; i < names->count; i++)
		if (strlen(names->items[i]) == end - start &&
		    strncasecmp(names->items[i], line + start, end - start) == 0)
			return true;
	return false;
}

void
recovery_conf_comment_out(RecoveryPurpose purpose, const RecoveryConf *values, const char *text, size_t size,
                          Buf *into)
{
	const BackupRecord backup = {0};
	const RecoveryPlan plan = {.backup = &backup,
	                           .purpose = purpose}; /* which names: by purpose and values alone */
	const char *end = text + size;
	AUTO_STRLIST names = {0};

	set_everything(&(Conf){.major = pg_major_newest(), .names = &names}, &plan, values);

	/* A quoted value cannot go over a line's end (PostgreSQL: guc-file.l, STRING). */
	while (text < end)
	{
		const char *newline = memchr(text, '\n', (size_t) (end - text));
		size_t length = (size_t) ((newline == NULL ? end : newline) - text);

		if (line_sets_any(&names, text, length))
			buf_puts(into, "# ");
		buf_append(into, text, length);
		buf_putc(into, '\n');
		text += length + (newline == NULL ? 0 : 1);
	}
}

/* What stands behind a name: "= 'it''s'  # comment", also without '=' or quotes. */
static char *
take_value(const char *text, size_t size)
{
	AUTO_BUF(value, RECOVERY_CONF_VALUE_MAX);
	size_t at = 0;

	while (at < size && (text[at] == ' ' || text[at] == '\t' || text[at] == '='))
		at++;

	bool quoted = at < size && text[at] == '\'';

	buf_puts(&value, "");
	for (at += quoted; at < size; at++)
	{
		char c = text[at];
		bool next = at + 1 < size;

		if (quoted && ((c == '\'' && next && text[at + 1] == '\'') || (c == '\\' && next)))
			c = text[++at];
		else if (quoted ? c == '\'' : c == ' ' || c == '\t' || c == '\r' || c == '#')
			break;
		buf_putc(&value, c);
	}
	return buf_steal(&value);
}

void
recovery_conf_each(const char *text, size_t size,
                   void (*take)(void *context, const char *name, const char *value), void *context)
{
	const char *end = text + size;

	while (text < end)
	{
		const char *newline = memchr(text, '\n', (size_t) (end - text));
		size_t length = (size_t) ((newline == NULL ? end : newline) - text);
		size_t start = 0;
		size_t stop;

		while (start < length && strchr(" \t\r\f\v", text[start]) != NULL && text[start] != '\0')
			start++;
		for (stop = start; stop < length && is_name_character(text[stop]); stop++)
			;
		if (stop > start)
		{
			AUTO_FREE char *name = mem_strndup(text + start, stop - start);
			AUTO_FREE char *value = take_value(text + stop, length - stop);

			take(context, name, value);
		}
		text += length + (newline == NULL ? 0 : 1);
	}
}

typedef struct Wanted
{
	const char *name;
	char *value;
} Wanted;

static void
take_wanted(void *context, const char *name, const char *value)
{
	Wanted *wanted = context;

	if (strcasecmp(name, wanted->name) != 0)
		return;
	free(wanted->value);
	wanted->value = mem_strdup(value);
}

char *
recovery_conf_find(const char *text, size_t size, const char *name)
{
	Wanted wanted = {.name = name};

	recovery_conf_each(text, size, take_wanted, &wanted);
	return wanted.value;
}
