/* Configuration files that a base backup does not hold, for they lie outside the data directory (Debian: /etc/postgresql). */
#pragma once

#include "parts.h"
#include "walship/archive/backup_record.h"
#include "walship/base/error.h"
#include "walship/base/notice.h"
#include "walship/base/strs.h"

/*
 * As a tar archive into the store, named as they are without the first slash.  What cannot be read is told and left
 * out; when nothing is left, ret_config->name stays NULL.  The object's name is added to "names" first.
 */
Error *config_files_write(const BackupTarget *target, const StrList *files, const Notices *notices,
                          StrList *names, BackupObject *ret_config) MUST_CHECK;
