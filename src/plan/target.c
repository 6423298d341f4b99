/* Targets as they stand in sentences. */
#include <inttypes.h>

#include "walship/base/mem.h"
#include "walship/plan/recover.h"

int64_t
replay_estimate_ms(uint64_t wal_bytes)
{
	return (int64_t) (wal_bytes / (REPLAY_BYTES_PER_SECOND / 1000));
}

char *
recovery_target_text(const RecoveryTarget *target)
{
	char time[TIME_TEXT_SIZE];
	char lsn[LSN_TEXT_SIZE];

	switch (target->kind)
	{
		case TARGET_TIME:
			return mem_printf("time %s", time_format_postgres(target->time, time));
		case TARGET_LSN:
			return mem_printf("LSN %s", lsn_format(target->lsn, lsn));
		case TARGET_XID:
			return mem_printf("transaction %" PRIu32, target->xid);
		case TARGET_NAME:
			return mem_printf("restore point \"%s\"", target->name);
		case TARGET_BEFORE:
			if (target->lsn == InvalidXLogRecPtr)
				return mem_printf("before transaction %" PRIu32, target->xid);
			return mem_printf("before transaction %" PRIu32 " at LSN %s", target->xid,
			                  lsn_format(target->lsn, lsn));
		case TARGET_IMMEDIATE:
			return mem_strdup("the end of the backup");
		case TARGET_LATEST:
			return mem_strdup("the end of the WAL");
		case TARGET_BACKUP_ONLY:
			return mem_strdup("the end of the backup, with nothing but its own WAL");
	}
	return NULL;
}
