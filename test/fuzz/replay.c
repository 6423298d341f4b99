/* replay DIRECTORY: runs the fuzz target on every file of a corpus. */
#include <stdio.h>

#include "fuzz.h"
#include "walship/base/file.h"

#define INPUT_MAX (1024 * 1024)

static Error *
replay_file(const char *directory, const char *name)
{
	AUTO_FREE char *path = path_join(directory, name);
	AUTO_BUF(input, INPUT_MAX);

	TRY(file_read_all(path, &input));
	(void) LLVMFuzzerTestOneInput((const uint8_t *) input.data, input.size);
	return NULL;
}

static Error *
replay(const char *directory)
{
	AUTO_STRLIST names = {0};

	TRY(dir_list(directory, &names));
	if (names.count == 0)
		return error_new(ERR_NOT_FOUND, "\"%s\" is empty", directory);
	for (size_t i = 0; i < names.count; i++)
		TRY(replay_file(directory, names.items[i]));
	printf("%zu inputs\n", names.count);
	return NULL;
}

int
main(int argc, char **argv)
{
	if (argc != 2)
	{
		fprintf(stderr, "usage: %s DIRECTORY\n", argv[0]);
		return 2;
	}

	AUTO(Error) error = replay(argv[1]);

	if (error != NULL)
		fprintf(stderr, "%s\n", error_message(error));
	return error == NULL ? 0 : 1;
}
