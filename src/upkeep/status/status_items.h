/* The items of a status; status.c has their order.  All of it is pure. */
#pragma once

#include "walship/base/buf.h"
#include "walship/upkeep/status.h"

/* What a status is decided from, and the report as far as it is. */
typedef struct Decision
{
	const StatusFacts *facts;
	const StatusLimits *limits;
	StatusReport *report;
} Decision;

/* The value is given away.  The item is there until the next one is added. */
StatusItem *status_add(Decision *decision, const char *name, char *value);

/* Not well, or not known: with a reason, and a remedy (NULL: there is none to be named). */
void status_judge(StatusItem *item, StatusState state, const char *remedy, const char *format, ...)
	PRINTF_LIKE(4, 5);

/* "setting = 15 min"; nothing when it is not set. */
void status_threshold(StatusItem *item, const char *setting, int64_t ms);

/* More than so long ago, or never; a limit of 0 is none. */
bool status_is_older(const Decision *decision, TimeUs time, int64_t limit_ms);
bool status_server_answers(const StatusFacts *facts);

/* "any moment from ... to ..." */
void status_put_window(const StatusFacts *facts, Buf *into);

/* Store and server: status_items_store.c */
void status_decide_store(Decision *decision);
void status_decide_server(Decision *decision);
void status_decide_storage(Decision *decision);
void status_decide_second(Decision *decision);
void status_decide_room(Decision *decision);
void status_decide_jobs(Decision *decision);
void status_decide_clocks(Decision *decision);

/* What ends by itself: status_items_ends.c */
void status_decide_ends(Decision *decision);

/* WAL: status_items_wal.c */
void status_decide_archiving(Decision *decision);
void status_decide_window(Decision *decision);
void status_decide_gaps(Decision *decision);

/* Backups and proofs: status_items_backups.c */
void status_decide_backup(Decision *decision);
void status_decide_backup_faults(Decision *decision);
void status_decide_backup_size(Decision *decision);
void status_decide_drill(Decision *decision);
void status_decide_verify(Decision *decision);
void status_decide_dumps(Decision *decision);
void status_decide_files(Decision *decision);
