/*
 * What a status makes of facts.  Each row changes a world in which all is well, by
 * words "what=value", and says which items are not OK then.  Ages are "40s", "5min", "9d".
 */
#include "scratch.h"
#include "walship/base/buf.h"
#include "walship/base/mem.h"
#include "walship/base/size.h"
#include "walship/upkeep/status.h"

#define NOW    INT64_C(1795132800000000) /* 2026-11-20 00:00:00 UTC */
#define SYSTEM UINT64_C(7300000000000000001)
#define MB     (UINT64_C(1) << 20)
#define END    (UINT64_C(0x10) * 16 * MB)

typedef struct StatusRow
{
	const char *name;
	const char *changes;
	const char *expected; /* "FAIL: FAIL backup, WARN drill" */
	const char *text;     /* somewhere in reasons and remedies; NULL: not looked at */
} StatusRow;

static const StatusRow rows[] = {
	{"all is well", "", "OK:", NULL},

	/* the server tells */
	{"the server is down", "server=down", "UNKNOWN: UNKNOWN server", "connection refused"},
	{"the server was not to be asked", "server=none", "OK:", NULL},
	{"the server is down, and WAL is old: an idle server?", "server=down wal=3h",
     "UNKNOWN: UNKNOWN server, UNKNOWN archiving", "only the primary knows"},
	{"the same without asking it", "server=none wal=3h", "UNKNOWN: UNKNOWN archiving", "rpo_target"},
	{"the server is down, and rpo_target is missed", "server=down wal=3h rpo=1h",
     "FAIL: UNKNOWN server, FAIL archiving", "older than rpo_target"},
	{"the server is down, and rpo_target is met", "server=down wal=3h rpo=4h", "UNKNOWN: UNKNOWN server",
     NULL},
	{"an idle server that answers may have old WAL", "wal=3d", "OK:", NULL},
	{"an idle server meets rpo_target", "wal=3d rpo=5min", "OK:", NULL},
	{"but not when it has WAL of its own", "wal=3d rpo=5min position=1000000", "FAIL: FAIL archiving",
     "archive_timeout"},
	{"WAL of its own within rpo_target", "wal=3min rpo=5min position=1000000", "OK:", NULL},
	{"a standby answers: nothing is known of the primary", "server=standby wal=3h",
     "UNKNOWN: UNKNOWN archiving", NULL},
	{"a standby answers, and WAL is fresh", "server=standby", "OK:", NULL},
	{"a failure in the past", "failed=2h archived=1min", "OK:", NULL},
	{"archive_command fails, since just now", "failed=5s archived=1min waiting=1 since=20s",
     "WARN: WARN archiving", "fails"},
	{"archive_command fails for long", "failed=5s archived=1h waiting=7 since=1h", "FAIL: FAIL archiving",
     "log"},
	{"it fails, and since when is not to be seen", "failed=5s archived=1h waiting=unseen",
     "FAIL: FAIL archiving", NULL},
	{"it fails, not to be seen, but archived just now", "failed=5s archived=1min waiting=unseen",
     "WARN: WARN archiving", NULL},
	{"it has never archived anything", "failed=5s archived=never waiting=3 since=1h wal=none",
     "FAIL: FAIL archiving", NULL},
	{"a longer push_alarm_after", "failed=5s archived=1h waiting=7 since=1h alarm=2h", "WARN: WARN archiving",
     NULL},
	{"nothing fails, but nothing moves", "archived=2h waiting=3 since=1h", "FAIL: FAIL archiving", "wait"},
	{"a backlog that gets on", "waiting=101 since=1min", "WARN: WARN archiving", "slower"},
	{"a hundred files", "waiting=100 since=1min", "OK:", NULL},
	{"archive_mode is off", "mode=off", "FAIL: FAIL archiving", "archive_mode"},
	{"it archives elsewhere", "lost=1", "FAIL: FAIL archiving", "not in this store"},
	{"it has archived nothing since the store was changed", "lost=1 oldest=1min archived=1h",
     "WARN: WARN archiving", "went elsewhere"},
	{"the store is older than what is lost", "lost=1 oldest=2h archived=1h", "FAIL: FAIL archiving",
     "not in this store"},
	{"a new store into which archiving fails",
     "lost=1 oldest=1min archived=1h failed=1min waiting=1 since=40min", "FAIL: FAIL archiving",
     "archive_command fails"},
	{"it answers and nothing is in the store", "wal=none", "FAIL: FAIL archiving", "no WAL"},
	{"nothing is in the store", "server=none wal=none", "FAIL: FAIL archiving", "no WAL"},

	/* what can be recovered */
	{"nothing can be recovered", "window=none", "FAIL: FAIL window", "missing"},
	{"WAL that cannot be replayed", "window=early", "FAIL: FAIL window", "cannot be replayed"},
	{"replaying takes too long", "replay=2h rto=1h", "WARN: WARN window", "rto_target"},
	{"a gap behind the newest backup", "gap_open=1h", "FAIL: FAIL gaps", "new backup"},
	{"a gap that may still be filled", "gap_open=1min", "WARN: WARN gaps", "on its way"},
	{"a gap behind which nothing lies", "gap_open=never", "FAIL: FAIL gaps", NULL},
	{"a gap before the newest backup", "gap=9d", "WARN: WARN gaps", "walship list"},

	/* backups */
	{"no backup", "backup=none window=none", "FAIL: FAIL window, FAIL backup", "walship backup"},
	{"no backup is whole", "backup=broken window=none", "FAIL: FAIL window, FAIL backup",
     "parts of every backup"},
	{"an old backup", "backup=9d", "FAIL: FAIL backup", "backup_max_age"},
	{"one of just within the limit", "backup=191h", "OK:", NULL},
	{"a backup from the future, seen by the store just now", "backup=-3h came=5min", "OK:", NULL},
	{"a backup from the future, seen by the store long ago", "backup=-3h came=9d", "FAIL: FAIL backup", NULL},
	{"damaged pages", "pages=1", "WARN: WARN backup", "damaged pages"},
	{"a later one was never completed", "unfinished=1", "WARN: WARN backup", "20261119T"},
	{"parts of an older one are missing", "faults=1", "WARN: WARN stored backups", "base-0001"},
	{"much smaller than usual", "median=167", "WARN: WARN backup size", "smaller"},
	{"a little smaller than usual", "median=166", "OK:", NULL},
	{"much larger than usual", "median=71", "WARN: WARN backup size", "larger"},
	{"a little larger than usual", "median=72", "OK:", NULL},

	/* proofs */
	{"no drill ever", "drill=never", "WARN: WARN drill", "walship drill"},
	{"an old drill", "drill=36d", "FAIL: FAIL drill", "drill_max_age"},
	{"a drill that failed", "drill=failed", "FAIL: FAIL drill", "did not pass"},
	{"evidence that cannot be read", "drill=damaged", "WARN: WARN drill", "cannot be read"},
	{"a drill that took too long", "rto=1min", "FAIL: FAIL drill", "rto_target"},
	{"nobody ever verified", "verify=never", "WARN: WARN verify", "walship verify"},
	{"an old verification", "verify=36d", "FAIL: FAIL verify", "verify_max_age"},
	{"a verification that found something", "verify=failed", "FAIL: FAIL verify", "found something"},
	{"dumps that are fresh", "dumps=1d", "OK:", NULL},
	{"dumps that are old", "dumps=9d", "FAIL: FAIL dumps", "dumps is older"},
	{"dumps that should be there", "dumps=wanted", "FAIL: FAIL dumps", "there are none"},
	{"dumps have an age of their own", "dumps=9d dump_age=10d", "OK:", NULL},
	{"dumps that are older than that", "dumps=2d dump_age=1d", "FAIL: FAIL dumps", "dump_max_age"},
	{"files have an age of their own", "files=2d dump_age=1d files_age=1d", "FAIL: FAIL files",
     "files_max_age"},
	{"a tree of files that is old", "files=9d", "FAIL: FAIL files", "files/etc/"},

	/* what ends by itself */
	{"a certificate that is good for long", "certificate=-15d", "OK:", NULL},
	{"a certificate that ends soon", "certificate=-13d", "WARN: WARN certificates",
     "the store's certificate, CN=minio ends in 13 d"},
	{"a certificate that ends the day after tomorrow", "certificate=-47h", "FAIL: FAIL certificates",
     "Renew it"},
	{"a certificate that has ended", "certificate=1h", "FAIL: FAIL certificates", "CN=minio ended "},
	{"of two the one that ends first counts", "certificate=-15d certificate=-13d certificate=-99d",
     "WARN: WARN certificates", "13 d"},
	{"a certificate that cannot be read", "certificate=unread certificate=-99d",
     "UNKNOWN: UNKNOWN certificates", "no such file"},
	{"a role's password that ends soon", "password=-13d", "WARN: WARN credentials", "VALID UNTIL"},
	{"a session of which enough is left", "session=-61min", "OK:", NULL},
	{"a session that nobody has renewed", "session=-59min", "WARN: WARN credentials", "nothing renews them"},
	{"a session that is nearly over", "session=-8min", "FAIL: FAIL credentials", "session"},
	{"a session whose end nobody says", "session=never", "UNKNOWN: UNKNOWN credentials",
     "AWS_CREDENTIAL_EXPIRATION"},
	{"both, with the store down", "session=-8min certificate=-13d store=down",
     "FAIL: FAIL store, WARN certificates, FAIL credentials", NULL},

	/* the rest */
	{"the store cannot be read", "store=down", "FAIL: FAIL store", "could not connect"},
	{"neither store nor server", "store=down server=down", "FAIL: FAIL store, UNKNOWN server", NULL},
	{"the second store has the newest", "second=none", "OK:", NULL},
	{"the second store is a little behind", "second=1h", "OK:", NULL},
	{"the second store is behind for long", "second=3d", "FAIL: FAIL second store", "walship copy"},
	{"the second store cannot be read", "second=down", "WARN: WARN second store", "not mounted"},
	{"the store's disk is nearly full", "free=9", "WARN: WARN room", "less than 10 %"},
	{"the store's disk is not full", "free=10", "OK:", NULL},
	{"a clock is wrong", "clock=1", "WARN: WARN clocks", "ahead of"},
	{"two things at once", "drill=never backup=9d", "FAIL: FAIL backup, WARN drill", NULL},
};

static TimeUs
ago(const char *text)
{
	int64_t ms;
	bool future = text[0] == '-';

	if (strcmp(text, "never") == 0 || strcmp(text, "none") == 0)
		return TIME_NONE;
	assert_true(duration_parse(text + future, &ms));
	return future ? NOW + ms * 1000 : NOW - ms * 1000;
}

static void
make_well(StatusFacts *facts, StatusLimits *limits)
{
	*facts = (StatusFacts){.now = NOW, .store = mem_strdup("file:///store"), .system_identifier = SYSTEM};
	facts->server = (StatusServer){.asked = true, .waiting_known = true, .waiting_since = TIME_NONE};
	facts->server.archiving = (ServerArchiving){.system_identifier = SYSTEM,
	                                            .archives = true,
	                                            .position = END + 96,
	                                            .now = NOW,
	                                            .archived = 16,
	                                            .last_archived = "00000001000000000000000F",
	                                            .archived_at = ago("40s"),
	                                            .failed_at = TIME_NONE};
	facts->wal = (StatusWal){
		.timeline = 1, .last = "00000001000000000000000F", .end = END, .came = ago("40s"), .size = MB};
	facts->window = (StatusWindow){.exists = true,
	                               .from = ago("6d"),
	                               .to = ago("50s"),
	                               .to_lsn = END,
	                               .replay_ms = 1000,
	                               .gap_came = TIME_NONE};
	facts->backups = (StatusBackups){.count = 4,
	                                 .id = mem_strdup("20261119T190000Z-0001"),
	                                 .stop_time = ago("5h"),
	                                 .came = ago("5h"),
	                                 .duration_ms = 60000,
	                                 .files_size = 100 * MB,
	                                 .stored_size = 10 * MB};
	facts->drill = (StatusEvidence){.count = 1, .time = ago("6d"), .passed = true, .rto_ms = 240000};
	facts->verify = (StatusEvidence){.count = 1, .time = ago("1d"), .passed = true};
	facts->dumps = (StatusEvidence){.time = TIME_NONE};
	facts->files = (StatusEvidence){.time = TIME_NONE};
	facts->storage = (StatusStorage){.objects = 30, .size = 11 * MB, .size_per_day = -1, .puts_per_day = -1};
	*limits = (StatusLimits){.push_alarm_after_ms = 900000,
	                         .backup_max_age_ms = INT64_C(8) * 86400000,
	                         .drill_max_age_ms = INT64_C(35) * 86400000,
	                         .verify_max_age_ms = INT64_C(35) * 86400000,
	                         .copy_max_age_ms = INT64_C(2) * 86400000,
	                         .certificate_alarm_before_ms = INT64_C(14) * 86400000,
	                         .session_alarm_before_ms = 3600000,
	                         .price_per_gb = -1,
	                         .price_per_1000_puts = -1};
}

static void
change_server(StatusServer *server, const char *value)
{
	server->asked = strcmp(value, "none") != 0;
	server->archiving.in_recovery = strcmp(value, "standby") == 0;
	server->error = strcmp(value, "down") == 0 ? mem_strdup("connection refused") : NULL;
}

static void
change_evidence(StatusEvidence *evidence, const char *value)
{
	evidence->passed = strcmp(value, "failed") != 0;
	evidence->count = 1;
	if (strcmp(value, "failed") == 0)
		evidence->time = NOW - 1000000;
	else if (strcmp(value, "damaged") == 0)
		*evidence =
			(StatusEvidence){.time = NOW - 1000000, .damage = mem_strdup("member \"passed\" is missing")};
	else
		evidence->time = ago(value);
}

static void
change_backup(StatusFacts *facts, const char *value)
{
	StatusBackups *backups = &facts->backups;

	if (strcmp(value, "none") != 0 && strcmp(value, "broken") != 0)
	{
		backups->stop_time = ago(value);
		backups->came = backups->stop_time;
		return;
	}
	free(backups->id);
	*backups = (StatusBackups){.count = strcmp(value, "broken") == 0 ? 2 : 0, .stop_time = TIME_NONE};
}

static void
change_gap(StatusWindow *window, bool open, const char *value)
{
	window->gaps_open = open;
	window->gaps = !open;
	window->gap = mem_strdup("000000010000000000000007");
	window->gap_came = ago(value);
}

/* True when the word is one of the server's. */
static bool
change_archiving(StatusFacts *facts, StatusLimits *limits, const char *what, const char *value)
{
	StatusServer *server = &facts->server;

	if (strcmp(what, "server") == 0)
		change_server(server, value);
	else if (strcmp(what, "wal") == 0)
		facts->wal.came = ago(value);
	else if (strcmp(what, "rpo") == 0)
		limits->rpo_target_ms = (NOW - ago(value)) / 1000;
	else if (strcmp(what, "alarm") == 0)
		limits->push_alarm_after_ms = (NOW - ago(value)) / 1000;
	else if (strcmp(what, "position") == 0)
		server->archiving.position += strtoull(value, NULL, 10);
	else if (strcmp(what, "failed") == 0)
		server->archiving.failed_at = ago(value);
	else if (strcmp(what, "archived") == 0)
		server->archiving.archived_at = ago(value);
	else if (strcmp(what, "waiting") == 0)
	{
		server->waiting_known = strcmp(value, "unseen") != 0;
		server->waiting = strtoull(value, NULL, 10);
	}
	else if (strcmp(what, "since") == 0)
		server->waiting_since = ago(value);
	else if (strcmp(what, "mode") == 0)
		server->archiving.archives = false;
	else if (strcmp(what, "oldest") == 0)
		facts->storage.oldest = ago(value);
	else if (strcmp(what, "lost") == 0)
		facts->wal.archived_lost = true;
	else
		return false;
	return true;
}

static bool
change_backups(StatusFacts *facts, const char *what, const char *value)
{
	StatusBackups *backups = &facts->backups;

	if (strcmp(what, "backup") == 0)
		change_backup(facts, value);
	else if (strcmp(what, "came") == 0)
		backups->came = ago(value);
	else if (strcmp(what, "pages") == 0)
		backups->page_errors = true;
	else if (strcmp(what, "unfinished") == 0)
		backups->unfinished = mem_strdup("20261119T230000Z-0002");
	else if (strcmp(what, "faults") == 0)
		strlist_add(&backups->faults, "of backup A the store does not hold base-0001.tar.br");
	else if (strcmp(what, "median") == 0)
		backups->median_size = strtoull(value, NULL, 10) * MB;
	else if (strcmp(what, "drill") == 0)
		change_evidence(&facts->drill, value);
	else if (strcmp(what, "verify") == 0)
		change_evidence(&facts->verify, value);
	else
		return false;
	return true;
}

/* True when the word is one of what ends by itself. */
static bool
change_ends(StatusFacts *facts, const char *what, const char *value)
{
	static const struct
	{
		const char *word;
		StatusEndKind kind;
		const char *what;
	} ends[] = {{"certificate", STATUS_END_CERTIFICATE, "the store's certificate, CN=minio"},
	            {"session", STATUS_END_SESSION, "the store's session"},
	            {"password", STATUS_END_PASSWORD, "the role's password"}};

	for (size_t i = 0; i < lengthof(ends); i++)
	{
		if (strcmp(what, ends[i].word) != 0)
			continue;

		bool unread = strcmp(value, "unread") == 0;

		GROW(facts->ends, facts->n_ends, facts->ends_capacity);
		facts->ends[facts->n_ends++] = (StatusEnd){.kind = ends[i].kind,
		                                           .what = mem_strdup(ends[i].what),
		                                           .time = unread ? TIME_NONE : ago(value),
		                                           .error = unread ? mem_strdup("no such file") : NULL};
		return true;
	}
	return false;
}

static void
change(StatusFacts *facts, StatusLimits *limits, const char *what, const char *value)
{
	if (change_archiving(facts, limits, what, value) || change_backups(facts, what, value) ||
	    change_ends(facts, what, value))
		return;
	if (strcmp(what, "dump_age") == 0)
		limits->dump_max_age_ms = (NOW - ago(value)) / 1000;
	else if (strcmp(what, "files_age") == 0)
		limits->files_max_age_ms = (NOW - ago(value)) / 1000;
	else if (strcmp(what, "window") == 0)
	{
		facts->window.exists = strcmp(value, "none") != 0;
		facts->window.ends_early = strcmp(value, "early") == 0;
	}
	else if (strcmp(what, "replay") == 0)
		facts->window.replay_ms = (NOW - ago(value)) / 1000;
	else if (strcmp(what, "rto") == 0)
		limits->rto_target_ms = (NOW - ago(value)) / 1000;
	else if (strcmp(what, "gap_open") == 0 || strcmp(what, "gap") == 0)
		change_gap(&facts->window, strcmp(what, "gap_open") == 0, value);
	else if (strcmp(what, "dumps") == 0 && strcmp(value, "wanted") == 0)
		limits->wants_dumps = true;
	else if (strcmp(what, "dumps") == 0)
		change_evidence(&facts->dumps, value);
	else if (strcmp(what, "files") == 0)
	{
		change_evidence(&facts->files, value);
		facts->files.description = mem_strdup("files/etc/");
	}
	else if (strcmp(what, "store") == 0)
		facts->store_error = mem_strdup("could not connect to host");
	else if (strcmp(what, "second") == 0)
	{
		facts->second.url = mem_strdup("file:///second");
		facts->second.error = strcmp(value, "down") == 0 ? mem_strdup("it is not mounted") : NULL;
		facts->second.behind_since = strcmp(value, "down") == 0 ? TIME_NONE : ago(value);
	}
	else if (strcmp(what, "free") == 0)
	{
		facts->storage.disk_size = 1000 * MB;
		facts->storage.disk_free = strtoull(value, NULL, 10) * 10 * MB;
	}
	else if (strcmp(what, "clock") == 0)
		strlist_add(&facts->clocks, "Backup A ended 3 h ahead of this machine's clock");
	else
		fail_msg("unknown word \"%s\"", what);
}

static void
apply(const char *changes, StatusFacts *facts, StatusLimits *limits)
{
	AUTO_FREE char *copy = mem_strdup(changes);
	char *rest = NULL;

	for (char *word = strtok_r(copy, " ", &rest); word != NULL; word = strtok_r(NULL, " ", &rest))
	{
		char *equals = strchr(word, '=');

		assert_non_null(equals);
		*equals = '\0';
		change(facts, limits, word, equals + 1);
	}
}

static void
describe(const StatusReport *report, Buf *summary, Buf *texts)
{
	bool first = true;

	buf_printf(summary, "%s:", status_state_text(report->state));
	for (size_t i = 0; i < report->count; i++)
	{
		const StatusItem *item = &report->items[i];

		assert_non_null(item->value);
		assert_int_equal(item->reason == NULL, item->state == STATUS_OK);
		if (item->state != STATUS_OK)
			buf_printf(summary, "%s %s %s", first ? "" : ",", status_state_text(item->state), item->name);
		first = first && item->state == STATUS_OK;
		buf_printf(texts, "%s\n%s\n", item->reason == NULL ? "" : item->reason,
		           item->remedy == NULL ? "" : item->remedy);
	}
}

static void
test_every_row(void **state)
{
	(void) state;
	for (size_t i = 0; i < lengthof(rows); i++)
	{
		AUTO_STATUS_FACTS facts = {0};
		AUTO_STATUS_REPORT report = {0};
		AUTO_BUF(summary, 4096);
		AUTO_BUF(texts, 65536);
		StatusLimits limits;

		make_well(&facts, &limits);
		apply(rows[i].changes, &facts, &limits);
		status_decide(&facts, &limits, &report);
		describe(&report, &summary, &texts);
		if (strcmp(summary.data, rows[i].expected) != 0)
			fail_msg("%s: expected \"%s\", got \"%s\"", rows[i].name, rows[i].expected, summary.data);
		if (rows[i].text != NULL && strstr(texts.data, rows[i].text) == NULL)
			fail_msg("%s: expected \"%s\" in \"%s\"", rows[i].name, rows[i].text, texts.data);
	}
}

static void
assert_verdict(const char *changes, const char *expected)
{
	AUTO_STATUS_FACTS facts = {0};
	AUTO_STATUS_REPORT report = {0};
	StatusLimits limits;

	make_well(&facts, &limits);
	apply(changes, &facts, &limits);
	status_decide(&facts, &limits, &report);
	assert_string_equal(report.verdict, expected);
}

static void
test_the_verdict_is_one_sentence(void **state)
{
	(void) state;
	assert_verdict(
		"", "any moment from 2026-11-14 00:00:00+00 to 2026-11-19 23:59:10+00 (50 s ago); last drill 6 d ago "
			"took 4 min 0 s");
	assert_verdict(
		"drill=never backup=9d",
		"backup: the newest backup is older than backup_max_age; any moment from 2026-11-14 00:00:00+00 to "
		"2026-11-19 23:59:10+00 (50 s ago)");
	assert_verdict("store=down",
	               "store: could not connect to host; nothing is known of what can be recovered");
	assert_verdict(
		"window=none drill=never",
		"window: parts of each backup, or the WAL that it needs, are missing; nothing can be recovered");
}

static void
test_the_price_of_a_month(void **state)
{
	StatusFacts facts = {.storage = {.size = 100000000000, .puts_per_day = 1440}};
	StatusLimits limits = {.price_per_gb = -1, .price_per_1000_puts = -1};

	(void) state;
	assert_true(status_price(&facts, &limits) < 0);
	limits.price_per_gb = 0.023;
	assert_true(status_price(&facts, &limits) > 2.299 && status_price(&facts, &limits) < 2.301);
	limits.price_per_1000_puts = 0.005;
	assert_true(status_price(&facts, &limits) > 2.515 && status_price(&facts, &limits) < 2.517);
	facts.storage.puts_per_day = -1;
	assert_true(status_price(&facts, &limits) > 2.299 && status_price(&facts, &limits) < 2.301);
}

static void
test_the_worse_of_two(void **state)
{
	static const StatusState ascending[] = {STATUS_OK, STATUS_UNKNOWN, STATUS_WARN, STATUS_FAIL};

	(void) state;
	for (size_t i = 0; i < lengthof(ascending); i++)
		for (size_t j = 0; j < lengthof(ascending); j++)
			assert_int_equal(status_worse(ascending[i], ascending[j]), ascending[i > j ? i : j]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_row),
		cmocka_unit_test(test_the_verdict_is_one_sentence),
		cmocka_unit_test(test_the_price_of_a_month),
		cmocka_unit_test(test_the_worse_of_two),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
