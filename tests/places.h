/* SPDX-License-Identifier: Apache-2.0 */
/* Elements by their coordinates, for references of operations that move elements about. */
#ifndef CLEF_TESTS_PLACES_H
#define CLEF_TESTS_PLACES_H

#include "check_clef.h"
#include "op_case.h"

typedef struct place {
	int64_t at[CLEF_MAX_DIMS];
} place;

static inline place place_of(const clef_shape *s, int64_t i)
{
	place p = { { 0 } };

	for (int d = s->ndim - 1; d >= 0; d--) {
		p.at[d] = i % s->dim[d];
		i /= s->dim[d];
	}
	return p;
}

static inline double value_at(const ref_array *x, const place *p)
{
	int64_t i = 0;

	for (int d = 0; d < x->shape.ndim; d++) {
		/* An assertion that holds costs a system call. */
		if (p->at[d] < 0 || p->at[d] >= x->shape.dim[d])
			ck_abort_msg("the reference looks outside of its operand");
		i = i * x->shape.dim[d] + p->at[d];
	}
	return x->v[i];
}

/* Runs the case on whole numbers, which must arrive as they are. Its first input, and others that are left out, have
 * this shape. */
static inline void run_exact(op_case c, clef_shape shape)
{
	c.inputs = c.inputs ? c.inputs : 1;
	for (int i = 0; i < c.inputs; i++) {
		if (i == 0 || c.in[i].shape.ndim == 0)
			c.in[i].shape = shape;
		c.in[i].lo = -8;
		c.in[i].hi = 8;
		c.in[i].whole = true;
	}
	op_case_run(&c);
}

#endif
