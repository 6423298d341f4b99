/* The part of a catalog that comes from the listing of wal/. */
#pragma once

#include "walship/archive/catalog.h"

/* Needs catalog->segment_size when there is a backup; finds it out otherwise. */
Error *catalog_read_wal(Store *store, Catalog *catalog) MUST_CHECK;

/* The timeline of this number, made when it is new.  Moves the others. */
CatalogTimeline *catalog_add_timeline(Catalog *catalog, TimeLineID timeline);
