/* Recovery settings; see walship/plan/recovery_conf.h. */
#include "walship/plan/recovery_conf.h"

#include <inttypes.h>
#include <string.h>
#include <strings.h>

#include "walship/base/mem.h"
#include "walship/base/strs.h"

#define NAME_MAX_SIZE 64
#define VALUE_MAX     RECOVERY_CONF_VALUE_MAX
#define FIRST_MAJOR   13
#define LAST_MAJOR    99

/* What is put into the value; false: the line is left out. */
typedef bool (*ValueOf)(const RecoveryPlan *plan, const RecoveryConf *conf, Buf *value);

typedef struct Row
{
	const char *name;
	int since; /* first and last major version that knows it */
	int until;
	bool copy_only; /* elsewhere the server's own setting stays */
	ValueOf value;
} Row;

static bool
value_empty(const RecoveryPlan *plan, const RecoveryConf *conf, Buf *value)
{
	(void) plan;
	(void) conf;
	(void) value;
	return true;
}

static bool
value_on(const RecoveryPlan *plan, const RecoveryConf *conf, Buf *value)
{
	(void) plan;
	(void) conf;
	buf_puts(value, "on");
	return true;
}

static bool
value_off(const RecoveryPlan *plan, const RecoveryConf *conf, Buf *value)
{
	(void) plan;
	(void) conf;
	buf_puts(value, "off");
	return true;
}

static bool
value_zero(const RecoveryPlan *plan, const RecoveryConf *conf, Buf *value)
{
	(void) plan;
	(void) conf;
	buf_puts(value, "0");
	return true;
}

static bool
value_restore_command(const RecoveryPlan *plan, const RecoveryConf *conf, Buf *value)
{
	(void) plan;
	buf_puts(value, conf->restore_command);
	return true;
}

static bool
value_immediate(const RecoveryPlan *plan, const RecoveryConf *conf, Buf *value)
{
	(void) conf;
	if (plan->target.kind == TARGET_IMMEDIATE || plan->target.kind == TARGET_BACKUP_ONLY)
		buf_puts(value, "immediate");
	return true;
}

static bool
value_time(const RecoveryPlan *plan, const RecoveryConf *conf, Buf *value)
{
	char text[TIME_TEXT_SIZE];

	(void) conf;
	if (plan->target.kind == TARGET_TIME)
		buf_puts(value, time_format_postgres(plan->target.time, text));
	return true;
}

static bool
value_lsn(const RecoveryPlan *plan, const RecoveryConf *conf, Buf *value)
{
	char text[LSN_TEXT_SIZE];

	(void) conf;
	if (plan->target.kind == TARGET_LSN)
		buf_puts(value, lsn_format(plan->target.lsn, text));
	return true;
}

static bool
value_xid(const RecoveryPlan *plan, const RecoveryConf *conf, Buf *value)
{
	(void) conf;
	if (plan->target.kind == TARGET_XID)
		buf_printf(value, "%" PRIu32, plan->target.xid);
	return true;
}

static bool
value_name(const RecoveryPlan *plan, const RecoveryConf *conf, Buf *value)
{
	(void) conf;
	if (plan->target.kind == TARGET_NAME)
		buf_puts(value, plan->target.name);
	return true;
}

static bool
value_inclusive(const RecoveryPlan *plan, const RecoveryConf *conf, Buf *value)
{
	bool matters = plan->target.kind == TARGET_TIME || plan->target.kind == TARGET_LSN ||
	               plan->target.kind == TARGET_XID;

	(void) conf;
	buf_puts(value, matters && !plan->target.inclusive ? "off" : "on");
	return true;
}

/*
 * A number makes the server look for that timeline's history file (PostgreSQL:
 * xlogrecovery.c, "recovery target timeline %u does not exist"), which there is none of for a
 * timeline known by its backup only: that backup's own timeline is "current".
 */
static bool
value_timeline(const RecoveryPlan *plan, const RecoveryConf *conf, Buf *value)
{
	bool without_file =
		plan->timeline > 1 && (!plan->timeline_has_file || plan->target.kind == TARGET_BACKUP_ONLY);

	(void) conf;
	if (plan->purpose == PURPOSE_STANDBY)
		buf_puts(value, "latest");
	else if (without_file && plan->backup->timeline == plan->timeline)
		buf_puts(value, "current");
	else
		buf_printf(value, "%" PRIu32, plan->timeline);
	return true;
}

static bool
value_action(const RecoveryPlan *plan, const RecoveryConf *conf, Buf *value)
{
	(void) conf;
	switch (plan->action)
	{
		case ACTION_PAUSE:
			buf_puts(value, "pause");
			break;
		case ACTION_PROMOTE:
			buf_puts(value, "promote");
			break;
		case ACTION_SHUTDOWN:
			buf_puts(value, "shutdown");
			break;
	}
	return true;
}

static bool
value_conninfo(const RecoveryPlan *plan, const RecoveryConf *conf, Buf *value)
{
	if (plan->purpose == PURPOSE_STANDBY && conf->primary_conninfo != NULL)
		buf_puts(value, conf->primary_conninfo);
	return true;
}

static bool
value_slot_name(const RecoveryPlan *plan, const RecoveryConf *conf, Buf *value)
{
	if (plan->purpose == PURPOSE_STANDBY && conf->primary_slot_name != NULL)
		buf_puts(value, conf->primary_slot_name);
	return true;
}

/* Zero is a legal value of max_prepared_transactions only; elsewhere it means that nobody knows. */
static bool
number(int32_t parameter, int32_t least, Buf *value)
{
	buf_printf(value, "%" PRId32, parameter);
	return parameter >= least;
}

static bool
value_connections(const RecoveryPlan *plan, const RecoveryConf *conf, Buf *value)
{
	(void) conf;
	return number(plan->parameters.max_connections, 1, value);
}

static bool
value_worker_processes(const RecoveryPlan *plan, const RecoveryConf *conf, Buf *value)
{
	(void) conf;
	return number(plan->parameters.max_worker_processes, 1, value);
}

static bool
value_wal_senders(const RecoveryPlan *plan, const RecoveryConf *conf, Buf *value)
{
	(void) conf;
	return number(plan->parameters.max_wal_senders, 1, value);
}

static bool
value_prepared(const RecoveryPlan *plan, const RecoveryConf *conf, Buf *value)
{
	(void) conf;
	return number(plan->parameters.max_prepared_transactions, 0, value);
}

static bool
value_locks(const RecoveryPlan *plan, const RecoveryConf *conf, Buf *value)
{
	(void) conf;
	return number(plan->parameters.max_locks_per_transaction, 1, value);
}

static const Row rows[] = {
	{"restore_command", FIRST_MAJOR, LAST_MAJOR, false, value_restore_command},
	{"recovery_target_inclusive", FIRST_MAJOR, LAST_MAJOR, false, value_inclusive},
	{"recovery_target_timeline", FIRST_MAJOR, LAST_MAJOR, false, value_timeline},
	{"recovery_target_action", FIRST_MAJOR, LAST_MAJOR, false, value_action},
	{"recovery_min_apply_delay", FIRST_MAJOR, LAST_MAJOR, false, value_zero},
	{"archive_cleanup_command", FIRST_MAJOR, LAST_MAJOR, false, value_empty},
	{"recovery_end_command", FIRST_MAJOR, LAST_MAJOR, false, value_empty},
	{"primary_conninfo", FIRST_MAJOR, LAST_MAJOR, false, value_conninfo},
	{"primary_slot_name", FIRST_MAJOR, LAST_MAJOR, false, value_slot_name},
	{"promote_trigger_file", FIRST_MAJOR, 15, false, value_empty},
	{"synchronous_standby_names", FIRST_MAJOR, LAST_MAJOR, false, value_empty},
	{"hot_standby", FIRST_MAJOR, LAST_MAJOR, false, value_on},
	{"max_connections", FIRST_MAJOR, LAST_MAJOR, false, value_connections},
	{"max_worker_processes", FIRST_MAJOR, LAST_MAJOR, false, value_worker_processes},
	{"max_wal_senders", FIRST_MAJOR, LAST_MAJOR, false, value_wal_senders},
	{"max_prepared_transactions", FIRST_MAJOR, LAST_MAJOR, false, value_prepared},
	{"max_locks_per_transaction", FIRST_MAJOR, LAST_MAJOR, false, value_locks},
	{"archive_mode", FIRST_MAJOR, LAST_MAJOR, true, value_off},
	{"archive_command", FIRST_MAJOR, LAST_MAJOR, true, value_empty},
	{"archive_library", 15, LAST_MAJOR, true, value_empty},
};

/*
 * The server accepts an empty target only while no other is set, and the one
 * that is set only then (PostgreSQL: xlogrecovery.c, assign_recovery_target and
 * neighbours): so the one with a value comes last.
 */
static const Row targets[] = {
	{"recovery_target", FIRST_MAJOR, LAST_MAJOR, false, value_immediate},
	{"recovery_target_time", FIRST_MAJOR, LAST_MAJOR, false, value_time},
	{"recovery_target_lsn", FIRST_MAJOR, LAST_MAJOR, false, value_lsn},
	{"recovery_target_xid", FIRST_MAJOR, LAST_MAJOR, false, value_xid},
	{"recovery_target_name", FIRST_MAJOR, LAST_MAJOR, false, value_name},
};

static bool
applies(const Row *row, RecoveryPurpose purpose)
{
	return !row->copy_only || purpose == PURPOSE_COPY;
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

/* What was cut must not be taken for the whole. */
static void
append_value(Buf *into, const char *name, const Buf *value)
{
	recovery_conf_append(into, name, value->data == NULL ? "" : value->data);
	into->overflowed = into->overflowed || value->overflowed;
}

static void
print_targets(const RecoveryPlan *plan, const RecoveryConf *conf, bool with_value, Buf *into)
{
	for (size_t i = 0; i < lengthof(targets); i++)
	{
		AUTO_BUF(value, VALUE_MAX);

		(void) targets[i].value(plan, conf, &value);
		if ((value.size > 0) == with_value)
			append_value(into, targets[i].name, &value);
	}
}

void
recovery_conf_print(const RecoveryPlan *plan, const RecoveryConf *conf, Buf *into)
{
	int major = plan->backup->server_version / 10000;

	for (size_t i = 0; i < lengthof(rows); i++)
	{
		AUTO_BUF(value, VALUE_MAX);

		if (major < rows[i].since || major > rows[i].until || !applies(&rows[i], plan->purpose) ||
		    !rows[i].value(plan, conf, &value))
			continue;
		append_value(into, rows[i].name, &value);
	}
	print_targets(plan, conf, false, into);
	print_targets(plan, conf, true, into);
}

static bool
is_name_character(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
	       c == '.' || c == '$';
}

static bool
is_among(const Row *table, size_t count, RecoveryPurpose purpose, const char *name, size_t length)
{
	for (size_t i = 0; i < count; i++)
		if (applies(&table[i], purpose) && strlen(table[i].name) == length &&
		    strncasecmp(table[i].name, name, length) == 0)
			return true;
	return false;
}

/* Does this line, without its newline, set one of ours?  Names are compared as the server does: without case. */
static bool
line_sets_ours(RecoveryPurpose purpose, const char *line, size_t size)
{
	size_t start = 0;
	size_t end;

	while (start < size && strchr(" \t\r\f\v", line[start]) != NULL && line[start] != '\0')
		start++;
	for (end = start; end < size && is_name_character(line[end]); end++)
		;
	if (end == start || end - start >= NAME_MAX_SIZE)
		return false;
	return is_among(rows, lengthof(rows), purpose, line + start, end - start) ||
	       is_among(targets, lengthof(targets), purpose, line + start, end - start);
}

void
recovery_conf_comment_out(RecoveryPurpose purpose, const char *text, size_t size, Buf *into)
{
	const char *end = text + size;

	/* A quoted value cannot go over a line's end (PostgreSQL: guc-file.l, STRING). */
	while (text < end)
	{
		const char *newline = memchr(text, '\n', (size_t) (end - text));
		size_t length = (size_t) ((newline == NULL ? end : newline) - text);

		if (line_sets_ours(purpose, text, length))
			buf_puts(into, "# ");
		buf_append(into, text, length);
		buf_putc(into, '\n');
		text += length + (newline == NULL ? 0 : 1);
	}
}
