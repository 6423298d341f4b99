/*
 * A logical dump into the store: PostgreSQL's own pg_dump and pg_dumpall, each output
 * an object, and at last the record that makes them a dump (docs/format.md).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "walship/age/age.h"
#include "walship/archive/dump_record.h"
#include "walship/base/error.h"
#include "walship/base/notice.h"
#include "walship/base/strs.h"
#include "walship/pipe/codec.h"
#include "walship/store/store.h"

typedef struct DumpOptions
{
	Store *store;
	Compression compression;
	const AgeRecipients *recipients; /* NULL: nothing is encrypted */
	uint64_t system_identifier;      /* that the server must have; 0: any */
	const char *conninfo;            /* see server_connect(); NULL: the environment says */
	bool new_system;                 /* the store may hold other database systems, and not this one */
	const char *programs;            /* where pg_dump is; NULL: it is looked for */
	StrList databases;               /* names; none: all that can be connected to */
	StrList exclude;
	const char *note;        /* may be NULL */
	int64_t lock_timeout_ms; /* for a lock on a table */
	uint64_t table_size;     /* bytes: from this size on a table's rows are an object of their own; 0: none */
	int jobs;                /* so many of them at a time */
	bool read_back;          /* every object is read again from the store and compared */
	const char *walship_version;

	Notices notices;

	/* From several threads; bytes by the sizes of the databases, which is an estimate. */
	void (*progress)(void *context, uint64_t done, uint64_t total);
	void *context;
} DumpOptions;

/* On failure nothing is left in the store, as far as it can be removed. */
Error *dump_take(const DumpOptions *options, DumpRecord **ret_record) MUST_CHECK;
