/*
 * The settings of a recovery, for postgresql.auto.conf.  Every one is written,
 * also the unused, for what an older recovery left there would be combined with ours
 * ("multiple recovery targets specified").  Pure text.
 */
#pragma once

#include <stddef.h>

#include "walship/base/buf.h"
#include "walship/plan/recover.h"

#define RECOVERY_CONF_VALUE_MAX (64 * 1024) /* bytes of one setting */

typedef struct RecoveryConf
{
	const char *restore_command;   /* as the shell is to see it, with %f and %p; not empty */
	const char *primary_conninfo;  /* of a standby; NULL: none */
	const char *primary_slot_name; /* of a standby; NULL: none */
	const char *archive_command;   /* of a server that goes live; NULL: its own archive settings stay */
} RecoveryConf;

/*
 * "'/usr/bin/walship' fetch --plan-end <segment><flags> %f %p": for the shell,
 * with every '%' of path and flags doubled.  "flags" is "" or " --name='value' ...", as
 * settings_append_flags() makes it; "plan_end" may be "".  The caller frees; NULL when it
 * is longer than a value may be.
 */
char *recovery_restore_command(const char *program, const char *flags, const char *plan_end);

/* "'/usr/bin/walship' push<flags> %p", likewise. */
char *recovery_archive_command(const char *program, const char *flags);

/* The lines "name = 'value'" that the plan's server version knows; into->overflowed when one is too long. */
void recovery_conf_print(const RecoveryPlan *plan, const RecoveryConf *conf, Buf *into);

/*
 * The text of an existing postgresql.auto.conf, with every line commented out that
 * sets what recovery_conf_print() may set for this purpose in any version.
 */
void recovery_conf_comment_out(RecoveryPurpose purpose, const RecoveryConf *conf, const char *text,
                               size_t size, Buf *into);

/*
 * The value, without its quotes, that the last line of a settings file gives to
 * a name; NULL when none does.  Includes are not followed.  The caller frees.
 */
char *recovery_conf_find(const char *text, size_t size, const char *name);

/* Each line of a settings file that gives a value to a name, also "include" and its kin, in their order. */
void recovery_conf_each(const char *text, size_t size,
                        void (*take)(void *context, const char *name, const char *value), void *context);

/* "name = 'value'" with quotes, backslashes and newlines escaped (PostgreSQL: guc-file.l). */
void recovery_conf_append(Buf *into, const char *name, const char *value);
