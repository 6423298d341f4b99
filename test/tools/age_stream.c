/*
 * age_stream encrypt|decrypt [-r PUBLIC-KEYS] [-i IDENTITY-FILE] [-p PASSPHRASE] [-s STEP]:
 * standard input to standard output, STEP bytes at a time.  Exit 2, 5, 6 as walship's; for test/integration, which compares it with the program age.
 */
#include <stdio.h>
#include <string.h>

#include "walship/age/age.h"
#include "walship/base/file.h"
#include "walship/base/mem.h"
#include "walship/base/strs.h"

#define STEP_MAX     (256 * 1024)
#define KEY_FILE_MAX (1024 * 1024)

static Error *
write_out(void *context, const void *data, size_t size)
{
	(void) context;
	return file_write(STDOUT_FILENO, "standard output", data, size);
}

static Error *
read_arguments(int argc, char **argv, AgeRecipients *recipients, AgeIdentities *identities, uint64_t *step)
{
	for (int i = 2; i + 1 < argc; i += 2)
	{
		const char *value = argv[i + 1];
		AUTO_BUF(file, KEY_FILE_MAX);

		if (strcmp(argv[i], "-r") == 0)
			TRY(age_recipients_add(recipients, value, strlen(value), "-r"));
		else if (strcmp(argv[i], "-p") == 0)
		{
			TRY(strcmp(argv[1], "encrypt") == 0 ? age_recipients_set_passphrase(recipients, value) : NULL);
			age_identities_set_passphrase(identities, value);
		}
		else if (strcmp(argv[i], "-s") == 0)
			(void) str_to_uint64(value, step);
		else
		{
			TRY(file_read_all(value, &file));
			TRY(age_identities_add(identities, file.size > 0 ? file.data : "", file.size, value));
		}
	}
	return NULL;
}

static Error *
run(int argc, char **argv)
{
	AUTO(AgeRecipients) recipients = age_recipients_new();
	AUTO(AgeIdentities) identities = age_identities_new();
	AUTO(Pipe) pipe = pipe_new();
	AUTO_FREE char *bytes = mem_alloc(STEP_MAX);
	uint64_t step = STEP_MAX;
	size_t size;

	TRY(read_arguments(argc, argv, recipients, identities, &step));
	step = step == 0 || step > STEP_MAX ? STEP_MAX : step;
	if (strcmp(argv[1], "encrypt") == 0)
		age_add_encoder(pipe, recipients);
	else
		pipe_add(pipe, age_decoder_new(identities, "standard input"));
	pipe_add(pipe, callback_stage_new(write_out, NULL));
	while ((size = fread(bytes, 1, step, stdin)) > 0)
		TRY(pipe_write(pipe, bytes, size));
	return pipe_finish(pipe);
}

int
main(int argc, char **argv)
{
	if (argc < 2)
		return 2;

	AUTO(Error) error = run(argc, argv);

	if (error == NULL)
		return 0;
	(void) fprintf(stderr, "%s\n", error_message(error));
	switch (error_kind(error))
	{
		case ERR_USAGE:
			return 2;
		case ERR_DENIED:
			return 5;
		case ERR_CORRUPT:
			return 6;
		default:
			return 7;
	}
}
