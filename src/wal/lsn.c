/* Places in the WAL, as text. */
#include "walship/wal/lsn.h"

#include <inttypes.h>
#include <stdio.h>

const char *
lsn_format(XLogRecPtr lsn, char text[LSN_TEXT_SIZE])
{
	(void) snprintf(text, LSN_TEXT_SIZE, "%" PRIX32 "/%" PRIX32, (uint32_t) (lsn >> 32), (uint32_t) lsn);
	return text;
}

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

/* One to eight digits (PostgreSQL: pg_lsn.c, pg_lsn_in_internal); the text after them, or NULL. */
static const char *
parse_half(const char *text, uint32_t *ret_half)
{
	uint32_t half = 0;
	int digits = 0;

	for (; hex_digit(*text) >= 0; text++)
	{
		if (++digits > 8)
			return NULL;
		half = half << 4 | (uint32_t) hex_digit(*text);
	}
	*ret_half = half;
	return digits == 0 ? NULL : text;
}

bool
lsn_parse(const char *text, XLogRecPtr *ret_lsn)
{
	uint32_t high;
	uint32_t low;

	text = parse_half(text, &high);
	if (text == NULL || *text != '/')
		return false;
	text = parse_half(text + 1, &low);
	if (text == NULL || *text != '\0')
		return false;
	*ret_lsn = (XLogRecPtr) high << 32 | low;
	return true;
}

bool
wal_segment_size_is_valid(uint64_t size)
{
	return size >= WAL_SEGMENT_SIZE_MIN && size <= WAL_SEGMENT_SIZE_MAX && (size & (size - 1)) == 0;
}
