/*
 * BASE_BACKUP.  Results come in this order (PostgreSQL: basebackup.c,
 * perform_base_backup): start position, tablespaces, one copy (since 15) or one
 * per archive and one for the manifest (13, 14), stop position.  Page checksum
 * errors are reported after all of that.
 */
#include "walship/pg/backup_stream.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "connection.h"
#include "walship/base/buf.h"
#include "walship/base/mem.h"
#include "walship/wal/majors.h"

#define COMMAND_MAX       (8 * 1024)
#define SQLSTATE_BAD_PAGE "XX001"

typedef struct BackupStream
{
	Server *server;
	const BackupHandler *handler;
	void *context;

	int row_results; /* start, tablespaces, stop: seen so far */
	BackupStart start;
	StreamTablespace *tablespaces; /* owned; what start.tablespaces points to */
	char **sets;                   /* in the order of the archives: OIDs, "base" last; owned */
	size_t n_sets;
	size_t copies; /* archives seen so far (13, 14) */
	bool open;     /* begin was called, end not yet */
	BackupStop stop;
} BackupStream;

static void
backup_stream_release(BackupStream *stream)
{
	for (size_t i = 0; i < stream->start.n_tablespaces; i++)
		free(stream->tablespaces[i].path);
	free(stream->tablespaces);
	for (size_t i = 0; i < stream->n_sets; i++)
		free(stream->sets[i]);
	free(stream->sets);
}

#define AUTO_STREAM __attribute__((cleanup(backup_stream_release))) BackupStream

static Error *
check_label(const char *label)
{
	if (strlen(label) > BACKUP_LABEL_MAX)
		return error_new(ERR_USAGE, "backup label is longer than %d bytes", BACKUP_LABEL_MAX);
	for (const char *c = label; *c != '\0'; c++)
	{
		if ((unsigned char) *c < 0x20 || *c == 0x7f)
			return error_new(ERR_USAGE, "backup label contains a control character");
	}
	return NULL;
}

/*
 * Never the WAL option, and never waiting for the archiver: WAL is fetched over
 * a connection of its own (docs/architecture.md).  Manifest checksums are
 * CRC-32C because SHA-256 doubles the server's work.
 */
static void
format_command(Buf *sql, const PgMajor *major, const BackupStreamOptions *options)
{
	bool old = !major->has_typed_backup;

	buf_puts(sql, old ? "BASE_BACKUP LABEL " : "BASE_BACKUP (LABEL ");
	buf_putc(sql, '\'');
	for (const char *c = options->label; *c != '\0'; c++)
	{
		if (*c == '\'')
			buf_putc(sql, '\'');
		buf_putc(sql, *c);
	}
	buf_putc(sql, '\'');
	if (old)
		buf_printf(sql, " PROGRESS%s NOWAIT", options->fast_checkpoint ? " FAST" : "");
	else
		buf_printf(sql, ", PROGRESS, CHECKPOINT '%s', WAIT 0", options->fast_checkpoint ? "fast" : "spread");
	if (options->max_rate_kb > 0)
		buf_printf(sql, "%s MAX_RATE %" PRIu32, old ? "" : ",", options->max_rate_kb);
	buf_puts(sql, old ? " TABLESPACE_MAP MANIFEST 'yes' MANIFEST_CHECKSUMS 'CRC32C'"
	                  : ", TABLESPACE_MAP, MANIFEST 'yes', MANIFEST_CHECKSUMS 'CRC32C')");
}

static Error *
read_position(const PGresult *result, const char *which, XLogRecPtr *ret_lsn, TimeLineID *ret_timeline)
{
	uint64_t timeline;

	if (PQntuples(result) != 1 || PQnfields(result) < 2 || !lsn_parse(PQgetvalue(result, 0, 0), ret_lsn) ||
	    !str_to_uint64(PQgetvalue(result, 0, 1), &timeline) || timeline == 0 || timeline > UINT32_MAX)
		return error_new(ERR_TRANSIENT, "unexpected answer of the server: no %s position of the backup",
		                 which);
	*ret_timeline = (TimeLineID) timeline;
	return NULL;
}

/* One row per tablespace: OID, path, kB; the data directory itself, with NULLs, comes last. */
static Error *
read_tablespaces(BackupStream *stream, const PGresult *result)
{
	int rows = PQntuples(result);

	if (rows < 1 || rows > BACKUP_TABLESPACES_MAX || PQnfields(result) < 3)
		return error_new(ERR_TRANSIENT, "unexpected answer of the server: no list of tablespaces");
	stream->tablespaces = NEW_ARRAY(StreamTablespace, (size_t) rows);
	stream->sets = NEW_ARRAY(char *, (size_t) rows);
	for (int row = 0; row < rows; row++)
	{
		bool is_base = PQgetisnull(result, row, 0);
		uint64_t oid = 0;
		uint64_t kilobytes = 0;

		if (!is_base && (!str_to_uint64(PQgetvalue(result, row, 0), &oid) || oid == 0 || oid > UINT32_MAX))
			return error_new(ERR_TRANSIENT, "unexpected answer of the server: tablespace OID \"%s\"",
			                 PQgetvalue(result, row, 0));
		if (!PQgetisnull(result, row, 2) && str_to_uint64(PQgetvalue(result, row, 2), &kilobytes))
			stream->start.size += kilobytes * 1024;
		stream->sets[stream->n_sets++] = is_base ? mem_strdup("base") : mem_printf("%" PRIu64, oid);
		if (!is_base)
			stream->tablespaces[stream->start.n_tablespaces++] =
				(StreamTablespace){.oid = (uint32_t) oid, .path = mem_strdup(PQgetvalue(result, row, 1))};
	}
	stream->start.tablespaces = stream->tablespaces;
	return stream->handler->start(stream->context, &stream->start);
}

static Error *
take_rows(BackupStream *stream, const PGresult *result)
{
	switch (stream->row_results++)
	{
		case 0:
			return read_position(result, "start", &stream->start.lsn, &stream->start.timeline);
		case 1:
			return read_tablespaces(stream, result);
		case 2:
			return read_position(result, "stop", &stream->stop.lsn, &stream->stop.timeline);
		default:
			return error_new(ERR_TRANSIENT, "unexpected answer of the server: more rows after the backup");
	}
}

static Error *
end_open(BackupStream *stream)
{
	if (!stream->open)
		return NULL;
	stream->open = false;
	return stream->handler->end(stream->context);
}

static Error *
begin_next(BackupStream *stream, const char *set)
{
	TRY(end_open(stream));
	stream->open = true;
	return stream->handler->begin(stream->context, set);
}

/* "16394.tar" or "base.tar" */
static Error *
begin_named(BackupStream *stream, const char *name, size_t size)
{
	for (size_t i = 0; i < stream->n_sets; i++)
	{
		size_t length = strlen(stream->sets[i]);

		if (size >= length + 5 && memcmp(name, stream->sets[i], length) == 0 &&
		    memcmp(name + length, ".tar", 5) == 0)
			return begin_next(stream, stream->sets[i]);
	}
	return error_new(ERR_TRANSIENT, "unexpected archive \"%.*s\" from the server", (int) strnlen(name, size),
	                 name);
}

/* One message of the copy of PostgreSQL 15 and later: a letter, then what it announces. */
static Error *
take_typed_message(BackupStream *stream, const char *message, size_t size)
{
	if (size == 0)
		return error_new(ERR_TRANSIENT, "empty message from the server");
	switch (message[0])
	{
		case 'n':
			return begin_named(stream, message + 1, size - 1);
		case 'm':
			return begin_next(stream, NULL);
		case 'd':
			if (!stream->open)
				return error_new(ERR_TRANSIENT, "data without a name from the server");
			return stream->handler->data(stream->context, message + 1, size - 1);
		case 'p':
			return NULL; /* progress: we count ourselves */
		default:
			return error_new(ERR_TRANSIENT, "unknown message type 0x%02x from the server",
			                 (unsigned) (unsigned char) message[0]);
	}
}

static Error *
take_copy(BackupStream *stream)
{
	bool typed = pg_major_nearest(server_major(stream->server))->has_typed_backup;

	if (stream->row_results != 2)
		return error_new(ERR_TRANSIENT, "unexpected answer of the server: data out of order");
	if (!typed)
	{
		const char *set = stream->copies < stream->n_sets ? stream->sets[stream->copies] : NULL;

		stream->copies++;
		TRY(begin_next(stream, set));
	}
	for (;;)
	{
		AUTO_PGMEM *message = NULL;
		int size = PQgetCopyData(stream->server->conn, &message, 1);

		if (size == 0)
		{
			TRY(server_wait_input(stream->server, SERVER_NO_TIMEOUT, &stream->handler->tick));
			continue;
		}
		if (size == -2)
			return server_error(stream->server, NULL);
		if (size < 0)
			return end_open(stream); /* whether it ended well, the next result says */
		if (typed)
			TRY(take_typed_message(stream, message, (size_t) size));
		else
			TRY(stream->handler->data(stream->context, message, (size_t) size));
	}
}

static Error *
take_results(BackupStream *stream)
{
	for (;;)
	{
		AUTO_RESULT *result = NULL;

		TRY(server_next_result(stream->server, SERVER_NO_TIMEOUT, &stream->handler->tick, &result));
		if (result == NULL)
			break;
		switch (PQresultStatus(result))
		{
			case PGRES_TUPLES_OK:
				TRY(take_rows(stream, result));
				break;
			case PGRES_COPY_OUT:
				TRY(take_copy(stream));
				break;
			case PGRES_COMMAND_OK:
				break;
			default:
				/* Checksum errors of pages are told when all is over: the backup is complete, but damaged. */
				if (stream->row_results != 3 ||
				    !str_equal(PQresultErrorField(result, PG_DIAG_SQLSTATE), SQLSTATE_BAD_PAGE))
					return server_error(stream->server, result);
				stream->stop.page_errors = true;
				break;
		}
		if (PQstatus(stream->server->conn) == CONNECTION_BAD)
			return server_error(stream->server, NULL);
	}
	if (stream->row_results != 3)
		return error_new(ERR_TRANSIENT, "the server ended the backup too early");
	return NULL;
}

Error *
backup_stream_run(Server *server, const BackupStreamOptions *options, const BackupHandler *handler,
                  void *context, BackupStop *ret_stop)
{
	AUTO_STREAM stream = {.server = server, .handler = handler, .context = context};
	AUTO_BUF(sql, COMMAND_MAX);

	TRY(check_label(options->label));
	format_command(&sql, pg_major_nearest(server_major(server)), options);

	server->cancel_on_free = true;
	TRY(error_context(server_send(server, sql.data), "could not start a base backup"));
	TRY(error_context(take_results(&stream), "could not take a base backup"));
	server->cancel_on_free = false;
	*ret_stop = stream.stop;
	return NULL;
}
