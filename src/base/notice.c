#include "walship/base/notice.h"

#include "walship/base/mem.h"

void
notice(const Notices *notices, LogLevel level, const char *hint, const char *format, ...)
{
	va_list arguments;

	if (notices->tell == NULL)
		return;
	va_start(arguments, format);
	AUTO_FREE char *message = mem_vprintf(format, arguments);
	va_end(arguments);
	notices->tell(notices->context, level, message, hint);
}

void
notice_of_error(const Notices *notices, LogLevel level, const Error *error)
{
	if (error != NULL)
		notice(notices, level, error_get_hint(error), "%s", error_message(error));
}
