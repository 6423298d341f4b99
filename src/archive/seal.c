/* The seal of indexes and records; see seal.h. */
#include "walship/archive/seal.h"

#include <string.h>

#include "walship/base/crypto.h"
#include "walship/base/strs.h"

static const char seal_begin[] = ",\"seal\":\"";
static const char seal_end[] = "\"}";

/* Size of the text without the white space at its end. */
static size_t
trimmed_size(const char *text, size_t size)
{
	while (size > 0 && text[size - 1] != '\0' && strchr(" \t\r\n", text[size - 1]) != NULL)
		size--;
	return size;
}

static void
digest_hex(const char *text, size_t size, char hex[SHA256_TEXT_SIZE])
{
	uint8_t digest[SHA256_SIZE];

	sha256_of(text, size, digest);
	hex_encode(digest, SHA256_SIZE, hex);
}

void
seal_append(Buf *text)
{
	char hex[SHA256_TEXT_SIZE];
	size_t size = trimmed_size(text->data, text->size) - 1; /* without the closing brace */

	text->size = trimmed_size(text->data, size);
	digest_hex(text->data, text->size, hex);
	buf_printf(text, "%s%s%s\n", seal_begin, hex, seal_end);
}

Error *
seal_check(const char *text, size_t size, const char *what)
{
	const size_t length = sizeof(seal_begin) - 1 + 2 * SHA256_SIZE + sizeof(seal_end) - 1;
	char hex[SHA256_TEXT_SIZE];
	size_t end = trimmed_size(text, size);

	if (end <= length || memcmp(text + end - length, seal_begin, sizeof(seal_begin) - 1) != 0 ||
	    memcmp(text + end - (sizeof(seal_end) - 1), seal_end, sizeof(seal_end) - 1) != 0)
		return error_new(ERR_CORRUPT, "%s has no seal at its end", what);
	digest_hex(text, end - length, hex);
	if (memcmp(text + end - length + sizeof(seal_begin) - 1, hex, 2 * SHA256_SIZE) != 0)
		return error_new(ERR_CORRUPT, "%s does not fit its seal", what);
	return NULL;
}
