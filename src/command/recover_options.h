/* What "walship recover" was asked for. */
#pragma once

#include "command.h"
#include "walship/recovery/copy.h"
#include "walship/recovery/recover.h"

/*
 * Sets what the options say about it; the caller releases it also after an error.
 * Targets and purposes that exclude each other, or lack each other, are ERR_USAGE.
 */
Error *recover_options_parse(const Invocation *invocation, Recovery *recovery) MUST_CHECK;

/* Of a drill: a target, by default the end of the WAL, "--timeline" and "--backup" (an id). */
Error *drill_request_parse(const Invocation *invocation, RecoveryRequest *request) MUST_CHECK;

/* "--port", 0 when it was not given, and "--network-fence"; the rest of the options is not set. */
Error *copy_options_parse(const Invocation *invocation, CopyOptions *ret_options) MUST_CHECK;

#define N_RECOVER_OPTIONS 39

extern const CommandOption recover_command_options[N_RECOVER_OPTIONS];
