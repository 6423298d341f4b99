/* A data directory, and the server that runs in it as other processes see it. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "walship/base/error.h"
#include "walship/base/strs.h"
#include "walship/wal/control.h"
#include "walship/wal/name.h"

/*
 * The data directory to which a path below it belongs: what holds pg_wal/NAME
 * or pg_wal/RECOVERYXLOG, else the working directory.  "path" may be NULL.
 * NULL when neither holds global/pg_control.  The caller frees.
 */
char *pgdata_of(const char *path);

/* In archive recovery the server takes "not there" for the end of the archive and goes live. */
bool pgdata_in_archive_recovery(const char *directory);
bool pgdata_is_standby(const char *directory);

/* Reads <data directory>/global/pg_control; again when it is torn, for the server may be writing it. */
Error *pgdata_read_control(const char *directory, PgControl *ret_control) MUST_CHECK;

/* By the page header of this file, a segment. */
Error *wal_file_segment_size(const char *path, uint32_t *ret_size) MUST_CHECK;

/* By the first segment among "names" that tells it: all of a server's have one size.  0 when none does. */
uint32_t wal_directory_segment_size(const char *wal_directory, const StrList *names);

/* By pg_control, of an unknown version by pg_wal.  ERR_SYSTEM when neither tells it. */
Error *pgdata_segment_size(const char *directory, uint32_t *ret_size) MUST_CHECK;

/* Is this segment in pg_wal, in full, and of that database system?  By size and page header. */
bool pgdata_has_segment(const char *directory, const WalName *name, uint64_t system_identifier,
                        uint32_t segment_size);

typedef enum PostmasterState
{
	POSTMASTER_NONE,    /* there is no postmaster.pid */
	POSTMASTER_DEAD,    /* there is one, of a process that is gone */
	POSTMASTER_RUNNING, /* or that cannot be told from what the file says */
} PostmasterState;

/* For whoever wants to write into its directory: what cannot be understood counts as a server that runs. */
Error *postmaster_look(const char *data_directory, PostmasterState *ret_state) MUST_CHECK;

/* By its postmaster.pid; false when there is none, or no such process. */
bool postmaster_of(const char *data_directory, pid_t *ret_pid);

/* Was its server told to stop?  It then waits for the archiver, and the archiver for what it has called. */
bool postmaster_is_stopping(const char *data_directory);

/* Did it call this process, directly or by others? */
bool postmaster_called_us(pid_t postmaster);

/* Does a link in its pg_tblspc lead to this directory? */
Error *pgdata_has_tablespace(const char *data_directory, const char *path, bool *ret_has) MUST_CHECK;

/*
 * The data directory of a server that runs on this machine with a tablespace in
 * "path", as far as its processes may be looked at; NULL: there is none.  The caller frees.
 */
Error *postmaster_find_by_tablespace(const char *path, char **ret_data_directory) MUST_CHECK;

pid_t process_parent(pid_t pid); /* 0 when that is not known */
