/* The command line of a command, by its table. */
#include "invocation.h"

#include "scratch.h"
#include "walship/base/strs.h"

static const CommandOption options[] = {
	{"plan", OPTION_FLAG, NULL, ""},
	{"pgdata", OPTION_VALUE, "DIR", ""},
	{"map", OPTION_MANY, "OLD=NEW", ""},
};

static const Command command = {
	.name = "try",
	.arguments = "NAME DEST",
	.n_arguments = 2,
	.options = options,
	.n_options = lengthof(options),
};

#define WORDS_MAX 8

/* Words that can be written to, as main()'s, for as long as the invocation. */
typedef struct Line
{
	char *words[WORDS_MAX];
	int count;
	Invocation invocation;
} Line;

static Error *
parse(Line *line, const char *const words[WORDS_MAX])
{
	*line = (Line){.invocation = {.command = &command}};
	while (line->count < WORDS_MAX && words[line->count] != NULL)
	{
		line->words[line->count] = mem_strdup(words[line->count]);
		line->count++;
	}
	return invocation_parse(&line->invocation, line->count, line->words);
}

static void
release(Line *line)
{
	invocation_release(&line->invocation);
	for (int i = 0; i < line->count; i++)
		free(line->words[i]);
}

typedef struct Wrong
{
	const char *name;
	const char *words[WORDS_MAX];
	const char *message;
	const char *hint; /* NULL: none */
} Wrong;

static const Wrong wrong[] = {
	{"unknown and near", {"--plam", "a", "b"}, "unknown option \"--plam\"", "Did you mean \"--plan\"?"},
	{"unknown with a value", {"--pgdat=x", "a", "b"}, "unknown option \"--pgdat\"", "\"--pgdata\"?"},
	{"near to a setting", {"--stroe=x", "a", "b"}, "unknown option \"--stroe\"", "\"--store\"?"},
	{"near to what all have", {"--confg", "x"}, "unknown option \"--confg\"", "\"--config\"?"},
	{"near to help", {"--hlep"}, "unknown option \"--hlep\"", "\"--help\"?"},
	{"far from all", {"--xyzzy"}, "unknown option \"--xyzzy\"", "Try \"walship try --help\"."},
	{"a single dash", {"-plan"}, "unknown option \"-plan\"", "Did you mean \"--plan\"?"},
	{"a letter", {"-x"}, "unknown option \"-x\"", "Try \"walship try --help\"."},
	{"a name that only begins alike", {"--planet"}, "unknown option \"--planet\"", "\"--plan\"?"},
	{"no name", {"--=x"}, "unknown option \"--\"", ""},
	{"value missing", {"a", "b", "--pgdata"}, "option \"--pgdata\" needs a value", NULL},
	{"value of a setting missing", {"a", "b", "--store"}, "option \"--store\" needs a value", NULL},
	{"value of config missing", {"--config"}, "option \"--config\" needs a value", NULL},
	{"flag with a value", {"--plan=yes"}, "option \"--plan\" takes no value", NULL},
	{"twice", {"--pgdata", "x", "--pgdata=y"}, "option \"--pgdata\" is given twice", NULL},
	{"flag twice", {"--plan", "--plan"}, "option \"--plan\" is given twice", NULL},
	{"setting twice", {"--store=x", "--store", "y"}, "option \"--store\" is given twice", NULL},
	{"cluster twice", {"--cluster=x", "--cluster=x"}, "option \"--cluster\" is given twice", NULL},
	{"config twice", {"--config=x", "--config=x"}, "option \"--config\" is given twice", NULL},
	{"no argument", {NULL}, "missing argument", "Usage: walship try [OPTION]... NAME DEST"},
	{"one argument", {"a"}, "missing argument", "NAME DEST"},
	{"three arguments", {"a", "b", "c"}, "too many arguments, the first one is \"c\"", "--help"},
	{"too many behind the dashes", {"a", "b", "--", "--plan"}, "the first one is \"--plan\"", "--help"},
};

static void
what_is_wrong_is_named_with_its_remedy(void **state)
{
	(void) state;
	for (size_t i = 0; i < lengthof(wrong); i++)
	{
		Line line;
		Error *error = parse(&line, wrong[i].words);

		print_message("  %s\n", wrong[i].name);
		assert_non_null(error);
		if (wrong[i].hint == NULL)
			assert_null(error_get_hint(error));
		else
			assert_non_null(strstr(error_get_hint(error), wrong[i].hint));
		assert_error(error, ERR_USAGE, wrong[i].message);
		release(&line);
	}
}

typedef struct Right
{
	const char *name;
	const char *words[WORDS_MAX];
	const char *pgdata;
	bool plan;
	const char *first;
	const char *second;
} Right;

static const Right right[] = {
	{"arguments only", {"a", "b"}, NULL, false, "a", "b"},
	{"value in the next word", {"--pgdata", "x", "a", "b"}, "x", false, "a", "b"},
	{"value behind the sign", {"--pgdata=x", "a", "b"}, "x", false, "a", "b"},
	{"only the first sign counts", {"--pgdata=x=y", "a", "b"}, "x=y", false, "a", "b"},
	{"empty value", {"--pgdata=", "a", "b"}, "", false, "a", "b"},
	{"value that looks like an option", {"--pgdata", "--plan", "a", "b"}, "--plan", false, "a", "b"},
	{"value that is two dashes", {"--pgdata", "--", "a", "b"}, "--", false, "a", "b"},
	{"options between and behind", {"a", "--plan", "b", "--pgdata", "x"}, "x", true, "a", "b"},
	{"dashes end the options", {"--plan", "--", "--pgdata", "-x"}, NULL, true, "--pgdata", "-x"},
	{"dashes after dashes", {"--", "--", "b"}, NULL, false, "--", "b"},
	{"a dash alone", {"-", "b"}, NULL, false, "-", "b"},
	{"empty arguments", {"", ""}, NULL, false, "", ""},
};

static void
options_and_arguments_are_told_apart(void **state)
{
	(void) state;
	for (size_t i = 0; i < lengthof(right); i++)
	{
		const Right *row = &right[i];
		Line line;

		print_message("  %s\n", row->name);
		assert_ok(parse(&line, row->words));
		assert_true(str_equal(invocation_value(&line.invocation, "pgdata"), row->pgdata));
		assert_int_equal(invocation_flag(&line.invocation, "plan"), row->plan);
		assert_string_equal(invocation_argument(&line.invocation, 0), row->first);
		assert_string_equal(invocation_argument(&line.invocation, 1), row->second);
		assert_null(invocation_argument(&line.invocation, 2));
		release(&line);
	}
}

static void
what_may_be_repeated_keeps_its_order(void **state)
{
	static const char *const words[WORDS_MAX] = {"--map", "1", "--map=2", "a", "b", "--map", "3"};
	Line line;

	(void) state;
	assert_ok(parse(&line, words));
	assert_int_equal(invocation_count(&line.invocation, "map"), 3);
	assert_string_equal(invocation_nth(&line.invocation, "map", 0), "1");
	assert_string_equal(invocation_nth(&line.invocation, "map", 1), "2");
	assert_string_equal(invocation_nth(&line.invocation, "map", 2), "3");
	assert_null(invocation_nth(&line.invocation, "map", 3));
	assert_null(invocation_nth(&line.invocation, "pgdata", 0));
	release(&line);
}

static void
settings_are_kept_for_those_who_read_them(void **state)
{
	static const char *const words[WORDS_MAX] = {
		"--store=file:///a=b", "--push-deadline", "5s", "--cluster", "main", "--config=/x", "a", "b"};
	Line line;

	(void) state;
	assert_ok(parse(&line, words));
	assert_int_equal(line.invocation.n_flags, 2);
	assert_string_equal(line.invocation.flags[0].name, "store");
	assert_string_equal(line.invocation.flags[0].value, "file:///a=b");
	assert_string_equal(line.invocation.flags[1].name, "push-deadline");
	assert_string_equal(line.invocation.flags[1].value, "5s");
	assert_string_equal(line.invocation.cluster, "main");
	assert_string_equal(line.invocation.config_path, "/x");
	release(&line);
}

static void
help_needs_no_arguments(void **state)
{
	static const char *const words[][WORDS_MAX] = {{"--help"}, {"-h"}, {"a", "--help"}, {"--plan", "-h"}};
	static const char *const behind[WORDS_MAX] = {"--", "-h", "--help"};
	Line line;

	(void) state;
	for (size_t i = 0; i < lengthof(words); i++)
	{
		assert_ok(parse(&line, words[i]));
		assert_true(line.invocation.help);
		release(&line);
	}
	assert_ok(parse(&line, behind));
	assert_false(line.invocation.help);
	release(&line);
}

static void
what_was_understood_before_an_error_stays(void **state)
{
	static const char *const words[WORDS_MAX] = {"000000010000000000000001", "dest", "--nonsense"};
	Line line;

	(void) state;
	assert_error(parse(&line, words), ERR_USAGE, "unknown option");
	assert_string_equal(invocation_argument(&line.invocation, 1), "dest");
	release(&line);
}

static void
arguments_may_be_optional(void **state)
{
	static const Command optional = {.name = "try", .arguments = "A [B]", .n_arguments = 1, .n_optional = 1};
	static const struct
	{
		int given;
		const char *message; /* NULL: fine */
	} rows[] = {
		{0, "missing argument"}, {1, NULL}, {2, NULL}, {3, "too many arguments, the first one is \"c\""}};
	char a[] = "a";
	char b[] = "b";
	char c[] = "c";
	char *words[] = {a, b, c};

	(void) state;
	for (size_t i = 0; i < lengthof(rows); i++)
	{
		Invocation invocation = {.command = &optional};
		AUTO(Error) error = invocation_parse(&invocation, rows[i].given, words);

		if (rows[i].message == NULL)
		{
			assert_null(error);
			assert_string_equal(invocation_argument(&invocation, 0), "a");
			assert_true(str_equal(invocation_argument(&invocation, 1), rows[i].given == 2 ? "b" : NULL));
		}
		else
			assert_string_equal(error_message(error), rows[i].message);
		invocation_release(&invocation);
	}
}

/* Of a command without arguments. */
static const CommandOption maybe_options[] = {
	{"which", OPTION_MAYBE, "N", ""},
	{"plan", OPTION_FLAG, NULL, ""},
};
static const Command maybe_command = {
	.name = "try", .arguments = "", .options = maybe_options, .n_options = lengthof(maybe_options)};

static void
a_value_may_be_left_out(void **state)
{
	static const struct
	{
		const char *words[WORDS_MAX];
		const char *value;
	} table[] = {
		{{"--which"}, NULL}, {{"--which", "3"}, "3"},        {{"--which=3"}, "3"},
		{{"--which="}, ""},  {{"--which=--plan"}, "--plan"}, {{"--which", "--plan"}, NULL},
	};

	(void) state;
	for (size_t i = 0; i < lengthof(table); i++)
	{
		Line line = {.invocation = {.command = &maybe_command}};

		for (; line.count < WORDS_MAX && table[i].words[line.count] != NULL; line.count++)
			line.words[line.count] = mem_strdup(table[i].words[line.count]);
		error_free(invocation_parse(&line.invocation, line.count, line.words));
		assert_true(invocation_flag(&line.invocation, "which"));
		assert_true(str_equal(invocation_value(&line.invocation, "which"), table[i].value));
		release(&line);
	}
}

static void
flags_are_repeated_for_another_command(void **state)
{
	const char *const words[WORDS_MAX] = {"--config",    "/a b", "--store=x'y", "--plan", "a",
	                                      "--cluster=c", "b"};
	Line line;
	AUTO_BUF(text, 4096);

	(void) state;
	assert_ok(parse(&line, words));
	invocation_append_flags(&line.invocation, &text);
	assert_string_equal(text.data, " --config='/a b' --cluster='c' --store='x'\\''y'");
	release(&line);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_value_may_be_left_out),
		cmocka_unit_test(flags_are_repeated_for_another_command),
		cmocka_unit_test(what_is_wrong_is_named_with_its_remedy),
		cmocka_unit_test(options_and_arguments_are_told_apart),
		cmocka_unit_test(what_may_be_repeated_keeps_its_order),
		cmocka_unit_test(settings_are_kept_for_those_who_read_them),
		cmocka_unit_test(help_needs_no_arguments),
		cmocka_unit_test(what_was_understood_before_an_error_stays),
		cmocka_unit_test(arguments_may_be_optional),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
