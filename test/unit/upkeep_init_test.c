/*
 * What "walship init" makes of what it finds.  Each row changes a fresh Debian machine, seen by root, with a store in a
 * directory, by words "what=value", and says which steps are not as they are there.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <string.h>

#include "walship/base/mem.h"
#include "walship/upkeep/init.h"

#define COMMAND "/usr/bin/walship push %p"

typedef struct World
{
	ServerFacts server;
	InitFacts facts;
	InitOptions options;
} World;

typedef struct InitRow
{
	const char *name;
	const char *changes;
	const char
		*expected;    /* states of the steps that differ from those of the fresh machine: "restart to-do" */
	const char *text; /* somewhere in details and hints; NULL: not looked at */
} InitRow;

static const InitRow rows[] = {
	{"a fresh machine", "", "",
     "archive_command = '" COMMAND "', archive_timeout = '60s', archive_mode = 'on'"},
	{"a restart is allowed", "restart", "restart to-do, first backup to-do, check to-do", "pg_ctlcluster"},
	{"nobody may restart it, such as in a container", "restart no-restart", "", "container"},
	{"everything is there", "all-there",
     "state directory kept, store kept, settings kept, store works left-out, archiving kept, restart left-out, first backup kept, check to-do, timers kept",
     NULL},

	/* the server's settings */
	{"archive_mode is on already: no restart", "mode=on", "restart left-out, first backup to-do, check to-do",
     NULL},
	{"archive_mode = always stays", "mode=always", "restart left-out, first backup to-do, check to-do", NULL},
	{"archive_mode is set, and waits for the restart", "mode-next=on command=" COMMAND " timeout=60",
     "archiving kept", NULL},
	{"the forms of off", "mode-next=false", "", "archive_mode = 'on'"},
	{"wal_level = minimal", "mode=on level=minimal", "", "wal_level = 'replica'"},
	{"one sender is too few", "mode=on senders=1", "", "max_wal_senders = '10'"},
	{"a timeout that is set stays", "timeout=300", "", NULL},
	{"somebody else archives", "mode=on command=pgbackrest",
     "archiving refused, restart left-out, first backup to-do, check to-do",
     "archive_command is 'pgbackrest'"},
	{"somebody else archives, while archive_mode is off", "command=pgbackrest", "archiving refused",
     "--replace"},
	{"and is replaced", "command=pgbackrest replace", "", "until now archive_command is 'pgbackrest'"},
	{"a library archives", "library=basic_archive", "archiving refused",
     "archive_library is 'basic_archive'"},
	{"and is replaced", "library=basic_archive replace", "", "archive_library = ''"},
	{"a command that archives nothing is nobody's", "command=/bin/true mode=on",
     "restart left-out, first backup to-do, check to-do", NULL},
	{"walship's command in other words", "command=walship ours mode=on timeout=60",
     "store works left-out, archiving kept, restart left-out, first backup to-do, check to-do",
     "archive_command = 'walship'"},
	{"it stands in the file and was not read", "mode=on timeout=60 command-next=" COMMAND,
     "restart left-out, first backup to-do, check to-do", "read its settings"},
	{"on the command line nothing else counts", "fixed=mode", "archiving refused", "archive_mode stands on"},
	{"on the command line, and right", "mode=on fixed=mode",
     "restart left-out, first backup to-do, check to-do", NULL},
	{"ALTER SYSTEM is not allowed", "no-alter", "archiving refused", "Write into the server's settings"},
	{"ALTER SYSTEM is not allowed, nor needed", "no-alter mode=on timeout=60 command=" COMMAND,
     "store works left-out, archiving kept, restart left-out, first backup to-do, check to-do", NULL},
	{"not a superuser", "role=walship plain-role", "archiving refused", "no superuser"},

	/* access */
	{"pg_hba.conf has no line", "denied", "access to-do", "local replication \"postgres\" peer"},
	{"a role that is not the user's name: peer would not do", "denied role=admin", "access refused",
     "such a line"},
	{"no senders: that is not pg_hba.conf's", "denied senders=0", "", NULL},

	/* store and settings */
	{"a bucket", "bucket", "store kept, credentials to-do", "s3-secret"},
	{"a bucket whose secret is there", "bucket secret", "store kept, credentials kept", NULL},
	{"the marker is gone, and settings name the store", "store-place=lost", "store refused", "mounted"},
	{"the store's directory is another user's", "store-place=root", "store refused",
     "install -d -o 'postgres'"},
	{"other systems lie there", "others", "server refused", "--new-system"},
	{"other systems may lie there", "others new-system", "", NULL},
	{"a cluster among others", "others shares", "", NULL},
	{"the settings say something else", "wrong", "settings refused", "says store"},
	{"the settings cannot be written", "unwritable", "settings refused", "as root"},
	{"the settings cannot be written, nor need to be", "unwritable complete", "settings kept", NULL},
	{"the state directory needs root", "state-place=root", "state directory refused",
     "install -d -o 'postgres' -m 0700"},
	{"the program is where only root may look", "hidden-program", "server refused", "/usr/local/bin"},

	/* keys, backup, timers */
	{"a key is wanted", "key", "encryption to-do", "key.txt"},
	{"a key is wanted, and is there", "key key-there", "encryption kept", NULL},
	{"public keys are set", "encrypts key", "encryption kept", "public keys"},
	{"no backup", "restart no-backup", "restart to-do, first backup left-out, check to-do", NULL},
	{"systemd", "timers=systemd", "timers to-do", "systemctl enable --now"},
	{"systemd, and not root", "timers=systemd user", "", "root enables them"},
	{"systemd without units", "timers=no-units", "", "contrib/systemd"},
	{"no timers", "no-timers", "timers left-out", NULL},
};

static void
set(ServerFacts *server, ServerSettingId id, const char *running, const char *next)
{
	ServerSetting *setting = &server->settings[id];

	if (running != NULL)
	{
		free(setting->running);
		setting->running = mem_strdup(running);
	}
	free(setting->next);
	setting->next = mem_strdup(next);
}

static void
fresh(World *world)
{
	*world = (World){.server = {.version = 150020,
	                            .system_identifier = UINT64_C(7300000000000000001),
	                            .data_directory = mem_strdup("/var/lib/postgresql/15/main"),
	                            .hba_file = mem_strdup("/etc/postgresql/15/main/pg_hba.conf"),
	                            .role = mem_strdup("postgres"),
	                            .is_superuser = true},
	                 .facts = {.is_root = true,
	                           .user = "postgres",
	                           .program = "/usr/bin/walship",
	                           .program_runs = true,
	                           .command = COMMAND,
	                           .config = "/etc/walship/walship.conf",
	                           .config_lacks = "store",
	                           .config_exists = true,
	                           .config_can_be_written = true,
	                           .state_dir = "/var/lib/walship",
	                           .state_dir_place = INIT_PLACE_CAN_BE_MADE,
	                           .store = "file:///srv/walship",
	                           .store_is_directory = true,
	                           .store_place = INIT_PLACE_CAN_BE_MADE,
	                           .restart_command = "pg_ctlcluster 15 main restart",
	                           .timers = INIT_TIMERS_CRON,
	                           .timers_names = "lines"}};
	set(&world->server, SERVER_ARCHIVE_MODE, "off", "off");
	set(&world->server, SERVER_ARCHIVE_COMMAND, "", "");
	set(&world->server, SERVER_ARCHIVE_LIBRARY, "", "");
	set(&world->server, SERVER_ARCHIVE_TIMEOUT, "0", "0");
	set(&world->server, SERVER_WAL_LEVEL, "replica", "replica");
	set(&world->server, SERVER_MAX_WAL_SENDERS, "10", "10");
	world->facts.server = &world->server;
}

/* A word of a row; what follows "command=" and "command-next=" is the rest of the row when it holds the usual one. */
static void
change(World *world, const char *word, const char *value)
{
	ServerFacts *server = &world->server;
	InitFacts *facts = &world->facts;
	static const struct
	{
		const char *word;
		ServerSettingId id;
		bool next_only;
	} settings[] = {
		{"mode", SERVER_ARCHIVE_MODE, false},       {"mode-next", SERVER_ARCHIVE_MODE, true},
		{"level", SERVER_WAL_LEVEL, false},         {"senders", SERVER_MAX_WAL_SENDERS, false},
		{"timeout", SERVER_ARCHIVE_TIMEOUT, false}, {"library", SERVER_ARCHIVE_LIBRARY, false},
		{"command", SERVER_ARCHIVE_COMMAND, false}, {"command-next", SERVER_ARCHIVE_COMMAND, true}};
	const struct
	{
		const char *word;
		bool *flag;
		bool to;
	} flags[] = {{"restart", &world->options.restart, true},
	             {"replace", &world->options.replace_archive_command, true},
	             {"new-system", &world->options.new_system, true},
	             {"shares", &world->options.shares_store, true},
	             {"no-backup", &world->options.no_backup, true},
	             {"no-timers", &world->options.no_timers, true},
	             {"ours", &facts->command_is_ours, true},
	             {"no-alter", &server->no_alter_system, true},
	             {"plain-role", &server->is_superuser, false},
	             {"others", &facts->store_has_others, true},
	             {"unwritable", &facts->config_can_be_written, false},
	             {"hidden-program", &facts->program_runs, false},
	             {"key-there", &facts->key_exists, true},
	             {"encrypts", &facts->encrypts, true},
	             {"secret", &facts->secret_exists, true},
	             {"user", &facts->is_root, false}};

	for (size_t i = 0; i < lengthof(settings); i++)
		if (strcmp(settings[i].word, word) == 0)
		{
			set(server, settings[i].id, settings[i].next_only ? NULL : value, value);
			return;
		}
	for (size_t i = 0; i < lengthof(flags); i++)
		if (strcmp(flags[i].word, word) == 0)
		{
			*flags[i].flag = flags[i].to;
			return;
		}
	if (strcmp(word, "no-restart") == 0)
		facts->restart_command = NULL;
	else if (strcmp(word, "fixed") == 0)
		server->settings[SERVER_ARCHIVE_MODE].fixed = true;
	else if (strcmp(word, "role") == 0)
	{
		free(server->role);
		server->role = mem_strdup(value);
	}
	else if (strcmp(word, "denied") == 0)
		server->no_backups = mem_strdup("no pg_hba.conf entry");
	else if (strcmp(word, "bucket") == 0)
	{
		facts->store = "s3://bucket/prefix";
		facts->store_is_directory = false;
		facts->secret_file = "/etc/walship/s3-secret";
	}
	else if (strcmp(word, "store-place") == 0)
		facts->store_place = strcmp(value, "lost") == 0 ? INIT_PLACE_LOST : INIT_PLACE_NEEDS_ROOT;
	else if (strcmp(word, "state-place") == 0)
		facts->state_dir_place = INIT_PLACE_NEEDS_ROOT;
	else if (strcmp(word, "wrong") == 0)
		facts->config_wrong = "it says store = x, and not y";
	else if (strcmp(word, "complete") == 0)
		facts->config_lacks = NULL;
	else if (strcmp(word, "key") == 0)
		facts->key_file = "/etc/walship/key.txt";
	else if (strcmp(word, "timers") == 0)
		facts->timers = strcmp(value, "systemd") == 0 ? INIT_TIMERS_SYSTEMD : INIT_TIMERS_NO_UNITS;
	else if (strcmp(word, "all-there") == 0)
	{
		facts->state_dir_place = INIT_PLACE_THERE;
		facts->store_place = INIT_PLACE_THERE;
		facts->config_lacks = NULL;
		facts->has_backup = true;
		facts->backup = "backup \"x\"";
		facts->timers = INIT_TIMERS_ON;
		set(server, SERVER_ARCHIVE_MODE, "on", "on");
		set(server, SERVER_ARCHIVE_COMMAND, COMMAND, COMMAND);
		set(server, SERVER_ARCHIVE_TIMEOUT, "60", "60s");
	}
	else
		fail_msg("unknown word \"%s\"", word);
}

static void
change_all(World *world, const char *changes)
{
	AUTO_FREE char *copy = mem_strdup(changes);

	for (char *word = copy; *word != '\0';)
	{
		char *usual = strstr(word, COMMAND);
		size_t length = strcspn(word, " ");
		char *equals = memchr(word, '=', length);

		if (usual != NULL && usual < word + length)
			length = (size_t) (usual - word) + strlen(COMMAND);

		char *next = word + length + (word[length] == ' ');

		word[length] = '\0';
		if (equals != NULL)
			*equals = '\0';
		change(world, word, equals == NULL ? "" : equals + 1);
		word = next;
	}
}

static const char *
word_of(InitState state)
{
	static const char *const words[] = {"kept", "to-do", "left-out", "yours", "waits", "refused"};

	return words[state];
}

static void
test_what_is_to_be_done_follows_from_what_is_there(void **state)
{
	World world;
	AUTO_INIT_PLAN usual = {0};

	(void) state;
	fresh(&world);
	init_plan(&world.facts, &world.options, &usual);
	server_facts_release(&world.server);
	for (size_t i = 0; i < lengthof(rows); i++)
	{
		AUTO_INIT_PLAN plan = {0};
		AUTO_BUF(differs, 4096);
		AUTO_BUF(texts, 65536);

		fresh(&world);
		change_all(&world, rows[i].changes);
		init_plan(&world.facts, &world.options, &plan);
		buf_puts(&differs, "");
		for (int id = 0; id < INIT_STEPS; id++)
		{
			const InitStep *step = &plan.steps[id];

			buf_printf(&texts, "%s\n%s\n", step->detail, step->hint == NULL ? "" : step->hint);
			if (step->state != usual.steps[id].state)
				buf_printf(&differs, "%s%s %s", differs.size > 0 ? ", " : "", init_step_name((InitStepId) id),
				           word_of(step->state));
		}
		if (strcmp(differs.data, rows[i].expected) != 0)
			fail_msg("%s: differs \"%s\", expected \"%s\"", rows[i].name, differs.data, rows[i].expected);
		assert_int_equal(plan.refused, strstr(differs.data, "refused") != NULL);
		if (rows[i].text != NULL && strstr(texts.data, rows[i].text) == NULL)
			fail_msg("%s: no \"%s\" in\n%s", rows[i].name, rows[i].text, texts.data);
		server_facts_release(&world.server);
	}
}

static void
test_the_fresh_machine(void **state)
{
	static const InitState states[INIT_STEPS] = {
		[INIT_SERVER] = INIT_KEPT,     [INIT_STATE] = INIT_TO_DO,     [INIT_STORE] = INIT_TO_DO,
		[INIT_KEY] = INIT_LEFT_OUT,    [INIT_SECRET] = INIT_LEFT_OUT, [INIT_SETTINGS] = INIT_TO_DO,
		[INIT_TRY_STORE] = INIT_TO_DO, [INIT_ACCESS] = INIT_KEPT,     [INIT_ARCHIVING] = INIT_TO_DO,
		[INIT_RESTART] = INIT_WAITS,   [INIT_BACKUP] = INIT_WAITS,    [INIT_CHECK] = INIT_WAITS,
		[INIT_TIMER] = INIT_YOURS,
	};
	World world;
	AUTO_INIT_PLAN plan = {0};

	(void) state;
	fresh(&world);
	init_plan(&world.facts, &world.options, &plan);
	for (int id = 0; id < INIT_STEPS; id++)
		if (plan.steps[id].state != states[id])
			fail_msg("step \"%s\" is %s", init_step_name((InitStepId) id), word_of(plan.steps[id].state));
	assert_true(plan.waits);
	assert_false(plan.refused);
	assert_int_equal(plan.to_do, 5);
	server_facts_release(&world.server);
}

static void
test_a_line_for_pg_hba_stands_before_all_others(void **state)
{
	static const struct
	{
		const char *text;
		const char *expected;
	} texts[] = {
		{"", "# walship takes backups by this line; written by \"walship init\"\nLINE\n"},
		{"local all all reject\n",
	     "# walship takes backups by this line; written by \"walship init\"\nLINE\nlocal all all reject\n"},
		{"# TYPE DATABASE\n\n  # more\nlocal all all peer",
	     "# TYPE DATABASE\n\n  # more\n# walship takes backups by this line; written by \"walship init\"\nLINE\nlocal all all peer"},
		{"# only a comment",
	     "# only a comment\n# walship takes backups by this line; written by \"walship init\"\nLINE\n"},
	};

	(void) state;
	for (size_t i = 0; i < lengthof(texts); i++)
	{
		AUTO_BUF(into, 65536);

		init_hba_text(texts[i].text, strlen(texts[i].text), "LINE", &into);
		assert_string_equal(into.data, texts[i].expected);
	}

	AUTO_FREE char *line = init_hba_line("a\"b");

	assert_string_equal(line, "local replication \"a\"\"b\" peer");
}

static void
test_a_server_is_started_again_where_it_was_started(void **state)
{
	static const struct
	{
		const char *words;
		const char *data_directory;
		const char *expected; /* NULL: it cannot be told */
	} rows_of_words[] = {
		{"/usr/bin/postgres \"-D\" \"/srv/data\"\n", "/srv/data", "/"},
		{"/usr/bin/postgres\n", "/srv/data", "/"},
		{"/usr/bin/postgres \"-D\" \"data\" \"-c\" \"x=y\"\n", "/srv/data", "/srv"},
		{"/usr/bin/postgres \"-Ddata\"\n", "/srv/data", "/srv"},
		{"/usr/bin/postgres \"-c\" \"x=y\" \"-D\" \"./a/data/\"\n", "/srv/a/data", "/srv"},
		{"/usr/bin/postgres \"-D\" \".\"\n", "/srv/data", NULL},
		{"/usr/bin/postgres \"-D\" \"../data\"\n", "/srv/data", NULL},
		{"/usr/bin/postgres \"-D\" \"ata\"\n", "/srv/data", NULL},
	};

	(void) state;
	for (size_t i = 0; i < lengthof(rows_of_words); i++)
	{
		AUTO_FREE char *directory = NULL;
		bool known = init_started_in(rows_of_words[i].words, rows_of_words[i].data_directory, &directory);

		assert_int_equal(known, rows_of_words[i].expected != NULL);
		if (known)
			assert_string_equal(directory, rows_of_words[i].expected);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_fresh_machine),
		cmocka_unit_test(test_what_is_to_be_done_follows_from_what_is_there),
		cmocka_unit_test(test_a_line_for_pg_hba_stands_before_all_others),
		cmocka_unit_test(test_a_server_is_started_again_where_it_was_started),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
