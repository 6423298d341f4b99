/* The server of a data directory, as other processes see it. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

/* By its postmaster.pid; false when there is none, or no such process. */
bool postmaster_of(const char *data_directory, pid_t *ret_pid);

/* Did it call this process, directly or by others? */
bool postmaster_called_us(pid_t postmaster);

pid_t process_parent(pid_t pid); /* 0 when that is not known */
