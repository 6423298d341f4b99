/*
 * A child and its three streams; see walship/base/child_stream.h.  Whoever waits for
 * one of them looks after the others, too: a child whose standard error nobody reads
 * stops when that is full.
 */
#include "walship/base/child_stream.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "walship/base/cancel.h"
#include "walship/base/mem.h"

#define PIPE_SIZE (1024 * 1024) /* asked for; the kernel may have a lower limit for a user */

struct ChildStream
{
	char *program;
	pid_t pid; /* 0: it has been reaped */
	int input; /* -1: it has none, or it was ended */
	int output;
	int errors; /* -1: it was closed */
	Buf kept;   /* its standard error */
};

static void
close_end(int *fd)
{
	if (*fd >= 0)
		(void) close(*fd);
	*fd = -1;
}

static Error *
make_pipe(int ends[2])
{
	if (pipe2(ends, O_CLOEXEC) != 0)
		return error_errno("could not create a pipe");
	(void) fcntl(ends[0], F_SETPIPE_SZ, PIPE_SIZE);
	return NULL;
}

/*
 * A socket, not a pipe: writing to one that the child has closed raises no SIGPIPE when
 * asked not to, and this code may not change what becomes of signals.
 */
static Error *
make_input(int ends[2])
{
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
		return error_errno("could not create a socket");
	return NULL;
}

Error *
child_stream_start(const ChildOptions *options, bool fed, ChildStream **ret_stream)
{
	ChildOptions own = *options;
	AUTO(ChildStream) stream = NEW(ChildStream);
	int input[2] = {-1, -1}; /* ours, the child's */
	int output[2] = {-1, -1};
	int errors[2] = {-1, -1};
	Error *error = fed ? make_input(input) : NULL;

	if (error == NULL)
		error = make_pipe(output);
	if (error == NULL)
		error = make_pipe(errors);
	buf_init(&stream->kept, CHILD_ERRORS_MAX);
	stream->program = mem_strdup(options->argv[0]);
	stream->input = input[0];
	stream->output = output[0];
	stream->errors = errors[0];
	own.input = fed ? input[1] : 0;
	own.output = output[1];
	own.errors = errors[1];
	if (error == NULL)
		error = child_start(&own, &stream->pid);
	close_end(&input[1]);
	close_end(&output[1]);
	close_end(&errors[1]);
	TRY(error);
	*ret_stream = MOVE(stream);
	return NULL;
}

/* What is there now, and at least one byte or the end; into "keep" as far as it has room, or into nothing. */
static Error *
drain(const ChildStream *stream, int *fd, Buf *keep)
{
	char bytes[8192];
	ssize_t got = read(*fd, bytes, sizeof(bytes));

	if (got < 0 && (errno == EINTR || errno == EAGAIN))
		return NULL;
	if (got < 0)
		return error_errno("could not read the output of program \"%s\"", stream->program);
	if (got == 0)
		close_end(fd);
	else if (keep != NULL && keep->size + (size_t) got <= keep->cap)
		buf_append(keep, bytes, (size_t) got);
	return NULL;
}

/* Until one of the streams moves.  poll() passes over a descriptor that is -1. */
static Error *
wait_for(const ChildStream *stream, bool write, bool read, struct pollfd ret_polled[4])
{
	ret_polled[0] = (struct pollfd){.fd = write ? stream->input : -1, .events = POLLOUT};
	ret_polled[1] = (struct pollfd){.fd = read ? stream->output : -1, .events = POLLIN};
	ret_polled[2] = (struct pollfd){.fd = stream->errors, .events = POLLIN};
	ret_polled[3] = (struct pollfd){.fd = cancel_fd(), .events = POLLIN};
	if (poll(ret_polled, 4, -1) < 0 && errno != EINTR)
		return error_errno("could not wait for program \"%s\"", stream->program);
	return cancel_check();
}

Error *
child_stream_read(ChildStream *stream, void *data, size_t size, size_t *ret_size)
{
	struct pollfd polled[4];
	ssize_t got = -1;

	*ret_size = 0;
	while (got < 0 && stream->output >= 0)
	{
		TRY(wait_for(stream, false, true, polled));
		if (polled[2].revents != 0)
			TRY(drain(stream, &stream->errors, &stream->kept));
		if (polled[1].revents == 0)
			continue;
		got = read(stream->output, data, size);
		if (got < 0 && errno != EINTR)
			return error_errno("could not read the output of program \"%s\"", stream->program);
		if (got == 0)
			close_end(&stream->output);
		else if (got > 0)
			*ret_size = (size_t) got;
	}
	return NULL;
}

Error *
child_stream_write(ChildStream *stream, const void *data, size_t size, Buf *output, bool *ret_taken)
{
	const char *bytes = data;
	struct pollfd polled[4];

	while (size > 0 && stream->input >= 0)
	{
		TRY(wait_for(stream, true, true, polled));
		if (polled[1].revents != 0)
			TRY(drain(stream, &stream->output, output));
		if (polled[2].revents != 0)
			TRY(drain(stream, &stream->errors, &stream->kept));
		if (polled[0].revents == 0)
			continue;

		ssize_t sent = send(stream->input, bytes, size, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (sent >= 0)
		{
			bytes += sent;
			size -= (size_t) sent;
		}
		else if (errno == EPIPE || errno == ECONNRESET)
			close_end(&stream->input);
		else if (errno != EINTR && errno != EAGAIN)
			return error_errno("could not write to program \"%s\"", stream->program);
	}
	*ret_taken = stream->input >= 0;
	return NULL;
}

Error *
child_stream_end(ChildStream *stream, Buf *output, int *ret_status)
{
	struct pollfd polled[4];

	close_end(&stream->input);
	while (stream->output >= 0 || stream->errors >= 0)
	{
		TRY(wait_for(stream, false, true, polled));
		if (stream->output >= 0 && polled[1].revents != 0)
			TRY(drain(stream, &stream->output, output));
		if (stream->errors >= 0 && polled[2].revents != 0)
			TRY(drain(stream, &stream->errors, &stream->kept));
	}
	TRY(child_wait(stream->pid, -1, ret_status));
	stream->pid = 0;
	return NULL;
}

void
child_stream_errors(const ChildStream *stream, StrList *ret_lines)
{
	for (const char *line = stream->kept.data; line != NULL && *line != '\0';)
	{
		size_t length = strcspn(line, "\r\n");
		AUTO_FREE char *text = mem_strndup(line, length);

		if (length > 0)
			strlist_add(ret_lines, text);
		line += length + strspn(line + length, "\r\n");
	}
}

void
child_stream_free(ChildStream *stream)
{
	if (stream == NULL)
		return;
	close_end(&stream->input);
	close_end(&stream->output);
	close_end(&stream->errors);
	if (stream->pid > 0)
	{
		(void) kill(stream->pid, SIGKILL);
		while (waitpid(stream->pid, NULL, 0) < 0 && errno == EINTR)
			continue;
	}
	buf_release(&stream->kept);
	free(stream->program);
	free(stream);
}
