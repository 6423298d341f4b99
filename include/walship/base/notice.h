/*
 * What a folder below command/ has to say while it works, besides its error: a
 * warning, a file that was stored late, what was left out.  The caller passes a
 * value; who is told, and how loud, is decided there: command/ logs (log_notices()
 * in walship/base/log.h), the archive module would use the server's log.
 */
#pragma once

#include "walship/base/error.h"

typedef enum LogLevel
{
	LOG_ERROR,
	LOG_WARNING,
	LOG_INFO,
	LOG_DEBUG,
} LogLevel;

/* Zeroed: nobody is told.  "tell" may be called by several threads at the same time; "hint" may be NULL. */
typedef struct Notices
{
	void (*tell)(void *context, LogLevel level, const char *message, const char *hint);
	void *context;
} Notices;

void notice(const Notices *notices, LogLevel level, const char *hint, const char *format, ...)
	PRINTF_LIKE(4, 5);

/* Message and hint of an error, which may be NULL: then there is nothing to say.  Does not free it. */
void notice_of_error(const Notices *notices, LogLevel level, const Error *error);
