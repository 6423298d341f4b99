/*
 * tar archives from anywhere: whatever is accepted must be the same at every
 * split, stay within its directory, and bring as many bytes as it announced.
 * The first byte of the input chooses the split.
 */
#include <string.h>

#include "fuzz.h"
#include "walship/base/crypto.h"
#include "walship/pipe/tar.h"

typedef struct Reading
{
	Sha256 *seen; /* of everything the handler was told */
	bool inside;
	uint64_t left;
} Reading;

static void
must_stay_inside(const char *name)
{
	must(name[0] != '\0' && name[0] != '/');
	for (const char *part = name; part != NULL; part = strchr(part, '/'))
	{
		part += part[0] == '/' ? 1 : 0;
		must(strcmp(part, "..") != 0 && strncmp(part, "../", 3) != 0);
	}
}

static Error *
reading_begin(void *context, const TarEntry *entry)
{
	Reading *reading = context;

	must(!reading->inside);
	must(entry->type == TAR_FILE || entry->size == 0);
	must((entry->mode & ~07777u) == 0);
	must_stay_inside(entry->name);
	reading->inside = true;
	reading->left = entry->size;
	sha256_update(reading->seen, entry->name, strlen(entry->name) + 1);
	sha256_update(reading->seen, entry->link_target, strlen(entry->link_target) + 1);
	sha256_update(reading->seen, &entry->size, sizeof(entry->size));
	return NULL;
}

static Error *
reading_data(void *context, const void *data, size_t size)
{
	Reading *reading = context;

	must(reading->inside && size > 0 && size <= reading->left);
	reading->left -= size;
	sha256_update(reading->seen, data, size);
	return NULL;
}

static Error *
reading_end(void *context)
{
	Reading *reading = context;

	must(reading->inside && reading->left == 0);
	reading->inside = false;
	return NULL;
}

/* Whether it was accepted, and a digest of what was read before that was known. */
static bool
read_archive(const uint8_t *data, size_t size, size_t piece, uint8_t ret_digest[SHA256_SIZE])
{
	static const TarHandler handler = {.begin = reading_begin, .data = reading_data, .end = reading_end};
	AUTO(Sha256) seen = sha256_new();
	AUTO(Pipe) pipe = pipe_new();
	Reading reading = {.seen = seen};
	Error *error = NULL;
	bool accepted;

	pipe_add(pipe, tar_reader_new(&handler, &reading, true, "fuzz"));
	for (size_t at = 0; at < size && error == NULL; at += piece)
		error = pipe_write(pipe, data + at, size - at < piece ? size - at : piece);
	if (error == NULL)
		error = pipe_finish(pipe);
	accepted = error == NULL;
	must(accepted || error_is(error, ERR_CORRUPT));
	error_free(error);
	sha256_final(seen, ret_digest);
	return accepted;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t whole[SHA256_SIZE];
	uint8_t pieces[SHA256_SIZE];
	bool accepted;

	if (size == 0)
		return 0;
	accepted = read_archive(data + 1, size - 1, size, whole);
	must(read_archive(data + 1, size - 1, (size_t) data[0] * 3 + 1, pieces) == accepted);
	must(!accepted || memcmp(whole, pieces, SHA256_SIZE) == 0);
	return 0;
}
