/* "walship --help" and "walship COMMAND --help", from the tables. */
#pragma once

#include "command.h"

/* What an exit code means: docs/operations.md, "Exit codes". */
const char *help_status(unsigned long status);

Error *help_print_overview(void) MUST_CHECK;
void help_print_command(const Command *command);
