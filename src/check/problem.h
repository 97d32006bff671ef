/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Problems from the inside: what a family knows of its operation. One table serves whoever checks, times or tunes it. A
 * family is a file src/check/check_NAME.c with its terms, its reference and its problems, and a row in families.c.
 */
#ifndef CLEF_PROBLEM_H
#define CLEF_PROBLEM_H

#include <clef/check.h>

#include "base_internal.h"
#include "tensor_internal.h"

#define CLEF__OPERANDS     6
#define CLEF__PROBLEM_OPTS 1024 /* bytes that a family's options may have */
#define CLEF__PROBLEM_TEXT 256

/* An array in double precision on the host. */
typedef struct clef__ref {
	clef_shape shape;
	int64_t numel;
	double *v;
	int64_t from, to; /* of a result: the elements that are wanted; a reference may fill in others too */
} clef__ref;

/* ---- terms ---- */

typedef enum clef__term_kind {
	CLEF__TERM_INT,    /* int */
	CLEF__TERM_FLOAT,  /* float */
	CLEF__TERM_DOUBLE, /* double */
	CLEF__TERM_FLAG,   /* bool; it has no value */
	/* clef_shape: "x2x3x4", "x=scalar"; with preset 1 it must be given, with preset -1 it has ndim -1 if not */
	CLEF__TERM_SHAPE,
	CLEF__TERM_LIST, /* clef__list: "dims0,-1", each number in the range that is allowed */
	CLEF__TERM_WORD, /* int, the index of one of `words`; with preset -1 it must be given */
} clef__term_kind;

typedef struct clef__list {
	int count;
	int64_t v[CLEF_MAX_DIMS];
} clef__list;

/* A row of a family's table. The field of a term that is not given has the preset, or is zero; a number must be given
 * where the preset is less than `least`. */
typedef struct clef__term {
	const char *name; /* NULL ends the table */
	clef__term_kind kind;
	size_t offset;            /* of the field in the family's options */
	double preset;            /* of a number, or the index of a word */
	double least, most;       /* what is allowed; both 0: anything */
	const char *about;        /* "outputs" */
	const char *const *words; /* of CLEF__TERM_WORD; NULL ends them */
} clef__term;

/* ---- operands ---- */

typedef enum clef__operand_kind {
	CLEF__OPERAND_GRADIENT, /* float32, with a gradient to be checked */
	CLEF__OPERAND_CONSTANT, /* float32 without one */
	CLEF__OPERAND_STATE,    /* the same, and the operation may change it */
	CLEF__OPERAND_LABEL,    /* int32 */
} clef__operand_kind;

typedef struct clef__operand {
	clef_shape shape;
	double lo, hi; /* values uniform in between; labels from lo to hi - 1 */
	bool whole;    /* whole numbers only */
	clef__operand_kind kind;
} clef__operand;

/* ---- a problem ---- */

typedef struct clef__family clef__family;

typedef struct clef__problem {
	const clef__family *family;
	char text[CLEF__PROBLEM_TEXT]; /* as the library writes it */
	bool whole;                    /* the term that all families have */
	int operands;
	clef__operand in[CLEF__OPERANDS];
	/* Largest error of value and gradient, relative to the larger of the element and the mean of the array. 0 is
	 * the default, for sums and plain arithmetic: exact where all operands are whole numbers. */
	double tolerance, gradient_tolerance;
	bool no_gradient;
	_Alignas(16) unsigned char opts[CLEF__PROBLEM_OPTS]; /* the family's options */
} clef__problem;

#define CLEF__TOLERANCE          2e-6
#define CLEF__GRADIENT_TOLERANCE 1e-5
#define CLEF__EXACT              1e-30 /* as tolerance: exact, although not all operands are whole numbers */

struct clef__family {
	const char *name;
	const clef__term *terms;
	/* Says what the operands are, from p->opts and p->whole, and may change p->opts, which apply() and reference()
	 * get. Checks only what it needs for that: the operation checks the rest. */
	clef_status (*setup)(clef__problem *p);
	/* The operation. It may return NULL with CLEF_ERROR_UNSUPPORTED where the device cannot do it. */
	clef_tensor *(*apply)(clef_tensor *const *x, const void *opts);
	/* Fills in y->v, from y->from to y->to at least; y has the shape that the operation gave. False, with a message
	 * of clef__fail(), for a wrong shape or without memory. */
	bool (*reference)(const clef__ref *x, const void *opts, clef__ref *y);
	/* Multiplications and additions of the forward pass by the definition. NULL: what counts is memory. */
	double (*flops)(const clef__problem *p);
	/* Instead of the four above: a check of its own. */
	clef_status (*run)(const clef__problem *p, clef_device *dev, clef_check_result *result);
	const char *const *problems; /* the quick ones first */
	int count, quick;
};

/* families.c */
extern const clef__family *const clef__families[];
extern const int clef__family_count;

/* For a family's row: its problems, from a table of strings. */
#define CLEF__PROBLEMS(table, quick_ones) .problems = (table), .count = CLEF_COUNT(table), .quick = (quick_ones)

/* The row of a family whose file has one setup(), apply() and reference() for several, and tables by their names. */
#define CLEF__FAMILY_ROW(name_, quick_ones)                                                                            \
	const clef__family clef__family_##name_ = { .name = #name_,                                                    \
						    .terms = terms_##name_,                                            \
						    .setup = setup,                                                    \
						    .apply = apply,                                                    \
						    .reference = reference,                                            \
						    CLEF__PROBLEMS(problems_##name_, quick_ones) };

/* Reads a problem. Errors: ERROR_INVALID. */
clef_status clef__problem_parse(const char *text, clef__problem *p);

/* ---- for references ---- */

/* The number of elements of dimensions from `from` up to `to`, not with it; negative ones count from the end. */
int64_t clef__ref_size(const clef_shape *shape, int from, int to);

/* Index into an operand of shape x of the element that element i of a result of shape y takes, by NumPy's rule. */
int64_t clef__ref_broadcast(const clef_shape *y, const clef_shape *x, int64_t i);

/* ---- operands of a problem, for whoever runs one ---- */

/* Draws the values of operand i of a problem, always the same: to `ref`, whose v is allocated, and, as float32 or
 * int32, to `host` of 4 bytes an element. free(ref->v). */
clef_status clef__problem_draw(const clef__problem *p, int i, clef__ref *ref, void *host);

#endif
