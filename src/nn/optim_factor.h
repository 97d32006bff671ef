/* SPDX-License-Identifier: Apache-2.0 */
/* Adafactor's statistics, and how its work is cut up. All rows of ints are vectors of eight for the kernels. */
#ifndef CLEF_NN_OPTIM_FACTOR_H
#define CLEF_NN_OPTIM_FACTOR_H

#include "optim_internal.h"

typedef struct clef__factor_shape {
	int start, count, rows, columns, by_row, by_col, mean, matrices;
} clef__factor_shape;

enum { CLEF__FLAT, CLEF__SMALL, CLEF__TILE };

typedef struct clef__factor_piece {
	int owner, kind, from, to, column, column_end, row_sums, column_sums;
} clef__factor_piece;

/* A block of a large matrix's statistics: each the mean of `of` squares, in `parts` sums that are `stride` apart. */
typedef struct clef__factor_block {
	int at, from, stride, parts, of, owner, unused[2];
} clef__factor_block;

/* What lists of these there are, and where in them a parameter's begin: its first, and behind the last its end. */
typedef struct clef__factor_list {
	void *item;
	int count, capacity;
	int *first;
	clef__buffer *buffer;
} clef__factor_list;

struct clef__factors {
	clef__factor_shape *shapes;
	clef__factor_list pieces, blocks;
	clef__factor_list means;                     /* two ints for each large matrix: where its rows', and how many */
	int items;                                   /* of a work-group: a power of 2 */
	int lanes;                                   /* of a vector */
	int scratch;                                 /* floats of local memory that a piece may need */
	int64_t size, partial;                       /* of the statistics, and of the sums */
	clef_tensor *stats, *parts;                  /* both with zeros between what they hold */
	clef__buffer *mean, *sums;                   /* of large matrices; of pieces */
	clef__buffer *shape_buffer, *first_of_piece; /* the shapes, pieces.first */
};

#endif
