/* A growing byte buffer with a cap. */
#include "walship/base/buf.h"

#include <stdint.h>
#include <string.h>

#include "walship/base/mem.h"

void
buf_init(Buf *buf, size_t cap)
{
	*buf = (Buf){.cap = cap};
}

static bool
buf_reserve(Buf *buf, size_t more)
{
	if (buf->overflowed || more > buf->cap || buf->size > buf->cap - more || buf->size + more == SIZE_MAX)
	{
		buf->overflowed = true;
		return false;
	}

	size_t needed = buf->size + more + 1;

	if (needed <= buf->capacity)
		return true;

	size_t capacity = buf->capacity == 0 ? 256 : buf->capacity * 2;

	if (capacity > buf->cap)
		capacity = buf->cap + 1;
	if (capacity < needed)
		capacity = needed;
	buf->data = mem_realloc(buf->data, capacity);
	buf->capacity = capacity;
	return true;
}

void
buf_append(Buf *buf, const void *data, size_t size)
{
	if (!buf_reserve(buf, size))
		return;
	if (size > 0)
		memcpy(buf->data + buf->size, data, size);
	buf->size += size;
	buf->data[buf->size] = '\0';
}

void
buf_puts(Buf *buf, const char *string)
{
	buf_append(buf, string, strlen(string));
}

void
buf_putc(Buf *buf, char c)
{
	buf_append(buf, &c, 1);
}

void
buf_vprintf(Buf *buf, const char *format, va_list arguments)
{
	AUTO_FREE char *text = mem_vprintf(format, arguments);

	buf_puts(buf, text);
}

void
buf_printf(Buf *buf, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	buf_vprintf(buf, format, arguments);
	va_end(arguments);
}

void
buf_clear(Buf *buf)
{
	buf->size = 0;
	buf->overflowed = false;
	if (buf->data != NULL)
		buf->data[0] = '\0';
}

void
buf_release(Buf *buf)
{
	size_t cap = buf->cap;

	free(buf->data);
	buf_init(buf, cap);
}

char *
buf_steal(Buf *buf)
{
	char *data = buf->data != NULL ? buf->data : mem_strdup("");

	buf->data = NULL;
	buf_release(buf);
	return data;
}
