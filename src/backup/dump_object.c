/* From a program's output to an object in the store, and the object read again. */
#include <inttypes.h>
#include <string.h>

#include "dump_run.h"
#include "walship/archive/read_again.h"
#include "walship/backup/stored_object.h"
#include "walship/base/child_stream.h"
#include "walship/base/mem.h"
#include "walship/pipe/stages.h"

#define READ_SIZE (256u * 1024)
#define NICENESS  5 /* a dump never hurries */

/* Is in the store what went there? */
static Error *
read_back(const DumpRun *run, const char *key, const Digest *stored)
{
	Error *error;
	int reads = 0;

	do
	{
		AUTO(Pipe) pipe = pipe_new();

		pipe_add(pipe, verify_stage_new(stored, key));
		pipe_add(pipe, null_sink_new());
		error = store_get(run->options->store, key, 0, STORE_TO_END, pipe_as_sink(pipe));
		if (error == NULL)
			error = pipe_finish(pipe);
	} while (read_again(run->options->store, key, &error, &reads));
	return error_context(error, "what was stored could not be read again");
}

static Error *
open_object(DumpRun *run, const char *name, bool in_job, StoredObject **ret_object)
{
	AUTO_FREE char *key = mem_printf("%s%s", run->prefix, name);
	Compression compression = run->options->compression;

	if (in_job)
		compression.cpu = NULL;
	(void) pthread_mutex_lock(&run->mutex);
	strlist_add(&run->names, name);
	(void) pthread_mutex_unlock(&run->mutex);
	return stored_object_open(run->options->store, key, &compression, run->options->recipients, ret_object);
}

static Error *
finish_object(DumpRun *run, const char *name, StoredObject *object, BackupObject *ret_object)
{
	AUTO_FREE char *key = mem_printf("%s%s", run->prefix, name);
	Digest stored = {0};

	TRY(stored_object_finish(object, &stored));
	if (run->options->read_back)
		TRY(read_back(run, key, &stored));
	*ret_object = (BackupObject){
		.name = mem_strdup(name), .raw_size = stored_object_raw_size(object), .stored_size = stored.size};
	memcpy(ret_object->stored_sha256, stored.sha256, SHA256_SIZE);
	return NULL;
}

/* Of pg_dump's words the first that calls itself an error says why, else the first; all others are told. */
static size_t
find_reason(const StrList *lines)
{
	for (size_t i = 0; i < lines->count; i++)
		if (strstr(lines->items[i], "error: ") != NULL)
			return i;
	return 0;
}

static void
pass_on(const DumpRun *run, const StrList *lines, size_t except)
{
	for (size_t i = 0; i < lines->count; i++)
		if (i != except)
			notice(&run->options->notices, LOG_WARNING, NULL, "%s", lines->items[i]);
}

/* A killed program printed what it had: its end alone says whether that is all. */
static Error *
judge(const DumpRun *run, const DumpProgram *program, const StrList *lines, int status)
{
	size_t reason;

	if (status == 0)
	{
		pass_on(run, lines, SIZE_MAX);
		return NULL;
	}
	if (lines->count == 0)
		return error_new(ERR_SYSTEM, "%s ended with status %d, and said nothing", program->what, status);
	reason = find_reason(lines);
	pass_on(run, lines, reason);
	return error_new(strstr(lines->items[reason], "permission denied") != NULL ? ERR_DENIED : ERR_TRANSIENT,
	                 "%s failed with status %d: %s", program->what, status, lines->items[reason]);
}

static void
show_progress(DumpRun *run, uint64_t came)
{
	uint64_t received = atomic_fetch_add(&run->received, came) + came;

	if (run->options->progress != NULL)
		run->options->progress(run->options->context, atomic_load(&run->size_done) + received,
		                       run->size_total);
}

static Error *
run_program(DumpRun *run, const DumpProgram *program, BackupObject *ret_object)
{
	ChildOptions options = {.argv = program->argv, .niceness = NICENESS};
	AUTO(ChildStream) child = NULL;
	AUTO(StoredObject) object = NULL;
	AUTO_FREE char *bytes = mem_alloc(READ_SIZE);
	AUTO_STRLIST lines = {0};
	int status = 0;
	size_t got;

	TRY(open_object(run, program->name, program->in_job, &object));
	TRY(child_stream_start(&options, false, &child));
	do
	{
		if (atomic_load(&run->failed))
			return error_new(ERR_CANCELLED, "another part of the dump failed");
		TRY(child_stream_read(child, bytes, READ_SIZE, &got));
		if (program->watch != NULL && got > 0)
			TRY(program->watch(program->context, bytes, got));
		if (got > 0)
			TRY(stored_object_write(object, bytes, got));
		show_progress(run, got);
	} while (got > 0);
	TRY(child_stream_end(child, NULL, &status));
	child_stream_errors(child, &lines);
	TRY(judge(run, program, &lines, status));
	return finish_object(run, program->name, object, ret_object);
}

/* The pools' first error is that of the first job, which may have ended only because of another one's. */
Error *
dump_keep_failure(DumpRun *run, Error *error)
{
	if (error == NULL)
		return NULL;
	(void) pthread_mutex_lock(&run->mutex);
	if (run->failure == NULL && !error_is(error, ERR_CANCELLED))
	{
		run->failure = error;
		error = error_new(ERR_CANCELLED, "a part of the dump failed");
		atomic_store(&run->failed, true);
	}
	(void) pthread_mutex_unlock(&run->mutex);
	return error;
}

Error *
dump_program_run(DumpRun *run, const DumpProgram *program, BackupObject *ret_object)
{
	return dump_keep_failure(run, run_program(run, program, ret_object));
}

Error *
dump_text_write(DumpRun *run, const char *name, const Buf *text, BackupObject *ret_object)
{
	AUTO(StoredObject) object = NULL;

	TRY(open_object(run, name, false, &object));
	TRY(stored_object_write(object, text->data, text->size));
	return finish_object(run, name, object, ret_object);
}
