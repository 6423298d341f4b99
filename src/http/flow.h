/* Has a transfer stood still?  What the other side has acknowledged tells, not what the kernel took. */
#pragma once

#include "private.h"

/* Bytes moved, looked at FLOW_SLOTS times in a span of stall_ms. */
#define FLOW_SLOTS 8

typedef struct Flow
{
	bool hurried;
	int64_t look_ms; /* when to look whether there is a hurry */
	int64_t next_ms;
	uint64_t samples[FLOW_SLOTS]; /* a ring */
	int taken;
} Flow;

/* ERR_TRANSIENT when hardly anything moved in a span of the patience; for a look between two waits. */
Error *flow_check(Flow *flow, const Connection *connection, const Patience *patience) MUST_CHECK;

/* A socket is about to connect; one is to be closed, and is.  False: it could not be. */
void flow_opened(Connection *connection, int fd);
bool flow_close(Connection *connection, int fd);
