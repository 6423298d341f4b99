/* Manual pages in the macros of man(7), from the tables of commands and settings. */
#pragma once

#include "command.h"

#define MANUAL_PAGE_MAX (1024 * 1024)

void manual_page_overview(Buf *into);                        /* walship(1) */
void manual_page_command(const Command *command, Buf *into); /* walship-NAME(1) */
void manual_page_settings(Buf *into);                        /* walship.conf(5) */
