/*
 * Errors are values.  A function that can fail returns Error *: NULL is
 * success, anything else is owned by the caller, who returns it, handles it
 * and frees it, or reports it.  Every other function cannot fail.
 *
 * The kind says what the caller may do; the message says what the human must
 * know: PostgreSQL's style, lower-case, naming the object and the reason.  A
 * hint is a sentence that names the remedy.  No secret ever enters a message.
 */
#pragma once

#include <stdbool.h>
#include <stdio.h>

#include "walship/base/attributes.h"

typedef enum ErrorKind
{
	ERR_NOT_FOUND, /* it is certain that the thing does not exist */
	ERR_EXISTS,    /* it exists already, with other contents */
	ERR_TRANSIENT, /* may work later: not reachable, not mounted, timed out */
	ERR_DENIED,    /* credentials, permissions, keys */
	ERR_CORRUPT,   /* failed a checksum, a tag or a format rule */
	ERR_UNTRUSTED, /* whole, but not to be believed: by no means damage to be passed over or read again */
	ERR_USAGE,     /* a wrong flag, setting or argument */
	ERR_SYSTEM,    /* the operating system refused; the message ends with its reason */
	ERR_CANCELLED, /* SIGTERM or SIGINT */
} ErrorKind;

typedef struct Error Error;

Error *error_new(ErrorKind kind, const char *format, ...) MUST_CHECK PRINTF_LIKE(2, 3);

/*
 * From errno: appends ": <reason>".  EACCES, EPERM and EROFS become ERR_DENIED,
 * everything else ERR_SYSTEM.  Never ERR_NOT_FOUND: whether a missing file
 * means "certainly absent" only the caller can say.
 */
Error *error_errno(const char *format, ...) MUST_CHECK PRINTF_LIKE(1, 2);

/* Prefixes the message with "<context>: "; NULL passes through.  Takes and returns ownership. */
Error *error_context(Error *error, const char *format, ...) MUST_CHECK PRINTF_LIKE(2, 3);

/* Sets the remedy, one or more sentences.  NULL passes through.  Takes and returns ownership. */
Error *error_hint(Error *error, const char *format, ...) MUST_CHECK PRINTF_LIKE(2, 3);

/* False for NULL. */
bool error_is(const Error *error, ErrorKind kind);

ErrorKind error_kind(const Error *error);
const char *error_message(const Error *error);
const char *error_get_hint(const Error *error); /* NULL when there is none */
void error_free(Error *error);

/* The one macro that hides a return. */
#define TRY(expression)                   \
	do                                    \
	{                                     \
		Error *try_error_ = (expression); \
		if (try_error_ != NULL)           \
			return try_error_;            \
	} while (0)

AUTO_DEFINE(Error, error_free);
