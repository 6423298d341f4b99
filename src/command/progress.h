/*
 * Progress of what takes longer than two seconds: a live line on a terminal, a
 * line every ten seconds in a log, or JSON for programs; all on stderr.  The same once a
 * second in a file of state_dir, for a status that somebody asks for meanwhile
 * (walship/upkeep/running.h).  May be called from several threads.
 */
#pragma once

#include <stdint.h>

#include "command.h"
#include "walship/base/error.h"
#include "walship/base/notice.h"

typedef struct Progress Progress;

#define PROGRESS_OPTION_HELP "how to show progress: auto (default), json or none"

/* By the option "progress"; "operation" is "backup", "recover", ... */
Error *progress_new(const Invocation *invocation, const char *operation, Progress **ret_progress) MUST_CHECK;

/* Before it begins: what is counted are objects, and not bytes. */
void progress_counts_objects(Progress *progress);

/* "phase" is a string constant for people, such as "copying"; total 0: not known. */
void progress_set(Progress *progress, const char *phase, uint64_t done, uint64_t total);

/* The same for what several threads do together: adds to what is done. */
void progress_add(Progress *progress, uint64_t done);

/* The work is done: clears the live line, before anything else is printed on stderr, and removes the file. */
void progress_end(Progress *progress);

/* What the folders below have to say meanwhile, as lines of the log beside which no live line is left. */
Notices progress_notices(Progress *progress);

void progress_free(Progress *progress); /* ends it, too */
AUTO_DEFINE(Progress, progress_free);
