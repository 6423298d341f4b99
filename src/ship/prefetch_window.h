/* What the files of the window share. */
#pragma once

#include "walship/ship/prefetch.h"

#define PREFETCH_TEMPORARY ".walship-tmp" /* as file_sink_new() and file_open_temporary() have it */
#define PREFETCH_LOCK      "lock"
#define PREFETCH_REQUESTS  "requests"
#define PREFETCH_LAST      "last"

/* Longer than any server takes for a segment; a file of a dead prefetcher counts for nothing after that. */
#define PREFETCH_VALID_S 3600

struct PrefetchWindow
{
	char *parent; /* of all windows */
	char *directory;
	uint64_t system_identifier;
	uint32_t segment_size;
};

char *prefetch_file(const PrefetchWindow *window, const WalName *name);
char *prefetch_temporary(const PrefetchWindow *window, const WalName *name);

/* Is this file in the window whole, ours and the segment of this name?  What it is not, it is no more. */
bool prefetch_is_ready(const PrefetchWindow *window, const WalName *name, const char *path);

/* A directory that nobody else can write into. */
Error *prefetch_directory_check(const char *path) MUST_CHECK;
