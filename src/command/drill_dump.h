/* "walship drill --dump", and what it shares with the drill of a backup. */
#pragma once

#include "invocation.h"
#include "walship/upkeep/drill.h"

/* "--dump": restores a dump instead of a backup. */
Error *drill_of_dump(Invocation *invocation) MUST_CHECK;

/* drill.c: settings and options of every drill.  Of the programs' directory nothing is owned. */
Error *drill_options_read(const Invocation *invocation, const char *directory, DrillOptions *ret_options)
	MUST_CHECK;

/* drill.c: removes the directory; "keep": says how to reach the server, and how to end it. */
Error *drill_end_scratch(const Invocation *invocation, const char *directory, const PrivateServer *server,
                         bool keep) MUST_CHECK;

/* drill.c: prints it, stores it, and decides the exit code. */
Error *drill_conclude(Invocation *invocation, Store *store, DrillReport *report) MUST_CHECK;
