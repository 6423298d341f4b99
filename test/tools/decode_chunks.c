/*
 * decode_chunks CODEC RAW-SIZE LIST < STREAM: writes what encode_stream compressed
 * to standard output, every chunk decoded for itself, from a stream that is a file.
 * LIST is encode_stream's.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "walship/base/file.h"
#include "walship/base/mem.h"
#include "walship/base/strs.h"
#include "walship/pipe/codec.h"

static bool
read_list(const char *path, ChunkList *list)
{
	ChunkPlace place;
	FILE *file = fopen(path, "r");
	bool ok = file != NULL && fscanf(file, "%" SCNu64, &list->chunk_size) == 1;

	while (ok && fscanf(file, "%" SCNu64 " %" SCNx32, &place.offset, &place.crc32c) == 2)
	{
		GROW(list->places, list->count, list->capacity);
		list->places[list->count++] = place;
	}
	if (file != NULL)
		(void) fclose(file);
	return ok;
}

static Error *
decode(const ChunkedStream *stream)
{
	const ChunkList *list = stream->list;
	AUTO_FREE uint8_t *raw = mem_alloc(list->chunk_size);

	for (size_t i = 0; i < list->count; i++)
	{
		bool last = i + 1 == list->count;
		uint64_t size = (last ? stream->size : list->places[i + 1].offset) - list->places[i].offset;
		AUTO_FREE uint8_t *data = mem_alloc(size);
		size_t got;

		TRY(file_read_at(STDIN_FILENO, stream->what, list->places[i].offset, data, size, &got));
		TRY(codec_decode_chunks(stream, i, 1, data, got, raw));
		TRY(file_write(STDOUT_FILENO, "standard output", raw,
		               last ? stream->raw_size - i * list->chunk_size : list->chunk_size));
	}
	return NULL;
}

int
main(int argc, char **argv)
{
	AUTO_CHUNK_LIST list = {0};
	ChunkedStream stream = {.list = &list, .what = "standard input"};
	AUTO(Error) error = NULL;
	struct stat status;

	if (argc != 4 || !codec_from_name(argv[1], &stream.codec) || !str_to_uint64(argv[2], &stream.raw_size) ||
	    !read_list(argv[3], &list) || fstat(STDIN_FILENO, &status) != 0 ||
	    pread(STDIN_FILENO, &stream.first_byte, 1, 0) != 1)
		return 2;
	stream.size = (uint64_t) status.st_size;
	if (!codec_has_chunks(&stream))
		return 3;
	error = decode(&stream);
	if (error != NULL)
		(void) fprintf(stderr, "%s\n", error_message(error));
	return error == NULL ? 0 : 1;
}
