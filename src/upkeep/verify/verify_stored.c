/* One stored object by itself: hashed and, where it can be, decrypted and decoded. */
#include <stdlib.h>
#include <string.h>

#include "verify_steps.h"
#include "walship/archive/read_again.h"
#include "walship/base/mem.h"

static Error *
count_raw(void *context, const void *data, size_t size)
{
	(void) data;
	*(uint64_t *) context += size;
	return NULL;
}

static Error *
read_once(const StoredObjectLook *look)
{
	const Verify *verify = look->deep->verify;
	const char *name = strrchr(look->key, '/') + 1;
	AUTO(Pipe) pipe = pipe_new();
	uint64_t raw_size = 0;

	pipe_add(pipe, verify_stage_new(&look->stored, name));
	if (!look->locked && look->encrypted)
		pipe_add(pipe, age_decoder_new(verify->identities, name));
	if (!look->locked)
		codec_add_decoder(pipe, look->codec, look->raw_size, name);
	pipe_add(pipe, callback_stage_new(count_raw, &raw_size));
	TRY(store_get(verify->store, look->key, 0, STORE_TO_END, pipe_as_sink(pipe)));
	TRY(pipe_finish(pipe));
	if (!look->locked && raw_size != look->raw_size)
		return error_new(ERR_CORRUPT, "it decodes to another size than its record says");
	deep_count_bytes(look->deep, raw_size);
	return NULL;
}

/* What is not there is for the lists to tell. */
static Error *
run_job(void *argument)
{
	const StoredObjectLook *look = argument;
	AUTO(Error) error = NULL;
	int reads = 0;

	do
		error = read_once(look);
	while (read_again(look->deep->verify->store, look->key, &error, &reads));
	if (error_is(error, ERR_NOT_FOUND))
		return NULL;
	if (error != NULL && !error_is(error, ERR_CORRUPT))
		return MOVE(error);
	if (error != NULL)
		deep_add(look->deep, (Finding){.kind = FINDING_CORRUPT,
		                               .object = look->object,
		                               .key = mem_strdup(look->key),
		                               .backup = mem_strdup(look->owner),
		                               .reason = mem_strdup(error_message(error))});
	deep_count(look->deep, false, look->stored.size, look->locked);
	return NULL;
}

static void
job_free(void *argument)
{
	StoredObjectLook *look = argument;

	free(look->key);
	free(look->owner);
	free(look);
}

void
deep_submit_stored(Workers *workers, const StoredObjectLook *look)
{
	StoredObjectLook *job = NEW(StoredObjectLook);

	*job = *look;
	job->key = mem_strdup(look->key);
	job->owner = mem_strdup(look->owner);
	workers_submit(workers, run_job, job, job_free);
}
