/* The member "seal" of indexes and records; see walship/archive/self_sha256.h. */
#include "walship/archive/self_sha256.h"

#include <string.h>

#include "walship/base/crypto.h"
#include "walship/base/strs.h"

static const char member_begin[] = ",\"seal\":\"";
static const char member_end[] = "\"}";

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
self_sha256_append(Buf *text)
{
	char hex[SHA256_TEXT_SIZE];
	size_t size = trimmed_size(text->data, text->size) - 1; /* without the closing brace */

	text->size = trimmed_size(text->data, size);
	digest_hex(text->data, text->size, hex);
	buf_printf(text, "%s%s%s\n", member_begin, hex, member_end);
}

Error *
self_sha256_check(const char *text, size_t size, const char *what)
{
	const size_t length = sizeof(member_begin) - 1 + 2 * SHA256_SIZE + sizeof(member_end) - 1;
	char hex[SHA256_TEXT_SIZE];
	size_t end = trimmed_size(text, size);

	if (end <= length || memcmp(text + end - length, member_begin, sizeof(member_begin) - 1) != 0 ||
	    memcmp(text + end - (sizeof(member_end) - 1), member_end, sizeof(member_end) - 1) != 0)
		return error_new(ERR_CORRUPT, "%s has no seal at its end", what);
	digest_hex(text, end - length, hex);
	if (memcmp(text + end - length + sizeof(member_begin) - 1, hex, 2 * SHA256_SIZE) != 0)
		return error_new(ERR_CORRUPT, "%s does not fit its seal", what);
	return NULL;
}
