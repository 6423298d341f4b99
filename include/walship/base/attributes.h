/*
 * Compiler attributes, and clean-up of locals at scope exit.
 *
 * AUTO(Type) name = ...;	calls type's destructor, whatever the way out
 * AUTO_FREE char *name		free()
 * AUTO_CLOSE int fd		close(), when fd >= 0; for read-only files: a
 *							writer calls file_close() and looks at the result
 *
 * A type takes part by AUTO_DEFINE(Type, destructor) in its header.  Every
 * destructor accepts NULL.
 */
#pragma once

#include <stdlib.h>
#include <unistd.h>

#define MUST_CHECK                         __attribute__((warn_unused_result))
#define PRINTF_LIKE(format_arg, first_arg) __attribute__((format(printf, format_arg, first_arg)))

#define AUTO_DEFINE(Type, destructor)             \
	static inline void Type##_auto(Type **object) \
	{                                             \
		if (*object != NULL)                      \
			destructor(*object);                  \
	}                                             \
	struct auto_semicolon_##Type

#define AUTO(Type) __attribute__((cleanup(Type##_auto))) Type *

static inline void
auto_free(void *pointer)
{
	free(*(void **) pointer);
}

static inline void
auto_close(const int *fd)
{
	if (*fd >= 0)
		(void) close(*fd);
}

#define AUTO_FREE  __attribute__((cleanup(auto_free)))
#define AUTO_CLOSE __attribute__((cleanup(auto_close)))

/* Give an owned pointer away: the local becomes NULL, so its clean-up does nothing. */
#define MOVE(pointer)                           \
	__extension__({                             \
		__typeof__(pointer) moved_ = (pointer); \
		(pointer) = NULL;                       \
		moved_;                                 \
	})

#define lengthof(array) (sizeof(array) / sizeof((array)[0]))
