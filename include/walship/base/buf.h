/*
 * A growing byte buffer with a cap.  "data" is NUL-terminated at "size" once
 * anything was written (NULL before).  What would grow beyond the cap is not
 * appended and sets "overflowed"; the owner looks once, at the end.
 */
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include "walship/base/attributes.h"

typedef struct Buf
{
	char *data;
	size_t size;
	size_t capacity;
	size_t cap;
	bool overflowed;
} Buf;

void buf_init(Buf *buf, size_t cap);
void buf_append(Buf *buf, const void *data, size_t size);
void buf_puts(Buf *buf, const char *string);
void buf_putc(Buf *buf, char c);
void buf_printf(Buf *buf, const char *format, ...) PRINTF_LIKE(2, 3);
void buf_vprintf(Buf *buf, const char *format, va_list arguments) PRINTF_LIKE(2, 0);
void buf_clear(Buf *buf);   /* empties, keeps the memory */
void buf_release(Buf *buf); /* frees the memory; the Buf may be used again */
char *buf_steal(Buf *buf);  /* the contents as a string of the caller's, "" when empty */

/* A local that is born with its cap and released at scope exit: AUTO_BUF(name, cap); */
#define AUTO_BUF(name, cap_) __attribute__((cleanup(buf_release))) Buf name = {.cap = (cap_)}
