/* What "walship recover" was asked for. */
#pragma once

#include <stdbool.h>

#include "command.h"
#include "recover_drop.h"
#include "walship/plan/recover.h"

typedef struct TablespaceMapping
{
	char *from; /* as on the source */
	char *to;   /* absolute */
} TablespaceMapping;

typedef struct RecoverOptions
{
	RecoveryRequest request;
	DropOptions drop;
	char *pgdata; /* absolute; NULL only with --plan */
	TablespaceMapping *mappings;
	size_t n_mappings;
	bool move_aside;
	bool plan_only;
	bool config_only;
	bool json;
	const char *primary_conninfo; /* "" when not given */
	const char *primary_slot_name;
} RecoverOptions;

/* Targets and purposes that exclude each other, or lack each other, are ERR_USAGE. */
Error *recover_options_parse(const Invocation *invocation, RecoverOptions *ret_options) MUST_CHECK;
void recover_options_release(RecoverOptions *options);

#define N_RECOVER_OPTIONS 27

extern const CommandOption recover_command_options[N_RECOVER_OPTIONS];
