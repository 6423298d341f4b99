/*
 * Allocation that does not fail.  What comes from here is released with free().
 *
 * What happens when there is no memory is for the program to say, not for this
 * code, which may run inside another's process: command/ ends with exit 7.
 */
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include "walship/base/attributes.h"

void *mem_alloc(size_t size) __attribute__((malloc));
void *mem_zalloc(size_t size) __attribute__((malloc)); /* zeroed */
void *mem_realloc(void *pointer, size_t size);
char *mem_strdup(const char *string) __attribute__((malloc)); /* NULL gives NULL */
char *mem_strndup(const char *string, size_t length) __attribute__((malloc));
char *mem_printf(const char *format, ...) __attribute__((malloc)) PRINTF_LIKE(1, 2);
char *mem_vprintf(const char *format, va_list arguments) __attribute__((malloc)) PRINTF_LIKE(1, 0);

/*
 * "exhausted" is called in the thread that lacks memory, and may end the process
 * or make room: when it returns, the allocation is tried again.  Without one the
 * thread waits until others have released some.  Set before there is a second thread.
 */
void mem_on_exhausted(void (*exhausted)(void));

/*
 * For what a library refuses only when it is broken or out of memory, so that no
 * caller could handle it: as if out of memory, but not tried again: should
 * "exhausted" return, this thread goes no further.
 */
void mem_must(bool holds);

#define NEW(Type)             ((Type *) mem_zalloc(sizeof(Type)))
#define NEW_ARRAY(Type, size) ((Type *) mem_zalloc((size) * sizeof(Type)))

/*
 * Makes room for one more element in a growing array: GROW(items, n_items,
 * capacity) before items[n_items++] = ...
 */
#define GROW(items, count, capacity)                                       \
	do                                                                     \
	{                                                                      \
		if ((count) == (capacity))                                         \
		{                                                                  \
			(capacity) = (capacity) == 0 ? 16 : (capacity) *2;             \
			(items) = mem_realloc((items), (capacity) * sizeof(*(items))); \
		}                                                                  \
	} while (0)
