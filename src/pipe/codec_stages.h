/* What each compression library offers to codec.c.  Levels are within codec_level_range(). */
#pragma once

#include "walship/pipe/sink.h"

Sink *brotli_encoder_new(int level);
Sink *brotli_decoder_new(uint64_t most, const char *what);

Sink *zstd_encoder_new(int level);
Sink *zstd_decoder_new(uint64_t most, const char *what);

/* Size of the buffer in which an encoder or decoder collects its output. */
#define CODEC_BUFFER_SIZE (128u * 1024)

/* What every decoder says, in the same words. */
Error *codec_error_truncated(const char *what) MUST_CHECK;
Error *codec_error_trailing(const char *what) MUST_CHECK;
Error *codec_error_too_long(const char *what, uint64_t most) MUST_CHECK;
