/* walship drill --dump: proves that a dump can be restored.  How: walship/upkeep/drill.h. */
#include "drill_dump.h"

#include <unistd.h>

#include "context.h"
#include "keys.h"
#include "progress.h"
#include "walship/base/file.h"
#include "walship/base/mem.h"

#define STATUS_NOT_REACHABLE 9

/* What was read of the store; the lease comes before the record. */
typedef struct Dump
{
	Store *store;
	AgeIdentities *identities;
	LeaseHold *lease; /* as long as drill_in() runs */
	DumpRecord *record;
	DumpContents *contents;
} Dump;

static void
dump_release(Dump *dump)
{
	dump_contents_free(dump->contents);
	dump_record_free(dump->record);
	age_identities_free(dump->identities);
	store_free(dump->store);
}

#define AUTO_DUMP __attribute__((cleanup(dump_release))) Dump

/* A dump is of its own moment, and is compared with nothing but itself. */
static Error *
check_options(const Invocation *invocation)
{
	static const char *const others[] = {
		"target-time",   "target-lsn", "target-xid", "target-name", "immediate", "latest",
		"exclusive",     "random",     "timeline",   "backup",      "count",     "dump-check",
		"record-counts", "history",    "plan",       "tolerance",
	};

	for (size_t i = 0; i < lengthof(others); i++)
		if (invocation_count(invocation, others[i]) > 0)
			return error_new(ERR_USAGE, "\"--dump\" and \"--%s\" exclude each other", others[i]);
	return recovery_check_user("drill");
}

static Error *
read_dump(const char *directory, uint64_t system, const char *id, const Notices *notices, Dump *dump,
          DumpSource *ret_source)
{
	TRY(drill_lease_take(directory, dump->store, system, (LeaseOn){.kind = "drill", .backup = id}, notices,
	                     &dump->lease));
	TRY(error_context(dump_record_read(dump->store, system, id, &dump->record), "dump \"%s\"", id));
	*ret_source = (DumpSource){dump->store, dump->record, dump->identities};
	TRY(dump_source_check(ret_source));
	return dump_source_contents(ret_source, &dump->contents);
}

static void
show_progress(void *context, uint64_t done, uint64_t total)
{
	progress_set(context, "restoring", done, total);
}

static Error *
drill_in(const Invocation *invocation, const char *directory, uint64_t system, const char *id, Dump *dump,
         DrillReport *report)
{
	AUTO_FREE char *pgdata = path_join(directory, DRILL_PGDATA);
	AUTO(Progress) progress = NULL;
	AUTO_PRIVATE_SERVER server = {.pgdata = pgdata};
	DrillOptions drill_options;
	DrillDump of = {.schema_only = invocation_flag(invocation, "schema-only"),
	                .now = clock_now(),
	                .jobs = (int) settings_integer(invocation_settings(invocation), SETTING_jobs),
	                .progress = show_progress};
	Error *error = drill_options_read(invocation, directory, &drill_options);

	if (error == NULL)
		error = progress_new(invocation, "drill", &progress);
	if (error == NULL)
	{
		of.notices = progress_notices(progress);
		of.context = progress;
		error = read_dump(directory, system, id, &of.notices, dump, &of.source);
	}
	of.contents = dump->contents;
	if (error == NULL)
		error = drill_dump_run(&of, &drill_options, &server, report);
	if (progress != NULL)
		progress_end(progress);

	/* Before its note is removed with the directory: a lease without one nobody would end. */
	lease_hold_free(dump->lease);
	dump->lease = NULL;
	if (error != NULL)
		error_free(private_server_stop(&server));

	Error *ended = drill_end_scratch(invocation, directory, &server,
	                                 drill_options.keep && error == NULL && server.pid > 0);

	if (error == NULL)
		return ended;
	error_free(ended);
	return error;
}

Error *
drill_of_dump(Invocation *invocation)
{
	const Settings *settings = invocation_settings(invocation);
	const char *given = invocation_value(invocation, "dump");
	AUTO_STRLIST ids = {0};
	size_t n_damaged;
	AUTO_FREE char *directory = NULL;
	AUTO_CLOSE int lock = -1;
	AUTO_DUMP dump = {0};
	DrillReport report __attribute__((cleanup(drill_report_release))) = {0};
	uint64_t system;
	Error *error = NULL;

	TRY(check_options(invocation));
	TRY(keys_identities(settings, &dump.identities));
	TRY(context_open_stores(settings, &dump.store));
	TRY(context_system_in_store(settings, dump.store, &system));
	if (given != NULL)
		strlist_add(&ids, given);
	else
		error = context_dumps_newest_first(settings, dump.store, system, &ids, &n_damaged);
	if (error == NULL)
		error = drill_scratch_make(settings_text(settings, SETTING_drill_scratch), dump.store, system,
		                           &directory, &lock);
	if (error == NULL)
		error = drill_in(invocation, directory, system, ids.items[0], &dump, &report);
	if (error_is(error, ERR_NOT_FOUND))
		invocation_set_status(invocation, STATUS_NOT_REACHABLE);
	TRY(error);
	return drill_conclude(invocation, dump.store, &report);
}
