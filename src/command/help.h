/* "walship --help" and "walship COMMAND --help", from the tables. */
#pragma once

#include "command.h"

Error *help_print_overview(void) MUST_CHECK;
void help_print_command(const Command *command);
