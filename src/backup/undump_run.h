/* One restore of a dump under way: what undump.c, undump_check.c and undump_source.c share. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "archive_entries.h"
#include "walship/backup/undump.h"
#include "walship/base/child_stream.h"
#include "walship/pg/server.h"

/* A database that is to be restored. */
typedef struct UndumpChoice
{
	const DumpDatabaseFacts *facts;
	const DumpDatabase *objects;
	const char *target;
	bool create;
} UndumpChoice;

typedef struct UndumpRun
{
	const UndumpOptions *options;
	Server *server; /* in "postgres" or the like */
	char *programs; /* directory of pg_restore */
	UndumpChoice *choices;
	size_t n_choices;
	TableChoice tables;        /* none: everything is restored */
	bool with_schema;          /* that of the tables is made, too */
	atomic_uint_fast64_t done; /* bytes of archives */
	uint64_t total;
} UndumpRun;

/* Everything that can be known before: versions, databases, roles, extensions. */
Error *undump_check(UndumpRun *run) MUST_CHECK;

/*
 * A program whose standard input is an object in plain.  It gets the last bytes only once
 * the object's digest has proved right, so that it cannot have ended before; but for one
 * that needs no more (a part of an archive).
 */
typedef struct UndumpProgram
{
	const char *const *argv;
	const BackupObject *object;
	int kept;    /* see ChildOptions */
	Buf *output; /* what it prints; NULL: nobody asks */
	bool head;   /* it needs no more than the object's beginning, which is read no further then */
} UndumpProgram;

/* From any thread.  Its words, and its status; the error is of the store, or of what it was fed with. */
Error *undump_program_run(UndumpRun *run, const UndumpProgram *program, StrList *ret_lines, int *ret_status)
	MUST_CHECK;
