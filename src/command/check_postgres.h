/* The part of "walship check" that is about versions of PostgreSQL. */
#pragma once

#include "walship/base/clock.h"
#include "walship/store/store.h"
#include "walship/wal/control.h"

/* What there is to be said of it, and what to do about it.  The caller frees both. */
typedef struct VersionNote
{
	char *detail;
	char *hint; /* NULL: nothing needs to be done */
} VersionNote;

/* The server's: is it known, and do its makers still support it? */
VersionNote check_postgres_server(const PgControl *control, TimeUs now);

/* That of the newest WAL of this database system in the store: can it be read?  "detail" is NULL when there is none. */
Error *check_postgres_wal(Store *store, uint64_t system_identifier, int jobs, VersionNote *ret_note)
	MUST_CHECK;
