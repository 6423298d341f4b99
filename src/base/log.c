/* Lines on stderr, as text or JSON. */
#include "walship/base/log.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "walship/base/buf.h"
#include "walship/base/clock.h"
#include "walship/base/json.h"
#include "walship/base/mem.h"
#include "walship/base/strs.h"

#define LINE_MAX_SIZE (256 * 1024)

/* Longer ones are cut: a line that does not fit would be lost, and JSON needs up to six bytes for one. */
#define MESSAGE_MAX (16 * 1024)

/* Set once by main, before there is a second thread. */
static struct
{
	LogLevel level;
	LogFormat format;
	bool stamp;
} log_settings = {LOG_INFO, LOG_TEXT, false};

void
log_configure(LogLevel level, LogFormat format)
{
	log_settings.level = level;
	log_settings.format = format;
}

void
log_stamp(bool stamp)
{
	log_settings.stamp = stamp;
}

/* "2026-11-20 02:30:07.123 UTC [4711] ".  The caller frees. */
static char *
stamp_text(void)
{
	TimeUs now = clock_now();
	char time[TIME_TEXT_SIZE];

	if (!log_settings.stamp)
		return mem_strdup("");
	return mem_printf("%.19s.%03d UTC [%d] ", time_format_postgres(now, time), (int) (now / 1000 % 1000),
	                  (int) getpid());
}

bool
log_enabled(LogLevel level)
{
	return level <= log_settings.level;
}

/* PostgreSQL's words for them: they stand in the server's log between its own lines. */
static const char *
level_name(LogLevel level)
{
	static const char *const names[] = {"ERROR", "WARNING", "INFO", "DEBUG"};

	return names[level];
}

void
log_line(LogLevel level, const char *hint, const char *format, ...)
{
	if (!log_enabled(level))
		return;

	va_list arguments;
	AUTO_BUF(line, LINE_MAX_SIZE);

	va_start(arguments, format);
	AUTO_FREE char *message = mem_vprintf(format, arguments);
	va_end(arguments);
	AUTO_FREE char *short_hint = hint == NULL ? NULL : mem_strndup(hint, MESSAGE_MAX);

	if (strlen(message) > MESSAGE_MAX)
		message[MESSAGE_MAX] = '\0';

	if (log_settings.format == LOG_JSON)
	{
		AUTO(Json) object = json_new_object();

		json_add_time(object, "time", clock_now());
		json_add_int(object, "pid", getpid());
		json_add_string(object, "level", level_name(level));
		json_add_string(object, "message", message);
		if (short_hint != NULL)
			json_add_string(object, "hint", short_hint);
		json_print(object, true, &line);
	}
	else
	{
		AUTO_FREE char *clean = str_printable(message);
		AUTO_FREE char *stamp = stamp_text();

		buf_printf(&line, "%swalship: %s:  %s\n", stamp, level_name(level), clean);
		if (short_hint != NULL)
		{
			AUTO_FREE char *clean_hint = str_printable(short_hint);

			buf_printf(&line, "%swalship: HINT:  %s\n", stamp, clean_hint);
		}
	}

	/* One write per line, so that threads and processes do not mix theirs. */
	(void) fwrite(line.data, 1, line.size, stderr);
	(void) fflush(stderr);
}

void
log_of_error(LogLevel level, const Error *error)
{
	log_line(level, error_get_hint(error), "%s", error_message(error));
}

static void
tell(void *context, LogLevel level, const char *message, const char *hint)
{
	(void) context;
	log_line(level, hint, "%s", message);
}

Notices
log_notices(void)
{
	return (Notices){.tell = tell};
}
