/* What is told, and when; and what is remembered of it. */
#include "scratch.h"
#include "walship/notify/tell.h"

#define MINUTE INT64_C(60000000) /* microseconds */
#define HOUR   (60 * MINUTE)
#define BEGIN  (INT64_C(1796020207) * 1000000)

#define QUIET (-1) /* nothing is told */

typedef struct Run
{
	int64_t at; /* after BEGIN */
	int64_t status;
	int told; /* a NotifyEvent or QUIET */
} Run;

typedef struct Story
{
	const char *name;
	NotifyPolicy policy;
	Run runs[10];
} Story;

#define ONCE_A_DAY .repeat_ms = 24 * 3600 * 1000

static const Story stories[] = {
	{"what works is not told", {ONCE_A_DAY}, {{0, 0, QUIET}, {HOUR, 0, QUIET}}},
	{"successes are told where they are wanted",
     {ONCE_A_DAY, .successes = true},
     {{0, 0, NOTIFY_SUCCEEDED}, {MINUTE, 0, NOTIFY_SUCCEEDED}}},
	{"a failure is told at once, and once",
     {ONCE_A_DAY},
     {{0, 4, NOTIFY_FAILED}, {HOUR, 4, QUIET}, {23 * HOUR, 4, QUIET}}},
	{"and again after a day",
     {ONCE_A_DAY},
     {{0, 4, NOTIFY_FAILED}, {24 * HOUR, 4, NOTIFY_FAILED}, {25 * HOUR, 4, QUIET}}},
	{"another failure is another message",
     {ONCE_A_DAY},
     {{0, 4, NOTIFY_FAILED}, {HOUR, 6, NOTIFY_FAILED}, {2 * HOUR, 6, QUIET}}},
	{"but not at once",
     {ONCE_A_DAY},
     {{0, 4, NOTIFY_FAILED}, {9 * MINUTE, 6, QUIET}, {11 * MINUTE, 6, NOTIFY_FAILED}}},
	{"its end is told at once, and once",
     {ONCE_A_DAY},
     {{0, 4, NOTIFY_FAILED}, {MINUTE, 0, NOTIFY_RECOVERED}, {2 * MINUTE, 0, QUIET}}},
	{"what comes and goes is told twice in ten minutes, at most",
     {ONCE_A_DAY},
     {{0, 4, NOTIFY_FAILED},
      {MINUTE, 0, NOTIFY_RECOVERED},
      {2 * MINUTE, 4, QUIET},
      {3 * MINUTE, 0, QUIET},
      {4 * MINUTE, 4, QUIET},
      {11 * MINUTE, 4, NOTIFY_FAILED},
      {12 * MINUTE, 0, NOTIFY_RECOVERED},
      {13 * MINUTE, 4, QUIET}}},
	{"a failure that mends itself in time is not told, nor is its end",
     {ONCE_A_DAY, .alarm_after_ms = 600000},
     {{0, 4, QUIET}, {9 * MINUTE, 4, QUIET}, {10 * MINUTE - 1, 0, QUIET}, {11 * MINUTE, 4, QUIET}}},
	{"one that lasts is",
     {ONCE_A_DAY, .alarm_after_ms = 600000},
     {{0, 4, QUIET},
      {9 * MINUTE, 4, QUIET},
      {10 * MINUTE, 4, NOTIFY_FAILED},
      {11 * MINUTE, 4, QUIET},
      {12 * MINUTE, 0, NOTIFY_RECOVERED}}},
	{"a clock that was set back makes nobody silent",
     {ONCE_A_DAY},
     {{240 * HOUR, 4, NOTIFY_FAILED}, {0, 4, NOTIFY_FAILED}, {HOUR, 4, QUIET}}},
};

static void
test_stories(void **state)
{
	(void) state;
	for (size_t i = 0; i < lengthof(stories); i++)
	{
		AUTO_NOTIFY_ITEM item = NOTIFY_ITEM_NEW;
		const Run *run = stories[i].runs;

		print_message("%s\n", stories[i].name);
		do
		{
			NotifyEvent event = NOTIFY_TEST;
			bool told = notify_item_decide(&item, &stories[i].policy, run->status, BEGIN + run->at, &event);

			assert_int_equal(told ? (int) event : QUIET, run->told);
			run++;
		} while (run < stories[i].runs + lengthof(stories[i].runs) && run->at != 0);
	}
}

static void
test_the_run_of_failures_is_counted(void **state)
{
	AUTO_NOTIFY_ITEM item = NOTIFY_ITEM_NEW;
	const NotifyPolicy policy = {ONCE_A_DAY};
	NotifyEvent event;

	(void) state;
	assert_true(notify_item_is_idle(&item, BEGIN));
	(void) notify_item_decide(&item, &policy, 4, BEGIN, &event);
	(void) notify_item_decide(&item, &policy, 4, BEGIN + MINUTE, &event);
	(void) notify_item_decide(&item, &policy, 0, BEGIN + 2 * MINUTE, &event);
	assert_int_equal(event, NOTIFY_RECOVERED);
	assert_int_equal(item.since, BEGIN);
	assert_int_equal(item.failures, 2);
	assert_false(notify_item_is_idle(&item, BEGIN + 3 * MINUTE));
	assert_true(notify_item_is_idle(&item, BEGIN + 10 * MINUTE));
	(void) notify_item_decide(&item, &policy, 4, BEGIN + 11 * MINUTE, &event);
	assert_int_equal(item.since, BEGIN + 11 * MINUTE);
	assert_int_equal(item.failures, 1);
}

typedef struct Noted
{
	char *directory;
	NotifyNotes notes;
	NotifyTargets targets;
} Noted;

static int
noted_make(void **state)
{
	Noted *noted = NEW(Noted);

	noted->directory = scratch_make();
	noted->notes = (NotifyNotes){noted->directory, "cluster a\nstore file:///s"};
	assert_ok(notify_targets_parse("exec:/bin/true exec:/bin/false", &noted->targets));
	*state = noted;
	return 0;
}

static int
noted_destroy(void **state)
{
	Noted *noted = *state;

	scratch_remove(noted->directory);
	notify_targets_release(&noted->targets);
	free(noted);
	return 0;
}

static NotifyMessage
message_at(TimeUs at, int64_t status)
{
	return (NotifyMessage){.item = (char *) "backup",
	                       .key = (char *) "backup",
	                       .host = (char *) "db1",
	                       .store = (char *) "file:///s",
	                       .at = at,
	                       .since = TIME_NONE,
	                       .exit_status = status,
	                       .reason = (char *) "it is \"broken\"",
	                       .help = (char *) "walship check"};
}

static bool
decide(const Noted *noted, NotifyMessage *message, bool *ret_waiting)
{
	const NotifyPolicy policy = {ONCE_A_DAY};
	bool told = false;

	assert_ok(notify_decide(&noted->notes, &policy, &noted->targets, message, &told, ret_waiting));
	return told;
}

static void
test_what_is_noted_comes_back_and_idle_items_leave_nothing(void **state)
{
	const Noted *noted = *state;
	AUTO_NOTIFY_ITEM item = NOTIFY_ITEM_NEW;
	AUTO_STRLIST names = {0};
	AUTO_STRLIST waiting_items = {0};
	TimeUs now = clock_now();
	NotifyMessage good = message_at(now - HOUR, 0);
	NotifyMessage bad = message_at(now, 4);
	char id[NOTIFY_TARGET_ID_SIZE];
	bool waiting = true;

	assert_false(decide(noted, &good, &waiting));
	assert_false(waiting);
	assert_ok(dir_list(noted->directory, &names));
	assert_int_equal(names.count, 0);

	assert_true(decide(noted, &bad, &waiting));
	assert_true(waiting);
	assert_int_equal(bad.since, now);
	assert_int_equal(bad.failures, 1);
	notify_item_read(&noted->notes, "backup", &item);
	assert_true(item.failing && item.alarmed);
	assert_int_equal(item.waiting.count, 2);
	assert_int_equal(item.message.event, NOTIFY_FAILED);
	assert_int_equal(item.message.at, now);
	assert_string_equal(item.message.reason, "it is \"broken\"");
	assert_null(item.message.cluster);
	notify_items_waiting(&noted->notes, &waiting_items);
	assert_int_equal(waiting_items.count, 1);
	assert_string_equal(waiting_items.items[0], "backup");

	/* Of an older message nothing is noted. */
	notify_item_delivered(&noted->notes, "backup", now - 1, notify_target_id(&noted->targets.items[0], id));
	notify_item_delivered(&noted->notes, "backup", now, notify_target_id(&noted->targets.items[1], id));
	notify_item_release(&item);
	notify_item_read(&noted->notes, "backup", &item);
	assert_int_equal(item.waiting.count, 1);
	assert_string_equal(item.waiting.items[0], notify_target_id(&noted->targets.items[0], id));
}

/* Of push this is every call: no more is written, and no process started, than there is to tell. */
static void
test_a_target_that_is_gone_for_good_is_asked_now_and_then(void **state)
{
	const Noted *noted = *state;
	TimeUs now = clock_now() - HOUR;
	NotifyMessage bad = message_at(now, 4);
	NotifyMessage good = message_at(now + MINUTE, 0);
	AUTO_STRLIST names = {0};
	bool due = false;
	struct stat before;
	struct stat after;

	assert_true(decide(noted, &bad, &due));
	assert_true(due);
	assert_true(decide(noted, &good, &due));
	assert_true(due);
	assert_ok(dir_list(noted->directory, &names));
	assert_int_equal(names.count, 1);

	AUTO_FREE char *path = path_join(noted->directory, names.items[0]);

	assert_int_equal(stat(path, &before), 0);
	good.at = now + 2 * MINUTE;
	assert_false(decide(noted, &good, &due));
	assert_false(due);
	assert_int_equal(stat(path, &after), 0);
	assert_int_equal(before.st_ino, after.st_ino);
	assert_false(notify_items_claim_due(&noted->notes, now + 3 * MINUTE));
	assert_true(notify_items_claim_due(&noted->notes, now + 12 * MINUTE));
	assert_false(notify_items_claim_due(&noted->notes, now + 13 * MINUTE));
	good.at = now + 23 * MINUTE;
	assert_false(decide(noted, &good, &due));
	assert_true(due);
}

static void
test_other_configurations_have_notes_of_their_own(void **state)
{
	const Noted *noted = *state;
	const NotifyNotes other = {noted->directory, "cluster b\nstore file:///s"};
	AUTO_NOTIFY_ITEM item = NOTIFY_ITEM_NEW;
	AUTO_STRLIST items = {0};
	NotifyMessage bad = message_at(clock_now(), 4);
	bool waiting;

	assert_true(decide(noted, &bad, &waiting));
	notify_item_read(&other, "backup", &item);
	assert_false(item.failing);
	notify_items_waiting(&other, &items);
	assert_int_equal(items.count, 0);
}

static void
test_a_note_that_is_damaged_is_none(void **state)
{
	const Noted *noted = *state;
	AUTO_NOTIFY_ITEM item = NOTIFY_ITEM_NEW;
	AUTO_STRLIST names = {0};
	NotifyMessage bad = message_at(clock_now(), 4);
	bool waiting;

	assert_true(decide(noted, &bad, &waiting));
	assert_ok(dir_list(noted->directory, &names));
	assert_int_equal(names.count, 1);

	AUTO_FREE char *path = path_join(noted->directory, names.items[0]);

	assert_ok(file_replace(path, "walship note 1\n{", 16, 0600));
	notify_item_read(&noted->notes, "backup", &item);
	assert_false(item.failing);
	assert_true(item.told_at == TIME_NONE);
	assert_true(decide(noted, &bad, &waiting));
}

static void
test_without_a_state_directory_a_failure_is_told_each_time(void **state)
{
	const Noted *noted = *state;
	const NotifyNotes nowhere = {"/nonexistent/walship", "x"};
	const NotifyPolicy policy = {ONCE_A_DAY};
	NotifyMessage bad = message_at(clock_now(), 4);
	bool waiting;

	for (int i = 0; i < 2; i++)
	{
		bool told = false;

		assert_error(notify_decide(&nowhere, &policy, &noted->targets, &bad, &told, &waiting), ERR_SYSTEM,
		             NULL);
		assert_true(told);
	}
}

/* With programs as targets: one takes it, the other does not. */
static void
test_who_did_not_take_it_is_asked_again_and_the_others_are_not(void **state)
{
	Noted *noted = *state;
	AUTO_FREE char *taker = path_join(noted->directory, "taker");
	AUTO_FREE char *taken = path_join(noted->directory, "taken");
	AUTO_FREE char *script = mem_printf("#!/bin/sh\ncat >> %s\necho thanks\n", taken);
	AUTO_FREE char *text = mem_printf("exec:%s exec:/bin/false", taker);
	const NotifySender sender = {.patience.abort_at_ms = clock_monotonic_ms() + 10000};
	AUTO_NOTIFY_ANSWERS answers = {0};
	AUTO_NOTIFY_ANSWERS none = {0};
	AUTO_NOTIFY_ITEM item = NOTIFY_ITEM_NEW;
	AUTO_BUF(got, 65536);
	NotifyMessage bad = message_at(clock_now() - HOUR, 4);
	size_t left = 0;
	bool waiting;

	notify_targets_release(&noted->targets);
	assert_ok(notify_targets_parse(text, &noted->targets));
	for (size_t i = 0; i < noted->targets.count; i++)
		noted->targets.items[i].secret = mem_strdup(noted->targets.items[i].address);
	assert_ok(file_replace(taker, script, strlen(script), 0700));
	assert_true(decide(noted, &bad, &waiting));
	notify_deliver(&noted->notes, &sender, &noted->targets, &bad, &answers, &left);
	assert_int_equal(left, 1);
	assert_string_equal(answers.texts[0], "exit code 0: thanks");
	assert_string_equal(error_message(answers.errors[1]), "program \"/bin/false\" ended with exit code 1");
	assert_ok(
		notify_send_waiting(&noted->notes, &sender, &noted->targets, &none, clock_monotonic_ms() + 10000));
	assert_ok(file_read_all(taken, &got));
	assert_non_null(strstr(got.data, "\"reason\":\"it is \\\"broken\\\"\""));
	assert_null(strstr(strchr(got.data, '\n') + 1, "{"));

	/* Who is not a target any more is nobody that waits. */
	notify_targets_release(&noted->targets);
	assert_ok(notify_targets_parse("exec:/bin/true", &noted->targets));
	assert_ok(
		notify_send_waiting(&noted->notes, &sender, &noted->targets, &none, clock_monotonic_ms() + 10000));
	notify_item_read(&noted->notes, "backup", &item);
	assert_int_equal(item.waiting.count, 0);
	assert_true(item.alarmed);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stories),
		cmocka_unit_test(test_the_run_of_failures_is_counted),
		cmocka_unit_test_setup_teardown(test_what_is_noted_comes_back_and_idle_items_leave_nothing,
	                                    noted_make, noted_destroy),
		cmocka_unit_test_setup_teardown(test_a_target_that_is_gone_for_good_is_asked_now_and_then, noted_make,
	                                    noted_destroy),
		cmocka_unit_test_setup_teardown(test_other_configurations_have_notes_of_their_own, noted_make,
	                                    noted_destroy),
		cmocka_unit_test_setup_teardown(test_a_note_that_is_damaged_is_none, noted_make, noted_destroy),
		cmocka_unit_test_setup_teardown(test_without_a_state_directory_a_failure_is_told_each_time,
	                                    noted_make, noted_destroy),
		cmocka_unit_test_setup_teardown(test_who_did_not_take_it_is_asked_again_and_the_others_are_not,
	                                    noted_make, noted_destroy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
