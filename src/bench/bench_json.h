/* SPDX-License-Identifier: Apache-2.0 */
/* The number of the file's schema, which reader and writer share. */
#ifndef CLEF_BENCH_JSON_H
#define CLEF_BENCH_JSON_H

#define CLEF__BENCH_SCHEMA 1

#endif
