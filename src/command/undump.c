/* walship undump: a dump back into a server, or into a file.  How: walship/backup/undump.h. */
#include <string.h>
#include <unistd.h>

#include "commands.h"
#include "context.h"
#include "keys.h"
#include "print_dumps.h"
#include "progress.h"
#include "table.h"
#include "walship/archive/lease.h"
#include "walship/backup/undump.h"
#include "walship/base/log.h"
#include "walship/base/mem.h"
#include "walship/pg/server.h"

static const CommandOption options[] = {
	{"database", OPTION_VALUE, "NAME", "this database of the dump"},
	{"table", OPTION_VALUE, "TABLE", "only this table of it, as NAME or SCHEMA.NAME, with its partitions"},
	{"all", OPTION_FLAG, NULL, "roles, tablespaces and every database; what is missing is made"},
	{"globals", OPTION_FLAG, NULL,
     "roles and tablespaces first; of roles that are there, too, passwords are set"},
	{"schema-only", OPTION_FLAG, NULL, "no rows"},
	{"to", OPTION_VALUE, "CONNINFO",
     "into this server and database (default: \"conninfo\", the database of the same name)"},
	{"create", OPTION_FLAG, NULL, "make the database, which must not be there"},
	{"no-owner", OPTION_FLAG, NULL, "everything belongs to the role that restores, without privileges"},
	{"clean", OPTION_FLAG, NULL, "drop what is there already; needs --yes"},
	{"yes", OPTION_FLAG, NULL, "yes, drop it"},
	{"into-file", OPTION_VALUE, "FILE",
     "write the database's archive for pg_restore there (with --schema-only: its schema, as text)"},
	{"list", OPTION_FLAG, NULL, "show what is in the dump; with --database, its tables"},
	{"json", OPTION_FLAG, NULL, "with --list: print one JSON object"},
	{"progress", OPTION_VALUE, "MODE", PROGRESS_OPTION_HELP},
};

static const OptionHeading headings[] = {
	{"database", "What"},
	{"to", "To where"},
	{"list", "What is shown"},
};

/* What was read of the store; the lease comes before the record. */
typedef struct Reading
{
	Store *store;
	uint64_t system;
	AgeIdentities *identities;
	LeaseHold *lease;
	Notices notices;
	DumpRecord *record;
	DumpContents *contents;
	DumpSource source;
} Reading;

static void
close_dump(Reading *reading)
{
	dump_contents_free(reading->contents);
	dump_record_free(reading->record);
	lease_hold_free(reading->lease);
	reading->contents = NULL;
	reading->record = NULL;
	reading->lease = NULL;
}

static void
reading_release(Reading *reading)
{
	close_dump(reading);
	age_identities_free(reading->identities);
	store_free(reading->store);
}

#define AUTO_READING __attribute__((cleanup(reading_release))) Reading

static Error *
open_store(const Settings *settings, Reading *reading)
{
	reading->notices = log_notices();
	TRY(keys_identities(settings, &reading->identities));
	TRY(context_open_stores(settings, &reading->store));
	return context_system_in_store(settings, reading->store, &reading->system);
}

/* What is removed while it is read cannot be restored: an expire keeps what a lease names. */
static Error *
open_dump(Reading *reading, const char *id)
{
	reading->lease = lease_hold(reading->store, reading->system, &(LeaseOn){.kind = "undump", .backup = id},
	                            &reading->notices);
	TRY(error_context(dump_record_read(reading->store, reading->system, id, &reading->record), "dump \"%s\"",
	                  id));
	reading->source = (DumpSource){reading->store, reading->record, reading->identities};
	TRY(dump_source_check(&reading->source));
	return dump_source_contents(&reading->source, &reading->contents);
}

/*
 * Databases may be dumped at different times: "walship dump shop" each hour, all of them at
 * night.  A database that was dropped since is in older dumps only, and is what somebody
 * looks for.
 */
static Error *
open_newest(const Settings *settings, const char *database, Reading *reading)
{
	AUTO_STRLIST ids = {0};
	size_t n_damaged = 0;

	TRY(context_dumps_newest_first(settings, reading->store, reading->system, &ids, &n_damaged));
	for (size_t i = 0; i < ids.count; i++)
	{
		TRY(open_dump(reading, ids.items[i]));
		if (database == NULL)
			return NULL;
		if (dump_contents_database(reading->contents, database) != NULL)
		{
			if (i > 0)
				log_line(
					LOG_WARNING, NULL,
					"the newest dump \"%s\" has no database \"%s\": taking \"%s\", the newest that has it",
					ids.items[0], database, ids.items[i]);
			return NULL;
		}
		close_dump(reading);
	}
	if (n_damaged > 0)
		return error_hint(
			error_new(
				ERR_CORRUPT,
				"no dump that can be read has a database \"%s\"; of %zu in store \"%s\" %zu are damaged",
				database, ids.count + n_damaged, store_url(reading->store), n_damaged),
			"The warnings name them. \"walship copy --heal --from STORE\" brings them back from a second copy of the store.");
	return error_hint(
		error_new(ERR_NOT_FOUND, "no dump has a database \"%s\"; there are %zu in store \"%s\"", database,
	              ids.count, store_url(reading->store)),
		"\"walship undump --list\" shows what is in the newest, \"walship undump ID --list\" what is in another.");
}

static Error *
find_database(const Invocation *invocation, const Reading *reading, const DumpDatabaseFacts **ret_facts)
{
	const char *name = invocation_value(invocation, "database");

	*ret_facts = name == NULL ? NULL : dump_contents_database(reading->contents, name);
	if (name == NULL || *ret_facts != NULL)
		return NULL;
	return error_hint(
		error_new(ERR_NOT_FOUND, "dump \"%s\" has no database \"%s\"", reading->record->id, name),
		"\"walship undump %s --list\" shows what is in it.", reading->record->id);
}

static Error *
list_contents(const Invocation *invocation, const Reading *reading)
{
	const DumpDatabaseFacts *facts;

	TRY(find_database(invocation, reading, &facts));
	if (invocation_flag(invocation, "json"))
		print_contents_json(reading->record, reading->contents, stdout);
	else
		print_contents_text(reading->record, reading->contents, facts, stdout);
	return NULL;
}

static Error *
write_file(const Invocation *invocation, const Reading *reading)
{
	const char *path = invocation_value(invocation, "into-file");
	const BackupObject *object = &reading->record->globals;
	const DumpDatabaseFacts *facts;
	const DumpDatabase *database = NULL;

	TRY(find_database(invocation, reading, &facts));
	if (facts != NULL)
	{
		TRY(dump_source_database(&reading->source, facts->oid, &database));
		object = invocation_flag(invocation, "schema-only") ? &database->schema : &database->archive;
	}
	if (facts != NULL && database->n_tables > 0 && !invocation_flag(invocation, "schema-only"))
		log_line(
			LOG_WARNING,
			"They are objects of their own beside it: see docs/format.md. \"walship undump\" puts them together.",
			"the archive lacks the rows of %zu large tables", database->n_tables);
	TRY(undump_into_file(&reading->source, object, path));
	print_line(stdout, "%s is written to %s, readable for you alone",
	           facts == NULL                                ? "what pg_dumpall --globals-only printed"
	           : invocation_flag(invocation, "schema-only") ? "the schema"
	                                                        : "the archive for pg_restore",
	           path);
	return NULL;
}

static Error *
check_options(const Invocation *invocation)
{
	bool list = invocation_flag(invocation, "list");
	bool file = invocation_value(invocation, "into-file") != NULL;
	bool one = invocation_value(invocation, "database") != NULL;
	bool all = invocation_flag(invocation, "all");

	if (list && file)
		return error_new(ERR_USAGE, "either --list or --into-file");
	if (list)
		return NULL;
	if (file && !one && !invocation_flag(invocation, "globals"))
		return error_new(ERR_USAGE, "--into-file needs --database NAME or --globals");
	if (file)
		return NULL;
	if (invocation_value(invocation, "table") != NULL && !one)
		return error_new(ERR_USAGE, "--table needs --database: which one has it?");
	if (one == all)
		return error_hint(error_new(ERR_USAGE, "it must be said what to restore: --database NAME or --all"),
		                  "\"walship undump --list\" shows what is in the newest dump.");
	if (invocation_flag(invocation, "clean") && !invocation_flag(invocation, "yes"))
		return error_hint(error_new(ERR_USAGE, "--clean drops what is there already"),
		                  "If that is meant, say --yes, too.");
	if (all && (invocation_flag(invocation, "clean") || invocation_flag(invocation, "create")))
		return error_new(ERR_USAGE,
		                 "--all makes what is missing and drops nothing: without --create and --clean");
	if (invocation_flag(invocation, "clean") && invocation_flag(invocation, "create"))
		return error_new(ERR_USAGE, "either --create or --clean");
	return NULL;
}

/* What "--to" does not say, the setting "conninfo" says; a URI says everything. */
static Error *
read_target(const Invocation *invocation, char **ret_conninfo, char **ret_database)
{
	const char *to = invocation_value(invocation, "to");
	const char *usual = settings_text(invocation_settings(invocation), SETTING_conninfo);

	*ret_database = NULL;
	if (to == NULL)
	{
		*ret_conninfo = mem_strdup(usual);
		return NULL;
	}
	TRY(error_context(conninfo_check(to, ret_database), "option \"--to\""));
	*ret_conninfo = usual == NULL || strstr(usual, "://") != NULL || strstr(to, "://") != NULL
	                    ? mem_strdup(to)
	                    : mem_printf("%s %s", usual, to);
	return NULL;
}

static void
show_progress(void *context, uint64_t done, uint64_t total)
{
	progress_set(context, "restoring", done, total);
}

static Error *
restore(const Invocation *invocation, const Reading *reading)
{
	AUTO(Progress) progress = NULL;
	AUTO_FREE char *conninfo = NULL;
	AUTO_FREE char *target = NULL;
	bool all = invocation_flag(invocation, "all");

	TRY(read_target(invocation, &conninfo, &target));
	if (all && target != NULL)
		return error_new(ERR_USAGE, "--all restores each database under its own name: --to names one");
	TRY(progress_new(invocation, "undump", &progress));

	UndumpOptions work = {.source = reading->source,
	                      .contents = reading->contents,
	                      .conninfo = conninfo,
	                      .programs = settings_text(invocation_settings(invocation), SETTING_pg_bindir),
	                      .database = invocation_value(invocation, "database"),
	                      .table = invocation_value(invocation, "table"),
	                      .target = target,
	                      .create = invocation_flag(invocation, "create"),
	                      .globals = all || invocation_flag(invocation, "globals"),
	                      .jobs = (int) settings_integer(invocation_settings(invocation), SETTING_jobs),
	                      .schema_only = invocation_flag(invocation, "schema-only"),
	                      .clean = invocation_flag(invocation, "clean"),
	                      .no_owner = invocation_flag(invocation, "no-owner"),
	                      .notices = progress_notices(progress),
	                      .progress = show_progress,
	                      .context = progress};
	Error *error = undump(&work);

	progress_end(progress);
	TRY(error);
	if (all)
		print_line(stdout, "restored all %zu databases of dump %s", reading->contents->n_databases,
		           reading->record->id);
	else if (work.table != NULL)
		print_line(
			stdout,
			"restored table \"%s\" of dump %s into \"%s\", without foreign keys, triggers, rules and policies",
			work.table, reading->record->id, target != NULL ? target : work.database);
	else
		print_line(stdout, "restored database \"%s\" of dump %s into \"%s\"", work.database,
		           reading->record->id, target != NULL ? target : work.database);
	return NULL;
}

static Error *
run(Invocation *invocation)
{
	AUTO_READING reading = {0};
	const Settings *settings = invocation_settings(invocation);
	const char *id = invocation_argument(invocation, 0);

	TRY(check_options(invocation));
	TRY(open_store(settings, &reading));
	TRY(id != NULL ? open_dump(&reading, id)
	               : open_newest(settings, invocation_value(invocation, "database"), &reading));
	if (invocation_flag(invocation, "list"))
		return list_contents(invocation, &reading);
	if (invocation_value(invocation, "into-file") != NULL)
		return write_file(invocation, &reading);
	return restore(invocation, &reading);
}

const Command command_undump = {
	.name = "undump",
	.summary = "brings a dump back: into a server, or into a file",
	.arguments = "[ID]",
	.n_optional = 1,
	.description =
		"The newest dump that has the database, or the one with this id (walship list --dumps), by pg_restore of the\n"
		"dump's major or newer. What would make it fail or do harm is said before anything is changed: a server that is\n"
		"older than the dump, roles and extensions that are missing, a database that is not empty. One database is\n"
		"restored in one transaction; one that --create made is dropped again when that fails.",
	.examples = "  walship undump --list\n"
				"  walship undump --database shop --table orders --create --to \"dbname=shop_yesterday\"\n"
				"  walship undump --database shop --create --to \"dbname=shop_yesterday\"\n",
	.statuses = "0 1 2 3 4 5 6 7",
	.options = options,
	.n_options = lengthof(options),
	.headings = headings,
	.n_headings = lengthof(headings),
	.run = run,
};
