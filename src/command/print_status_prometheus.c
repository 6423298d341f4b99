/*
 * Metrics of a status, as a file for the textfile collector of Prometheus's
 * node_exporter: gauges only, for the next run may be another process; in base
 * units; no label but the cluster and the item.
 */
#include <inttypes.h>

#include "print_status.h"
#include "walship/base/mem.h"

typedef enum MetricKind
{
	METRIC_UINT,
	METRIC_INT, /* below 0: not known */
	METRIC_BOOL,
	METRIC_TIME, /* seconds since 1970 */
	METRIC_MS,   /* seconds; 0: not known */
} MetricKind;

typedef enum MetricOf
{
	OF_STORE,
	OF_SERVER,  /* known when it answered */
	OF_WAITING, /* ... and the role may see it */
	OF_BACKUP,  /* known when there is one */
	OF_WINDOW,
	OF_DRILL,
	OF_VERIFY,
	OF_SECOND,
} MetricOf;

typedef struct Metric
{
	const char *name;
	const char *help;
	MetricOf of;
	MetricKind kind;
	size_t offset; /* in StatusFacts */
} Metric;

#define AT(member) offsetof(StatusFacts, member)

static const Metric metrics[] = {
	{"walship_wal_last_stored_timestamp_seconds", "When the newest WAL came into the store.", OF_STORE,
     METRIC_TIME, AT(wal.came)},
	{"walship_wal_stored_bytes", "Stored bytes of WAL.", OF_STORE, METRIC_UINT, AT(wal.size)},
	{"walship_wal_waiting_files", "Files that the server has not archived yet.", OF_WAITING, METRIC_UINT,
     AT(server.waiting)},
	{"walship_wal_waiting_since_timestamp_seconds", "Since when the first of them waits.", OF_WAITING,
     METRIC_TIME, AT(server.waiting_since)},
	{"walship_wal_last_archived_timestamp_seconds", "When the server last archived a file.", OF_SERVER,
     METRIC_TIME, AT(server.archiving.archived_at)},
	{"walship_wal_last_failed_timestamp_seconds", "When archive_command last failed.", OF_SERVER, METRIC_TIME,
     AT(server.archiving.failed_at)},
	{"walship_wal_gaps_open", "Gaps behind which nothing can be recovered.", OF_STORE, METRIC_UINT,
     AT(window.gaps_open)},
	{"walship_wal_gaps_closed", "Gaps before the newest backup.", OF_STORE, METRIC_UINT, AT(window.gaps)},
	{"walship_recoverable_from_timestamp_seconds", "The first moment that can be recovered.", OF_WINDOW,
     METRIC_TIME, AT(window.from)},
	{"walship_recoverable_to_timestamp_seconds", "The latest commit that can be recovered.", OF_WINDOW,
     METRIC_TIME, AT(window.to)},
	{"walship_replay_estimate_seconds", "How long replaying the WAL behind the newest backup takes.",
     OF_WINDOW, METRIC_MS, AT(window.replay_ms)},
	{"walship_backups", "Complete backups.", OF_STORE, METRIC_UINT, AT(backups.count)},
	{"walship_backups_stored_bytes", "Stored bytes of all backups.", OF_STORE, METRIC_UINT,
     AT(backups.total_size)},
	{"walship_backup_last_timestamp_seconds", "When the newest backup ended.", OF_BACKUP, METRIC_TIME,
     AT(backups.stop_time)},
	{"walship_backup_last_duration_seconds", "How long it took.", OF_BACKUP, METRIC_MS,
     AT(backups.duration_ms)},
	{"walship_backup_last_files_bytes", "The data directory that it restores to.", OF_BACKUP, METRIC_UINT,
     AT(backups.files_size)},
	{"walship_backup_last_stored_bytes", "Its stored bytes.", OF_BACKUP, METRIC_UINT,
     AT(backups.stored_size)},
	{"walship_drill_last_timestamp_seconds", "When the last drill began.", OF_DRILL, METRIC_TIME,
     AT(drill.time)},
	{"walship_drill_last_passed", "Whether it passed.", OF_DRILL, METRIC_BOOL, AT(drill.passed)},
	{"walship_drill_last_rto_seconds", "How long its recovery took.", OF_DRILL, METRIC_MS, AT(drill.rto_ms)},
	{"walship_verify_last_timestamp_seconds", "When the last verification was made.", OF_VERIFY, METRIC_TIME,
     AT(verify.time)},
	{"walship_verify_last_passed", "Whether it passed.", OF_VERIFY, METRIC_BOOL, AT(verify.passed)},
	{"walship_store_objects", "Objects in the store.", OF_STORE, METRIC_UINT, AT(storage.objects)},
	{"walship_store_bytes", "Their bytes.", OF_STORE, METRIC_UINT, AT(storage.size)},
	{"walship_store_growth_bytes_per_day", "What came in the last week, for each day of it.", OF_STORE,
     METRIC_INT, AT(storage.size_per_day)},
	{"walship_second_store_bytes", "Bytes in the second store.", OF_SECOND, METRIC_UINT, AT(second.size)},
	{"walship_second_store_behind_since_timestamp_seconds",
     "Since when the first store has what the second one lacks; absent when it lacks nothing new.", OF_SECOND,
     METRIC_TIME, AT(second.behind_since)},
	{"walship_jobs", "Jobs at work: on this machine, and on others by their leases.", OF_STORE, METRIC_UINT,
     AT(n_jobs)},
};

/* A quote in a label: cluster names have none, so nothing needs to be escaped. */
static void
put_labels(const ClusterStatus *cluster, const char *item, Buf *into)
{
	const char *name = cluster->facts.cluster;

	if (name == NULL && item == NULL)
		return;
	buf_puts(into, "{");
	if (name != NULL)
		buf_printf(into, "cluster=\"%s\"%s", name, item != NULL ? "," : "");
	if (item != NULL)
		buf_printf(into, "item=\"%s\"", item);
	buf_puts(into, "}");
}

static void
put_family(const char *name, const char *help, Buf *into)
{
	buf_printf(into, "# HELP %s %s\n# TYPE %s gauge\n", name, help, name);
}

static bool
is_known(const StatusFacts *facts, MetricOf of)
{
	bool answers = facts->server.asked && facts->server.error == NULL;

	switch (of)
	{
		case OF_SERVER:
			return answers;
		case OF_WAITING:
			return answers && facts->server.waiting_known;
		case OF_BACKUP:
			return facts->store_error == NULL && facts->backups.id != NULL;
		case OF_WINDOW:
			return facts->store_error == NULL && facts->window.exists;
		case OF_DRILL:
			return facts->store_error == NULL && facts->drill.time != TIME_NONE;
		case OF_VERIFY:
			return facts->store_error == NULL && facts->verify.time != TIME_NONE;
		case OF_SECOND:
			return facts->store_error == NULL && facts->second.url != NULL && facts->second.error == NULL;
		case OF_STORE:
			break;
	}
	return facts->store_error == NULL;
}

/* False when it is not known. */
static bool
put_number(const Metric *metric, const StatusFacts *facts, Buf *into)
{
	const void *at = (const char *) facts + metric->offset;

	switch (metric->kind)
	{
		case METRIC_UINT:
			buf_printf(into, "%" PRIu64, *(const uint64_t *) at);
			return true;
		case METRIC_INT:
			buf_printf(into, "%" PRId64, *(const int64_t *) at);
			return *(const int64_t *) at >= 0;
		case METRIC_BOOL:
			buf_puts(into, *(const bool *) at ? "1" : "0");
			return true;
		case METRIC_TIME:
			buf_printf(into, "%" PRId64 ".%03" PRId64, *(const TimeUs *) at / 1000000,
			           *(const TimeUs *) at % 1000000 / 1000);
			return *(const TimeUs *) at >= 0;
		case METRIC_MS:
			buf_printf(into, "%" PRId64 ".%03" PRId64, *(const int64_t *) at / 1000,
			           *(const int64_t *) at % 1000);
			return *(const int64_t *) at > 0;
	}
	return false;
}

static void
put_metric(const Metric *metric, const ClusterList *clusters, Buf *into)
{
	bool begun = false;

	for (size_t i = 0; i < clusters->count; i++)
	{
		const ClusterStatus *cluster = &clusters->items[i];
		AUTO_BUF(number, 64);

		if (!is_known(&cluster->facts, metric->of) || !put_number(metric, &cluster->facts, &number))
			continue;
		if (!begun)
			put_family(metric->name, metric->help, into);
		begun = true;
		buf_puts(into, metric->name);
		put_labels(cluster, NULL, into);
		buf_printf(into, " %s\n", number.data);
	}
}

/* Of all of a kind the first that ends; TIME_NONE: none is known to. */
static TimeUs
first_end(const StatusFacts *facts, bool certificates)
{
	TimeUs first = TIME_NONE;

	for (size_t i = 0; i < facts->n_ends; i++)
	{
		const StatusEnd *end = &facts->ends[i];

		if ((end->kind == STATUS_END_CERTIFICATE) == certificates && end->time != TIME_NONE &&
		    (first == TIME_NONE || end->time < first))
			first = end->time;
	}
	return first;
}

static void
put_ends(const char *name, const char *help, bool certificates, const ClusterList *clusters, Buf *into)
{
	bool begun = false;

	for (size_t i = 0; i < clusters->count; i++)
	{
		TimeUs end = first_end(&clusters->items[i].facts, certificates);

		if (end == TIME_NONE)
			continue;
		if (!begun)
			put_family(name, help, into);
		begun = true;
		buf_puts(into, name);
		put_labels(&clusters->items[i], NULL, into);
		buf_printf(into, " %" PRId64 "\n", end / 1000000);
	}
}

static void
put_states(const ClusterList *clusters, Buf *into)
{
	put_family("walship_status", "All of it: 0 OK, 1 WARN, 2 FAIL, 3 UNKNOWN.", into);
	for (size_t i = 0; i < clusters->count; i++)
	{
		buf_puts(into, "walship_status");
		put_labels(&clusters->items[i], NULL, into);
		buf_printf(into, " %d\n", (int) clusters->items[i].report.state);
	}
	put_family("walship_status_item", "Each item: 0 OK, 1 WARN, 2 FAIL, 3 UNKNOWN.", into);
	for (size_t i = 0; i < clusters->count; i++)
		for (size_t j = 0; j < clusters->items[i].report.count; j++)
		{
			const StatusItem *item = &clusters->items[i].report.items[j];

			buf_puts(into, "walship_status_item");
			put_labels(&clusters->items[i], item->name, into);
			buf_printf(into, " %d\n", (int) item->state);
		}
}

static void
put_times(const ClusterList *clusters, Buf *into)
{
	put_family("walship_status_timestamp_seconds", "When this was found out.", into);
	for (size_t i = 0; i < clusters->count; i++)
	{
		buf_puts(into, "walship_status_timestamp_seconds");
		put_labels(&clusters->items[i], NULL, into);
		buf_printf(into, " %" PRId64 "\n", clusters->items[i].facts.now / 1000000);
	}
	put_family("walship_info", "The version that found it out.", into);
	buf_puts(into, "walship_info{version=\"" WALSHIP_VERSION "\"} 1\n");
}

void
print_status_prometheus(const ClusterList *clusters, Buf *into)
{
	put_states(clusters, into);
	put_times(clusters, into);
	for (size_t i = 0; i < lengthof(metrics); i++)
		put_metric(&metrics[i], clusters, into);
	put_ends("walship_certificate_first_end_timestamp_seconds",
	         "When the first certificate ends, of the store or of an authority.", true, clusters, into);
	put_ends("walship_credentials_first_end_timestamp_seconds",
	         "When the first credentials end, of those that do by themselves.", false, clusters, into);
}
