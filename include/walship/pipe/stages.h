/* The ends of pipes and the stages in them that change nothing. */
#pragma once

#include "walship/base/buf.h"
#include "walship/base/crypto.h"
#include "walship/base/spool.h"
#include "walship/pipe/sink.h"

/* SHA-256 and size of what passes; *ret_digest is set by finish and must outlive the stage. */
typedef struct Digest
{
	uint8_t sha256[SHA256_SIZE];
	uint64_t size;
} Digest;

Sink *digest_stage_new(Digest *ret_digest);

/*
 * Lets everything pass and compares at finish: ERR_CORRUPT, naming "what", when
 * size or SHA-256 differ.  More bytes than expected fail at once.
 */
Sink *verify_stage_new(const Digest *expected, const char *what);

Sink *spool_sink_new(Spool *spool); /* last stage; the spool is the caller's */
Sink *null_sink_new(void);          /* last stage; nobody wants what was checked before */
Sink *buf_sink_new(Buf *buf);       /* last stage; beyond the buffer's cap is ERR_CORRUPT */

/*
 * Last stage: a file that appears under its name, durably, only by finish.
 * The bytes go to "<path>.walship-tmp" in the same directory, which is locked:
 * a leftover of a killed process is taken over, another process's is ERR_TRANSIENT.  The mode is exact, whatever the umask.
 */
Error *file_sink_new(const char *path, mode_t mode, Sink **ret_sink) MUST_CHECK;
