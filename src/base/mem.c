/* Allocation that does not fail. */
#include "walship/base/mem.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* The exit code of "operating system" in the contract. */
#define EXIT_OUT_OF_MEMORY 7

static _Noreturn void
out_of_memory(void)
{
	static const char message[] = "walship: ERROR:  out of memory\n";
	ssize_t ignored = write(STDERR_FILENO, message, sizeof(message) - 1);

	(void) ignored;
	_exit(EXIT_OUT_OF_MEMORY);
}

static void *
must(void *pointer)
{
	if (pointer == NULL)
		out_of_memory();
	return pointer;
}

void *
mem_alloc(size_t size)
{
	return must(malloc(size > 0 ? size : 1));
}

void *
mem_zalloc(size_t size)
{
	return must(calloc(1, size > 0 ? size : 1));
}

void *
mem_realloc(void *pointer, size_t size)
{
	return must(realloc(pointer, size > 0 ? size : 1));
}

char *
mem_strdup(const char *string)
{
	return string == NULL ? NULL : must(strdup(string));
}

char *
mem_strndup(const char *string, size_t length)
{
	return must(strndup(string, length));
}

char *
mem_vprintf(const char *format, va_list arguments)
{
	char *text = NULL;

	if (vasprintf(&text, format, arguments) < 0)
		out_of_memory();
	return text;
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
