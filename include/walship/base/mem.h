/*
 * Allocation that does not fail: out of memory ends the process (exit 7).  What
 * comes from here is released with free().
 */
#pragma once

#include <stdarg.h>
#include <stddef.h>

#include "walship/base/attributes.h"

void *mem_alloc(size_t size) __attribute__((malloc));
void *mem_zalloc(size_t size) __attribute__((malloc)); /* zeroed */
void *mem_realloc(void *pointer, size_t size);
char *mem_strdup(const char *string) __attribute__((malloc)); /* NULL gives NULL */
char *mem_strndup(const char *string, size_t length) __attribute__((malloc));
char *mem_printf(const char *format, ...) __attribute__((malloc)) PRINTF_LIKE(1, 2);
char *mem_vprintf(const char *format, va_list arguments) __attribute__((malloc)) PRINTF_LIKE(1, 0);

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
