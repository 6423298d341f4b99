/*
 * backup.json: what a base backup is.  Written last, it makes the backup exist
 * (docs/format.md).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "walship/age/age.h"
#include "walship/base/buf.h"
#include "walship/base/clock.h"
#include "walship/base/crypto.h"
#include "walship/base/error.h"
#include "walship/base/json.h"
#include "walship/base/json_fields.h"
#include "walship/wal/lsn.h"
#include "walship/wal/record.h"

#define BACKUP_RECORD_FORMAT 1
#define BACKUP_RECORD_MAX    (32u * 1024 * 1024) /* bytes of JSON, written and read: some 130,000 parts */

typedef struct BackupPart
{
	char *name;        /* within the backup's prefix: "base-0001.tar.br" */
	char *set;         /* "base", "wal" or the tablespace's OID */
	uint64_t raw_size; /* of the tar file */
	uint64_t stored_size;
	uint8_t stored_sha256[SHA256_SIZE];
} BackupPart;

typedef struct BackupTablespace
{
	uint32_t oid;
	char *path; /* on the source */
} BackupTablespace;

typedef struct BackupDatabase
{
	uint32_t oid;
	uint32_t tablespace; /* OID of its default one */
	char *name;          /* NULL in an encrypted backup, whose map has it */
} BackupDatabase;

/* An object beside the parts. */
typedef struct BackupObject
{
	char *name; /* within the backup's prefix; NULL: there is none */
	uint64_t raw_size;
	uint64_t stored_size;
	uint8_t stored_sha256[SHA256_SIZE];
} BackupObject;

/* As a member of a record: its name can be the end of a key and nothing else. */
extern const JsonTable backup_object_table;

typedef enum FullPageWrites
{
	FULL_PAGE_WRITES_UNKNOWN, /* an older walship took the backup, or the server is newer than this one */
	FULL_PAGE_WRITES_OFF,
	FULL_PAGE_WRITES_ON,
} FullPageWrites;

typedef WalParameters BackupParameters; /* as pg_control of the backup says */

typedef struct BackupRecord
{
	char *id;
	uint64_t system_identifier;
	int server_version; /* as server_version_num: 150020 */
	uint32_t segment_size;
	TimeLineID timeline;
	XLogRecPtr start_lsn;
	XLogRecPtr stop_lsn;
	TimeUs start_time; /* the server's clock */
	TimeUs stop_time;  /* the server's clock, not before the stop LSN was reached */
	char *label;
	char *note; /* NULL when none was given */
	bool from_standby;
	bool wal_inside;  /* the wal parts hold every segment from start to stop */
	bool page_errors; /* the server found pages with wrong checksums */
	bool data_checksums;
	FullPageWrites full_page_writes;        /* at the last checkpoint */
	char *codec;                            /* of all objects but backup.json: "brotli" */
	char recipients[AGE_FINGERPRINTS_SIZE]; /* of the keys that open them; "": they are not encrypted */

	BackupTablespace *tablespaces;
	size_t n_tablespaces;
	uint32_t *in_place_tablespaces; /* OIDs of those that lie in pg_tblspc itself */
	size_t n_in_place_tablespaces;
	BackupDatabase *databases; /* by OID; as of a moment between start and stop; none: not known */
	size_t n_databases;
	BackupPart *parts;
	size_t n_parts;

	char *manifest_name;
	uint64_t manifest_raw_size;
	uint64_t manifest_stored_size;
	uint8_t manifest_sha256[SHA256_SIZE]; /* of the stored object */
	uint64_t files;                       /* in the manifest */
	uint64_t files_size;                  /* their bytes: what the restored directory needs */

	BackupObject config; /* configuration files from outside the data directory */
	BackupObject map;    /* where files and chunks lie in the parts; no recovery needs it */

	BackupParameters parameters;
	int64_t duration_ms;
	char *walship_version;

	/* Not in the object: what catalog_look_at_parts() found. */
	char *
		missing; /* "base-0001.tar.br and 3 more": objects that are not in the store, or not in full; NULL: none,
	                * or nobody looked */
	bool unusable; /* without them nothing can be restored */
} BackupRecord;

BackupRecord *backup_record_new(void);
void backup_record_free(BackupRecord *record);
AUTO_DEFINE(BackupRecord, backup_record_free);

/* Stored bytes of all objects but backup.json; bytes of the parts' tar files. */
uint64_t backup_record_stored_size(const BackupRecord *record);
uint64_t backup_record_raw_size(const BackupRecord *record);

/* A list of objects, as the member "databases" has it. */
void backup_databases_put(const BackupDatabase *databases, size_t count, Json *into);

void backup_record_print(const BackupRecord *record, Buf *into);
void backup_record_put(const BackupRecord *record, const char *members, Json *into); /* see json_put_some() */
Error *backup_record_parse(const char *text, size_t size, const char *what, BackupRecord **ret_record)
	MUST_CHECK;
