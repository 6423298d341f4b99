/* What a shell must know to complete walship's command lines, from the tables of commands and settings. */
#pragma once

#include "walship/base/buf.h"

#define COMPLETION_SCRIPT_MAX (1024 * 1024)

typedef struct CompletionShell
{
	const char *name;
	const char *path; /* below a share directory, where the shell looks for it */
	void (*script)(Buf *into);
} CompletionShell;

extern const CompletionShell completion_shells[];
extern const size_t n_completion_shells;
