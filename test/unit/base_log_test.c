/* Lines on stderr, caught in a file. */
#include "walship/base/log.h"

#include <fcntl.h>
#include <regex.h>
#include <unistd.h>

#include "scratch.h"
#include "walship/base/json.h"

/* What "body" prints on stderr. */
static void
catch_stderr(void (*body)(const void *), const void *argument, Buf *ret_text)
{
	char *directory = scratch_make();
	AUTO_FREE char *path = path_join(directory, "stderr");
	int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	int saved = dup(STDERR_FILENO);

	(void) fflush(stderr);
	assert_int_equal(dup2(file, STDERR_FILENO), STDERR_FILENO);
	body(argument);
	(void) fflush(stderr);
	assert_int_equal(dup2(saved, STDERR_FILENO), STDERR_FILENO);
	(void) close(saved);
	(void) close(file);
	assert_ok(file_read_all(path, ret_text));
	scratch_remove(directory);
}

typedef struct Line
{
	const char *name;
	LogLevel configured;
	LogLevel level;
	const char *hint;
	const char *message;
	const char *text; /* expected */
} Line;

static void
print_line(const void *argument)
{
	const Line *line = argument;

	log_line(line->level, line->hint, "%s", line->message);
}

static const Line lines[] = {
	{"error", LOG_ERROR, LOG_ERROR, NULL, "no", "walship: ERROR:  no\n"},
	{"hint on a line of its own", LOG_INFO, LOG_WARNING, "Do this.", "no",
     "walship: WARNING:  no\nwalship: HINT:  Do this.\n"},
	{"info", LOG_INFO, LOG_INFO, NULL, "x %s %n", "walship: INFO:  x %s %n\n"},
	{"what a terminal would obey", LOG_ERROR, LOG_ERROR, "Do\r\nwalship: ERROR:  that.",
     "\x1B]0;title\x07 \xC2\x9B\x33\x31m \xE2\x80\xAEgnp.exe\n",
     "walship: ERROR:  ?]0;title? ?31m ?gnp.exe?\nwalship: HINT:  Do??walship: ERROR:  that.\n"},
	{"debug", LOG_DEBUG, LOG_DEBUG, NULL, "x", "walship: DEBUG:  x\n"},
	{"below the level", LOG_INFO, LOG_DEBUG, "Hint.", "x", ""},
	{"far below the level", LOG_ERROR, LOG_DEBUG, NULL, "x", ""},
};

static void
text_lines_look_like_the_servers(void **state)
{
	(void) state;
	for (size_t i = 0; i < lengthof(lines); i++)
	{
		AUTO_BUF(text, 4096);

		print_message("  %s\n", lines[i].name);
		log_configure(lines[i].configured, LOG_TEXT);
		assert_int_equal(log_enabled(lines[i].level), lines[i].text[0] != '\0');
		catch_stderr(print_line, &lines[i], &text);
		assert_string_equal(text.data, lines[i].text);
	}
}

static void
in_a_servers_log_they_begin_as_its_own(void **state)
{
	static const Line line = {"", LOG_INFO, LOG_WARNING, "Do this.", "a message", ""};
	AUTO_BUF(text, 4096);
	AUTO_FREE char *pattern =
		mem_printf("^[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}[.][0-9]{3} UTC "
	               "\\[%d\\] walship: (WARNING:  a message|HINT:  Do this[.])$",
	               (int) getpid());
	regex_t form;
	char *rest;

	(void) state;
	log_configure(LOG_INFO, LOG_TEXT);
	log_stamp(true);
	catch_stderr(print_line, &line, &text);
	log_stamp(false);
	assert_int_equal(regcomp(&form, pattern, REG_EXTENDED | REG_NOSUB), 0);
	for (int i = 0; i < 2; i++)
		assert_int_equal(regexec(&form, strtok_r(i == 0 ? text.data : NULL, "\n", &rest), 0, NULL, 0), 0);
	assert_null(strtok_r(NULL, "\n", &rest));
	regfree(&form);
}

static void
json_lines_are_one_document_each(void **state)
{
	static const Line line = {"", LOG_INFO, LOG_WARNING, "Do\n\"this\".", "two\nlines \\ \x01", ""};
	AUTO_BUF(text, 4096);
	AUTO(Json) root = NULL;
	const char *value;
	TimeUs time;
	int64_t pid;

	(void) state;
	log_configure(LOG_INFO, LOG_JSON);
	catch_stderr(print_line, &line, &text);
	assert_ptr_equal(strchr(text.data, '\n'), text.data + text.size - 1);
	assert_ok(json_parse(text.data, text.size, "line", &root));
	assert_ok(json_get_int(root, "pid", &pid));
	assert_int_equal(pid, getpid());
	assert_ok(json_get_string(root, "level", &value));
	assert_string_equal(value, "WARNING");
	assert_ok(json_get_string(root, "message", &value));
	assert_string_equal(value, line.message);
	assert_ok(json_get_string(root, "hint", &value));
	assert_string_equal(value, line.hint);
	assert_true(time_parse_utc(json_string_value(json_get(root, "time")), &time));
	assert_true(time > INT64_C(1600000000000000));
}

static void
tell_error(const void *argument)
{
	log_of_error(LOG_ERROR, argument);
}

static void
an_error_is_told_with_its_hint(void **state)
{
	AUTO(Error) error = error_hint(error_new(ERR_DENIED, "100%% %s", "%s"), "Ask.");
	AUTO_BUF(text, 4096);

	(void) state;
	log_configure(LOG_INFO, LOG_TEXT);
	catch_stderr(tell_error, error, &text);
	assert_string_equal(text.data, "walship: ERROR:  100% %s\nwalship: HINT:  Ask.\n");
}

static void
a_message_beyond_all_measure_is_cut_and_not_lost(void **state)
{
	const size_t size = 1000000;
	AUTO_FREE char *longest = mem_alloc(size + 1);
	Line line = {"", LOG_INFO, LOG_ERROR, longest, longest, ""};

	(void) state;
	memset(longest, '\x01', size);
	longest[size] = '\0';
	for (int format = LOG_TEXT; format <= LOG_JSON; format++)
	{
		AUTO_BUF(text, size);

		log_configure(LOG_INFO, (LogFormat) format);
		catch_stderr(print_line, &line, &text);
		assert_in_range(text.size, 32 * 1024, 256 * 1024);
		assert_int_equal(text.data[text.size - 1], '\n');
		assert_non_null(strstr(text.data, "ERROR"));
	}
}

static void
give_notices(const void *argument)
{
	const Notices notices = log_notices();
	const Notices nobody = {0};
	AUTO(Error) error = error_hint(error_new(ERR_CORRUPT, "spoilt"), "Look.");

	(void) argument;
	notice(&notices, LOG_WARNING, "Do this.", "%s at %d", "no", 7);
	notice(&notices, LOG_DEBUG, NULL, "below the level");
	notice_of_error(&notices, LOG_INFO, error);
	notice_of_error(&notices, LOG_ERROR, NULL);
	notice(&nobody, LOG_ERROR, NULL, "to nobody");
}

static void
notices_become_lines_where_somebody_listens(void **state)
{
	AUTO_BUF(text, 4096);

	(void) state;
	log_configure(LOG_INFO, LOG_TEXT);
	catch_stderr(give_notices, NULL, &text);
	assert_string_equal(text.data, "walship: WARNING:  no at 7\nwalship: HINT:  Do this.\n"
	                               "walship: INFO:  spoilt\nwalship: HINT:  Look.\n");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_lines_look_like_the_servers),
		cmocka_unit_test(in_a_servers_log_they_begin_as_its_own),
		cmocka_unit_test(json_lines_are_one_document_each),
		cmocka_unit_test(an_error_is_told_with_its_hint),
		cmocka_unit_test(a_message_beyond_all_measure_is_cut_and_not_lost),
		cmocka_unit_test(notices_become_lines_where_somebody_listens),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
