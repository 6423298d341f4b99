/* What a runbook tells of the server and of the store: see walship/upkeep/runbook.h. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "walship/archive/catalog.h"
#include "walship/base/mem.h"
#include "walship/pg/server.h"
#include "walship/upkeep/drill.h"
#include "walship/upkeep/runbook.h"

#define CONNECT_TIMEOUT_MS 4000

void
runbook_facts_release(RunbookFacts *facts)
{
	char *const texts[] = {facts->host,          facts->version,         facts->program,
	                       facts->flags,         facts->flags_to_copy,   facts->cluster,
	                       facts->settings_file, facts->settings_digest, facts->state_dir,
	                       facts->store,         facts->endpoint,        facts->key_id,
	                       facts->second_store,  facts->recipients,      facts->keys,
	                       facts->identity_file, facts->passphrase_file, facts->pgdata,
	                       facts->config_file,   facts->libraries,       facts->backup};

	for (size_t i = 0; i < lengthof(texts); i++)
		free(texts[i]);
	strlist_release(&facts->tablespaces);
	strlist_release(&facts->unknown);
	*facts = (RunbookFacts){0};
}

Error *
runbook_take_error(RunbookFacts *facts, const char *what, Error *error)
{
	if (error == NULL || error_is(error, ERR_CANCELLED))
		return error;

	AUTO_FREE char *text = mem_printf("%s: %s", what, error_message(error));

	strlist_add(&facts->unknown, text);
	error_free(error);
	return NULL;
}

/* A role that may not see a setting gets no row of it, and no error. */
static const char places[] = "SELECT coalesce(max(setting) FILTER (WHERE name = 'data_directory'), ''),"
							 " coalesce(max(setting) FILTER (WHERE name = 'config_file'), ''),"
							 " coalesce(max(setting) FILTER (WHERE name = 'shared_preload_libraries'), '')"
							 " FROM pg_catalog.pg_settings";

static void
keep(char **place, const char *value)
{
	if (*place == NULL && *value != '\0')
		*place = mem_strdup(value);
}

static Error *
ask_server(RunbookFacts *facts, const char *conninfo)
{
	AUTO(Server) server = NULL;
	AUTO_STRLIST values = {0};
	ServerArchiving archiving;

	TRY(server_connect_sql_within(conninfo, CONNECT_TIMEOUT_MS, &server));
	TRY(server_archiving(server, &archiving));
	if (facts->system_identifier != 0 && facts->system_identifier != archiving.system_identifier)
		return error_new(ERR_USAGE,
		                 "the one that answers is system %" PRIu64 ", and this is about system %" PRIu64,
		                 archiving.system_identifier, facts->system_identifier);
	facts->system_identifier = archiving.system_identifier;
	facts->major = server_major(server);
	TRY(server_row(server, places, 3, &values));
	keep(&facts->pgdata, values.items[0]);
	keep(&facts->config_file, values.items[1]);
	keep(&facts->libraries, values.items[2]);
	return NULL;
}

Error *
runbook_ask_server(RunbookFacts *facts, const char *conninfo)
{
	return runbook_take_error(facts, "the server", ask_server(facts, conninfo));
}

/* The newest one that is complete. */
static Error *
find_backup(Store *store, uint64_t system_identifier, BackupRecord **ret_record)
{
	AUTO_STRLIST ids = {0};

	*ret_record = NULL;
	TRY(catalog_backup_ids(store, system_identifier, &ids));
	for (size_t i = ids.count; i-- > 0 && *ret_record == NULL;)
	{
		AUTO(Error) error = catalog_read_record(store, system_identifier, ids.items[i], ret_record);

		if (error != NULL && !error_is(error, ERR_NOT_FOUND) && !error_is(error, ERR_CORRUPT))
			return MOVE(error);
	}
	return NULL;
}

static void
describe_backup(RunbookFacts *facts, const BackupRecord *record)
{
	facts->backup = mem_strdup(record->id);
	facts->backup_time = record->stop_time;
	facts->backup_size = record->files_size;
	facts->backup_has_config = record->config.name != NULL;
	if (facts->major == 0)
		facts->major = record->server_version / 10000;
	if (facts->recipients == NULL && record->recipients[0] != '\0')
		facts->recipients = mem_strdup(record->recipients);
	for (size_t i = 0; i < record->n_tablespaces; i++)
		strlist_add(&facts->tablespaces, record->tablespaces[i].path);
}

static Error *
read_drill(RunbookFacts *facts, Store *store, int jobs, const Notices *notices)
{
	AUTO_DRILL_HISTORY history = {0};

	TRY(drill_history_read(store, facts->system_identifier, NULL, jobs, notices, &history));
	if (history.count == 0)
		return NULL;

	const DrillReport *last = &history.reports[history.count - 1];

	facts->drilled = true;
	facts->drill_passed = last->passed;
	facts->drill_time = last->time;
	facts->drill_ms = last->total_ms;
	facts->drill_rpo_ms = last->rpo_ms;
	return NULL;
}

Error *
runbook_read_store(RunbookFacts *facts, Store *store, int jobs, const Notices *notices)
{
	AUTO(BackupRecord) record = NULL;

	TRY(find_backup(store, facts->system_identifier, &record));
	if (record == NULL)
		strlist_add(&facts->unknown, "backup: the store has none of this system. Run: walship backup");
	else
		describe_backup(facts, record);
	return read_drill(facts, store, jobs, notices);
}
