/* Settings out of all their sources, by a table of the test's own that also has a secret. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "private.h"
#include "walship/base/file.h"
#include "walship/base/mem.h"
#include "walship/config/describe.h"

enum
{
	TEST_NAME,
	TEST_MODE,
	TEST_COUNT,
	TEST_SIZE,
	TEST_WAIT,
	TEST_TOKEN,
};

static const SettingRow test_rows[] = {
	{.name = "name", .type = SETTING_TYPE_TEXT, .placeholder = "NAME", .help = "h", .doc = "d"},
	{.name = "mode",
     .type = SETTING_TYPE_CHOICE,
     .placeholder = "MODE",
     .fallback = "slow",
     .choices = "slow|fast",
     .help = "h",
     .doc = "d"},
	{.name = "the_count",
     .type = SETTING_TYPE_INTEGER,
     .placeholder = "N",
     .fallback = "auto",
     .automatic = true,
     .least = -5,
     .most = 64,
     .help = "h",
     .doc = "d"},
	{.name = "size",
     .type = SETTING_TYPE_BYTES,
     .placeholder = "SIZE",
     .fallback = "1MB",
     .least = 1024,
     .most = 16 << 20,
     .help = "h",
     .doc = "d"},
	{.name = "wait",
     .type = SETTING_TYPE_DURATION,
     .placeholder = "TIME",
     .fallback = "1min",
     .least = 100,
     .most = 3600 * 1000,
     .help = "h",
     .doc = "d"},
	{.name = "token", .type = SETTING_TYPE_TEXT, .secret = true, .help = "h", .doc = "d"},
};
static const SettingTable test_table = {test_rows, lengthof(test_rows)};

/* A directory with w.conf and token.txt, for one load. */
typedef struct Scene
{
	char directory[32];
	char *config;
	char *token;
} Scene;

static int
set_up(void **state)
{
	Scene *scene = NEW(Scene);

	(void) snprintf(scene->directory, sizeof(scene->directory), "/tmp/walship-test-XXXXXX");
	assert_non_null(mkdtemp(scene->directory));
	scene->config = path_join(scene->directory, "w.conf");
	scene->token = path_join(scene->directory, "token.txt");
	*state = scene;
	return 0;
}

static int
tear_down(void **state)
{
	Scene *scene = *state;

	error_free(dir_remove_tree(scene->directory, false));
	free(scene->config);
	free(scene->token);
	free(scene);
	return 0;
}

static void
write_file(const char *path, const char *text, mode_t mode)
{
	AUTO(Error) error = file_replace(path, text, strlen(text), mode);

	assert_null(error);
	assert_int_equal(chmod(path, mode), 0);
}

/* Puts the scene's paths into a text: "@C" is the settings file, "@T" the token's. */
static char *
expand(const Scene *scene, const char *text)
{
	Buf result;

	buf_init(&result, 4096);
	for (; *text != '\0'; text++)
	{
		if (str_starts_with(text, "@C"))
			buf_puts(&result, scene->config), text++;
		else if (str_starts_with(text, "@T"))
			buf_puts(&result, scene->token), text++;
		else
			buf_putc(&result, *text);
	}
	return buf_steal(&result);
}

/* One way to start the program. */
typedef struct Start
{
	const char *title;
	const char *file; /* contents of w.conf; NULL: there is none */
	const char *variables[4];
	SettingFlag flags[3];
	const char *cluster;
	bool name_no_file;    /* w.conf is the default, not asked for */
	const char *expected; /* values and origins, or part of the error's message */
	const char *hint;     /* part of it */
} Start;

static Error *
load(const Scene *scene, const Start *start, Settings **ret_settings)
{
	char *variables[lengthof(start->variables) + 1] = {0};
	size_t n_flags = 0;
	SettingsSources sources = {.environment = variables, .flags = start->flags, .cluster = start->cluster};
	Error *error;

	if (start->file != NULL)
	{
		AUTO_FREE char *text = expand(scene, start->file);

		write_file(scene->config, text, 0600);
	}
	else
		assert_null(file_remove(scene->config));
	for (size_t i = 0; i < lengthof(start->variables) && start->variables[i] != NULL; i++)
		variables[i] = expand(scene, start->variables[i]);
	while (n_flags < lengthof(start->flags) && start->flags[n_flags].name != NULL)
		n_flags++;
	sources.n_flags = n_flags;
	sources.config_path = start->name_no_file ? NULL : scene->config;
	error = settings_load_table(&test_table, scene->config, &sources, ret_settings);
	for (size_t i = 0; variables[i] != NULL; i++)
		free(variables[i]);
	return error;
}

/* The lines of "walship config", without those that are as by default and without the width of columns. */
static void
list_what_is_set(const Settings *settings, Buf *into)
{
	AUTO_BUF(lines, 4096);

	settings_list_text(settings, &lines);
	for (char *line = lines.data; *line != '\0';)
	{
		char *end = strchr(line, '\n');

		*end = '\0';
		if (!str_ends_with(line, "  default"))
		{
			for (const char *c = line; *c != '\0'; c++)
			{
				if (*c != ' ' || c[1] != ' ')
					buf_putc(into, *c);
			}
			buf_putc(into, '\n');
		}
		line = end + 1;
	}
}

static void
run_starts(const Scene *scene, const Start *starts, size_t count)
{
	for (size_t i = 0; i < count; i++)
	{
		AUTO(Settings) settings = NULL;
		AUTO(Error) error = load(scene, &starts[i], &settings);
		AUTO_FREE char *expected = expand(scene, starts[i].expected);
		AUTO_BUF(found, 4096);

		if (error == NULL)
			list_what_is_set(settings, &found);
		else
		{
			assert_int_equal(error_kind(error), ERR_USAGE);
			assert_null(settings);
			buf_puts(&found, error_message(error));
		}
		if (error == NULL ? !str_equal(found.data != NULL ? found.data : "", expected)
		                  : *expected == '\0' || strstr(found.data, expected) == NULL)
			fail_msg("%s: expected \"%s\", found \"%s\"", starts[i].title, expected, found.data);
		if (starts[i].hint != NULL && (error == NULL || error_get_hint(error) == NULL ||
		                               strstr(error_get_hint(error), starts[i].hint) == NULL))
			fail_msg("%s: expected hint \"%s\", found \"%s\"", starts[i].title, starts[i].hint,
			         error != NULL ? error_get_hint(error) : NULL);
	}
}

static void
the_later_source_wins(void **state)
{
	static const Start starts[] = {
		{.title = "nothing", .name_no_file = true, .expected = ""},
		{.title = "default file", .name_no_file = true, .file = "mode=fast", .expected = "mode fast @C:1\n"},
		{.title = "file", .file = "\nmode = fast\n", .expected = "mode fast @C:2\n"},
		{.title = "variable",
	     .file = "",
	     .variables = {"WALSHIP_THE_COUNT=7"},
	     .expected = "the_count 7 environment WALSHIP_THE_COUNT\n"},
		{.title = "flag",
	     .file = "",
	     .flags = {{"the-count", "7"}},
	     .expected = "the_count 7 flag --the-count\n"},
		{.title = "flag with underscore",
	     .file = "",
	     .flags = {{"the_count", "7"}},
	     .expected = "the_count 7 flag --the-count\n"},
		{.title = "variable over file",
	     .file = "the_count=1",
	     .variables = {"WALSHIP_THE_COUNT=2"},
	     .expected = "the_count 2 environment WALSHIP_THE_COUNT\n"},
		{.title = "flag over variable",
	     .file = "the_count=1",
	     .variables = {"WALSHIP_THE_COUNT=2"},
	     .flags = {{"the_count", "3"}},
	     .expected = "the_count 3 flag --the-count\n"},
		{.title = "the last flag",
	     .file = "",
	     .flags = {{"the_count", "3"}, {"the_count", "4"}},
	     .expected = "the_count 4 flag --the-count\n"},
		{.title = "an empty variable is unset",
	     .file = "the_count=1",
	     .variables = {"WALSHIP_THE_COUNT="},
	     .expected = "the_count 1 @C:1\n"},
		{.title = "other variables are not ours",
	     .file = "",
	     .variables = {"WALSHIPPING=1", "HOME=/"},
	     .expected = ""},
		{.title = "each from its own place",
	     .file = "name = n\nwait = 2s",
	     .variables = {"WALSHIP_MODE=fast"},
	     .flags = {{"size", "2MB"}},
	     .expected = "name n @C:1\nmode fast environment WALSHIP_MODE\nsize 2MB flag --size\nwait 2s @C:2\n"},
		{.title = "file named by a variable",
	     .name_no_file = true,
	     .file = "mode=fast",
	     .variables = {"WALSHIP_CONFIG=@C"},
	     .expected = "mode fast @C:1\n"},
	};

	run_starts(*state, starts, lengthof(starts));
}

static void
a_cluster_is_a_section_over_the_lines_above_it(void **state)
{
#define FILE_WITH_CLUSTERS "mode=fast\nname=top\n[cluster a]\nname=A\n[cluster b]\nname=B\nwait=1s\n"
	static const Start starts[] = {
		{.title = "no cluster", .file = FILE_WITH_CLUSTERS, .expected = "name top @C:2\nmode fast @C:1\n"},
		{.title = "option",
	     .file = FILE_WITH_CLUSTERS,
	     .cluster = "b",
	     .expected = "name B @C:6\nmode fast @C:1\nwait 1s @C:7\n"},
		{.title = "variable",
	     .file = FILE_WITH_CLUSTERS,
	     .variables = {"WALSHIP_CLUSTER=a"},
	     .expected = "name A @C:4\nmode fast @C:1\n"},
		{.title = "option over variable",
	     .file = FILE_WITH_CLUSTERS,
	     .variables = {"WALSHIP_CLUSTER=a"},
	     .cluster = "b",
	     .expected = "name B @C:6\nmode fast @C:1\nwait 1s @C:7\n"},
		{.title = "unknown",
	     .file = FILE_WITH_CLUSTERS,
	     .cluster = "c",
	     .expected = "unknown cluster \"c\" in file \"@C\"",
	     .hint = "Its clusters are: a, b."},
		{.title = "none",
	     .file = "",
	     .cluster = "c",
	     .expected = "unknown cluster \"c\"",
	     .hint = "are: none."},
		{.title = "no file",
	     .name_no_file = true,
	     .cluster = "c",
	     .expected = "unknown cluster \"c\": there is no settings file",
	     .hint = "--config"},
		{.title = "wrong in another section",
	     .file = "[cluster a]\nmode=x\n[cluster b]\n",
	     .cluster = "b",
	     .expected = "@C:2: invalid value for setting \"mode\": \"x\""},
		{.title = "unknown in another section",
	     .file = "[cluster a]\nmoed=fast\n",
	     .expected = "@C:2: unknown setting"},
		{.title = "another kind",
	     .file = "[server a]\n",
	     .expected = "@C:1: unknown kind of section \"server\"",
	     .hint = "[cluster a]"},
	};

	run_starts(*state, starts, lengthof(starts));
}

static void
unknown_names_are_refused_with_the_nearest(void **state)
{
	static const Start starts[] = {
		{.title = "key",
	     .file = "\n\nmoed = fast",
	     .expected = "@C:3: unknown setting \"moed\"",
	     .hint = "Did you mean \"mode\"?"},
		{.title = "far key",
	     .file = "zzzzzzzzzzzz = 1",
	     .expected = "@C:1: unknown setting \"zzzzzzzzzzzz\"",
	     .hint = "walship config"},
		{.title = "key with capitals", .file = "MODE = fast", .expected = "@C:1: unknown setting \"MODE\""},
		{.title = "file of what is no secret",
	     .file = "mode_file = /x",
	     .expected = "@C:1: unknown setting \"mode_file\""},
		{.title = "variable",
	     .file = "",
	     .variables = {"WALSHIP_MOED=fast"},
	     .expected = "unknown environment variable \"WALSHIP_MOED\"",
	     .hint = "Did you mean \"WALSHIP_MODE\"?"},
		{.title = "empty variable",
	     .file = "",
	     .variables = {"WALSHIP_MOED="},
	     .expected = "unknown environment variable \"WALSHIP_MOED\""},
		{.title = "variable near WALSHIP_CONFIG",
	     .file = "",
	     .variables = {"WALSHIP_CONFIGS=/x"},
	     .expected = "unknown environment variable",
	     .hint = "\"WALSHIP_CONFIG\""},
		{.title = "flag",
	     .file = "",
	     .flags = {{"the-cuont", "1"}},
	     .expected = "unknown option \"the-cuont\"",
	     .hint = "\"the-count\""},
	};

	run_starts(*state, starts, lengthof(starts));
}

static void
wrong_values_are_refused_with_their_place_and_form(void **state)
{
	static const Start starts[] = {
		{.title = "choice",
	     .file = "mode = fas",
	     .expected = "@C:1: invalid value for setting \"mode\": \"fas\"",
	     .hint = "Write one of slow, fast."},
		{.title = "choices are one of them", .file = "mode = slow|fast", .expected = "invalid value"},
		{.title = "variable",
	     .file = "",
	     .variables = {"WALSHIP_MODE=x"},
	     .expected = "environment variable WALSHIP_MODE: invalid value for setting \"mode\": \"x\""},
		{.title = "flag",
	     .file = "",
	     .flags = {{"the-count", "x"}},
	     .expected = "option --the-count: invalid value for setting \"the_count\": \"x\"",
	     .hint = "Write a whole number from -5 to 64, or auto."},
		{.title = "too large", .file = "the_count = 65", .expected = "invalid value"},
		{.title = "too small", .file = "the_count = -6", .expected = "invalid value"},
		{.title = "far too large", .file = "the_count = 18446744073709551616", .expected = "invalid value"},
		{.title = "just not too large", .file = "the_count = 64", .expected = "the_count 64 @C:1\n"},
		{.title = "just not too small", .file = "the_count = -5", .expected = "the_count -5 @C:1\n"},
		{.title = "auto", .file = "the_count = auto", .expected = "the_count auto @C:1\n"},
		{.title = "auto is not for all",
	     .file = "size = auto",
	     .expected = "invalid value",
	     .hint = "Write a size such as 64MB or 1GB, from 1kB to 16MB."},
		{.title = "size too small", .file = "size = 1023", .expected = "invalid value"},
		{.title = "time",
	     .file = "wait = soon",
	     .expected = "invalid value",
	     .hint = "Write a time such as 500ms, 10s or 5min (a bare number is seconds), from 100ms to 1h."},
		{.title = "empty", .file = "name =", .expected = "@C:1: invalid value for setting \"name\": \"\""},
		{.title = "wrong, but replaced by a later source",
	     .file = "mode = x",
	     .flags = {{"mode", "fast"}},
	     .expected = "@C:1: invalid value"},
	};

	run_starts(*state, starts, lengthof(starts));
}

static void
only_the_default_file_may_be_missing(void **state)
{
	static const Start starts[] = {
		{.title = "default", .name_no_file = true, .expected = ""},
		{.title = "named",
	     .expected = "settings: file \"@C\" does not exist",
	     .hint = "--config or WALSHIP_CONFIG"},
		{.title = "named by a variable",
	     .name_no_file = true,
	     .variables = {"WALSHIP_CONFIG=@C"},
	     .expected = "file \"@C\" does not exist"},
		{.title = "a directory",
	     .name_no_file = true,
	     .variables = {"WALSHIP_CONFIG=/tmp"},
	     .expected = "\"/tmp\" is not a regular file"},
	};

	run_starts(*state, starts, lengthof(starts));
}

static void
secrets_are_masked_and_have_a_file_form_but_no_flag(void **state)
{
	const Scene *scene = *state;
	static const Start starts[] = {
		{.title = "file", .file = "token = s3cret", .expected = "token ******** @C:1\n"},
		{.title = "variable",
	     .file = "",
	     .variables = {"WALSHIP_TOKEN=s3cret"},
	     .expected = "token ******** environment WALSHIP_TOKEN\n"},
		{.title = "file's file", .file = "token_file = @T", .expected = "token ******** @C:1\n"},
		{.title = "variable's file",
	     .file = "",
	     .variables = {"WALSHIP_TOKEN_FILE=@T"},
	     .expected = "token ******** environment WALSHIP_TOKEN_FILE\n"},
		{.title = "variable over file's file",
	     .file = "token_file = @T",
	     .variables = {"WALSHIP_TOKEN=x"},
	     .expected = "token ******** environment WALSHIP_TOKEN\n"},
		{.title = "section over top",
	     .file = "token = x\n[cluster a]\ntoken_file = @T",
	     .cluster = "a",
	     .expected = "token ******** @C:3\n"},
		{.title = "both",
	     .file = "token = x\ntoken_file = @T",
	     .expected = "@C:2: settings \"token\" and \"token_file\" are both given",
	     .hint = "Remove one of them."},
		{.title = "both variables",
	     .file = "",
	     .variables = {"WALSHIP_TOKEN=x", "WALSHIP_TOKEN_FILE=@T"},
	     .expected = "are both given"},
		{.title = "flag", .file = "", .flags = {{"token", "x"}}, .expected = "unknown option \"token\""},
		{.title = "flag's file",
	     .file = "",
	     .flags = {{"token-file", "x"}},
	     .expected = "unknown option \"token-file\""},
		{.title = "missing",
	     .file = "token_file = @T.no",
	     .expected = "@C:1: setting \"token_file\": file \"@T.no\""},
		{.title = "relative",
	     .file = "token_file = token.txt",
	     .expected = "invalid value for setting \"token_file\"",
	     .hint = "absolute path"},
		{.title = "not read for another cluster", .file = "[cluster a]\ntoken_file = @T.no", .expected = ""},
	};

	write_file(scene->token, "from file\n", 0600);
	run_starts(scene, starts, lengthof(starts));
}

static void
the_contents_of_a_secrets_file_are_its_one_line(void **state)
{
	static const struct
	{
		const char *contents;
		const char *expected; /* the secret, or part of the error's message */
	} cases[] = {
		{"word", "word"}, {"two words \r\n", "two words "}, {"word\n\n", "word"},
		{"", "is empty"}, {"\nword\n", "is empty"},         {"word\nmore\n", "has more than one line"},
	};
	const Scene *scene = *state;
	const Start start = {.file = "token_file = @T"};

	for (size_t i = 0; i < lengthof(cases); i++)
	{
		AUTO(Settings) settings = NULL;
		AUTO(Error) error = NULL;

		write_file(scene->token, cases[i].contents, 0600);
		error = load(scene, &start, &settings);
		if (error == NULL)
			assert_string_equal(settings_text(settings, (SettingId) TEST_TOKEN), cases[i].expected);
		else if (strstr(error_message(error), cases[i].expected) == NULL)
			fail_msg("found \"%s\"", error_message(error));
	}
}

/* Modes of a file with a secret; "gid" is the file's group when the test runs as root. */
static void
others_may_not_read_a_file_with_a_secret(void **state)
{
	static const struct
	{
		mode_t mode;
		uid_t owner;
		bool foreign_group;
		bool accepted;
	} cases[] = {
		{0600, 0, false, true},  {0400, 0, false, true},  {0640, 0, false, true},  {0640, 0, true, false},
		{0640, 1, false, false}, {0660, 0, false, false}, {0644, 0, false, false}, {0604, 0, false, false},
		{0650, 0, false, false}, {0700, 0, false, true},
	};
	Scene *scene = *state;
	const Start in_file = {.file = "token_file = @T"};

	for (size_t i = 0; i < lengthof(cases); i++)
	{
		AUTO(Settings) settings = NULL;
		AUTO(Error) error = NULL;
		char mode[8];

		if (geteuid() != 0 && cases[i].mode == 0640)
			continue; /* only root can give files away */
		write_file(scene->token, "word", cases[i].mode);
		if (geteuid() == 0)
			assert_int_equal(chown(scene->token, cases[i].owner, cases[i].foreign_group ? 54321 : getegid()),
			                 0);
		error = load(scene, &in_file, &settings);
		assert_int_equal(error == NULL, cases[i].accepted);
		if (error == NULL)
			continue;
		(void) snprintf(mode, sizeof(mode), "%04o", cases[i].mode);
		assert_non_null(strstr(error_message(error), mode));
		assert_non_null(strstr(error_message(error), scene->token));
		assert_non_null(strstr(error_get_hint(error), "chmod 0600"));
		assert_null(strstr(error_message(error), "word"));
	}
}

/* Loads w.conf as it is. */
static Error *
load_as_it_is(const Scene *scene)
{
	AUTO(Settings) settings = NULL;
	char *const none[] = {NULL};
	SettingsSources sources = {.config_path = scene->config, .environment = none};

	return settings_load_table(&test_table, scene->config, &sources, &settings);
}

static void
the_settings_file_may_be_read_by_all_unless_it_holds_a_secret(void **state)
{
	static const struct
	{
		const char *contents;
		mode_t mode;
		const char *expected; /* NULL: accepted */
	} cases[] = {
		{"mode = fast", 0644, NULL},
		{"mode = fast", 0664, NULL},
		{"mode = fast", 0666, "has mode 0666: everyone may write it"},
		{"mode = fast", 0602, "has mode 0602: everyone may write it"},
		{"token = word", 0644, "holds a secret and has mode 0644"},
		{"[cluster x]\ntoken = word", 0644, "holds a secret and has mode 0644"},
		{"token_file = /nonexistent", 0644, "does not exist"},
		{"# token = word", 0644, NULL},
		{"token = word", 0600, NULL},
	};
	const Scene *scene = *state;

	for (size_t i = 0; i < lengthof(cases); i++)
	{
		AUTO(Error) error = NULL;

		write_file(scene->config, cases[i].contents, cases[i].mode);
		error = load_as_it_is(scene);
		assert_int_equal(error == NULL, cases[i].expected == NULL);
		if (error == NULL)
			continue;
		if (strstr(error_message(error), cases[i].expected) == NULL)
			fail_msg("found \"%s\"", error_message(error));
	}
}

/* Into the server's log, that is. */
static void
a_secret_in_the_place_of_a_path_or_in_a_url_is_not_echoed(void **state)
{
	static const struct
	{
		const char *name;
		const char *value;
		bool shown;
	} cases[] = {
		{"s3_secret_access_key_file", "wJalrXUtnFEMI", false},
		{"s3_secret_access_key_file", "/wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", false},
		{"s3_secret_access_key_file", "/wJalrXUtnFEMI", false},
		{"s3_secret_access_key_file", "/tmp/no-such-file", true},
		{"identity_file", "AGE-SECRET-KEY-1QQPQRSS", false},
		{"passphrase_file", "six words drawn at random", false},
		{"recipients_file", "AGE-SECRET-KEY-1QQPQRSS", false},
		{"s3_endpoint", "https://me:wJalrXUtnFEMI@s3.example.com", false},
		{"store", "s3://me:wJalrXUtnFEMI@bucket/x", false},
		{"s3_ca_file", "relative.pem", true},
	};

	(void) state;
	for (size_t i = 0; i < lengthof(cases); i++)
	{
		AUTO_FREE char *variable = setting_variable_name(cases[i].name);
		AUTO_FREE char *assigned = mem_printf("%s=%s", variable, cases[i].value);
		AUTO_FREE char *user = mem_strndup(cases[i].value, strcspn(cases[i].value, "@"));
		char *const environment[] = {assigned, NULL};
		SettingsSources sources = {.environment = environment};
		AUTO(Settings) settings = NULL;
		AUTO(Error) error = settings_load_table(&setting_table, "/nonexistent", &sources, &settings);

		print_message("  %s\n", cases[i].value);
		assert_non_null(error);
		assert_non_null(strstr(error_message(error), cases[i].name));
		assert_int_equal(strstr(error_message(error), user) != NULL, cases[i].shown);
	}
}

/* One that passes for a path is not shown by "walship config" either. */
static void
a_path_that_may_be_a_secret_is_masked(void **state)
{
	static const char *const values[][2] = {{"/wJalrXUtnFEMI/K7MDENG", "********"},
	                                        {"/tmp/no-such-file", "/tmp/no-such-file"}};

	(void) state;
	for (size_t i = 0; i < lengthof(values); i++)
	{
		AUTO_FREE char *assigned = mem_printf("WALSHIP_IDENTITY_FILE=%s", values[i][0]);
		char *const environment[] = {assigned, NULL};
		SettingsSources sources = {.environment = environment};
		AUTO(Settings) settings = NULL;
		AUTO_BUF(text, 64 * 1024);

		AUTO(Error) error = settings_load_table(&setting_table, "/nonexistent", &sources, &settings);

		assert_null(error);
		settings_list_text(settings, &text);
		assert_non_null(strstr(text.data, values[i][1]));
		assert_int_equal(strstr(text.data, values[i][0]) != NULL, i == 1);
	}
}

static void
values_are_typed(void **state)
{
	AUTO(Settings) settings = NULL;
	AUTO(Error) error =
		load(*state, &(Start){.file = "size=2MB\nthe_count=9\nwait=2s\nname=\"a b\""}, &settings);
	AUTO(Settings) defaults = NULL;

	assert_null(error);
	assert_string_equal(settings_text(settings, (SettingId) TEST_NAME), "a b");
	assert_int_equal(settings_integer(settings, (SettingId) TEST_COUNT), 9);
	assert_int_equal(settings_bytes(settings, (SettingId) TEST_SIZE), 2 << 20);
	assert_int_equal(settings_ms(settings, (SettingId) TEST_WAIT), 2000);
	assert_true(settings_is_set(settings, (SettingId) TEST_COUNT));
	assert_false(settings_is_set(settings, (SettingId) TEST_MODE));

	error = load(*state, &(Start){.file = "the_count = auto"}, &defaults);
	assert_null(error);
	assert_null(settings_text(defaults, (SettingId) TEST_NAME));
	assert_string_equal(settings_text(defaults, (SettingId) TEST_MODE), "slow");
	assert_false(settings_is_set(defaults, (SettingId) TEST_COUNT));
	assert_int_equal(settings_bytes(defaults, (SettingId) TEST_SIZE), 1 << 20);
	assert_int_equal(settings_ms(defaults, (SettingId) TEST_WAIT), 60000);
}

static void
another_process_gets_by_flags_what_it_cannot_see(void **state)
{
	const Scene *scene = *state;
	AUTO(Settings) settings = NULL;
	const Start start = {
		.file = "mode = fast\n[cluster a]\n",
		.variables = {"WALSHIP_NAME=it's me", "WALSHIP_TOKEN=s3cret", "WALSHIP_CLUSTER=a"},
		.flags = {{"the_count", "3"}},
	};
	AUTO(Error) error = load(scene, &start, &settings);
	AUTO_FREE char *expected =
		expand(scene, " --config='@C' --cluster='a' --name='it'\\''s me' --the-count='3'");
	AUTO_BUF(found, 4096);

	assert_null(error);
	assert_string_equal(settings_config_path(settings), scene->config);
	assert_string_equal(settings_cluster(settings), "a");
	settings_append_flags(settings, &found);
	if (strcmp(found.data, expected) != 0)
		fail_msg("found \"%s\"", found.data);
}

static void
a_secret_in_the_place_of_its_file_goes_into_no_command_line(void **state)
{
	char *environment[] = {(char *) "WALSHIP_HEARTBEAT_URL=https://hc-ping.com/s3cret",
	                       (char *) "WALSHIP_IDENTITY_FILE=/nonexistent/walship/key", NULL};
	const SettingsSources sources = {.config_path = TEST_DATA_DIR "/empty.conf", .environment = environment};
	AUTO(Settings) settings = NULL;
	AUTO(Error) error = settings_load(&sources, &settings);
	AUTO_BUF(found, 4096);
	AUTO_BUF(listed, 64 * 1024);

	assert_null(error);
	settings_append_flags(settings, &found);
	assert_null(strstr(found.data, "s3cret"));
	assert_non_null(strstr(found.data, " --identity-file='/nonexistent/walship/key'"));
	settings_list_text(settings, &listed);
	assert_null(strstr(listed.data, "s3cret"));
	(void) state;
}

static void
json_has_numbers_for_numbers(void **state)
{
	AUTO(Settings) settings = NULL;
	AUTO(Error) error = load(*state, &(Start){.file = "size = 2MB\ntoken = s3cret"}, &settings);
	AUTO(Json) object = json_new_object();
	AUTO_BUF(text, 8192);

	assert_null(error);
	settings_list_json(settings, object);
	json_print(object, true, &text);
	assert_non_null(strstr(text.data,
	                       "{\"name\":\"name\",\"value\":null,\"text\":null,\"origin\":\"default\","
	                       "\"source\":null}"));
	assert_non_null(strstr(text.data, "\"name\":\"the_count\",\"value\":\"auto\",\"text\":\"auto\""));
	assert_non_null(
		strstr(text.data, "\"name\":\"size\",\"value\":2097152,\"text\":\"2MB\",\"origin\":\"file\""));
	assert_non_null(strstr(text.data, "\"name\":\"wait\",\"value\":60000,\"text\":\"1min\""));
	assert_non_null(strstr(text.data, "\"cluster\":null"));
	assert_null(strstr(text.data, "s3cret"));
}

static void
help_and_documentation_come_from_the_rows(void **state)
{
	AUTO_BUF(text, 64 * 1024);

	(void) state;
	settings_describe_help_of(&test_table, &text);
	assert_non_null(strstr(text.data, "  --mode MODE                    h: slow|fast (default slow)\n"));
	assert_non_null(strstr(text.data, "  WALSHIP_TOKEN                  h\n"));
	assert_null(strstr(text.data, "--token"));
	settings_describe_markdown_of(&test_table, &text);
	assert_non_null(strstr(text.data, "| option | `--the-count N` |\n"));
	assert_non_null(strstr(text.data, "| environment | `WALSHIP_TOKEN` or `WALSHIP_TOKEN_FILE` |\n"));
	assert_null(strstr(text.data, "--token"));
	assert_false(text.overflowed);
}

/* The table of the program itself. */
static void
every_row_is_complete_and_its_default_allowed(void **state)
{
	(void) state;
	for (size_t i = 0; i < setting_table.count; i++)
	{
		const SettingRow *row = &setting_table.rows[i];
		int64_t number;

		if (row->help == NULL || row->doc == NULL || row->placeholder == NULL)
			fail_msg("%s lacks a text", row->name);
		if (row->fallback != NULL && !setting_parse(row, row->fallback, &number))
			fail_msg("%s: default \"%s\" is not allowed", row->name, row->fallback);
		if (row->check != NULL && row->form == NULL)
			fail_msg("%s has a check without words for it", row->name);
	}
}

static void
the_rows_of_the_program_allow_what_they_say(void **state)
{
	static const struct
	{
		const char *name;
		const char *text;
		bool allowed;
	} cases[] = {
		{"store", "file:///srv/w", true},
		{"store", "s3://bucket/prefix", true}, /* which schemes exist, the stores know */
		{"store", "/srv/w", false},
		{"store", "file://", false},
		{"store", "FILE:///x", false},
		{"system", "7300000000000000001", true},
		{"system", "auto", true},
		{"system", "0", false},
		{"system", "main", false},
		{"state_dir", "/x", true},
		{"state_dir", "x", false},
		{"jobs", "0", false},
		{"jobs", "65", false},
		{"part_size", "15MB", false},
		{"part_size", "16GB", true},
		{"push_deadline", "10", true},
		{"push_deadline", "0", false},
		{"timezone", "Europe/Berlin", true},
		{"timezone", "local", true},
		{"timezone", "+01", true},
		{"timezone", "CEST", false},
		{"timezone", "Berlin", false},
		{"log_level", "warning", true},
		{"log_level", "verbose", false},
		{"compression", "gzip", false},
		{"compression_level", "auto", true},
		{"compression_level", "23", false},
	};

	(void) state;
	for (size_t i = 0; i < lengthof(cases); i++)
	{
		const SettingRow *row = setting_find(&setting_table, cases[i].name);
		int64_t number;

		assert_non_null(row);
		if (setting_parse(row, cases[i].text, &number) != cases[i].allowed)
			fail_msg("%s = %s", cases[i].name, cases[i].text);
	}
	assert_true(settings_is_flag("state-dir"));
	assert_true(settings_is_flag("state_dir"));
	assert_false(settings_is_flag("config"));
}

/* By the program's own rows: what a section [store NAME] says, and what it keeps out. */
static void
a_store_has_only_what_its_section_says(void **state)
{
	static const struct
	{
		const char *title;
		const char *section;  /* below [store offsite] */
		const char *store;    /* the flag --store; NULL: not given */
		const char *region;   /* the flag --s3-region; NULL: not given */
		const char *other;    /* asked of settings_of_store(); NULL: the settings themselves */
		const char *expected; /* URL, region, access key, jobs; or part of the error */
	} cases[] = {
		{"a URL takes all the others along", "store = s3://b/p\n", NULL, NULL, "file:///disk",
	     "file:///disk here AKIA 7"},
		{"a name takes nothing along but what is no store's", "store = s3://b/p\n", NULL, NULL, "offsite",
	     "s3://b/p - - 7"},
		{"it has its own", "store = s3://b/p\ns3_region = there\n", NULL, NULL, "offsite",
	     "s3://b/p there - 7"},
		{"it can be the store of a command", "store = s3://b/p\n", "offsite", NULL, NULL, "s3://b/p - - 7"},
		{"and then the file's store is a URL as before", "store = s3://b/p\n", "offsite", NULL, "file:///x",
	     "file:///x - - 7"},
		{"no flag stands beside it", "store = s3://b/p\n", "offsite", "mine", NULL,
	     "option --s3-region does not go with store \"offsite\""},
		{"a flag of the first store does not matter for another one", "store = s3://b/p\n", NULL, "mine",
	     "offsite", "s3://b/p - - 7"},
		{"a section without a store", "s3_region = there\n", NULL, NULL, "offsite",
	     "section [store offsite] does not say where the store is"},
		{"a section that names itself", "store = offsite\n", NULL, NULL, "offsite", "does not say where"},
		{"an unknown name", "store = s3://b/p\n", NULL, NULL, "offside", "unknown store \"offside\""},
		{"an unknown name of a command's store", "store = s3://b/p\n", "offside", NULL, NULL,
	     "unknown store"},
		{"what is no store's", "jobs = 3\n", NULL, NULL, NULL, "setting \"jobs\" is not one of a store"},
		{"what is nobody's", "s3_regoin = x\n", NULL, NULL, NULL, "unknown setting \"s3_regoin\""},
		{"neither a URL nor a name", "store = s3://b/p\n", NULL, NULL, "s3:/b",
	     "invalid value for setting \"store\""},
	};
	Scene *scene = *state;

	for (size_t i = 0; i < lengthof(cases); i++)
	{
		AUTO_FREE char *file = mem_printf(
			"store = file:///here\ns3_region = here\njobs = 7\n[store offsite]\n%s", cases[i].section);
		char variable[] = "WALSHIP_S3_ACCESS_KEY_ID=AKIA";
		char *environment[] = {variable, NULL};
		SettingFlag flags[2];
		SettingsSources sources = {.config_path = scene->config, .environment = environment, .flags = flags};
		AUTO(Settings) settings = NULL;
		AUTO(Settings) other = NULL;
		AUTO(Error) error = NULL;

		write_file(scene->config, file, 0600);
		if (cases[i].store != NULL)
			flags[sources.n_flags++] = (SettingFlag){"store", cases[i].store};
		if (cases[i].region != NULL)
			flags[sources.n_flags++] = (SettingFlag){"s3-region", cases[i].region};
		error = settings_load(&sources, &settings);
		if (error == NULL && cases[i].other != NULL)
			error = settings_of_store(settings, cases[i].other, &other);

		const Settings *asked = cases[i].other != NULL ? other : settings;
		const char *region = error == NULL ? settings_text(asked, SETTING_s3_region) : NULL;
		const char *key = error == NULL ? settings_text(asked, SETTING_s3_access_key_id) : NULL;
		AUTO_FREE char *found = error != NULL
		                            ? mem_strdup(error_message(error))
		                            : mem_printf("%s %s %s %lld", settings_text(asked, SETTING_store),
		                                         region == NULL ? "-" : region, key == NULL ? "-" : key,
		                                         (long long) settings_integer(asked, SETTING_jobs));

		assert_true(error == NULL || error_is(error, ERR_USAGE));
		if (strstr(found, cases[i].expected) == NULL)
			fail_msg("%s: %s", cases[i].title, found);
	}
}

/* A command that recover writes down has the name again, and none of what the name stands for. */
static void
the_name_of_a_store_is_handed_on(void **state)
{
	Scene *scene = *state;
	SettingFlag flag = {"store", "offsite"};
	SettingsSources sources = {.config_path = scene->config, .flags = &flag, .n_flags = 1};
	AUTO(Settings) settings = NULL;
	AUTO_BUF(flags, 4096);
	AUTO_FREE char *expected = NULL;

	write_file(scene->config, "store = file:///here\n[store offsite]\nstore = file:///there\n", 0600);
	assert_null(settings_load(&sources, &settings));
	settings_append_flags(settings, &flags);
	expected = expand(scene, " --config='@C' --store='offsite'");
	assert_string_equal(flags.data, expected);
}

#define SCENE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		SCENE(the_later_source_wins),
		SCENE(a_cluster_is_a_section_over_the_lines_above_it),
		SCENE(unknown_names_are_refused_with_the_nearest),
		SCENE(wrong_values_are_refused_with_their_place_and_form),
		SCENE(only_the_default_file_may_be_missing),
		SCENE(secrets_are_masked_and_have_a_file_form_but_no_flag),
		SCENE(the_contents_of_a_secrets_file_are_its_one_line),
		SCENE(others_may_not_read_a_file_with_a_secret),
		SCENE(the_settings_file_may_be_read_by_all_unless_it_holds_a_secret),
		cmocka_unit_test(a_secret_in_the_place_of_a_path_or_in_a_url_is_not_echoed),
		cmocka_unit_test(a_path_that_may_be_a_secret_is_masked),
		SCENE(values_are_typed),
		SCENE(another_process_gets_by_flags_what_it_cannot_see),
		SCENE(a_secret_in_the_place_of_its_file_goes_into_no_command_line),
		SCENE(json_has_numbers_for_numbers),
		SCENE(a_store_has_only_what_its_section_says),
		SCENE(the_name_of_a_store_is_handed_on),
		cmocka_unit_test(help_and_documentation_come_from_the_rows),
		cmocka_unit_test(every_row_is_complete_and_its_default_allowed),
		cmocka_unit_test(the_rows_of_the_program_allow_what_they_say),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
