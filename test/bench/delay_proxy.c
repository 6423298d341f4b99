/*
 * A network of a given length between a client and a server on this machine.
 *
 * usage: delay_proxy PORT MICROSECONDS [BYTES]
 *
 * Listens on a free port of 127.0.0.1, forwards to PORT there, and adds a round
 * trip of MICROSECONDS: each accepted connection is held for one round trip, as
 * the handshake of TCP would take, before anything is read from it, and each
 * direction is late by half a round trip.  What was sent is in flight at the same
 * time, up to FLIGHT_MAX bytes in each direction, so that the delay limits no
 * throughput up to FLIGHT_MAX for each half round trip.
 *
 * With BYTES, each direction of each connection carries no more than so many in a second,
 * as object stores give one connection so much and no more, whatever the others do.  It is a wire
 * of that speed: it takes up the next piece, what it sends in PACE_MS, when it has sent the one before, and
 * half a round trip later that has arrived.  So nothing is saved up while nobody sends.  No more is in
 * flight than that: what the receiver does not take stays with the sender, as behind TCP's
 * window.  (Buffers of the kernel, on both sides, hold some megabytes more.)
 *
 * Not modelled: slow start and congestion, loss, reordering, a bandwidth that all connections
 * share, and the delay of a reset, which is passed on at once.  A real network is slower.
 *
 * Prints {"port": N} at its start and, for each line that it reads, what has passed
 * so far: {"connections": N, "to_server": BYTES, "to_client": BYTES}.  It ends with its
 * standard input.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CHUNK_SIZE (256 * 1024)
#define FLIGHT_MAX (64 * 1024 * 1024) /* bytes in flight in one direction of one connection */
#define PACE_MS    2
#define READS_MAX  8 /* chunks that one direction takes in before it is the next one's turn */
#define LINKS_MAX  256
#define EVENTS_MAX 64
#define NEVER      INT64_MAX

typedef struct Chunk
{
	struct Chunk *next;
	int64_t due; /* when it arrives, ns */
	size_t size;
	size_t sent;
	char bytes[];
} Chunk;

/* One direction. */
typedef struct Flow
{
	int from;
	int to;
	Chunk *first;
	Chunk **last;
	size_t held;
	int64_t free_at; /* when the wire has sent what was read; 0 without one */
	bool idle;       /* the sender had no more when it was last asked, or the receiver took no more */
	int64_t end_due; /* when the end of the stream arrives; NEVER as long as it has not ended */
	bool blocked;    /* the receiver takes no more at the moment */
	bool readable;   /* the sender may have sent more */
	bool finished;
} Flow;

typedef enum Direction
{
	TO_SERVER,
	TO_CLIENT,
	N_DIRECTIONS
} Direction;

typedef struct Link
{
	struct Link *next;
	int client;
	int server;      /* -1: not yet connected */
	int64_t open_at; /* ns */
	Flow flows[N_DIRECTIONS];
	bool ready; /* something has happened */
	bool closed;
} Link;

typedef struct Proxy
{
	int events; /* epoll */
	int listener;
	in_port_t to_port;
	int64_t round_trip; /* ns */
	int64_t rate;       /* bytes/s in each direction of each connection; 0: any */
	size_t piece;       /* bytes that are read at a time */
	size_t flight_max;  /* bytes */
	Link *links;
	int n_links;
	uint64_t n_connections;
	uint64_t n_bytes[N_DIRECTIONS];
} Proxy;

static void
fail(const char *what)
{
	perror(what);
	exit(1);
}

static int64_t
now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static struct sockaddr_in
local_address(in_port_t port)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return address;
}

static void
prepare_socket(int fd)
{
	int on = 1;

	(void) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	(void) fcntl(fd, F_SETFL, O_NONBLOCK);
}

/* "link" is NULL for what is no connection. */
static void
watch(const Proxy *proxy, int fd, uint32_t events, Link *link)
{
	struct epoll_event event = {.events = events, .data.ptr = link};

	if (epoll_ctl(proxy->events, EPOLL_CTL_ADD, fd, &event) != 0)
		fail("epoll_ctl");
}

/* Flows */

static void
flow_init(Flow *flow, int from, int to)
{
	*flow = (Flow){.from = from, .to = to, .idle = true, .end_due = NEVER};
	flow->last = &flow->first;
}

static void
flow_append(Flow *flow, Chunk *chunk)
{
	*flow->last = chunk;
	flow->last = &chunk->next;
	flow->held += chunk->size;
}

static void
flow_drop_first(Flow *flow)
{
	Chunk *chunk = flow->first;

	flow->first = chunk->next;
	if (flow->first == NULL)
		flow->last = &flow->first;
	flow->held -= chunk->size;
	free(chunk);
}

static bool
flow_has_room(const Flow *flow, const Proxy *proxy)
{
	return flow->end_due == NEVER && flow->held + proxy->piece <= proxy->flight_max;
}

/*
 * When the last of so many bytes, which were read now, has left the wire.  Where the sender had more to send all
 * the while, and the receiver took it, the wire was busy until now, however late this process is; else it begins now.
 */
static int64_t
flow_send(Flow *flow, const Proxy *proxy, size_t size)
{
	int64_t now = now_ns();

	if (proxy->rate == 0)
		return now;
	if (flow->idle && flow->free_at < now)
		flow->free_at = now;
	flow->idle = size < proxy->piece;
	flow->free_at += (int64_t) size * 1000000000 / proxy->rate;
	return flow->free_at;
}

/* Takes in what the sender has sent; false when the connection is broken. */
static bool
flow_read(Flow *flow, const Proxy *proxy, uint64_t *n_bytes)
{
	int64_t delay = proxy->round_trip / 2;

	flow->readable = true;
	flow->idle |= flow->blocked && !flow_has_room(flow, proxy);
	for (int i = 0; i < READS_MAX && flow_has_room(flow, proxy) && flow->free_at <= now_ns(); i++)
	{
		Chunk *chunk = malloc(sizeof(Chunk) + proxy->piece);
		ssize_t n;

		if (chunk == NULL)
			fail("malloc");
		n = read(flow->from, chunk->bytes, proxy->piece);
		if (n <= 0)
		{
			free(chunk);
			flow->readable = false;
			flow->idle = true;
			if (n == 0)
				flow->end_due = now_ns() + delay;
			return n == 0 || errno == EAGAIN;
		}
		*chunk = (Chunk){.due = flow_send(flow, proxy, (size_t) n) + delay, .size = (size_t) n};
		*n_bytes += (uint64_t) n;
		if ((size_t) n <= proxy->piece / 2) /* many small ones must not take the memory of large ones */
		{
			Chunk *small = realloc(chunk, sizeof(Chunk) + (size_t) n);

			chunk = small != NULL ? small : chunk;
		}
		flow_append(flow, chunk);
	}
	return true;
}

/* Hands out what has arrived; false when the connection is broken. */
static bool
flow_write(Flow *flow, int64_t now)
{
	flow->blocked = false;
	while (flow->first != NULL && flow->first->due <= now)
	{
		Chunk *chunk = flow->first;
		ssize_t n = send(flow->to, chunk->bytes + chunk->sent, chunk->size - chunk->sent, MSG_NOSIGNAL);

		if (n < 0)
		{
			flow->blocked = errno == EAGAIN;
			return flow->blocked;
		}
		chunk->sent += (size_t) n;
		if (chunk->sent == chunk->size)
			flow_drop_first(flow);
	}
	if (flow->first == NULL && flow->end_due <= now && !flow->finished)
	{
		(void) shutdown(flow->to, SHUT_WR);
		flow->finished = true;
	}
	return true;
}

/* When there is something to do without any event. */
static int64_t
flow_due(const Flow *flow, const Proxy *proxy)
{
	int64_t read_at = flow->readable && flow_has_room(flow, proxy) ? flow->free_at : NEVER;
	int64_t write_at = flow->first != NULL ? flow->first->due : flow->end_due;

	if (flow->blocked || flow->finished)
		return read_at;
	return read_at < write_at ? read_at : write_at;
}

/* Links */

static void
link_accept(Proxy *proxy)
{
	int fd = accept(proxy->listener, NULL, NULL);
	Link *link;

	if (fd < 0)
		return;
	link = malloc(sizeof(Link));
	if (link == NULL || proxy->n_links == LINKS_MAX)
	{
		free(link);
		close(fd);
		return;
	}
	prepare_socket(fd);
	*link = (Link){.next = proxy->links, .client = fd, .server = -1, .open_at = now_ns() + proxy->round_trip};
	proxy->links = link;
	proxy->n_links++;
	proxy->n_connections++;
}

/* After its first round trip. */
static void
link_open(Proxy *proxy, Link *link)
{
	struct sockaddr_in address = local_address(proxy->to_port);

	link->server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (link->server < 0 || connect(link->server, (struct sockaddr *) &address, sizeof(address)) != 0)
	{
		link->closed = true;
		return;
	}
	prepare_socket(link->server);
	flow_init(&link->flows[TO_SERVER], link->client, link->server);
	flow_init(&link->flows[TO_CLIENT], link->server, link->client);
	watch(proxy, link->client, EPOLLIN | EPOLLOUT | EPOLLET, link);
	watch(proxy, link->server, EPOLLIN | EPOLLOUT | EPOLLET, link);
}

static int64_t
link_due(const Link *link, const Proxy *proxy)
{
	int64_t up, down;

	if (link->server < 0)
		return link->open_at;
	up = flow_due(&link->flows[TO_SERVER], proxy);
	down = flow_due(&link->flows[TO_CLIENT], proxy);
	return up < down ? up : down;
}

static void
link_serve(Proxy *proxy, Link *link)
{
	if (!link->ready && link_due(link, proxy) > now_ns())
		return;
	link->ready = false;
	if (link->server < 0)
		link_open(proxy, link);
	for (int i = 0; i < N_DIRECTIONS && !link->closed; i++)
		link->closed =
			!flow_read(&link->flows[i], proxy, &proxy->n_bytes[i]) || !flow_write(&link->flows[i], now_ns());
	if (link->flows[TO_SERVER].finished && link->flows[TO_CLIENT].finished)
		link->closed = true;
}

static void
link_free(Link *link)
{
	if (link->server >= 0)
	{
		for (int i = 0; i < N_DIRECTIONS; i++)
			while (link->flows[i].first != NULL)
				flow_drop_first(&link->flows[i]);
		close(link->server);
	}
	close(link->client);
	free(link);
}

static void
remove_closed_links(Proxy *proxy)
{
	Link **place = &proxy->links;

	while (*place != NULL)
	{
		Link *link = *place;

		if (!link->closed)
		{
			place = &link->next;
			continue;
		}
		*place = link->next;
		proxy->n_links--;
		link_free(link);
	}
}

/* The proxy */

/* With a limit, no more is in flight than it lets through meanwhile, and what waits for its turn. */
static void
proxy_limit(Proxy *proxy, const char *rate)
{
	proxy->rate = strtoll(rate, NULL, 10);
	proxy->piece = CHUNK_SIZE;
	proxy->flight_max = FLIGHT_MAX;
	if (proxy->rate == 0)
		return;
	if (proxy->rate * PACE_MS / 1000 < CHUNK_SIZE)
		proxy->piece = 1 + (size_t) (proxy->rate * PACE_MS / 1000);
	proxy->flight_max = 4 * proxy->piece + (size_t) (proxy->rate * (proxy->round_trip / 2000) / 1000000);
}

static void
proxy_start(Proxy *proxy, const char *port, const char *round_trip, const char *rate)
{
	struct sockaddr_in address = local_address(0);
	socklen_t size = sizeof(address);

	*proxy = (Proxy){.to_port = (in_port_t) strtoul(port, NULL, 10)};
	proxy->round_trip = strtoll(round_trip, NULL, 10) * 1000;
	proxy_limit(proxy, rate);
	proxy->events = epoll_create1(EPOLL_CLOEXEC);
	proxy->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (bind(proxy->listener, (struct sockaddr *) &address, sizeof(address)) != 0 ||
	    listen(proxy->listener, LINKS_MAX) != 0 ||
	    getsockname(proxy->listener, (struct sockaddr *) &address, &size) != 0)
		fail("could not listen");
	watch(proxy, proxy->listener, EPOLLIN, NULL);
	watch(proxy, STDIN_FILENO, EPOLLIN, NULL);
	printf("{\"port\": %d}\n", ntohs(address.sin_port));
	fflush(stdout);
}

/* Until something happens or is due. */
static void
proxy_wait(const Proxy *proxy)
{
	struct epoll_event events[EVENTS_MAX];
	int64_t due = NEVER;
	int64_t rest;
	struct timespec patience;
	int n;

	for (const Link *link = proxy->links; link != NULL; link = link->next)
	{
		int64_t its = link_due(link, proxy);

		due = its < due ? its : due;
	}
	rest = due - now_ns();
	rest = rest < 0 ? 0 : rest;
	patience = (struct timespec){.tv_sec = rest / 1000000000, .tv_nsec = rest % 1000000000};
	n = epoll_pwait2(proxy->events, events, EVENTS_MAX, due == NEVER ? NULL : &patience, NULL);
	for (int i = 0; i < n; i++)
		if (events[i].data.ptr != NULL)
			((Link *) events[i].data.ptr)->ready = true;
}

/* False at the end of standard input. */
static bool
proxy_report(const Proxy *proxy)
{
	char line[256];

	if (read(STDIN_FILENO, line, sizeof(line)) <= 0)
		return false;
	printf("{\"connections\": %" PRIu64 ", \"to_server\": %" PRIu64 ", \"to_client\": %" PRIu64 "}\n",
	       proxy->n_connections, proxy->n_bytes[TO_SERVER], proxy->n_bytes[TO_CLIENT]);
	fflush(stdout);
	return true;
}

static bool
was_asked(void)
{
	struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};

	return poll(&input, 1, 0) > 0;
}

int
main(int argc, char **argv)
{
	Proxy proxy;

	if (argc != 3 && argc != 4)
	{
		fprintf(stderr, "usage: %s PORT MICROSECONDS [BYTES]\n", argv[0]);
		return 2;
	}
	(void) signal(SIGPIPE, SIG_IGN);
	proxy_start(&proxy, argv[1], argv[2], argc == 4 ? argv[3] : "0");
	for (;;)
	{
		proxy_wait(&proxy);
		if (was_asked() && !proxy_report(&proxy))
			break;
		link_accept(&proxy);
		for (Link *link = proxy.links; link != NULL; link = link->next)
			link_serve(&proxy, link);
		remove_closed_links(&proxy);
	}
	for (Link *link = proxy.links; link != NULL; link = link->next)
		link->closed = true;
	remove_closed_links(&proxy);
	return 0;
}
