/* Lists of strings, and string functions that libc lacks. */
#include "walship/base/strs.h"

#include <string.h>

#include "walship/base/buf.h"
#include "walship/base/mem.h"

#define NEAREST_WORD_MAX 64

void
strlist_add(StrList *list, const char *string)
{
	GROW(list->items, list->count, list->capacity);
	list->items[list->count++] = mem_strdup(string);
}

static int
compare_strings(const void *a, const void *b)
{
	return strcmp(*(char *const *) a, *(char *const *) b);
}

void
strlist_sort(StrList *list)
{
	if (list->count > 1)
		qsort(list->items, list->count, sizeof(char *), compare_strings);
}

bool
strlist_contains(const StrList *list, const char *string)
{
	for (size_t i = 0; i < list->count; i++)
		if (strcmp(list->items[i], string) == 0)
			return true;
	return false;
}

void
strlist_release(StrList *list)
{
	for (size_t i = 0; i < list->count; i++)
		free(list->items[i]);
	free(list->items);
	*list = (StrList){0};
}

bool
str_starts_with(const char *string, const char *prefix)
{
	return strncmp(string, prefix, strlen(prefix)) == 0;
}

bool
str_ends_with(const char *string, const char *suffix)
{
	size_t length = strlen(string);
	size_t tail = strlen(suffix);

	return length >= tail && strcmp(string + length - tail, suffix) == 0;
}

bool
str_equal(const char *a, const char *b)
{
	if (a == NULL || b == NULL)
		return a == b;
	return strcmp(a, b) == 0;
}

bool
str_to_uint64(const char *string, uint64_t *ret_value)
{
	uint64_t value = 0;

	if (*string == '\0')
		return false;
	for (; *string != '\0'; string++)
	{
		if (*string < '0' || *string > '9')
			return false;

		uint64_t digit = (uint64_t) (*string - '0');

		if (value > (UINT64_MAX - digit) / 10)
			return false;
		value = value * 10 + digit;
	}
	*ret_value = value;
	return true;
}

static int
hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

bool
str_hex_field(const char *string, int digits, uint32_t *ret_value)
{
	uint32_t value = 0;

	for (int i = 0; i < digits; i++)
	{
		int digit = hex_value(string[i]);

		if (digit < 0 || (string[i] >= 'a' && string[i] <= 'f'))
			return false;
		value = value << 4 | (uint32_t) digit;
	}
	*ret_value = value;
	return true;
}

static size_t
edit_distance(const char *a, const char *b)
{
	size_t row[NEAREST_WORD_MAX + 1];
	size_t width = strlen(b);

	for (size_t j = 0; j <= width; j++)
		row[j] = j;
	for (size_t i = 0; a[i] != '\0'; i++)
	{
		size_t diagonal = row[0];

		row[0] = i + 1;
		for (size_t j = 0; j < width; j++)
		{
			size_t change = diagonal + (a[i] != b[j]);
			size_t drop = row[j + 1] + 1;
			size_t add = row[j] + 1;

			diagonal = row[j + 1];
			row[j + 1] = change < drop ? change : drop;
			if (add < row[j + 1])
				row[j + 1] = add;
		}
	}
	return row[width];
}

const char *
str_nearest(const char *word, const char *const *candidates, size_t count)
{
	const char *nearest = NULL;
	size_t nearest_distance = strlen(word) / 3 + 2;

	if (strlen(word) > NEAREST_WORD_MAX)
		return NULL;
	for (size_t i = 0; i < count; i++)
	{
		if (strlen(candidates[i]) > NEAREST_WORD_MAX)
			continue;

		size_t distance = edit_distance(word, candidates[i]);

		if (distance < nearest_distance)
		{
			nearest = candidates[i];
			nearest_distance = distance;
		}
	}
	return nearest;
}

char *
str_shell_quote(const char *string)
{
	AUTO_BUF(quoted, strlen(string) * 4 + 2);

	buf_putc(&quoted, '\'');
	for (const char *c = string; *c != '\0'; c++)
	{
		if (*c == '\'')
			buf_puts(&quoted, "'\\''");
		else
			buf_putc(&quoted, *c);
	}
	buf_putc(&quoted, '\'');
	return buf_steal(&quoted);
}

char *
str_url_without_password(const char *url)
{
	const char *separator = strstr(url, "://");
	const char *authority = separator == NULL ? url : separator + 3;
	const char *at = memrchr(authority, '@', strcspn(authority, "/"));

	return at == NULL ? mem_strdup(url) : mem_printf("%.*s***%s", (int) (authority - url), url, at);
}

/* Bytes of the UTF-8 character at "text"; 0 when it is none. */
static size_t
utf8_length(const uint8_t *text)
{
	size_t length = text[0] < 0x80 ? 1 : text[0] >= 0xF0 ? 4 : text[0] >= 0xE0 ? 3 : 2;

	if ((text[0] >= 0x80 && text[0] < 0xC2) || text[0] > 0xF4)
		return 0;
	for (size_t i = 1; i < length; i++)
		if ((text[i] & 0xC0) != 0x80)
			return 0;

	/* Overlong forms, surrogates, beyond U+10FFFF. */
	if ((text[0] == 0xE0 && text[1] < 0xA0) || (text[0] == 0xED && text[1] > 0x9F) ||
	    (text[0] == 0xF0 && text[1] < 0x90) || (text[0] == 0xF4 && text[1] > 0x8F))
		return 0;
	return length;
}

bool
str_is_utf8(const char *string)
{
	while (*string != '\0')
	{
		size_t length = utf8_length((const uint8_t *) string);

		if (length == 0)
			return false;
		string += length;
	}
	return true;
}

char *
str_utf8(const char *string)
{
	char *clean = mem_strdup(string);

	for (char *next = clean; *next != '\0';)
	{
		size_t length = utf8_length((const uint8_t *) next);

		if (length == 0)
			*next = '?';
		next += length == 0 ? 1 : length;
	}
	return clean;
}

size_t
str_control_length(const char *text, uint32_t *ret_code_point)
{
	static const struct
	{
		uint16_t first;
		uint16_t last;
	} ranges[] = {
		{0x0000, 0x001F}, /* C0 */
		{0x007F, 0x009F}, /* DEL, C1: 9B begins a sequence as ESC [ does */
		{0x061C, 0x061C}, /* Arabic letter mark */
		{0x200E, 0x200F}, /* left-to-right and right-to-left mark */
		{0x2028, 0x202E}, /* separators; embeddings and overrides */
		{0x2066, 0x206F}, /* isolates, and the deprecated format characters */
	};
	const uint8_t *byte = (const uint8_t *) text;
	size_t length = byte[0] < 0x80 ? 1 : byte[0] < 0xE0 ? 2 : 3;

	/* None of them has four bytes, and none begins in the middle of another character. */
	if (byte[0] == '\0' || (byte[0] & 0xC0) == 0x80 || byte[0] >= 0xF0)
		return 0;
	*ret_code_point = length == 1   ? byte[0]
	                  : length == 2 ? (byte[0] & 0x1Fu) << 6 | (byte[1] & 0x3Fu)
	                                : (byte[0] & 0x0Fu) << 12 | (byte[1] & 0x3Fu) << 6 | (byte[2] & 0x3Fu);
	for (size_t i = 0; i < lengthof(ranges); i++)
		if (*ret_code_point >= ranges[i].first && *ret_code_point <= ranges[i].last)
			return length;
	return 0;
}

char *
str_printable(const char *string)
{
	char *clean = str_utf8(string);
	char *into = clean;

	for (const char *next = clean; *next != '\0';)
	{
		uint32_t code_point;
		size_t length = str_control_length(next, &code_point);

		*into++ = length > 0 ? '?' : *next;
		next += length > 0 ? length : 1;
		while (length == 0 && ((uint8_t) *next & 0xC0) == 0x80)
			*into++ = *next++;
	}
	*into = '\0';
	return clean;
}

void
hex_encode(const void *bytes, size_t size, char *ret_text)
{
	static const char digits[] = "0123456789abcdef";
	const uint8_t *byte = bytes;

	for (size_t i = 0; i < size; i++)
	{
		ret_text[2 * i] = digits[byte[i] >> 4];
		ret_text[2 * i + 1] = digits[byte[i] & 15];
	}
	ret_text[2 * size] = '\0';
}

bool
hex_decode(const char *text, void *ret_bytes, size_t size)
{
	uint8_t *byte = ret_bytes;

	if (strlen(text) != 2 * size)
		return false;
	for (size_t i = 0; i < 2 * size; i++)
		if (hex_value(text[i]) < 0)
			return false;
	for (size_t i = 0; i < size; i++)
		byte[i] = (uint8_t) (hex_value(text[2 * i]) << 4 | hex_value(text[2 * i + 1]));
	return true;
}
