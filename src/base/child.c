/*
 * Children: see walship/base/child.h.  Threads run in this process, so between fork
 * and exec only what signal-safety(7) allows is called, on what was prepared before.
 */
#include "walship/base/child.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "walship/base/cancel.h"
#include "walship/base/clock.h"
#include "walship/base/file.h"

#define POLL_MS       20
#define ID_MAP_SIZE   64
#define FDS_MOST      4096
#define IDLE_PRIORITY (3 << 13) /* ioprio_set(2): IOPRIO_CLASS_IDLE */

/* What a child that could not become the program has to say. */
typedef struct ChildFailure
{
	int error;
	char step[32];
} ChildFailure;

typedef struct IdMaps
{
	char users[ID_MAP_SIZE];
	char groups[ID_MAP_SIZE];
} IdMaps;

/* The server refuses root, so in its namespace it has the ids that it has outside. */
static void
prepare_maps(IdMaps *maps)
{
	(void) snprintf(maps->users, sizeof(maps->users), "%u %u 1", geteuid(), geteuid());
	(void) snprintf(maps->groups, sizeof(maps->groups), "%u %u 1", getegid(), getegid());
}

static bool
write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	size_t length = strlen(text);
	bool written = fd >= 0 && write(fd, text, length) == (ssize_t) length;

	if (fd >= 0)
		(void) close(fd);
	return written;
}

/*
 * A network with a loopback and no other interface.  Until PostgreSQL 15 the
 * statistics collector talks to itself over the loopback, so it is switched on.
 * Never an IPC namespace: the server knows by System V shared memory that
 * another one runs in its directory (PostgreSQL: sysv_shmem.c).
 */
static const char *
leave_network(const IdMaps *maps)
{
	struct ifreq loopback = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};

	if (unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0)
		return "unshare the network";
	if (!write_file("/proc/self/setgroups", "deny") || !write_file("/proc/self/uid_map", maps->users) ||
	    !write_file("/proc/self/gid_map", maps->groups))
		return "map user and group";

	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &loopback) != 0)
		return "switch the loopback on";
	(void) close(fd);
	return NULL;
}

static void
set_default_signals(void)
{
	sigset_t none;

	for (int number = 1; number < NSIG; number++)
		if (number != SIGKILL && number != SIGSTOP)
			(void) signal(number, SIG_DFL);
	(void) sigemptyset(&none);
	(void) sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Where "report", "kept" and the others are is known: none is a standard descriptor. */
static const char *
set_descriptors(const ChildOptions *options, int report)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int input = options->input > 0 ? options->input : null;
	int output = options->output > 0 ? options->output : null;
	int errors = options->errors > 0 ? options->errors : output;

	if (null < 0 || dup2(input, STDIN_FILENO) < 0 || dup2(output, STDOUT_FILENO) < 0 ||
	    dup2(errors, STDERR_FILENO) < 0)
		return "set its descriptors";
	for (int fd = STDERR_FILENO + 1; fd < FDS_MOST; fd++)
		if (fd != report && fd != options->kept)
			(void) fcntl(fd, F_SETFD, FD_CLOEXEC);
	if (options->kept > 0 && fcntl(options->kept, F_SETFD, 0) != 0)
		return "keep its lock";
	return NULL;
}

/* For good: none of its user ids is this process's any more. */
static const char *
become_user(const ChildUser *user)
{
	if (setgroups(user->n_groups, user->groups) != 0 || setresgid(user->gid, user->gid, user->gid) != 0 ||
	    setresuid(user->uid, user->uid, user->uid) != 0)
		return "become its user";
	return NULL;
}

static const char *
become_program(const ChildOptions *options, const IdMaps *maps, pid_t parent, int report)
{
	const char *failed = NULL;

	set_default_signals();
	if (options->detached && setsid() < 0)
		return "begin a session";
	if (options->user != NULL)
		failed = become_user(options->user);
	if (failed == NULL && options->no_network)
		failed = leave_network(maps);
	if (failed == NULL)
		failed = set_descriptors(options, report);
	if (failed != NULL)
		return failed;

	/* After the new user namespace, which resets it (prctl(2)); the parent may have ended before. */
	if (options->death_signal != 0 &&
	    (prctl(PR_SET_PDEATHSIG, options->death_signal) != 0 || getppid() != parent))
		return "be ended with its parent";

	/* Both are a courtesy: what cannot be had is done without. */
	if (options->niceness > 0)
	{
		(void) setpriority(PRIO_PROCESS, 0, getpriority(PRIO_PROCESS, 0) + options->niceness);
		(void) syscall(SYS_ioprio_set, 1, 0, IDLE_PRIORITY);
	}
	if (options->directory != NULL && chdir(options->directory) != 0)
		return "change its directory";
	(void) execve(options->argv[0], (char *const *) options->argv,
	              (char *const *) (options->environment != NULL ? options->environment
	                                                            : (const char *const *) environ));
	return "run it";
}

/* Takes both ends of "report". */
static Error *
start(const ChildOptions *options, int report[2], pid_t *ret_pid)
{
	ChildFailure failure = {0};
	IdMaps maps;
	pid_t parent = getpid();
	pid_t pid;
	ssize_t got;

	prepare_maps(&maps);
	pid = fork();
	if (pid == 0)
	{
		const char *failed = become_program(options, &maps, parent, report[1]);

		failure.error = errno;
		for (size_t i = 0; failed[i] != '\0' && i + 1 < sizeof(failure.step); i++)
			failure.step[i] = failed[i];
		_exit(write(report[1], &failure, sizeof(failure)) == sizeof(failure) ? 127 : 126);
	}

	int error = errno;

	(void) close(report[1]);
	report[1] = -1;
	if (pid < 0)
	{
		errno = error;
		return error_errno("could not fork for \"%s\"", options->argv[0]);
	}
	do
		got = read(report[0], &failure, sizeof(failure));
	while (got < 0 && errno == EINTR);
	if (got == 0)
	{
		*ret_pid = pid;
		return NULL;
	}
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		continue;
	errno = failure.error;
	return error_errno("could not start program \"%s\": could not %s", options->argv[0], failure.step);
}

Error *
child_start(const ChildOptions *options, pid_t *ret_pid)
{
	int report[2];

	if (pipe2(report, O_CLOEXEC) != 0)
		return error_errno("could not create a pipe");

	Error *error = start(options, report, ret_pid);

	for (int i = 0; i < 2; i++)
		if (report[i] >= 0)
			(void) close(report[i]);
	return error;
}

static int
exit_status(int status)
{
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

bool
child_has_ended(pid_t pid, int *ret_status)
{
	int status = 0;
	pid_t ended;

	do
		ended = waitpid(pid, &status, WNOHANG);
	while (ended < 0 && errno == EINTR);
	if (ended == 0)
		return false;
	*ret_status = ended < 0 ? -1 : exit_status(status);
	return true;
}

Error *
child_wait(pid_t pid, int64_t timeout_ms, int *ret_status)
{
	int64_t deadline = clock_monotonic_ms() + timeout_ms;

	while (!child_has_ended(pid, ret_status))
	{
		if (timeout_ms >= 0 && clock_monotonic_ms() >= deadline)
			return error_new(ERR_TRANSIENT, "process %d has not ended after %lld s", (int) pid,
			                 (long long) (timeout_ms / 1000));
		TRY(cancel_sleep_ms(POLL_MS));
	}
	return NULL;
}

/* Until its output ends, which is when it and its own children have. */
static Error *
read_output(int fd, int64_t timeout_ms, Buf *output)
{
	int64_t deadline = clock_monotonic_ms() + timeout_ms;
	char bytes[8192];

	for (;;)
	{
		int64_t left = timeout_ms < 0 ? -1 : deadline - clock_monotonic_ms();

		TRY(cancel_poll(fd, POLLIN, timeout_ms < 0 || left > 0 ? left : 0));

		ssize_t got = read(fd, bytes, sizeof(bytes));

		if (got == 0)
			return NULL;
		if (got < 0 && errno != EINTR)
			return error_errno("could not read a program's output");
		if (got > 0 && output->size + (size_t) got <= output->cap)
			buf_append(output, bytes, (size_t) got);
	}
}

Error *
child_run(const ChildOptions *options, int64_t timeout_ms, Buf *output, int *ret_status)
{
	ChildOptions with_output = *options;
	AUTO_CLOSE int reader = -1;
	int ends[2];
	pid_t pid = 0;

	if (pipe2(ends, O_CLOEXEC) != 0)
		return error_errno("could not create a pipe");
	reader = ends[0];
	with_output.output = ends[1];

	Error *error = child_start(&with_output, &pid);

	(void) close(ends[1]);
	TRY(error);
	error = read_output(reader, timeout_ms, output);
	if (error == NULL)
		error = child_wait(pid, timeout_ms, ret_status);
	if (error != NULL)
	{
		(void) kill(pid, SIGKILL);
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			continue;
	}
	return error_context(error, "program \"%s\"", options->argv[0]);
}

Error *
child_check_no_network(void)
{
	static const char *const argv[] = {"/bin/true", NULL};
	int status = 0;
	pid_t pid;

	TRY(child_start(&(ChildOptions){.argv = argv, .no_network = true}, &pid));
	return child_wait(pid, 10000, &status);
}
