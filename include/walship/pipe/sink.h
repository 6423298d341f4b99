/*
 * Byte streams, push model.  A Sink takes bytes by write() and is told by
 * finish() that they are all there.  Freeing a sink that was not finished
 * leaves nothing visible: no file, no object, no complete archive.
 *
 * A Pipe is a chain of sinks in the order in which the data flows: every stage
 * writes to the one after it, the last one keeps what it gets.  A pipe belongs
 * to one thread.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "walship/base/error.h"

typedef struct Sink Sink;

typedef struct SinkOps
{
	Error *(*write)(Sink *sink, const void *data, size_t size);

	/* Flushes what is held back into sink->next; the pipe itself finishes the next one.  May be NULL. */
	Error *(*finish)(Sink *sink);

	/* Also without finish, also after an error.  Frees the sink itself; NULL: by free(), there is nothing else. */
	void (*free)(Sink *sink);
} SinkOps;

struct Sink
{
	const SinkOps *ops;
	Sink *next; /* NULL for the last one */
};

/* An implementation's first member is its Sink; these call through the table. */
Error *sink_write(Sink *sink, const void *data, size_t size) MUST_CHECK;
void sink_free(Sink *sink); /* this one only, not those after it */
AUTO_DEFINE(Sink, sink_free);

/*
 * A function as a sink: it sees the bytes, then they go on to the next sink, if there is one.  callback_stage_new()
 * makes a stage of a pipe; callback_sink() a sink of the caller's own, which is not freed.
 */
typedef Error *(*SinkCallback)(void *context, const void *data, size_t size);

typedef struct CallbackSink
{
	Sink sink;
	SinkCallback callback;
	void *context; /* not owned */
} CallbackSink;

CallbackSink callback_sink(SinkCallback callback, void *context);
Sink *callback_stage_new(SinkCallback callback, void *context);

typedef struct Pipe Pipe;

Pipe *pipe_new(void);
void pipe_add(Pipe *pipe, Sink *stage); /* at the end; owned by the pipe from here on */
Error *pipe_write(Pipe *pipe, const void *data, size_t size) MUST_CHECK;
Error *pipe_finish(Pipe *pipe) MUST_CHECK; /* first to last; once */
void pipe_free(Pipe *pipe);                /* last to first */
AUTO_DEFINE(Pipe, pipe_free);

/*
 * The pipe itself as a sink, valid as long as the pipe: to be written to, or as
 * the last stage of another pipe, which then finishes it and does not free it.
 */
Sink *pipe_as_sink(Pipe *pipe);
