/* What "walship status" shows to people and to Nagios. */
#include "print_status.h"

#include <inttypes.h>
#include <string.h>

#include "table.h"
#include "walship/base/mem.h"

#define NAMES_MAX 4096

StatusState
print_status_state(const ClusterList *clusters)
{
	StatusState state = STATUS_OK;

	for (size_t i = 0; i < clusters->count; i++)
		state = status_worse(state, clusters->items[i].report.state);
	return state;
}

static void
print_items(const StatusReport *report, FILE *into)
{
	int width = 0;

	for (size_t i = 0; i < report->count; i++)
		if ((int) strlen(report->items[i].name) > width)
			width = (int) strlen(report->items[i].name);
	for (size_t i = 0; i < report->count; i++)
	{
		const StatusItem *item = &report->items[i];

		print_line(into, "%-7s  %-*s  %s", status_state_text(item->state), width, item->name, item->value);
		if (item->reason != NULL)
			print_line(into, "%7s  %*s  %s%s%s%s", "", width, "", item->reason,
			           item->threshold == NULL ? "" : " (", item->threshold == NULL ? "" : item->threshold,
			           item->threshold == NULL ? "" : ")");
		if (item->remedy != NULL)
			print_line(into, "%7s  %*s  %s", "", width, "", item->remedy);
	}
}

/* "2 of 50 clusters are not well: billing, shop" */
static char *
summarize(const ClusterList *clusters)
{
	AUTO_BUF(names, NAMES_MAX);
	size_t count = 0;

	for (size_t i = 0; i < clusters->count; i++)
	{
		const ClusterStatus *cluster = &clusters->items[i];

		if (cluster->report.state != STATUS_OK)
			buf_printf(&names, "%s%s", count++ > 0 ? ", " : "", cluster->facts.cluster);
	}
	if (count == 0)
		return mem_printf("all %zu clusters are well", clusters->count);
	return mem_printf("%zu of %zu clusters are not well: %s", count, clusters->count,
	                  names.overflowed ? "..." : names.data);
}

static void
print_clusters(const ClusterList *clusters, FILE *into)
{
	AUTO_FREE char *summary = summarize(clusters);
	AUTO(Table) table = table_new("|cluster|verdict");

	for (size_t i = 0; i < clusters->count; i++)
	{
		const ClusterStatus *cluster = &clusters->items[i];

		table_cell(table, "%s", status_state_text(cluster->report.state));
		table_cell(table, "%s", cluster->facts.cluster);
		table_cell(table, "%s", cluster->report.verdict);
	}
	print_line(into, "%s: %s", status_state_text(print_status_state(clusters)), summary);
	(void) fputs("\n", into);
	table_print(table, "", into);
}

void
print_status_text(const ClusterList *clusters, FILE *into)
{
	const StatusReport *report = &clusters->items[0].report;

	if (clusters->all)
	{
		print_clusters(clusters, into);
		return;
	}
	print_line(into, "%s: %s", status_state_text(report->state), report->verdict);
	(void) fputs("\n", into);
	print_items(report, into);
}

/* ---- Nagios: https://nagios-plugins.org/doc/guidelines.html, "Plugin Output for Nagios" ---- */

int
print_status_nagios_exit(StatusState state)
{
	static const int exits[] = {[STATUS_OK] = 0, [STATUS_WARN] = 1, [STATUS_FAIL] = 2, [STATUS_UNKNOWN] = 3};

	return exits[state];
}

/* 'label'=value[unit];warn;crit;min; nothing when the value is not known. */
static void
put_value(const ClusterStatus *cluster, const char *label, int64_t value, const char *unit, int64_t critical,
          Buf *into)
{
	if (value < 0)
		return;
	buf_printf(into, " '%s%s%s'=%" PRId64 "%s;;",
	           cluster->facts.cluster == NULL ? "" : cluster->facts.cluster,
	           cluster->facts.cluster == NULL ? "" : " ", label, value, unit);
	if (critical > 0)
		buf_printf(into, "%" PRId64, critical);
	buf_puts(into, ";0");
}

/* Whole seconds; -1 when there is no time. */
static int64_t
age_s(const StatusFacts *facts, TimeUs time)
{
	int64_t age = time == TIME_NONE ? -1 : (facts->now - time) / 1000000;

	return time != TIME_NONE && age < 0 ? 0 : age;
}

static void
put_values(const ClusterStatus *cluster, Buf *into)
{
	const StatusFacts *facts = &cluster->facts;
	const StatusLimits *limits = &cluster->limits;

	if (facts->store_error != NULL)
		return;
	put_value(cluster, "wal_age", age_s(facts, facts->wal.came), "s", limits->rpo_target_ms / 1000, into);
	if (facts->server.waiting_known)
		put_value(cluster, "waiting", (int64_t) facts->server.waiting, "", 0, into);
	put_value(cluster, "gaps", (int64_t) (facts->window.gaps + facts->window.gaps_open), "", 0, into);
	if (facts->backups.id != NULL)
		put_value(cluster, "backup_age", age_s(facts, facts->backups.stop_time), "s",
		          limits->backup_max_age_ms / 1000, into);
	put_value(cluster, "drill_age", age_s(facts, facts->drill.time), "s", limits->drill_max_age_ms / 1000,
	          into);
	put_value(cluster, "store_size", (int64_t) facts->storage.size, "B", 0, into);
}

char *
print_status_verdict(const ClusterList *clusters)
{
	return clusters->all ? summarize(clusters) : mem_strdup(clusters->items[0].report.verdict);
}

void
print_status_nagios(const ClusterList *clusters, FILE *into)
{
	static const char *const words[] = {[STATUS_OK] = "OK",
	                                    [STATUS_WARN] = "WARNING",
	                                    [STATUS_FAIL] = "CRITICAL",
	                                    [STATUS_UNKNOWN] = "UNKNOWN"};
	AUTO_FREE char *text = print_status_verdict(clusters);
	AUTO_BUF(values, NAMES_MAX * (clusters->count + 1));

	/* What follows the first '|' is data. */
	for (char *bar = strchr(text, '|'); bar != NULL; bar = strchr(bar, '|'))
		*bar = '/';
	for (size_t i = 0; i < clusters->count; i++)
		put_values(&clusters->items[i], &values);
	print_line(into, "WALSHIP %s - %s%s%s", words[print_status_state(clusters)], text,
	           values.size > 0 ? " |" : "", values.size > 0 ? values.data : "");
}
