/* "walship --help" and "walship COMMAND --help", from the tables. */
#pragma once

#include "command.h"

void help_print_overview(void);
void help_print_command(const Command *command);
