/* One dump under way: what the files dump*.c share. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "walship/archive/dump_contents.h"
#include "walship/archive/lease.h"
#include "walship/backup/dump.h"
#include "walship/pg/server.h"
#include "walship/pipe/sink.h"

/* A database that is to be dumped. */
typedef struct DumpChoice
{
	uint32_t oid;
	char *name;
	uint64_t size;
} DumpChoice;

typedef struct DumpRun
{
	const DumpOptions *options;
	int64_t began_ms;
	Server *server; /* in "postgres" or the like */
	char *programs; /* directory of pg_dump */
	LeaseHold *lease;
	char *prefix;          /* of the dump's keys; NULL: there are none yet */
	StrList names;         /* of every object begun, finished or not */
	pthread_mutex_t mutex; /* of "names" and "failure" */
	Error *failure;        /* the first: then nothing that runs beside it need come to its end */
	atomic_bool failed;
	bool record_tried;
	DumpChoice *choices;
	size_t n_choices;
	atomic_uint_fast64_t received;  /* bytes of the databases that are being dumped */
	atomic_uint_fast64_t size_done; /* of the databases that are done */
	uint64_t size_total;
	DumpRecord *record;
	DumpContents *contents;
} DumpRun;

/* Who the server is, and which of its databases are to be dumped. */
Error *dump_look_at_server(DumpRun *run) MUST_CHECK;

/* A session that keeps one snapshot, which pg_dump takes over, and what that shows of the database. */
Error *dump_open_database(const DumpRun *run, const DumpChoice *choice, Server **ret_server,
                          char **ret_snapshot, DumpDatabaseFacts *facts) MUST_CHECK;

/* The choice with this number; "in_job": several at a time, each by a thread of its own. */
Error *dump_database(DumpRun *run, size_t number, bool in_job) MUST_CHECK;

/* What pg_dump prints: into an object, past "watch", which may be NULL. */
typedef struct DumpProgram
{
	const char *const *argv;
	const char *what;   /* in messages: "pg_dump of database \"shop\"" */
	const char *name;   /* of the object */
	SinkCallback watch; /* sees every byte */
	void *context;
	bool in_job; /* of a pool: then its own thread compresses */
} DumpProgram;

/* From any thread. */
Error *dump_program_run(DumpRun *run, const DumpProgram *program, BackupObject *ret_object) MUST_CHECK;

/* Makes the others that run beside it end soon; what comes back in its place is ERR_CANCELLED. */
Error *dump_keep_failure(DumpRun *run, Error *error) MUST_CHECK;

/* An object of these bytes. */
Error *dump_text_write(DumpRun *run, const char *name, const Buf *text, BackupObject *ret_object) MUST_CHECK;

/* The SHA-256 of a schema, without the lines that differ from run to run. */
typedef struct SchemaDigest SchemaDigest;

SchemaDigest *schema_digest_new(void);
Error *schema_digest_write(void *digest, const void *data, size_t size) MUST_CHECK; /* a SinkCallback */
void schema_digest_final(SchemaDigest *digest, uint8_t ret_sha256[SHA256_SIZE]);
void schema_digest_free(SchemaDigest *digest);
AUTO_DEFINE(SchemaDigest, schema_digest_free);
