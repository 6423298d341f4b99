/* Encrypts: header, nonce, chunks of 64 KiB, the last of them marked. */
#include <string.h>

#include "format.h"
#include "walship/base/mem.h"

typedef struct AgeEncoder
{
	Sink sink;
	const AgeRecipients *recipients; /* not owned */
	Aead *aead;                      /* NULL until the header is out */
	uint64_t number;                 /* of the chunk that is being filled */
	size_t used;
	uint8_t plain[AGE_CHUNK_SIZE];
	uint8_t sealed[AGE_CHUNK_SIZE + AEAD_TAG_SIZE];
} AgeEncoder;

static Error *
encoder_start(AgeEncoder *self)
{
	AUTO_AGE_FILE_KEY key;
	AUTO_AGE_HEADER header = {0};
	AUTO_BUF(start, AGE_HEADER_MAX);
	uint8_t nonce[AGE_NONCE_SIZE];

	if (self->aead != NULL)
		return NULL;
	random_bytes(key.bytes, sizeof(key.bytes));
	random_bytes(nonce, sizeof(nonce));
	TRY(error_context(age_wrap(self->recipients, &key, &header), "could not encrypt"));
	age_header_print(&header, &key, &start);
	buf_append(&start, nonce, sizeof(nonce));
	self->aead = age_payload_cipher(&key, nonce);
	return sink_write(self->sink.next, start.data, start.size);
}

static Error *
seal_chunk(AgeEncoder *self, bool last)
{
	uint8_t nonce[AEAD_NONCE_SIZE];
	size_t size = self->used + AEAD_TAG_SIZE;

	age_chunk_nonce(self->number++, last, nonce);
	aead_seal(self->aead, nonce, self->plain, self->used, self->sealed);
	self->used = 0;
	return sink_write(self->sink.next, self->sealed, size);
}

/* A full chunk waits for what follows: it may be the last one. */
static Error *
encoder_write(Sink *sink, const void *data, size_t size)
{
	AgeEncoder *self = (AgeEncoder *) sink;
	const uint8_t *next = data;

	TRY(encoder_start(self));
	while (size > 0)
	{
		if (self->used == AGE_CHUNK_SIZE)
			TRY(seal_chunk(self, false));

		size_t room = AGE_CHUNK_SIZE - self->used;
		size_t part = size < room ? size : room;

		memcpy(self->plain + self->used, next, part);
		self->used += part;
		next += part;
		size -= part;
	}
	return NULL;
}

static Error *
encoder_finish(Sink *sink)
{
	AgeEncoder *self = (AgeEncoder *) sink;

	TRY(encoder_start(self));
	return seal_chunk(self, true);
}

static void
encoder_free(Sink *sink)
{
	AgeEncoder *self = (AgeEncoder *) sink;

	aead_free(self->aead);
	free(self);
}

void
age_add_encoder(Pipe *pipe, const AgeRecipients *recipients)
{
	static const SinkOps ops = {.write = encoder_write, .finish = encoder_finish, .free = encoder_free};
	AgeEncoder *self;

	if (recipients == NULL)
		return;
	self = NEW(AgeEncoder);
	self->sink.ops = &ops;
	self->recipients = recipients;
	pipe_add(pipe, &self->sink);
}
