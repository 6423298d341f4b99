/* Stages that look at what passes: one notes size and SHA-256, the other compares them. */
#include <inttypes.h>
#include <string.h>

#include "walship/base/mem.h"
#include "walship/base/strs.h"
#include "walship/pipe/stages.h"

typedef struct DigestStage
{
	Sink sink;
	Sha256 *sha;
	uint64_t size;
	Digest *ret_digest; /* of the digest stage: the caller's */
	Digest expected;    /* of the verify stage */
	char *what;
} DigestStage;

static Error *
digest_write(Sink *sink, const void *data, size_t size)
{
	DigestStage *self = (DigestStage *) sink;

	sha256_update(self->sha, data, size);
	self->size += size;
	return sink_write(sink->next, data, size);
}

static Error *
digest_finish(Sink *sink)
{
	DigestStage *self = (DigestStage *) sink;

	sha256_final(self->sha, self->ret_digest->sha256);
	self->ret_digest->size = self->size;
	return NULL;
}

static void
digest_free(Sink *sink)
{
	DigestStage *self = (DigestStage *) sink;

	sha256_free(self->sha);
	free(self->what);
	free(self);
}

static const SinkOps digest_ops = {
	.write = digest_write,
	.finish = digest_finish,
	.free = digest_free,
};

Sink *
digest_stage_new(Digest *ret_digest)
{
	DigestStage *self = NEW(DigestStage);

	self->sink.ops = &digest_ops;
	self->sha = sha256_new();
	self->ret_digest = ret_digest;
	return &self->sink;
}

static Error *
verify_write(Sink *sink, const void *data, size_t size)
{
	DigestStage *self = (DigestStage *) sink;

	if (size > self->expected.size - self->size)
		return error_new(ERR_CORRUPT, "%s is longer than the expected %" PRIu64 " bytes", self->what,
		                 self->expected.size);
	return digest_write(sink, data, size);
}

static Error *
verify_finish(Sink *sink)
{
	DigestStage *self = (DigestStage *) sink;
	uint8_t sha256[SHA256_SIZE];
	char expected_text[SHA256_TEXT_SIZE];
	char actual_text[SHA256_TEXT_SIZE];

	if (self->size != self->expected.size)
		return error_new(ERR_CORRUPT, "%s has %" PRIu64 " bytes instead of %" PRIu64, self->what, self->size,
		                 self->expected.size);
	sha256_final(self->sha, sha256);
	if (memcmp(sha256, self->expected.sha256, SHA256_SIZE) == 0)
		return NULL;
	hex_encode(self->expected.sha256, SHA256_SIZE, expected_text);
	hex_encode(sha256, SHA256_SIZE, actual_text);
	return error_new(ERR_CORRUPT, "%s does not match its checksum: SHA-256 is %s instead of %s", self->what,
	                 actual_text, expected_text);
}

static const SinkOps verify_ops = {
	.write = verify_write,
	.finish = verify_finish,
	.free = digest_free,
};

Sink *
verify_stage_new(const Digest *expected, const char *what)
{
	DigestStage *self = NEW(DigestStage);

	self->sink.ops = &verify_ops;
	self->sha = sha256_new();
	self->expected = *expected;
	self->what = mem_strdup(what);
	return &self->sink;
}
