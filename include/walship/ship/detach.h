/* Starting a process that nobody waits for. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "walship/base/error.h"

/* What of the open files it inherits. */
#define DETACHED_FD 3

/*
 * Runs this program with these arguments (argv[0] is for ps) in a session of its
 * own, with /dev/null as its three standard files, and of all that is open here
 * only "fd", as descriptor DETACHED_FD.
 *
 * When the process would be a child of "never_under", it does not come to be and
 * *ret_started is false: a postmaster that adopts processes, as PID 1 of a container
 * does, takes the death of one by a signal for a crash of its own (PostgreSQL: postmaster.c,
 * process_pm_child_exit).
 */
Error *detach_start(char *const argv[], int fd, pid_t never_under, bool *ret_started) MUST_CHECK;
