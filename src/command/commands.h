/* The table of commands. */
#pragma once

#include "command.h"

extern const Command *const commands[];
extern const size_t n_commands;

const Command *command_by_name(const char *name); /* NULL when there is none */
