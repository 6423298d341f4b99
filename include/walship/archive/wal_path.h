/*
 * The way through the WAL to one timeline, as the server goes it (PostgreSQL:
 * xlogrecovery.c, XLogFileReadAnyTLI): every segment is taken from the newest
 * timeline of the path that begins in it or before.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "walship/archive/catalog.h"
#include "walship/base/error.h"

/* Segments of one timeline, "first" to "last". */
typedef struct WalRange
{
	TimeLineID timeline;
	XLogSegNo first;
	XLogSegNo last;
} WalRange;

typedef struct WalPathPiece
{
	TimeLineID timeline;
	XLogSegNo first;
	XLogSegNo last;
	XLogRecPtr
		until; /* the old timeline's copy of the segment with a switch counts up to it; else UINT64_MAX */
	const uint32_t *sizes; /* stored, from "first" on; the catalog's */
} WalPathPiece;

typedef struct WalPath
{
	TimeLineID timeline;
	const TimelineHistory *history; /* the catalog's */
	uint32_t segment_size;
	WalPathPiece *pieces; /* ascending */
	size_t n_pieces;
	size_t capacity;
} WalPath;

WalPath *wal_path_new(const Catalog *catalog, const CatalogTimeline *timeline);
void wal_path_free(WalPath *path);
AUTO_DEFINE(WalPath, wal_path_free);

const WalPathPiece *wal_path_piece(const WalPath *path,
                                   XLogSegNo segno); /* NULL when it is not in the store */

/* As wal_path_piece(), but NULL, too, when an older timeline's copy ends before the backup does. */
const WalPathPiece *wal_path_piece_for(const WalPath *path, XLogSegNo segno, const BackupRecord *backup);
bool wal_path_next(const WalPath *path, XLogSegNo from,
                   XLogSegNo *ret_segno);                              /* first one in the store, >= from */
bool wal_path_last(const WalPath *path, XLogSegNo *ret_segno);         /* false: no WAL at all */
XLogSegNo wal_path_first_missing(const WalPath *path, XLogSegNo from); /* >= from */

/* The first byte in which two paths differ; UINT64_MAX for the same path. */
XLogRecPtr wal_path_divergence(const WalPath *a, const WalPath *b);

/* The timeline on whose WAL this path's own begins; 0 when it has no known parent. */
TimeLineID wal_path_parent_timeline(const WalPath *path, XLogRecPtr *ret_begin);
