/* Recovery settings: what is written, how it is quoted, what is taken out of the way. */
#include "scratch.h"
#include "walship/plan/recovery_conf.h"

#define CONF                             \
	{                                    \
		.restore_command = "fetch %f %p" \
	}

typedef struct PrintRow
{
	const char *name;
	int server_version;
	RecoveryPlan plan;
	RecoveryConf conf;
	const char *lines; /* every one must be there */
	const char *never; /* none of these words may be there; separated by blanks */
} PrintRow;

static const PrintRow print_rows[] = {
	{"a copy to a time does not archive",
     150020,
     {.timeline = 2,
      .timeline_has_file = true,
      .target = {.kind = TARGET_TIME, .inclusive = true, .time = INT64_C(1795132800250000)}},
     CONF,
     "restore_command = 'fetch %f %p'\n"
     "recovery_target = ''\n"
     "recovery_target_time = '2026-11-20 00:00:00.250000+00'\n"
     "recovery_target_lsn = ''\n"
     "recovery_target_xid = ''\n"
     "recovery_target_name = ''\n"
     "recovery_target_inclusive = 'on'\n"
     "recovery_target_timeline = '2'\n"
     "recovery_target_action = 'pause'\n"
     "recovery_min_apply_delay = '0'\n"
     "archive_cleanup_command = ''\n"
     "recovery_end_command = ''\n"
     "primary_conninfo = ''\n"
     "primary_slot_name = ''\n"
     "promote_trigger_file = ''\n"
     "synchronous_standby_names = ''\n"
     "max_logical_replication_workers = '0'\n"
     "hot_standby = 'on'\n"
     "max_connections = '400'\n"
     "max_worker_processes = '9'\n"
     "max_wal_senders = '11'\n"
     "max_prepared_transactions = '0'\n"
     "max_locks_per_transaction = '64'\n"
     "archive_mode = 'off'\n"
     "archive_command = ''\n"
     "archive_library = ''\n",
     ""},
	{"13 does not know archive_library",
     130023,
     {.timeline = 1, .target = {.kind = TARGET_LATEST, .inclusive = true}},
     CONF,
     "recovery_target_timeline = '1'\npromote_trigger_file = ''\narchive_command = ''\n",
     "archive_library"},
	{"16 does not know promote_trigger_file",
     160014,
     {.timeline = 1, .target = {.kind = TARGET_LATEST, .inclusive = true}},
     CONF,
     "archive_library = ''\n",
     "promote_trigger_file"},
	{"a rejoining server keeps its archive settings",
     180004,
     {.timeline = 1,
      .purpose = PURPOSE_REJOIN,
      .action = ACTION_PROMOTE,
      .target = {.kind = TARGET_LSN, .inclusive = false, .lsn = 0x300000028}},
     CONF,
     "recovery_target_lsn = '3/28'\nrecovery_target_inclusive = 'off'\nrecovery_target_action = 'promote'\n",
     "archive_mode archive_command archive_library max_logical_replication_workers"},
	{"a rejoining server archives on",
     150004,
     {.timeline = 1, .purpose = PURPOSE_REJOIN, .target = {.kind = TARGET_LATEST, .inclusive = true}},
     {.restore_command = "fetch %f %p", .archive_command = "push %p"},
     "archive_mode = 'on'\narchive_command = 'push %p'\narchive_library = ''\n",
     ""},
	{"a standby follows",
     170010,
     {.timeline = 3,
      .timeline_has_file = true,
      .purpose = PURPOSE_STANDBY,
      .target = {.kind = TARGET_LATEST, .inclusive = true}},
     {.restore_command = "fetch %f %p",
      .primary_conninfo = "host=a password='x y'",
      .primary_slot_name = "one"},
     "recovery_target_timeline = 'latest'\nprimary_conninfo = 'host=a password=''x y'''\n"
     "primary_slot_name = 'one'\n",
     "archive_mode"},
	{"a transaction",
     170010,
     {.timeline = 1, .target = {.kind = TARGET_XID, .inclusive = true, .xid = 4000000000}},
     CONF,
     "recovery_target_xid = '4000000000'\n",
     ""},
	{"a restore point is always included",
     170010,
     {.timeline = 1, .target = {.kind = TARGET_NAME, .inclusive = false, .name = "it's\\here"}},
     CONF,
     "recovery_target_name = 'it''s\\\\here'\nrecovery_target_inclusive = 'on'\n",
     ""},
	{"the backup only: its own timeline without a history file",
     170010,
     {.timeline = 4,
      .timeline_has_file = true,
      .action = ACTION_SHUTDOWN,
      .target = {.kind = TARGET_BACKUP_ONLY, .inclusive = true}},
     {.restore_command = "false"},
     "restore_command = 'false'\nrecovery_target = 'immediate'\nrecovery_target_timeline = 'current'\n"
     "recovery_target_action = 'shutdown'\n",
     ""},
};

static void
print_row_check(void **state)
{
	const PrintRow *row = *state;
	BackupRecord backup = {.server_version = row->server_version,
	                       .timeline = row->plan.timeline,
	                       .parameters = {250, 9, 11, 0, 64}};
	RecoveryPlan plan = row->plan;
	AUTO_BUF(text, 64 * 1024);
	AUTO_FREE char *lines = mem_strdup(row->lines);
	AUTO_FREE char *never = mem_strdup(row->never);
	char *rest = NULL;

	plan.backup = &backup;
	plan.parameters = (BackupParameters){400, 9, 11, 0, 64};
	recovery_conf_print(&plan, &row->conf, &text);
	for (char *line = strtok_r(lines, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest))
		if (strstr(text.data, line) == NULL)
			fail_msg("no line: %s", line);
	for (char *word = strtok_r(never, " ", &rest); word != NULL; word = strtok_r(NULL, " ", &rest))
		if (strstr(text.data, word) != NULL)
			fail_msg("unexpected: %s", word);
}

typedef struct TextRow
{
	const char *name;
	RecoveryPurpose purpose;
	const char *input;
	const char *expected;
} TextRow;

static const TextRow comment_rows[] = {
	{"an old target is commented out", PURPOSE_COPY, "recovery_target_xid = '5'\n",
     "# recovery_target_xid = '5'\n"},
	{"other settings stay", PURPOSE_COPY, "work_mem = '4MB'\nport=5433\n", "work_mem = '4MB'\nport=5433\n"},
	{"names are without case", PURPOSE_COPY, "Restore_Command = 'x'\n", "# Restore_Command = 'x'\n"},
	{"the equal sign may be missing", PURPOSE_COPY, "recovery_target_name 'a'\n",
     "# recovery_target_name 'a'\n"},
	{"or be close", PURPOSE_COPY, "  recovery_target='immediate'\n", "#   recovery_target='immediate'\n"},
	{"comments stay", PURPOSE_COPY, "# restore_command = 'x'\n\n", "# restore_command = 'x'\n\n"},
	{"a name that only begins alike stays", PURPOSE_COPY, "restore_command_x = 1\nmy.restore_command = 1\n",
     "restore_command_x = 1\nmy.restore_command = 1\n"},
	{"a value that looks like a setting stays", PURPOSE_COPY, "application_name = 'restore_command = 1'\n",
     "application_name = 'restore_command = 1'\n"},
	{"a setting of an older version is commented out", PURPOSE_COPY, "promote_trigger_file = 'x'\n",
     "# promote_trigger_file = 'x'\n"},
	{"a copy's archive settings are commented out", PURPOSE_COPY, "archive_command = 'cp %p /x/%f'\n",
     "# archive_command = 'cp %p /x/%f'\n"},
	{"a rejoining server's stay", PURPOSE_REJOIN, "archive_command = 'cp %p /x/%f'\n",
     "archive_command = 'cp %p /x/%f'\n"},
	{"a last line without its newline gets one", PURPOSE_COPY, "port = 1\nhot_standby = off",
     "port = 1\n# hot_standby = off\n"},
	{"nothing stays nothing", PURPOSE_COPY, "", ""},
};

static void
comment_row_check(void **state)
{
	const TextRow *row = *state;
	AUTO_BUF(text, 64 * 1024);

	recovery_conf_comment_out(row->purpose, &(RecoveryConf){0}, row->input, strlen(row->input), &text);
	assert_string_equal(text.data == NULL ? "" : text.data, row->expected);
}

static void
archive_settings_that_are_written_are_commented_out(void **state)
{
	static const char input[] = "archive_mode = off\narchive_library = 'x'\n";
	const RecoveryConf conf = {.archive_command = "push %p"};
	AUTO_BUF(text, 64 * 1024);

	(void) state;
	recovery_conf_comment_out(PURPOSE_REJOIN, &conf, input, strlen(input), &text);
	assert_string_equal(text.data, "# archive_mode = off\n# archive_library = 'x'\n");
}

static void
values_are_found(void **state)
{
	static const struct
	{
		const char *text;
		const char *value; /* NULL: none */
	} rows[] = {
		{"archive_library = 'a'\nArchive_Library='it''s \\\\ b' # c\n", "it's \\ b"},
		{"  archive_library basic # comment", "basic"},
		{"archive_library = ''\n", ""},
		{"archive_library", ""},
		{"# archive_library = 'a'\narchive_library_x = 'b'\nmy.archive_library = c\n", NULL},
		{"", NULL},
	};

	(void) state;
	for (size_t i = 0; i < lengthof(rows); i++)
	{
		AUTO_FREE char *found = recovery_conf_find(rows[i].text, strlen(rows[i].text), "archive_library");

		if (rows[i].value == NULL)
			assert_null(found);
		else
			assert_string_equal(found, rows[i].value);
	}
}

typedef struct CommandRow
{
	const char *name;
	const char *program;
	const char *flags;
	const char *plan_end;
	const char *expected;
} CommandRow;

static const CommandRow command_rows[] = {
	{"a plain path", "/usr/bin/walship", "", "", "'/usr/bin/walship' fetch %f %p"},
	{"a bounded target", "/usr/bin/walship", "", "000000010000000000000007",
     "'/usr/bin/walship' fetch --plan-end 000000010000000000000007 %f %p"},
	{"flags", "/w", " --store='file:///a b'", "", "'/w' fetch --store='file:///a b' %f %p"},
	{"percent signs are doubled", "/a%p/w", " --store='file:///100%'", "",
     "'/a%%p/w' fetch --store='file:///100%%' %f %p"},
	{"quotes", "/it's/w", "", "", "'/it'\\''s/w' fetch %f %p"},
};

static void
command_row_check(void **state)
{
	const CommandRow *row = *state;
	AUTO_FREE char *command = recovery_restore_command(row->program, row->flags, row->plan_end);

	assert_string_equal(command, row->expected);
}

static void
values_are_quoted_for_the_server(void **state)
{
	AUTO_BUF(text, 1024);

	(void) state;
	recovery_conf_append(&text, "a", "it's a \\ and\na line");
	assert_string_equal(text.data, "a = 'it''s a \\\\ and\\na line'\n");
}

/* Byte for byte; above all the target that is set comes last, after the empty ones. */
static void
the_whole_text_of_a_copy_to_an_lsn(void **state)
{
	BackupRecord backup = {.server_version = 150020, .timeline = 1};
	RecoveryPlan plan = {.backup = &backup,
	                     .timeline = 3,
	                     .timeline_has_file = true,
	                     .target = {.kind = TARGET_LSN, .inclusive = true, .lsn = 0x300000028},
	                     .parameters = {400, 9, 0, 0, 64}};
	AUTO_BUF(text, 64 * 1024);

	(void) state;
	recovery_conf_print(&plan, &(RecoveryConf) CONF, &text);
	assert_string_equal(text.data, "restore_command = 'fetch %f %p'\n"
	                               "recovery_target_inclusive = 'on'\n"
	                               "recovery_target_timeline = '3'\n"
	                               "recovery_target_action = 'pause'\n"
	                               "recovery_min_apply_delay = '0'\n"
	                               "archive_cleanup_command = ''\n"
	                               "recovery_end_command = ''\n"
	                               "primary_conninfo = ''\n"
	                               "primary_slot_name = ''\n"
	                               "promote_trigger_file = ''\n"
	                               "synchronous_standby_names = ''\n"
	                               "max_logical_replication_workers = '0'\n"
	                               "hot_standby = 'on'\n"
	                               "max_connections = '400'\n"
	                               "max_worker_processes = '9'\n"
	                               "max_prepared_transactions = '0'\n"
	                               "max_locks_per_transaction = '64'\n"
	                               "archive_mode = 'off'\n"
	                               "archive_command = ''\n"
	                               "archive_library = ''\n"
	                               "recovery_target = ''\n"
	                               "recovery_target_time = ''\n"
	                               "recovery_target_xid = ''\n"
	                               "recovery_target_name = ''\n"
	                               "recovery_target_lsn = '3/28'\n");
}

static void
what_is_too_long_is_not_cut_silently(void **state)
{
	BackupRecord backup = {.server_version = 150020, .timeline = 1};
	RecoveryPlan plan = {
		.backup = &backup, .timeline = 1, .purpose = PURPOSE_STANDBY, .target = {.kind = TARGET_LATEST}};

	(void) state;
	for (size_t size = RECOVERY_CONF_VALUE_MAX; size <= RECOVERY_CONF_VALUE_MAX + 1; size++)
	{
		AUTO_FREE char *value = mem_alloc(size + 1);
		AUTO_FREE char *command = NULL;
		AUTO_BUF(text, 1024 * 1024);

		memset(value, 'x', size);
		value[size] = '\0';
		recovery_conf_print(&plan, &(RecoveryConf){.restore_command = "false", .primary_conninfo = value},
		                    &text);
		assert_int_equal(text.overflowed, size > RECOVERY_CONF_VALUE_MAX);
		command = recovery_restore_command("/w", value + strlen("'/w' fetch %f %p"), "");
		assert_int_equal(command == NULL, size > RECOVERY_CONF_VALUE_MAX);
	}
}

int
main(void)
{
	struct CMUnitTest tests[lengthof(print_rows) + lengthof(comment_rows) + lengthof(command_rows) + 5];
	size_t n_tests = 0;

	/* cmocka keeps the state as a plain pointer; nobody writes through it. */
	for (size_t i = 0; i < lengthof(print_rows); i++)
		tests[n_tests++] = (struct CMUnitTest){print_rows[i].name, print_row_check, NULL, NULL,
		                                       (void *) (uintptr_t) &print_rows[i]};
	for (size_t i = 0; i < lengthof(comment_rows); i++)
		tests[n_tests++] = (struct CMUnitTest){comment_rows[i].name, comment_row_check, NULL, NULL,
		                                       (void *) (uintptr_t) &comment_rows[i]};
	for (size_t i = 0; i < lengthof(command_rows); i++)
		tests[n_tests++] = (struct CMUnitTest){command_rows[i].name, command_row_check, NULL, NULL,
		                                       (void *) (uintptr_t) &command_rows[i]};
	tests[n_tests++] = (struct CMUnitTest) cmocka_unit_test(values_are_quoted_for_the_server);
	tests[n_tests++] = (struct CMUnitTest) cmocka_unit_test(the_whole_text_of_a_copy_to_an_lsn);
	tests[n_tests++] = (struct CMUnitTest) cmocka_unit_test(what_is_too_long_is_not_cut_silently);
	tests[n_tests++] =
		(struct CMUnitTest) cmocka_unit_test(archive_settings_that_are_written_are_commented_out);
	tests[n_tests++] = (struct CMUnitTest) cmocka_unit_test(values_are_found);
	return _cmocka_run_group_tests("plan_conf", tests, n_tests, NULL, NULL);
}
