/* SPDX-License-Identifier: Apache-2.0 */
/* Files that are written whole or not at all. */
#ifndef CLEF_REPLACE_H
#define CLEF_REPLACE_H

#include "base_internal.h"

typedef struct clef__writer clef__writer;

/* Writes all of a file with clef__write(). */
typedef clef_status (*clef__write_fn)(const clef__writer *w, const void *what);

clef_status clef__write(const clef__writer *w, const void *data, size_t size);

/* Puts what `write` writes in the place of the file, if that succeeds; with `keep`, what was there remains as
 * PATH.prev. `function` begins the messages. */
clef_status clef__replace(const char *function, const char *path, bool keep, clef__write_fn write, const void *what);

#endif
