/* Items of a status: does WAL arrive, and what can be recovered? */
#include "status_items.h"

#include <inttypes.h>

#include "walship/base/mem.h"
#include "walship/base/size.h"

#define MANY_WAITING 100            /* files; as "walship check" has it */
#define IDLE_WAL     UINT64_C(8192) /* bytes that a server writes also when nothing happens */
#define TEXT_MAX     4096
#define LOG_REMEDY   "Why is in the server's log, in lines that begin with \"walship:\"."

static char *
describe_wal(const StatusFacts *facts)
{
	AUTO_BUF(text, TEXT_MAX);
	char age[AGE_TEXT_SIZE];

	if (facts->wal.came == TIME_NONE)
		buf_puts(&text, "no WAL is in the store");
	else
		buf_printf(&text, "%s, %s", facts->wal.last[0] == '\0' ? "WAL" : facts->wal.last,
		           age_format(facts->wal.came, facts->now, age));
	if (status_server_answers(facts) && facts->server.waiting_known)
	{
		uint64_t waiting = facts->server.waiting;

		if (waiting == 0)
			buf_puts(&text, "; nothing waits");
		else
			buf_printf(&text, "; %" PRIu64 " file%s wait%s", waiting, waiting == 1 ? "" : "s",
			           waiting == 1 ? "s" : "");
	}
	return buf_steal(&text);
}

/* Since when it has not got on: the first file that waits, or else the last one that it archived. */
static bool
stands_still(const Decision *decision)
{
	const StatusServer *server = &decision->facts->server;
	int64_t limit_us = decision->limits->push_alarm_after_ms * 1000;
	TimeUs since = server->waiting_since != TIME_NONE ? server->waiting_since : server->archiving.archived_at;

	if (server->waiting_known && server->waiting == 0)
		return false;
	return limit_us > 0 && (since == TIME_NONE || server->archiving.now - since > limit_us);
}

/* What has not left the server, where it says so. */
static uint64_t
unarchived(const StatusFacts *facts)
{
	XLogRecPtr position = facts->server.archiving.position;

	return facts->wal.end != 0 && position > facts->wal.end ? position - facts->wal.end : 0;
}

/* What it archived last went to the store before this one. */
static bool
archived_before_this_store(const StatusFacts *facts)
{
	return facts->storage.oldest != TIME_NONE && facts->server.archiving.archived_at != TIME_NONE &&
	       facts->server.archiving.archived_at < facts->storage.oldest;
}

/* True when there is nothing more to be said. */
static bool
judge_archiver(const Decision *decision, StatusItem *item)
{
	const StatusServer *server = &decision->facts->server;
	const ServerArchiving *archiving = &server->archiving;
	bool failing = archiving->failed_at != TIME_NONE && archiving->failed_at > archiving->archived_at;
	char age[AGE_TEXT_SIZE];

	if (!archiving->archives)
		status_judge(item, STATUS_FAIL,
		             "Set archive_mode = on and restart the server; \"walship check\" says more.",
		             "archive_mode is off: nothing is archived");
	else if (decision->facts->wal.archived_lost && !archived_before_this_store(decision->facts))
		status_judge(item, STATUS_FAIL,
		             "Does archive_command store elsewhere? \"walship check\" says what it would be.",
		             "the server has archived %s, but it is not in this store", archiving->last_archived);
	else if (failing)
		status_judge(item, stands_still(decision) ? STATUS_FAIL : STATUS_WARN, LOG_REMEDY,
		             "archive_command fails: the last time %s, with %s",
		             age_format(archiving->failed_at, archiving->now, age), archiving->last_failed);
	else if (server->waiting_known && server->waiting > 0 && stands_still(decision))
		status_judge(item, STATUS_FAIL, LOG_REMEDY, "files wait to be archived, the first one since %s",
		             server->waiting_since == TIME_NONE
		                 ? "long ago"
		                 : age_format(server->waiting_since, archiving->now, age));
	else if (server->waiting_known && server->waiting > MANY_WAITING)
		status_judge(item, STATUS_WARN, LOG_REMEDY,
		             "more than %d files wait: archiving is slower than the server", MANY_WAITING);
	else if (decision->facts->wal.archived_lost)
		status_judge(
			item, STATUS_WARN,
			"The next one shows it: SELECT pg_switch_wal(), or \"walship check\", which waits for it.",
			"the server has archived nothing since this store's first object came: %s went elsewhere",
			archiving->last_archived);
	return item->reason != NULL;
}

void
status_decide_archiving(Decision *decision)
{
	const StatusFacts *facts = decision->facts;
	int64_t rpo_ms = decision->limits->rpo_target_ms;
	bool primary = status_server_answers(facts) && !facts->server.archiving.in_recovery;
	StatusItem *item = status_add(decision, "archiving", describe_wal(facts));
	char size[SIZE_TEXT_SIZE];

	if (rpo_ms > 0)
		status_threshold(item, "rpo_target", rpo_ms);
	else
		status_threshold(item, "push_alarm_after", decision->limits->push_alarm_after_ms);
	if (primary && judge_archiver(decision, item))
		return;
	if (facts->wal.came == TIME_NONE)
		status_judge(item, STATUS_FAIL,
		             "Is archiving set up, and is this the right store? Run: walship check",
		             "no WAL is in the store");
	else if (primary && status_is_older(decision, facts->wal.came, rpo_ms) && unarchived(facts) > IDLE_WAL)
		status_judge(item, STATUS_FAIL,
		             "Set archive_timeout to less than rpo_target, and look into the server's log.",
		             "%s of WAL are on the server only, and the newest in the store is older than rpo_target",
		             size_format(unarchived(facts), size));
	else if (!primary && status_is_older(decision, facts->wal.came, rpo_ms))
		status_judge(item, STATUS_FAIL, LOG_REMEDY, "the newest WAL in the store is older than rpo_target");
	else if (!primary && rpo_ms == 0 &&
	         status_is_older(decision, facts->wal.came, decision->limits->push_alarm_after_ms))
		status_judge(
			item, STATUS_UNKNOWN,
			"Where the server can be asked, it is known; or set rpo_target to what WAL may be old.",
			"no WAL came for longer than push_alarm_after, and whether there was any only the primary knows");
}

/* "any moment from ... to ..."; what is said first. */
void
status_put_window(const StatusFacts *facts, Buf *into)
{
	const StatusWindow *window = &facts->window;
	char from[TIME_TEXT_SIZE];
	char to[TIME_TEXT_SIZE];
	char age[AGE_TEXT_SIZE];
	char lsn[LSN_TEXT_SIZE];

	if (!window->exists)
	{
		buf_puts(into, "nothing can be recovered");
		return;
	}
	time_format_span(window->from, window->to, from, to);
	buf_printf(into, "any moment from %s ", from);
	if (window->to == TIME_NONE)
		buf_printf(into, "to LSN %s", lsn_format(window->to_lsn, lsn));
	else
		buf_printf(into, "to %s (%s)", to, age_format(window->to, facts->now, age));
}

void
status_decide_window(Decision *decision)
{
	const StatusFacts *facts = decision->facts;
	const StatusWindow *window = &facts->window;
	AUTO_BUF(text, TEXT_MAX);
	char replay[SIZE_TEXT_SIZE];
	StatusItem *item;

	status_put_window(facts, &text);
	if (window->exists)
		buf_printf(&text, "; replay takes about %s", duration_format(window->replay_ms, replay));
	item = status_add(decision, "window", buf_steal(&text));
	status_threshold(item, "rto_target", decision->limits->rto_target_ms);
	if (!window->exists)
		status_judge(
			item, STATUS_FAIL, facts->backups.count == 0 ? "Run: walship backup" : "Run: walship list",
			facts->backups.count == 0 ? "there is no backup"
									  : "parts of each backup, or the WAL that it needs, are missing");
	else if (window->ends_early)
		status_judge(item, STATUS_FAIL,
		             "Run: walship backup; and \"walship recover --latest --copy --plan\" says why.",
		             "WAL follows in the store that cannot be replayed from any backup");
	else if (decision->limits->rto_target_ms > 0 && window->replay_ms > decision->limits->rto_target_ms)
		status_judge(item, STATUS_WARN, "Take backups more often, so that there is less WAL to replay.",
		             "replaying the WAL alone takes longer than rto_target");
}

void
status_decide_gaps(Decision *decision)
{
	const StatusFacts *facts = decision->facts;
	const StatusWindow *window = &facts->window;
	uint64_t count = window->gaps + window->gaps_open;
	bool may_come = !status_is_older(decision, window->gap_came, decision->limits->push_alarm_after_ms);
	StatusItem *item;

	if (facts->wal.timeline == 0)
		return;
	item = status_add(decision, "gaps",
	                  count == 0
	                      ? mem_strdup("none")
	                      : mem_printf("%" PRIu64 ": %s", count, window->gap != NULL ? window->gap : "?"));
	if (window->gaps_open > 0)
		status_threshold(item, "push_alarm_after", decision->limits->push_alarm_after_ms);
	if (window->gaps_open > 0 && may_come)
		status_judge(item, STATUS_WARN, NULL, "the WAL behind it came just now: it may still be on its way");
	else if (window->gaps_open > 0)
		status_judge(
			item, STATUS_FAIL,
			"Is it in pg_wal of this or of a former primary? Push it from there. Then take a new backup: walship "
			"backup",
			"nothing that came after it can be recovered until there is a new backup");
	else if (count > 0)
		status_judge(item, STATUS_WARN, "Run: walship list",
		             "moments between it and the next backup cannot be recovered");
}
