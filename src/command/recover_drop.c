/* See recover_drop.h. */
#include "recover_drop.h"

#include <inttypes.h>
#include <string.h>

#include "find_report.h"
#include "option_values.h"
#include "walship/base/mem.h"
#include "walship/base/strs.h"
#include "walship/recovery/search.h"

#define XID_PREFIX "xid:"
#define SHOWN_MAX  8 /* the newest; "walship find" shows all */
#define TEXT_MAX   (16 * 1024)

static Error *
parse_which(const char *text, DropOptions *options)
{
	options->choice = DROP_ONLY;
	if (text == NULL)
		return NULL;
	if (str_starts_with(text, XID_PREFIX) && option_xid(text + strlen(XID_PREFIX), &options->xid))
		options->choice = DROP_XID;
	else if (str_to_uint64(text, &options->number) && options->number > 0)
		options->choice = DROP_NUMBER;
	else
		return error_hint(error_new(ERR_USAGE, "\"%s\" names no drop", text),
		                  "It is a number that \"walship find\" shows, such as 1, or a transaction, such as "
		                  "xid:745.");
	return NULL;
}

Error *
recover_drop_parse(const Invocation *invocation, DropOptions *ret_options)
{
	DropOptions options = {.choice = DROP_NOT_ASKED};

	TRY(option_time(invocation, "since", &options.since));
	TRY(option_time(invocation, "until", &options.until));
	if (invocation_flag(invocation, "before-drop"))
		TRY(parse_which(invocation_value(invocation, "before-drop"), &options));
	else if (options.since != TIME_NONE || options.until != TIME_NONE)
		return error_new(ERR_USAGE, "\"--since\" and \"--until\" go with \"--before-drop\"");
	*ret_options = options;
	return NULL;
}

static bool
is_meant(const DropOptions *options, const Finding *finding, uint64_t number)
{
	if (options->choice == DROP_XID)
		return finding->xid == options->xid;
	if (finding->loss.kind == LOSS_REWRITE)
		return false;
	return options->choice == DROP_ONLY || number == options->number;
}

/* Those that are meant, and which numbers they have. */
typedef struct Meant
{
	const Finding **items;
	uint64_t *numbers; /* 0 of a rewrite */
	size_t count;
	uint64_t drops; /* in all */
} Meant;

static void
find_meant(const DropOptions *options, const Findings *findings, Meant *meant)
{
	meant->items = NEW_ARRAY(const Finding *, findings->count);
	meant->numbers = NEW_ARRAY(uint64_t, findings->count);
	for (size_t i = 0; i < findings->count; i++)
	{
		const Finding *finding = &findings->items[i];
		bool is_drop = finding->loss.kind != LOSS_REWRITE;

		meant->drops += is_drop;
		if (!is_meant(options, finding, meant->drops))
			continue;
		meant->items[meant->count] = finding;
		meant->numbers[meant->count++] = is_drop ? meant->drops : 0;
	}
}

static Error *
explain_none(const DropOptions *options, const Findings *findings, const Meant *meant)
{
	if (options->choice == DROP_XID)
		return error_hint(
			error_new(ERR_NOT_FOUND, "no drop of transaction %" PRIu32 " is in the WAL of the store",
		              options->xid),
			"\"walship find\" shows the drops, \"walship find --rewrites\" what was truncated or rewritten.");
	if (options->choice == DROP_NUMBER && meant->drops > 0)
		return error_hint(error_new(ERR_NOT_FOUND, "there is no drop number %" PRIu64 ", only %" PRIu64,
		                            options->number, meant->drops),
		                  "\"walship find\" shows them. If a transaction is meant, say xid:%" PRIu64 ".",
		                  options->number);

	Error *error = error_new(ERR_NOT_FOUND, "no drop is in the WAL of the store");

	if (findings->warnings.count > 0)
		return error_hint(error, "%s", findings->warnings.items[0]);
	if (findings->count > meant->drops)
		return error_hint(error,
		                  "Relations were truncated or rewritten: \"walship find --rewrites\" shows them.");
	return error_hint(error,
	                  "It may not be archived yet, or lie in another range of time; see \"walship list\".");
}

/* The newest ones, as far as a tired reader gets. */
static Error *
explain_several(const DropOptions *options, const Meant *meant)
{
	AUTO_BUF(hint, TEXT_MAX);
	size_t from = meant->count > SHOWN_MAX ? meant->count - SHOWN_MAX : 0;

	buf_puts(&hint, options->choice == DROP_XID ? "Choose one by --timeline, --since or --until:"
	                                            : "Choose one by its number:");
	for (size_t i = from; i < meant->count; i++)
	{
		const Finding *finding = meant->items[i];
		char time[TIME_TEXT_SIZE];

		if (meant->numbers[i] > 0)
			buf_printf(&hint, "%s number %" PRIu64 ",", i == from ? "" : ";", meant->numbers[i]);
		buf_printf(&hint, " %s, transaction %" PRIu32 " on timeline %" PRIu32 ": ",
		           finding->time == TIME_NONE ? "time not known" : time_format_postgres(finding->time, time),
		           finding->xid, finding->timeline);
		find_describe_loss(&finding->loss, &hint);
	}
	buf_puts(&hint, from > 0 ? ". \"walship find\" shows all." : ".");
	return error_hint(error_new(ERR_NOT_FOUND, "%zu drops are in the WAL of the store", meant->count), "%s",
	                  hint.data);
}

/* For the plan: a tired reader sees what the number stood for. */
static char *
note_of(const Finding *finding)
{
	AUTO_BUF(text, TEXT_MAX);
	char time[TIME_TEXT_SIZE];

	buf_puts(&text, "What comes next, and is left out: ");
	find_describe_loss(&finding->loss, &text);
	buf_printf(&text, ", by transaction %" PRIu32, finding->xid);
	if (finding->time != TIME_NONE)
		buf_printf(&text, ", %s", time_format_postgres(finding->time, time));
	buf_putc(&text, '.');
	return buf_steal(&text);
}

static Error *
choose(const DropOptions *options, const Findings *findings, const Meant *meant, RecoveryRequest *request,
       DropFound *ret_found)
{
	if (meant->count == 0)
		return explain_none(options, findings, meant);
	if (meant->count > 1)
		return explain_several(options, meant);

	const Finding *finding = meant->items[0];

	request->target = (RecoveryTarget){.kind = TARGET_BEFORE, .lsn = finding->lsn, .xid = finding->xid};
	if (request->timeline == 0)
		request->timeline = finding->timeline;
	*ret_found = (DropFound){.note = note_of(finding), .locked_lsn = finding->loss.locked_lsn};
	return NULL;
}

Error *
recover_drop_find(Store *store, const Catalog *catalog, const AgeIdentities *identities,
                  const DropOptions *options, int jobs, RecoveryRequest *request, DropFound *ret_found)
{
	SearchRequest search = {.kind = SEARCH_LOSSES,
	                        .timeline = request->timeline,
	                        .since = options->since,
	                        .until = options->until,
	                        .jobs = jobs};
	Findings findings = {0};
	Meant meant = {0};
	Error *error = search_run(store, catalog, identities, &search, &findings);

	if (error == NULL)
	{
		find_meant(options, &findings, &meant);
		error = choose(options, &findings, &meant, request, ret_found);
	}
	free(meant.items);
	free(meant.numbers);
	findings_release(&findings);
	return error;
}

static bool
locks_are_replayed(const DropFound *found, const RecoveryPlan *plan)
{
	bool up_to_the_commit = plan->target.kind == TARGET_LSN && !plan->target.inclusive;

	return up_to_the_commit || (plan->last.lsn != InvalidXLogRecPtr && found->locked_lsn < plan->last.lsn);
}

/* The server replays the locks, too, and holds them until the transaction ends (PostgreSQL: standby.c). */
void
recover_drop_explain(const DropFound *found, RecoveryPlan *plan)
{
	if (found->note == NULL)
		return;
	strlist_add(&plan->notes, found->note);
	if (found->locked_lsn != InvalidXLogRecPtr && locks_are_replayed(found, plan))
		strlist_add(&plan->warnings,
		            "What was dropped may be locked while recovery is paused, for its transaction had begun "
		            "before the last one that is included: reading it would hang. SELECT "
		            "pg_wal_replay_resume() ends the recovery and frees it; if the transaction had been "
		            "prepared, ROLLBACK PREPARED does.");
}
