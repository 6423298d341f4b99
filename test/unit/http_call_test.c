/* Requests that are repeated: when, how often, and what is told of it.  On a server that does as a row says. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include "scratch.h"
#include "walship/base/clock.h"
#include "walship/http/call.h"
#include "walship/pipe/stages.h"

#define ANSWERS_MOST 4
#define HEAD_MOST    8192
#define CLOSE        "" /* instead of an answer */

typedef struct Server
{
	int listener;
	char url[64];
	pthread_t thread;
	const char *const *answers; /* one for each request; the last one for all that follow */
	int n_requests;
	char last_head[HEAD_MOST];
} Server;

/* The head of a request and its body, by a connection of its own; false when there is none. */
static bool
read_request(Server *server, int fd)
{
	size_t size = 0;
	const char *length;
	size_t left;

	while (size + 1 < HEAD_MOST && read(fd, server->last_head + size, 1) == 1)
	{
		server->last_head[++size] = '\0';
		if (size >= 4 && strcmp(server->last_head + size - 4, "\r\n\r\n") == 0)
			break;
	}
	length = strstr(server->last_head, "Content-Length: ");
	left = size > 0 && length != NULL ? strtoul(length + 16, NULL, 10) : 0;
	for (char byte; left > 0 && read(fd, &byte, 1) == 1;)
		left--;
	return size > 0;
}

static void *
serve(void *argument)
{
	Server *server = argument;
	int fd;

	while ((fd = accept(server->listener, NULL, NULL)) >= 0)
	{
		if (read_request(server, fd))
		{
			const char *answer = server->answers[0];

			server->n_requests++;
			if (server->answers[1] != NULL)
				server->answers++;
			assert_true(write(fd, answer, strlen(answer)) >= 0);
		}
		(void) close(fd);
	}
	return NULL;
}

static void
server_start(Server *server, const char *const *answers)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(address);

	*server = (Server){.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), .answers = answers};
	assert_true(server->listener >= 0);
	assert_int_equal(bind(server->listener, (struct sockaddr *) &address, size), 0);
	assert_int_equal(listen(server->listener, 8), 0);
	assert_int_equal(getsockname(server->listener, (struct sockaddr *) &address, &size), 0);
	(void) snprintf(server->url, sizeof(server->url), "http://127.0.0.1:%d/", ntohs(address.sin_port));
	assert_int_equal(pthread_create(&server->thread, NULL, serve, server), 0);
}

/* After the client, which closes its connections. */
static void
server_stop(Server *server)
{
	(void) shutdown(server->listener, SHUT_RDWR);
	(void) pthread_join(server->thread, NULL);
	(void) close(server->listener);
}

#define ANSWER(status, headers, body) "HTTP/1.1 " status "\r\n" headers "\r\n" body
#define EMPTY(status)                 ANSWER(status, "Content-Length: 0\r\n", "")
#define OK                            EMPTY("200 OK")
#define TROUBLE                       EMPTY("500 Trouble")

static void
count(void *context, const Error *error)
{
	assert_non_null(error);
	++*(int *) context;
}

typedef struct CallRow
{
	const char *name;
	const char *answers[ANSWERS_MOST + 1];
	Patience patience;
	int n_requests;
	bool done;
	ErrorKind kind; /* unless it is done */
	const char *message;
	bool ambiguous;
} CallRow;

static const CallRow call_rows[] = {
	{"what is wanted comes at once", {OK}, {0}, 1, true, 0, NULL, false},
	{"trouble that passes", {TROUBLE, TROUBLE, OK}, {0}, 3, true, 0, NULL, true},
	{"no answer, then one", {CLOSE, OK}, {0}, 2, true, 0, NULL, true},
	{"trouble, as often as may be", {TROUBLE}, {.attempts = 3}, 3, false, ERR_TRANSIENT, "HTTP 500", true},
	{"trouble, and no time for another attempt",
     {TROUBLE, OK},
     {.retry_ms = 1},
     1,
     false,
     ERR_TRANSIENT,
     "HTTP 500",
     false},
	{"the server asks for more time than there is",
     {ANSWER("503 Busy", "Retry-After: 3600\r\nContent-Length: 0\r\n", ""), OK},
     {.retry_ms = 60000},
     1,
     false,
     ERR_TRANSIENT,
     "HTTP 503",
     false},
	{"what is denied stays so", {EMPTY("403 No"), OK}, {0}, 1, false, ERR_DENIED, "HTTP 403", false},
	{"what is refused is not asked for again",
     {EMPTY("404 None"), OK},
     {0},
     1,
     false,
     ERR_TRANSIENT,
     "HTTP 404",
     false},
};

static void
a_call_is_repeated_while_that_may_help(void **state)
{
	(void) state;
	for (size_t i = 0; i < lengthof(call_rows); i++)
	{
		const CallRow *row = &call_rows[i];
		Server server;
		HttpClient *client = http_client_new(&(HttpOptions){.user_agent = "test"});
		AUTO_RESPONSE response = {0};
		Slice body = slice_of_memory("body", 4);
		int n_told = 0;

		server_start(&server, row->answers);

		HttpCall call = {.request = {.method = "PUT",
		                             .url = server.url,
		                             .body = &body,
		                             .n_body = 1,
		                             .has_body = true,
		                             .patience = row->patience},
		                 .retrying = count,
		                 .context = &n_told};
		AUTO(Error) error = http_call(client, &call, &response);

		http_client_free(client);
		server_stop(&server);
		if (row->done != (error == NULL) || row->n_requests != server.n_requests ||
		    row->ambiguous != response.ambiguous || n_told != (row->n_requests > 1))
			fail_msg("%s: %d requests, told %d times, ambiguous %d, %s", row->name, server.n_requests, n_told,
			         response.ambiguous, error == NULL ? "done" : error_message(error));
		if (error != NULL)
			assert_error(MOVE(error), row->kind, row->message);
	}
}

typedef struct Range
{
	int64_t corrections;
	StrList headers;
	const Buf *got;
} Range;

static Error *
ask_for_the_rest(void *context, HttpRequest *request)
{
	Range *range = context;
	AUTO_FREE char *line = mem_printf("Range: bytes=%zu-", range->got->size);

	strlist_release(&range->headers);
	strlist_add(&range->headers, line);
	request->headers = &range->headers;
	return NULL;
}

static void
a_read_that_breaks_goes_on_where_it_stopped_if_the_caller_can(void **state)
{
	static const char *const answers[] = {ANSWER("200 OK", "Content-Length: 10\r\n", "abcd"),
	                                      ANSWER("206 OK", "Content-Length: 6\r\n", "efghij"), NULL};

	(void) state;
	for (int able = 0; able < 2; able++)
	{
		Server server;
		HttpClient *client = http_client_new(&(HttpOptions){.user_agent = "test"});
		AUTO_RESPONSE response = {0};
		AUTO_BUF(got, 100);
		AUTO(Sink) sink = buf_sink_new(&got);
		Range range = {.got = &got};

		server_start(&server, answers);

		/* The server says ten and sends four. */
		HttpCall call = {
			.request = {.method = "GET", .url = server.url, .into = sink, .patience = {.attempts = 2}},
			.prepare = able ? ask_for_the_rest : NULL,
			.context = &range};
		AUTO(Error) error = http_call(client, &call, &response);

		http_client_free(client);
		server_stop(&server);
		assert_int_equal(server.n_requests, 1 + able);
		if (able)
		{
			assert_null(error);
			assert_string_equal(got.data, "abcdefghij");
			assert_non_null(strstr(server.last_head, "bytes=4-"));
		}
		else
			assert_error(MOVE(error), ERR_TRANSIENT, NULL);
		strlist_release(&range.headers);
	}
}

static Error *
correct_once(void *context, const HttpResponse *response, HttpVerdict *ret_verdict)
{
	int *n_corrections = context;

	if (response->status == 200)
		return NULL;
	*ret_verdict = (*n_corrections)++ == 0 ? HTTP_CORRECTED : HTTP_FAILED;
	return error_new(ERR_DENIED, "the clock is wrong");
}

static void
what_was_corrected_is_sent_again_at_once_whatever_the_patience(void **state)
{
	static const char *const answers[][3] = {{EMPTY("403 Clock"), OK, NULL}, {EMPTY("403 Clock"), NULL}};

	(void) state;
	for (size_t i = 0; i < lengthof(answers); i++)
	{
		Server server;
		HttpClient *client = http_client_new(&(HttpOptions){.user_agent = "test"});
		AUTO_RESPONSE response = {0};
		int n_corrections = 0;

		server_start(&server, answers[i]);

		HttpCall call = {.request = {.method = "GET", .url = server.url, .patience = {.attempts = 1}},
		                 .check_answer = correct_once,
		                 .context = &n_corrections};
		AUTO(Error) error = http_call(client, &call, &response);

		http_client_free(client);
		server_stop(&server);
		assert_int_equal(server.n_requests, 2);
		assert_int_equal(error == NULL, i == 0);
	}
}

static void
an_expected_put_is_sent_on_the_connection_that_waits(void **state)
{
	static const char *const answers[] = {OK, NULL};
	Server server;
	HttpClient *client = http_client_new(&(HttpOptions){.user_agent = "test"});
	AUTO_RESPONSE response = {0};
	Slice body = slice_of_memory("body", 4);

	(void) state;
	server_start(&server, answers);
	http_expect_put(client, server.url, 3000);
	http_expect_put(client, server.url, 3000); /* one at a time */

	HttpRequest request = {.method = "PUT", .url = server.url, .body = &body, .n_body = 1, .has_body = true};

	assert_ok(http_perform(client, &request, &response));
	assert_int_equal(response.status, 200);
	assert_ok(http_perform(client, &request, &response));
	assert_int_equal(server.n_requests, 2);
	assert_non_null(strstr(server.last_head, "Content-Length: 4"));
	assert_null(strstr(server.last_head, "Expect"));

	/* One that nobody sends is given up with the client. */
	http_expect_put(client, server.url, 3000);
	http_client_free(client);
	server_stop(&server);
	assert_int_equal(server.n_requests, 2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_call_is_repeated_while_that_may_help),
		cmocka_unit_test(a_read_that_breaks_goes_on_where_it_stopped_if_the_caller_can),
		cmocka_unit_test(what_was_corrected_is_sent_again_at_once_whatever_the_patience),
		cmocka_unit_test(an_expected_put_is_sent_on_the_connection_that_waits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
