/* Recovery plans, for people and for programs. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "walship/recovery/recover.h"

typedef struct PlanReport
{
	const RecoveryPlan *plan;
	const char *zone;        /* in which times are shown besides UTC; NULL: the machine's own */
	const DiskSpace *spaces; /* what is needed and free; none when no directory was given */
	size_t n_spaces;
	const char *waldir;                   /* where pg_wal goes; NULL: into the data directory */
	const RestoreTablespace *tablespaces; /* where those of the plan's backup go, in its order */
	size_t n_tablespaces;
	const CreatedTablespace *created; /* those that the WAL makes */
	size_t n_created;
	const char *settings; /* the lines that will be written; NULL: not shown */
	bool verbose;         /* show them to people, too */
	int columns;          /* of the terminal, after which sentences are broken; 0: never */
} PlanReport;

void print_plan_text(const PlanReport *report, FILE *into);
void print_plan_json(const PlanReport *report, FILE *into); /* docs/json.md */
