/* Objects of a dump, read: checked, decrypted, decompressed. */
#include <inttypes.h>
#include <string.h>

#include "undump_run.h"
#include "walship/archive/layout.h"
#include "walship/archive/read_again.h"
#include "walship/archive/readable.h"
#include "walship/base/cancel.h"
#include "walship/base/file.h"
#include "walship/base/mem.h"
#include "walship/pipe/codec.h"
#include "walship/pipe/stages.h"

#define FILE_MODE 0600
#define TAIL_SIZE 4096u /* bytes that are held back */
#define ENOUGH    "enough"

Error *
dump_source_check(const DumpSource *source)
{
	const DumpRecord *record = source->record;
	AUTO_FREE char *what = mem_printf("dump \"%s\"", record->id);

	return readable_check(source->store, record->system_identifier, source->identities,
	                      &(ReadableClaim){.what = what,
	                                       .recipients = record->recipients,
	                                       .timeline = record->timeline,
	                                       .start_lsn = record->lsn,
	                                       .segment_size = record->segment_size});
}

/* Into the pipe's last stages, which the caller has not added yet: "last" becomes the pipe's. */
static Error *
read_object(const DumpSource *source, const BackupObject *object, Sink *last)
{
	const DumpRecord *record = source->record;
	AUTO_FREE char *prefix = layout_dump_prefix(record->system_identifier, record->id);
	AUTO_FREE char *key = mem_printf("%s%s", prefix, object->name);
	Digest stored = {.size = object->stored_size};
	AUTO(Pipe) pipe = pipe_new();
	Codec codec = CODEC_NONE;

	(void) codec_from_name(record->codec, &codec);
	memcpy(stored.sha256, object->stored_sha256, SHA256_SIZE);
	pipe_add(pipe, verify_stage_new(&stored, object->name));
	if (record->recipients[0] != '\0')
		pipe_add(pipe, age_decoder_new(source->identities, object->name));
	codec_add_decoder(pipe, codec, object->raw_size, object->name);
	pipe_add(pipe, last);

	Error *error = store_get(source->store, key, 0, STORE_TO_END, pipe_as_sink(pipe));

	if (error == NULL)
		error = pipe_finish(pipe);

	/* The record says that it is there: its absence is damage, not an answer. */
	if (error_is(error, ERR_NOT_FOUND))
	{
		error_free(error);
		error = error_new(ERR_CORRUPT, "object is missing");
	}
	return error_context(error, "could not read \"%s\" from store \"%s\"", key, store_url(source->store));
}

Error *
dump_source_text(const DumpSource *source, const BackupObject *object, Buf *ret_text)
{
	AUTO_FREE char *prefix = layout_dump_prefix(source->record->system_identifier, source->record->id);
	AUTO_FREE char *key = mem_printf("%s%s", prefix, object->name);
	Error *error;
	int reads = 0;

	if (object->raw_size > ret_text->cap)
		return error_new(ERR_CORRUPT, "\"%s\" of dump \"%s\" cannot have %" PRIu64 " bytes", object->name,
		                 source->record->id, object->raw_size);
	do
	{
		buf_clear(ret_text);
		error = read_object(source, object, buf_sink_new(ret_text));
	} while (read_again(source->store, key, &error, &reads));
	return error;
}

Error *
dump_source_contents(const DumpSource *source, DumpContents **ret_contents)
{
	const BackupObject *object = &source->record->contents;
	AUTO_BUF(text, DUMP_CONTENTS_MAX);

	TRY(dump_source_text(source, object, &text));
	return dump_contents_parse(text.data, text.size, object->name, ret_contents);
}

Error *
dump_source_database(const DumpSource *source, uint32_t oid, const DumpDatabase **ret_database)
{
	const DumpRecord *record = source->record;

	for (size_t i = 0; i < record->n_databases; i++)
		if (record->databases[i].oid == oid)
		{
			*ret_database = &record->databases[i];
			return NULL;
		}
	return error_new(ERR_CORRUPT, "dump \"%s\" has no objects of database %" PRIu32, record->id, oid);
}

Error *
undump_into_file(const DumpSource *source, const BackupObject *object, const char *path)
{
	Sink *file = NULL;

	if (file_exists(path))
		return error_new(ERR_EXISTS, "file \"%s\" exists already", path);
	TRY(file_sink_new(path, FILE_MODE, &file));
	return read_object(source, object, file);
}

/* The last stage of what feeds a program. */
typedef struct FeedSink
{
	Sink sink;
	UndumpRun *run;
	ChildStream *child;
	Buf *output;
	UndumpScript *script; /* where the output goes; NULL: it is kept */
	bool head;
	bool wants;
	uint8_t tail[TAIL_SIZE];
	size_t n_tail;
} FeedSink;

/* From the program that was fed to psql. */
static Error *
forward(UndumpScript *script, Buf *output)
{
	if (script == NULL || output->size == 0)
		return NULL;
	TRY(undump_script_write(script, output->data, output->size));
	buf_clear(output);
	return NULL;
}

static Error *
feed(FeedSink *self, const void *data, size_t size)
{
	if (!self->wants || size == 0)
		return NULL;
	TRY(child_stream_write(self->child, data, size, self->output, &self->wants));
	return forward(self->script, self->output);
}

/* A program that needs no more, or psql that has failed. */
static bool
has_enough(const FeedSink *self)
{
	return (self->head && !self->wants) || (self->script != NULL && !undump_script_wants(self->script));
}

static Error *
feed_write(Sink *sink, const void *data, size_t size)
{
	FeedSink *self = (FeedSink *) sink;
	const UndumpOptions *options = self->run->options;
	size_t passes = self->n_tail + size > TAIL_SIZE ? self->n_tail + size - TAIL_SIZE : 0;
	size_t of_tail = passes < self->n_tail ? passes : self->n_tail;

	TRY(cancel_check());
	if (has_enough(self))
		return error_new(ERR_CANCELLED, ENOUGH);
	TRY(feed(self, self->tail, of_tail));
	memmove(self->tail, self->tail + of_tail, self->n_tail - of_tail);
	self->n_tail -= of_tail;
	TRY(feed(self, data, passes - of_tail));
	memcpy(self->tail + self->n_tail, (const uint8_t *) data + (passes - of_tail), size - (passes - of_tail));
	self->n_tail += size - (passes - of_tail);
	uint64_t done = atomic_fetch_add(&self->run->done, size) + size;

	if (options->progress != NULL)
		options->progress(options->context, done, self->run->total);
	return NULL;
}

static Error *
feed_finish(Sink *sink)
{
	FeedSink *self = (FeedSink *) sink;

	return feed(self, self->tail, self->n_tail);
}

static const SinkOps feed_ops = {.write = feed_write, .finish = feed_finish};

/* Feeds the program with the object, as far as it wants it. */
static Error *
feed_program(UndumpRun *run, const UndumpProgram *program, ChildStream *child, UndumpScript *script,
             Buf *output)
{
	FeedSink *sink = NEW(FeedSink);
	Error *error;

	*sink = (FeedSink){.sink.ops = &feed_ops,
	                   .run = run,
	                   .child = child,
	                   .output = output,
	                   .script = script,
	                   .head = program->head,
	                   .wants = true};
	error = read_object(&run->options->source, program->object, &sink->sink);
	if ((program->head || script != NULL) && error_is(error, ERR_CANCELLED) && !cancel_requested())
	{
		error_free(error);
		error = NULL;
	}
	return error;
}

/* A program that failed has printed no COMMIT: psql, killed, leaves nothing. */
static Error *
end_script(UndumpScript *script, Buf *output, StrList *ret_lines, int *ret_status)
{
	AUTO_STRLIST lines = {0};

	TRY(forward(script, output));
	if (undump_script_wants(script) && *ret_status != 0)
		return NULL;
	if (!undump_script_wants(script))
		strlist_release(ret_lines); /* that psql had ended is no news */
	TRY(undump_script_end(script, &lines, ret_status));
	for (size_t i = 0; i < lines.count; i++)
		strlist_add(ret_lines, lines.items[i]);
	return NULL;
}

Error *
undump_program_run(UndumpRun *run, const UndumpProgram *program, StrList *ret_lines, int *ret_status)
{
	AUTO(ChildStream) child = NULL;
	AUTO(UndumpScript) script = NULL;
	AUTO_BUF(text, SIZE_MAX);
	Buf *output = program->into != NULL ? &text : program->output;

	if (program->into != NULL)
		TRY(undump_script_start(run, program->into, true, &script));
	TRY(child_stream_start(&(ChildOptions){.argv = program->argv,
	                                       .environment = run->options->environment,
	                                       .kept = program->kept},
	                       true, &child));

	/* Killed before its input ends: what it has begun is rolled back. */
	TRY(feed_program(run, program, child, script, output));
	TRY(child_stream_end(child, output, ret_status));
	child_stream_errors(child, ret_lines);
	return script == NULL ? NULL : end_script(script, output, ret_lines, ret_status);
}
