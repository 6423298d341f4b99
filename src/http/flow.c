/* How much of a transfer has moved; see flow.h. */
#include "flow.h"

#include <curl/curl.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stddef.h>
#include <sys/socket.h>
#include <unistd.h>

#include "curl_library.h"

#define LOOK_MS 200 /* between two looks whether there is a hurry */

/* Bytes that wait in the kernel and were not sent: enough for a fast link, and soon sent by a slow one. */
#define UNSENT_MOST (512 * 1024)

/*
 * What the other side has acknowledged.  What libcurl counts is what the kernel
 * took: 4 MB at once, and then on a slow link nothing for a quarter of a minute,
 * though all the while bytes arrive.  False where the kernel does not tell.
 */
static bool
acked_on_socket(int fd, uint64_t *ret_acked)
{
	struct tcp_info info = {0};
	socklen_t size = sizeof(info);

	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0 ||
	    size < offsetof(struct tcp_info, tcpi_bytes_acked) + sizeof(info.tcpi_bytes_acked))
		return false;
	*ret_acked = info.tcpi_bytes_acked;
	return true;
}

/*
 * A multi handle does not tell which socket a transfer uses (CURLINFO_ACTIVESOCKET is
 * -1 while it runs), so all of them are kept: of those that are not used nothing moves.
 */
void
flow_opened(Connection *connection, int fd)
{
	int unsent = UNSENT_MOST;

	(void) setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent, sizeof(unsent));
	if (connection->n_sockets < SOCKETS_MOST)
		connection->sockets[connection->n_sockets++] = fd;
}

bool
flow_close(Connection *connection, int fd)
{
	uint64_t acked = 0;

	for (int i = 0; i < connection->n_sockets; i++)
		if (connection->sockets[i] == fd)
		{
			if (acked_on_socket(fd, &acked))
				connection->closed_acked += acked;
			connection->sockets[i] = connection->sockets[--connection->n_sockets];
			break;
		}
	return close(fd) == 0;
}

/* Came, or arrived at the other side.  Never less than before. */
static uint64_t
bytes_moved(const Connection *connection)
{
	uint64_t up = connection->closed_acked;
	curl_off_t taken = 0;
	curl_off_t down = 0;

	(void) curl_easy_getinfo(connection->easy, CURLINFO_SIZE_DOWNLOAD_T, &down);
	for (int i = 0; i < connection->n_sockets; i++)
	{
		uint64_t acked = 0;

		if (!acked_on_socket(connection->sockets[i], &acked))
		{
			(void) curl_easy_getinfo(connection->easy, CURLINFO_SIZE_UPLOAD_T, &taken);
			return (uint64_t) taken + (uint64_t) down;
		}
		up += acked;
	}
	return up + (uint64_t) down;
}

/* Has it stood still?  What counts is any span of stall_ms, not the average since the beginning. */
Error *
flow_check(Flow *flow, const Connection *connection, const Patience *patience)
{
	int64_t stall_ms = patience->stall_ms;
	int64_t now_ms = clock_monotonic_ms();
	uint64_t *oldest;
	uint64_t moved;

	/* To look costs something; a request that is done at once never does. */
	if (flow->look_ms == 0)
		flow->look_ms = now_ms + LOOK_MS;
	if (!flow->hurried && now_ms >= flow->look_ms)
	{
		flow->look_ms = now_ms + LOOK_MS;
		if (patience_hurries(patience))
			*flow = (Flow){.hurried = true, .look_ms = flow->look_ms};
	}
	if (flow->hurried && (stall_ms == 0 || stall_ms > PATIENCE_HURRIED_STALL_MS))
		stall_ms = PATIENCE_HURRIED_STALL_MS;

	oldest = &flow->samples[flow->taken % FLOW_SLOTS];
	if (stall_ms == 0 || now_ms < flow->next_ms)
		return NULL;
	flow->next_ms = now_ms + stall_ms / FLOW_SLOTS;
	moved = bytes_moved(connection);
	if (flow->taken >= FLOW_SLOTS && moved - *oldest < (uint64_t) (stall_ms * PATIENCE_LEAST_RATE / 1000))
		return error_new(ERR_TRANSIENT, "connection stalled: %llu bytes in %lld s",
		                 (unsigned long long) (moved - *oldest), (long long) stall_ms / 1000);
	*oldest = moved;
	flow->taken++;
	return NULL;
}
