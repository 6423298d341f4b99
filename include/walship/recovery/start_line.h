/*
 * How to start, on this machine, what was restored.  "pg_ctl -D DIR start" is
 * wrong in many places: the programs are not in the PATH, the settings lie
 * elsewhere (Debian: /etc/postgresql) and name the directory, the port and the PID
 * file of another server.
 */
#pragma once

#include <stdbool.h>

/* Where things are; NULL: where Debian has them. */
typedef struct StartPlaces
{
	const char *programs; /* <programs>/15/bin/pg_ctl */
	const char *settings; /* <settings>/15/main/postgresql.conf */
	const char *sockets;
} StartPlaces;

typedef struct StartLine
{
	char *command;    /* for a shell; owned */
	int port;         /* that it chooses, as another server may run; 0: that of the settings */
	bool no_settings; /* there is no postgresql.conf, neither in the directory nor elsewhere */
} StartLine;

/*
 * "beside": not in the place of the server that it was.  "own_options" are for
 * postgres, quoted for a shell, and go with settings of the directory's own:
 * Recovery's start_options; NULL: none are needed.
 */
void start_line_make(const char *pgdata, int major, bool beside, const char *own_options,
                     const StartPlaces *places, StartLine *ret_line);
void start_line_release(StartLine *line);

#define AUTO_START_LINE __attribute__((cleanup(start_line_release))) StartLine
