/* The table of commands. */
#pragma once

#include "command.h"

/* Each in the file of its name. */
extern const Command command_push;
extern const Command command_fetch;
extern const Command command_backup;
extern const Command command_dump;
extern const Command command_undump;
extern const Command command_list;
extern const Command command_find;
extern const Command command_recover;
extern const Command command_verify;
extern const Command command_expire;
extern const Command command_copy;
extern const Command command_pin;
extern const Command command_unpin;
extern const Command command_drill;
extern const Command command_status;
extern const Command command_runbook;
extern const Command command_files;
extern const Command command_check;
extern const Command command_init;
extern const Command command_each;
extern const Command command_key;
extern const Command command_config;
extern const Command command_manual;
extern const Command command_completion;
extern const Command command_notify;
extern const Command command_prefetcher;
extern const Command command_notifier;

extern const Command *const commands[];
extern const size_t n_commands;

const Command *command_by_name(const char *name); /* NULL when there is none */
