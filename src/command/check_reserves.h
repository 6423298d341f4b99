/* The part of "walship check" that is about what a server may run out of. */
#pragma once

#include "check_server.h"

/* Files that wait to be archived, room for more, replication slots, WAL senders; as far as the connections let it see. */
void check_reserves(const CheckedServer *server, CheckReport *report);
