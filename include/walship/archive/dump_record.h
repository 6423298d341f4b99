/*
 * dump.json: what a dump is.  Written last, it makes the dump exist (docs/format.md).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "walship/age/age.h"
#include "walship/archive/backup_record.h"
#include "walship/base/clock.h"
#include "walship/base/error.h"
#include "walship/base/strs.h"
#include "walship/store/store.h"
#include "walship/wal/lsn.h"

/* Data of one table, apart from the others. */
typedef struct DumpTable
{
	uint32_t oid;
	BackupObject object;
} DumpTable;

typedef struct DumpDatabase
{
	uint32_t oid;
	char *name;           /* NULL in an encrypted dump, whose contents have it */
	BackupObject archive; /* in pg_dump's custom format */
	BackupObject schema;  /* as text */
	DumpTable *tables;    /* large ones, whose data "archive" lacks */
	size_t n_tables;
} DumpDatabase;

typedef struct DumpRecord
{
	char *id;
	uint64_t system_identifier;
	int server_version; /* as server_version_num */
	int dump_major;     /* of pg_dump */
	uint32_t segment_size;
	TimeLineID timeline;
	XLogRecPtr lsn;    /* of the server when it began; each database is of a moment of its own after that */
	TimeUs start_time; /* the server's clock */
	TimeUs stop_time;
	char *note; /* NULL when none was given */
	bool from_standby;
	bool role_passwords; /* the globals have them */
	bool read_back;      /* every object was read again from the store and compared */
	char *codec;         /* of all objects but dump.json */
	char recipients[AGE_FINGERPRINTS_SIZE];
	BackupObject globals;
	BackupObject contents;
	DumpDatabase *databases; /* by OID */
	size_t n_databases;
	int64_t duration_ms;
	char *walship_version;
} DumpRecord;

DumpRecord *dump_record_new(void);
void dump_record_free(DumpRecord *record);
AUTO_DEFINE(DumpRecord, dump_record_free);

uint64_t dump_record_stored_size(const DumpRecord *record);
uint64_t dump_record_raw_size(const DumpRecord *record);

/* "visit" is called for each object of the record; its error ends that. */
typedef Error *(*DumpObjectVisit)(void *context, const BackupObject *object);
Error *dump_record_visit(const DumpRecord *record, DumpObjectVisit visit, void *context) MUST_CHECK;

void dump_record_print(const DumpRecord *record, Buf *into);
void dump_record_put(const DumpRecord *record, const char *members, Json *into); /* see json_put_some() */
Error *dump_record_parse(const char *text, size_t size, const char *what, DumpRecord **ret_record) MUST_CHECK;

/* With its seal; ERR_EXISTS when there is one. */
Error *dump_record_write(Store *store, const DumpRecord *record) MUST_CHECK;

/* ERR_NOT_FOUND when there is none, ERR_CORRUPT. */
Error *dump_record_read(Store *store, uint64_t system_identifier, const char *id, DumpRecord **ret_record)
	MUST_CHECK;

/*
 * The ids of all, first of the one that began last; ERR_NOT_FOUND when there is none.  Damaged records are "<id>: <why>"
 * in *ret_damaged: one of them may be the newest, so the caller says that it is passed over.  When nothing else is there,
 * it is ERR_CORRUPT.
 */
Error *dump_ids_newest_first(Store *store, uint64_t system_identifier, int threads, StrList *ret_ids,
                             StrList *ret_damaged) MUST_CHECK;

/* Whatever lies below dump/. */
typedef struct DumpList
{
	DumpRecord **items; /* ascending by id, hence by time */
	size_t count;
	StrList unfinished; /* ids without a record */
	StrList damaged;    /* "<id>: <why>" */
} DumpList;

/* As many records at the same time as there are threads. */
Error *dump_list_read(Store *store, uint64_t system_identifier, int threads, DumpList *ret_dumps) MUST_CHECK;
void dump_list_release(DumpList *dumps);
#define AUTO_DUMPS __attribute__((cleanup(dump_list_release))) DumpList
