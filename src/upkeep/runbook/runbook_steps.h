/* How a page of recoveries is put together; runbook.c has the order.  All of it is pure. */
#pragma once

#include "walship/upkeep/runbook.h"

/* What stands in the commands, quoted where a shell wants it. */
typedef struct RunbookWriter
{
	const RunbookFacts *facts;
	Runbook *runbook;
	bool blank; /* the template */
	char *major;
	char *pgdata;
	char *copy;     /* a directory beside it */
	char *map;      /* " --tablespace-map OLD=NEW" for a copy */
	char *stop;     /* the line that stops the server */
	char *settings; /* the settings file */
	char *second;   /* the second store; NULL: there is none */
} RunbookWriter;

void runbook_heading(RunbookWriter *writer, const char *text);
void runbook_text(RunbookWriter *writer, const char *format, ...) PRINTF_LIKE(2, 3);
void runbook_row(RunbookWriter *writer, const char *what, char *value, char *more); /* both are given away */
void runbook_step(RunbookWriter *writer, const char *format, ...) PRINTF_LIKE(2, 3);

/* A line of the step before: of any program; */
void runbook_line(RunbookWriter *writer, const char *format, ...) PRINTF_LIKE(2, 3);

/* of this one, "list", with the flags by which it has these settings; */
void runbook_walship(RunbookWriter *writer, const char *format, ...) PRINTF_LIKE(2, 3);

/* and the same on the second store. */
void runbook_walship_second(RunbookWriter *writer, const char *format, ...) PRINTF_LIKE(2, 3);

/* The chapters: runbook_accidents.c */
void runbook_write_beginning(RunbookWriter *writer);
void runbook_write_accidents(RunbookWriter *writer);
void runbook_write_new_machine(RunbookWriter *writer);
void runbook_write_failover(RunbookWriter *writer);
void runbook_write_lost_store(RunbookWriter *writer);
void runbook_write_lost_key(RunbookWriter *writer);
void runbook_write_end(RunbookWriter *writer);
