/*
 * Which WAL is to be looked through, and how much of it need not be read.  Pure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "walship/archive/catalog.h"
#include "walship/plan/facts.h"

/*
 * Transactions that began so many segments before the ones that are looked
 * through are still seen whole: for the kind of a loss, what they did before counts.
 */
#define FIND_BEFORE_MAX 64

typedef struct FindSegment
{
	TimeLineID timeline; /* whose copy it is */
	XLogSegNo segno;
	XLogRecPtr until; /* records from here on are not of this way; UINT64_MAX: all are */
} FindSegment;

/* A way through the WAL of the store, in the order of replay. */
typedef struct FindWay
{
	const TimelineHistory *history; /* the catalog's */
	FindSegment *segments;          /* owned */
	size_t n_segments;
	size_t capacity;
	size_t first; /* the ones before it only tell what open transactions did */
} FindWay;

typedef struct FindWays
{
	FindWay *items; /* ascending by timeline */
	size_t count;
	WalRange *gaps; /* missing segments between two that are looked through */
	size_t n_gaps;
	size_t gaps_capacity;
} FindWays;

/* The way to "timeline", or, when that is 0, every timeline's own WAL. */
void find_ways(const Catalog *catalog, TimeLineID timeline, FindWays *ret_ways);
void find_ways_release(FindWays *ways);
