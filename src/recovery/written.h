/* How much WAL each transaction wrote, subtransactions apart. */
#pragma once

#include "walship/archive/wal_facts.h"

typedef struct Written
{
	WalWritten *slots; /* by xid; 0: free; owned */
	size_t n_slots;
	size_t count;
} Written;

void written_add(Written *written, const WalWritten *more);

/* Adds what this one wrote to *sum. */
void written_sum(const Written *written, TransactionId xid, WalWritten *sum);
void written_release(Written *written);
