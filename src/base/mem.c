/* Allocation that does not fail. */
#include "walship/base/mem.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define TRY_AGAIN_MS 100

static void (*on_exhausted)(void);

void
mem_on_exhausted(void (*exhausted)(void))
{
	on_exhausted = exhausted;
}

static void
exhausted(void)
{
	if (on_exhausted != NULL)
		on_exhausted();
	else
		(void) nanosleep(&(struct timespec){.tv_nsec = TRY_AGAIN_MS * 1000000}, NULL);
}

void
mem_must(bool holds)
{
	while (!holds)
		exhausted();
}

void *
mem_alloc(size_t size)
{
	void *memory;

	while ((memory = malloc(size > 0 ? size : 1)) == NULL)
		exhausted();
	return memory;
}

void *
mem_zalloc(size_t size)
{
	void *memory;

	while ((memory = calloc(1, size > 0 ? size : 1)) == NULL)
		exhausted();
	return memory;
}

void *
mem_realloc(void *pointer, size_t size)
{
	void *memory;

	while ((memory = realloc(pointer, size > 0 ? size : 1)) == NULL)
		exhausted();
	return memory;
}

char *
mem_strdup(const char *string)
{
	return string == NULL ? NULL : mem_strndup(string, strlen(string));
}

char *
mem_strndup(const char *string, size_t length)
{
	char *copy;

	while ((copy = strndup(string, length)) == NULL)
		exhausted();
	return copy;
}

char *
mem_vprintf(const char *format, va_list arguments)
{
	char *text = NULL;
	va_list again;

	for (;;)
	{
		va_copy(again, arguments);
		int length = vasprintf(&text, format, again);
		va_end(again);
		if (length >= 0)
			return text;
		exhausted();
	}
}

char *
mem_printf(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	char *text = mem_vprintf(format, arguments);
	va_end(arguments);
	return text;
}
