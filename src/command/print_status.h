/* What "walship status" shows: for people, for programs, for Nagios and for Prometheus. */
#pragma once

#include <stddef.h>
#include <stdio.h>

#include "walship/base/buf.h"
#include "walship/upkeep/status.h"

/* Of one cluster. */
typedef struct ClusterStatus
{
	StatusLimits limits;
	StatusFacts facts;
	StatusReport report;
} ClusterStatus;

typedef struct ClusterList
{
	ClusterStatus *items; /* in the order of the settings file */
	size_t count;
	bool all; /* those of the file, and not the one that the settings are of */
} ClusterList;

StatusState print_status_state(const ClusterList *clusters); /* the worst */

char *print_status_verdict(const ClusterList *clusters); /* without the state; the caller frees */

void print_status_text(const ClusterList *clusters, FILE *into);
void print_status_json(const ClusterList *clusters, FILE *into); /* docs/json.md */

/* One line with what plugins of Nagios call performance data. */
void print_status_nagios(const ClusterList *clusters, FILE *into);
int print_status_nagios_exit(StatusState state); /* 0 to 3 */

/* A file for the textfile collector of Prometheus's node_exporter. */
void print_status_prometheus(const ClusterList *clusters, Buf *into);

/* A page that stands for itself: nothing of it is loaded from elsewhere, and nothing of it is a program. */
void print_status_html(const ClusterList *clusters, Buf *into);
