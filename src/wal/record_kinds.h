/* The records that matter. */
#pragma once

#include "record_body.h"

/* NULL: of no interest */
const RecordKind *record_kind_of(const PgMajor *major, uint8_t manager, uint8_t info);

/* Commits and aborts (record_xact.c). */
void record_begin_xact(RecordBody *body);
