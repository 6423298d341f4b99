/*
 * BASE_BACKUP, read to its very end (PostgreSQL: protocol.sgml; basebackup.c).
 * The two forms of the protocol, before and since PostgreSQL 15, look the same
 * from here.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "walship/base/error.h"
#include "walship/pg/server.h"
#include "walship/wal/lsn.h"

#define BACKUP_RATE_MIN_KB     32
#define BACKUP_RATE_MAX_KB     1048576
#define BACKUP_LABEL_MAX       1000 /* bytes; the server's limit is MAXPGPATH */
#define BACKUP_TABLESPACES_MAX 65536

typedef struct BackupStreamOptions
{
	const char *label;
	bool fast_checkpoint;
	uint32_t max_rate_kb; /* per second; 0: no limit */
} BackupStreamOptions;

typedef struct StreamTablespace
{
	uint32_t oid;
	char *path;
} StreamTablespace;

typedef struct BackupStart
{
	XLogRecPtr lsn;
	TimeLineID timeline;
	const StreamTablespace *tablespaces; /* without the data directory itself */
	size_t n_tablespaces;
	uint64_t size; /* the server's estimate in bytes */
} BackupStart;

typedef struct BackupStop
{
	XLogRecPtr lsn;
	TimeLineID timeline;
	bool page_errors; /* complete, but the server found pages whose checksum is wrong */
} BackupStop;

/*
 * First start, then for each archive and for the manifest begin, data, end.
 * "set" is "base", the OID of a tablespace, or NULL for the manifest.  An
 * archive may come with or without the blocks of zeros at its end.
 */
typedef struct BackupHandler
{
	Error *(*start)(void *context, const BackupStart *start);
	Error *(*begin)(void *context, const char *set);
	Error *(*data)(void *context, const void *data, size_t size);
	Error *(*end)(void *context);
	ServerTick tick; /* while waiting, for instance for the checkpoint */
} BackupHandler;

/* A label of more than BACKUP_LABEL_MAX bytes or with control characters is ERR_USAGE. */
Error *backup_stream_run(Server *server, const BackupStreamOptions *options, const BackupHandler *handler,
                         void *context, BackupStop *ret_stop) MUST_CHECK;
