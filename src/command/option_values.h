/* Values of options that several commands have. */
#pragma once

#include "command.h"
#include "walship/base/clock.h"
#include "walship/ship/tablespaces.h"
#include "walship/wal/lsn.h"

/* Without a zone in the text the setting "timezone" decides; TIME_NONE when the option was not given. */
Error *option_time(const Invocation *invocation, const char *option, TimeUs *ret_time) MUST_CHECK;

/* "--timeline", also TIMELINE_LATEST; 0 when it was not given. */
Error *option_timeline(const Invocation *invocation, TimeLineID *ret_timeline) MUST_CHECK;

/*
 * Also of 64 bits, as pg_current_xact_id() tells them: *ret_full is the number then,
 * and 0 when no epoch is said.
 */
bool option_xid(const char *text, TransactionId *ret_xid, uint64_t *ret_full);

/* Those at the end of a path. */
void option_trim_slashes(char *path);

/* Each "--tablespace-map OLD=NEW". */
Error *option_mappings(const Invocation *invocation, TablespaceMappings *mappings) MUST_CHECK;
