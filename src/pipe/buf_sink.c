/* Last stages that keep the bytes in memory. */
#include "walship/base/mem.h"
#include "walship/pipe/stages.h"

typedef struct BufSink
{
	Sink sink;
	Buf *buf; /* not owned */
} BufSink;

static Error *
buf_sink_write(Sink *sink, const void *data, size_t size)
{
	Buf *buf = ((BufSink *) sink)->buf;

	buf_append(buf, data, size);
	if (buf->overflowed)
		return error_new(ERR_CORRUPT, "contents are longer than %zu bytes", buf->cap);
	return NULL;
}

static void
keeping_sink_free(Sink *sink)
{
	free(sink);
}

static const SinkOps buf_sink_ops = {.write = buf_sink_write, .free = keeping_sink_free};

Sink *
buf_sink_new(Buf *buf)
{
	BufSink *self = NEW(BufSink);

	self->sink.ops = &buf_sink_ops;
	self->buf = buf;
	return &self->sink;
}

typedef struct SpoolSink
{
	Sink sink;
	Spool *spool; /* not owned */
} SpoolSink;

static Error *
spool_sink_write(Sink *sink, const void *data, size_t size)
{
	return spool_write(((SpoolSink *) sink)->spool, data, size);
}

static const SinkOps spool_sink_ops = {.write = spool_sink_write, .free = keeping_sink_free};

Sink *
spool_sink_new(Spool *spool)
{
	SpoolSink *self = NEW(SpoolSink);

	self->sink.ops = &spool_sink_ops;
	self->spool = spool;
	return &self->sink;
}
