/* The part of "walship check" that is about the archiver. */
#pragma once

#include "check_server.h"

/* Ends a segment of WAL, and waits until just that one is in the store: this alone proves that archiving works. */
void check_segment(const Settings *settings, const CheckedServer *server, CheckReport *report);

/* What the server counts of it, by a connection for SQL. */
void check_archiver(Server *sql, CheckReport *report);
