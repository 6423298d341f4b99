/*
 * How many small objects, or first bytes of objects, are read at the same time.  What such a read waits for is the round
 * trip: it takes neither a decoder nor memory to speak of, so many more of them are in flight than whole objects are.
 */
#pragma once

/* For each of the "jobs" that settings allow, and at most, if "jobs" are not more: a connection each, kept. */
#define SMALL_READS_EACH 16
#define SMALL_READS_MAX  64

static inline int
small_reads_at_once(int jobs)
{
	int many = jobs < SMALL_READS_MAX / SMALL_READS_EACH ? SMALL_READS_EACH * jobs : SMALL_READS_MAX;

	return many > jobs ? many : jobs;
}
