/* The chain that stages are hung into, and the stages that are no more than a function. */
#include "walship/pipe/sink.h"

#include <assert.h>
#include <stdbool.h>

#include "walship/base/cancel.h"
#include "walship/base/mem.h"
#include "walship/pipe/stages.h"

struct Pipe
{
	Sink as_sink;  /* first: what pipe_as_sink() gives out is the pipe itself */
	Sink **stages; /* in the order of the data */
	size_t n_stages;
	size_t capacity;
	bool finished;
};

Error *
sink_write(Sink *sink, const void *data, size_t size)
{
	return size == 0 ? NULL : sink->ops->write(sink, data, size);
}

void
sink_free(Sink *sink)
{
	if (sink == NULL)
		return;
	if (sink->ops->free != NULL)
		sink->ops->free(sink);
	else
		free(sink);
}

static Error *
callback_write(Sink *sink, const void *data, size_t size)
{
	CallbackSink *self = (CallbackSink *) sink;

	TRY(self->callback(self->context, data, size));
	return sink->next == NULL ? NULL : sink_write(sink->next, data, size);
}

CallbackSink
callback_sink(SinkCallback callback, void *context)
{
	static const SinkOps ops = {.write = callback_write};

	return (CallbackSink){.sink.ops = &ops, .callback = callback, .context = context};
}

Sink *
callback_stage_new(SinkCallback callback, void *context)
{
	CallbackSink *self = NEW(CallbackSink);

	*self = callback_sink(callback, context);
	return &self->sink;
}

static Error *
swallow(void *context, const void *data, size_t size)
{
	(void) context;
	(void) data;
	(void) size;
	return cancel_check();
}

Sink *
null_sink_new(void)
{
	return callback_stage_new(swallow, NULL);
}

static Error *
append_to_buf(void *context, const void *data, size_t size)
{
	Buf *buf = context;

	buf_append(buf, data, size);
	if (buf->overflowed)
		return error_new(ERR_CORRUPT, "contents are longer than %zu bytes", buf->cap);
	return NULL;
}

Sink *
buf_sink_new(Buf *buf)
{
	return callback_stage_new(append_to_buf, buf);
}

static Error *
append_to_spool(void *context, const void *data, size_t size)
{
	return spool_write(context, data, size);
}

Sink *
spool_sink_new(Spool *spool)
{
	return callback_stage_new(append_to_spool, spool);
}

Pipe *
pipe_new(void)
{
	return NEW(Pipe);
}

void
pipe_add(Pipe *pipe, Sink *stage)
{
	assert(stage != NULL && stage->next == NULL);
	if (pipe->n_stages > 0)
		pipe->stages[pipe->n_stages - 1]->next = stage;
	GROW(pipe->stages, pipe->n_stages, pipe->capacity);
	pipe->stages[pipe->n_stages++] = stage;
}

Error *
pipe_write(Pipe *pipe, const void *data, size_t size)
{
	assert(pipe->n_stages > 0 && !pipe->finished);
	return sink_write(pipe->stages[0], data, size);
}

Error *
pipe_finish(Pipe *pipe)
{
	assert(!pipe->finished);
	pipe->finished = true;
	for (size_t i = 0; i < pipe->n_stages; i++)
	{
		Sink *stage = pipe->stages[i];

		if (stage->ops->finish != NULL)
			TRY(stage->ops->finish(stage));
	}
	return NULL;
}

void
pipe_free(Pipe *pipe)
{
	if (pipe == NULL)
		return;
	while (pipe->n_stages > 0)
		sink_free(pipe->stages[--pipe->n_stages]);
	free(pipe->stages);
	free(pipe);
}

static Error *
pipe_sink_write(Sink *sink, const void *data, size_t size)
{
	return pipe_write((Pipe *) sink, data, size);
}

static Error *
pipe_sink_finish(Sink *sink)
{
	return pipe_finish((Pipe *) sink);
}

static void
pipe_sink_free(Sink *sink)
{
	(void) sink; /* the pipe stays its owner's */
}

Sink *
pipe_as_sink(Pipe *pipe)
{
	static const SinkOps ops = {.write = pipe_sink_write, .finish = pipe_sink_finish, .free = pipe_sink_free};

	pipe->as_sink.ops = &ops;
	return &pipe->as_sink;
}
