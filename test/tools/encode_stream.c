/*
 * encode_stream CODEC LEVEL THREADS [LIST]: compresses standard input to standard
 * output as a base backup's parts are, for streams longer than any test file.
 * THREADS is 0 for the encoder that does without a pool.  LIST is a file for the
 * list of chunks: their size, then for each its offset and CRC-32C.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "walship/base/file.h"
#include "walship/base/mem.h"
#include "walship/base/strs.h"
#include "walship/pipe/codec.h"

#define STEP (1024 * 1024)

static Error *
write_out(void *context, const void *data, size_t size)
{
	(void) context;
	return file_write(STDOUT_FILENO, "standard output", data, size);
}

static Error *
pump(Pipe *pipe)
{
	AUTO_FREE char *step = mem_alloc(STEP);
	size_t size;

	while ((size = fread(step, 1, STEP, stdin)) > 0)
		TRY(pipe_write(pipe, step, size));
	return pipe_finish(pipe);
}

static bool
write_list(const char *path, const ChunkList *list)
{
	FILE *file = fopen(path, "w");

	if (file == NULL)
		return false;
	(void) fprintf(file, "%" PRIu64 "\n", list->chunk_size);
	for (size_t i = 0; i < list->count; i++)
		(void) fprintf(file, "%" PRIu64 " %08" PRIx32 "\n", list->places[i].offset, list->places[i].crc32c);
	return fclose(file) == 0;
}

int
main(int argc, char **argv)
{
	Compression compression = {.codec = CODEC_NONE};
	AUTO(Workers) cpu = NULL;
	AUTO_CHUNK_LIST list = {0};
	AUTO(Pipe) pipe = pipe_new();
	AUTO(Error) error = NULL;

	uint64_t level = 0;
	uint64_t threads = 0;

	if (argc < 4 || argc > 5 || !codec_from_name(argv[1], &compression.codec) ||
	    !str_to_uint64(argv[2], &level) || !str_to_uint64(argv[3], &threads))
		return 2;
	compression.level = (int) level;
	compression.chunk_size = compression_for(compression.codec, COMPRESS_BASE).chunk_size;
	if (threads > 0)
		compression.cpu = cpu = workers_new((int) threads);
	list = chunk_list_for(&compression, 0, 0);
	codec_add_encoder(pipe, &compression, argc == 5 ? &list : NULL);
	pipe_add(pipe, callback_stage_new(write_out, NULL));
	error = pump(pipe);
	if (error == NULL && argc == 5 && !write_list(argv[4], &list))
		return 1;
	if (error != NULL)
		(void) fprintf(stderr, "%s\n", error_message(error));
	return error == NULL ? 0 : 1;
}
