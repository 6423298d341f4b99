/* Items of a status: backups, what proves them, dumps and files. */
#include "status_items.h"

#include <inttypes.h>

#include "walship/base/mem.h"
#include "walship/base/size.h"

#define SIZE_MAY_DIFFER 40 /* percent, from the median */

void
status_decide_backup(Decision *decision)
{
	const StatusFacts *facts = decision->facts;
	const StatusBackups *backups = &facts->backups;
	char age[AGE_TEXT_SIZE];
	char took[SIZE_TEXT_SIZE];
	char size[SIZE_TEXT_SIZE];
	StatusItem *item;
	TimeUs time = backups->stop_time;

	/* One from the future would be fresh for ever: then the store's clock tells. */
	if (backups->id != NULL && time > facts->now && backups->came != TIME_NONE && backups->came < time)
		time = backups->came;
	if (backups->id == NULL)
		item = status_add(decision, "backup", mem_strdup("none"));
	else
		item = status_add(decision, "backup",
		                  mem_printf("%s, %s, took %s, %s; %" PRIu64 " in all", backups->id,
		                             age_format(time, facts->now, age),
		                             duration_format(backups->duration_ms, took),
		                             size_format(backups->stored_size, size), backups->count));
	status_threshold(item, "backup_max_age", decision->limits->backup_max_age_ms);
	if (backups->id == NULL)
		status_judge(item, STATUS_FAIL, "Run: walship backup",
		             backups->count == 0 ? "there is no backup" : "parts of every backup are missing");
	else if (status_is_older(decision, time, decision->limits->backup_max_age_ms))
		status_judge(item, STATUS_FAIL, "Run: walship backup; and look why its timer did not.",
		             "the newest backup is older than backup_max_age");
	else if (backups->unfinished != NULL)
		status_judge(item, STATUS_WARN, "Run: walship backup; the log of its last run says why.",
		             "a later one, %s, was begun and never completed", backups->unfinished);
	else if (backups->page_errors)
		status_judge(item, STATUS_WARN,
		             "Its output named the files: look at the disk, and keep the backup before it.",
		             "the server found damaged pages while it was taken");
}

void
status_decide_backup_faults(Decision *decision)
{
	const StrList *faults = &decision->facts->backups.faults;

	if (faults->count > 0)
		status_judge(status_add(decision, "stored backups", mem_printf("%zu with faults", faults->count)),
		             STATUS_WARN, "Run: walship list. What the store has lost may be in another copy of it.",
		             "%s", faults->items[0]);
}

/* A database that shrank over night was perhaps emptied; one that grew so much is perhaps another one. */
void
status_decide_backup_size(Decision *decision)
{
	const StatusBackups *backups = &decision->facts->backups;
	char size[SIZE_TEXT_SIZE];
	char median[SIZE_TEXT_SIZE];
	StatusItem *item;

	if (backups->id == NULL || backups->median_size == 0)
		return;
	item =
		status_add(decision, "backup size",
	               mem_printf("%s; the median of those before is %s", size_format(backups->files_size, size),
	                          size_format(backups->median_size, median)));
	item->threshold = mem_printf("%d %%", SIZE_MAY_DIFFER);
	if ((double) backups->files_size < (double) backups->median_size * (100 - SIZE_MAY_DIFFER) / 100)
		status_judge(item, STATUS_WARN,
		             "Was much deleted on purpose? Before old backups expire: walship pin ID",
		             "the database is %d %% smaller than usual, or more", SIZE_MAY_DIFFER);
	else if ((double) backups->files_size > (double) backups->median_size * (100 + SIZE_MAY_DIFFER) / 100)
		status_judge(item, STATUS_WARN, "Is it the right server, and is there room for that?",
		             "the database is %d %% larger than usual, or more", SIZE_MAY_DIFFER);
}

void
status_decide_drill(Decision *decision)
{
	const StatusFacts *facts = decision->facts;
	const StatusEvidence *drill = &facts->drill;
	int64_t rto_target_ms = decision->limits->rto_target_ms;
	char age[AGE_TEXT_SIZE];
	char took[SIZE_TEXT_SIZE];
	StatusItem *item;

	if (drill->time == TIME_NONE)
		item = status_add(decision, "drill", mem_strdup("never"));
	else if (drill->damage != NULL)
		item = status_add(decision, "drill", mem_printf("%s", age_format(drill->time, facts->now, age)));
	else
		item = status_add(decision, "drill",
		                  mem_printf("%s %s, took %s%s%s", drill->passed ? "passed" : "FAILED",
		                             age_format(drill->time, facts->now, age),
		                             duration_format(drill->rto_ms, took),
		                             drill->description == NULL ? "" : ": ",
		                             drill->description == NULL ? "" : drill->description));
	status_threshold(item, "drill_max_age", decision->limits->drill_max_age_ms);
	if (drill->time == TIME_NONE)
		status_judge(item, STATUS_WARN, "Run: walship drill", "no backup was ever proven to be recoverable");
	else if (drill->damage != NULL)
		status_judge(item, STATUS_WARN, "Run: walship drill", "its evidence cannot be read: %s",
		             drill->damage);
	else if (!drill->passed)
		status_judge(item, STATUS_FAIL,
		             "Its evidence in the store says why, proof/<time>-drill.json. Run: walship drill",
		             "the last drill did not pass");
	else if (status_is_older(decision, drill->time, decision->limits->drill_max_age_ms))
		status_judge(item, STATUS_FAIL, "Run: walship drill; and look why its timer did not.",
		             "the last drill is longer ago than drill_max_age");
	else if (rto_target_ms > 0 && drill->rto_ms > rto_target_ms)
		status_judge(item, STATUS_FAIL, "Take backups more often, give it more jobs, or a nearer store.",
		             "the last drill took longer than rto_target");
}

void
status_decide_verify(Decision *decision)
{
	const StatusFacts *facts = decision->facts;
	const StatusEvidence *verify = &facts->verify;
	char age[AGE_TEXT_SIZE];
	StatusItem *item;

	if (verify->time == TIME_NONE)
		item = status_add(decision, "verify", mem_strdup("never"));
	else
		item = status_add(decision, "verify",
		                  mem_printf("%s%s",
		                             verify->damage != NULL ? ""
		                             : verify->passed       ? "passed "
		                                                    : "FAILED ",
		                             age_format(verify->time, facts->now, age)));
	status_threshold(item, "verify_max_age", decision->limits->verify_max_age_ms);
	if (verify->time == TIME_NONE)
		status_judge(item, STATUS_WARN, "Run: walship verify",
		             "nobody ever looked whether everything is in the store that must be there");
	else if (verify->damage != NULL)
		status_judge(item, STATUS_WARN, "Run: walship verify", "its evidence cannot be read: %s",
		             verify->damage);
	else if (!verify->passed)
		status_judge(item, STATUS_FAIL,
		             "Run: walship verify, which says what; its evidence is proof/<time>-verify.json.",
		             "the last verification found something");
	else if (status_is_older(decision, verify->time, decision->limits->verify_max_age_ms))
		status_judge(item, STATUS_FAIL, "Run: walship verify; and look why its timer did not.",
		             "the last verification is longer ago than verify_max_age");
}

static void
decide_records(Decision *decision, const char *name, const StatusEvidence *records, bool wanted,
               const char *setting, int64_t own_max_age_ms)
{
	int64_t max_age_ms = own_max_age_ms > 0 ? own_max_age_ms : decision->limits->backup_max_age_ms;
	char age[AGE_TEXT_SIZE];
	StatusItem *item;

	if (records->count == 0 && !wanted)
		return;
	if (records->count == 0)
		item = status_add(decision, name, mem_strdup("none"));
	else
		item = status_add(decision, name,
		                  mem_printf("%s; %" PRIu64 " in all",
		                             age_format(records->time, decision->facts->now, age), records->count));
	if (own_max_age_ms == 0)
		setting = "backup_max_age";
	status_threshold(item, setting, max_age_ms);
	if (records->count == 0)
		status_judge(item, STATUS_FAIL, NULL, "there is a retention for %s, and there are none", name);
	else if (status_is_older(decision, records->time, max_age_ms))
		status_judge(item, STATUS_FAIL, "Look why the timer that takes them did not.",
		             "the newest of %s is older than %s",
		             records->description == NULL ? name : records->description, setting);
}

void
status_decide_dumps(Decision *decision)
{
	decide_records(decision, "dumps", &decision->facts->dumps, decision->limits->wants_dumps, "dump_max_age",
	               decision->limits->dump_max_age_ms);
}

void
status_decide_files(Decision *decision)
{
	decide_records(decision, "files", &decision->facts->files, decision->limits->wants_files, "files_max_age",
	               decision->limits->files_max_age_ms);
}
