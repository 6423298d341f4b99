/* What other backup programs for PostgreSQL call it: for people who come from there. */
#pragma once

#include <stddef.h>

/* A hint for an unknown command (argv[0], with what follows it), to be freed; NULL: no other program has it. */
char *other_tools_command(int argc, char *const *argv);

/* The same for an unknown option, as it was given but for its value: "--stanza". */
char *other_tools_option(const char *option, size_t length);
