/*
 * Decompression by all threads of a pool: a stream that is made of frames which say how long they are is cut between
 * them, and they are decoded side by side and passed on in order.  What is no such frame, and everything behind it, is
 * decoded by the pipe's own thread.
 *
 * Memory: a frame and what it decodes to, for each that is decoded or waits and one more.
 */
#include <string.h>

#include "codec_stages.h"
#include "walship/base/cancel.h"
#include "walship/base/mem.h"
#include "walship/base/ordered.h"

typedef struct FrameJob
{
	const FrameDecoder *decoder;
	const char *what; /* the stage's */
	Frame frame;
	uint8_t *in; /* owned, as is "out" */
	size_t in_size;
	size_t in_capacity;
	uint8_t *out;
	size_t out_capacity;
} FrameJob;

typedef struct FramesDecoder
{
	Sink sink;
	const FrameDecoder *decoder;
	Ordered *ring;
	FrameJob *filling; /* what has come since the last frame; NULL: nothing */
	FrameJob *spare;   /* one whose memory serves again */
	Sink *rest;        /* NULL as long as there are frames */
	uint64_t frames;   /* that were found, and what they decode to */
	uint64_t total;
	uint64_t most;
	char *what;
} FramesDecoder;

static void
frame_job_free(void *argument)
{
	FrameJob *job = argument;

	if (job == NULL)
		return;
	free(job->in);
	free(job->out);
	free(job);
}

/* An OrderedRun.  The memory for the output is touched here, by the thread that fills it. */
static Error *
decode_job(void *argument, const atomic_bool *stop)
{
	FrameJob *job = argument;

	(void) stop; /* a frame takes some milliseconds */
	if (job->out_capacity < job->frame.raw_size)
	{
		free(job->out);
		job->out = mem_alloc(job->frame.raw_size);
		job->out_capacity = job->frame.raw_size;
	}
	return job->decoder->decode(&job->frame, job->in, job->out, job->what);
}

/* Passes the oldest frame on; its memory serves again. */
static Error *
emit_oldest(FramesDecoder *self)
{
	void *taken = NULL;

	TRY(ordered_take(self->ring, &taken));

	FrameJob *job = taken;

	frame_job_free(self->spare);
	self->spare = job;

	/* As the other decoders do: write() of megabytes into a file takes more than twice the kernel's time (ext4, Linux 6.18). */
	for (size_t at = 0; at < job->frame.raw_size; at += CODEC_BUFFER_SIZE)
	{
		size_t left = job->frame.raw_size - at;

		TRY(sink_write(self->sink.next, job->out + at, left < CODEC_BUFFER_SIZE ? left : CODEC_BUFFER_SIZE));
	}
	return NULL;
}

static void
append(FramesDecoder *self, const void *data, size_t size)
{
	if (self->filling == NULL)
	{
		self->filling = self->spare != NULL ? MOVE(self->spare) : NEW(FrameJob);
		self->filling->in_size = 0;
	}

	FrameJob *job = self->filling;

	if (size > job->in_capacity - job->in_size)
	{
		job->in_capacity = job->in_size + size + job->in_capacity / 2;
		job->in = mem_realloc(job->in, job->in_capacity);
	}
	memcpy(job->in + job->in_size, data, size);
	job->in_size += size;
}

/* The frame that what has come begins with, to the pool; what is behind it begins the next one. */
static Error *
hand_over(FramesDecoder *self, const Frame *frame)
{
	FrameJob *job = self->filling;

	TRY(cancel_check());
	if (frame->raw_size > self->most - self->total)
		return codec_error_too_long(self->what, self->most);
	self->total += frame->raw_size;
	self->frames++;
	if (ordered_is_full(self->ring))
		TRY(emit_oldest(self));

	self->filling = NULL;
	if (job->in_size > frame->stored_size)
		append(self, job->in + frame->stored_size, job->in_size - frame->stored_size);
	job->frame = *frame;
	job->decoder = self->decoder;
	job->what = self->what;
	ordered_submit(self->ring, job);
	return NULL;
}

static Error *
emit_all(FramesDecoder *self)
{
	while (!ordered_is_empty(self->ring))
		TRY(emit_oldest(self));
	return NULL;
}

/* From here on one stream. */
static Error *
begin_rest(FramesDecoder *self)
{
	FrameJob *job = self->filling;

	TRY(emit_all(self));
	self->rest = self->decoder->rest(self->frames, self->total, self->most, self->what);
	self->rest->next = self->sink.next;
	return job == NULL ? NULL : sink_write(self->rest, job->in, job->in_size);
}

static Error *
frames_decoder_write(Sink *sink, const void *data, size_t size)
{
	FramesDecoder *self = (FramesDecoder *) sink;

	if (self->rest != NULL)
		return sink_write(self->rest, data, size);
	append(self, data, size);
	while (self->filling != NULL)
	{
		Frame frame;

		switch (self->decoder->find(self->filling->in, self->filling->in_size, &frame))
		{
			case FRAME_CUT:
				return NULL;
			case FRAME_OTHER:
				return begin_rest(self);
			case FRAME_WHOLE:
				TRY(hand_over(self, &frame));
				break;
		}
	}
	return NULL;
}

/* The beginning of a frame, nothing at all: what is wrong with the end is the other decoder's to say. */
static Error *
frames_decoder_finish(Sink *sink)
{
	FramesDecoder *self = (FramesDecoder *) sink;

	if (self->rest == NULL && (self->filling != NULL || self->frames == 0))
		TRY(begin_rest(self));
	return self->rest != NULL ? self->rest->ops->finish(self->rest) : emit_all(self);
}

static void
frames_decoder_free(Sink *sink)
{
	FramesDecoder *self = (FramesDecoder *) sink;

	ordered_free(self->ring);
	frame_job_free(self->filling);
	frame_job_free(self->spare);
	sink_free(self->rest);
	free(self->what);
	free(self);
}

Sink *
frames_decoder_new(const FrameDecoder *decoder, uint64_t most, const char *what, Workers *cpu,
                   int most_frames)
{
	static const SinkOps ops = {
		.write = frames_decoder_write,
		.finish = frames_decoder_finish,
		.free = frames_decoder_free,
	};
	static const OrderedOps ring_ops = {.run = decode_job, .free = frame_job_free};
	FramesDecoder *self = NEW(FramesDecoder);

	self->sink.ops = &ops;
	self->decoder = decoder;
	self->ring = ordered_new(cpu, most_frames, &ring_ops);
	self->most = most;
	self->what = mem_strdup(what);
	return &self->sink;
}
