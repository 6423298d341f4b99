/*
 * Talk: lines on stderr.  Only src/command and main.c use this; the folders
 * below return errors.  Under archive_command and restore_command stderr is
 * the server's log.
 */
#pragma once

#include <stdbool.h>

#include "walship/base/error.h"
#include "walship/base/notice.h"

typedef enum LogFormat
{
	LOG_TEXT,
	LOG_JSON,
} LogFormat;

void log_configure(LogLevel level, LogFormat format);
/* Lines of text begin with time and process, as the server's do by default (log_line_prefix). */
void log_stamp(bool stamp);

bool log_enabled(LogLevel level);
void log_line(LogLevel level, const char *hint, const char *format, ...) PRINTF_LIKE(3, 4);

/* Message and hint of an error, at the given level.  Does not free it. */
void log_of_error(LogLevel level, const Error *error);

/* What the folders below have to say, as lines of the log. */
Notices log_notices(void);

#define log_warning(...) log_line(LOG_WARNING, NULL, __VA_ARGS__)
#define log_info(...)    log_line(LOG_INFO, NULL, __VA_ARGS__)
#define log_debug(...)   log_line(LOG_DEBUG, NULL, __VA_ARGS__)
