/* backup_label and tablespace_map (PostgreSQL: xlogbackup.c, build_backup_content; xlogrecovery.c, read_*). */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "walship/base/buf.h"
#include "walship/base/error.h"
#include "walship/wal/lsn.h"

#define BACKUP_LABEL_TEXT_MAX 1024 /* PostgreSQL: MAXPGPATH */

typedef struct BackupLabel
{
	XLogRecPtr start_lsn;
	XLogRecPtr checkpoint_lsn;
	TimeLineID timeline; /* START TIMELINE */
	bool from_standby;
	bool incremental;
	char label[1024];
} BackupLabel;

/*
 * ERR_CORRUPT when a line that recovery needs is missing, invalid, repeated or
 * contradicts another.  Lines that are not known are passed over.
 */
Error *backup_label_parse(const char *text, size_t size, BackupLabel *ret_label) MUST_CHECK;

#define BACKUP_FILE_MAX 8192

/*
 * A backup history file, "<segment>.<offset>.backup": the same with the backup's end behind it
 * (PostgreSQL: xlogbackup.c, build_backup_content).  ERR_CORRUPT also when that is cut off.
 */
Error *backup_file_parse(const char *text, size_t size, XLogRecPtr *ret_start_lsn) MUST_CHECK;

/* One line of tablespace_map: "oid path", with '\\', '\n' and '\r' in the path escaped by a backslash. */
void tablespace_map_append(Buf *map, uint32_t oid, const char *path);
