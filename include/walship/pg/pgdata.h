/* The server of a data directory, as other processes see it. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "walship/base/error.h"

typedef enum PostmasterState
{
	POSTMASTER_NONE,    /* there is no postmaster.pid */
	POSTMASTER_DEAD,    /* there is one, of a process that is gone */
	POSTMASTER_RUNNING, /* or that cannot be told from what the file says */
} PostmasterState;

/* For whoever wants to write into its directory: what cannot be understood counts as a server that runs. */
Error *postmaster_look(const char *data_directory, PostmasterState *ret_state) MUST_CHECK;

/* By its postmaster.pid; false when there is none, or no such process. */
bool postmaster_of(const char *data_directory, pid_t *ret_pid);

/* Did it call this process, directly or by others? */
bool postmaster_called_us(pid_t postmaster);

pid_t process_parent(pid_t pid); /* 0 when that is not known */
