/* START_REPLICATION: messages are big-endian, times count from 2000 (PostgreSQL: walsender.c). */
#include "walship/pg/wal_stream.h"

#include <endian.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "connection.h"
#include "walship/base/crypto.h"
#include "walship/base/mem.h"

#define WAL_HEADER_SIZE  25 /* 'w', start, end of WAL, time */
#define KEEPALIVE_SIZE   18 /* 'k', end of WAL, time, reply wanted */
#define STATUS_SIZE      34 /* 'r', written, flushed, applied, time, reply wanted */
#define CLOCK_TIMEOUT_MS 30000

static uint64_t
get_uint64(const char *bytes)
{
	uint64_t value;

	memcpy(&value, bytes, sizeof(value));
	return be64toh(value);
}

static void
put_uint64(char *bytes, uint64_t value)
{
	value = htobe64(value);
	memcpy(bytes, &value, sizeof(value));
}

Error *
wal_stream_create_slot(Server *server, WalSlot slot)
{
	AUTO_RESULT *result = NULL;
	AUTO_FREE char *sql = NULL;
	char name[sizeof(server->slot)];
	uint32_t random;

	if (slot == WAL_SLOT_NONE)
		return NULL;
	random_bytes(&random, sizeof(random));
	(void) snprintf(name, sizeof(name), "walship_%ld_%08" PRIx32, (long) getpid(), random);

	/* All of 13 to 18 take this form. */
	sql = mem_printf("CREATE_REPLICATION_SLOT \"%s\" TEMPORARY PHYSICAL%s", name,
	                 slot == WAL_SLOT_RESERVED ? " RESERVE_WAL" : "");
	TRY(error_context(server_query(server, sql, 1, &result), "could not create a replication slot"));
	memcpy(server->slot, name, sizeof(name));
	return NULL;
}

static Error *
start_replication(Server *server, const char *slot, XLogRecPtr from, TimeLineID timeline)
{
	AUTO_RESULT *result = NULL;
	char lsn[LSN_TEXT_SIZE];
	const char *quote = slot[0] != '\0' ? "\"" : "";
	AUTO_FREE char *sql =
		mem_printf("START_REPLICATION%s%s%s%s PHYSICAL %s TIMELINE %u", slot[0] != '\0' ? " SLOT " : "",
	               quote, slot, quote, lsn_format(from, lsn), timeline);

	TRY(server_send(server, sql));
	TRY(server_next_result(server, SERVER_REPLY_TIMEOUT_MS, NULL, &result));
	if (PQresultStatus(result) == PGRES_COPY_BOTH)
		return NULL;

	Error *error = server_error(server, result);

	error_free(server_drain(server));
	return error;
}

Error *
wal_stream_start(Server *server, XLogRecPtr from, TimeLineID timeline)
{
	char lsn[LSN_TEXT_SIZE];

	return error_context(start_replication(server, server->slot, from, timeline),
	                     "could not stream WAL from %s on timeline %u", lsn_format(from, lsn), timeline);
}

static Error *
parse_message(const char *bytes, size_t size, WalMessage *ret_message)
{
	if (size >= WAL_HEADER_SIZE && bytes[0] == 'w')
	{
		*ret_message = (WalMessage){.lsn = get_uint64(bytes + 1),
		                            .data = bytes + WAL_HEADER_SIZE,
		                            .size = size - WAL_HEADER_SIZE,
		                            .server_time = time_from_postgres((int64_t) get_uint64(bytes + 17))};
		return NULL;
	}
	if (size >= KEEPALIVE_SIZE && bytes[0] == 'k')
	{
		*ret_message = (WalMessage){.lsn = get_uint64(bytes + 1),
		                            .data = bytes + size,
		                            .server_time = time_from_postgres((int64_t) get_uint64(bytes + 9)),
		                            .reply_wanted = bytes[17] != 0};
		return NULL;
	}
	return error_new(ERR_TRANSIENT, "unknown message in the WAL stream");
}

Error *
wal_stream_next(Server *server, int64_t timeout_ms, WalMessage *ret_message)
{
	int size;

	/* The message is the caller's until the next call: it is kept here. */
	PQfreemem(MOVE(server->message));
	while ((size = PQgetCopyData(server->conn, &server->message, 1)) == 0)
	{
		Error *error = server_wait_input(server, timeout_ms, NULL);

		if (error_is(error, ERR_TRANSIENT) && PQstatus(server->conn) == CONNECTION_OK)
		{
			error_free(error);
			*ret_message = (WalMessage){.server_time = TIME_NONE};
			return NULL;
		}
		TRY(error);
	}
	if (size == -2)
		return server_error(server, NULL);
	if (size < 0) /* the server ended the copy: with an error, or in order */
	{
		AUTO_RESULT *result = NULL;

		TRY(server_next_result(server, SERVER_REPLY_TIMEOUT_MS, NULL, &result));
		if (result != NULL && PQresultStatus(result) == PGRES_FATAL_ERROR)
			return server_error(server, result);
		*ret_message = (WalMessage){.ended = true, .server_time = TIME_NONE};
		return NULL;
	}
	return parse_message(server->message, (size_t) size, ret_message);
}

Error *
wal_stream_confirm(Server *server, XLogRecPtr written, XLogRecPtr flushed, bool want_reply)
{
	char status[STATUS_SIZE] = {'r'};

	put_uint64(status + 1, written);
	put_uint64(status + 9, flushed);
	put_uint64(status + 17, InvalidXLogRecPtr); /* nothing is replayed here */
	put_uint64(status + 25, (uint64_t) (clock_now() - POSTGRES_EPOCH_US));
	status[33] = want_reply ? 1 : 0;
	if (PQputCopyData(server->conn, status, sizeof(status)) <= 0)
		return server_error(server, NULL);
	return server_flush(server);
}

Error *
wal_stream_stop(Server *server)
{
	int size;

	PQfreemem(MOVE(server->message));
	if (PQputCopyEnd(server->conn, NULL) <= 0)
		return server_error(server, NULL);
	TRY(server_flush(server));

	/* What was under way still comes. */
	while ((size = PQgetCopyData(server->conn, &server->message, 1)) >= 0)
	{
		PQfreemem(MOVE(server->message));
		if (size == 0)
			TRY(server_wait_input(server, SERVER_REPLY_TIMEOUT_MS, NULL));
	}
	return server_drain(server);
}

static Error *
read_clock(Server *server, TimeUs *ret_time)
{
	ServerIdentity identity;
	WalMessage message;

	TRY(server_identify(server, &identity));
	TRY(start_replication(server, "", identity.position, identity.timeline));

	/* Neither written nor flushed: no slot moves, no commit is released. */
	TRY(wal_stream_confirm(server, InvalidXLogRecPtr, InvalidXLogRecPtr, true));
	do
	{
		TRY(wal_stream_next(server, CLOCK_TIMEOUT_MS, &message));
		if (message.ended)
			return error_new(ERR_TRANSIENT, "the server ended the stream");
		if (message.data == NULL)
			return error_new(ERR_TRANSIENT, "server did not answer for %d s", CLOCK_TIMEOUT_MS / 1000);
	} while (message.size > 0); /* sent before our question arrived, perhaps: wait for the answer */

	*ret_time = message.server_time;
	return wal_stream_stop(server);
}

Error *
wal_stream_clock(Server *server, TimeUs *ret_time)
{
	return error_context(read_clock(server, ret_time), "could not read the server's clock");
}
