/*
 * The way through the WAL to one timeline, as the server goes it (PostgreSQL:
 * xlogrecovery.c, XLogFileReadAnyTLI): every segment is taken from the newest
 * timeline of the path that begins in it or before.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "walship/archive/catalog.h"
#include "walship/plan/facts.h"

typedef struct PathPiece
{
	TimeLineID timeline;
	XLogSegNo first;
	XLogSegNo last;
	XLogRecPtr
		until; /* the old timeline's copy of the segment with a switch counts up to it; else UINT64_MAX */
	const uint32_t *sizes; /* stored, from "first" on; the catalog's */
} PathPiece;

typedef struct Path
{
	TimeLineID timeline;
	const TimelineHistory *history; /* the catalog's */
	uint32_t segment_size;
	PathPiece *pieces; /* ascending */
	size_t n_pieces;
	size_t capacity;
} Path;

Path *path_new(const Catalog *catalog, const CatalogTimeline *timeline);
void path_free(Path *path);
AUTO_DEFINE(Path, path_free);

const PathPiece *path_piece(const Path *path, XLogSegNo segno); /* NULL when it is not in the store */

/* As path_piece(), but NULL, too, when an older timeline's copy ends before the backup does. */
const PathPiece *path_piece_for(const Path *path, XLogSegNo segno, const BackupRecord *backup);
bool path_next(const Path *path, XLogSegNo from, XLogSegNo *ret_segno); /* first one in the store, >= from */
bool path_last(const Path *path, XLogSegNo *ret_segno);                 /* false: no WAL at all */
XLogSegNo path_first_missing(const Path *path, XLogSegNo from);         /* >= from */

/* The first byte in which two paths differ; UINT64_MAX for the same path. */
XLogRecPtr path_divergence(const Path *a, const Path *b);

/* The timeline on whose WAL this path's own begins; 0 when it has no known parent. */
TimeLineID path_parent_timeline(const Path *path, XLogRecPtr *ret_begin);
