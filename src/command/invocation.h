/* The command line, understood: shared by command.c, invocation.c and help.c only. */
#pragma once

#include <pthread.h>

#include "command.h"
#include "walship/base/strs.h"

#define ARGUMENTS_MAX 128

typedef struct GivenOption
{
	const CommandOption *option;
	const char *value; /* NULL for a flag */
} GivenOption;

struct Invocation
{
	const Command *command;
	char *program;
	GivenOption *given;
	size_t n_given;
	size_t given_capacity;
	SettingFlag *flags;
	size_t n_flags;
	size_t flags_capacity;
	const char *arguments[ARGUMENTS_MAX];
	int n_arguments;
	char *const *rest;
	size_t n_rest;
	const char *config_path;
	const char *cluster;
	bool help;
	Settings *settings;
	int status;    /* -1: by the error's kind */
	char *summary; /* of what came of it; NULL */

	pthread_t start_thread; /* of outcome_begin(), */
	bool has_start_thread;  /* until outcome_tell() */
};

/* Parses what follows the command's name.  Errors are ERR_USAGE; what was understood before stays. */
Error *invocation_parse(Invocation *invocation, int argc, char **argv) MUST_CHECK;

void invocation_release(Invocation *invocation);
