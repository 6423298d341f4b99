/*
 * WAL as the server flushes it (PostgreSQL: protocol.sgml, START_REPLICATION).
 * Pull model: whoever reads decides when a position counts as safe, and says so.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "walship/base/clock.h"
#include "walship/base/error.h"
#include "walship/pg/server.h"
#include "walship/wal/lsn.h"

typedef enum WalSlot
{
	WAL_SLOT_NONE,
	WAL_SLOT_PLAIN,    /* keeps WAL from the first confirmed position on */
	WAL_SLOT_RESERVED, /* keeps WAL from the last checkpoint on, at once */
} WalSlot;

/* Makes a temporary physical slot, which vanishes with the connection.  Once per connection. */
Error *wal_stream_create_slot(Server *server, WalSlot slot) MUST_CHECK;

/*
 * With the connection's slot, if it has one.  "from" may lie anywhere in a
 * segment.  server_identify() must have been called on this connection: a
 * standby of 13 or 14 knows its timeline only then.
 */
Error *wal_stream_start(Server *server, XLogRecPtr from, TimeLineID timeline) MUST_CHECK;

typedef struct WalMessage
{
	XLogRecPtr lsn;     /* of the first byte */
	const char *data;   /* until the next call; NULL when nothing came in time */
	size_t size;        /* 0 for a keepalive */
	TimeUs server_time; /* when it was sent; TIME_NONE when nothing came */
	bool reply_wanted;
	bool ended; /* the server has no more to send: it is shutting down, or the timeline ended */
} WalMessage;

Error *wal_stream_next(Server *server, int64_t timeout_ms, WalMessage *ret_message) MUST_CHECK;

/*
 * Tells the server how far WAL was taken.  "flushed" moves the slot and, when the
 * server counts this connection as a synchronous standby, releases commits:
 * InvalidXLogRecPtr does neither.
 */
Error *wal_stream_confirm(Server *server, XLogRecPtr written, XLogRecPtr flushed, bool want_reply) MUST_CHECK;

/* Ends the stream in order; the connection can be used again. */
Error *wal_stream_stop(Server *server) MUST_CHECK;

/*
 * The server's clock, now, over an idle connection.  There is no command for
 * it: this is the time of a keepalive that is asked for.
 */
Error *wal_stream_clock(Server *server, TimeUs *ret_time) MUST_CHECK;
