/* Errors as values; see walship/base/error.h. */
#include "walship/base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "walship/base/mem.h"

struct Error
{
	ErrorKind kind;
	char *message;
	char *hint;
};

static Error *
error_take(ErrorKind kind, char *message)
{
	Error *error = NEW(Error);

	error->kind = kind;
	error->message = message;
	return error;
}

Error *
error_new(ErrorKind kind, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	char *message = mem_vprintf(format, arguments);
	va_end(arguments);
	return error_take(kind, message);
}

Error *
error_errno(const char *format, ...)
{
	int number = errno;
	bool denied = number == EACCES || number == EPERM || number == EROFS;
	char reason[128];
	va_list arguments;

	va_start(arguments, format);
	AUTO_FREE char *what = mem_vprintf(format, arguments);
	va_end(arguments);
	return error_take(denied ? ERR_DENIED : ERR_SYSTEM,
	                  mem_printf("%s: %s", what, strerror_r(number, reason, sizeof(reason))));
}

Error *
error_context(Error *error, const char *format, ...)
{
	if (error == NULL)
		return NULL;

	va_list arguments;

	va_start(arguments, format);
	AUTO_FREE char *context = mem_vprintf(format, arguments);
	va_end(arguments);

	char *message = mem_printf("%s: %s", context, error->message);

	free(error->message);
	error->message = message;
	return error;
}

Error *
error_hint(Error *error, const char *format, ...)
{
	if (error == NULL)
		return NULL;

	va_list arguments;

	va_start(arguments, format);
	char *hint = mem_vprintf(format, arguments);
	va_end(arguments);

	free(error->hint);
	error->hint = hint;
	return error;
}

bool
error_is(const Error *error, ErrorKind kind)
{
	return error != NULL && error->kind == kind;
}

ErrorKind
error_kind(const Error *error)
{
	return error->kind;
}

const char *
error_message(const Error *error)
{
	return error->message;
}

const char *
error_get_hint(const Error *error)
{
	return error->hint;
}

void
error_free(Error *error)
{
	if (error == NULL)
		return;
	free(error->message);
	free(error->hint);
	free(error);
}
