/*
 * Decompression by all threads of a pool: the stream is cut into pieces that are decoded side by side and passed on in
 * order.  Where they are is told by a list of chunks, whose CRC each of them must have; without one by the stream
 * itself, where it is made of frames that say how long they are.  What is neither, and everything behind it, is decoded
 * by the pipe's own thread.
 *
 * The processor time must not grow with it, so nothing is made twice that can serve again: for 16 MiB of new memory the
 * kernel takes 8 ms, half of what decoding costs.  Memory: the bytes of a piece and what it decodes to (PIECE_RAW_MOST),
 * for as many as the ring takes; and a decoder for each thread, for each brotli decoder wants a window in front of its
 * first chunk.
 *
 * A list comes out of the store: where its chunks do not stand for themselves, or would need much memory, it is set
 * aside, and the stream is decoded as one.
 */
#include <pthread.h>
#include <string.h>

#include "codec_stages.h"
#include "walship/base/cancel.h"
#include "walship/base/mem.h"
#include "walship/base/ordered.h"

typedef struct ParallelDecoder ParallelDecoder;

/* What the piece is that "data" begins with, the next one of the stream; "ended": nothing comes behind them. */
typedef PieceKind (*FindPiece)(const ParallelDecoder *self, const void *data, size_t size, bool ended,
                               Piece *ret_piece);

typedef struct PieceJob
{
	ParallelDecoder *owner;
	uint64_t number; /* from 0 */
	bool last;       /* of a list */
	Piece piece;
	uint8_t *in; /* owned, as is "raw" */
	size_t in_size;
	size_t in_capacity;
	uint8_t *raw;
	size_t raw_capacity;
} PieceJob;

struct ParallelDecoder
{
	Sink sink;
	const PieceDecoder *pieces;
	ChunkedStream stream;
	FindPiece find; /* NULL before the first byte */
	Ordered *ring;
	PieceJob *filling; /* what has come since the last piece; NULL: nothing */
	PieceJob *spare;   /* one whose memory serves again */
	Sink *whole;       /* decodes the rest */
	bool in_rest;      /* from there on nothing is a piece */
	uint64_t found;    /* pieces, and what they decode to */
	uint64_t total;
	char *what;

	pthread_mutex_t mutex;
	void **idle; /* decoders that decoded a piece, and decode none now */
	size_t n_idle;
};

static void
piece_job_free(void *argument)
{
	PieceJob *job = argument;

	if (job == NULL)
		return;
	free(job->in);
	free(job->raw);
	free(job);
}

/* Of the last one it may be less: what is encrypted is a little longer. */
static uint64_t
stored_most_of(const ChunkedStream *stream, size_t number)
{
	const ChunkList *list = stream->list;
	uint64_t begin = list->places[number].offset;
	uint64_t left = stream->size - begin;
	uint64_t most = codec_stored_most(list->chunk_size);

	if (number + 1 < list->count)
		return list->places[number + 1].offset - begin;
	return left < most ? left : most;
}

static PieceKind
find_by_list(const ParallelDecoder *self, const void *data, size_t size, bool ended, Piece *ret_piece)
{
	const ChunkList *list = self->stream.list;
	uint64_t left = self->stream.raw_size - self->total;

	(void) data;
	if (self->found == list->count)
		return PIECE_OTHER;

	bool is_last = self->found + 1 == list->count;
	uint64_t stored = stored_most_of(&self->stream, self->found);

	*ret_piece = (Piece){.stored_size = size < stored ? size : stored,
	                     .raw_size = left < list->chunk_size ? left : list->chunk_size};
	return size >= stored || (ended && is_last) ? PIECE_WHOLE : PIECE_CUT;
}

static PieceKind
find_by_frame(const ParallelDecoder *self, const void *data, size_t size, bool ended, Piece *ret_piece)
{
	(void) ended;
	return self->pieces->find(data, size, ret_piece);
}

static PieceKind
find_nothing(const ParallelDecoder *self, const void *data, size_t size, bool ended, Piece *ret_piece)
{
	(void) self;
	(void) data;
	(void) size;
	(void) ended;
	(void) ret_piece;
	return PIECE_OTHER;
}

static FindPiece
how_to_find(const ParallelDecoder *self)
{
	const ChunkList *list = self->stream.list;

	if (list == NULL || list->count == 0)
		return self->pieces->find != NULL ? find_by_frame : find_nothing;
	if (list->chunk_size > PIECE_RAW_MOST || !codec_has_chunks(&self->stream))
		return find_nothing;
	for (size_t i = 0; i < list->count; i++)
		if (stored_most_of(&self->stream, i) > codec_stored_most(list->chunk_size))
			return find_nothing;
	return find_by_list;
}

/* NULL: there is none yet for this thread. */
static void *
take_idle(ParallelDecoder *self)
{
	(void) pthread_mutex_lock(&self->mutex);
	void *decoder = self->n_idle > 0 ? self->idle[--self->n_idle] : NULL;
	(void) pthread_mutex_unlock(&self->mutex);
	return decoder;
}

static void
put_idle(ParallelDecoder *self, void *decoder)
{
	(void) pthread_mutex_lock(&self->mutex);
	self->idle[self->n_idle++] = decoder;
	(void) pthread_mutex_unlock(&self->mutex);
}

/* An OrderedRun.  The memory for the output is touched here, by the thread that fills it. */
static Error *
decode_job(void *argument, const atomic_bool *stop)
{
	PieceJob *job = argument;
	ParallelDecoder *self = job->owner;
	ChunkInput input = {.first_byte = self->stream.first_byte,
	                    .first = job->number == 0,
	                    .last = job->last,
	                    .data = job->in,
	                    .size = job->piece.stored_size};
	void *decoder = NULL;
	Error *error;

	(void) stop; /* a piece takes some milliseconds */
	if (job->raw_capacity < job->piece.raw_size)
	{
		free(job->raw);
		job->raw = mem_alloc(job->piece.raw_size);
		job->raw_capacity = job->piece.raw_size;
	}

	/* The stream's first bytes want a decoder that has seen none, its last ones leave one that takes no more: and jobs may overtake each other. */
	if (job->number > 0)
		decoder = take_idle(self);
	error = self->pieces->decode(&input, job->raw, job->piece.raw_size, self->what, &decoder);
	if (error == NULL && self->find == find_by_list)
		error = codec_check_chunks(&self->stream, job->number, 1, job->raw);
	if (error == NULL && !job->last)
		put_idle(self, decoder);
	else if (decoder != NULL)
		self->pieces->free(decoder);
	return error;
}

/* Passes the oldest piece on; its memory serves again. */
static Error *
pass_oldest_on(ParallelDecoder *self)
{
	void *taken = NULL;

	TRY(cancel_check());
	TRY(ordered_take(self->ring, &taken));

	PieceJob *job = taken;

	piece_job_free(self->spare);
	self->spare = job;

	/* As the other decoders do: write() of megabytes into a file takes more than twice the kernel's time (ext4, Linux 6.18). */
	for (size_t at = 0; at < job->piece.raw_size; at += CODEC_BUFFER_SIZE)
	{
		size_t left = job->piece.raw_size - at;

		TRY(sink_write(self->sink.next, job->raw + at, left < CODEC_BUFFER_SIZE ? left : CODEC_BUFFER_SIZE));
	}
	return NULL;
}

static Error *
pass_all_on(ParallelDecoder *self)
{
	while (!ordered_is_empty(self->ring))
		TRY(pass_oldest_on(self));
	return NULL;
}

static Error *
begin_piece(ParallelDecoder *self)
{
	if (ordered_is_full(self->ring))
		TRY(pass_oldest_on(self));
	self->filling = self->spare != NULL ? MOVE(self->spare) : NEW(PieceJob);
	self->filling->owner = self;
	self->filling->number = self->found;
	self->filling->in_size = 0;
	return NULL;
}

static void
append(PieceJob *job, const void *data, size_t size)
{
	if (size > job->in_capacity - job->in_size)
	{
		job->in_capacity = job->in_size + size + job->in_capacity / 2;
		job->in = mem_realloc(job->in, job->in_capacity);
	}
	memcpy(job->in + job->in_size, data, size);
	job->in_size += size;
}

static Error *
hand_over(ParallelDecoder *self, const Piece *piece)
{
	PieceJob *job = self->filling;

	if (piece->raw_size > self->stream.raw_size - self->total)
		return codec_error_too_long(self->what, self->stream.raw_size);
	job->piece = *piece;
	job->last = self->find == find_by_list && self->found + 1 == self->stream.list->count;
	self->total += piece->raw_size;
	self->found++;
	ordered_submit(self->ring, MOVE(self->filling));
	return NULL;
}

static bool
lacks_chunks(const ParallelDecoder *self)
{
	return self->find == find_by_list && self->found < self->stream.list->count;
}

/* From here on one stream; of chunks only where none was found, for what follows them is none. */
static Error *
begin_rest(ParallelDecoder *self)
{
	const PieceJob *job = self->filling;

	TRY(pass_all_on(self));
	if (self->found > 0 && self->find == find_by_list)
		return lacks_chunks(self) ? codec_error_truncated(self->what) : codec_error_trailing(self->what);
	self->in_rest = true;
	self->whole->next = self->sink.next;
	if (self->found > 0)
		self->pieces->skip(self->whole, self->found, self->total);
	return job == NULL ? NULL : sink_write(self->whole, job->in, job->in_size);
}

static Error *
parallel_decoder_write(Sink *sink, const void *data, size_t size)
{
	ParallelDecoder *self = (ParallelDecoder *) sink;
	const uint8_t *next = data;

	if (self->find == NULL && size > 0)
	{
		self->stream.first_byte = *next;
		self->find = how_to_find(self);
	}
	while (size > 0 && !self->in_rest)
	{
		size_t taken = size < CODEC_BUFFER_SIZE ? size : CODEC_BUFFER_SIZE;
		Piece piece;

		if (self->filling == NULL)
			TRY(begin_piece(self));
		append(self->filling, next, taken);
		switch (self->find(self, self->filling->in, self->filling->in_size, false, &piece))
		{
			case PIECE_CUT:
				break;
			case PIECE_OTHER:
				TRY(begin_rest(self));
				break;
			case PIECE_WHOLE:
				taken -= self->filling->in_size - piece.stored_size;
				TRY(hand_over(self, &piece));
				break;
		}
		next += taken;
		size -= taken;
	}
	return size > 0 ? sink_write(self->whole, next, size) : NULL;
}

/* The beginning of a piece, nothing at all: what is wrong with the end is the other decoder's to say. */
static Error *
parallel_decoder_finish(Sink *sink)
{
	ParallelDecoder *self = (ParallelDecoder *) sink;
	const PieceJob *job = self->filling;
	Piece piece;

	if (!self->in_rest && job != NULL && self->find(self, job->in, job->in_size, true, &piece) == PIECE_WHOLE)
		TRY(hand_over(self, &piece));
	if (!self->in_rest && (self->filling != NULL || self->found == 0 || lacks_chunks(self)))
		TRY(begin_rest(self));
	return self->in_rest ? self->whole->ops->finish(self->whole) : pass_all_on(self);
}

static void
parallel_decoder_free(Sink *sink)
{
	ParallelDecoder *self = (ParallelDecoder *) sink;

	ordered_free(self->ring);
	for (size_t i = 0; i < self->n_idle; i++)
		self->pieces->free(self->idle[i]);
	(void) pthread_mutex_destroy(&self->mutex);
	free(self->idle);
	piece_job_free(self->filling);
	piece_job_free(self->spare);
	sink_free(self->whole);
	free(self->what);
	free(self);
}

Sink *
parallel_decoder_new(const PieceDecoder *pieces, const ChunkedStream *stream, Sink *whole, Workers *cpu,
                     int most_pieces)
{
	static const SinkOps ops = {
		.write = parallel_decoder_write,
		.finish = parallel_decoder_finish,
		.free = parallel_decoder_free,
	};
	static const OrderedOps ring_ops = {.run = decode_job, .free = piece_job_free};
	ParallelDecoder *self = NEW(ParallelDecoder);

	self->sink.ops = &ops;
	self->pieces = pieces;
	self->stream = *stream;
	self->what = mem_strdup(stream->what);
	self->stream.what = self->what;
	self->whole = whole;
	self->ring = ordered_new(cpu, most_pieces, &ring_ops);
	self->idle = NEW_ARRAY(void *, (size_t) workers_size(cpu) + 1);
	(void) pthread_mutex_init(&self->mutex, NULL);
	return &self->sink;
}
