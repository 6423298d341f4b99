/*
 * A dump out of the store: into a server, by PostgreSQL's own pg_restore and psql, or
 * into a file.  What could go wrong is looked for before anything is changed.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "walship/age/age.h"
#include "walship/archive/dump_contents.h"
#include "walship/archive/dump_record.h"
#include "walship/base/buf.h"
#include "walship/base/error.h"
#include "walship/base/notice.h"
#include "walship/store/store.h"

/* A dump, and with what it is read; nothing of it is owned. */
typedef struct DumpSource
{
	Store *store;
	const DumpRecord *record;
	const AgeIdentities *identities; /* may be NULL */
} DumpSource;

/* May it be read, and is there a key (walship/archive/readable.h)? */
Error *dump_source_check(const DumpSource *source) MUST_CHECK;
Error *dump_source_contents(const DumpSource *source, DumpContents **ret_contents) MUST_CHECK;

/* A small object in plain; ERR_CORRUPT when it has more bytes than the buffer's cap. */
Error *dump_source_text(const DumpSource *source, const BackupObject *object, Buf *ret_text) MUST_CHECK;

/* The record's objects of this database; ERR_CORRUPT when it has none. */
Error *dump_source_database(const DumpSource *source, uint32_t oid, const DumpDatabase **ret_database)
	MUST_CHECK;

typedef struct UndumpOptions
{
	DumpSource source;
	const DumpContents *contents;
	const char *conninfo; /* see server_connect() */
	const char *programs; /* where pg_restore is; NULL: it is looked for */
	const char *database; /* of the dump; NULL: all of them */
	const char *table;    /* of that database, alone: "orders" or "shop.orders"; NULL: everything */
	const char *target;   /* the database's name on the server; NULL: the same */
	bool create;          /* the database is made */
	bool globals;         /* roles and tablespaces first */
	bool globals_only;    /* and no database */
	bool schema_only;
	bool clean;    /* what is there already is dropped first */
	int jobs;      /* tables with objects of their own at a time */
	bool no_owner; /* everything belongs to who restores it, and no privileges are granted */

	bool new_server; /* made for this restore: what it refuses tells of the dump, and is ERR_CORRUPT */
	const char *const *environment; /* of psql and pg_restore; NULL: this process's */

	Notices notices;
	void (*progress)(void *context, uint64_t done,
	                 uint64_t total); /* bytes; from several threads; may be NULL */
	void *context;
} UndumpOptions;

/*
 * A database that is made is dropped again when its restore fails.  One that is there is
 * restored in one transaction, unless it has tables with objects of their own: then a
 * failure leaves it incomplete, and the error says so.
 */
Error *undump(const UndumpOptions *options) MUST_CHECK;

/* An object in plain into a new file, which is readable for its owner only; ERR_EXISTS when it is there. */
Error *undump_into_file(const DumpSource *source, const BackupObject *object, const char *path) MUST_CHECK;
