/*
 * Other programs, run as children of this process.  No shell is involved: what is
 * run is a path and its words.  A child has the default signals, none of this
 * process's descriptors but those that are named, and the environment it is given.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "walship/base/buf.h"
#include "walship/base/error.h"

/* Who a child is to be: only of a process of root. */
typedef struct ChildUser
{
	uid_t uid;
	gid_t gid;
	const gid_t *groups;
	size_t n_groups;
} ChildUser;

typedef struct ChildOptions
{
	const char *const *argv;        /* ended by NULL; the first one is the program's path */
	const char *const *environment; /* "NAME=value", ended by NULL; NULL: this process's */
	const char *directory;          /* where it runs; NULL: here */
	int input;                      /* its standard input; 0: empty */
	int output;                     /* its standard output and error; 0: nowhere */
	int errors;                     /* its standard error, where that is to go elsewhere; 0: no */
	int kept; /* a descriptor that it has, too, under the same number, for as long as it lives; 0: none */
	bool detached; /* of a session of its own: it outlives this process and its terminal */
	int death_signal; /* sent to it when this process ends, however that comes; 0: none.  Only from the main thread */
	bool no_network;       /* it sees a loopback of its own and nothing else: user and network namespace */
	const ChildUser *user; /* NULL: as this process */
	int niceness;          /* added to this process's; above 0 its disk accesses are idle ones, too */
} ChildOptions;

/* ERR_SYSTEM or ERR_DENIED, with the step that failed: nothing has been started then. */
Error *child_start(const ChildOptions *options, pid_t *ret_pid) MUST_CHECK;

/* Has it ended?  Then it is reaped, and *ret_status is its exit status, of one killed by a signal 128 + signal. */
bool child_has_ended(pid_t pid, int *ret_status);

/* Waits for its end; ERR_TRANSIENT when that takes longer (-1: no limit), ERR_CANCELLED. */
Error *child_wait(pid_t pid, int64_t timeout_ms, int *ret_status) MUST_CHECK;

/*
 * Runs it to its end, with its output, cut at the buffer's cap.  Whatever ends the
 * waiting early ends the child, too.
 */
Error *child_run(const ChildOptions *options, int64_t timeout_ms, Buf *output, int *ret_status) MUST_CHECK;

/* A line without its end, of standard error or of standard output; one that is very long comes in pieces. */
typedef void (*ChildLine)(void *context, bool is_error, const char *line);

/*
 * Runs it to its end, and tells each line as it comes.  When this process is cancelled, the
 * child is asked to end (SIGTERM), and killed where it does not: ERR_CANCELLED.
 */
Error *child_run_lines(const ChildOptions *options, ChildLine callback, void *context, int *ret_status)
	MUST_CHECK;

/* Does the kernel let this user have "no_network"?  ERR_DENIED, with its reason, when not. */
Error *child_check_no_network(void) MUST_CHECK;
