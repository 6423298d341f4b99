/* What "walship status" shows to programs: see docs/json.md. */
#include <inttypes.h>

#include "print_status.h"
#include "table.h"
#include "walship/base/mem.h"

#define STATUS_FORMAT 1

static const char *const states[] = {
	[STATUS_OK] = "OK", [STATUS_WARN] = "WARN", [STATUS_FAIL] = "FAIL", [STATUS_UNKNOWN] = "UNKNOWN"};

static const JsonField item_fields[] = {
	{"item", &json_string, JSON_AT(StatusItem, name)},
	{"state", &json_enum, JSON_AT(StatusItem, state), .names = states, .n_names = lengthof(states)},
	{"value", &json_string, JSON_AT(StatusItem, value)},
	{"threshold", &json_string, JSON_AT(StatusItem, threshold)},
	{"reason", &json_string, JSON_AT(StatusItem, reason)},
	{"remedy", &json_string, JSON_AT(StatusItem, remedy)},
};
static const JsonTable item_table = JSON_TABLE(StatusItem, item_fields);

static const JsonField server_fields[] = {
	{"in_recovery", &json_bool, JSON_AT(StatusServer, archiving.in_recovery)},
	{"archives", &json_bool, JSON_AT(StatusServer, archiving.archives)},
	{"position", &json_lsn, JSON_AT(StatusServer, archiving.position)},
	{"archived", &json_uint, JSON_AT(StatusServer, archiving.archived)},
	{"last_archived", &json_chars, JSON_AT(StatusServer, archiving.last_archived)},
	{"last_archived_time", &json_time, JSON_AT(StatusServer, archiving.archived_at)},
	{"failed", &json_uint, JSON_AT(StatusServer, archiving.failed)},
	{"last_failed", &json_chars, JSON_AT(StatusServer, archiving.last_failed)},
	{"last_failed_time", &json_time, JSON_AT(StatusServer, archiving.failed_at)},
};
static const JsonTable server_table = JSON_TABLE(StatusServer, server_fields);

static const JsonField waiting_fields[] = {
	{"waiting", &json_uint, JSON_AT(StatusServer, waiting)},
	{"waiting_since", &json_time, JSON_AT(StatusServer, waiting_since)},
};
static const JsonTable waiting_table = JSON_TABLE(StatusServer, waiting_fields);

static const JsonField wal_fields[] = {
	{"timeline", &json_uint, JSON_AT(StatusWal, timeline)},
	{"last", &json_chars, JSON_AT(StatusWal, last)},
	{"end_lsn", &json_lsn, JSON_AT(StatusWal, end)},
	{"last_time", &json_time, JSON_AT(StatusWal, came)},
	{"stored_size", &json_uint, JSON_AT(StatusWal, size)},
};
static const JsonTable wal_table = JSON_TABLE(StatusWal, wal_fields);

static const JsonField window_fields[] = {
	{"from_time", &json_time, JSON_AT(StatusWindow, from)},
	{"to_time", &json_time, JSON_AT(StatusWindow, to)},
	{"to_lsn", &json_lsn, JSON_AT(StatusWindow, to_lsn)},
	{"replay_estimate_ms", &json_natural, JSON_AT(StatusWindow, replay_ms)},
};
static const JsonTable window_table = JSON_TABLE(StatusWindow, window_fields);

static const JsonField gaps_fields[] = {
	{"closed", &json_uint, JSON_AT(StatusWindow, gaps)},
	{"open", &json_uint, JSON_AT(StatusWindow, gaps_open)},
	{"last", &json_string, JSON_AT(StatusWindow, gap)},
};
static const JsonTable gaps_table = JSON_TABLE(StatusWindow, gaps_fields);

static const JsonField backups_fields[] = {
	{"count", &json_uint, JSON_AT(StatusBackups, count)},
	{"stored_size", &json_uint, JSON_AT(StatusBackups, total_size)},
	{"median_files_size", &json_uint, JSON_AT(StatusBackups, median_size)},
	{"unfinished", &json_string, JSON_AT(StatusBackups, unfinished)},
	{"faults", &json_list, JSON_AT(StatusBackups, faults.items), .of = &json_strings,
     .count = offsetof(StatusBackups, faults.count)},
};
static const JsonTable backups_table = JSON_TABLE(StatusBackups, backups_fields);

static const JsonField newest_fields[] = {
	{"id", &json_string, JSON_AT(StatusBackups, id)},
	{"stop_time", &json_time, JSON_AT(StatusBackups, stop_time)},
	{"duration_ms", &json_natural, JSON_AT(StatusBackups, duration_ms)},
	{"files_size", &json_uint, JSON_AT(StatusBackups, files_size)},
	{"stored_size", &json_uint, JSON_AT(StatusBackups, stored_size)},
	{"page_errors", &json_bool, JSON_AT(StatusBackups, page_errors)},
};
static const JsonTable newest_table = JSON_TABLE(StatusBackups, newest_fields);

static const JsonField proof_fields[] = {
	{"time", &json_time, JSON_AT(StatusEvidence, time)},
	{"passed", &json_bool, JSON_AT(StatusEvidence, passed)},
	{"rto_ms", &json_natural, JSON_AT(StatusEvidence, rto_ms)},
	{"damage", &json_string, JSON_AT(StatusEvidence, damage)},
};
static const JsonTable proof_table = JSON_TABLE(StatusEvidence, proof_fields);

static const JsonField records_fields[] = {
	{"count", &json_uint, JSON_AT(StatusEvidence, count)},
	{"time", &json_time, JSON_AT(StatusEvidence, time)},
	{"stalest", &json_string, JSON_AT(StatusEvidence, description)},
};
static const JsonTable records_table = JSON_TABLE(StatusEvidence, records_fields);

static const JsonField storage_fields[] = {
	{"objects", &json_uint, JSON_AT(StatusStorage, objects)},
	{"size", &json_uint, JSON_AT(StatusStorage, size)},
	{"size_per_day", &json_int, JSON_AT(StatusStorage, size_per_day)},
	{"puts_per_day", &json_int, JSON_AT(StatusStorage, puts_per_day)},
	{"disk_size", &json_uint, JSON_AT(StatusStorage, disk_size)},
	{"disk_free", &json_uint, JSON_AT(StatusStorage, disk_free)},
};
static const JsonTable storage_table = JSON_TABLE(StatusStorage, storage_fields);

static const JsonField second_fields[] = {
	{"store", &json_string, JSON_AT(StatusSecond, url)},
	{"error", &json_string, JSON_AT(StatusSecond, error)},
	{"objects", &json_uint, JSON_AT(StatusSecond, objects)},
	{"size", &json_uint, JSON_AT(StatusSecond, size)},
	{"behind_since", &json_time, JSON_AT(StatusSecond, behind_since)},
};
static const JsonTable second_table = JSON_TABLE(StatusSecond, second_fields);

static const JsonField job_fields[] = {
	{"kind", &json_string, JSON_AT(StatusJob, kind)}, {"holder", &json_string, JSON_AT(StatusJob, holder)},
	{"seen", &json_time, JSON_AT(StatusJob, since)},  {"until", &json_time, JSON_AT(StatusJob, until)},
	{"began", &json_time, JSON_AT(StatusJob, began)},
};
static const JsonTable job_table = JSON_TABLE(StatusJob, job_fields);

static const char *const units[] = {[PROGRESS_BYTES] = "bytes", [PROGRESS_OBJECTS] = "objects"};

static const JsonField progress_fields[] = {
	{"phase", &json_string, JSON_AT(JobProgress, phase)},
	{"unit", &json_enum, JSON_AT(JobProgress, unit), .names = units, .n_names = lengthof(units)},
	{"done", &json_uint, JSON_AT(JobProgress, done)},
	{"total", &json_uint, JSON_AT(JobProgress, total)},
	{"elapsed_ms", &json_natural, JSON_AT(JobProgress, elapsed_ms)},
};
static const JsonTable progress_table = JSON_TABLE(JobProgress, progress_fields);

static const char *const end_kinds[] = {[STATUS_END_CERTIFICATE] = "certificate",
                                        [STATUS_END_SESSION] = "session",
                                        [STATUS_END_PASSWORD] = "password"};

static const JsonField end_fields[] = {
	{"kind", &json_enum, JSON_AT(StatusEnd, kind), .names = end_kinds, .n_names = lengthof(end_kinds)},
	{"what", &json_string, JSON_AT(StatusEnd, what)},
	{"time", &json_time, JSON_AT(StatusEnd, time)},
	{"error", &json_string, JSON_AT(StatusEnd, error)},
};
static const JsonTable end_table = JSON_TABLE(StatusEnd, end_fields);

static void
add_jobs(const StatusFacts *facts, Json *into)
{
	Json *array = json_add_array(into, "jobs");

	for (size_t i = 0; i < facts->n_jobs; i++)
	{
		Json *job = json_add_object(array, NULL);
		const JobProgress *progress = &facts->jobs[i].progress;

		json_put(job, &job_table, &facts->jobs[i]);
		if (progress->operation == NULL)
			continue;
		job = json_add_object(job, "progress");
		json_put(job, &progress_table, progress);
		json_add_int(job, "per_second", job_progress_rate(progress));
		json_add_int(job, "left_ms", job_progress_left_ms(progress));
	}
}

static void
add_store_facts(const StatusFacts *facts, Json *into)
{
	Json *backups;

	json_put(json_add_object(into, "wal"), &wal_table, &facts->wal);
	if (facts->window.exists)
		json_put(json_add_object(into, "window"), &window_table, &facts->window);
	json_put(json_add_object(into, "gaps"), &gaps_table, &facts->window);
	backups = json_add_object(into, "backups");
	json_put(backups, &backups_table, &facts->backups);
	if (facts->backups.id != NULL)
		json_put(json_add_object(backups, "newest"), &newest_table, &facts->backups);
	if (facts->drill.time != TIME_NONE)
		json_put(json_add_object(into, "drill"), &proof_table, &facts->drill);
	if (facts->verify.time != TIME_NONE)
		json_put(json_add_object(into, "verify"), &proof_table, &facts->verify);
	if (facts->dumps.count > 0)
		json_put(json_add_object(into, "dumps"), &records_table, &facts->dumps);
	if (facts->files.count > 0)
		json_put(json_add_object(into, "files"), &records_table, &facts->files);
	json_put(json_add_object(into, "storage"), &storage_table, &facts->storage);
	if (facts->second.url != NULL)
		json_put(json_add_object(into, "second_store"), &second_table, &facts->second);
	json_put_list(into, "clocks", &json_strings, facts->clocks.items, facts->clocks.count);
}

static void
add_cluster(const ClusterStatus *cluster, Json *into)
{
	const StatusFacts *facts = &cluster->facts;
	AUTO_FREE char *system =
		facts->system_identifier == 0 ? NULL : mem_printf("%" PRIu64, facts->system_identifier);

	json_add_int(into, "format", STATUS_FORMAT);
	json_add_string(into, "cluster", facts->cluster);
	json_add_string(into, "system", system);
	json_add_string(into, "store", facts->store);
	json_add_time(into, "time", facts->now);
	json_add_string(into, "state", status_state_text(cluster->report.state));
	json_add_string(into, "verdict", cluster->report.verdict);
	json_put_list(into, "items", &item_table, cluster->report.items, cluster->report.count);
	if (facts->server.asked && facts->server.error == NULL)
	{
		Json *server = json_add_object(into, "server");

		json_put(server, &server_table, &facts->server);
		if (facts->server.waiting_known)
			json_put(server, &waiting_table, &facts->server);
	}
	add_jobs(facts, into);
	json_put_list(into, "ends", &end_table, facts->ends, facts->n_ends);
	if (facts->store_error == NULL)
		add_store_facts(facts, into);
}

void
print_status_json(const ClusterList *clusters, FILE *into)
{
	AUTO(Json) root = json_new_object();

	if (clusters->all)
	{
		json_add_int(root, "format", STATUS_FORMAT);
		json_add_string(root, "state", status_state_text(print_status_state(clusters)));

		Json *array = json_add_array(root, "clusters");

		for (size_t i = 0; i < clusters->count; i++)
			add_cluster(&clusters->items[i], json_add_object(array, NULL));
	}
	else
		add_cluster(&clusters->items[0], root);
	print_object(root, into);
}
