/* Decrypts: what passes has been authenticated, whole chunk by whole chunk. */
#include <inttypes.h>
#include <string.h>

#include "format.h"
#include "walship/base/mem.h"

#define SEALED_CHUNK_SIZE (AGE_CHUNK_SIZE + AEAD_TAG_SIZE)

typedef struct AgeDecoder
{
	Sink sink;
	const AgeIdentities *identities; /* not owned */
	char *what;
	Buf header;        /* its text, until it is whole */
	size_t line_start; /* in the header: where the last line begins */
	AgeFileKey key;
	Aead *aead;      /* NULL until the nonce has been read */
	uint64_t number; /* of the chunk that is being filled */
	size_t used;     /* of "sealed": of the nonce, then of the chunk */
	bool has_key;
	uint8_t sealed[SEALED_CHUNK_SIZE];
	uint8_t plain[AGE_CHUNK_SIZE];
} AgeDecoder;

static Error *
malformed(const AgeDecoder *self, Error *reason)
{
	return error_context(reason, "could not decrypt %s: its header is malformed", self->what);
}

static Error *
read_header(AgeDecoder *self)
{
	AUTO_AGE_HEADER header = {0};
	Buf *text = &self->header;

	TRY(malformed(self, age_header_parse(text->data, text->size, &header)));
	TRY(error_context(age_unwrap(self->identities, &header, &self->key), "could not decrypt %s", self->what));
	if (!age_header_is_authentic(&header, text->data, &self->key))
		return error_new(ERR_CORRUPT,
		                 "could not decrypt %s: its header was changed: the authentication code is wrong",
		                 self->what);
	self->has_key = true;
	buf_release(text);
	return NULL;
}

/* Takes bytes up to the end of the line, or all there are. */
static Error *
take_header(AgeDecoder *self, const uint8_t **next, size_t *size)
{
	const uint8_t *feed = memchr(*next, '\n', *size);
	size_t part = feed != NULL ? (size_t) (feed - *next) + 1 : *size;

	buf_append(&self->header, *next, part);
	*next += part;
	*size -= part;
	if (self->header.overflowed)
		return malformed(self, error_new(ERR_CORRUPT, "it has more than %u bytes", AGE_HEADER_MAX));

	size_t length = self->header.size - self->line_start;

	if (feed == NULL && length <= AGE_LINE_MAX)
		return NULL;
	if (self->line_start == 0)
		TRY(malformed(self, age_header_check_version(self->header.data, self->header.size)));
	if (length > AGE_LINE_MAX)
		return malformed(self, error_new(ERR_CORRUPT, "it has a line of more than %u bytes", AGE_LINE_MAX));
	if (strncmp(self->header.data + self->line_start, "---", 3) == 0) /* begins the header's last line */
		return read_header(self);
	self->line_start = self->header.size;
	return NULL;
}

static void
take_sealed(AgeDecoder *self, const uint8_t **next, size_t *size, size_t wanted)
{
	size_t room = wanted - self->used;
	size_t part = *size < room ? *size : room;

	memcpy(self->sealed + self->used, *next, part);
	self->used += part;
	*next += part;
	*size -= part;
}

static bool
open_as(AgeDecoder *self, bool last)
{
	uint8_t nonce[AEAD_NONCE_SIZE];

	age_chunk_nonce(self->number, last, nonce);
	return aead_open(self->aead, nonce, self->sealed, self->used, self->plain);
}

/* Why?  The chunk may be right at another place: as the last one, or not as the last one. */
static Error *
wrong_chunk(AgeDecoder *self, bool last)
{
	uint64_t number = self->number + 1;
	bool elsewhere = open_as(self, !last);

	secret_clear(self->plain, sizeof(self->plain));
	if (elsewhere && last)
		return error_new(ERR_CORRUPT, "could not decrypt %s: it is cut off after chunk %" PRIu64, self->what,
		                 number);
	if (elsewhere)
		return error_new(ERR_CORRUPT, "could not decrypt %s: bytes follow its last chunk", self->what);
	return error_new(ERR_CORRUPT, "could not decrypt %s: chunk %" PRIu64 " was changed, %s: its tag is wrong",
	                 self->what, number, last ? "or is cut off" : "or is not in its place");
}

static Error *
open_chunk(AgeDecoder *self, bool last)
{
	size_t size = self->used - AEAD_TAG_SIZE;

	if (!open_as(self, last))
		return wrong_chunk(self, last);
	if (size == 0 && self->number > 0)
		return error_new(ERR_CORRUPT, "could not decrypt %s: its last chunk is empty", self->what);
	self->number++;
	self->used = 0;
	return sink_write(self->sink.next, self->plain, size);
}

static Error *
decoder_write(Sink *sink, const void *data, size_t size)
{
	AgeDecoder *self = (AgeDecoder *) sink;
	const uint8_t *next = data;

	while (size > 0)
	{
		if (!self->has_key)
			TRY(take_header(self, &next, &size));
		else if (self->aead == NULL)
		{
			take_sealed(self, &next, &size, AGE_NONCE_SIZE);
			if (self->used < AGE_NONCE_SIZE)
				continue;
			self->aead = age_payload_cipher(&self->key, self->sealed);
			secret_clear(&self->key, sizeof(self->key));
			self->used = 0;
		}
		else
		{
			/* A full chunk waits for what follows: it may be the last one. */
			if (self->used == SEALED_CHUNK_SIZE)
				TRY(open_chunk(self, false));
			take_sealed(self, &next, &size, SEALED_CHUNK_SIZE);
		}
	}
	return NULL;
}

static Error *
decoder_finish(Sink *sink)
{
	AgeDecoder *self = (AgeDecoder *) sink;

	if (!self->has_key && self->line_start == 0)
		TRY(malformed(self, age_header_check_version(self->header.data, self->header.size)));
	if (!self->has_key || self->aead == NULL)
		return error_new(ERR_CORRUPT, "could not decrypt %s: it is cut off in its header", self->what);
	if (self->used < AEAD_TAG_SIZE)
		return error_new(ERR_CORRUPT, "could not decrypt %s: it is cut off in chunk %" PRIu64, self->what,
		                 self->number + 1);
	return open_chunk(self, true);
}

static void
decoder_free(Sink *sink)
{
	AgeDecoder *self = (AgeDecoder *) sink;

	aead_free(self->aead);
	buf_release(&self->header);
	free(self->what);
	secret_clear(&self->key, sizeof(self->key));
	free(self);
}

Sink *
age_decoder_new(const AgeIdentities *identities, const char *what)
{
	static const SinkOps ops = {.write = decoder_write, .finish = decoder_finish, .free = decoder_free};
	AgeDecoder *self = NEW(AgeDecoder);

	self->sink.ops = &ops;
	self->identities = identities;
	self->what = mem_strdup(what);
	buf_init(&self->header, AGE_HEADER_MAX);
	return &self->sink;
}
