/*
 * The settings that a server of ours is started with.  Given on its command line
 * they win over postgresql.conf and postgresql.auto.conf: nothing that the
 * backup's server was told makes this one write, archive, listen, connect to
 * others or run what is not PostgreSQL's.  Pure.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "walship/base/strs.h"

typedef struct ServerSettings
{
	int major;
	uint32_t segment_size;       /* of its WAL, bytes */
	uint64_t wal_max;            /* bytes of WAL that it keeps, as far as it can; 0: as is usual */
	const char *directory;       /* of ours, in the data directory: configuration, WAL, log */
	const char *sockets;         /* directory of its Unix socket */
	const char *restore_command; /* as the server takes it */
	const char *libraries;       /* to be loaded at its start, however the backup's server had it; "": none */
	int port;
	bool listens; /* on the loopback of this machine, too */
	bool kept;    /* what it does must survive a crash of the machine */
} ServerSettings;

/* Adds "-c", "name=value", "-c", ... for this major: an unknown name would keep the server from starting. */
void server_settings_list(const ServerSettings *settings, StrList *words);
