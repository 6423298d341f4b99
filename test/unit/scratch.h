/* For tests of what touches files: scratch directories, errors as assertions, repeatable bytes. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "walship/base/error.h"
#include "walship/base/file.h"
#include "walship/base/mem.h"

static inline char *
scratch_make(void)
{
	const char *base = getenv("TMPDIR");
	char *path = mem_printf("%s/walship-test-XXXXXX", base == NULL ? "/tmp" : base);

	assert_non_null(mkdtemp(path));
	return path;
}

static inline void
scratch_remove(char *path)
{
	AUTO(Error) error = dir_remove_tree(path, false);

	if (error != NULL)
		print_message("%s\n", error_message(error));
	assert_null(error);
	free(path);
}

static inline void
assert_ok_at(Error *error, const char *expression, const char *file, int line)
{
	if (error == NULL)
		return;
	print_message("%s: %s\n", expression, error_message(error));
	error_free(error);
	_fail(file, line);
}

/* "part" (may be NULL) must occur in the message. */
static inline void
assert_error_at(Error *error, ErrorKind kind, const char *part, const char *file, int line)
{
	bool as_expected;

	if (error == NULL)
	{
		print_message("success instead of an error\n");
		_fail(file, line);
		return;
	}
	as_expected = error_is(error, kind) && (part == NULL || strstr(error_message(error), part) != NULL);
	if (!as_expected)
		print_message("kind %d, message: %s\n", (int) error_kind(error), error_message(error));
	error_free(error);
	if (!as_expected)
		_fail(file, line);
}

#define assert_ok(expression)                assert_ok_at(expression, #expression, __FILE__, __LINE__)
#define assert_error(expression, kind, part) assert_error_at(expression, kind, part, __FILE__, __LINE__)

/* xorshift64*: the same bytes from the same seed, and no compressor gains on them. */
static inline uint64_t
scratch_random(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * UINT64_C(2685821657736338717);
}

static inline uint8_t *
scratch_bytes(size_t size, uint64_t seed)
{
	uint8_t *bytes = mem_alloc(size + 1);
	uint64_t state = seed + 1;

	for (size_t i = 0; i < size; i++)
		bytes[i] = (uint8_t) (scratch_random(&state) >> 32);
	return bytes;
}
