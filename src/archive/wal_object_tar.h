/*
 * How a segment object is laid out: an ustar archive of "<SEGMENT>.json", the
 * index, and "<SEGMENT>.br" (.zst, .raw), the payload.
 */
#pragma once

#include <stdint.h>

#include "walship/base/buf.h"
#include "walship/base/error.h"
#include "walship/pipe/codec.h"
#include "walship/pipe/tar.h"
#include "walship/wal/index.h"

#define WAL_OBJECT_INDEX_MAX (1024 * 1024) /* of JSON: what a reader accepts; writers stay far below */
#define WAL_OBJECT_HEAD_MAX  (WAL_OBJECT_INDEX_MAX + 3 * TAR_BLOCK_SIZE)
#define WAL_OBJECT_TAIL_MAX  (TAR_BLOCK_SIZE + TAR_END_SIZE)

/* Everything before the payload.  Sets index->member and index->codec first. */
Error *wal_object_tar_head(WalIndex *index, Codec codec, Buf *head) MUST_CHECK;

/* Everything after the payload, in the caller's memory. */
Buf wal_object_tar_tail(uint64_t stored_size, uint8_t bytes[WAL_OBJECT_TAIL_MAX]);
