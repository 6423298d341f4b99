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
	bool no_tablespaces; /* the server lacks one of them */
	bool read_only;      /* it was made, and its settings say so of its transactions */
} UndumpChoice;

typedef struct UndumpRun
{
	const UndumpOptions *options;
	Server *server; /* in "postgres" or the like */
	char *programs; /* directory of pg_restore */
	int client_major;
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
	const UndumpChoice *into; /* what it prints is run by psql in its database; NULL: it is not */
} UndumpProgram;

/* From any thread.  Its words, and its status; the error is of the store, or of what it was fed with. */
Error *undump_program_run(UndumpRun *run, const UndumpProgram *program, StrList *ret_lines, int *ret_status)
	MUST_CHECK;

/* What pg_restore prints of a database's archive without its rows; "kept" as in ChildOptions. */
Error *undump_print(UndumpRun *run, const UndumpChoice *choice, const char *const *argv, int kept,
                    Buf *ret_text) MUST_CHECK;

/* Into the chosen database, for pg_restore and psql. */
char *undump_dbname_option(const UndumpRun *run, const UndumpChoice *choice);

/* Lines of a table of contents, as a file that pg_restore reads by its descriptor. */
Error *undump_list_file(const Buf *lines, int *ret_fd) MUST_CHECK;

/* A program ended with this status, and said this. */
Error *undump_failed(const UndumpRun *run, const UndumpChoice *choice, const StrList *lines, int status)
	MUST_CHECK;

/* Does the server lack tablespaces that the database uses?  Then everything goes into the usual one. */
Error *undump_look_for_tablespaces(const UndumpRun *run, UndumpChoice *choice) MUST_CHECK;

/* The database, empty; under its own name with all that the archive says of it.  On failure there is none. */
Error *undump_make_database(UndumpRun *run, UndumpChoice *choice) MUST_CHECK;
void undump_drop_database(const UndumpRun *run, const UndumpChoice *choice);

/* Text that psql runs, up to the first error; "long_text": it is not kept, and connects to no other database. */
typedef struct UndumpScript UndumpScript;

bool undump_needs_script(const UndumpRun *run);
Error *undump_script_start(const UndumpRun *run, const UndumpChoice *choice, bool long_text,
                           UndumpScript **ret_script) MUST_CHECK;
Error *undump_script_write(UndumpScript *script, const void *text, size_t size) MUST_CHECK;
bool undump_script_wants(const UndumpScript *script); /* false: it has ended */
Error *undump_script_end(UndumpScript *script, StrList *ret_lines, int *ret_status) MUST_CHECK;
void undump_script_free(UndumpScript *script);
AUTO_DEFINE(UndumpScript, undump_script_free);
