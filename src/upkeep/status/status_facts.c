/* What a status is made of, and in which order it is asked: see walship/upkeep/status.h. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#include "status_steps.h"
#include "walship/archive/layout.h"
#include "walship/archive/lease.h"
#include "walship/base/dir.h"
#include "walship/base/mem.h"
#include "walship/store/listed_store.h"
#include "walship/store/remembered_store.h"

#define CONNECT_TIMEOUT_MS   4000
#define DAY_US               (INT64_C(86400) * 1000000)
#define GROWTH_DAYS          7
#define UPLOAD_PART_SIZE     (UINT64_C(16) << 20) /* store/s3_upload.c: what is longer takes several requests */
#define CLOCKS_MAY_DIFFER_US (INT64_C(60) * 1000000)
#define FILE_SCHEME          "file://"

static void
evidence_release(StatusEvidence *evidence)
{
	free(evidence->damage);
	free(evidence->description);
}

void
status_facts_release(StatusFacts *facts)
{
	free(facts->cluster);
	free(facts->store);
	free(facts->store_error);
	free(facts->store_hint);
	free(facts->server.error);
	free(facts->server.hint);
	free(facts->second.url);
	free(facts->second.error);
	free(facts->second.hint);
	free(facts->window.gap);
	free(facts->backups.id);
	free(facts->backups.unfinished);
	strlist_release(&facts->backups.faults);
	evidence_release(&facts->drill);
	evidence_release(&facts->verify);
	evidence_release(&facts->dumps);
	evidence_release(&facts->files);
	for (size_t i = 0; i < facts->n_jobs; i++)
	{
		free(facts->jobs[i].kind);
		free(facts->jobs[i].holder);
		free(facts->jobs[i].progress.operation);
		free(facts->jobs[i].progress.phase);
	}
	free(facts->jobs);
	status_ends_release(facts);
	strlist_release(&facts->clocks);
	status_picture_release(&facts->picture);
	*facts = (StatusFacts){0};
}

Error *
status_take_store_error(StatusFacts *facts, Error *error)
{
	if (error == NULL || error_is(error, ERR_CANCELLED))
		return error;
	facts->store_error = mem_strdup(error_message(error));
	facts->store_hint = mem_strdup(error_get_hint(error));
	error_free(error);
	return NULL;
}

Error *
status_take_second_error(StatusFacts *facts, Error *error)
{
	if (error == NULL || error_is(error, ERR_CANCELLED))
		return error;
	facts->second.error = mem_strdup(error_message(error));
	facts->second.hint = mem_strdup(error_get_hint(error));
	error_free(error);
	return NULL;
}

/* By SQL where the role may, else by the data directory where it is at hand. */
static Error *
look_at_waiting(Server *sql, const char *data_directory, StatusServer *server)
{
	AUTO_STRLIST names = {0};
	AUTO(Error) error = server_waiting(sql, &server->waiting, &server->waiting_since);

	server->waiting_known = error == NULL;
	if (error == NULL || error_is(error, ERR_CANCELLED) || data_directory == NULL)
		return error_is(error, ERR_CANCELLED) ? MOVE(error) : NULL;

	AUTO_FREE char *status = path_join(data_directory, "pg_wal/archive_status");
	AUTO(Error) unseen = dir_list_ending(status, ".ready", &names);

	server->waiting_known = unseen == NULL;
	server->waiting = names.count;
	server->waiting_since = TIME_NONE;
	return NULL;
}

static Error *
note_password(StatusFacts *facts, Server *sql)
{
	TimeUs end;

	TRY(server_password_end(sql, &end));
	if (end != TIME_NONE)
		(void) status_add_end(facts, STATUS_END_PASSWORD, mem_strdup("the role's password"), end);
	return NULL;
}

static Error *
ask_server(const char *conninfo, const char *data_directory, StatusFacts *facts)
{
	StatusServer *server = &facts->server;
	AUTO(Server) sql = NULL;

	/* One that does not answer must not hold up what the store tells. */
	TRY(server_connect_sql_within(conninfo, CONNECT_TIMEOUT_MS, &sql));
	TRY(server_archiving(sql, &server->archiving));
	TRY(note_password(facts, sql));
	return look_at_waiting(sql, data_directory, server);
}

Error *
status_ask_server(StatusFacts *facts, const char *conninfo, const char *data_directory)
{
	StatusServer *server = &facts->server;
	Error *error = ask_server(conninfo, data_directory, facts);

	server->asked = true;
	if (error == NULL || error_is(error, ERR_CANCELLED))
		return error;
	server->error = mem_strdup(error_message(error));
	server->hint = mem_strdup(error_get_hint(error));
	error_free(error);
	return NULL;
}

/* Which system that is, is known only after the store was looked at. */
static void
check_server_is_ours(StatusFacts *facts)
{
	StatusServer *server = &facts->server;

	if (!server->asked || server->error != NULL ||
	    server->archiving.system_identifier == facts->system_identifier)
		return;
	server->error =
		mem_printf("the server that answers is system %" PRIu64 ", and this is about system %" PRIu64,
	               server->archiving.system_identifier, facts->system_identifier);
	server->hint = mem_strdup("Set conninfo, or PGHOST and PGPORT; or use --store-only.");
}

static StatusJob *
add_job(StatusFacts *facts)
{
	GROW(facts->jobs, facts->n_jobs, facts->jobs_capacity);
	facts->jobs[facts->n_jobs] = (StatusJob){.since = TIME_NONE, .until = TIME_NONE, .began = TIME_NONE};
	return &facts->jobs[facts->n_jobs++];
}

/* Where one of the two has no cluster it may be the same: settings can be written in many ways. */
static bool
is_ours(const StatusFacts *facts, const char *store, const RunningJob *running)
{
	return str_equal(running->store, store) && (running->cluster == NULL || facts->cluster == NULL ||
	                                            str_equal(running->cluster, facts->cluster));
}

void
status_read_running(StatusFacts *facts, const char *state_dir, const char *store)
{
	AUTO_RUNNING_JOBS running = {0};

	running_jobs_read(state_dir, facts->now, &running);
	for (size_t i = 0; i < running.count; i++)
	{
		RunningJob *job = &running.items[i];

		if (!is_ours(facts, store, job))
			continue;
		*add_job(facts) =
			(StatusJob){.kind = mem_strdup(job->progress.operation),
		                .holder = mem_printf("host %s, process %" PRId64, job->host, job->process),
		                .since = job->updated,
		                .until = TIME_NONE,
		                .began = job->began,
		                .progress = job->progress};
		job->progress = (JobProgress){0}; /* its texts are given away */
	}
}

/* A drill recovers, and a copy has a lease in two stores: one process is one job. */
static StatusJob *
job_of_holder(StatusFacts *facts, const char *holder)
{
	for (size_t i = 0; i < facts->n_jobs; i++)
		if (strcmp(facts->jobs[i].holder, holder) == 0 && facts->jobs[i].progress.operation != NULL)
			return &facts->jobs[i];
	return NULL;
}

static Error *
list_jobs(StatusFacts *facts, Store *store)
{
	AUTO_LEASES leases = {0};

	TRY(lease_list_read(store, facts->system_identifier, &leases));
	for (size_t i = 0; i < leases.count; i++)
	{
		const Lease *lease = &leases.items[i];

		if (lease->until <= facts->now)
			continue;

		StatusJob *job = lease->readable ? job_of_holder(facts, lease->holder) : NULL;

		if (job == NULL)
		{
			job = add_job(facts);
			job->kind = mem_strdup(lease->readable ? lease->kind : "unknown");
			job->holder = mem_strdup(lease->readable ? lease->holder : lease->id);
			job->since = lease->came;
		}
		job->until = lease->until > job->until ? lease->until : job->until;
	}
	return NULL;
}

typedef struct Totals
{
	TimeUs now;
	uint64_t objects;
	uint64_t size;
	uint64_t new_size; /* of the last GROWTH_DAYS days */
	uint64_t new_puts;
	TimeUs oldest;
	TimeUs newest;
} Totals;

static Error *
add_object(void *context, const StoreEntry *entry)
{
	Totals *totals = context;

	totals->objects++;
	totals->size += entry->size;
	if (entry->modified < totals->oldest)
		totals->oldest = entry->modified;
	if (entry->modified > totals->newest)
		totals->newest = entry->modified;
	if (entry->modified <= totals->now - GROWTH_DAYS * DAY_US)
		return NULL;
	totals->new_size += entry->size;

	/* A long object takes a request for each of its parts, and two more. */
	totals->new_puts += entry->size <= UPLOAD_PART_SIZE ? 1 : entry->size / UPLOAD_PART_SIZE + 3;
	return NULL;
}

static void
look_at_disk(StatusStorage *storage, const char *url)
{
	struct statvfs status;

	if (!str_starts_with(url, FILE_SCHEME) || statvfs(url + strlen(FILE_SCHEME), &status) != 0)
		return;
	storage->disk_size = (uint64_t) status.f_blocks * status.f_frsize;
	storage->disk_free = (uint64_t) status.f_bavail * status.f_frsize;
}

static Error *
describe_storage(StatusFacts *facts, Store *store, const char *prefix)
{
	StatusStorage *storage = &facts->storage;
	Totals totals = {.now = facts->now, .oldest = INT64_MAX, .newest = TIME_NONE};
	TimeUs age;

	TRY(store_list(store, prefix, LIST_ALL, NULL, add_object, &totals));
	storage->objects = totals.objects;
	storage->size = totals.size;
	storage->size_per_day = -1;
	storage->puts_per_day = -1;
	storage->oldest = totals.objects == 0 ? TIME_NONE : totals.oldest;
	look_at_disk(storage, store_url(store));
	if (totals.objects == 0)
		return NULL;
	age = facts->now - totals.oldest;
	if (age >= DAY_US)
	{
		double days = age < GROWTH_DAYS * DAY_US ? (double) age / (double) DAY_US : GROWTH_DAYS;

		storage->size_per_day = (int64_t) ((double) totals.new_size / days);
		storage->puts_per_day = (int64_t) ((double) totals.new_puts / days);
	}
	if (totals.newest > facts->now + CLOCKS_MAY_DIFFER_US)
	{
		char time[TIME_TEXT_SIZE];
		AUTO_FREE char *text = mem_printf(
			"By the store's clock its newest object is of %s, which is ahead of this machine's clock: one of the two "
			"is wrong, and ages are, too.",
			time_format_postgres(totals.newest, time));

		strlist_add(&facts->clocks, text);
	}
	return NULL;
}

/* Small objects that are written once; a history file is, too. */
static bool
never_changes(const char *key)
{
	return str_ends_with(key, "/backup.json") || str_ends_with(key, ".history") ||
	       str_ends_with(key, ".history.sha256") || str_ends_with(key, "-drill.json") ||
	       str_ends_with(key, "-verify.json");
}

static Error *
read_listed(StatusFacts *facts, Store *listed, Store *second, int jobs)
{
	AUTO(Catalog) catalog = NULL;

	TRY(list_jobs(facts, listed));
	TRY(catalog_read(listed, facts->system_identifier, jobs, &catalog));
	TRY(status_describe_backups(facts, listed, catalog));
	facts->wal.came = TIME_NONE;
	TRY(status_describe_recoverable(facts, listed, catalog, jobs));
	TRY(status_read_evidence(facts, listed));
	return status_compare_second(facts, listed, second);
}

Error *
status_read_store(StatusFacts *facts, Store *store, Store *second, const char *state_dir, int jobs)
{
	AUTO_FREE char *prefix = layout_system_prefix(facts->system_identifier);
	AUTO(Store) listed = NULL;
	AUTO(Store) remembered = NULL;

	check_server_is_ours(facts);
	TRY(listed_store_new(store, prefix, &listed));
	TRY(describe_storage(facts, listed, prefix));

	/* In a directory a file more is nothing; of a bucket each is a request, and there may be hundreds. */
	if (store_directory_path(store) != NULL)
		return read_listed(facts, listed, second, jobs);
	remembered = remembered_store_new(listed, state_dir, prefix, never_changes);

	Error *error = read_listed(facts, remembered, second, jobs);

	remembered_store_keep(remembered);
	return error;
}
