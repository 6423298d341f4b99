/* What "walship recover" was asked for: combinations, values, mappings. */
#include "recover_options.h"

#include <unistd.h>

#include "invocation.h"
#include "scratch.h"

#define WORDS_MAX 8

static const Command command = {
	.name = "recover",
	.arguments = "",
	.options = recover_command_options,
	.n_options = N_RECOVER_OPTIONS,
};

typedef struct Line
{
	char *words[WORDS_MAX];
	int count;
	Invocation invocation;
	Recovery recovery;
} Line;

static Error *
parse(Line *line, const char *const words[WORDS_MAX])
{
	char *environment[] = {NULL};

	*line = (Line){.invocation = {.command = &command}};
	while (line->count < WORDS_MAX && words[line->count] != NULL)
	{
		line->words[line->count] = mem_strdup(words[line->count]);
		line->count++;
	}
	TRY(invocation_parse(&line->invocation, line->count, line->words));

	SettingsSources sources = {
		.environment = environment, .flags = line->invocation.flags, .n_flags = line->invocation.n_flags};

	TRY(settings_load(&sources, &line->invocation.settings));
	return recover_options_parse(&line->invocation, &line->recovery);
}

static void
release(Line *line)
{
	recovery_release(&line->recovery);
	invocation_release(&line->invocation);
	for (int i = 0; i < line->count; i++)
		free(line->words[i]);
}

static const struct
{
	const char *word;
	TargetKind kind;
} targets[] = {
	{"--target-time=2026-11-20 02:30Z", TARGET_TIME},
	{"--target-lsn=0/3000028", TARGET_LSN},
	{"--target-xid=700", TARGET_XID},
	{"--target-name=before", TARGET_NAME},
	{"--before-drop", TARGET_BEFORE},
	{"--immediate", TARGET_IMMEDIATE},
	{"--latest", TARGET_LATEST},
	{"--from-backup-only", TARGET_BACKUP_ONLY},
};

static void
every_target_goes_alone_and_with_a_purpose_but_with_no_other(void **state)
{
	(void) state;
	for (size_t i = 0; i < lengthof(targets); i++)
	{
		const char *copy[WORDS_MAX] = {targets[i].word, "--copy", "--pgdata=/x"};
		const char *standby[WORDS_MAX] = {targets[i].word, "--standby", "--pgdata=/x"};
		Line line;

		print_message("  %s\n", targets[i].word);
		assert_ok(parse(&line, copy));
		assert_int_equal(line.recovery.request.target.kind, targets[i].kind);
		assert_true(line.recovery.request.target.inclusive);
		release(&line);
		assert_error(parse(&line, standby), ERR_USAGE, "a standby has no target");
		release(&line);
		for (size_t j = 0; j < lengthof(targets); j++)
		{
			const char *both[WORDS_MAX] = {targets[i].word, targets[j].word, "--copy", "--pgdata=/x"};

			assert_error(parse(&line, both), ERR_USAGE, i == j ? "is given twice" : "exclude each other");
			release(&line);
		}
	}
}

static void
exclusive_goes_with_what_can_be_stopped_before(void **state)
{
	(void) state;
	for (size_t i = 0; i < lengthof(targets); i++)
	{
		const char *words[WORDS_MAX] = {targets[i].word, "--exclusive", "--copy", "--pgdata=/x"};
		bool possible =
			targets[i].kind == TARGET_TIME || targets[i].kind == TARGET_LSN || targets[i].kind == TARGET_XID;
		Line line;
		Error *error = parse(&line, words);

		print_message("  %s\n", targets[i].word);
		if (possible)
			assert_ok(error);
		else
			assert_error(error, ERR_USAGE, "\"--exclusive\" goes with");
		if (possible)
			assert_false(line.recovery.request.target.inclusive);
		release(&line);
	}
}

typedef struct Wrong
{
	const char *name;
	const char *words[WORDS_MAX];
	const char *message;
} Wrong;

#define AT "--immediate", "--pgdata=/x"

static const Wrong wrong[] = {
	{"nothing", {"--pgdata=/x"}, "no recovery target"},
	{"only a purpose", {"--copy", "--pgdata=/x"}, "no recovery target"},
	{"latest without a purpose", {"--latest", "--pgdata=/x"}, "needs to know what it is for"},
	{"copy and rejoin", {AT, "--copy", "--rejoin"}, "\"--copy\" and \"--rejoin\" exclude"},
	{"copy and standby", {"--copy", "--standby"}, "\"--copy\" and \"--standby\" exclude"},
	{"rejoin and standby", {"--rejoin", "--standby"}, "\"--rejoin\" and \"--standby\" exclude"},
	{"standby with an action", {"--standby", "--action=pause"}, "so no action at it"},
	{"standby with exclusive", {"--standby", "--exclusive", "--pgdata=/x"}, "a standby has no target"},
	{"unknown action", {AT, "--action=stop"}, "action \"stop\" is not known"},
	{"empty action", {AT, "--action="}, "action \"\" is not known"},
	{"conninfo without standby", {AT, "--primary-conninfo=x"}, "go with \"--standby\""},
	{"slot without standby", {AT, "--primary-slot-name=x"}, "go with \"--standby\""},
	{"time without a zone", {"--target-time=2026-11-20 02:30", "--pgdata=/x"}, "\"--target-time\""},
	{"time that is none", {"--target-time=yesterday", "--pgdata=/x"}, "\"--target-time\""},
	{"LSN that is none", {"--target-lsn=3000028", "--pgdata=/x"}, "is no place in the WAL"},
	{"xid too low", {"--target-xid=2", "--pgdata=/x"}, "is no transaction id"},
	{"xid too high", {"--target-xid=4294967296", "--pgdata=/x"}, "is no transaction id"},
	{"xid with a sign", {"--target-xid=-5", "--pgdata=/x"}, "is no transaction id"},
	{"empty name", {"--target-name=", "--pgdata=/x"}, "is no name of a restore point"},
	{"name of 64 bytes",
     {"--target-name=0123456789012345678901234567890123456789012345678901234567890123", "--pgdata=/x"},
     "is no name of a restore point"},
	{"timeline 0", {AT, "--timeline=0"}, "\"0\" is no timeline"},
	{"timeline newest", {AT, "--timeline=newest"}, "\"newest\" is no timeline"},
	{"timeline too high", {AT, "--timeline=4294967296"}, "is no timeline"},
	{"no directory", {"--immediate"}, "no data directory"},
	{"empty directory", {"--immediate", "--pgdata="}, "no data directory"},
	{"yes alone", {AT, "--yes"}, "\"--yes\" goes with \"--move-aside\""},
	{"config-only moves nothing", {AT, "--config-only", "--move-aside"}, "\"--config-only\" leaves"},
	{"config-only maps nothing", {AT, "--config-only", "--tablespace-map=/a=/b"}, "\"--config-only\" leaves"},
	{"mapping without a sign", {AT, "--tablespace-map=/a"}, "is no tablespace mapping"},
	{"mapping from nothing", {AT, "--tablespace-map==/b"}, "is no tablespace mapping"},
	{"mapping to nothing", {AT, "--tablespace-map=/a="}, "is no tablespace mapping"},
	{"relative mapping", {AT, "--tablespace-map=/a=b"}, "is no tablespace mapping"},
	{"mapping from a relative path", {AT, "--tablespace-map=a=/b"}, "is no tablespace mapping"},
	{"two signs", {AT, "--tablespace-map=/a=/b=/c"}, "is no tablespace mapping"},
	{"only an escaped sign", {AT, "--tablespace-map=/a\\=/b"}, "is no tablespace mapping"},
	{"mapped twice", {AT, "--tablespace-map=/a=/b", "--tablespace-map=/a/=/c"}, "\"/a\" is mapped twice"},
};

static void
what_does_not_go_together_is_refused(void **state)
{
	(void) state;
	assert_int_equal(unsetenv("PGDATA"), 0);
	for (size_t i = 0; i < lengthof(wrong); i++)
	{
		Line line;

		print_message("  %s\n", wrong[i].name);
		assert_error(parse(&line, wrong[i].words), ERR_USAGE, wrong[i].message);
		release(&line);
	}
}

typedef struct Purpose
{
	const char *words[WORDS_MAX];
	RecoveryPurpose purpose;
	RecoveryAction action;
	TargetKind kind;
} Purpose;

static const Purpose purposes[] = {
	{{AT}, PURPOSE_COPY, ACTION_PAUSE, TARGET_IMMEDIATE},
	{{AT, "--copy"}, PURPOSE_COPY, ACTION_PAUSE, TARGET_IMMEDIATE},
	{{AT, "--rejoin"}, PURPOSE_REJOIN, ACTION_PROMOTE, TARGET_IMMEDIATE},
	{{AT, "--copy", "--action=promote"}, PURPOSE_COPY, ACTION_PROMOTE, TARGET_IMMEDIATE},
	{{AT, "--rejoin", "--action", "pause"}, PURPOSE_REJOIN, ACTION_PAUSE, TARGET_IMMEDIATE},
	{{AT, "--action=shutdown"}, PURPOSE_COPY, ACTION_SHUTDOWN, TARGET_IMMEDIATE},
	{{"--latest", "--rejoin", "--pgdata=/x"}, PURPOSE_REJOIN, ACTION_PROMOTE, TARGET_LATEST},
	{{"--standby", "--pgdata=/x", "--primary-conninfo=host=a"}, PURPOSE_STANDBY, ACTION_PAUSE, TARGET_LATEST},
};

static void
a_purpose_has_its_action_unless_another_is_said(void **state)
{
	(void) state;
	for (size_t i = 0; i < lengthof(purposes); i++)
	{
		Line line;

		assert_ok(parse(&line, purposes[i].words));
		assert_int_equal(line.recovery.request.purpose, purposes[i].purpose);
		assert_int_equal(line.recovery.request.action, purposes[i].action);
		assert_int_equal(line.recovery.request.target.kind, purposes[i].kind);
		assert_string_equal(line.recovery.primary_conninfo,
		                    purposes[i].purpose == PURPOSE_STANDBY ? "host=a" : "");
		assert_string_equal(line.recovery.primary_slot_name, "");
		release(&line);
	}
}

static void
mappings_are_taken_apart_at_the_sign_that_is_not_escaped(void **state)
{
	static const struct
	{
		const char *text;
		const char *from;
		const char *to;
	} rows[] = {
		{"/a=/b", "/a", "/b"},           {"/a/=/b//", "/a", "/b"},    {"/=/b", "/", "/b"},
		{"/a\\=1=/b", "/a=1", "/b"},     {"/a=/b\\=2", "/a", "/b=2"}, {"/a\\=\\==/b\\=", "/a==", "/b="},
		{"/a\\b=/c d", "/a\\b", "/c d"},
	};

	(void) state;
	for (size_t i = 0; i < lengthof(rows); i++)
	{
		const char *words[WORDS_MAX] = {AT, "--tablespace-map", rows[i].text, "--tablespace-map=/z=/zz"};
		Line line;

		print_message("  %s\n", rows[i].text);
		assert_ok(parse(&line, words));
		assert_int_equal(line.recovery.mappings.count, 2);
		assert_string_equal(line.recovery.mappings.items[0].from, rows[i].from);
		assert_string_equal(line.recovery.mappings.items[0].to, rows[i].to);
		assert_string_equal(line.recovery.mappings.items[1].to, "/zz");
		release(&line);
	}
}

static void
the_data_directory_is_absolute_and_may_come_from_the_environment(void **state)
{
	static const struct
	{
		const char *flag; /* NULL: not given */
		const char *environment;
		const char *expected; /* NULL: none; relative: below the working directory */
	} rows[] = {
		{"--pgdata=/x", NULL, "/x"},
		{"--pgdata=/x//", "/y", "/x"},
		{NULL, "/y/", "/y"},
		{"--pgdata=x", NULL, "x"},
		{"--pgdata=x/", NULL, "x"},
		{NULL, NULL, NULL},
		{NULL, "", NULL},
		{"--pgdata=/", NULL, "/"},
		{"--pgdata=/a\\=b", NULL, "/a\\=b"},
	};
	AUTO_FREE char *here = getcwd(NULL, 0);

	(void) state;
	for (size_t i = 0; i < lengthof(rows); i++)
	{
		const char *words[WORDS_MAX] = {"--immediate", "--plan", rows[i].flag};
		AUTO_FREE char *expected = rows[i].expected == NULL || rows[i].expected[0] == '/'
		                               ? mem_strdup(rows[i].expected)
		                               : path_join(here, rows[i].expected);
		Line line;

		assert_int_equal(
			rows[i].environment == NULL ? unsetenv("PGDATA") : setenv("PGDATA", rows[i].environment, 1), 0);
		assert_ok(parse(&line, words));
		assert_true(str_equal(line.recovery.pgdata, expected));
		release(&line);
	}
}

static const struct
{
	const char *words[WORDS_MAX];
	DropChoice choice;
	uint64_t number;
	TransactionId xid;
} drops[] = {
	{{"--before-drop", "--plan"}, DROP_ONLY, 0, 0},
	{{"--plan", "--before-drop"}, DROP_ONLY, 0, 0},
	{{"--before-drop", "3", "--plan"}, DROP_NUMBER, 3, 0},
	{{"--before-drop=745", "--plan"}, DROP_NUMBER, 745, 0},
	{{"--before-drop", "xid:745", "--plan"}, DROP_XID, 0, 745},
	{{"--plan", "--immediate"}, DROP_NOT_ASKED, 0, 0},
};

static void
a_number_and_a_transaction_are_told_apart(void **state)
{
	(void) state;
	for (size_t i = 0; i < lengthof(drops); i++)
	{
		Line line;

		assert_ok(parse(&line, drops[i].words));
		assert_int_equal(line.recovery.drop.choice, drops[i].choice);
		assert_int_equal(line.recovery.drop.number, drops[i].number);
		assert_int_equal(line.recovery.drop.xid, drops[i].xid);
		assert_false(line.recovery.request.every_index);
		release(&line);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_number_and_a_transaction_are_told_apart),
		cmocka_unit_test(every_target_goes_alone_and_with_a_purpose_but_with_no_other),
		cmocka_unit_test(exclusive_goes_with_what_can_be_stopped_before),
		cmocka_unit_test(what_does_not_go_together_is_refused),
		cmocka_unit_test(a_purpose_has_its_action_unless_another_is_said),
		cmocka_unit_test(mappings_are_taken_apart_at_the_sign_that_is_not_escaped),
		cmocka_unit_test(the_data_directory_is_absolute_and_may_come_from_the_environment),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
