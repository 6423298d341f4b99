/*
 * A backup_manifest, with the checksum that it should have: the same verdict in whatever
 * pieces it comes, and what it lists is found.
 */
#include <string.h>

#include "fuzz.h"
#include "walship/base/buf.h"
#include "walship/base/crypto.h"
#include "walship/base/strs.h"
#include "walship/pg/manifest.h"

#define TEXT_MAX   (4u * 1024 * 1024)
#define FILES_MOST 1000

static bool
reads(const Buf *text, size_t step, Manifest *manifest)
{
	AUTO(Pipe) pipe = pipe_new();
	AUTO(Error) error = NULL;

	pipe_add(pipe, manifest_sink_new(manifest, FILES_MOST));
	for (size_t at = 0; at < text->size && error == NULL; at += step)
		error = pipe_write(pipe, text->data + at, text->size - at < step ? text->size - at : step);
	if (error == NULL)
		error = pipe_finish(pipe);
	must(error == NULL || error_is(error, ERR_CORRUPT));
	return error == NULL;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(Manifest) manifest = manifest_new();
	AUTO(Manifest) again = manifest_new();
	AUTO_BUF(text, TEXT_MAX);
	uint8_t digest[SHA256_SIZE];
	char hex[SHA256_TEXT_SIZE];

	buf_append(&text, data, size);
	sha256_of(data, size, digest);
	hex_encode(digest, sizeof(digest), hex);
	buf_printf(&text, "\"Manifest-Checksum\": \"%s\"}\n", hex);

	bool whole = reads(&text, text.size, manifest);

	must(reads(&text, 3, again) == whole);
	if (!whole)
		return 0;
	must(manifest_count(manifest) == manifest_count(again) && manifest_count(manifest) <= FILES_MOST);
	for (size_t i = 0; i < manifest_count(manifest); i++)
		must(manifest_index_of(manifest, manifest_nth(manifest, i).path) == i);
	return 0;
}
