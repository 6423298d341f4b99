/* The drop that a recovery stops just before; see walship/recovery/drop.h. */
#include "walship/recovery/drop.h"

#include <inttypes.h>
#include <string.h>

#include "steps.h"
#include "walship/base/mem.h"
#include "walship/recovery/search.h"

#define NAMES_MAX 4 /* in a sentence */
#define DROPS_MAX 8 /* the newest; "walship find" shows all */
#define TEXT_MAX  (16 * 1024)

static void
append_more(uint64_t count, size_t shown, Buf *into)
{
	if (count > shown)
		buf_printf(into, " and %" PRIu64 " more", count - shown);
}

static void
append_objects(const DroppedObjects *dropped, Buf *into)
{
	size_t shown = dropped->n_named_objects < NAMES_MAX ? dropped->n_named_objects : NAMES_MAX;

	if (shown == 0)
		return;
	buf_printf(into, "relation%s ", dropped->objects == 1 ? "" : "s");
	for (size_t i = 0; i < shown; i++)
		buf_printf(into, "%s%" PRIu32, i == 0 ? "" : ", ", dropped->named_objects[i]);
	append_more(dropped->objects, shown, into);
	buf_putc(into, ' ');
}

static void
append_files(const DroppedObjects *dropped, Buf *into)
{
	size_t shown = dropped->n_named_files < NAMES_MAX ? dropped->n_named_files : NAMES_MAX;

	buf_printf(into, "(file%s ", dropped->files == 1 ? "" : "s");
	for (size_t i = 0; i < shown; i++)
		buf_printf(into, "%s%" PRIu64, i == 0 ? "" : ", ", dropped->named_files[i].number);
	append_more(dropped->files, shown, into);
	buf_putc(into, ')');
}

void
drop_describe(const DroppedObjects *dropped, Buf *into)
{
	if (dropped->kind == DROPPED_DATABASE)
	{
		buf_printf(into, "dropped database %" PRIu32 "%s", dropped->database,
		           dropped->commit_lsn == InvalidXLogRecPtr ? ", whose commit is not in the WAL" : "");
		return;
	}
	buf_puts(into, dropped->kind == DROPPED_RELATIONS ? "dropped " : "rewritten or truncated ");
	append_objects(dropped, into);
	if (dropped->database != 0)
		buf_printf(into, "in database %" PRIu32 " ", dropped->database);
	append_files(dropped, into);
	if (dropped->cut)
		buf_puts(into, "; the end of its commit record is not in the store");
}

static Error *
explain_none(const DropRequest *drop, const Findings *findings, uint64_t n_drops)
{
	if (drop->choice == DROP_XID)
		return error_hint(
			error_new(ERR_NOT_FOUND, "no drop of transaction %" PRIu32 " is in the WAL of the store",
		              drop->xid),
			"\"walship find\" shows the drops, \"walship find --rewrites\" what was truncated or rewritten. To just "
			"before any other commit, such as that of a DELETE: --before xid:%" PRIu32,
			drop->xid);
	if (drop->choice == DROP_NUMBER && n_drops > 0)
		return error_hint(error_new(ERR_NOT_FOUND, "there is no drop number %" PRIu64 ", only %" PRIu64,
		                            drop->number, n_drops),
		                  "\"walship find\" shows them. If a transaction is meant, say xid:%" PRIu64 ".",
		                  drop->number);

	Error *error = error_new(ERR_NOT_FOUND, "no drop is in the WAL of the store");

	if (findings->warnings.count > 0)
		return error_hint(error, "%s", findings->warnings.items[0]);
	if (findings->count > n_drops)
		return error_hint(error,
		                  "Relations were truncated or rewritten: \"walship find --rewrites\" shows them.");
	return error_hint(error,
	                  "It may not be archived yet, or lie in another range of time; see \"walship list\".");
}

/* The newest ones, as far as a tired reader gets. */
static Error *
explain_several(const DropRequest *drop, const Finding *const *meant, const uint64_t *numbers, size_t n_meant)
{
	AUTO_BUF(hint, TEXT_MAX);
	size_t from = n_meant > DROPS_MAX ? n_meant - DROPS_MAX : 0;

	buf_puts(&hint, drop->choice == DROP_XID ? "Choose one by --timeline, --since or --until:"
	                                         : "Choose one by its number:");
	for (size_t i = from; i < n_meant; i++)
	{
		const Finding *finding = meant[i];
		char time[TIME_TEXT_SIZE];

		if (numbers[i] > 0)
			buf_printf(&hint, "%s number %" PRIu64 ",", i == from ? "" : ";", numbers[i]);
		buf_printf(&hint, " %s, transaction %" PRIu32 " on timeline %" PRIu32 ": ",
		           finding->time == TIME_NONE ? "time not known" : time_format_postgres(finding->time, time),
		           finding->xid, finding->timeline);
		drop_describe(&finding->dropped, &hint);
	}
	buf_puts(&hint, from > 0 ? ". \"walship find\" shows all." : ".");
	return error_hint(error_new(ERR_NOT_FOUND, "%zu drops are in the WAL of the store", n_meant), "%s",
	                  hint.data);
}

static Error *
choose(const DropRequest *drop, const Findings *findings, const Finding **ret_finding)
{
	AUTO_FREE const Finding **meant = NEW_ARRAY(const Finding *, findings->count);
	AUTO_FREE uint64_t *numbers = NEW_ARRAY(uint64_t, findings->count); /* 0 of a rewrite */
	size_t n_meant = 0;
	uint64_t n_drops = 0;

	/* Only drops are numbered, as "walship find" shows them; a rewrite is meant by its transaction alone. */
	for (size_t i = 0; i < findings->count; i++)
	{
		const Finding *finding = &findings->items[i];
		bool is_drop = finding->dropped.kind != DROPPED_BY_REWRITE;

		n_drops += is_drop;
		if (drop->choice == DROP_XID      ? finding->xid != drop->xid
		    : drop->choice == DROP_NUMBER ? !is_drop || n_drops != drop->number
		                                  : !is_drop)
			continue;
		meant[n_meant] = finding;
		numbers[n_meant++] = is_drop ? n_drops : 0;
	}
	if (n_meant == 0)
		return explain_none(drop, findings, n_drops);
	if (n_meant > 1)
		return explain_several(drop, meant, numbers, n_meant);
	*ret_finding = meant[0];
	return NULL;
}

static void
aim_before(const Finding *finding, RecoveryRequest *request, DropFound *ret_found)
{
	AUTO_BUF(note, TEXT_MAX);
	char time[TIME_TEXT_SIZE];

	request->target = (RecoveryTarget){.kind = TARGET_BEFORE, .lsn = finding->lsn, .xid = finding->xid};
	if (request->timeline == 0)
		request->timeline = finding->timeline;

	/* For the plan: a tired reader sees what the number stood for. */
	buf_puts(&note, "What comes next, and is left out: ");
	drop_describe(&finding->dropped, &note);
	buf_printf(&note, ", by transaction %" PRIu32, finding->xid);
	if (finding->time != TIME_NONE)
		buf_printf(&note, ", %s", time_format_postgres(finding->time, time));
	buf_putc(&note, '.');
	*ret_found = (DropFound){.note = buf_steal(&note), .locked_lsn = finding->dropped.locked_lsn};
}

Error *
drop_find(Recovery *recovery, WalFacts *facts, DropFound *ret_found)
{
	SearchRequest search = {.kind = SEARCH_DROPS_AND_REWRITES,
	                        .timeline = recovery->request.timeline,
	                        .since = recovery->drop.since,
	                        .until = recovery->drop.until,
	                        .jobs = recovery->jobs};
	Findings findings = {0};
	const Finding *finding = NULL;
	Error *error = search_run(facts, recovery->catalog, &search, &findings);

	if (error == NULL)
		error = choose(&recovery->drop, &findings, &finding);
	if (error == NULL)
		aim_before(finding, &recovery->request, ret_found);
	if (error == NULL)
	{
		ret_found->warnings = findings.warnings;
		findings.warnings = (StrList){0};
	}
	findings_release(&findings);
	return error;
}

void
drop_explain(const DropFound *found, RecoveryPlan *plan)
{
	if (found->note == NULL)
		return;
	strlist_add(&plan->notes, found->note);
	for (size_t i = 0; i < found->warnings.count; i++)
		strlist_add(&plan->warnings, found->warnings.items[i]);
	if (found->locked_lsn == InvalidXLogRecPtr)
		return;

	/*
	 * The server replays the locks, too, and holds them until the transaction
	 * ends (PostgreSQL: standby.c): it does so when it goes up to the commit, or
	 * past the record that took the lock.
	 */
	bool up_to_the_commit = plan->target.kind == TARGET_LSN && !plan->target.inclusive;

	if (up_to_the_commit || (plan->last.lsn != InvalidXLogRecPtr && found->locked_lsn < plan->last.lsn))
		strlist_add(&plan->warnings,
		            "What was dropped may be locked while recovery is paused, for its transaction had begun "
		            "before the last one that is included: reading it would hang. SELECT "
		            "pg_wal_replay_resume() ends the recovery and frees it; if the transaction had been "
		            "prepared, ROLLBACK PREPARED does.");
}
